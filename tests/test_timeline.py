"""What applies when: tables of instants worked by hand, and what holds whatever the events are."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venlab.durations import Duration
from venlab.errors import DataError
from venlab.model import (
    Event,
    Interval,
    Period,
    Point,
    Program,
    ReportDescriptor,
    Signal,
    Target,
    Value,
)
from venlab.timeline import Timeline
from venlab.track import lifespan

NOON = datetime(2023, 11, 30, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    """Return a time of 30 November 2023, or of another day, UTC."""
    return datetime.fromisoformat(text if "-" in text else f"2023-11-30T{text}").replace(tzinfo=UTC)


def period(start: str = "", duration: str = "", randomize: str = "") -> Period:
    lengths = (Duration.parse(text) if text else None for text in (duration, randomize))
    return Period(at(start) if start else None, *lengths)


def event(
    *intervals: Interval | Value,
    when: Period | None = None,
    duration: str = "",
    kind: str = "SIMPLE",
    **more: object,
) -> Event:
    """Return an event of intervals, or of one interval for each value."""
    made = tuple(
        i if isinstance(i, Interval) else Interval(n, (Signal(kind, (i,)),))
        for n, i in enumerate(intervals)
    )
    length = Duration.parse(duration) if duration else None
    fields = {"id": "e1", "name": "peak", "program_id": "p", "created": NOON, **more}
    return Event(period=when, intervals=made, duration=length, **fields)  # type: ignore[arg-type]


def own(value: Value, start: str = "", duration: str = "", randomize: str = "") -> Interval:
    """Return an interval with a period of its own."""
    return Interval(0, (Signal("SIMPLE", (value,)),), period(start, duration, randomize))


def seen(timeline: Timeline, *times: str, kind: str = "SIMPLE") -> list[object]:
    """Return the value at each time; None where nothing applies."""
    answers = (timeline.at(at(time)).get(kind) for time in times)
    return [answer and answer.value for answer in answers]


def changes(timeline: Timeline, since: datetime, most: int = 50) -> list[datetime]:
    """Return when something changes after an instant, as far as `most`."""
    found = [since]
    while len(found) <= most and (change := timeline.next_change(found[-1])):
        found.append(change)
    return found[1:]


# -- one event, by hand -------------------------------------------------------------------------

TABLE = {
    "the event's period is that of each interval, one after the other": (
        event(1, 2, 3, when=period("16:00", "PT1H")),
        # [16,17) [17,18) [18,19): a begin belongs to what begins, an end to what follows.
        {"15:59": None, "16:00": 1, "16:59": 1, "17:00": 2, "18:30": 3, "19:00": None},
    ),
    "a duration of an interval's own, and the next follows it": (
        event(1, own(2, "", "PT2H"), 3, when=period("16:00", "PT1H")),
        # User Guide 7.4: [16,17), then two hours [17,19), then [19,20).
        {"16:30": 1, "17:30": 2, "18:59": 2, "19:30": 3, "20:00": None},
    ),
    "a start of an interval's own leaves a gap, and the next follows it": (
        event(1, own(2, "18:00"), 3, when=period("16:00", "PT1H")),
        # [16,17), nothing, [18,19) with the event's duration, [19,20).
        {"16:30": 1, "17:30": None, "18:30": 2, "19:30": 3, "20:00": None},
    ),
    "intervals in no order": (
        event(own(1, "18:00"), own(2, "16:00"), 3, when=period("", "PT1H")),
        # [18,19), [16,17), and the third follows the second: [17,18).
        {"16:30": 2, "17:30": 3, "18:30": 1, "19:00": None},
    ),
    "of two intervals at once, the one that began last": (
        event(own(1, "16:00", "PT4H"), own(2, "17:00", "PT1H")),
        # 2 lies in the middle of 1, which is there again when 2 is over.
        {"16:30": 1, "17:30": 2, "18:30": 1, "20:00": None},
    ),
    "of two intervals that begin at once, the later in the list": (
        event(own(1, "16:00", "PT2H"), own(2, "16:00", "PT1H")),
        {"16:30": 2, "17:30": 1, "18:00": None},
    ),
    "an interval of no length never applies": (
        event(1, own(2, "", "PT0S"), 3, when=period("16:00", "PT1H")),
        # [16,17), [17,17), [17,18).
        {"16:59": 1, "17:00": 3, "18:00": None},
    ),
    "nor does one of negative length, and the next begins where it begins": (
        event(1, own(2, "", "-PT1H"), 3, when=period("16:00", "PT1H")),
        {"16:59": 1, "17:00": 3, "18:00": None},
    ),
    "for ever": (
        event(1, when=period("16:00", "P9999Y")),
        {"15:59": None, "16:00": 1, "2999-01-01": 1},
    ),
    "what follows for ever never begins": (
        event(1, own(2, "", "P9999Y"), 3, when=period("16:00", "PT1H")),
        {"16:30": 1, "17:00": 2, "9999-12-31": 2},
    ),
    "now: from the time of reception, here noon": (
        event(1, 2, when=period("", "PT1H")),
        # A start of 0001-01-01 is no start; who asks at 13:30 is in the second hour.
        {"11:59": None, "12:00": 1, "13:30": 2, "14:00": None},
    ),
    "now, of the first interval, in an event that has a start": (
        event(own(1), own(2), when=period("16:00", "PT1H")),
        # User Guide 7.3: identical to the event's start; the second right after the first.
        {"12:00": None, "16:00": 1, "17:00": 2, "18:00": None},
    ),
    "no period at all: always, from reception on": (
        event(1),
        {"11:59": None, "12:00": 1, "9999-01-01": 1},
    ),
    "a period without duration has the documents' default, PT0S": (
        event(1, when=period("16:00")),
        {"16:00": None, "17:00": None},
    ),
    "cancelled as in User Guide 7.9, by a window of no duration": (
        event(1, when=period("", "PT0S")),
        {"12:00": None, "13:00": None},
    ),
    "the event's duration cuts: 2 h of three": (
        event(1, 2, 3, when=period("16:00", "PT1H"), duration="PT2H"),
        {"16:30": 1, "17:30": 2, "18:00": None, "18:30": None},
    ),
    "the event's duration cuts an interval in the middle": (
        event(1, 2, when=period("16:00", "PT1H"), duration="PT90M"),
        {"17:29": 2, "17:30": None},
    ),
    "the event's duration repeats: 2 h five times, and cuts the last": (
        event(1, 2, when=period("12:00", "PT1H"), duration="PT9H"),
        # Cycles begin at 12, 14, 16, 18, 20; the last is cut at 21.
        {"12:30": 1, "13:30": 2, "14:30": 1, "19:30": 2, "20:30": 1, "21:00": None},
    ),
    "a tariff of three hours for ever": (
        event(1, 2, 3, when=period("00:00", "PT1H"), duration="P9999Y"),
        # 1 January 2024 is 32 days later: 768 h, of which 0 are left over; 10:00 leaves 1.
        {"2024-01-01T00:30": 1, "2024-01-01T10:30": 2, "2500-01-01T02:30": 3},
    ),
    "repeated with its gap": (
        event(own(1, "12:00", "PT1H"), own(2, "14:00", "PT1H"), duration="PT7H"),
        # One cycle is [12,15): [12,13), gap, [14,15). The next begins at 15, the third at 18.
        {"13:30": None, "14:30": 2, "15:30": 1, "16:30": None, "17:30": 2, "18:30": 1}
        | {"19:00": None},
    ),
    "repeated with silence at its end": (
        event(1, Interval(1), when=period("12:00", "PT1H"), duration="PT9H"),
        # An interval without signals takes its time: [12,13) of [12,14), then [14,15).
        {"12:30": 1, "13:30": None, "14:30": 1, "20:30": 1, "21:00": None},
    ),
    "an event's duration of PT0S is its default and says nothing": (
        event(1, when=period("16:00", "PT1H"), duration="PT0S"),
        {"16:30": 1, "17:00": None},
    ),
    "an interval that says no duration lasts as long as its event": (
        event(1, when=period("16:00"), duration="PT2H"),
        {"16:00": 1, "17:59": 1, "18:00": None},
    ),
    "the same without any period: two hours from reception": (
        event(1, duration="PT2H"),
        {"12:00": 1, "13:59": 1, "14:00": None},
    ),
    "months end with their month": (
        event(1, 2, 3, when=period("2023-01-31", "P1M")),
        # 31 January, 28 February, 31 March, 30 April.
        {"2023-02-27": 1, "2023-02-28": 2, "2023-03-30": 2, "2023-03-31": 3, "2023-04-30": None},
    ),
    "seasons that repeat for ever": (
        event(1, own(2, "", "P7M"), when=period("2023-10-01", "P5M"), duration="P9999Y"),
        # Winter [1 Oct, 1 Mar), summer [1 Mar, 1 Oct), leap year or not.
        {"2024-02-29": 1, "2024-03-01": 2, "2051-02-28": 1, "2051-03-01": 2, "2051-10-01": 1},
    ),
    "a cycle of a day and a month, that begins with a short one": (
        event(own(1, "", "P1D"), own(2, "", "P1M"), when=period("2023-02-01"), duration="P9999Y"),
        # Cycle n begins n months and n days after 1 February: the tenth on 11 December.
        {"2023-03-01": 2, "2023-03-02": 1, "2023-12-10": 2, "2023-12-11": 1, "2023-12-12": 2},
    ),
    "the same, with long ones": (
        event(own(1, "", "P1D"), own(2, "", "P1M"), when=period("2023-07-01"), duration="P9999Y"),
        # The second on 3 September, 64 days after the begin; the mean of two is 62.9 days.
        {"2023-08-01": 2, "2023-08-02": 1, "2023-09-02": 2, "2023-09-03": 1, "2023-09-04": 2},
    ),
}


@pytest.mark.parametrize("rule", TABLE)
def test_one_event_by_hand(rule: str) -> None:
    """Each row is a rule of the documents, or of ours where they say nothing."""
    of_event, table = TABLE[rule]
    assert seen(Timeline([of_event]), *table) == list(table.values())


def test_the_picture_is_true() -> None:
    """The drawing in the docstring of Timeline: tariff, saving and emergency."""
    tariff = event(
        *(0.20, 0.90, 0.50), when=period("16:00", "PT1H"), duration="P9999Y", kind="PRICE", id="1"
    )
    saving = event(1, when=period("16:15", "PT3H"), priority=5, id="2")
    emergency = event(3, when=period("17:15", "PT1H30M"), priority=0, id="3")
    timeline = Timeline([tariff, saving, emergency])
    hours = [f"{hour}:00" for hour in range(16, 22)]
    assert seen(timeline, *hours, kind="PRICE") == [0.20, 0.90, 0.50] * 2
    table = {"16:14": None, "16:15": 1, "17:14": 1, "17:15": 3, "18:44": 3, "18:45": 1}
    table |= {"19:14": 1, "19:15": None}
    assert seen(timeline, *table) == list(table.values())
    assert {t: a.value for t, a in timeline.at(at("17:15")).items()} == {"PRICE": 0.9, "SIMPLE": 3}
    assert timeline.next_change(at("17:15")) == at("18:00")


def test_what_applies_says_of_what_and_how_long() -> None:
    """The second of two hours: value, unit, event, interval, from when until when."""
    first, second = (Interval(n, (Signal("PRICE", (n / 4,), "DKK/KWH"),)) for n in (7, 3))
    prices = event(first, second, when=period("16:00", "PT1H"))
    active = Timeline([prices]).at(at("17:10"))["PRICE"]
    assert active == (0.75, "DKK/KWH", prices, second, at("17:00"), at("18:00"))
    endless = Timeline([event(1)]).at(at("17:10"))["SIMPLE"]
    assert (endless.since, endless.until) == (NOON, None)


def test_a_program_says_the_unit() -> None:
    """A unit of the event's own comes first; that of another program is none (User Guide 7.6)."""
    bare, said = (Interval(0, (Signal("PRICE", (1,), unit),)) for unit in ("", "EUR/KWH"))
    programs = [Program("p", "prices", {"PRICE": "DKK/KWH"}), Program("q", "other", {"GHG": "G"})]

    def unit(interval: Interval, program: str) -> str:
        timeline = Timeline([event(interval, program_id=program)], programs=programs)
        return timeline.at(NOON)["PRICE"].unit

    assert [unit(bare, "p"), unit(said, "p"), unit(bare, "q")] == ["DKK/KWH", "EUR/KWH", ""]


# -- several values ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PRICE", "PRICE_ALTERNATE", "EXPORT_PRICE", "GHG"])
def test_prices_share_the_interval(kind: str) -> None:
    """Three prices in three hours have an hour each (User Guide 7.3), also a quarter that is cut.

    Of four in an hour, one has 15 min; an event's duration of 40 min cuts the third.
    """
    hours = Interval(0, (Signal(kind, (0.17, 0.03, 0.11)),))
    timeline = Timeline([event(hours, when=period("12:00", "PT3H"))])
    expected = [0.17, 0.17, 0.03, 0.11, None]
    assert seen(timeline, "12:00", "12:59", "13:00", "14:59", "15:00", kind=kind) == expected
    quarters = Interval(0, (Signal(kind, (1, 2, 3, 4)),))
    timeline = Timeline([event(quarters, when=period("12:00", "PT1H"), duration="PT40M")])
    assert changes(timeline, at("11:00")) == [at(t) for t in ("12:00", "12:15", "12:30", "12:40")]


def test_prices_without_an_end() -> None:
    """No part of for ever ends, so the first price stays."""
    timeline = Timeline([event(Interval(0, (Signal("PRICE", (1, 2)),)))])
    assert seen(timeline, "12:00", "2500-01-01", kind="PRICE") == [1, 1]
    assert timeline.next_change(NOON) is None


def test_what_has_several_values_at_a_time() -> None:
    """A curve is one thing; an alert may say nothing more; no price is no signal."""
    curve = (Point(0.9, 0.4), Point(1.1, -0.4))
    signals = Signal("CURVE", curve), Signal("ALERT_FIRE", ()), Signal("PRICE", ())
    answer = Timeline([event(Interval(0, signals))]).at(NOON)
    assert {kind: active.value for kind, active in answer.items()} == {
        "CURVE": curve,
        "ALERT_FIRE": (),
    }


def test_signals_of_one_interval() -> None:
    """Import and export limits side by side; of one type twice, the later in the list."""
    limits = [Signal(kind, (kw,)) for kind, kw in (("IMPORT", 10), ("EXPORT", 4), ("IMPORT", 8))]
    answer = Timeline([event(Interval(0, tuple(limits)))]).at(NOON)
    assert {kind: active.value for kind, active in answer.items()} == {"IMPORT": 8, "EXPORT": 4}


# -- several events ------------------------------------------------------------------------------


def level(n: int, *, made: str = "12:00", **more: object) -> Event:
    """Return an event of level n from 16:00 to 18:00, known under its level."""
    window = period("16:00", "PT2H")
    fields: dict[str, object] = {"id": f"e{n}", "name": f"level {n}", "created": at(made)} | more
    return event(n, when=window, **fields)


@pytest.mark.parametrize(
    ("rule", "events", "wins"),
    [
        ("the lower number", [level(1, priority=1), level(2, priority=0)], 2),
        ("any number before none", [level(1, priority=99), level(2)], 1),
        ("then the newer", [level(1, made="12:00"), level(2, made="12:01")], 2),
        ("whatever was changed last", [level(1, version=8), level(2, made="12:01")], 2),
        ("a number before the age", [level(1, priority=1), level(2, made="12:01")], 1),
        ("all equal: the later name", [level(1), level(2)], 2),
        ("cancelled", [level(1), level(2, priority=0, cancelled=True)], 1),
        ("the last version", [level(1), level(2, id="e1", version=1, created=at("11:00"))], 2),
        ("cancelled since", [level(1), level(2, id="e1", version=1, cancelled=True)], None),
        ("another type", [level(1), level(2, kind="PRICE", priority=0)], 1),
        ("a report only", [level(1), replace(level(2, priority=0), intervals=())], 1),
    ],
)
def test_of_two_events_at_once(rule: str, events: list[Event], wins: int | None) -> None:
    """Priority, then age; what is cancelled counts no more, in whichever order they are listed."""
    for order in (events, events[::-1]):
        assert seen(Timeline(order), "17:00") == [wins], rule


def test_the_age_is_that_of_reception_where_the_vtn_tells_none() -> None:
    """Two events of a VTN that says no times: the one that was received last wins."""
    old, new = level(1, created=None), level(2, created=None)
    for received, wins in (
        ({"e1": "12:00", "e2": "13:00"}, 2),
        ({"e1": "13:00", "e2": "12:00"}, 1),
    ):
        times = {name: at(time) for name, time in received.items()}
        assert seen(Timeline([old, new], received=times), "17:00") == [wins]
    made = [level(1, made="11:00"), level(2, made="10:00")]
    times = {"e1": at("12:00"), "e2": at("13:00")}
    assert seen(Timeline(made, received=times), "17:00") == [1], "all VENs agree who is newer"


def test_an_event_that_is_over_leaves_the_other() -> None:
    """Level 3 from 17:00 to 17:30 in level 1 from 16:00 to 18:00."""
    short = event(3, when=period("17:00", "PT30M"), id="e3", priority=0)
    timeline = Timeline([short, level(1)])
    assert seen(timeline, "16:59", "17:00", "17:29", "17:30", "18:00") == [1, 3, 3, 1, None]
    assert changes(timeline, NOON) == [at(t) for t in ("16:00", "17:00", "17:30", "18:00")]


def test_an_event_of_which_nobody_says_when_it_came() -> None:
    """It is named, with what to do; a report-only event asks for nothing and needs no time."""
    with pytest.raises(DataError, match=r"'peak' starts when it is received"):
        Timeline([event(1, created=None)])
    asked = event(created=None, report_descriptors=(ReportDescriptor("USAGE"),))
    assert Timeline([asked]).at(NOON) == {}
    assert lifespan(asked) == (None, None)


def test_reception_is_for_all_or_for_each() -> None:
    """One time for all, or by id; the VTN's time of making comes last."""
    two = [event(1, id="a"), event(2, id="b", kind="PRICE")]
    timeline = Timeline(two, received=at("14:00"))
    assert seen(timeline, "13:59", "14:00") == [None, 1]
    timeline = Timeline(two, received={"a": at("15:00")})
    assert seen(timeline, "14:59", "15:00") == [None, 1]
    assert seen(timeline, "12:00", kind="PRICE") == [2]


def test_a_time_without_zone() -> None:
    """It is refused, since nobody can say when it is."""
    for ask in (Timeline([]).at, Timeline([]).next_change):
        with pytest.raises(DataError, match="no zone"):
            ask(datetime(2023, 1, 1))


def test_a_person_s_local_times() -> None:
    """24 hours from a local noon before the clocks go back end at 11:00 there."""
    begin = datetime(2023, 10, 28, 12, tzinfo=ZoneInfo("Europe/Copenhagen"))
    day = replace(event(1), period=Period(begin, Duration.parse("P1D")))
    timeline = Timeline([day])
    assert seen(timeline, "2023-10-29T09:59", "2023-10-29T10:00") == [1, None]
    assert timeline.at(begin)["SIMPLE"].since == at("2023-10-28T10:00")


# -- for whom ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "names", "for_them"),
    [
        ([], [], True),
        ([], ["Aars"], True),
        ([Target("Aars")], [], False),
        ([Target("Aars")], ["Viborg", "Aars"], True),
        ([Target("Aars"), Target("Viborg")], ["Viborg"], True),
        ([Target("Aars", "VEN_NAME")], ["Aars"], True),
        ([Target("Aars", "VEN_NAME")], [Target("Aars", "VEN_NAME")], True),
        ([Target("Aars", "VEN_NAME")], [Target("Aars", "GROUP")], False),
        ([Target("Aars")], [Target("Aars", "GROUP")], True),
    ],
)
def test_whom_an_event_is_for(
    targets: list[Target], names: Sequence[str | Target], for_them: bool
) -> None:
    """Everybody, or who has one of its targets; types tell two apart where both say one."""
    timeline = Timeline([event(1, targets=tuple(targets))])
    assert bool(timeline.seen_by("aars", *names).at(NOON)) == for_them
    assert timeline.at(NOON), "all events are there for who asks for nobody"


def test_all_who_see_the_same_share_a_timeline() -> None:
    """So a fleet of 19,402 resources asks as many times as there are different answers."""
    all_of_them, one = event(1, id="a"), event(2, id="b", targets=(Target("Aars"),), priority=0)
    timeline = Timeline([all_of_them, one])
    parts = [timeline.seen_by(f"town{n}", f"Town {n}") for n in range(100)]
    assert len(set(map(id, parts))) == 1
    assert seen(parts[0], "13:00") == [1]
    assert seen(timeline.seen_by("aars", "Aars"), "13:00") == [2]
    assert timeline.seen_by("aars", "Aars") is timeline.seen_by("x", "y", "Aars") is timeline


# -- randomised starts ---------------------------------------------------------------------------


def begins(of_event: Event, ven: str = "aars", seed: int = 0) -> list[datetime]:
    """Return when something changes for a VEN."""
    return changes(Timeline([of_event], seed=seed).seen_by(ven), at("00:00"))


def test_each_ven_starts_at_its_own_time() -> None:
    """Within ± 10 min, all equally likely, all intervals by the same time; the VTN's is kept."""
    peak = event(1, 2, when=period("16:00", "PT1H", "PT10M"))
    moved = []
    for n in range(500):
        first, second, end = begins(peak, f"town{n}")
        assert second - first == end - second == timedelta(hours=1)
        moved.append((first - at("16:00")) / timedelta(minutes=10))
    assert min(moved) >= -1
    assert max(moved) <= 1
    # Of 500 uniform draws the mean lies within 4 of its standard deviations, 1 / sqrt(1500).
    assert abs(sum(moved) / 500) < 4 / 1500**0.5
    assert max(b - a for a, b in pairwise(sorted(moved))) < 0.05
    assert changes(Timeline([peak]), NOON) == [at("16:00"), at("17:00"), at("18:00")]


def test_what_a_random_start_depends_on() -> None:
    """Seed, VEN, name and start; not the VTN's ids, its versions, or what else is there."""
    peak = event(1, when=period("16:00", "PT1H", "PT10M"))
    drawn = begins(peak)
    same = [replace(peak, id="other"), replace(peak, version=4), replace(peak, created=at("13:00"))]
    assert all(begins(other) == drawn for other in same)
    assert begins(peak, seed=1) != drawn
    assert begins(peak, ven="viborg") != drawn
    assert begins(replace(peak, name="dip")) != drawn
    later = begins(replace(peak, period=period("17:00", "PT1H", "PT10M")))
    assert later != [time + timedelta(hours=1) for time in drawn]
    both = Timeline([level(2), peak]).seen_by("aars")
    assert set(drawn) <= set(changes(both, NOON))


def test_a_random_start_in_the_middle() -> None:
    """It moves its own interval and those after it, with a start of their own or not."""
    intervals = 1, own(2, "18:00", "", "PT5M"), 3, own(4, "22:00")
    peak = event(*intervals, when=period("16:00", "PT1H", "PT10M"))
    first, first_end, second, third, third_end, fourth, _ = begins(peak)
    assert first_end - first == third - second == third_end - third == timedelta(hours=1)
    assert first - at("16:00") != second - at("18:00") == fourth - at("22:00")
    assert abs(second - at("18:00")) <= timedelta(minutes=5)


def test_a_random_start_of_no_or_negative_width() -> None:
    """PT0S is the default, so an interval of it moves with the first; the sign does not count."""
    peak = event(1, own(2, "18:00", "", "PT0S"), when=period("16:00", "PT1H", "-PT10M"))
    first, _, second, _ = begins(replace(peak, period=period("16:00", "PT1H", "PT10M")))
    assert second - at("18:00") == first - at("16:00") != timedelta(0)


def test_a_random_start_moves_all_repetitions() -> None:
    """Three hours of 1 h, each begins where the one before ends."""
    peak = event(1, when=period("16:00", "PT1H", "PT10M"), duration="PT3H")
    times = begins(peak)
    assert [b - a for a, b in pairwise(times)] == [timedelta(hours=1)] * 3
    assert abs(times[0] - at("16:00")) <= timedelta(minutes=10)


def test_a_random_start_at_the_end_of_time() -> None:
    """Nobody means 9999 years; it is no reason to stop."""
    assert len(begins(event(1, when=period("16:00", "PT1H", "P9999Y")))) <= 2


# -- for ever, cheaply ---------------------------------------------------------------------------


def test_a_second_that_repeats_for_ever_takes_no_room() -> None:
    """Asked at a thousand instants in a thousand years, it holds the two cycles of the last."""
    blink = event(1, 2, when=period("12:00", "PT1S"), duration="P9999Y")
    timeline = Timeline([blink])
    (track,) = timeline._tracks
    for year in range(2024, 3024):
        time = datetime(year, 1, 1, 0, 0, 1, tzinfo=UTC)
        assert timeline.at(time)["SIMPLE"].value == 2
        assert timeline.next_change(time) == time + timedelta(seconds=1)
    assert track._laid.cache_info().currsize == 2
    assert sum(len(edges) for edges, _ in map(track._laid, (0, 1))) == 6


def test_the_next_change_lies_in_the_next_repetition() -> None:
    """[12,13), silence until 14, [14,15): asked at 13:30, it is 14:00."""
    peak = event(1, Interval(1), when=period("12:00", "PT1H"), duration="PT4H")
    hours = [at(t) for t in ("12:00", "13:00", "14:00", "15:00")]
    assert changes(Timeline([peak]), at("11:00")) == hours
    assert Timeline([peak]).next_change(at("13:30")) == at("14:00")


def test_the_last_instant_of_all() -> None:
    """Asked there, what repeats for ever still answers, and never changes again."""
    timeline = Timeline([event(1, 2, when=period("12:00", "PT7M"), duration="P9999Y")])
    end = datetime.max.replace(tzinfo=UTC)
    assert timeline.next_change(end) is None
    timeline.at(end)


# -- whatever the events -------------------------------------------------------------------------

moments = st.integers(-4, 20).map(lambda n: NOON + n * timedelta(minutes=30))
lengths = st.sampled_from(
    ["PT0S", "PT20M", "PT30M", "PT1H", "PT1H10M", "P1D", "P1M", "P9999Y", "-PT1H"]
).map(Duration.parse)
spreads = st.none() | st.sampled_from(["PT0S", "PT5M", "PT40M"]).map(Duration.parse)
periods = st.builds(Period, st.none() | moments, st.none() | lengths, spreads)
signals = st.builds(
    Signal,
    st.sampled_from(["SIMPLE", "PRICE", "CURVE"]),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
)
intervals = st.builds(
    Interval, st.integers(0, 9), st.lists(signals, max_size=2).map(tuple), st.none() | periods
)
events = st.builds(
    Event,
    id=st.uuids().map(str),
    name=st.sampled_from(["a", "b"]),
    program_id=st.just("p"),
    version=st.integers(0, 2),
    cancelled=st.booleans(),
    targets=st.sampled_from([(), (Target("Aars"),)]),
    priority=st.none() | st.integers(0, 2),
    created=moments,
    period=st.none() | periods,
    intervals=st.lists(intervals, max_size=4).map(tuple),
    duration=st.none() | lengths,
)
several = st.lists(events, max_size=5, unique_by=lambda e: e.id)


def values(timeline: Timeline, time: datetime) -> dict[str, object]:
    return dict(timeline.at(time))


@given(several, moments, st.floats(0, 1))
def test_nothing_changes_before_the_next_change(
    known: list[Event], time: datetime, share: float
) -> None:
    """At any time between now and the next change, the answer is that of now."""
    timeline = Timeline(known).seen_by("aars", "Aars")
    change = timeline.next_change(time)
    assert change is None or change > time
    last = (change or time + timedelta(days=400)) - timedelta.resolution
    for then in (time + (last - time) * share, last):
        assert values(timeline, then) == values(timeline, time)


@given(several, moments)
def test_who_joins_late_sees_the_same(known: list[Event], time: datetime) -> None:
    """One who has asked all along, change by change, and one who asks now for the first time."""
    early, late = (Timeline(known).seen_by("aars", "Aars") for _ in range(2))
    for change in changes(early, NOON - timedelta(days=1), most=20):
        early.at(change)
    assert values(early, time) == values(late, time)
    assert early.next_change(time) == late.next_change(time)


@given(several, moments, st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(
    known: list[Event], time: datetime, rng: Random
) -> None:
    """Whichever way a VTN lists them."""
    mixed = list(known)
    rng.shuffle(mixed)
    assert values(Timeline(mixed), time) == values(Timeline(known), time)


@given(several, moments)
def test_what_applies_holds_the_time_asked_for(known: list[Event], time: datetime) -> None:
    """`since` ≤ t < `until`, of an event that is known, not cancelled, and in its lifespan."""
    for active in Timeline(known).at(time).values():
        assert active.since <= time
        assert active.until is None or time < active.until
        assert active.event in known
        assert not active.event.cancelled
        begin, end = lifespan(active.event)
        assert begin
        assert begin <= active.since
        assert end is None or (active.until and active.until <= end)


@given(several, moments)
def test_of_two_the_better_wins(known: list[Event], time: datetime) -> None:
    """No event that applies alone has a lower priority number than the one that is shown."""

    def number(e: Event) -> float:
        return float("inf") if e.priority is None else e.priority

    shown = Timeline(known).at(time)
    alone = [(e, kind) for e in known for kind in Timeline([e]).at(time)]
    assert {kind for _, kind in alone} == set(shown)
    for e, kind in alone:
        assert number(shown[kind].event) <= number(e)


@given(several, moments)
def test_each_event_alone_says_what_it_says_among_others(
    known: list[Event], time: datetime
) -> None:
    """What wins is what that event asks for when it is the only one."""
    for kind, active in Timeline(known).at(time).items():
        assert Timeline([active.event]).at(time)[kind] == active


@given(events)
def test_events_are_values(any_event: Event) -> None:
    """They can be compared, hashed, and sent to another process."""
    assert pickle.loads(pickle.dumps(any_event)) == any_event
    assert len({any_event, replace(any_event)}) == 1
