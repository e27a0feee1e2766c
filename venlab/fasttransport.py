"""The fast transport (extra ``[fast]``): HTTP by pyreqwest, off the loop's thread."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from venlab.errors import ConfigError, NoAnswer
from venlab.transport import Answer, is_loopback
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
        Requests at the same time.
    timeout_s : float
        Longest wait for a whole answer [s].

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
                .max_connections(in_flight)
                .pool_max_idle_per_host(in_flight)
                .timeout(timedelta(seconds=timeout_s))
            )
            return (builder.no_proxy() if is_loopback(base_url) else builder).build()

        self._build = build  # a builder builds once, and who was closed may be used again
        self._client: Client | None = None

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
            response = await request.build().send()
            content = bytes(await response.bytes())
        except self._failure as error:
            raise NoAnswer(f"no answer from {self._base_url}: {_cause(error)}") from None
        return Answer(response.status, response.headers, content)

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
