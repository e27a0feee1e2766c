"""A real HTTP server on loopback whose answers a test writes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Reply = tuple[int, bytes] | tuple[int, bytes, str] | None
"""Status, body and maybe a header line; None cuts the connection instead of answering."""


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        return json.loads(self.body)  # type: ignore[no-any-return]


@dataclass
class Scripted:
    """What was asked; `reply` decides each answer."""

    reply: Callable[[Request], Reply]
    url: str = ""
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, path, _ = first.split(" ")
                request = Request(method, path, headers, body)
                self.requests.append(request)
                reply = self.reply(request)
                if reply is None:
                    break
                writer.write(_answer(*reply))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def _answer(status: int, body: bytes, header: str = "x-more: none") -> bytes:
    lines = f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "content-type: application/json"
    return "\r\n".join([*lines, header, "", ""]).encode() + body


@asynccontextmanager
async def scripted(reply: Callable[[Request], Reply]) -> AsyncIterator[Scripted]:
    """Serve on a free port for the length of the block."""
    vtn = Scripted(reply)
    server = await asyncio.start_server(vtn.serve, "127.0.0.1", 0)
    vtn.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield vtn
    finally:
        server.close()
