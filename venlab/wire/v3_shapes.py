"""The JSON shapes of requests in OpenADR 3.0.1 and 3.1.0, as their documents have them.

The client builds its bodies from them; the embedded VTN decodes reports with them on its hot
route, and checks all else against them. A member that may be left out is `UNSET` then; one that
may also be null says so. Members that are not known are refused here: the VTN's ordinary route
takes them away before it looks.

The versions differ in targets (pairs of a type and values, later plain strings), in whether a
period must have a start, and in what a descriptor must say; what contains these is generic. What
a VTN sets by itself (id, times, 3.1.0's clientID of a VEN) stands in no request.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType

from venlab.wire.flat_shapes import Timestamp

__all__ = [
    "SHAPES",
    "AnyDescriptor301",
    "AnyDescriptor310",
    "Description",
    "Duration",
    "Event301",
    "Event310",
    "EventDescriptor301",
    "EventDescriptor310",
    "Interval",
    "ObjectID",
    "ObjectOperation301",
    "ObjectOperation310",
    "ObjectType",
    "OpenPeriod",
    "Period",
    "Point",
    "Program301",
    "Program310",
    "Report",
    "Report301",
    "Report310",
    "ReportDescriptor301",
    "ReportDescriptor310",
    "ReportPayload301",
    "ReportPayload310",
    "ReportResource",
    "Resource301",
    "Resource310",
    "Shape",
    "Subscription301",
    "Subscription310",
    "ValuesMap",
    "Ven301",
    "Ven310",
    "json_name",
]

P = TypeVar("P")  # a period
T = TypeVar("T")  # a target
D = TypeVar("D")  # what describes payloads
R = TypeVar("R")  # what describes a report

Name = Annotated[str, Meta(min_length=1, max_length=128)]
ObjectID = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9_-]*(?!\n)$")]
ObjectType = Literal["PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE"]
Int32 = Annotated[int, Meta(ge=-(2**31), lt=2**31)]
Url = Annotated[str, Meta(min_length=2, max_length=8000)]
# The documents' own pattern, with digits and an end that mean the same to every library.
Duration = Annotated[
    str,
    Meta(
        pattern=r"^(-?)P(?=[0-9]|T[0-9])(?:([0-9]+)Y)?(?:([0-9]+)M)?(?:([0-9]+)([DW]))?"
        r"(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:\.[0-9]+)?)S)?)?(?!\n)$"
    ),
]
Text: TypeAlias = str | UnsetType | None
ShortText: TypeAlias = Name | UnsetType | None
Flag: TypeAlias = bool | UnsetType | None
EventKind = Literal["EVENT_PAYLOAD_DESCRIPTOR"]
ReportKind = Literal["REPORT_PAYLOAD_DESCRIPTOR"]
AnyKind = Literal["EVENT_PAYLOAD_DESCRIPTOR", "REPORT_PAYLOAD_DESCRIPTOR"]


def json_name(name: str) -> str:
    """Return a member's name: ``program_id`` is ``programID`` in JSON."""
    first, *others = name.split("_")
    return first + "".join("ID" if part == "id" else part.title() for part in others)


class Shape(Struct, gc=False, forbid_unknown_fields=True, kw_only=True, rename=json_name):
    """Base of all: ``program_id`` is ``programID`` in JSON."""


class Point(Shape):
    """A pair of numbers."""

    x: float
    y: float


class ValuesMap(Shape, kw_only=True):
    """Values of one type: a payload, an attribute or, in 3.0.1, a target."""

    type: Name
    values: list[float | int | str | bool | Point]


class OpenPeriod(Shape, kw_only=True):
    """``intervalPeriod`` of 3.1.0."""

    start: Timestamp | UnsetType = UNSET
    duration: Duration | UnsetType = UNSET
    randomize_start: Duration | UnsetType = UNSET


class Period(OpenPeriod, kw_only=True):
    """``intervalPeriod`` of 3.0.1: it has a start."""

    start: Timestamp


class Interval(Shape, Generic[P], kw_only=True):
    """One interval of an event or a report; its id is no sequence number."""

    id: Int32
    payloads: list[ValuesMap]
    interval_period: P | UnsetType = UNSET


class EventDescriptor301(Shape, kw_only=True):
    """What an event's payloads of a type mean."""

    payload_type: Name
    object_type: EventKind | UnsetType = UNSET
    units: Text = UNSET
    currency: Text = UNSET


class EventDescriptor310(EventDescriptor301, kw_only=True):
    """The same, and it must say what it is."""

    object_type: EventKind
    units: ShortText = UNSET


class _ReportPayload(Shape, kw_only=True):
    payload_type: Name
    reading_type: Text = UNSET
    units: Text = UNSET
    accuracy: float | UnsetType | None = UNSET
    confidence: Annotated[int, Meta(ge=0, le=100)] | UnsetType | None = UNSET


class ReportPayload301(_ReportPayload, kw_only=True):
    """What a report's payloads of a type mean."""

    object_type: ReportKind | UnsetType = UNSET


class ReportPayload310(_ReportPayload, kw_only=True):
    """The same, and it must say what it is."""

    object_type: ReportKind
    reading_type: ShortText = UNSET
    units: ShortText = UNSET


class AnyDescriptor301(_ReportPayload, kw_only=True):
    """Either of them, as a program has them."""

    object_type: AnyKind | UnsetType = UNSET
    currency: Text = UNSET


class AnyDescriptor310(AnyDescriptor301, kw_only=True):
    """The same, and it must say which."""

    object_type: AnyKind
    reading_type: ShortText = UNSET
    units: ShortText = UNSET


class ReportDescriptor301(Shape, Generic[T], kw_only=True):
    """A report that an event asks for; `frequency` and its like count intervals."""

    payload_type: Name
    reading_type: Text = UNSET
    units: Text = UNSET
    targets: list[T] | UnsetType | None = UNSET
    aggregate: bool = False
    start_interval: Int32 = -1
    num_intervals: Int32 = -1
    historical: bool = True
    frequency: Int32 = -1
    repeat: Int32 = 1


class ReportDescriptor310(ReportDescriptor301[Name], kw_only=True):
    """The same, and which intervals the report may have."""

    reading_type: ShortText = UNSET
    units: ShortText = UNSET
    report_intervals: Literal["INTERVALS", "SUB_INTERVALS", "OPEN_INTERVALS"] = "INTERVALS"


class Description(Shape, kw_only=True, rename={"url": "URL"}):
    """Where a program is described."""

    url: Url


class ReportResource(Shape, Generic[P], kw_only=True):
    """What a report says of one resource."""

    resource_name: Name
    intervals: list[Interval[P]]
    interval_period: P | UnsetType = UNSET


class ObjectOperation310(Shape, kw_only=True):
    """What a subscriber wants to hear of, and where."""

    objects: list[ObjectType]
    operations: list[Literal["READ", "CREATE", "UPDATE", "DELETE"]]
    callback_url: Url
    bearer_token: Text = UNSET


class ObjectOperation301(Shape, kw_only=True):
    """The same, with operations by either of the names that are in use."""

    objects: list[ObjectType]
    operations: list[Literal["READ", "CREATE", "UPDATE", "DELETE", "GET", "POST", "PUT"]]
    callback_url: Url
    bearer_token: Text = UNSET


class Program(Shape, Generic[T, P, D], kw_only=True):
    """``POST /programs`` of both versions."""

    program_name: Name
    interval_period: P | UnsetType = UNSET
    program_descriptions: list[Description] | UnsetType | None = UNSET
    payload_descriptors: list[D] | UnsetType | None = UNSET
    targets: list[T] | UnsetType | None = UNSET


class Program301(Program[ValuesMap, Period, AnyDescriptor301], kw_only=True):
    """``POST /programs``."""

    object_type: Literal["PROGRAM"] | UnsetType = UNSET
    program_long_name: Text = UNSET
    retailer_name: Text = UNSET
    retailer_long_name: Text = UNSET
    program_type: Text = UNSET
    country: Text = UNSET
    principal_subdivision: Text = UNSET
    time_zone_offset: Duration | UnsetType = UNSET
    binding_events: Flag = UNSET
    local_price: Flag = UNSET


class Program310(Program[Name, OpenPeriod, AnyDescriptor310], kw_only=True):
    """``POST /programs``: what 3.0.1 had members for are attributes."""

    attributes: list[ValuesMap] | UnsetType | None = UNSET


class Event(Shape, Generic[T, P, D, R], kw_only=True):
    """``POST /events`` of both versions."""

    program_id: ObjectID
    event_name: Text = UNSET
    priority: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET
    targets: list[T] | UnsetType | None = UNSET
    report_descriptors: list[R] | UnsetType | None = UNSET
    payload_descriptors: list[D] | UnsetType | None = UNSET
    interval_period: P | UnsetType = UNSET
    intervals: list[Interval[P]] | UnsetType = UNSET


class Event301(
    Event[ValuesMap, Period, EventDescriptor301, ReportDescriptor301[ValuesMap]], kw_only=True
):
    """``POST /events``."""

    object_type: Literal["EVENT"] | UnsetType = UNSET
    intervals: list[Interval[Period]]


class Event310(Event[Name, OpenPeriod, EventDescriptor310, ReportDescriptor310], kw_only=True):
    """``POST /events``: without intervals it only asks for reports."""

    duration: Duration | UnsetType = UNSET


class Report(Shape, Generic[P, D], kw_only=True):
    """``POST /reports`` of both versions."""

    event_id: ObjectID
    client_name: Name
    resources: list[ReportResource[P]]
    report_name: Text = UNSET
    payload_descriptors: list[D] | UnsetType | None = UNSET
    object_type: Literal["REPORT"] | UnsetType = UNSET


class Report301(Report[Period, ReportPayload301], kw_only=True):
    """``POST /reports``."""

    program_id: ObjectID


class Report310(Report[OpenPeriod, ReportPayload310], kw_only=True):
    """``POST /reports``: the event says which program it is."""


class Subscription301(Shape, kw_only=True):
    """``POST /subscriptions``."""

    client_name: Name
    program_id: ObjectID
    object_operations: list[ObjectOperation301]
    object_type: Literal["SUBSCRIPTION"] | UnsetType = UNSET
    targets: list[ValuesMap] | UnsetType | None = UNSET


class Subscription310(Shape, kw_only=True):
    """``POST /subscriptions``."""

    client_name: Name
    object_operations: list[ObjectOperation310]
    program_id: ObjectID | UnsetType = UNSET
    targets: list[Name] | UnsetType | None = UNSET


class Resource301(Shape, kw_only=True):
    """``POST /vens/{venID}/resources``."""

    resource_name: Name
    object_type: Literal["RESOURCE"] | UnsetType = UNSET
    attributes: list[ValuesMap] | UnsetType | None = UNSET
    targets: list[ValuesMap] | UnsetType | None = UNSET


class Resource310(Shape, kw_only=True):
    """``POST /resources``: with clientID and targets if it is business logic's."""

    ven_id: ObjectID
    resource_name: Name
    object_type: Literal["VEN_RESOURCE_REQUEST", "BL_RESOURCE_REQUEST"] | UnsetType = UNSET
    attributes: list[ValuesMap] | UnsetType | None = UNSET
    client_id: Name | UnsetType = UNSET
    targets: list[Name] | UnsetType | None = UNSET


class Ven301(Shape, kw_only=True):
    """``POST /vens``."""

    ven_name: Name
    object_type: Literal["VEN"] | UnsetType = UNSET
    attributes: list[ValuesMap] | UnsetType | None = UNSET
    targets: list[ValuesMap] | UnsetType | None = UNSET
    resources: list[Resource301] | UnsetType | None = UNSET


class Ven310(Shape, kw_only=True):
    """``POST /vens``: with clientID and targets if it is business logic's."""

    ven_name: Name
    object_type: Literal["VEN_VEN_REQUEST", "BL_VEN_REQUEST"] | UnsetType = UNSET
    attributes: list[ValuesMap] | UnsetType | None = UNSET
    client_id: Name | UnsetType = UNSET
    targets: list[Name] | UnsetType | None = UNSET


SHAPES: dict[str, dict[str, type[Shape]]] = {
    "3.0.1": {
        "programs": Program301,
        "events": Event301,
        "reports": Report301,
        "subscriptions": Subscription301,
        "vens": Ven301,
        "resources": Resource301,
    },
    "3.1.0": {
        "programs": Program310,
        "events": Event310,
        "reports": Report310,
        "subscriptions": Subscription310,
        "vens": Ven310,
        "resources": Resource310,
    },
}
"""What is posted at each path, by version."""
