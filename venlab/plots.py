"""Pictures of a run: units on both axes, local time, one colour for one meaning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from venlab.answer import answer
from venlab.canvas import (
    END_USE_COLOURS,
    OUTCOME_COLOURS,
    kept,
    local_time,
    new_figure,
    power_unit,
    shade,
    shown,
)
from venlab.canvas import edges as edges_of
from venlab.clock import Kind, Tick
from venlab.fleet import END_USES
from venlab.model import Event
from venlab.recovery import recovery
from venlab.results import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = [
    "agenda",
    "answer",
    "by_ven",
    "diversity",
    "end_uses",
    "heard",
    "latency",
    "lateness",
    "power",
    "recovery",
    "traffic",
]

ALONE, TOGETHER = "#E69F00", "#0072B2"
KIND_COLOURS = {
    Kind.EVENTS: "#CC79A7",
    Kind.SIMULATE: "#009E73",
    Kind.SAMPLE: "#0072B2",
    Kind.SEND: "#56B4E9",
    Kind.STATUS: "#7F7F7F",
    Kind.HEARTBEAT: "#7F7F7F",
}


def power(results: Results, events: Iterable[Event] = ()) -> Figure:
    """Draw the fleet's power by end use [MW or kW] over local time, stacked.

    Parameters
    ----------
    results : Results
        Of a run that measured something.
    events : iterable of Event, optional
        Whose times are shaded.

    Returns
    -------
    Figure
        Kept in the run folder too, as ``figures/power.png``.
    """
    figure = end_uses(results.power_kw, "fleet power", events)
    return kept(figure, results, "power")


def end_uses(power_kw: pd.DataFrame, what: str = "power", events: Iterable[Event] = ()) -> Figure:
    """Draw power by end use [MW or kW] over local time, stacked.

    Parameters
    ----------
    power_kw : DataFrame
        Mean power of each end use [kW], indexed by the local start of each interval.
    what : str, optional
        Whose power it is, for the axis.
    events : iterable of Event, optional
        Whose times are shaded.
    """
    table = power_kw
    figure, axes = new_figure()
    unit, scale = power_unit(table.sum(axis=1).max())
    edges = edges_of(table.index)
    bottom = np.zeros(len(edges))
    for use in END_USES:
        top = bottom + np.append(table[use], table[use].iloc[-1]) / scale
        label = use.replace("_", " ")
        axes.fill_between(
            edges, bottom, top, step="post", color=END_USE_COLOURS[use], label=label, lw=0
        )
        bottom = top
    for event in events:
        shade(axes, event)
    axes.set(ylabel=f"{what} [{unit}]", ylim=(0, None), xlim=(edges[0], edges[-1]))
    local_time(axes, table.index)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(1, 0.5))
    return shown(figure)


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
    figure, axes = new_figure(height=1.2 + 0.28 * min(len(table), 40))
    left = np.zeros(len(table))
    for outcome, colour in OUTCOME_COLOURS.items():
        count = table[outcome].to_numpy(float)
        if count.any():
            axes.barh(table.index, count, left=left, color=colour, label=outcome)
        left += count
    axes.set(xlabel="readings [count]")
    axes.margins(y=0.02)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return kept(figure, results, "by_ven")


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
    figure, axes = new_figure(height=2.6)
    bins = np.geomspace(max(values.min(), 0.1), values.max() * 1.01, 60)
    axes.hist(values, bins=bins.tolist(), color=OUTCOME_COLOURS["acknowledged"])
    for q, style in ((50, "-"), (99, "--")):
        at = float(np.percentile(values, q))
        label = "median" if q == 50 else f"{q} % are below"
        axes.axvline(at, color="black", ls=style, lw=1, label=f"{label} {at:.1f} ms")
    axes.set(xlabel="time to the VTN's answer [ms]", ylabel="reports [count]", xscale="log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return kept(figure, results, "latency")


def diversity(power_kw: pd.DataFrame, seed: int = 0) -> Figure:
    """Draw one load beside the mean of all [kW], and how the coincidence factor falls with many.

    Parameters
    ----------
    power_kw : DataFrame
        Mean power of like loads [kW], one a column, indexed by the local start of each interval.
    seed : int, optional
        Of the order in which loads join.
    """
    values = power_kw.to_numpy(float)
    figure, (over_time, over_many) = new_figure(panels=(1.7, 1))
    edges = edges_of(power_kw.index)
    for label, kw, colour in (
        ("one alone", values[:, 0], ALONE),
        (f"mean of {values.shape[1]}", values.mean(axis=1), TOGETHER),
    ):
        over_time.stairs(kw, edges, baseline=None, color=colour, lw=1.8, label=label)
    over_time.set(ylabel="power of a load [kW]", ylim=(0, None), xlim=(edges[0], edges[-1]))
    local_time(over_time, power_kw.index)
    factor = _coincidence(values, seed)
    over_many.plot(np.arange(1, len(factor) + 1), factor, color=TOGETHER, lw=1.8)
    over_many.set(xlabel="loads together [count]", ylabel="coincidence factor [1]", ylim=(0, 1.05))
    figure.legend(loc="outside upper left", ncols=2, frameon=False)
    return shown(figure)


def heard(starts: pd.DatetimeIndex, power_kw: Sequence[float], interval_min: float) -> Figure:
    """Draw what a VTN heard of one load: a bar is a report, its area the energy [kWh].

    Parameters
    ----------
    starts : DatetimeIndex
        Local start of each interval.
    power_kw : sequence of float
        Mean power of each [kW].
    interval_min : float
        Length of an interval [min].
    """
    figure, axes = new_figure(height=3.0)
    width = np.timedelta64(round(interval_min * 60), "s")
    begins = starts.tz_localize(None).to_numpy()
    axes.bar(
        begins, power_kw, width, align="edge", color=TOGETHER, edgecolor="white", linewidth=1.5
    )
    for begin, kw in zip(begins, power_kw, strict=True):
        words = f"{kw * interval_min / 60:.3f}\nkWh"
        axes.text(begin + width / 2, kw / 2, words, ha="center", va="center", color="white")
    axes.set(ylabel="mean power [kW]", ylim=(0, None), xlim=(begins[0], begins[-1] + width))
    local_time(axes, starts)
    return shown(figure)


def agenda(ticks: Iterable[Tick]) -> Figure:
    """Draw when each loop has a tick, over schedule time [s].

    Parameters
    ----------
    ticks : iterable of Tick
        Such as `Agenda.ticks` gives them.
    """
    figure, axes = new_figure(height=2.6)
    due: dict[Kind, list[float]] = {}
    for tick in ticks:
        due.setdefault(tick.kind, []).append(tick.at_s)
    kinds = sorted(due, reverse=True)
    colours = [KIND_COLOURS[kind] for kind in kinds]
    rows = range(len(kinds))
    axes.eventplot([due[k] for k in kinds], lineoffsets=rows, linelengths=0.7, colors=colours, lw=3)
    axes.set_yticks(rows, [kind.name.lower() for kind in kinds])
    axes.set(xlabel="schedule time [s]", ylabel="loop")
    return shown(figure)


def lateness(late_ms: Mapping[str, Sequence[float]]) -> Figure:
    """Draw how late each tick of some loops began [ms].

    Parameters
    ----------
    late_ms : mapping
        Name of each loop, and how late its ticks began [ms]; the first is the one to warn of.
    """
    figure, axes = new_figure(height=2.8)
    for (label, values), colour in zip(late_ms.items(), (ALONE, TOGETHER), strict=True):
        axes.plot(range(len(values)), values, color=colour, marker=".", label=label)
    axes.set(xlabel="tick [count]", ylabel="begins late by [ms]", ylim=(0, None))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return shown(figure)


def traffic(table: pd.DataFrame) -> Figure:
    """Draw what reports cost in each dialect: requests [count] and bodies [kB] a cycle.

    Parameters
    ----------
    table : DataFrame
        `Results.traffic` of a run each, a row a dialect.
    """
    figure, panels = new_figure(height=2.4, panels=(1, 1))
    for axes, column in zip(panels, table, strict=True):
        bars = axes.barh(table.index[::-1], table[column][::-1], color=TOGETHER, height=0.6)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3)
        axes.set(xlabel=column, ylabel="dialect [name]")
        axes.margins(x=0.2)
    return shown(figure)


def _coincidence(values: NDArray[np.float64], seed: int, orders: int = 50) -> NDArray[np.float64]:
    """Return peak of the sum ÷ sum of the peaks of the first 1, 2, … loads, mean of many orders."""
    rng = np.random.default_rng(seed)
    factors = []
    for _ in range(orders):
        mixed = values[:, rng.permutation(values.shape[1])]
        factors.append(mixed.cumsum(axis=1).max(axis=0) / mixed.max(axis=0).cumsum())
    return np.asarray(np.mean(factors, axis=0))
