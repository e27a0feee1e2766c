"""Which of the days before an event a rule takes, meter by meter."""

from __future__ import annotations

import numpy as np

from venlab.baselines.meters import Array, Mask
from venlab.baselines.past import Past

__all__ = ["least", "pool"]


def least(key: Array, among: Mask, n: Array | int) -> Mask:
    """Mark in each column the `n` rows of least key among some, the newest first where equal."""
    order = np.argsort(np.where(among, key, np.inf), axis=0, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(len(key))[:, None], axis=0)
    return np.asarray(among & (rank < n))


def pool(past: Past, wanted: int, last: int, fewest: int) -> tuple[Mask, list[list[str]]]:
    """Return the `last` days that may be used, and called ones where those are under `fewest`."""
    found = past.eligible.sum(axis=0)
    recent = past.eligible & (past.eligible.cumsum(axis=0) <= last)
    called = least(-past.use, past.spare, np.maximum(fewest - found, 0))
    few = [f"{n} of {wanted} days found" if n < wanted else "" for n in found]
    return recent | called, [
        few,
        _named("called days taken too:", past, called),
        _named("too much missing on", past, past.missing),
    ]


def _named(words: str, past: Past, hits: Mask) -> list[str]:
    """Name the days that are marked in each column."""
    told = [""] * hits.shape[1]
    for column in np.flatnonzero(hits.any(axis=0)):
        days = (past.days[row] for row in np.flatnonzero(hits[:, column])[::-1])
        told[column] = " ".join([words, ", ".join(day.isoformat() for day in days)])
    return told
