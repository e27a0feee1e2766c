"""Exchanges held against the standard's documents as they happen, wherever they can be seen.

    with recorded() as seen:  # raises at its end what was wrong
        client = Client(seen.transport(HttpxTransport(url)), dialect("3.1.0"))  # the lab's client
        seen.watch(httpx.Client(base_url=url))  # a test that speaks plain HTTP
        app = seen.app(create_app(...))  # the VTN in-process
        with served(seen.app(forwarding(vtn.url))) as url:  # anything, before a VTN elsewhere
            ...
        with seen.bad_requests():  # what follows is meant to be bad; answers are looked at still
            ...

What goes to another base path than `/openadr3/VERSION` is let through and not looked at.
"""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import uvicorn

from tests.standard.documents import VERSIONS
from tests.standard.oracle import oracle
from venlab.transport import Answer, Transport

Client = TypeVar("Client", httpx.Client, httpx.AsyncClient)
NOT_PASSED_ON = {b"connection", b"content-length", b"transfer-encoding", b"date", b"server"}


class Recording:
    """What was exchanged: how often, and what of it the documents do not allow.

    Attributes
    ----------
    exchanges : Counter
        By version, method and status: ``3.1.0 GET 200``.
    requests, answers : list of str
        What was wrong, in the words of the oracle.
    """

    def __init__(self) -> None:
        self.exchanges: Counter[str] = Counter()
        self.requests: list[str] = []
        self.answers: list[str] = []
        self._meant_bad = 0

    @contextmanager
    def bad_requests(self) -> Iterator[None]:
        """Look at answers only."""
        self._meant_bad += 1
        try:
            yield
        finally:
            self._meant_bad -= 1

    def check(self) -> None:
        """Raise AssertionError with all that was wrong."""
        assert not self.requests + self.answers, "\n".join(self.requests + self.answers)

    def note(  # noqa: PLR0917 - what an exchange is made of
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        status: int,
        answer_headers: Mapping[str, str],
        answer: bytes,
    ) -> None:
        """Look at an exchange; a path with its base path, or the whole url."""
        parts = urlsplit(url)
        version = next((v for v in VERSIONS if parts.path.startswith(f"/openadr3/{v}/")), None)
        if version is None:
            return
        self.exchanges[f"{version} {method} {status}"] += 1
        asked = method, parts.path, parts.query, headers, body
        answered = {"status": status, "response_body": answer, "response_headers": answer_headers}
        wrong = _words(version, *asked, **answered, request=False)
        if wrong:
            self.answers.append(wrong)
        if not self._meant_bad and (found := _words(version, *asked, **answered)) != wrong:
            self.requests.append(found)

    def transport(self, inner: Transport, base: str) -> Checked:
        """Return a transport of the lab's client that is looked at; `base` is its base path."""
        return Checked(self, inner, urlsplit(base).path)

    def watch(self, client: Client) -> Client:
        """Look at all that an httpx client says; return it."""
        hook = self._hear_later if isinstance(client, httpx.AsyncClient) else self._hear
        client.event_hooks = {"response": [*client.event_hooks["response"], hook]}
        return client

    def _hear(self, response: httpx.Response) -> None:
        response.read()
        asked = response.request
        self.note(
            asked.method,
            str(asked.url),
            asked.headers,
            asked.read(),
            response.status_code,
            response.headers,
            response.content,
        )

    async def _hear_later(self, response: httpx.Response) -> None:
        await response.aread()
        await response.request.aread()
        self._hear(response)

    def app(self, inner: Any) -> Any:
        """Return an ASGI application that is looked at."""

        async def outer(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await inner(scope, receive, send)
                return
            asked, told, start = bytearray(), bytearray(), {"status": 500, "headers": []}

            async def hear() -> Any:
                message = await receive()
                asked.extend(message.get("body", b""))
                return message

            async def say(message: Any) -> None:
                if message["type"] == "http.response.start":
                    start.update(message)
                told.extend(message.get("body", b""))
                await send(message)

            await inner(scope, hear, say)
            self.note(
                scope["method"],
                _asked(scope),
                _plain(scope["headers"]),
                bytes(asked),
                start["status"],
                _plain(start["headers"]),
                bytes(told),
            )

        return outer


class Checked:
    """A transport that hands on what it is given, and has it looked at."""

    def __init__(self, seen: Recording, inner: Transport, base: str) -> None:
        self._seen, self._inner, self._base = seen, inner, base.rstrip("/")
        self.close = inner.close

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        answer = await self._inner.send(method, path, body, headers)
        url = self._base + path
        self._seen.note(method, url, headers, body, answer.status, answer.headers, answer.body)
        return answer


@contextmanager
def recorded(*, requests: bool = True) -> Iterator[Recording]:
    """Record what happens inside; raise at the end what was wrong, of requests only if told to."""
    seen = Recording()
    yield seen
    if not requests:
        seen.requests.clear()
    seen.check()


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application on a free loopback port, in a thread; its url."""
    settings: Any = {"log_config": None, "access_log": False, "ws": "none", "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(app, **settings))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def forwarding(target: str) -> Any:
    """Return an ASGI application that passes what it is asked on to a server elsewhere."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        url = target + _asked(scope)
        headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
        async with httpx.AsyncClient(trust_env=False, verify=False, timeout=30) as client:
            # A stream leaves the body as it came, compressed or not.
            asked = client.stream(scope["method"], url, content=body or None, headers=headers)
            async with asked as answer:
                content = b"".join([part async for part in answer.aiter_raw()])
        kept = [(n, v) for n, v in answer.headers.raw if n.lower() not in NOT_PASSED_ON]
        kept.append((b"content-length", b"%d" % len(content)))
        start = {"type": "http.response.start", "status": answer.status_code, "headers": kept}
        await send(start)
        await send({"type": "http.response.body", "body": content})

    return app


def _words(version: str, *asked: Any, **answered: Any) -> str:
    """Return what the oracle says against an exchange."""
    try:
        oracle(version).exchange(*asked, **answered)
    except AssertionError as error:
        return str(error)
    return ""


def _asked(scope: Any) -> str:
    """Return path and query as they were asked for."""
    path = scope.get("raw_path") or scope["path"].encode()
    return (path.partition(b"?")[0] + b"?" + scope["query_string"]).decode("latin-1")


def _plain(headers: Any) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
