"""After every fault every reading is at the VTN exactly once, and is the one that was measured."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults import matrix
from tests.test_lab import quick
from venlab.clock import Clock
from venlab.config import DIALECTS
from venlab.lab import Lab
from venlab.results import Results


@pytest.fixture(scope="module")
def like(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What all runs are compared with."""
    return asyncio.run(matrix.undisturbed(tmp_path_factory.mktemp("undisturbed") / "run"))


async def exact(row: matrix.Row, folder: Path, like: Results) -> None:
    outcome = await matrix.played(row, folder / "run", like)
    assert outcome.exact, str(outcome.results.check())
    assert outcome.struck != "nothing"


@pytest.mark.parametrize("row", list(matrix.some_rows()), ids=str)
async def test_one_fault_of_each_kind(row: matrix.Row, tmp_path: Path, like: Results) -> None:
    """Whatever the VTN does wrong for a while: none lost, none doubled, none changed."""
    await exact(row, tmp_path, like)


IN_THE_STANDARD = (
    matrix.Row("reset stored", 0.3),
    matrix.Row("expire", 0.3),
    matrix.Row("html stored", 0.3, registering=True),
    matrix.Row("restart down=0.3 from=0.02 lose=store", 1.0),
)


@pytest.mark.parametrize("dialect", DIALECTS[1:])
@pytest.mark.parametrize("row", IN_THE_STANDARD, ids=str)
async def test_the_standard_s_batches(
    row: matrix.Row, dialect: str, tmp_path: Path, like: Results
) -> None:
    """Delicate there: batches stored unanswered, a client's token, an event that is gone."""
    await exact(replace(row, dialect=dialect), tmp_path, like)


@pytest.mark.slow
@pytest.mark.parametrize("row", [r for d in DIALECTS for r in matrix.rows(d)], ids=str)
async def test_the_whole_matrix(row: matrix.Row, tmp_path: Path, like: Results) -> None:
    """Each fault with a third of all requests and with all, over both transports."""
    await exact(row, tmp_path, like)


@pytest.mark.parametrize("look", [True, False])
async def test_a_vtn_that_takes_names_twice(tmp_path: Path, look: bool) -> None:
    """The lab says "at least once" there. Who looks before a report goes again doubles none; who
    does not is told which are there twice."""
    faults = "repeat_reports; reset stored share=0.3 method=POST path=/reports"
    config = quick(tmp_path, faults=faults, look_before_resend=look)
    async with Lab(config, wall=Clock(matrix.HURRY)) as lab:
        await lab.register()
        await lab.run()
        results = await lab.read_back()
    check, told = results.check(), results.summary()
    assert told["delivered"] == "at least once"
    looks = results.rows("SELECT count(*) FROM requests WHERE purpose = 'look for a report'")
    assert (looks[0][0] > 10, told["retried"] > 10) == (look, not look)
    assert check.measured == check.acknowledged == 360
    assert check.heard is not None
    if look:
        assert check.ok, str(check)
    else:
        assert check.heard > 360
        assert "another power heard than sent" in str(check)


async def test_two_runs_at_one_vtn(tmp_path: Path) -> None:
    """Another seed, the same towns, the same VTN: nothing of one is mistaken for the other's, not
    even where every answer may be lost."""
    config = quick(tmp_path / "a", seed=1)
    async with Lab(config, wall=Clock(matrix.HURRY)) as first:
        await first.register()
        assert first.vtn
        token = first.vtn.credential
        await first.vtn.misbehave(matrix.faults("reset stored share=0.3 path=/reports"))
        config = quick(tmp_path / "b", seed=2, vtn_url=first.vtn.flat_url).but(token=token)
        async with Lab(config, wall=Clock(matrix.HURRY)) as second:
            await second.register()
            await asyncio.gather(first.run(), second.run())
            await first.vtn.misbehave(None)
            found = [await first.read_back(), await second.read_back()]
    watts = [results.rows("SELECT watts FROM readings") for results in found]
    assert watts[0] != watts[1]
    for results in found:
        assert results.check().ok, str(results.check())
        assert results.summary()["retried"] > 10
        assert results.summary()["rejected"] == 0
