from __future__ import annotations

import sys
from pathlib import Path
from subprocess import run

import pytest

from venlab import platforms
from venlab.errors import DataError


def test_a_wheels_own_copy_is_found_before_a_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a clone the folders stand beside the package; in a wheel inside it, and win."""
    package = tmp_path / "site-packages" / "venlab"
    package.mkdir(parents=True)
    monkeypatch.setattr(platforms, "__file__", str(package / "platforms.py"))
    with pytest.raises(DataError, match="has no folder data"):
        platforms.data_dir()
    (package.parent / "data").mkdir()
    assert platforms.data_dir() == package.parent / "data"
    (package / "_data").mkdir()
    (package / "_notebooks").mkdir()
    assert platforms.data_dir() == package / "_data"
    assert platforms.notebooks_dir() == package / "_notebooks"


def test_a_detached_child_starts() -> None:
    """The arguments are those that Popen takes here."""
    assert run([sys.executable, "-c", ""], check=True, **platforms.detached()).returncode == 0
