"""The days before an event: which are of its kind, which may be used, what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from venlab.baselines.case import Called, Case
from venlab.baselines.meters import Array, mean, moments, ratio, step_of
from venlab.calendar import day_type, parse_time
from venlab.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Past", "kind_of"]


class Past:
    """The days before an event that are of its kind, newest first.

    Local days and times of day are what is compared, so that a change of the clock shifts nothing:
    an hour that a day has not is missing in it, one that it has twice counts with its mean.

    Parameters
    ----------
    case : Case
        The event.

    Attributes
    ----------
    days : list of date
        Local days, newest first.
    use : array
        Mean power at the event's hours [kW], a row a day, a column a meter.
    eligible, spare, missing : arrays of bool
        Which days may be used, which only where there are too few of those since they were
        called, and which not since too much is missing.

    Raises
    ------
    DataError
        No meter has a single day that could be used.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        options = case.options
        today = case.start.tz_convert(case.tz).date()
        first = case.table.index[0].tz_convert(case.tz).date()
        lookback = min(options.get("lookback_days", 45), (today - first).days)
        before = [today - timedelta(days=n) for n in range(1, lookback + 1)]
        self.days = [day for day in before if kind_of(day) == kind_of(today)]
        self._lay_out(today)
        event = [self.held(day)[case.in_event] for day in self.days]
        shape = (len(self.days), len(case.table.columns))
        self.use = np.array([mean(values) for values in event]).reshape(shape)
        gone = np.array([np.isnan(values).mean(axis=0) for values in event]).reshape(shape)
        called = _called_days(options.get("called", ()), case.tz)
        if options.get("skip_day_after", False):
            called |= {day + timedelta(days=1) for day in called}
        barred = np.array([day in called for day in self.days], bool)[:, None]
        self.missing = (gone > options.get("most_missing", 0.25)) | (gone == 1)
        self.eligible = ~self.missing & ~barred
        self.spare = ~self.missing & barred
        if not (self.eligible | self.spare).any():
            said = (
                f"no {kind_of(today)} day in the {lookback} days of data before {today} can be used"
            )
            raise DataError(said, "give more days of history: 45 are usual")

    def held(self, day: date) -> Array:
        """Return the power [kW] of a day at the local times of the case's stamps."""
        at = (day - self._origin).days * self._slots + self._offsets
        inside = (at >= 0) & (at < len(self._flat))
        return np.where(inside[:, None], self._flat[np.clip(at, 0, len(self._flat) - 1)], np.nan)

    def weighted(self, weights: Array) -> Array:
        """Return the mean of the days by weight [kW]; what is missing weighs nothing.

        Parameters
        ----------
        weights : array
            A row a day, a column a meter.
        """
        shape = self.case.actual.shape
        total, weight = np.zeros(shape), np.zeros(shape)
        for day, row in zip(self.days, weights, strict=True):
            if row.any():
                values = self.held(day)
                there = ~np.isnan(values) * row
                total += np.where(np.isnan(values), 0.0, values) * row
                weight += there
        return ratio(total, weight)

    def _lay_out(self, today: date) -> None:
        """Lay the meters' values along local time, as if each day had 24 hours."""
        case, step = self.case, step_of(self.case.table)
        self._origin = case.table.index[0].tz_convert(case.tz).date()
        self._slots = int(timedelta(days=1) / step)
        self._offsets = self._places(case.stamps) - (today - self._origin).days * self._slots
        places = self._places(case.table.index)
        laid = case.table.groupby(places).mean()  # pandas leaves out what is missing
        self._flat = laid.reindex(range(int(places.max()) + 1)).to_numpy()

    def _places(self, stamps: pd.Index) -> NDArray[np.int64]:
        import pandas as pd

        local = pd.DatetimeIndex(stamps).tz_convert(self.case.tz).tz_localize(None)
        return np.asarray((local - pd.Timestamp(self._origin)) // step_of(self.case.table))


def kind_of(day: date) -> str:
    """Return business, saturday, or sunday or holiday: what a day is compared with."""
    return "sunday or holiday" if (kind := day_type(day)) in ("sunday", "holiday") else kind


def _called_days(called: Iterable[Called], tz: str) -> set[date]:
    """Return the local days that events touch."""
    found: set[date] = set()
    for each in called:
        if isinstance(each, Sequence) and not isinstance(each, str):
            start, end = (t.tz_convert(tz) for t in moments(*each, tz))
            last = (end - timedelta(microseconds=1)).date()
            found |= {
                start.date() + timedelta(days=n) for n in range((last - start.date()).days + 1)
            }
        elif isinstance(each, date) and not isinstance(each, datetime):
            found.add(each)
        else:
            text = each if isinstance(each, str) else each.isoformat()
            found.add(parse_time(text, tz).astimezone(ZoneInfo(tz)).date())
    return found
