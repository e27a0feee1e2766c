"""The interrupt button and Ctrl-C: what there is comes back within a second, and all is well."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.kernels.conftest import PREPARE, Kernel
from tests.kernels.processes import Programs, ended, gone_within, is_gone, noise, until, vtns_of

LONG = "lab = lab_of(simulated_hours=1000, speed={speed})"
AFTER = """
    results = await lab.read_back()
    check = results.check()
    print(check.ok, check, results.about["stopped"], await lab.client.greet())
    await lab.close()
"""
WELL = "True measured"


def logged(folder: Path, words: str) -> None:
    """Wait until the run's log has these words."""
    log = folder / "run" / "lab.log"
    until(lambda: log.exists() and words in log.read_text("utf-8"))


def press(kernel: Kernel, times: int) -> float:
    """Press the interrupt button, as often as that; return when it was pressed first."""
    return [kernel.interrupt() for _ in range(times)][0]  # noqa: RUF015


@pytest.mark.parametrize(("speed", "times"), [("1.0", 1), ("float('inf')", 2)])
def test_under_await_run(kernel: Kernel, speed: str, times: int) -> None:
    """Waiting for the next tick or in full work, pressed once or twice: partial results in 1 s,
    no traceback, nothing lost, and VTN and loop go on."""
    kernel.run(LONG.format(speed=speed))
    kernel.run("await lab.open(); await lab.register()")
    vtn = kernel.vtn
    kernel.begin("results = await lab.run(); print('came back', results.about['stopped'])")
    logged(kernel.folder, "Active VENs: 1")
    pressed = press(kernel, times)
    cell = kernel.end()
    assert (cell.text, cell.errors) == ("came back True\n", [])
    assert cell.ended_at - pressed < 1
    assert not is_gone(vtn)
    assert WELL in kernel.run(AFTER)


@pytest.mark.parametrize(("before", "times"), [("", 2), ("await asyncio.sleep(0); ", 1)])
def test_under_run_sync(kernel: Kernel, before: str, times: int) -> None:
    """In a plain cell and in one that awaits too, where ipykernel only notes an interrupt."""
    kernel.run(LONG.format(speed="1.0"))
    kernel.run("await lab.open(); await lab.register()")
    kernel.begin(f"{before}results = lab.run_sync(); print('came back', results.about['stopped'])")
    logged(kernel.folder, "Active VENs: 1")
    pressed = press(kernel, times)
    done = kernel.end()
    assert (done.text, done.errors) == ("came back True\n", [])
    assert done.ended_at - pressed < 1
    assert WELL in kernel.run(AFTER)
    kernel.begin("print('busy', flush=True); time.sleep(60)")  # the button is the kernel's again
    kernel.said("busy")
    kernel.interrupt()
    assert kernel.end().errors == ["KeyboardInterrupt"]


def test_of_a_run_in_the_background(kernel: Kernel) -> None:
    """Another cell's interrupt leaves it alone; at `await lab.wait()` it ends the run."""
    kernel.run(LONG.format(speed="1.0"))
    kernel.run("await lab.open(); await lab.register(); lab.start()")
    kernel.begin("print('busy', flush=True); time.sleep(60)")
    kernel.said("busy")
    kernel.interrupt()
    assert kernel.end().errors == ["KeyboardInterrupt"]
    assert kernel.run("print(lab.status.state)") == "running\n"
    kernel.begin("print('waiting'); results = await lab.wait(); print('came back')")
    kernel.said("waiting")
    pressed = kernel.interrupt()
    cell = kernel.end()
    assert (cell.text, cell.errors) == ("waiting\ncame back\n", [])
    assert cell.ended_at - pressed < 1
    assert WELL in kernel.run(AFTER)


@pytest.mark.parametrize("how", ["await lab.register(tell)", "lab.run_sync()"])
def test_during_registration(kernel: Kernel, how: str) -> None:
    """One line that says how far it is, no traceback; the next `await lab.register()` goes on."""
    kernel.run("lab = lab_of(vens=3)")
    kernel.run("def tell(done, of): print(done); time.sleep(0.01)")
    kernel.run("await lab.open(); register = lab.register")
    kernel.run("lab.register = lambda progress=tell: register(progress)")
    kernel.begin(how)
    kernel.said("20\n")
    pressed = kernel.interrupt()
    cell = kernel.end()
    assert cell.ended_at - pressed < 1
    assert cell.errors == ["CancelledError" if "await" in how else "KeyboardInterrupt"]
    assert cell.traceback.startswith("interrupted; ")
    assert cell.traceback.endswith(" resources are registered; await lab.register() goes on")
    first, *_, last = kernel.run("await lab.register(tell)").split()
    assert int(cell.traceback.split()[1]) < int(first) < int(last)
    kernel.run("await lab.run()")
    assert WELL in kernel.run(AFTER.replace("True", "False"))


def test_during_open(kernel: Kernel) -> None:
    """No VTN is left behind, and the next `await lab.open()` begins anew."""
    kernel.run("lab = lab_of()")
    kernel.begin("await lab.open()")
    vtn = kernel.vtn
    pressed = kernel.interrupt()
    cell = kernel.end()
    assert cell.ended_at - pressed < 1
    assert cell.errors == ["CancelledError"]
    again = "interrupted; nothing is left running; await lab.open() begins anew"
    assert cell.traceback == again
    assert gone_within(vtn, 1)
    kernel.run("await lab.open(); await lab.register(); await lab.run()")
    assert WELL in kernel.run(AFTER)


# -- scripts ------------------------------------------------------------------------------------

WHOLE = """
    lab = lab_of(simulated_hours=1000, speed=1.0)
    results = lab.run_sync()
"""
AWAITED = """
    async def main():
        async with lab_of(simulated_hours=1000, speed=1.0) as lab:
            await lab.register()
            await lab.run()
            return await lab.read_back()

    results = asyncio.run(main())
"""


@pytest.mark.parametrize("source", [WHOLE, AWAITED], ids=["run_sync", "asyncio.run"])
def test_ctrl_c_in_a_script(programs: Programs, tmp_path: Path, source: str) -> None:
    """It goes on with partial results; the VTN heard nothing of Ctrl-C and ended with the lab."""
    process = programs.script(PREPARE + source + "    print(results.check().ok, results.check())")
    logged(tmp_path, "Active VENs: 1")
    (vtn,) = vtns_of(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    code, out, err = ended(process)
    assert (code, err) == (0, "")
    assert WELL in out
    assert is_gone(vtn)


@pytest.mark.parametrize("source", [WHOLE, AWAITED], ids=["run_sync", "asyncio.run"])
@pytest.mark.parametrize("apart_s", [0.0, 0.1])
def test_ctrl_c_twice(programs: Programs, tmp_path: Path, source: str, apart_s: float) -> None:
    """The script ends soon; no process is left, and no noise but Python's own KeyboardInterrupt,
    which `asyncio.run` raises at the second press in whatever task runs just then."""
    process = programs.script(PREPARE + source)
    logged(tmp_path, "Active VENs: 1")
    (vtn,) = vtns_of(process.pid)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(apart_s)
    os.killpg(process.pid, signal.SIGINT)
    _, _, err = ended(process)
    assert time.monotonic() - began < 5
    assert gone_within(vtn, 2)
    pythons = ("Traceback", "Task exception was never retrieved")
    assert [line for line in noise(err) if not line.startswith(pythons)] == []


def test_ctrl_c_while_a_script_registers(programs: Programs, tmp_path: Path) -> None:
    """Python's own KeyboardInterrupt, which says how far it was; no VTN is left."""
    process = programs.script(PREPARE + "    lab_of(vens=10).run_sync()")
    logged(tmp_path, "Registering VEN")
    (vtn,) = vtns_of(process.pid)
    process.send_signal(signal.SIGINT)
    code, _, err = ended(process)
    assert code == -signal.SIGINT
    last = err.strip().splitlines()[-1]
    assert last.startswith("KeyboardInterrupt: interrupted; ")
    assert last.endswith("resources are registered; await lab.register() goes on")
    assert is_gone(vtn)
    assert noise(err) == ["Traceback (most recent call last):"]
