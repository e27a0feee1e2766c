"""A VTN that comes up filled, and its help."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import venlab as vl
from tests.vtn.conftest import Server
from tests.vtn.standards import VERSIONS, vtn_of
from venlab.faults import KINDS, PRESETS
from venlab.fleet import Fleet
from venlab.secret import Secret
from venlab.vtn.__main__ import main
from venlab.vtn.app import create_app
from venlab.vtn.seed import fill
from venlab.vtn.store import Store


async def all_of(ask: Any, path: str) -> list[Any]:
    found: list[Any] = []
    while page := (await ask("GET", f"{path}?skip={len(found)}&limit=50"))[1]:
        found += page
    return found


async def test_it_comes_up_filled_in_all_dialects(store: Store) -> None:
    """The first two VENs of the reference fleet, what stands behind them, and an event."""
    fleet = Fleet.reference().only(2)
    names = sorted(fleet.ven_name.tolist())
    await fill(create_app(store, Secret("op")), Secret("op"), 2)
    for version in VERSIONS:
        async with vtn_of(version, store) as vtn:
            operator = await vtn.as_("operator")
            vens = await operator.listed("/vens")
            assert sorted(ven["venName"] for ven in vens) == names
            (program,), (event,) = [await operator.listed(p) for p in ("/programs", "/events")]
            assert (program["programName"], event["programID"]) == ("venlab", program["id"])
            asked = [each["payloadType"] for each in event["reportDescriptors"]]
            assert (event["eventName"], asked) == ("venlab-reports", ["DEMAND"])
            aabenraa = await vtn.as_("aabenraa")
            (own,) = [ven for ven in vens if ven["venName"] == "Aabenraa"]
            vtn.ids["ven"] = own["id"]
            behind = await all_of(aabenraa, vtn.path("resource"))
            mine = fleet.resource_name[fleet.resource_ven == 0].tolist()
            assert [each["resourceName"] for each in behind] == mine
            changed = {"resourceName": "mine now", "venID": own["id"]}
            if vtn.private:
                changed["objectType"] = "VEN_RESOURCE_REQUEST"
            path = vtn.path("resource", behind[0]["id"])
            assert (await aabenraa("PUT", path, changed))[0] == 200
    transport = httpx.ASGITransport(create_app(store, Secret("op")))
    async with httpx.AsyncClient(transport=transport, base_url="http://vtn/flat") as http:
        headers = {"Authorization": "Bearer op"}
        found = (await http.get("/resources", headers=headers)).json()
        told = {(each["ven_name"], each["resource_name"]): each["status"] for each in found}
        vens_ = fleet.ven_name[fleet.resource_ven].tolist()
        rows = zip(vens_, fleet.resource_name.tolist(), fleet.status.tolist(), strict=True)
        assert told == {(ven, name): status for ven, name, status in rows}
        assert {"pending", "suspended"} <= set(told.values())


async def test_it_is_filled_once(store: Store) -> None:
    """A start on the same store adds nothing, whatever became of it since."""
    app = create_app(store, Secret("op"))
    await fill(app, Secret("op"), 1)
    before = [len(store.page(table)) for table in ("vens", "resources", "objects", "programs")]
    await fill(app, Secret("new"), 2)
    after = [len(store.page(table)) for table in ("vens", "resources", "objects", "programs")]
    assert after == before


@pytest.mark.parametrize("dialect", VERSIONS)
async def test_the_lab_finds_what_is_there(
    tmp_path: Path, serve: Callable[..., Server], dialect: str, http: httpx.AsyncClient
) -> None:
    """A run against a filled VTN makes nothing new, and all its reports are heard."""
    server = serve("op", "--seed-fleet", "1")
    url = server.ready[dialect]
    table = tmp_path / "credentials.csv"
    table.write_text("town_id,client_id,client_secret\naabenraa,aabenraa,op\n", encoding="utf-8")
    config = vl.params(
        vens=1,
        dialect=dialect,
        vtn_url=url,
        client_id="aabenraa",
        client_secret=Secret("op"),
        ven_credentials=str(table),
        token_url=f"{url}/auth/token",
        simulated_hours=0.5,
        out_dir=str(tmp_path / "run"),
    )
    async with vl.Lab(config) as lab:
        await lab.register()
        await lab.run()
        assert (await lab.read_back()).check()

    async def count(path: str) -> int:
        headers = {"Authorization": "Bearer op"}
        return len((await http.get(f"{url}{path}", headers=headers)).json())

    assert [await count(path) for path in ("/vens", "/programs", "/events")] == [1, 1, 1]
    assert await count("/reports") == 4


@pytest.mark.parametrize("vens", ["0", "-1", "288"])
def test_a_fleet_that_is_none_is_one_line(vens: str, capsys: pytest.CaptureFixture[str]) -> None:
    """So many VENs there are not."""
    assert main(["--seed-fleet", vens]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    said = err.splitlines()[-1]
    assert said.startswith(f"venlab vtn: vens is {vens}")


def test_help_is_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    """45 lines of at most 90 characters; what it says to type is there."""
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    lines = told.splitlines()
    assert (len(lines) <= 45, max(map(len, lines)) <= 90) == (True, True)
    options = set(re.findall(r"--[a-z-]+", told))
    assert options >= {"--seed-fleet", "--faults", "--credential-file", "--token-ttl"}


def test_faults_have_a_screen_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind and preset, with what it does; nothing is started."""
    assert main(["--faults", "help"]) == 0
    told = capsys.readouterr().out
    assert all(f"\n  {name} " in told for name in [*KINDS, *PRESETS])
    assert len(told.splitlines()) <= 45
