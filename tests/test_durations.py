"""ISO 8601 durations."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venlab.durations import END_OF_TIME, FOR_EVER, Duration
from venlab.errors import DataError

# components/schemas/duration/pattern of OpenADR 3.0.1 and 3.1.0, to the letter; in their dialect
# of patterns \d is an ASCII digit.
PATTERN = re.compile(
    r"^(-?)P(?=\d|T\d)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)([DW]))?"
    r"(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$",
    re.ASCII,
)
durations = st.builds(
    lambda months, exact, back: Duration(-months, -exact) if back else Duration(months, exact),
    st.integers(0, 9999 * 12 - 1),
    st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=4_000_000)),
    st.booleans(),
)


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_reading_of_seven_and_a_half_minutes() -> None:
    """PT7M30S is 450 s, both ways."""
    assert Duration.parse("PT7M30S") == Duration(exact=timedelta(seconds=450))
    assert str(Duration(exact=timedelta(seconds=450))) == "PT7M30S"


@pytest.mark.parametrize(
    ("text", "months", "seconds"),
    [
        ("PT0S", 0, 0),
        ("P0D", 0, 0),
        ("P1D", 0, 86400),
        ("P1DT", 0, 86400),  # the pattern has it, ISO 8601 has not
        ("P2W", 0, 1209600),
        ("P1DT1H", 0, 90000),
        ("PT0.25S", 0, 0.25),
        ("PT0.0000015S", 0, 0.000002),
        ("PT59.9999999S", 0, 60),
        ("PT90M", 0, 5400),
        ("-PT5M", 0, -300),
        ("P1M", 1, 0),
        ("P1Y2M3WT4H", 14, 3 * 604800 + 4 * 3600),
        ("-P1Y", -12, 0),
        ("P9998Y", 119976, 0),
    ],
)
def test_known_durations(text: str, months: int, seconds: float) -> None:
    """Each unit has its length; years are months; seconds are rounded to microseconds."""
    assert Duration.parse(text) == Duration(months, timedelta(seconds=seconds))


@pytest.mark.parametrize("text", ["P9999Y", "P10000Y", "P9999YT1H", "P99999999999D"])
def test_for_ever(text: str) -> None:
    """P9999Y is the standard's word for an infinite duration; nothing longer is told from it."""
    assert Duration.parse(text) == FOR_EVER
    assert str(FOR_EVER) == "P9999Y"
    assert Duration.parse("P" + "9" * 5000 + "Y") == FOR_EVER
    assert Duration.parse(f"-{text}") == Duration(-FOR_EVER.months)


@pytest.mark.parametrize(
    "text",
    [
        *("", "P", "PT", "15M", "PT-5M", "P1W2D", "PT1M1H", "P1.5D", "PT1.5M", "PT1.S", "+PT1S"),
        *("P1", "P1DT1", "PT1H\n", "P１D", "pt1h"),
    ],
)
def test_what_the_pattern_refuses_is_refused(text: str) -> None:
    """Empty and disordered durations are errors that show the text."""
    assert not PATTERN.fullmatch(text)
    with pytest.raises(DataError, match=r"no duration"):
        Duration.parse(text)


@given(st.from_regex(PATTERN, fullmatch=True))
def test_all_that_the_documents_allow_is_read_and_written(text: str) -> None:
    """What is read is written so that it is read as the same again, and the pattern takes it."""
    read = Duration.parse(text)
    assert Duration.parse(str(read)) == read
    assert PATTERN.fullmatch(str(read))


@given(st.text("PTYMWDHS-.0123456789\n", max_size=12))
def test_read_if_and_only_if_the_pattern_takes_it(text: str) -> None:
    """No other text is read."""
    if PATTERN.fullmatch(text):
        Duration.parse(text)
    else:
        with pytest.raises(DataError):
            Duration.parse(text)


@given(durations)
def test_what_is_written_is_read_back(length: Duration) -> None:
    """Writing and reading is the identity, to the microsecond."""
    assert Duration.parse(str(length)) == length


def test_two_ways_at_once() -> None:
    """A month forward and an hour back is no duration that anybody could write."""
    with pytest.raises(DataError, match="two ways"):
        Duration(1, timedelta(hours=-1))


@pytest.mark.parametrize(
    ("length", "begin", "end"),
    [
        ("P1M", "2023-01-31", "2023-02-28"),  # the last day that there is
        ("P1M", "2024-01-31", "2024-02-29"),
        ("P1Y", "2024-02-29", "2025-02-28"),
        ("P1M1D", "2023-01-30", "2023-03-01"),  # months first: 28 February, then a day
        ("-P1M", "2023-03-31", "2023-02-28"),
        ("P1D", "2023-10-28T22:00", "2023-10-29T22:00"),  # 24 h, and 29 October had 25
    ],
)
def test_months_are_those_of_the_calendar(length: str, begin: str, end: str) -> None:
    """By hand; in UTC, whatever the zone in which the begin is written."""
    assert Duration.parse(length).after(day(begin)) == day(end)
    local = day(begin).astimezone(ZoneInfo("Europe/Copenhagen"))
    assert Duration.parse(length).after(local) == day(end)


@pytest.mark.parametrize("length", ["P9999Y", "P8000Y", "P3000000D", "P999999999D"])
def test_no_time_is_later_than_the_end_of_time(length: str) -> None:
    """2023 + 9999 years is 12022, which no calendar here has."""
    assert Duration.parse(length).after(day("2023-01-01")) == END_OF_TIME
    assert Duration.parse(f"-{length}").after(day("2023-01-01")).year == 1


@given(durations, durations, st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)))
def test_a_longer_one_ends_later(a: Duration, b: Duration, begin: datetime) -> None:
    """What a duration that is not negative adds, never ends a sum earlier."""
    a, b = (Duration(abs(length.months), abs(length.exact)) for length in (a, b))
    at = begin.replace(tzinfo=UTC)
    assert at <= a.after(at) <= (a + b).after(at)


def test_a_sum_beyond_all_bounds_is_for_ever() -> None:
    """Two durations of two million years."""
    long = Duration(exact=timedelta(days=800_000_000))
    assert long + long == FOR_EVER
