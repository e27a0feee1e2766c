"""What differs by operating system, and by how the package was installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from venlab.errors import DataError

__all__ = ["data_dir", "detached", "notebooks_dir"]


def data_dir() -> Path:
    """Return the folder of towns, profiles, schemas and ``lab.toml``.

    Returns
    -------
    Path
        In a clone the folder beside the package, in an installed wheel one inside it.

    Examples
    --------
    >>> (data_dir() / "lab.toml").is_file()
    True
    """
    return _carried("data")


def notebooks_dir() -> Path:
    """Return the folder of the notebooks, found as `data_dir` is."""
    return _carried("notebooks")


def _carried(name: str) -> Path:
    package = Path(__file__).parent
    # The wheel's copy first: beside an installed package stand the packages of others.
    for folder in (package / f"_{name}", package.parent / name):
        if folder.is_dir():
            return folder
    raise DataError(f"{package} has no folder {name} with it", "install venlab again")


def detached() -> dict[str, Any]:
    """Return the arguments of `subprocess.Popen` that keep our interrupt from reaching a child."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}
