"""What every picture is drawn on and with: figures, colours, local time, shaded events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from venlab.calendar import TZ
from venlab.model import Event
from venlab.results import Results
from venlab.track import lifespan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "END_USE_COLOURS",
    "OUTCOME_COLOURS",
    "edges",
    "kept",
    "local_time",
    "new_figure",
    "power_unit",
    "shade",
    "shown",
]

# Okabe and Ito (2008), Color Universal Design: told apart by colour-blind eyes.
END_USE_COLOURS = {
    "heating": "#D55E00",
    "cooling": "#56B4E9",
    "ventilation": "#009E73",
    "lighting": "#F0E442",
    "equipment": "#7F7F7F",
    "water_heating": "#CC79A7",
}
# Not the vermilion of heating: the dashboard shows both side by side.
OUTCOME_COLOURS = {"acknowledged": "#0072B2", "waiting": "#E69F00", "rejected": "#C8102E"}


def new_figure(
    height: float = 3.4, panels: Sequence[float] = (1,), rows: int = 1
) -> tuple[Figure, Any]:
    """Return a figure and its axes: one, as many as panels side by side, or rows that share x."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        nrows=rows,
        ncols=len(panels),
        width_ratios=panels,
        sharex=rows > 1,
        figsize=(8.5, height),
        layout="constrained",
    )
    for each in figure.axes:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def shade(axes: Axes, event: Event) -> None:
    """Shade the time of an event, in one way everywhere; limit the axis after that."""
    from matplotlib.dates import date2num

    zone = ZoneInfo(TZ)
    begin, end = (t and t.astimezone(zone).replace(tzinfo=None) for t in lifespan(event))
    if begin:
        span = date2num(begin), date2num(end or datetime.max)
        axes.axvspan(*span, color="black", alpha=0.15, lw=0, label=f"event: {event.name}")


def edges(starts: Any) -> Any:
    """Return the start of each interval and the end of the last, as naive local times."""
    local = starts.tz_localize(None)
    length = local[1] - local[0] if len(local) > 1 else np.timedelta64(15, "m")
    return local.append(local[-1:] + length).to_numpy()


def local_time(axes: Axes, starts: Any) -> None:
    """Let the x axis show local time."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.set_xlabel(f"Copenhagen time [h], from {starts[0]:%a %d %b %Y}")


def power_unit(most_kw: float) -> tuple[str, float]:
    """Return the unit of a power axis, and how many kW one is: MW from 2 MW on."""
    return ("MW", 1000.0) if most_kw >= 2000 else ("kW", 1.0)


def kept(figure: Figure, results: Results, name: str) -> Figure:
    """Save a figure in the run folder and hand it on."""
    folder = results.folder / "figures"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=120)
    return shown(figure)


def shown(figure: Figure) -> Figure:
    """Hand a figure on, closed so that a cell shows it once."""
    import matplotlib.pyplot as plt

    plt.close(figure)
    return figure
