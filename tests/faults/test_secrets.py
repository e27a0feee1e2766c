"""Planted secrets are looked for in logs, reprs, tracebacks, folders, notebooks: found nowhere."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable
from itertools import count, cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import psutil
import pytest

import venlab as vl
from tests.faults.hell import Script, answer, hell
from tests.faults.parrot import CARRIERS, SAID, Parrot, asking, client_of
from tests.faults.planted import (
    Planted,
    all_logged,
    error_of,
    everything_of,
    hidden,
    kept_nowhere,
    played,
    quick,
)
from tests.kernels.processes import VENLAB, until
from tests.scratch_notebooks import code, parameters, write_notebook
from tests.scripted import Request, scripted
from venlab.auth import ClientCredentials
from venlab.client import Client
from venlab.clock import Clock
from venlab.config import LabConfig
from venlab.embedded import EmbeddedVtn
from venlab.errors import NoAnswer, RunError, VenlabError
from venlab.lab import Lab
from venlab.model import Ven
from venlab.outbox import Attempt
from venlab.runreader import RUN_FILE
from venlab.secret import Secret
from venlab.transport import HttpxTransport
from venlab.wire import dialect

TOKEN = "fleet/T0ken+of~every=VEN.and'then\\some"
CLIENT_SECRET = 's3cret of the "client" & wörd/100%'
ENVIRONMENT = {"VENLAB_TOKEN": TOKEN, "VENLAB_CLIENT_SECRET": CLIENT_SECRET}
VEN = Ven("v1", "Aars", "aars")


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Planted:
    """What the environment holds, and whatever becomes a Secret in this process."""
    planted, keep = Planted({TOKEN, CLIENT_SECRET}), Secret.__init__

    def init(self: Secret, value: str) -> None:
        planted.add(value)
        keep(self, value)

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Secret, "__init__", init)
    return planted


@pytest.fixture(params=CARRIERS)
def transport(request: pytest.FixtureRequest) -> str:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=["token", "body", "basic"])
def way(request: pytest.FixtureRequest) -> str:
    """How the fleet shows who it is."""
    return request.param  # type: ignore[no-any-return]


# -- errors on the way through client, tokens and transports -------------------------------------


async def test_errors_of_the_client(planted: Planted, transport: str, way: str) -> None:
    """Whatever VTN and token server repeat: in no traceback, note, answer, value or log."""
    with all_logged() as stream:
        for paths in [("/health", "/reports")] + [("/token",)] * (way != "token"):
            parrot = Parrot(planted, lambda request, paths=paths: request.path in paths)
            async with scripted(parrot) as vtn:
                for say in SAID:
                    parrot.ways, notes = defaultdict(lambda say=say: cycle([say])), []
                    client = client_of(way, vtn.url, transport, notes)
                    hidden(planted, await error_of(client.health()), "client.Client object")
                    try:
                        got = await client.post_report(VEN, b"{}")
                        told = f"{got} {got.body.decode()} {client.dialect.explain(got.body)}"
                        assert ("***" in told) == (paths != ("/token",) or say("")[0] == 400), told
                    except NoAnswer as error:
                        told = f"{error}"
                    told += f"{notes} {everything_of(client)} {everything_of(client._source)}"
                    assert not planted.found_in(told)
                    await client.close()
    assert not planted.found_in(stream.getvalue())


async def test_answers_that_are_none(
    planted: Planted, transport: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent comes back as a broken answer, a part of one, one too long, or not at all."""
    for module in ("transport", "fasttransport"):
        monkeypatch.setattr(f"venlab.{module}.MAX_ANSWER", 1000)
    said = f"client_secret={quote_plus(CLIENT_SECRET)}" if way == "body" else TOKEN
    if way == "basic":
        said = b64encode(f"a+lab:{quote_plus(CLIENT_SECRET)}".encode()).decode()
    scripts = [
        Script(b"{request}", ends=True),
        Script(b"HTTP/1.1 200 OK\r\n{request}\r\n\r\n", ends=True),
        Script(f"HTTP/1.1 200 OK\r\n({said}): x\r\n\r\n".encode(), ends=True),
        Script(f"HTTP/1.1 {said}".encode(), ends=True),
        Script(f"HTTP/1.1 101 No\r\nx-you-said: {said}\r\n\r\n{said}".encode(), ends=True),
        Script(f"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{said}".encode(), ends=True),
        Script(answer((said * 1000).encode())),
        Script(),
    ]
    notes: list[Attempt] = []
    with all_logged() as stream:
        for script in scripts:
            async with hell(script) as server:
                client = client_of(way, server.url, transport, notes)
                for work in ([client._source.ask] if client._source else []) + [client.health]:
                    server.heads.clear()
                    asked = asyncio.create_task(work())
                    if not script.said:
                        await asyncio.to_thread(until, server.heads.copy)  # until it has been asked
                        asked.cancel()
                    hidden(planted, await error_of(asked), f"{work.__self__!r}"[:20])
                await client.close()
    assert len(notes) == len(scripts)
    assert not planted.found_in(f"{notes} {stream.getvalue()}")


# -- errors before there is anybody to talk to, and of a VTN's process ----------------------------

HTTP = HttpxTransport("http://127.0.0.1:1")
WRONG: list[tuple[str, Callable[[], object]]] = [
    ("vens", lambda: vl.params(vens=-1)),
    ("vens", lambda: vl.params(token=TOKEN, vens=-1)),
    ("vens", lambda: LabConfig.load(client_secret=CLIENT_SECRET, vens=-1)),
    ("bytes", lambda: vl.params(token=TOKEN.encode())),
    ("vns", lambda: vl.params().but(token=TOKEN, vns=1)),
    ("nowhere", lambda: LabConfig.load("nowhere.toml")),
    ("token", lambda: LabConfig.load(os.environ["VENLAB_TEST_TOML"])),
    ("nowhere", lambda: Lab.resume("nowhere", token=TOKEN)),
    ("client.Client object", lambda: Client(HTTP, dialect("flat"), Secret(TOKEN + "\n"))),
    ("remedy", lambda: ClientCredentials(HTTP._base_url, "x", Secret(CLIENT_SECRET + "\udcff"))),
]


@pytest.mark.parametrize(("word", "wrong"), WRONG)
def test_errors_of_settings(
    planted: Planted,
    word: str,
    wrong: Callable[[], object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No frame holds the environment, nor a token as a person gave it, not even in lab.toml."""
    (tmp_path / "lab.toml").write_text(f"[vtn]\ntoken = {json.dumps(TOKEN)}\n", "utf-8")
    monkeypatch.setenv("VENLAB_TEST_TOML", str(tmp_path / "lab.toml"))
    with pytest.raises(VenlabError) as caught:
        wrong()
    hidden(planted, caught.value, word)


def test_a_text_for_a_secret_is_hidden(planted: Planted) -> None:
    """Who forgets to make a Secret of it gives nothing away."""
    client = Client(HTTP, dialect("flat"), TOKEN)  # type: ignore[arg-type]
    told = everything_of([client, LabConfig(token=TOKEN), vl.Secret(TOKEN)])  # type: ignore[arg-type]
    assert "Secret(***)" in told
    assert not planted.found_in(told + f"{vl.Secret(TOKEN)} {vl.describe()}")


async def test_errors_of_our_own_vtn(planted: Planted, tmp_path: Path) -> None:
    """It is interrupted while it starts, or cannot start."""
    vtn = EmbeddedVtn(tmp_path)
    starting = asyncio.create_task(vtn.start())
    await asyncio.to_thread(until, lambda: vtn._process)  # which is greeted now
    starting.cancel()
    hidden(planted, await error_of(starting), "EmbeddedVtn object")
    (tmp_path / "vtn.sqlite").unlink(missing_ok=True)
    (tmp_path / "vtn.sqlite").mkdir()
    error = await error_of(vtn.start())
    assert isinstance(error, RunError)
    hidden(planted, error, "cannot be opened")


async def test_what_our_own_vtn_says_and_keeps(planted: Planted, tmp_path: Path) -> None:
    """A stranger's token is in no answer, log or store, and neither are those that are good."""
    wrong = "wr0ng/token+that~somebody=tries"
    planted.add(wrong)
    said: list[str] = []
    vtn = EmbeddedVtn(tmp_path)
    await vtn.start()
    right = vtn.credential.reveal()
    basic = b64encode(f"operator:{wrong}".encode()).decode()
    async with httpx.AsyncClient(base_url=vtn.flat_url, trust_env=False) as http:

        async def ask(method: str, path: str, scheme: str = "", **more: Any) -> httpx.Response:
            headers = {"authorization": scheme} if scheme else {}
            got = await http.request(method, path, headers=headers, **more)
            said.append(f"{got.status_code} {got.headers} {got.text}")
            return got

        body = {"ven_name": "Aars", "client_name": "aars"}
        ven = (await ask("POST", "/vens", f"Bearer {right}", json=body)).json()
        planted.add(ven["auth_token"])
        said.pop()  # where it is given
        form = {"grant_type": "client_credentials", "client_id": "operator"}
        for token in (wrong, f"{right}x", f"{ven['auth_token']}x"):
            for scheme in (f"Bearer {token}", f"Basic {basic}", token):
                await ask("GET", "/vens", scheme)
                await ask("POST", "/vens", scheme, content=b"{")
                await ask("POST", "/auth/token", scheme, data=form)
            for more in ({"client_secret": token}, {"client_secret": [token, token]}):
                await ask("POST", "/auth/token", data=form | more)
            await ask("POST", "/auth/token", json=form | {"client_secret": token})
        await vtn.misbehave(vl.Faults.parse("503 share=0.5; diskfull"))
        for _ in range(20):
            await ask("POST", "/vens", f"Bearer {right}", json={**body, "ven_name": "x" * 9999})
            await ask("POST", f"/vens/{ven['id']}/token", f"Bearer {ven['auth_token']}")
    reader, writer = await asyncio.open_connection("127.0.0.1", vtn._port)
    writer.write(f"GET / HTTP/1.1\r\nAuthorization: Bearer {right}\r\n{right}\r\n\r\n".encode())
    said.append((await reader.read()).decode())
    writer.close()
    assert vtn._process
    assert not planted.found_in("".join(psutil.Process(vtn._process.pid).cmdline()))
    assert not planted.found_in(str(psutil.Process(vtn._process.pid).environ()))
    await vtn.stop()
    assert {text[:3] for text in said} == {"400", "401", "403", "422", "503", "HTT"}
    assert "Invalid HTTP request" in (tmp_path / "vtn.log").read_text("utf-8")
    assert not planted.found_in("\n".join(said))
    assert not planted.found_under(tmp_path)


# -- whole runs -----------------------------------------------------------------------------------


async def test_a_run_against_our_own_vtn(planted: Planted, transport: str, tmp_path: Path) -> None:
    """Whatever it does wrong: nothing in logs, values, files, its store, arguments, environment."""
    faults = "401 for=0.1; expire share=0.1; 500 stored share=0.2 for=0.5; half share=0.1 for=0.5"
    config = quick(tmp_path / "run", transport, faults=faults)
    logged = await played(lab := Lab(config, wall=Clock(30.0)), planted)
    assert "Bearer" not in logged
    assert lab.run_id in logged
    assert len(planted.values) > 2 + 1 + 2  # the VTN's own, two VENs', and those they got instead
    kept_nowhere(planted, lab.folder, RUN_FILE, "vtn.sqlite", "lab.log", "readings.csv")


async def test_a_run_against_a_vtn_that_repeats_everything(
    planted: Planted, transport: str, way: str, tmp_path: Path
) -> None:
    """Spelled as encoders do, with every status, in header and body."""
    asked: defaultdict[str, count[int]] = defaultdict(lambda: count(1))

    def now(request: Request) -> bool:
        return next(asked[request.path]) % (7 if request.path == "/reports" else 3) == 0

    async with scripted(Parrot(planted, now)) as vtn:
        config = quick(tmp_path / "run", transport, tries=2, **asking(way, vtn.url))
        logged = await played(lab := Lab(config, wall=Clock(30.0)), planted)
    assert next(asked["/reports"]) > 7 * len(SAID)
    assert "***" in logged
    assert "***" in str(lab.results.rows("SELECT words FROM deliveries"))
    kept_nowhere(planted, lab.folder, RUN_FILE, "lab.log", "readings.csv")


async def test_errors_of_a_run(planted: Planted, transport: str, tmp_path: Path) -> None:
    """Nobody takes reports, or VENs: the error that ends the run comes through all its layers."""
    for path, status, word in (("/reports", 405, "Delivery"), ("/vens", 422, "Roster")):
        parrot = Parrot(planted, lambda request, path=path: request.path == path)
        parrot.ways[path] = cycle([lambda said, status=status: (status, SAID[2](said)[1])])
        async with scripted(parrot) as vtn:
            lab = Lab(quick(tmp_path / str(status), transport, vtn_url=vtn.url))
            error = await error_of(asyncio.to_thread(lab.run_sync))
        assert f"{status} Bearer ***" in str(error)
        hidden(planted, error, f"{word} object")
        assert not planted.found_in(everything_of([lab, lab.status]))
    assert not planted.found_under(tmp_path)


async def test_a_run_that_crashed_and_goes_on(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process had no secret for an argument, and what a power button leaves holds none."""
    started, run = [], subprocess.run

    def noted(words: list[str], **more: Any) -> Any:
        started.append(words)
        return run(words, **more)

    monkeypatch.setattr("venlab.crash.subprocess.run", noted)
    async with scripted(Parrot(planted, lambda _: False)) as vtn:
        config = quick(tmp_path / "run", "httpx", vtn_url=vtn.url, speed=60.0)
        assert await vl.crashed(config, 35.0) == 9
        assert '"vens": 2' in str(started)
        assert not planted.found_in(str(started))
        kept_nowhere(planted, tmp_path / "run", f"{RUN_FILE}-wal")
        await played(lab := Lab.resume(tmp_path / "run", token=TOKEN), planted)
    assert '"VENLAB_TOKEN"' in (lab.folder / "params.json").read_text("utf-8")
    kept_nowhere(planted, lab.folder, RUN_FILE, "readings.csv")


# -- notebooks ------------------------------------------------------------------------------------

SETTINGS = """\
out_dir: str = ""  # the run folder
fleet_csv: str = ""
vens: int = 2
resume: bool = False
fails: bool = True"""
RUN = """\
import logging, os, sys
from pathlib import Path
import venlab as vl
logging.basicConfig(level=logging.DEBUG)
lab = vl.Lab(vl.params(globals(), simulated_hours=0.5))
await lab.open()
await lab.register()
await lab.run()
results = await lab.read_back()
display(results.frame("SELECT name FROM deliveries"))
with Path(os.environ["PLANTED"]).open("a") as file:
    for token in lab.client._tokens._held.values():
        print(token.secret.reveal(), file=file)
print(lab.config, vars(lab.client._tokens), lab.vtn.credential, results.check())
lab.config"""
ERRORS = """\
parrot = vl.Client(vl.HttpxTransport(os.environ["PARROT"]), vl.dialect("flat"), lab.config.token)
for wrong in (
    lambda: vl.params(vens=-1),
    lambda: vl.params(token=lab.config.token, vens=-1),
    lambda: vl.LabConfig.load("nowhere.toml"),
    lambda: vl.Lab.resume("nowhere", token=lab.config.token),
    *[parrot.health] * 15,
):
    try:
        await wrong()
    except vl.VenlabError:
        print(get_ipython().InteractiveTB.text(*sys.exc_info()))  # as in Verbose mode
if fails:
    await parrot.health()
await lab.close()"""


async def test_notebooks(planted: Planted, tmp_path: Path) -> None:
    """One that fails in Verbose mode with every logger at DEBUG, and its run that goes on: neither
    notebooks, pages, logs and stores nor what the command says hold any of it."""
    cells = parameters(SETTINGS), code(RUN), code("%xmode Verbose"), code(ERRORS)
    write_notebook(tmp_path / "job.ipynb", *cells)
    table, kept, said = quick(tmp_path / "o", "httpx").fleet_csv, tmp_path / "kept", ""
    async with scripted(Parrot(planted, lambda _: True)) as vtn:
        env = {**os.environ, "PARROT": vtn.url, "PLANTED": str(kept)}
        for code_, words in (1, ["--out", "o"]), (0, ["--resume", "o", "-p", "fails", "false"]):
            process = await asyncio.create_subprocess_exec(
                *(*VENLAB, "run", "job.ipynb", *words, "-p", "fleet_csv", table),
                cwd=tmp_path,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            said += (await process.communicate())[0].decode()
            assert process.returncode == code_, said
    for token in kept.read_text("utf-8").split():
        planted.add(token)
    assert len(planted.values) == 2 + 3 + 1  # the VTN's and two VENs', then another of the VTN's
    assert "not Bearer ***" in said
    assert not planted.found_in(said)
    for name in (pages := ["job.ipynb", "job.until-1.ipynb", "report.html"]):
        told = (tmp_path / "o" / name).read_text("utf-8")
        for word in ("client.Client object", "Secret(***)", "not Bearer ***"):
            assert word in told, name
    kept_nowhere(planted, tmp_path / "o", *pages, RUN_FILE, "vtn.sqlite", "readings.csv")
