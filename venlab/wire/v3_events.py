"""OpenADR 3's events as the lab's own, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from venlab.durations import Duration
from venlab.errors import DataError, plain
from venlab.model import Event, Interval, Period, Point, ReportDescriptor, Signal, Target, Value
from venlab.wire.v3_answers import (
    EventAnswer,
    IntervalAnswer,
    PayloadAnswer,
    PeriodAnswer,
    PointAnswer,
    ReportDescriptorAnswer,
    TargetAnswer,
)

__all__ = ["descriptor_of", "event_body", "event_of", "targets_of"]

NOW = "0001-01-01T00:00:00Z"
"""Start of what begins when it is received, or after what stands before it (Definition, "now")."""


def event_of(answer: EventAnswer) -> Event:
    """Return the event that a VTN's answer means.

    Raises
    ------
    DataError, ValueError
        A time or a duration is none.
    """
    units = {d.payload_type: d.units or "" for d in answer.payload_descriptors or ()}
    changed = _instant(answer.modification_date_time)
    return Event(
        id=answer.id,
        name=plain(answer.event_name or ""),
        program_id=answer.program_id,
        # The standard counts no versions: when it was changed tells a later one [ms].
        version=int(changed.timestamp() * 1000) if changed else 0,
        targets=_targets(answer.targets),
        priority=answer.priority,
        created=_instant(answer.created_date_time),
        period=_period(answer.interval_period),
        intervals=tuple(_interval(i, units) for i in answer.intervals or ()),
        duration=_length(answer.duration),
        report_descriptors=tuple(descriptor_of(d) for d in answer.report_descriptors or ()),
    )


def event_body(event: Event, *, typed: bool) -> dict[str, Any]:
    """Return what is sent for an event.

    Parameters
    ----------
    event : Event
        What it asks for.
    typed : bool
        Whether the dialect says of what type a target is, as 3.0.1 does.
    """
    units = {s.type: s.unit for i in event.intervals for s in i.signals if s.unit}
    body: dict[str, Any] = {"programID": event.program_id, "eventName": event.name}
    if typed:
        body["objectType"] = "EVENT"
    if event.priority is not None:
        body["priority"] = event.priority
    if event.targets:
        body["targets"] = targets_of(event.targets, typed=typed)
    if event.report_descriptors:
        described = [_descriptor_body(d, typed) for d in event.report_descriptors]
        body["reportDescriptors"] = described
    if units:
        body["payloadDescriptors"] = [
            {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": kind, "units": unit}
            for kind, unit in units.items()
        ]
    if event.period:
        body["intervalPeriod"] = _period_body(event.period)
    if event.duration and not typed:
        body["duration"] = str(event.duration)
    if event.intervals or typed:  # 3.0.1 must have the list; one without payloads not all can read
        body["intervals"] = [_interval_body(i) for i in event.intervals]
    return body


def targets_of(targets: Iterable[Target], *, typed: bool) -> list[Any]:
    """Return targets as a dialect writes them: names, or 3.0.1's types with their names."""
    if not typed:
        return [target.name for target in targets]
    by_type: dict[str, list[str]] = {}
    for target in targets:
        by_type.setdefault(target.type or "GROUP", []).append(target.name)
    return [{"type": kind, "values": names} for kind, names in by_type.items()]


def _targets(answer: Sequence[str | TargetAnswer] | None) -> tuple[Target, ...]:
    found: list[Target] = []
    for target in answer or ():
        if isinstance(target, str):
            found.append(Target(target))
        else:
            found += [Target(str(value), target.type) for value in target.values]
    return tuple(found)


def _interval(answer: IntervalAnswer, units: Mapping[str, str]) -> Interval:
    signals = tuple(_signal(payload, units) for payload in answer.payloads)
    return Interval(answer.id, signals, _period(answer.interval_period))


def _signal(payload: PayloadAnswer, units: Mapping[str, str]) -> Signal:
    values = tuple(_value(v) for v in payload.values)
    return Signal(payload.type, values, units.get(payload.type, ""))


def _value(value: PointAnswer | Value | None) -> Value:
    if value is None:
        raise DataError("a payload holds null, which is no value")
    return Point(value.x, value.y) if isinstance(value, PointAnswer) else value


def _interval_body(interval: Interval) -> dict[str, Any]:
    payloads = [
        {"type": s.type, "values": [_value_body(v) for v in s.values]} for s in interval.signals
    ]
    body: dict[str, Any] = {"id": interval.id, "payloads": payloads}
    if interval.period:
        body["intervalPeriod"] = _period_body(interval.period)
    return body


def _value_body(value: Value) -> Any:
    return {"x": value.x, "y": value.y} if isinstance(value, Point) else value


def _period(answer: PeriodAnswer | None) -> Period | None:
    if answer is None:
        return None
    start = _instant(answer.start)
    return Period(start, _length(answer.duration), _length(answer.randomize_start))


def _period_body(period: Period) -> dict[str, str]:
    begins = _text(period.start) if period.start else NOW
    lengths = {"duration": period.duration, "randomizeStart": period.randomize_start}
    return {"start": begins} | {name: str(n) for name, n in lengths.items() if n is not None}


def descriptor_of(answer: ReportDescriptorAnswer) -> ReportDescriptor:
    """Return the report that an event asks for."""
    return ReportDescriptor(
        answer.payload_type,
        answer.reading_type or "",
        answer.units or "",
        _targets(answer.targets),
        answer.aggregate,
        answer.start_interval,
        answer.num_intervals,
        answer.historical,
        answer.frequency,
        answer.repeat,
        answer.report_intervals,
    )


def _descriptor_body(asked: ReportDescriptor, typed: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"payloadType": asked.payload_type}
    if asked.reading_type:
        body["readingType"] = asked.reading_type
    if asked.units:
        body["units"] = asked.units
    if asked.targets:
        body["targets"] = targets_of(asked.targets, typed=typed)
    body |= {
        "aggregate": asked.aggregate,
        "startInterval": asked.start_interval,
        "numIntervals": asked.num_intervals,
        "historical": asked.historical,
        "frequency": asked.frequency,
        "repeat": asked.repeat,
    }
    return body if typed else body | {"reportIntervals": asked.report_intervals}


def _instant(text: str | None) -> datetime | None:
    """Return an instant; none for the standard's "now", in whichever of its forms."""
    if not text or text.startswith("0001-01-01"):
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(f"{text[:50]!r} is no time", "write it as 2023-11-30T16:00:00Z") from None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _length(text: str | None) -> Duration | None:
    return None if text is None else Duration.parse(text)
