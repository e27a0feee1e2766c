"""The JSON shapes of a flat VTN's answers: what the client needs of them, and no more."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from venlab.secret import SENDABLE
from venlab.wire.flat_shapes import Name, ResourceStatus, SignalBody

__all__ = [
    "EventAnswer",
    "FieldProblemAnswer",
    "HealthAnswer",
    "HeardIntervalAnswer",
    "HeardPayloadAnswer",
    "HeardReportAnswer",
    "NamedAnswer",
    "ProblemAnswer",
    "ProgramAnswer",
    "RegistrationAnswer",
    "RenewalAnswer",
    "ResourceAnswer",
    "ResponseAnswer",
    "VenAnswer",
]


# An id goes into paths and bodies: an empty, endless or unprintable one would break them.
_Id = Annotated[str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
_Version = Annotated[int, Meta(ge=-(2**53), le=2**53)]
_Kw = Annotated[float, Meta(ge=-1e9, le=1e9)]  # a terawatt
_Minutes = Annotated[float, Meta(gt=0, le=1e9)]  # two thousand years
_AuthToken = Annotated[str, Meta(pattern=SENDABLE)]


class RenewalAnswer(Struct):
    """A VEN's new token."""

    auth_token: _AuthToken


class RegistrationAnswer(Struct):
    """A VEN or resource that is registered, or was."""

    id: _Id
    auth_token: _AuthToken = ""


class VenAnswer(Struct):
    """A VEN in a list."""

    id: _Id
    ven_name: str
    client_name: str = ""


class ResourceAnswer(Struct):
    """A resource in a list."""

    id: _Id
    resource_name: str
    ven_name: str = ""
    resource_type: str = "building"
    status: ResourceStatus = "approved"


class ProgramAnswer(Struct):
    """A program in a list."""

    id: _Id
    program_name: str = ""


class EventAnswer(Struct):
    """An event."""

    id: _Id
    event_name: str
    start_date: datetime
    end_date: datetime
    program_id: str = ""
    status: str = ""
    modification_number: _Version = 0
    signal: SignalBody | None = None
    interval_minutes: _Minutes | None = None
    targets: list[str] | None = None


class ResponseAnswer(Struct):
    """What a VEN answered to an event."""

    ven_id: str
    response_type: str


class HeardPayloadAnswer(Struct, gc=False):
    """Values of a report that is read back."""

    values: list[_Kw]


class HeardIntervalAnswer(Struct, gc=False):
    """An interval of a report that is read back."""

    payloads: list[HeardPayloadAnswer]


class HeardReportAnswer(Struct, gc=False):
    """A report that is read back."""

    report_name: Name
    intervals: list[HeardIntervalAnswer]


class HealthAnswer(Struct):
    """How a VTN is."""

    status: str
    refuses_repeated_names: bool = False


class NamedAnswer(Struct):
    """A report, for its name."""

    report_name: str


class FieldProblemAnswer(Struct):
    """What is wrong with one field."""

    loc: list[str | int] = []
    msg: str = ""


class ProblemAnswer(Struct):
    """A refusal."""

    detail: str | list[FieldProblemAnswer] = ""
