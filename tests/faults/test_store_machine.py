"""The run store as a state machine: whatever comes in whatever order, from two loops, and kills."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from venlab.outbox import Outbox
from venlab.runfile import Attempt, Counts, Frozen, ReadingRow, Settled, Taken, TickRow

LOADS = 6
LANES = 3  # two loads each, so that a report can be split
WATTS = np.arange(1, LOADS + 1, dtype="<i4") * 100
LONGEST_S = 10.0

places = st.sampled_from(["main", "other", "cancelled"])
lanes = st.frozensets(st.integers(0, LANES - 1))


@dataclass
class Report:
    """A report as the model has it."""

    cycle: int
    lane: int
    loads: tuple[int, ...]
    body: bytes
    state: str = "waiting"
    attempts: int = 0
    unanswered: int = 0
    held: Taken | None = None  # by whoever took it, and was not cancelled meanwhile
    resent: bool = False
    gone: bool = False  # parts are in its place


@dataclass
class Model:
    """What the file must tell."""

    reports: dict[str, Report] = field(default_factory=dict)
    cycles: int = 0
    heard: set[str] = field(default_factory=set)
    read_back: bool = False

    def there(self) -> list[tuple[str, Report]]:
        """Return what is in the file, as it came in."""
        return [(name, r) for name, r in self.reports.items() if not r.gone]

    def in_state(self, *states: str) -> list[tuple[str, Report]]:
        return [(name, r) for name, r in self.there() if r.state in states]

    def next(self, limit: int, without: set[int]) -> list[tuple[str, Report]]:
        waiting = [(n, r) for n, r in self.in_state("waiting") if r.lane not in without]
        oldest = min((r.cycle for _, r in waiting), default=-1)
        return [(n, r) for n, r in waiting if r.cycle == oldest][:limit]


def frozen(name: str, report: Report) -> Frozen:
    loads = np.array(report.loads, "<i4")
    watt_s = int(WATTS[loads].sum()) * 450
    return Frozen(name, 0, report.lane, len(loads), watt_s, loads.tobytes(), report.body)


class StoreMachine(RuleBasedStateMachine):
    """Does to an outbox what runs do to it, and keeps account."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "run.sqlite"
        self.loop, self.other = asyncio.new_event_loop(), asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.other.run_forever)
        self.thread.start()
        self.box = Outbox(self.path)
        self.model = Model()
        self.noted = {"requests": 0, "ticks": 0}

    def teardown(self) -> None:
        if not hasattr(self, "box"):
            return
        self.box.close()
        self.other.call_soon_threadsafe(self.other.stop)
        self.thread.join()
        self.other.close()
        self.loop.close()
        with closing(sqlite3.connect(self.path)) as c:
            for table, count in self.noted.items():
                assert c.execute(f"SELECT count(*) FROM {table}").fetchone() == (count,), table
        self.folder.cleanup()

    def do(self, work: Callable[[], Coroutine[Any, Any, Any]], where: str = "main") -> Any:
        """Await in one of the loops; None where the task that waits is cancelled meanwhile."""

        async def bounded(awaited: Awaitable[Any]) -> Any:
            return await asyncio.wait_for(awaited, LONGEST_S)

        async def cancelled() -> None:
            task = asyncio.ensure_future(work())
            await asyncio.sleep(0)  # it has begun: what is asked for is handed over
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self.box.flush()

        if where == "other":
            future = asyncio.run_coroutine_threadsafe(bounded(work()), self.other)
            return future.result(LONGEST_S + 1)
        return self.loop.run_until_complete(
            bounded(cancelled() if where == "cancelled" else work())
        )

    # -- what a run does ----------------------------------------------------------------------

    @rule(where=places, present=st.frozensets(st.integers(0, LANES - 1), min_size=1))
    def append(self, where: str, present: frozenset[int]) -> None:
        cycle, watts = self.model.cycles, np.full(LOADS, -1, "<i4")
        new: dict[str, Report] = {}
        for lane in sorted(present):
            loads = (2 * lane, 2 * lane + 1)
            watts[list(loads)] = WATTS[list(loads)]
            name = f"run/{lane}/{cycle}"
            new[name] = Report(cycle, lane, loads, name.encode())
        kept = watts[watts >= 0]
        row = ReadingRow(cycle, f"c{cycle}", 450, len(kept), int(kept.sum()) * 450, watts.tobytes())
        self.do(lambda: self.box.append(row, [frozen(n, r) for n, r in new.items()]), where)
        self.model.reports |= new
        self.model.cycles += 1

    @rule(where=places, limit=st.integers(1, 4), without=lanes)
    def take(self, where: str, limit: int, without: frozenset[int]) -> None:
        out = {r.lane for _, r in self.model.in_state("in flight")}
        left_out = without | out
        expected = self.model.next(limit, left_out)
        taken: list[Taken] | None = self.do(lambda: self.box.take(limit, left_out), where)
        for name, report in expected:
            assert report.state == "waiting", f"{name} is {report.state} and handed out"
            older = [
                n
                for n, r in self.model.in_state("waiting", "in flight")
                if r.lane == report.lane and r.cycle < report.cycle
            ]
            assert not older, f"{name} overtakes {older}"
            report.state = "in flight"
        if taken is None:
            return
        assert [t.name for t in taken] == [name for name, _ in expected]
        for item, (_, report) in zip(taken, expected, strict=True):
            report.held = item
            told = (item.cycle, item.lane, item.body, item.attempts, item.unanswered)
            assert told == (
                report.cycle,
                report.lane,
                report.body,
                report.attempts,
                report.unanswered,
            )
            assert tuple(np.frombuffer(item.loads, "<i4")) == report.loads

    def held(self) -> list[tuple[str, Report]]:
        return [(n, r) for n, r in self.model.in_state("in flight") if r.held]

    @precondition(lambda self: self.held())
    @rule(data=st.data(), where=places, repeated=st.booleans())
    def settle(self, data: st.DataObject, where: str, repeated: bool) -> None:
        chosen = data.draw(
            st.lists(
                st.sampled_from(self.held()), min_size=1, max_size=4, unique_by=lambda each: each[0]
            )
        )
        outcomes = []
        for _, report in chosen:
            state = data.draw(st.sampled_from(["acknowledged", "rejected", "waiting"]))
            attempts = data.draw(st.integers(0, 3))
            unanswered = data.draw(st.integers(0, attempts))
            assert report.held
            outcomes.append(Settled(report.held.id, state, 201, "", attempts, unanswered))
            report.state, report.held, report.resent = state, None, False
            report.attempts += attempts
            report.unanswered += unanswered
        late = [o._replace(state="waiting", attempts=1, unanswered=1) for o in outcomes]

        async def settled() -> None:
            await asyncio.wrap_future(self.box.settle(outcomes))
            if repeated:  # a second outcome of the same attempt comes too late to count
                await asyncio.wrap_future(self.box.settle(late))

        self.do(settled, "main" if where == "cancelled" and repeated else where)

    @precondition(lambda self: any(len(r.loads) > 1 for _, r in self.held()))
    @rule(data=st.data(), where=places)
    def split(self, data: st.DataObject, where: str) -> None:
        many = [(n, r) for n, r in self.held() if len(r.loads) > 1]
        name, report = data.draw(st.sampled_from(many))
        item = report.held
        assert item
        parts = {
            f"{name}/{k}": Report(report.cycle, report.lane, (load,), b"part")
            for k, load in enumerate(report.loads)
        }
        told = [frozen(n, r)._replace(watt_s=0) for n, r in parts.items()]
        self.do(lambda: self.box.split(item, told), where)
        report.gone, report.held = True, None
        self.model.reports |= parts

    @rule(where=places, anew=st.booleans(), data=st.data())
    def read_back(self, where: str, anew: bool, data: st.DataObject) -> None:
        """The VTN holds all that was acknowledged, but for what it lost, and some of the rest."""
        sure = [n for n, _ in self.model.in_state("acknowledged")]
        maybe = [n for n, r in self.model.in_state("waiting", "rejected") if r.unanswered]
        known = sure + maybe
        names = data.draw(st.frozensets(st.sampled_from(known))) if known else frozenset()
        rows = [(n, len(self.model.reports[n].loads), 1) for n in sorted(names)]

        async def keep() -> None:
            self.box.note_about(read_back=True)
            await self.box.keep_heard(rows, anew=anew)

        self.do(keep, where)
        self.model.read_back = True
        self.model.heard = set(names) | (set() if anew else self.model.heard)
        for name in maybe:
            if name in self.model.heard:
                self.model.reports[name].state = "acknowledged"

    @rule(where=places, only=lanes, repaired=st.booleans())
    def resend(self, where: str, only: frozenset[int], repaired: bool) -> None:
        """What was rejected, or acknowledged and not heard, waits again, and nothing else; nothing
        at all where who asks is cancelled while it is looked for."""
        names = [n for n, r in self.model.there() if r.lane in only] if only else None
        repair = (lambda body: body + b"!") if repaired else None
        count = self.do(lambda: self.box.resend(names, repair), where)
        if where == "cancelled":
            return
        again = [
            r
            for n, r in self.model.in_state("rejected", "acknowledged")
            if (names is None or n in names)
            and (r.state == "rejected" or (self.model.read_back and n not in self.model.heard))
        ]
        for report in again:
            if repaired or report.state == "acknowledged":
                report.unanswered = 0
            report.state, report.resent = "waiting", True
            report.body += b"!" if repaired else b""
        assert count == len(again)

    @rule(attempts=st.integers(1, 300), where=st.sampled_from(["main", "both"]))
    def note(self, attempts: int, where: str) -> None:
        """Two loops may note at once: none is lost and none is kept twice."""
        attempt = Attempt(0.0, "report", "", 201, 1.0, 1)

        async def some() -> None:
            for n in range(attempts):
                self.box.note_attempt(attempt)
                if n % 50 == 0:
                    await asyncio.sleep(0)
            self.box.note_tick(TickRow("sample", 0, 0.0, 0.0, 0.0, False))

        if where == "both":
            beside = asyncio.run_coroutine_threadsafe(some(), self.other)
            self.noted = {
                k: n + (attempts if k == "requests" else 1) for k, n in self.noted.items()
            }
        self.do(some)
        self.noted = {k: n + (attempts if k == "requests" else 1) for k, n in self.noted.items()}
        if where == "both":
            beside.result(LONGEST_S)

    @rule(how=st.sampled_from(["killed", "closed"]))
    def open_again(self, how: str) -> None:
        """After a kill nobody closed the file; what was in flight waits, and counts an attempt."""
        old = self.box
        old._write_attempts()  # what a kill would lose of the table of requests is not asked here
        if how == "closed":
            old.close()
        self.box = Outbox(self.path)
        old.close()
        for _, report in self.model.in_state("in flight"):
            report.state, report.held = "waiting", None
            report.attempts += 1
            report.unanswered += 1

    # -- what always holds --------------------------------------------------------------------

    @invariant()
    def the_file_tells_what_the_model_knows(self) -> None:
        if not hasattr(self, "box"):
            return
        counts: Counts = self.do(self.box.counts)
        of = {"acknowledged": 0, "rejected": 0, "waiting": 0}
        for _, report in self.model.there():
            state = "waiting" if report.state == "in flight" else report.state
            of[state] += len(report.loads)
        assert counts == Counts(**of)
        with closing(sqlite3.connect(self.path)) as c:
            rows = c.execute(
                "SELECT name, state, attempts, unanswered, watt_s, body"
                " FROM deliveries JOIN bodies USING (id)"
            ).fetchall()
            appended = c.execute("SELECT cycle, watts, watt_s, measured FROM readings").fetchall()
            covered = c.execute("SELECT cycle, loads FROM deliveries").fetchall()
        assert {row[0]: row[1:4] + row[5:] for row in rows} == {
            n: (r.state, r.attempts, r.unanswered, r.body) for n, r in self.model.there()
        }
        assert len(appended) == self.model.cycles
        assert sum(row[4] for row in rows) == sum(watt_s for _, _, watt_s, _ in appended)
        assert sum(of.values()) == sum(measured for *_, measured in appended)
        for cycle, watts, *_ in appended:
            loads = np.concatenate([np.frombuffer(b, "<i4") for n, b in covered if n == cycle])
            there = np.flatnonzero(np.frombuffer(watts, "<i4") >= 0)
            assert sorted(loads) == there.tolist(), "each reading is in exactly one report"


BOUNDED = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


class TestStore(StoreMachine.TestCase):
    """Nothing vanishes, nothing is sent after its acknowledgement, a lane keeps its order."""

    settings = BOUNDED


@pytest.mark.slow
class TestStoreLong(StoreMachine.TestCase):
    """The same, longer."""

    settings = settings(BOUNDED, max_examples=400, stateful_step_count=60)
