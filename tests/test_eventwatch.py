"""What the fleet sees of events, and what its VENs answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest

from tests.scripted import Reply, Request, scripted
from tests.test_lab import quick
from venlab.auth import ClientCredentials
from venlab.client import Client
from venlab.durations import FOR_EVER, Duration
from venlab.embedded import EmbeddedVtn
from venlab.errors import NoAnswer, VtnError
from venlab.eventwatch import EventWatch
from venlab.lab import Lab
from venlab.model import Event, Period, Ven
from venlab.opting import Decision
from venlab.secret import Secret
from venlab.transport import HttpxTransport
from venlab.wire import dialect

NOW = datetime(2023, 11, 30, 16, 30, tzinfo=UTC)  # half an hour into the event
HOUR = timedelta(hours=1)
VENS = [Ven(f"v{n}", f"Town {n}", f"town{n}") for n in range(3)]
EVENTS = (
    b'[{"id":"e","event_name":"peak","program_id":"p","modification_number":0,'
    b'"start_date":"2023-11-30T16:00:00Z","end_date":"2023-11-30T18:00:00Z"}]'
)


def decided(key: str, name: str, version: int, **more: Any) -> Decision:
    """Return what is kept of an event that all three VENs received; it lasts until 18:00 UTC."""
    period = Period(NOW - HOUR / 2, Duration(exact=2 * HOUR))
    event = Event(key, name, "p", version, **{"period": period, **more})
    return Decision(event, (0, 1, 2), np.ones(3, np.uint8))


async def test_a_refused_answer_keeps_no_event_from_taking_effect() -> None:
    """Each VEN answers once, also where the VTN wants no answer of one of them."""

    def reply(request: Request) -> Reply:
        if request.method == "GET":
            return 200, EVENTS
        return (404, b"{}") if request.json["ven_id"] == "v1" else (201, b"{}")

    async with scripted(reply) as vtn:
        client, watch = Client(HttpxTransport(vtn.url), dialect("flat")), EventWatch()
        for _ in range(2):
            await watch.poll(client, VENS, NOW)
        await client.close()
        assert [event.name for event in watch.take()] == ["peak"]
        assert watch.take() == []
        asked = [r.json["ven_id"] for r in vtn.requests if r.method == "POST"]
        assert asked == ["v0", "v1", "v2"]


async def test_an_outage_between_two_answers() -> None:
    """The next poll goes on with those that have not answered yet, then the event counts."""
    answers = iter([(201, b"{}"), None, (201, b"{}"), (201, b"{}")])

    async with scripted(lambda r: (200, EVENTS) if r.method == "GET" else next(answers)) as vtn:
        client, watch = Client(HttpxTransport(vtn.url), dialect("flat")), EventWatch()
        with pytest.raises(NoAnswer):
            await watch.poll(client, VENS, NOW)
        assert watch.take() == []
        await watch.poll(client, VENS, NOW)
        await client.close()
        assert len(watch.take()) == 1
        asked = [r.json["ven_id"] for r in vtn.requests if r.method == "POST"]
        assert asked == ["v0", "v1", "v1", "v2"]


@dataclass
class Board:
    """What a scripted VTN of OpenADR 3 lists, and its pages that get another answer."""

    events: list[dict[str, Any]]
    instead: dict[str, Reply] = field(default_factory=dict)

    def __call__(self, request: Request) -> Reply:
        if request.path in self.instead:
            return self.instead[request.path]
        query = dict(pair.split("=") for pair in request.path.partition("?")[2].split("&"))
        first, size = int(query["skip"]), int(query["limit"])
        return 200, json.dumps(self.events[first : first + size]).encode()


def listed(
    event_id: str, hours: float = 2, changed: str = "2023-11-30T08:00:00Z"
) -> dict[str, Any]:
    """An event from 16:00 on, as OpenADR 3 has it."""
    return {
        "id": event_id,
        "programID": "p",
        "eventName": f"peak {event_id}",
        "modificationDateTime": changed,
        "intervalPeriod": {"start": "2023-11-30T16:00:00Z", "duration": f"PT{hours * 60:.0f}M"},
        "intervals": [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}],
    }


@asynccontextmanager
async def watching(board: Board, speaks: str = "3.0.1") -> AsyncIterator[tuple[Client, EventWatch]]:
    async with scripted(board) as vtn:
        client = Client(HttpxTransport(vtn.url), dialect(speaks))
        yield client, EventWatch()
        await client.close()


def told(watch: EventWatch) -> list[tuple[str, bool]]:
    return [(event.id, event.cancelled) for event in watch.take()]


async def test_a_deleted_event_is_cancelled_once() -> None:
    """Two are there, one goes: its next version is a cancelled one, and comes once."""
    board = Board([listed("a"), listed("b")])
    async with watching(board) as (client, watch):
        await watch.poll(client, VENS, NOW)
        a, b = watch.take()
        del board.events[0]
        for _ in range(2):
            await watch.poll(client, VENS, NOW)
        (gone,) = watch.take()
        assert (gone.id, gone.cancelled, gone.version) == ("a", True, a.version + 1)
        assert (gone.name, gone.intervals) == (a.name, a.intervals)
        assert watch.recent == (a, b, gone)


@pytest.mark.parametrize(("hours", "now"), [(0.5, NOW), (2, NOW + 2 * HOUR)])
async def test_an_event_that_is_over_is_not_cancelled(hours: float, now: datetime) -> None:
    """16:00 to 16:30 is over at 16:30; 16:00 to 18:00 is not then, and is at 18:30."""
    board = Board([listed("a", hours)])
    async with watching(board) as (client, watch):
        await watch.poll(client, VENS, NOW - HOUR)
        assert told(watch) == [("a", False)]
        board.events.clear()
        await watch.poll(client, VENS, now)
        assert told(watch) == []
        board.events = [listed("a", hours)]  # nor is it new when it is shown again
        await watch.poll(client, VENS, now)
        assert told(watch) == []


async def test_it_comes_back() -> None:
    """The same event, changed or not, or another of its name, counts again: each version rises."""
    again = "2023-11-30T16:20:00Z"
    back = [listed("a"), listed("a"), listed("a", changed=again), listed("other")]
    board, versions = Board([]), []
    async with watching(board) as (client, watch):
        for event in back:
            for board.events in ([event], []):
                await watch.poll(client, VENS, NOW)
            on, off = watch.take()
            assert (on.id, on.cancelled, off.id, off.cancelled) == (on.id, False, on.id, True)
            versions += [on.version, off.version] if on.id == "a" else []
    assert all(before < after for before, after in pairwise(versions))


@pytest.mark.parametrize("instead", [None, (503, b"{}"), (403, b"{}"), (200, b"<p>hotel</p>")])
@pytest.mark.parametrize("page", [0, 1])
async def test_half_an_answer_cancels_nothing(instead: Reply, page: int) -> None:
    """60 events are two pages; where either is not given, all are there as before."""
    board = Board([listed(f"e{n}") for n in range(60)])
    path = f"/events?skip={50 * page}&limit=50"
    async with watching(board) as (client, watch):
        await watch.poll(client, VENS, NOW)
        assert len(watch.take()) == 60
        board.instead = {path: instead}
        with pytest.raises(VtnError):
            await watch.poll(client, VENS, NOW)
        assert told(watch) == []
        board.instead, board.events = {}, board.events[:55]
        await watch.poll(client, VENS, NOW)
        assert told(watch) == [(f"e{n}", True) for n in range(55, 60)]


async def test_what_the_flat_dialect_leaves_out_is_not_cancelled() -> None:
    """It says so by a status, and nothing is deleted there."""
    answers: Iterator[bytes] = iter([EVENTS, b"[]"])
    async with scripted(lambda r: (200, next(answers)) if r.method == "GET" else (201, b"{}")) as v:
        client, watch = Client(HttpxTransport(v.url), dialect("flat")), EventWatch()
        for _ in range(2):
            await watch.poll(client, VENS, NOW)
        await client.close()
        assert told(watch) == [("e", False)]


async def test_what_is_deleted_while_nobody_polls() -> None:
    """Of what a run file holds, what goes until it goes on is noticed; what was cancelled stays."""
    version = 1701331200000  # [ms] of 08:00 UTC on that day
    kept = [
        decided("a", "peak a", version),
        decided("over", "gone by", 3, period=Period(NOW - 4 * HOUR, Duration(exact=HOUR))),
        decided("open", "for ever", 5, period=Period(NOW, FOR_EVER)),
        decided("b", "twice", 7),
        decided("b", "twice", 8, cancelled=True),
    ]
    board = Board([listed("a")])
    async with watching(board) as (client, watch):
        watch.remember(kept, VENS)
        await watch.poll(client, VENS, NOW)
        (gone,) = watch.take()
        assert (gone.id, gone.name, gone.version, gone.cancelled) == ("open", "for ever", 6, True)
        board.events = [listed("b")]
        await watch.poll(client, VENS, NOW)
        assert told(watch) == [("b", False), ("a", True)]


@pytest.mark.parametrize("speaks", ["3.0.1", "3.1.0"])
async def test_a_real_vtn_deletes(speaks: str, tmp_path: Path) -> None:
    """The process of our own: an event that its operator deletes is cancelled for the fleet."""
    vtn = EmbeddedVtn(tmp_path)
    await vtn.start()
    client = Client(HttpxTransport(vtn.url_of(speaks)), dialect(speaks), vtn.credential)
    try:
        program, watch = await client.create_program("venlab"), EventWatch()
        wish = Event.between(NOW - HOUR, NOW + HOUR, name="peak", program_id=program.id)
        event = await client.create_event(wish)
        await watch.poll(client, VENS, NOW)
        await client.cancel_event(event)
        await watch.poll(client, VENS, NOW)
        assert told(watch) == [(event.id, False), (event.id, True)]
    finally:
        await client.close()
        await vtn.stop()


@dataclass
class Views:
    """What a scripted VTN of 3.1.0 shows each client, or answers it instead; a token is its name.

    `polls` are the clients that asked for events, in order.
    """

    of: dict[str, list[dict[str, Any]]]
    instead: dict[str, Reply] = field(default_factory=dict)
    polls: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> Reply:
        if request.path == "/auth/token":
            client = parse_qs(request.body.decode())["client_id"][0]
            return 200, json.dumps({"access_token": client, "token_type": "Bearer"}).encode()
        client = request.headers["authorization"].removeprefix("Bearer ")
        self.polls.append(client)
        if client in self.instead:
            return self.instead[client]
        return 200, json.dumps(self.of.get(client, [])).encode()


@asynccontextmanager
async def apart(
    views: Views, vens: Sequence[Ven] = VENS, speaks: str = "3.1.0", in_flight: int = 2
) -> AsyncIterator[tuple[Client, EventWatch]]:
    """A client in whose name each VEN has a credential of its own, as the fleet has one."""
    async with scripted(views) as vtn:
        fleet = ClientCredentials(f"{vtn.url}/auth/token", "fleet", Secret("s3cret"))
        transport = HttpxTransport(vtn.url)
        client = Client(transport, dialect(speaks), Secret("fleet"), of_ven=fleet.of)
        for ven in vens:
            client._own_voice(ven.client_name)  # as its registration does
        yield client, EventWatch(in_flight)
        await client.close()
        await fleet.close()


def aimed(event_id: str, *targets: str) -> dict[str, Any]:
    return listed(event_id) | {"targets": list(targets)}


async def test_each_ven_sees_its_own() -> None:
    """Three VENs are three polls: an event comes once, with all its targets and who received it."""
    views = Views(
        {
            "town0": [listed("all"), aimed("two", "north", "t0"), aimed("one", "t0")],
            "town1": [aimed("two", "north", "t1"), listed("all")],
            "town2": [listed("all")],
            "fleet": [listed("nobody's")],
        }
    )
    async with apart(views) as (client, watch):
        for _ in range(2):
            await watch.poll(client, VENS, NOW)
        assert sorted(views.polls) == ["town0", "town0", "town1", "town1", "town2", "town2"]
        seen = {event.id: event for event in watch.take()}
        assert {key: sorted(watch.received_by(event)) for key, event in seen.items()} == {
            "all": ["town0", "town1", "town2"],
            "two": ["town0", "town1"],
            "one": ["town0"],
        }
        assert sorted(target.name for target in seen["two"].targets) == ["north", "t0", "t1"]


async def test_a_ven_that_stops_seeing_it_leaves_the_others() -> None:
    """Gone for one it is handed on for two, gone for all it is cancelled; then one has it back."""
    views = Views({f"town{n}": [listed("e")] for n in range(3)})
    async with apart(views) as (client, watch):
        await watch.poll(client, VENS, NOW)
        (event,) = watch.take()
        for gone, left in (("town1", ["town0", "town2"]), ("town0", ["town2"])):
            views.of[gone] = []
            await watch.poll(client, VENS, NOW)
            assert (told(watch), sorted(watch.received_by(event))) == ([("e", False)], left)
        views.of["town2"] = []
        await watch.poll(client, VENS, NOW)
        assert (told(watch), watch.received_by(event)) == ([("e", True)], frozenset())
        views.of["town1"] = [listed("e")]
        await watch.poll(client, VENS, NOW)
        assert (told(watch), watch.received_by(event)) == ([("e", False)], {"town1"})


async def test_a_ven_that_sees_it_later_is_decided_about_too() -> None:
    """Of three VENs one gets no answer at first: then it is handed on for all three, and once."""
    views = Views({f"town{n}": [listed("e")] for n in range(3)}, {"town0": (503, b"{}")})
    async with apart(views) as (client, watch):
        decided_for: list[list[str]] = []

        def decide(_event: Event, names: frozenset[str]) -> Callable[[Ven], str]:
            decided_for.append(sorted(names))
            return lambda _: "optIn"

        watch._decide = decide
        await watch.poll(client, VENS, NOW)
        views.instead.clear()
        for _ in range(2):
            await watch.poll(client, VENS, NOW)
        assert decided_for == [["town1", "town2"], ["town0", "town1", "town2"]]
        assert told(watch) == [("e", False), ("e", False)]


@pytest.mark.parametrize("instead", [None, (503, b"{}"), (403, b"{}"), (200, b"<p>hotel</p>")])
async def test_one_that_gets_no_answer_hides_nothing(instead: Reply) -> None:
    """Its own stay as they were, the others' come and go."""
    views = Views({"town0": [listed("own"), listed("both")], "town1": [listed("both")]})
    async with apart(views) as (client, watch):
        await watch.poll(client, VENS, NOW)
        own, both = watch.take()
        views.instead["town0"] = instead
        views.of["town1"] = [listed("new")]
        await watch.poll(client, VENS, NOW)
        assert told(watch) == [("new", False)]
        assert watch.received_by(own) == watch.received_by(both) == {"town0"}
        views.instead, views.of["town0"] = {}, [listed("own")]
        await watch.poll(client, VENS, NOW)
        assert told(watch) == [("both", True)]


async def test_who_had_it_before_a_run_goes_on_may_have_it_still() -> None:
    """It is gone when each VEN has said so, also one that gets no answer at first."""
    views = Views({}, {"town0": (503, b"{}")})
    async with apart(views) as (client, watch):
        watch.remember([decided("e", "peak", 1)], VENS)
        await watch.poll(client, VENS, NOW)
        assert told(watch) == []
        views.instead.clear()
        await watch.poll(client, VENS, NOW)
        assert told(watch) == [("e", True)]


async def test_a_vtn_that_is_away_is_not_asked_by_each() -> None:
    """With two polls at a time two are enough to know; who refuses everybody is asked by each."""
    vens = [Ven(f"v{n}", f"Town {n}", f"town{n}") for n in range(20)]
    views = Views({ven.client_name: [listed("e")] for ven in vens})
    async with apart(views, vens) as (client, watch):
        await watch.poll(client, vens, NOW)
        assert (told(watch), len(views.polls)) == ([("e", False)], 20)
        for reply, asked in ((None, range(2, 5)), ((404, b"{}"), range(20, 21))):
            views.polls, views.instead = [], dict.fromkeys(views.of, reply)
            with pytest.raises(VtnError):
                await watch.poll(client, vens, NOW)
            assert len(views.polls) in asked
            assert told(watch) == []


async def test_one_poll_for_the_fleet_where_nobody_is_apart() -> None:
    """3.0.1 knows no events of one's own: the fleet's credential asks once, for each VEN."""
    views = Views({"fleet": [listed("e")], "town0": [listed("no")]})
    async with apart(views, speaks="3.0.1") as (client, watch):
        await watch.poll(client, VENS, NOW)
        (event,) = watch.take()
        assert (event.id, views.polls) == ("e", ["fleet"])
        assert watch.received_by(event) == {"town0", "town1", "town2"}


@pytest.mark.parametrize(("speaks", "each"), [("flat", 1), ("3.0.1", 1), ("3.1.0", 2)])
async def test_how_often_a_run_polls(speaks: str, each: int, tmp_path: Path) -> None:
    """Two VENs, four ticks: once a tick for both, and in 3.1.0 once for each."""
    async with Lab(quick(tmp_path, vens=2, dialect=speaks)) as lab:
        await lab.register()
        results = await lab.run()
    ticks = results.loops.set_index("kind").loc["events", "runs"]
    assert ticks == 4
    assert results.requests["purpose"].value_counts()["poll events"] == each * ticks
