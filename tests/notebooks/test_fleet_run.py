"""The main job by papermill, with other parameters than its defaults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from venlab.errors import RunError
from venlab.platforms import notebooks_dir
from venlab.runs import run_notebook

FLEET_RUN = notebooks_dir() / "fleet_run.ipynb"


def play(folder: Path, **parameters: object) -> dict[str, object]:
    folder.mkdir()
    parameters["out_dir"] = str(folder)
    run_notebook(FLEET_RUN, parameters, folder, html=True, say=lambda _: None)
    summary: dict[str, object] = json.loads((folder / "summary.json").read_text("utf-8"))
    return summary


@pytest.mark.parametrize("dialect", ["flat", "3.0.1", "3.1.0"])
def test_two_towns_with_other_intervals(tmp_path: Path, dialect: str) -> None:
    """Half-hour steps, a report a step: four cycles of what Aabenraa and Aars measure."""
    summary = play(
        tmp_path / "run",
        dialect=dialect,
        vens=2,
        simulated_hours=2.0,
        step_min=30.0,
        report_every_s=30.0,
        seed=11,
        start="2024-07-04T12:00",
    )
    assert summary["complete"] is True
    assert (summary["vens"], summary["cycles"], summary["seed"]) == (2, 4, 11)
    assert summary["measured"] == summary["heard"] == 4 * 6 * (15 + 28)
    assert summary["start"] == "2024-07-04T10:00:00+00:00"
    assert {"power.png", "latency.png", "by_ven.png"} <= {
        path.name for path in (tmp_path / "run" / "figures").iterdir()
    }
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "nothing is missing" in page
    assert 'src="http' not in page


@pytest.mark.parametrize(
    ("parameter", "words"),
    [({"vens": "three"}, "vens is 'three'"), ({"speed": -1.0}, "speed is -1")],
)
def test_a_wrong_value_stops_plain_papermill_too(
    tmp_path: Path, parameter: dict[str, object], words: str
) -> None:
    """The second cell refuses it before anything is made, in one readable line."""
    with pytest.raises(RunError, match=words):
        play(tmp_path / "run", **parameter)
    assert not (tmp_path / "run" / "run.sqlite").exists()
