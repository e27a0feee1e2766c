"""The player of the agenda: what a tick waits for, what it tells, and who may end it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.test_lab import quick
from venlab.faults import Faults
from venlab.lab import Lab
from venlab.player import Player
from venlab.runfile import Counts


async def test_a_dead_vtn_delays_no_tick(tmp_path: Path) -> None:
    """At inf a tick waits for its deliveries only while there is somebody to answer them."""
    async with Lab(quick(tmp_path, simulated_hours=2, drain_s=0.0)) as lab:
        await lab.register()
        assert lab.vtn
        await lab.vtn.kill()
        results = await lab.run()
    took = results.rows("SELECT duration_s FROM ticks WHERE kind = 'send' ORDER BY n")
    assert len(took) == 16
    assert took[0][0] < 0.5  # this one finds out
    assert max(t for (t,) in took[1:]) < 0.2
    check = results.check()
    assert (check.measured, check.waiting) == (16 * 90, 16 * 90)
    assert check.ok, str(check)


@pytest.mark.skipif(sys.platform == "win32", reason="no process can be halted there")
async def test_a_vtn_that_hangs_delays_no_poll(tmp_path: Path) -> None:
    """Once it is away, the agenda goes on beside the polls that wait for it, and skips others."""
    config = quick(tmp_path, simulated_hours=1, drain_s=0.0, timeout_s=0.3, tries=1)
    async with Lab(config) as lab:
        await lab.register()
        assert lab.vtn
        assert lab.vtn._process
        os.kill(lab.vtn._process.pid, signal.SIGSTOP)
        try:
            results = await lab.run()
        finally:
            os.kill(lab.vtn._process.pid, signal.SIGCONT)
    loops = results.loops.set_index("kind")
    assert loops.loc["sample", "runs"] == 8
    assert loops.loc["events", "skips"] >= 1


async def test_how_long_a_poll_took(tmp_path: Path) -> None:
    """At a finite speed too, where it goes beside the agenda."""
    async with Lab(quick(tmp_path, speed=120.0)) as lab:
        await lab.register()
        greet = lab.client.greet

        async def slow() -> str:
            await asyncio.sleep(0.1)
            return await greet()

        lab.client.greet = slow  # type: ignore[method-assign]
        results = await lab.run()
    assert results.loops.set_index("kind").loc["heartbeat", "mean_duration_s"] >= 0.1


@pytest.mark.parametrize("speed", [120.0, float("inf")])
async def test_a_mistake_in_a_poll_ends_the_run(tmp_path: Path, speed: float) -> None:
    """Only what the VTN does wrong is forgiven, at every speed."""
    async with Lab(quick(tmp_path, speed=speed)) as lab:
        await lab.register()

        async def wrong(_: object) -> None:
            raise ZeroDivisionError

        lab.roster.read_status = wrong  # type: ignore[method-assign, assignment]
        with pytest.raises(ZeroDivisionError):
            await lab.run()
        assert lab.status.state == "failed"


async def test_the_schedule_ends_with_the_run(tmp_path: Path) -> None:
    """Wall time that passes afterwards is not schedule time."""
    async with Lab(quick(tmp_path, speed=600.0)) as lab:
        await lab.register()
        await lab.run()
        assert lab.status.schedule_s == lab.status.end_s == 60


async def test_a_stop_that_comes_with_the_last_answer() -> None:
    """In the very pass of the loop that ends the sending, a stop is still a stop."""
    answered = asyncio.get_running_loop().create_future()

    async def settled() -> None:
        await asyncio.shield(answered)

    async def counts() -> Counts:
        return Counts()

    player = Player.__new__(Player)
    player._delivery = SimpleNamespace(kick=lambda: None, settled=settled)  # type: ignore[assignment]
    player._outbox = SimpleNamespace(counts=counts)  # type: ignore[assignment]
    drain = asyncio.create_task(player.drain(5))
    await asyncio.sleep(0.01)
    answered.set_result(None)
    await asyncio.sleep(0)
    drain.cancel()
    with pytest.raises(asyncio.CancelledError):
        await drain


async def test_an_interval_that_is_no_whole_microsecond(tmp_path: Path) -> None:
    """Thirds of a second add up to the run's end, with no interval of a microsecond after it."""
    config = quick(tmp_path, simulate_every_s=1 / 3, report_every_s=1 / 9, step_min=15)
    async with Lab(config) as lab:
        await lab.register()
        results = await lab.run()
    assert results.rows("SELECT duration_s FROM readings") == [(300,)] * 6


async def test_a_drain_waits_for_the_last_report_that_is_under_way(tmp_path: Path) -> None:
    """One report, a VTN that refuses for a second and then takes one to answer: nothing waits in
    the file meanwhile, and the run ends when the answer is there."""
    config = quick(tmp_path, simulated_hours=0.25, report_every_s=30.0, dialect="3.1.0")
    async with Lab(config) as lab:
        await lab.register()
        assert lab.vtn
        await lab.vtn.misbehave(
            Faults.parse("503 path=/reports for=1; latency=1 path=/reports from=1")
        )
        check = (await lab.run()).check()
        assert (check.measured, check.acknowledged, check.waiting) == (90, 90, 0)
