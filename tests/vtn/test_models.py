"""The two ways a body is checked: msgspec on the short cut, pydantic on the ordinary route."""

from __future__ import annotations

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pydantic_core import from_json

from tests.vtn.conftest import report
from venlab.vtn.models import FromBody, must_exist
from venlab.vtn.reports import decode_report
from venlab.wire import flat_shapes as flat

GOOD: dict[type[msgspec.Struct], dict[str, Any]] = {
    flat.VenRequest: {"ven_name": "Aars", "client_name": "aars"},
    flat.ResourceRequest: {
        "id": "r",
        "resource_name": "r",
        "resource_type": "home",
        "ven_name": "Aars",
        "attributes": [
            {"attribute_type": "load", "attribute_name": "load_0", "attribute_values": ["heating"]}
        ],
        "external_resource_id": None,
    },
    flat.StatusRequest: {"status": "pending"},
    flat.ReportRequest: report("run/a", "v", program_id="p"),
    flat.ProgramRequest: {"program_name": "p"},
    flat.EventRequest: {
        "event_name": "e",
        "program_id": "p",
        "start_date": "2023-01-09T16:00:00.5+01:00",
        "end_date": "2023-01-09T18:00:00Z",
        "signal": {"type": "SIMPLE", "values": [1, 2.5], "unit": "kW"},
        "interval_minutes": 15,
        "targets": ["Aars"],
    },
    flat.ResponseRequest: {"event_id": "e", "response_type": "optIn", "ven_id": "v"},
}
ORDINARY = {shape: TypeAdapter(FromBody[shape]) for shape in GOOD}
TIMES = ("start", "start_date", "end_date")
WRONG_TIMES = [
    *("2023-13-01T00:00:00Z", "2023-02-30T00:00:00Z", "2023-01-01T24:00:00Z", "2023-01-01"),
    *(
        "2023-01-01T00:00:60Z",
        "2023-01-01T00:00:00",
        "2023-01-01T00:00:00Z\n",
        "0000-01-01T00:00:00Z",
    ),
    *("2023-01-01T00:00:00+24:00", "2023-01-01 00:00:00Z", "٢٠٢٣-01-01T00:00:00Z", "1673280000"),
]
WRONG_DURATIONS = ["P", "PT", "P1DT", "1H", "PT1H\n", "-PT1H", "pt1h", "PT1,5S"]
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, -(2**31) - 1, 2**64, 10**309, 0, -1, 1e308, -0.0]),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["x" * 256, "x" * 257, "", "usage", "\0", *WRONG_TIMES, *WRONG_DURATIONS]),
    st.sampled_from(["2024-02-29T23:59:59.123456789-11:30", "P1Y2M3W4DT5H6M7.8S", "P9999Y"]),
    st.lists(st.one_of(st.integers(), st.none(), st.text(max_size=2)), max_size=3),
    st.dictionaries(st.sampled_from(["id", "type", "x"]), st.integers(), max_size=2),
)


def quick(shape: type[msgspec.Struct], body: bytes) -> msgspec.Struct | None:
    try:
        found = msgspec.json.decode(body, type=shape)
        for name in TIMES:
            must_exist(getattr(found, name, "2023-01-01T00:00:00Z"))
    except ValueError:
        return None
    return found


def ordinary(shape: type[msgspec.Struct], body: bytes) -> msgspec.Struct | None:
    try:
        return ORDINARY[shape].validate_python(from_json(body, allow_inf_nan=False))
    except ValueError:
        return None


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a body, as the keys that lead there."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, member in members:
        found.append((*path, key))
        if isinstance(member, dict | list):
            found += places(member, (*path, key))
    return found


@pytest.mark.parametrize("shape", GOOD)
def test_a_good_body_is_the_same_for_both(shape: type[msgspec.Struct]) -> None:
    """The ordinary route hands over the struct that the short cut decodes."""
    body = json.dumps(GOOD[shape]).encode()
    assert quick(shape, body) is not None
    assert quick(shape, body) == ordinary(shape, body)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_both_take_and_refuse_the_same_bodies(data: st.DataObject) -> None:
    """Any member replaced by anything or left out: both take it, as the same, or both refuse."""
    shape = data.draw(st.sampled_from(list(GOOD)))
    content = copy.deepcopy(GOOD[shape])
    for _ in range(data.draw(st.integers(1, 2))):
        *path, last = data.draw(st.sampled_from(places(content) or [("ven_name",)]))
        holder: Any = content
        for key in path:
            holder = holder[key]
        if data.draw(st.booleans()):
            holder[last] = data.draw(ANYTHING)
        elif isinstance(holder, dict):
            holder.pop(last, None)
    body = json.dumps(content).encode()
    assert quick(shape, body) == ordinary(shape, body)


@pytest.mark.parametrize("path", [(), ("intervals", 0), ("intervals", 0, "payloads", 0)])
def test_a_member_nobody_knows_goes_the_ordinary_way(path: tuple[Any, ...]) -> None:
    """The short cut leaves it to the ordinary route, which ignores it: a page stays readable."""
    content = copy.deepcopy(GOOD[flat.ReportRequest])
    holder: Any = content
    for key in path:
        holder = holder[key]
    holder["unknown"] = [[[1e300]]]
    body = json.dumps(content).encode()
    assert decode_report(body) is None
    assert ordinary(flat.ReportRequest, body) is not None


@given(
    st.integers(0, 500),
    st.integers(0, 3),
    st.one_of(
        st.binary(max_size=3),
        st.sampled_from(
            [b"\\ud800", b"\xed\xa0\x80", b"\\u0000", b"NaN", b"1e999", b"\xef\xbb\xbf"]
        ),
        st.sampled_from(
            [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"-0", b"1.0", b" ", b"\n"]
        ),
    ),
)
@settings(max_examples=400, deadline=None)
def test_the_short_cut_takes_nothing_that_the_ordinary_route_refuses(
    at: int, cut: int, put: bytes
) -> None:
    """Bytes changed anywhere: what msgspec takes, pydantic takes too, as the same report."""
    good = json.dumps(GOOD[flat.ReportRequest]).encode()
    body = good[:at] + put + good[at + cut :]
    found = decode_report(body)
    if found is not None:
        assert found == ordinary(flat.ReportRequest, body)


@pytest.mark.parametrize("time", WRONG_TIMES)
def test_a_time_that_is_none_is_refused_by_both(time: str) -> None:
    """Impossible dates, other notations and times without a zone."""
    body = json.dumps(report("a", "v", start=time)).encode()
    assert decode_report(body) is None
    assert ordinary(flat.ReportRequest, body) is None
