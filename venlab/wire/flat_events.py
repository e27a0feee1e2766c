"""Events in the flat dialect: all that it can say, and nothing that it cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from venlab.durations import END_OF_TIME, FOR_EVER, Duration
from venlab.errors import DataError, plain
from venlab.model import Event, Interval, Period, Signal, Target
from venlab.track import lifespan
from venlab.wire.flat_answers import EventAnswer
from venlab.wire.flat_shapes import EventRequest, SignalBody

__all__ = ["event_body", "event_of"]


def event_of(answer: EventAnswer) -> Event:
    """Return what a VTN says as an event."""
    begin, end = _aware(answer.start_date), _aware(answer.end_date)
    # An old VTN, which cannot say what it asks for, asks to use less.
    asked = answer.signal or SignalBody("SIMPLE", [1])
    whole = each = FOR_EVER if end.year == END_OF_TIME.year else Duration(exact=end - begin)
    values = [tuple(asked.values)]
    if answer.interval_minutes and begin < end:
        each = Duration(exact=timedelta(minutes=answer.interval_minutes))
        values = [(value,) for value in asked.values]
    return Event(
        id=answer.id,
        name=plain(answer.event_name),
        program_id=answer.program_id,
        version=answer.modification_number,
        cancelled=answer.status == "cancelled",
        targets=tuple(map(Target, answer.targets or ())),
        period=Period(begin, each),
        intervals=tuple(
            Interval(i, (Signal(asked.type, v, asked.unit),)) for i, v in enumerate(values)
        ),
        duration=None if sum((each for _ in values), Duration()) == whole else whole,
    )


def event_body(event: Event) -> bytes:
    """Return an event as the VTN wants it; DataError for one that the dialect cannot say."""
    begin, end = lifespan(event)
    request = EventRequest(
        event_name=event.name,
        program_id=event.program_id,
        start_date=_written(begin or END_OF_TIME),
        end_date=_written(end or END_OF_TIME),
        signal=_asked(event),
        interval_minutes=_minutes(event),
        targets=[target.name for target in event.targets],
    )
    try:
        answer = msgspec.convert(msgspec.to_builtins(request) | {"id": "-"}, EventAnswer)
        if _meaning(event_of(answer)) == _meaning(event):
            return msgspec.json.encode(request)
    except (ValueError, ArithmeticError):
        pass  # text where a number belongs, a time at the end of all
    raise DataError(
        f"event {event.name!r} is more than the flat dialect can say",
        "ask for numbers of one type and unit, in intervals of one length from a stated start, "
        "with neither priority, random start nor reports",
    )


def _asked(event: Event) -> SignalBody:
    signals = [signal for interval in event.intervals for signal in interval.signals]
    first = event.signal or Signal("SIMPLE", ())
    values: list[Any] = [value for signal in signals for value in signal.values]
    return SignalBody(first.type, values, first.unit)


def _minutes(event: Event) -> float | None:
    length = event.period and event.period.duration
    if not length or (len(event.intervals) == 1 and not event.duration):
        return None
    return length.exact / timedelta(minutes=1)


def _meaning(event: Event) -> tuple[object, ...]:
    """Return what an event means but for its names: what this dialect has no word for, too."""
    intervals = [(interval.signals, interval.period) for interval in event.intervals]
    other = event.duration, event.priority, event.report_descriptors
    return event.period, intervals, *other


def _written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _aware(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
