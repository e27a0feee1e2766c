"""The lab's own rows: import, fleet, step, reference cycle, drift."""

from __future__ import annotations

import asyncio
import itertools
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np

import venlab as vl
from tests.benchmarks.table import Row
from venlab.clock import Agenda, Clock, Kind
from venlab.delivery import Delivery
from venlab.report import Formatter
from venlab.runfile import Frozen, ReadingRow

ROUNDS = 5


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the shortest of some runs [s]: noise only ever adds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def import_time() -> Iterator[Row]:
    """Import in a fresh interpreter, less the interpreter's own start."""

    def python(code: str) -> float:
        return best(lambda: subprocess.run([sys.executable, "-c", code], check=True))

    bare, loaded = python("pass"), python("import venlab")
    yield Row("import venlab", f"{loaded - bare:.3f} s", "0.3 s", (loaded - bare) / 0.3, "<= 1")


def full_fleet() -> Iterator[Row]:
    """Draw 287 VENs with 19,402 resources."""
    took = best(lambda: vl.Fleet.full(7), 3)
    yield Row("make the full fleet (116,412 loads)", f"{took:.2f} s", "a few seconds", None, "")


def full_step() -> Iterator[Row]:
    """A step of the full fleet against the bare draw of as many normals."""
    fleet = vl.Fleet.full(7)
    start = datetime(2023, 11, 30, 15, tzinfo=UTC)
    simulator = vl.Simulator(fleet, vl.Profiles.load(), seed=7, start=start, step_min=15)
    simulator.step()
    generator = np.random.Generator(np.random.SFC64(7))
    out = np.empty(fleet.n_loads, np.float32)
    steps, draws = [], []
    for _ in range(30):  # in turn, so that both meet the same noise of the machine
        steps.append(best(simulator.step, 1))
        draws.append(best(lambda: generator.standard_normal(out=out, dtype=np.float32), 3))
    step, draw = statistics.median(steps), statistics.median(draws)
    yield Row(
        f"step of {fleet.n_loads:,} loads",
        f"{step * 1e3:.2f} ms",
        f"normal draw {draw * 1e3:.2f} ms",
        step / draw,
        "<= 3",
    )


def reference_cycle() -> Iterator[Row]:
    """A flat cycle of the reference fleet against a bare httpx loop, on the same VTN."""
    with tempfile.TemporaryDirectory() as folder:
        lab_s, bare_s = asyncio.run(_cycles(Path(folder)))
    ratios = [a / b for a, b in zip(lab_s, bare_s, strict=True)]
    yield Row(
        "reference cycle, flat, httpx (1,656 reports)",
        f"{statistics.median(lab_s):.2f} s",
        f"bare httpx loop {statistics.median(bare_s):.2f} s",
        statistics.median(ratios),
        "<= 1.25",
    )


async def _cycles(folder: Path) -> tuple[list[float], list[float]]:
    """Play cycles of lab and bare loop in turn; the same bytes but for the names."""
    lab_s, bare_s = [], []
    async with vl.Lab(vl.params(out_dir=str(folder / "run"))) as lab:
        await lab.register()
        formatter = {
            name: Formatter(lab.fleet, lab.client, lab.roster.vens, lab.roster.resource_ids, name)
            for name in ("lab", "bare")
        }
        delivery = Delivery(lab.outbox, lab.client, lab.roster.vens)
        meter = vl.Meter(lab.simulator.time_of(0), lab.config.step, lab.config.interval_min)
        assert lab.vtn
        token = lab.vtn.credential.reveal()
        async with httpx.AsyncClient(verify=False) as session:
            for cycle in range(ROUNDS + 1):
                meter.add(lab.simulator.step())
                sample = meter.read(lab.roster.approved)
                began = time.perf_counter()
                await _lab_cycle(lab, delivery, *formatter["lab"].freeze(sample, cycle))
                between = time.perf_counter()
                bodies = [f.body for f in formatter["bare"].freeze(sample, cycle)[1]]
                start = time.perf_counter()
                await _bare_cycle(session, lab.url + "/reports", token, bodies)
                lab_s.append(between - began)
                bare_s.append(time.perf_counter() - start)
    return lab_s[1:], bare_s[1:]  # the first opens the connections


async def _lab_cycle(
    lab: vl.Lab, delivery: Delivery, row: ReadingRow, frozen: list[Frozen]
) -> None:
    await lab.outbox.append(row, frozen)
    delivery.kick()
    await delivery.settled()


async def _bare_cycle(
    session: httpx.AsyncClient, url: str, token: str, bodies: list[bytes]
) -> None:
    rest = iter(bodies)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    async def worker() -> None:
        for body in rest:
            answer = await session.post(url, content=body, headers=headers)
            assert answer.status_code == 201

    await asyncio.gather(*(worker() for _ in range(8)))


def drift() -> Iterator[Row]:
    """An agenda of half-second ticks for 60 s beside tasks that keep the loop busy."""
    lag_s = asyncio.run(_drift(60.0))
    first, last = statistics.median(lag_s[:20]), statistics.median(lag_s[-20:])
    moved_ms = (last - first) * 1e3
    yield Row(
        "drift of a loop in 60 s under load",
        f"{moved_ms:+.2f} ms (median lag {last * 1e3:.2f} ms)",
        "5 ms",
        abs(moved_ms) / 5,
        "<= 1",
    )


async def _drift(seconds: float) -> list[float]:
    stop = asyncio.Event()

    async def busy() -> None:
        for n in itertools.count():
            math.factorial(200 + n % 10)
            await asyncio.sleep(0.0005)
            if stop.is_set():
                return

    load = [asyncio.create_task(busy()) for _ in range(8)]
    lags = []
    agenda = Agenda({Kind.SAMPLE: 0.5}, seconds)
    async with aclosing(agenda.play(Clock(1), agenda.ticks())) as ticks:
        async for _, lag_s, _ in ticks:
            lags.append(lag_s)
    stop.set()
    await asyncio.gather(*load)
    return lags
