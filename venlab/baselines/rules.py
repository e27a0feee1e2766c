"""The rules, each with its source."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Unpack

import numpy as np

from venlab.baselines.adjustment import Adjustment
from venlab.baselines.case import Case, Options
from venlab.baselines.choosing import least, pool
from venlab.baselines.meters import Array, Moment, alike, as_meters, mean, step_of
from venlab.baselines.outcome import Baseline, finished
from venlab.baselines.past import Past, kind_of

if TYPE_CHECKING:
    from venlab.baselines.meters import Power

__all__ = [
    "RULES",
    "control_group",
    "five_of_ten",
    "four_of_five",
    "given",
    "match_day",
    "meter_before_after",
    "ninety_ten",
    "same_day",
    "ten_of_ten",
    "three_of_five",
    "twin",
]

DIFFERENCE = Adjustment(limits=(-math.inf, math.inf))


def ten_of_ten(power_kw: Power, start: Moment, end: Moment, **options: Unpack[Options]) -> Baseline:
    """Return the mean of the last 10 days of the event's kind, interval by interval.

    On a Saturday, and on a Sunday or holiday, of the last 4. At least 5 (4) are wanted. CAISO's
    standard for PDR and RDRR ("Baseline Accuracy Work Group Proposal", 2017-04-04), which
    multiplies by the morning's ratio, within 0.8 and 1.2: ``Adjustment("multiplicative")``.
    AEMO's wholesale demand response register has four variants of it.

    Parameters
    ----------
    power_kw : Series or DataFrame
        Mean power [kW] by the aware start of each interval, a column a meter; NaN is missing.
    start, end : str or datetime
        Of the event.
    **options
        See `Options`: adjust, called, tz, lookback_days, skip_day_after, most_missing, until.

    Raises
    ------
    DataError
        The index has no zone or is irregular, the event is not in the data or all missing in it,
        or the history is too short: no day can be used.

    Examples
    --------
    >>> import pandas as pd
    >>> hours = pd.date_range("2023-11-01", "2023-12-01", freq="1h", tz="UTC", inclusive="left")
    >>> power_kw = pd.Series(50.0, hours)
    >>> power_kw["2023-11-30 16:00":"2023-11-30 17:00"] = 30.0
    >>> found = ten_of_ten(power_kw, "2023-11-30 17:00", "2023-11-30 19:00")
    >>> found.event_kw.tolist(), len(found.days)
    ([50.0, 50.0], 10)
    """
    case = Case.of(power_kw, start, end, options)
    return _highest("10-of-10", case, (10, 10, 5) if _business(case) else (4, 4, 4))


def five_of_ten(
    power_kw: Power, start: Moment, end: Moment, **options: Unpack[Options]
) -> Baseline:
    """Return the mean of the 5 days that used most at the event's hours, of the last 10.

    PG&E's rule for weekdays (Power Saver FAQ), which adjusts by hours after the event too:
    ``Adjustment(after_h=2)``; those hold the rebound. It takes what `ten_of_ten` takes.
    """
    return _highest("5-of-10", Case.of(power_kw, start, end, options), (5, 10, 5))


def four_of_five(
    power_kw: Power, start: Moment, end: Moment, **options: Unpack[Options]
) -> Baseline:
    """Return the mean of the 4 days that used most at the event's hours, of the last 5.

    On a Saturday, and on a Sunday or holiday, 2 of the last 3. PJM's rule for economic demand
    response (Manual 11), with the additive adjustment that it calls symmetric, but for its
    replacing of days that used under a quarter of the mean. It takes what `ten_of_ten` takes.
    """
    case = Case.of(power_kw, start, end, options)
    return _highest("4-of-5", case, (4, 5, 4) if _business(case) else (2, 3, 2))


def three_of_five(
    power_kw: Power, start: Moment, end: Moment, **options: Unpack[Options]
) -> Baseline:
    """Return the mean of the 3 days that used most at the event's hours, of the last 5.

    PG&E's rule for weekends and holidays (Power Saver FAQ). It takes what `ten_of_ten` takes.
    """
    return _highest("3-of-5", Case.of(power_kw, start, end, options), (3, 5, 3))


def match_day(power_kw: Power, start: Moment, end: Moment, **options: Unpack[Options]) -> Baseline:
    """Return the mean of the 3 days that are most like the day of the event.

    Alike is the least root mean square difference over the local day, without the event and the
    hour on each side of it. PJM (change of Manual 11; RTO Insider 23098). The hours after the
    event hold the rebound, which makes days of a high evening look alike. It takes what
    `ten_of_ten` takes.
    """
    case = Case.of(power_kw, start, end, options, adjust=None)
    past = Past(case)
    today = case.start.tz_convert(case.tz).date()
    same = np.asarray(case.stamps.tz_convert(case.tz).date == today)
    same &= ~case.around(1, 1, 0) & ~case.in_event
    far = np.array([mean((past.held(day) - case.actual)[same] ** 2) for day in past.days])
    among, notes = pool(past, 3, len(past.days), 3)
    chosen = least(far, among & ~np.isnan(far), 3)
    return _weighed("match-day", past, chosen.astype(float), notes)


def ninety_ten(power_kw: Power, start: Moment, end: Moment, **options: Unpack[Options]) -> Baseline:
    """Return 0.9 × the baseline so far + 0.1 × the last day, day by day over the look-back.

    It begins with the mean of the 10 oldest days. ISO New England, until its proposal of 2015 to
    replace it by 10-of-10. It takes what `ten_of_ten` takes.
    """
    past = Past(Case.of(power_kw, start, end, options))
    among, notes = pool(past, 10, len(past.days), 10)
    found, newer = among.sum(axis=0), among.cumsum(axis=0) - 1
    first = np.minimum(found, 10)
    begun = 0.9 ** (found - first) / np.maximum(first, 1)
    weights = np.where(newer >= found - first, begun, 0.1 * 0.9**newer) * among
    return _weighed("90/10", past, weights, notes)


def same_day(
    power_kw: Power,
    start: Moment,
    end: Moment,
    *,
    before_h: float = 3.0,
    after_h: float = 2.0,
    gap_h: float = 1.0,
    **options: Unpack[Options],
) -> Baseline:
    """Return the mean of 3 hours before and 2 hours after the event, an hour from it: one number.

    PJM's "3 + 2" (change of Manual 11; RTO Insider 23098: for an event in the hours ending 13 to
    17 those ending 9 to 11 and 19 to 20). The hours after hold the rebound.

    Parameters
    ----------
    power_kw, start, end, **options
        As in `ten_of_ten`; nothing is said of days.
    before_h, after_h, gap_h : float
        How many hours before and after, and how far from the event [h].
    """
    case = Case.of(power_kw, start, end, options, adjust=None, before_h=before_h + gap_h)
    return _level("3+2 same-day", case, before_h, after_h, gap_h)


def meter_before_after(
    power_kw: Power,
    start: Moment,
    end: Moment,
    *,
    before_h: float = 1.0,
    **options: Unpack[Options],
) -> Baseline:
    """Return the mean of the hour before the event: one number.

    NAESB's "meter before, meter after": what the meter showed before is compared with what it
    shows once the event is on. For short products (DNV for Energiforsk, on Nordic ones).

    Parameters
    ----------
    power_kw, start, end, **options
        As in `ten_of_ten`; nothing is said of days.
    before_h : float
        How many hours [h].
    """
    case = Case.of(power_kw, start, end, options, adjust=None, before_h=before_h)
    return _level("meter before/after", case, before_h, 0.0, 0.0)


def control_group(
    power_kw: Power, start: Moment, end: Moment, control_kw: Power, **options: Unpack[Options]
) -> Baseline:
    """Return the mean of meters that were not asked, moved to each meter by the hours before.

    With the adjustment it is the difference in differences: (meter − control) in the event less
    (meter − control) before. CAISO settles by control groups too ("Baseline Accuracy Work Group
    Proposal", 2017-04-04). For meters of different sizes take the ratio:
    ``Adjustment("multiplicative", limits=(-1, math.inf))``.

    Parameters
    ----------
    power_kw, start, end, **options
        As in `ten_of_ten`; the adjustment has no cap here.
    control_kw : Series or DataFrame
        The hold-out's power [kW], like those that were asked, over the same times.
    """
    case = Case.of(power_kw, start, end, options, adjust=DIFFERENCE)
    control = as_meters(control_kw, "control_kw").reindex(case.stamps).to_numpy()
    base = np.broadcast_to(mean(control.T)[:, None], case.actual.shape)
    return finished("control group", case, base, [_nothing(base, case)])


def twin(
    power_kw: Power, start: Moment, end: Moment, twin_kw: Power, **options: Unpack[Options]
) -> Baseline:
    """Return the truth: the same meters, simulated with the same seed and without the event.

    Parameters
    ----------
    power_kw, start, end, **options
        As in `ten_of_ten`; nothing is said of days, and `until` is where the twin ends.
    twin_kw : Series or DataFrame
        The twin's power [kW], of the same meters.
    """
    return given(power_kw, start, end, twin_kw, rule="twin", **options)


def given(
    power_kw: Power,
    start: Moment,
    end: Moment,
    baseline_kw: Power,
    *,
    rule: str = "given",
    **options: Unpack[Options],
) -> Baseline:
    """Return a baseline that somebody else made, so that it can be measured by like the others.

    Parameters
    ----------
    power_kw, start, end, **options
        As in `ten_of_ten`; nothing is said of days, and `until` is where it ends.
    baseline_kw : Series or DataFrame
        The baseline [kW], of the same meters.
    rule : str
        How it is called.
    """
    table = alike(power_kw, baseline_kw, f"the {rule} baseline")
    options.setdefault("until", table.index[-1] + step_of(table))
    case = Case.of(power_kw, start, end, options, adjust=None)
    base = table.reindex(case.stamps).to_numpy()
    return finished(rule, case, base, [_nothing(base, case)])


RULES: dict[str, Callable[..., Baseline]] = {
    "10-of-10": ten_of_ten,
    "5-of-10": five_of_ten,
    "4-of-5": four_of_five,
    "3-of-5": three_of_five,
    "match-day": match_day,
    "90/10": ninety_ten,
    "3+2 same-day": same_day,
    "meter before/after": meter_before_after,
}
"""The rules that need nothing but the meter, by the name that a `Baseline` gives."""


def _business(case: Case) -> bool:
    return kind_of(case.start.tz_convert(case.tz).date()) == "business"


def _highest(rule: str, case: Case, wanted: tuple[int, int, int]) -> Baseline:
    """Take the `x` days of highest use of the last `y`; under `fewest`, called ones too."""
    x, y, fewest = wanted
    past = Past(case)
    among, notes = pool(past, y, y, fewest)
    return _weighed(rule, past, least(-past.use, among, x).astype(float), notes)


def _weighed(rule: str, past: Past, weights: Array, notes: list[list[str]]) -> Baseline:
    import pandas as pd

    total = weights.sum(axis=0)
    shares = np.divide(weights, total, out=np.zeros(weights.shape), where=total > 0)
    used = pd.DataFrame(shares, pd.Index(past.days, name="day"), past.case.table.columns)[::-1]
    base = past.weighted(weights)
    return finished(rule, past.case, base, notes, used=used[(used > 0).any(axis=1)])


def _level(rule: str, case: Case, before_h: float, after_h: float, gap_h: float) -> Baseline:
    """Take one number: the mean of the event's own day around it."""
    level = mean(case.actual[case.around(before_h, after_h, gap_h)])
    base = np.broadcast_to(level, case.actual.shape)
    return finished(rule, case, base, [_nothing(base, case)])


def _nothing(base: Array, case: Case) -> list[str]:
    """Say of which meters nothing is known."""
    known = ~np.isnan(mean(base[case.in_event]))
    return ["" if there else "no data" for there in known.tolist()]
