from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from tests.baselines.meters import BUSINESS, EVENT, TODAY, hours, levels, local
from venlab.baselines import Adjustment, ten_of_ten
from venlab.errors import ConfigError

TEN = levels(dict.fromkeys(BUSINESS, 10.0) | {TODAY: 10.0})  # each day 10 kW, today too


def today(of: dict[int, float], power: pd.Series[float] = TEN) -> pd.Series[float]:
    """A meter of 10 kW but for some local hours of today."""
    changed = power.copy()
    for hour, kw in of.items():
        changed[(local(power.index).date == TODAY) & (local(power.index).hour == hour)] = kw
    return changed


def test_additive_by_hand() -> None:
    """From 12 to 16 the meter shows 12, 10, 11, 11 kW, in the mean 1 more than its 10: 11 kW."""
    found = ten_of_ten(today({12: 12, 13: 10, 14: 11, 15: 11}), *EVENT)
    assert found.event_kw.tolist() == [11.0, 11.0]
    assert found.unadjusted_kw.loc[found.event_kw.index].tolist() == [10.0, 10.0]
    assert (found.adjustment_kw, found.note) == (1.0, "")


def test_multiplicative_by_hand() -> None:
    """Baseline 10 kW before, 20 in the event; 11 measured before: 11 / 10 · 20 = 22 kW."""
    evening = np.isin(local(TEN.index).hour, [17, 18])
    power = today({12: 11, 13: 11, 14: 11, 15: 11}, TEN.where(~evening, 20.0))
    found = ten_of_ten(power, *EVENT, adjust=Adjustment("multiplicative"))
    assert found.event_kw.tolist() == pytest.approx([22.0, 22.0])
    assert found.adjustment_kw == pytest.approx(2.0)
    assert ten_of_ten(power, *EVENT).event_kw.tolist() == [21.0, 21.0]  # additive: 20 + 1


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
@pytest.mark.parametrize(("before", "kw", "cap"), [(15.0, 12.0, "+20%"), (1.0, 8.0, "-20%")])
def test_the_cap_by_hand(kind: str, before: float, kw: float, cap: str) -> None:
    """5 kW more, or 9 less, than a baseline of 10: over a fifth, so it moves by 2 and says so."""
    power = today(dict.fromkeys(range(12, 16), before))
    found = ten_of_ten(power, *EVENT, adjust=Adjustment(kind))  # type: ignore[arg-type] # a parameter is any text to mypy
    assert found.event_kw.tolist() == [kw, kw]
    assert found.note == f"adjustment capped at {cap}"


def test_the_window_ends_an_hour_before_the_event() -> None:
    """What happens at 11, or from 16 on, is outside a window of four hours that ends at 16."""
    outside = today({11: 99, 16: 99, 17: 99, 18: 0, 19: 99, 20: 99})
    assert ten_of_ten(outside, *EVENT).event_kw.tolist() == [10.0, 10.0]
    for hour in (12, 15):
        assert ten_of_ten(today({hour: 12}), *EVENT).adjustment_kw == 0.5
    assert (
        ten_of_ten(today({16: 12}), *EVENT, adjust=Adjustment(hours=1, gap_h=0)).adjustment_kw == 2
    )


def test_hours_after_the_event_count_when_asked() -> None:
    """Two hours after, beginning an hour after the event: 20 and 21; (0 · 4 + 1 + 2) / 6 = 0.5."""
    power = today({19: 99, 20: 11, 21: 12, 22: 99})
    assert ten_of_ten(power, *EVENT, adjust=Adjustment(after_h=2)).adjustment_kw == 0.5


def test_up_only_without_a_cap() -> None:
    """Leap's rule: the hour that starts two hours before the event, up only."""
    leap = Adjustment(hours=1, gap_h=1, limits=(0, math.inf))
    assert ten_of_ten(today({15: 90}), *EVENT, adjust=leap).event_kw.tolist() == [90.0, 90.0]
    down = ten_of_ten(today({15: 1}), *EVENT, adjust=leap)
    assert down.event_kw.tolist() == [10.0, 10.0]
    assert down.note == "adjustment capped at +0%"


def test_too_little_before_the_event_is_no_adjustment() -> None:
    """Two of four hours are enough; with one there is none, and a note. Missing is not zero."""
    half = ten_of_ten(today({12: np.nan, 13: np.nan, 14: 12, 15: 12}), *EVENT)
    assert (half.adjustment_kw, half.note) == (2.0, "")
    quarter = ten_of_ten(today({12: np.nan, 13: np.nan, 14: np.nan, 15: 12}), *EVENT)
    assert quarter.event_kw.tolist() == [10.0, 10.0]
    assert quarter.note == "not adjusted: too little before the event to compare"


def test_a_ratio_needs_a_baseline_above_zero() -> None:
    """A meter with sun on its roof shows −10 kW: no ratio is taken of that, a difference is."""
    sunny = -TEN
    sunny[(local(TEN.index).date == TODAY) & (local(TEN.index).hour < 16)] = -9.0
    found = ten_of_ten(sunny, *EVENT, adjust=Adjustment("multiplicative"))
    assert found.event_kw.tolist() == [-10.0, -10.0]
    assert "not adjusted" in found.note
    assert ten_of_ten(sunny, *EVENT).event_kw.tolist() == [-9.0, -9.0]


def test_before_an_event_at_night_the_window_lies_in_the_day_before() -> None:
    """For an event at 3 the window is 22 to 2; its baseline hours are the evenings before."""
    power = levels(dict.fromkeys({t.date() for t in local(hours())}, 10.0))
    power["2023-11-29T21:00Z"] = 14.0  # 22 h on the 29th
    found = ten_of_ten(power, "2023-11-30 03:00", "2023-11-30 04:00")
    assert found.adjustment_kw == 1.0
    assert local(found.power_kw.index)[0].isoformat()[:16] == "2023-11-29T22:00"


def test_bad_adjustments_are_said() -> None:
    """Each value that makes no window or no limits is an error that names it."""
    with pytest.raises(ConfigError, match=r"adjustment 'ratio'\. Use additive"):
        Adjustment("ratio")  # type: ignore[arg-type] # wrong on purpose
    for wrong in ({"hours": 0.0}, {"gap_h": -1.0}, {"after_h": -1.0}, {"hours": math.nan}):
        with pytest.raises(ConfigError, match="has no window"):
            Adjustment(**wrong)  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(ConfigError, match=r"limits \(0\.2, -0\.2\)"):
        Adjustment(limits=(0.2, -0.2))
