"""The embedded VTN as a process of its own: started, found, and ended with its parent."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
from pathlib import Path
from typing import IO

from venlab.errors import RunError
from venlab.platforms import detached
from venlab.secret import Secret

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
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.credential = Secret("")
        self.url = ""
        self.flat_url = ""

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start the process and wait until it listens.

        Raises
        ------
        RunError
            It ended or said nothing in time; the message carries the end of its log.
        """
        # New at each start: nobody has to keep it, and the store keeps only its hash.
        self.credential = Secret(secrets.token_urlsafe(24))
        self._process = await asyncio.to_thread(self._spawn)
        ready = await asyncio.to_thread(self._greet, self._process)
        self.url, self.flat_url = ready["url"], ready["flat"]

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "venlab.vtn", "--embedded"]
        command += ["--store", str(self._folder / "vtn.sqlite")]
        with (self._folder / "vtn.log").open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, **detached()
            )

    def _greet(self, process: subprocess.Popen[bytes]) -> dict[str, str]:
        """Hand over the credential and read the one line that says where it listens."""
        assert process.stdin
        assert process.stdout
        first = json.dumps({"credential": self.credential.reveal()}) + "\n"
        try:
            process.stdin.write(first.encode())
            process.stdin.flush()
            line = process.stdout.readline()
            ready: dict[str, str] = json.loads(line)
        except (OSError, ValueError):
            process.kill()
            process.wait()
            words = (self._folder / "vtn.log").read_text("utf-8", "replace").strip()[-500:]
            raise RunError(
                f"the embedded VTN did not start: {words or 'it said nothing'}"
            ) from None
        return ready

    async def stop(self) -> None:
        """End the process by closing its stdin; by force where that takes too long."""
        if self._process:
            await asyncio.to_thread(self._end, self._process)

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        pipes: tuple[IO[bytes] | None, ...] = (process.stdin, process.stdout)
        for pipe in pipes:
            if pipe:
                pipe.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
