"""The fast transport, and the full fleet one report a load."""

from __future__ import annotations

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import venlab as vl
from tests.benchmarks.table import Row
from venlab.delivery import Delivery
from venlab.fasttransport import FastTransport
from venlab.model import Ven
from venlab.outbox import Outbox
from venlab.report import Formatter

ROUNDS = 7


@contextmanager
def sink() -> Iterator[str]:
    """Serve a sink in a process of its own; yield its url."""
    command = [sys.executable, "-m", "tests.benchmarks.sink"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdin
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def fast_cycle() -> Iterator[Row]:
    """A cycle by the fast transport against the pattern of the old client, on a sink."""
    with sink() as url, tempfile.TemporaryDirectory() as folder:
        fast_s, old_s = asyncio.run(_cycles(url, Path(folder)))
    ratio = statistics.median(a / b for a, b in zip(fast_s, old_s, strict=True))
    yield Row(
        "reference cycle, flat, fast transport, outbox and all",
        f"{statistics.median(fast_s):.2f} s",
        f"old client's pattern {statistics.median(old_s):.2f} s",
        ratio,
        "<= 0.5",
    )


async def _cycles(url: str, folder: Path) -> tuple[list[float], list[float]]:
    fleet = vl.Fleet.reference(7)
    vens = [Ven(f"v{town}", str(town), str(town)) for town in fleet.town_id]
    ids = {r: f"r{r}" for r in range(fleet.n_resources)}
    config = vl.params(transport="fast")
    simulator = vl.Simulator(
        fleet, vl.Profiles.load(), seed=7, start=config.start_utc(), step_min=15
    )
    meter = vl.Meter(config.start_utc(), 15, 7.5)
    outbox = Outbox(folder / "run.sqlite")
    client = vl.Client(FastTransport(url), vl.dialect("flat"), note=outbox.note_attempt)
    delivery = Delivery(outbox, client, vens)
    formatter = Formatter(fleet, client, vens, ids, "run")
    fast_s, old_s = [], []
    for cycle in range(ROUNDS + 1):
        if cycle % 2 == 0:
            meter.add(simulator.step())
        sample = meter.read(fleet.approved)
        began = time.perf_counter()
        row, frozen = formatter.freeze(sample, cycle)
        await outbox.append(row, frozen)
        delivery.kick()
        await delivery.settled()
        fast_s.append(time.perf_counter() - began)
        by_ven: dict[int, list[bytes]] = {}
        for each in frozen:
            by_ven.setdefault(each.ven, []).append(each.body)
        began = time.perf_counter()
        await _old_pattern(url + "/reports", list(by_ven.values()))
        old_s.append(time.perf_counter() - began)
    assert (await outbox.counts()).acknowledged == (ROUNDS + 1) * 1656
    await client.close()
    outbox.close()
    return fast_s[1:], old_s[1:]


async def _old_pattern(url: str, bodies_by_ven: list[list[bytes]]) -> None:
    """Send as the process did that the lab grew from: a session a VEN, all at once, JSON bodies.

    It made new sessions each cycle, its cure for "Event loop is closed", and gathered without a
    limit; what it kept of an answer was its status.
    """
    import aiohttp

    async def post(session: aiohttp.ClientSession, report: dict[str, object]) -> bool:
        async with session.post(url, json=report) as answer:
            await answer.json()
            return answer.status == 201

    async def one_ven(bodies: list[bytes]) -> int:
        headers = {"Authorization": "Bearer token"}
        async with aiohttp.ClientSession(headers=headers) as session:
            reports = [json.loads(body) for body in bodies]
            return sum(await asyncio.gather(*(post(session, report) for report in reports)))

    sent = sum(await asyncio.gather(*(one_ven(bodies) for bodies in bodies_by_ven)))
    assert sent == sum(map(len, bodies_by_ven))


def full_flat() -> Iterator[Row]:
    """Register the full fleet, then one cycle of 116,412 reports, on the embedded VTN."""
    with tempfile.TemporaryDirectory() as folder:
        yield from asyncio.run(_full_flat(Path(folder)))


async def _full_flat(folder: Path) -> list[Row]:
    config = vl.params(vens=287, transport="fast", in_flight=32, out_dir=str(folder / "run"))
    rows = []
    async with vl.Lab(config) as lab:
        began = time.perf_counter()
        await lab.register()
        took = time.perf_counter() - began
        rows.append(
            Row(
                "register the full fleet (19,402 resources)",
                f"{took:.1f} s",
                "60 s",
                took / 60,
                "<= 1",
            )
        )
        formatter = Formatter(
            lab.fleet, lab.client, lab.roster.vens, lab.roster.resource_ids, lab.run_id
        )
        delivery = Delivery(lab.outbox, lab.client, lab.roster.vens, in_flight=32)
        meter = vl.Meter(lab.simulator.time_of(0), lab.config.step, lab.config.interval_min)
        meter.add(lab.simulator.step())
        began, cpu = time.perf_counter(), time.process_time()
        row, frozen = formatter.freeze(meter.read(lab.roster.approved), 0)
        await lab.outbox.append(row, frozen)
        kept = time.perf_counter() - began
        delivery.kick()
        await delivery.settled()
        took, busy = time.perf_counter() - began, time.process_time() - cpu
        counts = await lab.outbox.counts()
        assert counts.acknowledged == lab.fleet.n_loads
        rows.append(
            Row(
                "full fleet, flat, one cycle of 116,412 reports, fast",
                f"{took:.1f} s ({kept:.1f} s to freeze and keep)",
                f"client CPU {busy:.1f} s",
                None,
                "",
            )
        )
    return rows


def memory() -> Iterator[Row]:
    """Resident memory over 500 cycles of two towns, after a warm-up of 50."""
    with tempfile.TemporaryDirectory() as folder:
        after_warm_up, at_end = asyncio.run(_memory(Path(folder)))
    yield Row(
        "memory over 500 cycles (two towns)",
        f"{at_end:.1f} MB",
        f"after 50 cycles {after_warm_up:.1f} MB",
        at_end / after_warm_up,
        "about 1",
    )


async def _memory(folder: Path) -> tuple[float, float]:
    config = vl.params(vens=2, transport="fast", out_dir=str(folder / "run"), simulated_hours=62.5)
    seen: list[float] = []
    async with vl.Lab(config) as lab:
        await lab.register()
        lab.start()
        while lab.status.cycle < 50:  # noqa: ASYNC110 - a watcher asks, nobody tells it
            await asyncio.sleep(0.05)  # the status is there to be asked
        seen.append(_resident_mb())
        await lab.wait()
        seen.append(_resident_mb())
    return seen[0], seen[1]


def _resident_mb() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
