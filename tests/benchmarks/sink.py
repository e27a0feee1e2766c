"""A server that is not the limit: answers 201 to everything, and counts the requests."""

from __future__ import annotations

import asyncio
import os
import sys

ANSWER = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
BODY = b'{"id":"r1","pad":"' + b"x" * 480 + b'"}'
REPLY = ANSWER % (len(BODY), BODY)


class Sink(asyncio.Protocol):
    """Reads just enough HTTP to know where a request ends."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length: ")
            length = int(head[at + 16 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(REPLY)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sink, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    # Ends with whoever started it: its stdin closes.
    await loop.run_in_executor(None, os.read, 0, 1)
    server.close()


if __name__ == "__main__":
    if sys.platform != "win32":
        import uvloop

        uvloop.run(serve())
    else:
        asyncio.run(serve())
