"""The JSON shapes of the flat dialect's requests, written once.

The client builds its bodies from them, the embedded VTN decodes with them on its hot route and
derives its FastAPI models from them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

__all__ = [
    "Attribute",
    "EventRequest",
    "Interval",
    "Payload",
    "ProgramRequest",
    "ReportRequest",
    "ReportResource",
    "ResourceRequest",
    "ResourceStatus",
    "ResponseRequest",
    "SignalBody",
    "StatusRequest",
    "VenRequest",
]

Name = Annotated[str, Meta(min_length=1, max_length=256)]
# A pattern ends in (?!\n)$ since a bare $ lets a line break through, and reads only ASCII digits.
# Whether the calendar has the moment is not for a pattern: the format asks for that check.
Timestamp = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
        r"(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})(?!\n)$",
        extra_json_schema={"format": "date-time"},
    ),
]
Duration = Annotated[
    str,
    Meta(
        pattern=r"^P(?=[0-9T])([0-9]+Y)?([0-9]+M)?([0-9]+W)?([0-9]+D)?"
        r"(T(?=[0-9])([0-9]+H)?([0-9]+M)?([0-9]+(\.[0-9]+)?S)?)?(?!\n)$"
    ),
]
IntervalId = Annotated[int, Meta(ge=-(2**31), lt=2**31)]  # OpenADR's int32
ReportType = Literal["usage", "demand", "baseline", "deviation"]
ReadingType = Literal["energy", "power", "state_of_charge", "voltage", "frequency"]
ResponseType = Literal["optIn", "optOut", "notParticipating"]
ResourceStatus = Literal["approved", "pending", "suspended"]


class VenRequest(Struct, gc=False):
    """``POST /vens``."""

    ven_name: Name
    client_name: Name


class Attribute(Struct, gc=False):
    """One attribute of a resource, such as a load and its end use."""

    attribute_type: Name
    attribute_name: Name
    attribute_values: list[str]


class ResourceRequest(Struct, gc=False):
    """``POST /resources``: the client chooses the id."""

    id: Name
    resource_name: Name
    resource_type: Name
    ven_name: Name
    attributes: list[Attribute] = []
    external_resource_id: str | None = None
    service_location: str | None = None


class StatusRequest(Struct, gc=False):
    """``PATCH /resources/{id}`` (extension)."""

    status: ResourceStatus


class Payload(Struct, gc=False, forbid_unknown_fields=True):
    """Typed values; in this dialect ``USAGE`` carries mean power [kW], its habit."""

    type: Name
    values: list[float]


class Interval(Struct, gc=False, forbid_unknown_fields=True):
    """One interval of a report."""

    id: IntervalId
    payloads: list[Payload]


class ReportResource(Struct, gc=False, forbid_unknown_fields=True):
    """The resource a report speaks of."""

    resource_name: Name


class ReportRequest(Struct, gc=False, forbid_unknown_fields=True):
    """``POST /reports``: one a load.

    A member that is not known fails the quick decoding; the VTN's ordinary route ignores it.
    """

    report_name: Name
    ven_id: Name
    resource_id: Name
    client_name: Name
    report_type: ReportType
    reading_type: ReadingType
    start: Timestamp
    duration: Duration
    intervals: list[Interval]
    resources: list[ReportResource]
    load_component: Name
    program_id: str | None = None


class ProgramRequest(Struct, gc=False):
    """``POST /programs`` (extension)."""

    program_name: Name


class SignalBody(Struct, gc=False):
    """What an event asks for (extension)."""

    type: Name
    values: list[float]
    unit: str = ""


class EventRequest(Struct, gc=False):
    """``POST /events`` and ``PUT /events/{id}`` (extension).

    With `interval_minutes` each value has an interval, and they repeat until the end; without it
    all have the whole time.
    """

    event_name: Name
    program_id: Name
    start_date: Timestamp
    end_date: Timestamp
    signal: SignalBody | None = None
    interval_minutes: Annotated[float, Meta(gt=0)] | None = None
    targets: list[str] = []


class ResponseRequest(Struct, gc=False):
    """``POST /events/{id}/responses``; the VEN is known by its token or named."""

    event_id: Name
    response_type: ResponseType
    ven_id: Name | None = None
