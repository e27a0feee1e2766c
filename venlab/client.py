"""A VTN's client: says what the lab wants in the VTN's dialect, from whichever loop calls it."""

from __future__ import annotations

import math
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from venlab.auth import FLEET, ClientCredentials, Given, Headers, Token, Tokens
from venlab.errors import AccessDenied, ConfigError, NoAnswer, NotAVtn, Refused, VtnError
from venlab.model import Event, Program, Resource, Status, Ven
from venlab.retry import asked_wait_s
from venlab.runfile import Attempt
from venlab.secret import SENDABLE, Secret
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
    credential : Secret or ClientCredentials, optional
        Bearer token, or who gives it, for what no VEN's own token is there for.
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
        now: Callable[[], float] = time.time,
    ) -> None:
        if isinstance(credential, str):
            credential = Secret(credential)  # never shown, however it came
        self.dialect = dialect
        self._transport = transport
        self._source = credential if isinstance(credential, ClientCredentials) else None
        fixed = None if isinstance(credential, ClientCredentials) else _sendable(credential)
        self._tokens = Tokens(fixed, now)
        self._note = note
        self.refuses_repeated_names = False

    async def close(self) -> None:
        """Close the connections of the running loop."""
        await self._tokens.close()
        await self._transport.close()
        if self._source:
            await self._source.close()

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

    async def register_ven(self, name: str, client_name: str) -> Ven:
        """Register a VEN, or find the one that has the name."""
        call = self.dialect.register_ven(name, client_name)
        registered = await self._ask("register ven", call, ven=name)
        if registered.token:
            self._tokens.keep(registered.id, registered.token)
        return Ven(registered.id, name, client_name)

    def forget(self, ven_id: str) -> None:
        """Forget a VEN's token, where the VTN knows the VEN no more: before it registers again."""
        self._tokens.forget(ven_id)

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
        """Send one frozen report and return the answer, whatever its status.

        401 or 403 is an answer about the token: it was renewed, if it can be, and refused again,
        or it cannot be renewed now. 404 is also the answer where the VTN knows no VEN to renew
        the token of: `forget` that VEN and register it again. Raises NoAnswer only.
        """
        try:
            return await self._send("report", self.dialect.post_report(body), ven.name, ven.id)
        except (AccessDenied, NotAVtn) as error:
            return Answer(401, {}, str(error).encode())

    async def holds(self, name: str) -> bool:
        """Tell whether the VTN holds a report of this name, where it can say."""
        try:
            return await self._ask("look for a report", self.dialect.holds(name))
        except (Refused, NotAVtn):
            return False

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
        """Send a call; if its token is refused and can be renewed, once more with the new one."""
        token = await self._tokens.at_hand(speaker, self._renew)
        answer = await self._send_as(token, purpose, call, ven)
        if answer.status not in (401, 403):
            return answer
        try:
            new = await self._tokens.instead_of(token, answer.status, self._renew)
        except Refused as error:  # the VTN does not know the VEN any more, or renews no tokens
            return Answer(404, {}, str(error).encode()) if error.status == 404 else answer
        if new is None:
            return answer
        answer = await self._send_as(new, purpose, call, ven)
        if answer.status in (401, 403):
            self._tokens.in_vain(new)
        return answer

    async def _send_as(self, token: Token, purpose: str, call: Call[T], ven: str) -> Answer:
        headers = Headers({"content-type": "application/json"} if call.body else {})
        if token.secret:
            headers["authorization"] = f"Bearer {token.secret.reveal()}"
        sending = self._transport.send(call.method, call.path, call.body, headers)
        answer = await self._noted(sending, purpose, ven, len(call.body))
        if not call.takes(answer.status):
            return answer.hiding(token.secret)
        if purpose == "report" and not self.dialect.receipt(answer.body):
            # A portal's page, say; and no receipt it stays, whatever is hidden in it.
            return replace(answer, body=b"\0" + answer.body).hiding(token.secret)
        return answer

    async def _renew(self, speaker: str) -> Given:
        if speaker == FLEET and self._source:
            return self._source.read(await self._noted(self._source.ask(), "get token"))
        return await self._ask("renew token", self.dialect.renew_token(speaker)), math.inf

    async def _noted(
        self, sending: Awaitable[Answer], purpose: str, ven: str = "", size: int = 0
    ) -> Answer:
        began, status, problem = time.perf_counter(), None, ""
        try:
            answer = await sending
            status = answer.status
        except NoAnswer as error:
            problem = error.problem
            raise
        finally:
            latency_ms = (time.perf_counter() - began) * 1000
            self._note(Attempt(time.time(), purpose, ven, status, latency_ms, size, problem))
        return answer

    def _refusal(self, purpose: str, answer: Answer) -> VtnError:
        words = self.dialect.explain(answer.body)
        said = f"the VTN refuses to {purpose}: {answer.status} {words}".rstrip()
        if answer.status in (401, 403):
            token = "name its token in the environment variable VENLAB_TOKEN"
            remedy = self._source.remedy if self._source else token
            return AccessDenied(said, remedy, status=answer.status)
        if 300 <= answer.status < 400:
            remedy = "redirects are not followed: name the VTN itself in vtn_url"
            return NotAVtn(said, remedy, status=answer.status)
        if answer.may_heal:
            asked_s = asked_wait_s(answer)
            return NoAnswer(said, "try again later", status=answer.status, retry_after_s=asked_s)
        return Refused(said, status=answer.status)


def _sendable(token: Secret | None) -> Secret:
    """Return a token that fits in a header."""
    if token and not re.fullmatch(SENDABLE, token.reveal()):
        problem = "the VTN's token holds a space, a line break or a character that is not ASCII"
        raise ConfigError(problem, "see what the environment variable VENLAB_TOKEN holds")
    return token or Secret("")
