from __future__ import annotations

import math
from datetime import date

import numpy as np
import pandas as pd
import pytest

from tests.baselines.meters import BUSINESS, EVENT, TODAY, hours, levels, local, profile
from venlab import baselines
from venlab.baselines import Adjustment

LAST_TEN = {day: float(n) for n, day in enumerate(BUSINESS[:10], 1)}  # yesterday 1 … 10 kW
OLDER = dict.fromkeys(BUSINESS[10:], 100.0)


def test_ten_of_ten_by_hand() -> None:
    """The last ten business days show 1 … 10 kW: their mean is 5.5, what is older has no say."""
    power = levels(OLDER | LAST_TEN | {TODAY: 5.0})
    found = baselines.ten_of_ten(power, *EVENT, adjust=None)
    assert found.event_kw.tolist() == [5.5, 5.5]
    assert list(found.days.index) == BUSINESS[9::-1]
    assert found.days.tolist() == pytest.approx([0.1] * 10)
    assert (found.note, found.adjustment_kw) == ("", 0)


def test_five_of_ten_by_hand() -> None:
    """Of 1 … 10 kW the five highest are 6 … 10: their mean is 8."""
    power = levels(OLDER | LAST_TEN | {TODAY: 5.0})
    found = baselines.five_of_ten(power, *EVENT, adjust=None)
    assert found.event_kw.tolist() == [8.0, 8.0]
    assert list(found.days.index) == BUSINESS[9:4:-1]


def test_highest_is_by_the_hours_of_the_event() -> None:
    """A day that uses much at noon, and nothing in the evening, is none of the highest."""
    power = levels(OLDER | LAST_TEN | {TODAY: 5.0})
    noon = (local(power.index).date == BUSINESS[0]) & (local(power.index).hour == 12)
    power[noon] = 1000.0
    assert baselines.five_of_ten(power, *EVENT, adjust=None).event_kw.tolist() == [8.0, 8.0]


def test_four_of_five_by_hand() -> None:
    """The last five days show 1 … 5 kW: without the lowest their mean is (2+3+4+5) / 4 = 3.5."""
    power = levels(OLDER | LAST_TEN | {TODAY: 5.0})
    assert baselines.four_of_five(power, *EVENT, adjust=None).event_kw.tolist() == [3.5, 3.5]


def test_three_of_five_by_hand() -> None:
    """Sundays and Christmas are of a kind: of the last five, 1 … 5 kW, the mean of 3, 4, 5 is 4."""
    newest_first = [date(2023, 12, 26), date(2023, 12, 25), date(2023, 12, 24), date(2023, 12, 17)]
    newest_first += [date(2023, 12, 10), date(2023, 12, 3)]
    of = {day: float(n) for n, day in enumerate(newest_first, 1)} | {date(2023, 12, 31): 9.0}
    power = levels(of, hours("2023-11-30", "2024-01-01"))
    event = ("2023-12-31 17:00", "2023-12-31 19:00")
    found = baselines.three_of_five(power, *event, adjust=None)
    assert found.event_kw.tolist() == [4.0, 4.0]
    assert date(2023, 12, 25) not in found.days.index
    assert date(2023, 12, 24) in found.days.index


@pytest.mark.parametrize(("rule", "kw"), [("10-of-10", 2.5), ("4-of-5", 2.5)])
def test_weekends_take_fewer_days(rule: str, kw: float) -> None:
    """Saturdays of 1 … 6 kW: CAISO takes the last 4 (2.5), PJM the 2 highest of 3 (2.5)."""
    saturdays = [date(2023, 11, 25), date(2023, 11, 18), date(2023, 11, 11), date(2023, 11, 4)]
    saturdays += [date(2023, 10, 28), date(2023, 10, 21)]
    of = {day: float(n) for n, day in enumerate(saturdays, 1)} | {date(2023, 12, 2): 9.0}
    power = levels(of, hours("2023-10-19", "2023-12-03"))
    event = ("2023-12-02 17:00", "2023-12-02 19:00")
    found = baselines.RULES[rule](power, *event, adjust=None)
    assert found.event_kw.tolist() == [kw, kw]
    assert found.note == ""


def test_match_day_by_hand() -> None:
    """Today shows 5 kW: the days of 4, 5 and 6 kW are most like it, and their mean is 5."""
    power = levels(OLDER | LAST_TEN | {TODAY: 5.0})
    power[slice("2023-11-30T16:00Z", "2023-11-30T17:59Z")] = 0.0
    power[slice("2023-11-30T15:00Z", "2023-11-30T15:59Z")] = 90.0  # the hour before has no say
    power[slice("2023-11-30T18:00Z", "2023-11-30T18:59Z")] = 90.0  # nor the hour after
    found = baselines.match_day(power, *EVENT)
    assert found.event_kw.tolist() == [5.0, 5.0]
    assert list(found.days.index) == BUSINESS[5:2:-1]


def test_ninety_ten_by_hand() -> None:
    """Ten days of 10 kW, then 20, then 30: 0.9 (0.9 · 10 + 0.1 · 20) + 0.1 · 30 = 12.9."""
    of = dict.fromkeys(BUSINESS[2:12], 10.0) | {BUSINESS[1]: 20.0, BUSINESS[0]: 30.0, TODAY: 1.0}
    power = levels(of, hours(BUSINESS[11].isoformat()))
    found = baselines.ninety_ten(power, *EVENT, adjust=None)
    assert found.event_kw.tolist() == pytest.approx([12.9, 12.9])
    assert found.days.iloc[-1] == pytest.approx(0.1)
    assert found.days.iloc[-2] == pytest.approx(0.09)
    assert found.days.iloc[0] == pytest.approx(0.081)


def test_same_day_by_hand() -> None:
    """PJM's own example: for the hours ending 13 to 17, the mean of those ending 9–11 and 19–20.

    Each hour shows its starting hour in kW: (8 + 9 + 10 + 18 + 19) / 5 = 12.8.
    """
    power = profile(lambda hour: hour, hours("2023-11-30"))
    found = baselines.same_day(power, "2023-11-30 12:00", "2023-11-30 17:00")
    assert found.event_kw.tolist() == [12.8] * 5


def test_meter_before_after_by_hand() -> None:
    """The hour before an event at 17 is the one from 16, which shows 16 kW."""
    power = profile(lambda hour: hour, hours("2023-11-30"))
    assert baselines.meter_before_after(power, *EVENT).event_kw.tolist() == [16.0, 16.0]
    longer = baselines.meter_before_after(power, *EVENT, before_h=2)
    assert longer.event_kw.tolist() == [15.5, 15.5]


def test_control_group_by_hand() -> None:
    """Two that were not asked rise from 10 to 14 kW in the mean; ours showed 20 before: 24."""
    index = hours("2023-11-30")
    evening = np.asarray((local(index).hour >= 17) & (local(index).hour < 19))
    power = pd.DataFrame({"ours": np.where(evening, 15.0, 20.0)}, index)
    control = pd.DataFrame(
        {"a": np.where(evening, 13.0, 8.0), "b": np.where(evening, 15.0, 12.0)}, index
    )
    found = baselines.control_group(power, *EVENT, control)
    assert found.event_kw["ours"].tolist() == [24.0, 24.0]
    assert found.unadjusted_kw["ours"].loc["2023-11-30T16:00Z"] == 14
    assert found.adjustment_kw["ours"] == 10
    ratio = Adjustment("multiplicative", limits=(-1, math.inf))
    scaled = baselines.control_group(power, *EVENT, control, adjust=ratio)
    assert scaled.event_kw["ours"].tolist() == [28.0, 28.0]  # 20 × 14 / 10


def test_twin_is_what_was_given() -> None:
    """The truth is the given table, meter by meter, whatever the order of its columns."""
    index = hours("2023-11-30")
    power = pd.DataFrame({"a": 1.0, "b": 2.0}, index)
    found = baselines.twin(power, *EVENT, pd.DataFrame({"b": 20.0, "a": 10.0}, index))
    assert found.event_kw.to_numpy().tolist() == [[10.0, 20.0]] * 2
    assert list(found.power_kw.columns) == ["a", "b"]
    assert len(found.days) == 0
    assert found.rule == "twin"


def test_a_series_gives_series_and_a_table_tables() -> None:
    """One meter as a Series or as a table of one column: the same numbers, one dimension less."""
    power = levels(OLDER | LAST_TEN | {TODAY: 5.0}).rename("shop")
    one = baselines.ten_of_ten(power, *EVENT)
    table = baselines.ten_of_ten(power.to_frame(), *EVENT)
    pd.testing.assert_series_equal(one.power_kw, table.power_kw["shop"])
    pd.testing.assert_series_equal(one.days, table.days["shop"])
    assert one.adjustment_kw == table.adjustment_kw["shop"] == pytest.approx(-0.5)
    assert one.note == table.note["shop"] == ""
    assert repr(one) == (
        "Baseline(10-of-10, 2023-11-30T16:00:00+00:00 to 2023-11-30T18:00:00+00:00, "
        "1 meter, 0 with a note)"
    )


def test_a_baseline_covers_the_day_and_four_hours_more() -> None:
    """From local midnight to the next; past an evening event four hours; as far as one asks."""
    power = levels(
        OLDER | LAST_TEN | {TODAY: 5.0, date(2023, 12, 1): 5.0}, hours(last="2023-12-02")
    )
    day = baselines.ten_of_ten(power, *EVENT).power_kw.index
    assert [t.isoformat()[:16] for t in local(day[[0, -1]])] == [
        "2023-11-30T00:00",
        "2023-11-30T23:00",
    ]
    night = baselines.ten_of_ten(power, "2023-11-30 21:00", "2023-11-30 23:00", adjust=None)
    assert local(night.power_kw.index[[-1]])[0].isoformat()[:16] == "2023-12-01T02:00"
    longer = baselines.ten_of_ten(power, *EVENT, until="2023-12-01 12:00")
    assert local(longer.power_kw.index[[-1]])[0].isoformat()[:16] == "2023-12-01T11:00"


def test_past_midnight_the_days_go_on() -> None:
    """An event from 23 to 1: each day gives its own night, so Friday 0 h follows Thursday 23 h."""
    index = hours(last="2023-12-02")
    power = levels({day: float(day.day) for day in {t.date() for t in local(index)}}, index)
    event = ("2023-11-30 23:00", "2023-12-01 01:00")
    found = baselines.ten_of_ten(power, *event, adjust=None)
    days = [29, 28, 27, 24, 23, 22, 21, 20, 17, 16]
    nights = [30, 29, 28, 25, 24, 23, 22, 21, 18, 17]
    assert found.event_kw.tolist() == pytest.approx([sum(days) / 10, sum(nights) / 10])


def test_rules_are_listed_by_their_names() -> None:
    """Each rule of the table needs nothing but the meter and calls itself as the table does."""
    power = levels(OLDER | LAST_TEN | {TODAY: 5.0})
    assert [rule(power, *EVENT).rule for rule in baselines.RULES.values()] == [*baselines.RULES]
