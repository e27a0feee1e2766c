"""What holds for all tests: where runs are left, and that an interrupt is one."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile

import pytest

RUNS = pytest.StashKey[str]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Name the place in the environment: the kernels that nbval starts inherit it."""
    folder = session.stash[RUNS] = tempfile.mkdtemp(prefix="venlab-runs-")
    os.environ["VENLAB_RUNS"] = folder
    # A shell that runs this in the background lets interrupts be ignored, and so would all that
    # tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take it away; a person's own runs are somewhere else."""
    shutil.rmtree(session.stash[RUNS], ignore_errors=True)
