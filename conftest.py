"""Notebooks that nbval plays leave their run folders in a temporary place."""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

RUNS = pytest.StashKey[str]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Name the place in the environment: the kernels that nbval starts inherit it."""
    folder = session.stash[RUNS] = tempfile.mkdtemp(prefix="venlab-runs-")
    os.environ["VENLAB_RUNS"] = folder


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take it away; a person's own runs are somewhere else."""
    shutil.rmtree(session.stash[RUNS], ignore_errors=True)
