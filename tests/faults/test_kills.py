"""Runs that are killed at random moments end as if nobody had touched them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kills.__main__ import SEED, outcomes
from tests.kills.trial import KILLS, Kill, Reference

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
Made = Callable[[Kill], Reference]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Runs that nobody touches, made when they are needed."""
    made: dict[bool, Reference] = {}

    def of(kill: Kill) -> Reference:
        if kill.by_papermill not in made:
            folder = tmp_path_factory.mktemp("untouched") / "run"
            made[kill.by_papermill] = Reference(folder, by_papermill=kill.by_papermill)
        return made[kill.by_papermill]

    return of


@pytest.mark.parametrize("count", [3, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: f"{kill.what}-{kill.number.name}")
def test_killed_at_random_moments(kill: Kill, count: int, tmp_path: Path, reference: Made) -> None:
    """No reading of a finished sample tick is lost; measured = acknowledged = heard, with the
    values of a run that nobody touched, and each report exactly once at the VTN."""
    done = list(outcomes(kill, count, tmp_path, reference(kill), seed=SEED, at_once=3))
    assert [(each.lost, each.differs) for each in done] == [(0, "")] * count, done
