"""Without a person: papermill ended in every way, what is kept, and what a background task says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from tests.kernels.processes import VENLAB, Programs, ended, gone_within, noise, until, vtns_of
from tests.scratch_notebooks import code, parameters, write_notebook
from venlab.results import Results

SETTINGS = 'out_dir: str = ""  # the run folder'
OPEN = """\
import venlab as vl
lab = vl.Lab(vl.params(vens=1, simulated_hours=1000, speed=20.0, out_dir=out_dir))
await lab.open()
await lab.register()"""
VENLAB_RUN = [*VENLAB, "run", "job.ipynb", "--out", "o"]
PAPERMILL = [sys.executable, "-m", "papermill", "job.ipynb", "o.ipynb", "-p", "out_dir", "o"]
COMMANDS = {"venlab run": VENLAB_RUN, "papermill": [*PAPERMILL, "-k", "python3", "-l", "python"]}


def started(programs: Programs, command: list[str], *last: str) -> subprocess.Popen[str]:
    """Run a notebook that opens a lab and goes on with other cells."""
    cells = (parameters(SETTINGS), code(OPEN), code("print('so far')"), *map(code, last))
    write_notebook(programs.folder / "job.ipynb", *cells)
    return programs.begin(command)


def playing(folder: Path) -> None:
    """Wait until the run has reported at least once."""
    log = folder / "o" / "lab.log"
    until(lambda: log.exists() and "Report generation" in log.read_text("utf-8"), 60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("how", COMMANDS)
def test_whatever_ends_it_leaves_no_orphan(
    programs: Programs, tmp_path: Path, how: str, number: int
) -> None:
    """Kernel and VTN end too, whatever ends their parent; what there was by then is kept."""
    process = started(programs, COMMANDS[how], "await lab.run()")
    playing(tmp_path)
    (kernel,) = psutil.Process(process.pid).children()
    (vtn,) = vtns_of(process.pid)
    os.killpg(process.pid, number)
    code, _, err = ended(process)
    assert gone_within(kernel, 4)  # it looks for its parent once a second
    assert gone_within(vtn, 2)
    executed = tmp_path / ("o.ipynb" if how == "papermill" else "o/job.ipynb")
    cells = nbformat.read(executed, as_version=4).cells
    assert "so far\n" in [out.get("text") for cell in cells for out in cell.get("outputs", [])]
    assert len(Results(tmp_path / "o").readings) >= 90
    if how == "venlab run" and number == signal.SIGINT:
        assert (code, err) == (130, "venlab: interrupted; what there is stands in o\n")


def test_a_notebook_that_fails_or_ends_leaves_no_orphan(programs: Programs, tmp_path: Path) -> None:
    """A failing cell, a run in the background, nobody to close it: one line, exit code 1."""
    process = started(programs, VENLAB_RUN, "lab.start(); print('away')", "1 / 0")
    (vtn,) = until(lambda: vtns_of(process.pid), 60)
    code, _, err = ended(process)
    assert (code, err.count("\n")) == (1, 1), err
    assert "ZeroDivisionError" in err
    assert gone_within(vtn, 2)


@pytest.mark.parametrize("when", ["at once", "while the kernel starts", "twice"])
def test_ctrl_c_at_any_moment_is_one_line(programs: Programs, tmp_path: Path, when: str) -> None:
    """While papermill is imported, before there is a kernel, or twice: 130, one line, no orphan."""
    process = started(programs, VENLAB_RUN, "await lab.run()")
    me = psutil.Process(process.pid)
    if when == "at once":
        until(lambda: me.cpu_times().user > 0.6)  # of more than a second: papermill is imported
    else:
        until(me.children, 60)
    children = me.children(recursive=True)
    if when == "twice":
        playing(tmp_path)
        children = me.children(recursive=True)
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = ended(process)
    assert (code, err.count("\n"), noise(err)) == (130, 1, []), err
    assert err.startswith("venlab: interrupted")
    assert all(gone_within(child, 4) for child in children)


SAY = """\
import asyncio, logging, sys
logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="log %(message)s", force=True)
step = lab.simulator.step

def said():
    print("step", lab.simulator.index)
    return step()

lab.simulator.step = said
lab.start()"""
WATCH = """\
first = lab.simulator.index
while lab.simulator.index < first + 3: await asyncio.sleep(0.1)
print("seen", first, lab.simulator.index)"""


def test_a_background_tasks_words_are_kept(programs: Programs, tmp_path: Path) -> None:
    """Headless, `lab.start()` in one cell: what the run prints and logs while later cells run
    stands in those, line by line. (Between cells a notebook hears nobody; lab.log does.)"""
    end = "lab.stop()\nresults = await lab.wait()\nawait lab.close()"
    process = started(programs, [*VENLAB_RUN, "--no-html"], SAY, WATCH, WATCH, end)
    code, _, err = ended(process)
    assert (code, err) == (0, "")
    executed = nbformat.read(tmp_path / "o" / "job.ipynb", as_version=4).cells
    texts = ["".join(o.get("text", "") for o in cell.get("outputs", [])) for cell in executed]
    for text in texts[-3:-1]:
        first, last = map(int, text.rpartition("seen ")[2].split())
        assert last >= first + 3
        for n in range(first, last):
            assert f"step {n}\n" in text
            assert f"log Advanced simulation to timestamp index {n}\n" in text or n == 0
    assert "log Stopped;" in texts[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_vtn_alone_ends_well(programs: Programs, tmp_path: Path, number: int) -> None:
    """`venlab vtn` under Ctrl-C, pressed twice, or SIGTERM: 0, and only its own log lines."""
    process = programs.begin([*VENLAB, "vtn", "--store", "vtn.sqlite"])
    assert process.stdout
    assert "url" in process.stdout.readline()
    for _ in range(2):
        os.killpg(process.pid, number)
        time.sleep(0.01)
    code, out, err = ended(process)
    assert (code, out, noise(err)) == (0, "", []), err
