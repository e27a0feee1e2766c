"""Store and forward: takes reports from the outbox, has them sent, keeps what became of them."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from venlab.circuit import Circuit
from venlab.client import Client
from venlab.clock import Clock
from venlab.model import Ven
from venlab.outbox import Outbox
from venlab.retry import Backoff
from venlab.runfile import Settled, Taken
from venlab.sender import Sender, Sending
from venlab.tasks import in_any_case

__all__ = ["Delivery"]

log = logging.getLogger(__name__)

CHUNK = 2048  # reports in memory at a time
GRACE_S = 0.3  # what an interrupt leaves for answers that are under way
SETTLE_EVERY = 64  # answers kept with one commit; after a kill these are asked for again
RETRY_S = (0.1, 5.0)  # first and longest wait between the attempts of one report
PROBE_S = (0.2, 5.0)  # between two looks at a VTN that is away
LATER_S = (0.5, 60.0)  # before a lane has its turn again whose report failed where others did not
WAKE_S = 0.2  # longest wait at a stretch for a VEN's turn


@dataclass
class _Cycle:
    """What the log says of a cycle when its reports are settled."""

    open: int = 0
    taken: Counter[int] = field(default_factory=Counter)
    acknowledged: Counter[int] = field(default_factory=Counter)


class Delivery:
    """What sends the reports of one destination, for the length of a run.

    Parameters
    ----------
    outbox : Outbox
        Where reports wait.
    client : Client
        The VTN they go to.
    vens : sequence of Ven
        As registered, in the order of the fleet; one that is registered again is looked up anew.
    tries : int
        Attempts of a report before it waits for another turn.
    in_flight : int
        Requests at the same time.
    look : bool
        Look for a name before it is repeated, where the VTN takes a name twice.
    clock : Clock, optional
        What retries, probes and spreading go by; wall time if not given.
    random : numpy Generator, optional
        Of the waits' jitter.
    on_cycle : callable, optional
        Called with the number of reports acknowledged when a cycle is done.
    register_again : callable, optional
        Awaited with the index of a VEN that the VTN does not know any more.

    Attributes
    ----------
    acknowledged, rejected, retried : int array, shape (vens,)
        Readings settled so far, and attempts beyond a report's first.

    Notes
    -----
    A lane's reports go one after another, so a load's readings arrive in order; one that fails
    keeps back its own lane only. After a few failures in a row the circuit opens: everything
    waits, and one real report at a time asks whether the VTN is there again.
    """

    def __init__(
        self,
        outbox: Outbox,
        client: Client,
        vens: Sequence[Ven],
        *,
        tries: int = 3,
        in_flight: int = 8,
        look: bool = True,
        clock: Clock | None = None,
        random: np.random.Generator | None = None,
        on_cycle: Callable[[int], None] = lambda _: None,
        register_again: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self._outbox, self._vens, self._in_flight = outbox, vens, in_flight
        self._clock = clock or Clock(1.0)
        random = random or np.random.default_rng()
        self._before_next = Backoff(*LATER_S, random)
        self._tries, self._on_cycle = tries, on_cycle
        self._circuit = Circuit(self._clock, Backoff(*PROBE_S, random), outbox.note_outage)
        self._sender = Sender(
            client,
            outbox,
            vens,
            self._circuit,
            clock=self._clock,
            backoff=Backoff(*RETRY_S, random),
            tries=tries,
            look=look,
            register_again=register_again,
        )
        self._pump: asyncio.Task[None] | None = None
        self._wake, self._quiet, self._taking = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        self._ending = False
        self._ready: deque[Taken] = deque()
        self._in_hand: dict[int, Sending] = {}
        self._later: dict[int, float] = {}  # lane → when it has its turn again
        self._outcomes: list[Settled] = []
        self._cycles: dict[int, _Cycle] = {}
        self._spread = (-1, 0.0, 0.0)  # cycle, begin and length of its spreading
        self.acknowledged = np.zeros(len(vens), np.int64)
        self.rejected = np.zeros(len(vens), np.int64)
        self.retried = np.zeros(len(vens), np.int64)

    @property
    def reachable(self) -> bool:
        """Whether the VTN answered the last time."""
        return not self._circuit.open

    @property
    def busy(self) -> bool:
        """Whether reports are in hand, or what became of them is not kept yet."""
        return bool(self._in_hand or self._ready or self._outcomes)

    @property
    def problem(self) -> str:
        """Why nothing is sent; empty where something is."""
        return self._circuit.reason

    def kick(self, cycle: int = -1, spread_s: float = 0.0) -> None:
        """Start to send what waits, or go on after what is being sent.

        Parameters
        ----------
        cycle : int
            The newest one.
        spread_s : float
            Over how long its VENs are spread, so that a fleet does not come in one burst [s].
        """
        self._spread = cycle, self._clock.schedule_s(), spread_s
        if self._pump and not self._pump.done():
            self._wake.set()
            if self.reachable:
                self._quiet.clear()
            return
        if self._pump:
            self._pump.result()  # what ended the last sending is not lost
        # Anew: a lab may be run in one loop and send what was left in another.
        self._wake, self._quiet, self._taking = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        # An empty context: else headless kernels lose what the task logs after its cell.
        self._pump = asyncio.create_task(
            self._send_all(), name="venlab-delivery", context=contextvars.Context()
        )

    async def go_on(self, cycle: int) -> None:
        """Take over what an earlier process left, up to a cycle."""
        self._sender.kept_cycles = cycle
        await self.recount()

    async def recount(self) -> None:
        """Take the counts from the run file: of what others have sent, or let wait again."""
        counts = {"acknowledged": self.acknowledged, "rejected": self.rejected}
        self._write()  # what is settled from here on is not in the file's answer
        before = {state: counted.copy() for state, counted in counts.items()}
        kept = await self._outbox.of_vens()
        for state, counted in counts.items():
            of = {v: readings for v, was, readings in kept if was == state}
            counted[:] += np.array([of.get(v, 0) for v in range(len(counted))]) - before[state]

    async def settled(self) -> None:
        """Wait until nothing can be sent now, or the VTN is away; raises what ended the sending."""
        if pump := self._pump:
            await self._quiet.wait()
            if pump.done() and not pump.cancelled():
                pump.result()

    async def stop(self) -> None:
        """End: what is in flight has a moment to be answered, the rest waits."""
        if self._pump:
            self._ending = True
            self._wake.set()
            if self._in_hand:
                await asyncio.wait([self._pump], timeout=GRACE_S)
            self._pump.cancel()
            await asyncio.wait([self._pump])
            self._pump, self._ending = None, False

    # -- what goes on meanwhile ------------------------------------------------------------------

    async def _send_all(self) -> None:
        """Send until nothing waits; look again and again at a VTN that is away."""
        try:
            while not self._ending:
                self._wake.clear()
                if self._circuit.open:
                    await self._probe()
                elif await self._refill():
                    await self._work()
                elif not self._wake.is_set():
                    self._say_cycles()
                    self._quiet.set()
                    if not self._later:
                        self._circuit.caught_up()
                        return
                    await self._until_news()
                    self._quiet.clear()
        finally:
            self._give_back()
            self._quiet.set()

    async def _work(self) -> None:
        """Send with as many workers as requests may be in flight, until nothing can be taken."""
        workers = [asyncio.create_task(self._worker()) for _ in range(self._in_flight)]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._give_back()
        if self._circuit.open:
            log.warning("The VTN is away, reports wait: %s", self.problem)

    async def _worker(self) -> None:
        while not self._halted:
            async with self._taking:
                while not (self._ready or self._halted):
                    self._wake.clear()
                    if await self._refill():
                        break
                    if not self._in_hand:
                        return
                    await self._until_news()  # one that takes long keeps nobody else from sending
            if self._ready and not self._halted:
                await self._handle(self._ready.popleft())

    @property
    def _halted(self) -> bool:
        return self._ending or self._circuit.open

    async def _probe(self) -> None:
        """Try a VTN that is away with one real report, when it is time."""
        self._quiet.set()
        await self._circuit.before_probe()
        if not (await self._refill(1) or await self._refill(1, ahead_of_turn=True)):
            self._circuit.answered()  # nothing is left to ask with
            return
        await self._handle(self._ready.popleft(), tries=1)
        self._write()
        if self.reachable:
            log.info("The VTN answers again")
            self._quiet.clear()

    async def _handle(self, item: Taken, tries: int = 0) -> None:
        each = self._in_hand[item.id] = Sending(item, item.body)
        while not tries and not self._halted and (wait_s := self._turn_s(item)) > 0:
            await self._clock.sleep(min(wait_s, WAKE_S))
        await self._circuit.turn()
        if self._halted and not tries:
            return  # and it is given back
        await self._sender.deliver(each, tries)
        del self._in_hand[item.id]
        self._keep(each)
        self._wake.set()

    def _turn_s(self, item: Taken) -> float:
        """Return how long until it is the turn of a report's VEN [s]."""
        cycle, begin_s, length_s = self._spread
        if item.cycle != cycle or not length_s:
            return 0.0
        return begin_s + length_s * item.ven / len(self._vens) - self._clock.schedule_s()

    def _keep(self, each: Sending) -> None:
        """Count what became of a report, and keep it."""
        item, done = each.item, self._cycles[each.item.cycle]
        done.open -= 1
        self.retried[item.ven] += max(0, each.attempts - (item.attempts == 0))
        if each.state == "acknowledged":
            done.acknowledged[item.ven] += 1
            self.acknowledged[item.ven] += item.readings
        elif each.state == "rejected":
            self.rejected[item.ven] += item.readings
        else:  # it waits, or its parts do
            done.taken[item.ven] -= 1
        if each.state == "waiting":
            rounds = 1 + (item.attempts + each.attempts) // self._tries
            self._later[item.lane] = self._clock.schedule_s() + self._before_next(rounds)
        if each.state != "split":
            self._outcomes.append(each.outcome())
        if len(self._outcomes) >= SETTLE_EVERY:
            self._write()

    async def _refill(self, limit: int = CHUNK, *, ahead_of_turn: bool = False) -> bool:
        """Take from the outbox what may go now; tell whether there was something."""
        now_s = self._clock.schedule_s()
        self._later = {lane: at_s for lane, at_s in self._later.items() if at_s > now_s}
        without = {each.item.lane for each in self._in_hand.values()}
        if not ahead_of_turn:
            without |= self._later.keys()
        self._write()  # what is settled now may let the next of its lane go
        taking = asyncio.ensure_future(self._outbox.take(limit, without))
        try:
            taken = await asyncio.shield(taking)
        except asyncio.CancelledError:
            with suppress(Exception):  # a file that fails says so elsewhere
                self._hold(await in_any_case(taking))
            raise
        self._hold(taken)
        return bool(taken)

    def _hold(self, taken: list[Taken]) -> None:
        if taken and taken[0].cycle not in self._cycles:
            self._say_cycles()
        for item in taken:
            cycle = self._cycles.setdefault(item.cycle, _Cycle())
            cycle.open += 1
            cycle.taken[item.ven] += 1
        self._ready.extend(taken)

    def _give_back(self) -> None:
        """Let wait what was taken and is not settled; a request that was cut off may be stored."""
        unsettled = [Sending(item, b"") for item in self._ready] + list(self._in_hand.values())
        for each in unsettled:
            cycle = self._cycles[each.item.cycle]
            cycle.open -= 1
            cycle.taken[each.item.ven] -= 1
        self._outcomes += [each.outcome()._replace(state="waiting") for each in unsettled]
        self._ready.clear()
        self._in_hand.clear()
        self._write()

    def _write(self) -> None:
        if self._outcomes:
            self._outbox.settle(self._outcomes)
            self._outcomes = []

    async def _until_news(self) -> None:
        """Wait for a kick, for a report that is settled, or for the next lane's turn."""
        tasks: list[asyncio.Future[object]] = [asyncio.ensure_future(self._wake.wait())]
        if self._later:
            wait_s = min(self._later.values()) - self._clock.schedule_s()
            tasks.append(asyncio.ensure_future(self._clock.sleep(max(wait_s, 0.0))))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _say_cycles(self) -> None:
        """Log the cycles that are done, in the words their users know."""
        for number, done in sorted(self._cycles.items()):
            if done.open:
                continue
            del self._cycles[number]
            for v, taken in sorted((+done.taken).items()):
                sent = done.acknowledged[v]
                log.info("Sent %d/%d reports for VEN %s", sent, taken, self._vens[v].name)
            if done.taken.total():
                self._on_cycle(done.acknowledged.total())
