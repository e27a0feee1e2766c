"""What a run reports when: its readings go into reports as the event that they are about asks."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from venlab.client import Client
from venlab.outbox import Outbox
from venlab.report import Formatter, row_of
from venlab.reportplan import EVERY, Plan
from venlab.simulator import Meter, Sample

__all__ = ["Reporting"]

log = logging.getLogger("venlab.lab")


class Reporting:
    """Keeps each cycle's readings, and the reports that are due with it.

    Parameters
    ----------
    outbox : Outbox
        Where readings are kept: also those that wait for their report to be full, so that who
        goes on with a run that was broken off makes the same reports.
    client : Client
        Knows the event that reports are about.
    cycles : int
        How many the run has: after the last one, what there is of a report is sent.

    Attributes
    ----------
    plan : Plan
        As the event asked when the run began, once `begin` has been awaited.
    """

    def __init__(self, outbox: Outbox, client: Client, cycles: int) -> None:
        self._outbox, self._client, self._cycles = outbox, client, cycles
        self.plan = EVERY
        self._not_asked = self._not_asked_ws = 0

    async def begin(self) -> None:
        """Take the plan that the run began with; the event's, where it begins now."""
        if kept := (await self._outbox.about()).get("plan"):
            self.plan = Plan(*kept)
        elif not await self._outbox.cycles(0, 1) and self._client.plan != EVERY:
            self.plan = self._client.plan
            self._outbox.note_about(plan=self.plan)
        if self.plan.begin >= self._cycles:
            log.warning(
                "The event asks for reports from interval %d on, and the run has %d: none is sent",
                self.plan.begin,
                self._cycles,
            )
        if self.plan != EVERY:
            log.info("Reports as their event asks: %s", self.plan)

    @property
    def new_a_report(self) -> tuple[int, int]:
        """How many cycles are new in a report, and every how many there is one."""
        return min(self.plan.length, self.plan.every), self.plan.every

    async def append(
        self, formatter: Formatter, sample: Sample, cycle: int, step_hash: bytes
    ) -> None:
        """Keep a cycle's readings, with the reports that are due now or with none."""
        if self.plan == EVERY:
            await self._outbox.append(*formatter.freeze(sample, cycle, step_hash))
            return
        row, frozen = row_of(sample, cycle, step_hash), []
        if window := self.plan.due(cycle, last=cycle + 1 == self._cycles):
            rows = await self._outbox.cycles(window.begin, cycle - window.begin)
            freeze = partial(formatter.freeze_window, sums=self.plan.aggregate)
            # A fleet's week takes longer than polls and a stop button may wait.
            frozen = await asyncio.to_thread(freeze, [*rows, row], window.new)
        if not self.plan.window_of(cycle):
            row = row._replace(measured=0, watt_s=0)
        await self._outbox.append(row, frozen)

    def asks(self, sample: Sample, cycle: int) -> bool:
        """Tell whether a report is asked for of a cycle; count what is not."""
        if self.plan.window_of(cycle):
            return True
        there = sample.watts[sample.watts >= 0]
        self._not_asked += len(there)
        self._not_asked_ws += int(there.sum(dtype=int)) * sample.duration_s
        self._outbox.note_about(not_asked=self._not_asked)
        return False

    def counted(self, meter: Meter) -> dict[str, int]:
        """Return what was measured and is to be reported, as the simulator counted it."""
        return {
            "measured": meter.measured - self._not_asked,
            "measured_watt_s": meter.measured_ws - self._not_asked_ws,
        }
