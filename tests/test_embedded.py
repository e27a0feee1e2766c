"""The embedded VTN's process: where it does not behave, where it ends, and what it is told."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from venlab.embedded import EmbeddedVtn
from venlab.errors import RunError
from venlab.faults import Faults


def misbehaving(
    folder: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[EmbeddedVtn, list[subprocess.Popen[bytes]]]:
    """Return one that runs another program, and what it started."""
    started = []

    def spawn(_: EmbeddedVtn) -> subprocess.Popen[bytes]:
        pipe = subprocess.PIPE
        with (folder / "vtn.log").open("ab") as log:
            command = [sys.executable, "-c", program]
            started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log))
        return started[-1]

    monkeypatch.setattr(EmbeddedVtn, "_spawn", spawn)
    return EmbeddedVtn(folder), started


async def test_one_that_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not waited for without end, and not left behind."""
    monkeypatch.setattr("venlab.embedded.READY_S", 0.5)
    vtn, started = misbehaving(tmp_path, "import time; time.sleep(60)", monkeypatch)
    began = time.monotonic()
    with pytest.raises(RunError, match="it said nothing"):
        await vtn.start()
    assert time.monotonic() - began < 10
    assert started[0].poll() is not None
    await vtn.stop()


async def test_one_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error carries the end of its log."""
    vtn, started = misbehaving(tmp_path, "raise SystemExit('no room')", monkeypatch)
    with pytest.raises(RunError, match="no room"):
        await vtn.start()
    assert started[0].poll() is not None
    await vtn.stop()


@pytest.fixture
async def vtn(tmp_path: Path) -> AsyncIterator[EmbeddedVtn]:
    vtn = EmbeddedVtn(tmp_path)
    await vtn.start()
    yield vtn
    await vtn.stop()


async def vens(vtn: EmbeddedVtn, method: str = "GET") -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {vtn.credential.reveal()}"}
    content = {"ven_name": "Aars", "client_name": "aars"} if method == "POST" else None
    async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
        answer = await http.request(method, f"{vtn.flat_url}/vens", json=content)
        return answer.status_code, answer.json()


@pytest.mark.parametrize("end", ["stop", "kill", "die"])
async def test_it_comes_up_again_as_the_same(vtn: EmbeddedVtn, end: str) -> None:
    """After an end, a kill or a death: same port, credential and store; it tells how it ended."""
    url, credential = vtn.url, vtn.credential
    assert (vtn.running, vtn.returncode) == (True, None)
    assert (await vens(vtn, "POST"))[0] == 201
    await vtn.misbehave(Faults.parse("503"))
    if end == "die":
        assert vtn._process
        vtn._process.kill()
        vtn._process.wait()
    else:
        await getattr(vtn, end)()
    assert (vtn.running, vtn.returncode == 0) == (False, end == "stop")
    with pytest.raises(RunError, match="does not run"):
        await vtn.misbehave(None)
    await vtn.start()
    assert (vtn.url, vtn.credential, vtn.returncode) == (url, credential, None)
    status, held = await vens(vtn)
    assert (status, [ven["ven_name"] for ven in held]) == (200, ["Aars"])  # and it behaves


async def test_what_may_not_be_started(vtn: EmbeddedVtn, tmp_path: Path) -> None:
    """One that runs; one whose port was taken meanwhile, and that port is named, and free later."""
    with pytest.raises(RunError, match="runs already"):
        await vtn.start()
    assert (await vens(vtn))[0] == 200
    port = int(vtn.url.rpartition(":")[2])
    await vtn.kill()
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(RunError, match=f"cannot listen on 127.0.0.1 port {port}") as caught:
            await vtn.start()
        assert "INFO" not in str(caught.value)  # nor what it logged before
        assert not vtn.running
    await vtn.start()
    assert (await vens(vtn))[0] == 200


async def test_orders_come_from_any_loop_and_at_once(vtn: EmbeddedVtn) -> None:
    """Each gets its own answer; one that gives up waiting leaves the next its place."""

    def from_a_thread(n: int) -> None:
        asyncio.run(vtn.misbehave(Faults.parse("503", seed=n)))

    gives_up = asyncio.create_task(vtn.misbehave(Faults.parse("500")))
    await asyncio.sleep(0)
    gives_up.cancel()
    await asyncio.gather(*(asyncio.to_thread(from_a_thread, n) for n in range(8)))
    assert (await vens(vtn))[0] == 503
    await vtn.misbehave(Faults())
    assert (await vens(vtn))[0] == 200


async def test_one_that_is_killed_while_it_starts(
    vtn: EmbeddedVtn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is started again, a few times at most: only what fails by itself says why."""
    await vtn.kill()
    spawn = EmbeddedVtn._spawn
    _, started = misbehaving(tmp_path, "import os; os.kill(os.getpid(), 9)", monkeypatch)
    killed = EmbeddedVtn._spawn
    with pytest.raises(RunError, match="it said nothing"):
        await vtn.start()
    assert len(started) == 3

    def at_last(self: EmbeddedVtn) -> subprocess.Popen[bytes]:
        return killed(self) if len(started) < 5 else spawn(self)

    monkeypatch.setattr(EmbeddedVtn, "_spawn", at_last)
    await vtn.start()
    assert (len(started), (await vens(vtn))[0]) == (5, 200)


async def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    """Store and log need a place."""
    vtn = EmbeddedVtn(tmp_path / "runs" / "mine")
    await vtn.start()
    await vtn.stop()
    assert {"vtn.log", "vtn.sqlite"} <= {path.name for path in vtn._log.parent.iterdir()}


async def test_one_that_is_ended_on_purpose_has_not_died(
    vtn: EmbeddedVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the moment when its process is gone and not all of its end is done."""
    end, seen = vtn.stop, []

    async def stop() -> None:
        assert vtn._process
        vtn._process.wait()
        seen.append((vtn.running, vtn.died))
        await end()

    monkeypatch.setattr(vtn, "stop", stop)
    await vtn.kill()
    assert seen == [(False, False)]
    assert not vtn.died
