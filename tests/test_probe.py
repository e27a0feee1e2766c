"""`venlab probe`: what is found out about a VTN, and what is left there."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from venlab.cli import main
from venlab.client import Client
from venlab.config import DIALECTS, LabConfig
from venlab.embedded import EmbeddedVtn
from venlab.errors import AccessDenied, Refused
from venlab.probe import Finding, look
from venlab.secret import Secret
from venlab.transport import Answer, HttpxTransport
from venlab.trial import try_reports
from venlab.wire import dialect

STANDARD = [name for name in DIALECTS if name != "flat"]
TABLES = ("vens", "resources", "programs", "events", "reports", "standard_reports", "objects")


class Watched(HttpxTransport):
    """Notes what is sent."""

    sent: list[str]

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        self.sent.append(f"{method} {path.partition('?')[0]}")
        return await super().send(method, path, body, headers)


def watched() -> type[Watched]:
    return type("WatchedNow", (Watched,), {"sent": []})


def config(vtn: EmbeddedVtn, name: str, **more: object) -> LabConfig:
    given = {"vtn_url": vtn.url_of(name), "dialect": "auto", "token": vtn.credential}
    return LabConfig(**{**given, **more})  # type: ignore[arg-type] # a test's own settings


def as_ven(vtn: EmbeddedVtn, name: str) -> LabConfig:
    """A VEN's credential, with a token of business logic beside it."""
    return config(vtn, name, client_id="aars", client_secret=vtn.credential)


async def filled(vtn: EmbeddedVtn, name: str) -> None:
    """Three programs, which are somebody's."""
    client = Client(HttpxTransport(vtn.url_of(name)), dialect(name), vtn.credential)
    for program in "abc":
        await client.create_program(program)
    await client.close()


async def held(vtn: EmbeddedVtn, folder: Path) -> dict[str, int]:
    """How many rows stand in each table of the store, once the process has ended."""
    await vtn.stop()
    with closing(sqlite3.connect(folder / "vtn" / "vtn.sqlite")) as c:
        return {t: c.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in TABLES}


@pytest.mark.parametrize("name", DIALECTS)
async def test_looking_makes_nothing(vtn: EmbeddedVtn, name: str, tmp_path: Path) -> None:
    """Three programs are three, skip works, and nothing but questions is sent."""
    await filled(vtn, name)
    transport = watched()
    finding, there = await look(config(vtn, name), transport)
    assert {sent.split()[0] for sent in transport.sent} == {"GET"}
    assert (finding.dialect, there.dialect) == (name, name)
    stranger = 403 if name == "3.0.1" else 401
    assert finding.auth == (
        f"a static token, from VENLAB_TOKEN, which is taken; without one it answers {stranger}"
    )
    assert finding.repeated_names == "refused, it says"
    calls = {tried.call: (tried.status, tried.how_many) for tried in finding.calls}
    assert calls.pop("GET programs") == (200, "3")
    assert calls.pop("GET health") == (200, "")
    if name == "3.0.1":
        assert calls.pop("GET vens/…/resources") == (None, "")
    if name == "3.1.0":
        assert calls.pop("GET notifiers") == (200, "")
    assert set(calls.values()) == {(200, "0")}
    assert set(calls) == {f"GET {n}" for n in wanted(name)}
    assert finding.limits.pop("answer time").endswith(
        f"(median of {len(transport.sent) - asked(name)})"
    )
    largest = "5000 (5001 is refused: 422)" if name == "flat" else "50 (51 is refused: 400)"
    assert finding.limits == {
        "largest limit": largest,
        "most on a page": "3 (of /programs)",
        "skip": "works",
    }
    rows = await held(vtn, tmp_path)
    assert sum(rows.values()) == 3


def wanted(name: str) -> set[str]:
    lists = {"events", "vens", "reports"}
    if name != "flat":
        lists |= {"subscriptions"}
    return lists | ({"resources"} if name != "3.0.1" else set())


def asked(name: str) -> int:
    """How many questions it takes to find out the dialect: those are not timed."""
    return {"flat": 2, "3.0.1": 4, "3.1.0": 2}[name]


RIGHT = {
    "flat": [201, 422, 422, 404, 422, 422, 201, 201, 409, 422, 422],
    "3.0.1": [201, 400, 400, 400, 400, 400, 201, 201, 409, 400, 400],
    "3.1.0": [201, 400, 400, 400, 400, 400, 201, 201, 409, 400, 400],
}


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_good_report_and_ten_bad_ones(vtn: EmbeddedVtn, name: str, tmp_path: Path) -> None:
    """Each gets what its dialect says, in the VTN's words; where it can, all is deleted again."""
    await filled(vtn, name)
    settings = config(vtn, name) if name == "flat" else as_ven(vtn, name)
    finding, there = await look(settings)
    await try_reports(settings, there, finding)
    assert [row.status for row in finding.reports] == RIGHT[name]
    verdicts = ["yes"] * 6 + ["open"] * 3 + ["yes"] * 2
    assert [row.right for row in finding.reports] == verdicts
    assert all(row.words for row in finding.reports if row.status and row.status >= 400)
    assert len([made for made in finding.made if made.startswith("report: ")]) == 3
    rows = await held(vtn, tmp_path)
    if name == "flat":
        assert len(finding.left) == len(finding.made) == 5
        assert "nothing that was made is ever deleted" in finding.left[-1]
        assert (rows["programs"], rows["vens"], rows["reports"]) == (3, 1, 3)
    else:
        assert not finding.left
        assert len(finding.made) == 7
        assert (rows["objects"], rows["standard_reports"]) == (3, 0)


@pytest.mark.parametrize("name", STANDARD)
async def test_what_was_made_goes_where_it_breaks_off(
    vtn: EmbeddedVtn, name: str, tmp_path: Path
) -> None:
    """Business logic may make all but a report: that is said, and what it made is deleted."""
    finding, there = await look(config(vtn, name))
    with pytest.raises(Refused, match="a VEN's"):
        await try_reports(config(vtn, name), there, finding)
    assert len(finding.made) == 4
    assert not finding.left
    assert sum((await held(vtn, tmp_path)).values()) == 0


@pytest.mark.parametrize("name", STANDARD)
async def test_a_ven_alone_needs_an_event(vtn: EmbeddedVtn, name: str) -> None:
    """It may make none; where one is there it is reported on, and stays."""
    only = as_ven(vtn, name).but(token=Secret(""))
    finding, there = await look(only)
    with pytest.raises(AccessDenied, match=r"no event to report on.*VENLAB_TOKEN"):
        await try_reports(only, there, finding)
    client = Client(HttpxTransport(there.url), dialect(name), vtn.credential)
    await client.find_address("metering", "peaks")
    await try_reports(only, there, finding)
    assert len(finding.reports) == 11
    assert [event.name for event in await client.events()] == ["metering"]
    await client.close()


async def test_a_client_that_has_its_ven_keeps_it(vtn: EmbeddedVtn) -> None:
    """3.1.0 has one VEN a client: the one that is there reports, and is not deleted."""
    settings = as_ven(vtn, "3.1.0")
    finding, there = await look(settings)
    own = Client(HttpxTransport(there.url), dialect("3.1.0"), vtn.credential)
    await own.register_ven("Aars", "aars")
    await try_reports(settings, there, finding)
    assert finding.reports[0].status == 201
    assert not [made for made in finding.made if made.startswith("VEN")]
    assert (await own.register_ven("Aars", "other")).client_name == "other"  # found, not made
    assert not finding.left
    await own.close()


async def run(*words: str) -> int:
    return await asyncio.to_thread(main, ["probe", *words])


@pytest.mark.parametrize("name", DIALECTS)
async def test_the_command_makes_nothing_unasked(
    vtn: EmbeddedVtn,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also on this machine; the table and the JSON say the same, and no secret."""
    monkeypatch.setenv("VENLAB_TOKEN", vtn.credential.reveal())
    assert await run(vtn.url_of(name)) == 0
    table = capsys.readouterr().out
    assert await run(vtn.url_of(name), "--json") == 0
    text = capsys.readouterr().out
    found = json.loads(text)
    assert found["dialect"] == name
    assert found["made"] == found["reports"] == []
    assert f"{found['auth']}\n" in table
    assert all(tried["call"] in table for tried in found["calls"])
    assert vtn.credential.reveal() not in table + text
    assert sum((await held(vtn, tmp_path)).values()) == 0


async def test_the_command_with_writes(
    vtn: EmbeddedVtn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was found is printed too where the VTN takes no report, with 1 and the reason."""
    monkeypatch.setenv("VENLAB_TOKEN", vtn.credential.reveal())
    assert await run(vtn.url_of("3.1.0"), "--allow-writes") == 1
    out, err = capsys.readouterr()
    assert "GET programs" in out
    assert "all of it is deleted again" in out
    assert "the good report is not taken" in err
    monkeypatch.setenv("VENLAB_CLIENT_SECRET", vtn.credential.reveal())
    assert await run(vtn.url_of("3.1.0"), "--client-id", "aars", "--allow-writes") == 0
    assert "a start without a zone" in capsys.readouterr().out


async def test_a_wrong_token_is_told(
    vtn: EmbeddedVtn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looking goes on: that each call is refused is what is found."""
    monkeypatch.setenv("VENLAB_TOKEN", "wrong")
    assert await run(vtn.url_of("3.1.0"), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert "which is refused: 401" in found["auth"]
    assert {tried["status"] for tried in found["calls"] if "health" not in tried["call"]} == {401}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "the following arguments are required: URL. See venlab probe --help"),
        (["pony"], 2, "vtn_url is 'pony'"),
        (["http://127.0.0.1:9", "--client-id", "x"], 2, "VENLAB_CLIENT_SECRET"),
        (["http://127.0.0.1:9"], 1, "no answer from http://127.0.0.1:9"),
    ],
)
def test_bad_words(
    words: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong word ends with 2, no VTN with 1, and one line."""
    for variable in ("VENLAB_TOKEN", "VENLAB_CLIENT_SECRET"):
        monkeypatch.delenv(variable, raising=False)
    assert main(["probe", *words]) == code
    out, err = capsys.readouterr()
    assert not out
    assert said in err
    assert err.count("\n") == 1


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The screen names each option and where secrets come from."""
    assert main(["probe", "--help"]) == 0
    out = capsys.readouterr().out
    assert "--allow-writes" in out
    assert "VENLAB_CLIENT_SECRET" in out


def test_nothing_is_said_of_what_was_not_found() -> None:
    """Lines without content are left out."""
    assert list(Finding("http://x", "flat", "so it is").lines()) == [
        "http://x",
        "dialect  flat: so it is",
    ]
