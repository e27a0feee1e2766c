"""Whom an event names: told of all at once as of each alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from venlab.fleet import Fleet
from venlab.model import Event, Target
from venlab.names import named_resources, named_vens, targets_of_resource, targets_of_ven
from venlab.timeline import Timeline

FLEET = Fleet.reference(7).only(3)
NOON = datetime(2023, 11, 30, 11, tzinfo=UTC)
NAMES = ["Aars", "class-Aars", "DK1", "restaurant", "restaurant_01", "nobody"]
KINDS = ["", "VEN_NAME", "SERVICE_AREA", "RESOURCE_NAME", "GROUP"]


@given(st.lists(st.builds(Target, st.sampled_from(NAMES), st.sampled_from(KINDS)), min_size=1))
def test_all_at_once_is_each_alone(targets: list[Target]) -> None:
    """As a timeline has it, which asks for each by its names, of a kind or of none."""
    event = Event.between(NOON, NOON + timedelta(hours=1), targets=targets)
    sees = Timeline([event]).seen_by
    vens = [bool(sees("", *targets_of_ven(FLEET, v, "class-")).at(NOON)) for v in range(3)]
    assert named_vens(FLEET, event, "class-").tolist() == vens
    each = range(FLEET.n_resources)
    resources = [bool(sees("", *targets_of_resource(FLEET, r)).at(NOON)) for r in each]
    assert named_resources(FLEET, event).tolist() == resources


def test_by_hand() -> None:
    """Two towns are in DK1, one is Aars; a group is all of a kind."""
    area = Event.between(NOON, NOON + timedelta(hours=1), targets=["DK1"])
    assert named_vens(FLEET, area).tolist() == [str(a) == "DK1" for a in FLEET.price_area]
    group = Event.between(NOON, NOON + timedelta(hours=1), targets=[Target("shop", "GROUP")])
    assert named_resources(FLEET, group).sum() == (FLEET.building_type == "shop").sum() > 0
