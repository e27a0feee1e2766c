"""The folder of a run: claimed by one run alone, with its log in it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from venlab.errors import StoreError
from venlab.secret import variable

__all__ = ["held", "runs_folder"]

RUNS_VARIABLE = "VENLAB_RUNS"
HOLD_S = 3.0  # a kernel whose parent was killed plays on until it sees that
_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def runs_folder(env: Mapping[str, str] | None = None) -> Path:
    """Return where new run folders are made: ``runs`` here, or what ``VENLAB_RUNS`` names."""
    return Path(variable(RUNS_VARIABLE, env) or "runs")


@asynccontextmanager
async def held(run_file: Path, *, resume: bool) -> AsyncIterator[None]:
    """Keep a run's folder to this process, with the log in it; make it where a run begins.

    However the process ends, the folder is free then.

    Raises
    ------
    StoreError
        Another plays it, there is a run already, or none can be made.
    """
    folder = run_file.parent
    try:
        if not resume:
            folder.mkdir(parents=True, exist_ok=True)
            _must_be_empty(run_file)
        lock = await _hold(run_file)
    except OSError as error:
        said = f"cannot write to {folder}: {error.strerror}"
        raise StoreError(said, "choose another out_dir") from None
    try:
        if not resume:
            _must_be_empty(run_file)  # nobody else can have begun one now
        handler = _to_file(folder / "lab.log")
        try:
            yield
        finally:
            logging.getLogger("venlab").removeHandler(handler)
            handler.close()
    finally:
        lock.release()


def _must_be_empty(run_file: Path) -> None:
    """Refuse a folder with a run in it; one that was killed before it began left an empty file."""
    if run_file.exists() and run_file.stat().st_size:
        raise StoreError(f"{run_file.parent} holds a run already", "choose another out_dir")


async def _hold(run_file: Path) -> FileLock:
    # Whichever thread closes a lab, that releases it.
    lock = FileLock(run_file.with_suffix(".lock"), thread_local=False)
    deadline = time.monotonic() + HOLD_S
    while True:
        with suppress(Timeout):
            lock.acquire(timeout=0)
            return lock
        if time.monotonic() > deadline:
            said = f"the run in {run_file.parent} is being played by another lab"
            raise StoreError(said, "wait for its end, or end it")
        await asyncio.sleep(0.1)


class _Log(logging.FileHandler):
    """A log that is not worth a word where it cannot be written: the run file says that."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Lose the line."""


def _to_file(path: Path) -> logging.FileHandler:
    """Write what venlab logs, from INFO on, to a file."""
    handler = _Log(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    logger = logging.getLogger("venlab")
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler
