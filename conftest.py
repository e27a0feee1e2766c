"""Runs that nbval plays leave their folders beside the notebooks; they go when the tests end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

RUNS = Path(__file__).parent / "notebooks" / "runs"
BEFORE = pytest.StashKey[set[Path]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remember which run folders are a person's own."""
    session.stash[BEFORE] = set(RUNS.glob("*"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take away those that came since."""
    for folder in set(RUNS.glob("*")) - session.stash[BEFORE]:
        shutil.rmtree(folder, ignore_errors=True)
    if RUNS.is_dir() and not any(RUNS.iterdir()):
        RUNS.rmdir()
