"""A VTN's client: says what the lab wants in the VTN's dialect, from whichever loop calls it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

from venlab.auth import FLEET, ClientCredentials
from venlab.errors import AccessDenied, NotAVtn, Refused, VtnError
from venlab.exchange import Exchange
from venlab.made import Making
from venlab.model import NO_TRAITS, Event, Program, Resource, Status, Traits, Ven
from venlab.reportplan import EVERY, plan_of
from venlab.runfile import Attempt
from venlab.secret import Secret
from venlab.transport import Answer, Transport
from venlab.wire import (
    Address,
    Call,
    Dialect,
    Heard,
    Held,
    LoadName,
    Page,
    Registered,
    ReportWriter,
)

__all__ = ["Client"]

M = TypeVar("M", Registered, Program, Address)  # what tells the id of what was made


class Client(Exchange):
    """What a fleet says to its VTN.

    Parameters
    ----------
    transport : Transport
        What carries the requests.
    dialect : Dialect
        Which JSON the VTN speaks.
    credential : Secret or ClientCredentials, optional
        Bearer token, or who gives it, for what no VEN's own token is there for.
    of_ven : callable, optional
        Who gives tokens to the VEN of that client name, where each asks for its own.
    note : callable, optional
        Called with each `Attempt`.
    now : callable, optional
        The time [s] by which tokens age.

    Raises
    ------
    ConfigError
        The credential cannot be sent.
    NoAnswer, NotAVtn, AccessDenied, Refused
        From every method, with the VTN's words.

    Attributes
    ----------
    refuses_repeated_names : bool
        Whether the VTN says of itself that no report's name is taken twice: then each report is
        there exactly once, whatever the network does.
    address : Address, optional
        What reports are about, once `find_address` has found it.
    plan : Plan
        When it asks for reports; where none is asked for, one after each interval.
    as_business : bool
        Whether the credential is business logic's and registers VENs that have tokens of their own:
        only so do they get targets in 3.1.0.
    diary : callable
        Called with each `Making`: before something is made, and when that is answered.
    voices : list of str
        Client names of the VENs that ask for what is nobody's own, where there is no credential.

    Examples
    --------
    >>> from venlab.transport import HttpxTransport
    >>> from venlab.wire import dialect
    >>> client = Client(HttpxTransport("http://127.0.0.1:8080/flat"), dialect("flat"))
    """

    def __init__(
        self,
        transport: Transport,
        dialect: Dialect,
        credential: Secret | ClientCredentials | None = None,
        note: Callable[[Attempt], None] = lambda _: None,
        *,
        now: Callable[[], float] = time.time,
        of_ven: Callable[[str], ClientCredentials] | None = None,
    ) -> None:
        super().__init__(transport, dialect, credential, note, now=now, of_ven=of_ven)
        self.refuses_repeated_names = False
        self.address: Address | None = None
        self.plan = EVERY
        self.diary: Callable[[Making], None] = lambda _: None

    async def greet(self) -> str:
        """Find out whether a VTN of this dialect is there; its own word for how it is.

        A VTN without the health call is asked for its events instead.
        """
        try:
            return await self.health()
        except Refused as error:
            if error.status not in (404, 405):
                raise
        try:
            await self.events()
        except Refused as error:
            raise NotAVtn(str(error), "check vtn_url and dialect", status=error.status) from None
        return "ok"

    async def health(self) -> str:
        """Ask whether the VTN is well; its own word for it."""
        health = await self._ask("health", self.dialect.health())
        self.refuses_repeated_names = health.refuses_repeated_names
        return health.status

    async def register_ven(self, name: str, client_name: str, traits: Traits = NO_TRAITS) -> Ven:
        """Register a VEN, or find the one that has the name, which stays as it is.

        What the VTN is told of a new one, `traits`, may be more where business logic makes it.
        """
        speaker = self._registrar(client_name)
        speaks = speaker != FLEET
        call = self.dialect.register_ven(name, client_name, speaks=speaks, traits=traits)

        async def find() -> str | None:
            found = await self.find_ven(name, client_name)
            return found.id if found else None

        registered = await self._found_or_made(find, call, name, speaker)
        if registered.token:
            self._tokens.keep(registered.id, registered.token)
        return Ven(registered.id, name, client_name)

    async def find_ven(self, name: str, client_name: str) -> Ven | None:
        """Return the VEN of that name, if there is one."""

        def page_at(skip: int, limit: int) -> Call[list[Ven]]:
            return self.dialect.vens(name, skip, limit)

        speaker = self._own_voice(client_name)
        found = await self._pages("look for ven", page_at, lambda v: v.id, speaker)
        return next((Ven(v.id, name, client_name) for v in found if v.name == name), None)

    def forget(self, ven: Ven) -> None:
        """Forget a VEN's token, where the VTN knows the VEN no more: before it registers again."""
        self._tokens.forget(self._speaker(ven))

    async def resources_of(self, ven: Ven) -> dict[str, str]:
        """Return the ids of what stands behind a VEN, by name; what a VTN tells at registration.

        Nothing where it does: then there is no need to ask before.
        """
        if self.dialect.tells_id_of_same_name:
            return {}

        def page_at(skip: int, limit: int) -> Call[list[Resource]]:
            return self.dialect.resources_of(ven, skip, limit)

        speaker = self._speaker(ven)
        found = await self._pages("list resources", page_at, lambda r: r.id, speaker)
        return {resource.name: resource.id for resource in found}

    async def register_resource(self, ven: Ven, resource: Resource) -> Registered:
        """Register a resource, or find the one that has the name behind that VEN."""
        speaks = self._registrar(ven.client_name) != FLEET
        call = self.dialect.register_resource(ven, resource, speaks=speaks)
        making = Making("resource", resource.name, ven.name)
        try:
            speaker = FLEET if self.as_business else self._speaker(ven)
            return await self._make(making, call, ven.name, speaker)
        except Refused as error:
            if error.status == 409 and (held := (await self.resources_of(ven)).get(resource.name)):
                return Registered(held, is_new=False)
            raise

    async def _found_or_made(
        self,
        find: Callable[[], Awaitable[str | None]],
        call: Call[Registered],
        ven: str,
        speaker: str,
    ) -> Registered:
        """Look for the VEN of the name; where there is none make it, unless somebody just did."""
        if self.dialect.tells_id_of_same_name:
            return await self._ask("register ven", call, ven, speaker)
        if held := await find():
            return Registered(held, is_new=False)
        try:
            return await self._make(Making("ven", ven), call, ven, speaker)
        except Refused as error:
            if error.status != 409 or not (held := await find()):
                raise
            return Registered(held, is_new=False)

    async def _make(self, making: Making, call: Call[M], ven: str = "", speaker: str = "") -> M:
        """Make what is not there: noted before, for who is killed here may have made it."""
        purpose = ("create " if making.kind in ("program", "event") else "register ") + making.kind
        self.diary(making)
        try:
            made = await self._ask(purpose, call, ven, speaker)
        except (AccessDenied, Refused):
            self.diary(making._replace(id=None))
            raise
        self.diary(making._replace(id=made.id))
        return made

    async def resources(self) -> list[Resource]:
        """List all resources that the credential may see, with their status."""
        return await self._pages("list resources", self.dialect.resources, lambda r: r.id)

    async def set_status(self, resource_id: str, status: Status) -> None:
        """Approve or suspend a resource, as the VTN's operator."""
        await self._ask("set status", self.dialect.set_status(resource_id, status))

    async def programs(self) -> list[Program]:
        """List all programs."""
        return await self._pages("list programs", self.dialect.programs, lambda p: p.id)

    async def create_program(self, name: str) -> Program:
        """Create a program, or find the one that has the name."""
        if not self.dialect.tells_id_of_same_name:
            for program in await self.programs():
                if program.name == name:
                    return program
        return await self._make(Making("program", name), self.dialect.create_program(name))

    async def find_address(self, name: str, program: str) -> None:
        """Find the event of that name or id that reports are to be about, or make one.

        Nothing is done where a report needs no event. ConfigError where one asks for reports that
        the lab cannot give.

        Parameters
        ----------
        name : str
            Of the event; a new one asks for nothing but reports.
        program : str
            Name of the program that a new one belongs to; it is made too if need be.
        """
        if not self.can("address"):
            return
        address = await self.address_of(name, program)
        self.address, self.plan = address, plan_of(address.asked)

    async def address_of(self, name: str, program: str) -> Address:
        """Return the event of that name or id that reports can be about; make it if need be."""
        for event in await self.addresses():
            if name in (event.name, event.event_id):
                return event
        try:
            there = await self.create_program(program)
            call = self.dialect.open_address(there.id, name)
            return await self._make(Making("event", name), call)
        except AccessDenied as error:
            problem = f"there is no event {name!r} to report on: {error.problem}"
            remedy = "name one that is there in report_event, or use a credential of business logic"
            raise AccessDenied(problem, remedy, status=error.status) from None

    async def addresses(self) -> list[Address]:
        """List the events, as what reports can be about."""
        return await self._pages("list events", self.dialect.addresses, lambda a: a.event_id)

    async def address_is_lost(self, address: Address | None = None) -> bool:
        """Tell whether the event that reports are about is gone; False where they need none."""
        if (about := address or self.address) is None:
            return False
        try:
            await self._ask("show event", self.dialect.event(about.event_id))
        except Refused as error:
            return error.status == 404
        except VtnError:
            pass
        return False

    def writer(self, ven: Ven, loads: Sequence[LoadName], run_id: str) -> ReportWriter:
        """Return what writes a VEN's reports."""
        return self.dialect.writer(ven, loads, run_id, self.address)

    def readdress(self, body: bytes, ven: Ven) -> bytes:
        """Return a frozen report for a VEN and an event that were made again, with other ids."""
        return self.dialect.readdress(body, ven, self.address)

    async def enrol(self, program: Program, resource_id: str) -> bool:
        """Enrol a resource in a program; False where it was enrolled before."""
        return await self._ask("enrol", self.dialect.enrol(program.id, resource_id))

    @property
    def sees_apart(self) -> bool:
        """Whether each VEN asks for itself, and sees its own events only."""
        return self.dialect.private and self._of_ven is not None

    async def events(self, ven: Ven | None = None) -> list[Event]:
        """List all events that the fleet's credential sees, or those that a VEN does."""
        speaker = self._speaker(ven) if ven else FLEET
        return await self._pages("poll events", self.dialect.events, lambda e: e.id, speaker)

    async def create_event(self, event: Event) -> Event:
        """Create an event, as the VTN's operator; the answer carries its id."""
        return await self._ask("create event", self.dialect.create_event(event))

    async def change_event(self, event: Event) -> Event:
        """Replace an event by a new version, as the VTN's operator."""
        return await self._ask("change event", self.dialect.change_event(event))

    async def cancel_event(self, event: Event) -> None:
        """Cancel an event, as the VTN's operator."""
        await self._ask("cancel event", self.dialect.cancel_event(event.id))

    async def respond(self, event: Event, ven: Ven, answer: str) -> None:
        """Answer an event for a VEN: optIn, optOut or notParticipating."""
        call = self.dialect.respond(event.id, ven.id, answer)
        await self._ask("respond", call, ven.name, self._speaker(ven))

    async def responses(self, event: Event) -> dict[str, str]:
        """List what VENs answered to an event, by their id."""

        def page_at(skip: int, limit: int) -> Call[list[tuple[str, str]]]:
            return self.dialect.responses(event.id, skip, limit)

        return dict(await self._pages("list responses", page_at, lambda answer: answer[0]))

    async def post_report(self, ven: Ven, body: bytes, purpose: str = "report") -> Answer:
        """Send one frozen report and return the answer, whatever its status.

        401 or 403 is an answer about the token: it was renewed, if it can be, and refused again,
        or it cannot be renewed now. 404 is also the answer where the VTN knows no VEN to renew
        the token of: `forget` that VEN and register it again. Raises NoAnswer only.
        """
        try:
            call = self.dialect.post_report(body)
            return await self._send(purpose, call, ven.name, self._speaker(ven))
        except (AccessDenied, NotAVtn) as error:
            return Answer(401, {}, str(error).encode())

    async def holds(self, name: str, address: Address | None = None) -> bool:
        """Tell whether the VTN holds a report of this name, where it can say."""
        about = address or self.address

        def page_at(place: str) -> Call[Page[str]]:
            return self.dialect.holds(name, about, place, self.dialect.page)

        try:
            async for names in self._walk("look for a report", page_at):
                if name in names:
                    return True
        except (Refused, NotAVtn):
            pass
        return False

    async def reports(self, client_name: str = "", event_id: str = "") -> list[Held]:
        """List the reports of a VEN, or on an event, from whichever run."""

        def page_at(skip: int, limit: int) -> Call[list[Held]]:
            return self.dialect.reports(client_name, event_id, skip, limit)

        speaker = self._own_voice(client_name) if client_name else FLEET
        found = await self._pages("list reports", page_at, lambda r: r.id, speaker)
        return [  # also from a VTN that takes no filter
            r for r in found if client_name in ("", r.client_name) and event_id in ("", r.event_id)
        ]

    async def is_subscribed(self, program_id: str) -> bool:
        """Tell whether somebody wants to be told of what happens in a program."""
        try:
            return await self._ask("list subscriptions", self.dialect.subscribed(program_id))
        except Refused as error:
            if error.status not in (404, 405):
                raise
            return False  # where nobody can subscribe, nobody has

    async def delete(self, call: Call[None], client_name: str = "") -> None:
        """Delete what a dialect's call names, as the VEN of that client name; or as the fleet."""
        await self._ask("delete", call, speaker=self._own_voice(client_name))

    async def heard(
        self, run_id: str, address: Address | None = None
    ) -> AsyncGenerator[list[Heard]]:
        """Read back, page by page, what the VTN holds of a run; on the run's event, or another."""
        about = address or self.address

        def page_at(place: str) -> Call[Page[Heard]]:
            return self.dialect.heard(run_id, about, place, self.dialect.page_of_reports)

        # Where each VEN sees its own only, and nobody sees all, each is asked.
        each = self.voices if self._leaderless and self.dialect.private else [FLEET]
        for speaker in each:
            async for page in self._walk("read back", page_at, speaker):
                yield page
