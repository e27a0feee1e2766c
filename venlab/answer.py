"""The picture of an event: what a fleet used, what it would have, and how far it drifted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from venlab.canvas import END_USE_COLOURS, edges, local_time, new_figure, power_unit, shade, shown
from venlab.model import Event
from venlab.playback import Playback

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["answer"]

SHED, REBOUND = "#0072B2", "#E69F00"  # Okabe and Ito's blue and orange
SEEN_K = 0.01  # less than that is no line


def answer(again: Playback, event: Event) -> Figure:
    """Draw power and twin [MW or kW], shed and rebound between them, and the drift [K] beneath.

    Parameters
    ----------
    again : Playback
        Of a run in which the event took effect.
    event : Event
        Whose time is shaded.

    Examples
    --------
    >>> answer(Playback("runs/evening"), event)  # doctest: +SKIP
    """
    power_kw, twin_kw = again.power_kw()["fleet"], again.twin_kw()["fleet"]
    figure, (above, below) = new_figure(height=5.2, rows=2)
    for axes in (above, below):
        shade(axes, event)
    _power(above, power_kw, twin_kw)
    for use, drift_k in again.drift_k().items():
        if drift_k.max() >= SEEN_K:
            style = {"color": END_USE_COLOURS[str(use)], "label": str(use).replace("_", " ")}
            below.plot(edges(drift_k.index)[1:], drift_k, **style)  # known at the end of a step
    below.set(ylabel="mean drift [K]", ylim=(0, None))
    for axes in (above, below):
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    times = edges(power_kw.index)
    below.set_xlim(times[0], times[-1])
    local_time(below, power_kw.index)
    return shown(figure)


def _power(axes: Axes, power_kw: pd.Series[float], twin_kw: pd.Series[float]) -> None:
    unit, scale = power_unit(twin_kw.max())
    times = edges(power_kw.index)
    used, would = (np.append(kw, kw.iloc[-1]) / scale for kw in (power_kw, twin_kw))
    for more, less, colour, label in (
        (would, used, SHED, "shed"),
        (used, would, REBOUND, "rebound"),
    ):
        most = np.maximum(more, less)  # not `where`: with steps that leaves out the last one
        axes.fill_between(times, less, most, step="post", color=colour, lw=0, label=label)
    axes.step(times, would, where="post", color="black", ls="--", lw=1.2, label="without event")
    axes.step(times, used, where="post", color="black", lw=1.5, label="power")
    axes.set(ylabel=f"fleet power [{unit}]", ylim=(0, 1.08 * max(used.max(), would.max())))
