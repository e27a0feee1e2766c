"""Store and forward against a server that answers as told."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.scripted import Reply, Request, Scripted, scripted
from tests.test_outbox import report, row
from venlab.client import Client
from venlab.clock import Clock
from venlab.delivery import Delivery
from venlab.errors import NotAVtn
from venlab.fasttransport import FastTransport
from venlab.model import Ven
from venlab.outbox import Outbox
from venlab.runfile import Counts, Frozen, ReadingRow
from venlab.transport import Answer, HttpxTransport
from venlab.wire import Draft
from venlab.wire.flat import Flat

CREATED = (201, b'{"id": "r"}')
REPORT = (
    b'{"report_name":"NAME","ven_id":"old","resource_id":"r","client_name":"aabenraa",'
    b'"report_type":"usage","reading_type":"power","start":"2023-11-30T16:00:00Z",'
    b'"duration":"PT0S","intervals":[],"resources":[],"load_component":"load_0"}'
)


Carrier: type[HttpxTransport] | type[FastTransport] = HttpxTransport


@pytest.fixture(params=[HttpxTransport, FastTransport], ids=lambda t: t.__name__, autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule of this file holds for both transports."""
    monkeypatch.setattr("tests.test_delivery.Carrier", request.param)


class Bench:
    """An outbox, a delivery and the server they talk to."""

    def __init__(
        self,
        outbox: Outbox,
        delivery: Delivery,
        vtn: Scripted,
        vens: list[Ven],
        transport: HttpxTransport | FastTransport,
    ) -> None:
        self.outbox, self.delivery, self.vtn, self.vens = outbox, delivery, vtn, vens
        self.transport = transport

    async def put(self, cycle: int, *names: str) -> None:
        """Measure a cycle; a report's lane is the letter that its name begins with."""
        reports = [report(n, f'{{"n":"{n}"}}'.encode(), ord(n[0])) for n in names]
        await self.outbox.append(row(cycle), reports)

    async def send(self) -> Counts:
        """Send until nothing can be sent now, or the VTN is found to be away."""
        self.delivery.kick()
        await self.delivery.settled()
        return await self.outbox.counts()

    async def drained(self) -> Counts:
        """Send until nothing waits; the pump ends then."""
        self.delivery.kick()
        assert self.delivery._pump
        async with asyncio.timeout(20):
            await self.delivery._pump
        return await self.outbox.counts()

    @property
    def asked(self) -> list[str]:
        return [str(r.json["n"]) for r in self.vtn.requests]


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110 - the server counts, in this loop
            await asyncio.sleep(0.001)


@asynccontextmanager
async def bench(
    folder: Path,
    reply: Callable[[Request], Reply],
    tries: int = 2,
    in_flight: int = 4,
    *,
    look: bool = False,
    vens: int = 1,
    speaks: Flat | None = None,
    register_again: Callable[[int], Awaitable[None]] | None = None,
) -> AsyncIterator[Bench]:
    async with scripted(reply) as vtn:
        outbox = Outbox(folder / "run.sqlite")
        transport = Carrier(vtn.url, in_flight=in_flight, timeout_s=2)
        client = Client(transport, speaks or Flat())
        fleet = [Ven(f"v{v}", "Aabenraa", "aabenraa") for v in range(vens)]
        wall = Clock(200.0)  # tests of what is sent need not wait for when
        options = {"tries": tries, "in_flight": in_flight, "look": look, "clock": wall}
        delivery = Delivery(outbox, client, fleet, **options, register_again=register_again)
        yield Bench(outbox, delivery, vtn, fleet, transport)
        await delivery.stop()
        await client.close()
        outbox.close()


async def test_what_waits_is_sent_once_each(tmp_path: Path) -> None:
    """Three reports, three requests, three acknowledged."""
    async with bench(tmp_path, lambda _: CREATED) as b:
        await b.put(0, "a", "b", "c")
        assert await b.send() == Counts(acknowledged=3)
        assert Counter(b.asked) == Counter("abc")


async def test_a_retry_sends_the_same_bytes(tmp_path: Path) -> None:
    """A 503 is answered by the same request again."""
    answers = iter([(503, b"busy"), CREATED])
    async with bench(tmp_path, lambda _: next(answers)) as b:
        await b.put(0, "a")
        assert await b.send() == Counts(acknowledged=1)
        first, second = b.vtn.requests
        assert first.body == second.body


AWAY = [None, (500, b""), (503, b""), (507, b""), (520, b""), (429, b""), (408, b"")]


@pytest.mark.parametrize("reply", [*AWAY, (425, b""), (200, b"<html>Log in to the network")])
async def test_a_vtn_that_is_away_costs_no_report(tmp_path: Path, reply: Reply) -> None:
    """No answer, 5xx, 429, 425, 408 and a portal's page leave everything waiting; when the VTN is
    back all goes, each load's oldest first."""
    away = True
    async with bench(tmp_path, lambda _: reply if away else CREATED, in_flight=2) as b:
        await b.put(0, "a0", "b0", "c0")
        await b.put(1, "a1", "b1", "c1")
        assert await b.send() == Counts(waiting=6)
        assert not b.delivery.reachable
        assert not {"a1", "b1", "c1"} & set(b.asked)
        away = False
        b.vtn.requests.clear()
        assert await b.drained() == Counts(acknowledged=6)
        assert all(b.asked.index(f"{load}0") < b.asked.index(f"{load}1") for load in "abc")


async def test_an_absent_vtn_is_not_hammered(tmp_path: Path) -> None:
    """Five failures in a row, from however many reports, and it is asked by one report at a time:
    after 0.2 s at most, then twice as long each time, to 5 s."""
    asked: list[float] = []

    def reply(_: Request) -> Reply:
        asked.append(b.delivery._clock.schedule_s())
        return None

    async with bench(tmp_path, reply, tries=3, in_flight=4) as b:
        await b.put(0, *(f"{chr(97 + n)}0" for n in range(26)))
        assert await b.send() == Counts(waiting=26)
        assert 5 <= len(asked) < 5 + 4  # those that were under way
        first_probe = len(asked)
        while len(asked) < first_probe + 7:  # noqa: ASYNC110 - the server counts, in this loop
            await asyncio.sleep(0.001)
        waits = [round(b - a, 2) for a, b in pairwise(asked[first_probe:])]
        assert all(wait >= min(0.1 * 2**n, 2.5) for n, wait in enumerate(waits, 1)), waits
        assert max(waits) < 5.5 + 2.0, waits  # wall time goes two hundred times as fast here


async def test_one_report_that_always_fails_keeps_back_its_own_load_only(tmp_path: Path) -> None:
    """A VTN that chokes on one body takes all others, and that load's next ones wait behind it."""

    def reply(request: Request) -> Reply:
        return (500, b"choked") if request.json["n"] == "b0" else CREATED

    async with bench(tmp_path, reply) as b:
        await b.put(0, "a0", "b0", "c0")
        await b.put(1, "a1", "b1", "c1")
        assert await b.send() == Counts(acknowledged=4, waiting=2)
        assert "b1" not in b.asked
        assert b.delivery.reachable


async def test_a_probe_that_fails_by_its_own_fault_hides_no_vtn(tmp_path: Path) -> None:
    """The next look is taken with another load's report."""
    away = True

    def reply(request: Request) -> Reply:
        return CREATED if not away and request.json["n"] != "a0" else (500, b"")

    async with bench(tmp_path, reply) as b:
        await b.put(0, "a0", "b0", "c0")
        await b.send()
        away = False
        async with asyncio.timeout(10):
            while (await b.outbox.counts()).acknowledged < 2:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.001)


async def test_one_report_that_hangs_keeps_nobody_else_from_sending(tmp_path: Path) -> None:
    """While one waits for its answer, the next cycle's go with all the others' connections."""
    going: list[int] = []
    async with bench(tmp_path, lambda _: CREATED, in_flight=4) as b:
        send, hung, now = b.transport.send, asyncio.Event(), Counter[str]()

        async def slow(*request: Any) -> Answer:
            if b"x0" in request[2]:
                await hung.wait()
            now["going"] += 1
            going.append(now["going"])
            await asyncio.sleep(0.01)
            now["going"] -= 1
            return await send(*request)

        b.transport.send = slow  # type: ignore[method-assign]
        await b.put(0, "x0", "a0", "b0")
        b.delivery.kick()
        await until(lambda: len(b.asked) == 2)
        going.clear()
        await b.put(1, "x1", *(f"{chr(100 + n)}1" for n in range(12)))
        b.delivery.kick()
        await until(lambda: len(b.asked) == 14)
        assert "x1" not in b.asked
        assert max(going) == 3
        hung.set()
        assert await b.drained() == Counts(acknowledged=16)
        assert b.asked[-2:] == ["x0", "x1"]


async def test_retry_after_is_obeyed_by_everybody(tmp_path: Path) -> None:
    """A VTN that asks for 7 s hears from nobody for 7 s."""
    asked: list[float] = []

    def reply(_: Request) -> Reply:
        asked.append(b.delivery._clock.schedule_s())
        return (429, b"", "retry-after: 7") if len(asked) == 1 else CREATED

    async with bench(tmp_path, reply, in_flight=1) as b:
        await b.put(0, "a0", "b0", "c0")
        assert await b.send() == Counts(acknowledged=3)
        assert asked[1] - asked[0] >= 7


async def test_vens_are_spread_over_the_interval(tmp_path: Path) -> None:
    """Four VENs over 8 s: each begins 2 s after the one before it; a later kick frees them."""
    asked: list[tuple[float, str]] = []

    def reply(request: Request) -> Reply:
        asked.append((b.delivery._clock.schedule_s() - begin_s, str(request.json["n"])))
        return CREATED

    async with bench(tmp_path, reply, vens=4) as b:
        await b.outbox.append(
            row(0),
            [report(f"v{v}", f'{{"n":"v{v}"}}'.encode())._replace(ven=v) for v in range(4)],
        )
        begin_s = b.delivery._clock.schedule_s()
        b.delivery.kick(0, spread_s=8.0)
        await b.delivery.settled()
        assert [name for _, name in asked] == ["v0", "v1", "v2", "v3"]
        assert all(at_s >= 2.0 * v for v, (at_s, _) in enumerate(asked)), asked


async def test_look_before_resend(tmp_path: Path) -> None:
    """Where a name may be taken twice, what got no answer is looked for before it goes again."""
    stored: list[str] = []

    def reply(request: Request) -> Reply:
        if request.method == "GET":
            return 200, f'[{{"report_name": "{stored[0]}"}}]'.encode()
        stored.append(str(request.json["n"]))
        return None

    async with bench(tmp_path, reply, look=True) as b:
        await b.put(0, "a")
        assert await b.send() == Counts(acknowledged=1)
        assert stored == ["a"]


async def test_a_look_that_finds_nothing_sends_again(tmp_path: Path) -> None:
    """Also where the VTN lists other reports instead, or cannot be asked at all."""
    answers = iter([None, (200, b"[]"), None, (404, b""), CREATED])
    async with bench(tmp_path, lambda _: next(answers), look=True, tries=3) as b:
        await b.put(0, "a")
        assert await b.send() == Counts(acknowledged=1)
        assert [r.method for r in b.vtn.requests] == ["POST", "GET", "POST", "GET", "POST"]


async def test_a_ven_that_the_vtn_lost_is_registered_again_once(tmp_path: Path) -> None:
    """404: one registration for all of its reports, which then name the new id; 404 again is no."""
    times: list[int] = []

    async def register_again(v: int) -> None:
        times.append(v)
        b.vens[v] = Ven("new", "Aabenraa", "aabenraa")

    def reply(request: Request) -> Reply:
        known = request.json["ven_id"] == "new" and request.json["report_name"] != "lost"
        return CREATED if known else (404, b'{"detail": "there is no VEN"}')

    async with bench(tmp_path, reply, register_again=register_again) as b:
        bodies = [(n, REPORT.replace(b"NAME", n.encode())) for n in ("a", "b", "c", "lost")]
        await b.outbox.append(row(0), [report(n, body) for n, body in bodies])
        assert await b.send() == Counts(acknowledged=3, rejected=1)
        assert times == [0]


async def test_no_vtn_at_all_ends_the_sending(tmp_path: Path) -> None:
    """405 on the reports' path: it is the wrong address, and nothing is lost by saying so."""
    async with bench(tmp_path, lambda _: (405, b"")) as b:
        await b.put(0, "a", "b")
        with pytest.raises(NotAVtn, match="takes no reports"):
            await b.send()
        assert await b.outbox.counts() == Counts(waiting=2)


async def test_poison_stops_nobody_else(tmp_path: Path) -> None:
    """One 422 is rejected with the VTN's words; the others are acknowledged."""
    words = b'{"detail":[{"type":"x","loc":["body","start"],"msg":"no such day","input":1}]}'

    async with bench(tmp_path, lambda r: (422, words) if r.json["n"] == "b" else CREATED) as b:
        await b.put(0, "a", "b", "c")
        assert await b.send() == Counts(acknowledged=2, rejected=1)
        with closing(sqlite3.connect(b.outbox.path)) as c:
            rejected = c.execute(
                "SELECT name, status, words FROM deliveries WHERE state = 'rejected'"
            ).fetchall()
        assert rejected == [("b", 422, "body.start: no such day")]


class Batched(Flat):
    """A dialect whose reports carry many readings: ``{"n": name, "of": [load, ...]}``."""

    def halves(self, name: str, body: bytes, readings: int, of: object = ()) -> list[Draft]:
        """Cut the list of loads; a part's positions are those in its own report."""
        of, half = json.loads(body)["of"], readings // 2
        cuts = (range(half), range(half, readings)) if half else ()
        return [
            Draft(f"{name}/{n}", batch(f"{name}/{n}", [of[p] for p in cut]), cut)
            for n, cut in enumerate(cuts, 1)
        ]


def batch(name: str, of: list[int]) -> bytes:
    return json.dumps({"n": name, "of": of}).encode()


async def put_batch(b: Bench) -> None:
    """Measure eight loads, the n-th with n kW for 450 s, in one report."""
    watts = 1000 * np.arange(8, dtype="<i4")
    watt_s = int(watts.sum()) * 450
    loads = np.arange(8, dtype="<i4").tobytes()
    frozen = Frozen("x", 0, 1, 8, watt_s, loads, batch("x", list(range(8))))
    await b.outbox.append(ReadingRow(0, "t", 450, 8, watt_s, watts.tobytes()), [frozen])


def kept(b: Bench) -> list[tuple[str, str, int, int, list[int]]]:
    with closing(sqlite3.connect(b.outbox.path)) as c:
        rows = c.execute("SELECT name, state, readings, watt_s, loads FROM deliveries ORDER BY id")
        return [(*rest, np.frombuffer(loads, "<i4").tolist()) for *rest, loads in rows]


async def test_poison_in_a_batch_ends_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One wrong reading of eight: 8 → 4 + 4 → 2 + 2 → 1 + 1, seven requests; it is rejected with
    the VTN's words, and the seven others are acknowledged with their own energy."""

    def reply(request: Request) -> Reply:
        return (422, b'{"detail": "no"}') if b"5" in request.body else CREATED

    async with bench(tmp_path, reply, speaks=Batched()) as b:
        await put_batch(b)
        with caplog.at_level("INFO", "venlab"):
            assert await b.drained() == Counts(acknowledged=7, rejected=1)
        assert len(b.asked) == 7
        assert kept(b) == [
            ("x/1", "acknowledged", 4, 6 * 450_000, [0, 1, 2, 3]),
            ("x/2/2", "acknowledged", 2, 13 * 450_000, [6, 7]),
            ("x/2/1/1", "acknowledged", 1, 4 * 450_000, [4]),
            ("x/2/1/2", "rejected", 1, 5 * 450_000, [5]),
        ]
        assert (b.delivery.acknowledged.tolist(), b.delivery.rejected.tolist()) == ([7], [1])
    assert "Sent 3/4 reports for VEN Aabenraa" in caplog.text


@pytest.mark.parametrize("refusal", [422, 400, 413])
@pytest.mark.parametrize("answers_looks", [True, False])
async def test_a_refused_repeat_of_what_is_there_is_not_cut(
    tmp_path: Path, refusal: int, answers_looks: bool
) -> None:
    """Stored, the answer lost, the repeat refused: it is looked for, as often as that takes; its
    halves have names of their own and would be stored once more."""
    posts = iter([None, (refusal, b"{}"), (refusal, b"{}")])
    looks = iter([] if answers_looks else [(503, b"")])

    def reply(request: Request) -> Reply:
        found = (200, b'[{"report_name": "x"}]')
        return next(looks, found) if request.method == "GET" else next(posts)

    async with bench(tmp_path, reply, speaks=Batched()) as b:
        await put_batch(b)
        assert await b.drained() == Counts(acknowledged=8)
        assert [name for name, *_ in kept(b)] == ["x"]


async def test_a_refused_repeat_of_what_is_not_there_is_cut(tmp_path: Path) -> None:
    """An answer was lost, but with it the report: it goes in halves as any other."""
    posts = iter([None, (413, b"{}")])

    def reply(request: Request) -> Reply:
        return (200, b"[]") if request.method == "GET" else next(posts, CREATED)

    async with bench(tmp_path, reply, speaks=Batched()) as b:
        await put_batch(b)
        assert await b.drained() == Counts(acknowledged=8)
        assert [name for name, *_ in kept(b)] == ["x/1", "x/2"]


async def test_what_is_too_large_goes_in_parts(tmp_path: Path) -> None:
    """A VTN that takes two readings at a time gets four reports, and nothing is rejected."""

    def reply(request: Request) -> Reply:
        return (413, b"") if len(request.json["of"]) > 2 else CREATED  # type: ignore[arg-type]

    async with bench(tmp_path, reply, speaks=Batched()) as b:
        await put_batch(b)
        assert await b.drained() == Counts(acknowledged=8)
        assert [(readings, loads) for _, _, readings, _, loads in kept(b)] == [
            (2, [n, n + 1]) for n in (0, 2, 4, 6)
        ]


async def test_a_single_reading_that_is_too_large(tmp_path: Path) -> None:
    """It cannot be halved: it is rejected and not asked again."""
    async with bench(tmp_path, lambda _: (413, b""), speaks=Batched()) as b:
        await put_batch(b)
        assert await b.drained() == Counts(rejected=8)
        assert len(b.asked) == 15


async def test_a_taken_name_that_is_not_ours_is_rejected(tmp_path: Path) -> None:
    """409 without an unanswered attempt of this run means somebody else has the name."""
    async with bench(tmp_path, lambda _: (409, b'{"detail": "taken", "id": "r"}')) as b:
        await b.put(0, "a")
        assert await b.send() == Counts(rejected=1)


async def test_stored_but_the_answer_was_lost(tmp_path: Path) -> None:
    """409 after an attempt that got no answer: the VTN has it, so it is acknowledged."""
    answers = iter([None, (409, b'{"detail": "taken", "id": "r"}')])
    async with bench(tmp_path, lambda _: next(answers)) as b:
        await b.put(0, "a")
        assert await b.send() == Counts(acknowledged=1)


@pytest.mark.parametrize("status", [408, 500, 502, 504])
async def test_stored_but_a_gateway_lost_the_answer(tmp_path: Path, status: int) -> None:
    """A 408 or 5xx leaves open whether it was stored, so a 409 after it means that it was."""
    answers = iter([(status, b"bad gateway"), (409, b'{"detail": "taken", "id": "r"}')])
    async with bench(tmp_path, lambda _: next(answers)) as b:
        await b.put(0, "a")
        assert await b.send() == Counts(acknowledged=1)


async def test_the_log_counts_a_report_once_however_often_it_was_tried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten reports of a cycle that met an outage in between are 10 of 10."""
    away = True
    async with bench(tmp_path, lambda _: None if away else CREATED) as b:
        await b.put(0, *"abcdefghij")
        await b.send()
        with caplog.at_level("INFO", "venlab"):
            away = False
            await b.drained()
    assert "Sent 10/10 reports for VEN Aabenraa" in caplog.text


async def test_an_absent_vtn_is_absent_until_it_answers(tmp_path: Path) -> None:
    """To ask it is not to have reached it."""
    seen: list[bool] = []

    def reply(_: Request) -> Reply:
        seen.append(b.delivery.reachable)
        return None if len(seen) < 8 else CREATED

    async with bench(tmp_path, reply, tries=2, in_flight=1) as b:
        await b.put(0, *"abcdefgh")
        await b.send()
        assert await b.drained() == Counts(acknowledged=8)
        assert seen[:8] == [True] * 5 + [False] * 3
        assert b.delivery.reachable


async def test_the_lost_answer_is_remembered_across_cycles(tmp_path: Path) -> None:
    """The unanswered attempt may have been long ago, before other cycles, even before a kill."""

    def reply(request: Request) -> Reply:
        if request.json["n"] == "b":
            return CREATED
        return (409, b"{}") if "b" in b.asked else None

    async with bench(tmp_path, reply) as b:
        await b.put(0, "a")
        await b.send()
        await b.put(1, "b")
        assert await b.drained() == Counts(acknowledged=2)


async def test_a_refused_credential_rejects_nothing(tmp_path: Path) -> None:
    """401 is about who asks, not about the report: it waits."""
    async with bench(tmp_path, lambda _: (401, b'{"detail": "who are you"}')) as b:
        await b.put(0, "a", "b")
        assert await b.send() == Counts(waiting=2)


async def test_at_most_so_many_in_flight(tmp_path: Path) -> None:
    """As many connections as requests are allowed at the same time, and no more."""
    async with bench(tmp_path, lambda _: CREATED, in_flight=3) as b:
        await b.put(0, *(f"{chr(1000 + n)}" for n in range(100)))
        assert await b.send() == Counts(acknowledged=100)
        assert b.vtn.connections <= 3


async def test_stopped_in_the_middle_nothing_is_lost(tmp_path: Path) -> None:
    """What was out when the run was interrupted waits again and counts as an attempt."""
    reached = asyncio.Event()

    def reply(request: Request) -> Reply:
        if len(b.vtn.requests) == 20:
            reached.set()
        return CREATED

    async with bench(tmp_path, reply) as b:
        await b.put(0, *(f"{chr(1000 + n)}" for n in range(100)))
        b.delivery.kick()
        await reached.wait()
        await b.delivery.stop()
        counts = await b.outbox.counts()
        assert counts.acknowledged + counts.waiting == 100
        assert 0 < counts.waiting <= 80 + 4
        assert await b.send() == Counts(acknowledged=100)
