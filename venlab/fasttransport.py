"""The fast transport (extra ``[fast]``): HTTP by pyreqwest, off the loop's thread."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Semaphore, get_running_loop
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from venlab.errors import ConfigError
from venlab.transport import MAX_ANSWER, Answer, answered, is_loopback, unanswered
from venlab.urls import checked_url

if TYPE_CHECKING:
    from pyreqwest.client import Client

__all__ = ["FastTransport"]


class FastTransport:
    """HTTP by pyreqwest, with the guarantees of `HttpxTransport`.

    Parameters
    ----------
    base_url : str
        Where paths are appended.
    in_flight : int
        Requests at the same time, in one loop.
    timeout_s : float
        Longest wait for a whole answer, from when a connection is free [s].

    Raises
    ------
    ConfigError
        The extra is not installed, or the url is none.

    Notes
    -----
    Its connections live in a runtime of their own, not in an event loop, so any loop may use them.
    """

    def __init__(self, base_url: str, *, in_flight: int = 8, timeout_s: float = 10.0) -> None:
        try:
            from pyreqwest.client import ClientBuilder
            from pyreqwest.exceptions import PyreqwestError
        except ImportError:
            raise ConfigError(
                "transport is 'fast', and pyreqwest is not installed",
                'run pip install "venlab[fast]", or use transport = "httpx"',
            ) from None
        self._base_url = checked_url(base_url)
        self._failure: type[Exception] = PyreqwestError

        def build() -> Client:
            builder = (
                ClientBuilder()
                .user_agent("venlab")
                .follow_redirects(False)  # a token is for one host
                .referer(False)
                .gzip(False)
                .brotli(False)
                .zstd(False)
                .deflate(False)
                .default_headers({"accept-encoding": "identity"})
                .pool_max_idle_per_host(in_flight)
                .timeout(timedelta(seconds=timeout_s))
            )
            return (builder.no_proxy() if is_loopback(base_url) else builder).build()

        self._build = build  # a builder builds once, and who was closed may be used again
        self._client: Client | None = None
        # Not the builder's max_connections: with that, who waits in line is on the clock already.
        self._in_flight = in_flight
        self._lines: WeakKeyDictionary[AbstractEventLoop, Semaphore] = WeakKeyDictionary()

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request.

        Raises
        ------
        NoAnswer
            Refused, timed out or cut off; the message says which.
        """
        if self._client is None:
            self._client = self._build()
        request = self._client.request(method, self._base_url + path).headers(dict(headers))
        if body:
            request = request.body_bytes(body)
        try:
            async with self._line(), request.build_streamed() as response:
                content = response.body_reader.read(MAX_ANSWER + 1)
                came = Answer(response.status, response.headers, bytes(await content or b""))
        except self._failure as error:
            raise unanswered(self._base_url, _cause(error), headers) from None
        return answered(self._base_url, headers, came)

    def _line(self) -> Semaphore:
        loop = get_running_loop()
        if loop not in self._lines:  # asked at each request: none is made to be thrown away
            self._lines[loop] = Semaphore(self._in_flight)
        return self._lines[loop]

    async def close(self) -> None:
        """Close all connections."""
        if client := self._client:
            self._client = None
            await client.close()


def _cause(error: Exception) -> str:
    """Return what went wrong and, where it is given, the innermost reason."""
    what, details = (*error.args, None, None)[:2]
    causes = details.get("causes") if isinstance(details, dict) else None
    return f"{what}: {causes[-1]['message']}" if causes else str(what or type(error).__name__)
