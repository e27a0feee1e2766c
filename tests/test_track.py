"""One event in time: how long it lives, seen from outside."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from venlab.durations import FOR_EVER, Duration
from venlab.model import Event, Interval, Period, Signal
from venlab.track import Track, lifespan

BEGIN = datetime(2023, 11, 30, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)
PEAK = Event.between(BEGIN, BEGIN + 2 * HOUR, name="peak")
LATER = Interval(1, (), Period(BEGIN + 5 * HOUR, Duration(exact=HOUR)))


@pytest.mark.parametrize(
    ("rule", "event", "begin_h", "end_h"),
    [
        ("one interval of two hours", PEAK, 0, 2),
        ("silent intervals count", replace(PEAK, intervals=(*PEAK.intervals, LATER)), 0, 6),
        ("whichever comes first", replace(PEAK, intervals=(LATER, *PEAK.intervals)), 5, 8),
        ("cut", replace(PEAK, duration=Duration(exact=HOUR)), 0, 1),
        ("repeated", replace(PEAK, duration=Duration(exact=5 * HOUR)), 0, 5),
        ("repeated for ever", replace(PEAK, duration=FOR_EVER), 0, None),
        ("for ever", replace(PEAK, period=Period(BEGIN, FOR_EVER)), 0, None),
        ("no duration", replace(PEAK, period=Period(BEGIN)), 0, 0),
        ("no period: for ever, once received", replace(PEAK, period=None), -1, None),
        ("now, for an hour", replace(PEAK, period=Period(None, Duration(exact=HOUR))), -1, 0),
        ("no intervals: that of the period", replace(PEAK, intervals=()), 0, 2),
        ("cancelled", replace(PEAK, cancelled=True), 0, 2),
        ("not randomised", replace(PEAK, period=Period(BEGIN, FOR_EVER, FOR_EVER)), 0, None),
    ],
)
def test_lifespan_by_hand(rule: str, event: Event, begin_h: int, end_h: int | None) -> None:
    """From the first begin to the last end; received, or else made, an hour before."""
    end = None if end_h is None else BEGIN + end_h * HOUR
    assert lifespan(event, BEGIN - HOUR) == (BEGIN + begin_h * HOUR, end), rule
    made = replace(event, created=BEGIN - HOUR)
    assert lifespan(made) == (BEGIN + begin_h * HOUR, end), rule


def test_a_year_of_hours_is_laid_out_once() -> None:
    """8,760 prices: whoever asks, in whichever order, the edges are sorted once."""
    prices = tuple(Interval(n, (Signal("PRICE", (n,)),)) for n in range(8760))
    year = replace(PEAK, period=Period(BEGIN, Duration(exact=HOUR)), intervals=prices)
    track = Track(year, None, {})
    for n in (8759, 0, 4000, 4001):
        assert track.at(BEGIN + n * HOUR)["PRICE"].value == n
    assert track.next_change(BEGIN + 4000 * HOUR) == BEGIN + 4001 * HOUR
    assert track.next_change(BEGIN + 8760 * HOUR) is None
    assert track._laid.cache_info().misses == 2  # the cycle, and that nothing comes after it
