from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from venlab.calendar import day_type, holiday_name, parse_time, profile_day, profile_quarter
from venlab.errors import ConfigError, DataError, LocalTimeError
from venlab.profiles import Profiles

FIRST = date(2023, 1, 1)
CLOSED_2023 = {
    date(2023, 1, 1): "Nytårsdag",
    date(2023, 4, 6): "Skærtorsdag",
    date(2023, 4, 7): "Langfredag",
    date(2023, 4, 9): "Påskedag",
    date(2023, 4, 10): "2. påskedag",
    date(2023, 5, 5): "Store Bededag",
    date(2023, 5, 18): "Kristi himmelfartsdag",
    date(2023, 5, 28): "Pinsedag",
    date(2023, 5, 29): "2. pinsedag",
    date(2023, 6, 5): "Grundlovsdag",
    date(2023, 12, 24): "Juleaften",
    date(2023, 12, 25): "Juledag",
    date(2023, 12, 26): "2. juledag",
}
YEAR = [FIRST + timedelta(days=d) for d in range(365)]


def stand_in(day: date) -> date:
    return FIRST + timedelta(days=profile_day(day))


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2023-11-30T16:00", "2023-11-30T15:00:00+00:00"),
        ("2023-07-01 16:00", "2023-07-01T14:00:00+00:00"),
        ("2023-11-30", "2023-11-29T23:00:00+00:00"),
        ("2023-11-30T16:00Z", "2023-11-30T16:00:00+00:00"),
        ("2023-11-30T16:00-05:00", "2023-11-30T21:00:00+00:00"),
        ("2023-10-29T02:30+02:00", "2023-10-29T00:30:00+00:00"),
    ],
)
def test_a_time_without_zone_is_copenhagens(text: str, utc: str) -> None:
    """A person's time is local unless it carries a zone, and is kept as UTC."""
    assert parse_time(text).isoformat() == utc


def test_a_local_time_in_the_gap_of_spring_names_both_moments() -> None:
    """02:30 on 26 March 2023 does not exist: it may mean 01:30 or 03:30."""
    with pytest.raises(LocalTimeError) as caught:
        parse_time("2023-03-26T02:30")
    assert str(caught.value) == (
        "2023-03-26T02:30 does not exist in Europe/Copenhagen. "
        "Write 2023-03-26T01:30+01:00 or 2023-03-26T03:30+02:00."
    )


def test_a_local_time_that_occurs_twice_names_both_moments() -> None:
    """02:30 on 29 October 2023 occurs twice: the error says how to write either."""
    with pytest.raises(LocalTimeError) as caught:
        parse_time("2023-10-29T02:30")
    assert str(caught.value) == (
        "2023-10-29T02:30 occurs twice in Europe/Copenhagen. "
        "Write 2023-10-29T02:30+02:00 or 2023-10-29T02:30+01:00."
    )


@given(st.text(max_size=30))
def test_what_is_no_time_is_a_data_error(text: str) -> None:
    """No text makes another exception than a DataError."""
    with contextlib.suppress(DataError):
        assert parse_time(text).tzinfo is UTC


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "9999-12-31T23:59", "1899-12-31T00:00Z"])
def test_a_year_out_of_reach_is_a_data_error(text: str) -> None:
    """Times near the ends of what Python can count are refused, not overflowed."""
    with pytest.raises(DataError, match="1900 to 2200"):
        parse_time(text)


@pytest.mark.parametrize("tz", ["Europe/Atlantis", "", "../etc/passwd", "Europe"])
def test_an_unknown_zone_is_a_config_error(tz: str) -> None:
    """A wrong time zone is told as such."""
    with pytest.raises(ConfigError, match="unknown time zone"):
        parse_time("2023-11-30T16:00", tz)


def test_the_closing_days_of_2023_are_the_13_known() -> None:
    """2023 has these 13 holidays and closing days and no others."""
    assert {day: name for day in YEAR if (name := holiday_name(day))} == CLOSED_2023


def test_the_profiles_are_closed_on_those_days_only() -> None:
    """An office of the profiles burns its light on the 13 days as on a Sunday, else more."""
    profiles = Profiles.load()
    lighting = profiles.power_kw[:, profiles.index("medium_office"), 3]
    daily_kwh = lighting.reshape(365, 96).sum(axis=1) / 4
    sundays = [d for d, day in enumerate(YEAR) if day_type(day) == "sunday"]
    closed = [(day - FIRST).days for day in CLOSED_2023]
    assert daily_kwh[closed] == pytest.approx(daily_kwh[sundays].mean(), rel=0.01)
    business = [d for d, day in enumerate(YEAR) if day_type(day) == "business"]
    assert daily_kwh[business].min() > 5 * daily_kwh[closed].max()


def test_store_bededag_ends_with_2023() -> None:
    """The fourth Friday after Easter is a holiday until 2023 and a working day since."""
    assert holiday_name(date(2022, 5, 13)) == "Store Bededag"
    assert stand_in(date(2022, 5, 13)) == date(2023, 5, 5)
    assert holiday_name(date(2024, 4, 26)) is None
    assert day_type(date(2024, 4, 26)) == "business"


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2024, 4, 1), date(2023, 4, 10)),  # Easter Monday: by name
        (date(2024, 2, 29), date(2023, 3, 2)),  # a Thursday, 364 days back
        (date(2022, 3, 3), date(2023, 3, 2)),  # a Thursday, 364 days ahead
        (date(2024, 5, 3), date(2023, 4, 28)),  # 364 days back is 5 May: the week before
        (date(2024, 6, 3), date(2023, 6, 12)),  # 5 June, and 29 May is one too: the week after
        (date(2024, 12, 29), date(2023, 12, 31)),  # 364 days back, not 728
        (date(2022, 1, 2), date(2023, 1, 8)),  # 364 days ahead is 1 January: the week after
        (date(2025, 12, 24), date(2023, 12, 24)),
    ],
)
def test_a_date_takes_a_day_of_2023_of_its_kind(day: date, expected: date) -> None:
    """Holidays go by name, else the nearest multiple of 364 days, a week off a holiday."""
    assert stand_in(day) == expected


def test_2023_stands_for_itself() -> None:
    """Within 2023 every date is its own profile day."""
    assert [stand_in(day) for day in YEAR] == YEAR


@given(st.dates(date(2000, 1, 1), date(2060, 12, 31)))
def test_the_kind_of_a_day_is_kept(day: date) -> None:
    """For any date: in range, same type and name, same weekday; 5 May unused after 2023."""
    found = stand_in(day)
    assert found.year == 2023
    assert day_type(found) == day_type(day)
    if not holiday_name(day):
        assert found.weekday() == day.weekday()
        assert (found - day).days % 7 == 0
    if day.year > 2023:
        assert found != date(2023, 5, 5)


def test_quarters_are_local() -> None:
    """16:00 in Copenhagen is quarter 64, in winter as in summer."""
    assert profile_quarter(datetime(2023, 11, 30, 15, 0, tzinfo=UTC)) == (333, 64)
    assert profile_quarter(datetime(2023, 7, 1, 14, 14, 59, tzinfo=UTC)) == (181, 64)
    assert profile_quarter(datetime(2023, 7, 1, 14, 0, tzinfo=UTC), "Europe/London") == (181, 60)


def test_spring_skips_an_hour_and_autumn_uses_one_twice() -> None:
    """Local quarters 8 to 11 never come on 26 March and come twice on 29 October."""

    def quarters(day: date) -> list[int]:
        midnight = datetime.combine(day, datetime.min.time(), UTC) - timedelta(hours=3)
        hits = (profile_quarter(midnight + n * timedelta(minutes=15)) for n in range(120))
        return [q for d, q in hits if d == profile_day(day)]

    spring, autumn = quarters(date(2023, 3, 26)), quarters(date(2023, 10, 29))
    assert spring == [*range(8), *range(12, 96)]
    assert autumn == [*range(12), *range(8, 96)]


def test_profile_days_are_plain_integers() -> None:
    """Indices can be stored and printed as they are."""
    assert type(profile_day(np.datetime64("2024-05-01").item())) is int
