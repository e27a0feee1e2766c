"""Going on with a run that was broken off: what is found again, what is refused, what is equal."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import venlab as vl
from tests.kernels.processes import Programs, ended
from venlab import resume, runlog
from venlab.cli import main
from venlab.config import DIALECTS, LabConfig
from venlab.embedded import EmbeddedVtn
from venlab.errors import ConfigError, NoAnswer, StoreError
from venlab.lab import Lab
from venlab.model import Event
from venlab.results import RUN_FILE, Results


def quick(folder: Path, **values: object) -> LabConfig:
    """One town, four steps, eight cycles: 720 readings."""
    chosen = {"vens": 1, "simulated_hours": 1.0, "out_dir": str(folder), "drain_s": 20.0}
    return vl.params(**{**chosen, **values})


async def broken_off(lab: Lab, at_step: int = 2) -> Lab:
    """Play until a step, then leave all as a dead process does: nothing is noted of an end."""
    await lab.open()
    await lab.register()
    reached = asyncio.Event()

    def watched(player: Any) -> None:
        advance = player._simulator.step

        def step() -> object:
            if player._simulator.index >= at_step and player.caught_up:
                reached.set()
            return advance()

        player._simulator.step = step

    lab.start()
    watched(lab._player)
    await reached.wait()
    assert lab._work
    lab._end_run = _nothing  # type: ignore[method-assign, assignment]
    assert lab._background
    lab._work.cancel()
    await asyncio.wait([lab._background])
    assert lab._player
    await lab._player.end()
    await lab._held.aclose()
    lab._opened = False
    return lab


async def _nothing(_stopped: bool) -> None:
    pass


async def whole(lab: Lab) -> Results:
    async with lab:
        await lab.register()
        await lab.run()
        await lab.read_back()
    return lab.results


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The run that nobody broke off."""
    return Lab(quick(tmp_path_factory.mktemp("untouched") / "run")).run_sync()


def same(results: Results, other: Results) -> None:
    """Check that a run is whole, and has the values of another."""
    check = results.check()
    assert check.ok, str(check)
    assert check.measured == check.acknowledged == check.heard == 720
    assert results.readings.equals(other.readings)


@pytest.fixture
async def begun(tmp_path: Path) -> Path:
    """A folder with a run that was broken off in the middle."""
    lab = await broken_off(Lab(quick(tmp_path / "run")))
    assert 0 < lab.results.summary()["cycles"] < 8
    return lab.folder


async def test_it_goes_on(begun: Path, untouched: Results) -> None:
    """The same values as untouched; the same run, VENs and resources at the VTN; all heard."""
    ids = "SELECT id FROM vens UNION SELECT id FROM resources ORDER BY 1"

    def held() -> list[Any]:
        with closing(sqlite3.connect(begun / "vtn.sqlite")) as c:
            return c.execute(ids).fetchall()

    before, run_id = held(), Results(begun).about["run_id"]
    results = await whole(Lab.resume(begun))
    same(results, untouched)
    assert held() == before
    assert results.summary()["run_id"] == run_id
    assert "Going on after cycle" in (begun / "lab.log").read_text("utf-8")


async def test_from_a_script(begun: Path, untouched: Results) -> None:
    """`run_sync` does it all."""
    same(await asyncio.to_thread(lambda: Lab.resume(begun).run_sync()), untouched)


async def test_broken_off_again_and_again(begun: Path, untouched: Results) -> None:
    """Each time it goes on from where it came; the time it was played is that of all plays."""
    first_s = Results(begun).about["wall_s"]
    await broken_off(Lab.resume(begun), at_step=3)
    second_s = Results(begun).about["wall_s"]
    results = await whole(Lab.resume(begun))
    same(results, untouched)
    assert 0 < first_s < second_s < results.summary()["wall_s"]


async def test_one_that_had_ended_well(tmp_path: Path, untouched: Results) -> None:
    """Nothing is left to do: it is read back, and the numbers are the same."""
    shutil.copytree(untouched.folder, tmp_path / "run")
    results = await whole(Lab.resume(tmp_path / "run"))
    same(results, untouched)
    now, before = results.summary(), untouched.summary()
    other = {key for key in before if now[key] != before[key]}
    assert other <= {"wall_s", "reports_per_s", "vtn_url", "worst_lag_s"}  # it was played again


async def test_one_that_was_stopped(tmp_path: Path, untouched: Results) -> None:
    """What its end had noted does not stand beside what is measured since, even unfinished."""
    async with Lab(quick(tmp_path / "run", speed=60.0)) as lab:
        await lab.register()
        lab.start()
        while lab.status.cycle < 2:  # noqa: ASYNC110 - the status is a picture, not an event
            await asyncio.sleep(0.05)
        lab.stop()
        await lab.wait()
        await lab.read_back()
    assert lab.results.summary()["stopped"] is True
    again = await broken_off(Lab.resume(tmp_path / "run", speed=math.inf), at_step=3)
    summary = again.results.summary()
    assert summary["stopped"] is None
    assert summary["heard"] is None
    assert "kept" not in str(again.results.check())
    same(await whole(Lab.resume(tmp_path / "run", speed=math.inf)), untouched)


async def test_only_reports_wait(tmp_path: Path, untouched: Results) -> None:
    """All was measured and nothing answered: they are sent, each once."""
    async with Lab(quick(tmp_path / "run", drain_s=0.0, tries=1)) as lab:
        await lab.register()
        assert lab.vtn
        await lab.vtn.kill()
        results = await lab.run()
        assert results.check().waiting == 720
    same(await whole(Lab.resume(tmp_path / "run", drain_s=20.0)), untouched)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 8}, "seed is 8, the run has 7"),
        ({"simulated_hours": 2.0}, "simulated_hours is 2.0"),
        ({"report_every_s": 30.0, "vens": 2}, "report_every_s is 30.0"),
        ({"name_prefix": "x"}, "name_prefix is 'x'"),
        ({"sed": 8}, "sed"),
    ],
)
async def test_other_values_are_refused(begun: Path, changes: dict[str, Any], said: str) -> None:
    """Each setting that would give the run other values, or names, is named."""
    with pytest.raises(ConfigError) as caught:
        Lab.resume(begun, **changes)
    assert all(name in str(caught.value) for name in changes)
    assert said in str(caught.value)


def test_by_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another seed and a folder without a run end with 2; then `fleet_run` plays it to its end."""
    folder = asyncio.run(broken_off(Lab(quick(tmp_path / "run")))).folder
    monkeypatch.chdir(tmp_path)
    run = ["run", "fleet_run", "--resume", "run", "--no-html"]
    for words, said in (
        ([*run, "-p", "seed", "8"], "seed is 8, the run has 7"),
        ([*run, "-p", "out_dir", "other"], "two folders"),
        (["run", "fleet_run", "--resume", "nowhere"], "nowhere holds no run to go on with"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err
    (folder / "fleet_run.ipynb").write_text("until it was broken off", "utf-8")
    required = ["--require", "heard==measured", "--require", "measured==720"]
    assert main([*run, *required]) == 0, capsys.readouterr()
    until = folder / "fleet_run.until-1.ipynb"
    assert until.read_text("utf-8") == "until it was broken off"


async def test_one_that_had_not_begun(tmp_path: Path, untouched: Results) -> None:
    """Killed before its settings stood there: it says so, and the folder may be used for a run.
    With the settings there it begins, whatever else is missing."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / RUN_FILE).touch()
    with pytest.raises(StoreError, match="none had begun there") as caught:
        Lab.resume(folder)
    assert "begin the run anew" in str(caught.value)
    async with Lab(quick(folder)):
        pass
    for path in folder.glob("*.sqlite*"):
        path.unlink()
    same(await whole(Lab.resume(folder)), untouched)


async def test_a_folder_that_is_being_played(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two go on with it at once: the second says that another plays it, and has changed nothing.
    One whose owner is about to end is waited for."""
    monkeypatch.setattr(runlog, "HOLD_S", 0.3)
    async with Lab.resume(begun):
        with pytest.raises(StoreError, match="being played by another"):
            await Lab.resume(begun).open()
        with pytest.raises(StoreError, match="holds a run already"):
            await Lab(quick(begun)).open()
    monkeypatch.setattr(runlog, "HOLD_S", 10.0)
    async with Lab.resume(begun) as first:
        second = asyncio.create_task(Lab.resume(begun).open())
        await asyncio.sleep(0.3)
        await first.close()
        await (await second).close()


def test_a_process_that_plays_it(tmp_path: Path) -> None:
    """The second process ends with one line; the first is none the worse."""
    programs = Programs(tmp_path)
    try:
        play = """\
            import sys
            import venlab as vl
            from venlab.errors import StoreError
            try:
                vl.Lab(vl.params(vens=1, simulated_hours=0.5, speed=10.0, out_dir="run")).run_sync()
            except StoreError as error:
                sys.exit(str(error))
            """
        first = programs.script(play)
        while not (tmp_path / "run" / "params.json").exists():
            assert first.poll() is None
        second = programs.script(
            play.replace("vl.Lab(vl.params(", "vl.Lab.resume(*(").replace(
                'vens=1, simulated_hours=0.5, speed=10.0, out_dir="run"', '"run",'
            )
        )
        code, _, err = ended(second)
        assert (code, err.count("\n")) == (1, 1), err
        assert "is being played by another lab" in err
        assert ended(first)[0] == 0
    finally:
        programs.end()
    assert Results(tmp_path / "run").check().heard == 360


def alter(folder: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / RUN_FILE)) as c, c:
        c.execute(sql, values)


async def test_a_watt_that_was_changed(begun: Path) -> None:
    """The cycle is named, and what to do; what the folder says of the run stays as it was."""
    (blob,) = Results(begun).rows("SELECT watts FROM readings WHERE cycle = 1")[0]
    watts = np.frombuffer(blob, "<i4").copy()
    load = int(np.flatnonzero(watts >= 0)[3])
    watts[load] += 1
    alter(begun, "UPDATE readings SET watts = ? WHERE cycle = 1", watts.tobytes())
    before = Results(begun).check()
    said = f"its cycle 1 has other values than it kept: load {load} gives {watts[load] - 1} W"
    with pytest.raises(StoreError, match=said) as caught:
        await whole(Lab.resume(begun))
    assert "begin a new run" in str(caught.value)
    assert str(Results(begun).check()) == str(before)


async def test_a_step_that_differs(begun: Path) -> None:
    """Equal to the watt and not to the bit is another run all the same."""
    last = "(SELECT max(cycle) FROM readings)"
    alter(begun, f"UPDATE readings SET step_hash = x'00' WHERE cycle = {last}")
    with pytest.raises(StoreError, match="its last step differs in a bit"):
        await whole(Lab.resume(begun))


async def test_a_run_file_that_is_none(begun: Path) -> None:
    """It is said, and nothing of this lab holds the folder afterwards."""
    (begun / RUN_FILE).write_bytes(b"no database" * 1000)
    for _ in range(2):
        with pytest.raises(StoreError, match="cannot open the run file"):
            await Lab.resume(begun).open()


async def test_real_time(tmp_path: Path) -> None:
    """It goes on from its own start, whatever the time is now."""
    config = quick(tmp_path / "run", realtime=True, simulated_hours=0.03, speed=math.inf)
    lab = await broken_off(Lab(config))
    start = lab.results.about["start"]
    await asyncio.sleep(1.1)  # the start is to the second
    results = await whole(Lab.resume(lab.folder))
    check = results.check()
    assert check.ok, str(check)
    assert results.summary()["start"] == start
    stamps = sorted(set(results.readings["start"]))
    steps = np.diff([vl.parse_time(stamp).timestamp() for stamp in stamps])
    assert set(steps.tolist()) == {15.0}
    assert check.heard == check.measured == len(stamps) * 90


async def test_statuses_that_changed(tmp_path: Path) -> None:
    """What was suspended and approved meanwhile is replayed as it was, and stays so."""
    config = quick(tmp_path / "run", status_every_s=15.0)
    lab = Lab(config)
    await lab.open()
    await lab.register()
    gone = int(np.flatnonzero(lab.roster.approved)[0])
    new = int(np.flatnonzero(~lab.roster.approved)[0])
    read, asked = lab.roster.read_status, 0

    async def changed(client: Any) -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            await client.set_status(lab.roster.resource_ids[gone], "suspended")
            await client.set_status(lab.roster.resource_ids[new], "approved")
        await read(client)

    lab.roster.read_status = changed  # type: ignore[method-assign]
    lab.open = _opened  # type: ignore[method-assign]
    lab.register = _opened  # type: ignore[method-assign]
    await broken_off(lab, at_step=3)
    results = await whole(Lab.resume(lab.folder))
    check = results.check()
    assert check.ok, str(check)
    kept = [np.frombuffer(b, "<i4") for (b,) in results.rows("SELECT watts FROM readings")]
    reports = [(bool(w[6 * gone] >= 0), bool(w[6 * new] >= 0)) for w in kept]
    assert reports == sorted(reports, reverse=True)
    assert (reports[0], reports[-1]) == ((True, False), (False, True))
    assert check.heard == check.measured == 8 * 90


async def _opened() -> None:
    pass


async def test_an_event_that_goes_while_nobody_polls(tmp_path: Path) -> None:
    """Applied before the end, deleted before it goes on: cancelled at the first step after that."""
    lab = Lab(quick(tmp_path / "run", dialect="3.0.1"))
    register, begin = lab.register, vl.parse_time("2023-01-09T00:00")

    async def and_announce() -> None:
        await register()
        program = await lab.client.create_program("venlab")
        day = Event.between(begin, begin + timedelta(days=365), program_id=program.id, name="year")
        await lab.client.create_event(day)

    lab.register = and_announce  # type: ignore[method-assign, assignment]
    await broken_off(lab)
    with closing(sqlite3.connect(lab.folder / "vtn.sqlite")) as c:
        c.execute("DELETE FROM objects WHERE kind = 'events' AND name = 'year'")
        c.commit()
    results = await whole(Lab.resume(lab.folder))
    assert results.check().ok, str(results.check())
    year = results.events[results.events["name"] == "year"]
    (_, came, _), (step, gone, cancelled) = year[["step", "version", "cancelled"]].to_numpy()
    assert (gone, bool(cancelled)) == (came + 1, True)
    assert step >= 1


async def test_a_secret_is_asked_for_and_kept_nowhere(
    tmp_path: Path,
    vtn: EmbeddedVtn,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without it the line says which variable to set; with it the run goes on as ever."""
    token = vtn.credential.reveal()
    monkeypatch.setenv("VENLAB_TOKEN", token)
    lab = await broken_off(Lab(quick(tmp_path / "run", vtn_url=vtn.flat_url)))
    monkeypatch.delenv("VENLAB_TOKEN")
    assert main(["run", "fleet_run", "--resume", str(lab.folder)]) == 2
    assert "environment variable VENLAB_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("VENLAB_TOKEN", token)
    results = await whole(Lab.resume(lab.folder))
    assert results.check().ok, str(results.check())
    assert results.check().heard == 8 * 6 * 17  # this VTN approves all
    for path in lab.folder.rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes(), path.name
    assert json.loads((lab.folder / "params.json").read_text("utf-8"))["secrets"] == [
        "VENLAB_TOKEN"
    ]


async def test_a_secret_may_be_handed_over(
    tmp_path: Path, vtn: EmbeddedVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that has the token need not put it into the environment."""
    monkeypatch.setenv("VENLAB_TOKEN", vtn.credential.reveal())
    lab = await broken_off(Lab(quick(tmp_path / "run", vtn_url=vtn.flat_url)))
    monkeypatch.delenv("VENLAB_TOKEN")
    results = await whole(Lab.resume(lab.folder, token=vtn.credential))
    assert results.check().heard == 8 * 6 * 17


async def test_what_is_other_now_is_so_the_next_time(begun: Path, untouched: Results) -> None:
    """A run that goes on with another number of tries, and is broken off again, keeps that."""
    lab = await broken_off(Lab.resume(begun, tries=5), at_step=3)
    again = Lab.resume(lab.folder)
    assert again.config.tries == 5
    same(await whole(again), untouched)


async def test_a_change_that_does_not_work_is_not_kept(begun: Path) -> None:
    """A url with a slip in it: nobody is there, and the next time it is as it was."""
    with pytest.raises(NoAnswer):
        await Lab.resume(begun, vtn_url="http://127.0.0.1:9").open()
    assert resume.kept_settings(begun)["vtn_url"] == ""


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_vtn_without_its_store_is_told_all_again(
    tmp_path: Path, untouched: Results, name: str
) -> None:
    """Its own VTN comes up empty: what waits goes to the VENs and the event of now, what was
    acknowledged is sent again, and what the table calls pending is not approved by that."""
    begun = (await broken_off(Lab(quick(tmp_path / "run", dialect=name)))).folder
    for ending in ("", "-shm", "-wal"):
        (begun / f"vtn.sqlite{ending}").unlink(missing_ok=True)
    async with Lab.resume(begun) as lab:
        await lab.register()
        assert lab.roster.approved.tolist() == lab.fleet.approved.tolist()
        await lab.run()
        await lab.read_back()
        await lab.resend()
        same(await lab.read_back(), untouched)
