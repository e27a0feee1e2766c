"""A VTN in-process, and one as a process that ends with its test."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from venlab.secret import Secret
from venlab.vtn.app import create_app
from venlab.vtn.store import Store

Json = dict[str, Any]


def report(name: str, ven_id: str, **changes: Any) -> Json:
    """A report of restaurant_01's heating: 1.5 kW."""
    return {
        "report_name": name,
        "ven_id": ven_id,
        "resource_id": "aars/restaurant_01",
        "client_name": "aars",
        "report_type": "usage",
        "reading_type": "power",
        "start": "2023-01-09T16:00:00Z",
        "duration": "PT0S",
        "intervals": [{"id": 0, "payloads": [{"type": "USAGE", "values": [1.5]}]}],
        "resources": [{"resource_name": "restaurant_01"}],
        "load_component": "load_0",
    } | changes


def resource(ven_name: str, **changes: Any) -> Json:
    named = {"id": "aars/restaurant_01", "resource_name": "restaurant_01", "ven_name": ven_name}
    return named | {"resource_type": "restaurant"} | changes


class Client:
    """Asks the flat API as somebody: an answer's status and content."""

    def __init__(self, http: httpx.AsyncClient, token: str | None) -> None:
        self.http, self.token = http, token

    def as_(self, token: str | None) -> Client:
        return Client(self.http, token)

    async def __call__(self, method: str, path: str, content: Any = None) -> tuple[int, Any]:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        raw = content if isinstance(content, bytes | None) else json.dumps(content).encode()
        answer = await self.http.request(method, f"/flat{path}", content=raw, headers=headers)
        return answer.status_code, msgspec.json.decode(answer.content)  # takes no Infinity

    async def ven(self, name: str = "Aars") -> Json:
        status, ven = await self("POST", "/vens", {"ven_name": name, "client_name": name.lower()})
        assert status == 201
        return ven

    async def ven_with_resource(self) -> Json:
        ven = await self.ven()
        assert (await self("POST", "/resources", resource("Aars")))[0] == 201
        return ven


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store(":memory:")
    yield store
    store.close()


@pytest.fixture
async def vtn(store: Store) -> AsyncIterator[Client]:
    """The operator's client of a VTN in-process; an error in it is an error in the test."""
    transport = httpx.ASGITransport(create_app(store, Secret("op")))
    async with httpx.AsyncClient(transport=transport, base_url="http://vtn") as http:
        yield Client(http, "op")


@pytest.fixture(params=["3.0.1", "3.1.0"])
async def standard(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[Any]:
    """A VTN in-process that speaks one version of the standard, then the other."""
    from tests.vtn.standards import vtn_of

    async with vtn_of(request.param, store) as vtn:
        yield vtn


@pytest.fixture
async def private(store: Store) -> AsyncIterator[Any]:
    """The same, of 3.1.0 only."""
    from tests.vtn.standards import vtn_of

    async with vtn_of("3.1.0", store) as vtn:
        yield vtn


class Server:
    """``python -m venlab.vtn`` and its ready line."""

    def __init__(self, *arguments: str, credential: str | None = "op") -> None:
        command = [sys.executable, "-m", "venlab.vtn", *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        if credential is not None:
            self.process.stdin.write(json.dumps({"credential": credential}).encode() + b"\n")
            self.process.stdin.flush()
        self.ready: Json = json.loads(self.process.stdout.readline())

    def client(self, http: httpx.AsyncClient, token: str = "op") -> Client:
        http.base_url = self.ready["url"]
        return Client(http, token)

    def ended(self) -> tuple[int, str]:
        """Wait for its end: exit code and log."""
        _, log = self.process.communicate(timeout=5)
        return self.process.returncode, log.decode()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts embedded servers over one store; each ends at the latest with the test."""
    with ExitStack() as stack:

        def start(credential: str = "op", *more: str) -> Server:
            arguments = ("--embedded", "--store", str(tmp_path / "vtn.sqlite"), *more)
            server = Server(*arguments, credential=credential)
            stack.callback(server.ended)
            stack.callback(server.process.kill)
            return server

        yield start


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client
