"""A secret is found in what others say, however they spell it, soon, and nothing else is."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from venlab.errors import ConfigError
from venlab.secret import Secret, hide

LONG = 2**15
SENDABLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1)
PRINTABLE = st.text(
    st.characters(categories=["L", "N", "P", "S", "Zs"], max_codepoint=0xFFFF), min_size=1
)
SPELLINGS: list[Callable[[str], str]] = [
    *(str, escape, quote, quote_plus),
    lambda text: quote(text, safe="").replace("%2F", "%2f"),
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    lambda text: json.dumps(json.dumps(text, ensure_ascii=False)[1:-1], ensure_ascii=False)[1:-1],
    lambda text: repr(text.encode())[2:-1] if text.isascii() else text,
]


def test_worked_by_hand() -> None:
    """As it is, as JSON, in a URL, in a page; the words around it stay."""
    said = r"a/b+c, \"a\/b\u002Bc\", ?t=a%2fb%2Bc&x=1, <b>a&#x2F;b&#43;c</b> and a/b c"
    hidden = r"***, \"***\", ?t=***&x=1, <b>***</b> and a/b c"
    assert Secret("a/b+c").out_of(said) == hidden
    assert Secret("").out_of(said) == said


@pytest.mark.parametrize("spell", SPELLINGS)
@given(text=SENDABLE | PRINTABLE)
def test_however_it_is_spelled(spell: Callable[[str], str], text: str) -> None:
    """All of it is left out and no more, but for runs of backslashes: any number counts as one."""
    assume("\\\\" not in text)
    assert Secret(text).out_of(f"\0{spell(text)}\0") == "\0***\0"


@pytest.mark.parametrize("token", ["+" * 40, "\\/" * 20 + "a", "\\" * 40 + "a", "/+=-_" * 9])
def test_no_answer_makes_hiding_slow(token: str) -> None:
    """Whatever a server that knows the token makes of it, and however long it is at that."""
    for said in ("\\", "\\" * 9 + "u002b", "%2b", token[:-1], "\\\\\\/", "&#43;&#x2b;"):
        began = time.monotonic()
        Secret(token).out_of((said * LONG)[:LONG])
        assert time.monotonic() - began < 1


def test_what_is_no_text_is_refused_and_hidden() -> None:
    """The error names its type, and whoever holds the values holds it no more."""
    values = {"a": "x", "b": b"s3cret"}
    with pytest.raises(ConfigError, match="b is of type bytes"):
        hide(values, ["a", "b", "c"])
    assert str(values) == "{'a': Secret(***), 'b': Secret(***)}"
