"""The run file: readings and deliveries in SQLite, written by one thread.

A report is frozen before it is sent and changes its state only here::

    waiting ──take──▶ in flight ──acknowledge──▶ acknowledged
       ▲                  │ └─────reject───────▶ rejected
       └────release───────┘

Whatever was in flight when a process died is waiting again when the file is opened.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from venlab.errors import StoreError
from venlab.model import Event

__all__ = ["Attempt", "Counts", "Frozen", "Outbox", "ReadingRow", "Settled", "Taken", "TickRow"]

log = logging.getLogger(__name__)
T = TypeVar("T")
_Work = tuple[Callable[[sqlite3.Connection], object], Future[Any]]

ATTEMPTS_AT_ONCE = 256  # a wake-up of the writer for each request would cost as much as sending it

SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS readings (   -- append-only: what the simulator measured
    cycle INTEGER PRIMARY KEY, stamp TEXT NOT NULL, duration_s INTEGER NOT NULL,
    measured INTEGER NOT NULL, watt_s INTEGER NOT NULL,
    watts BLOB NOT NULL                 -- int32, one a load of the fleet; -1 = not measured
);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY, destination TEXT NOT NULL, name TEXT NOT NULL,
    cycle INTEGER NOT NULL, ven INTEGER NOT NULL,
    readings INTEGER NOT NULL, watt_s INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', tries INTEGER NOT NULL DEFAULT 0,
    unanswered INTEGER NOT NULL DEFAULT 0, status INTEGER, words TEXT,
    loads BLOB NOT NULL,                -- int32, which loads of the fleet it covers
    body BLOB NOT NULL,
    UNIQUE (destination, name)
);
CREATE INDEX IF NOT EXISTS unsettled ON deliveries (destination, cycle, id) WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS requests (
    at REAL NOT NULL, purpose TEXT NOT NULL, ven TEXT, status INTEGER, latency_ms REAL,
    bytes INTEGER, problem TEXT
);
CREATE TABLE IF NOT EXISTS ticks (
    kind TEXT NOT NULL, n INTEGER NOT NULL, at_s REAL NOT NULL, lag_s REAL NOT NULL,
    duration_s REAL, skipped INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS heard (
    name TEXT PRIMARY KEY, readings INTEGER NOT NULL, watts INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events_applied (
    step INTEGER NOT NULL, event_id TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
    start TEXT NOT NULL, "end" TEXT NOT NULL, cancelled INTEGER NOT NULL
);
"""


class Frozen(NamedTuple):
    """A report as it will be sent, however often that takes."""

    name: str
    ven: int
    readings: int
    watt_s: int
    loads: bytes
    body: bytes


class ReadingRow(NamedTuple):
    """One cycle's readings of the whole fleet."""

    cycle: int
    stamp: str
    duration_s: int
    measured: int
    watt_s: int
    watts: bytes


class Taken(NamedTuple):
    """A report handed out for sending; `unanswered` attempts were made under its name before."""

    id: int
    name: str
    ven: int
    cycle: int
    readings: int
    unanswered: int
    body: bytes


class Settled(NamedTuple):
    """What became of a report that was taken."""

    id: int
    state: str
    status: int | None = None
    words: str = ""
    unanswered: int = 0


class Attempt(NamedTuple):
    """One request as it went: `status` is None where no answer came."""

    at: float
    purpose: str
    ven: str
    status: int | None
    latency_ms: float
    bytes: int
    problem: str = ""


class TickRow(NamedTuple):
    """How one tick of the agenda went."""

    kind: str
    n: int
    at_s: float
    lag_s: float
    duration_s: float | None
    skipped: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """Readings by what became of them."""

    acknowledged: int = 0
    rejected: int = 0
    waiting: int = 0


class Outbox:
    """The stores of one run, in one file.

    Parameters
    ----------
    path : Path
        The SQLite file; made if it is not there.
    durability : {"process", "power"}
        What a reading survives: the end of any process, or a power cut too (slower).
    destination : str
        Which VTN the deliveries are for.

    Raises
    ------
    StoreError
        The file cannot be opened or is no run file.

    Notes
    -----
    One thread owns the connection. What is handed to it while it is busy shares the next commit.
    """

    def __init__(
        self, path: Path, *, durability: str = "process", destination: str = "vtn"
    ) -> None:
        self.path = path
        self.destination = destination
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._attempts: list[Attempt] = []
        opened: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._own, args=(durability, opened), name="venlab-outbox", daemon=True
        )
        self._thread.start()
        opened.result()

    # -- what a run writes ----------------------------------------------------------------

    async def append(self, row: ReadingRow, frozen: Sequence[Frozen]) -> None:
        """Keep one cycle's readings and the reports that carry them, both or neither."""
        await self._ask(lambda c: _append(c, self.destination, row, frozen))

    async def take(self, limit: int) -> list[Taken]:
        """Hand out waiting reports of the oldest cycle and mark them as in flight."""
        return await self._ask(lambda c: _take(c, self.destination, limit))

    def settle(self, outcomes: Sequence[Settled]) -> Future[None]:
        """Keep what became of reports; the caller need not wait."""
        return self._tell(lambda c: _settle(c, outcomes))

    def note_attempt(self, attempt: Attempt) -> None:
        """Keep how a request went, together with others; `flush` does not wait for more."""
        self._attempts.append(attempt)
        if len(self._attempts) >= ATTEMPTS_AT_ONCE:
            self._write_attempts()

    def _write_attempts(self) -> None:
        rows, self._attempts = self._attempts, []
        self._tell(lambda c: c.executemany("INSERT INTO requests VALUES (?,?,?,?,?,?,?)", rows))

    def note_tick(self, tick: TickRow) -> None:
        """Keep how a tick went."""
        self._tell(lambda c: c.execute("INSERT INTO ticks VALUES (?,?,?,?,?,?)", tick))

    def note_about(self, **facts: str) -> None:
        """Keep facts about the run as a whole."""
        rows = list(facts.items())
        self._tell(lambda c: c.executemany("INSERT OR REPLACE INTO about VALUES (?,?)", rows))

    def note_event(self, step: int, event: Event) -> None:
        """Keep that a version of an event took effect at a step."""
        times = event.start.isoformat(), event.end.isoformat()
        row = (step, event.id, event.name, event.version, *times, event.cancelled)
        self._tell(lambda c: c.execute("INSERT INTO events_applied VALUES (?,?,?,?,?,?,?)", row))

    async def keep_heard(self, rows: Sequence[tuple[str, int, int]], *, anew: bool) -> None:
        """Keep what the VTN says it holds: name, readings, sum of powers [W].

        A report that was sent, got no answer and is heard is acknowledged by that.
        """
        await self._ask(lambda c: _keep_heard(c, self.destination, rows, anew))

    async def counts(self) -> Counts:
        """Return the readings by what became of them, for this destination."""
        return await self._ask(lambda c: _counts(c, self.destination))

    async def flush(self) -> None:
        """Wait until all that was handed over is in the file."""
        self._write_attempts()
        await self._ask(lambda _: None)

    def close(self) -> None:
        """Write what was handed over and close the file; safe to call twice."""
        if self._thread.is_alive():
            self._write_attempts()
            self._work.put(None)
            self._thread.join()

    # -- the thread that owns the connection ------------------------------------------------

    def _tell(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        if not self._thread.is_alive():
            raise StoreError(f"the run file {self.path} is closed", "open the run again")
        future: Future[T] = Future()
        self._work.put((work, future))
        return future

    async def _ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._failure:
            raise StoreError(f"cannot write {self.path}: {self._failure}") from self._failure
        future = self._tell(work)
        # Shielded: what was handed over is written even where the caller is cancelled.
        return await asyncio.shield(asyncio.wrap_future(future))

    def _own(self, durability: str, opened: Future[None]) -> None:
        connection = None
        try:
            connection = sqlite3.connect(self.path, isolation_level=None)
            _prepare(connection, self.path, durability)
        except (sqlite3.Error, OSError) as error:
            if connection:
                connection.close()
            opened.set_exception(StoreError(f"cannot open the run file {self.path}: {error}"))
            return
        opened.set_result(None)
        with suppress(_Closed):
            while True:
                self._commit_once(connection, self._next_works())
        connection.close()

    def _next_works(self) -> list[_Work]:
        """Wait for work, then take all there is."""
        works, item = [], self._work.get()
        while item is not None:
            works.append(item)
            try:
                item = self._work.get_nowait()
            except queue.Empty:
                return works
        if not works:
            raise _Closed
        self._work.put(None)
        return works

    def _commit_once(
        self,
        connection: sqlite3.Connection,
        works: Sequence[_Work],
    ) -> None:
        done: list[tuple[Future[Any], object]] = []
        try:
            connection.execute("BEGIN")
            for work, future in works:
                done.append((future, work(connection)))
            connection.execute("COMMIT")
        except Exception as error:  # whatever it is, nobody may wait for this thread for ever
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            if len(works) > 1:  # find the one that fails; the others are none the worse
                for single in works:
                    self._commit_once(connection, [single])
                return
            self._failure = error
            works[0][1].set_exception(StoreError(f"cannot write {self.path}: {error}"))
            return
        for future, result in done:
            future.set_result(result)


class _Closed(Exception):
    """The outbox was closed and all work is done."""


def _prepare(connection: sqlite3.Connection, path: Path, durability: str) -> None:
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        log.warning("the folder of %s cannot share memory; the run file uses %s", path.name, mode)
    connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
    connection.executescript(SCHEMA)
    connection.execute(
        "UPDATE deliveries SET state = 'waiting', unanswered = unanswered + 1"
        " WHERE state = 'in flight'"
    )


def _append(
    c: sqlite3.Connection, destination: str, row: ReadingRow, frozen: Sequence[Frozen]
) -> None:
    c.execute("INSERT INTO readings VALUES (?,?,?,?,?,?)", row)
    c.executemany(
        "INSERT INTO deliveries (destination, cycle, name, ven, readings, watt_s, loads, body)"
        " VALUES (?,?,?,?,?,?,?,?)",
        ((destination, row.cycle, *report) for report in frozen),
    )


def _take(c: sqlite3.Connection, destination: str, limit: int) -> list[Taken]:
    rows = c.execute(
        "SELECT id, name, ven, cycle, readings, unanswered, body FROM deliveries"
        " WHERE state = 'waiting' AND destination = ?1 AND cycle ="
        " (SELECT min(cycle) FROM deliveries WHERE state = 'waiting' AND destination = ?1)"
        " ORDER BY id LIMIT ?2",
        (destination, limit),
    ).fetchall()
    c.executemany(
        "UPDATE deliveries SET state = 'in flight', tries = tries + 1 WHERE id = ?",
        [(row[0],) for row in rows],
    )
    return [Taken(*row) for row in rows]


def _settle(c: sqlite3.Connection, outcomes: Sequence[Settled]) -> None:
    c.executemany(
        "UPDATE deliveries SET state = ?, status = ?, words = ?, unanswered = unanswered + ?"
        " WHERE id = ? AND state = 'in flight'",
        [(o.state, o.status, o.words or None, o.unanswered, o.id) for o in outcomes],
    )


def _keep_heard(
    c: sqlite3.Connection, destination: str, rows: Sequence[tuple[str, int, int]], anew: bool
) -> None:
    if anew:
        c.execute("DELETE FROM heard")
    # A name that the VTN holds twice is heard twice; the check then says so.
    c.executemany(
        "INSERT INTO heard VALUES (?,?,?) ON CONFLICT (name) DO UPDATE"
        " SET readings = readings + excluded.readings, watts = watts + excluded.watts",
        rows,
    )
    c.execute(
        "UPDATE deliveries SET state = 'acknowledged' WHERE state = 'waiting' AND unanswered > 0"
        " AND destination = ? AND name IN (SELECT name FROM heard)",
        (destination,),
    )


def _counts(c: sqlite3.Connection, destination: str) -> Counts:
    rows = c.execute(
        "SELECT state, sum(readings) FROM deliveries WHERE destination = ? GROUP BY state",
        (destination,),
    )
    of = dict(rows.fetchall())
    waiting = of.get("waiting", 0) + of.get("in flight", 0)
    return Counts(of.get("acknowledged", 0), of.get("rejected", 0), waiting)
