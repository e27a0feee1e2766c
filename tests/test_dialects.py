"""One fleet in three dialects: the same values, the same closing check, and every word in order."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import venlab as vl
from tests.elsewhere import credentials, elsewhere
from tests.standard.recording import forwarding, recorded, served
from venlab.config import DIALECTS
from venlab.errors import AccessDenied, ConfigError, DataError
from venlab.secret import Secret

STANDARD = [name for name in DIALECTS if name != "flat"]


def settings(folder: Path, **more: object) -> vl.LabConfig:
    return vl.params(vens=2, simulated_hours=0.5, out_dir=str(folder), **more)


def kept(folder: Path) -> list[tuple[object, ...]]:
    """What a run measured: stamps, watts and the hash of the simulator's step."""
    with closing(sqlite3.connect(folder / "run.sqlite")) as c:
        return c.execute("SELECT cycle, stamp, watts, step_hash FROM readings").fetchall()


async def played(config: vl.LabConfig) -> vl.Results:
    async with vl.Lab(config) as lab:
        await lab.register()
        await lab.run()
        return await lab.read_back()


async def test_a_fleet_is_the_same_in_three_dialects(tmp_path: Path) -> None:
    """Values are equal to the bit, and every reading is heard, as often as it was measured."""
    found = {}
    for name in DIALECTS:
        results = await played(settings(tmp_path / name, dialect=name))
        check = results.check()
        assert check, f"{name}: {check}"
        assert check.heard == check.measured == 1032
        assert results.summary()["dialect"] == name
        assert results.summary()["delivered"] == "exactly once"
        found[name] = kept(tmp_path / name)
    assert found["flat"] == found["3.0.1"] == found["3.1.0"]


@pytest.mark.parametrize("name", STANDARD)
async def test_a_batch_is_one_report_a_ven_and_cycle(tmp_path: Path, name: str) -> None:
    """Two VENs in four cycles are eight reports, whatever the number of loads; split by limits."""
    await played(settings(tmp_path / "whole", dialect=name))
    results = await played(settings(tmp_path / "parts", dialect=name, batch_resources=100))
    assert results.check()
    counts = []
    for run in ("whole", "parts"):
        with closing(sqlite3.connect(tmp_path / run / "run.sqlite")) as c:
            counts.append(c.execute("SELECT count(*), max(readings) FROM deliveries").fetchone())
    assert counts == [(8, 168), (12, 100)]


@pytest.mark.parametrize("name", STANDARD)
async def test_all_that_is_said_is_what_the_documents_allow(tmp_path: Path, name: str) -> None:
    """Against a VTN that is not the lab's own, every exchange keeps to the document."""
    async with elsewhere(tmp_path / "vtn") as vtn:
        with recorded() as seen, served(seen.app(forwarding(vtn.url))) as url:
            results = await played(
                settings(
                    tmp_path / "run",
                    # To find 3.0.1 out means to ask for what its document has not.
                    dialect="auto" if name == "3.1.0" else name,
                    vtn_url=f"{url}/openadr3/{name}",
                    token=vtn.credential,
                    ven_credentials=credentials(tmp_path, vtn, "aabenraa", "aars"),
                    token_url=f"{url}/openadr3/{name}/auth/token",
                )
            )
            assert results.check()
            assert results.summary()["dialect"] == name
        assert seen.exchanges[f"{name} POST 201"] > 8


async def test_a_credential_for_each_ven_is_enough_in_310(tmp_path: Path) -> None:
    """With an event that is there to report on, nobody needs to speak for all of them."""
    async with elsewhere(tmp_path / "vtn") as vtn:
        there = {"dialect": "3.1.0", "vtn_url": vtn.url_of("3.1.0")}
        async with vl.Lab(settings(tmp_path / "operator", token=vtn.credential, **there)) as lab:
            await lab.client.find_address("metering", "peaks")
        each = {
            "ven_credentials": credentials(tmp_path, vtn, "aabenraa", "aars"),
            "token_url": f"{vtn.url_of('3.1.0')}/auth/token",
        }
        config = settings(tmp_path / "run", report_event="metering", **there, **each)
        assert (await played(config)).check()


async def test_tokens_are_asked_for_where_the_vtn_says(tmp_path: Path) -> None:
    """With a client and no token_url, the fleet's token comes from the server that it names."""
    async with elsewhere(tmp_path / "vtn") as vtn:
        results = await played(
            settings(
                tmp_path / "run",
                dialect="3.1.0",
                vtn_url=vtn.url_of("3.1.0"),
                client_id="operator",
                client_secret=vtn.credential,
                ven_credentials=credentials(tmp_path, vtn, "aabenraa", "aars"),
            )
        )
        assert results.check()


async def test_a_town_without_a_credential_is_named(tmp_path: Path) -> None:
    """A table that lacks a town says which, before anything runs."""
    async with elsewhere(tmp_path / "vtn") as vtn:
        config = settings(
            tmp_path / "run",
            dialect="3.1.0",
            vtn_url=vtn.url_of("3.1.0"),
            token=vtn.credential,
            ven_credentials=credentials(tmp_path, vtn, "aabenraa"),
            token_url=f"{vtn.url_of('3.1.0')}/auth/token",
        )
        with pytest.raises(ConfigError, match="no credential of 'aars'"):
            await played(config)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("town_id,client_id\naars,a\n", "line 2: it needs town_id, client_id, client_secret"),
        (
            "town_id,client_id,client_secret\naars,a,s3cret\naars,b,s3cret\n",
            "line 3: 'aars' stands",
        ),
    ],
)
async def test_a_table_of_credentials_that_is_wrong_is_said(
    tmp_path: Path, text: str, problem: str
) -> None:
    """The line is named and no secret is."""
    (tmp_path / "c.csv").write_text(text, encoding="utf-8")
    async with elsewhere(tmp_path / "vtn") as vtn:
        config = settings(
            tmp_path / "run",
            dialect="3.1.0",
            vtn_url=vtn.url_of("3.1.0"),
            token=vtn.credential,
            ven_credentials=str(tmp_path / "c.csv"),
            token_url=f"{vtn.url_of('3.1.0')}/auth/token",
        )
        with pytest.raises(DataError, match=problem) as raised:
            await played(config)
        assert "s3cret" not in str(raised.value)


async def test_who_may_not_make_an_event_is_told_to_name_one(tmp_path: Path) -> None:
    """Without an event to report on, and no right to make one, the person learns what to do."""
    async with elsewhere(tmp_path / "vtn") as vtn:
        config = settings(
            tmp_path / "run",
            dialect="3.0.1",
            vtn_url=vtn.url_of("3.0.1"),
            client_id="aars",  # a VEN's
            client_secret=vtn.credential,
        )
        with pytest.raises(AccessDenied, match="report_event"):
            await played(config)


async def test_one_credential_plays_a_fleet_in_301(tmp_path: Path) -> None:
    """3.0.1 ties no VEN to a client: with an event that is there, one VEN's credential will do."""
    async with elsewhere(tmp_path / "vtn") as vtn:
        there = {"dialect": "3.0.1", "vtn_url": vtn.url_of("3.0.1")}
        operator = settings(tmp_path / "operator", token=vtn.credential, **there)
        async with vl.Lab(operator) as lab:
            await lab.client.find_address("metering", "peaks")
        ven = {"client_id": "fleet", "client_secret": Secret(vtn.credential.reveal())}
        config = settings(tmp_path / "run", report_event="metering", **there, **ven)
        assert (await played(config)).check()


@pytest.mark.parametrize("name", STANDARD)
async def test_a_vtn_that_dies_before_a_token_is_asked_for_comes_back(
    tmp_path: Path, name: str
) -> None:
    """The first request that finds it dead is the one for a VEN's first token."""
    async with vl.Lab(settings(tmp_path / "run", dialect=name)) as lab:
        assert lab.vtn
        assert lab.vtn._process
        lab.vtn._process.kill()
        lab.vtn._process.wait()
        assert (await lab.client.register_ven("Aabenraa", "aabenraa")).name == "Aabenraa"
        await lab.register()
        await lab.run()
        assert (await lab.read_back()).check().heard == 4 * 258
