"""Pictures of a run: units on both axes, local time, one colour for one meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from venlab.fleet import END_USES
from venlab.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["END_USE_COLOURS", "OUTCOME_COLOURS", "by_ven", "latency", "power"]

# Okabe and Ito (2008), Color Universal Design: told apart by colour-blind eyes.
END_USE_COLOURS = {
    "heating": "#D55E00",
    "cooling": "#56B4E9",
    "ventilation": "#009E73",
    "lighting": "#F0E442",
    "equipment": "#7F7F7F",
    "water_heating": "#CC79A7",
}
OUTCOME_COLOURS = {"acknowledged": "#0072B2", "waiting": "#E69F00", "rejected": "#D55E00"}


def power(results: Results) -> Figure:
    """Draw the fleet's power by end use [MW or kW] over local time, stacked.

    Parameters
    ----------
    results : Results
        Of a run that measured something.

    Returns
    -------
    Figure
        Kept in the run folder too, as ``figures/power.png``.
    """
    table = results.power_kw
    figure, axes = _figure()
    unit, scale = ("MW", 1000.0) if table.sum(axis=1).max() >= 2000 else ("kW", 1.0)
    edges = _edges(table.index)
    bottom = np.zeros(len(edges))
    for use in END_USES:
        top = bottom + np.append(table[use], table[use].iloc[-1]) / scale
        label = use.replace("_", " ")
        axes.fill_between(
            edges, bottom, top, step="post", color=END_USE_COLOURS[use], label=label, lw=0
        )
        bottom = top
    axes.set(ylabel=f"fleet power [{unit}]", ylim=(0, None), xlim=(edges[0], edges[-1]))
    _local_time(axes, table.index)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1, 0.5))
    return _kept(figure, results, "power")


def by_ven(results: Results) -> Figure:
    """Draw what became of each VEN's readings [count], one bar a VEN.

    Parameters
    ----------
    results : Results
        Of a run that measured something.

    Returns
    -------
    Figure
        Kept in the run folder too, as ``figures/by_ven.png``.
    """
    table = results.by_ven.iloc[::-1]
    figure, axes = _figure(height=1.2 + 0.28 * min(len(table), 40))
    left = np.zeros(len(table))
    for outcome, colour in OUTCOME_COLOURS.items():
        count = table[outcome].to_numpy(float)
        if count.any():
            axes.barh(table.index, count, left=left, color=colour, label=outcome)
        left += count
    axes.set(xlabel="readings [count]")
    axes.margins(y=0.02)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return _kept(figure, results, "by_ven")


def latency(results: Results) -> Figure:
    """Draw how long the VTN took to answer reports [ms], with median and 99th percentile.

    Parameters
    ----------
    results : Results
        Of a run that sent something.

    Returns
    -------
    Figure
        Kept in the run folder too, as ``figures/latency.png``.
    """
    requests = results.requests
    sent = requests[(requests["purpose"] == "report") & requests["status"].notna()]
    values = sent["latency_ms"].to_numpy(float)
    figure, axes = _figure(height=2.6)
    bins = np.geomspace(max(values.min(), 0.1), values.max() * 1.01, 60)
    axes.hist(values, bins=bins.tolist(), color=OUTCOME_COLOURS["acknowledged"])
    for q, style in ((50, "-"), (99, "--")):
        at = float(np.percentile(values, q))
        label = "median" if q == 50 else f"{q} % are below"
        axes.axvline(at, color="black", ls=style, lw=1, label=f"{label} {at:.1f} ms")
    axes.set(xlabel="time to the VTN's answer [ms]", ylabel="reports [count]", xscale="log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return _kept(figure, results, "latency")


def _figure(height: float = 3.4) -> tuple[Figure, Axes]:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8.5, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _edges(starts: Any) -> Any:
    """Return the start of each interval and the end of the last, as naive local times."""
    local = starts.tz_localize(None)
    length = local[1] - local[0] if len(local) > 1 else np.timedelta64(15, "m")
    return local.append(local[-1:] + length).to_numpy()


def _local_time(axes: Axes, starts: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))
    axes.set_xlabel(f"Copenhagen time [h], from {starts[0]:%a %d %b %Y}")


def _kept(figure: Figure, results: Results, name: str) -> Figure:
    """Save a figure in the run folder and hand it on, closed so that a cell shows it once."""
    import matplotlib.pyplot as plt

    folder = results.folder / "figures"
    folder.mkdir(exist_ok=True)
    figure.savefig(folder / f"{name}.png", dpi=120)
    plt.close(figure)
    return figure
