"""The embedded VTN as a process of its own: started, found, and ended with its parent."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

from venlab.config import DIALECTS, SECRETS
from venlab.errors import ConfigError, RunError
from venlab.faults import Faults
from venlab.platforms import detached
from venlab.secret import Secret
from venlab.tasks import in_any_case

__all__ = ["EmbeddedVtn"]

READY_S = 30.0
STARTS = 3  # where somebody ends it before it is there
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
    its stdin closes: however the parent ends, the pipe closes with it. The same pipe carries
    orders to misbehave, so no fault can keep one from being heard.
    """

    def __init__(self, folder: Path) -> None:
        self._store, self._log = folder / "vtn.sqlite", folder / "vtn.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._is_to_run = False
        self._one_order = threading.Lock()
        # The same at each start, so that clients go on; nobody has to keep it, the store does not.
        self.credential = Secret(secrets.token_urlsafe(24))
        self._port = 0  # the first start finds a free one, and it stays that
        self.url = ""
        self.flat_url = ""
        self._urls: dict[str, str] = {}

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def died(self) -> bool:
        """Whether it has ended, and not because it was stopped."""
        return self._process is not None and not self.running and self._is_to_run

    @property
    def returncode(self) -> int | None:
        """How the process ended, negative for a signal; None while it runs or before a start."""
        return self._process.poll() if self._process else None

    def url_of(self, dialect: str) -> str:
        """Return where it speaks a dialect, after it was started.

        Parameters
        ----------
        dialect : str
            ``flat``, ``3.0.1`` or ``3.1.0``.

        Returns
        -------
        str
            The base of that dialect's paths.

        Raises
        ------
        ConfigError
            It does not speak it.
        """
        if dialect in DIALECTS:
            return self._urls[dialect]
        raise ConfigError(
            f"the embedded VTN does not speak {dialect!r}", f"use {', '.join(DIALECTS)}"
        )

    async def start(self) -> None:
        """Start the process and wait until it listens.

        After an end of whatever kind it listens on the port it had, with the store and the
        credential it had; it behaves, whatever it was told before.

        Raises
        ------
        RunError
            It runs, or it ended or said nothing in time; the message carries what it logged.
        """
        if self.running:
            raise RunError("the embedded VTN runs already", "stop or kill it first")
        await self.stop()  # the pipes of one that died
        logged = self._log.stat().st_size if self._log.exists() else 0
        for starts_left in reversed(range(STARTS)):
            try:
                ready = await self._started()
                break
            except OSError as error:
                words = self._log.read_bytes()[logged:].decode("utf-8", "replace").strip()[-500:]
                if starts_left and not words and not isinstance(error, TimeoutError):
                    continue  # killed from outside: what fails by itself says why
                problem = f"the embedded VTN did not start: {words or 'it said nothing'}"
                raise RunError(problem) from None
        self.url, self.flat_url, self._port = ready["url"], ready["flat"], ready["port"]
        self._urls = ready

    async def _started(self) -> dict[str, Any]:
        """Start the process once; return what it says when it listens."""
        self._process, self._is_to_run = self._spawn(), True
        self._end = weakref.finalize(self, _end, self._process)
        first = {"credential": self.credential}
        try:
            return await asyncio.to_thread(_ask, self._process, first)
        except OSError:
            await self.kill()
            raise
        except asyncio.CancelledError:
            self._process.kill()  # it has nothing to keep yet, and the thread that greets it ends
            await in_any_case(self.stop())
            raise

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "venlab.vtn", "--embedded"]
        command += ["--store", str(self._store), "--port", str(self._port)]
        # What the environment holds for another VTN is none of this one's business.
        env = {name: value for name, value in os.environ.items() if name not in SECRETS.values()}
        pipe = subprocess.PIPE
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, env=env, stdin=pipe, stdout=pipe, stderr=log, **detached()
            )

    async def stop(self) -> None:
        """End the process by closing its stdin; by force where that takes too long."""
        self._is_to_run = False
        if self._process:
            await asyncio.to_thread(self._end)

    async def kill(self) -> None:
        """End the process at once, as by ``kill -9``; what it acknowledged is in its store."""
        self._is_to_run = False  # said first: nobody is to take it for one that died
        if self._process:
            self._process.kill()
        await self.stop()

    async def misbehave(self, faults: Faults | None) -> None:
        """Have these faults from now on instead of those before; None or no faults lifts them.

        Parameters
        ----------
        faults : Faults or None
            They hold when this returns, and their windows begin then.

        Raises
        ------
        RunError
            It does not run, or could not do as told; the message carries its words.
        """
        order = {"faults": str(faults or ""), "seed": faults.seed if faults else 0}
        said = await asyncio.to_thread(self._told, order)
        if "error" in said:
            raise RunError(f"the embedded VTN does not misbehave as told: {said['error']}")

    def _told(self, order: dict[str, Any]) -> dict[str, Any]:
        with self._one_order:  # each answer is to its own order, whoever gives up waiting
            if not (self._process and self.running):
                raise RunError("the embedded VTN does not run", "start it first")
            try:
                return _ask(self._process, order)
            except OSError:
                return {"error": "it has ended"}


def _ask(process: subprocess.Popen[bytes], content: dict[str, Any]) -> dict[str, Any]:
    """Say a line of JSON and read the line it answers.

    OSError if it does not, TimeoutError if it takes too long; then it is ended.
    """
    assert process.stdin
    assert process.stdout
    patience = threading.Timer(READY_S, process.kill)
    patience.daemon = True
    patience.start()
    try:
        process.stdin.write(json.dumps(content, default=Secret.reveal).encode() + b"\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
    except ValueError:  # its end is none
        raise TimeoutError if patience.finished.is_set() else BrokenPipeError from None
    finally:
        patience.cancel()
    return answer


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
