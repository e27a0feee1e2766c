"""A history at the VTN: all of it, each reading once, whatever breaks on the way."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import venlab as vl
from tests.elsewhere import credentials, elsewhere
from tests.standard.recording import forwarding, recorded, served
from tests.test_history import TWO, simulated
from venlab.client import Client
from venlab.clock import Clock
from venlab.config import DIALECTS
from venlab.durations import Duration
from venlab.errors import AccessDenied, ConfigError, NoAnswer, Refused, RunError
from venlab.faults import Faults
from venlab.history import INTERVAL, History
from venlab.lab import Lab
from venlab.model import Event, ReportDescriptor, Ven
from venlab.transport import MAX_ANSWER, Answer, HttpxTransport
from venlab.upload import PAST, Block, Journal, Upload
from venlab.wire import Address, Limits, dialect

STANDARD = [name for name in DIALECTS if name != "flat"]
DAYS, LOADS = 2, 12
READINGS = 96 * DAYS * LOADS


def quick(folder: Path, **values: object) -> vl.LabConfig:
    """Two resources that are approved, of two towns."""
    chosen = {"dialect": "3.1.0", "simulated_hours": 0.5, "out_dir": str(folder), "timeout_s": 5.0}
    return vl.params(**{**chosen, **values})


def past(lab: Lab, days: int = DAYS) -> History:
    return simulated(lab.fleet, until=lab.simulator.time_of(0), days=days)


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
    """Where report_event names one; it asks for energy, and what is heard is the power behind."""
    async with vl.Lab(quick(tmp_path / "run", report_event="metering"), fleet=TWO) as lab:
        program = await lab.client.create_program("venlab")
        asked = (ReportDescriptor("USAGE"),)
        await lab.client.create_event(Event("", "metering", program.id, report_descriptors=asked))
        await lab.register()
        history = past(lab)
        await lab.upload(history)
        assert [e.name for e in await lab.client.events()] == ["metering"]
        run = f"{lab.run_id}{PAST}{history.digest}"
        heard = [report async for page in lab.client.heard(run) for report in page]
    assert sum(r.readings for r in heard) == READINGS
    assert sum(r.watts for r in heard) == history.watts[:, history.measured].sum()


@pytest.mark.parametrize("limits", [{"batch_resources": 5}, {"batch_bytes": 4_000}])
async def test_reports_are_as_short_as_they_must_be(tmp_path: Path, limits: dict[str, int]) -> None:
    """By resources, and by bytes, also within one load's day."""
    async with vl.Lab(quick(tmp_path / "run", **limits), fleet=TWO) as lab:
        await lab.register()
        history = past(lab)
        assert (await lab.upload(history)).acknowledged == READINGS
    whole(lab.folder, history)
    with closing(sqlite3.connect(lab.folder / "vtn.sqlite")) as c:
        bodies = [json.loads(b) for (b,) in c.execute("SELECT body FROM standard_reports")]
    assert max(len(b["resources"]) for b in bodies) <= limits.get("batch_resources", 12)
    longest = max(len(json.dumps(b, separators=(",", ":"))) for b in bodies)
    assert longest <= limits.get("batch_bytes", 10**6)
    assert len(bodies) > DAYS


def test_a_page_of_them_can_be_read_back() -> None:
    """However long a report may be, fifty of them are no longer than the longest answer."""
    lengths = [standing(name, limits=Limits(10**8, 10**4))._limits for name in STANDARD]
    assert all(600_000 < limits.most_bytes < MAX_ANSWER / 50 for limits in lengths)


def standing(name: str, **options: Any) -> Upload:
    """An upload to a VTN that nobody calls."""
    client = Client(HttpxTransport("http://127.0.0.1:9"), dialect(name))
    vens = [Ven("v0", "Aars", "aars"), Ven("v1", "Odense", "odense")]
    given = {"run_id": "run", "address": Address("past", "p", "e"), "patiently": None}
    given["journal"] = Journal(Path("unused"), "")
    ids = {r: f"r{r}" for r in range(3)}
    return Upload(simulated(TWO), client, vens, ids, **given | options)


# -- what breaks ------------------------------------------------------------------------------


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Awaitable[Answer]]], None]:
    """Let a test stand between the client and the VTN; it gets the real way and the report."""
    real = Client.post_report

    def set_between(between: Callable[..., Awaitable[Answer]]) -> None:
        async def post(self: Client, ven: Ven, body: bytes, purpose: str = "report") -> Answer:
            return await between(lambda: real(self, ven, body, purpose), json.loads(body))

        monkeypatch.setattr(Client, "post_report", post)

    return set_between


def holds(report: Any, load: str, stamp: datetime) -> bool:
    """Tell whether a report holds one reading."""
    for resource in report["resources"]:
        at = datetime.fromisoformat(resource["intervalPeriod"]["start"])
        if resource["resourceName"] == load:
            return bool(at <= stamp < at + len(resource["intervals"]) * INTERVAL)
    return False


async def test_one_wrong_reading_is_refused_alone(tmp_path: Path, posts: Any) -> None:
    """Its report is halved by loads, then by quarters; all others arrive."""
    async with vl.Lab(quick(tmp_path / "run"), fleet=TWO) as lab:
        wrong = "hospital_01.load_3", lab.simulator.time_of(0) - timedelta(hours=30)

        async def judged(post: Any, report: Any) -> Answer:
            if holds(report, *wrong):
                return Answer(400, {}, b'{"title": "no", "status": 400}')
            return await post()

        posts(judged)
        await lab.register()
        history = past(lab)
        done = await lab.upload(history)
        assert done[1:3] == (READINGS - 1, 1)
        assert "1 rejected" in repr(done)
        assert (await lab.upload(history))[:3] == done[:3], "it is not asked again"
    values = expected(history)
    del values["aars", *wrong]
    assert stored(lab.folder) == values


async def test_what_is_too_large_for_a_vtn_goes_in_parts(tmp_path: Path, posts: Any) -> None:
    """A VTN that takes 1,000 bytes a report; nobody had to know that before."""

    async def small(post: Any, report: Any) -> Answer:
        if len(json.dumps(report)) > 1000:
            return Answer(413, {}, b"")
        return await post()

    posts(small)
    async with vl.Lab(quick(tmp_path / "run"), fleet=TWO) as lab:
        await lab.register()
        history = past(lab, days=1)
        assert (await lab.upload(history)).acknowledged == READINGS // DAYS
    whole(lab.folder, history)


@pytest.mark.parametrize("faults", ["", "repeat_reports"])
async def test_answers_that_are_lost(tmp_path: Path, posts: Any, faults: str) -> None:
    """Stored, and no answer, for every second attempt: nothing twice, whichever VTN it is."""
    count = 0

    async def lossy(post: Any, report: Any) -> Answer:
        nonlocal count
        count += 1
        answer = await post()
        if count % 2:
            raise NoAnswer("cut off")
        return answer

    posts(lossy)
    config = quick(tmp_path / "run", batch_resources=2)
    async with vl.Lab(config, fleet=TWO, wall=Clock(10.0)) as lab:
        await lab.register()
        if faults:
            assert lab.vtn
            await lab.vtn.misbehave(Faults.parse(faults))
            await lab.client.health()
            assert not lab.client.refuses_repeated_names
        history = past(lab)
        assert (await lab.upload(history))[1:3] == (READINGS, 0)
    whole(lab.folder, history)


async def test_a_vtn_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    """503 for some time, stored or not, resets, half answers: all arrive, once."""
    config = quick(tmp_path / "run", batch_resources=1)
    async with vl.Lab(config, fleet=TWO, wall=Clock(10.0)) as lab:
        await lab.register()
        assert lab.vtn
        kinds = (
            "503 stored share=0.1",
            "503 share=0.1",
            "reset stored share=0.1",
            "half share=0.1",
        )
        words = "; ".join(f"{kind} path=/reports" for kind in (*kinds, "429 share=0.1"))
        await lab.vtn.misbehave(Faults.parse(words, seed=3))
        history = past(lab)
        assert (await lab.upload(history))[1:3] == (READINGS, 0)
    whole(lab.folder, history)


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (503, NoAnswer, "503"),
        (401, AccessDenied, "refuses our credential"),
        (404, Refused, "Register again"),
        (405, Refused, "takes no reports"),
    ],
)
async def test_what_ends_an_upload_says_why_and_it_goes_on(
    tmp_path: Path, posts: Any, status: int, error: type[Exception], said: str
) -> None:
    """No reading is called rejected because of it; later the rest is sent."""
    away = [False]

    async def at_times(post: Any, report: Any) -> Answer:
        if away[0]:
            return Answer(status, {}, b"")
        answer = await post()
        away[0] = True
        return answer

    posts(at_times)
    config = quick(tmp_path / "run", in_flight=1)
    async with vl.Lab(config, fleet=TWO, wall=Clock(100.0)) as lab:
        await lab.register()
        history = past(lab, days=3)
        with pytest.raises(error, match=said):
            await lab.upload(history)
        posts(lambda post, _: post())
        assert (await lab.upload(history))[1:3] == (3 * 96 * LOADS, 0)
    whole(lab.folder, history)


async def test_the_event_is_deleted_meanwhile(tmp_path: Path, posts: Any) -> None:
    """A VTN says 400 to all then: that is no reason to call all readings wrong."""
    async with vl.Lab(quick(tmp_path / "run", in_flight=1), fleet=TWO) as lab:

        async def once(post: Any, report: Any) -> Answer:
            answer = await post()
            if answer.status == 201:
                await lab.client.delete(lab.client.dialect.delete_event(report["eventID"]))
            return answer

        posts(once)
        await lab.register()
        history = past(lab)
        with pytest.raises(Refused, match="does not know"):
            await lab.upload(history)
        posts(lambda post, _: post())
        assert (await lab.upload(history))[1:3] == (READINGS, 0)
    whole(lab.folder, history)


async def test_nobody_is_registered(tmp_path: Path) -> None:
    """Said before anything is sent, and what to do."""
    async with vl.Lab(quick(tmp_path / "run"), fleet=TWO) as lab:
        with pytest.raises(RunError, match="not everybody is registered"):
            await lab.upload(past(lab))


async def test_another_fleets_history_is_refused(tmp_path: Path) -> None:
    """Its loads would be told as those of others."""
    async with vl.Lab(quick(tmp_path / "run"), fleet=TWO) as lab:
        await lab.register()
        with pytest.raises(ConfigError, match="another fleet"):
            await lab.upload(simulated(days=1))


async def test_the_vtn_is_killed_and_comes_back(tmp_path: Path) -> None:
    """Again and again, by kill -9; it is started anew, and nothing is lost or twice."""
    config = quick(tmp_path / "run", batch_resources=1)
    async with vl.Lab(config, fleet=TWO) as lab:
        await lab.register()
        history, kills = past(lab), 0

        def kill(done: int, of: int) -> None:
            nonlocal kills
            assert lab.vtn
            if done > kills * of / 3 and lab.vtn._process:
                lab.vtn._process.kill()
                kills += 1

        assert (await lab.upload(history, kill))[1:3] == (READINGS, 0)
        assert kills == 3
    whole(lab.folder, history)


async def test_interrupted_it_goes_on_where_it_was(tmp_path: Path) -> None:
    """A stop button, again and again; with shorter and longer reports each time: none is twice."""
    folder, of = tmp_path / "run", 6 * 96 * LOADS
    async with vl.Lab(quick(folder), fleet=TWO) as lab:
        await lab.register()
        history = past(lab, days=6)
    reached = [0]
    for most, stop_at in ((3, of // 4), (12, of // 2), (1, 3 * of // 4), (7, of + 1)):
        async with Lab.resume(folder, batch_resources=most, in_flight=2) as lab:
            await lab.register()
            task = asyncio.current_task()
            assert task

            def stop(now: int, _: int, at: int = stop_at, task: Any = task) -> None:
                reached.append(now)
                if now >= at and not task.cancelling():
                    task.cancel()

            if stop_at < of:
                with pytest.raises(asyncio.CancelledError, match="goes on"):
                    await lab.upload(history, stop)
                task.uncancel()
            else:
                assert (await lab.upload(history, stop))[1:3] == (of, 0)
    assert all(after > before for before, after in pairwise(reached))
    whole(folder, history)


async def test_flat_goes_on_too(tmp_path: Path) -> None:
    """Broken off amid a VEN's day: what the VTN has of it is refused, 409, and that is taken."""
    async with vl.Lab(quick(tmp_path / "run", dialect="flat"), fleet=TWO) as lab:
        await lab.register()
        history, task = past(lab), asyncio.current_task()
        assert task
        with pytest.raises(asyncio.CancelledError):
            await lab.upload(history, lambda *_: task.cancel())
        task.uncancel()
        assert (await lab.upload(history))[1:3] == (READINGS, 0)
        run = f"{lab.run_id}{PAST}{history.digest}"
        heard = [report async for page in lab.client.heard(run) for report in page]
    assert len(heard) == READINGS
    assert sum(r.watts for r in heard) == history.watts[:, history.measured].sum()


KILLED = """\
import asyncio, os, sys
import venlab as vl
from tests.test_history import TWO, simulated


async def main() -> None:
    if sys.argv[1] == "resume":
        lab = vl.Lab.resume("run")
    else:
        lab = vl.Lab(vl.params(dialect="3.1.0", out_dir="run", batch_resources=4), fleet=TWO)
    async with lab:
        await lab.register()
        history = simulated(lab.fleet, until=lab.simulator.time_of(0), days=4)
        kill = lambda done, of: os.kill(os.getpid(), 9) if done >= int(sys.argv[2]) else None
        print(await lab.upload(history, kill))


asyncio.run(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_killed_it_goes_on_where_it_was(tmp_path: Path) -> None:
    """By kill -9 of the lab's process, twice; then to the end, and few reports were sent twice."""
    root = str(Path(__file__).parents[1])
    paths = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    of = 4 * 96 * LOADS

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", KILLED, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )

    assert run("new", str(of // 4)).returncode == -9
    assert run("resume", str(of // 2)).returncode == -9
    last = run("resume", str(of + 1))
    assert last.returncode == 0, last.stderr
    assert last.stdout.startswith("4,608 of 4,608 readings acknowledged")
    lab = vl.Lab(vl.params(out_dir=str(tmp_path / "other")), fleet=TWO)
    whole(tmp_path / "run", past(lab, days=4))


def test_a_torn_line_says_nothing(tmp_path: Path) -> None:
    """Cut off anywhere in its last line a journal is as one without it, and is written on."""
    path = tmp_path / "journal.jsonl"
    with Journal(path, "http://a") as journal:
        journal.note("x", "began")
        journal.note("x", [90, 6])
        journal.note("y", "began")
    lines = path.read_bytes()
    for cut in range(len(lines) + 1):
        path.write_bytes(lines[:cut])
        with Journal(path, "http://b") as other:
            assert other.states == {}
        with Journal(path, "http://a") as again:
            again.note("z", "parted")
        with Journal(path, "http://a") as last:
            assert last.states == again.states
            assert last.states["z"] == "parted"
    assert last.settled() == [[90, 6]]


def test_halves_are_the_same_readings_whoever_makes_them() -> None:
    """A name's letters lead to a block: loads first, then quarters, down to one reading."""
    block, todo, alone = Block("run/aars/1", 0, range(4, 7), range(3)), [], []
    todo.append(block)
    names = set()
    while todo:
        each = todo.pop()
        assert each.name not in names
        names.add(each.name)
        halves = each.halves()
        assert sum(half.readings for half in halves) in (0, each.readings)
        todo += halves
        alone += [] if halves else [each]
    assert len(alone) == 9 == block.readings
    assert {(b.quarters[0], b.loads[0]) for b in alone} == {
        (q, n) for q in (4, 5, 6) for n in (0, 1, 2)
    }
    assert block.halves()[1].halves()[0].name == "run/aars/1/ba"
