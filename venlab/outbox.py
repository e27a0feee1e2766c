"""The outbox of a run: what is measured and what is to be sent, written by one thread."""

from __future__ import annotations

import asyncio
import json
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from venlab import decided, runfile
from venlab.errors import StoreError
from venlab.opting import Decision
from venlab.runfile import (
    Attempt,
    Counts,
    Frozen,
    Outage,
    ReadingRow,
    Settled,
    Taken,
    TickRow,
)

__all__ = ["Outbox"]

T = TypeVar("T")
_Work = tuple[Callable[[sqlite3.Connection], object], Future[Any]]

RECENT = 512
ATTEMPTS_AT_ONCE = 256  # a wake-up of the writer for each request would cost as much as sending it


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
        self._failure: StoreError | None = None
        self._attempts: deque[Attempt] = deque()
        self.recent: deque[Attempt] = deque(maxlen=RECENT)  # requests, for a live view
        self._handing_over, self._closed = threading.Lock(), False
        opened: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._own, args=(durability, opened), name="venlab-outbox", daemon=True
        )
        self._thread.start()
        opened.result()

    # -- what a run writes ----------------------------------------------------------------

    async def append(self, row: ReadingRow, frozen: Sequence[Frozen]) -> None:
        """Keep one cycle's readings and the reports that carry them, both or neither."""
        await self._ask(lambda c: runfile.append(c, self.destination, row, frozen))

    async def take(self, limit: int, without: Collection[int] = ()) -> list[Taken]:
        """Hand out waiting reports of the oldest cycle, but for some lanes; they are in flight."""
        lanes = list(without)  # as they are now: what is asked for is done later
        return await self._ask(lambda c: runfile.take(c, self.destination, limit, lanes))

    def settle(self, outcomes: Sequence[Settled]) -> Future[None]:
        """Keep what became of reports; the caller need not wait."""
        return self._tell(lambda c: runfile.settle(c, outcomes))

    async def split(self, item: Taken, parts: Sequence[Frozen]) -> None:
        """Put parts in the place of a report that is in flight; they wait."""
        await self._ask(lambda c: runfile.split(c, self.destination, item, parts))

    async def resend(
        self, names: Iterable[str] | None = None, repair: Callable[[bytes], bytes] | None = None
    ) -> int:
        """Let reports wait again that were rejected, or acknowledged and are not heard.

        Parameters
        ----------
        names : iterable of str, optional
            Which of them; else all.
        repair : callable, optional
            Given each body, returns the one to send.

        Returns
        -------
        int
            How many reports.
        """
        chosen = None if names is None else list(names)
        found = await self._ask(lambda c: runfile.lost(c, self.destination, chosen))
        # Repaired here, not by the writer: a repair that fails is its author's to see.
        again = [(number, repair(body) if repair else body) for number, body in found]
        await self._ask(lambda c: runfile.send_again(c, again))
        return len(again)

    def note_attempt(self, attempt: Attempt) -> None:
        """Keep how a request went, together with others; `flush` does not wait for more."""
        self._attempts.append(attempt)
        self.recent.append(attempt)
        if len(self._attempts) >= ATTEMPTS_AT_ONCE:
            self._write_attempts()

    def _write_attempts(self) -> None:
        rows: list[Attempt] = []
        with suppress(IndexError):  # one by one: another thread may note, or write, at any moment
            while True:
                rows.append(self._attempts.popleft())
        self._tell(lambda c: c.executemany("INSERT INTO requests VALUES (?,?,?,?,?,?,?)", rows))

    def note_tick(self, tick: TickRow) -> None:
        """Keep how a tick went."""
        self._tell(lambda c: c.execute("INSERT INTO ticks VALUES (?,?,?,?,?,?)", tick))

    def note_outage(self, outage: Outage) -> None:
        """Keep an outage as far as it has come."""
        self._tell(lambda c: c.execute("INSERT OR REPLACE INTO outages VALUES (?,?,?,?)", outage))

    def note_about(self, **facts: object) -> None:
        """Keep facts about the run as a whole, as JSON."""
        rows = [(key, json.dumps(value, default=str)) for key, value in facts.items()]
        self._tell(lambda c: c.executemany("INSERT OR REPLACE INTO about VALUES (?,?)", rows))

    def note_decision(self, step: int, at: datetime, decision: Decision) -> None:
        """Keep that a version of an event took effect at a step, which began at a time."""
        self._tell(lambda c: decided.keep(c, step, at, decision))

    async def keep_heard(self, rows: Sequence[tuple[str, int, int]], *, anew: bool) -> None:
        """Keep what the VTN says it holds: name, readings, sum of powers [W].

        A report that was sent, got no answer and is heard is acknowledged by that.
        """
        await self._ask(lambda c: runfile.keep_heard(c, self.destination, rows, anew))

    async def counts(self) -> Counts:
        """Return the readings by what became of them, for this destination."""
        return await self._ask(lambda c: runfile.counts(c, self.destination))

    async def waiting(self) -> int:
        """Return how many readings wait, which is cheap; those in flight are not among them."""
        return await self._ask(lambda c: runfile.waiting(c, self.destination))

    async def of_vens(self) -> list[tuple[int, str, int]]:
        """Return VEN, state and readings, for this destination."""
        return await self._ask(lambda c: runfile.of_vens(c, self.destination))

    async def cycles(self, first: int, limit: int) -> list[ReadingRow]:
        """Return cycles as they were measured, from one on; none where the run has not begun."""
        return await self._ask(lambda c: runfile.cycles(c, first, limit))

    async def decisions(self) -> list[tuple[int, Decision]]:
        """Return the versions of events that took effect, and at which step, in this order."""
        return await self._ask(decided.kept)

    async def about(self) -> dict[str, Any]:
        """Return the facts about the run as a whole."""
        rows = await self._ask(lambda c: c.execute("SELECT * FROM about").fetchall())
        return {key: json.loads(value) for key, value in rows}

    async def flush(self) -> None:
        """Wait until all that was handed over is in the file."""
        self._write_attempts()
        await self._ask(lambda _: None)

    def close(self) -> None:
        """Write what was handed over and close the file; safe to call twice."""
        if not self._closed:
            self._write_attempts()
        with self._handing_over:  # what came after the end would never be done
            self._closed = True
        self._work.put(None)  # each time: an interrupt may have come before it
        self._thread.join()

    # -- the thread that owns the connection ------------------------------------------------

    def _tell(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # else it could be cancelled, and the write is not
        with self._handing_over:
            if self._closed:
                raise StoreError(f"the run file {self.path} is closed", "open the run again")
            self._work.put((work, future))
        return future

    async def _ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._failure:
            raise StoreError(*self._failure.args)
        future = self._tell(work)
        # Shielded: what was handed over is written even where the caller is cancelled.
        return await asyncio.shield(asyncio.wrap_future(future))

    def _own(self, durability: str, opened: Future[None]) -> None:
        connection = None
        try:
            connection = sqlite3.connect(self.path, isolation_level=None)
            runfile.prepare(connection, self.path, durability)
        except Exception as error:  # whatever it is, as below
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
            remedy = "see whether its disk is full, then go on: venlab.Lab.resume"
            self._failure = StoreError(f"cannot write {self.path}: {error}", remedy)
            works[0][1].set_exception(self._failure)
            return
        for future, result in done:
            future.set_result(result)


class _Closed(Exception):
    """The outbox was closed and all work is done."""
