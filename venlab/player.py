"""Plays the agenda of one run: poll, simulate, sample, send, and keep how it went."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from venlab.client import Client
from venlab.clock import Agenda, Clock, Kind, Tick
from venlab.config import LabConfig
from venlab.delivery import Delivery
from venlab.errors import StoreError, VtnError
from venlab.fleet import END_USES, Fleet
from venlab.latency import Latency, latencies
from venlab.model import Event
from venlab.outbox import Outbox
from venlab.participation import Participation
from venlab.ratewatch import RateWatch
from venlab.report import Formatter
from venlab.reporting import Reporting
from venlab.responder import Responder
from venlab.roster import Roster
from venlab.runfile import ReadingRow, TickRow
from venlab.simulator import Meter, Sample, Simulator

__all__ = ["Player", "Status"]

log = logging.getLogger("venlab.lab")

REPLAYED_AT_ONCE = 64  # cycles in memory
PROBE_S = 0.5  # wait between two looks at a VTN that is away while a run drains
Handler = Callable[[Tick], Awaitable[None]]
POWER_KEPT = 2000  # steps of fleet power that are kept for a live picture


@dataclass(frozen=True)
class Status:
    """How a run is going, for whoever watches: counts are readings."""

    state: str
    schedule_s: float = 0.0
    end_s: float = 0.0
    cycle: int = 0
    cycles: int = 0
    measured: NDArray[np.int64] | None = None
    acknowledged: NDArray[np.int64] | None = None
    rejected: NDArray[np.int64] | None = None
    lag_s: float = 0.0
    vtn_up: bool = True
    power_kw: tuple[tuple[datetime, NDArray[np.float64]], ...] = ()
    events: tuple[Event, ...] = ()
    problem: str = ""
    retried: NDArray[np.int64] | None = None
    answers: tuple[Latency, ...] = ()

    @property
    def waiting(self) -> int:
        """Readings that are measured and not yet settled."""
        if self.measured is None or self.acknowledged is None or self.rejected is None:
            return 0
        return int((self.measured - self.acknowledged - self.rejected).sum())


class Player:
    """One run's timed loops.

    Parameters
    ----------
    config : LabConfig
        Intervals, speed, tries.
    fleet : Fleet
        Whose loads they are.
    simulator : Simulator
        At step 0.
    responder : Responder
        What its loads do about events.
    roster : Roster
        Everybody registered.
    client : Client
        The VTN.
    outbox : Outbox
        Where readings are kept.
    run_id : str
        First part of every report's name.
    wall : Clock
        What retries, probes and spreading go by.
    register_again : callable
        As `Delivery` wants it.
    played_s : float
        How long it was played before, where it goes on [s].
    """

    def __init__(
        self,
        config: LabConfig,
        *,
        fleet: Fleet,
        simulator: Simulator,
        responder: Responder,
        roster: Roster,
        client: Client,
        outbox: Outbox,
        run_id: str,
        wall: Clock,
        register_again: Callable[[int], Awaitable[None]],
        played_s: float,
    ) -> None:
        self._config, self._fleet, self._run_id = config, fleet, run_id
        self._simulator, self._roster = simulator, roster
        self._client, self._outbox = client, outbox
        self.clock = Clock(config.speed)
        self.meter = Meter(simulator.time_of(0), config.step, config.interval_min)
        self._formatter = self._new_formatter()
        self._again = register_again
        self._delivery = Delivery(
            outbox,
            client,
            roster.vens,
            tries=config.tries,
            in_flight=config.in_flight,
            look=config.look_before_resend,
            clock=wall,
            random=np.random.default_rng(config.seed),
            on_cycle=self._say_cycle,
            register_again=self._register_again,
        )
        self._events = Participation(fleet, roster, responder, outbox, config.in_flight)
        self._polls: dict[Kind, asyncio.Task[None]] = {}
        # In whole µs, as the agenda counts: a third of a second makes no last interval of 1 µs.
        self._end_s = config.steps * round(config.simulate_every_s, 6)
        self._agenda = Agenda(
            {
                Kind.EVENTS: config.events_every_s,
                Kind.SIMULATE: config.simulate_every_s,
                Kind.SAMPLE: config.report_every_s,
                Kind.STATUS: config.status_every_s,
                Kind.HEARTBEAT: config.heartbeat_every_s,
            },
            end_s=self._end_s,
        )
        self._end = simulator.time_of(config.steps)
        self._ticks = self._agenda.ticks()
        self.reporting = Reporting(outbox, client, self._agenda.cycles)
        self._cycle = 0
        self._rate = RateWatch(0, config.report_every_s)
        self._lag_s = 0.0
        self._ven_of_load = np.repeat(fleet.resource_ven, len(END_USES))
        self._measured = np.zeros(fleet.n_vens, np.int64)
        self._power_kw: deque[tuple[datetime, NDArray[np.float64]]] = deque(maxlen=POWER_KEPT)
        self._vtn_up = True
        self._origin = time.monotonic() - played_s
        self._at_s, self.caught_up = 0.0, False

    @property
    def wall_s(self) -> float:
        """How long the run has been played, by whichever processes [s]."""
        return round(time.monotonic() - self._origin, 3)

    async def play(self) -> None:
        """Play every tick when it is due, from where `catch_up` came to the end."""
        handlers: dict[Kind, Handler] = {
            Kind.EVENTS: partial(self._polled, self._poll_events),
            Kind.SIMULATE: self._simulate,
            Kind.SAMPLE: self._sample,
            Kind.SEND: self._send,
            Kind.STATUS: partial(self._polled, self._check_status),
            Kind.HEARTBEAT: partial(self._polled, self._heartbeat),
        }
        new, every = self.reporting.new_a_report  # cycles
        a_cycle = len(END_USES) * int(self._roster.approved.sum())
        self._rate = RateWatch(a_cycle * new, self._config.report_every_s * every)
        in_a_report = self._formatter.readings_a_report() * new
        self._rate.expect(self._config.rate_per_s, self.clock.speed, in_a_report=in_a_report)
        self.clock.begin(self._at_s)
        async with aclosing(self._agenda.play(self.clock, self._ticks)) as ticks:
            async for tick, lag_s, skip in ticks:
                self._lag_s = lag_s
                if self._asking(tick.kind) or skip:
                    self._note(tick, lag_s, None)
                elif self._in_step or not tick.kind.may_be_skipped:
                    await self._do(tick, lag_s, handlers[tick.kind])
                else:
                    # An empty context: else headless kernels lose what it logs after its cell.
                    self._polls[tick.kind] = asyncio.create_task(
                        self._do(tick, lag_s, handlers[tick.kind]), context=contextvars.Context()
                    )

    async def catch_up(self) -> None:
        """Bring everything to where the run file ends.

        Simulator and meter are replayed from the start, faster than they were played, and must
        give what was kept: to the watt in every cycle, and to the bit in the last step.
        """
        await self.reporting.begin()
        await self._events.remember()
        while rows := await self._outbox.cycles(self._cycle, REPLAYED_AT_ONCE):
            for row in rows:
                self._at_s = self._replay(row)
                await asyncio.sleep(0)  # a long one may be stopped too
        if self._cycle:
            await self._remember(row)
        self.caught_up = True

    async def _remember(self, row: ReadingRow) -> None:
        """Check the last step, and take over what was counted."""
        if row.step_hash != self._step_hash():
            raise _other_values(row.cycle, "its last step differs in a bit")
        await self._delivery.go_on(self._cycle)
        log.info(
            "Going on after cycle %d, at timestamp index %d", self._cycle, self._simulator.index
        )

    def _replay(self, row: ReadingRow) -> float:
        """Play up to the sample of one kept cycle and compare; return its time [schedule s]."""
        kept = np.frombuffer(row.watts, "<i4")
        for tick in self._ticks:
            if tick.kind is Kind.SIMULATE:
                self._step()
            elif tick.kind is Kind.SAMPLE:
                break
        approved = np.any((kept >= 0).reshape(-1, len(END_USES)), axis=1)
        sample = self.meter.read(approved, end=self._end)
        if other := np.flatnonzero(sample.watts != kept).tolist():
            said = f"load {other[0]} gives {sample.watts[other[0]]} W, {kept[other[0]]} W are kept"
            raise _other_values(row.cycle, said)
        self._count(sample, row.cycle)
        return tick.at_s

    async def send_again(self, longest_s: float, plays_on: Callable[[], bool]) -> None:
        """Send what waits once more, after the end or while it plays on."""
        await self._delivery.recount()
        await self.drain(longest_s)
        if not plays_on():  # it may have ended meanwhile
            await self.end()

    async def drain(self, longest_s: float) -> None:
        """Send what waits, for at most so long; then say what is left."""
        deadline = time.monotonic() + longest_s
        while True:
            self._delivery.kick()  # nobody is spread any more
            left_s = max(0.0, deadline - time.monotonic())
            with suppress(TimeoutError):
                # Not `wait_for`: in Python 3.11 it loses a stop that comes with the last answer.
                async with asyncio.timeout(left_s):
                    await self._delivery.settled()
            if not (await self._outbox.waiting() or self._delivery.busy):
                return
            if time.monotonic() + PROBE_S > deadline:
                waiting = (await self._outbox.counts()).waiting
                log.warning("%d readings are waiting in %s", waiting, self._outbox.path)
                return
            await asyncio.sleep(PROBE_S)

    async def end(self) -> None:
        """End what is under way beside the agenda; what is not sent by then waits."""
        await self._delivery.stop()
        polls = list(self._polls.values())
        for task in polls:
            task.cancel()
        await asyncio.gather(*polls, return_exceptions=True)

    def status(self, state: str, problem: str = "") -> Status:
        """Return how the run is going."""
        return Status(
            state,
            min(self.clock.schedule_s(), self._end_s),
            self._end_s,
            self._cycle,
            self._agenda.cycles,
            self._measured.copy(),
            self._delivery.acknowledged.copy(),
            self._delivery.rejected.copy(),
            self._lag_s,
            self._vtn_up and self._delivery.reachable,
            tuple(self._power_kw),
            self._events.recent,
            problem or (self._delivery.problem or self._rate.notice) * (state == "running"),
            self._delivery.retried.copy(),
            tuple(latencies(self._outbox.recent)),
        )

    @property
    def _in_step(self) -> bool:
        """Whether ticks wait for the VTN: only where nothing else paces them, while it is there."""
        return not self.clock.waits and self._delivery.reachable

    def _asking(self, kind: Kind) -> bool:
        """Tell whether a poll of this kind is under way; raises what ended any poll but the VTN."""
        for task in self._polls.values():
            if task.done():
                task.result()
        return kind in self._polls and not self._polls[kind].done()

    async def _do(self, tick: Tick, lag_s: float, handler: Handler) -> None:
        began = time.perf_counter()
        await handler(tick)
        self._note(tick, lag_s, time.perf_counter() - began)

    def _note(self, tick: Tick, lag_s: float, took_s: float | None) -> None:
        kind = tick.kind.name.lower()
        self._outbox.note_tick(TickRow(kind, tick.n, tick.at_s, lag_s, took_s, took_s is None))

    async def _polled(self, ask: Handler, tick: Tick) -> None:
        """Ask the VTN; a VTN that is away or refuses costs an answer, never the run."""
        try:
            await ask(tick)
            self._vtn_up = True
        except VtnError as error:
            self._vtn_up = error.status is not None
            log.warning("%s at %g s: %s", tick.kind.name.lower(), tick.at_s, error)

    async def _poll_events(self, _tick: Tick) -> None:
        now = self._simulator.time_of(self._simulator.index)
        await self._events.poll(self._client, now)

    async def _simulate(self, tick: Tick) -> None:
        step = self._simulator.index
        self._events.begin(step, self._simulator.time_of(step))
        self._step()
        if tick.n:
            log.info("Advanced simulation to timestamp index %d", tick.n)

    def _step(self) -> None:
        begin = self._simulator.time_of(self._simulator.index)
        self._last_kw = self._events.step(self._simulator)
        self.meter.add(self._last_kw)
        approved = self._last_kw.reshape(-1, len(END_USES))[self._roster.approved]
        self._power_kw.append((begin, approved.sum(axis=0, dtype=np.float64)))

    async def _sample(self, tick: Tick) -> None:
        sample = self.meter.read(self._roster.approved, end=self._end)
        await self.reporting.append(self._formatter, sample, tick.n, self._step_hash())
        self._outbox.note_about(wall_s=self.wall_s)
        self._count(sample, tick.n)

    def _count(self, sample: Sample, cycle: int) -> None:
        if self.reporting.asks(sample, cycle):
            there = self._ven_of_load[sample.watts >= 0]
            self._measured += np.bincount(there, minlength=len(self._measured))
        self._cycle = cycle + 1

    def _step_hash(self) -> bytes:
        return blake2b(self._last_kw.tobytes(), digest_size=16).digest()

    async def _send(self, tick: Tick) -> None:
        if self.reporting.plan.due(tick.n):  # until then more and more wait, of no VTN's doing
            self._look_at_rate()
        last = tick.n + 1 == self._agenda.cycles
        whole_s = 0.0 if last else self._config.report_every_s / self.clock.speed
        self._delivery.kick(tick.n, self._config.spread * whole_s)
        if self._in_step:
            await self._delivery.settled()

    def _look_at_rate(self) -> None:
        settled = int((self._delivery.acknowledged + self._delivery.rejected).sum())
        waiting = int(self._measured.sum()) - settled
        there = self.clock.waits and self._delivery.reachable
        self._rate.look(settled, waiting if there else 0, self.clock.speed)

    def _new_formatter(self) -> Formatter:
        vens, ids = self._roster.vens, self._roster.resource_ids
        return Formatter(self._fleet, self._client, vens, ids, self._run_id)

    async def _register_again(self, ven: int) -> None:
        """Register a VEN that the VTN lost; what is frozen from now on names its new id."""
        log.warning(
            "The VTN does not know %s any more; registering it again", self._roster.vens[ven].name
        )
        await self._again(ven)
        self._formatter = self._new_formatter()

    async def _check_status(self, _tick: Tick) -> None:
        await self._roster.read_status(self._client)

    async def _heartbeat(self, _tick: Tick) -> None:
        await self._client.greet()
        log.info("Active VENs: %d", len(self._roster.vens))

    def _say_cycle(self, sent: int) -> None:
        resources = int(self._roster.approved.sum())
        log.info("Report generation complete: %d reports sent for %d resources", sent, resources)


def _other_values(cycle: int, said: str) -> StoreError:
    return StoreError(
        f"the run cannot go on: replayed, its cycle {cycle} has other values than it kept: {said}",
        "use the version of venlab and of its data that began it, or begin a new run",
    )
