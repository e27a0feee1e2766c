"""How long a VTN took to answer, by what it answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from venlab.runfile import Attempt

__all__ = ["Latency", "latencies", "outcome"]

OUTCOMES = ("taken", "to be tried again", "refused", "no answer")


class Latency(NamedTuple):
    """Latency of the requests that ended alike [ms]."""

    outcome: str
    requests: int
    p50_ms: float
    p99_ms: float


def outcome(status: float | None) -> str:
    """Return what an answer was, in a word.

    Examples
    --------
    >>> outcome(201), outcome(None), outcome(503), outcome(422)
    ('taken', 'no answer', 'to be tried again', 'refused')
    """
    if status is None or np.isnan(status):
        return "no answer"
    if status < 300:
        return "taken"
    return "to be tried again" if status in (408, 425, 429) or status >= 500 else "refused"


def latencies(attempts: Iterable[Attempt]) -> list[Latency]:
    """Return the latency of reports by outcome, of those outcomes that there are.

    Examples
    --------
    >>> sent = [Attempt(0.0, "report", "Aars", 201, ms, 400) for ms in (4.0, 6.0)]
    >>> latencies(sent)[0][:3]
    ('taken', 2, 5.0)
    """
    by: dict[str, list[float]] = {name: [] for name in OUTCOMES}
    for attempt in list(attempts):
        if attempt.purpose == "report":
            by[outcome(attempt.status)].append(attempt.latency_ms)
    return [
        Latency(name, len(ms), *(float(q) for q in np.percentile(ms, (50, 99))))
        for name, ms in by.items()
        if ms
    ]
