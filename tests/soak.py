"""``python -m tests.soak [MINUTES]``: the reference fleet at speed 20 among faults; what grows?"""

from __future__ import annotations

import argparse
import asyncio
import gc
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import median

import numpy as np
import psutil

import venlab as vl
from venlab.faults import Faults

SPEED = 20.0
VENS = 10
WARM_UP_S = 30.0  # at least; else a tenth of the time
GROWTH, GROWTH_AT_FIRST = 1.02, 1.05  # in ten minutes and more; before, an allocator's steps count
VTN_CACHE_MB = 75.0  # what its store's cache of 64 MiB fills, with what SQLite keeps about a page
EVERY_S, SAID_EVERY_S = 1.0, 30.0
FREE_BYTES = 5e9  # of the disk: both stores grow by a megabyte a second
KINDS = (
    "500 share=0.3",
    "503 share=0.2 retry_after=1",
    "429 share=0.2 retry_after=1",
    "reset share=0.2",
    "reset stored share=0.2",
    "html share=0.2",
    "half share=0.2",
    "latency=0.01 sigma=1",
    "expire share=0.05",
    "close share=0.3",
    "restart down=1",
    "exhausted=8",
)
FAULT_S, GAP_S = (3.0, 7.0), (2.0, 5.0)


@dataclass(frozen=True)
class Seen:
    """What was there at one moment of the run."""

    at_s: float
    cycle: int
    acknowledged: int
    waiting: int
    lab_mb: float
    vtn_mb: float
    tasks: int
    threads: int
    files: int
    vtn_files: int

    def line(self) -> str:
        return " | ".join(
            f"{value:10.1f}" if isinstance(value, float) else f"{value:10d}"
            for value in astuple(self)
        )


@dataclass(frozen=True)
class Held:
    """What a process holds when no lab is open: must be the same before and after."""

    tasks: int
    threads: int
    files: int


def held() -> Held:
    """Count what this process holds, garbage aside."""
    gc.collect()
    return Held(len(asyncio.all_tasks()), threading.active_count(), psutil.Process().num_fds())


async def soak(minutes: float, folder: Path, *, seed: int, say: Callable[[str], None]) -> list[str]:
    """Run the fleet for so many minutes and return what is wrong, one line each."""
    await _played(
        vl.params(vens=2, transport="fast", out_dir=str(folder / "first"), simulated_hours=0.5)
    )
    before = held()
    steps = round(minutes * 60 * SPEED / 30)
    config = vl.params(
        vens=VENS,
        speed=SPEED,
        simulated_hours=steps / 4,
        transport="fast",
        in_flight=16,
        timeout_s=5.0,
        drain_s=600.0,
        out_dir=str(folder / "run"),
        seed=seed,
    )
    problems: list[str] = []
    async with vl.Lab(config) as lab:
        await lab.register()
        lab.start()
        troubling = asyncio.create_task(
            _trouble(lab, minutes * 60, np.random.default_rng(seed), say)
        )
        seen = await _watched(lab, folder, minutes * 60, say, problems)
        await troubling
        await lab.wait()
        results = await lab.read_back()
    problems += _grown(seen, minutes * 60, say)
    if not (check := results.check()):
        problems.append(str(check))
    say(str(check))
    if (after := held()) != before:
        problems.append(f"left behind: {after}, and before it was {before}")
    resends = results.summary()
    say(
        ", ".join(
            f"{key} {resends[key]}"
            for key in (
                "attempts",
                "retried",
                "outages",
                "outage_s",
                "worst_lag_s",
                "reports_per_s",
            )
        )
    )
    return problems


async def _played(config: vl.LabConfig) -> None:
    """Play once whatever a process only does once: imports, threads of the transport, caches."""
    async with vl.Lab(config) as lab:
        await lab.register()
        await lab.run()
        await lab.read_back()
        lab.results.summary()


async def _trouble(
    lab: vl.Lab, seconds: float, random: np.random.Generator, said: Callable[[str], None]
) -> None:
    """Have one fault after the other, with gaps, and none in the last tenth."""
    began = time.monotonic()
    end = began + 0.9 * seconds - FAULT_S[1]
    assert lab.vtn
    while time.monotonic() < end and lab.status.state == "running":
        text = str(random.choice(KINDS))
        said(f"{time.monotonic() - began:10.1f} | {text}")
        await lab.vtn.misbehave(Faults.parse(text, seed=int(random.integers(2**31))))
        await asyncio.sleep(random.uniform(*FAULT_S))
        await lab.vtn.misbehave(None)
        await asyncio.sleep(random.uniform(*GAP_S))


async def _watched(
    lab: vl.Lab, folder: Path, seconds: float, say: Callable[[str], None], problems: list[str]
) -> list[Seen]:
    """Look every second until the agenda is at its end; stop where the disk is nearly full."""
    seen: list[Seen] = []
    began = time.monotonic()
    say(" | ".join(f"{field.name:>10}" for field in fields(Seen)))
    while lab.status.state == "running" and (at_s := time.monotonic() - began) < seconds:
        seen.append(_look(lab, at_s))
        if len(seen) % round(SAID_EVERY_S / EVERY_S) == 1:
            say(seen[-1].line())
        if (free := shutil.disk_usage(folder).free) < FREE_BYTES:
            problems.append(f"stopped after {at_s:.0f} s: the disk has {free / 1e9:.1f} GB left")
            lab.stop()
            break
        await asyncio.sleep(EVERY_S)
    say(seen[-1].line())
    return seen


def _look(lab: vl.Lab, at_s: float) -> Seen:
    assert lab.vtn
    assert lab.vtn._process
    us, vtn = psutil.Process(), psutil.Process(lab.vtn._process.pid)
    status = lab.status
    return Seen(
        at_s,
        status.cycle,
        0 if status.acknowledged is None else int(status.acknowledged.sum()),
        status.waiting,
        us.memory_info().rss / 1e6,
        vtn.memory_info().rss / 1e6,
        len(asyncio.all_tasks()),
        us.num_threads(),
        us.num_fds(),
        vtn.num_fds(),
    )


def _grown(seen: Sequence[Seen], seconds: float, say: Callable[[str], None]) -> list[str]:
    """Compare the end of the run with the time after its warm-up, medians of equal windows."""
    warm_s = max(WARM_UP_S, seconds / 10)
    long_s = min(warm_s, (seconds - warm_s) / 3)
    first = [s for s in seen if warm_s <= s.at_s < warm_s + long_s]
    last = [s for s in seen if s.at_s >= seen[-1].at_s - long_s]
    if not first or first[-1] is last[-1]:
        return [f"too short to tell what grew: {seen[-1].at_s:.0f} s"]
    problems = []
    for name in ("lab_mb", "vtn_mb", "tasks", "threads", "files", "vtn_files"):
        was, now = (median(getattr(s, name) for s in part) for part in (first, last))
        bar = was + 16  # connections come and go
        if name.endswith("mb"):
            full = seen[0].vtn_mb + VTN_CACHE_MB if name == "vtn_mb" else 0.0
            bar = (GROWTH if seconds >= 600 else GROWTH_AT_FIRST) * max(was, full)
        say(f"| {name} after warm-up | {was:.1f} | at the end {now:.1f} | {now / was:.3f} |")
        if now > bar:
            problems.append(f"{name} grew from {was:.1f} to {now:.1f}")
    return problems


def main() -> int:
    """Soak, print a table, and tell whether anything grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", nargs="?", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="venlab-soak-") as folder:
        problems = asyncio.run(
            soak(
                chosen.minutes,
                Path(folder),
                seed=chosen.seed,
                say=lambda text: print(text, flush=True),
            )
        )
    print("\n".join(problems) or "nothing grew")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
