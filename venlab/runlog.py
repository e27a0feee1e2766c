"""The folder of a run: claimed by one run alone, with its log in it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from venlab.errors import StoreError

__all__ = ["claim", "close", "hold", "runs_folder", "to_file"]

RUNS_VARIABLE = "VENLAB_RUNS"
_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def runs_folder(env: Mapping[str, str] | None = None) -> Path:
    """Return where new run folders are made: ``runs`` here, or what ``VENLAB_RUNS`` names."""
    return Path((os.environ if env is None else env).get(RUNS_VARIABLE) or "runs")


def claim(run_file: Path) -> FileLock:
    """Make a run's folder and its file; a StoreError where there is one or none can be made."""
    folder = run_file.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        run_file.touch(exist_ok=False)
    except FileExistsError:
        raise StoreError(f"{folder} holds a run already", "choose another out_dir") from None
    except OSError as error:
        raise StoreError(
            f"cannot write to {folder}: {error.strerror}", "choose another out_dir"
        ) from None
    return hold(run_file)


def hold(run_file: Path) -> FileLock:
    """Keep a run to this process until the lock is released, or the process ends, however it does.

    Raises
    ------
    StoreError
        Another process plays it.
    """
    lock = FileLock(run_file.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        said = f"the run in {run_file.parent} is being played by another process"
        raise StoreError(said, "wait for its end, or end it") from None
    return lock


def to_file(path: Path) -> logging.FileHandler:
    """Write what venlab logs, from INFO on, to a file until `close`."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger = logging.getLogger("venlab")
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler


def close(handler: logging.FileHandler) -> None:
    """End the log file."""
    logging.getLogger("venlab").removeHandler(handler)
    handler.close()
