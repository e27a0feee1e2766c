"""A VTN that is away for ten simulated hours."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from contextlib import closing
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

from tests.test_lab import quick
from venlab.clock import Clock
from venlab.lab import Lab
from venlab.runfile import Frozen, Taken

RATE_PER_S = 100.0
HURRY = 1.5  # the rate is kept in its seconds: 150 reports in one of ours
LOADS = 90
DOWN, BACK = 4, 44  # steps of a quarter of an hour


async def reached(lab: Lab, step: int) -> None:
    """Let the run come so far, and halt it there."""
    async with asyncio.timeout(60):
        while lab.simulator.index < step:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
    lab.clock.paused = True


def alive(kind: type) -> int:
    """Count the objects of a kind that are held anywhere."""
    return sum(type(each) is kind for each in gc.get_objects())


async def test_ten_hours_without_a_vtn(tmp_path: Path) -> None:
    """Memory stays flat; then the backlog goes at the rate limit, oldest first, in each load's
    order, while new readings come; nothing is lost."""
    config = quick(
        tmp_path, simulated_hours=13, report_every_s=120.0, rate_per_s=RATE_PER_S, drain_s=60.0
    )
    async with Lab(config, wall=Clock(HURRY)) as lab:
        await lab.register()
        assert lab.vtn
        lab.start()
        await reached(lab, DOWN)
        await lab.vtn.kill()
        lab.clock.paused = False
        await reached(lab, BACK)
        backlog = (await lab.outbox.counts()).waiting
        assert backlog >= 9 * LOADS
        assert alive(Taken) + alive(Frozen) <= 2 * LOADS
        sent = await sent_so_far(lab)
        await lab.vtn.start()
        lab.clock.paused = False
        results = await lab.wait()
        await lab.read_back()
    check = results.check()
    assert check.ok, str(check)
    assert check.heard == check.measured == 13 * LOADS

    answered = [
        at
        for (at,) in results.rows(
            "SELECT at FROM requests WHERE purpose = 'report' AND status = 201 ORDER BY at"
        )
    ][sent : sent + backlog]
    rate = (len(answered) - 1) / (answered[-1] - answered[0]) / HURRY
    assert 0.95 * RATE_PER_S <= rate <= 1.05 * RATE_PER_S

    arrived = stored(tmp_path / "run" / "vtn.sqlite")
    by_load = sorted(arrived, key=itemgetter(0))  # stable: in the order of arrival
    for load, stamps in groupby(by_load, itemgetter(0)):
        assert all(a < b for (_, a), (_, b) in pairwise(stamps)), load
    # Oldest first: a cycle begins when the one before it is under way to its last reports.
    cycles = [stamp for _, stamp in arrived]
    assert sum(a > b for a, b in pairwise(cycles)) < len(cycles) / 20


async def sent_so_far(lab: Lab) -> int:
    """Return how many reports were taken."""
    return (await lab.outbox.counts()).acknowledged


def stored(path: Path) -> list[tuple[str, str]]:
    """Return load and stamp of every report, as they came."""
    with closing(sqlite3.connect(path)) as c:
        names = [name for (name,) in c.execute("SELECT name FROM reports ORDER BY id")]
    return [(load, stamp) for load, _, stamp in (name.rpartition("/") for name in names)]
