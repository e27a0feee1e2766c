"""The store: names decided in the commit, and the file it keeps to itself."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from venlab.errors import StoreError
from venlab.vtn import store as module
from venlab.vtn.store import Store


def names(store: Store, run: str = "", after: str = "", ven_id: str | None = None) -> list[str]:
    return [body.decode() for _, body, _ in store.reports(run, after, 0, 10_000, ven_id)]


async def put(store: Store, name: str, ven_id: str = "v") -> tuple[int, str, bool]:
    return await store.add_report(name, ven_id, name.encode())


async def test_of_fifty_reports_of_one_name_one_is_stored(store: Store) -> None:
    """Decided inside the commit: one is new, the others learn its number."""
    answers = await asyncio.gather(*(put(store, "a") for _ in range(50)))
    assert [is_new for _, _, is_new in answers].count(True) == 1
    assert {number for number, _, _ in answers} == {1}
    assert names(store) == ["a"]


async def test_a_pass_of_the_loop_shares_one_commit(store: Store) -> None:
    """Reports that arrive together are one transaction; later ones are another."""
    seen: list[str] = []
    store._db.set_trace_callback(seen.append)
    await asyncio.gather(*(put(store, str(n)) for n in range(20)))
    assert seen.count("COMMIT") == 1
    await put(store, "later")
    assert seen.count("COMMIT") == 2


async def test_numbers_are_never_used_twice(tmp_path: Path) -> None:
    """A refused report uses up its number, and a new start goes on after the last."""
    first = Store(tmp_path / "s")
    answers = [await put(first, name) for name in ("a", "a", "b")]
    assert [(number, is_new) for number, _, is_new in answers] == [(1, True), (1, False), (3, True)]
    first.close()
    again = Store(tmp_path / "s")
    assert (await put(again, "c"))[0] == 4
    assert names(again) == ["a", "b", "c"]
    again.close()


async def test_a_sender_that_is_gone_stops_nobody(store: Store) -> None:
    """A cancelled request's report is stored, and the others get their answers."""
    gone = asyncio.ensure_future(put(store, "gone"))
    await asyncio.sleep(0)
    stays = asyncio.ensure_future(put(store, "stays"))
    gone.cancel()
    assert (await stays)[2]
    assert names(store) == ["gone", "stays"]


async def test_names_are_walked_in_order_of_a_run_of_a_ven(store: Store) -> None:
    """All unicode names are found again; a run ends at its slash."""
    given = ["\0", "a", "a/", "a/b", "a/ø", "a0", "a.b", "\U0010ffff" * 256]
    for n, name in enumerate(given):
        await put(store, name, f"v{n % 2}")
    assert names(store) == sorted(given)
    assert names(store, run="a") == ["a/", "a/b", "a/ø"]
    assert names(store, run="a", after="a/") == ["a/b", "a/ø"]
    assert names(store, ven_id="v0") == sorted(given[::2])


def test_a_second_server_is_kept_off_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers on one store would count reports twice."""
    monkeypatch.setattr(module, "_BUSY_S", 0.01)
    store = Store(tmp_path / "s")
    with pytest.raises(StoreError, match="locked"):
        Store(tmp_path / "s")
    store.close()
    Store(tmp_path / "s").close()


def test_a_file_that_is_no_store_is_left_alone(tmp_path: Path) -> None:
    """Another program's file, database or not, is refused and not changed."""
    (tmp_path / "text").write_text("a text, long enough to be none", encoding="utf-8")
    database = sqlite3.connect(tmp_path / "database")
    database.execute("CREATE TABLE mine(x)")
    database.close()
    for name in ("text", "database", "missing/store"):
        with pytest.raises(StoreError, match=name):
            Store(tmp_path / name)
    before = (tmp_path / "database").read_bytes()
    with pytest.raises(StoreError):
        Store(tmp_path / "database")
    assert (tmp_path / "database").read_bytes() == before


async def test_a_report_without_a_name_is_never_a_repeat(store: Store) -> None:
    """Nor where it shares its commit with one that is, and with reports of another table."""
    rest = ("3.1.0", "client", None, "event", "program", "aars", b"{}")
    names = ["a", None, "a", None]
    standard = [store.add_to("standard_reports", name, *rest) for name in names]
    answers = await asyncio.gather(*standard, put(store, "a"), put(store, "a"))
    assert [is_new for *_, is_new in answers] == [True, True, False, True, True, False]
    assert [number for number, *_ in answers] == [1, 2, 1, 4, 5, 5]
    assert len(store.page("standard_reports")) == 3
