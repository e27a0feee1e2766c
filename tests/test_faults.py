"""Faults as data and as text."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import venlab as vl
from venlab.errors import ConfigError
from venlab.faults import KINDS, PRESETS, Fault, Faults

NUMBERS = st.one_of(
    st.floats(0.001, 3600), st.integers(1, 3600), st.sampled_from([0.1 + 0.2, 0.001, 1e-3, 3600.0])
)
NAMES = st.text("aøÅ7 ;'\"\\#=/\u00a0", min_size=1, max_size=6)
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "stored": st.just(True),
    "sigma": st.floats(0, 5),
    "retry_after": st.integers(0, 86_400),
    "down": NUMBERS,
    "lose": st.just("store"),
    "share": st.floats(0, 1),
    "path": st.text("/a;'\"\\#=%", max_size=6).map("/".__add__),
    "method": st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]),
    "ven": NAMES,
    "from": NUMBERS,
    "for": NUMBERS,
}
VALUES = {"latency": NUMBERS, "status": st.integers(400, 599), "exhausted": st.integers(0, 10**6)}


@st.composite
def some_fault(draw: st.DrawFn) -> Fault:
    """Any kind or preset with any of its options."""
    kind = draw(st.sampled_from([*KINDS, *PRESETS]))
    allowed = KINDS[kind][1] if kind in KINDS else ("from", "for")
    names = draw(st.sets(st.sampled_from(allowed)))
    options = {f"{n}_s" if n in ("from", "for") else n: draw(OPTIONS[n]) for n in names}
    return Fault(kind, draw(VALUES.get(kind, st.just(0))), **options)


def test_a_text_worked_by_hand() -> None:
    """Two faults: a third of the posts of reports for ten seconds, and all answers late."""
    text = "503 share=0.3 path=/reports from=5 for=10; latency=0.2"
    faults = vl.Faults.parse(text, seed=7)
    busy = Fault("status", 503, share=0.3, path="/reports", from_s=5, for_s=10)
    assert faults == Faults((busy, Fault("latency", 0.2)), 7)
    assert str(faults) == text
    assert repr(faults) == f"Faults.parse('{text}', seed=7)"
    assert (busy.name, busy.stored, Fault("latency", 0.2).for_s) == ("503", False, math.inf)


@given(st.lists(some_fault(), max_size=3), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_what_is_written_is_read_back(faults: list[Fault], seed: int) -> None:
    """Every kind with any options: text and back is the identity, and so is the text again."""
    ordered = Faults(tuple(faults), seed)
    assert Faults.parse(str(ordered), seed) == ordered
    assert str(Faults.parse(str(ordered))) == str(ordered)
    assert eval(repr(ordered)) == ordered


WORDS = [*KINDS, *PRESETS, "503", "=", ";", " ", "'", "share=", "0.5", "nan", "stored", "ven=x"]


@given(st.one_of(st.text(max_size=20), st.lists(st.sampled_from(WORDS)).map("".join)))
@settings(deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    """No other error than ours, and what was read is written so that it is read as the same."""
    try:
        faults = Faults.parse(text)
    except ConfigError:
        return
    assert Faults.parse(str(faults)) == faults


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("latncy=1", "there is no fault 'latncy' (did you mean latency?). Allowed are latency, "),
        ("503 shar=0.1", "fault status takes no 'shar' (did you mean share?). Allowed are retry"),
        ("503 share=2", "fault 503: share is 2. Allowed is a number from 0 to 1."),
        ("503 share", "fault 503: share is True. Allowed is a number from 0 to 1."),
        ("503 share=nan", "fault 503: share is nan. Allowed is"),
        ("503 from=-1", "fault 503: from is -1. Allowed is a number from 0 to 1,000,000."),
        ("503 retry_after=0.5", "fault 503: retry_after is 0.5. Allowed is a whole number"),
        ("200", "fault status: its value is 200. Allowed is a whole number from 400 to 599."),
        ("latency", "fault latency: its value is 0. Allowed is a number from 0.001 to 3,600."),
        ("latency=fast", "fault latency: its value is 'fast'. Allowed is"),
        ("latency=1 sigma=9", "fault latency=1: sigma is 9. Allowed is a number from 0 to 5."),
        ("reset=3", "fault reset: its value is 3. Allowed is none."),
        ("reset stored=yes", "fault reset: stored is 'yes'. Allowed is the word alone"),
        ("reset path=reports", "fault reset: path is 'reports'. Allowed is a path such as /re"),
        ("reset method=post", "fault reset: method is 'post'. Allowed is GET, POST,"),
        ("reset ven=''", "fault reset: ven is ''. Allowed is a VEN's name or id."),
        ("restart lose=all", "fault restart: lose is 'all'. Allowed is store."),
        ("restart share=0.5", "fault restart takes no 'share'. Allowed are down, lose, from."),
        ("vtn-ri share=0.5", "fault vtn-ri takes no 'share'. Allowed are from, for."),
        ("503 ven='x", 'the faults "half; 503 ven=\'x" cannot be read: No closing quotation'),
    ],
)
def test_a_wrong_text_is_named_with_what_is_allowed(text: str, words: str) -> None:
    """The fault, the word or value, what looks like it, and what may stand there."""
    with pytest.raises(ConfigError) as caught:
        Faults.parse(f"half; {text}")
    assert str(caught.value).startswith(words)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fault("status", 503.0),
        lambda: Fault("status", True),
        lambda: Fault("reset", stored=1),
        lambda: Fault("reset", ven="a\nb"),
        lambda: Fault("reset", sigma=1.0),
        lambda: Fault("nothing"),
        lambda: Faults(seed=-1),
        lambda: Faults(seed=1.5),
    ],
)
def test_python_is_checked_as_text_is(make: Any) -> None:
    """A fault made without a text is refused for the same reasons."""
    with pytest.raises(ConfigError):
        make()


def test_faults_do_not_change_and_none_is_false() -> None:
    """An order is a value: frozen, hashable, equal by content; an empty one orders nothing."""
    faults = Faults.parse("503")
    with pytest.raises(dataclasses.FrozenInstanceError):
        faults.seed = 1  # type: ignore[misc]
    assert {faults: 1}[Faults.parse(" 503 ; ")] == 1
    assert faults
    assert not Faults.parse(" ;; ")
    assert str(Faults()) == ""


def test_a_preset_holds_in_its_window() -> None:
    """It is replaced by its parts, each with the preset's window; its text stays its name."""
    faults = Faults.parse("sailesha from=5 for=2; 503")
    assert str(faults) == "sailesha from=5 for=2; 503"
    parts = ["created_200", "null_times", "unknown_500", "repeat_reports"]
    assert faults.plain() == (
        *(Fault(kind, from_s=5, for_s=2) for kind in parts),
        Fault("status", 503),
    )
    for name in PRESETS:
        assert all(fault.kind in KINDS for fault in Faults.parse(name).plain())


def test_readme_names_each_kind_and_preset() -> None:
    """The table in README.md is the table in the code."""
    text = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    names = {*KINDS, *PRESETS, "503"} - {"status"}
    assert {name for name in names if f"`{name}" not in text} == set()
