"""What an event moved: shed, rebound, what was asked, how good a baseline is, who is paid what.

Plain pandas in and out. Power [kW] is a Series or a DataFrame, a column a meter, as `baselines`
takes it; a result is a table with a row a meter, or a row a group where `by` says which group each
meter is in (its VEN, its building type, its end use). A group's interval is missing where one of
its meters is. What is missing is never zero: energy is the mean of what is there × the hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from venlab.baselines.meters import Array, Mask, alike, as_meters, mean, ratio, step_of
from venlab.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from venlab.baselines import Baseline
    from venlab.baselines.meters import Power

__all__ = ["error", "measure", "settlement"]

QUIET = 0.02  # of the mean shed: a rebound is over when |power − twin| stays under it for an hour
NOTHING_KW = 1e-9  # sums of many meters differ by so much for no reason


def measure(
    power_kw: Power,
    baseline: Baseline,
    *,
    asked_kw: float | Mapping[Any, float] | None = None,
    by: Mapping[Any, Any] | None = None,
    reached: float = 1.0,
    rebound_h: float | None = None,
) -> pd.DataFrame:
    """Return what an event moved, against a baseline.

    Parameters
    ----------
    power_kw : Series or DataFrame
        What was measured [kW].
    baseline : Baseline
        With the event and the same meters.
    asked_kw : float or mapping, optional
        How much less was asked for [kW]: a number of each row, or by row, or by meter.
    by : mapping or Series, optional
        The group of each meter.
    reached : float
        Which share of what was asked counts as reached.
    rebound_h : float, optional
        How long after the event is looked at [h]. By default four hours; against the twin until
        the two differ by under 2 % of the mean shed for an hour.

    Returns
    -------
    DataFrame
        asked_kw; shed_kw (mean) and shed_kwh; delivered_frac, shed ÷ asked; latency_min, from the
        event's start to the end of the first interval in which what was asked is reached, NaN if
        never; rebound_kwh over rebound_h, and rebound_ended, False where the data end before it;
        missing_frac, the share of the event's intervals without data.

    Raises
    ------
    DataError
        The meters differ, the data do not cover the event, a meter is in no group or asked nothing.

    Examples
    --------
    >>> import pandas as pd
    >>> from venlab.baselines import twin
    >>> hours = pd.date_range("2023-11-30 14:00", periods=8, freq="1h", tz="UTC")
    >>> power_kw = pd.Series([50.0, 50, 40, 30, 55, 52, 50, 50], hours, name="shop")
    >>> truth = twin(power_kw, "2023-11-30 17:00", "2023-11-30 19:00", power_kw * 0 + 50)
    >>> measure(power_kw, truth, asked_kw=20).T["shop"].astype(float).to_dict()
    ... # doctest: +NORMALIZE_WHITESPACE
    {'asked_kw': 20.0, 'shed_kw': 15.0, 'shed_kwh': 30.0, 'delivered_frac': 0.75,
     'latency_min': 120.0, 'rebound_kwh': 7.0, 'rebound_h': 2.0, 'rebound_ended': 1.0,
     'missing_frac': 0.0}
    """
    import pandas as pd

    groups = _groups(power_kw, by)
    power, base = _side_by_side(power_kw, baseline, groups)
    shed, step = (base - power).to_numpy(), step_of(power)
    step_h = step / pd.Timedelta("1h")
    inside = _inside(power, baseline)
    event = shed[inside]
    shed_kw, event_h = mean(event), len(event) * step_h
    asked = _asked(asked_kw, power.columns, groups)
    enough = event >= reached * asked - NOTHING_KW
    ends = (pd.DatetimeIndex(power.index[inside]) - baseline.start + step) / pd.Timedelta("1min")
    latency = np.where(enough.any(axis=0), np.asarray(ends)[enough.argmax(axis=0)], np.nan)
    after = -shed[power.index >= baseline.end]
    if rebound_h is None and baseline.rule == "twin":
        length, ended = _until_quiet(after, QUIET * abs(shed_kw), round(1 / step_h))
    else:
        whole = round((4.0 if rebound_h is None else rebound_h) / step_h)
        length = np.full(len(shed_kw), min(whole, len(after)))
        ended = np.full(len(shed_kw), whole <= len(after))
    back = mean(np.where(np.arange(len(after))[:, None] < length, after, np.nan))
    return pd.DataFrame(
        {
            "asked_kw": asked,
            "shed_kw": shed_kw,
            "shed_kwh": shed_kw * event_h,
            "delivered_frac": ratio(shed_kw, asked),
            "latency_min": latency,
            "rebound_kwh": np.where(ended & (length == 0), 0.0, back * length * step_h),
            "rebound_h": length * step_h,
            "rebound_ended": ended,
            "missing_frac": np.isnan(event).mean(axis=0),
        },
        power.columns,
    )


def error(
    found: Baseline | Sequence[Baseline],
    truth: Baseline | Sequence[Baseline],
    *,
    by: Mapping[Any, Any] | None = None,
) -> pd.DataFrame:
    """Return how far baselines are from the twin, over the intervals of one event or of many.

    Parameters
    ----------
    found, truth : Baseline or sequence of Baseline
        Of the same events, in the same order.
    by : mapping or Series, optional
        The group of each meter.

    Returns
    -------
    DataFrame
        bias_kw, the mean of baseline − twin; mae_kw; rrmse, the root of the mean squared error ÷
        the twin's mean (AEMO accepts 0.2); bias_frac, bias ÷ the twin's mean; intervals.

    Raises
    ------
    DataError
        The events or meters differ.

    Examples
    --------
    >>> import pandas as pd
    >>> from venlab.baselines import given, twin
    >>> hours = pd.date_range("2023-11-30", periods=24, freq="1h", tz="UTC")
    >>> twin_kw, event = pd.Series(50.0, hours), ("2023-11-30 17:00", "2023-11-30 19:00")
    >>> ours = given(twin_kw, *event, twin_kw + 5)
    >>> error(ours, twin(twin_kw, *event, twin_kw))[["bias_kw", "rrmse"]].iloc[0].to_dict()
    {'bias_kw': 5.0, 'rrmse': 0.1}
    """
    import pandas as pd

    ours, theirs = (list(x) if isinstance(x, Sequence) else [x] for x in (found, truth))
    if not ours or [(b.start, b.end) for b in ours] != [(b.start, b.end) for b in theirs]:
        said = f"{len(ours)} baselines and {len(theirs)} twins are not of the same events"
        raise DataError(said, "give them in the same order, event by event")
    pairs = []
    for one, true in zip(ours, theirs, strict=True):
        base, other = _side_by_side(one.power_kw, true, _groups(one.power_kw, by))
        pairs.append((base[_inside(base, true)], other[_inside(base, true)]))
    base, other = (pd.concat(frames) for frames in zip(*pairs, strict=True))
    off, level = (base - other).to_numpy(), mean(other.where(base.notna()).to_numpy())
    return pd.DataFrame(
        {
            "bias_kw": mean(off),
            "mae_kw": mean(abs(off)),
            "rrmse": ratio(np.sqrt(mean(off**2)), level),
            "bias_frac": ratio(mean(off), level),
            "intervals": (~np.isnan(off)).sum(axis=0),
        },
        base.columns,
    )


def settlement(
    power_kw: Power,
    baseline: Baseline,
    price_dkk_per_kwh: float | Mapping[Any, float],
    *,
    asked_kw: float | Mapping[Any, float] | None = None,
    by: Mapping[Any, Any] | None = None,
) -> pd.DataFrame:
    """Return the statement that each VEN would get: what was delivered by the baseline, and paid.

    Parameters
    ----------
    power_kw, baseline, asked_kw, by
        As in `measure`; `by` gives each meter's VEN.
    price_dkk_per_kwh : float or mapping
        Paid for each kWh delivered [DKK/kWh]; who used more than the baseline pays it.

    Returns
    -------
    DataFrame
        baseline_kwh, metered_kwh, delivered_kwh, asked_kwh, delivered_frac, missing_frac,
        price_dkk_per_kwh, paid_dkk.

    Raises
    ------
    DataError
        As in `measure`.

    Examples
    --------
    >>> import pandas as pd
    >>> from venlab.baselines import given
    >>> hours = pd.date_range("2023-11-30", periods=24, freq="1h", tz="UTC")
    >>> power_kw = pd.DataFrame({"a": 40.0, "b": 15.0}, hours)
    >>> base = given(power_kw, "2023-11-30 17:00", "2023-11-30 19:00", power_kw + [10, 5])
    >>> settlement(power_kw, base, 2.0, by={"a": "Aars", "b": "Aars"})["paid_dkk"].to_dict()
    {'Aars': 60.0}
    """
    import pandas as pd

    moved = measure(power_kw, baseline, asked_kw=asked_kw, by=by, rebound_h=0)
    power, base = _side_by_side(power_kw, baseline, _groups(power_kw, by))
    inside = _inside(power, baseline)
    hours = inside.sum() * (step_of(power) / pd.Timedelta("1h"))
    baseline_kwh = mean(base[inside].to_numpy()) * hours
    price = _asked(price_dkk_per_kwh, moved.index, what="price_dkk_per_kwh")
    return pd.DataFrame(
        {
            "baseline_kwh": baseline_kwh,
            "metered_kwh": baseline_kwh - moved["shed_kwh"],
            "delivered_kwh": moved["shed_kwh"],
            "asked_kwh": moved["asked_kw"] * hours,
            "delivered_frac": moved["delivered_frac"],
            "missing_frac": moved["missing_frac"],
            "price_dkk_per_kwh": price,
            "paid_dkk": moved["shed_kwh"] * price,
        },
        moved.index,
    )


def _side_by_side(
    power_kw: Power, baseline: Baseline, groups: dict[Any, Any] | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return power and baseline over the same times, of the same meters or groups of them."""
    power = as_meters(power_kw)
    base = alike(power_kw, baseline.power_kw, "the baseline")
    common = power.index.intersection(base.index)
    covered = len(common) > 1 and (common[0] <= baseline.start)
    covered = covered and common[-1] + step_of(power) >= baseline.end
    if not covered or step_of(power) != step_of(base):
        said = f"power and baseline do not both cover {baseline.start} to {baseline.end}"
        raise DataError(said, "give them in the same intervals, over the whole event")
    power, base = power.loc[common], base.loc[common]
    return (_grouped(power, groups), _grouped(base, groups)) if groups else (power, base)


def _inside(table: pd.DataFrame, baseline: Baseline) -> Mask:
    return np.asarray((table.index >= baseline.start) & (table.index < baseline.end))


def _groups(power_kw: Power, by: Mapping[Any, Any] | None) -> dict[Any, Any] | None:
    """Return the group of each meter."""
    if by is None:
        return None
    of, meters = dict(by.items()), as_meters(power_kw).columns
    if absent := [str(name) for name in meters if name not in of]:
        raise DataError(f"meter {', '.join(absent[:5])} is in no group", "name a group for each")
    return {meter: of[meter] for meter in meters}


def _grouped(table: pd.DataFrame, groups: dict[Any, Any]) -> pd.DataFrame:
    """Sum the meters of each group; missing where one of them is."""
    of = [groups[meter] for meter in table.columns]
    missing = table.isna().T.groupby(of).any().T
    return table.fillna(0.0).T.groupby(of).sum().T.where(~missing)


def _asked(
    asked: float | Mapping[Any, float] | None,
    rows: pd.Index,
    groups: Mapping[Any, Any] | None = None,
    what: str = "asked_kw",
) -> Array:
    """Return what is asked of each row: one number, a number a row, or the sum of its meters'."""
    if asked is None or isinstance(asked, (int, float)):
        return np.full(len(rows), np.nan if asked is None else float(asked))
    of = {name: float(kw) for name, kw in asked.items()}
    if groups and all(meter in of for meter in groups):
        each = [(row, of[meter]) for meter, row in groups.items()]
        return np.array([sum(kw for group, kw in each if group == row) for row in rows])
    if absent := [str(row) for row in rows if row not in of]:
        raise DataError(f"{what} names no {', '.join(absent[:5])}", "give one number for each row")
    return np.array([of[row] for row in rows])


def _until_quiet(after: Array, least: Array, hour: int) -> tuple[Any, Any]:
    """Return how many intervals pass before an hour of quiet, and whether there is one."""
    quiet = np.abs(after) <= least + NOTHING_KW  # what is missing is not quiet
    count = np.vstack([np.zeros(quiet.shape[1], int), quiet.cumsum(axis=0)])
    whole = count[hour:] - count[:-hour] == hour if len(after) >= hour else quiet[:0]
    if not len(whole):
        return np.full(len(least), len(after)), np.zeros(len(least), bool)
    ended = whole.any(axis=0)
    return np.where(ended, whole.argmax(axis=0), len(after)), ended
