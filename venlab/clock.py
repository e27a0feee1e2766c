"""Time of a run: a clock with a speed, and the one agenda that is played at every speed."""

from __future__ import annotations

import asyncio
import enum
import heapq
import math
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from venlab.errors import ConfigError

__all__ = ["Agenda", "Clock", "Kind", "Tick"]

WAKE_S = 0.2
"""Longest sleep at a stretch [s]: what a new speed, a pause or an interrupt waits for."""


class Kind(enum.IntEnum):
    """What a tick does; at the same schedule time the smaller goes first."""

    EVENTS = 0
    SIMULATE = 1
    SAMPLE = 2
    SEND = 3
    STATUS = 4
    HEARTBEAT = 5

    @property
    def may_be_skipped(self) -> bool:
        """Whether a late tick is left out: asking twice in a row tells nothing new."""
        return self in (Kind.EVENTS, Kind.STATUS, Kind.HEARTBEAT)


@dataclass(frozen=True, slots=True, order=True)
class Tick:
    """The n-th tick of its kind, due at `at_us` [µs of schedule time]."""

    at_us: int
    kind: Kind
    n: int

    @property
    def at_s(self) -> float:
        """When it is due [schedule s]."""
        return self.at_us / 1e6


class Clock:
    """Wall time seen as schedule time: deadlines are absolute, so nothing drifts.

    Parameters
    ----------
    speed : float
        Schedule seconds per wall second; ``inf`` never waits.
    now : callable, optional
        Monotonic wall time [s].
    sleep : callable, optional
        Awaited to let wall time pass [s].

    Notes
    -----
    Speed and pause move the origin, never a deadline that has passed, so no tick is due twice.
    Both may be set from any thread.
    """

    def __init__(
        self,
        speed: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._speed = speed
        self._now = now
        self._sleep = sleep
        self._origin = now()
        self._reached_s = 0.0
        self._paused = False
        self._lock = threading.RLock()  # origin and what was reached there belong together

    def begin(self, at_s: float = 0.0) -> None:
        """Let schedule time be at 0, or where a run goes on, now."""
        self._origin, self._reached_s = self._now(), at_s

    @property
    def paused(self) -> bool:
        """Whether schedule time stands still."""
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        with self._lock:
            self._reached_s = self.schedule_s()
            self._origin = self._now()
            self._paused = paused

    @property
    def speed(self) -> float:
        """Schedule seconds per wall second."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if not speed > 0:
            raise ConfigError(f"speed is {speed:g}, it must be above 0", "use 1, 60 or inf")
        with self._lock:
            self._reached_s = self.schedule_s()
            self._origin = self._now()
            self._speed = speed

    @property
    def waits(self) -> bool:
        """Whether wall time matters at all."""
        return not math.isinf(self._speed)

    def schedule_s(self) -> float:
        """Return where the schedule is now [schedule s]; where nothing waits, the last tick."""
        with self._lock:
            if self._paused or not self.waits:
                return self._reached_s
            return self._reached_s + (self._now() - self._origin) * self._speed

    def lag_s(self, at_s: float) -> float:
        """Return how late a tick due at `at_s` would begin now [wall s], 0 where nothing waits."""
        if not self.waits:
            return 0.0
        return max(0.0, (self.schedule_s() - at_s) / self._speed)

    async def until(self, at_s: float) -> float:
        """Wait for a schedule time, in short sleeps so that a new speed or a pause is seen at once.

        Returns
        -------
        float
            The lag: how late it is [wall s].
        """
        while self._paused or self.waits:
            ahead_s = (at_s - self.schedule_s()) / self._speed
            if ahead_s <= 0 and not self._paused:
                return self.lag_s(at_s)
            await self._sleep(WAKE_S if self._paused else min(ahead_s, WAKE_S))
        with self._lock:
            self._reached_s = max(self._reached_s, at_s)
        await self._sleep(0)  # let deliveries and an interrupt have their turn
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Wait for so long [schedule s]."""
        await self.until(self.schedule_s() + seconds)


class Agenda:
    """All ticks of a run in the order of schedule time, the same at every speed.

    Parameters
    ----------
    every_s : mapping
        Interval of each kind [schedule s]; SEND follows each SAMPLE and needs none.
    end_s : float
        When the run ends [schedule s].

    Notes
    -----
    SIMULATE and the polls fall in [0, end), SAMPLE at the end of each interval: in (0, end], with
    one at the end itself, so that the last interval of a run is flushed even where it is shorter.

    Examples
    --------
    >>> agenda = Agenda({Kind.SIMULATE: 30, Kind.SAMPLE: 15}, end_s=30)
    >>> [(tick.kind.name, tick.at_s) for tick in agenda.ticks()][:3]
    [('SIMULATE', 0.0), ('SAMPLE', 15.0), ('SEND', 15.0)]
    """

    def __init__(self, every_s: Mapping[Kind, float], end_s: float) -> None:
        self._every_us = {kind: round(s * 1e6) for kind, s in every_s.items()}
        self._end_us = round(end_s * 1e6)

    @property
    def cycles(self) -> int:
        """How many report cycles the run has."""
        return -(-self._end_us // self._every_us[Kind.SAMPLE])

    def ticks(self) -> Iterator[Tick]:
        """Yield every tick in order."""
        lanes = [self._lane(kind) for kind in self._every_us if kind is not Kind.SAMPLE]
        yield from heapq.merge(*lanes, self._samples(Kind.SAMPLE), self._samples(Kind.SEND))

    def _lane(self, kind: Kind) -> Iterator[Tick]:
        for n, at_us in enumerate(range(0, self._end_us, self._every_us[kind])):
            yield Tick(at_us, kind, n)

    def _samples(self, kind: Kind) -> Iterator[Tick]:
        every_us = self._every_us[Kind.SAMPLE]
        for n in range(self.cycles):
            yield Tick(min((n + 1) * every_us, self._end_us), kind, n)

    async def play(
        self, clock: Clock, ticks: Iterable[Tick]
    ) -> AsyncGenerator[tuple[Tick, float, bool]]:
        """Yield each of the ticks when it is due, to the end.

        Yields
        ------
        tuple of (Tick, float, bool)
            The tick, its lag [wall s], and whether it is to be skipped: a poll so late that the
            next one of its kind is due already. SIMULATE, SAMPLE and SEND are caught up instead.
        """
        for tick in ticks:
            lag_s = await clock.until(tick.at_s)
            late_us = lag_s * clock.speed * 1e6 if clock.waits else 0.0
            skip = tick.kind.may_be_skipped and late_us >= self._every_us[tick.kind]
            yield tick, lag_s, skip
