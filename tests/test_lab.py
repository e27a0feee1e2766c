"""The timed run, whole: real fleet, real VTN process, real run file."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

import venlab as vl
from tests.scripted import Reply, Request, scripted
from venlab.client import Client
from venlab.config import LabConfig
from venlab.embedded import EmbeddedVtn
from venlab.errors import AccessDenied, ConfigError, NoAnswer, NotAVtn, RunError, StoreError
from venlab.lab import Lab
from venlab.link import Link
from venlab.model import Event
from venlab.outbox import Outbox
from venlab.report import Formatter
from venlab.results import RUN_FILE, Results
from venlab.secret import Secret
from venlab.transport import Answer, HttpxTransport


def quick(folder: Path, **values: object) -> LabConfig:
    """One town, two steps, four cycles; every setting can be changed."""
    chosen = {"vens": 1, "simulated_hours": 0.5, "out_dir": str(folder / "run"), "drain_s": 5.0}
    return vl.params(**{**chosen, **values})


async def played(config: LabConfig, before_run: Callable[[Lab], object] | None = None) -> Results:
    """Open, register, run, read back, close."""
    async with Lab(config) as lab:
        await lab.register()
        if before_run:
            before_run(lab)
        await lab.run()
        await lab.read_back()
    return lab.results


async def test_heard_equals_acknowledged_equals_measured(tmp_path: Path) -> None:
    """Aabenraa has 15 approved resources, 90 loads: four cycles are 360 readings, all heard."""
    results = await played(quick(tmp_path))
    check = results.check()
    assert check.ok, str(check)
    assert (check.measured, check.acknowledged, check.heard) == (360, 360, 360)
    assert (check.rejected, check.waiting) == (0, 0)
    assert check.measured_kwh == check.heard_kwh == check.acknowledged_kwh > 0


async def test_the_summary_and_the_folder(tmp_path: Path) -> None:
    """Every promised number and file is there, and the tables agree with the counts."""
    results = await played(quick(tmp_path))
    summary = json.loads((results.folder / "summary.json").read_text("utf-8"))
    promised = (
        "run_id vens resources loads cycles measured acknowledged rejected waiting heard "
        "measured_kwh heard_kwh success_rate reports_per_s latency_ms_p50 latency_ms_p99 "
        "worst_lag_s wall_s dialect transport vtn_url seed stopped"
    )
    assert set(promised.split()) <= set(summary)
    assert (summary["cycles"], summary["loads"], summary["success_rate"]) == (4, 90, 1.0)
    assert summary["stopped"] is False
    params = (results.folder / "params.json").read_bytes()
    assert msgspec.json.decode(params)["speed"] == "inf"  # JSON knows no Infinity
    files = {path.name for path in results.folder.iterdir()}
    assert {"fleet.csv", "lab.log", "params.json", "readings.csv", "requests.csv"} <= files
    readings = results.readings
    assert len(readings) == 360
    assert readings["energy_kwh"].sum() == pytest.approx(summary["measured_kwh"])
    assert (results.requests["purpose"] == "report").sum() == 360
    assert results.by_ven["acknowledged"].to_dict() == {"Aabenraa": 360}
    assert set(results.loops["kind"]) >= {"simulate", "sample", "send", "events", "heartbeat"}


async def test_the_log_says_what_its_readers_know(tmp_path: Path) -> None:
    """The lines of the old process, in order, and no token anywhere in the folder's texts."""
    lab_config = quick(tmp_path)
    async with Lab(lab_config) as lab:
        assert lab.vtn
        secret = lab.vtn.credential.reveal()
        await lab.register()
        await lab.run()
    log = (tmp_path / "run" / "lab.log").read_text("utf-8")
    known = [
        "Registering VEN: Aabenraa",
        "Simulator initialized with 15 approved resources",
        "Active VENs: 1",
        "Sent 90/90 reports for VEN Aabenraa",
        "Report generation complete: 90 reports sent for 15 resources",
        "Advanced simulation to timestamp index 1",
    ]
    assert [log.find(line) for line in known] == sorted(log.find(line) for line in known)
    assert all(line in log for line in known)
    for path in (tmp_path / "run").iterdir():
        assert secret.encode() not in path.read_bytes(), path.name


# -- dropping one reading on any edge turns the check red ---------------------------------------


async def dropped(tmp_path: Path, before_run: Callable[[Lab], object]) -> str:
    results = await played(quick(tmp_path), before_run)
    check = results.check()
    assert not check
    return "\n".join(check.missing)


async def test_a_reading_lost_before_the_run_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulator → run file."""
    append = Outbox.append

    async def forgetful(self: Outbox, row, frozen):  # type: ignore[no-untyped-def]
        if row.cycle == 1:
            watts = np.frombuffer(row.watts, "<i4").copy()
            watt_s = row.watt_s - int(watts[0]) * row.duration_s
            watts[0] = -1
            row = row._replace(measured=row.measured - 1, watt_s=watt_s, watts=watts.tobytes())
            frozen = frozen[1:]
        await append(self, row, frozen)

    monkeypatch.setattr(Outbox, "append", forgetful)
    words = await dropped(tmp_path, lambda _: None)
    assert "simulator → run file: 360 readings measured, 359 kept" in words


async def test_a_reading_lost_before_the_outbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run file → outbox: it is named with its start and load."""
    freeze = Formatter.freeze

    def forgetful(self: Formatter, sample, cycle, step):  # type: ignore[no-untyped-def]
        row, frozen = freeze(self, sample, cycle, step)
        return row, frozen[:-1] if cycle == 2 else frozen

    monkeypatch.setattr(Formatter, "freeze", forgetful)
    words = await dropped(tmp_path, lambda _: None)
    assert "readings in no report: 1, aabenraa/" in words
    assert "/load_5 at 2023-11-30T15:15:00+00:00 in 0 reports" in words


async def test_a_report_lost_on_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outbox → VTN: something answers 201 that stores nothing; the name is named."""
    send, lost = HttpxTransport.send, []

    async def forgetful(self, method, path, body, headers):  # type: ignore[no-untyped-def]
        if path == "/reports" and not lost:
            lost.append(json.loads(body)["report_name"])
            return Answer(201, {}, b'{"id": "r"}')
        return await send(self, method, path, body, headers)

    monkeypatch.setattr(HttpxTransport, "send", forgetful)
    words = await dropped(tmp_path, lambda _: None)
    assert f"acknowledged but not heard: 1, {lost[0]}" in words


async def test_a_report_lost_in_the_vtn(tmp_path: Path) -> None:
    """VTN: acknowledged, and gone from its store afterwards."""
    async with Lab(quick(tmp_path)) as lab:
        await lab.register()
        await lab.run()
        assert lab.vtn
        await lab.vtn.stop()
        with closing(sqlite3.connect(tmp_path / "run" / "vtn.sqlite")) as c, c:
            c.execute("DELETE FROM reports WHERE name = (SELECT min(name) FROM reports)")
        await lab.vtn.start()
        lab.client = Client(
            HttpxTransport(lab.vtn.flat_url), lab.client.dialect, lab.vtn.credential
        )
        results = await lab.read_back()
        assert "acknowledged but not heard: 1" in str(results.check())


async def test_a_report_lost_on_the_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VTN → lab: the VTN has it, the read-back missed it."""
    heard = Client.heard

    async def forgetful(self, run_id):  # type: ignore[no-untyped-def]
        async for page in heard(self, run_id):
            yield page[1:]

    monkeypatch.setattr(Client, "heard", forgetful)
    assert "acknowledged but not heard: 1" in await dropped(tmp_path, lambda _: None)


async def test_a_value_that_changed_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts agree, the energy does not: 1 W over 7.5 min is seen."""
    heard = Client.heard

    async def changed(self, run_id):  # type: ignore[no-untyped-def]
        async for page in heard(self, run_id):
            yield [page[0]._replace(watts=page[0].watts + 1), *page[1:]]

    monkeypatch.setattr(Client, "heard", changed)
    assert "W·s heard" in await dropped(tmp_path, lambda _: None)


async def test_a_report_nobody_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VTN → outbox: what the VTN has under our run's name and we do not know is named."""
    heard = Client.heard

    async def invented(self, run_id):  # type: ignore[no-untyped-def]
        async for page in heard(self, run_id):
            yield [*page, page[-1]._replace(name=f"{run_id}/zz/nobody")]

    monkeypatch.setattr(Client, "heard", invented)
    assert "heard but not acknowledged: 1" in await dropped(tmp_path, lambda _: None)


async def test_read_back_again_from_a_vtn_that_lost_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second answer counts: nothing of the first is left to make the check green."""
    async with Lab(quick(tmp_path)) as lab:
        await lab.register()
        await lab.run()
        assert (await lab.read_back()).check().ok

        async def nothing(self, run_id):  # type: ignore[no-untyped-def]
            return
            yield

        monkeypatch.setattr(Client, "heard", nothing)
        check = (await lab.read_back()).check()
    assert check.heard == 0
    assert "acknowledged but not heard: 360" in str(check)


@pytest.mark.parametrize("answer", [(200, b"<html>"), (403, b"{}"), (404, b"{}"), (500, b"")])
async def test_a_vtn_that_cannot_be_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, bytes]
) -> None:
    """Whatever it answers instead, the run's results come back, and nothing counts as heard."""
    send = HttpxTransport.send

    async def closed(self, method, path, body, headers):  # type: ignore[no-untyped-def]
        if path.startswith("/reports?"):
            return Answer(answer[0], {}, answer[1])
        return await send(self, method, path, body, headers)

    async with Lab(quick(tmp_path)) as lab:
        await lab.register()
        await lab.run()
        assert (await lab.read_back()).check().heard == 360
        monkeypatch.setattr(HttpxTransport, "send", closed)
        results = await lab.read_back()
    assert results.check().heard is None
    assert results.summary()["acknowledged"] == 360


# -- time ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [60.0, 600.0])
async def test_every_speed_gives_equal_tables(tmp_path: Path, speed: float) -> None:
    """Readings of a paced run and of one without waiting are the same rows."""
    paced = await played(quick(tmp_path / "a", speed=speed, simulate_every_s=30))
    at_once = await played(quick(tmp_path / "b", speed=math.inf))
    assert paced.check().ok, str(paced.check())
    assert paced.readings.equals(at_once.readings)
    assert paced.summary()["wall_s"] >= 60 / speed


async def test_real_time(tmp_path: Path) -> None:
    """Steps are simulate intervals and the start is now."""
    config = quick(tmp_path, realtime=True, simulated_hours=0.02, speed=math.inf)
    results = await played(config)
    assert results.check().ok
    assert (results.summary()["cycles"], config.interval_min) == (6, 0.25)


async def test_real_time_begins_with_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long registration or a person took: stamps are true times of the run."""
    config = quick(tmp_path, realtime=True, simulated_hours=0.02)
    async with Lab(config) as lab:
        await lab.register()
        later = datetime(2024, 2, 1, 12, tzinfo=UTC)
        monkeypatch.setattr(LabConfig, "start_utc", lambda _: later)
        results = await lab.run()
    (first, *_) = results.readings["start"]
    assert vl.parse_time(first) == vl.parse_time(results.summary()["start"]) == later


async def test_an_unfinished_interval_is_flushed(tmp_path: Path) -> None:
    """Three steps with a report every two: the second reading covers one step, energy is kept."""
    config = quick(tmp_path, simulated_hours=0.75, report_every_s=60.0)
    results = await played(config)
    assert results.check().ok
    rows = results.rows("SELECT duration_s FROM readings ORDER BY cycle")
    assert rows == [(1800,), (900,)]


# -- statuses, events, trouble ------------------------------------------------------------------


async def test_statuses_take_effect_at_the_next_status_tick(tmp_path: Path) -> None:
    """A newly approved resource starts to report then, a suspended one stops then."""
    config = quick(tmp_path, simulated_hours=1, status_every_s=60.0)
    async with Lab(config) as lab:
        await lab.register()
        ids = lab.roster.resource_ids
        gone = [ids[r] for r in np.flatnonzero(lab.roster.approved)[:2].tolist()]
        new = ids[int(np.flatnonzero(~lab.roster.approved)[0])]
        advance, changes = lab.simulator.step, []

        def step() -> object:
            if lab.simulator.index == 1:  # at 30 s of schedule; the next status tick is at 60 s
                changes.append(asyncio.ensure_future(lab.client.set_status(gone[0], "suspended")))
                changes.append(asyncio.ensure_future(lab.client.set_status(gone[1], "pending")))
                changes.append(asyncio.ensure_future(lab.client.set_status(new, "approved")))
            return advance()

        lab.simulator.step = step  # type: ignore[method-assign, assignment]
        await lab.run()
        await asyncio.gather(*changes)
        results = await lab.read_back()
    assert results.check().ok, str(results.check())
    assert [n for (n,) in results.rows("SELECT measured FROM readings ORDER BY cycle")] == (
        [90] * 4 + [84] * 4
    )
    silent, heard = set(gone), results.readings.tail(84)["resource"].unique()
    assert len(heard) == 14
    assert not silent & set(heard)


async def test_an_event_is_seen_answered_and_noted_once(tmp_path: Path) -> None:
    """Each version once: the answer at the VTN, the step in `events_applied`."""
    async with Lab(quick(tmp_path)) as lab:
        await lab.register()
        (program,) = await lab.client.programs()
        begin, end = vl.parse_time("2023-11-30T17:00"), vl.parse_time("2023-11-30T19:00")
        wish = Event.between(begin, end, name="peak", program_id=program.id)
        event = await lab.client.create_event(wish)
        await lab.run()
        (ven,) = lab.roster.vens
        assert await lab.client.responses(event) == {ven.id: "optIn"}
        await lab.client.change_event(replace(event, name="higher peak"))
        assert [e.version for e in await lab.client.events()] == [1]
    assert lab.results.events[["step", "name", "version"]].to_numpy().tolist() == [[0, "peak", 0]]
    times = lab.results.events[["start", "end"]].to_numpy().tolist()
    assert times == [[begin.isoformat(), end.isoformat()]]
    asked = lab.results.requests["purpose"].value_counts()
    assert asked["respond"] == 1


async def test_a_vtn_that_ends_in_the_middle_costs_nothing(tmp_path: Path) -> None:
    """The run goes on, what could not be sent waits, and the check says so without alarm."""
    async with Lab(quick(tmp_path, drain_s=0.0, tries=1)) as lab:
        await lab.register()
        advance = lab.simulator.step

        def step() -> object:
            if lab.simulator.index == 1:
                assert lab.vtn
                lab.vtn._end()  # on purpose: one that dies comes back
            return advance()

        lab.simulator.step = step  # type: ignore[method-assign, assignment]
        results = await lab.run()
        check = results.check()
    assert check.ok, str(check)
    assert check.measured == 360
    assert check.waiting > 0
    assert check.acknowledged + check.waiting == 360


@pytest.mark.parametrize(
    "when", ["create program", "register resource", "list resources", "poll events", "read back"]
)
async def test_a_vtn_that_dies_is_started_again(
    tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at a request of any kind, it comes back as the same, and the run ends exactly."""
    noted, killed = Client._noted, []

    async def deadly(self, sending, purpose, *rest):  # type: ignore[no-untyped-def]
        if purpose == when and not killed:
            killed.append(lab._link.vtn._process)
            killed[0].kill()
            killed[0].wait()
        return await noted(self, sending, purpose, *rest)

    monkeypatch.setattr(Client, "_noted", deadly)
    lab = Lab(quick(tmp_path))
    results = await asyncio.to_thread(lab.run_sync)
    assert killed[0].returncode == -9
    assert results.check().ok, str(results.check())
    assert results.check().heard == 360


@pytest.mark.parametrize("speed", [30.0, math.inf])
async def test_a_stop_from_anywhere_ends_the_run(tmp_path: Path, speed: float) -> None:
    """Within a second; what was acknowledged is what was heard, the rest waits."""
    async with Lab(quick(tmp_path, speed=speed, simulated_hours=1000)) as lab:
        await lab.register()
        stopped_at: list[float] = []

        def press() -> None:
            stopped_at.append(time.monotonic())
            lab.stop()

        button = threading.Timer(1.0, press)
        button.start()
        await asyncio.wait_for(lab.run(), 10)
        assert time.monotonic() - stopped_at[0] < 1
        results = await lab.read_back()
        assert lab.status.state == "stopped"
        button.join()
    check = results.check()
    assert check.ok, str(check)
    assert results.summary()["stopped"] is True
    assert 0 < results.summary()["cycles"] < 8000


@pytest.mark.parametrize("times", [1, 2])
async def test_an_interrupt_gives_back_what_there_is(tmp_path: Path, times: int) -> None:
    """Cancelled as a kernel does it, even twice, `run` returns at once, and nothing is lost."""
    async with Lab(quick(tmp_path, simulated_hours=1000)) as lab:
        await lab.register()
        loop = asyncio.get_running_loop()
        run = asyncio.create_task(lab.run())
        for n in range(times):
            loop.call_later(1.0 + 0.01 * n, run.cancel)
        began = loop.time()
        results = await run
        assert loop.time() - began < 2
        await lab.read_back()
        check = results.check()
    assert check.ok, str(check)
    assert results.summary()["stopped"] is True


async def test_in_the_background(tmp_path: Path) -> None:
    """`start` returns at once, `status` tells how it goes, `wait` gives the results."""
    async with Lab(quick(tmp_path, speed=60.0)) as lab:
        with pytest.raises(RunError, match="nothing was started"):
            await lab.wait()
        await lab.register()
        lab.start()
        await asyncio.sleep(0.6)
        seen = lab.status
        assert (seen.state, seen.cycles) == ("running", 4)
        assert 0 < seen.schedule_s < 60
        results = await lab.wait()
        await lab.read_back()
        assert lab.status.state == "done"
        assert lab.status.waiting == 0
        assert lab.status.power_kw[0][1].sum() > 0
    assert results.check().ok


async def test_a_run_that_was_started_is_waited_for(tmp_path: Path) -> None:
    """A button may have begun it: `run` in the next cell gives its results, `start` refuses."""
    async with Lab(quick(tmp_path)) as lab:
        await lab.register()
        lab.start()
        with pytest.raises(RunError, match="started already"):
            lab.start()
        results = await lab.run()
        assert (await lab.wait()).folder == results.folder
        await lab.read_back()
    assert results.check().measured == 360
    assert results.check().ok


async def test_stopped_as_soon_as_it_was_started(tmp_path: Path) -> None:
    """A stop that comes before the run's first step is not lost."""
    async with Lab(quick(tmp_path, simulated_hours=1000)) as lab:
        await lab.register()
        lab.start()
        lab.stop()
        results = await asyncio.wait_for(lab.wait(), 5)
    summary = results.summary()
    assert (summary["cycles"], summary["stopped"]) == (0, True)


async def test_started_too_early_and_then_again(tmp_path: Path) -> None:
    """`start` says itself that nobody is registered, and the lab can be started afterwards."""
    async with Lab(quick(tmp_path)) as lab:
        with pytest.raises(RunError, match="register"):
            lab.start()
        await lab.register()
        lab.start()
        with pytest.raises(RunError, match="played already"):
            lab.run_sync()
        assert (await lab.wait()).check().measured == 360


async def test_closing_ends_what_was_started(tmp_path: Path) -> None:
    """Closed while it runs in the background, a run is stopped first, and its check is whole."""
    async with Lab(quick(tmp_path, speed=60.0, simulated_hours=1000)) as lab:
        await lab.register()
        lab.start()
        await asyncio.sleep(0.6)
    check = lab.results.check()
    assert check.ok, str(check)
    assert check.measured >= 90
    assert lab.results.summary()["stopped"] is True
    assert (await lab.wait()).folder == lab.folder


async def test_a_failure_in_the_background_is_raised_at_the_next_await(tmp_path: Path) -> None:
    """And until then the status says what it was."""
    async with Lab(quick(tmp_path)) as lab:
        await lab.register()
        lab.simulator.step = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
        lab.start()
        with pytest.raises(ZeroDivisionError):
            await lab.wait()
        assert lab.status.state == "failed"
        assert "division" in lab.status.problem


async def test_a_stop_does_not_wait_for_a_slow_disk(tmp_path: Path) -> None:
    """Results come back within a second; the file's own thread writes the rest."""
    async with Lab(quick(tmp_path, speed=60.0, simulated_hours=1000)) as lab:
        await lab.register()
        lab.start()
        await asyncio.sleep(0.6)
        lab.outbox._tell(lambda _: time.sleep(1.5))
        began = time.monotonic()
        lab.stop()
        results = await lab.wait()
        assert time.monotonic() - began < 1
    assert results.check().ok
    assert results.summary()["stopped"] is True


async def test_closing_a_lab_whose_file_failed(tmp_path: Path) -> None:
    """The error is said, and nothing is left running or open."""
    lab = Lab(quick(tmp_path))
    await lab.open()
    vtn = lab.vtn
    lab.outbox._tell(lambda c: c.execute("SELECT * FROM pony"))
    await asyncio.sleep(0.1)
    with pytest.raises(StoreError, match="pony"):
        await lab.close()
    assert vtn
    assert not vtn.running
    assert not lab.outbox._thread.is_alive()


async def test_a_pause_and_another_speed_change_no_value(tmp_path: Path) -> None:
    """Paused, resumed and hurried on, the tables are those of a run nobody touched."""
    async with Lab(quick(tmp_path / "a", speed=60.0)) as lab:
        await lab.register()
        loop = asyncio.get_running_loop()
        loop.call_later(0.3, lambda: setattr(lab.clock, "paused", True))
        loop.call_later(0.7, lambda: setattr(lab.clock, "paused", False))
        loop.call_later(0.9, lambda: setattr(lab.clock, "speed", math.inf))
        touched = await lab.run()
    untouched = await played(quick(tmp_path / "b"))
    assert touched.readings.equals(untouched.readings)


def test_from_a_script(tmp_path: Path) -> None:
    """`run_sync` does all of it and closes what it opened."""
    results = Lab(quick(tmp_path)).run_sync()
    assert results.check().ok
    assert (results.folder / "summary.json").is_file()


async def test_from_a_plain_cell(tmp_path: Path) -> None:
    """`run_sync` where a loop runs uses a loop of its own, and a lab opened here goes on here."""
    async with Lab(quick(tmp_path)) as lab:
        results = lab.run_sync()
        assert results.check().ok
        assert await lab.client.greet() == "ok"


# -- bad input ----------------------------------------------------------------------------------


async def test_a_url_with_nobody_there(tmp_path: Path) -> None:
    """One error that names the url; nothing is left running or open."""
    async with scripted(lambda _: None) as gone:
        url = gone.url
    for _ in range(2):  # the folder is free for the next try
        with pytest.raises(NoAnswer, match=url):
            await Lab(quick(tmp_path, vtn_url=url)).open()


async def test_a_server_that_is_no_vtn(tmp_path: Path) -> None:
    """It is found out before anything is registered."""

    def reply(_: Request) -> Reply:
        return 200, b"<html>hello</html>"

    async with scripted(reply) as page:
        with pytest.raises(NotAVtn, match="vtn_url"):
            await Lab(quick(tmp_path, vtn_url=page.url)).open()


async def test_a_vtn_that_is_named(tmp_path: Path, vtn: EmbeddedVtn) -> None:
    """Two runs against one VTN: what is registered is found again, no name is taken twice."""
    for folder in ("a", "b"):
        config = quick(tmp_path / folder, vtn_url=vtn.flat_url)
        results = await played(config.but(token=vtn.credential, out_dir=str(tmp_path / folder)))
        assert results.check().ok, str(results.check())
        # It approves whom it likes, here all 17, whatever the fleet's table says.
        assert results.summary()["acknowledged"] == 4 * 6 * 17


async def test_a_wrong_token(tmp_path: Path, vtn: EmbeddedVtn) -> None:
    """It is refused at the first registration, and the message does not show it."""
    config = quick(tmp_path, vtn_url=vtn.flat_url).but(token=Secret("wr0ng"))
    async with Lab(config) as lab:
        with pytest.raises(AccessDenied, match="VENLAB_TOKEN") as caught:
            await lab.register()
        assert (lab.status.state, lab.status.problem) == ("new", str(caught.value))
    assert "wr0ng" not in str(caught.value)


async def test_a_run_is_played_once(tmp_path: Path) -> None:
    """A second `run` would mix two runs in one file; it is refused and the first is whole."""
    async with Lab(quick(tmp_path)) as lab:
        await lab.register()
        await lab.run()
        with pytest.raises(RunError, match="played already"):
            await lab.run()
        results = await lab.read_back()
    assert results.check().ok


def test_an_outside_vtn_needs_a_word(tmp_path: Path) -> None:
    """Nothing is created on somebody's VTN unless that was said to be right."""
    with pytest.raises(ConfigError, match="allow_writes"):
        Lab(quick(tmp_path, vtn_url="https://vtn.example.org"))


async def test_a_folder_that_holds_a_run(tmp_path: Path) -> None:
    """Two runs never share a folder, and the first is left as it was."""
    await played(quick(tmp_path))
    before = (tmp_path / "run" / RUN_FILE).read_bytes()
    with pytest.raises(StoreError, match="holds a run already"):
        await Lab(quick(tmp_path)).open()
    assert (tmp_path / "run" / RUN_FILE).read_bytes() == before


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in the way is an error that names it."""
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(StoreError, match="run"):
        await Lab(quick(tmp_path)).open()


async def test_running_before_registering(tmp_path: Path) -> None:
    """It says what to await first."""
    async with Lab(quick(tmp_path)) as lab:
        with pytest.raises(RunError, match="register"):
            await lab.run()


async def test_closing_twice_and_a_clean_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A second close does nothing, and a whole run warns of nothing."""
    with caplog.at_level(logging.WARNING):
        async with Lab(quick(tmp_path)) as lab:
            await lab.register()
            await lab.run()
            await lab.close()
    assert caplog.text == ""


async def test_sent_again_while_it_plays_on(tmp_path: Path) -> None:
    """What was rejected goes again, and the run beside it to its end: every count is right."""
    config = quick(tmp_path, speed=60.0, faults="422 share=0.3 path=/reports")
    async with vl.Lab(config) as lab:
        await lab.register()
        lab.start()
        assert lab.vtn
        async with asyncio.timeout(20):
            while not (rejected := len(lab.results.rejected)):  # noqa: ASYNC110 - the file tells nobody
                await asyncio.sleep(0.05)
        await lab.vtn.misbehave(None)
        await lab.resend()
        assert lab.status.state == "running"
        results = await lab.wait()
        counted = lab.status.acknowledged, lab.status.rejected
        of = results.by_ven.loc["Aabenraa"]
        assert [int(n.sum()) for n in counted if n is not None] == [of.acknowledged, of.rejected]
        assert of.rejected < rejected + 10  # those that were under way when it was repaired
        await lab.resend()
        assert (await lab.read_back()).check().heard == 360


async def test_stopped_again_while_it_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second press of an impatient hand: what there is comes back, and all is closed."""
    lab = vl.Lab(quick(tmp_path))

    async def pressed(*_: object) -> None:
        task = asyncio.current_task()
        assert task
        task.cancel()
        await asyncio.sleep(60)

    monkeypatch.setattr(Link, "read_back", pressed)
    check = (await lab._whole()).check()
    assert (check.acknowledged, check.heard) == (360, None)
    assert lab.vtn is None
    await asyncio.sleep(0)  # no cancellation is left over
