"""Tokens: whose they are, where they come from, and when they are renewed."""

from __future__ import annotations

import asyncio
import contextvars
import math
import re
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote_plus, urlencode, urlsplit

import msgspec
from msgspec import Meta, Struct

from venlab.errors import AccessDenied, ConfigError, NoAnswer, NotAVtn, VenlabError
from venlab.secret import SENDABLE, Secret
from venlab.transport import Answer, HttpxTransport, Transport
from venlab.urls import checked_url

__all__ = ["FLEET", "ClientCredentials", "Headers", "Token", "Tokens"]

FLEET = ""  # instead of a VEN's id: who speaks for all
MARGIN_S = 30.0  # how long before its end a token is renewed, at most a tenth of its life
PAUSE_S = 5.0  # how long a renewal that failed, or was in vain, is not tried again

Given = tuple[Secret, float]
"""A token as it is given: what is sent, and how long it lasts [s], inf where nobody says."""
Renew = Callable[[str], Awaitable[Given]]
"""Gets a new token for a speaker."""


@dataclass(frozen=True, slots=True)
class Token:
    """What one speaker sends, and when it should be renewed and ends [s of wall]."""

    speaker: str
    secret: Secret
    renew_at: float = math.inf
    ends_at: float = math.inf
    renewable: bool = True


class Tokens:
    """The tokens of all who speak through a client, each renewed once for all that wait.

    Parameters
    ----------
    fleet : Secret, optional
        The fleet's token, used for each VEN that has none of its own; it cannot be renewed.
        Without one the fleet's first token is renewed before it is used.
    now : callable
        The time [s]; by the wall, for a laptop may sleep while a token ages.

    Notes
    -----
    A token is renewed when its end is near, and when it was refused: with 401, or with 403 where
    it may have ended, since nobody told when it ends or that time has come. OpenADR 3.0.1 knows
    403 only; where a token is still good, a 403 is about what was asked and not about who asked.

    A renewal belongs to the loop that began it, and others of that loop wait for it without
    being able to cancel it. One that failed, or brought a token that is refused as well, is not
    repeated for `PAUSE_S`.
    """

    def __init__(self, fleet: Secret | None = None, now: Callable[[], float] = time.time) -> None:
        first = Token(FLEET, Secret(""), -math.inf, -math.inf)
        self._held = {FLEET: first if fleet is None else Token(FLEET, fleet, renewable=False)}
        self._failed: dict[str, tuple[float, VenlabError | None]] = {}
        self._under_way: dict[tuple[asyncio.AbstractEventLoop, str], asyncio.Task[None]] = {}
        self._now = now

    def keep(self, speaker: str, secret: Secret) -> None:
        """Keep a token that was given without being asked for."""
        self._held[speaker] = Token(speaker, secret)
        self._failed.pop(speaker, None)

    def expect(self, speaker: str) -> None:
        """Let a speaker's first token be asked for before it is used."""
        self._held.setdefault(speaker, Token(speaker, Secret(""), -math.inf, -math.inf))

    def forget(self, speaker: str) -> None:
        """Forget a VEN's token: from now on the fleet's is sent for it."""
        self._held.pop(speaker, None)
        self._failed.pop(speaker, None)

    async def at_hand(self, speaker: str, renew: Renew) -> Token:
        """Return the token to send for a speaker, renewed where its end is near.

        Raises
        ------
        VenlabError
            It has ended and cannot be renewed.
        """
        token = self._of(speaker)
        if self._now() < token.renew_at:
            return token
        try:
            return await self._renewed(token, renew)
        except VenlabError:
            if self._now() < token.ends_at:
                return token
            raise

    async def instead_of(self, refused: Token, status: int, renew: Renew) -> Token | None:
        """Return the token to try after one was refused; None where there is no other.

        Raises
        ------
        VenlabError
            It cannot be renewed.
        """
        good = status == 403 and self._now() < refused.ends_at < math.inf
        if good or not refused.renewable:
            return None
        token = await self._renewed(refused, renew)
        return None if token is refused else token

    def in_vain(self, token: Token) -> None:
        """Note that a token is refused that was just renewed."""
        if self._of(token.speaker) is token:  # and no other loop has got another meanwhile
            self._failed[token.speaker] = self._now() + PAUSE_S, None

    async def close(self) -> None:
        """End what the running loop has under way."""
        loop = asyncio.get_running_loop()
        if tasks := [t for (owner, _), t in list(self._under_way.items()) if owner is loop]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _of(self, speaker: str) -> Token:
        return self._held.get(speaker) or self._held[FLEET]

    async def _renewed(self, old: Token, renew: Renew) -> Token:
        """Return what came instead of a token: the old one where to renew it is in vain."""
        until, _ = self._failed.get(old.speaker, (-math.inf, None))
        if self._of(old.speaker) is old and self._now() >= until:
            key = asyncio.get_running_loop(), old.speaker
            task = self._under_way.get(key)
            if task is None or task.done():  # done and still here: cancelled before it began
                # An empty context: the renewal is nobody's own.
                context, work = contextvars.Context(), self._replace(old.speaker, renew)
                task = self._under_way[key] = asyncio.create_task(work, context=context)
            await asyncio.shield(task)
        if (token := self._of(old.speaker)) is not old:
            return token
        _, error = self._failed.get(old.speaker, (0, None))
        if error is None:
            return old
        raise copy(error)  # many may wait, and each gets a traceback of its own

    async def _replace(self, speaker: str, renew: Renew) -> None:
        asked_at = self._now()
        try:
            secret, lasts_s = await renew(speaker)
        except VenlabError as error:
            self._failed[speaker] = self._now() + PAUSE_S, copy(error)
        else:
            ends_at = asked_at + lasts_s
            renew_at = ends_at - min(MARGIN_S, lasts_s / 10)
            self._held[speaker] = Token(speaker, secret, renew_at, ends_at)
            self._failed.pop(speaker, None)
        finally:
            del self._under_way[asyncio.get_running_loop(), speaker]


class Headers(dict[str, str]):
    """What a request carries; a traceback that shows local values shows no token."""

    def __repr__(self) -> str:
        return f"<headers {', '.join(self)}>"


class _Form(bytes):
    """A form's bytes; a traceback that shows local values shows no secret."""

    def __repr__(self) -> str:
        return f"<a form of {len(self)} bytes>"

    def __getitem__(self, key: Any) -> Any:  # some cut what is long before they show it
        part = super().__getitem__(key)
        return _Form(part) if isinstance(part, bytes) else part


class _TokenAnswer(Struct):
    """RFC 6749 §5.1; decoding makes all the checks, and its errors repeat no value."""

    access_token: Annotated[str, Meta(pattern=SENDABLE, min_length=1)]
    token_type: Annotated[str, Meta(pattern=r"(?i)\Abearer\Z")]
    expires_in: Annotated[float, Meta(gt=0)] | None = None


class _TokenRefusal(Struct):
    """RFC 6749 §5.2."""

    error: str
    error_description: str = ""


# Not strict: some servers write the number of seconds as text.
_read_token = msgspec.json.Decoder(_TokenAnswer, strict=False).decode
_read_refusal = msgspec.json.Decoder(_TokenRefusal).decode


class ClientCredentials:
    """A fleet's credential by OAuth2: its tokens are asked for at a token server (RFC 6749 §4.4).

    Parameters
    ----------
    token_url : str
        The one place that id and secret are sent to; no redirect is followed.
    client_id : str
        Who asks.
    secret : Secret
        What proves it.
    scope : str
        What is asked for, if anything is named.
    style : str
        Where id and secret stand: in the form's "body", or in the header as "basic" (§2.3.1).
    transport : callable
        Makes what carries the request: `HttpxTransport` or `FastTransport`.
    timeout_s : float
        Longest wait for an answer [s].

    Raises
    ------
    ConfigError
        `token_url` is none, or the secret is empty.

    Examples
    --------
    >>> ClientCredentials("https://login.example.org/token", "lab", Secret("s3cret")).remedy
    'see token_url, client_id, scope, auth_style and the environment variable VENLAB_CLIENT_SECRET'
    """

    remedy = (
        "see token_url, client_id, scope, auth_style and the environment variable "
        "VENLAB_CLIENT_SECRET"
    )

    def __init__(
        self,
        token_url: str,
        client_id: str,
        secret: Secret,
        *,
        scope: str = "",
        style: str = "body",
        transport: Callable[..., Transport] = HttpxTransport,
        timeout_s: float = 10.0,
    ) -> None:
        checked_url(token_url, "token_url")
        # What is no UTF-8 in the environment: its error would show the whole form.
        if not secret or re.search(r"[\ud800-\udfff]", secret.reveal()):
            raise ConfigError("the client's secret is empty or no UTF-8", self.remedy)
        self._url, parts = token_url, urlsplit(token_url)
        origin = f"{parts.scheme}://{parts.netloc}"  # a path may end in a slash, and keeps it
        self._path = parts.path
        self._transport = transport(origin, in_flight=1, timeout_s=timeout_s)
        self._id, self._secret, self._scope, self._style = client_id, secret, scope, style

    def of(self, client_id: str, secret: Secret | None = None) -> ClientCredentials:
        """Return another client's credential, at the same token server and connection."""
        other = copy(self)
        other._id, other._secret = client_id, secret or self._secret
        return other

    async def ask(self) -> Answer:
        """Ask for a token and return the answer, whatever it says; NoAnswer if none came."""
        headers = Headers({"content-type": "application/x-www-form-urlencoded"})
        if self._style == "basic":
            headers["authorization"] = f"Basic {self._basic()}"
        try:
            return await self._transport.send("POST", self._path, self._form(), headers)
        except NoAnswer as error:
            raise NoAnswer(self._hiding(error.problem)) from None

    def read(self, answer: Answer) -> Given:
        """Return the token in an answer.

        Raises
        ------
        NoAnswer
            The token server is not well, and may be later.
        AccessDenied
            It refuses the client; the error has its words.
        NotAVtn
            What answers there gives no tokens.
        """
        if answer.may_heal:
            said = f"{self._url} gives no token now: status {answer.status}"
            raise NoAnswer(said, "try again later", status=answer.status)
        if answer.status in (400, 401, 403):
            said = f"{self._url} refuses the client {self._id!r}: {answer.status}"
            words = f"{said} {self._words(answer.body)}".rstrip()
            raise AccessDenied(words, self.remedy, status=answer.status)
        try:
            if answer.status != 200:
                raise ValueError("a token comes with 200, and redirects are not followed")
            given = _read_token(answer.body)
        except (ValueError, RecursionError) as error:  # msgspec's too
            said = f"what {self._url} answers (status {answer.status}) is no token: {error}"
            raise NotAVtn(said, "check token_url", status=answer.status) from None
        lasts_s = math.inf if given.expires_in is None else given.expires_in
        return Secret(given.access_token), lasts_s

    async def close(self) -> None:
        """Close the connections of the running loop."""
        await self._transport.close()

    def _form(self) -> bytes:
        form = {"grant_type": "client_credentials"}
        if self._scope:
            form["scope"] = self._scope
        if self._style == "body":
            form |= {"client_id": self._id, "client_secret": self._secret.reveal()}
        return _Form(urlencode(form).encode())

    def _basic(self) -> str:
        pair = f"{quote_plus(self._id)}:{quote_plus(self._secret.reveal())}"
        return b64encode(pair.encode()).decode()

    def _words(self, body: bytes) -> str:
        """Return the server's words for a refusal."""
        try:
            refusal = _read_refusal(body)
        except (ValueError, RecursionError):
            return ""
        words = f"{refusal.error}: {refusal.error_description}".rstrip(": ")
        return self._hiding(words)[:500]

    def _hiding(self, words: str) -> str:
        """Return what somebody said without the secret that it may repeat."""
        return self._secret.out_of(Secret(self._basic()).out_of(words))
