"""What stands in the run file: its tables, the rows they take, and what is done with them.

A report is frozen before it is sent and changes its state only here::

    waiting ──take──▶ in flight ──settle──▶ acknowledged ──resend, where it is not heard──┐
       ▲                  │ ├─────settle──▶ rejected ──resend────────────────────────────┤
       │                  │ └─────split───▶ gone: its parts are waiting                   │
       └──────settle──────┴───────────────────────────────────────────────────────────────┘

Whatever was in flight when a process died is waiting again when the file is opened.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

# fmt: off
__all__ = [
    "Attempt", "Counts", "Frozen", "Outage", "ReadingRow", "Settled", "Taken", "TickRow", "behind",
]
# fmt: on

log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS readings (   -- append-only: what the simulator measured
    cycle INTEGER PRIMARY KEY, stamp TEXT NOT NULL, duration_s INTEGER NOT NULL,
    measured INTEGER NOT NULL, watt_s INTEGER NOT NULL, -- that a report is asked for of
    watts BLOB NOT NULL,                -- int32, one a load of the fleet; -1 = not measured
    step_hash BLOB NOT NULL,            -- of the simulator's last step: a replay must reach it
    kept_at REAL NOT NULL               -- wall time
);
CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY, destination TEXT NOT NULL, name TEXT NOT NULL,
    cycle INTEGER NOT NULL, ven INTEGER NOT NULL,
    lane INTEGER NOT NULL,              -- reports of one lane arrive in the order of their cycles
    readings INTEGER NOT NULL, watt_s INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting', attempts INTEGER NOT NULL DEFAULT 0,
    unanswered INTEGER NOT NULL DEFAULT 0, status INTEGER, words TEXT,
    loads BLOB NOT NULL,                -- int32, which loads of the fleet it covers; see `behind`
    settled_at REAL,
    UNIQUE (destination, name)
);
-- Apart: of a row that changes SQLite writes all again, and bodies hardly ever change.
CREATE TABLE IF NOT EXISTS bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS told (        -- what a VTN reads in a report that holds other values
    id INTEGER PRIMARY KEY, count INTEGER NOT NULL, watts INTEGER NOT NULL  -- than its readings
);
CREATE INDEX IF NOT EXISTS unsettled ON deliveries (destination, cycle, id, lane)
    WHERE state = 'waiting';
CREATE TABLE IF NOT EXISTS requests (
    at REAL NOT NULL, purpose TEXT NOT NULL, ven TEXT, status INTEGER, latency_ms REAL,
    bytes INTEGER, problem TEXT
);
CREATE TABLE IF NOT EXISTS ticks (
    kind TEXT NOT NULL, n INTEGER NOT NULL, at_s REAL NOT NULL, lag_s REAL NOT NULL,
    duration_s REAL, skipped INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS outages (    -- wall time; NULL: not before the next, or the end
    opened REAL PRIMARY KEY, closed REAL, caught_up REAL, reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heard (
    name TEXT PRIMARY KEY, readings INTEGER NOT NULL, watts INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events_applied ( -- no end: for ever
    step INTEGER NOT NULL, event_id TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
    start TEXT NOT NULL, "end" TEXT, cancelled INTEGER NOT NULL,
    said TEXT NOT NULL,                 -- the event, as `eventtext` has it
    receivers TEXT NOT NULL,            -- which VENs of the fleet see it
    choices BLOB NOT NULL               -- uint8, an `opting.Choice` for each resource
);
"""


class Frozen(NamedTuple):
    """A report as it will be sent, however often that takes.

    `lane` tells which reports must arrive in order: those of one load, or of one VEN's batches.
    `told` is how many values a VTN reads in it, and their sum [W], where these are no readings of
    one interval: sums, several intervals, some of them reported before.
    """

    name: str
    ven: int
    lane: int
    readings: int
    watt_s: int
    loads: bytes
    body: bytes
    told: tuple[int, int] | None = None


class ReadingRow(NamedTuple):
    """One cycle's readings of the whole fleet."""

    cycle: int
    stamp: str
    duration_s: int
    measured: int
    watt_s: int
    watts: bytes
    step_hash: bytes = b""


class Taken(NamedTuple):
    """A report handed out for sending; `unanswered` attempts were made under its name before."""

    id: int
    name: str
    ven: int
    lane: int
    cycle: int
    readings: int
    attempts: int
    unanswered: int
    loads: bytes
    body: bytes


class Settled(NamedTuple):
    """What became of a report that was taken; attempts are those since then."""

    id: int
    state: str
    status: int | None = None
    words: str = ""
    attempts: int = 0
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


class Outage(NamedTuple):
    """A time without the VTN, in wall time: until it answered, until nothing waited any more."""

    opened: float
    closed: float | None
    caught_up: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class Counts:
    """Readings by what became of them."""

    acknowledged: int = 0
    rejected: int = 0
    waiting: int = 0


def prepare(c: sqlite3.Connection, path: Path, durability: str) -> None:
    """Make the tables where there are none; what a dead process had in flight waits again."""
    mode = c.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        log.warning("the folder of %s cannot share memory; the run file uses %s", path.name, mode)
    c.execute(f"PRAGMA synchronous = {'FULL' if durability == 'power' else 'NORMAL'}")
    c.executescript(SCHEMA)
    c.execute(
        "UPDATE deliveries SET state = 'waiting', unanswered = unanswered + 1,"
        " attempts = attempts + 1 WHERE state = 'in flight'"
    )


def append(
    c: sqlite3.Connection, destination: str, row: ReadingRow, frozen: Sequence[Frozen]
) -> None:
    """Add one cycle's readings and the reports that carry them."""
    c.execute("INSERT INTO readings VALUES (?,?,?,?,?,?,?,?)", (*row, time.time()))
    _add(c, destination, row.cycle, frozen)


def _add(c: sqlite3.Connection, destination: str, cycle: int, frozen: Sequence[Frozen]) -> None:
    first = c.execute("SELECT ifnull(max(id), 0) + 1 FROM deliveries").fetchone()[0]
    c.executemany(
        "INSERT INTO deliveries (id, destination, cycle, name, ven, lane, readings, watt_s, loads)"
        " VALUES (?,?,?,?,?,?,?,?,?)",
        ((n, destination, cycle, *report[:-2]) for n, report in enumerate(frozen, first)),
    )
    bodies = ((n, report.body) for n, report in enumerate(frozen, first))
    c.executemany("INSERT INTO bodies VALUES (?,?)", bodies)
    told = ((n, *report.told) for n, report in enumerate(frozen, first) if report.told)
    c.executemany("INSERT INTO told VALUES (?,?,?)", told)


def behind(loads: bytes, readings: int, cycle: int) -> list[tuple[int, bytes]]:
    """Return the cycles whose readings a report carries, and the loads of each.

    One that was made of several cycles says after its loads of which cycle each of them is.
    """
    if len(loads) != 8 * readings:
        return [(cycle, loads)]
    each, of = np.split(np.frombuffer(loads, "<i4"), 2)
    return [(n, each[of == n].tobytes()) for n in np.unique(of).tolist()]


def take(
    c: sqlite3.Connection, destination: str, limit: int, without: Collection[int]
) -> list[Taken]:
    """Mark waiting reports of the oldest cycle as in flight, none of the lanes left out."""
    waiting = (
        "WHERE state = 'waiting' AND destination = ?1"
        " AND lane NOT IN (SELECT value FROM json_each(?2))"
    )
    # One row for the oldest: min() would look at every one that waits.
    oldest = f"SELECT cycle FROM deliveries {waiting} ORDER BY cycle LIMIT 1"
    rows = c.execute(
        f"SELECT {', '.join(Taken._fields)} FROM deliveries JOIN bodies USING (id)"
        f" {waiting} AND cycle = ({oldest}) ORDER BY id LIMIT ?3",
        (destination, json.dumps(list(without)), limit),
    ).fetchall()
    c.executemany("UPDATE deliveries SET state = 'in flight' WHERE id = ?", [r[:1] for r in rows])
    return [Taken(*row) for row in rows]


def settle(c: sqlite3.Connection, outcomes: Sequence[Settled]) -> None:
    """Keep what became of reports; one that is acknowledged stays so."""
    now = time.time()
    c.executemany(
        "UPDATE deliveries SET state = ?, status = ?, words = ?, attempts = attempts + ?,"
        " unanswered = unanswered + ?, settled_at = ? WHERE id = ? AND state = 'in flight'",
        [(*o[1:3], o.words or None, *o[4:], now, o.id) for o in outcomes],
    )


def split(c: sqlite3.Connection, destination: str, item: Taken, parts: Sequence[Frozen]) -> None:
    """Put parts in the place of a report that was too much for the VTN, or partly wrong."""
    for table in ("deliveries", "bodies", "told"):
        c.execute(f"DELETE FROM {table} WHERE id = ?", (item.id,))
    _add(c, destination, item.cycle, [p._replace(watt_s=_watt_s(c, item.cycle, p)) for p in parts])


def _watt_s(c: sqlite3.Connection, due: int, part: Frozen) -> int:
    total = 0
    for cycle, loads in behind(part.loads, part.readings, due):
        kept = "SELECT watts, duration_s FROM readings WHERE cycle = ?"
        blob, duration_s = c.execute(kept, (cycle,)).fetchone()
        watts = np.frombuffer(blob, "<i4")
        total += int(watts[np.frombuffer(loads, "<i4")].sum(dtype=np.int64)) * duration_s
    return total


def lost(
    c: sqlite3.Connection, destination: str, names: Collection[str] | None
) -> list[tuple[int, bytes]]:
    """Return number and body of what was rejected, or acknowledged and is not heard."""
    query = "SELECT id, body FROM deliveries JOIN bodies USING (id) WHERE destination = ?1"
    query += " AND (state = 'rejected' OR (state = 'acknowledged'"
    query += " AND name NOT IN (SELECT name FROM heard)"
    query += " AND EXISTS (SELECT 1 FROM about WHERE key = 'read_back' AND value = 'true')))"
    query += " AND (?2 IS NULL OR name IN (SELECT value FROM json_each(?2)))"
    asked = None if names is None else json.dumps(list(names))
    return c.execute(query, (destination, asked)).fetchall()


def send_again(c: sqlite3.Connection, reports: Sequence[tuple[int, bytes]]) -> None:
    """Let reports wait again, with the bodies given."""
    for number, body in reports:
        # A rejected one may be there from an attempt without an answer, if it is sent as it was.
        as_it_was = "state = 'rejected' AND (SELECT body FROM bodies WHERE id = ?1) = ?2"
        settled = c.execute(
            f"UPDATE deliveries SET unanswered = iif({as_it_was}, unanswered, 0),"
            " state = 'waiting', status = NULL, words = NULL, settled_at = NULL"
            " WHERE id = ?1 AND state IN ('rejected', 'acknowledged')",
            (number, body),
        )
        if settled.rowcount:  # and not sent again by somebody else meanwhile
            c.execute("UPDATE bodies SET body = ? WHERE id = ?", (body, number))


def keep_heard(
    c: sqlite3.Connection, destination: str, rows: Sequence[tuple[str, int, int]], anew: bool
) -> None:
    """Keep what the VTN holds; what it may have got, and is heard, is acknowledged by that."""
    if anew:
        c.execute("DELETE FROM heard")
    if c.execute("SELECT 1 FROM told LIMIT 1").fetchone():
        rows = [(row[0], _behind_heard(c, destination, row), row[2]) for row in rows]
    # A name that the VTN holds twice is heard twice; the check then says so.
    c.executemany(
        "INSERT INTO heard VALUES (?,?,?) ON CONFLICT (name) DO UPDATE"
        " SET readings = readings + excluded.readings, watts = watts + excluded.watts",
        rows,
    )
    # By the names of this page: a look at all that waits, each time, took an hour of a long run's.
    c.executemany(
        "UPDATE deliveries SET state = 'acknowledged' WHERE state IN ('waiting', 'rejected')"
        " AND unanswered > 0 AND destination = ? AND name = ?",
        ((destination, name) for name, *_ in rows),
    )


def _behind_heard(c: sqlite3.Connection, destination: str, heard: tuple[str, int, int]) -> int:
    """Return how many readings are behind the values that are heard, if these are what was told."""
    query = "SELECT readings FROM deliveries JOIN told USING (id) WHERE destination = ?"
    query += " AND name = ? AND count = ? AND watts = ?"
    found = c.execute(query, (destination, *heard)).fetchone()
    return int(found[0]) if found else heard[1]


def cycles(c: sqlite3.Connection, first: int, limit: int) -> list[ReadingRow]:
    """Return cycles as they were measured, from one on."""
    columns = ", ".join(ReadingRow._fields)
    query = f"SELECT {columns} FROM readings WHERE cycle >= ? ORDER BY cycle LIMIT ?"
    return [ReadingRow(*row) for row in c.execute(query, (first, limit))]


def of_vens(c: sqlite3.Connection, destination: str) -> list[tuple[int, str, int]]:
    """Return the readings of each VEN by state."""
    return c.execute(
        "SELECT ven, state, sum(readings) FROM deliveries WHERE destination = ? GROUP BY 1, 2",
        (destination,),
    ).fetchall()


def waiting(c: sqlite3.Connection, destination: str) -> int:
    """Return the readings that wait: by their index, however many are settled."""
    query = "SELECT sum(readings) FROM deliveries WHERE state = 'waiting' AND destination = ?"
    return c.execute(query, (destination,)).fetchone()[0] or 0


def counts(c: sqlite3.Connection, destination: str) -> Counts:
    """Return the readings by what became of them."""
    of: dict[str, int] = {}
    for _, state, readings in of_vens(c, destination):
        of[state] = of.get(state, 0) + readings
    waiting = of.get("waiting", 0) + of.get("in flight", 0)
    return Counts(of.get("acknowledged", 0), of.get("rejected", 0), waiting)
