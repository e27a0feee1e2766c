"""The live view of a lab, for a person at a notebook; the only module with ipywidgets."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable
from time import monotonic
from typing import Any
from uuid import uuid4

from venlab import panel
from venlab.errors import VenlabError
from venlab.lab import Lab
from venlab.panel import ENDED
from venlab.player import Status

__all__ = ["Dashboard"]

REFRESH_S = 0.5
FIGURE_S = 2.0  # the figure is drawn again after so long, no sooner
SPEEDS = (1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, math.inf)


class Dashboard:
    """Shows how a lab's run is going, and lets a person start, pause, stop and speed it.

    Parameters
    ----------
    lab : Lab
        May be new, registered, or running.

    Notes
    -----
    It shows itself at the end of a cell and follows the run in the loop it was built in; when the
    run has ended one static picture stays in its place. Without ipywidgets, or with nobody there,
    the same picture is all there is, and the run goes on just as well.

    Examples
    --------
    >>> Dashboard(Lab())
    Dashboard: not registered yet
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._loop = _running_loop()
        self._display_id = uuid4().hex
        self._handle: Any = None
        self._task: asyncio.Task[None] | None = None
        self._problem = ""
        self._drawn: tuple[str, float] = ("", -math.inf)
        self._speed: float | None = None
        self._controls = _Controls(self) if _has_widgets() else None

    def __repr__(self) -> str:
        title, detail = panel.words(self.lab, self.lab.status)
        return f"Dashboard: {', '.join(part for part in (title.lower(), detail) if part)}"

    def _ipython_display_(self) -> None:
        from IPython.core.getipython import get_ipython
        from IPython.display import display

        bundle = self._picture()
        if self._controls and self.lab.status.state not in ENDED:
            self._refresh()
            bundle = self._controls.box._repr_mimebundle_() | bundle
        self._handle = display(bundle, raw=True, display_id=self._display_id)
        shell = get_ipython()
        if self._loop and shell and not self._task:
            # An empty context: else headless kernels lose what a task shows after its cell.
            self._task = self._loop.create_task(self._follow(shell), context=contextvars.Context())

    async def _follow(self, shell: Any) -> None:
        """Look twice a second, and at the end of each cell, until the run has ended."""

        def after_cell(_: object) -> None:
            self._refresh()

        shell.events.register("post_run_cell", after_cell)
        try:
            while self._refresh():  # noqa: ASYNC110 - to look now and then is the purpose
                await asyncio.sleep(REFRESH_S)
        finally:
            shell.events.unregister("post_run_cell", after_cell)

    def _refresh(self) -> bool:
        """Show what has changed; return whether there is more to come."""
        status = self.lab.status
        state, drawn_at = self._drawn
        if state in ENDED:
            return False
        due = status.state != state or monotonic() - drawn_at >= FIGURE_S
        if due:
            self._drawn = (status.state, monotonic())
        if self._speed is not None and status.state in ("running", "paused"):
            self.lab.clock.speed, self._speed = self._speed, None
        if self._controls:
            self._controls.show(status, self._problem, due)
        if self._handle and (status.state in ENDED or (due and not self._controls)):
            self._handle.update(self._picture(), raw=True)
        if self._controls and status.state in ENDED:
            self._controls.close()
        return status.state not in ENDED

    def _picture(self) -> dict[str, str]:
        text = panel.page(self.lab, self.lab.status, self._problem)
        return {"text/plain": repr(self), "text/html": text}

    # -- what the buttons do: a callback may run in any thread, beside another loop ---------------

    def _do(self, action: Callable[[], object]) -> None:
        """Act in the loop this was built in, then show what came of it."""

        def act() -> None:
            try:
                action()
                self._problem = ""
            except VenlabError as error:
                self._problem = str(error)
            assert self._loop
            self._loop.call_soon(self._refresh)

        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)

    def _start(self) -> None:
        self._do(self.lab.start)

    def _stop(self) -> None:
        self.lab.stop()  # it finds the run's own loop, which may be another than ours
        self._do(lambda: None)

    def _pause(self) -> None:
        def turn() -> None:
            self.lab.clock.paused = not self.lab.clock.paused

        self._do(turn)

    def _set_speed(self, speed: float) -> None:
        self._speed = speed  # taken over as soon as there is a clock
        self._do(lambda: None)


class _Controls:
    """The widgets: buttons, a slider, and the picture in pieces that change on their own."""

    def __init__(self, dashboard: Dashboard) -> None:
        import ipywidgets as widgets

        speed = dashboard.lab.config.speed
        options = [(panel.speed_words(s), s) for s in sorted({*SPEEDS, speed})]
        self._start, self._pause, self._stop = (
            widgets.Button(description=name, tooltip=tip)
            for name, tip in (
                ("Start", "Begin to run"),
                ("Pause", "Let schedule time stand still, or go on"),
                ("Stop", "End the run within a second; what is not sent waits in its file"),
            )
        )
        self._slider = widgets.SelectionSlider(
            options=options, value=speed, description="Speed", continuous_update=False
        )
        row = widgets.HBox([self._start, self._pause, self._stop, self._slider])
        row.layout.flex_flow = "row wrap"
        row.add_class("vl-controls")
        pieces = [widgets.HTML() for _ in range(4)]
        self._head, self._figure, self._vens, self._events = pieces
        self._vens.add_class("vl-scroll")
        self.box = widgets.VBox([widgets.HTML(panel.style()), row, *pieces])
        self.box.add_class("vl-dash")
        self._dashboard = dashboard
        self._start.on_click(lambda _: dashboard._start())
        self._pause.on_click(lambda _: dashboard._pause())
        self._stop.on_click(lambda _: dashboard._stop())
        self._slider.observe(lambda change: dashboard._set_speed(change["new"]), "value")

    def show(self, status: Status, problem: str, due: bool) -> None:
        """Set what has changed; a widget sends nothing where its value is the same."""
        lab = self._dashboard.lab
        under_way = status.state in ("running", "paused")
        self._start.disabled = status.state != "registered"
        self._pause.disabled = self._stop.disabled = not under_way
        self._pause.description = "Resume" if status.state == "paused" else "Pause"
        if due:
            self._figure.value = panel.figure(lab, status)
        self._vens.value, self._events.value = panel.vens(lab, status), panel.events(status)
        self._head.value = panel.head(lab, status, problem)

    def close(self) -> None:
        """Take the widgets away: a saved notebook then holds none that nobody answers for."""
        row = self.box.children[1]
        for widget in (*row.children, *self.box.children, self.box):
            widget.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _has_widgets() -> bool:
    try:
        import ipywidgets  # noqa: F401
    except ImportError:
        return False
    return True
