"""What the interop tests say by themselves: scripts' own checks, and what JSON means."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.interop.environments import PEERS, CannotMakeError, python_of
from tests.interop.peers.script import doing, holds, one, refused, same
from tests.interop.world import meant


def test_doing_says_how_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    """One line of JSON for each operation; what fails is told, and what follows is done still."""
    with doing("read") as note:
        note |= {"kind": "ven", "wrote": "v1"}
    with doing("write"):
        raise KeyError("id")
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == {"operation": "read", "ok": True, "detail": "", "kind": "ven", "wrote": "v1"}
    assert second == {"operation": "write", "ok": False, "detail": "KeyError: 'id'"}


@pytest.mark.parametrize(
    ("found", "wanted", "words"),
    [
        ({"a": [1, {"b": 2, "c": 3}]}, {"a": [1, {"b": 2}]}, ""),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, r"answer.a\[1\].b is 2, not 3"),
        ({"a": [1]}, {"a": [1, 2]}, r"answer.a is \[1\]"),
        ({}, {"a": None}, "answer lacks a"),
        ("x", {"a": None}, "answer lacks a"),
    ],
)
def test_holds(found: Any, wanted: Any, words: str) -> None:
    """All that is wanted must be there; more may be."""
    if not words:
        holds(found, wanted)
        return
    with pytest.raises(ValueError, match=words):
        holds(found, wanted)


def test_lists_hold_each_once() -> None:
    """A list has one object of an id, and the same objects as another where each is there once."""
    a, b = {"id": "a"}, {"id": "b"}
    assert one([a, b], "b") is b
    same([a, b], [b, a])
    for found in ([a, a], [b]):
        with pytest.raises(ValueError, match="of"):
            one(found, "a")
    for found in ([a], [a, b, b]):
        with pytest.raises(ValueError, match="found"):
            same(found, [a, b])


def test_refused() -> None:
    """It must be refused, and with the status that is expected."""

    class Error(Exception):
        status_code = 409

    with refused(409):
        raise Error
    with pytest.raises(ValueError, match="refused with 409"), refused(404):
        raise Error
    with pytest.raises(ValueError, match="not refused"), refused(409):
        pass


def test_what_json_means() -> None:
    """PT15M is PT900S, a time is the same in any zone, and null is absence."""
    ours = {"start": "2023-01-09T16:00:00Z", "duration": "PT15M", "targets": None, "n": [1, "a"]}
    theirs = {"start": "2023-01-09T17:00:00+01:00", "duration": "PT900S", "n": [1, "a"]}
    assert meant(ours) == meant(theirs)
    assert meant(ours) != meant(theirs | {"duration": "PT15S"})


def test_an_environment_that_is_not_there(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without leave to make it the reason names the command; half made it counts as not there."""
    monkeypatch.setenv("VENLAB_INTEROP", str(tmp_path))
    peer = PEERS["toadr3"]
    with pytest.raises(CannotMakeError, match=r"python -m tests\.interop --make"):
        python_of(peer, make=False)
    (tmp_path / "toadr3").mkdir()
    made = tmp_path / "toadr3" / "made-of.txt"
    made.write_text("toadr3==0.28.0\n", encoding="utf-8")
    with pytest.raises(CannotMakeError):
        python_of(peer, make=False)
    made.write_text(peer.requirements.read_text(encoding="utf-8"), encoding="utf-8")
    assert python_of(peer, make=False).parts[-3] == "toadr3"
