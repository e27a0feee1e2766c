"""What a VTN is told of a fleet's VENs and resources, and what events mean by that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import venlab as vl
from tests.standard.recording import recorded
from tests.test_lab import quick
from venlab.eventwatch import EventWatch
from venlab.fleet import Fleet
from venlab.lab import Lab
from venlab.model import Event, Target
from venlab.wire import Call

STANDARD = ["3.0.1", "3.1.0"]
BEGIN, END = vl.parse_time("2023-11-30T17:00"), vl.parse_time("2023-11-30T19:00")


@asynccontextmanager
async def opened(folder: Path, speaks: str, **more: object) -> AsyncIterator[Lab]:
    """A lab with Aars of DK1 and Roskilde of DK2, all of whose exchanges the document allows."""
    fleet = Fleet.reference().only(["aars", "roskilde"])
    with recorded() as seen:
        config = quick(folder, dialect=speaks, name_prefix="class-", **more)
        async with Lab(config, fleet) as lab:
            base = f"http://vtn/openadr3/{speaks}"
            lab.client._transport = seen.transport(lab.client._transport, base)
            yield lab
        assert seen.exchanges[f"{speaks} POST 201"] > 2


async def listed(lab: Lab, path: str, **query: str) -> list[dict[str, Any]]:
    """What business logic sees."""
    call = Call("GET", f"{path}?{urlencode(query)}", lambda _, body: json.loads(body))
    return await lab.client._ask("look", call)


async def announced(lab: Lab, name: str, *targets: Target) -> None:
    program = await lab.client.create_program("venlab")
    event = Event.between(BEGIN, END, name=name, program_id=program.id, targets=targets)
    await lab.client.create_event(event)


@pytest.mark.parametrize("speaks", STANDARD)
async def test_what_is_told_of_a_town_and_its_buildings(tmp_path: Path, speaks: str) -> None:
    """Aars lies at 9.51441° E, 56.80399° N in DK1; no building is without its power and loads."""
    async with opened(tmp_path, speaks) as lab:
        await lab.register()
        (aars,) = await listed(lab, "/vens", venName="class-Aars")
        assert aars["attributes"] == [{"type": "LOCATION", "values": [9.51441, 56.80399]}]
        if speaks == "3.0.1":
            behind = aars["resources"]
            own = [("VEN_NAME", ["class-Aars"]), ("SERVICE_AREA", ["DK1"])]
            assert [(t["type"], t["values"]) for t in aars["targets"]] == own
        else:
            behind = await listed(lab, "/resources", venID=aars["id"])
            assert (aars["clientID"], aars["targets"]) == ("class-aars", ["class-Aars", "DK1"])
        first = next(each for each in behind if each["resourceName"] == "household_01")
        types = [attribute["type"] for attribute in first["attributes"]]
        assert types == [f"load_{k}" for k in range(6)] + ["MAX_POWER_CONSUMPTION"]
        (rated,) = first["attributes"][-1]["values"]
        r = lab.fleet.resource_name.tolist().index("household_01")
        assert 0 <= rated - lab.simulator.rated_kw()[r] < 0.1
        assert round(rated, 1) == rated


async def test_an_event_means_who_has_its_target(tmp_path: Path) -> None:
    """3.1.0: a VEN sees an event by its name, its price area or what it has, and no other."""
    async with opened(tmp_path, "3.1.0") as lab:
        await lab.register()
        kinds = [set(lab.fleet.building_type[lab.fleet.resource_ven == v]) for v in range(2)]
        only_aars = str(min(kinds[0] - kinds[1]))
        await announced(lab, "all")
        await announced(lab, "aars", Target("class-Aars"))
        await announced(lab, "east", Target("DK2"))
        await announced(lab, "kind", Target(only_aars))
        await announced(lab, "both", Target("DK1"), Target("DK2"))
        await announced(lab, "none", Target("Marstal"))
        watch, events = EventWatch(), {}
        for again in (False, True):
            if again:  # at a VTN that lost a VEN, it is told all of it again
                (aars,) = await listed(lab, "/vens", venName="class-Aars")
                await lab.client.delete(lab.client.dialect.delete_ven(aars["id"]))
                await lab._link.register_again(lab.roster, 0)
            await watch.poll(lab.client, lab.roster.vens, BEGIN)
            events |= {event.name: event for event in watch.take()}
            assert {name: sorted(watch.received_by(event)) for name, event in events.items()} == {
                "venlab-reports": ["class-aars", "class-roskilde"],
                "all": ["class-aars", "class-roskilde"],
                "aars": ["class-aars"],
                "east": ["class-roskilde"],
                "kind": ["class-aars"],
                "both": ["class-aars", "class-roskilde"],
            }
            assert {target.name for target in events["both"].targets} == {"DK1", "DK2"}


async def test_whom_an_event_means_is_found_in_301(tmp_path: Path) -> None:
    """There everybody sees every event; by a target and its type business logic finds who it is."""
    async with opened(tmp_path, "3.0.1") as lab:
        await lab.register()
        await announced(lab, "east", Target("DK2", "SERVICE_AREA"))
        watch = EventWatch()
        await watch.poll(lab.client, lab.roster.vens, BEGIN)
        (event,) = [event for event in watch.take() if event.name == "east"]
        assert event.targets == (Target("DK2", "SERVICE_AREA"),)
        assert watch.received_by(event) == {"class-aars", "class-roskilde"}
        for kind, name, found in (
            ("SERVICE_AREA", "DK2", ["class-Roskilde"]),
            ("VEN_NAME", "class-Aars", ["class-Aars"]),
            ("GROUP", "DK2", []),
        ):
            asked = await listed(lab, "/vens", targetType=kind, targetValues=name)
            assert [ven["venName"] for ven in asked] == found


@pytest.mark.parametrize("speaks", STANDARD)
async def test_what_is_found_stays_as_it_is(tmp_path: Path, speaks: str) -> None:
    """A VEN of that name that was there before is told nothing; what is new behind it is."""
    async with opened(tmp_path, speaks) as lab:
        before = await lab.client.register_ven("class-Aars", "class-aars")
        await lab.register()
        assert lab.roster.vens[0].id == before.id
        (aars,) = await listed(lab, "/vens", venName="class-Aars")
        assert not aars.get("attributes")
        assert not aars.get("targets")


@pytest.mark.parametrize("speaks", STANDARD)
async def test_a_run_in_which_an_event_is_deleted(tmp_path: Path, speaks: str) -> None:
    """Both versions are noted, each at the step from which it holds; the closing check is good."""
    async with opened(tmp_path, speaks, simulated_hours=1.0) as lab:
        await lab.register()
        await announced(lab, "east", Target("DK2", "SERVICE_AREA"))
        (east,) = [event for event in await lab.client.events() if event.name == "east"]
        advance, deleting = lab.simulator.step, []

        def step() -> object:
            if lab.simulator.index == 1:  # of four
                deleting.append(asyncio.ensure_future(lab.client.cancel_event(east)))
            return advance()

        lab.simulator.step = step  # type: ignore[method-assign, assignment]
        results = await lab.run()
        await asyncio.gather(*deleting)
        check = (await lab.read_back()).check()
        assert check.ok, str(check)
    rows = results.events[results.events["name"] == "east"]
    (at, cancelled), (later, then) = rows[["step", "cancelled"]].to_numpy().tolist()
    assert (at, cancelled, then) == (0, 0, 1)
    assert later in (2, 3)
