from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import numpy as np
import pandas as pd

TZ = "Europe/Copenhagen"
TODAY = date(2023, 11, 30)  # a Thursday
EVENT = ("2023-11-30 17:00", "2023-11-30 19:00")
BUSINESS = [TODAY - timedelta(days=n) for n in range(1, 46)]
BUSINESS = [day for day in BUSINESS if day.weekday() < 5]  # newest first; no holiday among them


def hours(
    first: str = "2023-10-16", last: str = "2023-12-01", step: str = "1h"
) -> pd.DatetimeIndex:
    """The starts of the intervals from a local midnight to another, in UTC."""
    local = pd.date_range(first, last, freq=step, tz=TZ, inclusive="left")
    return local.tz_convert("UTC")


def local(index: pd.Index) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(index).tz_convert(TZ)


def levels(of: Mapping[date, float], index: pd.DatetimeIndex | None = None) -> pd.Series[float]:
    """A meter that shows one level [kW] the whole of each local day; NaN where none is named."""
    index = hours() if index is None else index
    return pd.Series([of.get(t.date(), np.nan) for t in local(index)], index, dtype=float)


def profile(kw: Callable[[int], float], index: pd.DatetimeIndex) -> pd.Series[float]:
    """A meter that shows a level [kW] by the local hour."""
    return pd.Series([float(kw(t.hour)) for t in local(index)], index)
