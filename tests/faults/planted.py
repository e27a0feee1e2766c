"""Secrets that are planted, and the search for them wherever a person or a program may look."""

from __future__ import annotations

import asyncio
import html
import io
import json
import logging
import pickle
import re
import sqlite3
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus

import numpy as np
import pandas as pd
import psutil
from IPython.core.ultratb import VerboseTB
from rich.traceback import Traceback

import venlab as vl
from venlab.config import LabConfig
from venlab.errors import VenlabError
from venlab.fleet import Fleet
from venlab.lab import Lab
from venlab.secret import Secret

PIECE = 12  # characters that nothing else can hold by chance; a part of a secret is a leak too
MARKUP = re.compile(rb"(?:\x1b|\\u001b)\[[0-9;]*m|<[^<>]*>")
LONGEST = 100_000  # of what one value shows
SQLITE = b"SQLite format 3\0"
TESTS = Path(__file__).parents[1]


def spellings(value: str) -> set[bytes]:
    """Return a text as encoders write it: JSON's, URLs', HTML's, hex, and base64 as it may lie."""
    raw, as_json = value.encode(), json.dumps(value)[1:-1]
    texts = {value, as_json, as_json.replace("/", "\\/"), repr(value)[1:-1], html.escape(value)}
    texts |= {quote(value, safe=""), quote_plus(value), raw.hex()}
    for form in ("\\u{:04x}", "&#x{:x};", "&#{};"):  # of what is neither letter nor digit
        texts.add("".join(c if c.isalnum() else form.format(ord(c)) for c in value))
    found = {text.encode() for text in texts} | {value.encode("utf-16-le")}
    for shift in range(3):  # where its first byte lies in a group of three
        whole = slice((shift * 8 + 5) // 6, (shift + len(raw)) * 8 // 6)
        found |= {code(bytes(shift) + raw)[whole] for code in (b64encode, urlsafe_b64encode)}
    return {spelled.lower() for spelled in found}


@dataclass
class Planted:
    """What must be found nowhere: beginnings and ends of secrets, however they are spelled."""

    values: set[str] = field(default_factory=set)

    def add(self, value: str) -> None:
        value = value.encode("utf-8", "ignore").decode()
        self.values |= {value} if len(value) >= PIECE else set()

    def found_in(self, content: bytes | str) -> list[str]:
        """Return the secrets that stand in a text or file's bytes, with or without its markup."""
        raw = (content.encode() if isinstance(content, str) else content).lower()
        begins = defaultdict(set)  # there are thousands to look for, each in megabytes
        for value in self.values:
            for spelled in spellings(value[:PIECE]) | spellings(value[-PIECE:]):
                begins[spelled[:8]].add((spelled, value))
        found = set()
        for text in (raw, MARKUP.sub(b"", raw)):
            for begin in those_in(text, begins):
                found |= {value for spelled, value in begins[begin] if spelled in text}
        return sorted(found)

    def found_under(self, folder: Path) -> list[str]:
        """Return where under a folder they stand, in names, bytes or the rows of databases."""
        files = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        found = []
        for path, content in files.items():  # all are read by now: to open a database changes it
            rows = rows_of(path) if content.startswith(SQLITE) else b""
            held = self.found_in(str(path.relative_to(folder)).encode() + content + rows)
            found += [f"{path.name} holds {value}" for value in held]
        return found


def those_in(text: bytes, asked: Iterable[bytes]) -> set[bytes]:
    """Return which of these, eight bytes each, stand somewhere in a text: soon, however many."""
    padded, words, found = text + bytes(16), np.frombuffer(b"".join(asked), "<u8"), set()
    for at in range(8):
        here = pd.Series(np.frombuffer(padded, "<u8", len(text) // 8 + 1, at))
        found |= {word.tobytes() for word in here[here.isin(words)].unique()}
    return found


def rows_of(path: Path) -> bytes:
    """Return a database as SQL: a long value is scattered over its file's pages."""
    with closing(sqlite3.connect(path)) as db:
        return "\n".join(db.iterdump()).encode()


@contextmanager
def all_logged() -> Iterator[io.StringIO]:
    """Keep what every logger says, from DEBUG on."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, every = logging.StreamHandler(stream), [*root.manager.loggerDict.values(), root]
    levels = {each: each.level for each in every if isinstance(each, logging.Logger)}
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    root.addHandler(handler)
    for logger in levels:
        logger.setLevel(logging.DEBUG if logger is root else logging.NOTSET)
    try:
        yield stream
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
        root.removeHandler(handler)


def shown(error: BaseException) -> list[str]:
    """Return an error as those show it who show values: Python, IPython's Verbose mode, rich.

    The frames of tests, which hold what they planted, are left out where they come first.
    """
    tb: TracebackType | None = error.__traceback__
    while tb and TESTS in Path(tb.tb_frame.f_code.co_filename).parents:
        tb = tb.tb_next
    assert tb, "nothing but the test's own frames"
    kind = type(error)
    views = ["".join(traceback.TracebackException(kind, error, tb, capture_locals=True).format())]
    views.append(VerboseTB("nocolor").text(kind, error, tb))
    rich = Traceback.extract(kind, error, tb, show_locals=True, locals_max_length=99)
    frames = [frame for stack in rich.stacks for frame in stack.frames]
    views.append("\n".join(f"{n} = {v}" for frame in frames for n, v in frame.locals.items()))
    return [f"{error} {error!r} {vars(error)}\n{view}" for view in views]


def everything_of(thing: Any, seen: set[int] | None = None) -> str:
    """Return what a thing of ours, and all of ours in it, shows: text, values of its names, pickle.

    The one place where a value may be is a Secret.
    """
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return ""
    seen.add(id(thing))
    inside: list[Any] = []
    if isinstance(thing, dict | list | tuple | set | frozenset):
        inside += thing.values() if isinstance(thing, dict) else thing
    told = ""
    if type(thing).__module__.startswith("venlab"):
        if not isinstance(thing, Secret):
            inside += getattr(thing, "__dict__", {}).values()
            slots = (getattr(base, "__slots__", ()) for base in type(thing).__mro__)
            inside += [getattr(thing, name, None) for names in slots for name in names]
        told = "\n".join(repr(each)[:LONGEST] for each in (thing, str(thing), *inside))
        with suppress(Exception):  # what cannot be written down is in no pickle
            told += repr(pickle.dumps(thing))[:LONGEST]
    return "\n".join([told, *(everything_of(each, seen) for each in inside)])


async def error_of(work: Awaitable[object]) -> BaseException:
    try:
        await work
    except (VenlabError, asyncio.CancelledError) as error:
        return error
    raise AssertionError("no error")


def hidden(planted: Planted, error: BaseException, word: str) -> None:
    """No view of an error shows a secret; each shows this word, of a value that was looked at."""
    for view in shown(error):
        assert word in view
        assert not planted.found_in(view)


def kept_nowhere(planted: Planted, folder: Path, *names: str) -> None:
    """No file of a folder holds a secret; each that is named does hold a town."""
    for name in names:
        assert Planted({"household_01"}).found_in((folder / name).read_bytes()), name
    assert not planted.found_under(folder)


def quick(folder: Path, transport: str, **settings: object) -> LabConfig:
    """Two towns, three buildings of each, four cycles."""
    table = folder.with_suffix(".csv")
    Fleet.reference().only(2).to_csv(table)
    head, *rows = table.read_text("utf-8").splitlines(keepends=True)
    table.write_text(head + "".join(rows[:3] + rows[-3:]), "utf-8")
    chosen = {"simulated_hours": 0.5, "drain_s": 5.0, "out_dir": str(folder), "vens": 2}
    return vl.params(**chosen | {"fleet_csv": str(table), "transport": transport, **settings})


async def played(lab: Lab, planted: Planted) -> str:
    """Play a run to its end, look into everything on the way, and return what was logged."""
    told = ""
    with all_logged() as stream:
        async with lab:
            await lab.register()
            await lab.run()
            if lab.vtn:
                await lab.vtn.misbehave(None)
                process = psutil.Process(lab.vtn._process.pid)
                told = f"{process.cmdline()} {process.environ()} "
            await lab.read_back()
            told += everything_of(lab)
        told += everything_of([lab, lab.results]) + lab.results.requests.to_csv()
    assert lab.run_id in told
    assert "Secret(***)" in told
    assert not planted.found_in(told + stream.getvalue())
    return stream.getvalue()
