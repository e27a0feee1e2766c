"""The search for planted secrets finds them in each place where tests look."""

from __future__ import annotations

import json
import logging
import sqlite3
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from tests.faults.planted import Planted, all_logged, everything_of, shown
from venlab.auth import Headers
from venlab.model import Ven
from venlab.outbox import Attempt

VEN = Ven("v1", "Aars", "aars")
TEXTS = ["fleet/T0ken+of~every=VEN.and'then\\some", 's3cret of the "client" & wörd/100%']
SPELLED: list[Callable[[str], str]] = [
    *(str, repr, ascii, json.dumps, quote, quote_plus),
    lambda text: json.dumps(text).replace("/", "\\/"),
    lambda text: b64encode(f"a lab:{text}".encode()).decode(),
    lambda text: f"{text[:9].upper()}\x1b[31m{text[9:]}\x1b[0m",
    lambda text: f"only its end: {text[-12:]}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_search_finds_what_is_there(text: str, tmp_path: Path) -> None:
    """In each place where the others look, and however it is spelled; and nothing else."""
    planted = Planted({text, "s0mething else"})
    for spell in SPELLED:
        assert planted.found_in(f"x {spell(text)} x") == [text], spell
    assert planted.found_in(f"{text[:11]}|{text[-11:]}|s0mething") == []
    with closing(sqlite3.connect(tmp_path / "x.sqlite")) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE x(a)")
        db.execute("INSERT INTO x VALUES (?)", (b"x" * 5000 + text.encode(),))
        db.commit()  # and it is in the write-ahead log
        (tmp_path / f"{quote(text, safe='')}.txt").touch()
        places = [words.partition(" ")[0] for words in planted.found_under(tmp_path)]
    assert [Path(place).suffix for place in places] == [".txt", ".sqlite", ".sqlite-wal"]
    with all_logged() as stream:
        logging.getLogger("any.body").debug("%s", text)
    assert planted.found_in(stream.getvalue())
    for held in ([Attempt(0, "x", "y", 1, 1, 1, text)], [VEN, Ven("v", "V", text)]):
        assert planted.found_in(everything_of({"a": held}))
    assert planted.found_in(everything_of(Headers(authorization=text)))  # but by its pickle only
    where: dict[str, Any] = {}
    source = "def fail(a, *b, **c):\n    d = a['x']\n    return 1 / 0"
    (tmp_path / "elsewhere.py").write_text(source, "utf-8")
    exec(compile(source, str(tmp_path / "elsewhere.py"), "exec"), where)
    for given in ([{"x": text}], [{"x": 1}, [VEN, text]]):
        with pytest.raises(ZeroDivisionError) as caught:
            where["fail"](*given)
        assert all(planted.found_in(view) for view in shown(caught.value))
