"""The oracle: exchanges that the documents allow, and others, worked by hand."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from openapi_schema_validator import OAS30Validator, oas30_format_checker

from tests.standard.documents import KINDS, VERSIONS, document, published
from tests.standard.oracle import FORM, Oracle, oracle
from tests.standard.samples import LOADS, answered, path, request

SENT = {"Content-Type": "application/json", "Authorization": "Bearer x"}


def told(  # noqa: PLR0917 - what an exchange is made of
    version: str,
    method: str,
    where: str,
    sent: Any = None,
    status: int = 200,
    back: Any = None,
    **options: Any,
) -> None:
    """Hold an exchange of JSON against the version's document."""
    raw = b"" if sent is None else json.dumps(sent).encode()
    path, _, query = where.partition("?")
    oracle(version).exchange(
        method, path, query, SENT, raw, status, json.dumps(back).encode(), **options
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_good_exchanges_of_each_kind(version: str, kind: str) -> None:
    """Create, list, read, replace and delete an object as the documents have it: no word."""
    sent, back = request(version, kind), answered(version, kind)
    told(version, "POST", path(version, kind), sent, 201, back)
    told(version, "GET", path(version, kind) + "?skip=0&limit=50", back=[back, back])
    for method, body in (("GET", None), ("PUT", sent), ("DELETE", None)):
        told(version, method, path(version, kind, "object-1"), body, 200, back)
    problem = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "no such"}
    told(version, "GET", path(version, kind, "object-1"), status=404, back=problem)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_an_answer_lacks_what_the_vtn_provides(version: str, kind: str) -> None:
    """An answer needs id, times and objectType; and the objectType is the kind's."""
    for name in ("id", "createdDateTime", "modificationDateTime", "objectType"):
        back = answered(version, kind)
        del back[name]
        with pytest.raises(AssertionError, match=f"POST .*: the 201 answer: .*{name}"):
            told(version, "POST", path(version, kind), request(version, kind), 201, back)
    other = answered(version, kind, objectType="EVENT" if kind == "ven" else "VEN")
    with pytest.raises(AssertionError, match="at 0/objectType"):
        told(version, "GET", path(version, kind), back=[other])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_request_lacks_what_is_required(version: str, kind: str) -> None:
    """Each required member that is left out is an error that names it."""
    name = {"event": "programID", "report": "clientName", "subscription": "clientName"}.get(
        kind, f"{kind}Name"
    )
    sent = request(version, kind)
    del sent[name]
    words = name if version == "3.0.1" or kind not in ("ven", "resource") else "oneOf"
    with pytest.raises(AssertionError, match=f"the request: at the whole: .*{words}"):
        told(version, "POST", path(version, kind), sent, 201, answered(version, kind))
    told(version, "POST", path(version, kind), sent, 400, {"status": 400}, request=False)


BAD_REPORTS: list[tuple[dict[str, Any], str]] = [
    ({"clientName": ""}, "clientName: "),
    ({"clientName": "a" * 129}, "clientName: "),
    ({"eventID": "no blanks"}, "eventID: "),
    ({"eventID": None}, "eventID: "),
    ({"resources": {}}, "resources: "),
    ({"resources": [LOADS[0] | {"resourceName": 3}]}, "resources/0/resourceName: "),
    ({"resources": [LOADS[0] | {"intervals": [{"id": 0}]}]}, "resources/0/intervals/0: "),
    ({"resources": [LOADS[0], LOADS[1] | {"intervals": None}]}, "resources/1/intervals: "),
]
PERIODS = [
    ({"start": "2023-01-09T16:00:00"}, False),  # no zone
    ({"start": "2023-01-09 16:00:00Z"}, False),
    ({"start": "2023-02-30T16:00:00Z"}, False),
    ({"start": "0001-01-01"}, True),
    ({"start": "0001-01-01T00:00:00"}, True),
    ({"start": "0001-01-01T00:00:00Z", "duration": "P9999Y"}, True),
    ({"start": "2023-01-09T16:00:00Z", "duration": None}, True),
    ({"start": "2023-01-09T16:00:00Z", "duration": "P1D1W"}, False),
    ({"start": "2023-01-09T16:00:00Z", "duration": "PT"}, False),
    ({"start": "2023-01-09T16:00:00Z", "duration": "PT1.5S"}, True),
    (None, True),
]


@pytest.mark.parametrize(("changes", "place"), BAD_REPORTS, ids=lambda one: str(one)[:40])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_bad_report_is_told_by_its_place(
    version: str, changes: dict[str, Any], place: str
) -> None:
    """A report's wrong member is named as its place in the request, and in an answer alike."""
    sent, back = request(version, "report", **changes), answered(version, "report", **changes)
    with pytest.raises(AssertionError, match=f"POST /reports: the request: .*{place}"):
        told(version, "POST", "/reports", sent, 201, answered(version, "report"))
    with pytest.raises(AssertionError, match=f"POST /reports: the 201 answer: .*{place}"):
        told(version, "POST", "/reports", request(version, "report"), 201, back)


@pytest.mark.parametrize(("period", "good"), PERIODS, ids=str)
@pytest.mark.parametrize("version", VERSIONS)
def test_times_and_durations(version: str, period: Any, good: bool) -> None:
    """A date-time is RFC 3339 with a zone, but for the two ways to write 'now'; null is absence."""
    sent = request(version, "event", intervalPeriod=period)
    if good:
        told(version, "POST", "/events", sent, 201, answered(version, "event"))
    else:
        with pytest.raises(AssertionError, match="intervalPeriod"):
            told(version, "POST", "/events", sent, 201, answered(version, "event"))


def test_a_start_is_optional_in_3_1_0_only() -> None:
    """3.0.1 requires the start of an intervalPeriod."""
    period = {"duration": "PT15M"}
    sent = request("3.1.0", "event", intervalPeriod=period)
    told("3.1.0", "POST", "/events", sent, 201, answered("3.1.0", "event"))
    with pytest.raises(AssertionError, match='"start" is a required'):
        told("3.0.1", "POST", "/events", request("3.0.1", "event", intervalPeriod=period), 201)


def test_values_of_a_payload() -> None:
    """A value is a number, a text, a truth or a point; not null, and an id is 32 bits."""
    for values in ([None], [[1]], [{"x": 1}], 3):
        intervals = [{"id": 0, "payloads": [{"type": "PRICE", "values": values}]}]
        with pytest.raises(AssertionError, match="intervals/0/payloads/0/values"):
            told("3.1.0", "POST", "/events", request("3.1.0", "event", intervals=intervals), 201)
    intervals = [{"id": 2**31, "payloads": []}]
    with pytest.raises(AssertionError, match="intervals/0/id"):
        told("3.0.1", "POST", "/events", request("3.0.1", "event", intervals=intervals), 201)


def test_members_that_nobody_knows_are_allowed() -> None:
    """The documents forbid no further members, and so they pass; shapes of one version too."""
    sent = request("3.0.1", "ven", objectType="VEN", colour="red")
    told("3.0.1", "POST", "/vens", sent, 201, answered("3.0.1", "ven", colour="red"))
    targets = [{"type": "GROUP", "values": ["a"]}]
    with pytest.raises(AssertionError, match="targets/0"):
        told("3.1.0", "POST", "/events", request("3.1.0", "event", targets=targets), 201)


def test_who_makes_a_ven_in_3_1_0() -> None:
    """A VEN's request or business logic's, told apart by objectType; the answer is a VEN."""
    ven = {"venName": "Aars"}
    back = answered("3.1.0", "ven")
    told("3.1.0", "POST", "/vens", ven | {"objectType": "VEN_VEN_REQUEST"}, 201, back)
    bl = ven | {"objectType": "BL_VEN_REQUEST", "clientID": "c1", "targets": ["a"]}
    told("3.1.0", "POST", "/vens", bl, 201, back)
    for bad in (ven, ven | {"objectType": "BL_VEN_REQUEST"}, ven | {"objectType": "VEN"}):
        with pytest.raises(AssertionError, match="the request"):
            told("3.1.0", "POST", "/vens", bad, 201, back)
    with pytest.raises(AssertionError, match="the 201 answer: at objectType"):
        told("3.1.0", "POST", "/vens", bl, 201, back | {"objectType": "BL_VEN_REQUEST"})
    with pytest.raises(AssertionError, match="clientID"):
        told("3.1.0", "GET", "/vens", back=[{k: v for k, v in back.items() if k != "clientID"}])


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("limit=51", "query limit"),
        ("limit=-1", "query limit"),
        ("limit=many", "query limit"),
        ("limit=1&limit=2", "query limit"),
        ("skip=-1", "query skip"),
        ("skip=1.5", "query skip"),
        ("colour=red", "query colour: the document has no such"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_bad_query(version: str, query: str, place: str) -> None:
    """A parameter that is unknown or out of its bounds is named; nothing else is said of it."""
    with pytest.raises(AssertionError, match=f"{version} GET /vens: {place}"):
        told(version, "GET", f"/vens?{query}", back=[])
    told(version, "GET", f"/vens?{query}", status=400, back={}, request=False)


def test_targets_in_a_query() -> None:
    """3.0.1 has a type and values, 3.1.0 targets that are repeated; neither knows the other's."""
    told("3.0.1", "GET", "/vens?targetType=GROUP&targetValues=a&targetValues=b&skip=0", back=[])
    told("3.1.0", "GET", "/vens?targets=a&targets=b", back=[])
    told("3.1.0", "GET", "/events?active=true&programID=p1", back=[])
    with pytest.raises(AssertionError, match="query active"):
        told("3.1.0", "GET", "/events?active=1", back=[])
    with pytest.raises(AssertionError, match="query targetType: the document has no such"):
        told("3.1.0", "GET", "/vens?targetType=GROUP", back=[])
    with pytest.raises(AssertionError, match="query targets: the document has no such"):
        told("3.0.1", "GET", "/vens?targets=a", back=[])
    query = {"targets": ["a", "b"], "skip": 0}
    oracle("3.1.0").exchange("GET", "/vens", query, SENT, b"", 200, b"[]")
    oracle("3.1.0").exchange("GET", "/events", {"active": True}, SENT, b"", 200, b"[]")


def test_path_and_method_are_known() -> None:
    """A path or a method that the document has not is an error, with the base path or without."""
    with pytest.raises(AssertionError, match="vens/v1/resources: the document has no such path"):
        told("3.1.0", "GET", "/vens/v1/resources", back=[])
    with pytest.raises(AssertionError, match="no such method"):
        told("3.1.0", "PATCH", "/events/e1", {}, back={})
    told("3.1.0", "PATCH", "/events/e1", {}, 405, {"status": 405}, request=False)
    told("3.1.0", "GET", "/nothing", status=404, back={"status": 404}, request=False)
    with pytest.raises(AssertionError, match="the 404 answer: at status"):
        told("3.1.0", "GET", "/nothing", status=404, back={"status": "no"}, request=False)
    with pytest.raises(AssertionError, match="no such path"):
        told("3.1.0", "GET", "/nothing", back=[], request=False)
    told("3.1.0", "GET", "/openadr3/3.1.0/resources", back=[])
    with pytest.raises(AssertionError, match="path eventID"):
        told("3.1.0", "GET", "/events/no%20blanks", status=404, back={})
    told("3.1.0", "GET", "/events/no%20blanks", status=404, back={}, request=False)


@pytest.mark.parametrize("version", VERSIONS)
def test_status_is_documented(version: str) -> None:
    """A status that the operation has not is an error, whatever the request was meant to be."""
    with pytest.raises(AssertionError, match="answered 200, and the document has 201, 400"):
        told(version, "POST", "/vens", request(version, "ven"), 200, answered(version, "ven"))
    with pytest.raises(AssertionError, match="answered 404"):
        told(version, "GET", "/vens", status=404, back={}, request=False)
    with pytest.raises(AssertionError, match="answered 422"):
        told(version, "POST", "/vens", {}, 422, {}, request=False)
    if version == "3.0.1":
        with pytest.raises(AssertionError, match="answered 401"):
            told(version, "GET", "/vens", status=401, back={})
    else:
        told(version, "GET", "/vens", status=401, back={})


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_ours(version: str) -> None:
    """GET /health, a body too long (413) and a store that fails (503) are extensions of ours."""
    told(version, "GET", "/health", back={"status": "ok", "name": "v", "dialects": []})
    with pytest.raises(AssertionError, match=r"GET /health.*status"):
        told(version, "GET", "/health", back={"name": "v", "dialects": []})
    told(version, "POST", "/reports", request(version, "report"), 413, {"status": 413})
    told(version, "POST", "/reports", request(version, "report"), 503, {"status": 503})
    with pytest.raises(AssertionError, match="the 413 answer: at status"):
        told(version, "POST", "/reports", request(version, "report"), 413, {"status": "413"})


def test_body_is_json_of_its_type() -> None:
    """What is sent must be JSON and say so; what comes back is strict JSON, problems too."""
    there = oracle("3.1.0")
    body, back = json.dumps(request("3.1.0", "ven")).encode(), b"{}"
    with pytest.raises(AssertionError, match="a body of type 'text/plain'"):
        there.exchange("POST", "/vens", "", {"content-type": "text/plain"}, body, 400, back)
    with pytest.raises(AssertionError, match="the request: not JSON"):
        there.exchange("POST", "/vens", "", SENT, b"{", 400, back)
    with pytest.raises(AssertionError, match="the 400 answer: not JSON"):
        there.exchange("POST", "/vens", "", SENT, body, 400, b"oh")
    with pytest.raises(AssertionError, match="not JSON"):
        there.exchange("GET", "/vens", "", SENT, b"", 200, b"[NaN]")
    with pytest.raises(AssertionError, match="has no body"):
        there.exchange("POST", "/vens", "", SENT, b"", 400, back)
    with pytest.raises(AssertionError, match="a body, and the document has none"):
        there.exchange("DELETE", "/vens/v1", "", SENT, body, 400, back)
    html = {"Content-Type": "text/html"}
    with pytest.raises(AssertionError, match="of type 'text/html'"):
        there.exchange("GET", "/vens", "", SENT, b"", 200, b"[]", response_headers=html)
    said = {"content-type": "application/json; charset=utf-8"}
    there.exchange("GET", "/vens", "", SENT, b"", 200, b"[]", response_headers=said)


@pytest.mark.parametrize("version", VERSIONS)
def test_tokens(version: str) -> None:
    """A form with id and secret, or Basic and a form without; Bearer is the only type."""
    there, form = oracle(version), {"Content-Type": FORM}
    good = json.dumps({"access_token": "t", "token_type": "Bearer", "expires_in": 60}).encode()
    asked = b"grant_type=client_credentials&client_id=a&client_secret=b&scope="
    there.exchange("POST", "/auth/token", "", form, asked, 200, good)
    basic = form | {"Authorization": "Basic YTpi"}
    there.exchange("POST", "/auth/token", "", basic, b"grant_type=client_credentials", 200, good)
    for bad in (
        b"grant_type=client_credentials",
        b"grant_type=password&client_id=a&client_secret=",
    ):
        with pytest.raises(AssertionError, match="POST /auth/token: the request"):
            there.exchange("POST", "/auth/token", "", form, bad, 400, b'{"error":"invalid_client"}')
    with pytest.raises(AssertionError, match="a body of type 'application/json'"):
        there.exchange("POST", "/auth/token", "", SENT, b"{}", 400, b'{"error":"invalid_request"}')
    lower = good.replace(b"Bearer", b"bearer")
    with pytest.raises(AssertionError, match="token_type"):
        there.exchange("POST", "/auth/token", "", form, asked, 200, lower)
    there.exchange("POST", "/auth/token", "", form, asked, 401, b'{"error":"invalid_client"}')
    if version == "3.0.1":
        with pytest.raises(AssertionError, match="the 400 answer: at error"):
            there.exchange("POST", "/auth/token", "", form, asked, 400, b'{"error":"no"}')


def test_discovery_and_notifiers() -> None:
    """3.1.0 tells where tokens are given, which notifiers there are, and their topics."""
    told("3.1.0", "GET", "/auth/server", back={"tokenURL": "http://127.0.0.1:1/auth/token"})
    with pytest.raises(AssertionError, match="tokenURL"):
        told("3.1.0", "GET", "/auth/server", back={"tokenURL": "/auth/token"})
    told("3.1.0", "GET", "/notifiers", back={"WEBHOOK": True})
    with pytest.raises(AssertionError, match="WEBHOOK"):
        told("3.1.0", "GET", "/notifiers", back={"MQTT": None})
    for which in ("events", "programs/p1", "programs/p1/events", "vens/v1/resources"):
        where = f"/notifiers/mqtt/topics/{which}"
        told("3.1.0", "GET", where, back={"topics": {"UPDATE": "a", "DELETE": "b"}})
        told("3.1.0", "GET", where, status=404, back={"status": 404})
    with pytest.raises(AssertionError, match="no such path"):
        told("3.0.1", "GET", "/notifiers", back={})


def test_notification_is_of_one_kind() -> None:
    """What a VTN posts to a callback: one object, told by its objectType."""
    for version, done in (("3.0.1", "POST"), ("3.0.1", "CREATE"), ("3.1.0", "CREATE")):
        for kind in KINDS:
            told_of = {"objectType": kind.upper(), "operation": done}
            content = told_of | {"object": answered(version, kind)}
            oracle(version).valid("notification", content)
    content = {"objectType": "VEN", "operation": "POST", "object": answered("3.1.0", "ven")}
    with pytest.raises(AssertionError, match="operation"):
        oracle("3.1.0").valid("notification", content)


def test_scopes_of_an_operation() -> None:
    """The oracle says what an operation's token must allow."""
    assert oracle("3.1.0").security("GET", "/events") == ["read_targets"]
    assert oracle("3.1.0").security("GET", "/notifiers/mqtt/topics/vens") == ["read_all"]
    assert oracle("3.0.1").security("GET", "/openadr3/3.0.1/events") == ["read_all"]
    assert oracle("3.1.0").security("GET", "/auth/server") == []


def test_patches_are_needed() -> None:
    """Without its patch a ven's answer of 3.1.0 could not be right, and 3.0.1's need no id."""
    back = json.dumps(answered("3.1.0", "ven")).encode()
    with pytest.raises(AssertionError, match="the 200 answer: at objectType"):
        Oracle("3.1.0", published("3.1.0")).exchange("GET", "/vens/v1", "", SENT, b"", 200, back)
    plain = json.dumps(request("3.0.1", "ven")).encode()
    Oracle("3.0.1", published("3.0.1")).exchange("GET", "/vens/v1", "", SENT, b"", 200, plain)


@pytest.mark.parametrize("version", VERSIONS)
def test_another_validator_agrees(version: str) -> None:
    """openapi-schema-validator, which knows OpenAPI 3.0 itself, says the same of all of these."""
    content = document(version)
    reports: list[Any] = [request(version, "report", **changes) for changes, _ in BAD_REPORTS]
    events: list[Any] = [request(version, "event", intervalPeriod=period) for period, _ in PERIODS]
    suffix = "Request" if version == "3.1.0" else ""
    cases = [(f"report{suffix}", one) for one in reports]
    cases += [(f"event{suffix}", one) for one in events]
    cases += [(f"{kind}{suffix}", request(version, kind)) for kind in KINDS]
    cases += [(kind, answered(version, kind)) for kind in KINDS]
    cases += [(f"{kind}{suffix}", {}) for kind in KINDS]
    verdicts = set()
    for schema, one in cases:
        whole = {"$ref": f"#/components/schemas/{schema}", "components": content["components"]}
        theirs = OAS30Validator(whole, format_checker=oas30_format_checker).is_valid(one)
        try:
            oracle(version).valid(schema, one)
            ours = True
        except AssertionError:
            ours = False
        assert ours == theirs, one
        verdicts.add(ours)
    assert verdicts == {True, False}


def test_checking_is_fast() -> None:
    """A report of 405 readings and its answer cost less than ten times what reading them costs.

    Measured 2.3 ms, where json takes 2.0; a validator in Python takes 60 for one of the two.
    """
    resources = LOADS * 202 + LOADS[:1]
    sent = json.dumps(request("3.1.0", "report", resources=resources)).encode()
    back = json.dumps(answered("3.1.0", "report", resources=resources)).encode()

    def best(work: Any) -> float:
        took = []
        for _ in range(5):
            begun = time.perf_counter()
            work()
            took.append(time.perf_counter() - begun)
        return min(took)

    there = oracle("3.1.0")
    checked = best(lambda: there.exchange("POST", "/reports", "", SENT, sent, 201, back))
    assert checked < 10 * best(lambda: (json.loads(sent), json.loads(back)))
