"""A raw server on loopback: says exactly the bytes of a script, until it is healed."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import psutil

Say = Callable[[asyncio.StreamWriter], Awaitable[None]]
WELL = b'{"status": "ok"}'


@dataclass(frozen=True)
class Script:
    """What is said instead of an answer, and how.

    Parameters
    ----------
    said : bytes or callable
        The bytes; or what writes them, as long as it likes.
    ends : bool
        Whether the connection is closed behind them.
    listens : bool
        Whether the request is read first.
    """

    said: bytes | Say = b""
    ends: bool = False
    listens: bool = True


@dataclass
class Hell:
    """The server: what it was sent, and which connections are open."""

    script: Script
    url: str = ""
    healed: bool = False
    heads: list[bytes] = field(default_factory=list)
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    quiet: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        self.quiet.clear()
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            if not self.script.listens and not self.healed:
                await self.say(writer)
                if not writer.is_closing():
                    await self.listen(reader)  # what was asked has been answered
            while not writer.is_closing():
                await self.listen(reader)
                await self.say(writer)
        writer.close()
        self.open.discard(writer)
        if not self.open:
            self.quiet.set()

    async def listen(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        _, found, length = head.lower().partition(b"content-length: ")
        if found:
            await reader.readexactly(int(length.partition(b"\r\n")[0]))

    async def say(self, writer: asyncio.StreamWriter) -> None:
        said = answer(WELL) if self.healed else self.script.said
        if callable(said):
            await said(writer)
        else:
            writer.write(said.replace(b"{request}", b"".join(self.heads[-1:])))
            await writer.drain()
        if self.script.ends and not self.healed:
            writer.close()


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """An answer as it should be, with whatever headers."""
    length = f"content-length: {len(body)}"
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, length, "", ""])
    return head.encode("latin-1") + body


@asynccontextmanager
async def hell(script: Script) -> AsyncIterator[Hell]:
    """Serve on a free port for the length of the block."""
    server = Hell(script)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for left in server.open:
            left.transport.abort()
        if server.open:
            await server.quiet.wait()


def over_and_over(first: bytes, again: bytes) -> Say:
    """Say the first once, then the other without an end, as fast as it is read."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while True:
            writer.write(again)
            await writer.drain()

    return say


def dripping(first: bytes, drop: bytes) -> Say:
    """Say the first at once, then the other every 50 ms: no single wait is long."""

    async def say(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while not writer.is_closing():
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(0.05)  # a server's pace: what the test is about

    return say


async def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a reset instead of an end."""
    end: socket.socket = writer.get_extra_info("socket")
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


@asynccontextmanager
async def growth() -> AsyncIterator[list[int]]:
    """Yield a list that ends with how much more memory was in use at the most [bytes]."""
    here, most = psutil.Process(), [0]
    before = here.memory_info().rss

    async def look() -> None:
        while True:
            most[0] = max(most[0], here.memory_info().rss - before)
            await asyncio.sleep(0.002)  # between two looks at what no event tells

    looking = asyncio.create_task(look())
    try:
        yield most
    finally:
        looking.cancel()
