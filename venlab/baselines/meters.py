"""Meter data as people have them, checked; and means that never take what is missing for zero."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from venlab.calendar import TZ, parse_time
from venlab.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    Power: TypeAlias = "pd.Series[float] | pd.DataFrame"

__all__ = ["Array", "Mask", "Moment", "alike", "as_meters", "mean", "moments", "ratio", "step_of"]

Array: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Moment: TypeAlias = "str | datetime"


def as_meters(power_kw: Power, what: str = "power_kw") -> pd.DataFrame:
    """Return meter data as a table of floats over UTC, a column a meter.

    Parameters
    ----------
    power_kw : Series or DataFrame
        Mean power [kW] by the aware start of each interval.
    what : str, optional
        How an error calls it.

    Raises
    ------
    DataError
        The index is no index of times, has no zone or is irregular; a value is infinite or no
        number; a meter occurs twice.
    """
    import pandas as pd

    frame = power_kw.to_frame() if isinstance(power_kw, pd.Series) else power_kw
    index = frame.index if isinstance(frame, pd.DataFrame) else None
    if not isinstance(index, pd.DatetimeIndex) or not len(index) or not len(frame.columns):
        raise DataError(f"{what} is no table of meters", "give a column a meter, indexed by time")
    if index.tz is None:
        remedy = 'say which zone it is in: .tz_localize("UTC"), or the zone of your clocks'
        raise DataError(f"the times of {what} have no zone", remedy)
    if not frame.columns.is_unique:
        raise DataError(f"{what} names a meter twice", "give each column a name of its own")
    try:
        values = frame.to_numpy(float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} holds no numbers ({error})", "give power in kW") from None
    if np.isinf(values).any():
        raise DataError(f"{what} holds an infinite value", "write NaN where a value is missing")
    table = pd.DataFrame(values, index.tz_convert("UTC"), frame.columns)
    step_of(table, what)
    return table


def alike(power_kw: Power, other_kw: Power, what: str) -> pd.DataFrame:
    """Return another table of the same meters, in the same order; two Series are one meter.

    DataError where it lacks one, or is no table of meters.
    """
    import pandas as pd

    wanted, other = as_meters(power_kw).columns, as_meters(other_kw, what)
    if isinstance(power_kw, pd.Series) and isinstance(other_kw, pd.Series):
        return other.set_axis(wanted, axis=1)
    if absent := [str(name) for name in wanted if name not in other.columns]:
        raise DataError(
            f"{what} has no meter {', '.join(absent[:5])}", "give it of the same meters"
        )
    return other[wanted]


def step_of(table: pd.DataFrame, what: str = "power_kw") -> pd.Timedelta:
    """Return the length of each interval.

    DataError where they differ, or an hour is no whole number of them.
    """
    import pandas as pd

    between = table.index[1:] - table.index[:-1]
    if not len(between):
        raise DataError(f"{what} has one interval only", "give the days before the event too")
    step: pd.Timedelta = between.min()
    if step <= pd.Timedelta(0) or (between != step).any():
        at = table.index[1:][between != between[0] if step > pd.Timedelta(0) else between <= step]
        remedy = 'use .sort_index() and .asfreq("15min"), which leaves what is missing as NaN'
        raise DataError(f"{what} is not regular at {at[0].isoformat()}", remedy)
    if pd.Timedelta("1h") % step:
        raise DataError(f"{what} has intervals of {step}", "use such as an hour is a multiple of")
    return step


def moments(start: Moment, end: Moment, tz: str = TZ) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return when an event starts and ends, as UTC.

    DataError where that is no time, or it ends before it starts.
    """
    import pandas as pd

    begin, over = (
        pd.Timestamp(parse_time(t if isinstance(t, str) else t.isoformat(), tz))
        for t in (start, end)
    )
    if over <= begin:
        raise DataError(f"the event ends at {end}, not after its start", "give start, then end")
    return begin, over


def mean(values: Array) -> Array:
    """Return the mean of each column over the rows that are there; NaN where there is none.

    Examples
    --------
    >>> mean(np.array([[1.0, np.nan], [3.0, np.nan]])).tolist()
    [2.0, nan]
    """
    there = ~np.isnan(values)
    return ratio(np.where(there, values, 0.0).sum(axis=0), there.sum(axis=0))


def ratio(above: Any, below: Any) -> Array:
    """Return a quotient, NaN where it would be one by zero."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    quotient: Array = np.full(above.shape, np.nan)
    np.divide(above, below, out=quotient, where=below != 0)
    return quotient
