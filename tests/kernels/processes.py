"""Real processes, found by their ids: who is there, who is gone, and what was said."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")

# What Python and asyncio say when something was left open, running or unread.
NOISE = (
    "never awaited",
    "was destroyed",
    "never retrieved",
    "unclosed",
    "still running",
    "ResourceWarning",
    "Exception ignored",
    "Traceback",
)
WARN = ["-W", "always::ResourceWarning", "-W", "always::RuntimeWarning"]
VENLAB = [sys.executable, *WARN, "-c", "import sys, venlab.cli; sys.exit(venlab.cli.main())"]


def noise(text: str) -> list[str]:
    """Return the lines that tell of something left behind."""
    return [line for line in text.splitlines() if any(word in line for word in NOISE)]


def until(look: Callable[[], T], longest_s: float = 20.0) -> T:
    """Look again and again until there is something to see; fail when that takes too long."""
    deadline = time.monotonic() + longest_s
    while not (seen := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return seen


def is_gone(process: psutil.Process) -> bool:
    """Tell whether a process has ended, whoever has yet to take note of it."""
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def gone_within(process: psutil.Process, longest_s: float) -> bool:
    """Wait for the end of a process for so long at most."""
    with suppress(AssertionError):
        return until(lambda: is_gone(process), longest_s)
    return False


def vtns_of(pid: int) -> list[psutil.Process]:
    """Return the embedded VTNs among what a process has started."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            found += [child] * ("venlab.vtn" in child.cmdline() and not is_gone(child))
    return found


class Programs:
    """Starts processes in a folder, each in a group of its own, as a terminal does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def begin(self, command: list[str]) -> subprocess.Popen[str]:
        """Start a command; its words come by two pipes."""
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def script(self, source: str) -> subprocess.Popen[str]:
        """Start a script in an interpreter that warns of what is left open."""
        path = self.folder / "script.py"
        path.write_text(textwrap.dedent(source), encoding="utf-8")
        return self.begin([sys.executable, *WARN, str(path)])

    def end(self) -> None:
        """End what a test that failed has left."""
        for process in self._started:
            process.kill()
            process.communicate()


def ended(process: subprocess.Popen[str], longest_s: float = 60.0) -> tuple[int, str, str]:
    """Wait for a process; return its code and what it said on both streams."""
    out, err = process.communicate(timeout=longest_s)
    return process.returncode, out, err
