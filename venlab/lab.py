"""The timed run: a fleet registers, simulates and reports on one agenda."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from venlab import runlog
from venlab.auth import credential_of
from venlab.client import Client
from venlab.clock import Clock
from venlab.config import LabConfig, runs_folder
from venlab.embedded import EmbeddedVtn
from venlab.errors import ConfigError, RunError, VtnError
from venlab.fasttransport import FastTransport
from venlab.fleet import LOADS, Fleet
from venlab.outbox import Outbox
from venlab.player import Player, Status
from venlab.profiles import Profiles
from venlab.results import RUN_FILE, Results
from venlab.roster import Roster
from venlab.simulator import Meter, Simulator
from venlab.tasks import awake, forgive_interrupt, in_any_case, run_blocking
from venlab.transport import HttpxTransport, is_loopback
from venlab.wire import dialect

__all__ = ["Lab"]

log = logging.getLogger(__name__)

FLUSH_S = 0.5  # what an interrupt leaves for the run file
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
        self.simulator = self._new_simulator()
        self.run_id = _new_run_id()
        self.folder = Path(self.config.out_dir or Path(runs_folder(), self.run_id))
        self.vtn: EmbeddedVtn | None = None
        self.roster = Roster(
            self.fleet, prefix=self.config.name_prefix, in_flight=self.config.in_flight
        )
        self._opened = False
        self._player: Player | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._background: asyncio.Task[Results] | None = None
        self._state, self._problem = "new", ""

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
        runlog.claim(self.folder / RUN_FILE)
        self._handler = runlog.to_file(self.folder / "lab.log")
        self.fleet.to_csv(self.folder / "fleet.csv")
        self.outbox = Outbox(self.folder / RUN_FILE, durability=self.config.durability)
        self._opened = True
        try:
            async with awake(lambda: "nothing is left running; await lab.open() begins anew"):
                await self._connect()
        except BaseException:
            await in_any_case(self._release())
            (self.folder / RUN_FILE).unlink()  # it holds nothing yet; the next `open` may have it
            raise
        # As text: JSON knows no infinity.
        settings = {**self.config.public(), "speed": str(self.config.speed), "run_id": self.run_id}
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
        Repeatable: what is there is found by its name (409); an interrupted one goes on.
        """
        self._state, self._problem = "registering", ""
        try:
            async with awake(lambda: f"{self.roster.progress}; await lab.register() goes on"):
                await self.roster.register(self.client, progress)
                if self.vtn:
                    await self.roster.play_operator(self.client)
                await self.roster.read_status(self.client)
                await self.roster.enrol(self.client)
        except BaseException as error:
            self._state, self._problem = "new", str(error)
            raise
        self._state = "registered"
        approved = int(self.roster.approved.sum())
        log.info("Simulator initialized with %d approved resources", approved)

    async def run(self) -> Results:
        """Play the agenda to its end, deliver what was measured, and return the results.

        Where `start` has begun it already, a button's say, this waits for its end.

        Returns
        -------
        Results
            Of the whole run; of what there was where it was stopped or interrupted.

        Raises
        ------
        RunError
            Nobody is registered, or this lab has run before.
        """
        return await (self.wait() if self._background else self._end_of(self._begin()))

    def _begin(self) -> asyncio.Task[None]:
        self._loop = asyncio.get_running_loop()
        self._player = self._new_player()
        self._state = "running"
        # An empty context: else headless kernels lose what a task prints after its cell.
        self._work = asyncio.create_task(self._play(self._player), context=contextvars.Context())
        return self._work

    async def _end_of(self, work: asyncio.Task[None]) -> Results:
        began, stopped = time.monotonic(), False
        try:
            async with awake():
                await work
            self._state = "done"
        except asyncio.CancelledError:
            # A stop button, the kernel's or ours: what there is comes back, not a traceback.
            stopped, self._state = True, "stopped"
            forgive_interrupt()
            log.warning("Stopped; what was not sent is waiting in %s", self.folder)
        except BaseException as error:
            self._state, self._problem = "failed", str(error)
            raise
        finally:
            await in_any_case(self._end_run(time.monotonic() - began, stopped))
        return self.results

    def run_sync(self) -> Results:
        """Do all of it from a script, a plain cell or a thread, and close what this opened.

        Returns
        -------
        Results
            As `run`, read back.
        """
        return run_blocking(self._whole)

    def start(self) -> None:
        """Begin to run in the background of the running loop; `wait` gives the results.

        Raises
        ------
        RunError
            Nobody is registered, or this lab has run before or is running.
        """
        if self._background:
            raise RunError(f"{self.run_id} was started already", "await lab.wait() for its results")
        self._background = asyncio.create_task(
            self._end_of(self._begin()), name="venlab-run", context=contextvars.Context()
        )

    async def wait(self) -> Results:
        """Wait for what `start` began and return its results, or raise what ended it."""
        if self._background is None:
            raise RunError("nothing was started", "call lab.start() first")
        async with awake():
            return await self._background

    def stop(self) -> None:
        """End the run now; may be called from any thread, and when nothing runs."""
        if self._loop and self._work and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._work.cancel)

    @property
    def clock(self) -> Clock:
        """The run's clock: its speed and pause may be set while it runs, from any thread."""
        if self._player is None:
            raise RunError("nothing runs yet", "await lab.run() or call lab.start() first")
        return self._player.clock

    @property
    def status(self) -> Status:
        """How it is going, cheap enough to ask twice a second."""
        if self._player is None:
            return Status(self._state, problem=self._problem)
        state = "paused" if self._state == "running" and self.clock.paused else self._state
        return self._player.status(state, self._problem)

    async def read_back(self) -> Results:
        """Ask the VTN what it holds of this run, and keep its answer beside ours."""
        self._note_about(read_back=False)  # what was heard before says nothing of now
        await self.outbox.keep_heard((), anew=True)
        try:
            again = awake(lambda: "await lab.read_back() asks again")
            async with again, aclosing(self.client.heard(self.run_id)) as pages:
                async for page in pages:
                    await self.outbox.keep_heard(page, anew=False)
            self._note_about(read_back=True)
        except VtnError as error:
            log.warning("The VTN was not read back: %s", error)
        await self.outbox.flush()
        return self.results

    async def close(self) -> Results:
        """End what was started, write the tables of the run folder, and close what is open."""
        if self._background:
            self.stop()
            await asyncio.wait([self._background])  # what ended it is for `wait` to raise
        if self._opened:
            try:
                await self.outbox.flush()
            finally:
                await in_any_case(self._release())
            if "wall_s" in self.results.about:
                await asyncio.to_thread(self.results.save)
        return self.results

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
        url = self.config.vtn_url
        if not url:
            self.vtn = EmbeddedVtn(self.folder)
            await self.vtn.start()
            url = self.vtn.flat_url
            log.info("Embedded VTN is up at %s", url)
        transport = FastTransport if self.config.transport == "fast" else HttpxTransport
        credential = self.vtn.credential if self.vtn else credential_of(self.config, transport)
        carrier = transport(url, in_flight=self.config.in_flight, timeout_s=self.config.timeout_s)
        self.url = url
        self.client = Client(
            carrier, dialect(self.config.dialect), credential, self.outbox.note_attempt
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

    # -- running ------------------------------------------------------------------------------

    def _new_simulator(self) -> Simulator:
        config, profiles = self.config, Profiles.load()
        self.starts_at = start = config.start_utc()
        return Simulator(self.fleet, profiles, seed=config.seed, start=start, step_min=config.step)

    def _new_player(self) -> Player:
        if not self.roster.complete:
            raise RunError("not everybody is registered", "await lab.register() first")
        if self._player:
            raise RunError(f"{self.run_id} was played already", "make a new Lab for another run")
        if self.config.realtime:  # now is when it runs, not when the lab was made
            self.simulator = self._new_simulator()
        return Player(
            self.config,
            fleet=self.fleet,
            simulator=self.simulator,
            roster=self.roster,
            client=self.client,
            outbox=self.outbox,
            run_id=self.run_id,
        )

    async def _play(self, player: Player) -> None:
        await player.play()
        await player.drain(self.config.drain_s)

    async def _end_run(self, wall_s: float, stopped: bool) -> None:
        assert self._player
        await self._player.end()
        self._note_facts(self._player.meter, wall_s, stopped)
        with suppress(TimeoutError):  # a slow disk: the file's own thread writes on
            await asyncio.wait_for(self.outbox.flush(), FLUSH_S if stopped else None)

    async def _whole(self) -> Results:
        opened_here = not self._opened
        if opened_here:
            await self.open()
        try:
            if not self.roster.complete:
                await self.register()
            await self._end_of(self._begin())
            return await self.read_back()
        finally:
            if opened_here:
                await self.close()

    # -- what is kept -------------------------------------------------------------------------

    def _note_about(self, **facts: object) -> None:
        self.outbox.note_about(**{k: json.dumps(v, default=str) for k, v in facts.items()})

    def _note_facts(self, meter: Meter, wall_s: float, stopped: bool) -> None:
        approved = int(self.roster.approved.sum())
        self._note_about(
            run_id=self.run_id,
            vens=len(self.roster.vens),
            resources=approved,
            loads=approved * len(LOADS),
            measured=meter.measured,
            measured_watt_s=meter.measured_ws,
            wall_s=round(wall_s, 3),
            dialect=self.config.dialect,
            transport=self.config.transport,
            vtn_url=self.url,
            seed=self.config.seed,
            speed=str(self.config.speed),
            start=self.starts_at.isoformat(),
            stopped=stopped,
        )


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


def _new_run_id() -> str:
    """Return a name no other run has, at whichever VTN."""
    return f"run-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
