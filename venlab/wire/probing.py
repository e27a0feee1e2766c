"""What a VTN is asked to be known: its lists, and reports that have one thing wrong each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from venlab.wire import Call

__all__ = ["Bad", "bad_reports", "get", "ids_in", "lists", "made_id", "taken"]

LONG = 1_000_000  # bytes
_TAKEN = (200, 201)
_UNKNOWN_ID = "venlab-probe-knows-none"
_decode = msgspec.json.Decoder().decode
_PATHS = {
    "flat": ("programs", "events", "vens", "resources", "reports"),
    "3.0.1": ("programs", "events", "vens", "reports", "subscriptions"),
    "3.1.0": ("programs", "events", "vens", "resources", "reports", "subscriptions"),
}


class Bad(NamedTuple):
    """A report with one thing wrong: what, its bytes, and which answers its dialect has for it.

    `right` is empty where the dialect leaves it to the VTN.
    """

    what: str
    body: bytes
    right: tuple[int, ...]


def lists(dialect: str, ven_id: str = "") -> dict[str, str]:
    """Return the lists that a dialect has, by name, with the path of each.

    Parameters
    ----------
    dialect : str
        Its name.
    ven_id : str
        A VEN that is there: 3.0.1 lists resources behind one only.

    Examples
    --------
    >>> lists("3.0.1", "v1")["resources"]
    '/vens/v1/resources'
    """
    found = {name: f"/{name}" for name in _PATHS[dialect]}
    if dialect == "3.0.1" and ven_id:
        found["resources"] = f"/vens/{quote(ven_id, safe='')}/resources"
    return found


def get(path: str) -> Call[None]:
    """Return the question for a path, whatever is answered."""
    return Call("GET", path, lambda _status, _body: None)


def ids_in(body: bytes) -> list[str] | None:
    """Return the id of each object in a list; None where a body is none."""
    try:
        found = _decode(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    return [str(each.get("id", "")) if isinstance(each, dict) else "" for each in found]


def made_id(body: bytes) -> str:
    """Return the id of what was just made; empty where a VTN does not say."""
    return next(iter(ids_in(b"[%b]" % body) or [""]), "")


def bad_reports(dialect: str, good: bytes) -> list[Bad]:
    """Return ten reports, each with one thing wrong; of one that is its name, which is taken.

    Parameters
    ----------
    dialect : str
        Its name.
    good : bytes
        A report that is right, and was sent; the others have names of their own.
    """
    flat = dialect == "flat"
    wrong = (422,) if flat else (400,)
    report: dict[str, Any] = _decode(good)
    name, client, link = (
        ("report_name", "client_name", "ven_id")
        if flat
        else ("reportName", "clientName", "eventID")
    )
    known = "resource_id" if flat else "eventID"
    values = _values(report)

    def spoilt(n: int, changes: Mapping[str, Any], without: str = "") -> bytes:
        new = {**report, name: f"{report[name]}-bad-{n}", **changes}
        return json.dumps({k: v for k, v in new.items() if k != without}).encode()

    def measured(n: int, found: list[Any]) -> bytes:
        return spoilt(n, _with_values(report, found))

    start = "2023-01-09T16:00:00"
    unzoned = {"start": start} if flat else _started(report, start)
    return [
        Bad(f"{link} is missing", spoilt(1, {}, link), wrong),
        Bad(f"{client} is a number", spoilt(2, {client: 7}), wrong),
        Bad(
            f"{known} is not known", spoilt(3, {known: _UNKNOWN_ID}), (404,) if flat else (400, 404)
        ),
        Bad(f"{client} has 300 characters", spoilt(4, {client: "x" * 300}), wrong),
        Bad("a value is NaN", measured(5, [float("nan")]), wrong),
        Bad("1 MB of values", measured(6, values * (LONG // 5)), ()),
        Bad("resources is empty", spoilt(7, {"resources": []}), ()),
        Bad("a name that is taken", good, ()),
        Bad("a start without a zone", spoilt(9, unzoned), wrong),
        Bad("no JSON", b"this is no JSON", wrong),
    ]


def taken(status: int) -> bool:
    """Tell whether a report of that answer is there now."""
    return status in _TAKEN


def _holder(report: dict[str, Any]) -> dict[str, Any]:
    return report if "intervals" in report else dict(report["resources"][0])


def _values(report: dict[str, Any]) -> list[Any]:
    found: list[Any] = _holder(report)["intervals"][0]["payloads"][0]["values"]
    return found


def _with_values(report: dict[str, Any], values: list[Any]) -> dict[str, Any]:
    """Return the members to change for a report to have these values."""
    holder = _holder(report)
    interval = holder["intervals"][0]
    payload = {**interval["payloads"][0], "values": values}
    intervals = [{**interval, "payloads": [payload]}]
    if holder is report:
        return {"intervals": intervals}
    return {"resources": [{**holder, "intervals": intervals}]}


def _started(report: dict[str, Any], start: str) -> dict[str, Any]:
    """Return the members to change for its resource's interval to start then."""
    resource = report["resources"][0]
    period = {**resource["intervalPeriod"], "start": start}
    return {"resources": [{**resource, "intervalPeriod": period}]}
