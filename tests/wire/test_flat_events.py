"""Events in the flat dialect: read by hand, and what is sent is what comes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from venlab.durations import FOR_EVER, Duration
from venlab.errors import DataError
from venlab.model import Event, Interval, Period, ReportDescriptor, Signal, Target
from venlab.timeline import Timeline
from venlab.track import lifespan
from venlab.wire.flat import Flat
from venlab.wire.flat_shapes import EventRequest

T0 = datetime(2023, 11, 30, 15, 7, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
PEAK = replace(
    Event.between(
        T0, T0 + 2 * HOUR, Signal("SIMPLE", (2,), "level"), name="peak", targets=["Aars"]
    ),
    id="e",
    program_id="p",
)
PRICES = replace(
    PEAK,
    period=Period(T0, Duration(exact=HOUR)),
    intervals=tuple(Interval(n, (Signal("PRICE", (n / 4,), "DKK/KWH"),)) for n in range(3)),
)


def sent(event: Event) -> dict[str, object]:
    """Return the body of an event, of a shape that the VTN takes."""
    body = Flat().create_event(event).body
    msgspec.json.decode(body, type=EventRequest)
    return json.loads(body)  # type: ignore[no-any-return]


def back(event: Event) -> Event:
    """Return an event as it is read back from the VTN."""
    answer = json.dumps({"id": event.id, "modification_number": event.version} | sent(event))
    return Flat().create_event(event).read(201, answer.encode())


def read(**members: object) -> Event:
    good = {"id": "e", "event_name": "peak", "program_id": "p", "start_date": "2023-11-30T16:00:00"}
    answer = json.dumps([good | {"end_date": "2023-11-30T18:00:00Z"} | members])
    return Flat().events(0, 10).read(200, answer.encode())[0]


def test_an_old_vtn_asks_to_use_less() -> None:
    """Its event has neither signal nor targets: SIMPLE 1 for all; a naive time of its is UTC."""
    event = read(status="active", modification_number=2)
    assert (event.version, event.cancelled, event.targets) == (2, False, ())
    assert event.signal == Signal("SIMPLE", (1,))
    sixteen = datetime(2023, 11, 30, 16, tzinfo=UTC)
    assert lifespan(event) == (sixteen, sixteen + 2 * HOUR)
    assert read(status="cancelled").cancelled


def test_a_simple_event_by_hand() -> None:
    """Two hours of level 2 in Aars."""
    assert sent(PEAK) == {
        "event_name": "peak",
        "program_id": "p",
        "start_date": "2023-11-30T15:07:30Z",
        "end_date": "2023-11-30T17:07:30Z",
        "signal": {"type": "SIMPLE", "values": [2], "unit": "level"},
        "interval_minutes": None,
        "targets": ["Aars"],
    }


def test_prices_by_hand() -> None:
    """Three intervals of an hour are three values, and repeat until 20:37:30 if told to."""
    body = sent(PRICES)
    assert body["signal"] == {"type": "PRICE", "values": [0, 0.25, 0.5], "unit": "DKK/KWH"}
    assert (body["interval_minutes"], body["end_date"]) == (60, "2023-11-30T18:07:30Z")
    longer = replace(PRICES, duration=Duration.parse("PT5H30M"))
    assert sent(longer)["end_date"] == "2023-11-30T20:37:30Z"
    timeline = Timeline([back(longer)])
    hours = [timeline.at(T0 + n * HOUR).get("PRICE") for n in range(6)]
    assert [price and price.value for price in hours] == [0, 0.25, 0.5, 0, 0.25, 0.5]
    assert timeline.at(T0 + 5.5 * HOUR) == {}


@pytest.mark.parametrize(
    "event",
    [
        PEAK,
        PRICES,
        replace(PRICES, duration=Duration.parse("PT90M")),
        replace(PRICES, duration=FOR_EVER),
        replace(PEAK, period=Period(T0, FOR_EVER)),
        replace(PEAK, duration=Duration.parse("PT7H")),
        replace(PEAK, intervals=(Interval(0, (Signal("GHG", (1, 2, 3)),)),)),
        replace(PEAK, period=Period(T0, Duration())),
        replace(PEAK, period=Period(T0, Duration(exact=timedelta(microseconds=7)))),
    ],
)
def test_an_event_survives_the_wire(event: Event) -> None:
    """What is written is a valid request and reads back as the same event."""
    assert back(event) == event


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5),
    st.timedeltas(timedelta(seconds=1), timedelta(days=30)),
    st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=99)),
)
def test_any_regular_event_survives(
    values: list[float], length: timedelta, whole: timedelta | None
) -> None:
    """Whatever the values, the length of an interval, and that of the event."""
    event = replace(
        PRICES,
        period=Period(T0, Duration(exact=length)),
        intervals=tuple(Interval(n, (Signal("PRICE", (v,)),)) for n, v in enumerate(values)),
        duration=Duration(exact=whole) if whole and whole != length * len(values) else None,
    )
    assert back(event) == event


BEYOND: dict[str, Callable[[], Event]] = {
    "priority": lambda: replace(PEAK, priority=0),
    "random start": lambda: replace(PEAK, period=Period(T0, FOR_EVER, Duration.parse("PT1M"))),
    "no start": lambda: replace(PEAK, period=Period(None, FOR_EVER)),
    "no start, made once": lambda: replace(PEAK, period=None, created=T0),
    "no period": lambda: replace(PEAK, period=None),
    "text": lambda: Event.between(T0, T0 + HOUR, Signal("ALERT_FIRE", ("run",))),
    "truth": lambda: Event.between(T0, T0 + HOUR, Signal("CONTROL_SETPOINT", (True,))),
    "a huge number": lambda: Event.between(T0, T0 + HOUR, Signal("PRICE", (10**400,))),
    "no signal": lambda: replace(PEAK, intervals=()),
    "a silent interval": lambda: replace(PRICES, intervals=(*PRICES.intervals, Interval(9))),
    "two types": lambda: replace(PRICES, intervals=(*PRICES.intervals, *PEAK.intervals)),
    "two values in one of several": lambda: replace(
        PRICES, intervals=(*PRICES.intervals, Interval(3, (Signal("PRICE", (1, 2), "DKK/KWH"),)))
    ),
    "an interval's own period": lambda: replace(
        PRICES, intervals=(*PRICES.intervals, replace(PRICES.intervals[0], period=Period(T0)))
    ),
    "an interval's own random start": lambda: replace(
        PEAK,
        intervals=(
            replace(PEAK.intervals[0], period=Period(randomize_start=Duration.parse("PT5M"))),
        ),
    ),
    "months": lambda: replace(PRICES, period=Period(T0, Duration(1))),
    "reports": lambda: replace(PEAK, report_descriptors=(ReportDescriptor("USAGE"),)),
}


@pytest.mark.parametrize("what", BEYOND)
def test_what_the_dialect_cannot_say(what: str) -> None:
    """It is an error that says what can be said, and never another event."""
    with pytest.raises(DataError, match=r"more than the flat dialect can say\. Ask for numbers"):
        Flat().create_event(BEYOND[what]())


def test_a_type_of_target_is_no_word_of_the_dialect() -> None:
    """A VEN's name is its name, whatever another dialect would add."""
    assert sent(replace(PEAK, targets=(Target("Aars", "VEN_NAME"),)))["targets"] == ["Aars"]


def test_an_event_that_ends_before_it_begins() -> None:
    """It never applies, with intervals or without."""
    for more in ({}, {"interval_minutes": 15}):
        event = read(end_date="2023-11-30T15:00:00Z", **more)
        timeline = Timeline([event])
        assert timeline.next_change(datetime(2020, 1, 1, tzinfo=UTC)) is None
