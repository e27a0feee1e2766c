"""One request to a VTN and its answer: with whose token, noted, and an error where it is no use."""

from __future__ import annotations

import math
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from venlab.auth import FLEET, ClientCredentials, Given, Headers, Token, Tokens
from venlab.errors import (
    AccessDenied,
    ConfigError,
    DataError,
    NoAnswer,
    NotAVtn,
    Refused,
    VtnError,
)
from venlab.model import Ven
from venlab.paging import walk, whole_list
from venlab.retry import asked_wait_s
from venlab.runfile import Attempt
from venlab.secret import SENDABLE, Secret
from venlab.transport import Answer, Transport
from venlab.wire import Call, Dialect, Page

__all__ = ["Exchange"]

T = TypeVar("T")


class Exchange:
    """What a `Client` stands on; its parameters are explained there."""

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
        if isinstance(credential, str):
            credential = Secret(credential)  # never shown, however it came
        self.dialect = dialect
        self._transport = transport
        self._source = credential if isinstance(credential, ClientCredentials) else None
        fixed = None if isinstance(credential, ClientCredentials) else _sendable(credential)
        self._tokens = Tokens(fixed, now)
        self._note = note
        self._of_ven = of_ven
        self._leaderless = of_ven is not None and not (self._source or fixed)
        self.voices: list[str] = []
        self.as_business = False

    def can(self, wish: str) -> bool:
        """Tell whether the dialect has words for something."""
        return wish not in self.dialect.cannot

    async def close(self) -> None:
        """Close the connections of the running loop."""
        await self._tokens.close()
        await self._transport.close()
        if self._source:
            await self._source.close()

    async def _pages(
        self,
        purpose: str,
        page_at: Callable[[int, int], Call[list[T]]],
        key: Callable[[T], str],
        speaker: str = FLEET,
    ) -> list[T]:
        async def ask(skip: int, limit: int) -> list[T]:
            return await self._ask(purpose, page_at(skip, limit), speaker=speaker)

        return await whole_list(ask, key, self.dialect.page, purpose)

    def _walk(
        self, purpose: str, page_at: Callable[[str], Call[Page[T]]], speaker: str = FLEET
    ) -> AsyncGenerator[list[T]]:
        async def ask(place: str) -> Page[T]:
            return await self._ask(purpose, page_at(place), speaker=speaker)

        return walk(ask, purpose)

    async def _ask(self, purpose: str, call: Call[T], ven: str = "", speaker: str = "") -> T:
        """Send a call and read its answer; an answer we cannot use is an error."""
        answer = await self._send(purpose, call, ven, speaker)
        if not call.takes(answer.status):
            raise self._refusal(purpose, answer)
        try:
            return call.read(answer.status, answer.body)
        except (DataError, ValueError, ArithmeticError, RecursionError) as error:
            raise NotAVtn(
                f"the answer to {call.method} {call.path.partition('?')[0]} "
                f"(status {answer.status}) is not what a VTN says: {error}",
                "check vtn_url and dialect",
            ) from None

    async def _send(self, purpose: str, call: Call[T], ven: str, speaker: str) -> Answer:
        """Send a call; if its token is refused and can be renewed, once more with the new one."""
        token = await self._tokens.at_hand(self._voice(speaker), self._renew)
        answer = await self._send_as(token, purpose, call, ven)
        if answer.status not in (401, 403):
            return answer
        refused = 401 if answer.status == self.dialect.stranger else answer.status
        try:
            new = await self._tokens.instead_of(token, refused, self._renew)
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
        if purpose in ("report", "history") and not self.dialect.receipt(answer.body):
            # A portal's page, say; and no receipt it stays, whatever is hidden in it.
            return replace(answer, body=b"\0" + answer.body).hiding(token.secret)
        return answer

    async def _renew(self, speaker: str) -> Given:
        source = self._source
        if speaker != FLEET:
            source = self._of_ven(speaker) if self._of_ven else None
        if source:
            return source.read(await self._noted(source.ask(), "get token", speaker))
        return await self._ask("renew token", self.dialect.renew_token(speaker)), math.inf

    def _voice(self, speaker: str) -> str:
        """Return who asks what is nobody's own: a VEN, where there is no credential for all."""
        if speaker != FLEET or not (self._leaderless and self.voices):
            return speaker
        self._tokens.expect(self.voices[0])
        return self.voices[0]

    def _own_voice(self, client_name: str) -> str:
        """Return who speaks for a VEN that may not be registered yet: itself, or the fleet."""
        if self._of_ven is None or not client_name:
            return FLEET
        self._tokens.expect(client_name)
        return client_name

    def _registrar(self, client_name: str) -> str:
        """Return who registers a VEN: itself where it has a token, unless business logic does."""
        return FLEET if self.as_business else self._own_voice(client_name)

    def _speaker(self, ven: Ven) -> str:
        return ven.client_name if self._of_ven else ven.id

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
