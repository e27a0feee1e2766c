"""The picture of an event: between power and twin, in the event and after it."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from tests.test_playback import played, quick
from venlab.playback import Playback
from venlab.plots import answer


@pytest.fixture(scope="module")
def again(tmp_path_factory: pytest.TempPathFactory) -> Playback:
    return Playback(asyncio.run(played(quick(tmp_path_factory.mktemp("seen") / "run"))).folder)


def area(patch: PolyCollection) -> float:
    """Return the area of a filled band: day × its unit."""
    path = patch.get_paths()[0].vertices
    x, y = path[:, 0], path[:, 1]
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def test_the_areas_are_the_energies(again: Playback) -> None:
    """Shed and rebound as filled are what power and twin differ by, all of it."""
    figure = answer(again, again.events[0])
    above, below = figure.axes
    bands = {band.get_label(): band for band in above.collections}
    off_kwh = (again.twin_kw() - again.power_kw())["fleet"] / 4
    shed, back = off_kwh.clip(lower=0).sum(), -off_kwh.clip(upper=0).sum()
    assert shed > 20
    assert back > 1
    assert 24 * area(bands["shed"]) == pytest.approx(shed, rel=1e-6)
    assert 24 * area(bands["rebound"]) == pytest.approx(back, rel=1e-6)
    assert (above.get_ylabel(), below.get_ylabel()) == ("fleet power [kW]", "mean drift [K]")
    assert "Copenhagen time [h]" in below.get_xlabel()


def test_drift_is_drawn_of_what_drifts(again: Playback) -> None:
    """Heating does in winter; cooling, which is off, has no line."""
    labels = answer(again, again.events[0]).axes[1].get_legend_handles_labels()[1]
    assert "heating" in labels
    assert "cooling" not in labels
