"""The flat dialect: the JSON of the VTN that the lab grew up with, and its extension."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from venlab.errors import DataError, plain
from venlab.model import Event, Program, Resource, Status, Ven
from venlab.secret import Secret
from venlab.wire import (
    Address,
    Call,
    Draft,
    Health,
    Heard,
    Held,
    LoadName,
    Page,
    Registered,
    unsayable,
)
from venlab.wire.flat_answers import (
    EventAnswer,
    HealthAnswer,
    HeardReportAnswer,
    NamedAnswer,
    ProblemAnswer,
    ProgramAnswer,
    RegistrationAnswer,
    RenewalAnswer,
    ResourceAnswer,
    ResponseAnswer,
    VenAnswer,
)
from venlab.wire.flat_events import event_body, event_of
from venlab.wire.flat_shapes import (
    Attribute,
    Interval,
    Payload,
    ProgramRequest,
    ReportRequest,
    ReportResource,
    ResourceRequest,
    StatusRequest,
    VenRequest,
)

__all__ = ["Flat", "FlatWriter"]

T = TypeVar("T")
_LONGEST_PROBLEM = 2**18  # bytes; what is cut there is JSON no more
_MARK = "\x7f"  # no name holds one, and JSON leaves it as it is: a rendered body splits there


def _reader(shape: type[T]) -> Callable[[int, bytes], T]:
    decoder = msgspec.json.Decoder(shape)
    return lambda _status, body: decoder.decode(body)


def _ignore(_status: int, body: bytes) -> None:
    if body:  # whatever a VTN says; a portal's page is none
        _read_anything(0, body)


_read_registration = _reader(RegistrationAnswer)
_read_renewal = _reader(RenewalAnswer)
_read_vens = _reader(list[VenAnswer])
_read_resources = _reader(list[ResourceAnswer])
_read_programs = _reader(list[ProgramAnswer])
_read_events = _reader(list[EventAnswer])
_read_event = _reader(EventAnswer)
_read_responses = _reader(list[ResponseAnswer])
_read_heard = _reader(list[HeardReportAnswer])
_read_problem = _reader(ProblemAnswer)
_read_anything = _reader(msgspec.Raw)
_read_report = _reader(ReportRequest)
_read_receipt = _reader(dict[str, msgspec.Raw])
_read_health = _reader(HealthAnswer)
_read_names = _reader(list[NamedAnswer])


class Flat:
    """The flat dialect: how each wish of the client is said, and each answer read."""

    name: ClassVar[str] = "flat"
    page: ClassVar[int] = 1000
    page_of_reports: ClassVar[int] = 5000
    tells_id_of_same_name: ClassVar[bool] = True
    private: ClassVar[bool] = False
    stranger: ClassVar[int] = 401
    cannot: ClassVar[Mapping[str, str]] = {
        "address": "a report is about no event",
        "delete": "nothing that was made is ever deleted",
    }

    def health(self) -> Call[Health]:
        """Ask whether the VTN is well (extension)."""
        return Call("GET", "/health", _health)

    def vens(self, name: str, skip: int, limit: int) -> Call[list[Ven]]:
        """List the VENs of that name (extension)."""
        query = urlencode({"ven_name": name, "skip": skip, "limit": limit})
        return Call("GET", f"/vens?{query}", _vens)

    def register_ven(self, name: str, client_name: str, **_unsaid: object) -> Call[Registered]:
        """Register a VEN; a repeated name answers 409 with the id it has."""
        body = msgspec.json.encode(VenRequest(name, client_name))
        return Call("POST", "/vens", _registered, body, also=(409,))

    def renew_token(self, ven_id: str) -> Call[Secret]:
        """Ask for a VEN's new token, as the fleet (extension); the old one is no longer valid."""
        return Call("POST", f"/vens/{quote(ven_id, safe='')}/token", _renewed)

    def resources_of(self, ven: Ven, skip: int, limit: int) -> Call[list[Resource]]:
        """List what stands behind a VEN (extension)."""
        query = urlencode({"ven_name": ven.name, "skip": skip, "limit": limit})
        return Call("GET", f"/resources?{query}", _resources)

    def register_resource(self, ven: Ven, resource: Resource, *, speaks: bool) -> Call[Registered]:
        """Register a resource; a repeated one answers 409 with the id it has."""
        attributes = [Attribute("load", name, v) for name, v in resource.attributes.items()]
        request = ResourceRequest(
            resource.id, resource.name, resource.kind, resource.ven_name, attributes
        )
        return Call("POST", "/resources", _registered, msgspec.json.encode(request), also=(409,))

    def resources(self, skip: int, limit: int) -> Call[list[Resource]]:
        """List resources with their status (extension)."""
        return Call("GET", f"/resources?skip={skip}&limit={limit}", _resources)

    def set_status(self, resource_id: str, status: Status) -> Call[None]:
        """Approve or suspend a resource, as the VTN's operator (extension)."""
        body = msgspec.json.encode(StatusRequest(status))
        return Call("PATCH", f"/resources/{quote(resource_id, safe='')}", _ignore, body)

    def programs(self, skip: int, limit: int) -> Call[list[Program]]:
        """List programs."""
        return Call("GET", f"/programs?skip={skip}&limit={limit}", _programs)

    def create_program(self, name: str) -> Call[Program]:
        """Create a program (extension); a repeated name answers 409 with the id it has."""
        body = msgspec.json.encode(ProgramRequest(name))
        return Call(
            "POST",
            "/programs",
            lambda status, answer: Program(_read_registration(status, answer).id, name),
            body,
            also=(409,),
        )

    def enrol(self, program_id: str, resource_id: str) -> Call[bool]:
        """Enrol a resource in a program; False where it was enrolled before."""
        query = urlencode({"resource_id": resource_id})
        path = f"/programs/{quote(program_id, safe='')}/resources?{query}"
        return Call("POST", path, _enrolled, also=(409,))

    def events(self, skip: int, limit: int) -> Call[list[Event]]:
        """List events."""
        return Call("GET", f"/events?skip={skip}&limit={limit}", _events)

    def event(self, event_id: str) -> Call[Event]:
        """Show an event (extension)."""
        return Call("GET", f"/events/{quote(event_id, safe='')}", _event)

    def create_event(self, event: Event) -> Call[Event]:
        """Create an event (extension)."""
        return Call("POST", "/events", _event, event_body(event))

    def change_event(self, event: Event) -> Call[Event]:
        """Replace an event by a new version of it (extension)."""
        return Call("PUT", f"/events/{quote(event.id, safe='')}", _event, event_body(event))

    def cancel_event(self, event_id: str) -> Call[None]:
        """Cancel an event (extension)."""
        return Call("DELETE", f"/events/{quote(event_id, safe='')}", _ignore)

    def respond(self, event_id: str, ven_id: str, answer: str) -> Call[None]:
        """Answer an event for one VEN: optIn, optOut or notParticipating."""
        body = msgspec.json.encode(
            {"event_id": event_id, "response_type": answer, "ven_id": ven_id}
        )
        return Call("POST", f"/events/{quote(event_id, safe='')}/responses", _ignore, body)

    def responses(self, event_id: str, skip: int, limit: int) -> Call[list[tuple[str, str]]]:
        """List who answered an event, and what (extension)."""
        path = f"/events/{quote(event_id, safe='')}/responses?skip={skip}&limit={limit}"
        return Call("GET", path, _responses)

    def addresses(self, skip: int, limit: int) -> Call[list[Address]]:
        """Raise ConfigError: a report is about no event."""
        raise unsayable(self, "address")

    def open_address(self, program_id: str, name: str) -> Call[Address]:
        """Raise ConfigError: a report is about no event."""
        raise unsayable(self, "address")

    def post_report(self, body: bytes) -> Call[None]:
        """Send one frozen report."""
        return Call("POST", "/reports", _ignore, body)

    def heard(
        self, run_id: str, address: Address | None, place: str, limit: int
    ) -> Call[Page[Heard]]:
        """Read back a page of a run's reports by name (extension), from after the place."""
        query = urlencode({"run": run_id, "after": place, "limit": limit})

        def read(status: int, body: bytes) -> Page[Heard]:
            # A VTN that pages its own way may repeat itself; names tell, and end the walk.
            new = [report for report in _heard(status, body) if report.name > place]
            last = max((report.name for report in new), default="")
            return Page(new, last, last)

        return Call("GET", f"/reports?{query}", read)

    def holds(self, name: str, address: Address | None, place: str, limit: int) -> Call[Page[str]]:
        """Ask for a report by its name (extension); a VTN without it lists what it has."""
        query = urlencode({"report_name": name})
        return Call("GET", f"/reports?{query}", lambda _, body: Page(sorted(_names(body)), "", ""))

    def reports(self, client_name: str, event_id: str, skip: int, limit: int) -> Call[list[Held]]:
        """Raise ConfigError: what is listed here is to be deleted."""
        raise unsayable(self, "delete")

    def delete_report(self, _id: str, /) -> Call[Any]:
        """Raise ConfigError: see `cannot`."""
        raise unsayable(self, "delete")

    delete_ven = delete_event = delete_program = subscribed = delete_report

    def delete_resource(self, ven_id: str, resource_id: str) -> Call[None]:
        """Raise ConfigError: see `cannot`."""
        return self.delete_report(resource_id)

    def receipt(self, body: bytes) -> bool:
        """Tell whether this is what a VTN says of a report that it has taken: nothing, or JSON."""
        try:
            return not body or bool(_read_receipt(0, body))
        except (ValueError, RecursionError):
            return False

    def readdress(self, body: bytes, ven: Ven, address: Address | None) -> bytes:
        """Return a frozen report with the id that its VEN has now; a resource keeps its own."""
        report = msgspec.structs.replace(_read_report(0, body), ven_id=ven.id)
        return body if report == _read_report(0, body) else msgspec.json.encode(report)

    def halves(self, name: str, body: bytes, readings: int, of: object = ()) -> list[Draft]:
        """Return nothing: a flat report carries one reading."""
        return []

    def explain(self, body: bytes) -> str:
        """Return the VTN's words for a refusal, field by field."""
        try:
            detail = _read_problem(0, body[:_LONGEST_PROBLEM]).detail
        except (ValueError, RecursionError):
            # Somebody who is no VTN, or has no end: a page, most often; its words without its tags.
            return plain(re.sub(r"<[^>]*>", " ", body[:500].decode("utf-8", "replace")))
        if not isinstance(detail, str):
            detail = "; ".join(f"{'.'.join(map(str, d.loc))}: {d.msg}" for d in detail)
        return plain(detail)

    def writer(
        self, ven: Ven, loads: Sequence[LoadName], run_id: str, address: Address | None
    ) -> FlatWriter:
        """Return what writes a VEN's reports, one a load."""
        return FlatWriter(ven, loads, run_id)


class FlatWriter:
    """One report a load; the bytes around name, start and value are rendered once.

    Parameters
    ----------
    ven : Ven
        Whose loads they are; its client name is the town's id.
    loads : sequence of LoadName
        The loads, in order.
    run_id : str
        First part of every name.
    """

    def __init__(self, ven: Ven, loads: Sequence[LoadName], run_id: str) -> None:
        self._names = [f"{run_id}/{ven.client_name}/{n.resource}/{n.load}/" for n in loads]
        self._parts = [_render(ven, n, name) for n, name in zip(loads, self._names, strict=True)]

    def write(self, stamp: datetime, duration_s: int, watts: Sequence[int]) -> list[Draft]:
        """Write one report for each load that was measured.

        Parameters
        ----------
        stamp : datetime
            Start of the interval.
        duration_s : int
            Unused: this dialect says ``PT0S`` and leaves the length to the schedule.
        watts : sequence of int
            Mean power of each load [W]; -1 = not measured.
        """
        when = stamp.astimezone(UTC)
        name_end = when.strftime("%Y%m%dT%H%M%SZ")
        name_bytes, start = name_end.encode(), when.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        return [
            Draft(
                name + name_end,
                b"%b%b%b%b%b%d.%03d%b" % (a, name_bytes, b, start, c, w // 1000, w % 1000, d),
                (i,),
            )
            for i, (name, (a, b, c, d), w) in enumerate(
                zip(self._names, self._parts, watts, strict=True)
            )
            if w >= 0
        ]


def _render(ven: Ven, load: LoadName, name: str) -> list[bytes]:
    """Return a report's bytes, cut where its name ends, its start stands and its value stands."""
    report = ReportRequest(
        report_name=name + _MARK,
        ven_id=ven.id,
        resource_id=load.resource_id,
        client_name=ven.client_name,
        report_type="usage",
        reading_type="power",
        start=_MARK,
        duration="PT0S",
        intervals=[Interval(0, [Payload("USAGE", [0.0])])],
        resources=[ReportResource(load.resource)],
        load_component=load.load,
    )
    head, middle, rest = msgspec.json.encode(report).split(_MARK.encode())
    before, after = rest.split(b"[0.0]", 1)  # a resource's name, which may hold this, comes later
    # One finished body is read back as the VTN will: a wrong shape is found before it is sent.
    end, start = b"20230101T000000Z", b"2023-01-01T00:00:00Z"
    try:
        _read_report(0, head + end + middle + start + before + b"[0.000]" + after)
    except msgspec.ValidationError as error:
        raise DataError(f"a report for {name} would be refused: {error}") from None
    return [head, middle, before + b"[", b"]" + after]


def _health(status: int, body: bytes) -> Health:
    answer = _read_health(status, body)
    return Health(plain(answer.status), answer.refuses_repeated_names)


def _enrolled(status: int, body: bytes) -> bool:
    _ignore(status, body)
    return status != 409


def _names(body: bytes) -> set[str]:
    return {report.report_name for report in _read_names(200, body)}


def _registered(status: int, body: bytes) -> Registered:
    answer = _read_registration(status, body)
    return Registered(answer.id, status != 409, Secret(answer.auth_token))


def _renewed(status: int, body: bytes) -> Secret:
    return Secret(_read_renewal(status, body).auth_token)


def _vens(status: int, body: bytes) -> list[Ven]:
    return [Ven(v.id, v.ven_name, v.client_name) for v in _read_vens(status, body)]


def _resources(status: int, body: bytes) -> list[Resource]:
    return [
        Resource(r.id, r.resource_name, r.ven_name, r.resource_type, r.status)
        for r in _read_resources(status, body)
    ]


def _programs(status: int, body: bytes) -> list[Program]:
    return [Program(p.id, p.program_name) for p in _read_programs(status, body)]


def _event(status: int, body: bytes) -> Event:
    return event_of(_read_event(status, body))


def _events(status: int, body: bytes) -> list[Event]:
    return [event_of(answer) for answer in _read_events(status, body)]


def _responses(status: int, body: bytes) -> list[tuple[str, str]]:
    return [(r.ven_id, r.response_type) for r in _read_responses(status, body)]


def _heard(status: int, body: bytes) -> list[Heard]:
    heard = []
    for report in _read_heard(status, body):
        values = [v for i in report.intervals for p in i.payloads for v in p.values]
        heard.append(Heard(report.report_name, len(values), sum(round(v * 1000) for v in values)))
    return heard
