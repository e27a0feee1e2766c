"""Who takes part: draws that nobody else changes, and what a VEN answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from venlab.calendar import parse_time
from venlab.fleet import Fleet
from venlab.flexibility import Flexibility
from venlab.model import Event
from venlab.opting import Choice, Decision, Opting
from venlab.profiles import Profiles

BEGIN, END = parse_time("2023-11-30T17:00"), parse_time("2023-11-30T19:00")
EVENT = Event.between(BEGIN, END, name="peak")


def opting(fleet: Fleet, seed: int = 7, **columns: float) -> Opting:
    flexible = Flexibility.of(fleet, Profiles.load())
    table = {name: np.full(fleet.n_loads, value) for name, value in columns.items()}
    return Opting(fleet, replace(flexible, **table), seed)


@pytest.mark.parametrize(
    ("choices", "answer"),
    [
        ([1, 2, 3, 0], "optIn"),
        ([2, 2, 3, 0], "optOut"),
        ([3, 3, 0, 0], "notParticipating"),
        ([0, 0, 0, 0], "notParticipating"),
    ],
)
def test_what_a_ven_answers(choices: list[int], answer: str) -> None:
    """In if any takes part; out if all that could refuse; else it does not participate."""
    decision = Decision(EVENT, (0,), np.array(choices, np.uint8))
    assert decision.answer(np.ones(4, bool)) == answer


def test_draws_are_as_often_as_the_table_says() -> None:
    """Of 19,402 resources six in ten take part at all, and a tenth of these refuses one event."""
    fleet = Fleet.full(7)
    each = opting(fleet, participation_frac=0.6, opt_out_frac=0.1)
    decision = each.decide(EVENT, range(fleet.n_vens), np.ones(fleet.n_resources, bool))
    count = np.bincount(decision.choices, minlength=4) / fleet.n_resources
    assert count[Choice.NOT_ENROLLED] == pytest.approx(0.4, abs=0.01)
    assert count[Choice.BY_HAND] == pytest.approx(0.06, abs=0.006)


def test_nobody_elses_draw_is_changed() -> None:
    """Without other VENs, with another id and version, and later: the same choices."""
    fleet, aars = Fleet.reference(7), Fleet.reference(7).only(["Aars"])
    whole = opting(fleet).decide(EVENT, range(10), fleet.approved)
    again = replace(EVENT, id="other", version=3)
    alone = opting(aars).decide(again, [0], aars.approved)
    behind = fleet.resource_ven == fleet.ven_name.tolist().index("Aars")
    assert whole.choices[behind].tolist() == alone.choices.tolist()


def test_another_event_is_refused_by_others() -> None:
    """By name and by start each event has its own refusals; who is enrolled stays."""
    fleet = Fleet.reference(7)
    each = opting(fleet, opt_out_frac=0.5)
    events = [EVENT, replace(EVENT, name="other"), Event.between(END, BEGIN + 2 * (END - BEGIN))]
    found = [each.decide(event, range(10), fleet.approved).choices for event in events]
    enrolled = [np.isin(choices, [Choice.TAKES_PART, Choice.BY_HAND]) for choices in found]
    assert (enrolled[0] == enrolled[1]).all()
    assert (enrolled[0] == enrolled[2]).all()
    assert (found[0] != found[1]).any()
    assert (found[0] != found[2]).any()


def test_only_who_sees_it_and_is_meant_and_approved_is_asked() -> None:
    """Two of three VENs see it, one is named, and who is not approved is asked nothing."""
    fleet = Fleet.reference(7).only(3)
    event = replace(EVENT, targets=Event.between(BEGIN, END, targets=["Aars", "Aabenraa"]).targets)
    decision = opting(fleet).decide(event, [1, 2], fleet.approved)
    assert (decision.asked == (fleet.resource_ven == 1) & fleet.approved).all()


def test_a_policy_of_ones_own() -> None:
    """It is given who is enrolled and meant, and can take nobody else in."""
    fleet = Fleet.reference(7)
    flexible = Flexibility.of(fleet, Profiles.load())
    shops = Opting(fleet, flexible, 7, policy=lambda _event, _who: fleet.building_type == "shop")
    decision = shops.decide(EVENT, range(10), fleet.approved)
    in_ = decision.choices == Choice.TAKES_PART
    assert set(fleet.building_type[in_]) == {"shop"}
    assert not (in_ & ~fleet.approved).any()
    assert not (in_ & ~shops.enrolled).any()
