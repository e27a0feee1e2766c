"""Store and forward against a server that answers as told."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.scripted import Reply, Request, Scripted, scripted
from tests.test_outbox import report, row
from venlab.client import Client
from venlab.delivery import Delivery
from venlab.fasttransport import FastTransport
from venlab.model import Ven
from venlab.outbox import Counts, Outbox
from venlab.transport import HttpxTransport
from venlab.wire import dialect

VENS = [Ven("v0", "Aabenraa", "aabenraa")]
CREATED = (201, b'{"id": "r"}')


Carrier: type[HttpxTransport] | type[FastTransport] = HttpxTransport


@pytest.fixture(params=[HttpxTransport, FastTransport], ids=lambda t: t.__name__, autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule of this file holds for both transports."""
    monkeypatch.setattr("tests.test_delivery.Carrier", request.param)


class Bench:
    """An outbox, a delivery and the server they talk to."""

    def __init__(self, outbox: Outbox, delivery: Delivery, vtn: Scripted) -> None:
        self.outbox, self.delivery, self.vtn = outbox, delivery, vtn

    async def put(self, cycle: int, *names: str) -> None:
        await self.outbox.append(row(cycle), [report(n, f'{{"n":"{n}"}}'.encode()) for n in names])

    async def send(self) -> Counts:
        self.delivery.kick()
        await self.delivery.settled()
        return await self.outbox.counts()

    @property
    def asked(self) -> list[str]:
        return [str(r.json["n"]) for r in self.vtn.requests]


@asynccontextmanager
async def bench(
    folder: Path, reply: Callable[[Request], Reply], tries: int = 2, in_flight: int = 4
) -> AsyncIterator[Bench]:
    async with scripted(reply) as vtn:
        outbox = Outbox(folder / "run.sqlite")
        client = Client(Carrier(vtn.url, in_flight=in_flight, timeout_s=2), dialect("flat"))
        delivery = Delivery(outbox, client, VENS, tries=tries, in_flight=in_flight)
        yield Bench(outbox, delivery, vtn)
        await delivery.stop()
        await client.close()
        outbox.close()


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of what is sent need not wait for when."""
    monkeypatch.setattr("venlab.delivery.BACKOFF_S", 0.0)


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


@pytest.mark.parametrize(
    "reply", [None, (500, b""), (503, b""), (507, b""), (520, b""), (429, b""), (408, b"")]
)
async def test_a_vtn_that_is_away_costs_no_report(tmp_path: Path, reply: Reply) -> None:
    """No answer, 5xx, 429 and 408 leave everything waiting, in order, after a few tries."""
    away = True
    async with bench(tmp_path, lambda _: reply if away else CREATED, in_flight=1) as b:
        await b.put(0, "a", "b")
        await b.put(1, "c")
        assert await b.send() == Counts(waiting=3)
        assert set(b.asked) == {"a"}
        away = False
        b.vtn.requests.clear()
        assert await b.send() == Counts(acknowledged=3)
        assert b.asked == ["a", "b", "c"]


async def test_an_absent_vtn_is_probed_with_one_report(tmp_path: Path) -> None:
    """While a VTN is away each kick costs it one report's tries, not the whole backlog."""
    async with bench(tmp_path, lambda _: None, tries=1, in_flight=4) as b:
        await b.put(0, *(f"r{n}" for n in range(50)))
        await b.send()
        b.vtn.requests.clear()
        await b.send()
        assert len(set(b.asked)) == 1


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


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_stored_but_a_gateway_lost_the_answer(tmp_path: Path, status: int) -> None:
    """A 5xx leaves open whether the report was stored, so a 409 after it means that it was."""
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
        await b.put(0, *(f"r{n}" for n in range(10)))
        await b.send()
        await b.send()
        away = False
        with caplog.at_level("INFO", "venlab"):
            await b.send()
    assert "Sent 10/10 reports for VEN Aabenraa" in caplog.text


async def test_an_absent_vtn_is_absent_until_it_answers(tmp_path: Path) -> None:
    """To ask it is not to have reached it."""
    seen: list[bool] = []

    def reply(_: Request) -> Reply:
        seen.append(b.delivery.reachable)
        return None if len(seen) < 5 else CREATED

    async with bench(tmp_path, reply, tries=2, in_flight=1) as b:
        await b.put(0, "a", "b")
        for _ in range(3):
            await b.send()
        assert seen == [True, True, False, False, False, True]
        assert b.delivery.reachable


async def test_the_lost_answer_is_remembered_across_cycles(tmp_path: Path) -> None:
    """The unanswered attempt may have been long ago, before other cycles, even before a kill."""
    answers = iter([None, None, (409, b"{}"), CREATED])
    async with bench(tmp_path, lambda _: next(answers)) as b:
        await b.put(0, "a")
        assert await b.send() == Counts(waiting=1)
        await b.put(1, "b")
        assert await b.send() == Counts(acknowledged=2)


async def test_a_refused_credential_rejects_nothing(tmp_path: Path) -> None:
    """401 is about who asks, not about the report: it waits."""
    async with bench(tmp_path, lambda _: (401, b'{"detail": "who are you"}')) as b:
        await b.put(0, "a", "b")
        assert await b.send() == Counts(waiting=2)


async def test_at_most_so_many_in_flight(tmp_path: Path) -> None:
    """As many connections as requests are allowed at the same time, and no more."""
    async with bench(tmp_path, lambda _: CREATED, in_flight=3) as b:
        await b.put(0, *(f"r{n}" for n in range(100)))
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
        await b.put(0, *(f"r{n}" for n in range(100)))
        b.delivery.kick()
        await reached.wait()
        await b.delivery.stop()
        counts = await b.outbox.counts()
        assert counts.acknowledged + counts.waiting == 100
        assert 0 < counts.waiting <= 80 + 4
        assert await b.send() == Counts(acknowledged=100)
