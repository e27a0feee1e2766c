"""What events ask of loads: levels, caps, priorities, reception, rest, and one by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from venlab.calendar import parse_time
from venlab.durations import Duration
from venlab.fleet import Fleet
from venlab.flexibility import Flexibility
from venlab.model import Event, Interval, Period, Signal
from venlab.opting import Opting
from venlab.orders import Orders
from venlab.profiles import Profiles
from venlab.response import Order

FIVE, SEVEN, HOUR = parse_time("2023-11-30T17:00"), parse_time("2023-11-30T19:00"), 1 / 24
FLEET = Fleet.reference(7).only(3)
FLEXIBLE = Flexibility.of(FLEET, Profiles.load())
USUAL = np.ones(FLEET.n_loads, np.float32)
FIRST_KW = 6.0 * np.bincount(FLEET.resource_ven[FLEET.approved])


def orders(*events: Event, at: datetime = FIVE, flexible: Flexibility = FLEXIBLE) -> Orders:
    """The orders of a fleet in which everybody takes part."""
    sure = replace(flexible, participation_frac=np.ones(FLEET.n_loads))
    opting = Opting(FLEET, sure, 7, policy=lambda _, enrolled: enrolled)
    found = Orders(FLEET, sure, opting, 7)
    for n, event in enumerate(events):
        named = replace(event, id=event.id or f"e{n}", created=at)
        found.receive(opting.decide(named, range(FLEET.n_vens), FLEET.approved), at)
    return found


def asked(*signals: Signal, priority: int | None = None, **more: object) -> Event:
    """From 17 to 19 something is asked for; of several signals each at a time."""
    event = Event.between(FIVE, SEVEN, signals[0], **more)  # type: ignore[arg-type] # passed on
    return replace(event, intervals=(Interval(0, signals),), priority=priority)


def level(order: Order) -> float:
    """At which level everybody who is approved is asked, by the loads that differ at each."""
    cut = order.cut_frac[np.repeat(FLEET.approved, 6)]
    table = FLEXIBLE.level_frac[:, np.repeat(FLEET.approved, 6)]
    rising = (np.diff(table, axis=0) > 0).all(axis=0)
    levels = [np.interp(c, t, range(4)) for c, t in zip(cut[rising], table[:, rising].T)]  # noqa: B905 - as many
    assert np.ptp(levels) < 1e-9
    return float(levels[0])


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        (Signal("SIMPLE", (0,)), 0),
        (Signal("SIMPLE", (2,)), 2),
        (Signal("CONTROL_LEVEL_OFFSET", (10,)), 3),
        (Signal("CONTROL_LEVEL_OFFSET", (5,)), 1.5),
        (Signal("CONTROL_LEVEL_OFFSET", (-10,)), 0),
        (Signal("CONTROL_LEVEL_OFFSET_PERCENT", (0.5,)), 1.5),
        (Signal("ALERT_GRID_EMERGENCY", ("save",)), 3),
        (Signal("ALERT_FLEX_ALERT", ("please",)), 0),
        (Signal("SIMPLE", (float("nan"),)), 0),
    ],
)
def test_what_a_signal_asks_for(signal: Signal, expected: float) -> None:
    """Each type on the one scale from 0 to 3; what no load understands asks for nothing."""
    assert level(orders(asked(signal)).at(FIVE, USUAL)) == pytest.approx(expected)


def test_prices_ask_where_they_are_high() -> None:
    """1, 1, 1 and 2 DKK, 1.25 in the mean: 2 is 1.6 times that, level 2, in the last half hour."""
    prices = orders(asked(Signal("PRICE", (1.0, 1.0, 1.0, 2.0), "KWH")))
    assert level(prices.at(FIVE, USUAL)) == 0
    last = SEVEN - timedelta(minutes=30)
    assert level(prices.at(last, USUAL)) == 2
    assert prices.next_change(last - timedelta(minutes=1)) == last


def test_the_lower_priority_number_wins() -> None:
    """An event of priority 0 at level 1 goes before one of priority 5 at level 3, while it is."""
    low = asked(Signal("SIMPLE", (3,)), priority=5)
    high = Event.between(FIVE, FIVE + timedelta(hours=1), Signal("SIMPLE", (1,)))
    both = orders(low, replace(high, priority=0))
    assert level(both.at(FIVE, USUAL)) == 1
    assert level(both.at(FIVE + timedelta(hours=1), USUAL)) == 3
    assert level(both.at(SEVEN, USUAL)) == 0


def test_an_event_for_one_town_asks_that_town_only() -> None:
    """Of three towns the second is named: all other resources have no cut."""
    one = orders(asked(Signal("SIMPLE", (3,)), targets=["Aars"])).at(FIVE, USUAL)
    cut = (one.cut_frac > 0).reshape(-1, 6).any(axis=1)
    assert set(FLEET.resource_ven[cut].tolist()) == {1}


def test_a_limit_is_the_vens_and_the_lowest_holds() -> None:
    """Of two limits the lower holds whatever its event's priority; then the subscription."""
    limits = orders(
        asked(Signal("IMPORT_CAPACITY_LIMIT", (50.0,), "KW"), priority=0),
        Event.between(FIVE, FIVE + timedelta(hours=1), Signal("IMPORT_CAPACITY_LIMIT", (20.0,))),
        Event.between(
            FIVE, SEVEN + timedelta(hours=1), Signal("IMPORT_CAPACITY_SUBSCRIPTION", (80.0,))
        ),
    )
    times = [FIVE, FIVE + timedelta(hours=1), SEVEN, SEVEN + timedelta(hours=1)]
    caps = [limits.at(t, USUAL).ven_cap_kw.tolist() for t in times]
    assert caps == [[20.0] * 3, [50.0] * 3, [80.0] * 3, [np.inf] * 3]


def test_a_limit_that_names_resources_is_theirs() -> None:
    """A group is named: each of its resources has the cap, and no VEN has one."""
    kind = str(FLEET.building_type[0])
    order = orders(asked(Signal("IMPORT_CAPACITY_LIMIT", (3.0,)), targets=[kind])).at(FIVE, USUAL)
    capped = (FLEET.building_type == kind) & FLEET.approved
    assert order.resource_cap_kw[capped].tolist() == [3.0] * capped.sum()
    assert np.isinf(order.resource_cap_kw[~capped]).all()
    assert np.isinf(order.ven_cap_kw).all()


def test_a_relative_setpoint_is_relative_to_the_begin() -> None:
    """10 kW less than each VEN used when it began, also when that is asked again later."""
    relative = orders(asked(Signal("DISPATCH_SETPOINT_RELATIVE", (-10.0,), "KW")))
    assert relative.at(FIVE, USUAL).ven_cap_kw == pytest.approx(FIRST_KW - 10)
    later = relative.at(FIVE + timedelta(minutes=30), 0.2 * USUAL)
    assert later.ven_cap_kw == pytest.approx(FIRST_KW - 10)


def test_more_than_usual_is_not_asked_of_these_loads() -> None:
    """They give way only: a setpoint of 10 kW more caps nobody."""
    order = orders(asked(Signal("DISPATCH_SETPOINT_RELATIVE", (10.0,)))).at(FIVE, USUAL)
    assert not order.caps


def test_who_was_called_long_enough_opts_out() -> None:
    """Loads that can be called for one hour leave at 18:00, until nothing is asked any more."""
    rested = replace(FLEXIBLE, max_event_h=np.ones(FLEET.n_loads))
    found = orders(asked(Signal("SIMPLE", (2,))), flexible=rested)
    assert level(found.at(FIVE, USUAL)) == 2
    six = FIVE + timedelta(hours=1)
    assert found.next_change(FIVE) == six
    assert level(found.at(six, USUAL)) == 0
    assert found.tired.any()
    assert found.at(SEVEN, USUAL).cut_frac.max() == 0
    assert not found.tired.any()


def test_joining_late_and_cancelling() -> None:
    """Received at 17:30, it asks from then on; cancelled at 18:00, from then on nothing."""
    event, late = asked(Signal("SIMPLE", (1,))), FIVE + timedelta(minutes=30)
    found = orders(event, at=late)
    assert level(found.at(late, USUAL)) == 1
    gone = replace(event, id="e0", version=1, cancelled=True)
    found.receive(Opting(FLEET, FLEXIBLE, 7).decide(gone, range(3), FLEET.approved), SEVEN)
    assert found.at(SEVEN - timedelta(hours=1), USUAL).cut_frac.max() == 0
    assert found.next_change(FIVE) is None


def test_starts_are_randomised_for_each_ven() -> None:
    """Within an hour of 17:00, each town at its own time: at 17:00 sharp not all are asked."""
    period = Period(FIVE, Duration.parse("PT2H"), Duration.parse("PT1H"))
    event = replace(asked(Signal("SIMPLE", (3,))), name="peak", period=period)
    found, begun = orders(event), []
    t: datetime | None = FIVE - timedelta(hours=2)
    while t := found.next_change(t):
        cut = (found.at(t, USUAL).cut_frac > 0).reshape(-1, 6).any(axis=1)
        begun.append((t, set(FLEET.resource_ven[cut].tolist())))
        if len(begun) == 3:
            break
    assert [len(vens) for _, vens in begun] == [1, 2, 3]
    assert all(abs(t - FIVE) <= timedelta(hours=1) for t, _ in begun)


def test_an_unknown_type_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """As the standard says it is ignored, and the log says that."""
    found = orders(replace(asked(Signal("SING", (1,))), name="concert"))
    assert "Event concert asks for SING: no load here answers that" in caplog.text
    assert found.at(FIVE, USUAL).cut_frac.max() == 0
