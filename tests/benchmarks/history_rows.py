"""A fleet's past: simulated, streamed to disk, and sent in bulk; client and VTN also apart."""

from __future__ import annotations

import asyncio
import gc
import resource
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil

import venlab as vl
from tests.benchmarks.fleet_rows import sink
from tests.benchmarks.table import Row
from venlab.client import Client
from venlab.clock import Clock
from venlab.history import INTERVAL
from venlab.model import Ven
from venlab.opening import patience
from venlab.transport import HttpxTransport
from venlab.upload import Journal, Upload
from venlab.vtn.quick import Quick
from venlab.wire import Address, LoadName, SeriesWriter, dialect

UNTIL = datetime(2023, 11, 30, 15, tzinfo=UTC)
BAR = 200_000  # readings a second
ABOUT = Address("venlab-history", "p", "e")


def rows() -> Iterator[Row]:
    """45 days of quarter-hours of both fleets, then of the reference fleet to the VTN."""
    reference = vl.Fleet.reference()
    began = time.perf_counter()
    history = vl.History.simulate(reference, until=UNTIL)
    took = time.perf_counter() - began
    yield Row(
        f"45 days, reference fleet, {history.readings:,} readings, in memory",
        f"{took:.2f} s",
        "3 s",
        took / 3,
        "<= 1",
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        full = vl.History.simulate(vl.Fleet.full(), until=UNTIL, folder=folder)
        took = time.perf_counter() - began
        most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        yield Row(
            f"45 days, full fleet, {full.readings:,} readings, streamed to disk",
            f"{took:.1f} s, at most {most_mb:.0f} MB",
            "40 s",
            took / 40,
            "<= 1",
        )
        del full
    yield from _apart(history)
    for name in ("3.0.1", "3.1.0"):
        with tempfile.TemporaryDirectory() as folder:
            yield asyncio.run(_sent(name, Path(folder)))


def _rate(what: str, readings: int, took: float, more: str = "") -> Row:
    rate = readings / took
    measured = f"{rate / 1e6:.2f} M a second{more}"
    return Row(what, measured, f"{BAR:,} a second", rate / BAR, ">= 1")


def _apart(history: vl.History) -> Iterator[Row]:
    """Write a day of a VEN; decode it as the VTN does; send all to a server that keeps nothing."""
    loads = [LoadName(n, "r", f"shop_{n // 6:02}", f"load_{n % 6}") for n in range(90)]
    writer = dialect("3.1.0").writer(Ven("v", "Aabenraa", "aabenraa"), loads, "run", ABOUT)
    assert isinstance(writer, SeriesWriter)
    day, seconds = history.watts[:96, :90], int(INTERVAL.total_seconds())
    readings = 50 * day.size
    began = time.perf_counter()
    for _ in range(50):
        draft = writer.write_series("run/aabenraa/day", UNTIL, seconds, day, 0)
    yield _rate("of it: writing reports", readings, time.perf_counter() - began)
    read, often = Quick("3.1.0").report, gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, *often[1:])  # as the VTN's own process does
    began = time.perf_counter()
    for _ in range(50):
        assert read(draft.body)
    gc.set_threshold(*often)
    gc.unfreeze()
    yield _rate("of it: the VTN reads and checks them", readings, time.perf_counter() - began)
    with sink() as url, tempfile.TemporaryDirectory() as folder:
        took, cpu = asyncio.run(_to_sink(url, history, Path(folder)))
    yield _rate("of it: the client alone, to a sink", history.readings, took, f", CPU {cpu:.1f} s")


async def _to_sink(url: str, history: vl.History, folder: Path) -> tuple[float, float]:
    fleet, client = history.fleet, Client(HttpxTransport(url), dialect("3.1.0"))
    vens = [Ven(f"v{t}", str(t), str(t)) for t in fleet.town_id]
    ids = {r: f"r{r}" for r in range(fleet.n_resources)}
    patiently, cpu = patience(vl.params(), Clock(1.0)), time.process_time()
    with Journal(folder / "journal.jsonl", url) as journal:
        upload = Upload(
            history,
            client,
            vens,
            ids,
            run_id="run",
            journal=journal,
            patiently=patiently,
            address=ABOUT,
        )
        done = await upload.send()
    assert done.acknowledged == history.readings
    await client.close()
    return done.wall_s, time.process_time() - cpu


async def _sent(name: str, folder: Path) -> Row:
    config = vl.params(vens=10, dialect=name, out_dir=str(folder / "run"))
    async with vl.Lab(config) as lab:
        await lab.register()
        history = vl.History.simulate(lab.fleet, until=lab.simulator.time_of(0))
        assert lab.vtn
        assert lab.vtn._process
        vtn, cpu = psutil.Process(lab.vtn._process.pid), time.process_time()
        before = sum(vtn.cpu_times()[:2])
        done = await lab.upload(history)
        assert done.acknowledged == history.readings
        busy = (
            f", CPU {time.process_time() - cpu:.1f} + VTN {sum(vtn.cpu_times()[:2]) - before:.1f} s"
        )
    return _rate(f"upload of it, {name}, httpx, embedded VTN", done.readings, done.wall_s, busy)
