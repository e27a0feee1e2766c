"""A fleet's history on its way to the VTN: each report holds as much of a VEN's day as it may.

There is no second copy of it in an outbox: what is sent is made from the history when its turn
comes, each time the same under the same name. A journal says what the VTN has.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from venlab.client import Client
from venlab.errors import AccessDenied, NoAnswer, Refused, StoreError
from venlab.fleet import LOADS
from venlab.history import A_DAY, INTERVAL, History
from venlab.jsonlines import line_of, whole_lines
from venlab.model import Ven
from venlab.retry import Patience, Verdict, asked_wait_s, verdict
from venlab.tasks import for_each
from venlab.transport import MAX_ANSWER, Answer
from venlab.wire import Address, Draft, Limits, LoadName, ReportWriter, SeriesWriter

__all__ = ["PAST", "Journal", "Progress", "Upload", "Uploaded"]

log = logging.getLogger("venlab.lab")

Progress = Callable[[int, int], None]
PAST = "-history-"
"""What stands after a run's id where a name is one of its history."""
SPARE = 4096  # bytes that a VTN adds to a report when it shows it
SECONDS = int(INTERVAL.total_seconds())


class Uploaded(NamedTuple):
    """What became of the readings of a history, and how long this part of it took [s]."""

    readings: int
    acknowledged: int
    rejected: int
    wall_s: float

    def __repr__(self) -> str:
        refused = f", {self.rejected:,} rejected" if self.rejected else ""
        taken = f"{self.acknowledged:,} of {self.readings:,} readings acknowledged"
        return f"{taken}{refused}, in {self.wall_s:.1f} s"


class Block(NamedTuple):
    """The readings of one report: some loads of a VEN over some quarters; in full, all of a day.

    A half has the name of the whole and a letter more, so a name means the same readings
    whatever the limits are when it is sent.
    """

    name: str
    ven: int
    quarters: range
    loads: range

    @property
    def readings(self) -> int:
        """How many it holds."""
        return len(self.quarters) * len(self.loads)

    def halves(self) -> list[Block]:
        """Return half the loads and the other half, of a single one its quarters; none of one."""
        name = self.name if self.name.count("/") > 2 else self.name + "/"
        first, second = self._replace(name=name + "a"), self._replace(name=name + "b")
        if middle := len(self.loads) // 2:
            loads = self.loads[:middle], self.loads[middle:]
            return [first._replace(loads=loads[0]), second._replace(loads=loads[1])]
        if middle := len(self.quarters) // 2:
            quarters = self.quarters[:middle], self.quarters[middle:]
            return [first._replace(quarters=quarters[0]), second._replace(quarters=quarters[1])]
        return []


class Journal:
    """What is known of each report, in a file that a kill cuts off at most in its last line.

    Parameters
    ----------
    path : Path
        A line a moment: a report's name, which VTN, and its state: ``began``; ``parted``, its
        halves go instead; or how many of its readings were acknowledged and rejected.
    vtn : str
        Lines of other VTNs say nothing of this one.
    """

    def __init__(self, path: Path, vtn: str) -> None:
        self._path, self._vtn = path, vtn
        self.states: dict[str, str | list[int]] = {}

    def __enter__(self) -> Self:
        try:
            notes, begin = whole_lines(self._path)
            self._file = self._path.open("ab", buffering=0)
            self._file.write(begin)
        except OSError as error:
            raise self._failed(error) from None
        self.states |= {name: state for name, vtn, state in notes if vtn == self._vtn}
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def note(self, name: str, state: str | list[int]) -> None:
        """Write down what became of a report; in the file when this returns."""
        self.states[name] = state
        try:
            self._file.write(line_of([name, self._vtn, state]))
        except OSError as error:
            raise self._failed(error) from None

    def settled(self) -> list[list[int]]:
        """Return the readings of each settled report: acknowledged, rejected."""
        return [state for state in self.states.values() if isinstance(state, list)]

    def _failed(self, error: OSError) -> StoreError:
        said = f"cannot write {self._path}: {error.strerror}"
        return StoreError(said, "see whether its disk is full; the upload goes on where it was")


class Upload:
    """Sends a history to a VTN.

    Parameters
    ----------
    history : History
        Of the fleet that is registered.
    client : Client
        The VTN.
    vens : sequence of Ven
        As registered, in the order of the fleet.
    resource_ids : mapping
        The VTN's id of each resource.
    run_id : str
        Of the run that it is the past of. With the history's digest it begins each report's name:
        no other history has such names, so one that the VTN knows already, a 409, is taken.
    journal : Journal
        What is known of an earlier, broken off upload.
    address : Address, optional
        The event that reports are about; the run's own if not given.
    patiently : Patience
        How often a report is tried while no VTN answers; then NoAnswer is raised.
    limits : Limits, optional
        The most that one report may be. One is also never so long that a page of them could not
        be read back.
    in_flight : int
        Requests at the same time.
    look : bool
        Look for a report that may be there before it is sent again, where a VTN takes names twice.

    Notes
    -----
    The dialects 3.0.1 and 3.1.0 take thousands of readings in one report. The flat one has a
    report for each reading, so there this is as slow as any cycle of its size: for the 7 million
    of the reference fleet's 45 days half an hour and more.
    """

    def __init__(
        self,
        history: History,
        client: Client,
        vens: Sequence[Ven],
        resource_ids: Mapping[int, str],
        *,
        run_id: str,
        journal: Journal,
        patiently: Patience,
        address: Address | None = None,
        limits: Limits | None = None,
        in_flight: int = 8,
        look: bool = True,
    ) -> None:
        self._history, self._client, self._vens = history, client, vens
        self._journal, self._patiently, self._in_flight = journal, patiently, in_flight
        self._address, self._look = address or client.address, look
        limits = limits or Limits()
        most = min(limits.most_bytes, MAX_ANSWER // client.dialect.page_of_reports - SPARE)
        self._limits = Limits(most, limits.most_resources)
        self.run = f"{run_id}{PAST}{history.digest}"
        self._loads: list[NDArray[np.intp]] = []
        self._writers: list[ReportWriter] = []
        self._resource_ids = resource_ids
        self._size = 0.0  # bytes a reading took in the last report that holds many
        for v, ven in enumerate(vens):
            loads = np.flatnonzero(history.measured & (history.ven_of_load == v))
            self._loads.append(loads)
            self._writers.append(self._writer(ven, loads.tolist()))

    async def send(self, progress: Progress = lambda *_: None) -> Uploaded:
        """Send all that is not settled yet, the oldest day first.

        Parameters
        ----------
        progress : callable, optional
            Called with how many readings are settled, and of how many.

        Raises
        ------
        NoAnswer, AccessDenied, Refused
            There is no VTN, or none that takes reports of these VENs; to be called again.
        StoreError
            The journal cannot be written.
        """
        began, self._progress = time.monotonic(), progress
        self._done = np.sum([[0, 0], *self._journal.settled()], axis=0)
        await for_each(self._blocks(), self._send, self._in_flight)
        acknowledged, rejected = self._done.tolist()
        wall_s = time.monotonic() - began
        return Uploaded(self._history.readings, acknowledged, rejected, wall_s)

    async def heard(self) -> tuple[int, int]:
        """Return how many readings of it the VTN says it holds, and their sum [W]."""
        readings = watts = 0
        async for page in self._client.heard(self.run, self._address):
            readings += sum(report.readings for report in page)
            watts += sum(report.watts for report in page)
        return readings, watts

    def _writer(self, ven: Ven, loads: list[int]) -> ReportWriter:
        names = self._history.fleet.resource_name
        each = ((load, *divmod(load, len(LOADS))) for load in loads)
        named = [
            LoadName(load, self._resource_ids[r], str(names[r]), LOADS[k]) for load, r, k in each
        ]
        return self._client.dialect.writer(ven, named, self.run, self._address)

    def _blocks(self) -> Iterator[Block]:
        quarters = range(len(self._history.watts))
        for n in quarters[::A_DAY]:
            begin = self._history.start + n * INTERVAL
            for v, ven in enumerate(self._vens):
                if len(self._loads[v]):
                    name = f"{self.run}/{ven.client_name}/{begin:%Y%m%dT%H%M%SZ}"
                    yield Block(name, v, quarters[n : n + A_DAY], range(len(self._loads[v])))

    async def _send(self, block: Block) -> None:
        state = self._journal.states.get(block.name, "")
        if isinstance(state, list):
            return
        parted = state == "parted" or (state != "began" and self._is_too_long(block))
        # Beside the loop: a large VEN's day takes longer than a stop button may wait.
        drafts = [] if parted else await asyncio.to_thread(self._drafts, block)
        if len(drafts) == 1:
            self._size = len(drafts[0].body) / block.readings
            parted = state != "began" and self._is_too_long(block)
        if parted:
            drafts.clear()
            await self._send_halves(block)
            return
        self._journal.note(block.name, "began")
        each, refused = block.readings // len(drafts), 0
        for draft in drafts:
            words = await self._words_of_refusal(block.ven, draft, maybe_stored=state == "began")
            if words and len(drafts) == 1 and block.readings > 1:
                await self._send_halves(block)
                return
            if words:
                refused += each
                log.warning("%s rejected: %s", draft.name, words)
        self._settle(block, [block.readings - refused, refused])

    async def _send_halves(self, block: Block) -> None:
        self._journal.note(block.name, "parted")
        for half in block.halves():
            await self._send(half)

    def _settle(self, block: Block, counts: list[int]) -> None:
        self._journal.note(block.name, counts)
        before, of = self._done.sum(), self._history.readings
        self._done += counts
        now = self._done.sum()
        self._progress(int(now), of)
        if 10 * now // of > 10 * before // of:
            log.info("Uploaded %s of %s readings", f"{now:,}", f"{of:,}")

    def _is_too_long(self, block: Block) -> bool:
        """Tell whether a report must be parted, if it can be; by the length of the last one."""
        if not self._size or block.readings == 1:
            return False
        too_many = len(block.loads) > self._limits.most_resources
        return too_many or block.readings * self._size > self._limits.most_bytes

    def _drafts(self, block: Block) -> list[Draft]:
        """Return a block's report; where the dialect has none for many readings, one for each."""
        history, writer, rows = self._history, self._writers[block.ven], block.quarters
        loads = self._loads[block.ven][block.loads.start : block.loads.stop]
        watts = history.watts[rows.start : rows.stop].take(loads, axis=1)
        begin = history.start + rows.start * INTERVAL
        if isinstance(writer, SeriesWriter):
            first = block.loads.start
            return [writer.write_series(block.name, begin, SECONDS, watts, first)]
        return [
            draft
            for n, row in enumerate(watts.tolist())
            for draft in writer.write(begin + n * INTERVAL, SECONDS, row)
        ]

    # -- one report and its answers ---------------------------------------------------------------

    async def _words_of_refusal(self, ven: int, draft: Draft, *, maybe_stored: bool) -> str:
        """Send a report until it is answered; return why it is refused, nothing if it is taken."""

        async def once() -> str:
            nonlocal maybe_stored
            repeated = maybe_stored
            if repeated and await self._is_there(draft):
                return ""
            try:
                answer = await self._client.post_report(self._vens[ven], draft.body, "history")
            except NoAnswer:
                maybe_stored = True
                raise
            maybe_stored |= answer.status not in (425, 429)
            return await self._judged(self._vens[ven], draft, answer, repeated=repeated)

        return await self._patiently(once)

    async def _is_there(self, draft: Draft) -> bool:
        looks = self._look and not self._client.refuses_repeated_names
        return looks and await self._client.holds(draft.name, self._address)

    async def _judged(self, ven: Ven, draft: Draft, answer: Answer, *, repeated: bool) -> str:
        dialect, status = self._client.dialect, answer.status
        means = verdict(answer, receipt=dialect.receipt(answer.body))
        if means in (Verdict.TAKEN, Verdict.NAMED):  # nobody else has such a name
            return ""
        words = f"{status} {dialect.explain(answer.body)}".rstrip()
        if means is Verdict.LATER:
            asked_s = asked_wait_s(answer)
            raise NoAnswer(f"the VTN answers {words}", status=status, retry_after_s=asked_s)
        if means is Verdict.CREDENTIAL:
            raise AccessDenied(f"the VTN refuses our credential: {words}", status=status)
        if means is Verdict.NO_VTN:
            raise Refused(f"the VTN takes no reports: {words}", "check vtn_url", status=status)
        lost = means is Verdict.WRONG and await self._client.address_is_lost(self._address)
        if means is Verdict.UNKNOWN or lost:
            said = f"the VTN does not know {ven.name} or the event any more: {words}"
            raise Refused(said, "register again", status=status)
        # What is refused may be a repeat; its halves, under names of their own, would be doubles.
        return "" if repeated and await self._client.holds(draft.name, self._address) else words
