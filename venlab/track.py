"""One event laid out in time: cycle after cycle, and what it asks for in between.

`venlab.timeline.Timeline` has the rules.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from venlab import draws
from venlab.durations import END_OF_TIME, FOR_EVER, Duration
from venlab.errors import DataError
from venlab.model import Event, Interval, Period, Signal, Target, Value

__all__ = ["Active", "Track", "lifespan"]

SPLIT = frozenset({"PRICE", "PRICE_ALTERNATE", "EXPORT_PRICE", "GHG"})
"""Types that have one value at a time: several share the interval."""

MEAN_MONTH = timedelta(days=365.2425 / 12)


class Active(NamedTuple):
    """What one type of signal asks for at an instant: over [since, until); None = for ever.

    `value` is a tuple where the interval has several values at a time, or none.
    """

    value: Value | tuple[Value, ...]
    unit: str
    event: Event
    interval: Interval
    since: datetime
    until: datetime | None


class _Piece(NamedTuple):
    """An interval, from one time after an anchor to another.

    Lengths are summed before they are laid out, so that neighbours touch: of three months from
    31 January each ends on the last of its month.
    """

    interval: Interval
    anchor: datetime
    begin: Duration
    end: Duration

    def span(self, moved: Duration) -> tuple[datetime, datetime]:
        return (moved + self.begin).after(self.anchor), (moved + self.end).after(self.anchor)


class _Segment(NamedTuple):
    since: datetime
    until: datetime
    type: str
    active: Active


class Track:
    """One event in time, of which a cycle or two are laid out at once, however often it repeats.

    Parameters
    ----------
    event : Event
        With a signal, not cancelled.
    now : datetime, optional
        When it was received.
    units : mapping
        Type of signal to the unit of one that says none.
    key : str, optional
        Whose starts are randomised, by which seed; with none they are where the event says.
    """

    def __init__(
        self,
        event: Event,
        now: datetime | None,
        units: Mapping[str, str],
        key: str | None = None,
    ) -> None:
        self.event, self._now, self._units = event, now, units
        self._targets, self._names = {*event.targets}, {target.name for target in event.targets}
        self._pieces = list(_pieces(event, now, key))
        self._begin, self._over, self._until = _extent(event, self._pieces)
        self._cycle = Duration(exact=self._over - self._begin)
        # Months are summed as such where one interval follows the other all the way.
        length = self._pieces[-1].end
        if {length.after(p.anchor) for p in self._pieces} == {self._over}:
            self._cycle = length
        self._laid = lru_cache(maxsize=2)(self._lay)
        self._of_others: dict[str, Track] = {}

    def of(self, key: str) -> Track:
        """Return this event as somebody else has it: the same track, but for randomised starts."""
        periods = (self.event.period, *(interval.period for interval in self.event.intervals))
        if not any(period and _said(period.randomize_start) for period in periods):
            return self
        if key not in self._of_others:
            self._of_others[key] = Track(self.event, self._now, self._units, key)
        return self._of_others[key]

    def is_for(self, who: Iterable[Target]) -> bool:
        """Tell whether the event is for everybody, or for somebody who has one of these names."""
        return not self._targets or any(
            name in self._names
            if not kind
            else not self._targets.isdisjoint((Target(name, kind), Target(name)))
            for name, kind in who
        )

    def at(self, t: datetime) -> Mapping[str, Active]:
        """Return what each type of signal asks for at an instant."""
        edges, states = self._laid(self._cycle_at(t))
        place = bisect_right(edges, t)
        return states[place - 1] if place else {}

    def next_change(self, t: datetime) -> datetime | None:
        """Return when that changes first after an instant; None = never."""
        cycle = self._cycle_at(t)
        for edges, _ in map(self._laid, (cycle, cycle + 1)):
            place = bisect_right(edges, t)
            if place < len(edges):
                return _ended(edges[place])
        return None

    def _cycle_at(self, t: datetime) -> int:
        """Return which repetition holds an instant, the first before and the last after all."""
        if t < self._begin or not self._begin < self._over < self._until:
            return 0
        t = min(t, self._until - timedelta.resolution)
        cycle = (t - self._begin) // (self._cycle.exact + self._cycle.months * MEAN_MONTH)
        while self._starts(cycle) > t:  # no month is the mean one
            cycle -= 1
        while self._starts(cycle + 1) <= t:
            cycle += 1
        return cycle

    def _starts(self, cycle: int) -> datetime:
        return self._moved(cycle).after(self._begin)

    def _moved(self, cycle: int) -> Duration:
        return Duration(self._cycle.months * cycle, self._cycle.exact * cycle)

    def _lay(self, cycle: int) -> tuple[list[datetime], list[Mapping[str, Active]]]:
        """Return the sorted edges of one cycle, and what each type asks for from each edge on."""
        segments = sorted(self._segments(cycle), key=lambda segment: segment.since)
        edges = sorted({edge for segment in segments for edge in segment[:2]})
        states: list[Mapping[str, Active]] = []
        running: list[_Segment] = []
        begun = 0
        for edge in edges:
            while begun < len(segments) and segments[begun].since == edge:
                running.append(segments[begun])
                begun += 1
            running = [segment for segment in running if segment.until > edge]
            states.append({segment.type: segment.active for segment in running})
        return edges, states

    def _segments(self, cycle: int) -> Iterator[_Segment]:
        moved = self._moved(cycle)
        for piece in self._pieces:
            span = piece.span(moved)
            for signal in piece.interval.signals:
                unit = signal.unit or self._units.get(signal.type, "")
                for value, since, end in _shares(signal, *span):
                    until = min(end, self._until)
                    said = Active(value, unit, self.event, piece.interval, since, _ended(until))
                    if since < until:
                        yield _Segment(since, until, signal.type, said)


def lifespan(
    event: Event, received: datetime | None = None
) -> tuple[datetime | None, datetime | None]:
    """Return when an event begins and ends for somebody who does not randomise its start.

    Parameters
    ----------
    event : Event
        With or without signals; cancelled or not.
    received : datetime, optional
        When it was received, for one that starts then; else when the VTN made it.

    Returns
    -------
    begin, end : datetime or None
        No begin: it starts when it is received, and nobody says when. No end: for ever, or that.
    """
    now = received or event.created
    try:
        begin, _, until = _extent(event, list(_pieces(event, now, None)))
    except DataError:
        return None, None
    return begin, _ended(until)


def _ended(end: datetime) -> datetime | None:
    return end if end < END_OF_TIME else None


def _said(duration: Duration | None) -> Duration | None:
    """Return a duration that says something where ``PT0S``, its default, says nothing."""
    return None if duration is None or duration.negative or duration == Duration() else duration


def _pieces(event: Event, now: datetime | None, key: str | None) -> Iterator[_Piece]:
    """Return an event's intervals, or one without signals; moved at random if there is a key."""
    common = event.period or Period()
    anchor, stated = common.start or now, common.start
    total, offset = Duration(), Duration()
    for place, interval in enumerate(event.intervals or (Interval(0),)):
        own = interval.period or Period()
        if own.start:
            anchor, stated, total = own.start, own.start, Duration()
        if not anchor:
            problem = f"event {event.name!r} starts when it is received, and nobody says when"
            raise DataError(problem, "pass received")
        spread = _said(own.randomize_start) or (not place and _said(common.randomize_start))
        if spread and key is not None:
            begin = stated.astimezone(UTC).isoformat() if stated else "now"
            offset = _drawn(spread.after(anchor) - anchor, f"{key}|{event.name}|{begin}|{place}")
        end = total + _length(event, interval)
        yield _Piece(interval, offset.after(anchor), total, end)
        total = end


def _length(event: Event, interval: Interval) -> Duration:
    for period in (interval.period, event.period):
        if period and period.duration:
            return Duration() if period.duration.negative else period.duration
    bare = interval.period is None and event.period is None
    return _said(event.duration) or (FOR_EVER if bare else Duration())


def _extent(event: Event, pieces: list[_Piece]) -> tuple[datetime, datetime, datetime]:
    """Return when the first interval begins, when all are over once, and when the event is."""
    spans = [piece.span(Duration()) for piece in pieces]
    begin, over = min(begin for begin, _ in spans), max(end for _, end in spans)
    limit = _said(event.duration)
    return begin, over, limit.after(begin) if limit else over


def _drawn(reach: timedelta, key: str) -> Duration:
    """Return a time from -reach to below reach, all equally likely."""
    share = (int(draws.keys([key], streams=1)[0, 0]) >> 32) / 2**32
    return Duration(exact=reach * (2 * share - 1))


def _shares(
    signal: Signal, begin: datetime, end: datetime
) -> Iterator[tuple[Value | tuple[Value, ...], datetime, datetime]]:
    """Return the values of a signal, each with its part of the interval."""
    values = signal.values
    if signal.type not in SPLIT or len(values) == 1:
        yield values[0] if len(values) == 1 else values, begin, end
    elif end == END_OF_TIME:  # no part of for ever ends
        yield from ((value, begin, end) for value in values[:1])
    else:
        length = end - begin
        for i, value in enumerate(values):
            share = begin + length * (i / len(values)), begin + length * ((i + 1) / len(values))
            yield value, *share
