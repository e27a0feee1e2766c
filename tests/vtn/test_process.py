"""The VTN as a process on loopback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.vtn.conftest import Server, report
from venlab.vtn.__main__ import main

Serve = Callable[..., Server]


async def test_the_ready_line_tells_where_it_listens_and_no_secret(
    serve: Serve, http: httpx.AsyncClient
) -> None:
    """One line of JSON, when it listens: url, port and the url of each dialect."""
    server = serve("s3cret-credential")
    port = server.ready["port"]
    url = f"http://127.0.0.1:{port}"
    urls = {version: f"{url}/openadr3/{version}" for version in ("3.0.1", "3.1.0")}
    assert server.ready == {"url": url, "port": port, "flat": f"{url}/flat"} | urls
    health = await http.get(f"{server.ready['flat']}/health")
    assert health.json()["status"] == "ok"
    ven = await server.client(http, "s3cret-credential").ven()
    server.process.stdin.close()
    began = time.monotonic()
    server.process.stdin = None
    code, log = server.ended()
    assert (code, time.monotonic() - began < 2) == (0, True)
    assert "s3cret" not in log
    assert ven["auth_token"] not in log


async def test_what_was_acknowledged_survives_kill_9(serve: Serve, http: httpx.AsyncClient) -> None:
    """Killed under load and started again with another credential: every 201 is still there."""
    server = serve()
    vtn = server.client(http)
    ven = await vtn.ven_with_resource()
    acknowledged: set[str] = set()

    async def post(worker: int) -> None:
        for n in range(1000):
            name = f"run/{worker}/{n:04d}"
            if (await vtn("POST", "/reports", report(name, ven["id"])))[0] == 201:
                acknowledged.add(name)
            if len(acknowledged) == 100:
                server.process.kill()

    results = await asyncio.gather(*map(post, range(8)), return_exceptions=True)
    assert all(isinstance(result, httpx.TransportError) for result in results)
    server.ended()

    again = serve("new").client(http, "new")
    status, page = await again("GET", "/reports?run=run&limit=5000")
    held = {found["report_name"] for found in page}
    assert status == 200
    assert 100 <= len(acknowledged) <= len(held) <= len(acknowledged) + 8
    assert acknowledged <= held
    for name in held:
        status, refusal = await again("POST", "/reports", report(name, ven["id"]))
        assert (status, list(refusal)) == (409, ["detail", "id"])
        break
    assert (await again.as_(ven["auth_token"])("GET", "/reports?limit=1"))[0] == 200
    assert (await again.as_("op")("GET", "/reports"))[0] == 401


async def test_of_fifty_posts_of_one_name_one_is_201(serve: Serve, http: httpx.AsyncClient) -> None:
    """Posted at once over many connections: exactly one 201, and 49 times 409 with its id."""
    vtn = serve().client(http)
    ven = await vtn.ven_with_resource()
    answers = await asyncio.gather(
        *(vtn("POST", "/reports", report("run/a", ven["id"])) for _ in range(50))
    )
    assert Counter(status for status, _ in answers) == {201: 1, 409: 49}
    assert len({content["id"] for _, content in answers}) == 1


async def test_413_leaves_the_connection_usable(serve: Serve, http: httpx.AsyncClient) -> None:
    """A body that is refused half-way is read to its end: the sender sees the 413."""
    vtn = serve().client(http)
    assert (await vtn("POST", "/vens", b" " * 20 * 2**20))[0] == 413
    assert (await vtn("GET", "/vens"))[0] == 200


def owner_only(path: Path) -> str:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    return path.read_text(encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("early", [True, False])
async def test_a_signal_ends_it_well(
    number: int,
    early: bool,
    tmp_path: Path,
    http: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Alone it writes its credential for its owner only, and takes it away when it ends with 0."""
    server = Server("--store", str(tmp_path / "vtn.sqlite"), credential=None)
    try:
        path = Path(server.ready["credential_file"])
        assert path.parent == tmp_path
        token = owner_only(path)
        assert token not in json.dumps(server.ready)
        if not early:
            assert (await server.client(http, token)("GET", "/vens"))[0] == 200
        server.process.send_signal(number)
        code, log = server.ended()
    finally:
        server.process.kill()
    assert code == 0
    assert "Traceback" not in log
    assert token not in log
    assert os.listdir(tmp_path) == ["vtn.sqlite"]  # closed: no credential, no write-ahead log


def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, what is wrong and what to do, no traceback, nothing on stdout."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"venlab vtn: cannot listen on 127.0.0.1 port {port}: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--store", "{missing}/vtn.sqlite"],
        ["--store", "{here}"],
        ["--port", "70000"],
        ["--host", "no such host"],
        ["--credential-file", "{missing}/credential"],
        ["--token-ttl", "0"],
    ],
)
def test_what_cannot_be_opened_is_one_line(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one readable line for a store, an address, a file."""
    words = [word.format(missing=tmp_path / "missing", here=tmp_path) for word in arguments]
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n"), err[:12]) == ("", 1, "venlab vtn: ")
