"""Objects of the standard's dialects: each exchange is held against the documents as well."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.vtn.standards import BUSINESS, KINDS, VERSIONS, Vtn, vtn_of
from venlab.vtn.reports import MAX_BODY
from venlab.vtn.store import Store
from venlab.vtn.timing import is_over

SET = {"id", "createdDateTime", "modificationDateTime", "objectType", "clientID"}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_life(standard: Vtn, kind: str) -> None:
    """POST 201, GET the same, PUT replaces, DELETE answers what is gone; the VTN sets its own."""
    operator, aars = await standard.filled()
    who = operator if kind in BUSINESS else aars
    path = standard.path(kind, standard.ids[kind])
    status, made = await who("GET", path)
    assert status == 200
    assert await who.listed(standard.path(kind)) == [made]
    _, sent = standard.sample(kind, **standard.untargeted(kind))
    expected = {name: value for name, value in sent.items() if value is not None}
    if kind == "ven" and not standard.private:
        expected["resources"] = made["resources"]
    assert {n: v for n, v in made.items() if n not in SET} == {
        n: v for n, v in expected.items() if n != "objectType"
    }
    assert made["objectType"] == kind.upper()
    owned = standard.private and kind not in BUSINESS
    assert made.get("clientID") == ("aars" if owned else None)
    assert made["createdDateTime"] == made["modificationDateTime"]
    moment = datetime.fromisoformat(made["createdDateTime"])
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=1)

    named = {"program": "programName", "event": "eventName", "ven": "venName"}
    named |= {"resource": "resourceName", "report": "reportName", "subscription": "clientName"}
    status, changed = await who("PUT", path, sent | {named[kind]: "another"})
    assert (status, changed[named[kind]]) == (200, "another")
    assert changed["id"] == made["id"]
    assert changed["createdDateTime"] == made["createdDateTime"]
    assert changed["modificationDateTime"] >= made["modificationDateTime"]
    assert await who("GET", path) == (200, changed)
    assert await who("DELETE", path) == (200, changed)
    for method, content in (("GET", None), ("PUT", sent), ("DELETE", None)):
        status, problem = await who(method, path, content)
        assert (status, problem["status"], problem["title"]) == (404, 404, "Not Found")
    assert await who.listed(standard.path(kind)) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_change_has_its_time(
    standard: Vtn, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PUT at noon was at noon, in its answer and after; made it was when it was made."""
    operator, aars = await standard.filled()
    who, path = operator if kind in BUSINESS else aars, standard.path(kind, standard.ids[kind])
    _, made = await who("GET", path)
    noon = "2099-01-09T12:00:00.000Z"
    monkeypatch.setattr("venlab.vtn.standard.now_text", lambda: noon)
    sent = standard.sample(kind, **standard.untargeted(kind))[1]
    status, changed = await who("PUT", path, sent)
    assert (status, changed) == (200, made | {"modificationDateTime": noon})
    assert await who("GET", path) == (200, changed)


async def test_put_replaces_all_of_it(standard: Vtn) -> None:
    """What the new one does not say is gone."""
    operator = await standard.as_("operator")
    made = await operator.made("program")
    assert "intervalPeriod" in made
    path = standard.path("program", made["id"])
    status, changed = await operator("PUT", path, {"programName": "peaks"})
    assert (status, set(changed) - SET) == (200, {"programName"})


async def test_what_a_client_says_of_itself_counts_for_nothing(standard: Vtn) -> None:
    """Id and times in a body are the VTN's; unknown members are ignored."""
    operator = await standard.as_("operator")
    moment = "2001-01-01T00:00:00Z"
    mine = {"id": "mine", "createdDateTime": moment, "modificationDateTime": moment}
    made = await operator.made("program", **mine, colour="red", targets=None)
    assert not {"mine", moment} & {value for value in made.values() if isinstance(value, str)}
    assert "colour" not in made


async def test_versions_and_flat_keep_apart(store: Store) -> None:
    """What one holds, and the tokens it gave, are nothing to the others; names are free there."""
    ids, tokens = {}, {}
    for version in VERSIONS:
        async with vtn_of(version, store) as vtn:
            _, aars = await vtn.filled()
            ids[version], tokens[version] = vtn.ids, aars.token
            assert (await aars.made("report", reportName="r/2"))["objectType"] == "REPORT"
    async with vtn_of("3.1.0", store) as vtn:
        operator = await vtn.as_("operator")
        for kind in KINDS:
            other = ids["3.0.1"][kind]
            assert (await operator("GET", vtn.path(kind, other)))[0] == 404
            held = {each["id"] for each in await operator.listed(vtn.path(kind))}
            assert ids["3.1.0"][kind] in held
            assert other not in held
        operator.token = tokens["3.0.1"]
        assert (await operator("GET", "/vens"))[0] == 401
        headers = {"Authorization": "Bearer op"}
        for path in ("/flat/vens", "/flat/resources", "/flat/events", "/flat/reports"):
            assert (await vtn.http.get(path, headers=headers)).json() == []
        for token in tokens.values():
            headers = {"Authorization": f"Bearer {token}"}
            assert (await vtn.http.get("/flat/vens", headers=headers)).status_code == 401


@pytest.mark.parametrize("kind", ["program", "ven", "resource"])
async def test_a_name_is_taken_once(standard: Vtn, kind: str) -> None:
    """programName and venName in the VTN, resourceName in its ven: 409; by PUT too; then free."""
    operator, aars = await standard.filled()
    who, other = (operator, operator) if kind == "program" else (aars, await standard.as_("b"))
    if kind == "resource":
        other = aars
    status, problem = await other("POST", *standard.sample(kind))
    assert (status, problem["title"]) == (409, "Conflict")
    name = f"{kind}Name"
    second = await other.made(kind, **{name: "second"})
    path, taken = standard.path(kind, second["id"]), standard.sample(kind)[1]
    assert (await other("PUT", path, taken))[0] == 409
    assert (await other("PUT", path, taken | {name: "second"}))[0] == 200
    assert (await who("DELETE", standard.path(kind, standard.ids[kind])))[0] == 200
    standard.ids["ven"] = second.get("venID", second["id"])
    assert (await other("PUT", path, taken))[0] == 200


async def test_another_ven_may_use_the_same_resource_name(standard: Vtn) -> None:
    """A resource's name is unique in its ven only."""
    await standard.filled()
    other = await standard.as_("other")
    ven = await other.made("ven", venName="Other")
    standard.ids["ven"] = ven["id"]
    assert (await other.made("resource"))["venID"] == ven["id"]


async def test_a_reports_name_is_taken_once(standard: Vtn) -> None:
    """409 whoever sends it and by which route; without a name, or null, or empty, no report is
    one that came before.
    """
    _, aars = await standard.filled()
    path, again = standard.sample("report")
    assert (await aars("POST", path, again))[0] == 409
    assert (await (await standard.as_("b"))("POST", path, again))[0] == 409
    assert (await aars("POST", path, again | {"objectType": "REPORT", "colour": 1}))[0] == 409
    again["reportName"] = "r/2"
    statuses = [aars("POST", path, again | {"colour": n % 2}) for n in range(10)]
    found = sorted(status for status, _ in await asyncio.gather(*statuses))
    assert found == [201] + 9 * [409]
    for name in ({}, {"reportName": None}, {"reportName": ""}):
        nameless = {n: v for n, v in again.items() if n != "reportName"} | name
        assert [(await aars("POST", path, nameless))[0] for _ in range(2)] == [201, 201]
    assert len(await aars.listed("/reports")) == 8
    second = (await aars.listed("/reports"))[1]
    assert (await aars("PUT", f"/reports/{second['id']}", standard.sample("report")[1]))[0] == 409


async def test_repeated_names_may_be_ordered_as_a_fault(standard: Vtn) -> None:
    """`repeat_reports` and `repeat_vens` of the faults hold in these dialects too."""
    _, aars = await standard.filled()
    standard.store.repeats = {"reports", "vens"}
    status, again = await aars("POST", *standard.sample("report"))
    assert (status, again["id"] != standard.ids["report"]) == (201, True)
    assert (await aars("POST", *standard.sample("ven")))[0] == 201
    assert len(await aars.listed("/vens")) == 2
    for kind in ("report", "ven"):  # PUT is no repeat
        made = await aars.made(kind, **{f"{kind}Name": "second"})
        taken = standard.sample(kind)[1]
        assert (await aars("PUT", standard.path(kind, made["id"]), taken))[0] == 409


async def test_pages_keep_the_order_of_creation(standard: Vtn) -> None:
    """skip and limit walk over all of them once; 50 is the most and what one gets unasked."""
    operator = await standard.as_("operator")
    names = [f"p{n * 7 % 60:02d}" for n in range(60)]
    made = [await operator.made("program", programName=name, targets=None) for name in names]
    path = standard.path("program", made[0]["id"])
    assert (await operator("PUT", path, {"programName": names[0]}))[0] == 200
    walked: list[str] = []
    while page := await operator.listed(f"/programs?skip={len(walked)}&limit=7"):
        walked += [each["programName"] for each in page]
    assert walked == names
    assert [each["programName"] for each in await operator.listed("/programs")] == names[:50]
    assert len(await operator.listed("/programs?skip=0")) == 50
    assert await operator.listed("/programs?limit=0") == []
    for asked in ("limit=51", "limit=-1", "skip=-1", "skip=2147483648", "limit=x", "limit="):
        assert (await operator.bad("GET", f"/programs?{asked}"))[0] == 400


async def test_filters(standard: Vtn) -> None:
    """By program, event, names, objects: what is asked for and nothing else; none is 400."""
    operator, aars = await standard.filled()
    second = await operator.made("program", programName="other", targets=None)
    event = await operator.made("event", programID=second["id"], targets=None)
    sent = {"eventID": event["id"], "clientName": "other", "reportName": "r/2"}
    sent |= {} if standard.private else {"programID": second["id"]}
    report = await aars.made("report", **sent)
    calls = {"objects": ["VEN"], "operations": ["CREATE"], "callbackUrl": "https://a.example"}
    heard = {"clientName": "other", "programID": second["id"], "objectOperations": [calls]}
    subscription = await aars.made("subscription", **heard)
    resource = await aars.made("resource", resourceName="other")
    resources = standard.path("resource")
    for who, asked, expected in (
        (operator, f"/events?programID={second['id']}", event),
        (aars, f"/reports?programID={second['id']}", report),
        (aars, f"/reports?eventID={event['id']}&clientName=other", report),
        (aars, f"/subscriptions?programID={second['id']}", subscription),
        (aars, "/subscriptions?clientName=other", subscription),
        (aars, "/subscriptions?objects=VEN&objects=REPORT", subscription),
        (aars, f"{resources}?resourceName=other", resource),
    ):
        assert await who.listed(asked) == [expected], asked
    ven = await aars.listed("/vens?venName=Aars")
    assert [each["id"] for each in ven] == [standard.ids["ven"]]
    for asked in (
        *(f"/events?programID={standard.ids['event']}", "/reports?clientName=nobody"),
        *("/vens?venName=aars", "/subscriptions?objects=RESOURCE", f"{resources}?resourceName=x"),
    ):
        assert await aars.listed(asked) == [], asked
    for asked in ("/events?programID=%C3%A6", "/vens?venName=", "/subscriptions?objects=EVENTS"):
        assert (await aars.bad("GET", asked))[0] == 400
    if standard.private:
        assert len(await aars.listed(f"/resources?venID={standard.ids['ven']}")) == 2
        assert await aars.listed("/resources?venID=nobody") == []


async def test_targets_of_both_kinds_are_asked_for(standard: Vtn) -> None:
    """3.0.1: one value of the type is enough. 3.1.0: all of them. A name by its type in both."""
    operator = await standard.as_("operator")

    def aimed(*names: str) -> list[Any]:
        return list(names) if standard.private else [{"type": "GROUP", "values": list(names)}]

    for name, targets in (("none", None), ("a", aimed("a")), ("ab", aimed("a", "b"))):
        await operator.made("program", programName=name, targets=targets)

    async def names(asked: str) -> list[str]:
        return [each["programName"] for each in await operator.listed(f"/programs?{asked}")]

    typed = "targetType=GROUP&targetValues="
    both = ["ab"] if standard.private else ["a", "ab"]
    with standard.seen.bad_requests():  # each version takes the other's words
        for asked in ("targets=", typed):
            assert await names(f"{asked}a") == ["a", "ab"]
            assert await names(f"{asked}b") == ["ab"]
            assert await names(f"{asked}c") == []
        assert await names("targets=a&targets=b") == both
        assert await names(f"{typed}a&targetValues=b") == both
        assert await names("targetType=PROGRAM_NAME&targetValues=none") == ["none"]
        assert await names("targetType=PROGRAM_NAME&targetValues=nobody") == []
        assert await names("targetType=") == ["none", "a", "ab"]
        if not standard.private:
            assert await names("targetType=GROUP") == ["a", "ab"]
            assert await names("targetType=VEN_NAME&targetValues=a") == []


async def test_active_leaves_out_what_is_over(private: Vtn) -> None:
    """An hour of 2023 is over; one for ever, one to come and one without any time are not."""
    operator = await private.as_("operator")
    await operator.made("program", targets=None)
    past = {"start": "2023-01-09T16:00:00Z", "duration": "PT1H"}
    for name, period in (
        ("over", past),
        ("for ever", past | {"duration": "P9999Y"}),
        ("to come", past | {"start": "2999-01-01T00:00:00Z"}),
        ("always", None),
    ):
        sent = {"intervalPeriod": period, "duration": None}
        await operator.made("event", eventName=name, targets=None, **sent)
    for asked in ("active=false", ""):
        assert len(await operator.listed(f"/events?{asked}")) == 4
    found = await operator.listed("/events?active=true&skip=1&limit=1")
    assert [each["eventName"] for each in found] == ["to come"]
    assert (await operator.bad("GET", "/events?active=perhaps"))[0] == 400


@pytest.mark.parametrize("length", ["PT1H", "P99999999999999Y", "PT0.0000000001S", "-PT1H"])
async def test_a_time_beyond_all_calendars_spoils_no_list(standard: Vtn, length: str) -> None:
    """The documents allow the year 10000 in UTC: such an event is kept, and not over."""
    operator = await standard.as_("operator")
    await operator.made("program", targets=None)
    start = "9999-12-31T23:59:59-14:00"
    period = {"start": start, "duration": length, "randomizeStart": length}
    sent = standard.sample("event", targets=None, intervalPeriod=period)
    status, made = await operator.bad("POST", *sent)
    assert status == 201
    assert (await operator.bad("GET", "/events?active=true"))[1] == [made]


@pytest.mark.parametrize(
    ("now", "over"), [("16:29:59.999", False), ("16:30:00", True), ("17:00:00", True)]
)
def test_an_event_is_over_at_the_end_of_its_last_interval(now: str, over: bool) -> None:
    """16:00 and two intervals of 15 min: over at 16:30, by hand."""
    interval = b'{"id":0,"payloads":[{"type":"SIMPLE","values":[1]}]}'
    times = b'"intervalPeriod":{"start":"2023-01-09T16:00:00Z","duration":"PT15M"}'
    event = b'{"id":"e",%b,"intervals":[%b,%b]}' % (times, interval, interval)
    assert is_over(event, datetime.fromisoformat(f"2023-01-09T{now}+00:00")) is over


async def test_what_goes_with_what(standard: Vtn) -> None:
    """With a program go events and subscriptions, with a ven resources; reports stay."""
    operator, aars = await standard.filled()
    assert (await operator("DELETE", f"/programs/{standard.ids['program']}"))[0] == 200
    assert await operator.listed("/events") == []
    assert await aars.listed("/subscriptions") == []
    assert len(await aars.listed("/reports")) == 1
    assert len(await aars.listed(f"/reports?programID={standard.ids['program']}")) == 1
    resource = standard.path("resource", standard.ids["resource"])
    assert (await aars("GET", resource))[0] == 200
    assert (await aars("DELETE", f"/vens/{standard.ids['ven']}"))[0] == 200
    assert (await aars("GET", resource))[0] == 404
    assert standard.store.page("objects") == []


async def test_an_event_goes_and_leaves_its_reports(standard: Vtn) -> None:
    """Whoever cancels does not undo what was measured; a new report to it is refused."""
    operator, aars = await standard.filled()
    assert (await operator("DELETE", f"/events/{standard.ids['event']}"))[0] == 200
    assert len(await aars.listed(f"/reports?eventID={standard.ids['event']}")) == 1
    status, problem = await aars("POST", *standard.sample("report", reportName="r/2"))
    assert (status, problem["detail"]) == (400, f"there is no event {standard.ids['event']!r}")


async def test_what_is_named_must_be_there(standard: Vtn) -> None:
    """In a body 400, in a path, and for a resource's ven as documented, 404."""
    operator, aars = await standard.filled()
    for who, kind, changes in (
        (operator, "event", {"programID": "nobody"}),
        (aars, "report", {"eventID": "nobody", "reportName": "r/2"}),
        (aars, "subscription", {"programID": "nobody"}),
    ):
        assert (await who("POST", *standard.sample(kind, **changes)))[0] == 400
        path, body = standard.path(kind, standard.ids[kind]), standard.sample(kind, **changes)[1]
        assert (await who("PUT", path, body))[0] == 400
    assert (await aars("PUT", "/reports/report-99", standard.sample("report")[1]))[0] == 404
    standard.ids["ven"] = "nobody"
    assert (await aars("POST", *standard.sample("resource")))[0] == 404
    for odd in ("report-" + "9" * 40, "report-\u0663", "report-1x", "-1", "report-"):
        assert (await aars.bad("GET", f"/reports/{odd}"))[0] == 404


async def test_a_report_is_of_its_events_program(store: Store) -> None:
    """In 3.0.1 it names both, and they must belong together."""
    async with vtn_of("3.0.1", store) as vtn:
        operator, aars = await vtn.filled()
        other = await operator.made("program", programName="other")
        sent = vtn.sample("report", reportName="r/2", programID=other["id"])
        assert (await aars("POST", *sent))[0] == 400


async def test_a_subscription_of_no_program(private: Vtn) -> None:
    """In 3.1.0 the program may be left out."""
    await private.filled()
    aars = await private.as_("aars")
    _, body = private.sample("subscription")
    del body["programID"]
    assert (await aars("POST", "/subscriptions", body))[0] == 201


async def test_a_ven_brings_its_resources(store: Store) -> None:
    """3.0.1 lets a ven name resources: they are made, shown in it, and have their own paths."""
    async with vtn_of("3.0.1", store) as vtn:
        aars = await vtn.as_("aars")
        behind = [{"resourceName": "a"}, {"resourceName": "b", "attributes": None}]
        twice = vtn.sample("ven", resources=[*behind, {"resourceName": "a"}])
        assert (await aars("POST", *twice))[0] == 409
        assert await aars.listed("/vens") == []
        ven = await aars.made("ven", resources=behind)
        assert [each["resourceName"] for each in ven["resources"]] == ["a", "b"]
        assert await aars.listed(f"/vens/{ven['id']}/resources") == ven["resources"]
        status, changed = await aars("PUT", f"/vens/{ven['id']}", {"venName": "B"})
        assert (status, changed["resources"]) == (200, ven["resources"])
        other = await aars.made("ven", venName="other")
        stray = f"/vens/{other['id']}/resources/{ven['resources'][0]['id']}"
        assert (await aars("GET", stray))[0] == 404


async def test_nulls_are_as_good_as_nothing(standard: Vtn) -> None:
    """A widely used client sends null for all it does not say; it is not shown again."""
    operator, aars = await standard.filled()
    with standard.seen.bad_requests():
        period = {"start": "2023-01-09T16:00:00Z", "duration": None, "randomizeStart": None}
        intervals = [{"id": 0, "payloads": [], "intervalPeriod": None}]
        said = {"programID": standard.ids["program"], "intervals": intervals}
        asks = {"payloadType": "DEMAND", "units": None, "aggregate": None, "targets": None}
        unsaid = dict.fromkeys(("eventName", "priority", "targets", "payloadDescriptors"))
        sent = said | unsaid | {"intervalPeriod": period, "reportDescriptors": [asks]}
        sent |= {"duration": None} if standard.private else {}
        status, made = await operator("POST", "/events", sent)
        assert status == 201
        assert made["reportDescriptors"] == [{"payloadType": "DEMAND"}]
        assert made["intervals"] == [{"id": 0, "payloads": []}]
        assert made["intervalPeriod"] == {"start": "2023-01-09T16:00:00Z"}
        assert set(made) - SET == {*said, "intervalPeriod", "reportDescriptors"}
        path, report = standard.sample("report", reportName=None, payloadDescriptors=None)
        report["resources"][0]["intervals"][0]["intervalPeriod"] = None
        assert (await aars("POST", path, report))[0] == 201
        for required in ("programName", "programID"):
            kind = "program" if required == "programName" else "event"
            sent = standard.sample(kind, **{required: None})
            assert (await operator("POST", *sent))[0] == 400


async def test_now_is_a_time(standard: Vtn) -> None:
    """`0001-01-01`, with and without a time, is what the documents write for now: shown zoned."""
    operator, _ = await standard.filled()
    for start in ("0001-01-01", "0001-01-01T00:00:00", "0001-01-01T00:00:00Z"):
        sent = standard.sample("event", intervalPeriod={"start": start}, targets=None)
        status, made = await operator.bad("POST", *sent)
        assert (status, made["intervalPeriod"]) == (201, {"start": "0001-01-01T00:00:00Z"})
    for start in ("2023-01-09", "2023-01-09T16:00:00", "2023-02-30T16:00:00Z", "now", 1):
        sent = standard.sample("event", intervalPeriod={"start": start})
        assert (await operator.bad("POST", *sent))[0] == 400


@pytest.mark.parametrize(
    "operations", [["CREATE", "UPDATE", "DELETE", "READ"], ["POST", "PUT", "DELETE", "GET"]]
)
async def test_both_names_of_an_operation(store: Store, operations: list[str]) -> None:
    """3.0.1 was published with either."""
    async with vtn_of("3.0.1", store) as vtn:
        _, aars = await vtn.filled()
        calls = {"objects": ["EVENT"], "callbackUrl": "https://a.example"}
        heard = [calls | {"operations": operations}]
        made = await aars.made("subscription", objectOperations=heard)
        assert made["objectOperations"] == heard


async def test_a_descriptor_says_what_it_is(standard: Vtn) -> None:
    """3.1.0's must: one that does not gets said; a wrong one is refused."""
    operator, _ = await standard.filled()
    said = {"objectType": "EVENT_PAYLOAD_DESCRIPTOR"} if standard.private else {}
    for kind in BUSINESS:
        sent = standard.sample(kind, payloadDescriptors=[{"payloadType": "PRICE"}], targets=None)
        sent[1]["programName"] = "another"
        status, made = await operator.bad("POST", *sent)
        assert (status, made["payloadDescriptors"]) == (201, [{"payloadType": "PRICE"} | said])
    wrong = [{"payloadType": "PRICE", "objectType": "REPORT_PAYLOAD_DESCRIPTOR"}]
    assert (await operator.bad("POST", *standard.sample("event", payloadDescriptors=wrong)))[
        0
    ] == 400


BAD = [
    (b"{", "JSON decode error: EOF"),
    (b"", "JSON"),
    (b"[]", "Expected `object`"),
    (b'{"programName":""}', "programName"),
    (b'{"programName":"%b"}' % (129 * b"x"), "programName"),
    (b'{"programName":"a","payloadDescriptors":{}}', "payloadDescriptors"),
    (
        b'{"programName":"a","intervalPeriod":{"duration":"1H","start":"2023-01-09T16:00:00Z"}}',
        "dur",
    ),
    (b'{"programName":NaN}', "JSON"),
    (b'{"programName":"\xff"}', "JSON"),
]


@pytest.mark.parametrize(("body", "words"), BAD, ids=[str(n) for n in range(len(BAD))])
async def test_what_is_wrong_is_said(standard: Vtn, body: bytes, words: str) -> None:
    """A problem with status 400 and the place of what is wrong."""
    operator = await standard.as_("operator")
    status, problem = await operator.bad("POST", "/programs", body)
    assert (status, problem["status"], problem["title"]) == (400, 400, "Bad Request")
    assert words in problem["detail"]
    assert len(problem["detail"]) <= 1000


async def test_all_refusals_are_problems(standard: Vtn) -> None:
    """Paths that are none, methods that are not there, bodies too long, a store that fails."""
    operator, aars = await standard.filled()
    with standard.seen.bad_requests():
        for method, path, status in (
            ("GET", "", 404),
            ("GET", "/nothing", 404),
            ("GET", "/programs/", 404),
            ("PATCH", "/programs", 405),
            ("POST", "/programs/x", 405),
        ):
            refused = await operator(method, path)
            assert (refused[0], refused[1]["status"]) == (status, status)
        status, problem = await operator("GET", "/programs/" + 5000 * "x")
        assert (status, len(problem["detail"])) == (404, 1000)
        for path, who in (("/programs", operator), ("/reports", aars)):
            status, problem = await who("POST", path, b" " * (MAX_BODY + 1))
            assert (status, problem["title"][:7]) == (413, "Request")
        standard.store.close()
        for ask in (operator("GET", "/programs"), aars("POST", *standard.sample("report"))):
            status, problem = await ask
            assert (status, problem["title"]) == (503, "Service Unavailable")


async def test_odd_numbers_are_kept(standard: Vtn) -> None:
    """A value may be any number, also one that fits in no machine word."""
    operator, _ = await standard.filled()
    values = [2**70, -(2**63) - 1, 1e308, 0.1, True, "x", {"x": 1, "y": 2}]
    interval = {"id": -(2**31), "payloads": [{"type": "PRICE", "values": values}]}
    made = await operator.made("event", intervals=[interval], targets=None, priority=2**65)
    assert made["intervals"] == [interval]
    for odd in (2**31, 1.5, "1", None):
        wrong = standard.sample("event", intervals=[interval | {"id": odd}])
        assert (await operator.bad("POST", *wrong))[0] == 400


async def test_health_is_ours(standard: Vtn) -> None:
    """The same words at each base path and at the root, for everybody."""
    answers = [
        (await standard.http.get(path)).json()
        for path in ("/health", "/flat/health", f"{standard.base}/health")
    ]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["refuses_repeated_names"]
    standard.store.repeats = {"reports"}
    assert not (await standard.http.get(f"{standard.base}/health")).json()["refuses_repeated_names"]


async def test_the_page_of_the_api_is_complete_and_offline(standard: Vtn) -> None:
    """Nothing is loaded from elsewhere; each body, answer and refusal has its shape."""
    page = (await standard.http.get(f"{standard.base}/docs")).text
    assert f'{standard.base}/static-offline-docs/swagger-ui-bundle.js"' in page
    assert "//" not in page.replace("// `", "")
    document = (await standard.http.get(f"{standard.base}/openapi.json")).json()
    resource = document["paths"][standard.path("resource").replace("/v/", "/{venID}/")]
    assert set(resource["post"]["responses"]) >= {"201", "400", "403", "404", "409", "413"}
    assert {each["name"] for each in resource["get"]["parameters"]} >= {"resourceName", "skip"}
    event = document["components"]["schemas"]["Event"]
    assert set(event["required"]) >= {"id", "createdDateTime", "programID"}
