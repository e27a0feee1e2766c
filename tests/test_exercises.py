from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import numpy as np
import pytest

import venlab as vl
from venlab.errors import ConfigError
from venlab.exercises import _EXERCISES, beside, brief

GOOD: dict[str, Any] = {
    "report_name": "lesson/1",
    "ven_id": "v1",
    "resource_id": "r1",
    "client_name": "aabenraa",
    "report_type": "usage",
    "reading_type": "power",
    "start": "2023-11-30T16:00:00Z",
    "duration": "PT0S",
    "intervals": [{"id": 0, "payloads": [{"type": "USAGE", "values": [2.4]}]}],
    "resources": [{"resource_name": "shop_01"}],
    "load_component": "load_3",
}


def test_a_right_number_is_right() -> None:
    """2.4 kW for 7.5 minutes are 0.3 kWh; a rounded answer counts."""
    verdict = vl.check("vtn.energy", 0.3, 2.4, 7.5)
    assert verdict
    assert repr(verdict) == "✔ right: 0.3 kWh"
    assert vl.check("vtn.energy", np.float32(0.301), 2.4, 7.5)
    assert not vl.check("vtn.energy", 0.31, 2.4, 7.5)


@pytest.mark.parametrize(
    ("name", "right", "given"),
    [
        ("tour.readings", 438 * 96, (438, vl.params(report_every_s=30.0))),
        ("fleet.energy", 12.0, (np.full((4, 2, 6), 1.0),)),
        ("fleet.coincidence", 0.75, (np.array([[2.0, 0.0], [1.0, 2.0]]),)),
        ("time.cycles", 8, (vl.params(simulated_hours=1.0),)),
        ("time.speed", 48, (vl.params(),)),
        ("time.drift", 115.2, (0.020, 15)),
        ("break.backlog", 66_240, (10, 110.4)),
        ("break.drain", 739.2857, (66_240, (200, 110.4))),
        ("break.twice", 100, (100,)),
        ("standard.requests", 405.6167, (116_412, 287)),
        ("standard.demand", 2.4, (0.3, 7.5)),
        ("standard.pages", 6, (287, 50)),
        ("outside.requests", 40, (15, 10)),
        ("outside.twice", 103, (100, 3)),
    ],
)
def test_numbers_worked_by_hand(name: str, right: float, given: tuple[Any, ...]) -> None:
    """A day has 96 quarters, 4 quarters an hour, a minute 60 seconds: 96 × 30 s ÷ 60 s is 48."""
    assert vl.check(name, right, *given)
    assert not vl.check(name, right * 1.05, *given)


def test_a_town_with_heat_pumps_only() -> None:
    """Where everybody has a heat pump already, the fleet's own day is the answer."""
    town = vl.Fleet.reference().only("Aabenraa")
    town.heat_supply[:] = "heat_pump"
    p = vl.params(start="2023-11-30T00:00")
    day = vl.Simulator(town, vl.Profiles.load(), seed=p.seed, start=p.start_utc(), step_min=15)
    heating_kw = [day.step()[::6][town.approved].sum() for _ in range(96)]
    assert vl.check("fleet.heat_pumps", float(sum(heating_kw)) / 4, town, p)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (18.0, "18 kWh is 60 times too much: minutes were counted"),
        (0.6, "that is a whole step's"),
        (1 / 0.3, "turned round"),
        (0.1, "0.1 kWh is 0.333 of what it should be"),
        ("0.3", "one plain number is wanted, this is of type str"),
        (True, "of type bool"),
        (math.nan, "one plain number"),
        (None, "of type NoneType"),
        (np.array([0.3, 0.3]), "of type ndarray"),
    ],
)
def test_a_wrong_number_is_told_what_is_off(answer: object, words: str) -> None:
    """A slip that many make is named; anything else is told its size or kind, never an error."""
    verdict = vl.check("vtn.energy", answer, 2.4, 7.5)
    assert verdict.ok is False
    assert words in verdict.words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ven_id": None}, "ven_id"),
        ({"report_type": "READING"}, "report_type"),
        ({"reading_type": "DIRECT_READ"}, "reading_type"),
        ({"start": "2023-11-30T17:00:00"}, "start"),
        ({"start": "2023-11-31T17:00:00Z"}, "day is out of range"),
        ({"intervals": [{"id": 0, "payloads": [{"type": "USAGE", "values": ["2.4"]}]}]}, "values"),
        ({"venID": "v1"}, "unknown field `venID`"),
        ({"start": "2023-11-30T17:00:00Z"}, "start is +60 min away"),
        ({"load_component": "load_4"}, "load_component is 'load_4', it was 'load_3'"),
        ({"intervals": [{"id": 0, "payloads": [{"type": "USAGE", "values": [0.3]}]}]}, "0.3"),
    ],
)
def test_a_report_that_is_not_mended(change: dict[str, Any], words: str) -> None:
    """First the shape counts, as the VTN would see it, then whether it says what was measured."""
    verdict = vl.check("vtn.mend_1", {**GOOD, **change}, GOOD)
    assert verdict.ok is False
    assert words in verdict.words


@pytest.mark.parametrize("start", ["2023-11-30T16:00:00Z", "2023-11-30T17:00:00+01:00"])
def test_a_mended_report_may_say_the_moment_in_any_zone(start: str) -> None:
    """16:00 UTC is 17:00 in Copenhagen in winter; the name is free."""
    assert vl.check("vtn.mend_3", {**GOOD, "report_name": "mend/3", "start": start}, GOOD)
    assert datetime.fromisoformat(start).hour in (16, 17)


@pytest.mark.parametrize("answer", ["a report", 3, None, [GOOD]])
def test_what_is_no_report(answer: object) -> None:
    """It is refused in words too."""
    assert "the VTN would refuse it" in vl.check("vtn.mend_1", answer, GOOD).words


def test_a_day_without_heating_has_no_right_answer() -> None:
    """Who plays the lesson in July is not told that 0 ÷ 0 is wrong."""
    assert vl.check("fleet.coincidence", math.nan, np.zeros((96, 3)))


def test_no_answer_yet() -> None:
    """The three dots are neither right nor wrong."""
    verdict = vl.check("vtn.energy", ..., 2.4, 7.5)
    assert verdict.ok is None
    assert not verdict
    assert "not answered yet" in verdict._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("vtn.enrgy", 1), "no exercise vtn.enrgy .did you mean vtn.energy"),
        (("vtn.energy", 1), "was given 0 things"),
    ],
)
def test_an_exercise_that_is_not_there(arguments: tuple[Any, ...], words: str) -> None:
    """A misspelt name, or a cell that was changed, is an error that says what to do."""
    with pytest.raises(ConfigError, match=words):
        vl.check(*arguments)


def test_what_was_sent_beside_what_was_answered() -> None:
    """Each wrong member has the VTN's words beside it, those that are missing come last."""
    problems = [
        {"loc": ["body", "ven_id"], "msg": "Field required"},
        {"loc": ["body", "intervals", 0, "payloads", 0, "values", 0], "msg": "no number"},
    ]
    sent = {"start": "now", "intervals": []}
    table = beside(sent, 422, {"detail": problems}).data
    assert table.index.tolist() == ["start", "intervals", "ven_id"]
    assert table.iloc[:, 0].tolist() == ['"now"', "[]", "(not there)"]
    assert table.iloc[:, 1].tolist() == ["", "0: no number", "Field required"]
    assert beside(sent, 409, {"detail": "is there"}).data.iloc[:, 1].tolist() == ["", ""]


def test_answers_are_shown_safely() -> None:
    """What a person typed is text in the page, never markup."""
    name = "<b>load_4</b>"
    verdict = vl.check("vtn.mend_1", {**GOOD, "load_component": name}, GOOD)
    assert name in verdict.words
    assert name not in verdict._repr_html_()


def test_every_exercise_needs_few_things() -> None:
    """Its rule is a plain function, so that its number of arguments can be checked."""
    assert all(0 < rule.__code__.co_argcount <= 2 for rule, _, _ in _EXERCISES.values())


def test_a_report_is_shown_in_brief() -> None:
    """The first of each list, at whatever depth, and no line wider than 100; one is not counted."""
    load = {"resourceName": "x" * 40, "intervals": [{"payloads": [{"values": [0.3]}]}]}
    said = brief({"eventID": "e", "resources": [load] * 90, "none": [], "nothing": None})
    assert said.count("x" * 40) == 1
    assert said.count("more") == 1
    assert '"… and 89 more"' in said
    assert '"none": [],\n  "nothing": null' in said
    assert max(map(len, said.splitlines())) <= 100
