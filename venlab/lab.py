"""The timed run: a fleet registers, simulates and reports on one agenda."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, AsyncExitStack, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

from venlab import opening, resume, runlog
from venlab.clock import Clock
from venlab.config import LabConfig
from venlab.embedded import EmbeddedVtn
from venlab.errors import RunError, StoreError
from venlab.fleet import Fleet
from venlab.history import History
from venlab.link import Link
from venlab.opting import Policy
from venlab.outbox import Outbox
from venlab.player import Player, Status
from venlab.profiles import Profiles
from venlab.results import RUN_FILE, Results
from venlab.roster import Roster
from venlab.tasks import awake, forgive_interrupt, in_any_case, run_blocking
from venlab.upload import Progress, Uploaded

__all__ = ["Lab"]

log = logging.getLogger(__name__)
FLUSH_S = 0.5  # what an interrupt leaves for the run file


class Lab:
    """One run of a fleet against a VTN.

    Parameters
    ----------
    config : LabConfig, optional
        From `params`; every setting has a default.
    fleet : Fleet, optional
        Which to play; else the one that `config` names.
    wall : Clock, optional
        What retries, probes and rate limits go by; a test may hurry it.

    Attributes
    ----------
    policy : Policy, optional
        Who takes part in an event, in place of the probabilities of the table of flexibility.

    Notes
    -----
    `open`, `register`, `run`, `read_back` and `close` are awaited in this order, in the caller's
    running loop; ``async with`` opens and closes.

    Examples
    --------
    >>> async with Lab(params(vens=3)) as lab:  # doctest: +SKIP
    ...     await lab.register()
    ...     results = await lab.run()
    """

    def __init__(
        self, config: LabConfig | None = None, fleet: Fleet | None = None, wall: Clock | None = None
    ) -> None:
        self.config = config or LabConfig.load()
        opening.guard(self.config)
        kept = resume.kept_settings(self.config.out_dir) if self.config.resume else {}
        resume.must_be_the_same(self.config, kept)
        self.fleet = fleet or opening.fleet_of(self.config)
        self.run_id = kept.get("run_id") or opening.new_run_id()
        self.folder = Path(self.config.out_dir or Path(runlog.runs_folder(), self.run_id))
        self._tables = self.fleet, Profiles.load()
        self.simulator = opening.simulator_of(self.config, *self._tables)
        self._wall = wall or Clock(1.0)
        self.roster = Roster(
            self.fleet,
            prefix=self.config.name_prefix,
            in_flight=self.config.in_flight,
            patience=opening.patience(self.config, self._wall),
            rated_kw=self.simulator.rated_kw,
        )
        self.policy: Policy | None = None
        self._opened = False
        self._player: Player | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._work: asyncio.Task[None] | None = None
        self._background: asyncio.Task[Results] | None = None
        self._state, self._problem = "new", ""
        self._said: AbstractContextManager[object] = nullcontext()

    async def open(self) -> Lab:
        """Make the run folder, start the embedded VTN where none is named, and greet it.

        Raises
        ------
        StoreError
            The folder cannot be written, or holds another run.
        NoAnswer, NotAVtn, AccessDenied
            What is at `vtn_url` cannot be used.
        """
        new, run_file = not self.config.resume, self.folder / RUN_FILE
        stack = AsyncExitStack()
        await stack.enter_async_context(runlog.held(run_file, resume=not new))
        try:
            if new:  # from here on it can be gone on with
                opening.keep_tables(self.config, *self._tables, self.folder)
                resume.write_settings(self.folder, self.config, self.run_id)
            self.outbox = Outbox(run_file, durability=self.config.durability)
            stack.callback(self.outbox.close)
            self._link = Link(self.config, self.folder, self.outbox.note_attempt, self._wall)
            stack.push_async_callback(self._link.close)
            self._before = await self.outbox.about()
            async with awake(lambda: "nothing is left running; await lab.open() begins anew"):
                await self._link.open()
            if not new:  # what is other now proved right, and is so the next time
                resume.write_settings(self.folder, self.config, self.run_id)
            self.client, self.url = self._link.client, self._link.url
        except BaseException:
            await in_any_case(stack.aclose())
            if new:
                run_file.unlink(missing_ok=True)  # it holds nothing; the next `open` may have it
            raise
        self._held, self._opened = stack, True
        return self

    async def register(self, progress: Progress = lambda *_: None) -> None:
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
                goes_on = "start" in self._before
                await self._link.register(self.roster, progress, goes_on=goes_on)
        except BaseException as error:
            self._state, self._problem = "new", str(error)
            raise
        self._state = "registered"

    async def upload(self, history: History, progress: Progress = lambda *_: None) -> Uploaded:
        """Send the fleet's past, once everybody is registered; see `Upload`.

        Parameters
        ----------
        history : History
            Of this lab's fleet. Interrupted or killed, the next call goes on where it was.
        progress : callable, optional
            Called with how many readings are settled, and of how many.
        """
        self.roster.must_be_complete()
        async with awake(lambda: "await lab.upload(history) goes on"):
            return await self._link.upload(history, self.roster, self.run_id, progress)

    @classmethod
    def resume(cls, folder: str | Path, **changes: Any) -> Lab:
        """Return the lab of a run that was broken off, to be opened, registered and run as ever.

        Parameters
        ----------
        folder : path
            The run's.
        **changes
            Settings that are other now: of VTN, delivery and speed.

        Raises
        ------
        StoreError, ConfigError
            The folder holds no run, a change would give it other values, or a secret is missing.

        Notes
        -----
        What was measured is replayed and compared, what waits is delivered, and simulated time
        goes on where the run file ends. VENs and resources are found by their names.
        """
        return cls(resume.config_of(folder, changes))

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
            Nobody is registered, or it has run before.
        """
        return await (self.wait() if self._background else self._end_of(self._begin()))

    def _begin(self) -> asyncio.Task[None]:
        self._loop = asyncio.get_running_loop()
        self._player = self._new_player()
        told = opening.facts(self.config, self.roster, self.client, self.url, self.simulator)
        self.outbox.note_about(run_id=self.run_id, **told)
        self._state = "running"
        # An empty context: else headless kernels lose what a task prints after its cell.
        self._work = asyncio.create_task(self._play(self._player), context=contextvars.Context())
        return self._work

    async def _end_of(self, work: asyncio.Task[None]) -> Results:
        stopped = False
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
            self._said = suppress(StoreError)  # a disk that is full is not told twice
            raise
        finally:
            await in_any_case(self._end_run(stopped))
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
    def vtn(self) -> EmbeddedVtn | None:
        """The embedded VTN, where the run has one, while the lab is open."""
        return self._link.vtn if self._opened else None

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
        async with awake(lambda: "await lab.read_back() asks again"):
            await self._link.read_back(self.run_id, self.outbox)
        return self.results

    async def resend(
        self,
        names: Iterable[str] | None = None,
        repair: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> Results:
        """Send again what was rejected, or acknowledged and then not heard when it was read back.

        Parameters
        ----------
        names : iterable of str, optional
            Which reports, as `results.rejected` names them; else all.
        repair : callable, optional
            Given each report, as the VTN would read it, returns the one to send instead.
        """
        again = await self.outbox.resend(names, opening.repairing(repair) if repair else None)
        log.info("%d reports are sent again", again)
        async with awake(lambda: "what is not sent waits; await lab.resend() goes on"):
            player = self._player or self._new_player()
            await player.send_again(self.config.drain_s, lambda: self._state == "running")
        return self.results

    async def close(self) -> Results:
        """End what was started, write the tables of the run folder, and close what is open."""
        if self._background:
            self.stop()
            await asyncio.wait([self._background])  # what ended it is for `wait` to raise
        if self._opened:
            with self._said:
                try:
                    await self.outbox.flush()
                finally:
                    self._opened = False
                    await in_any_case(self._held.aclose())
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

    def _new_player(self) -> Player:
        self.roster.must_be_complete()
        if self._player:
            raise RunError(f"{self.run_id} was played already", "make a new Lab for another run")
        if began := self._before.get("start"):
            self.simulator = opening.simulator_of(self.config, *self._tables, began)
        elif self.config.realtime:  # now is when it runs, not when the lab was made
            self.simulator = opening.simulator_of(self.config, *self._tables)
        return Player(
            self.config,
            fleet=self.fleet,
            simulator=self.simulator,
            responder=opening.responder_of(self.config, *self._tables, self.folder, self.policy),
            roster=self.roster,
            client=self.client,
            outbox=self.outbox,
            run_id=self.run_id,
            wall=self._wall,
            register_again=partial(self._link.register_again, self.roster),
            played_s=self._before.get("wall_s", 0.0),
        )

    async def _play(self, player: Player) -> None:
        await player.catch_up()
        # What the end of an earlier play said is not so any more.
        self.outbox.note_about(measured=None, measured_watt_s=None, stopped=None, read_back=None)
        await self._link.misbehave()
        await player.play()
        await player.drain(self.config.drain_s)

    async def _end_run(self, stopped: bool) -> None:
        assert self._player
        await self._player.end()
        if self._player.caught_up:  # else what the run file holds was not replayed to its end
            self.outbox.note_about(**self._player.reporting.counted(self._player.meter))
        promise = opening.promise(self.client)  # as its last heartbeat said
        self.outbox.note_about(wall_s=self._player.wall_s, stopped=stopped, delivered=promise)
        with self._said, suppress(TimeoutError):  # a slow disk: its own thread writes on
            await asyncio.wait_for(self.outbox.flush(), FLUSH_S if stopped else None)

    async def _whole(self) -> Results:
        opened_here = not self._opened
        if opened_here:
            await self.open()
        try:
            if not self.roster.complete:
                await self.register()
            await self._end_of(self._begin())
            with suppress(asyncio.CancelledError):  # stopped again: what there is comes back
                return await self.read_back()
            forgive_interrupt()
            return self.results
        finally:
            if opened_here:
                await self.close()
