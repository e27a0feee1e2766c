"""What OpenADR 3.0.1 and 3.1.0 have in common: how each wish is said, and each answer read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from venlab.errors import ConfigError, plain
from venlab.model import NO_TRAITS, Event, Program, ReportDescriptor, Resource, Status, Traits, Ven
from venlab.reportplan import UNITS
from venlab.secret import Secret
from venlab.wire import (
    Address,
    Call,
    Draft,
    Health,
    Heard,
    Held,
    Limits,
    LoadName,
    Page,
    Registered,
    unsayable,
)
from venlab.wire.flat_answers import HealthAnswer
from venlab.wire.v3_answers import (
    EventAnswer,
    Id,
    NamedAnswer,
    ProblemAnswer,
    ProgramAnswer,
    ReportAnswer,
    ResourceAnswer,
    VenAnswer,
)
from venlab.wire.v3_events import descriptor_of, event_body, event_of
from venlab.wire.v3_reports import halves, heard
from venlab.wire.v3_shapes import Report301, Report310
from venlab.wire.v3_traits import Json
from venlab.wire.v3_windows import BatchAndWindowWriter, window_halves

__all__ = ["OpenAdr3"]

T = TypeVar("T")
_LONGEST_PROBLEM = 2**18  # bytes; what is cut there is JSON no more


def reader(shape: type[T]) -> Callable[[int, bytes], T]:
    """Return what reads a body of that shape."""
    decoder = msgspec.json.Decoder(shape)
    return lambda _status, body: decoder.decode(body)


class _Made(msgspec.Struct):
    id: Id


_read_made = reader(_Made)
_read_health = reader(HealthAnswer)
_read_vens = reader(list[VenAnswer])
_read_resources = reader(list[ResourceAnswer])
_read_programs = reader(list[ProgramAnswer])
_read_events = reader(list[EventAnswer])
_read_event = reader(EventAnswer)
_read_reports = reader(list[ReportAnswer])
_read_names = reader(list[NamedAnswer])
_read_problem = reader(ProblemAnswer)
_read_anything = reader(msgspec.Raw)
_read_listed = reader(list[msgspec.Raw])
_read_receipt = reader(dict[str, msgspec.Raw])
_TAGS = re.compile(r"<[^>]*>")


class OpenAdr3:
    """What both versions have in common; `v301` and `v310` say where they differ."""

    name: ClassVar[str]
    types_targets: ClassVar[bool]
    private: ClassVar[bool]
    stranger: ClassVar[int]
    report_shape: ClassVar[type[Report301 | Report310]]
    page: ClassVar[int] = 50  # the most that the documents allow
    page_of_reports: ClassVar[int] = 50
    tells_id_of_same_name: ClassVar[bool] = False
    cannot: ClassVar[Mapping[str, str]] = {
        "status": "whether a resource is approved stands in the fleet's table only",
        "enrol": "nobody is enrolled in a program; its targets say who is meant",
        "respond": "an event is not answered; a report of OPERATING_STATE tells who opted out",
        "renew": "a VEN gets no token when it is registered, but at the token server",
    }

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    # -- what is there ------------------------------------------------------------------------

    def health(self) -> Call[Health]:
        """Ask whether the VTN is well (an extension of ours)."""
        return Call("GET", "/health", _health)

    def vens(self, name: str, skip: int, limit: int) -> Call[list[Ven]]:
        """List the VENs of that name."""
        query = urlencode({"venName": name, "skip": skip, "limit": limit})

        def read(status: int, body: bytes) -> list[Ven]:
            return [Ven(v.id, v.ven_name, "") for v in _read_vens(status, body)]

        return Call("GET", f"/vens?{query}", read)

    def register_ven(
        self, name: str, client_name: str, *, speaks: bool, traits: Traits = NO_TRAITS
    ) -> Call[Registered]:
        """Register a VEN: as itself, where it `speaks`, or as business logic for it."""
        body = self._ven(name, client_name, traits, speaks)
        return Call("POST", "/vens", _registered, msgspec.json.encode(body))

    def resources_of(self, ven: Ven, skip: int, limit: int) -> Call[list[Resource]]:
        """List what stands behind a VEN."""

        def read(status: int, body: bytes) -> list[Resource]:
            found = _read_resources(status, body)
            return [Resource(r.id, r.resource_name, ven.name) for r in found]

        return Call("GET", self._resources_path(ven, skip, limit), read)

    def register_resource(self, ven: Ven, resource: Resource, *, speaks: bool) -> Call[Registered]:
        """Register a resource behind a VEN."""
        path, body = self._resource(ven, resource, speaks)
        return Call("POST", path, _registered, msgspec.json.encode(body))

    def programs(self, skip: int, limit: int) -> Call[list[Program]]:
        """List programs."""

        def read(status: int, body: bytes) -> list[Program]:
            return [Program(p.id, plain(p.program_name)) for p in _read_programs(status, body)]

        return Call("GET", f"/programs?skip={skip}&limit={limit}", read)

    def create_program(self, name: str) -> Call[Program]:
        """Create a program, as business logic."""
        body = msgspec.json.encode({"programName": name})
        return Call("POST", "/programs", lambda s, b: Program(_read_made(s, b).id, name), body)

    # -- events -------------------------------------------------------------------------------

    def events(self, skip: int, limit: int) -> Call[list[Event]]:
        """List events."""

        def read(status: int, body: bytes) -> list[Event]:
            return [event_of(answer) for answer in _read_events(status, body)]

        return Call("GET", f"/events?skip={skip}&limit={limit}", read)

    def event(self, event_id: str) -> Call[Event]:
        """Show an event."""
        return Call("GET", f"/events/{quoted(event_id)}", _event)

    def create_event(self, event: Event) -> Call[Event]:
        """Create an event, as business logic."""
        return Call("POST", "/events", _event, self._event_body(event))

    def change_event(self, event: Event) -> Call[Event]:
        """Replace an event by a new version of it, as business logic."""
        return Call("PUT", f"/events/{quoted(event.id)}", _event, self._event_body(event))

    def cancel_event(self, event_id: str) -> Call[None]:
        """Cancel an event, as business logic: the standard deletes it."""
        return Call("DELETE", f"/events/{quoted(event_id)}", _ignore)

    def _event_body(self, event: Event) -> bytes:
        return msgspec.json.encode(event_body(event, typed=self.types_targets))

    # -- reports ------------------------------------------------------------------------------

    def addresses(self, skip: int, limit: int) -> Call[list[Address]]:
        """List the events, as what reports can be about."""

        def read(status: int, body: bytes) -> list[Address]:
            return [_address(event) for event in _read_events(status, body)]

        return Call("GET", f"/events?skip={skip}&limit={limit}", read)

    def open_address(self, program_id: str, name: str) -> Call[Address]:
        """Create an event that asks for nothing but reports, as business logic."""
        # For ever: one report after each interval, which the lab's own schedule gives.
        asked = ReportDescriptor("DEMAND", "MEAN", UNITS["DEMAND"], frequency=1, repeat=-1)
        event = Event("", name, program_id, report_descriptors=(asked,))

        def read(status: int, answer: bytes) -> Address:
            return _address(_read_event(status, answer))

        return Call("POST", "/events", read, self._event_body(event))

    def writer(
        self, ven: Ven, loads: Sequence[LoadName], run_id: str, address: Address | None
    ) -> BatchAndWindowWriter:
        """Return what writes a VEN's reports, one an interval or window."""
        if address is None:
            raise ConfigError(f"reports in {self.name} are about an event, and there is none")
        return BatchAndWindowWriter(
            ven, loads, run_id, address=address, limits=self._limits, shape=self.report_shape
        )

    def post_report(self, body: bytes) -> Call[None]:
        """Send one frozen report."""
        return Call("POST", "/reports", _ignore, body)

    def heard(
        self, run_id: str, address: Address | None, place: str, limit: int
    ) -> Call[Page[Heard]]:
        """Read back a page of an event's reports, of which those of the run count."""
        skip = int(place or 0)

        def read(status: int, body: bytes) -> Page[Heard]:
            found = _read_reports(status, body)
            ours = [heard(r) for r in found if (r.report_name or "").startswith(f"{run_id}/")]
            return _page(ours, skip, limit, [r.id for r in found])

        return Call("GET", _reports_path(address, skip, limit), read)

    def holds(self, name: str, address: Address | None, place: str, limit: int) -> Call[Page[str]]:
        """List names of an event's reports: the documents have no filter for them."""
        skip = int(place or 0)

        def read(status: int, body: bytes) -> Page[str]:
            names = [r.report_name or "" for r in _read_names(status, body)]
            return _page(names, skip, limit, names)

        return Call("GET", _reports_path(address, skip, limit), read)

    def receipt(self, body: bytes) -> bool:
        """Tell whether this is what a VTN says of a report that it has taken: nothing, or JSON."""
        try:
            return not body or bool(_read_receipt(0, body))
        except (ValueError, RecursionError):
            return False

    def readdress(self, body: bytes, ven: Ven, address: Address | None) -> bytes:
        """Return a frozen report about the event that is there now; its own bytes if it is."""
        assert address
        report: Any = msgspec.json.decode(body, type=self.report_shape)
        program = {"program_id": address.program_id} if self.report_shape is Report301 else {}
        changed = msgspec.structs.replace(report, event_id=address.event_id, **program)
        return body if changed == report else msgspec.json.encode(changed)

    def halves(self, name: str, body: bytes, readings: int, of: Sequence[int] = ()) -> list[Draft]:
        """Return a report in two parts with names of their own; none if it has one reading."""
        if of:
            return window_halves(name, body, of, self.report_shape)
        return halves(name, body, readings, self.report_shape)

    def explain(self, body: bytes) -> str:
        """Return the VTN's words for a refusal."""
        try:
            problem = _read_problem(0, body[:_LONGEST_PROBLEM])
        except (ValueError, RecursionError):
            # Somebody who is no VTN, or has no end: a page, most often; its words without its tags.
            return plain(_TAGS.sub(" ", body[:500].decode("utf-8", "replace")))
        return plain(": ".join(filter(None, (problem.title, problem.detail))))

    # -- what goes again -----------------------------------------------------------------------

    def reports(self, client_name: str, event_id: str, skip: int, limit: int) -> Call[list[Held]]:
        """List the reports of a VEN, or on an event, whichever is named, from whichever run."""
        asked = {"clientName": client_name, "eventID": event_id, "skip": skip, "limit": limit}
        query = urlencode({name: value for name, value in asked.items() if value != ""})

        def read(status: int, body: bytes) -> list[Held]:
            found = _read_names(status, body)
            return [
                Held(r.id, r.report_name or "", r.client_name or "", r.event_id or "")
                for r in found
            ]

        return Call("GET", f"/reports?{query}", read)

    def subscribed(self, program_id: str) -> Call[bool]:
        """Tell whether a program has a subscription that the token may see."""
        query = urlencode({"programID": program_id, "skip": 0, "limit": 1})
        return Call("GET", f"/subscriptions?{query}", lambda s, b: bool(_read_listed(s, b)))

    def delete_report(self, report_id: str) -> Call[None]:
        """Delete a report; what is gone already is as good."""
        return _delete(f"/reports/{quoted(report_id)}")

    def delete_resource(self, ven_id: str, resource_id: str) -> Call[None]:
        """Delete what stands behind a VEN."""
        return _delete(f"{self._resources_place(ven_id)}/{quoted(resource_id)}")

    def delete_ven(self, ven_id: str) -> Call[None]:
        """Delete a VEN."""
        return _delete(f"/vens/{quoted(ven_id)}")

    def delete_event(self, event_id: str) -> Call[None]:
        """Delete an event, as business logic."""
        return _delete(f"/events/{quoted(event_id)}")

    def delete_program(self, program_id: str) -> Call[None]:
        """Delete a program, as business logic."""
        return _delete(f"/programs/{quoted(program_id)}")

    # -- what cannot be said ------------------------------------------------------------------

    def renew_token(self, ven_id: str) -> Call[Secret]:
        """Raise ConfigError: see `cannot`."""
        raise unsayable(self, "renew")

    def resources(self, skip: int, limit: int) -> Call[list[Resource]]:
        """Raise ConfigError: see `cannot`."""
        raise unsayable(self, "status")

    def set_status(self, resource_id: str, status: Status) -> Call[None]:
        """Raise ConfigError: see `cannot`."""
        raise unsayable(self, "status")

    def enrol(self, program_id: str, resource_id: str) -> Call[bool]:
        """Raise ConfigError: see `cannot`."""
        raise unsayable(self, "enrol")

    def respond(self, event_id: str, ven_id: str, answer: str) -> Call[None]:
        """Raise ConfigError: see `cannot`."""
        raise unsayable(self, "respond")

    def responses(self, event_id: str, skip: int, limit: int) -> Call[list[tuple[str, str]]]:
        """Raise ConfigError: see `cannot`."""
        raise unsayable(self, "respond")

    # -- where the versions differ ------------------------------------------------------------

    def _ven(self, name: str, client_name: str, traits: Traits, speaks: bool) -> Json:
        raise NotImplementedError

    def _resources_path(self, ven: Ven, skip: int, limit: int) -> str:
        raise NotImplementedError

    def _resources_place(self, ven_id: str) -> str:
        raise NotImplementedError

    def _resource(self, ven: Ven, resource: Resource, speaks: bool) -> tuple[str, Json]:
        raise NotImplementedError


def quoted(part: str) -> str:
    """Return an id as it stands in a path."""
    return quote(part, safe="")


def _health(status: int, body: bytes) -> Health:
    answer = _read_health(status, body)
    return Health(plain(answer.status), answer.refuses_repeated_names)


def _event(status: int, body: bytes) -> Event:
    return event_of(_read_event(status, body))


def _registered(status: int, body: bytes) -> Registered:
    return Registered(_read_made(status, body).id, is_new=True)


def _delete(path: str) -> Call[None]:
    return Call("DELETE", path, lambda _status, _body: None, also=(404,))


def _ignore(_status: int, body: bytes) -> None:
    if body:  # whatever a VTN says; a portal's page is none
        _read_anything(0, body)


def _address(event: EventAnswer) -> Address:
    asked = [descriptor_of(d) for d in event.report_descriptors or ()]
    asked.sort(key=lambda d: d.payload_type not in UNITS)  # the first that can be honoured
    return Address(event.event_name or "", event.program_id, event.id, *asked[:1])


def _reports_path(address: Address | None, skip: int, limit: int) -> str:
    query = {"eventID": address.event_id} if address else {}
    return f"/reports?{urlencode({**query, 'skip': skip, 'limit': limit})}"


def _page(items: list[T], skip: int, limit: int, keys: list[str]) -> Page[T]:
    more = len(keys) == limit
    return Page(items, str(skip + limit) if more else "", "".join(keys[:1]))
