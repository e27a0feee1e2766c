"""Kernels as JupyterLab starts them, and a server that counts who connects."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

import psutil
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from tests.kernels.processes import WARN, Programs, noise, until, vtns_of
from tests.scripted import Scripted, scripted

LONGEST_S = 60.0


@dataclass
class Cell:
    """What one cell said, what it raised, and when it ended."""

    text: str = ""
    errors: list[str] = field(default_factory=list)
    traceback: str = ""
    ended_at: float = 0.0


class OwnManager(KernelManager):
    """Starts this interpreter as a kernel, with warnings shown."""

    @property
    def kernel_spec(self) -> KernelSpec:
        command = [sys.executable, "-Xfrozen_modules=off", *WARN, "-m", "ipykernel_launcher"]
        return KernelSpec(argv=[*command, "-f", "{connection_file}"], language="python")


class Kernel:
    """A kernel and its client, in a folder of its own."""

    def __init__(self, folder: Path, sockets: str) -> None:
        self.folder = folder
        self.log = (folder / "kernel.log").open("wb")
        self.manager = OwnManager(transport="ipc", ip=sockets)
        self._start()
        self._cell, self._id = Cell(), ""

    def _start(self) -> None:
        self.manager.start_kernel(stdout=self.log, stderr=subprocess.STDOUT, cwd=str(self.folder))
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(LONGEST_S)

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.manager.provisioner.pid)

    @property
    def vtn(self) -> psutil.Process:
        """The one embedded VTN of this kernel, as soon as it is there."""
        (there,) = until(lambda: vtns_of(self.process.pid))
        return there

    def begin(self, source: str) -> None:
        """Send a cell; it runs meanwhile."""
        self._cell, self._id = Cell(), self.client.execute(textwrap.dedent(source))

    def said(self, words: str) -> None:
        """Wait until the cell has said this."""
        until(lambda: words in self._cell.text or self._read(), LONGEST_S)
        assert words in self._cell.text, self._cell

    def end(self) -> Cell:
        """Wait for the cell's end and return what came of it."""
        until(self._read, LONGEST_S)
        return self._cell

    def run(self, source: str) -> str:
        """Run a cell that goes well; return what it said."""
        self.begin(source)
        cell = self.end()
        assert not cell.errors, cell.traceback
        return cell.text

    def interrupt(self) -> float:
        """Press the interrupt button; return when."""
        self.manager.interrupt_kernel()
        return time.monotonic()

    def restart(self, *, now: bool) -> None:
        self.client.stop_channels()
        self.manager.restart_kernel(now=now)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(LONGEST_S)

    def close(self) -> str:
        """End the kernel as a person does; return what it said beside its cells."""
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel()
        self.manager.cleanup_resources()
        self.log.close()
        return Path(self.log.name).read_text("utf-8", "replace")

    def _read(self) -> bool:
        """Take one message, if there is one; return whether the cell has ended."""
        try:
            message: dict[str, Any] = self.client.get_iopub_msg(timeout=0.05)
        except Empty:
            assert self.manager.is_alive(), "the kernel died"
            return False
        content, kind = message["content"], message["msg_type"]
        if kind == "stream":
            self._cell.text += content["text"]
        if message["parent_header"].get("msg_id") != self._id:
            return False
        if kind == "error":
            self._cell.errors.append(content["ename"])
            self._cell.traceback += "\n".join(content["traceback"])
        elif kind in ("execute_result", "display_data"):
            self._cell.text += content["data"].get("text/plain", "")
        elif kind == "status" and content["execution_state"] == "idle":
            self._cell.ended_at = time.monotonic()
            return True
        return False


@pytest.fixture
def new_kernel(tmp_path: Path) -> Iterator[Callable[[], Kernel]]:
    """Start kernels; at the end none of them may have left a warning or a traceback."""
    started: list[Kernel] = []
    with tempfile.TemporaryDirectory(prefix="vk-") as sockets:  # short: it names sockets

        def start() -> Kernel:
            started.append(Kernel(tmp_path, f"{sockets}/k{len(started)}"))
            return started[-1]

        yield start
        logs = [kernel.close() for kernel in started]
    assert not noise("\n".join(logs)), logs


@pytest.fixture
def kernel(new_kernel: Callable[[], Kernel]) -> Kernel:
    """One kernel, with the lab in it."""
    kernel = new_kernel()
    kernel.run(PREPARE)
    return kernel


PREPARE = """
    import asyncio, gc, threading, time
    import venlab as vl

    def lab_of(**values):
        chosen = {"vens": 1, "simulated_hours": 0.5, "drain_s": 5.0, "out_dir": "run"}
        return vl.Lab(vl.params(**{**chosen, **values}))
"""


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """Processes beside kernels, none of which outlives its test."""
    programs = Programs(tmp_path)
    yield programs
    programs.end()


@pytest.fixture
def counting() -> Iterator[Scripted]:
    """A server that says it is well, and counts connections, in a thread of this process."""
    ready, done = threading.Event(), threading.Event()
    servers: list[Scripted] = []

    async def serve() -> None:
        async with scripted(lambda _: (200, b'{"status": "ok"}')) as server:
            servers.append(server)
            ready.set()
            while not done.is_set():  # noqa: ASYNC110 - set from another thread
                await asyncio.sleep(0.05)

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    ready.wait()
    yield servers[0]
    done.set()
    thread.join()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Signals to process groups are a matter of POSIX; elsewhere the design is tested by units."""
    if os.name != "posix":
        for item in items:
            if "tests/kernels/" in item.nodeid:
                item.add_marker(pytest.mark.skip(reason="needs POSIX signals"))
