"""The lessons by papermill, with other parameters than their defaults (nbval plays those)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import nbformat
import pytest

from tests.elsewhere import credentials, elsewhere
from venlab.errors import RunError
from venlab.faults import Faults
from venlab.notebooks import open_notebook
from venlab.runs import run_notebook


def play(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **parameters: object) -> str:
    """Play a lesson and return all that its cells printed or showed as text."""
    monkeypatch.chdir(folder)
    path = open_notebook(name).path
    result = run_notebook(path, parameters, folder, html=False, say=lambda _: None)
    executed = nbformat.read(result.notebook, as_version=4)
    outputs = [o for cell in executed.cells for o in cell.get("outputs", [])]
    return "\n".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)


def unanswered(said: str) -> int:
    """Return how many exercises wait for an answer; their solutions would have failed the run."""
    assert not [line for line in said.splitlines() if line.startswith("✘")]
    return said.count("… not answered yet")


def test_the_tour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two towns answer the event, nothing is lost, and both exercises are solved."""
    said = play(
        "tour", tmp_path, monkeypatch, vens=2, speed=200.0, seed=3, out_dir=str(tmp_path / "run")
    )
    assert "Aabenraa: optIn\nAars: optIn" in said
    assert "nothing is missing" in said
    assert unanswered(said) == 2
    summary = json.loads((tmp_path / "run" / "summary.json").read_text("utf-8"))
    assert summary["complete"] is True
    assert summary["heard"] == 12 * 6 * (15 + 28)


def test_the_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another town, another day of another year, other draws: the solutions hold."""
    said = play("the_fleet", tmp_path, monkeypatch, town="Rønne", start="2024-07-04T00:00", seed=3)
    assert "29 of 31 resources approved" in said
    assert unanswered(said) == 3


def test_speaking_to_a_vtn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a reading a step, in summer: mended reports are taken, nothing shows a token."""
    said = play(
        "speaking_to_a_vtn", tmp_path, monkeypatch, start="2024-07-04T23:30", report_every_s=30.0
    )
    assert "4 of 4 readings heard" in said
    assert unanswered(said) == 4
    assert "Bearer" not in said


def test_timed_loops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At another speed the tables are equal too, and the old bug shows."""
    said = play("timed_loops", tmp_path, monkeypatch, simulated_hours=0.5, speed=80.0, seed=3)
    assert "equal tables: True 360 readings" in said
    assert "Event loop is closed\nok\nok\nok" in "\n".join(filter(None, said.splitlines()))
    assert unanswered(said) == 3


def test_the_standard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One town in summer: three times the same tables, and a request a cycle in the standard."""
    said = play(
        "the_standard", tmp_path, monkeypatch, vens=1, simulated_hours=0.5, start="2024-07-04T12:00"
    )
    for name in ("flat", "3.0.1", "3.1.0"):
        assert f"{name}: 360 measured, 360 heard, exactly once" in said
    assert "equal tables: True" in said
    words = " ".join(said.split())  # as the lines were not broken
    assert '"duration": "PT0S", "intervals": [{"id": 0, "payloads": [{"type": "USAGE"' in words
    assert words.count('"payloadType": "DEMAND", "readingType": "MEAN", "units": "KW"') == 2
    assert [line.split()[:2] for line in said.splitlines() if line.startswith("3.")][-2:] == [
        ["3.0.1", "1"],
        ["3.1.0", "1"],
    ]
    assert unanswered(said) == 3


def test_an_outside_vtn_is_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none is named it says so, makes no run, and ends; the exercises are there."""
    monkeypatch.setenv("VENLAB_RUNS", str(tmp_path / "runs"))  # where one would be made
    said = play("an_outside_vtn", tmp_path, monkeypatch)
    assert "no VTN is named: what needs one is skipped" in said
    assert "vtn.example is not on this machine" in said
    assert unanswered(said) == 2
    assert not list(tmp_path.rglob("run.sqlite"))


@pytest.mark.parametrize(
    ("dialect", "faults", "promise"),
    [
        ("flat", "", "exactly once"),
        ("flat", "repeat_reports", "at least once"),
        ("3.0.1", "", "exactly once"),
        ("3.1.0", "", "exactly once"),
    ],
)
async def test_an_outside_vtn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dialect: str, faults: str, promise: str
) -> None:
    """What it speaks is found out, each reading arrives, and no secret is shown."""
    async with elsewhere(tmp_path / "vtn") as vtn:
        await vtn.misbehave(Faults.parse(faults) if faults else None)
        monkeypatch.setenv("VENLAB_TOKEN", vtn.credential.reveal())
        monkeypatch.setenv("VENLAB_RUNS", str(tmp_path / "runs"))
        own = {"vtn_url": vtn.url_of(dialect), "allow_writes": True}
        if dialect != "flat":  # business logic may not report: the town's own client does
            own["ven_credentials"] = credentials(tmp_path, vtn, "aabenraa")
            own["token_url"] = f"{vtn.url_of(dialect)}/auth/token"
        said = await asyncio.to_thread(play, "an_outside_vtn", tmp_path, monkeypatch, **own)
        assert f"{dialect} at {vtn.url_of(dialect)}: " in said
        assert f"\n{promise}\n" in said
        assert "waiting 0; heard" in said
        assert "nothing is missing" in said
        assert vtn.credential.reveal() not in said


async def test_reports_that_nobody_may_send_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Business logic alone sends no report of the standard: the lesson stops and says they wait."""
    async with elsewhere(tmp_path / "vtn") as vtn:
        monkeypatch.setenv("VENLAB_TOKEN", vtn.credential.reveal())
        monkeypatch.setenv("VENLAB_RUNS", str(tmp_path / "runs"))
        own = {"vtn_url": vtn.url_of("3.0.1"), "drain_s": 1.0}
        with pytest.raises(RunError, match="readings wait"):
            await asyncio.to_thread(play, "an_outside_vtn", tmp_path, monkeypatch, **own)
