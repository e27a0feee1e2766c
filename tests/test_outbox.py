"""The run file: nothing is lost on the way from a reading to its acknowledgement."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from venlab import runfile
from venlab.errors import StoreError
from venlab.model import Event, Interval
from venlab.opting import Decision
from venlab.outbox import Outbox
from venlab.runfile import Attempt, Counts, Frozen, ReadingRow, Settled, TickRow


def row(cycle: int, measured: int = 2) -> ReadingRow:
    return ReadingRow(cycle, f"2023-11-30T15:{cycle:02d}:00+00:00", 450, measured, 900, b"\0" * 8)


def report(name: str, body: bytes = b"{}", lane: int | None = None) -> Frozen:
    """One reading of a load; each name is a load of its own unless a lane is given."""
    own = zlib.crc32(name.encode()) if lane is None else lane
    return Frozen(name, 0, own, 1, 450, b"\0\0\0\0", body)


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    box = Outbox(tmp_path / "run.sqlite")
    yield box
    box.close()


async def test_a_reading_becomes_a_delivery_and_is_acknowledged(outbox: Outbox) -> None:
    """Waiting, then in flight, then acknowledged; each state is counted once."""
    await outbox.append(row(0), [report("a"), report("b")])
    assert await outbox.counts() == Counts(waiting=2)
    taken = await outbox.take(10)
    assert [item.name for item in taken] == ["a", "b"]
    assert await outbox.take(10) == []
    assert await outbox.counts() == Counts(waiting=2)
    outbox.settle(
        [Settled(taken[0].id, "acknowledged", 201), Settled(taken[1].id, "rejected", 422)]
    )
    assert await outbox.counts() == Counts(acknowledged=1, rejected=1)


async def test_an_event_without_begin_or_end(outbox: Outbox) -> None:
    """One for everybody, always: it begins at the step at which it is known, and has no end."""
    at = datetime(2023, 11, 30, 15, tzinfo=UTC)
    event = Event("e", "rest", "p", version=2, intervals=(Interval(0),))
    decision = Decision(event, (0, 2), np.array([1, 0, 3], np.uint8))
    outbox.note_decision(3, at, decision)
    rows = outbox._tell(lambda c: c.execute("SELECT * FROM events_applied").fetchall())
    (row,) = rows.result(5)
    assert row[:7] == (3, "e", "rest", 2, "2023-11-30T15:00:00+00:00", None, 0)
    ((step, kept),) = await outbox.decisions()
    assert (step, kept.event, kept.receivers) == (3, event, (0, 2))
    assert kept.choices.tolist() == [1, 0, 3]


async def test_the_oldest_cycle_goes_first_and_alone(outbox: Outbox) -> None:
    """A take never mixes cycles, so a load's readings cannot overtake each other."""
    for cycle in (0, 1):
        await outbox.append(row(cycle), [report(f"a{cycle}"), report(f"b{cycle}")])
    assert [item.name for item in await outbox.take(10)] == ["a0", "b0"]
    assert [item.name for item in await outbox.take(1)] == ["a1"]


async def test_what_was_in_flight_at_a_kill_is_waiting_again(tmp_path: Path) -> None:
    """Opened after a kill, a report that was out counts one unanswered attempt."""
    first = Outbox(tmp_path / "run.sqlite")
    await first.append(row(0), [report("a", b"the same bytes")])
    await first.take(1)
    second = Outbox(tmp_path / "run.sqlite")  # the first was never closed, as after a kill
    (taken,) = await second.take(1)
    assert (taken.body, taken.unanswered) == (b"the same bytes", 1)
    first.close()
    second.close()


async def test_readings_and_their_reports_are_kept_together_or_not_at_all(outbox: Outbox) -> None:
    """A name that is there already undoes the readings of its cycle too, and is said."""
    await outbox.append(row(0), [report("a")])
    with pytest.raises(StoreError, match="UNIQUE"):
        await outbox.append(row(1), [report("b"), report("a")])
    outbox.close()
    with closing(sqlite3.connect(outbox.path)) as c:
        assert c.execute("SELECT cycle FROM readings").fetchall() == [(0,)]
        assert c.execute("SELECT name FROM deliveries").fetchall() == [("a",)]


async def test_a_failed_write_is_raised_at_the_next_await(outbox: Outbox) -> None:
    """What nobody waited for is not lost silently."""
    outbox.note_tick(TickRow("sample", 0, 15.0, None, None, False))  # type: ignore[arg-type]

    async def go_on() -> None:
        await outbox.flush()  # may share the commit that fails, and is none the worse
        await outbox.flush()

    with pytest.raises(StoreError, match="NOT NULL"):
        await go_on()


async def test_a_cancelled_caller_does_not_cancel_the_write(outbox: Outbox) -> None:
    """Once handed over, readings are kept even where the cell that waits is interrupted."""
    task = asyncio.create_task(outbox.append(row(0), [report("a")]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await outbox.counts() == Counts(waiting=1)


async def test_many_writers_share_commits_and_lose_nothing(outbox: Outbox) -> None:
    """Two hundred appends at once from one loop all arrive."""
    await asyncio.gather(
        *(outbox.append(row(n % 60 + 100 * n), [report(f"r{n}")]) for n in range(200))
    )
    assert (await outbox.counts()).waiting == 200


async def test_an_acknowledged_report_stays_so(outbox: Outbox) -> None:
    """A late second outcome of the same attempt changes nothing."""
    await outbox.append(row(0), [report("a")])
    (taken,) = await outbox.take(1)
    outbox.settle([Settled(taken.id, "acknowledged", 201)])
    outbox.settle([Settled(taken.id, "waiting")])
    assert await outbox.counts() == Counts(acknowledged=1)


async def test_what_the_vtn_holds_twice_is_heard_twice(outbox: Outbox) -> None:
    """A VTN that stored a resent report again holds a reading too many, and that is seen."""
    await outbox.keep_heard([("a", 1, 5), ("b", 1, 7), ("a", 1, 5)], anew=True)
    await outbox.keep_heard([("c", 1, 1)], anew=False)
    heard = outbox._tell(lambda c: c.execute("SELECT * FROM heard ORDER BY name").fetchall())
    assert heard.result() == [("a", 2, 10), ("b", 1, 7), ("c", 1, 1)]


def test_a_file_that_is_no_run_file(tmp_path: Path) -> None:
    """It is refused in words, and left as it was."""
    path = tmp_path / "run.sqlite"
    path.write_text("a shopping list, long enough not to look like an empty file " * 20)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="cannot open the run file"):
        Outbox(path)
    assert path.read_bytes() == before


async def test_a_closed_outbox_says_so(tmp_path: Path) -> None:
    """Closing twice is fine, writing after it is an error."""
    box = Outbox(tmp_path / "run.sqlite")
    box.close()
    box.close()
    with pytest.raises(StoreError, match="closed"):
        await box.flush()


@pytest.mark.parametrize(("durability", "level"), [("process", 1), ("power", 2)])
def test_durability_is_sqlites_synchronous(tmp_path: Path, durability: str, level: int) -> None:
    """`power` syncs at every commit (FULL), `process` leaves that to the system (NORMAL)."""
    box = Outbox(tmp_path / "run.sqlite", durability=durability)
    future = box._tell(lambda c: c.execute("PRAGMA synchronous").fetchone()[0])
    assert future.result() == level
    box.close()


async def test_everything_is_sent_again_where_nothing_is_named(outbox: Outbox) -> None:
    """What was rejected waits again, one report by its name, or all."""
    await outbox.append(row(0), [report("a"), report("b"), report("c")])
    outbox.settle([Settled(item.id, "rejected", 422) for item in await outbox.take(3)])
    assert await outbox.resend(["b"]) == 1
    assert await outbox.counts() == Counts(rejected=2, waiting=1)
    assert await outbox.resend() == 2
    assert await outbox.counts() == Counts(waiting=3)


async def test_a_repeat_that_was_refused_may_be_there_all_the_same(outbox: Outbox) -> None:
    """Sent again as it was it may be stored already, by an attempt without an answer; not else."""
    await outbox.append(row(0), [report("a"), report("b"), report("c")])
    lost_answers = [Settled(item.id, "rejected", 422, "", 2, 1) for item in await outbox.take(3)]
    outbox.settle(lost_answers)
    await outbox.keep_heard([("c", 1, 5)], anew=True)
    assert await outbox.counts() == Counts(acknowledged=1, rejected=2)
    assert await outbox.resend(["a"]) == await outbox.resend(["b"], lambda body: body + b"!") == 1
    assert {item.name: item.unanswered for item in await outbox.take(2)} == {"a": 1, "b": 0}


async def test_what_waits_is_counted_alone(outbox: Outbox) -> None:
    """Three readings, one in flight and one settled: one waits."""
    await outbox.append(row(0), [report("a"), report("b"), report("c")])
    first, _ = await outbox.take(2)
    outbox.settle([Settled(first.id, "rejected", 422)])
    assert await outbox.waiting() == 1


async def test_two_who_ask_for_it_at_once_send_it_once(outbox: Outbox) -> None:
    """What one has found and another is sending already stays in flight, with its body."""
    await outbox.append(row(0), [report("a", b"one")])
    outbox.settle([Settled(item.id, "rejected", 422) for item in await outbox.take(1)])
    found = outbox._tell(lambda c: runfile.lost(c, outbox.destination, None)).result()
    assert await outbox.resend(repair=lambda body: body + b" two") == 1
    (taken,) = await outbox.take(1)
    assert taken.body == b"one two"
    outbox._tell(lambda c: runfile.send_again(c, found)).result()
    assert await outbox.take(1) == []
    outbox.settle([Settled(taken.id, "acknowledged", 201)])
    assert await outbox.counts() == Counts(acknowledged=1)


async def test_who_waits_for_an_outcome_and_is_cancelled_does_not_stop_the_file(
    outbox: Outbox,
) -> None:
    """What `settle` returns may be awaited and let go: the outcome is kept all the same."""
    await outbox.append(row(0), [report("a")])
    (taken,) = await outbox.take(1)
    waiting = asyncio.wrap_future(outbox.settle([Settled(taken.id, "acknowledged", 201)]))
    waiting.cancel()
    async with asyncio.timeout(10):
        assert await outbox.counts() == Counts(acknowledged=1)


def test_attempts_of_two_threads_are_kept_once_each(tmp_path: Path) -> None:
    """Two loops may note requests at the same time; none is lost and none is kept twice."""
    box = Outbox(tmp_path / "run.sqlite")
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Thread(target=_note, args=(box, 20_000)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    box.close()
    with closing(sqlite3.connect(box.path)) as c:
        assert c.execute("SELECT count(*) FROM requests").fetchone() == (60_000,)


def _note(box: Outbox, times: int) -> None:
    for _ in range(times):
        box.note_attempt(Attempt(0.0, "report", "", 201, 1.0, 1))


def test_what_comes_while_the_file_is_closed_is_done_or_refused(tmp_path: Path) -> None:
    """Nobody waits for ever: an outcome handed over at the same time is kept or a StoreError."""
    for n in range(200):
        box = Outbox(tmp_path / f"{n}.sqlite")
        closing_it = Thread(target=box.close)
        closing_it.start()
        with suppress(StoreError):
            while True:
                box.settle([]).result(10)
        closing_it.join()
