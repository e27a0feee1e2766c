"""`venlab clean`: what a run made at a VTN goes, and nothing else."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

import venlab as vl
from tests.elsewhere import credentials
from venlab.clean import cleaner
from venlab.cli import main
from venlab.client import Client
from venlab.config import DIALECTS
from venlab.embedded import EmbeddedVtn
from venlab.errors import Refused, StoreError
from venlab.made import MADE_FILE, Diary, Making
from venlab.model import Resource
from venlab.resume import kept_settings
from venlab.transport import HttpxTransport
from venlab.wire import dialect

STANDARD = [name for name in DIALECTS if name != "flat"]
TOWNS = ("aabenraa", "aars", "ribe")


@pytest.fixture(autouse=True)
def secrets(vtn: EmbeddedVtn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of business logic, where a run and `clean` look for it."""
    monkeypatch.setenv("VENLAB_TOKEN", vtn.credential.reveal())
    monkeypatch.delenv("VENLAB_CLIENT_SECRET", raising=False)


async def played(
    folder: Path,
    vtn: EmbeddedVtn,
    name: str,
    and_then: Callable[[vl.Lab], Awaitable[None]] | None = None,
    **more: object,
) -> Path:
    """A run of one VEN, two cycles."""
    chosen = {"vens": 1, "simulated_hours": 0.25, "dialect": name, "vtn_url": vtn.url_of(name)}
    if name != "flat":
        chosen |= {
            "ven_credentials": credentials(folder.parent, vtn, *TOWNS),
            "token_url": f"{vtn.url_of(name)}/auth/token",
        }
    async with vl.Lab(vl.params(**{**chosen, "out_dir": str(folder), **more})) as lab:
        await lab.register()
        await lab.run()
        assert (await lab.read_back()).check()
        if and_then:
            await and_then(lab)
    return folder


def held(folder: Path) -> dict[str, int]:
    """How much of each kind stands in the VTN's store, which may be read once it has ended."""
    with closing(sqlite3.connect(folder / "vtn" / "vtn.sqlite")) as c:
        counts = dict(c.execute("SELECT kind, count(*) FROM objects GROUP BY kind"))
        reports = c.execute("SELECT count(*) FROM standard_reports").fetchone()[0]
    return {**counts, "reports": reports} if reports else counts


async def clean(folder: Path, *words: str) -> int:
    return await asyncio.to_thread(main, ["clean", str(folder), *words])


async def test_its_history_goes_too(
    vtn: EmbeddedVtn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the event that it is about."""

    async def upload(lab: vl.Lab) -> None:
        await lab.upload(vl.History.simulate(lab.fleet, until=lab.simulator.time_of(0), days=2))

    run = await played(tmp_path / "run", vtn, "3.1.0", and_then=upload)
    assert await clean(run, "--yes") == 0
    assert "4 reports, 17 resources, 1 VEN, 2 events, 1 program" in capsys.readouterr().out
    await vtn.stop()
    assert held(tmp_path) == {}


@pytest.mark.parametrize("name", STANDARD)
async def test_nothing_is_left_of_a_run(
    vtn: EmbeddedVtn, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unasked it only tells; with --yes all goes; then there is nothing to delete."""
    run = await played(tmp_path / "run", vtn, name)
    run_id = kept_settings(run)["run_id"]
    assert await clean(run) == 0
    counts = "2 reports, 17 resources, 1 VEN, 1 event, 1 program"
    what = f"{run_id} at {vtn.url_of(name)} ({name}): {counts}"
    assert capsys.readouterr().out == f"{what}\nnothing is deleted yet: say --yes\n"
    assert await clean(run, "--yes") == 0
    assert capsys.readouterr().out.splitlines()[0] == what
    assert await clean(run, "--yes") == 0
    assert capsys.readouterr().out.endswith("nothing of the run is there to delete\n")
    await vtn.stop()
    assert held(tmp_path) == {}


@pytest.mark.parametrize("name", STANDARD)
async def test_another_run_keeps_what_it_uses(
    vtn: EmbeddedVtn, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first made it all, the second reports with it: only the first's reports go."""
    first = await played(tmp_path / "first", vtn, name)
    second = await played(tmp_path / "second", vtn, name)
    assert await clean(first, "--yes") == 0
    out = capsys.readouterr().out
    assert f"({name}): 2 reports\n" in out
    assert "stays: VEN Aabenraa: 2 reports there are of other runs" in out
    assert "stays: event venlab-reports: 2 reports on it are of other runs" in out
    assert "stays: program venlab: 1 events in it stay" in out
    lab = vl.Lab.resume(second)
    async with lab:
        await lab.register()
        assert (await lab.read_back()).check().heard == 2 * 90
    assert await clean(second, "--yes") == 0  # its reports; the rest was there before it
    assert "stays: VEN Aabenraa: it was there before" in capsys.readouterr().out
    assert await clean(first, "--yes") == 0
    await vtn.stop()
    assert held(tmp_path) == {}


@pytest.mark.parametrize("name", STANDARD)
async def test_strangers_keep_what_is_theirs(
    vtn: EmbeddedVtn, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A program, event and VEN that were there, a resource added later: they stay."""
    operator = Client(HttpxTransport(vtn.url_of(name)), dialect(name), vtn.credential)
    await operator.find_address("venlab-reports", "theirs")
    run = await played(tmp_path / "run", vtn, name)
    ven = await operator.find_ven("Aabenraa", "client-0")
    assert ven
    await operator.register_resource(ven, Resource("", "theirs", ven.name))
    await operator.close()
    assert await clean(run, "--yes") == 0
    assert "stays: VEN Aabenraa: 1 resources are not of the run" in capsys.readouterr().out
    await vtn.stop()
    assert held(tmp_path) == {"programs": 1, "events": 1, "vens": 1, "resources": 1}


@pytest.mark.parametrize("name", STANDARD)
async def test_interrupted_it_goes_on(vtn: EmbeddedVtn, name: str, tmp_path: Path) -> None:
    """Broken off among the resources: what is left is found again and goes."""
    run = await played(tmp_path / "run", vtn, name)
    async with cleaner(str(run), kept_settings(run)) as cleaning:
        await cleaning.look()
        cleaning._in_flight = 1  # so that it is known which
        deleted = 0
        inner = cleaning._client.delete

        async def some(*what: object) -> None:
            nonlocal deleted
            if deleted == 5:
                raise asyncio.CancelledError
            deleted += 1
            await inner(*what)  # type: ignore[arg-type] # whatever it is given

        cleaning._client.delete = some  # type: ignore[method-assign, assignment] # it ends early
        with pytest.raises(asyncio.CancelledError):
            await cleaning.delete(lambda _: None)
    async with cleaner(str(run), kept_settings(run)) as cleaning:
        await cleaning.look()
        kinds = [going.kind for going in cleaning.going]
        assert "report" not in kinds
        assert kinds.count("resource") == 14  # two reports went, and three resources
        await cleaning.delete(lambda _: None)
    await vtn.stop()
    assert held(tmp_path) == {}


async def test_what_is_gone_is_as_good(vtn: EmbeddedVtn, tmp_path: Path) -> None:
    """Somebody else deletes it between the look and the deletion: that is no error."""
    run = await played(tmp_path / "run", vtn, "3.0.1")
    async with cleaner(str(run), kept_settings(run)) as one:
        await one.look()
        await one.delete(lambda _: None)
        await one.delete(lambda _: None)
    await vtn.stop()
    assert held(tmp_path) == {}


async def test_killed_between_request_and_answer(vtn: EmbeddedVtn, tmp_path: Path) -> None:
    """The VTN made a VEN and nobody was told: by its wish it is known as the run's."""
    run = await played(tmp_path / "run", vtn, "3.0.1")
    lines = (run / MADE_FILE).read_bytes().splitlines(keepends=True)
    wished = [line for line in lines if json.loads(line)[3] == ""]
    (run / MADE_FILE).write_bytes(b"".join(wished) + b'["ven", "Aa')
    assert await clean(run, "--yes") == 0
    await vtn.stop()
    assert held(tmp_path) == {}


async def test_flat_has_no_deletion(
    vtn: EmbeddedVtn, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said plainly, with 2; nothing is noted of what was made there."""
    run = await played(tmp_path / "run", vtn, "flat")
    assert await clean(run, "--yes") == 2
    assert "speaks flat: nothing that was made is ever deleted" in capsys.readouterr().err
    assert not (run / MADE_FILE).exists()


async def test_a_run_with_its_own_vtn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing at anybody's VTN; the folder is all there is."""
    async with vl.Lab(vl.params(vens=1, out_dir=str(tmp_path / "own"), dialect="3.0.1")) as lab:
        await lab.register()
    assert await clean(tmp_path / "own") == 2
    assert "had a VTN of its own" in capsys.readouterr().err
    assert not (tmp_path / "own" / MADE_FILE).exists()


async def test_secrets_and_folders(
    vtn: EmbeddedVtn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A secret is asked for as where a run goes on; no run, and one that is played, are errors."""
    assert await clean(tmp_path) == 2
    assert "holds no run" in capsys.readouterr().err
    run = await played(tmp_path / "run", vtn, "3.0.1")
    for path in run.iterdir():
        assert vtn.credential.reveal().encode() not in path.read_bytes()
    monkeypatch.delenv("VENLAB_TOKEN")
    assert await clean(run) == 2
    assert "VENLAB_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("VENLAB_TOKEN", vtn.credential.reveal())
    async with vl.Lab.resume(run):
        with pytest.raises(StoreError, match="is being played"):
            async with cleaner(str(run), kept_settings(run)):
                pass


def test_words_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a folder it ends with 2; the screen says that it may be repeated."""
    assert main(["clean"]) == 2
    assert "RUN_FOLDER. See venlab clean --help" in capsys.readouterr().err
    assert main(["clean", "-h"]) == 0
    assert "it may be repeated" in capsys.readouterr().out


async def test_a_vtn_without_subscriptions(
    vtn: EmbeddedVtn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody can subscribe nobody has, and all goes; VENs after what stands behind them."""
    run = await played(tmp_path / "run", vtn, "3.0.1", vens=2)
    async with cleaner(str(run), kept_settings(run)) as cleaning:
        ask = cleaning._client._ask

        async def without(purpose: str, *more: object, **named: object) -> object:
            if purpose == "list subscriptions":
                raise Refused("there is no such path", status=404)
            return await ask(purpose, *more, **named)  # type: ignore[arg-type] # as it comes

        monkeypatch.setattr(cleaning._client, "_ask", without)
        await cleaning.look()
        kinds = list(dict.fromkeys(going.kind for going in cleaning.going))
        assert kinds == ["report", "resource", "VEN", "event", "program"]
        await cleaning.delete(lambda _: None)
    await vtn.stop()
    assert held(tmp_path) == {}


def test_a_diary_by_hand(tmp_path: Path) -> None:
    """A wish counts until it is refused, an id for ever; a torn line is passed over."""
    diary = Diary(tmp_path, "http://a.example")
    aars = Making("ven", "Aars")
    diary.note(aars)  # no answer came
    diary.note(aars)  # asked again: it was there
    diary.note(aars._replace(id=None))
    assert Diary(tmp_path, "http://a.example").owns(aars._replace(id="7"))
    ribe = Making("ven", "Ribe")
    diary.note(ribe)
    diary.note(ribe._replace(id=None))
    assert not Diary(tmp_path, "http://a.example").owns(ribe._replace(id="7"))
    diary.note(ribe)
    diary.note(ribe._replace(id="8"))
    with (tmp_path / MADE_FILE).open("ab") as file:
        file.write(b'["ven", "Vib')
    again = Diary(tmp_path, "http://a.example")
    assert again.owns(ribe._replace(id="8"))
    assert not again.owns(ribe._replace(id="9"))
    again.note(Making("ven", "Viborg"))
    assert Diary(tmp_path, "http://a.example").owns(Making("ven", "Viborg", id="1"))
    assert again.names == {"ven": {"Aars", "Ribe", "Viborg"}}
    elsewhere = Diary(tmp_path, "http://b.example")  # where the run went on later
    assert not elsewhere.owns(ribe._replace(id="8"))
    assert elsewhere.names == {}
