"""Runs against an event that says how it wants its reports: each reading once, as it asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import venlab as vl
from venlab.config import DIALECTS
from venlab.errors import ConfigError
from venlab.lab import Lab
from venlab.model import Event, ReportDescriptor

STANDARD = [name for name in DIALECTS if name != "flat"]
# One town, four steps of 15 min, eight cycles of 7.5 min with 90 readings each.
CYCLES, READINGS = 8, 90


def quick(folder: Path, **values: object) -> vl.LabConfig:
    chosen = {"vens": 1, "simulated_hours": 1.0, "dialect": "3.1.0", "report_event": "asked"}
    return vl.params(**{**chosen, "out_dir": str(folder), **values})


async def seeded(lab: Lab, *asked: ReportDescriptor) -> None:
    """Let an operator have made an event that asks for reports, before anybody registers."""
    program = await lab.client.create_program("metering")
    await lab.client.create_event(Event("", "asked", program.id, report_descriptors=asked))


async def played(config: vl.LabConfig, *asked: ReportDescriptor) -> vl.Results:
    async with Lab(config) as lab:
        await seeded(lab, *asked)
        await lab.register()
        await lab.run()
        return await lab.read_back()


def sent(results: vl.Results) -> list[list[int]]:
    """Return the intervals of each report's first resource, in order, by their ids."""
    found = []
    for (body,) in results.rows("SELECT body FROM bodies ORDER BY id"):
        resources: list[Any] = json.loads(body)["resources"]
        found.append([interval["id"] for interval in resources[0]["intervals"]])
    return found


@pytest.mark.parametrize("name", STANDARD)
async def test_a_report_every_third_interval(tmp_path: Path, name: str) -> None:
    """Three intervals a report for ever: 0–2, 3–5, and what there is at the end; all heard."""
    asked = ReportDescriptor("USAGE", num_intervals=3, repeat=-1)
    results = await played(quick(tmp_path / "run", dialect=name), asked)
    assert sent(results) == [[0, 1, 2], [3, 4, 5], [6, 7]]
    check = results.check()
    assert check, str(check)
    assert check.heard == check.measured == check.acknowledged == CYCLES * READINGS
    assert check.not_asked == 0
