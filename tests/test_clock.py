"""The clock and the agenda."""

import math
import threading
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venlab.clock import WAKE_S, Agenda, Clock, Kind, Tick
from venlab.errors import ConfigError


class Wall:
    """Wall time that passes when it is told to, a little late each time."""

    def __init__(self, late_s: float = 0.0) -> None:
        self.now_s = 1000.0
        self.late_s = late_s
        self.sleeps: list[float] = []

    def now(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_s += seconds + self.late_s

    def clock(self, speed: float) -> Clock:
        return Clock(speed, self.now, self.sleep)


EVERY_S = {
    Kind.EVENTS: 15.0,
    Kind.SIMULATE: 30.0,
    Kind.SAMPLE: 15.0,
    Kind.STATUS: 300.0,
    Kind.HEARTBEAT: 300.0,
}


def order(agenda: Agenda, at_s: float) -> list[str]:
    return [tick.kind.name for tick in agenda.ticks() if tick.at_s == at_s]


async def played(agenda: Agenda, clock: Clock) -> list[tuple[Tick, float, bool]]:
    async with aclosing(agenda.play(clock, agenda.ticks())) as ticks:
        return [each async for each in ticks]


def test_ties_go_events_simulate_sample_send() -> None:
    """At one schedule time what a tick needs has gone before it."""
    agenda = Agenda(EVERY_S, end_s=360)
    assert order(agenda, 30) == ["EVENTS", "SIMULATE", "SAMPLE", "SEND"]
    assert order(agenda, 300) == ["EVENTS", "SIMULATE", "SAMPLE", "SEND", "STATUS", "HEARTBEAT"]


def test_three_simulated_hours_are_24_cycles() -> None:
    """12 steps every 30 s with a report every 15 s: 24 samples, the last at the end itself."""
    agenda = Agenda(EVERY_S, end_s=360)
    ticks = list(agenda.ticks())
    assert sum(t.kind is Kind.SIMULATE for t in ticks) == 12
    assert [t.at_s for t in ticks if t.kind is Kind.SAMPLE] == [15 * n for n in range(1, 25)]
    assert [t.kind.name for t in ticks if t.at_s == 360] == ["SAMPLE", "SEND"]
    assert agenda.cycles == 24


def test_a_shorter_last_interval_is_flushed() -> None:
    """Five steps with a report every other one: three samples, the last of half an interval."""
    agenda = Agenda({Kind.SIMULATE: 30, Kind.SAMPLE: 60}, end_s=150)
    assert [t.at_s for t in agenda.ticks() if t.kind is Kind.SAMPLE] == [60, 120, 150]
    assert agenda.cycles == 3


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.1, 500).map(lambda s: round(s, 2)))
def test_every_agenda_is_ordered_and_complete(simulate: int, sample: int, end_s: float) -> None:
    """Ticks come in order, each once; samples cover the run without a gap."""
    agenda = Agenda({Kind.SIMULATE: simulate / 4, Kind.SAMPLE: sample / 4}, end_s)
    ticks = list(agenda.ticks())
    assert ticks == sorted(set(ticks))
    samples = [t.at_us for t in ticks if t.kind is Kind.SAMPLE]
    assert samples[-1] == round(end_s * 1e6)
    assert len(samples) == agenda.cycles
    widths = [b - a for a, b in zip([0, *samples], samples, strict=False)]
    assert all(w == round(sample / 4 * 1e6) for w in widths[:-1])
    assert 0 < widths[-1] <= round(sample / 4 * 1e6)


@pytest.mark.parametrize("speed", [1, 60, 0.5])
async def test_deadlines_are_absolute(speed: float) -> None:
    """Sleeps that each end 7 ms late add up to nothing: a hundred ticks later it is 7 ms still."""
    wall = Wall(late_s=0.007)
    clock = wall.clock(speed)
    ticks = await played(Agenda({Kind.SIMULATE: 30, Kind.SAMPLE: 30}, end_s=3000), clock)
    assert len(ticks) == 300
    assert max(lag for _, lag, _ in ticks) == pytest.approx(0.007)
    assert wall.now_s - 1000 == pytest.approx(3000 / speed + 0.007)


async def test_no_sleep_is_long() -> None:
    """A stop or an interrupt waits for at most one short sleep."""
    wall = Wall()
    await wall.clock(1).until(300)
    assert max(wall.sleeps) <= WAKE_S


async def test_the_same_agenda_at_every_speed() -> None:
    """Speed changes when a tick is due, never which or in what order."""
    agenda = Agenda(EVERY_S, end_s=600)
    at_1, at_60, at_once = [
        [tick for tick, _, _ in await played(agenda, Wall().clock(s))] for s in (1, 60, math.inf)
    ]
    assert at_1 == at_60 == at_once == list(agenda.ticks())


async def test_late_work_is_caught_up_and_late_polls_are_skipped() -> None:
    """After 100 s of standstill every step and sample still comes; due polls are asked once."""
    wall = Wall()
    clock = wall.clock(1)
    done: list[tuple[Kind, int]] = []
    skipped: list[tuple[Kind, float]] = []
    agenda = Agenda(EVERY_S, end_s=180)
    async with aclosing(agenda.play(clock, agenda.ticks())) as ticks:
        async for tick, _lag_s, skip in ticks:
            (skipped if skip else done).append((tick.kind, tick.at_s))  # type: ignore[arg-type]
            if tick.kind is Kind.SIMULATE and tick.n == 1:
                wall.now_s += 100
    assert [at for kind, at in done if kind is Kind.SIMULATE] == [0, 30, 60, 90, 120, 150]
    assert sum(kind is Kind.SAMPLE for kind, _ in done) == 12
    assert {kind for kind, _ in skipped} == {Kind.EVENTS}
    assert [at for _, at in skipped] == [45, 60, 75, 90, 105]


async def test_lag_is_wall_time() -> None:
    """At speed 60 a tick that begins 2 s of wall late has a lag of 2 s, not of 120 s."""
    wall = Wall()
    clock = wall.clock(60)
    wall.now_s += 3
    assert await clock.until(60) == pytest.approx(2)


async def test_nothing_is_late_where_nothing_waits() -> None:
    """At speed inf the lag is 0 and no wall time is slept away."""
    wall = Wall()
    clock = wall.clock(math.inf)
    wall.now_s += 3600
    assert await clock.until(60) == 0
    assert sum(wall.sleeps) == 0


async def test_a_new_speed_moves_no_deadline_that_has_passed() -> None:
    """At a change of speed the schedule goes on from where it is."""
    wall = Wall()
    clock = wall.clock(1)
    await clock.until(30)
    clock.speed = 10
    assert clock.schedule_s() == pytest.approx(30)
    await clock.until(60)
    assert wall.now_s - 1000 == pytest.approx(33)


@pytest.mark.parametrize("speed", [1.0, math.inf])
async def test_a_pause_stops_schedule_time(speed: float) -> None:
    """While paused nothing is due, and afterwards it goes on where it stood."""
    wall = Wall()
    clock = wall.clock(speed)
    await clock.until(30)
    clock.paused = True
    go_on_at = wall.now_s + 100
    sleep = clock._sleep

    async def until_told(seconds: float) -> None:
        await sleep(seconds)
        if wall.now_s >= go_on_at:
            clock.paused = False

    clock._sleep = until_told
    assert await clock.until(45) == pytest.approx(0, abs=1e-9)
    assert clock.schedule_s() == pytest.approx(45)
    assert wall.now_s >= go_on_at


@pytest.mark.parametrize("change", [("paused", True), ("speed", 5)])
def test_another_thread_never_sees_half_a_change(change: tuple[str, object]) -> None:
    """A pause set from a button's thread makes no tick of the run's own thread come early."""
    seen: list[float] = []
    run = threading.Thread(target=lambda: seen.append(clock.schedule_s()))
    wall = Wall()
    clock = wall.clock(60)
    wall.now_s += 10

    def now() -> float:
        # The change asks it last when it knows what was reached, and not yet at which moment.
        if clock._reached_s and not run.ident:
            run.start()
            run.join(0.05)
        return wall.now_s

    clock._now = now
    setattr(clock, *change)
    run.join()
    assert seen == [600]


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_a_speed_that_is_none(speed: float) -> None:
    """Set while it runs, a wrong speed is refused and the run goes on as it was."""
    clock = Wall().clock(60)
    with pytest.raises(ConfigError, match="above 0"):
        clock.speed = speed
    assert clock.speed == 60
