"""OpenADR 3.0.1 and 3.1.0: bodies by hand, and every request one that the documents allow."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.standard.oracle import oracle
from venlab.config import DIALECTS
from venlab.durations import FOR_EVER, Duration
from venlab.errors import ConfigError, DataError
from venlab.model import (
    Event,
    Interval,
    Period,
    Point,
    ReportDescriptor,
    Resource,
    Signal,
    Target,
    Traits,
    Ven,
)
from venlab.wire import WISHES, Address, Call, Dialect, Draft, Limits, LoadName, can_say, dialect
from venlab.wire.v3 import OpenAdr3
from venlab.wire.v3_answers import EventAnswer, ReportAnswer
from venlab.wire.v3_events import event_body, event_of
from venlab.wire.v3_reports import heard

VERSIONS = ["3.0.1", "3.1.0"]
T0 = datetime(2023, 11, 30, 15, 7, 30, tzinfo=UTC)
AEROE = Ven("ven-1", 'Ærø "by"', "aeroe")
LOADS = [LoadName(0, "res-1", "shop_01", "load_0"), LoadName(1, "res-1", "shop_01", "load_1")]
TOWN = Traits(
    {"LOCATION": [10.40691, 54.89007]}, (Target("Ærø", "VEN_NAME"), Target("DK1", "SERVICE_AREA"))
)
SHOP = Traits(
    {"MAX_POWER_CONSUMPTION": [7.4]}, (Target("shop_01", "RESOURCE_NAME"), Target("shop", "GROUP"))
)
ABOUT = Address("venlab-reports", "p1", "e1")
ENERGY = ABOUT._replace(asked=ReportDescriptor("USAGE"))


def standard(version: str, limits: Limits | None = None) -> Dialect:
    return dialect(version, limits)


def check_request(version: str, call: Call[Any]) -> None:
    """Hold a request against the document; its answer is another matter."""
    path, _, query = call.path.partition("?")
    problem = b'{"title": "no", "status": 400}'
    kind = {"content-type": "application/json"} if call.body else {}
    oracle(version).exchange(call.method, path, query, kind, call.body, 400, problem)


def written(
    version: str,
    watts: Sequence[int],
    about: Address = ABOUT,
    limits: Limits | None = None,
    seconds: int = 450,
) -> list[Draft]:
    loads = [LoadName(i, "r", f"shop_{i // 6:02}", f"load_{i % 6}") for i in range(len(watts))]
    writer = standard(version, limits).writer(AEROE, loads, "run-1", about)
    return writer.write(T0, seconds, watts)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_report_by_hand(version: str) -> None:
    """1,234 W over 15:07:30 to 15:15 is DEMAND of 1.234 KW; what was not measured is left out."""
    writer = standard(version).writer(AEROE, LOADS, "run-1", ABOUT)
    (draft,) = writer.write(T0, 450, [1234, -1])
    assert draft.name == "run-1/aeroe/20231130T150730Z"
    assert list(draft.positions) == [0]
    old = version == "3.0.1"
    program = {"programID": "p1"} if old else {}
    mark = {} if old else {"objectType": "REPORT_PAYLOAD_DESCRIPTOR"}  # old peers choke on it
    assert json.loads(draft.body) == program | {
        "eventID": "e1",
        "clientName": "aeroe",
        "payloadDescriptors": [
            {**mark, "payloadType": "DEMAND", "readingType": "MEAN", "units": "KW"}
        ],
        "reportName": "run-1/aeroe/20231130T150730Z",
        "resources": [
            {
                "resourceName": "shop_01.load_0",
                "intervalPeriod": {"start": "2023-11-30T15:07:30Z", "duration": "PT7M30S"},
                "intervals": [{"id": 0, "payloads": [{"type": "DEMAND", "values": [1.234]}]}],
            }
        ],
    }
    check_request(version, standard(version).post_report(draft.body))


def test_an_event_to_report_on_has_no_intervals() -> None:
    """3.0.1 requires the list, and one peer cannot read an interval without payloads in it."""
    body = json.loads(standard("3.0.1").open_address("p1", "reports").body)
    assert body["intervals"] == []
    assert "intervals" not in json.loads(standard("3.1.0").open_address("p1", "reports").body)


@pytest.mark.parametrize("version", VERSIONS)
def test_energy_is_power_times_time(version: str) -> None:
    """1,234 W over 450 s are 0.15425 KWH, never 1.234; read back they are 1,234 W."""
    (draft,) = written(version, [1234], ENERGY)
    (resource,) = json.loads(draft.body)["resources"]
    assert resource["intervals"][0]["payloads"] == [{"type": "USAGE", "values": [0.15425]}]
    assert json.loads(draft.body)["payloadDescriptors"][0]["units"] == "KWH"
    stored = json.dumps(json.loads(draft.body) | {"id": "1"}).encode()
    assert heard(msgspec.json.decode(stored, type=ReportAnswer)) == (draft.name, 1, 1234)


@given(
    st.sampled_from(VERSIONS),
    st.lists(st.integers(-1, 2**31 - 1), min_size=1, max_size=40),
    st.sampled_from([ABOUT, ENERGY]),
    st.integers(1, 86_400),
    st.builds(Limits, st.integers(600, 5000), st.integers(1, 9)),
)
def test_every_part_is_within_the_limits_and_nothing_is_lost(
    version: str, watts: list[int], about: Address, seconds: int, limits: Limits
) -> None:
    """Parts keep to bytes and resources, cover each measured load once, and sum up to the watt."""
    drafts = written(version, watts, about, limits, seconds)
    assert len({draft.name for draft in drafts}) == len(drafts)
    positions = [p for draft in drafts for p in draft.positions]
    assert positions == [i for i, w in enumerate(watts) if w >= 0]
    for draft in drafts:
        assert len(draft.body) <= limits.most_bytes
        assert len(draft.positions) <= limits.most_resources
        check_request(version, standard(version).post_report(draft.body))
        report = msgspec.json.decode(draft.body[:-1] + b',"id":"1"}', type=ReportAnswer)
        total = sum(watts[p] for p in draft.positions)
        assert heard(report) == (draft.name, len(draft.positions), total)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_report_is_halved_until_one_reading_is_left(version: str) -> None:
    """Five readings, bisected to the end, are the same five, each alone and under its own name."""
    speaks = standard(version)
    (draft,) = written(version, [1, 2, 3, 4, 5])
    todo, alone = [draft], []
    while todo:
        each = todo.pop()
        parts = speaks.halves(each.name, each.body, len(each.positions))
        if not parts:
            alone.append(each)
        assert [p for part in parts for p in part.positions] == list(range(len(each.positions)))[
            : sum(len(part.positions) for part in parts)
        ]
        todo += parts
    assert len({each.name for each in alone}) == len(alone) == 5
    assert all(each.name.startswith(f"{draft.name}/") for each in alone)
    totals = [
        heard(msgspec.json.decode(each.body[:-1] + b',"id":"1"}', type=ReportAnswer)).watts
        for each in alone
    ]
    assert sorted(totals) == [1, 2, 3, 4, 5]


def test_a_report_that_cannot_be_short_enough_is_refused_at_once() -> None:
    """Where not even one resource fits, the person learns it before anything is sent."""
    with pytest.raises(DataError, match="batch_bytes is 100"):
        standard("3.1.0", Limits(100)).writer(AEROE, LOADS, "run-1", ABOUT)


def test_a_name_the_standard_forbids_is_refused_at_once() -> None:
    """A resourceName has 128 characters at most; the longer is found before it is sent."""
    loads = [LoadName(0, "r", "x" * 128, "load_0")]
    with pytest.raises(DataError, match="would be refused"):
        standard("3.0.1").writer(AEROE, loads, "run-1", ABOUT)


@pytest.mark.parametrize("version", VERSIONS)
def test_reports_need_an_event(version: str) -> None:
    """Without one there is nothing that a report could be about."""
    with pytest.raises(ConfigError, match="about an event"):
        standard(version).writer(AEROE, LOADS, "run-1", None)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_frozen_report_gets_the_event_that_is_there_now(version: str) -> None:
    """Readdressed, a report differs in what it is about and in nothing else."""
    (draft,) = written(version, [1234, 7])
    moved = ABOUT._replace(program_id="p2", event_id="e2")
    body = json.loads(standard(version).readdress(draft.body, AEROE, moved))
    (other,) = written(version, [1234, 7], moved)
    assert body == json.loads(other.body)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_frozen_report_that_is_right_keeps_its_bytes(version: str) -> None:
    """And one whose old program has the new event's id, as small numbers may be, does not."""
    about = ABOUT._replace(program_id="1", event_id="0")
    (draft,) = written(version, [1234, 7], about)
    assert standard(version).readdress(draft.body, AEROE, about) is draft.body
    moved = ABOUT._replace(program_id="2", event_id="1")
    body = json.loads(standard(version).readdress(draft.body, AEROE, moved))
    assert (body["eventID"], body.get("programID", "2")) == ("1", "2")


@pytest.mark.parametrize("speaks", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
def test_requests_are_what_the_documents_allow(version: str, speaks: bool) -> None:
    """Each request that the client can make is one of its version's document."""
    says = standard(version)
    house = Resource("", "shop_01", "Ærø", attributes={"load_0": ["heating"]}, traits=SHOP)
    asked = ReportDescriptor("DEMAND", "MEAN", "KW", (Target("a", "GROUP"),), True, 0, 2, False, 1)
    event = Event(
        "e1",
        "peak",
        "p1",
        targets=(Target("Aars", "VEN_NAME"), Target("shop")),
        priority=0,
        period=Period(None, Duration.parse("PT15M"), Duration.parse("PT5M")),
        intervals=(
            Interval(0, (Signal("PRICE", (1.5, 2), "KWH"),)),
            Interval(7, (Signal("CURVE", (Point(1, 2),)),), Period(T0, FOR_EVER)),
        ),
        duration=Duration.parse("P1M"),
        report_descriptors=(asked,),
    )
    for call in [
        says.vens("Ærø & søn", 0, 50),
        says.register_ven("Ærø", "aeroe", speaks=speaks, traits=TOWN),
        says.register_ven("Ærø", "aeroe", speaks=speaks),
        says.resources_of(AEROE, 50, 50),
        says.register_resource(AEROE, house, speaks=speaks),
        says.programs(0, 50),
        says.create_program("venlab"),
        says.events(0, 50),
        says.event("e1"),
        says.addresses(0, 50),
        says.open_address("p1", "venlab-reports"),
        says.create_event(event),
        says.change_event(event),
        says.create_event(Event("", "bare", "p1")),
        says.cancel_event("e1"),
        says.heard("run", ABOUT, "", 50),
        says.holds("run/a", ABOUT, "100", 50),
        says.reports("aeroe", "", 0, 50),
        says.reports("", "e1", 50, 50),
        says.subscribed("p1"),
        says.delete_report("report-1"),
        says.delete_resource("ven-1", "res-1"),
        says.delete_ven("ven-1"),
        says.delete_event("e1"),
        says.delete_program("p1"),
    ]:
        check_request(version, call)


@pytest.mark.parametrize("speaks", [True, False])
@pytest.mark.parametrize("version", VERSIONS)
def test_attributes_and_targets_by_hand(version: str, speaks: bool) -> None:
    """LOCATION is longitude, then latitude; only in 3.1.0 may business logic alone set targets."""
    says = standard(version)
    house = Resource("", "shop_01", "Ærø", attributes={"load_0": ["heating"]}, traits=SHOP)
    town = json.loads(says.register_ven("Ærø", "aeroe", speaks=speaks, traits=TOWN).body)
    shop = json.loads(says.register_resource(AEROE, house, speaks=speaks).body)
    assert town["attributes"] == [{"type": "LOCATION", "values": [10.40691, 54.89007]}]
    assert shop["attributes"] == [
        {"type": "load_0", "values": ["heating"]},
        {"type": "MAX_POWER_CONSUMPTION", "values": [7.4]},
    ]
    found = town.get("targets"), shop.get("targets")
    if version == "3.0.1":
        assert found == (
            [{"type": "VEN_NAME", "values": ["Ærø"]}, {"type": "SERVICE_AREA", "values": ["DK1"]}],
            [
                {"type": "RESOURCE_NAME", "values": ["shop_01"]},
                {"type": "GROUP", "values": ["shop"]},
            ],
        )
    else:
        assert found == ((None, None) if speaks else (["Ærø", "DK1"], ["shop_01", "shop"]))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_it_cannot_say_is_said(version: str) -> None:
    """Each wish that the dialect has no words for has its reason, and is an error if made."""
    says = standard(version)
    wishes = {
        "status": [lambda: says.resources(0, 1), lambda: says.set_status("r", "approved")],
        "enrol": [lambda: says.enrol("p", "r")],
        "respond": [lambda: says.respond("e", "v", "optIn"), lambda: says.responses("e", 0, 1)],
        "renew": [lambda: says.renew_token("v")],
    }
    assert wishes.keys() == says.cannot.keys()
    for wish, calls in wishes.items():
        for call in calls:
            with pytest.raises(ConfigError, match=says.cannot[wish][:20]):
                call()


def test_an_event_by_hand() -> None:
    """A price in two intervals, with the standard's "now" and "for ever", and nulls as missing."""
    body = b"""{"id": "e1", "objectType": "EVENT", "programID": "p1", "eventName": "prices",
        "createdDateTime": "2023-11-30T15:00:00Z", "modificationDateTime": "2023-11-30T16:00:01Z",
        "priority": 3, "targets": [{"type": "GROUP", "values": ["shops", "homes"]}, "plain"],
        "duration": null, "reportDescriptors": null, "unknown": 1,
        "payloadDescriptors": [{"payloadType": "PRICE", "units": "KWH", "currency": "DKK"}],
        "intervalPeriod": {"start": "0001-01-01T00:00:00Z", "duration": "PT1H"},
        "intervals": [
            {"id": 0, "payloads": [{"type": "PRICE", "values": [1.5, 2]}]},
            {"id": 1, "intervalPeriod": {"start": "2023-11-30T18:00:00", "duration": "P9999Y"},
             "payloads": [{"type": "CURVE", "values": [{"x": 1, "y": 2}, true, "high"]}]}]}"""
    event = event_of(msgspec.json.decode(body, type=EventAnswer))
    six = datetime(2023, 11, 30, 18, tzinfo=UTC)
    assert event == Event(
        "e1",
        "prices",
        "p1",
        version=1701360001000,
        targets=(Target("shops", "GROUP"), Target("homes", "GROUP"), Target("plain")),
        priority=3,
        created=datetime(2023, 11, 30, 15, tzinfo=UTC),
        period=Period(None, Duration(exact=timedelta(hours=1))),
        intervals=(
            Interval(0, (Signal("PRICE", (1.5, 2), "KWH"),)),
            Interval(1, (Signal("CURVE", (Point(1, 2), True, "high")),), Period(six, FOR_EVER)),
        ),
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_an_event_comes_back_as_it_was_sent(version: str) -> None:
    """What a VTN repeats of an event that we sent reads as the same event."""
    sent = Event(
        "e9",
        "peak",
        "p1",
        targets=(Target("Aars", "VEN_NAME" if version == "3.0.1" else ""),),
        priority=0,
        period=Period(T0, Duration.parse("PT15M"), Duration.parse("PT5M")),
        intervals=(Interval(3, (Signal("IMPORT_CAPACITY_LIMIT", (12.5,), "KW"),)),),
        report_descriptors=(ReportDescriptor("DEMAND", frequency=2),),
    )
    body = event_body(sent, typed=version == "3.0.1") | {"id": "e9"}
    assert event_of(msgspec.json.decode(json.dumps(body), type=EventAnswer)) == sent


@pytest.mark.parametrize("version", VERSIONS)
def test_the_words_of_a_problem(version: str) -> None:
    """Title and detail of a problem are shown; a page's words without its tags."""
    says = standard(version)
    assert (
        says.explain(b'{"title": "Bad", "detail": "eventID: no such"}') == "Bad: eventID: no such"
    )
    assert says.explain(b'{"status": 400}') == ""
    assert says.explain(b"<h1>Sign in</h1>").strip() == "Sign in"


def test_pages_of_reports_go_on_until_one_is_not_full() -> None:
    """Two of two asked for: the next begins at 2; what is of another run does not count."""
    row = '{{"id": "{0}", "reportName": "{1}", "resources": []}}'
    body = f"[{row.format('a', 'run/x')}, {row.format('b', 'other/x')}]".encode()
    says = standard("3.1.0")
    page = says.heard("run", ABOUT, "", 2).read(200, body)
    assert ([h.name for h in page.items], page.next, page.key) == (["run/x"], "2", "a")
    assert says.heard("run", ABOUT, "2", 3).read(200, body).next == ""


def test_both_are_the_same_but_for_what_differs() -> None:
    """Both versions stand on one class."""
    assert all(isinstance(standard(version), OpenAdr3) for version in VERSIONS)


def test_what_each_can_say_is_a_table() -> None:
    """Each reason stands in it once, under its dialect, and every wish has a person's words."""
    table = can_say()
    assert list(table) == list(DIALECTS)
    for name in DIALECTS:
        cannot = dialect(name).cannot
        assert set(cannot) <= set(WISHES)
        for wish, words in WISHES.items():
            said = f"no: {cannot[wish]}" if wish in cannot else "yes"
            assert table.loc[words, name] == said
    assert table.loc["to delete what was made"].to_list() == [
        "no: nothing that was made is ever deleted",
        "yes",
        "yes",
    ]
