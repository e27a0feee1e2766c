"""What a rule gives: the baseline, and how it came about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from venlab.baselines.case import Case
from venlab.baselines.meters import Array
from venlab.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from venlab.baselines.meters import Power

__all__ = ["Baseline", "finished"]


@dataclass(frozen=True, repr=False, eq=False)
class Baseline:
    """What meters would have shown without the event, as a rule sees it.

    Where one meter was given as a Series, each of these is one column less: Series for DataFrame,
    a number or text for Series.

    Attributes
    ----------
    rule : str
        Its name.
    start, end : Timestamp
        Of the event, in UTC.
    power_kw : Series or DataFrame
        The baseline [kW] by the UTC start of each interval: the local day of the event, and at
        least four hours after it.
    unadjusted_kw : Series or DataFrame
        The same before the same-day adjustment [kW].
    adjustment_kw : float or Series
        By how much that moved it, as a mean over the event [kW].
    days : Series or DataFrame
        The weight of each local day that was used; the weights of a meter sum to 1.
    note : str or Series
        What had to be done otherwise than the rule says; "" where nothing had.
    """

    rule: str
    start: pd.Timestamp
    end: pd.Timestamp
    power_kw: Power
    unadjusted_kw: Power
    adjustment_kw: float | pd.Series[float]
    days: Power
    note: str | pd.Series[str]

    @property
    def event_kw(self) -> Power:
        """The baseline within the event [kW]."""
        index = self.power_kw.index
        return self.power_kw[(index >= self.start) & (index < self.end)]

    def __repr__(self) -> str:
        meters = 1 if self.power_kw.ndim == 1 else self.power_kw.shape[1]
        noted = np.count_nonzero(np.atleast_1d(np.asarray(self.note, object)) != "")
        return (
            f"Baseline({self.rule}, {self.start.isoformat()} to {self.end.isoformat()}, "
            f"{meters} meter{'s' * (meters != 1)}, {noted} with a note)"
        )


def finished(
    rule: str,
    case: Case,
    base: Array,
    notes: Iterable[Sequence[str]],
    *,
    used: pd.DataFrame | None = None,
) -> Baseline:
    """Adjust a rule's baseline and put it together in the shape that the meters came in.

    DataError where it has no value in the event at all.
    """
    import pandas as pd

    if np.isnan(base[case.in_event]).all():
        raise DataError(f"{rule} finds no data to make a baseline from", "give more data")
    columns = case.table.columns
    moved, by_kw, words = base, np.zeros(len(columns)), [""] * len(columns)
    if case.adjust:
        moved, by_kw, words = case.adjust.applied(case, base)
    told = ["; ".join(filter(None, each)) for each in zip(*notes, words, strict=True)]
    nothing = pd.DataFrame(index=pd.Index([], name="day"), columns=columns, dtype=float)
    made: list[Any] = [
        pd.DataFrame(moved, case.stamps, columns),
        pd.DataFrame(base, case.stamps, columns),
        pd.Series(by_kw, columns),
        nothing if used is None else used,
        pd.Series(told, columns, dtype=object),
    ]
    if isinstance(case.power_kw, pd.Series):
        name = case.power_kw.name
        made = [x.iloc[:, 0].rename(name) if x.ndim == 2 else x.iloc[0] for x in made]
    return Baseline(rule, case.start, case.end, *made)
