"""Disks that are full, under the run's file and under the VTN's store: real limits."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

import venlab as vl
from tests.kernels.processes import Programs, ended, noise
from venlab.faults import Faults
from venlab.lab import Lab
from venlab.results import RUN_FILE, Results

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the limits of Linux")

FULL = """\
import asyncio, resource, sys
import venlab as vl
from venlab.errors import StoreError


async def main():
    async with vl.Lab(vl.params(vens=1, simulated_hours=2.0, out_dir="run")) as lab:
        await lab.register()
        print(lab.vtn._process.pid, flush=True)
        there = sum(path.stat().st_size for path in lab.folder.glob("run.sqlite*"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (there + 1_000_000, resource.RLIM_INFINITY))
        await lab.run()


try:
    asyncio.run(main())
except StoreError as error:
    assert error.__context__ is None, error.__context__  # it is said once
    sys.exit(str(error))
"""


def exactly_once(folder: Path, expected: int) -> None:
    """Check that all was heard, and that the VTN's store has no name twice and none too much."""
    results = Results(folder)
    check = results.check()
    assert check.ok, str(check)
    assert (check.measured, check.acknowledged, check.heard) == (expected,) * 3
    with closing(sqlite3.connect(folder / "vtn.sqlite")) as c:
        names = c.execute("SELECT count(*), count(DISTINCT name) FROM reports").fetchone()
    assert names == (expected, expected)


def test_under_the_runs_file(tmp_path: Path) -> None:
    """One line that names the file and the reason, no VTN left, what was acknowledged is kept;
    with room again the run goes on, and no reading is lost or there twice."""
    programs = Programs(tmp_path)
    try:
        code, out, err = ended(programs.script(FULL))
    finally:
        programs.end()
    assert (code, noise(err)) == (1, [])
    assert err.startswith("cannot write run/run.sqlite: disk I/O error. See whether its disk is")
    assert not Path("/proc", out.strip()).exists()
    kept = Results(tmp_path / "run").rows("SELECT cycle, watts FROM readings")
    with closing(sqlite3.connect(tmp_path / "run" / "vtn.sqlite")) as c:
        assert 0 < c.execute("SELECT count(*) FROM reports").fetchone()[0] < 16 * 90
    results = Lab.resume(tmp_path / "run").run_sync()
    assert results.rows("SELECT cycle, watts FROM readings")[: len(kept)] == kept
    exactly_once(tmp_path / "run", 16 * 90)


@asynccontextmanager
async def a_page_limit(lab: Lab) -> AsyncIterator[None]:
    assert lab.vtn
    await lab.vtn.misbehave(Faults.parse("diskfull"))
    yield
    await lab.vtn.misbehave(None)


@asynccontextmanager
async def a_size_limit(lab: Lab) -> AsyncIterator[None]:
    import resource

    assert lab.vtn
    assert lab.vtn._process
    pid, infinite = lab.vtn._process.pid, resource.RLIM_INFINITY
    size = max(path.stat().st_size for path in lab.folder.glob("vtn.sqlite*"))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, infinite))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (infinite, infinite))


@pytest.mark.parametrize("full", [a_page_limit, a_size_limit])
async def test_under_the_vtns_store(tmp_path: Path, full: Callable[[Lab], object]) -> None:
    """It answers 503, the circuit opens and the readings wait; with room again all is delivered,
    each report exactly once."""
    config = vl.params(vens=1, simulated_hours=2.0, speed=120.0, out_dir=str(tmp_path / "run"))
    async with Lab(config) as lab:
        await lab.register()
        async with full(lab):  # type: ignore[attr-defined]
            lab.start()
            deadline = time.monotonic() + 20
            while not (lab.status.problem and lab.status.waiting >= 180):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            assert lab.status.problem.startswith("it answers 503")
        await lab.wait()
        await lab.read_back()
    exactly_once(tmp_path / "run", 16 * 90)
    assert lab.results.summary()["outages"] >= 1
    assert (tmp_path / "run" / RUN_FILE).exists()
