"""A fleet's past: a run's own readings, summed up right, and on disk whole or not at all."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import venlab as vl
from tests.test_simulator import PROFILES, buildings
from venlab import history as past
from venlab.errors import ConfigError, StoreError
from venlab.fleet import END_USES, LOADS
from venlab.history import INTERVAL, By, History

REFERENCE = vl.Fleet.reference()
SOME = REFERENCE.only(["Aabenraa", "Aars"])
UNTIL = datetime(2023, 11, 30, 15, tzinfo=UTC)
TWO = buildings(
    *("shop", "hospital", "house_03"),
    status=["approved", "approved", "suspended"],
    resource_ven=[0, 0, 1],
)


def simulated(fleet: vl.Fleet = SOME, **options: Any) -> History:
    given = {"days": 1, "until": UNTIL, "profiles": PROFILES} | options
    return History.simulate(fleet, **given)


async def test_it_is_what_a_run_measures(tmp_path: Path) -> None:
    """To the watt, each reading of a run over the same hours, and of no other load."""
    folder = str(tmp_path / "run")
    config = vl.params(simulated_hours=6.0, seed=11, dialect="3.1.0", out_dir=folder)
    async with vl.Lab(config, fleet=TWO) as lab:
        await lab.register()
        results = await lab.run()
    until = lab.simulator.time_of(0) + timedelta(hours=6)
    history = simulated(TWO, until=until, seed=11)
    of = dict(zip(history.stamps.to_pydatetime(), history.watts, strict=True))
    cycles = [(datetime.fromisoformat(stamp), watts) for _, stamp, _, watts in results.cycles()]
    assert len(cycles) == 48
    for stamp, watts in cycles:
        quarter = (
            lab.simulator.time_of(0) + (stamp - lab.simulator.time_of(0)) // INTERVAL * INTERVAL
        )
        assert (of[quarter] == watts).all(), stamp


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 364), st.integers(1, 3), st.integers(0, 9))
def test_any_stretch_of_the_year_is_the_simulators(day: int, days: int, seed: int) -> None:
    """Through clock changes and the year's end: power of each step, in whole watts."""
    until = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(days=day, hours=day % 24)
    history = simulated(TWO, until=until, days=days, seed=seed)
    start = until - timedelta(days=days)
    running = vl.Simulator(TWO, PROFILES, seed=seed, start=start, step_min=15)
    steps = np.array([running.step() for _ in range(96 * days)])
    expected = np.rint(np.float32(1000) * steps).astype(np.int32)
    expected[:, ~np.repeat(TWO.approved, 6)] = -1
    assert history.start == start
    assert (history.watts == expected).all()


def test_a_longer_one_ends_with_the_shorter() -> None:
    """How far back it goes changes no value; two that meet are one."""
    three, one = simulated(days=3), simulated(days=1)
    assert (three.watts[-96:] == one.watts).all()
    two = simulated(days=2, until=UNTIL - timedelta(days=1))
    assert (three.watts[:192] == two.watts).all()


def test_events_may_be_part_of_it() -> None:
    """A hook gets each step's power and begin, and what it returns is measured."""
    called = UNTIL - timedelta(hours=2)
    seen: list[datetime] = []

    def half(power_kw: NDArray[np.float32], begin: datetime) -> NDArray[np.float32]:
        seen.append(begin)
        return power_kw / 2 if begin == called else power_kw

    twin, history = simulated(TWO), simulated(TWO, step=half)
    assert seen == [UNTIL - timedelta(days=1) + n * INTERVAL for n in range(96)]
    differs = (history.watts != twin.watts).any(axis=1)
    assert np.flatnonzero(differs).tolist() == [88]
    there = twin.watts[88] >= 0
    assert np.abs(2 * history.watts[88, there] - twin.watts[88, there]).max() <= 1


def test_sums_by_hand() -> None:
    """1 to 6 W and 21 to 26 W in Aars; what is suspended in Odense is nowhere, and no zero."""
    watts = np.array([[1, 2, 3, 4, 5, 6], [21, 22, 23, 24, 25, 26], [-1] * 6])
    history = History(TWO, UNTIL, watts.astype(np.int32).reshape(1, 18), seed=7)
    by_ven = history.kw("ven")
    assert by_ven.to_dict("records") == [{"Aars": 0.162}]
    assert by_ven.index[0] == pd.Timestamp(UNTIL)
    assert str(by_ven.index.tz) == "UTC"
    assert history.kw("building_type").to_dict("records") == [{"hospital": 0.141, "shop": 0.021}]
    by_use = [0.022, 0.024, 0.026, 0.028, 0.03, 0.032]
    assert history.kw("end_use").iloc[0].to_dict() == dict(zip(END_USES, by_use, strict=True))
    by_resource = history.kw("resource")
    assert by_resource["Aars", "hospital_01"].to_list() == [0.141]
    assert history.kw("load")["Aars", "shop_00", "load_5"].to_list() == [0.006]
    assert history.kw("load").shape == (1, 12)


@pytest.mark.parametrize("by", get_args(By))
@pytest.mark.parametrize("vens", [None, 3, ["Aars", "marstal"]])
def test_every_sum_holds_the_same_energy(
    by: By, vens: int | list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the columns are, and however little of it is read at a time; nothing is missing."""
    monkeypatch.setattr(past, "AT_ONCE", 50_000)
    history = simulated(REFERENCE)
    frame = history.kw(by, vens=vens)
    chosen = REFERENCE if vens is None else REFERENCE.only(vens)
    there = np.isin(REFERENCE.ven_name[REFERENCE.resource_ven], chosen.ven_name)
    watts = history.watts[:, np.repeat(there, 6) & history.measured]
    assert np.allclose(frame.sum(axis=1), watts.sum(axis=1) / 1000, rtol=1e-12)
    assert frame.notna().all(axis=None)
    approved, towns = chosen.approved, chosen.ven_name[chosen.resource_ven]
    expected = {
        "fleet": 1,
        "ven": chosen.n_vens,
        "resource": approved.sum(),
        "load": 6 * approved.sum(),
        "building_type": len(set(chosen.building_type[approved])),
        "end_use": len(END_USES),
    }
    assert frame.shape == (96, expected[by])
    if by == "resource":
        names = zip(towns[approved], chosen.resource_name[approved], strict=True)
        assert list(frame.columns) == list(names)
        assert frame.columns.names == ["ven", "resource"]
    if by == "load":
        last = np.flatnonzero(np.repeat(REFERENCE.approved & there, 6))[-1]
        assert (frame.iloc[:, -1] == history.watts[:, last] / 1000).all()
        assert frame.columns[-1][2] == LOADS[-1]


def test_unknown_words_are_config_errors() -> None:
    """By what there is no sum, a VEN that is not there, a time without a zone, no days."""
    history = simulated(TWO)
    with pytest.raises(ConfigError, match="by is 'town'"):
        history.kw("town")  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(ConfigError, match="no VEN 'Atlantis'"):
        history.kw("ven", vens=["Atlantis"])
    with pytest.raises(ConfigError, match="a time with a zone"):
        simulated(until=datetime(2023, 11, 30))
    with pytest.raises(ConfigError, match="a history of 0 days"):
        simulated(days=0)


def test_what_does_not_fit_in_memory_wants_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """45 days of the full fleet are 2 GB: said before they are simulated; with a folder done."""
    with pytest.raises(ConfigError, match="this history takes 2,011 MB"):
        simulated(vl.Fleet.full(), days=45)
    monkeypatch.setattr(past, "IN_MEMORY", 0)
    streamed = simulated(TWO, folder=tmp_path / "past")
    monkeypatch.undo()
    assert isinstance(streamed.watts, np.memmap)
    assert (streamed.watts == simulated(TWO).watts).all()


def test_a_folder_gives_back_what_was_saved(tmp_path: Path) -> None:
    """Saved or streamed, the same files; NumPy alone reads the watts."""
    history = simulated(seed=3)
    history.save(tmp_path / "saved")
    streamed = simulated(seed=3, folder=tmp_path / "streamed")
    for name in ("watts.npy", "history.json", "fleet.csv"):
        saved = (tmp_path / "saved" / name).read_bytes()
        assert saved == (tmp_path / "streamed" / name).read_bytes()
    loaded = History.load(tmp_path / "saved")
    assert (loaded.start, loaded.seed, repr(loaded.fleet)) == (history.start, 3, repr(SOME))
    assert loaded.digest == streamed.digest == history.digest
    assert (np.load(tmp_path / "saved" / "watts.npy") == history.watts).all()
    assert (loaded.kw("ven") == history.kw("ven")).all(axis=None)
    assert repr(loaded) == "History: 1 day from 2023-11-29T15:00Z, 24,768 readings of 258 loads"


def test_each_history_has_a_digest_of_its_own() -> None:
    """Other values, times, towns or names: another digest; the same: the same."""
    history = simulated(TWO)
    watts = history.watts.copy()
    watts[40, 3] += 1
    others = [
        History(TWO, history.start, watts, 7),
        History(TWO, history.start + INTERVAL, history.watts, 7),
        simulated(replace(TWO, resource_name=np.array(["shop_00", "hospital_01", "house_2"]))),
        simulated(TWO, seed=8),
        simulated(TWO, days=2),
    ]
    digests = {history.digest, *(other.digest for other in others)}
    assert len(digests) == 6
    assert simulated(TWO).digest == history.digest


def test_a_new_one_replaces_the_old_when_it_is_whole(tmp_path: Path) -> None:
    """The old one can be read to the end, also where the new one fails midway."""
    folder = tmp_path / "past"
    old = simulated(TWO, folder=folder)
    before = old.watts.copy()

    def fail(power_kw: NDArray[np.float32], begin: datetime) -> NDArray[np.float32]:
        if begin >= UNTIL - timedelta(hours=1):
            raise RuntimeError("no more")
        return power_kw

    with pytest.raises(RuntimeError):
        simulated(TWO, seed=8, folder=folder, step=fail)
    assert (History.load(folder).watts == before).all()
    new = simulated(TWO, seed=8, days=2, folder=folder)
    assert new.watts.shape == (192, 18)
    assert (old.watts == before).all(), "whoever has the old one open goes on to see it"


def test_new_readings_never_stand_beside_old_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended just after they came, by a disk that is full, say: there is no history then."""
    folder = tmp_path / "past"
    simulated(TWO).save(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vl.Fleet, "to_csv", full)
    with pytest.raises(StoreError, match="No space left"):
        simulated(TWO, seed=8).save(folder)
    with pytest.raises(StoreError, match="holds no whole history"):
        History.load(folder)


KILLED = """\
import os, sys
from datetime import UTC, datetime
import venlab as vl

def kill(done, of):
    if done >= int(sys.argv[2]):
        os._exit(9)

until = datetime(2023, 11, 30, 15, tzinfo=UTC)
fleet = vl.Fleet.reference().only(1)
vl.History.simulate(fleet, until=until, days=3, folder=sys.argv[1], progress=kill)
"""


@pytest.mark.parametrize("after", [96, 288])
def test_a_kill_leaves_nothing_that_looks_whole(tmp_path: Path, after: int) -> None:
    """Nothing closes the files; who opens the folder is told, and simulating again mends it."""
    folder = tmp_path / "past"
    command = [sys.executable, "-c", KILLED, str(folder), str(after)]
    assert subprocess.run(command, check=False).returncode == 9
    assert any(folder.iterdir())
    with pytest.raises(StoreError, match="holds no whole history"):
        History.load(folder)
    again = simulated(REFERENCE.only(1), days=3, folder=folder)
    assert again.watts.shape == (288, 102)
    assert not list(folder.glob("*.part"))


def test_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """Another fleet's table, readings that were cut, facts that are none: one error of ours."""
    folder = tmp_path / "past"
    simulated(TWO).save(folder)
    facts = (folder / "history.json").read_text(encoding="utf-8")
    table = (folder / "fleet.csv").read_bytes()
    SOME.to_csv(folder / "fleet.csv")
    with pytest.raises(StoreError, match="do not fit together"):
        History.load(folder)
    (folder / "fleet.csv").write_bytes(table)
    for wrong in ("{}", "[]", "", json.dumps({**json.loads(facts), "shape": [95, 18]})):
        (folder / "history.json").write_text(wrong, encoding="utf-8")
        with pytest.raises(StoreError):
            History.load(folder)
    (folder / "history.json").write_text(facts, encoding="utf-8")
    History.load(folder)
    watts = (folder / "watts.npy").read_bytes()
    (folder / "watts.npy").write_bytes(watts[:-4])
    with pytest.raises(StoreError, match="holds no whole history"):
        History.load(folder)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A file stands where the folder should: a StoreError, no traceback of Python's own."""
    (tmp_path / "past").write_text("x", encoding="utf-8")
    with pytest.raises(StoreError, match="cannot write a history"):
        simulated(TWO, folder=tmp_path / "past")


def test_progress_comes_after_each_day() -> None:
    """With the quarters that are done, and all of them."""
    told: list[tuple[int, int]] = []
    simulated(TWO, days=3, progress=lambda *done: told.append(done))
    assert told == [(96, 288), (192, 288), (288, 288)]
