"""An event from the VTN to the loads and back: equal everywhere, kept whole, played again."""

from __future__ import annotations

import asyncio
import math
import shutil
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import venlab as vl
from tests.test_resume import broken_off
from venlab.config import DIALECTS, LabConfig
from venlab.durations import FOR_EVER, Duration
from venlab.errors import StoreError, VenlabError
from venlab.eventtext import event_of, text_of
from venlab.lab import Lab
from venlab.model import Event, Interval, Period, Point, Signal, Target
from venlab.opting import Choice
from venlab.platforms import data_dir
from venlab.playback import Playback
from venlab.results import Results

BEGIN, END = vl.parse_time("2023-11-30T16:30"), vl.parse_time("2023-11-30T17:15")


def quick(folder: Path, **values: object) -> LabConfig:
    """Two towns from 16:00 to 18:30, ten steps."""
    chosen = {"vens": 2, "simulated_hours": 2.5, "out_dir": str(folder), "drain_s": 20.0}
    return vl.params(**{**chosen, **values})


async def announced(lab: Lab, *targets: str) -> Event:
    """Create an event at the VTN, as its operator: level 2 from 16:30 to 17:15."""
    program = await lab.client.create_program("venlab")
    signal = Signal("SIMPLE", (2,))
    wish = Event.between(BEGIN, END, signal, name="p", program_id=program.id, targets=targets)
    return await lab.client.create_event(wish)


async def played(
    config: LabConfig, before: Callable[[Lab], Awaitable[object]] = announced
) -> Results:
    async with Lab(config) as lab:
        await lab.register()
        await before(lab)
        await lab.run()
        await lab.read_back()
    assert lab.results.check().ok, str(lab.results.check())
    return lab.results


async def nothing(_lab: Lab) -> None:
    """Announce no event."""


def watts(results: Results) -> np.ndarray:
    return np.array([row[-1] for row in results.cycles()])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("played") / "run"


@pytest.fixture(scope="module")
def called(folder: Path) -> Results:
    """A run with the event, in the flat dialect, as fast as it goes."""
    return asyncio.run(played(quick(folder)))


@pytest.mark.parametrize(
    ("dialect", "speed"), [(name, math.inf) for name in DIALECTS if name != "flat"] + [("flat", 60)]
)
async def test_speed_and_dialect_change_no_value(
    called: Results, tmp_path: Path, dialect: str, speed: float
) -> None:
    """The same event in another dialect, or at another speed: the same watts."""
    other = await played(quick(tmp_path / "run", dialect=dialect, speed=speed))
    assert (watts(other) == watts(called)).all()


async def test_it_is_what_was_measured(called: Results, tmp_path: Path) -> None:
    """To half a watt a load in every cycle; and the twin is what a run without event measures."""
    again, without = Playback(called.folder), await played(quick(tmp_path / "run"), nothing)
    for found, results in ((again.power_kw("load"), called), (again.twin_kw("load"), without)):
        measured = watts(results)[:, np.repeat(again.approved, 6)] / 1000
        played_kw = np.repeat(found.to_numpy(), 2, axis=0)  # a reading is half a step
        assert np.abs(played_kw - measured).max() <= 0.0005 + 1e-6
    shed_kw = again.twin_kw()["fleet"] - again.power_kw()["fleet"]
    assert (shed_kw[: BEGIN - timedelta(seconds=1)] == 0).all()
    assert (shed_kw[BEGIN : END - timedelta(seconds=1)] > 5).all()
    assert (shed_kw[END + timedelta(minutes=15) :] < 0).any()


async def test_without_an_event_there_is_no_difference(tmp_path: Path) -> None:
    """Power and twin are the same, to the bit."""
    again = Playback((await played(quick(tmp_path / "run"), nothing)).folder)
    assert (again.power_kw("load") == again.twin_kw("load")).all(axis=None)
    assert again.choices.empty


async def test_the_table_that_a_run_had_is_kept(called: Results, tmp_path: Path) -> None:
    """An edited table moves the loads, and is gone on with though it was deleted meanwhile."""
    table = tmp_path / "mine.csv"
    shutil.copy(data_dir() / "flexibility_parameters.csv", table)
    text = table.read_text("utf-8").replace(",0.6,0.05,1.1,", ",0.0,0.05,1.1,")  # houses' heating
    table.write_text(text, encoding="utf-8")
    results = await played(quick(tmp_path / "run", flexibility_csv=str(table)))
    table.unlink()
    again = Playback(results.folder)
    measured = watts(results)[:, np.repeat(again.approved, 6)] / 1000
    power_kw = np.repeat(again.power_kw("load").to_numpy(), 2, axis=0)
    assert np.abs(power_kw - measured).max() <= 0.0005 + 1e-6
    assert (watts(results) != watts(called)).any()


async def test_a_table_that_is_none(tmp_path: Path) -> None:
    """It is told before anything is started, and the folder can be used again."""
    table = tmp_path / "mine.csv"
    table.write_text("building_type,load\nigloo,load_0\n", encoding="utf-8")
    config = quick(tmp_path / "run", flexibility_csv=str(table))
    with pytest.raises(VenlabError, match=r"mine\.csv"):
        await Lab(config).open()


async def test_a_run_that_measured_nothing(tmp_path: Path) -> None:
    """There is nothing to play again, and that is said."""
    async with Lab(quick(tmp_path / "run")) as lab:
        pass
    with pytest.raises(StoreError, match="has measured nothing yet"):
        Playback(lab.folder)


async def test_an_event_for_one_town_moves_only_that(called: Results, tmp_path: Path) -> None:
    """Aars is named: Aabenraa has the power of a run without event, Aars that of one with it."""

    async def for_aars(lab: Lab) -> None:
        await announced(lab, "Aars")

    results = await played(quick(tmp_path / "run"), for_aars)
    one, all_ = Playback(results.folder), Playback(called.folder)
    assert (one.power_kw("ven")["Aabenraa"] == one.twin_kw("ven")["Aabenraa"]).all()
    assert (one.power_kw("ven")["Aars"] == all_.power_kw("ven")["Aars"]).all()
    assert set(one.choices["ven"]) == {"Aars"}


@pytest.mark.parametrize("at_step", [3, 6])  # the event is in steps 2 to 4
async def test_a_run_that_is_broken_off_goes_on_with_its_event(
    called: Results, tmp_path: Path, at_step: int
) -> None:
    """In it and after it: the loads go on from where they were, to the watt."""

    class Announcing(Lab):
        async def register(self, *args: object) -> None:  # type: ignore[override] # only so called
            await super().register()
            await announced(self)

    lab = await broken_off(Announcing(quick(tmp_path / "run")), at_step)
    async with Lab.resume(lab.folder) as again:
        await again.register()
        await again.run()
        await again.read_back()
    assert again.results.check().ok, str(again.results.check())
    assert (watts(again.results) == watts(called)).all()
    assert len(again.results.events) == len(called.events)


async def test_why_who_took_part(called: Results) -> None:
    """Each approved resource has one choice; those who refuse keep their power to the bit."""
    again = Playback(called.folder)
    choices = again.choices.set_index(["ven", "resource"])["choice"]
    assert len(choices) == again.approved.sum()
    reasons = {"takes part", "comfort", "event limit", "by hand", "not enrolled"}
    assert set(choices) <= reasons
    power, twin = again.power_kw("resource"), again.twin_kw("resource")
    for (ven, resource), choice in choices.items():
        if choice in ("by hand", "not enrolled"):
            assert (power[ven, resource] == twin[ven, resource]).all()
    (decision,) = again.decisions
    assert (decision.choices[~again.approved] == Choice.NOT_ASKED).all()


names = st.text(max_size=8)
values = st.one_of(
    st.integers(-9, 9), st.floats(-1e6, 1e6), names, st.booleans(),
    st.builds(Point, st.floats(0, 9), st.floats(0, 9)),
)  # fmt: skip
signals = st.builds(Signal, names, st.lists(values, max_size=3).map(tuple), names)
lengths = st.one_of(
    st.none(),
    st.just(FOR_EVER),
    st.builds(Duration, st.integers(0, 30), st.timedeltas(timedelta(0))),
)
periods = st.builds(Period, st.one_of(st.none(), st.just(BEGIN)), lengths, lengths)
events = st.builds(
    Event, names, names, names, st.integers(0, 2**53), st.booleans(),
    st.lists(st.builds(Target, names, names), max_size=2).map(tuple),
    st.one_of(st.none(), st.integers(0, 9)), st.one_of(st.none(), st.just(END)),
    st.one_of(st.none(), periods),
    st.lists(st.builds(Interval, st.integers(0, 9), st.lists(signals, max_size=2).map(tuple),
                       st.one_of(st.none(), periods)), max_size=2).map(tuple),
    lengths,
)  # fmt: skip


@given(events)
def test_an_event_as_text_is_the_event(event: Event) -> None:
    """Whatever it asks for comes back: numbers as they were, points, zones, for ever."""
    again = event_of(text_of(event))
    assert again == event
    kinds = [[type(v) for s in i.signals for v in s.values] for i in again.intervals]
    assert kinds == [[type(v) for s in i.signals for v in s.values] for i in event.intervals]
