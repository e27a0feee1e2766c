"""The embedded VTN as a process of its own: started, found, and ended with its parent."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from pathlib import Path

from venlab.errors import RunError
from venlab.platforms import detached
from venlab.secret import Secret
from venlab.tasks import in_any_case

__all__ = ["EmbeddedVtn"]

READY_S = 30.0
END_S = 3.0


class EmbeddedVtn:
    """A VTN on a free loopback port, for one run.

    Parameters
    ----------
    folder : Path
        Where its store ``vtn.sqlite`` and its log ``vtn.log`` are kept.

    Notes
    -----
    It runs in a session of its own, so an interrupt of the kernel leaves it alone, and ends when
    its stdin closes: however the parent ends, the pipe closes with it.
    """

    def __init__(self, folder: Path) -> None:
        self._store, self._log = folder / "vtn.sqlite", folder / "vtn.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.credential = Secret("")
        self.url = ""
        self.flat_url = ""

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def died(self) -> bool:
        """Whether it has ended, and not because it was stopped."""
        return self._process is not None and not self.running and self._end.alive

    async def start(self) -> None:
        """Start the process and wait until it listens.

        Raises
        ------
        RunError
            It ended or said nothing in time; the message carries the end of its log.
        """
        # New at each start: nobody has to keep it, and the store keeps only its hash.
        self.credential = Secret(secrets.token_urlsafe(24))
        self._process = self._spawn()
        self._end = weakref.finalize(self, _end, self._process)
        try:
            ready = await asyncio.to_thread(_greet, self._process, self.credential, self._log)
        except asyncio.CancelledError:
            self._process.kill()  # it has nothing to keep yet, and the thread that greets it ends
            await in_any_case(self.stop())
            raise
        self.url, self.flat_url = ready["url"], ready["flat"]

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "venlab.vtn", "--embedded"]
        command += ["--store", str(self._store)]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, **detached()
            )

    async def stop(self) -> None:
        """End the process by closing its stdin; by force where that takes too long."""
        if self._process:
            await asyncio.to_thread(self._end)


def _greet(process: subprocess.Popen[bytes], credential: Secret, log: Path) -> dict[str, str]:
    """Hand over the credential and read the one line that says where it listens."""
    assert process.stdin
    assert process.stdout
    first = json.dumps({"credential": credential.reveal()}) + "\n"
    patience = threading.Timer(READY_S, process.kill)
    patience.daemon = True
    patience.start()
    try:
        process.stdin.write(first.encode())
        process.stdin.flush()
        line = process.stdout.readline()
        ready: dict[str, str] = json.loads(line)
    except (OSError, ValueError):
        process.kill()
        process.wait()
        words = log.read_text("utf-8", "replace").strip()[-500:]
        raise RunError(f"the embedded VTN did not start: {words or 'it said nothing'}") from None
    finally:
        patience.cancel()
    return ready


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it once: when it is stopped, when nobody holds it any more, or with this interpreter."""
    for pipe in (process.stdin, process.stdout):
        if pipe:
            with suppress(OSError):  # what it never read cannot be written any more
                pipe.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
