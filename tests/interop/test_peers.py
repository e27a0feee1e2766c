"""Clients that others wrote, each in its own environment, against our VTN as a process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.interop.environments import PEERS, CannotMakeError, Peer, python_of
from tests.interop.table import OPERATIONS, PLAYED, THEIRS, expected, table
from tests.interop.world import Cell, Outcome, World, play, running

README = Path(__file__).parent / "README.md"


@pytest.mark.parametrize(
    ("peer", "version"), PLAYED, ids=[f"{peer.package}-{version}" for peer, version in PLAYED]
)
def test_peer(peer: Peer, version: str, tmp_path: Path) -> None:
    """A peer does all it can; each red cell has a reason that is known, and none is out of date.

    What the VTN answers is what the document says, whatever the peer asked for; what the lab wrote
    the peer reads as it is, and what the peer wrote is there.
    """
    try:
        python = python_of(peer, make=bool(os.environ.get("CI")))
    except CannotMakeError as error:
        pytest.skip(str(error))
    with running(tmp_path / "vtn.sqlite") as url:
        world = World(url, version)
        outcome = play(peer, python, world, tmp_path)
        world.close()
    world.seen.check()
    assert not outcome.answers
    for operation in OPERATIONS:
        cell, mark = outcome.cells.get(operation), readme_cell(operation, peer, version)
        assert mark[:1] == ("–" if cell is None else "●" if cell.ok else "r"), operation
    red = {name: cell.detail for name, cell in outcome.cells.items() if not cell.ok}
    assert set(red) == set(expected(peer.package, version)), red
    assert set(outcome.cells) <= set(OPERATIONS)


def readme_cell(operation: str, peer: Peer, version: str) -> str:
    lines = README.read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in lines if line.startswith(f"| {operation} |")]
    return row.strip("| ").split(" | ")[PLAYED.index((peer, version)) + 1]


def test_readme_has_the_table() -> None:
    """README's table is what the peers' tests hold: red cells with their reasons."""
    told = README.read_text(encoding="utf-8")
    for (package, version, operation), why in THEIRS.items():
        cell = readme_cell(operation, PEERS[package], version)
        assert f"{cell.removeprefix('red ')}. {why}" in told.splitlines()
    assert told.count("red ") == len(THEIRS)
    assert all(peer.pinned.replace("==", " ") in told for peer in PEERS.values())


def test_table_marks_each_cell() -> None:
    """Worked by hand: good, red with its reason, no such call, and a peer that was not played."""
    outcomes: dict[tuple[str, str], Outcome | str] = {
        (peer.package, version): "not there" for peer, version in PLAYED
    }
    cells = {"read programs": Cell(True, ""), "read VENs": Cell(False, "oh")}
    outcomes["toadr3", "3.0.1"] = Outcome(cells)
    lines = table(outcomes)
    assert lines[0].startswith("| operation | toadr3 3.0.1 | ")
    for line in ("| read programs | ●", "| read VENs | red 1", "| get a token | –"):
        assert any(each.startswith(f"{line} | ? | ? | ") for each in lines)
    assert lines[-1] == "1. UNEXPECTED: oh"
