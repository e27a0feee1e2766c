"""The run file under the full fleet: one cycle of it, with five million reports already there."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from tests.benchmarks.table import Row
from venlab.outbox import Outbox
from venlab.runfile import Frozen, ReadingRow, Settled

LOADS, VENS, PER_CYCLE = 116_412, 287, 1656
THERE = 5_000_000
BATCHED_BYTES, FLAT_BYTES = 184, 500  # of body, a reading
BUDGET_S = 0.2
ROUNDS = 5
FULL = f"""
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {THERE})
INSERT INTO deliveries (destination, name, cycle, ven, lane, readings, watt_s, state, attempts,
    status, loads)
SELECT 'vtn', printf('fleet_run-20231130/%04d/retail_%02d/load_%d/%010d', i % {PER_CYCLE} / 160,
    i / 6 % 27, i % 6, i / {PER_CYCLE}), i / {PER_CYCLE}, i % {PER_CYCLE} / 166,
    i % {PER_CYCLE}, 1, 450000, 'acknowledged', 1, 201, zeroblob(4) FROM n
"""


def rows() -> Iterator[Row]:
    """Append, take and settle a cycle of the full fleet: batched, and one report a load."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_made(Path(folder) / "full.sqlite"))
        for what, make, bar in (
            (f"{VENS} reports of {LOADS // VENS}", _batched, "<= 1"),
            ("one report a load", _flat, ""),
        ):
            bare = asyncio.run(_timed(Path(folder) / f"{make.__name__}.sqlite", make, 0))
            full = asyncio.run(_timed(Path(folder) / "full.sqlite", make, THERE // PER_CYCLE + 1))
            yield Row(
                f"outbox: 116,412 readings, {what}, 5 M rows there",
                f"{min(sum(f) for f in full):.2f} s ({_parts(full)})",
                f"{BUDGET_S} s; nothing there {min(sum(b) for b in bare):.2f} s",
                min(sum(f) for f in full) / BUDGET_S if bar else None,
                bar,
            )


def _parts(rounds: list[tuple[float, ...]]) -> str:
    append, take, settle = min(rounds, key=sum)
    return f"append {append:.2f}, take {take:.2f}, settle {settle:.2f}"


async def _made(path: Path) -> None:
    Outbox(path).close()
    with closing(sqlite3.connect(path)) as c:
        c.execute("PRAGMA cache_size = -400000")
        c.execute("PRAGMA synchronous = OFF")
        c.execute(FULL)
        c.execute("INSERT INTO bodies SELECT id, zeroblob(60) FROM deliveries")
        c.commit()


async def _timed(
    path: Path, make: Callable[[int], list[Frozen]], first: int
) -> list[tuple[float, float, float]]:
    """Play some cycles through; return the time of each step of each [s]."""
    box = Outbox(path)
    held = await box.cycles(first, 10**6)
    first = held[-1].cycle + 1 if held else first
    watts = np.ones(LOADS, "<i4").tobytes()
    times = []
    for cycle in range(first, first + ROUNDS):
        frozen = make(cycle)
        row = ReadingRow(cycle, "2023-11-30T15:00:00Z", 450, LOADS, 450 * LOADS, watts)
        marks = [time.perf_counter()]
        await box.append(row, frozen)
        marks.append(time.perf_counter())
        taken = []
        while items := await box.take(2048):  # as many as the delivery takes at a time
            taken += items
        marks.append(time.perf_counter())
        for at in range(0, len(taken), 64):
            box.settle(
                [Settled(item.id, "acknowledged", 201, "", 1) for item in taken[at : at + 64]]
            )
        await box.flush()
        marks.append(time.perf_counter())
        assert len(taken) == len(frozen)
        append, take, settle = np.diff(marks)
        times.append((float(append), float(take), float(settle)))
    box.close()
    return times


def _batched(cycle: int) -> list[Frozen]:
    of_vens = np.array_split(np.arange(LOADS, dtype="<i4"), VENS)
    return [
        Frozen(
            f"fleet_run-20231130/{v:04d}/{cycle:010d}",
            v,
            v,
            len(loads),
            450 * len(loads),
            loads.tobytes(),
            b"x" * (BATCHED_BYTES * len(loads)),
        )
        for v, loads in enumerate(of_vens)
    ]


def _flat(cycle: int) -> list[Frozen]:
    body = b"x" * FLAT_BYTES
    return [
        Frozen(
            f"fleet_run-20231130/{n // 406:04d}/retail_{n // 6 % 68:02d}/load_{n % 6}/{cycle:010d}",
            n // 406,
            n,
            1,
            450,
            np.int32(n).tobytes(),
            body,
        )
        for n in range(LOADS)
    ]
