"""What may be left out in the standard's dialects may also be null, and say what it is or not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from msgspec import inspect

from tests.standard.samples import PERIOD
from tests.vtn.conftest import Json
from tests.vtn.standards import BUSINESS, KINDS, Asker, Vtn
from tests.vtn.test_standard import SET
from venlab.wire.v3_shapes import SHAPES

Way = tuple[Any, ...]


def optional(value: Any, kind: Any, *way: Any) -> Iterator[Way]:
    """Where in a value, of a shape, something may be left out."""
    match kind:
        case inspect.StructType(fields=fields) if isinstance(value, dict):
            for field in fields:
                if not field.required:
                    yield (*way, field.encode_name)
                yield from optional(
                    value.get(field.encode_name), field.type, *way, field.encode_name
                )
        case inspect.ListType(item_type=item) if isinstance(value, list):
            for n, each in enumerate(value):
                yield from optional(each, item, *way, n)
        case inspect.UnionType(types=kinds):
            for each in kinds:
                yield from optional(value, each, *way)
        case inspect.Metadata(inner, _):
            yield from optional(value, inner, *way)


def full(vtn: Vtn, kind: str) -> Json:
    """A good object with as much inside as may be null."""
    body = vtn.sample(kind, **vtn.untargeted(kind))[1]
    period = PERIOD | {"randomizeStart": "PT1M"}
    if kind == "event":
        body["intervals"][0]["intervalPeriod"] = period
        body |= {"intervalPeriod": period, "reportDescriptors": [{"payloadType": "DEMAND"}]}
    if kind == "report":
        body["resources"][0] |= {"intervalPeriod": period}
        body["resources"][0]["intervals"][0]["intervalPeriod"] = period
    if kind == "program":
        of_what = {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": "DEMAND"}
        body["payloadDescriptors"] = [of_what | {"units": "KW"}]
    if kind == "ven" and not vtn.private:
        body["resources"] = [{"resourceName": "r"}]
    return {name: value for name, value in body.items() if value is not None}


async def fresh(vtn: Vtn, kind: str) -> tuple[Asker, str]:
    """Who makes one of a kind, where none of it is yet, and where."""
    operator, aars = await vtn.filled()
    who = operator if kind in BUSINESS else aars
    assert (await who("DELETE", vtn.path(kind, vtn.ids[kind])))[0] == 200
    return who, vtn.path(kind)


def plain(content: Any) -> Any:
    """What was sent of what is shown; a quick report's nulls are kept as they came."""
    if isinstance(content, list):
        return [plain(each) for each in content]
    if not isinstance(content, dict):
        return content
    sent = {n: v for n, v in content.items() if n not in SET | {"venID"} and v is not None}
    return {n: plain(v) for n, v in sent.items()}


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_may_be_left_out_may_be_null(standard: Vtn, kind: str) -> None:
    """The answer is that for the object without it, at each place of each kind."""
    who, path = await fresh(standard, kind)
    body = full(standard, kind)
    ways = list(optional(body, inspect.type_info(SHAPES[standard.version][f"{kind}s"])))
    assert len(ways) >= 3
    for *way, last in ways:
        answers = []
        for is_null in (True, False):
            sent = deepcopy(body)
            holder: Any = sent
            for key in way:
                holder = holder[key]
            holder.pop(last, None)
            holder |= {last: None} if is_null else {}
            status, made = await who.bad("POST", path, sent)
            assert status == 201, (way, last, is_null, made)
            answers.append(plain(made))
            assert (await who("DELETE", standard.path(kind, made["id"])))[0] == 200
        assert answers[0] == answers[1], (way, last)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_it_is_may_be_said_or_not(standard: Vtn, kind: str) -> None:
    """`objectType` left out, null or right makes one and the same; shown is never BL_… or VEN_…."""
    who, path = await fresh(standard, kind)
    body = full(standard, kind)
    body.pop("objectType", None)
    right = kind.upper()
    if standard.private and kind in ("ven", "resource"):
        right = f"VEN_{right}_REQUEST"
    for said in ({}, {"objectType": None}, {"objectType": right}):
        status, made = await who.bad("POST", path, body | said)
        assert (status, made["objectType"]) == (201, kind.upper()), said
        one = standard.path(kind, made["id"])
        status, changed = await who.bad("PUT", one, body | said)
        assert (status, changed["objectType"]) == (200, kind.upper()), said
        assert (await who("DELETE", one))[0] == 200
    if not standard.private or kind in ("report", "ven", "resource"):
        for wrong in ("PROGRAMS", "NOTHING", 5):
            assert (await who.bad("POST", path, body | {"objectType": wrong}))[0] == 400


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1.7976931348623159e308"])
async def test_a_number_that_is_none_is_refused(standard: Vtn, number: str) -> None:
    """What no double holds is 400 wherever a number may be; it spoils no list for others."""
    operator, aars = await standard.filled()
    told = [{"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": "P", "accuracy": 0.125}]
    points = [{"id": 0, "payloads": [{"type": "P", "values": [1, {"x": 0.125, "y": 0}]}]}]
    values = [{"id": 0, "payloads": [{"type": "P", "values": [1, 0.125]}]}]
    places: list[tuple[str, Json]] = [
        ("program", {"programName": "other", "payloadDescriptors": told}),
        *(("event", {"intervals": intervals}) for intervals in (points, values)),
        ("report", {"reportName": "r/2", "payloadDescriptors": told}),
        *(
            ("report", {"reportName": "r/2", "resources": [{"resourceName": "r", "intervals": i}]})
            for i in (points, values)
        ),
        ("ven", {"attributes": [{"type": "P", "values": [0.125]}]}),
    ]
    for kind, changes in places:
        who = operator if kind in BUSINESS else aars
        path, sent = standard.sample(kind, **standard.untargeted(kind) | changes)
        body = json.dumps(sent).replace("0.125", number).encode()
        for ask in (("POST", path), ("PUT", standard.path(kind, standard.ids[kind]))):
            status, problem = await who.bad(*ask, body)
            assert (status, "out of range" in problem["detail"]) == (400, True), (kind, problem)
        assert len(await who.listed(standard.path(kind))) == 1
