"""The VTN's store: one SQLite file that survives a kill, with reports committed in groups."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from venlab.errors import StoreError

Row = dict[str, Any]
Values = tuple[Any, ...]
Stored = tuple[int, str, bool]  # a report's number, when it came, whether its name was new
_APPLICATION_ID = 0x76746E33  # "vtn3": what tells our file from somebody else's
_BUSY_S = 3.0  # a server that is just ending holds the file about a second
_REPORTS = {"reports": "?,?,?,?,?,?", "standard_reports": "?,?,?,?,?,?,?,?,?,?,?"}
_SCHEMA = """
CREATE TABLE IF NOT EXISTS vens(
    id TEXT PRIMARY KEY, ven_name TEXT, client_name TEXT, token_hash BLOB);
CREATE INDEX IF NOT EXISTS ven_names ON vens(ven_name);
CREATE TABLE IF NOT EXISTS resources(
    id TEXT PRIMARY KEY, resource_name TEXT, ven_id TEXT, ven_name TEXT, resource_type TEXT,
    status TEXT, body BLOB, UNIQUE(ven_id, resource_name));
CREATE TABLE IF NOT EXISTS programs(id TEXT PRIMARY KEY, program_name TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS enrolments(
    program_id TEXT, resource_id TEXT, PRIMARY KEY(program_id, resource_id));
CREATE TABLE IF NOT EXISTS events(
    id TEXT PRIMARY KEY, body BLOB, cancelled INTEGER, modification_number INTEGER);
CREATE TABLE IF NOT EXISTS responses(
    id TEXT PRIMARY KEY, event_id TEXT, ven_id TEXT, response_type TEXT);
CREATE TABLE IF NOT EXISTS tokens(
    hash BLOB PRIMARY KEY, ven_id TEXT, ends_at REAL, dialect TEXT, client_id TEXT, scopes TEXT);
CREATE TABLE IF NOT EXISTS reports(
    id INTEGER PRIMARY KEY, name TEXT, created TEXT, copy INTEGER, ven TEXT, body BLOB,
    UNIQUE(name, copy));
CREATE TABLE IF NOT EXISTS standard_reports(
    id INTEGER PRIMARY KEY, name TEXT, created TEXT, copy INTEGER, version TEXT, client TEXT,
    modified TEXT, event TEXT, program TEXT, client_name TEXT, body BLOB, UNIQUE(name, copy));
CREATE INDEX IF NOT EXISTS reports_by_event ON standard_reports(version, event);
CREATE TABLE IF NOT EXISTS objects(
    n INTEGER PRIMARY KEY, version TEXT, kind TEXT, id TEXT UNIQUE, name TEXT, parent TEXT,
    client TEXT, created TEXT, modified TEXT, body BLOB);
CREATE INDEX IF NOT EXISTS objects_by_name ON objects(version, kind, name);
CREATE INDEX IF NOT EXISTS objects_by_parent ON objects(version, kind, parent);
CREATE INDEX IF NOT EXISTS objects_by_client ON objects(version, kind, client);
"""


def now_text() -> str:
    """Return the wall clock as UTC text, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """Everything the VTN holds, in one SQLite file that it keeps to itself.

    Used from the thread of one event loop; ``":memory:"`` as path keeps nothing. The exclusive
    lock keeps a second server off the file (report numbers are counted here) and lets WAL work
    without shared memory. StoreError if the file cannot be used.

    What `repeats` names, ``reports`` or ``vens``, takes a name again: a fault, and as such off.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self.repeats: Collection[str] = ()
        self.open()

    def open(self) -> None:
        """Open the file, again where it was closed: with nothing in mind but what is in it."""
        self._waiting: list[tuple[str, str | None, Values, asyncio.Future[Stored]]] = []
        self._owners: dict[str, str] = {}
        try:
            self._db = _open(self._path)
        except sqlite3.Error as error:
            remedy = "name a file that can be written and that no other server uses"
            raise StoreError(f"the store {self._path} cannot be opened: {error}", remedy) from None
        last = "SELECT ifnull(max(id), 0) FROM"
        self._last = max(self._db.execute(f"{last} {table}").fetchone()[0] for table in _REPORTS)

    def close(self) -> None:
        """Close the file; what was acknowledged is in it."""
        self._db.close()

    def add(self, table: str, **row: Any) -> bool:
        """Insert a row; False where its key or name is there already."""
        marks = ",".join("?" * len(row))
        sql = f"INSERT OR IGNORE INTO {table}({','.join(row)}) VALUES({marks})"
        return self._db.execute(sql, tuple(row.values())).rowcount == 1

    def change(self, table: str, **row: Any) -> None:
        """Change the columns given of the row that has the id given."""
        sets = ",".join(f"{column}=:{column}" for column in row)
        self._db.execute(f"UPDATE {table} SET {sets} WHERE id=:id", row)

    def remove(self, table: str, condition: str, value: Any) -> None:
        """Remove the rows that fulfil a condition about one value."""
        self._db.execute(f"DELETE FROM {table} WHERE {condition}", (value,))

    def page(self, table: str, skip: int = 0, limit: int = -1, **where: Any) -> list[Row]:
        """List rows as they came in; a condition that is None is left out."""
        given = {column: value for column, value in where.items() if value is not None}
        condition = " AND ".join(f"{column}=?" for column in given) or "1"
        sql = f"SELECT * FROM {table} WHERE {condition} ORDER BY rowid LIMIT ? OFFSET ?"
        return [dict(row) for row in self._db.execute(sql, (*given.values(), limit, skip))]

    def find(self, table: str, **where: Any) -> Row | None:
        """Return the first row that fulfils the conditions, if there is one."""
        return next(iter(self.page(table, 0, 1, **where)), None)

    def owner_of(self, resource_id: str) -> str | None:
        """Return the id of the VEN a resource belongs to; it never moves, so it is remembered."""
        owner = self._owners.get(resource_id)
        if owner is None and (resource := self.find("resources", id=resource_id)):
            owner = self._owners[resource_id] = resource["ven_id"]
        return owner

    async def add_report(self, name: str, ven_id: str, body: bytes) -> Stored:
        """Store a flat report's bytes, as `add_to` does."""
        return await self.add_to("reports", name, ven_id, body)

    async def add_to(self, table: str, name: str | None, *values: Any) -> Stored:
        """Store a report and return after the commit that decided about its name, if it has one.

        The values are what its table's columns hold after `copy`. Reports that arrive in the same
        pass of the event loop share one commit.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._commit)
        answer: asyncio.Future[Stored] = loop.create_future()
        self._waiting.append((table, name, values, answer))
        return await answer

    def reports(
        self, run: str, after: str, skip: int, limit: int, ven_id: str | None
    ) -> Iterator[tuple[int, bytes, str]]:
        """Walk by name over number, bytes and arrival of reports, of one run and VEN or all.

        A name that came more than once is never torn apart, though that be over the limit: the
        next walk goes on after it.
        """
        # The next name after `after` would be itself and a NUL; "0" comes right after "/".
        low, high = (f"{run}/", f"{run}0") if run else ("", "\U0010ffff" * 257)
        sql = "SELECT name, id, body, created FROM reports WHERE name>=? AND name<?"
        sql += " AND ven=?" if ven_id is not None else ""
        values = (max(after + "\0", low), high, *([] if ven_id is None else [ven_id]))
        found = self._db.execute(f"{sql} ORDER BY name, copy LIMIT -1 OFFSET ?", (*values, skip))
        last = None
        for n, (name, *rest) in enumerate(found):
            if n >= limit and name != last:
                return
            last = name
            yield rest[0], rest[1], rest[2]

    def fill(self, full: bool) -> None:
        """Let the file grow no more, as on a disk that is full, or let it grow again."""
        pages = self._db.execute("PRAGMA page_count").fetchone()[0] if full else 2**30
        self._db.execute(f"PRAGMA max_page_count={pages}")

    def _commit(self) -> None:
        batch, self._waiting = self._waiting, []
        created, first = now_text(), self._last + 1
        decided: dict[int, Stored] = {}
        try:
            with self._db:
                self._db.execute("BEGIN")
                for table, marks in _REPORTS.items():
                    rows = [
                        (n, name, created, 0, *values)
                        for n, (into, name, values, _) in enumerate(batch, first)
                        if into == table
                    ]
                    sql = f"INSERT OR IGNORE INTO {table} VALUES({marks})"
                    if rows and self._db.executemany(sql, rows).rowcount < len(rows):
                        decided |= {row[0]: self._decided(table, marks, row) for row in rows}
        except sqlite3.Error as error:
            for *_, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        self._last += len(batch)
        for n, (*_, answer) in enumerate(batch, first):
            if not answer.done():
                answer.set_result(decided.get(n, (n, created, True)))

    def _decided(self, table: str, marks: str, row: Values) -> Stored:
        number, name, created, _, *values = row
        if name is None:
            return number, created, True
        # Numbers are never used twice, so a name that holds this one is new.
        sql = f"SELECT id, created FROM {table} WHERE name=? AND copy=0"
        held, since = self._db.execute(sql, (name,)).fetchone()
        if held != number and "reports" in self.repeats:
            copied = (number, name, created, number, *values)
            self._db.execute(f"INSERT INTO {table} VALUES({marks})", copied)
            return number, created, True
        return held, since, held == number


def _open(path: Path | str) -> sqlite3.Connection:
    # Nothing but the loop's own thread uses it, yet that thread may not be the one that opens it.
    db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        known = db.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION_ID
        if not known and db.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise sqlite3.DatabaseError("it is a database, but not a VTN's store")
        # Names come scattered over their index: larger pages, written back less often, halve that.
        db.execute("PRAGMA page_size=8192")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA wal_autocheckpoint=3000")
        db.execute("PRAGMA synchronous=NORMAL")  # enough for kill -9; not for loss of power
        db.execute("PRAGMA cache_size=-65536")
        db.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        db.executescript(_SCHEMA)
    except sqlite3.Error:
        db.close()
        raise
    db.row_factory = sqlite3.Row
    return db
