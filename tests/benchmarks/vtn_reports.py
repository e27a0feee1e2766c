"""POST /reports: the VTN against a stock FastAPI app, one model in and one out, in the same run.

What counts is the server's processor time for a report, the best round of each: requests per
second depend on what else the machine does, on which the client and two servers share the cores.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.benchmarks.table import Row

CONNECTIONS, LOADS = 32, 1656
WARM_UP_S, COUNTED_S, ROUNDS = 0.3, 1.0, 3
CREDENTIAL = "benchmark"
REPORT = {
    "report_name": "@",
    "ven_id": "",
    "resource_id": "restaurant_01",
    "client_name": "aabenraa",
    "report_type": "usage",
    "reading_type": "power",
    "start": "2023-01-09T16:00:00Z",
    "duration": "PT0S",
    "intervals": [{"id": 0, "payloads": [{"type": "USAGE", "values": [1.234]}]}],
    "resources": [{"resource_name": "restaurant_01"}],
    "load_component": "load_0",
    "program_id": None,
}


def serve_stock() -> None:
    """Run the counterpart: what one writes first, on the same server with the same settings."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Payload(BaseModel):
        type: str
        values: list[float]

    class Interval(BaseModel):
        id: int
        payloads: list[Payload]

    class Resource(BaseModel):
        resource_name: str

    class Report(BaseModel):
        report_name: str
        ven_id: str
        resource_id: str
        client_name: str
        report_type: str
        reading_type: str
        start: str
        duration: str
        intervals: list[Interval]
        resources: list[Resource]
        load_component: str
        program_id: str | None = None

    class Stored(Report):
        id: str
        created_date_time: str

    # The annotations are text in this file, and FastAPI cannot see into a function.
    globals().update(Report=Report, Stored=Stored)
    app, held = FastAPI(), []

    @app.post("/flat/reports", status_code=201)
    async def post_report(report: Report) -> Stored:
        extra = {"id": f"report-{len(held)}", "created_date_time": "2023-01-09T16:00:00Z"}
        held.append(Stored(**report.model_dump(), **extra))
        return held[-1]

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            port = self.servers[0].sockets[0].getsockname()[1]
            sys.stdout.write(json.dumps({"flat": f"http://127.0.0.1:{port}/flat"}) + "\n")
            sys.stdout.flush()

    Server(uvicorn.Config(app, port=0, access_log=False, log_level="error")).run()


class _Poster(asyncio.Protocol):
    """One connection: posts, waits for the whole answer, posts again."""

    def __init__(self, load: Load) -> None:
        self.load, self.held = load, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.load.request())

    def data_received(self, data: bytes) -> None:
        self.held += data
        head, found, body = self.held.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if not found or len(body) < length:
            return
        if not self.held.startswith(b"HTTP/1.1 201"):
            self.load.failed.set_exception(AssertionError(self.held[:500]))
            return
        self.held = b""
        self.load.answered += 1
        self.transport.write(self.load.request())


class Load:
    """A closed loop over all connections; every report has a name of its own."""

    def __init__(self, flat_url: str, ven_id: str) -> None:
        parts = urlsplit(flat_url)
        self.host, self.port = parts.hostname, parts.port
        body = (
            json.dumps(REPORT | {"ven_id": ven_id})
            .replace("@", "run/aabenraa/%04d/load_0/%010d")
            .encode()
        )
        head = (
            f"POST {parts.path}/reports HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: Bearer {CREDENTIAL}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body % (0, 0))}\r\n\r\n"
        )
        self.template = head.encode() + body
        self.sent = self.answered = 0

    def request(self) -> bytes:
        self.sent += 1
        stamp, load = divmod(self.sent, LOADS)  # in the lab's order, so scattered over the names
        return self.template % (load, stamp)

    async def run(self, server: psutil.Process) -> tuple[float, float]:
        """Return the server's processor time for a report [µs], and reports per second."""
        loop = asyncio.get_running_loop()
        self.failed = loop.create_future()
        opened = [
            await loop.create_connection(lambda: _Poster(self), self.host, self.port)
            for _ in range(CONNECTIONS)
        ]
        await asyncio.wait([self.failed], timeout=WARM_UP_S)
        answered, used, began = self.answered, sum(server.cpu_times()[:2]), time.perf_counter()
        await asyncio.wait([self.failed], timeout=COUNTED_S)
        took, used = time.perf_counter() - began, sum(server.cpu_times()[:2]) - used
        for transport, _ in opened:
            transport.abort()
        if self.failed.done():
            self.failed.result()
        reports = self.answered - answered
        return used / reports * 1e6, reports / took


@contextmanager
def _process(*command: str) -> Iterator[tuple[str, psutil.Process]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, *command], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL
    ) as process:
        try:
            process.stdin.write(json.dumps({"credential": CREDENTIAL}).encode() + b"\n")
            process.stdin.flush()
            yield json.loads(process.stdout.readline())["flat"], psutil.Process(process.pid)
        finally:
            process.kill()


def _post(url: str, content: dict[str, Any]) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {CREDENTIAL}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(content).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def _vtn(folder: str, number: int) -> tuple[float, float]:
    store = f"{folder}/{number}.sqlite"
    with _process("-m", "venlab.vtn", "--embedded", "--store", store) as (url, server):
        ven = _post(f"{url}/vens", {"ven_name": "Aabenraa", "client_name": "aabenraa"})
        resource = {"id": "restaurant_01", "resource_name": "restaurant_01"}
        _post(f"{url}/resources", {**resource, "resource_type": "x", "ven_name": "Aabenraa"})
        return asyncio.run(Load(url, ven["id"]).run(server))


def _stock() -> tuple[float, float]:
    with _process("-m", "tests.benchmarks.vtn_reports") as (url, server):
        return asyncio.run(Load(url, "v").run(server))


def rows() -> list[Row]:
    """Measure both in turns, about 10 s in all."""
    with tempfile.TemporaryDirectory() as folder:
        rounds = [(_vtn(folder, number), _stock()) for number in range(ROUNDS)]
    (ours_us, ours), (stock_us, stock) = (min(column) for column in zip(*rounds, strict=True))
    measured, against = f"{ours_us:.0f} µs ({ours:.0f}/s)", f"{stock_us:.0f} µs ({stock:.0f}/s)"
    what, ratio = "VTN: POST /reports, stored", stock_us / ours_us
    return [Row(what, measured, f"stock FastAPI {against}", ratio, ">= 3")]


if __name__ == "__main__":
    serve_stock()
