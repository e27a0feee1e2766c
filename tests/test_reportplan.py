"""What a report descriptor asks for, worked by hand: which cycles are in which report."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venlab.errors import ConfigError
from venlab.model import ReportDescriptor
from venlab.reportplan import EVERY, Plan, plan_of

TEN = 10  # cycles of the run that is worked by hand


def asked(**members: object) -> ReportDescriptor:
    return ReportDescriptor("USAGE", **members)  # type: ignore[arg-type]


def due(plan: Plan, cycles: int = TEN) -> list[tuple[int, int, int]]:
    """Return the windows of a run, each after the cycle that it is due with."""
    found = []
    for cycle in range(cycles):
        if window := plan.due(cycle, last=cycle + 1 == cycles):
            assert window.end == cycle + 1, "a report holds its intervals up to now"
            found.append(tuple(window))
    return found


def told(plan: Plan, cycles: int = TEN) -> str:
    """Return the cycles of each report: ``0-1 2-3``."""
    return " ".join(f"{begin}-{end - 1}" for begin, _, end in due(plan, cycles))


EACH = " ".join(f"{n}-{n}" for n in range(TEN))


@pytest.mark.parametrize(
    ("members", "reports"),
    [
        # All defaults, and what the lab's own event says: one report after each interval.
        ({}, EACH),
        ({"frequency": 1, "repeat": -1}, EACH),
        ({"num_intervals": 1, "repeat": -1}, EACH),
        ({"historical": False}, EACH),
        ({"frequency": 0}, EACH),
        ({"repeat": 2}, "0-0 1-1"),
        # User Guide 7.5, "at a regular period": after 1, 3 and 5, two intervals each.
        ({"start_interval": 1, "num_intervals": 2, "frequency": 2, "repeat": 3}, "0-1 2-3 4-5"),
        # The same, of which a frequency of -1 says as much.
        ({"start_interval": 1, "num_intervals": 2, "repeat": 3}, "0-1 2-3 4-5"),
        # User Guide 7.5, "rolling": 0 to 2, 1 to 3, 2 to 4.
        (
            {"start_interval": 0, "num_intervals": 3, "frequency": 1, "repeat": 3}
            | {"historical": False},
            "0-2 1-3 2-4",
        ),
        # One report of four, and nothing afterwards.
        ({"num_intervals": 4}, "0-3"),
        ({"num_intervals": 4, "frequency": 0}, "0-3"),
        # For ever: what there is of the last one is sent at the run's end.
        ({"num_intervals": 4, "repeat": -1}, "0-3 4-7 8-9"),
        ({"frequency": 4, "repeat": -1}, "0-3 4-7 8-9"),
        ({"frequency": 3, "repeat": 2}, "0-2 3-5"),
        # Two of each four, from the third on: the others are not asked for.
        ({"start_interval": 3, "num_intervals": 2, "frequency": 4, "repeat": -1}, "2-3 6-7"),
        ({"start_interval": 5, "num_intervals": 2, "frequency": 4, "repeat": -1}, "4-5 8-9"),
        # The start interval comes before a report can be full: there is nothing before 0.
        ({"start_interval": 1, "num_intervals": 4, "repeat": -1}, "0-1 2-5 6-9"),
        # All up to the start interval; with a frequency, afterwards what is new.
        ({"start_interval": 4}, "0-4"),
        ({"start_interval": 4, "frequency": 2, "repeat": -1}, "0-4 5-6 7-8 9-9"),
        # To come: from the start interval on, told when they are over.
        (
            {"start_interval": 4, "num_intervals": 3, "historical": False, "repeat": -1},
            "4-6 7-9",
        ),
        ({"start_interval": 7, "historical": False}, "7-7 8-8 9-9"),
        ({"start_interval": 4, "num_intervals": 3, "historical": False}, "4-6"),
        ({"start_interval": 8, "num_intervals": 5, "historical": False}, "8-9"),
        ({"start_interval": 20, "num_intervals": 5, "historical": False}, ""),
        # User Guide 8.8, shortened: each interval anew with the two before it.
        (
            {"start_interval": 0, "num_intervals": 3, "frequency": 1, "repeat": -1}
            | {"historical": False},
            "0-2 1-3 2-4 3-5 4-6 5-7 6-8 7-9",
        ),
        ({"start_interval": 0, "num_intervals": 3, "frequency": 2, "repeat": 3}, "0-0 0-2 2-4"),
        # Nothing is full in ten: sent at the end.
        ({"num_intervals": 2**31 - 1, "repeat": -1}, "0-9"),
    ],
)
def test_by_hand(members: dict[str, object], reports: str) -> None:
    """Ten cycles; whether intervals are the event's, within them or open makes no difference."""
    for intervals in ("INTERVALS", "SUB_INTERVALS", "OPEN_INTERVALS"):
        assert told(plan_of(asked(**members, report_intervals=intervals))) == reports


def test_new_is_what_no_report_held_before() -> None:
    """Rolling windows of three: the first is all new, of each later one its last cycle."""
    plan = plan_of(asked(start_interval=0, num_intervals=3, frequency=1, historical=False))
    plan = plan._replace(times=-1)
    assert due(plan, 5) == [(0, 0, 3), (1, 3, 4), (2, 4, 5)]


def test_a_sum_is_another_plan() -> None:
    """One report an interval is prerendered; not so of sums."""
    assert plan_of(asked(aggregate=True)) == EVERY._replace(aggregate=True) != EVERY


descriptors = st.builds(
    asked,
    start_interval=st.integers(-1, 12),
    num_intervals=st.one_of(st.just(-1), st.integers(1, 6)),
    historical=st.booleans(),
    frequency=st.integers(-1, 6),
    repeat=st.one_of(st.just(-1), st.integers(1, 4)),
)


@given(descriptors, st.integers(1, 40))
def test_each_cycle_that_is_asked_for_is_new_once(
    descriptor: ReportDescriptor, cycles: int
) -> None:
    """Whatever is asked, and however long the run: once, in order, and none is left at the end."""
    plan = plan_of(descriptor)
    windows = due(plan, cycles)
    new = [cycle for _, new, end in windows for cycle in range(new, end)]
    assert new == [cycle for cycle in range(cycles) if plan.window_of(cycle)]
    assert all(0 <= begin <= new < end for begin, new, end in windows)
    if plan.times >= 0:
        assert len(windows) <= plan.times
    held = {cycle for begin, _, end in windows for cycle in range(begin, end)}
    assert held == set(new), "what is repeated was in a report before"


@pytest.mark.parametrize(
    ("descriptor", "said"),
    [
        (ReportDescriptor("SETPOINT"), "payloadType 'SETPOINT', the lab has DEMAND and USAGE"),
        (asked(num_intervals=0), "numIntervals 0, which must be -1 or at least 1"),
        (asked(start_interval=-2), "startInterval -2, which must be -1 or at least 0"),
        (asked(frequency=-7), "frequency -7, which must be -1 or at least 0"),
        (asked(repeat=0), "repeat 0, which must be -1 or at least 1"),
    ],
)
def test_nonsense_is_named(descriptor: ReportDescriptor, said: str) -> None:
    """The member, its value and what to do."""
    with pytest.raises(ConfigError) as caught:
        plan_of(descriptor)
    assert said in str(caught.value)
    assert "report_event" in str(caught.value)
