"""What carries requests: bytes in, status and bytes out. The only module that knows httpx."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from venlab.errors import ConfigError, NoAnswer

__all__ = ["Answer", "HttpxTransport", "Transport", "is_loopback"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers in lower case, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """The seam another HTTP library can fill: right in whichever loop calls it."""

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request and return the answer, whatever its status; NoAnswer if none came."""
        ...

    async def close(self) -> None:
        """Close what the running loop holds open."""
        ...


def is_loopback(url: str) -> bool:
    """Tell whether a url points at this machine.

    Examples
    --------
    >>> is_loopback("http://127.0.0.1:8080/flat"), is_loopback("https://vtn.example.org")
    (True, False)
    """
    host = urlsplit(url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


class HttpxTransport:
    """HTTP by httpx, one session for each running loop.

    Parameters
    ----------
    base_url : str
        Where paths are appended.
    in_flight : int
        Connections, so requests at the same time, in one loop; httpx slows down past 8.
    timeout_s : float
        Longest wait to connect, write or read [s].
    app : ASGI app, optional
        An in-process VTN that is called instead of the network.

    Notes
    -----
    A session belongs to the loop that opened it; used from another it fails with "Event loop is
    closed". So each loop gets its own, and hands it back by itself: an open asynchronous
    generator owns the session, and `asyncio.run` closes those before it closes its loop.
    """

    def __init__(
        self, base_url: str, *, in_flight: int = 8, timeout_s: float = 10.0, app: Any = None
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(f"vtn_url is {base_url!r}", "write it as http://127.0.0.1:8080/flat")
        self._base_url = base_url.rstrip("/")
        self._in_flight = in_flight
        self._timeout_s = timeout_s
        self._app = app
        self._sessions: dict[asyncio.AbstractEventLoop, httpx.AsyncClient] = {}
        self._owners: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}
        # One context for all sessions: each would load the certificates anew, 25 ms a time.
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request.

        Raises
        ------
        NoAnswer
            Refused, timed out or cut off; the message says which.
        """
        session = await self._session()
        try:
            response = await session.request(
                method, self._base_url + path, content=body or None, headers=headers
            )
        except (httpx.TransportError, httpx.DecodingError) as error:
            reason = str(error) or type(error).__name__
            raise NoAnswer(f"no answer from {self._base_url}: {reason}") from None
        return Answer(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        """Close the running loop's session."""
        loop = asyncio.get_running_loop()
        if owner := self._owners.pop(loop, None):
            self._sessions.pop(loop, None)
            await owner.aclose()

    async def _session(self) -> httpx.AsyncClient:
        loop = asyncio.get_running_loop()
        if session := self._sessions.get(loop):
            return session
        for gone in [other for other in self._sessions if other.is_closed()]:
            del self._sessions[gone], self._owners[gone]
        session = self._sessions[loop] = self._new_session()
        owner = self._owners[loop] = self._own(session)
        await anext(owner)
        return session

    async def _own(self, session: httpx.AsyncClient) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await session.aclose()

    def _new_session(self) -> httpx.AsyncClient:
        limits = httpx.Limits(
            max_connections=self._in_flight, max_keepalive_connections=self._in_flight
        )
        transport = httpx.ASGITransport(self._app) if self._app else None
        return httpx.AsyncClient(
            transport=transport,
            limits=limits,
            timeout=httpx.Timeout(self._timeout_s, pool=None),
            verify=self._tls or False,
            trust_env=not is_loopback(self._base_url),
        )
