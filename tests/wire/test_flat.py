"""The flat dialect: bodies by hand, and every body a valid shape."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from venlab.errors import ConfigError, DataError
from venlab.model import Resource, Target, Traits, Ven
from venlab.wire import LoadName, dialect
from venlab.wire.flat import Flat
from venlab.wire.flat_shapes import ReportRequest, ResourceRequest

T0 = datetime(2023, 11, 30, 15, 7, 30, tzinfo=UTC)
AEROE = Ven("ven-1", 'Ærø "by"', "aeroe")
LOADS = [LoadName(0, "res-1", "shop_01", "load_0"), LoadName(1, "res-1", "shop_01", "load_1")]


def test_a_report_by_hand() -> None:
    """1,234 W from 15:07:30 UTC is a report with the value 1.234 and no field the VTN refuses."""
    (draft,) = Flat().writer(AEROE, LOADS, "run-1", None).write(T0, 450, [1234, -1])
    assert draft.name == "run-1/aeroe/shop_01/load_0/20231130T150730Z"
    assert list(draft.positions) == [0]
    assert json.loads(draft.body) == {
        "report_name": "run-1/aeroe/shop_01/load_0/20231130T150730Z",
        "ven_id": "ven-1",
        "resource_id": "res-1",
        "client_name": "aeroe",
        "report_type": "usage",
        "reading_type": "power",
        "start": "2023-11-30T15:07:30Z",
        "duration": "PT0S",
        "intervals": [{"id": 0, "payloads": [{"type": "USAGE", "values": [1.234]}]}],
        "resources": [{"resource_name": "shop_01"}],
        "load_component": "load_0",
        "program_id": None,
    }


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


@given(
    texts,
    texts,
    st.lists(st.integers(-1, 2**31 - 1), min_size=1, max_size=6),
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
)
def test_every_body_is_a_shape_the_vtn_takes(
    ven: str, resource: str, watts: list[int], at: datetime
) -> None:
    """Whatever the names, values and times: valid shapes, unique names, values to the watt."""
    loads = [LoadName(i, "r", resource, f"load_{i}") for i in range(len(watts))]
    drafts = (
        Flat()
        .writer(Ven("v", ven, "town"), loads, "run", None)
        .write(at.replace(tzinfo=UTC, microsecond=0), 450, watts)
    )
    reports = [msgspec.json.decode(draft.body, type=ReportRequest) for draft in drafts]
    said = [round(r.intervals[0].payloads[0].values[0] * 1000) for r in reports]
    assert said == [w for w in watts if w >= 0]
    assert [r.report_name for r in reports] == [draft.name for draft in drafts]
    assert len({draft.name for draft in drafts}) == len(drafts)


@pytest.mark.parametrize("name", ["bin [0.0]", r"a\u0000b", "\\", "%d%b", '"values":[0.0]'])
def test_a_name_that_looks_like_a_body(name: str) -> None:
    """A fleet table may name a resource so, and its reports are like any other's."""
    writer = Flat().writer(AEROE, [LoadName(0, "r", name, "load_0")], "run-1", None)
    (draft,) = writer.write(T0, 450, [1234])
    report = msgspec.json.decode(draft.body, type=ReportRequest)
    assert report.resources[0].resource_name == name
    assert report.report_name == draft.name == f"run-1/aeroe/{name}/load_0/20231130T150730Z"
    assert report.intervals[0].payloads[0].values == [1.234]


def test_a_name_too_long_for_the_vtn_is_found_before_anything_is_sent() -> None:
    """The writer reads one finished body back when it is made."""
    with pytest.raises(DataError, match="report_name"):
        Flat().writer(AEROE, [LoadName(0, "r", "x" * 300, "load_0")], "run-1", None)


def test_a_resource_says_its_loads() -> None:
    """Six attributes, one a load, each with its end use."""
    resource = Resource("id-1", "shop_01", "Aars", "shop", attributes={"load_0": ["heating"]})
    request = msgspec.json.decode(
        Flat().register_resource(AEROE, resource, speaks=False).body, type=ResourceRequest
    )
    assert (request.id, request.ven_name) == ("id-1", "Aars")
    assert [a.attribute_name for a in request.attributes] == ["load_0"]


def test_what_the_standard_says_more_is_not_said_here() -> None:
    """A town's place, a building's power and targets change no byte of what the old VTN knows."""
    traits = Traits({"MAX_POWER_CONSUMPTION": [7.4]}, (Target("shop"),))
    call = Flat().register_ven("Aars", "aars", speaks=False, traits=traits)
    assert call.body == b'{"ven_name":"Aars","client_name":"aars"}'
    shop = Resource("id-1", "shop_01", "Aars", "shop", attributes={"load_0": ["heating"]})
    bodies = {
        Flat().register_resource(AEROE, each, speaks=False).body
        for each in (shop, replace(shop, traits=traits))
    }
    assert bodies == {
        b'{"id":"id-1","resource_name":"shop_01","resource_type":"shop","ven_name":"Aars",'
        b'"attributes":[{"attribute_type":"load","attribute_name":"load_0",'
        b'"attribute_values":["heating"]}],"external_resource_id":null,"service_location":null}'
    }


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"detail":[{"loc":["body","start"],"msg":"bad"}]}', "body.start: bad"),
        (b'{"detail":"no such VEN"}', "no such VEN"),
        (b"<html>\n<b>proxy</b> says no</html>", "proxy says no"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", ""),
    ],
)
def test_the_vtns_words(body: bytes, words: str) -> None:
    """Whatever is refused is explained, even by something that is no VTN."""
    assert Flat().explain(body) == words


def test_what_the_vtn_heard() -> None:
    """A page of reports is counted and summed to the watt."""
    body = (
        b'[{"report_name":"a","intervals":[{"payloads":[{"type":"USAGE","values":[1.001]}]}]},'
        b'{"report_name":"b","intervals":[{"payloads":[{"values":[0.1,0.2]}]}]}]'
    )
    assert Flat().heard("run", None, "", 10).read(200, body).items == [
        ("a", 1, 1001),
        ("b", 2, 300),
    ]


def test_nothing_is_deleted() -> None:
    """Each wish to delete is an error that says so, and so is to list for that."""
    says = Flat()
    for wish in (says.delete_report, says.delete_ven, says.delete_event, says.delete_program):
        with pytest.raises(ConfigError, match="flat cannot say that: nothing that was made"):
            wish("1")
    for made in (lambda: says.delete_resource("1", "2"), lambda: says.reports("a", "", 0, 1)):
        with pytest.raises(ConfigError, match="ever deleted"):
            made()


def test_an_unknown_dialect() -> None:
    """It is refused by name."""
    with pytest.raises(ConfigError, match=r"4\.0"):
        dialect("4.0")
