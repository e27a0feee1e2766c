"""The VTN that misbehaves as told: what stands between its server and its application."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import socket
import sqlite3
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakSet

from pydantic_core import from_json
from starlette.datastructures import QueryParams
from starlette.types import Message, Receive, Scope, Send

from venlab.faults import KINDS, Fault, Faults
from venlab.secret import Secret
from venlab.vtn.app import Front, create_app, dialect_of
from venlab.vtn.checks import JSON
from venlab.vtn.reports import MAX_BODY
from venlab.vtn.store import Store

log = logging.getLogger(__name__)

_Headers = tuple[tuple[bytes, bytes], ...]
_Hit = tuple[Fault, float]  # and a normal variate of its own
_LOG_S = 1.0  # between two lines about faults of one name
_LINGER_0 = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)  # a close is then a reset
_JSON: _Headers = ((b"content-type", JSON.encode()),)
_NAMES = ("id", "ven_id", "ven_name", "client_name", "venID", "venName", "clientID", "clientName")
_PAGE = b"<!DOCTYPE html><title>Welcome</title><p>Please sign in to use this network."


class Misbehaving:
    """The VTN's application, doing what it is told to do wrong; off, it costs one call a request.

    Faults strike a request before it is stored, then after, both in the order they are written,
    until one takes the place of the answer. Each draws from a stream of its own, for each request
    that it aims at and whatever the time: other faults, requests and windows shift nothing.
    """

    def __init__(self, path: Path, credential: Secret, **settings: Any) -> None:
        self._path = path
        self.app: Front = create_app(Store(path), credential, **settings)
        self._lives = 1
        self._aims: list[tuple[Fault, Any]] = []
        self._on: list[Fault] = []
        self._opened = 0
        self._ignored: WeakSet[asyncio.Transport] = WeakSet()
        self._told_at = 0.0
        self._struck: Counter[str] = Counter()
        self._logged: dict[str, float] = {}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer a request, or do something worse."""
        if not self._aims:
            return self.app(scope, receive, send)
        return self._misbehave(scope, receive, send)

    def close(self) -> None:
        """Close the store."""
        self.app.store.close()

    # -- what it is told ----------------------------------------------------------------------

    async def aim(self, faults: Faults) -> None:
        """Take these faults instead of those before; their time begins now."""
        aims = await asyncio.to_thread(_streams, faults)
        if self._told_at:
            log.warning("Faults are lifted; struck: %s", dict(self._struck) or "nothing")
        if faults:
            log.warning("Told to misbehave: %s (seed %d)", faults, faults.seed)
        self._told_at = time.monotonic() if faults else 0.0
        self._aims = aims
        self._struck.clear()
        self._logged.clear()

    @contextmanager
    def lasting(self, fault: Fault) -> Iterator[None]:
        """Do something wrong that is no single request's, until it is left."""
        self._strike(fault)
        self._on.append(fault)
        if fault.kind == "exhausted":
            self._opened = 0
        self._settle()
        try:
            yield
        finally:
            self._on.remove(fault)
            self._settle()

    def forget(self, fault: Fault) -> None:
        """Begin anew with what is in the store, or with an empty one.

        The application stays: FastAPI remembers the functions of each that was ever made.
        """
        self._lives += 1
        self.close()
        for end in ("", "-wal") if fault.lose else ():
            Path(f"{self._path}{end}").unlink(missing_ok=True)
        self.app.store.open()
        self.app.access.forget()
        self._opened = 0
        self._hear_all()
        self._settle()

    def ignores(self, transport: asyncio.Transport) -> bool:
        """Tell whether a new connection is one too many; then nobody listens to it."""
        self._opened += 1
        for fault in self._on:
            if fault.kind == "exhausted" and self._opened > fault.value:
                self._strike(fault)
                self._ignored.add(transport)
                return True
        return False

    def _settle(self) -> None:
        kinds = {fault.kind for fault in self._on}
        self.app.store.repeats = {kind.removeprefix("repeat_") for kind in kinds}
        self.app.store.fill("diskfull" in kinds)
        if "exhausted" not in kinds:
            self._hear_all()

    def _hear_all(self) -> None:
        for transport in list(self._ignored):
            reset(transport)

    def _strike(self, fault: Fault) -> None:
        self._struck[fault.name] += 1
        now = time.monotonic()
        if now >= self._logged.get(fault.name, 0) + _LOG_S:
            self._logged[fault.name] = now
            log.info("Fault %s struck, %d so far", fault.name, self._struck[fault.name])

    # -- a request ----------------------------------------------------------------------------

    async def _misbehave(self, scope: Scope, receive: Receive, send: Send) -> None:
        life, transport = self._lives, scope["state"]["transport"]
        try:
            read = await _ahead(receive)
            body = b"".join(message.get("body", b"") for message in read)

            async def again() -> Message:
                return read.pop(0) if read else await receive()

            struck = list(self._struck_by(self.app, scope, body))
            end = await self._until_end(struck, stored=False)
            if life != self._lives:  # what a restart cut off never reaches the store after it
                await _leave(transport, receive)
                return
            answer = None if end else await _ask(self.app, scope, again)
            end = end or await self._until_end(struck, stored=True)
            if end:
                await _instead(end, answer, scope, receive, send)
            elif answer:
                await self._changed(struck, answer).send(send)
        except asyncio.CancelledError:  # the server ends
            await _leave(transport, receive)

    async def _until_end(self, struck: list[_Hit], *, stored: bool) -> Fault | None:
        """Let pass what delays a request before or after it is stored; return what ends it."""
        for fault, normal in struck:
            if (fault.stored or fault.kind == "half") == stored:
                if fault.kind == "latency":
                    self._strike(fault)
                    await asyncio.sleep(fault.value * math.exp(fault.sigma * normal))
                elif fault.kind in _ENDS:
                    self._strike(fault)
                    return fault
        return None

    def _changed(self, struck: list[_Hit], answer: _Answer) -> _Answer:
        for fault, _ in struck:
            if fault.kind in _CHANGES and (changed := _CHANGES[fault.kind](answer)) != answer:
                self._strike(fault)
                answer = changed
        return answer

    def _struck_by(self, app: Front, scope: Scope, body: bytes) -> Iterator[_Hit]:
        """Walk over the faults that strike this request."""
        since = time.monotonic() - self._told_at
        dialect, base, _ = dialect_of(scope["path"])
        path = scope["path"].removeprefix(base)
        ven_id = _ven_id(app, scope, dialect)
        for fault, stream in self._aims:
            aimed = path.startswith(fault.path) and fault.method in ("", scope["method"])
            aimed &= bool(ven_id) or fault.kind != "expire"
            if not aimed or (
                fault.ven and not _speaks_of(_names(app, dialect, fault.ven), ven_id, scope, body)
            ):
                continue
            chance, normal = stream.random(), stream.standard_normal()
            if chance < fault.share and 0 <= since - fault.from_s < fault.for_s:
                if fault.kind == "expire" and ven_id:
                    self._strike(fault)
                    with suppress(sqlite3.Error):
                        app.access.give_token(ven_id, None)
                yield fault, normal


def _streams(faults: Faults) -> list[tuple[Fault, Any]]:
    from numpy.random import default_rng  # a VTN that behaves need not load it

    aims = [fault for fault in faults.plain() if "share" in KINDS[fault.kind][1]]
    return [(fault, default_rng([faults.seed, n])) for n, fault in enumerate(aims)]


def _ven_id(app: Front, scope: Scope, dialect: str) -> str | None:
    with suppress(sqlite3.Error):
        caller = app.access.caller(scope["headers"], dialect)
        return caller.ven_id if caller else None
    return None


def _speaks_of(names: set[str], ven_id: str | None, scope: Scope, body: bytes) -> bool:
    """Tell whether a VEN's request is this one's, or the operator's names it anywhere."""
    if ven_id:
        return ven_id in names
    said = [*scope["path"].split("/"), *QueryParams(scope["query_string"]).values()]
    with suppress(ValueError, AttributeError):  # it is no JSON, or no object
        members = from_json(body)
        said += [members.get(name) for name in _NAMES]
    return any(word in names for word in said if isinstance(word, str))


def _names(app: Front, dialect: str, ven: str) -> set[str]:
    """Return all that a VEN is called in a dialect, of which one name is given."""
    names, columns = {ven}, ("id", "ven_name", "client_name")
    where: dict[str, Any] = {"table": "vens"}
    if dialect != "flat":
        columns = ("id", "name", "client")
        where = {"table": "objects", "version": dialect, "kind": "vens"}
    with suppress(sqlite3.Error):
        for column in columns:
            for row in app.store.page(**where | {column: ven}):
                names |= {row[name] for name in columns}
    return names | {f"{dialect}/{name}" for name in names}


class _Answer(NamedTuple):
    status: int
    body: bytes
    headers: _Headers

    async def send(self, send: Send, *, half: bool = False) -> None:
        headers = [*self.headers, (b"content-length", b"%d" % len(self.body))]
        body = self.body[: len(self.body) // 2] if half else self.body
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": half})


async def _ahead(receive: Receive) -> list[Message]:
    """Read a request's body, up to what is too long anyway."""
    messages, length = [], 0
    while length <= MAX_BODY:
        messages.append(await receive())
        length += len(messages[-1].get("body", b""))
        if not messages[-1].get("more_body"):
            break
    return messages


async def _ask(app: Front, scope: Scope, receive: Receive) -> _Answer:
    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, keep)
    if not sent:
        raise asyncio.CancelledError  # the server ends, or who asked is gone
    headers = tuple(header for header in sent[0]["headers"] if header[0] != b"content-length")
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return _Answer(sent[0]["status"], body, headers)


async def _leave(transport: asyncio.Transport, receive: Receive) -> None:
    """Cut off who asked, and wait until the server knows; it may cancel more than once."""
    transport.abort()
    left = False
    while not left:
        with suppress(asyncio.CancelledError):
            await _until_gone(receive)
            left = True


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


_ENDS = ("status", "html", "half", "reset", "silent")


async def _instead(
    fault: Fault, answer: _Answer | None, scope: Scope, receive: Receive, send: Send
) -> None:
    """Do what takes the place of an answer."""
    transport = scope["state"]["transport"]
    match fault.kind:
        case "status":
            words = b'{"detail":"the VTN is told to answer %d"}' % fault.value
            headers = _JSON
            if fault.retry_after is not None:
                headers = (*_JSON, (b"retry-after", b"%d" % fault.retry_after))
            await _Answer(int(fault.value), words, headers).send(send)
            return
        case "html":
            status = 201 if scope["method"] == "POST" else 200
            await _Answer(status, _PAGE, ((b"content-type", b"text/html"),)).send(send)
            return
        case "half":
            assert answer
            await answer.send(send, half=True)
            transport.close()
        case "reset":
            reset(transport)
    await _until_gone(receive)  # of silence that is all


_MADE = re.compile(rb'("(?:created|modification)(?:_date_time|DateTime)":)"[^"]*"')
_ZONED = re.compile(rb'("\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|[+-]\d\d:\d\d)"')


def _other_status(was: int, becomes: int) -> Callable[[_Answer], _Answer]:
    return lambda answer: answer._replace(status=becomes) if answer.status == was else answer


_CHANGES: dict[str, Callable[[_Answer], _Answer]] = {
    "close": lambda answer: answer._replace(headers=(*answer.headers, (b"connection", b"close"))),
    "created_200": _other_status(201, 200),
    "unknown_500": _other_status(404, 500),
    "null_times": lambda answer: answer._replace(body=_MADE.sub(rb"\1null", answer.body)),
    "naive_times": lambda answer: answer._replace(body=_ZONED.sub(rb'\1"', answer.body)),
}


def reset(transport: asyncio.Transport) -> None:
    """Cut a connection off by a reset, whatever was still to be sent."""
    if not transport.is_closing():
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        transport.abort()
