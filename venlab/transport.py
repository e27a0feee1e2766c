"""What carries requests: bytes in, status and bytes out. The only module that knows httpx."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import ssl
import warnings
import weakref
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from venlab.errors import NoAnswer
from venlab.secret import Secret
from venlab.urls import checked_url

__all__ = [
    "MAX_ANSWER",
    "Answer",
    "HttpxTransport",
    "Transport",
    "answered",
    "is_loopback",
    "unanswered",
]

MAX_ANSWER = 32 * 2**20  # bytes; our own VTN's longest page is half of it, one of 5,000 loads 3 MB
MAX_WORDS = 2**18  # bytes of a refusal; whoever reads it reads no more


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers (looked up in any case) and body; both may hold a secret."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def may_heal(self) -> bool:
        """Whether the same request may be taken later: 408, 425, 429 and 5xx."""
        return self.status in (408, 425, 429) or self.status >= 500

    def hiding(self, token: Secret) -> Answer:
        """Return the answer as it may be shown: some servers repeat what they were sent."""
        said = self.body[:MAX_WORDS].decode("latin-1")  # which gives back whatever bytes there are
        return replace(self, body=token.out_of(said).encode("latin-1"))


class Transport(Protocol):
    """The seam another HTTP library can fill: right in whichever loop calls it.

    It asks for bodies as they are and hands them over as they came, follows no redirect, and ends
    what takes longer than its time or is longer than `MAX_ANSWER`.
    """

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


def answered(url: str, sent: Mapping[str, str], came: Answer) -> Answer:
    """Return what came if it is an answer; NoAnswer if it is none, or longer than it may be."""
    if came.status < 200:
        raise unanswered(url, f"status {came.status} ends nothing", sent)
    if len(came.body) > MAX_ANSWER:
        raise unanswered(url, f"it is longer than {MAX_ANSWER} bytes", sent)
    return came


def unanswered(url: str, reason: str, sent: Mapping[str, str]) -> NoAnswer:
    """Return the error; its reason may repeat what was sent, which is not for everybody."""
    token = Secret(sent.get("authorization", "").rpartition(" ")[2])
    return NoAnswer(f"no answer from {url}: {token.out_of(reason)}")


class HttpxTransport:
    """HTTP by httpx, one pool of connections for each running loop.

    Parameters
    ----------
    base_url : str
        Where paths are appended.
    in_flight : int
        Connections, so requests at the same time, in one loop; httpx slows down past 8.
    timeout_s : float
        Longest wait for a whole answer, from when a connection is free [s].
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
        self._timeout_s = timeout_s
        # A handshake that is cancelled leaves its socket open: it ends by itself, a bit earlier.
        self._extensions = {"timeout": {"connect": 0.9 * timeout_s}}
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
            headers={"user-agent": "venlab", "accept-encoding": "identity", **headers},
            extensions=self._extensions,
        )
        pool, free = await self._pool()
        try:
            # One clock for all of it: a wait for each byte would last as long as bytes drip.
            async with free, asyncio.timeout(self._timeout_s):
                response = await pool.handle_async_request(request)
                try:
                    # At once: a traceback that shows values would show a body by itself.
                    came = Answer(response.status_code, response.headers, await _read(response))
                    if _more_came(response):
                        await response.extensions["network_stream"].aclose()
                finally:
                    await response.aclose()
        except TimeoutError:
            raise unanswered(self._base_url, f"not within {self._timeout_s:g} s", headers) from None
        except httpx.TransportError as error:
            # No variable for the reason: a traceback that shows values would show it uncut.
            raise unanswered(self._base_url, str(error) or type(error).__name__, headers) from None
        return answered(self._base_url, headers, came)

    async def close(self) -> None:
        """Close the running loop's connections, and those of loops that are no more."""
        if owned := self._pools.get(asyncio.get_running_loop()):
            await owned.owner.aclose()
        _drop(self._pools)

    async def _pool(self) -> tuple[httpx.AsyncBaseTransport, asyncio.Semaphore]:
        loop = asyncio.get_running_loop()
        owned = self._pools.get(loop)
        if owned is None:
            _drop(self._pools)
            pool, free = self._new_pool(), asyncio.Semaphore(self._in_flight)
            owned = self._pools[loop] = _Pool(pool, free, _owner(self._pools, pool))
            await anext(owned.owner)
        return owned.pool, owned.free

    def _new_pool(self) -> httpx.AsyncBaseTransport:
        if self._app:
            return httpx.ASGITransport(self._app)
        if not (log := logging.getLogger("httpcore")).level:
            # From DEBUG on it repeats what a server says, and some repeat what they were sent.
            log.setLevel(logging.INFO)
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


class _Pool(NamedTuple):
    pool: httpx.AsyncBaseTransport
    free: asyncio.Semaphore  # connections; who waits for one is not on the clock yet
    owner: AsyncGenerator[None]


_Pools = dict[asyncio.AbstractEventLoop, _Pool]


async def _read(response: httpx.Response) -> bytes:
    """Read a body as it came: nothing is decompressed, and the rest of a long one is left."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    body = bytearray()
    async for part in response.stream:
        body += part
        if len(body) > MAX_ANSWER:
            break
    return bytes(body)


def _more_came(response: httpx.Response) -> bool:
    """Tell whether bytes came after the answer: httpx would read them as the next one's.

    A report could count as acknowledged by what was said of the one before. Only the HTTP/1
    parser knows, and there is no public way to it.
    """
    stream: Any = response.stream
    for inner in ("_httpcore_stream", "_stream", "_connection", "_h11_state"):
        stream = getattr(stream, inner, None)
    return bool(stream and stream.trailing_data[0])


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
