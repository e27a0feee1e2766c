"""The standard's batches: a cycle, from the meters to a VTN that holds five million reports."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import venlab as vl
from tests.benchmarks.outbox_rows import FULL, THERE
from tests.benchmarks.table import Row
from venlab.delivery import Delivery
from venlab.report import Formatter

ROUNDS = 5
DIALECT = "3.1.0"
AT_THE_VTN = f"""
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {THERE})
INSERT INTO standard_reports (id, name, created, copy, version, client, event, program,
    client_name, body)
SELECT i, printf('old-%08x/aars/%010d', i * 2654435761 % 4294967296, i), '2023-11-30T16:00:00Z', 0,
    '{DIALECT}', 'old', 'old', 'old', 'old', '{{}}' FROM n
"""


def rows() -> Iterator[Row]:
    """A cycle of the reference fleet, and of the full fleet: written, kept, sent, acknowledged."""
    for vens, what, bar_s, there in (
        (10, "reference cycle, batched, httpx", 0.1, 0),
        (287, "full fleet batched, 116,412 readings, 5 M reports on both sides", 1.0, THERE),
    ):
        with tempfile.TemporaryDirectory() as folder:
            parts = asyncio.run(_cycles(Path(folder), vens, there))
        best = min(parts, key=sum)
        said = ", ".join(
            f"{name} {took:.2f}" for name, took in zip(("write", "keep", "send"), best, strict=True)
        )
        yield Row(what, f"{sum(best):.3f} s ({said})", f"{bar_s} s", sum(best) / bar_s, "<= 1")


async def _cycles(folder: Path, vens: int, there: int) -> list[tuple[float, float, float]]:
    transport = "httpx" if vens <= 10 else "fast"
    config = vl.params(vens=vens, dialect=DIALECT, transport=transport, out_dir=str(folder / "run"))
    found = []
    async with vl.Lab(config) as lab:
        await lab.register()
        if there:
            assert lab.vtn
            await lab.vtn.stop()
            _fill(lab.vtn._store, AT_THE_VTN)
            _fill(
                lab.outbox.path, FULL, "INSERT INTO bodies SELECT id, zeroblob(60) FROM deliveries"
            )
            await lab.vtn.start()
        vens_, ids = lab.roster.vens, lab.roster.resource_ids
        formatter = Formatter(lab.fleet, lab.client, vens_, ids, lab.run_id)
        delivery = Delivery(lab.outbox, lab.client, vens_, in_flight=8)
        meter = vl.Meter(lab.simulator.time_of(0), lab.config.step, lab.config.interval_min)
        first = there // 1656 + 1
        for cycle in range(first, first + 2 * ROUNDS):
            if cycle % 2 == first % 2:
                meter.add(lab.simulator.step())
            sample = meter.read(lab.roster.approved)
            times = [time.perf_counter()]
            row, frozen = formatter.freeze(sample, cycle)
            times.append(time.perf_counter())
            await lab.outbox.append(row, frozen)
            times.append(time.perf_counter())
            delivery.kick()
            await delivery.settled()
            times.append(time.perf_counter())
            write, keep, send = (b - a for a, b in pairwise(times))
            found.append((write, keep, send))
        assert not (await lab.outbox.counts()).waiting
    return found[1:]


def _fill(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as c:
        c.execute("PRAGMA synchronous = OFF")
        c.execute("PRAGMA cache_size = -400000")
        for statement in statements:
            c.execute(statement)
        c.commit()
