"""Store and forward: takes reports from the outbox, sends them, keeps what became of them."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from venlab.client import Client
from venlab.errors import NoAnswer
from venlab.model import Ven
from venlab.outbox import Outbox, Settled, Taken
from venlab.tasks import for_each

__all__ = ["Delivery"]

log = logging.getLogger(__name__)

CHUNK = 2048  # reports in memory at a time
GRACE_S = 0.3  # what an interrupt leaves for answers that are under way
SETTLE_EVERY = 64  # answers kept with one commit; after a kill these are asked for again
BACKOFF_S = 0.1  # wait before the second attempt, doubled for each one more


@dataclass
class _Cycle:
    """What the log says of a cycle when all its reports are settled."""

    number: int = -1
    taken: Counter[int] = field(default_factory=Counter)
    acknowledged: Counter[int] = field(default_factory=Counter)


class Delivery:
    """The sender of one destination.

    Parameters
    ----------
    outbox : Outbox
        Where reports wait.
    client : Client
        The VTN they go to.
    vens : sequence of Ven
        As registered, in the order of the fleet.
    tries : int
        Attempts before a report waits for the next cycle.
    in_flight : int
        Requests at the same time.
    on_cycle : callable, optional
        Called with the number of reports acknowledged when a cycle is done.

    Attributes
    ----------
    acknowledged, rejected : int array, shape (vens,)
        Readings settled so far.
    reachable : bool
        Whether the VTN answered the last time.

    Notes
    -----
    Cycles go one after another, so a load's readings arrive in order. When a report is not
    answered `tries` times in a row, the VTN counts as unreachable: the rest waits, and the next
    `kick` tries with one real report first.
    """

    def __init__(
        self,
        outbox: Outbox,
        client: Client,
        vens: Sequence[Ven],
        *,
        tries: int = 3,
        in_flight: int = 8,
        on_cycle: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._outbox = outbox
        self._client = client
        self._vens = vens
        self._tries = tries
        self._in_flight = in_flight
        self._on_cycle = on_cycle
        self._pump: asyncio.Task[None] | None = None
        self._kicked = False
        self._cycle = _Cycle()
        self._ending = False
        self.reachable = True
        self.acknowledged = np.zeros(len(vens), np.int64)
        self.rejected = np.zeros(len(vens), np.int64)

    def kick(self) -> None:
        """Start to send what waits, or go on after what is being sent."""
        self._kicked = True
        if self._pump and self._pump.done():
            self._pump.result()  # what ended the last sending is not lost
        if self._pump is None or self._pump.done():
            # An empty context: else headless kernels lose what the task logs after its cell.
            self._pump = asyncio.create_task(
                self._send_all(), name="venlab-delivery", context=contextvars.Context()
            )

    async def settled(self) -> None:
        """Wait until nothing waits, or the VTN does not answer; raises what ended the sending."""
        if self._pump:
            await asyncio.shield(self._pump)

    async def stop(self) -> None:
        """End: what is in flight has a moment to be answered, the rest waits."""
        if self._pump:
            self._ending = True
            await asyncio.wait([self._pump], timeout=GRACE_S)
            self._pump.cancel()
            await asyncio.wait([self._pump])
            self._pump, self._ending = None, False

    async def _send_all(self) -> None:
        while self._kicked and not self._ending:
            self._kicked = False
            while batch := await self._outbox.take(CHUNK if self.reachable else 1):
                await self._send(batch)
                if self._ending or not self.reachable:
                    break
            if self.reachable and not self._ending:
                self._say_cycle()

    async def _send(self, batch: list[Taken]) -> None:
        if batch[0].cycle != self._cycle.number:
            self._say_cycle()
            self._cycle = _Cycle(batch[0].cycle)
        self._cycle.taken.update(item.ven for item in batch)
        probing = not self.reachable  # then the batch is one report
        open_items = {item.id: item for item in batch}
        begun: set[int] = set()
        outcomes: list[Settled] = []

        async def deliver(item: Taken) -> None:
            if self._ending or not (self.reachable or probing):
                return
            begun.add(item.id)
            outcome = await self._deliver(item)
            del open_items[item.id]
            outcomes.append(outcome)
            self.reachable |= probing and outcome.state != "waiting"
            self._cycle.taken[item.ven] -= outcome.state == "waiting"
            self._cycle.acknowledged[item.ven] += outcome.state == "acknowledged"
            self.acknowledged[item.ven] += item.readings * (outcome.state == "acknowledged")
            self.rejected[item.ven] += item.readings * (outcome.state == "rejected")
            if len(outcomes) >= SETTLE_EVERY:
                self._outbox.settle(outcomes.copy())
                outcomes.clear()

        try:
            await for_each(batch, deliver, self._in_flight)
        finally:
            # Cancelled in the middle: an attempt may have been made, and the name may be taken.
            back = [Settled(i, "waiting", unanswered=int(i in begun)) for i in open_items]
            self._outbox.settle([*outcomes, *back])
            self._cycle.taken.subtract(item.ven for item in open_items.values())

    async def _deliver(self, item: Taken) -> Settled:
        """Send one report, a few times if need be, and say what became of it."""
        unanswered, wait_s = 0, BACKOFF_S
        for attempt in range(self._tries):
            if attempt:
                await asyncio.sleep(wait_s)
                wait_s *= 2
            try:
                answer = await self._client.post_report(self._vens[item.ven], item.body)
            except NoAnswer as error:
                unanswered += 1
                log.debug("%s: %s", item.name, error)
                continue
            log.debug("%s: %s", item.name, answer.status)
            if not answer.may_heal:
                return self._judge(item, answer.status, answer.body, unanswered)
            unanswered += answer.status >= 500  # it may have been stored before that went wrong
        self.reachable = False
        return Settled(item.id, "waiting", unanswered=unanswered)

    def _judge(self, item: Taken, status: int, body: bytes, unanswered: int) -> Settled:
        if 200 <= status < 300:
            return Settled(item.id, "acknowledged", status)
        words = self._client.dialect.explain(body)
        if status in (401, 403):
            self.reachable = False
            log.warning("the VTN refuses our credential: %s %s; reports wait", status, words)
            return Settled(item.id, "waiting", status, words)
        if status == 409:
            if item.unanswered + unanswered:
                return Settled(item.id, "acknowledged", status)
            words = f"name already taken: {words}"
        log.warning("%s rejected: %s %s", item.name, status, words)
        return Settled(item.id, "rejected", status, words)

    def _say_cycle(self) -> None:
        """Log the cycle that is done, in the words its users know."""
        done = self._cycle
        if done.number < 0:
            return
        for v, taken in sorted((+done.taken).items()):
            name = self._vens[v].name
            log.info("Sent %d/%d reports for VEN %s", done.acknowledged[v], taken, name)
        self._on_cycle(done.acknowledged.total())
        self._cycle = _Cycle()
