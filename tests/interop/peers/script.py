"""What the scripts of all peers share: what they are told, and how they say what came of it.

It runs in the peers' environments, so it needs nothing but Python.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

Note = dict[str, Any]


def told() -> SimpleNamespace:
    """Return what stdin says: version, url, token_url, operator, ven, lab and write.

    `operator` and `ven` have an id and a secret; `lab` holds the lab's objects as the VTN answered
    them, `write` bodies for the peer to write, both by kind.
    """
    return SimpleNamespace(**json.load(sys.stdin))


@contextmanager
def doing(operation: str) -> Iterator[Note]:
    """Say on stdout whether what is done inside went well; goes on in any case.

    What is put into the note is said too: `wrote`, the id of an object of this `kind`, and its
    `body` where it is another than was to be written.
    """
    note: Note = {}
    said: Note = {"operation": operation, "ok": True, "detail": ""}
    try:
        yield note
    except Exception as error:  # whatever a client does wrong is what is asked
        said |= {"ok": False, "detail": f"{type(error).__name__}: {error}"[:500]}
    print(json.dumps(said | note), flush=True)


@contextmanager
def refused(*statuses: int) -> Iterator[None]:
    """Raise ValueError unless what is done inside is refused with one of these statuses."""
    try:
        yield
    except Exception as error:
        found = getattr(error, "status_code", None) or error.response.status_code
        if found not in statuses:
            raise ValueError(f"refused with {found}") from error
    else:
        raise ValueError("it was not refused")


def holds(found: Any, wanted: Any, what: str = "answer") -> None:
    """Raise ValueError unless all that is wanted is found, in dicts, lists and numbers alike."""
    if isinstance(wanted, dict):
        for name, value in wanted.items():
            if not isinstance(found, dict) or name not in found:
                raise ValueError(f"{what} lacks {name}")
            holds(found[name], value, f"{what}.{name}")
    elif isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            raise ValueError(f"{what} is {found!r}, not {wanted!r}")
        for index, value in enumerate(wanted):
            holds(found[index], value, f"{what}[{index}]")
    elif found != wanted:
        raise ValueError(f"{what} is {found!r}, not {wanted!r}")


def one(found: list[Any], object_id: str) -> Any:
    """Return the one object of a list that has this id."""
    kept = [each for each in found if each["id"] == object_id]
    if len(kept) != 1:
        raise ValueError(f"{len(kept)} of {len(found)} have the id {object_id}")
    return kept[0]


def same(found: list[Any], wanted: list[Any]) -> None:
    """Raise ValueError unless these are the same objects, by id, each once."""
    ids = sorted(each["id"] for each in found)
    if ids != sorted(each["id"] for each in wanted):
        raise ValueError(f"found {ids}")
