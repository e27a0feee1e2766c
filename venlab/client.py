"""A VTN's client: says what the lab wants in the VTN's dialect, from whichever loop calls it."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

from venlab.errors import AccessDenied, ConfigError, NoAnswer, NotAVtn, Refused, VtnError
from venlab.model import Event, Program, Resource, Status, Ven
from venlab.outbox import Attempt
from venlab.secret import Secret
from venlab.transport import Answer, Transport
from venlab.wire import Call, Dialect, Heard, Registered

__all__ = ["Client"]

T = TypeVar("T")
PAGE = 1000
MOST_ITEMS = 1_000_000  # in a list; the full fleet has 19,402 resources
HEARD_PAGE = 5000


class Client:
    """What a fleet says to its VTN.

    Parameters
    ----------
    transport : Transport
        What carries the requests.
    dialect : Dialect
        Which JSON the VTN speaks.
    credential : Secret, optional
        Bearer token for what no VEN's own token is there for.
    note : callable, optional
        Called with each `Attempt`.

    Raises
    ------
    ConfigError
        The credential, or a token that the VTN gives, cannot be sent.
    NoAnswer, NotAVtn, AccessDenied, Refused
        From every method, with the VTN's words.

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
        credential: Secret | None = None,
        note: Callable[[Attempt], None] = lambda _: None,
    ) -> None:
        self.dialect = dialect
        self._transport = transport
        self._credential = _sendable(credential or Secret(""))
        self._tokens: dict[str, Secret] = {}
        self._note = note

    async def close(self) -> None:
        """Close the connections of the running loop."""
        await self._transport.close()

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
        return await self._ask("health", self.dialect.health())

    async def register_ven(self, name: str, client_name: str) -> Ven:
        """Register a VEN, or find the one that has the name."""
        call = self.dialect.register_ven(name, client_name)
        registered = await self._ask("register ven", call, ven=name)
        if registered.token:
            self._tokens[registered.id] = _sendable(Secret(registered.token))
        return Ven(registered.id, name, client_name)

    async def register_resource(self, ven: Ven, resource: Resource) -> Registered:
        """Register a resource, or find the one that has the name behind that VEN."""
        call = self.dialect.register_resource(resource)
        return await self._ask("register resource", call, ven=ven.name, speaker=ven.id)

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
        return await self._ask("create program", self.dialect.create_program(name))

    async def enrol(self, program: Program, resource_id: str) -> bool:
        """Enrol a resource in a program; False where it was enrolled before."""
        return await self._ask("enrol", self.dialect.enrol(program.id, resource_id))

    async def events(self) -> list[Event]:
        """List all events."""
        return await self._pages("poll events", self.dialect.events, lambda e: e.id)

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
        await self._ask("respond", call, ven=ven.name, speaker=ven.id)

    async def responses(self, event: Event) -> dict[str, str]:
        """List what VENs answered to an event, by their id."""

        def page_at(skip: int, limit: int) -> Call[list[tuple[str, str]]]:
            return self.dialect.responses(event.id, skip, limit)

        return dict(await self._pages("list responses", page_at, lambda answer: answer[0]))

    async def post_report(self, ven: Ven, body: bytes) -> Answer:
        """Send one frozen report and return the answer, whatever its status."""
        return await self._send("report", self.dialect.post_report(body), ven.name, ven.id)

    async def heard(self, run_id: str) -> AsyncGenerator[list[Heard]]:
        """Read back, page by page, what the VTN holds of a run."""
        after = ""
        while True:
            call = self.dialect.heard(run_id, after, HEARD_PAGE)
            page = await self._ask("read back", call)
            # A VTN that pages its own way may repeat itself; names tell, and end the walk.
            page = [report for report in page if report.name > after]
            if not page:
                return
            after = max(report.name for report in page)
            yield page

    async def _pages(
        self, purpose: str, page_at: Callable[[int, int], Call[list[T]]], key: Callable[[T], str]
    ) -> list[T]:
        """Collect all pages, in whatever order and however often the VTN lists an item."""
        found: dict[str, T] = {}
        skip = 0
        while True:
            page = await self._ask(purpose, page_at(skip, PAGE))
            known = len(found)
            found.update((key(item), item) for item in page)
            if len(found) == known or len(page) < PAGE:
                return list(found.values())
            skip += len(page)
            if skip > MOST_ITEMS:
                raise NotAVtn(f"to {purpose} never ends: {skip:,} and more", "check vtn_url")

    async def _ask(self, purpose: str, call: Call[T], ven: str = "", speaker: str = "") -> T:
        """Send a call and read its answer; an answer we cannot use is an error."""
        answer = await self._send(purpose, call, ven, speaker)
        if not call.takes(answer.status):
            raise self._refusal(purpose, answer)
        try:
            return call.read(answer.status, answer.body)
        except (ValueError, ArithmeticError, RecursionError) as error:
            raise NotAVtn(
                f"the answer to {call.method} {call.path.partition('?')[0]} "
                f"(status {answer.status}) is not what a VTN says: {error}",
                "check vtn_url and dialect",
            ) from None

    async def _send(self, purpose: str, call: Call[T], ven: str, speaker: str) -> Answer:
        token = self._tokens.get(speaker, self._credential)
        headers = _Headers({"content-type": "application/json"} if call.body else {})
        if token:
            headers["authorization"] = f"Bearer {token.reveal()}"
        began, status, problem = time.perf_counter(), None, ""
        try:
            answer = await self._transport.send(call.method, call.path, call.body, headers)
            status = answer.status
        except NoAnswer as error:
            problem = error.problem
            raise
        finally:
            latency_ms = (time.perf_counter() - began) * 1000
            size = len(call.body)
            self._note(Attempt(time.time(), purpose, ven, status, latency_ms, size, problem))
        return answer if call.takes(answer.status) else answer.hiding(token.reveal())

    def _refusal(self, purpose: str, answer: Answer) -> VtnError:
        words = self.dialect.explain(answer.body)
        said = f"the VTN refuses to {purpose}: {answer.status} {words}".rstrip()
        if answer.status in (401, 403):
            return AccessDenied(
                said,
                "name its token in the environment variable VENLAB_TOKEN",
                status=answer.status,
            )
        if 300 <= answer.status < 400:
            return NotAVtn(
                said,
                "redirects are not followed: name the VTN itself in vtn_url",
                status=answer.status,
            )
        if answer.may_heal:
            return NoAnswer(said, "try again later", status=answer.status)
        return Refused(said, status=answer.status)


class _Headers(dict[str, str]):
    """What a request carries; a traceback that shows local values shows no token."""

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


def _sendable(token: Secret) -> Secret:
    """Return a token that fits in a header; of another, HTTP libraries show all in their errors."""
    if not re.fullmatch(r"[!-~]*", token.reveal()):
        problem = "the VTN's token holds a space, a line break or a character that is not ASCII"
        raise ConfigError(problem, "see what the environment variable VENLAB_TOKEN holds")
    return token
