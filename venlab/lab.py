"""The timed run: a fleet registers, simulates and reports on one agenda."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from venlab import runlog
from venlab.client import Client
from venlab.clock import Agenda, Clock, Kind, Tick
from venlab.config import LabConfig
from venlab.delivery import Delivery
from venlab.embedded import EmbeddedVtn
from venlab.errors import ConfigError, NoAnswer, Refused, RunError, StoreError, VtnError
from venlab.eventwatch import EventWatch
from venlab.fleet import LOADS, Fleet
from venlab.outbox import Outbox, TickRow
from venlab.profiles import Profiles
from venlab.report import Formatter
from venlab.results import RUN_FILE, Results
from venlab.roster import Roster
from venlab.simulator import Meter, Simulator
from venlab.transport import HttpxTransport, is_loopback
from venlab.wire import dialect

__all__ = ["Lab"]

log = logging.getLogger(__name__)

FLUSH_S = 0.5  # what an interrupt leaves for the run file
PROBE_S = 0.5  # wait between two looks at a VTN that is away while a run drains
PROGRAM = "venlab"


class Lab:
    """One run of a fleet against a VTN.

    Parameters
    ----------
    config : LabConfig, optional
        From `params`; every setting has a default.
    fleet : Fleet, optional
        Which to play; else the one that `config` names.

    Notes
    -----
    `open`, `register`, `run`, `read_back` and `close` are awaited in this order; ``async with``
    opens and closes. All of them use the caller's running loop.

    Examples
    --------
    >>> async with Lab(params(vens=3)) as lab:  # doctest: +SKIP
    ...     await lab.register()
    ...     results = await lab.run()
    """

    def __init__(self, config: LabConfig | None = None, fleet: Fleet | None = None) -> None:
        self.config = config or LabConfig.load()
        _guard(self.config)
        self.fleet = fleet or _fleet_of(self.config)
        self.start = self.config.start_utc()
        self.simulator = Simulator(
            self.fleet,
            Profiles.load(),
            seed=self.config.seed,
            start=self.start,
            step_min=self.config.step,
        )
        self.run_id = _run_id(self.config)
        self.folder = Path(self.config.out_dir or Path("runs", self.run_id))
        self.clock = Clock(self.config.speed)
        self.vtn: EmbeddedVtn | None = None
        self.roster = Roster(
            self.fleet, prefix=self.config.name_prefix, in_flight=self.config.in_flight
        )
        self._watch = EventWatch()
        self._polls: dict[Kind, asyncio.Task[None]] = {}
        self._opened = False

    # -- one after the other, each in its own cell ------------------------------------------------

    async def open(self) -> Lab:
        """Make the run folder, start the embedded VTN where none is named, and greet it.

        Raises
        ------
        StoreError
            The folder cannot be written, or holds another run.
        NoAnswer, NotAVtn, AccessDenied
            What is at `vtn_url` cannot be used.
        """
        _make_folder(self.folder)
        self._handler = runlog.to_file(self.folder / "lab.log")
        self.fleet.to_csv(self.folder / "fleet.csv")
        self.outbox = Outbox(self.folder / RUN_FILE, durability=self.config.durability)
        self._opened = True
        try:
            await self._connect()
        except BaseException:
            await self._release()
            raise
        settings = {**self.config.public(), "run_id": self.run_id}
        text = json.dumps(settings, indent=2, default=str, ensure_ascii=False)
        (self.folder / "params.json").write_text(text + "\n", encoding="utf-8")
        return self

    async def register(self, progress: Callable[[int, int], None] = lambda *_: None) -> None:
        """Register VENs and resources, learn which are approved, and enrol those in programs.

        Parameters
        ----------
        progress : callable, optional
            Called with how many resources are registered, and of how many.

        Notes
        -----
        Repeatable: what is there already is found by its name (409), not made twice.
        """
        await self.roster.register(self.client, progress)
        if self.vtn:
            await self.roster.play_operator(self.client)
        await self.roster.read_status(self.client)
        await self.roster.enrol(self.client)
        approved = int(self.roster.approved.sum())
        log.info("Simulator initialized with %d approved resources", approved)

    async def run(self) -> Results:
        """Play the agenda to its end, deliver what was measured, and return the results.

        Returns
        -------
        Results
            Of the whole run; of what there was where it was stopped or interrupted.
        """
        if not self.roster.vens:
            raise RunError("nobody is registered", "await lab.register() first")
        if self.simulator.index:
            raise RunError(f"{self.run_id} was played already", "make a new Lab for another run")
        self._meter = Meter(self.start, self.config.step, self.config.interval_min)
        self._formatter = Formatter(
            self.fleet, self.client.dialect, self.roster.vens, self.roster.resource_ids, self.run_id
        )
        self._delivery = Delivery(
            self.outbox,
            self.client,
            self.roster.vens,
            tries=self.config.tries,
            in_flight=self.config.in_flight,
            on_cycle=self._say_cycle,
        )
        self.clock = Clock(self.config.speed)
        began, stopped = time.monotonic(), False
        try:
            await self._play()
            stopped = self.clock.stopped
            await self._drain()
        except asyncio.CancelledError:
            # A kernel's stop button: what there is comes back instead of a traceback.
            stopped = True
            if task := asyncio.current_task():
                task.uncancel()
            log.warning("Interrupted; what was not sent is waiting in %s", self.folder)
        finally:
            await self._stop_tasks()
            self._note_facts(time.monotonic() - began, stopped)
            async with asyncio.timeout(FLUSH_S if stopped else None):
                await self.outbox.flush()
        return self.results

    async def read_back(self) -> Results:
        """Ask the VTN what it holds of this run, and keep its answer beside ours."""
        try:
            anew = True
            async for page in self.client.heard(self.run_id):
                await self.outbox.keep_heard(page, anew=anew)
                anew = False
            self._note_about(read_back=True)
        except Refused as error:
            log.warning("The VTN cannot be read back: %s", error)
        except NoAnswer as error:
            log.warning("The VTN was not read back: %s", error)
        await self.outbox.flush()
        return self.results

    async def close(self) -> Results:
        """Write the tables of the run folder, end the embedded VTN and close what is open."""
        if self._opened:
            await self.outbox.flush()
            await self._release()
            if "wall_s" in self.results.about:
                await asyncio.to_thread(self.results.save)
        return self.results

    def stop(self) -> None:
        """End the run after the tick that is on; may be called from any thread."""
        self.clock.stop()

    @property
    def results(self) -> Results:
        """What the run folder tells so far."""
        return Results(self.folder)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # -- opening and closing ------------------------------------------------------------------

    async def _connect(self) -> None:
        credential = self.config.token
        url = self.config.vtn_url
        if not url:
            self.vtn = EmbeddedVtn(self.folder)
            await self.vtn.start()
            url, credential = self.vtn.flat_url, self.vtn.credential
            log.info("Embedded VTN is up at %s", url)
        transport = HttpxTransport(
            url, in_flight=self.config.in_flight, timeout_s=self.config.timeout_s
        )
        self.url = url
        self.client = Client(
            transport, dialect(self.config.dialect), credential, self.outbox.note_attempt
        )
        await self.client.greet()
        if self.vtn:
            await self.client.create_program(PROGRAM)

    async def _release(self) -> None:
        if hasattr(self, "client"):
            await self.client.close()
        if self.vtn:
            await self.vtn.stop()
        self.outbox.close()
        runlog.close(self._handler)
        self._opened = False

    # -- the agenda ---------------------------------------------------------------------------

    async def _play(self) -> None:
        c = self.config
        agenda = Agenda(
            {
                Kind.EVENTS: c.events_every_s,
                Kind.SIMULATE: c.simulate_every_s,
                Kind.SAMPLE: c.report_every_s,
                Kind.STATUS: c.status_every_s,
                Kind.HEARTBEAT: c.heartbeat_every_s,
            },
            end_s=c.steps * c.simulate_every_s,
        )
        self._end = self.simulator.time_of(c.steps)
        handlers: dict[Kind, Callable[[Tick], Awaitable[None]]] = {
            Kind.EVENTS: self._poll_events,
            Kind.SIMULATE: self._simulate,
            Kind.SAMPLE: self._sample,
            Kind.SEND: self._send,
            Kind.STATUS: self._check_status,
            Kind.HEARTBEAT: self._heartbeat,
        }
        async for tick, lag_s, skip in agenda.play(self.clock):
            running = self._polls.get(tick.kind)
            skipped = skip or (running is not None and not running.done())
            began = time.perf_counter()
            if not skipped:
                await self._begin(tick, handlers[tick.kind])
            took_s = None if skipped else time.perf_counter() - began
            self.outbox.note_tick(
                TickRow(tick.kind.name.lower(), tick.n, tick.at_s, lag_s, took_s, skipped)
            )

    async def _begin(self, tick: Tick, handler: Callable[[Tick], Awaitable[None]]) -> None:
        """Await what a tick does; a poll at a finite speed goes beside, so nothing waits for it."""
        if not tick.kind.may_be_skipped:
            await handler(tick)
        elif self.clock.waits:
            self._polls[tick.kind] = asyncio.ensure_future(self._polled(tick, handler))
        else:
            await self._polled(tick, handler)

    async def _polled(self, tick: Tick, handler: Callable[[Tick], Awaitable[None]]) -> None:
        """Ask the VTN; a VTN that is away or refuses costs an answer, never the run."""
        try:
            await handler(tick)
        except VtnError as error:
            log.warning("%s at %g s: %s", tick.kind.name.lower(), tick.at_s, error)

    async def _poll_events(self, _tick: Tick) -> None:
        await self._watch.poll(self.client, self.roster.vens)

    async def _simulate(self, tick: Tick) -> None:
        for event in self._watch.take():
            self.outbox.note_event(self.simulator.index, event)
        self._meter.add(self.simulator.step())
        if tick.n:
            log.info("Advanced simulation to timestamp index %d", tick.n)

    async def _sample(self, tick: Tick) -> None:
        sample = self._meter.read(self.roster.approved, end=self._end)
        row, frozen = self._formatter.freeze(sample, tick.n)
        await self.outbox.append(row, frozen)

    async def _send(self, _tick: Tick) -> None:
        self._delivery.kick()
        if not self.clock.waits:
            await self._delivery.settled()

    async def _check_status(self, _tick: Tick) -> None:
        await self.roster.read_status(self.client)

    async def _heartbeat(self, _tick: Tick) -> None:
        await self.client.greet()
        log.info("Active VENs: %d", len(self.roster.vens))

    async def _drain(self) -> None:
        """Send what waits, for at most `drain_s`; then say what is left."""
        deadline = time.monotonic() + self.config.drain_s
        while True:
            self._delivery.kick()
            left_s = max(0.0, deadline - time.monotonic())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._delivery.settled(), left_s)
            waiting = (await self.outbox.counts()).waiting
            if not waiting:
                return
            if time.monotonic() + PROBE_S > deadline:
                log.warning("%d readings are waiting in %s", waiting, self.folder)
                return
            await asyncio.sleep(PROBE_S)

    async def _stop_tasks(self) -> None:
        await self._delivery.stop()
        polls = [task for task in self._polls.values() if not task.done()]
        for task in polls:
            task.cancel()
        await asyncio.gather(*self._polls.values(), return_exceptions=True)

    # -- what is kept -------------------------------------------------------------------------

    def _note_about(self, **facts: object) -> None:
        self.outbox.note_about(**{k: json.dumps(v, default=str) for k, v in facts.items()})

    def _note_facts(self, wall_s: float, stopped: bool) -> None:
        approved = int(self.roster.approved.sum())
        self._note_about(
            run_id=self.run_id,
            vens=len(self.roster.vens),
            resources=approved,
            loads=approved * len(LOADS),
            measured=self._meter.measured,
            measured_watt_s=self._meter.measured_ws,
            wall_s=round(wall_s, 3),
            dialect=self.config.dialect,
            transport=self.config.transport,
            vtn_url=self.url,
            seed=self.config.seed,
            speed=str(self.config.speed),
            start=self.start.isoformat(),
            stopped=stopped,
        )

    def _say_cycle(self, sent: int) -> None:
        resources = int(self.roster.approved.sum())
        log.info("Report generation complete: %d reports sent for %d resources", sent, resources)


def _guard(config: LabConfig) -> None:
    """Refuse to create things on somebody else's VTN unless that was said to be right."""
    if config.vtn_url and not (config.allow_writes or is_loopback(config.vtn_url)):
        raise ConfigError(
            f"{config.vtn_url} is not on this machine, and a run creates VENs and reports there",
            "set allow_writes = true in lab.toml if its owner agrees",
        )


def _fleet_of(config: LabConfig) -> Fleet:
    if config.fleet_csv:
        fleet = Fleet.from_csv(config.fleet_csv)
    else:
        fleet = (Fleet.reference if config.vens <= 10 else Fleet.full)(config.seed)
    return fleet.only(min(config.vens, fleet.n_vens))


def _run_id(config: LabConfig) -> str:
    """Return a name no other run has; the run folder's own, where one is given."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return Path(config.out_dir).name or f"run-{stamp}-{secrets.token_hex(2)}"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RUN_FILE).touch(exist_ok=False)
    except FileExistsError:
        raise StoreError(f"{folder} holds a run already", "choose another out_dir") from None
    except OSError as error:
        raise StoreError(
            f"cannot write to {folder}: {error.strerror}", "choose another out_dir"
        ) from None
