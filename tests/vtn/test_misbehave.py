"""Faults to order, proved by what a client on a bare socket sees and by what is stored."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.vtn.conftest import Server, report, resource
from venlab.embedded import EmbeddedVtn
from venlab.faults import Fault, Faults
from venlab.secret import Secret
from venlab.vtn import misbehave
from venlab.vtn.__main__ import main

Json = dict[str, Any]


class Seen(NamedTuple):
    """How an exchange ended, and what came: "answered", "closed", "reset", "nothing"."""

    end: str
    status: int = 0
    headers: str = ""
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Raw:
    """One connection, which may be used again."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def ask(
        self, token: str, method: str, path: str, content: Any = None, *, wait_s: float = 5
    ) -> Seen:
        body = b"" if content is None else json.dumps(content).encode()
        head = f"{method} /flat{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        self.socket.settimeout(wait_s)
        came = b""
        try:
            self.socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            while True:
                more = self.socket.recv(65536)
                came += more
                seen = read(came)
                if seen.end == "answered" or not more:
                    return seen
        except ConnectionError:
            return read(came)._replace(end="reset")
        except TimeoutError:
            return read(came)._replace(end="nothing")


def until(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not what():
        assert time.monotonic() < end


def read(came: bytes) -> Seen:
    head, found, body = came.partition(b"\r\n\r\n")
    if not found:
        return Seen("closed", body=came)
    headers = head.decode().lower()
    length = int(headers.partition("content-length: ")[2].partition("\r\n")[0])
    return Seen("answered" if len(body) >= length else "closed", int(head[9:12]), headers, body)


class Vtn:
    """A VTN in a process, with VENs and resources behind it; asked on bare sockets."""

    def __init__(self, embedded: EmbeddedVtn, folder: Path) -> None:
        self.embedded, self.folder = embedded, folder
        self.operator = embedded.credential.reveal()
        self.reports = 0
        self.vens = {name: self.register(name) for name in ("Aars", "Vejle")}

    @property
    def port(self) -> int:
        return int(self.embedded.url.rpartition(":")[2])

    def ask(self, method: str, path: str, content: Any = None, **more: Any) -> Seen:
        token = more.pop("token", self.operator)
        with Raw(self.port) as raw:
            return raw.ask(token, method, path, content, **more)

    def register(self, name: str) -> Json:
        named = {"ven_name": name, "client_name": f"{name.lower()}_town"}
        ven = self.ask("POST", "/vens", named).json
        rest = {"id": f"{name}/r", "resource_name": "r"}
        assert self.ask("POST", "/resources", resource(name, **rest)).status == 201
        return ven

    def report(self, ven: str = "Aars", **changes: Any) -> Json:
        self.reports += 1
        named = {"resource_id": f"{ven}/r"} | changes
        return report(f"run/{self.reports:04d}", self.vens[ven]["id"], **named)

    def post(self, content: Json | None = None, **more: Any) -> Seen:
        return self.ask("POST", "/reports", content or self.report(), **more)

    def stored(self, content: Json) -> int:
        """How often the store has it."""
        names = [r["report_name"] for r in self.ask("GET", "/reports?run=run&limit=5000").json]
        return names.count(content["report_name"])

    def misbehave(self, text: str, seed: int = 0) -> None:
        """From a loop of its own each time."""
        asyncio.run(self.embedded.misbehave(Faults.parse(text, seed)))

    def behave(self) -> None:
        asyncio.run(self.embedded.misbehave(None))

    def log(self) -> str:
        return (self.folder / "vtn.log").read_text("utf-8")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vtn]:
    folder = tmp_path_factory.mktemp("vtn")
    embedded = EmbeddedVtn(folder)
    asyncio.run(embedded.start())
    yield Vtn(embedded, folder)
    asyncio.run(embedded.stop())


@pytest.fixture
def vtn(shared: Vtn) -> Iterator[Vtn]:
    """One process for all tests of this file: each lifts what it ordered."""
    yield shared
    shared.behave()


# fault, how the exchange ends, the status, how often it is stored
LOOKS = [
    ("503", "answered", 503, 0),
    ("503 stored", "answered", 503, 1),
    ("500", "answered", 500, 0),
    ("502 stored", "answered", 502, 1),
    ("429", "answered", 429, 0),
    ("418 stored", "answered", 418, 1),
    ("reset", "reset", 0, 0),
    ("reset stored", "reset", 0, 1),
    ("silent", "nothing", 0, 0),
    ("silent stored", "nothing", 0, 1),
    ("half", "closed", 201, 1),
    ("html", "answered", 201, 0),
    ("html stored", "answered", 201, 1),
    ("created_200", "answered", 200, 1),
    ("latency=0.01", "answered", 201, 1),
    ("latency=0.01 stored; 503", "answered", 503, 0),
    ("close; created_200; null_times", "answered", 200, 1),
]


@pytest.mark.parametrize(("text", "end", "status", "times"), LOOKS, ids=[look[0] for look in LOOKS])
def test_what_a_client_sees_and_what_is_stored(
    vtn: Vtn, text: str, end: str, status: int, times: int
) -> None:
    """Each kind: how the exchange ends, its status, and whether the report is in the store."""
    content = vtn.report()
    vtn.misbehave(text)
    seen = vtn.post(content, wait_s=0.3 if end == "nothing" else 5)
    vtn.behave()
    assert (seen.end, seen.status) == (end, status)
    assert vtn.stored(content) == times
    assert vtn.post(content).status == (409 if times else 201)


def test_the_parts_of_an_answer_that_is_wrong(vtn: Vtn) -> None:
    """Retry-After where told; half an answer promises more; a page is no JSON, 200 to a GET."""
    vtn.misbehave("429 path=/reports retry_after=7; 503 path=/events")
    assert "\r\nretry-after: 7" in vtn.post().headers
    assert "retry-after" not in vtn.ask("GET", "/events").headers
    vtn.misbehave("half path=/vens; html path=/programs")
    half = vtn.ask("GET", "/vens")
    page = vtn.ask("GET", "/programs")
    vtn.behave()
    whole = vtn.ask("GET", "/vens")
    assert half.body == whole.body[: len(whole.body) // 2] != b""
    assert f"content-length: {len(whole.body)}\r\n" in f"{half.headers}\r\n"
    assert (page.status, "text/html" in page.headers, page.body[:5]) == (200, True, b"<!DOC")


def test_an_answer_that_is_late(vtn: Vtn) -> None:
    """Before it is stored, or after: a client that gives up finds it stored in both cases."""
    for text in ("latency=0.3", "latency=0.3 stored"):
        vtn.misbehave(text)
        began = time.monotonic()
        assert vtn.post().status == 201
        assert time.monotonic() - began >= 0.3
        content = vtn.report()
        assert vtn.post(content, wait_s=0.05).end == "nothing"
        vtn.behave()
        until(lambda content=content: vtn.stored(content) == 1)


def test_without_a_fault_a_connection_stays(vtn: Vtn) -> None:
    """Off, and on for others: requests go on over one connection. `close` ends it."""
    with Raw(vtn.port) as raw:
        assert raw.ask(vtn.operator, "GET", "/vens").status == 200
        vtn.misbehave("503 path=/events; close path=/programs")
        for path, status in (("/vens", 200), ("/events", 503), ("/vens", 200), ("/programs", 200)):
            assert raw.ask(vtn.operator, "GET", path).status == status
        assert raw.ask(vtn.operator, "GET", "/vens").end in ("closed", "reset")


def pattern(vtn: Vtn, seed: int, *, between: bool = False) -> list[int]:
    vtn.misbehave("503 share=0.5 path=/events; 500 share=0.2 path=/vens", seed)
    statuses = []
    with Raw(vtn.port) as raw:
        for _ in range(40):
            if between:
                raw.ask(vtn.operator, "GET", "/vens")
            statuses.append(raw.ask(vtn.operator, "GET", "/events").status)
    return statuses


def test_a_seed_and_a_sequence_give_the_same_faults(vtn: Vtn) -> None:
    """Half of them, the same half again, whatever else is asked between; another for 8."""
    first = pattern(vtn, 7)
    assert first == pattern(vtn, 7) == pattern(vtn, 7, between=True)
    assert first != pattern(vtn, 8)
    assert 8 <= first.count(503) <= 32
    assert first.count(200) == 40 - first.count(503)


def test_a_window_opens_and_closes(vtn: Vtn) -> None:
    """Seconds since the order took hold; a lasting fault and one of requests alike."""
    began = time.monotonic()
    vtn.misbehave("503 from=0.5 for=1 path=/events; repeat_reports from=0.5 for=1")

    def holds() -> tuple[bool, bool]:
        refuses = vtn.ask("GET", "/health").json["refuses_repeated_names"]
        return vtn.ask("GET", "/events").status == 503, not refuses

    assert holds() == (False, False)
    until(lambda: holds() == (True, True))
    assert time.monotonic() - began >= 0.5
    until(lambda: holds() == (False, False))
    assert time.monotonic() - began >= 1.5


@pytest.mark.parametrize("named", ["Vejle", "vejle_town", "id"])
def test_only_one_ven_suffers(vtn: Vtn, named: str) -> None:
    """By name, client name or id: its own requests, and the operator's that speak of it."""
    vens = vtn.vens
    vtn.misbehave(f"503 ven={vens['Vejle']['id'] if named == 'id' else named}")
    for name, struck in (("Vejle", True), ("Aars", False)):
        token, ven_id = vens[name]["auth_token"], vens[name]["id"]
        seen = [
            vtn.ask("GET", "/events", token=token),
            vtn.post(vtn.report(name), token=token),
            vtn.post(vtn.report(name)),
            vtn.ask("GET", f"/vens?ven_name={name}"),
            vtn.ask("POST", f"/vens/{ven_id}/token"),
            vtn.ask("POST", "/resources", resource(name)),
        ]
        vens[name] |= seen[4].json if not struck else {}
        assert [s.status == 503 for s in seen] == [struck] * 6
    assert vtn.ask("GET", "/vens").status == 200
    for odd in ([], {"ven_id": []}, {"ven_id": {}}):
        assert vtn.ask("POST", "/vens", odd).status == 422


def test_only_one_path_and_method_suffer(vtn: Vtn) -> None:
    """A path begins after the base path; a method is one of HTTP's."""
    vtn.misbehave("503 path=/reports method=POST; 500 path=/vens/")
    assert vtn.post().status == 503
    assert vtn.ask("GET", "/reports").status == 200
    assert vtn.ask("GET", "/vens").status == 200
    assert vtn.ask("POST", "/vens/x/token").status == 500


def test_a_token_that_expires_is_renewed(vtn: Vtn) -> None:
    """401 from then on, lifted or not, until the operator, whose own never expires, renews it."""
    ven = vtn.vens["Aars"]
    old = ven["auth_token"]
    assert vtn.ask("GET", "/vens", token=old).status == 200
    vtn.misbehave("expire path=/events")
    assert vtn.ask("GET", "/events").status == 200
    assert vtn.ask("GET", "/vens", token=old).status == 200
    assert vtn.ask("GET", "/events", token=old).status == 401
    vtn.behave()
    assert vtn.post(token=old).status == 401
    renewed = vtn.ask("POST", f"/vens/{ven['id']}/token")
    assert renewed.status == 200
    ven |= renewed.json
    assert vtn.post(token=ven["auth_token"]).status == 201
    assert vtn.ask("GET", "/vens", token=old).status == 401


def test_a_restart_keeps_the_store(vtn: Vtn) -> None:
    """Every connection is reset, who comes is refused, then it listens again with what it had."""
    content = vtn.report()
    assert vtn.post(content).status == 201
    with Raw(vtn.port) as idle, Raw(vtn.port) as waiting:
        assert idle.ask(vtn.operator, "GET", "/vens").status == 200
        vtn.misbehave("silent path=/events; restart from=0.2 down=0.8")
        began = time.monotonic()
        assert waiting.ask(vtn.operator, "GET", "/events").end == "reset"
        assert idle.ask(vtn.operator, "GET", "/vens").end == "reset"
    with pytest.raises(ConnectionRefusedError):
        Raw(vtn.port)
    until(lambda: listens(vtn.port))
    assert time.monotonic() - began >= 0.8
    assert vtn.post(content).status == 409
    assert (
        vtn.post(token=vtn.vens["Vejle"]["auth_token"], content=vtn.report("Vejle")).status == 201
    )


def listens(port: int) -> bool:
    try:
        Raw(port).socket.close()
    except ConnectionError:  # refused, or cut off just while it closes
        return False
    return True


def test_what_a_restart_cuts_off_is_not_stored(vtn: Vtn) -> None:
    """A request that waits in its latency when the process is gone is gone too."""
    content = vtn.report()
    vtn.misbehave("latency=0.8 path=/reports method=POST; restart from=0.4 down=0.05")
    assert vtn.post(content).end == "reset"
    until(lambda: listens(vtn.port))
    vtn.misbehave("latency=0.6 path=/programs")
    assert vtn.ask("GET", "/programs").status == 200  # later than it would have been stored
    assert vtn.stored(content) == 0


def test_a_restart_makes_no_second_application(tmp_path: Path) -> None:
    """FastAPI remembers each application for good: a VTN that often restarts would only grow."""
    with closing(misbehave.Misbehaving(tmp_path / "vtn.sqlite", Secret("operator"))) as machine:
        app, store = machine.app, machine.app.store
        store.add("programs", id="p", program_name="kept")
        for lose, kept in (("", True), ("store", False)):
            machine.forget(Fault("restart", lose=lose))
            assert machine.app is app
            assert (store.find("programs", id="p") is not None) == kept


def test_a_restart_may_lose_the_store(vtn: Vtn) -> None:
    """Nothing is known any more: no report, no VEN, no token, in memory or not."""
    token = vtn.vens["Aars"]["auth_token"]
    content = vtn.report()
    assert vtn.post(content, token=token).status == 201
    vtn.misbehave("repeat_vens; restart lose=store down=0.05")
    until(lambda: listens(vtn.port))
    assert vtn.ask("GET", "/vens", token=token).status == 401
    assert vtn.ask("GET", "/reports").json == vtn.ask("GET", "/vens").json == []
    assert vtn.post(content).status == 404
    vtn.vens = {name: vtn.register(name) for name in ("Aars", "Vejle")}
    named = {"ven_name": "Aars", "client_name": "aars_town"}
    assert vtn.ask("POST", "/vens", named).status == 201  # what else was told still holds
    vtn.behave()
    vtn.misbehave("restart lose=store down=0.05")
    until(lambda: listens(vtn.port))
    vtn.vens = {name: vtn.register(name) for name in ("Aars", "Vejle")}
    assert vtn.post().json["id"] == "report-1"


def test_connections_too_many(vtn: Vtn) -> None:
    """Those that are open go on, two more are served, the third hears nothing until it is reset."""
    with Raw(vtn.port) as before:
        assert before.ask(vtn.operator, "GET", "/vens").status == 200
        vtn.misbehave("exhausted=2")
        with Raw(vtn.port) as first, Raw(vtn.port) as second, Raw(vtn.port) as third:
            for raw in (first, second, before):
                assert raw.ask(vtn.operator, "GET", "/vens").status == 200
            assert third.ask(vtn.operator, "GET", "/vens", wait_s=0.2).end == "nothing"
            vtn.behave()
            assert third.ask(vtn.operator, "GET", "/vens").end == "reset"
            assert first.ask(vtn.operator, "GET", "/vens").status == 200
    assert vtn.ask("GET", "/vens").status == 200


def test_a_restart_cures_exhaustion(vtn: Vtn) -> None:
    """It resets those that were not heard, and counts from nothing; other faults do not."""
    before = vtn.log()
    vtn.misbehave("exhausted=1; restart from=0.5 down=0.05; repeat_vens from=0.7")
    with Raw(vtn.port), Raw(vtn.port) as second:
        assert second.ask(vtn.operator, "GET", "/vens", wait_s=5).end == "reset"
    until(lambda: listens(vtn.port))  # this is the one
    until(lambda: "Fault repeat_vens" in vtn.log().removeprefix(before))
    with Raw(vtn.port) as third:
        assert third.ask(vtn.operator, "GET", "/vens", wait_s=0.1).end == "nothing"


def test_a_full_disk(vtn: Vtn) -> None:
    """SQLite's own error once nothing fits any more: nothing is acknowledged that is not stored."""
    vtn.misbehave("diskfull")
    sent = [vtn.report(client_name="x" * 256) for _ in range(60)]
    seen = [vtn.post(content) for content in sent]
    assert seen[-1].status == 503
    assert seen[-1].json == {"detail": "the VTN's store fails: database or disk is full"}
    vtn.misbehave("diskfull; restart down=0.05")
    until(lambda: listens(vtn.port))
    assert vtn.post(sent[-1]).status == 503
    vtn.behave()
    assert [vtn.stored(content) for content in sent] == [s.status == 201 for s in seen]
    assert vtn.post(sent[-1]).status == 201


def test_names_of_reports_that_come_again(vtn: Vtn) -> None:
    """201 each with a number of its own, all there to be read; then refused as before."""
    sent = [vtn.report() for _ in range(3)]
    vtn.misbehave("repeat_reports")
    assert vtn.ask("GET", "/health").json["refuses_repeated_names"] is False
    seen = [vtn.post(content) for content in (*sent, *sent, sent[0])]
    assert {s.status for s in seen} == {201}
    assert len({s.json["id"] for s in seen}) == 7
    vtn.behave()
    assert vtn.ask("GET", "/health").json["refuses_repeated_names"] is True
    refused = vtn.post(sent[0])
    assert (refused.status, refused.json["id"]) == (409, seen[0].json["id"])
    assert [vtn.stored(content) for content in sent] == [3, 2, 2]
    before = f"run/{vtn.reports - 3:04d}"
    page = vtn.ask("GET", f"/reports?run=run&after={before}&limit=1").json
    assert [r["id"] for r in page] == [seen[n].json["id"] for n in (0, 3, 6)]  # not torn apart
    page = vtn.ask("GET", f"/reports?run=run&after={before}&skip=3&limit=3").json
    assert [r["id"] for r in page] == [seen[n].json["id"] for n in (1, 4, 2, 5)]


def test_names_of_vens_that_come_again(vtn: Vtn) -> None:
    """201 with another id and token, and the name is the last one's; then refused as before."""
    named = {"ven_name": "Ribe", "client_name": "ribe"}
    first = vtn.ask("POST", "/vens", named).json
    vtn.misbehave("repeat_vens")
    again = vtn.ask("POST", "/vens", named)
    assert (again.status, again.json["id"] != first["id"]) == (201, True)
    room = resource("Ribe", id="Ribe/r")
    assert vtn.ask("POST", "/resources", room, token=first["auth_token"]).status == 403
    assert vtn.ask("POST", "/resources", room, token=again.json["auth_token"]).status == 201
    assert len(vtn.ask("GET", "/vens?ven_name=Ribe").json) == 2
    vtn.behave()
    assert vtn.ask("POST", "/vens", named).status == 409


def test_times_and_statuses_of_other_vtns(vtn: Vtn) -> None:
    """Times null or without a zone, 500 for an unknown id; the report itself is as sent."""
    content = vtn.report(client_name='a "2023-01-09T16:00:00Z"')
    plain = vtn.post(content).json
    path = f"/reports?run=run&after=run/{vtn.reports - 1:04d}&limit=1"
    vtn.misbehave("null_times")
    shown = vtn.ask("GET", path).json[0]
    assert shown == plain | {"created_date_time": None, "modification_date_time": None}
    vtn.misbehave("naive_times")
    shown = vtn.ask("GET", path).json[0]
    created = plain["created_date_time"].removesuffix("Z")
    times = {"created_date_time": created, "modification_date_time": created}
    assert shown == plain | times | {"start": "2023-01-09T16:00:00"}
    vtn.misbehave("unknown_500")
    assert vtn.ask("GET", "/events/nobody").status == 500
    assert vtn.ask("GET", "/vens").status == 200


def test_a_preset_is_what_it_stands_for(vtn: Vtn) -> None:
    """The reference implementation's habits at once: one request a connection, 200 of them."""
    vtn.misbehave("vtn-ri")
    content = vtn.report()
    assert vtn.post(content).json["created_date_time"] is None
    assert vtn.post(content).status == 201
    seen = [vtn.ask("GET", "/health") for _ in range(198)]
    assert {s.status for s in seen} == {200}
    assert "connection: close" in seen[0].headers
    assert vtn.ask("GET", "/health", wait_s=0.1).end == "nothing"


def test_the_log_tells_what_was_told_and_a_little_of_what_struck(vtn: Vtn) -> None:
    """Order and end at WARNING with seed and counts; strikes once a second and kind, no more."""
    before = vtn.log()
    vtn.misbehave("503 path=/events; latency=0.001 path=/vens", seed=11)
    with Raw(vtn.port) as raw:
        for _ in range(100):
            raw.ask(vtn.operator, "GET", "/events")
    vtn.ask("GET", "/vens")
    vtn.behave()
    log = vtn.log().removeprefix(before)
    told = "WARNING Told to misbehave: 503 path=/events; latency=0.001 path=/vens (seed 11)"
    assert log.count(told) == 1
    assert log.count("WARNING Faults are lifted; struck: {'503': 100, 'latency': 1}") == 1
    assert 1 <= log.count("INFO Fault 503 struck") <= 10
    assert log.count("INFO Fault latency struck") == 1
    assert vtn.operator not in vtn.log()
    vtn.behave()
    assert vtn.log().count("lifted") == before.count("lifted") + 1


async def latencies(machine: misbehave.Misbehaving, count: int) -> None:
    scope = {"type": "http", "method": "GET", "path": "/health", "headers": [], "state": {}}
    scope["state"]["transport"] = None
    scope["query_string"] = b""

    async def receive() -> Json:
        return {"type": "http.request", "body": b""}

    async def send(_: Json) -> None:
        pass

    for _ in range(count):
        await machine(scope, receive, send)


async def test_latency_with_a_tail_is_lognormal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half are shorter than the value, and the logarithm's deviation is sigma."""
    machine = misbehave.Misbehaving(tmp_path / "s", Secret("op"))
    await machine.aim(Faults.parse("latency=0.2 sigma=1", seed=3))
    waited: list[float] = []

    async def sleep(length: float) -> None:
        waited.append(length)

    monkeypatch.setattr(misbehave.asyncio, "sleep", sleep)
    await latencies(machine, 1000)
    logs = [math.log(length / 0.2) for length in waited]
    assert len(logs) == 1000
    assert abs(statistics.median(logs)) < 0.1
    assert abs(statistics.stdev(logs) - 1) < 0.1
    machine.close()


def test_an_order_that_cannot_be_read_changes_nothing(serve: Callable[..., Server]) -> None:
    """A line that is none gets an error, the one that holds goes on, and so does the VTN."""
    server = serve("op", "--faults", "503 path=/vens", "--fault-seed", "5")
    pipe, answers = server.process.stdin, server.process.stdout

    def status() -> int:
        with Raw(server.ready["port"]) as raw:
            return raw.ask("op", "GET", "/vens").status

    for line in (b"nonsense", b'{"faults": "503 shar=1"}', b'{"faults": 1}', b"{}"):
        pipe.write(line + b"\n")
    pipe.flush()
    said = [json.loads(answers.readline()) for _ in range(4)]
    assert [list(answer) for answer in said] == [["error"]] * 4
    assert "did you mean share?" in said[1]["error"]
    assert status() == 503
    pipe.write(b'{"faults": "half path=/events; 500", "seed": 3}\n')
    pipe.flush()
    assert json.loads(answers.readline()) == {"holds": "half path=/events; 500"}
    assert status() == 500
    server.process.kill()
    assert "Told to misbehave: 503 path=/vens (seed 5)" in server.ended()[1]


def test_faults_that_cannot_be_read_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, what is wrong and what is allowed."""
    assert main(["--faults", "latncy=1"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("venlab vtn: there is no fault 'latncy' (did you mean latency?)")
    assert main(["--fault-seed", "-1"]) == 2


HANGING = "silent path=/vens; latency=60 path=/events; half path=/programs; exhausted=3"


@pytest.mark.parametrize("text", [HANGING, "restart down=60"])
def test_it_ends_well_while_it_misbehaves(
    serve: Callable[..., Server], tmp_path: Path, text: str
) -> None:
    """Told to end with requests hanging, or not listening: code 0, no traceback, store closed."""
    server = serve("op", "--faults", text)
    port = server.ready["port"]
    with ExitStack() as stack:
        if text == HANGING:
            raws = [stack.enter_context(Raw(port)) for _ in range(4)]
            for raw, path in zip(raws, ("/vens", "/events", "/programs", "/vens"), strict=True):
                raw.ask("op", "GET", path, wait_s=0.05)
        else:
            until(lambda: not listens(port))
        server.process.stdin.close()
        server.process.stdin = None
        code, log = server.ended()
    assert code == 0
    assert "Traceback" not in log
    assert "without" not in log  # what uvicorn says of an application that forgot to answer
    assert [p.name for p in tmp_path.iterdir()] == ["vtn.sqlite"]
