"""The picture of a recovery: what waited, what was asked and answered, and how long that took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from venlab.canvas import OUTCOME_COLOURS, kept, new_figure
from venlab.latency import outcome
from venlab.results import Results

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["recovery"]

ANSWER_COLOURS = {
    "taken": OUTCOME_COLOURS["acknowledged"],
    "to be tried again": OUTCOME_COLOURS["waiting"],
    "refused": OUTCOME_COLOURS["rejected"],
    "no answer": "#333333",
}
BINS = 60


def recovery(results: Results) -> Figure:
    """Draw readings that wait [count], requests [1/s] and their latency [ms] over wall time [s].

    Parameters
    ----------
    results : Results
        Of a run that sent something; the times without its VTN are shaded.

    Returns
    -------
    Figure
        Kept in the run folder too, as ``figures/recovery.png``.
    """
    backlog, requests = results.backlog, results.requests
    sent = requests[requests["purpose"] == "report"]
    begin = min(backlog.index[0], sent["at"].min())
    end_s = max((backlog.index[-1] - begin).total_seconds(), _seconds(sent["at"], begin).max())
    figure, (waiting, asked, took) = new_figure(height=6.0, rows=3)
    at_s = np.append(_seconds(backlog.index.to_series(), begin), end_s)
    steps = np.append(backlog.to_numpy(), backlog.iloc[-1])
    waiting.fill_between(at_s, steps, step="post", color=OUTCOME_COLOURS["waiting"], lw=0)
    waiting.set(ylabel="waiting\n[readings]", ylim=(0, None))
    _draw_requests(asked, took, sent.assign(s=_seconds(sent["at"], begin)), end_s)
    for axes in (waiting, asked, took):
        for _, each in results.outages.iterrows():
            from_s = (each["opened"] - begin).total_seconds()
            away_s = each["outage_s"] if np.isfinite(each["outage_s"]) else end_s - from_s
            axes.axvspan(from_s, from_s + away_s, color="black", alpha=0.12, lw=0, label="VTN away")
    took.set(xlabel="wall time since the run began [s]", xlim=(0, end_s))
    handles: dict[str, Any] = {}
    for axes in (asked, waiting):
        handles |= dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(handles.values(), handles, loc="outside upper left", ncols=5, frameon=False)
    return kept(figure, results, "recovery")


def _draw_requests(asked: Axes, took: Axes, sent: pd.DataFrame, end_s: float) -> None:
    """Draw requests a second, stacked by their outcome, and the latency of each."""
    edges = np.linspace(0, end_s, BINS + 1)
    below = np.zeros(BINS)
    answers = sent["status"].map(outcome)
    for name, colour in ANSWER_COLOURS.items():
        these = sent[answers == name]
        if these.empty:
            continue
        rate = np.histogram(these["s"], edges)[0] / np.diff(edges)
        asked.bar(edges[:-1], rate, np.diff(edges), below, align="edge", color=colour, label=name)
        below += rate
        took.plot(these["s"], these["latency_ms"], ".", ms=3, color=colour)
    asked.set(ylabel="requests\n[1/s]", ylim=(0, None))
    took.set(ylabel="latency\n[ms]", yscale="log")
    took.yaxis.set_major_formatter("{x:g}")
    took.yaxis.set_minor_formatter("")


def _seconds(moments: pd.Series[pd.Timestamp], begin: pd.Timestamp) -> pd.Series[float]:
    return (moments - begin).dt.total_seconds()
