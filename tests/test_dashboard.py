"""The dashboard without a browser: what it sends, to which loop, and what stays when it ends."""

from __future__ import annotations

import asyncio
import math
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest

import venlab as vl
from tests.scratch_notebooks import code, parameters, write_notebook
from tests.test_panel import RUNNING
from venlab import dashboard, panel
from venlab.clock import Clock
from venlab.dashboard import Dashboard
from venlab.errors import RunError
from venlab.player import Status
from venlab.runs import run_notebook


class FakeLab(SimpleNamespace):
    """What a dashboard asks of a lab, at the state that a test says."""

    def __init__(self, status: Status, **settings: Any) -> None:
        lab = vl.Lab(vl.params(vens=2, **settings))
        super().__init__(
            fleet=lab.fleet, roster=lab.roster, config=lab.config, folder=lab.folder, did=[],
            simulator=lab.simulator, clock=Clock(lab.config.speed), status=status,
        )  # fmt: skip

    def start(self) -> None:
        self.did.append(("start", threading.get_ident(), asyncio.get_running_loop()))

    def stop(self) -> None:
        self.did.append(("stop",))


class FakeShell:
    """The part of IPython that calls back at the end of each cell."""

    def __init__(self) -> None:
        self.callbacks: list[Any] = []
        self.events = SimpleNamespace(
            register=lambda _, call: self.callbacks.append(call),
            unregister=lambda _, call: self.callbacks.remove(call),
        )


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each figure that is drawn leaves a mark here."""
    marks: list[str] = []
    draw = panel.figure
    monkeypatch.setattr(panel, "figure", lambda *a: marks.append("figure") or draw(*a))
    return marks


def shown(status: Status, **settings: Any) -> tuple[Dashboard, Any]:
    lab: Any = FakeLab(status, **settings)
    return Dashboard(lab), lab


async def test_a_figure_is_drawn_every_other_second_at_most(
    drawn: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four looks a second apart draw it twice; a change of state draws it at once."""
    seconds = iter([10.0, 11.0, 12.0, 13.0, 13.1, 13.2, 13.3])
    monkeypatch.setattr(dashboard, "monotonic", lambda: next(seconds))
    board, lab = shown(RUNNING)
    for _ in range(4):
        board._refresh()
        lab.status = replace(lab.status, schedule_s=lab.status.schedule_s + 1)
    assert len(drawn) == 2
    lab.status = replace(RUNNING, state="paused")
    board._refresh()
    assert len(drawn) == 3


async def test_only_what_has_changed_is_sent() -> None:
    """A look at the same status sends nothing; a second of schedule time changes the head only."""
    board, lab = shown(RUNNING)
    board._refresh()
    assert board._controls
    sent: list[str] = []
    for widget in board._controls.box.children[2:]:
        widget.observe(lambda change: sent.append(change["new"]), "value")
    board._refresh()
    assert sent == []
    lab.status = replace(RUNNING, schedule_s=RUNNING.schedule_s + 30)
    board._refresh()
    assert len(sent) == 1
    assert "17:00" in sent[0]


@pytest.mark.parametrize(
    ("state", "start", "pause", "label"),
    [
        ("new", False, False, "Pause"),
        ("registered", True, False, "Pause"),
        ("running", False, True, "Pause"),
        ("paused", False, True, "Resume"),
    ],
)
async def test_buttons_that_may_be_pressed(
    state: str, start: bool, pause: bool, label: str
) -> None:
    """Start once everybody is registered, Pause and Stop while it runs."""
    board, _ = shown(replace(RUNNING, state=state))
    board._refresh()
    assert board._controls
    buttons = board._controls.box.children[1].children[:3]
    assert [not button.disabled for button in buttons] == [start, pause, pause]
    assert buttons[1].description == label


async def test_a_callback_in_another_thread_acts_in_our_loop() -> None:
    """Kernels call buttons in threads with loops of their own; a run started there is lost."""
    board, lab = shown(replace(RUNNING, state="registered"))
    assert board._controls
    start = board._controls.box.children[1].children[0]

    async def elsewhere() -> None:
        start.click()

    await asyncio.to_thread(asyncio.run, elsewhere())
    await asyncio.sleep(0)
    assert lab.did == [("start", threading.get_ident(), asyncio.get_running_loop())]


async def test_pause_speed_and_stop() -> None:
    """They reach the clock and the lab; a speed that was set too early is taken over later."""
    board, lab = shown(replace(RUNNING, state="registered"), speed=60.0)
    assert board._controls
    _, pause, stop, slider = board._controls.box.children[1].children
    assert slider.value == 60.0
    slider.value = math.inf
    await asyncio.sleep(0.01)
    assert lab.clock.speed == 60.0
    lab.status = RUNNING
    board._refresh()
    assert lab.clock.speed == math.inf
    pause.click()
    await asyncio.sleep(0.01)
    assert lab.clock.paused
    stop.click()
    assert lab.did == [("stop",)]


async def test_a_refused_button_says_why() -> None:
    """A button has no cell to raise its error in."""
    board, lab = shown(replace(RUNNING, state="registered"))

    def refuse() -> None:
        raise RunError("run-1 was started already")

    lab.start = refuse
    assert board._controls
    board._controls.box.children[1].children[0].click()
    await asyncio.sleep(0.01)
    assert "run-1 was started already" in board._controls.box.children[2].value


async def test_it_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the run has ended nothing goes on: no task, no callback, no widget; one picture."""
    monkeypatch.setattr(dashboard, "REFRESH_S", 0.01)
    board, lab = shown(RUNNING)
    shell, updates = FakeShell(), []
    board._handle = SimpleNamespace(update=lambda data, raw: updates.append(data))
    task = asyncio.create_task(board._follow(shell))
    await asyncio.sleep(0.05)
    assert (len(shell.callbacks), updates) == (1, [])
    lab.status = replace(RUNNING, state="failed", problem="division by zero")
    shell.callbacks[0](None)  # the cell that raised has ended
    assert len(updates) == 1
    await asyncio.wait_for(task, 1)
    assert shell.callbacks == []
    assert board._controls
    assert board._controls.box.comm is None
    (picture,) = updates
    assert set(picture) == {"text/plain", "text/html"}
    assert "division by zero" in picture["text/html"]


async def test_a_loop_that_has_closed_is_left_alone() -> None:
    """A button of an old page, pressed after the loop is gone, does nothing and raises nothing."""
    loop = asyncio.new_event_loop()
    board, lab = shown(replace(RUNNING, state="registered"))
    board._loop = loop
    loop.close()
    assert board._controls
    board._controls.box.children[1].children[0].click()
    assert lab.did == []


def test_in_a_script() -> None:
    """Without a loop and a page there is one line."""
    board, _ = shown(replace(RUNNING, cycle=24))
    assert repr(board) == "Dashboard: sending what is left, 5 readings"


# -- in a kernel, with nobody there -------------------------------------------------------------

OPEN = (
    "import venlab as vl\n"
    "lab = vl.Lab(vl.params(vens=1, simulated_hours=0.5, out_dir=out_dir))\n"
    "_ = await lab.open()\nawait lab.register()"
)
NO_WIDGETS = "import sys\nsys.modules['ipywidgets'] = None"


def played(folder: Path, *cells: str) -> nbformat.NotebookNode:
    """Run cells headlessly; return the outputs of the dashboard's cell."""
    folder.mkdir()
    path = write_notebook(
        folder / "source.ipynb", parameters("out_dir: str = ''"), *map(code, cells)
    )
    run = {"out_dir": str(folder / "run")}
    result = run_notebook(path, run, folder, html=True, say=lambda _: None)
    notebook = nbformat.read(result.notebook, as_version=4)
    (cell,) = [c for c in notebook.cells if "Dashboard(" in c.source]
    assert result.report
    assert result.report.read_text("utf-8").count('<div class="vl-dash">') == 1
    return cell.outputs


@pytest.mark.parametrize("first", ["", NO_WIDGETS], ids=["widgets", "no widgets"])
@pytest.mark.parametrize(
    "run",
    [
        ("results = await lab.run()",),
        ("lab.start()", "results = await lab.wait()"),
        ("results = lab.run_sync()",),
    ],
    ids=["run", "start", "run_sync"],
)
def test_headless_one_picture_of_the_end_remains(
    tmp_path: Path, first: str, run: tuple[str, ...]
) -> None:
    """Whoever runs it, with widgets or without: 360 of Aabenraa's 360 readings, and no widget."""
    last = "assert results.check().measured == 360\n_ = await lab.close()"
    outputs = played(tmp_path / "x", first, OPEN, "vl.Dashboard(lab)", *run, last)
    (output,) = outputs
    assert set(output.data) == {"text/plain", "text/html"}
    assert output.data["text/plain"] == "Dashboard: done"
    assert "success rate 100.0 %" in output.data["text/html"]


def test_headless_a_failure_is_in_the_picture(tmp_path: Path) -> None:
    """The cell that raises is the last that runs, and still the picture says what happened."""
    broken = "lab.simulator.step = lambda: 1 / 0\nawait lab.run()"
    with pytest.raises(RunError, match="division by zero"):
        played(tmp_path / "x", OPEN, "vl.Dashboard(lab)", broken)
    notebook = nbformat.read(tmp_path / "x" / "source.ipynb", as_version=4)
    (cell,) = [c for c in notebook.cells if "Dashboard(" in c.source]
    assert "division by zero" in cell.outputs[0].data["text/html"]
