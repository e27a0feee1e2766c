"""A history at the VTN: all of it, each reading once, whatever breaks on the way."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

import venlab as vl
from tests.elsewhere import credentials, elsewhere
from tests.standard.recording import forwarding, recorded, served
from tests.test_history import TWO, simulated
from venlab.client import Client
from venlab.config import DIALECTS
from venlab.durations import Duration
from venlab.history import INTERVAL, History
from venlab.lab import Lab
from venlab.model import Ven
from venlab.transport import Answer
from venlab.upload import PAST

STANDARD = [name for name in DIALECTS if name != "flat"]
DAYS, LOADS = 2, 12
READINGS = 96 * DAYS * LOADS
Post = Callable[[Client, Ven, bytes, str], Awaitable[Answer]]


def quick(folder: Path, **values: object) -> vl.LabConfig:
    """Two resources that are approved, of two towns."""
    chosen = {"dialect": "3.1.0", "simulated_hours": 0.5, "out_dir": str(folder), "timeout_s": 5.0}
    return vl.params(**{**chosen, **values})


def past(lab: Lab, days: int = DAYS) -> History:
    return simulated(lab.fleet, until=lab.starts_at, days=days)


def stored(folder: Path) -> dict[tuple[str, str, datetime], float]:
    """Return each value that a VTN of the standard holds of a history, once; its store is closed.

    The reader is the test's own: intervals follow each other from their resource's period on.
    """
    with closing(sqlite3.connect(folder / "vtn.sqlite")) as c:
        bodies = c.execute("SELECT name, body FROM standard_reports").fetchall()
    found: dict[tuple[str, str, datetime], float] = {}
    for name, body in bodies:
        report = json.loads(body)
        if PAST not in name:
            continue
        for resource in report["resources"]:
            period = resource["intervalPeriod"]
            at, length = datetime.fromisoformat(period["start"]), Duration.parse(period["duration"])
            assert length.exact == INTERVAL
            for n, interval in enumerate(resource["intervals"]):
                (payload,) = interval["payloads"]
                assert (interval["id"], payload["type"]) == (n, "DEMAND")
                key = report["clientName"], resource["resourceName"], at + n * INTERVAL
                assert key not in found, f"twice: {key}"
                (found[key],) = payload["values"]
    return found


def expected(history: History) -> dict[tuple[str, str, datetime], float]:
    fleet, frame = history.fleet, history.kw("load")
    towns = dict(zip(fleet.ven_name.tolist(), fleet.town_id.tolist(), strict=True))
    return {
        (towns[ven], f"{resource}.{load}", stamp.to_pydatetime()): power_kw
        for (ven, resource, load), column in frame.items()
        for stamp, power_kw in column.items()
    }


def whole(folder: Path, history: History) -> None:
    """Check that the VTN has each reading of a history, once, with its value."""
    assert stored(folder) == expected(history)


@pytest.mark.parametrize("name", STANDARD)
async def test_a_history_arrives_whole(tmp_path: Path, name: str) -> None:
    """One report a VEN and day; every value; then a run, and neither is in the other's check."""
    told: list[tuple[int, int]] = []
    async with vl.Lab(quick(tmp_path / "run", dialect=name), fleet=TWO) as lab:
        await lab.register()
        history = past(lab)
        done = await lab.upload(history, lambda *counts: told.append(counts))
        assert done[:3] == (READINGS, READINGS, 0)
        assert [now for now, _ in told] == sorted({now for now, _ in told})
        assert told[-1] == (READINGS, READINGS)
        assert len(told) == DAYS, "Odense has nothing that is approved"
        await lab.run()
        results = await lab.read_back()
        again = await lab.upload(history)
        assert again[:3] == done[:3]
        assert again.wall_s < 1
    check = results.check()
    assert check, str(check)
    assert check.heard == check.measured == 4 * LOADS
    assert results.summary()["attempts"] == 4 * 1
    whole(lab.folder, history)
    assert repr(done).startswith("2,304 of 2,304 readings acknowledged, in ")
    sent = results.requests["purpose"].value_counts()
    assert (sent["history"], sent["report"]) == (DAYS, 4)


async def test_flat_has_a_report_for_each_reading(tmp_path: Path) -> None:
    """As in a run of that dialect, under names of its own; the run's check does not hear them."""
    async with vl.Lab(quick(tmp_path / "run", dialect="flat"), fleet=TWO) as lab:
        await lab.register()
        history = past(lab, days=1)
        done = await lab.upload(history)
        assert done[:3] == (96 * LOADS, 96 * LOADS, 0)
        await lab.run()
        assert (await lab.read_back()).check()
        run = f"{lab.run_id}{PAST}{history.digest}"
        heard = [report async for page in lab.client.heard(run) for report in page]
    assert len({report.name for report in heard}) == 96 * LOADS
    assert sum(r.watts for r in heard) == history.watts[:, history.measured].sum()


@pytest.mark.parametrize("name", STANDARD)
async def test_every_word_is_one_that_the_documents_allow(tmp_path: Path, name: str) -> None:
    """Against a VTN that is not the lab's own."""
    async with elsewhere(tmp_path / "vtn") as vtn:
        with recorded() as seen, served(seen.app(forwarding(vtn.url))) as url:
            config = quick(
                tmp_path / "run",
                dialect=name,
                vtn_url=f"{url}/openadr3/{name}",
                token=vtn.credential,
                ven_credentials=credentials(tmp_path, vtn, "aars", "odense"),
                token_url=f"{url}/openadr3/{name}/auth/token",
            )
            async with vl.Lab(config, fleet=TWO) as lab:
                await lab.register()
                history = past(lab)
                assert (await lab.upload(history)).acknowledged == READINGS
        assert seen.exchanges[f"{name} POST 201"] > DAYS
    whole(tmp_path / "vtn", history)


async def test_it_is_about_the_event_that_is_named(tmp_path: Path) -> None:
    """Where report_event says so; an event that asks for energy gets energy. Else one of its own."""
    async with vl.Lab(quick(tmp_path / "run", report_event="metering"), fleet=TWO) as lab:
        program = await lab.client.create_program("venlab")
        asked = vl.Event("", "metering", program.id)
        await lab.client.create_event(asked)
        await lab.register()
        history = past(lab)
        await lab.upload(history)
        assert [e.name for e in await lab.client.events()] == ["metering"]
    whole(lab.folder, history)
