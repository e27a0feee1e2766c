"""One event and the meters it is measured by, over the times that a baseline is for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, TypedDict

import numpy as np

from venlab.baselines.adjustment import Adjustment
from venlab.baselines.meters import Array, Mask, Moment, as_meters, moments, step_of
from venlab.calendar import TZ
from venlab.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from venlab.baselines.meters import Power

__all__ = ["Called", "Case", "Options"]

Called: TypeAlias = "str | date | tuple[Moment, Moment]"
BEFORE = Adjustment()
AFTER_H = 4.0  # a baseline reaches at least so far past the event, for the rebound


class Options(TypedDict, total=False):
    """What every rule takes beside power, start and end.

    Attributes
    ----------
    adjust : Adjustment or None
        The same-day adjustment, where the rule's own is not meant; None for none.
    called : iterable
        Other events: local days (``"2023-11-21"``, a date) or pairs (start, end). Their days are
        not used, but where there are too few others.
    tz : str
        The zone of local days and times, ``Europe/Copenhagen`` by default. Holidays are Danish.
    lookback_days : int
        How many days before the event are looked at, 45 by default.
    skip_day_after : bool
        Whether the day after a called one is left out too, False by default.
    most_missing : float
        The share of a day's intervals at the event's hours that may be missing, 0.25 by default;
        a day with more is left out.
    until : str or datetime
        The baseline is given up to then: to the end of the local day, and at least to four hours
        after the event, by default.
    """

    adjust: Adjustment | None
    called: Iterable[Called]
    tz: str
    lookback_days: int
    skip_day_after: bool
    most_missing: float
    until: Moment


@dataclass(frozen=True, eq=False)
class Case:
    """One event and the meters it is measured by.

    Attributes
    ----------
    power_kw : Series or DataFrame
        As it was given.
    table : DataFrame
        The same as a table over UTC.
    start, end : Timestamp
        Of the event, in UTC.
    stamps : DatetimeIndex
        The starts of the intervals that the baseline is for.
    options : Options
        How days are chosen.
    adjust : Adjustment or None
        How the baseline is moved.
    """

    power_kw: Power
    table: pd.DataFrame
    start: pd.Timestamp
    end: pd.Timestamp
    stamps: pd.DatetimeIndex
    options: Options
    adjust: Adjustment | None

    @classmethod
    def of(
        cls,
        power_kw: Power,
        start: Moment,
        end: Moment,
        options: Options,
        *,
        adjust: Adjustment | None = BEFORE,
        before_h: float = 0.0,
    ) -> Case:
        """Check meters and event; the baseline begins at midnight, or before what it is made of.

        DataError where the event is not in the data, or no meter has a value in it.
        """
        import pandas as pd

        adjust, tz = options.get("adjust", adjust), options.get("tz", TZ)
        table = as_meters(power_kw)
        begin, over = moments(start, end, tz)
        step, first = step_of(table), table.index[0]
        if begin < first or over > table.index[-1] + step:
            data = f"{first.isoformat()} to {(table.index[-1] + step).isoformat()}"
            said = f"the event {begin.isoformat()} to {over.isoformat()} is not in the data"
            raise DataError(said, f"they go from {data}")
        inside = (table.index >= begin) & (table.index < over)
        if not table[inside].notna().to_numpy().any():
            raise DataError("no meter has a value in the event", "give the readings of the event")
        reach = pd.Timedelta(hours=max(before_h, adjust.before_h if adjust else 0.0))
        early = min(begin.tz_convert(tz).normalize(), begin - reach)
        late = max(
            (over.tz_convert(tz) - step).normalize() + pd.DateOffset(days=1),
            over + pd.Timedelta(hours=AFTER_H),
        )
        if "until" in options:
            late = max(over, moments(start, options["until"], tz)[1])
        first_stamp = early.tz_convert("UTC") + (first - early) % step  # on the meters' own grid
        stamps = pd.date_range(first_stamp, late.tz_convert("UTC"), freq=step, inclusive="left")
        return cls(power_kw, table, begin, over, stamps, options, adjust)

    @property
    def tz(self) -> str:
        """The zone of local days."""
        return self.options.get("tz", TZ)

    @cached_property
    def in_event(self) -> Mask:
        """Which of the stamps lie in the event."""
        return self.between(self.start, self.end)

    @cached_property
    def actual(self) -> Array:
        """What was measured [kW], a row a stamp, a column a meter."""
        return self.table.reindex(self.stamps).to_numpy()

    def between(self, start: pd.Timestamp, end: pd.Timestamp) -> Mask:
        """Return which of the stamps lie in [start, end)."""
        return np.asarray((self.stamps >= start) & (self.stamps < end))

    def around(self, before_h: float, after_h: float, gap_h: float) -> Mask:
        """Return which stamps lie in so many hours before and after the event, beside a gap."""
        import pandas as pd

        before, after, gap = (pd.Timedelta(hours=h) for h in (before_h, after_h, gap_h))
        first = self.between(self.start - gap - before, self.start - gap)
        return first | self.between(self.end + gap, self.end + gap + after)
