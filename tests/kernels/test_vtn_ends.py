"""The embedded VTN outlives an interrupt, and ends with its kernel however that ends."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.kernels.conftest import Kernel
from tests.kernels.processes import gone_within, is_gone, until

WITHIN_S = 2.0
BUSY = """
    lab = lab_of(simulated_hours=1000)
    await lab.open()
    await lab.register()
    lab.start()
    print(lab.vtn.url, flush=True)
"""
ENDS: dict[str, Callable[[Kernel], object]] = {
    "shut down": lambda kernel: kernel.manager.shutdown_kernel(),
    "shut down now": lambda kernel: kernel.manager.shutdown_kernel(now=True),
    "restart": lambda kernel: kernel.restart(now=False),
    "restart now": lambda kernel: kernel.restart(now=True),
    "SIGTERM": lambda kernel: kernel.process.send_signal(signal.SIGTERM),
    "SIGKILL": lambda kernel: kernel.process.kill(),
}


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_with_its_kernel(kernel: Kernel, end: str) -> None:
    """In the middle of a run, with requests in flight and another client connected: in 2 s."""
    url = urlsplit(kernel.run(BUSY).strip())
    vtn, owner = kernel.vtn, kernel.process
    with socket.create_connection((url.hostname, url.port)):
        ENDS[end](kernel)
        until(lambda: is_gone(owner))
        assert gone_within(vtn, WITHIN_S)
    log = (kernel.folder / "run" / "vtn.log").read_text("utf-8")
    assert "Traceback" not in log


def test_it_ends_though_a_forked_child_holds_the_pipe(kernel: Kernel) -> None:
    """What the kernel forked has a copy of the pipe's end and lives on; the VTN does not wait."""
    kernel.run("lab = lab_of(); await lab.open()")
    vtn = kernel.vtn
    kernel.run("""
    import multiprocessing
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=[60], daemon=True)
    child.start()
    """)
    child = psutil.Process(int(kernel.run("print(child.pid)")))
    try:
        kernel.process.kill()
        assert gone_within(vtn, WITHIN_S)
        assert not is_gone(child)
    finally:
        child.kill()


def test_it_answers_while_its_kernel_is_blocked(kernel: Kernel) -> None:
    """A cell that never gives way, and its interrupt, cost others of this VTN nothing."""
    kernel.run("lab = lab_of(); await lab.open()")
    health = kernel.run("print(lab.vtn.flat_url)").strip() + "/health"
    kernel.begin("print('blocked', flush=True); time.sleep(60)")
    kernel.said("blocked")
    assert httpx.get(health).json()["status"] == "ok"
    os.killpg(kernel.process.pid, signal.SIGINT)
    assert kernel.end().errors == ["KeyboardInterrupt"]
    assert httpx.get(health).json()["status"] == "ok"
    assert (kernel.folder / "run" / "vtn.log").is_file()
    kernel.run("await lab.close()")


def test_labs_that_nobody_closes(kernel: Kernel) -> None:
    """A lab that is made again loses its old VTN; the last one ends with the kernel. No warning."""
    kernel.run("lab = lab_of(); await lab.open();")  # with a semicolon: Out[2] would hold it
    vtn = kernel.vtn
    kernel.run("lab = lab_of(out_dir='b'); gc.collect(); await lab.open();")
    assert gone_within(vtn, WITHIN_S)
    last = kernel.vtn
    kernel.manager.shutdown_kernel()
    assert gone_within(last, WITHIN_S)
