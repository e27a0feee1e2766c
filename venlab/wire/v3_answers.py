"""The JSON shapes of an OpenADR 3 VTN's answers: what the client needs of them, and no more.

A member that is missing, and one that is null, are the same here: VTNs in the field send both.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from venlab.wire.v3_shapes import json_name

__all__ = [
    "DescriptorAnswer",
    "EventAnswer",
    "Id",
    "IntervalAnswer",
    "NamedAnswer",
    "PayloadAnswer",
    "PeriodAnswer",
    "PointAnswer",
    "ProblemAnswer",
    "ProgramAnswer",
    "ReportAnswer",
    "ReportDescriptorAnswer",
    "ReportResourceAnswer",
    "ResourceAnswer",
    "TargetAnswer",
    "VenAnswer",
]

# An id goes into paths and bodies: an empty, endless or unprintable one would break them.
Id = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
_Number = Annotated[float, Meta(ge=-1e300, le=1e300)]


class _Answer(Struct, rename=json_name, gc=False):
    pass


class VenAnswer(_Answer):
    """A VEN in a list."""

    id: Id
    ven_name: str


class ResourceAnswer(_Answer):
    """A resource in a list."""

    id: Id
    resource_name: str


class ProgramAnswer(_Answer):
    """A program in a list."""

    id: Id
    program_name: str = ""


class PeriodAnswer(_Answer):
    """When something is."""

    start: str | None = None
    duration: str | None = None
    randomize_start: str | None = None


class PointAnswer(_Answer):
    """A point of a curve."""

    x: _Number
    y: _Number


class PayloadAnswer(_Answer):
    """Values of one type."""

    type: str
    values: list[bool | int | _Number | str | PointAnswer | None]


class IntervalAnswer(_Answer):
    """An interval of an event or a report."""

    payloads: list[PayloadAnswer]
    id: int = 0
    interval_period: PeriodAnswer | None = None


class TargetAnswer(_Answer):
    """A target of 3.0.1, which says its type."""

    type: str
    values: list[str | int | _Number | bool]


class DescriptorAnswer(_Answer):
    """What an event's payloads of a type mean."""

    payload_type: str
    units: str | None = None


class ReportDescriptorAnswer(_Answer):
    """A report that an event asks for."""

    payload_type: str
    reading_type: str | None = None
    units: str | None = None
    targets: list[str | TargetAnswer] | None = None
    aggregate: bool = False
    start_interval: int = -1
    num_intervals: int = -1
    historical: bool = True
    frequency: int = -1
    repeat: int = 1
    report_intervals: Literal["INTERVALS", "SUB_INTERVALS", "OPEN_INTERVALS"] = "INTERVALS"


class EventAnswer(_Answer):
    """An event."""

    id: Id
    program_id: str = ""
    event_name: str | None = None
    priority: int | None = None
    targets: list[str | TargetAnswer] | None = None
    report_descriptors: list[ReportDescriptorAnswer] | None = None
    payload_descriptors: list[DescriptorAnswer] | None = None
    interval_period: PeriodAnswer | None = None
    intervals: list[IntervalAnswer] | None = None
    duration: str | None = None
    created_date_time: str | None = None
    modification_date_time: str | None = None


class ReportResourceAnswer(_Answer):
    """What a report says of one resource."""

    resource_name: str
    intervals: list[IntervalAnswer]
    interval_period: PeriodAnswer | None = None


class NamedAnswer(_Answer):
    """A report, for its name and whose it is."""

    id: Id
    report_name: str | None = None
    client_name: str | None = None
    event_id: str | None = None


class ReportAnswer(_Answer):
    """A report that is read back."""

    id: Id
    resources: list[ReportResourceAnswer]
    report_name: str | None = None


class ProblemAnswer(_Answer):
    """A refusal (RFC 9457)."""

    title: str | None = None
    detail: str | None = None
