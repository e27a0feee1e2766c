"""What carries requests: bytes in, status and bytes out. The only module that knows httpx."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import ssl
import warnings
import weakref
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from venlab.errors import NoAnswer
from venlab.urls import checked_url

__all__ = ["Answer", "HttpxTransport", "Transport", "is_loopback"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers (looked up in any case), and the body, maybe a secret."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def may_heal(self) -> bool:
        """Whether the same request may be taken later: 408, 425, 429 and 5xx."""
        return self.status in (408, 425, 429) or self.status >= 500


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
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # and not 127.example.org


class HttpxTransport:
    """HTTP by httpx, one pool of connections for each running loop.

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
    Connections belong to the loop that opened them; used from another they fail with "Event loop
    is closed". So each loop gets its own pool, and hands it back by itself: an open asynchronous
    generator owns the pool, and `asyncio.run` closes those before it closes its loop. One that is
    closed by hand tells nobody; what it leaves is let go when another loop comes, or at the end.

    Requests go straight to httpx's transport. A whole `httpx.AsyncClient` around it costs a fifth
    more and adds what a VTN's client must not do: follow redirects with a token, keep cookies.
    """

    def __init__(
        self, base_url: str, *, in_flight: int = 8, timeout_s: float = 10.0, app: Any = None
    ) -> None:
        self._base_url = checked_url(base_url)
        self._in_flight = in_flight
        timeout = httpx.Timeout(timeout_s, pool=None)
        self._extensions = {"timeout": timeout.as_dict()}
        self._app = app
        self._pools: _Pools = {}
        base = self._base_url  # not self: a circle would put off the end of what is open
        self._url = lru_cache(maxsize=64)(lambda path: httpx.URL(base + path))
        weakref.finalize(self, _drop, self._pools, everything=True)
        # One context for all pools: each would load the certificates anew, 25 ms a time.
        https = urlsplit(base_url).scheme == "https"
        self._tls = ssl.create_default_context() if https else None

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request.

        Raises
        ------
        NoAnswer
            Refused, timed out or cut off; the message says which.
        """
        request = httpx.Request(
            method,
            self._url(path),
            content=body or None,
            headers={"user-agent": "venlab", **headers},
            extensions=self._extensions,
        )
        try:
            response = await (await self._pool()).handle_async_request(request)
            try:
                content = await response.aread()
            finally:
                await response.aclose()
        except (httpx.TransportError, httpx.DecodingError) as error:
            reason = str(error) or type(error).__name__
            raise NoAnswer(f"no answer from {self._base_url}: {reason}") from None
        return Answer(response.status_code, response.headers, content)

    async def close(self) -> None:
        """Close the running loop's connections, and those of loops that are no more."""
        if owned := self._pools.get(asyncio.get_running_loop()):
            await owned[1].aclose()
        _drop(self._pools)

    async def _pool(self) -> httpx.AsyncBaseTransport:
        loop = asyncio.get_running_loop()
        if owned := self._pools.get(loop):
            return owned[0]
        _drop(self._pools)
        pool = self._new_pool()
        self._pools[loop] = pool, _owner(self._pools, pool)
        await anext(self._pools[loop][1])
        return pool

    def _new_pool(self) -> httpx.AsyncBaseTransport:
        if self._app:
            return httpx.ASGITransport(self._app)
        limits = httpx.Limits(
            max_connections=self._in_flight, max_keepalive_connections=self._in_flight
        )
        verify = self._tls or False
        return httpx.AsyncHTTPTransport(verify=verify, limits=limits, proxy=self._proxy())

    def _proxy(self) -> str | None:
        """Return the proxy that the environment names for this VTN; never one for loopback."""
        parts = urlsplit(self._base_url)
        if is_loopback(self._base_url) or proxy_bypass(parts.hostname or ""):
            return None
        return getproxies().get(parts.scheme)


_Pools = dict[asyncio.AbstractEventLoop, tuple[httpx.AsyncBaseTransport, AsyncGenerator[None]]]


async def _owner(pools: _Pools, pool: httpx.AsyncBaseTransport) -> AsyncGenerator[None]:
    loop = asyncio.get_running_loop()
    try:
        yield
    finally:
        pools.pop(loop, None)
        await pool.aclose()


def _drop(pools: _Pools, *, everything: bool = False) -> None:
    """Let go of closed loops' pools: sockets that no loop can close any more close when freed."""
    if gone := [loop for loop in list(pools) if everything or loop.is_closed()]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            for loop in gone:
                pools.pop(loop, None)
            gc.collect()
