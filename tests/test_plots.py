"""Every picture has units on both axes and local time, and its legend stands beside the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import venlab as vl
from venlab import plots
from venlab.clock import Agenda, Kind
from venlab.durations import FOR_EVER
from venlab.fleet import END_USES
from venlab.model import Period

DAY = pd.date_range("2023-11-30", periods=96, freq="15min", tz="Europe/Copenhagen")
USES = pd.DataFrame(np.ones((96, 6)), DAY, list(END_USES))
COSTS = pd.DataFrame(
    {"requests a cycle [count]": [258.0, 2.0], "bodies a cycle [kB]": [118.9, 47.5]},
    ["flat", "3.1.0"],
)
SPIKES = pd.DataFrame(np.eye(96)[:, ::8], DAY)
PICTURES: dict[str, Callable[[], Figure]] = {
    "end_uses": lambda: plots.end_uses(USES, "power of Viborg", [EVENT]),
    "diversity": lambda: plots.diversity(SPIKES),
    "heard": lambda: plots.heard(DAY[68:76], [2.4] * 8, 15),
    "agenda": lambda: plots.agenda(Agenda({Kind.SIMULATE: 30, Kind.SAMPLE: 15}, 60).ticks()),
    "traffic": lambda: plots.traffic(COSTS),
    "lateness": lambda: plots.lateness({"sleep": [0.0, 9.0], "deadline": [0.0, 1.0]}),
}
EVENT = vl.Event.between(
    vl.parse_time("2023-11-30T17:00"), vl.parse_time("2023-11-30T19:00"), name="peak"
)


def drawn(name: str) -> Figure:
    figure = PICTURES[name]()
    figure.canvas.draw()
    return figure


def box(artist: Any) -> Any:
    return artist.get_window_extent()


@pytest.mark.parametrize("name", PICTURES)
def test_both_axes_say_what_they_show(name: str) -> None:
    """A label with a unit in brackets; kinds of loops have none."""
    for axes in drawn(name).axes:
        assert axes.get_xlabel().endswith("]") or "Copenhagen time [h]" in axes.get_xlabel()
        assert axes.get_ylabel().endswith("]") or axes.get_ylabel() == "loop"


@pytest.mark.parametrize("name", PICTURES)
def test_no_legend_lies_over_data(name: str) -> None:
    """Legends stand beside the axes or above them."""
    figure = drawn(name)
    legends = [*figure.legends, *(a.get_legend() for a in figure.axes if a.get_legend())]
    for legend in legends:
        assert not any(box(legend).overlaps(box(axes)) for axes in figure.axes)


@pytest.mark.parametrize("name", PICTURES)
def test_no_two_labels_overlap(name: str) -> None:
    """Neighbours along the x axis can be told apart."""
    for axes in drawn(name).axes:
        low, high = sorted(axes.get_xlim())
        ticks = axes.get_xaxis().get_major_ticks()
        boxes = [box(t.label1) for t in ticks if low <= t.get_loc() <= high and t.label1.get_text()]
        assert all(b.x0 > a.x1 for a, b in pairwise(boxes))


def test_an_event_is_shaded_over_its_local_hours() -> None:
    """16:00 to 18:00 UTC is 17:00 to 19:00 on the axis: 8 of 96 quarters."""
    (axes,) = drawn("end_uses").axes
    (shade,) = [p for p in axes.patches if "peak" in str(p.get_label())]
    left, _ = axes.get_xlim()
    assert shade.get_x() - left == pytest.approx(17 / 24)
    assert shade.get_width() == pytest.approx(2 / 24)


def test_events_without_begin_or_end() -> None:
    """What never ends is shaded to the edge; what begins when it is received is nowhere yet."""
    endless = replace(EVENT, period=Period(EVENT.period and EVENT.period.start, FOR_EVER))
    (axes,) = plots.end_uses(USES, "power", [endless, replace(EVENT, period=None)]).axes
    (shade,) = [p for p in axes.patches if "peak" in str(p.get_label())]
    left, right = axes.get_xlim()
    assert right - left == pytest.approx(1)
    assert shade.get_x() - left == pytest.approx(17 / 24)
    assert shade.get_x() + shade.get_width() > right


def test_coincidence_by_hand() -> None:
    """Twelve loads that peak one after the other: the sum peaks at 1 of 12; alone each is 1."""
    factor = plots._coincidence(SPIKES.to_numpy(), seed=0)
    assert factor.tolist() == pytest.approx([1 / n for n in range(1, 13)])
    together = np.repeat([[0.0], [2.0]], 5, axis=1)
    assert plots._coincidence(together, seed=0).tolist() == pytest.approx([1.0] * 5)


def test_a_report_s_bar_says_its_energy() -> None:
    """2.4 kW for 15 min are 0.6 kWh."""
    (axes,) = drawn("heard").axes
    assert {text.get_text() for text in axes.texts} == {"0.600\nkWh"}
