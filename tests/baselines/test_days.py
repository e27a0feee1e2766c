"""Which days a baseline is made of: kinds, calls, look-back, missing data, changes of the clock."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from tests.baselines.meters import BUSINESS, EVENT, TODAY, TZ, hours, levels, local, profile
from venlab.baselines import RULES, five_of_ten, ninety_ten, same_day, ten_of_ten, twin
from venlab.errors import DataError, LocalTimeError

ALL = {day: float(n) for n, day in enumerate(BUSINESS, 1)} | {TODAY: 5.0}  # yesterday 1 kW, …


def kw(power: pd.Series[float], **options: object) -> float:
    return float(ten_of_ten(power, *EVENT, adjust=None, **options).event_kw.iloc[0])


def test_called_days_are_not_used() -> None:
    """Without the days of 1 and 3 kW the last ten are 2, 4 … 12: their mean is 7.4."""
    called = [BUSINESS[0].isoformat(), BUSINESS[2]]
    assert kw(levels(ALL), called=called) == pytest.approx((2 + sum(range(4, 13))) / 10)


def test_an_event_calls_each_local_day_it_touches() -> None:
    """An event over midnight takes out two days, one that ends at midnight only its own."""
    over = [("2023-11-27 22:00", "2023-11-28 01:00")]  # 3 and 2 kW
    assert kw(levels(ALL), called=over) == pytest.approx((1 + sum(range(4, 13))) / 10)
    until = [("2023-11-27 22:00", "2023-11-28 00:00")]
    assert kw(levels(ALL), called=until) == pytest.approx((1 + 2 + sum(range(4, 12))) / 10)
    utc = [pd.Timestamp("2023-11-26T23:30Z")]  # half past midnight of the 27th in Copenhagen
    assert kw(levels(ALL), called=utc) == kw(levels(ALL), called=until)


def test_the_day_after_a_called_one_goes_when_asked() -> None:
    """With the 27th called, the 28th (2 kW) is left out too only with `skip_day_after`."""
    called = ["2023-11-27"]
    assert kw(levels(ALL), called=called) == pytest.approx((1 + 2 + sum(range(4, 12))) / 10)
    skipped = kw(levels(ALL), called=called, skip_day_after=True)
    assert skipped == pytest.approx((1 + sum(range(4, 13))) / 10)


def test_fewer_days_are_said() -> None:
    """With a look-back of 9 days there are 7 business days, 1 … 7 kW: their mean, and a note."""
    found = ten_of_ten(levels(ALL), *EVENT, adjust=None, lookback_days=9)
    assert found.event_kw.iloc[0] == 4
    assert found.note == "7 of 10 days found"


def test_called_days_fill_up_to_the_least_number() -> None:
    """Of 7 business days 4 were called (3 … 6 kW): three are left, and five are wanted.

    The two called ones of highest use come back, 6 and 5 kW: (1 + 2 + 7 + 6 + 5) / 5 = 4.2.
    """
    called = BUSINESS[2:6]
    found = ten_of_ten(levels(ALL), *EVENT, adjust=None, lookback_days=9, called=called)
    assert found.event_kw.iloc[0] == pytest.approx(4.2)
    assert found.note == "3 of 10 days found; called days taken too: 2023-11-22, 2023-11-23"


def test_the_look_back_is_45_days() -> None:
    """Of a longer history day 45, Monday 16 October, is used, the Friday before it not."""
    index = hours("2023-09-01")
    power = levels(dict.fromkeys({t.date() for t in local(index)}, 1.0), index)
    assert ninety_ten(power, *EVENT).days.index[0] == date(2023, 10, 16)
    longer = ninety_ten(power, *EVENT, lookback_days=48)
    assert longer.days.index[0] == date(2023, 10, 13)


def test_of_equal_days_the_newest_are_taken() -> None:
    """A meter that shows the same each day: the highest 5 of 10 are the last five."""
    found = five_of_ten(levels(dict.fromkeys(ALL, 1.0)), *EVENT)
    assert list(found.days.index) == BUSINESS[4::-1]


def test_no_day_at_all_is_an_error() -> None:
    """A history that begins today, or on a Saturday for a Monday's event, is too short."""
    power = levels(ALL, hours("2023-11-30"))
    with pytest.raises(DataError) as caught:
        ten_of_ten(power, *EVENT)
    assert str(caught.value) == (
        "no business day in the 0 days of data before 2023-11-30 can be used. "
        "Give more days of history: 45 are usual."
    )
    monday = ("2023-11-27 17:00", "2023-11-27 19:00")
    with pytest.raises(DataError, match="no business day in the 2 days of data before 2023-11-27"):
        ten_of_ten(levels(ALL, hours("2023-11-25")), *monday)


def test_the_event_day_is_no_day_of_its_own_baseline() -> None:
    """What happens on the day of the event, or after it, does not change an unadjusted baseline."""
    index = hours(last="2023-12-08")
    power = levels(ALL | {date(2023, 12, n): 1000.0 for n in range(1, 8)}, index)
    assert kw(power) == 5.5


def test_holidays_are_sundays() -> None:
    """Grundlovsdag, Monday 5 June 2023, is no business day: the last ten before the 6th skip it."""
    power = levels({}, hours("2023-05-01", "2023-06-07")).fillna(1.0)
    power[local(power.index).date == date(2023, 6, 5)] = 1000.0
    found = ten_of_ten(power, "2023-06-06 17:00", "2023-06-06 19:00", adjust=None)
    assert found.event_kw.tolist() == [1.0, 1.0]
    assert not {date(2023, 6, 5), date(2023, 5, 29)} & {*found.days.index}  # nor 2. pinsedag


def test_a_day_with_too_much_missing_is_left_out_and_named() -> None:
    """Yesterday misses one of two hours: the ten days are 2 … 11 kW (6.5), not 0 and 2 … 10."""
    power = levels(ALL)
    power["2023-11-29T16:00Z"] = np.nan
    found = ten_of_ten(power, *EVENT, adjust=None)
    assert found.event_kw.tolist() == [6.5, 6.5]
    assert found.note == "too much missing on 2023-11-29"


def test_what_else_is_missing_counts_for_nothing() -> None:
    """With half allowed, yesterday stays: its missing hour is the mean of the nine others, 6."""
    power = levels(ALL)
    power["2023-11-29T16:00Z"] = np.nan
    found = ten_of_ten(power, *EVENT, adjust=None, most_missing=0.5)
    assert found.event_kw.tolist() == [6.0, 5.5]
    assert found.note == ""


def test_a_missing_hour_does_not_lower_a_days_rank() -> None:
    """The day of 10 kW misses half the event: it is still among the five highest."""
    power = levels(ALL)
    power[(local(power.index).date == BUSINESS[9]) & (local(power.index).hour == 17)] = np.nan
    found = five_of_ten(power, *EVENT, adjust=None, most_missing=0.5)
    assert BUSINESS[9] in found.days.index


def test_a_day_that_is_missing_whole_is_never_used() -> None:
    """However much may be missing: a day without a value at the event's hours is no day."""
    power = levels(ALL)
    power[local(power.index).date == BUSINESS[0]] = np.nan
    assert kw(power, most_missing=1.0) == 6.5


def test_meters_choose_their_days_each_by_itself() -> None:
    """A meter that misses days has a note and days of its own, and its neighbour does not care."""
    power = pd.DataFrame({"whole": levels(ALL), "holes": levels(ALL)})
    power.loc[local(power.index).date == BUSINESS[0], "holes"] = np.nan
    found = ten_of_ten(power, *EVENT, adjust=None)
    assert found.event_kw.iloc[0].tolist() == [5.5, 6.5]
    assert found.note.tolist() == ["", "too much missing on 2023-11-29"]
    assert found.days.loc[BUSINESS[0]].tolist() == pytest.approx([0.1, 0.0])


def test_a_meter_without_history_among_others_has_no_baseline() -> None:
    """It is NaN with a note, never zero, and does not keep the others from theirs."""
    power = pd.DataFrame({"old": levels(ALL), "new": levels({TODAY: 5.0})})
    for rule in ("10-of-10", "match-day", "90/10"):
        found = RULES[rule](power, *EVENT)
        assert found.event_kw["old"].notna().all()
        assert found.event_kw["new"].isna().all()
        assert found.note["new"].startswith("0 of ")


# -- the clock -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["1h", "15min"])
@pytest.mark.parametrize("name", ["10-of-10", "5-of-10", "4-of-5", "3-of-5", "match-day", "90/10"])
@pytest.mark.parametrize("day", ["2023-10-31", "2023-10-29", "2023-04-04", "2023-03-26"])
def test_a_change_of_the_clock_shifts_nothing(day: str, name: str, step: str) -> None:
    """A meter that lives by the local hour has that as its baseline, before, on, after the day."""
    first, last = (pd.Timestamp(day) + timedelta(days=n) for n in (-50, 1))
    index = hours(str(first), str(last), step)
    power = profile(lambda hour: 10 + hour, index)
    found = RULES[name](power, f"{day} 17:00", f"{day} 19:00")
    assert len(found.power_kw) == len(index[local(index).date == date.fromisoformat(day)])
    known = (day != "2023-03-26") | (local(found.power_kw.index).hour != 2)
    np.testing.assert_allclose(found.power_kw[known], power[found.power_kw.index][known])


def test_an_hour_that_a_day_has_not_is_missing_in_it() -> None:
    """For an event from 2 to 3 on a Sunday, that of spring has no such hour, and is named."""
    power = profile(lambda hour: 10 + hour, hours("2023-03-01", "2023-04-03"))
    found = ten_of_ten(power, "2023-04-02 02:00", "2023-04-02 03:00", adjust=None)
    assert found.event_kw.tolist() == [12.0]
    assert found.note == "3 of 4 days found; too much missing on 2023-03-26"


def test_an_hour_that_a_day_has_twice_counts_with_its_mean() -> None:
    """In autumn 2 h shows 10, then 20 kW: such a day gives 15, one of 24 hours its own 3 kW."""
    power = profile(lambda hour: 3, hours("2023-10-20", "2023-11-06"))
    power["2023-10-29T00:00Z"], power["2023-10-29T01:00Z"] = 10.0, 20.0
    event = ("2023-11-05 02:00", "2023-11-05 03:00")
    found = ten_of_ten(power, *event, adjust=None)
    assert found.event_kw.tolist() == [pytest.approx((15 + 3) / 2)]


def test_another_zone_has_other_days() -> None:
    """The same meter and moments, but New York's days: it is 11 to 13 there."""
    power = profile(lambda hour: hour, hours())
    there = ten_of_ten(power, "2023-11-30 11:00", "2023-11-30 13:00", tz="America/New_York")
    here = ten_of_ten(power, *EVENT)
    assert there.event_kw.tolist() == here.event_kw.tolist() == [17.0, 18.0]
    assert there.power_kw.index[0] == pd.Timestamp("2023-11-30T05:00Z")


# -- what cannot be ----------------------------------------------------------------------------


def test_bad_data_are_said() -> None:
    """Each error names what is wrong and what to do."""
    power = levels(ALL)
    naive = power.tz_localize(None)
    with pytest.raises(DataError, match=r"the times of power_kw have no zone. Say which zone"):
        ten_of_ten(naive, *EVENT)
    with pytest.raises(DataError, match=r"not regular at 2023-11-01T13:00.*asfreq"):
        ten_of_ten(power.drop(pd.Timestamp("2023-11-01T12:00Z")), *EVENT)
    with pytest.raises(DataError, match=r"not regular at .*sort_index"):
        ten_of_ten(power[::-1], *EVENT)
    with pytest.raises(DataError, match=r"not regular at"):
        ten_of_ten(pd.concat([power, power[-1:]]), *EVENT)
    with pytest.raises(DataError, match=r"intervals of 0 days 02:00:00"):
        ten_of_ten(power[::2], *EVENT)
    with pytest.raises(DataError, match=r"no table of meters"):
        ten_of_ten(power.reset_index(drop=True), *EVENT)
    with pytest.raises(DataError, match=r"no table of meters"):
        ten_of_ten(pd.DataFrame(index=power.index), *EVENT)
    with pytest.raises(DataError, match=r"no table of meters"):
        ten_of_ten(power.to_numpy(), *EVENT)
    with pytest.raises(DataError, match=r"one interval only"):
        ten_of_ten(power[-1:], *EVENT)
    with pytest.raises(DataError, match=r"names a meter twice"):
        ten_of_ten(pd.concat([power, power], axis=1, keys=["a", "a"]), *EVENT)
    with pytest.raises(DataError, match=r"holds no numbers"):
        ten_of_ten(power.astype(object).where(power.notna(), "a lot"), *EVENT)
    with pytest.raises(DataError, match=r"an infinite value"):
        ten_of_ten(power.fillna(np.inf), *EVENT)
    with pytest.raises(DataError, match=r"no meter has a value in the event"):
        ten_of_ten(levels(dict.fromkeys(BUSINESS, 1.0)), *EVENT)
    with pytest.raises(DataError, match=r"the twin baseline has no meter b"):
        twin(pd.DataFrame({"a": power, "b": power}), *EVENT, power.to_frame("a"))
    with pytest.raises(DataError, match=r"finds no data"):
        same_day(levels({TODAY: 5.0}).where(local(power.index).hour.isin([17, 18])), *EVENT)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2023-12-02 17:00", "2023-12-02 19:00", "is not in the data. They go from 2023-10-15T22"),
        ("2023-10-15 17:00", "2023-10-15 19:00", "is not in the data"),
        ("2023-11-30 23:00", "2023-12-01 01:00", "is not in the data"),
        ("2023-11-30 19:00", "2023-11-30 17:00", "not after its start"),
        ("2023-11-30 17:00", "2023-11-30 17:00", "not after its start"),
        ("soon", "later", "'soon' is no time"),
    ],
)
def test_bad_events_are_said(start: str, end: str, words: str) -> None:
    """An event outside the data, or that ends before it starts, is an error that says so."""
    with pytest.raises(DataError, match=words):
        ten_of_ten(levels(ALL), start, end)


def test_a_local_time_that_occurs_twice_is_said() -> None:
    """The hour of autumn has to be written with its offset."""
    power = profile(lambda hour: 10 + hour, hours())
    with pytest.raises(LocalTimeError, match="occurs twice"):
        ten_of_ten(power, "2023-10-29 02:00", "2023-10-29 04:00")
    found = ten_of_ten(power, "2023-10-29 02:00+02:00", "2023-10-29 04:00", adjust=None)
    assert found.event_kw.tolist() == [12, 12, 13]


def test_times_come_as_text_as_datetime_or_as_timestamp() -> None:
    """Local text, an aware Timestamp and a naive datetime of Copenhagen are one event."""
    aware = [pd.Timestamp(t, tz=TZ) for t in EVENT]
    naive = [pd.Timestamp(t).to_pydatetime() for t in EVENT]
    for start, end in (aware, naive):
        found = ninety_ten(levels(ALL), start, end)
        assert (found.start, found.end) == (
            pd.Timestamp("2023-11-30T16:00Z"),
            pd.Timestamp("2023-11-30T18:00Z"),
        )
