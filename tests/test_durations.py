"""ISO 8601 durations."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venlab.durations import FOR_EVER, format_duration, parse_duration
from venlab.errors import DataError


def test_a_reading_of_seven_and_a_half_minutes() -> None:
    """PT7M30S is 450 s, both ways."""
    assert parse_duration("PT7M30S") == timedelta(seconds=450)
    assert format_duration(timedelta(seconds=450)) == "PT7M30S"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT0S", 0), ("P1D", 86400), ("P2W", 1209600), ("P1DT1H", 90000), ("PT0.25S", 0.25)],
)
def test_known_durations(text: str, seconds: float) -> None:
    """Each unit has its length."""
    assert parse_duration(text).total_seconds() == seconds


def test_for_ever() -> None:
    """P9999Y is the standard's word for an infinite duration."""
    assert parse_duration("P9999Y") == FOR_EVER
    assert format_duration(FOR_EVER) == "P9999Y"


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "15M", "PT-5M", "-PT5M", "P1Y", "P1M", "P1W2D", "PT1M1H", "P99999999999D"],
)
def test_what_is_no_fixed_duration_is_refused(text: str) -> None:
    """Negative, empty, calendar and disordered durations are errors that show the text."""
    with pytest.raises(DataError, match=r"duration|longer"):
        parse_duration(text)


def test_negative_lengths_cannot_be_said() -> None:
    """OpenADR has no negative durations."""
    with pytest.raises(DataError, match="negative"):
        format_duration(timedelta(seconds=-1))


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=4_000_000)))
def test_what_is_written_is_read_back(length: timedelta) -> None:
    """Writing and reading is the identity, to the microsecond."""
    assert parse_duration(format_duration(length)) == length
