"""The fault matrix: a run against a VTN that misbehaves for a while, and what came of it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import venlab as vl
from venlab.clock import Clock
from venlab.config import LabConfig
from venlab.faults import Fault
from venlab.lab import Lab
from venlab.results import Results

HURRY = 30.0  # how much faster than wall time retries, probes and rate limits go
PATIENT_HURRY = 6.0  # while a VEN registers, whose tries must outlast the window
WINDOW_S = 0.7  # how long a fault lasts
SEED = 11
BATCH = 10  # readings in a report, where it holds many: nine reports a cycle

# Of each request its share; the second word of a pair says whether both transports are tried.
SHARED = (
    ("latency=0.02", False),
    ("latency=0.01 sigma=1.5", False),
    ("latency=0.01 sigma=1.5 stored", False),
    ("500", True),
    ("500 stored", True),
    ("502 stored", False),
    ("503", True),
    ("503 retry_after=3", False),
    ("429", False),
    ("429 retry_after=3", False),
    ("408 stored", False),
    ("reset", True),
    ("reset stored", True),
    ("silent path=/reports", True),
    ("silent stored path=/reports", True),
    ("html", True),
    ("html stored", True),
    ("half", True),
    ("expire", False),
    ("close", True),
    ("created_200", False),
    ("null_times", False),
    ("naive_times", False),
)
# What has no share is all or nothing.
WHOLE = (
    ("repeat_vens", False),
    ("close; exhausted=2", True),
    ("diskfull", False),
    ("restart down=0.3 from=0.02", True),
    ("restart down=0.3 from=0.02 lose=store", True),
    ("restart down=0.2 from=0.05 lose=store; unknown_500", False),
    ("restart down=0.2 from=0.05 lose=store; html share=0.3", False),
    ("vtn-ri", False),
    ("sailesha", False),
    ("bad-network", True),
)
# What a registration must get through by itself.
REGISTERING = (
    "503",
    "503 stored",
    "429 retry_after=3",
    "reset stored",
    "silent",
    "html stored",
    "half",
    "created_200",
    "null_times",
    "naive_times",
    "unknown_500",
    "diskfull",
    "restart down=0.3 from=0.02",
    "restart down=0.3 from=0.03 lose=store",
)
COLUMNS = (
    *(
        "fault",
        "share",
        "when",
        "transport",
        "dialect",
        "measured",
        "attempts",
        "retried",
        "outages",
    ),
    *("heard", "missing", "exact", "struck", "wall_s"),
)


@dataclass(frozen=True)
class Row:
    """One fault, over one transport, while a run registers or while it reports."""

    fault: str
    share: float
    transport: str = "httpx"
    registering: bool = False
    dialect: str = "flat"

    @property
    def text(self) -> str:
        """Return the fault as the VTN is told it."""
        return "; ".join(map(self._windowed, vl.Faults.parse(self.fault).faults))

    def _windowed(self, fault: Fault) -> str:
        share = f" share={self.share:g}" if self.share < 1 else ""
        return str(fault) + share + ("" if fault.kind == "restart" else f" for={WINDOW_S}")

    def __str__(self) -> str:
        return f"{self.text}{self.registering * ' registering'} {self.transport} {self.dialect}"


@dataclass(frozen=True)
class Outcome:
    """What a row gave."""

    row: Row
    results: Results
    same_values: bool
    struck: str
    wall_s: float

    @property
    def exact(self) -> bool:
        """Whether every reading is there once, and is the one of the undisturbed run."""
        check = self.results.check()
        counts = check.measured == check.acknowledged == check.heard
        return check.ok and counts and self.same_values

    def cells(self) -> list[str]:
        """Return a row of the table."""
        check, told = self.results.check(), self.results.summary()
        missing = check.measured - (check.heard or 0)
        return [
            self.row.fault,
            f"{self.row.share:.0%}",
            "registering" if self.row.registering else "reporting",
            self.row.transport,
            self.row.dialect,
            *(str(told[name]) for name in ("measured", "attempts", "retried", "outages", "heard")),
            str(missing),
            "yes" if self.exact else "NO",
            self.struck,
            f"{self.wall_s:.1f}",
        ]


def rows(dialect: str = "flat") -> Iterator[Row]:
    """Yield the whole matrix of a dialect."""
    for row in _rows():
        yield replace(row, dialect=dialect)


def _rows() -> Iterator[Row]:
    for fault, both in SHARED:
        for share in (0.3, 1.0):
            for transport in ("httpx", "fast")[: 1 + both]:
                yield Row(fault, share, transport)
    for fault, both in WHOLE:
        for transport in ("httpx", "fast")[: 1 + both]:
            yield Row(fault, 1.0, transport)
    for fault in REGISTERING:
        lasting = {"diskfull", "restart"} & {fault.split()[0]}
        for share in (1.0,) if lasting else (0.3, 1.0):
            yield Row(fault, share, registering=True)


def some_rows() -> Iterator[Row]:
    """Yield one row a kind, for every change of the code."""
    seen = set()
    for fault, _ in (*SHARED, *WHOLE):
        kind = re.split(r"[= ;]", fault)[0], "lose=store" in fault
        if kind not in seen:
            seen.add(kind)
            yield Row(fault, 0.3 if fault in dict(SHARED) else 1.0)
    yield Row("html stored", 0.3, registering=True)


def faults(text: str) -> vl.Faults:
    """Return faults with the matrix's seed."""
    return vl.Faults.parse(text, SEED)


def settings(folder: Path, **values: object) -> LabConfig:
    """One town, 90 loads, four cycles."""
    chosen = {"vens": 1, "simulated_hours": 0.5, "seed": SEED}
    return vl.params(**{**chosen, "out_dir": str(folder), **values})


async def undisturbed(folder: Path) -> Results:
    """Play the run that all others are compared with."""
    async with Lab(settings(folder)) as lab:
        await lab.register()
        return await lab.run()


async def played(row: Row, folder: Path, like: Results) -> Outcome:
    """Play a run against a VTN that misbehaves, let it recover, and read back."""
    began = time.monotonic()
    timeout_s = 0.5 if "silent" in row.fault or "exhausted" in row.text else 10.0
    carried = {"transport": row.transport, "timeout_s": timeout_s, "dialect": row.dialect}
    config = settings(folder, **carried, batch_resources=BATCH)
    wall = Clock(PATIENT_HURRY if row.registering else HURRY)
    async with Lab(config, wall=wall) as lab:
        assert lab.vtn
        if row.registering:
            await lab.vtn.misbehave(faults(row.text))
        await lab.register()
        if not row.registering:
            await lab.vtn.misbehave(faults(row.text))
        async with asyncio.timeout(60):
            await lab.run()
        await lab.vtn.misbehave(None)
        results = await lab.read_back()
        if "lose=store" in row.fault and not row.registering:
            await lab.resend()
            results = await lab.read_back()
        assert lab.status.waiting == 0
    struck = re.findall(r"struck: (.*)", (folder / "vtn.log").read_text("utf-8"))
    words = re.sub(r"[{}']", "", struck[-1])
    return Outcome(row, results, values(results) == values(like), words, time.monotonic() - began)


def values(results: Results) -> list[tuple[object, ...]]:
    """Return every reading of a run, and the state that it went through."""
    return results.rows("SELECT cycle, stamp, watts, step_hash FROM readings ORDER BY cycle")
