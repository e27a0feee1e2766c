"""The flat API over a store in memory."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.vtn.conftest import Client, report, resource
from venlab.embedded import DIALECTS
from venlab.errors import ConfigError
from venlab.secret import Secret
from venlab.vtn.app import create_app
from venlab.vtn.reports import MAX_BODY
from venlab.vtn.store import Store

EVENT = {
    "event_name": "evening peak",
    "start_date": "2023-01-09T16:00:00Z",
    "end_date": "2023-01-09T18:00:00+00:00",
    "signal": {"type": "SIMPLE", "values": [1], "unit": ""},
    "interval_minutes": 60,
    "targets": ["Aars"],
}


async def an_event(vtn: Client, **changes: Any) -> dict[str, Any]:
    _, program = await vtn("POST", "/programs", {"program_name": "peaks"})
    content = EVENT | {"program_id": program["id"]} | changes
    status, event = await vtn("POST", "/events", content)
    assert status == 201
    return event


async def test_a_ven_gets_an_id_and_a_token_once(vtn: Client) -> None:
    """201 shows the token; a repeated name is 409 with the id and without it; lists have none."""
    ven = await vtn.ven()
    assert (ven["ven_name"], ven["client_name"]) == ("Aars", "aars")
    status, refusal = await vtn("POST", "/vens", {"ven_name": "Aars", "client_name": "x"})
    assert (status, refusal) == (409, {"detail": "VEN 'Aars' is there", "id": ven["id"]})
    shown = {"id": ven["id"], "ven_name": "Aars", "client_name": "aars"}
    assert await vtn("GET", "/vens?ven_name=Aars") == (200, [shown])
    assert await vtn("GET", "/vens?ven_name=Nobody") == (200, [])


async def test_only_hashes_of_tokens_are_stored(vtn: Client, store: Store) -> None:
    """The store never holds a token that opens anything, the operator's not even as a hash."""
    ven = await vtn.ven()
    rows = store.page("vens")
    assert ven["auth_token"] not in repr(rows)
    assert {len(row["token_hash"]) for row in rows} == {32}
    assert len(rows) == 1


async def test_a_new_token_ends_the_old_one(vtn: Client) -> None:
    """POST /vens/{id}/token: the old token is 401 from then on, the new one is the VEN's."""
    ven = await vtn.ven()
    old = vtn.as_(ven["auth_token"])
    assert (await old("GET", "/vens"))[0] == 200
    status, renewed = await vtn("POST", f"/vens/{ven['id']}/token")
    assert (status, list(renewed)) == (200, ["auth_token"])
    assert (await old("GET", "/vens"))[0] == 401
    assert (await vtn.as_(renewed["auth_token"])("GET", "/vens"))[0] == 200
    assert (await vtn("POST", "/vens/nobody/token"))[0] == 404


async def test_a_new_operator_leaves_the_vens_their_tokens(vtn: Client, store: Store) -> None:
    """A restart may bring a new credential: the old one is no longer valid, VEN tokens are."""
    ven = await vtn.ven()
    transport = httpx.ASGITransport(create_app(store, Secret("new")))
    async with httpx.AsyncClient(transport=transport, base_url="http://vtn") as http:
        assert (await Client(http, "op")("GET", "/vens"))[0] == 401
        assert (await Client(http, "new")("GET", "/vens"))[0] == 200
        assert (await Client(http, ven["auth_token"])("GET", "/vens"))[0] == 200


def test_an_empty_credential_is_refused(store: Store) -> None:
    """Nobody becomes operator by an empty token."""
    with pytest.raises(ConfigError):
        create_app(store, Secret(""))


async def test_a_resource_is_approved_until_the_operator_says_otherwise(vtn: Client) -> None:
    """201 {id}, 409 {id} for the id or the name; status changes by PATCH."""
    await vtn.ven()
    assert await vtn("POST", "/resources", resource("Aars")) == (201, {"id": "aars/restaurant_01"})
    for again in ({}, {"id": "another"}, {"resource_name": "another"}):
        status, refusal = await vtn("POST", "/resources", resource("Aars", **again))
        assert (status, refusal["id"]) == (409, "aars/restaurant_01")
    assert (await vtn("POST", "/resources", resource("Nobody")))[0] == 404
    path = "/resources/aars%2Frestaurant_01"
    assert (await vtn("GET", path))[1]["status"] == "approved"
    assert (await vtn("PATCH", path, {"status": "suspended"}))[0] == 200
    shown = {
        "id": "aars/restaurant_01",
        "resource_name": "restaurant_01",
        "ven_name": "Aars",
        "resource_type": "restaurant",
        "status": "suspended",
    }
    assert await vtn("GET", "/resources?ven_name=Aars") == (200, [shown])
    assert (await vtn("PATCH", path, {"status": "asleep"}))[0] == 422
    assert (await vtn("PATCH", "/resources/nobody", {"status": "approved"}))[0] == 404


async def test_a_report_is_shown_as_sent_with_id_and_times(vtn: Client) -> None:
    """201 echoes the members sent, then id and times; an extra member is kept and shown."""
    ven = await vtn.ven_with_resource()
    for name, more in (("run/a", {}), ("run/b", {"colour": "red", "id": "mine"})):
        sent = report(name, ven["id"], **more)
        status, shown = await vtn("POST", "/reports", sent)
        assert status == 201
        times = {k: shown[k] for k in ("created_date_time", "modification_date_time")}
        assert shown == sent | times | {"id": shown["id"]}
        assert shown["id"] != "mine"
        assert await vtn("GET", f"/reports?after={name[:-1]}&skip={name == 'run/b':d}") == (
            200,
            [shown],
        )


async def test_a_report_name_is_taken_once(vtn: Client) -> None:
    """A repeated name is 409 with the id that has it, whatever else the report says."""
    ven = await vtn.ven_with_resource()
    first = (await vtn("POST", "/reports", report("run/a", ven["id"])))[1]
    for more in ({}, {"start": "2023-01-09T16:15:00Z"}, {"extra": 1}):
        status, refusal = await vtn("POST", "/reports", report("run/a", ven["id"], **more))
        assert (status, refusal["id"]) == (409, first["id"])
    assert len((await vtn("GET", "/reports"))[1]) == 1


async def test_a_suspended_resource_may_still_report(vtn: Client) -> None:
    """What was measured before the VEN heard of the suspension is not lost."""
    ven = await vtn.ven_with_resource()
    await vtn("PATCH", "/resources/aars/restaurant_01", {"status": "suspended"})
    assert (await vtn("POST", "/reports", report("run/a", ven["id"])))[0] == 201


async def test_all_wrong_fields_are_named_at_once(vtn: Client) -> None:
    """422 in the old system's words: type, loc, msg, input of every wrong field."""
    ven = await vtn.ven_with_resource()
    wrong = report("run/a", ven["id"], report_type="READING", reading_type="DIRECT_READ")
    del wrong["ven_id"]
    wrong["start"] = "2023-13-01T00:00:00Z"
    wrong["intervals"] = [{"id": "0", "payloads": [{"type": "", "values": [True]}]}]
    status, refusal = await vtn("POST", "/reports", wrong)
    assert status == 422
    assert all(set(problem) == {"type", "loc", "msg", "input"} for problem in refusal["detail"])
    assert [problem["loc"] for problem in refusal["detail"]] == [
        ["body", "ven_id"],
        ["body", "report_type"],
        ["body", "reading_type"],
        ["body", "start"],
        ["body", "intervals", 0, "id"],
        ["body", "intervals", 0, "payloads", 0, "type"],
        ["body", "intervals", 0, "payloads", 0, "values", 0],
    ]
    assert refusal["detail"][1]["input"] == "READING"


@pytest.mark.parametrize("path", ["/reports", "/vens"])
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"a":NaN}', b'{"report_name":1e999}'),
        *(b'{"a":"\\ud800"}', '{"ven_name":"Å"}'.encode("utf-16"), b"[" * 100_000),
    ],
)
async def test_what_is_no_json_object_is_422(vtn: Client, path: str, body: bytes) -> None:
    """Malformed, not UTF-8, not finite, too deep: 422 with details, never a 500."""
    status, refusal = await vtn("POST", path, body)
    assert status == 422
    assert refusal["detail"][0]["loc"][0] == "body"


async def test_refusals_come_in_order(vtn: Client) -> None:
    """401 before 422 before 403 and 404 before 409; unknown paths are 404 for everybody."""
    ven = await vtn.ven_with_resource()
    other = vtn.as_((await vtn.ven("Skive"))["auth_token"])
    good = report("run/a", ven["id"])
    assert (await vtn("POST", "/reports", good))[0] == 201
    bad = good | {"start": 5}
    for stranger in (vtn.as_(None), vtn.as_("wrong"), vtn.as_("")):
        assert (await stranger("POST", "/reports", bad))[0] == 401
        assert (await stranger("POST", "/reports", b"{"))[0] == 401
        assert (await stranger("GET", "/nothing"))[0] == 404
    assert (await other("POST", "/reports", bad))[0] == 422
    assert (await other("POST", "/vens", {"ven_name": 5}))[0] == 422
    assert (await other("POST", "/reports", good))[0] == 403
    assert (await vtn("POST", "/reports", good | {"ven_id": "nobody"}))[0] == 404
    assert (await vtn("POST", "/reports", good | {"resource_id": "nothing"}))[0] == 404
    _, skive = await other("GET", "/vens")
    assert (await other("POST", "/reports", good | {"ven_id": skive[0]["id"]}))[0] == 404
    assert (await vtn("POST", "/reports", good))[0] == 409
    assert await vtn("GET", "/nothing") == (404, {"detail": "Not Found"})
    assert (await vtn("DELETE", "/vens"))[0] == 405
    assert (await vtn("PUT", "/reports", good | {"report_name": "run/b"}))[0] == 405


async def test_a_ven_reads_and_writes_its_own_only(vtn: Client) -> None:
    """A VEN's token shows and changes what is the VEN's own, and does nothing of the operator's."""
    ven = await vtn.ven_with_resource()
    own = vtn.as_(ven["auth_token"])
    other = vtn.as_((await vtn.ven("Skive"))["auth_token"])
    event = await an_event(vtn)
    assert (await own("POST", "/reports", report("run/a", ven["id"])))[0] == 201
    said = {"event_id": event["id"], "response_type": "optIn"}
    path = f"/events/{event['id']}/responses"
    assert (await own("POST", path, said))[1]["ven_id"] == ven["id"]
    for listing, seen in (("/reports", 1), ("/resources", 1), (path, 1), ("/vens", 1)):
        assert len((await own("GET", listing))[1]) == seen
        assert len((await other("GET", listing))[1]) == (listing == "/vens")
    assert (await other("GET", "/resources/aars/restaurant_01"))[0] == 403
    assert (await other("POST", "/resources", resource("Aars", id="new")))[0] == 403
    assert (await other("POST", path, said | {"ven_id": ven["id"]}))[0] == 403
    enrolment = f"/programs/{event['program_id']}/resources?resource_id=aars/restaurant_01"
    assert (await other("POST", enrolment))[0] == 403
    for method, where, content in (
        ("POST", "/vens", {"ven_name": "X", "client_name": "x"}),
        ("POST", f"/vens/{ven['id']}/token", None),
        ("PATCH", "/resources/aars/restaurant_01", {"status": "pending"}),
        ("POST", "/programs", {"program_name": "x"}),
        ("POST", "/events", EVENT | {"program_id": event["program_id"]}),
        ("PUT", f"/events/{event['id']}", EVENT | {"program_id": event["program_id"]}),
        ("DELETE", f"/events/{event['id']}", None),
    ):
        assert (await own(method, where, content))[0] == 403


async def test_a_long_body_is_413_and_just_not_too_long_is_taken(vtn: Client) -> None:
    """The bound is `MAX_BODY`, for reports and for everything else."""
    ven = await vtn.ven_with_resource()
    for path in ("/reports", "/vens"):
        assert (await vtn("POST", path, b" " * (MAX_BODY + 1)))[0] == 413
    padding = MAX_BODY - 1000
    assert (await vtn("POST", "/reports", report("a", ven["id"], x="y" * padding)))[0] == 201
    _, refusal = await vtn("POST", "/reports", {"x": "y" * padding})
    assert len(refusal["detail"]) == 11
    assert len(json.dumps(refusal)) < 2000


async def test_the_type_a_body_claims_does_not_matter(vtn: Client) -> None:
    """A body is JSON, whatever its content type."""
    for number, kind in enumerate(("text/plain", "application/x-www-form-urlencoded", "")):
        answer = await vtn.http.post(
            "/flat/programs",
            content=b'{"program_name":"p%d"}' % number,
            headers={"authorization": "bearer op", "content-type": kind},
        )
        assert answer.status_code == 201


async def test_reports_are_read_by_name_page_by_page(vtn: Client) -> None:
    """`run` is what stands before the first slash; `after` is exclusive; a page has `limit`."""
    ven = await vtn.ven_with_resource()
    names = ["run/b", "run/a", "run.x/a", "run0/a", "run", "run/a/b", "other/æ"]
    for name in names:
        assert (await vtn("POST", "/reports", report(name, ven["id"])))[0] == 201

    async def names_of(query: str) -> list[str]:
        return [found["report_name"] for found in (await vtn("GET", f"/reports?{query}"))[1]]

    assert await names_of("") == sorted(names)
    assert await names_of("run=run") == ["run/a", "run/a/b", "run/b"]
    assert await names_of("run=run&limit=1") == ["run/a"]
    assert await names_of("run=run&limit=1&after=run/a") == ["run/a/b"]
    assert await names_of("run=run&after=run/b") == []
    assert await names_of("run=run&skip=2") == ["run/b"]
    assert await names_of("run=oth") == []
    for wrong in ("limit=0", "limit=5001", "skip=-1", f"skip={2**64}", "limit=x"):
        assert (await vtn("GET", f"/reports?{wrong}"))[0] == 422


async def test_lists_keep_their_order_over_pages(vtn: Client) -> None:
    """VENs are listed as they came, and skip and limit cut that list."""
    ids = [(await vtn.ven(name))["id"] for name in ("Skive", "Aars", "Bramming")]
    pages = [(await vtn("GET", f"/vens?skip={n}&limit=1"))[1] for n in range(4)]
    assert [ven["id"] for page in pages for ven in page] == ids


async def test_programs_and_enrolment(vtn: Client) -> None:
    """201 once, then 409 with the id; unknown program or resource is 404."""
    await vtn.ven_with_resource()
    status, program = await vtn("POST", "/programs", {"program_name": "peaks"})
    assert (status, await vtn("GET", "/programs")) == (201, (200, [program]))
    status, refusal = await vtn("POST", "/programs", {"program_name": "peaks"})
    assert (status, refusal["id"]) == (409, program["id"])
    path = f"/programs/{program['id']}/resources?resource_id="
    assert (await vtn("POST", path + "aars/restaurant_01"))[0] == 201
    assert (await vtn("POST", path + "aars/restaurant_01"))[0] == 409
    assert (await vtn("POST", path + "nothing"))[0] == 404
    assert (await vtn("POST", "/programs/x/resources?resource_id=aars/restaurant_01"))[0] == 404


async def test_an_events_status_follows_the_clock(vtn: Client) -> None:
    """Scheduled before its start, active until its end, then completed."""
    now = datetime.now(UTC)
    for begins, ends, status in ((1, 2, "scheduled"), (-1, 1, "active"), (-2, -1, "completed")):
        event = await an_event(
            vtn,
            start_date=(now + timedelta(hours=begins)).isoformat(),
            end_date=(now + timedelta(hours=ends)).isoformat(),
        )
        assert event["status"] == status
        assert (await vtn("GET", f"/events/{event['id']}"))[1] == event


async def test_an_event_changes_by_versions_and_stays_when_cancelled(vtn: Client) -> None:
    """PUT and DELETE raise modification_number; a cancelled event stays listed and cancelled."""
    event = await an_event(vtn)
    assert event["modification_number"] == 0
    path, content = f"/events/{event['id']}", EVENT | {"program_id": event["program_id"]}
    status, changed = await vtn("PUT", path, content | {"event_name": "later", "targets": []})
    assert (status, changed["event_name"], changed["modification_number"]) == (200, "later", 1)
    for _ in range(2):  # cancelling again changes nothing
        status, gone = await vtn("DELETE", path)
        assert (status, gone["status"], gone["modification_number"]) == (200, "cancelled", 2)
    assert await vtn("GET", "/events") == (200, [gone])
    assert (await vtn("PUT", path, content))[0] == 409
    for method, body in (("GET", None), ("PUT", content), ("DELETE", None)):
        assert (await vtn(method, "/events/nothing", body))[0] == 404


async def test_an_event_that_cannot_be_is_422(vtn: Client) -> None:
    """It must end after it starts, in an existing program, at existing times."""
    _, program = await vtn("POST", "/programs", {"program_name": "p"})
    content = EVENT | {"program_id": program["id"]}
    status, refusal = await vtn("POST", "/events", content | {"end_date": EVENT["start_date"]})
    assert (status, refusal["detail"][0]["loc"]) == (422, ["body", "end_date"])
    assert (await vtn("POST", "/events", content | {"end_date": "2023-02-30T00:00:00Z"}))[0] == 422
    assert (await vtn("POST", "/events", content | {"interval_minutes": 0}))[0] == 422
    assert (await vtn("POST", "/events", content | {"program_id": "nothing"}))[0] == 404


async def test_the_last_response_holds(vtn: Client) -> None:
    """One response per event and VEN; the operator names the VEN; the event is the path's."""
    ven, event = await vtn.ven(), await an_event(vtn)
    path = f"/events/{event['id']}/responses"
    said = {"event_id": event["id"], "response_type": "optIn", "ven_id": ven["id"]}
    assert (await vtn("POST", path, said))[0] == 201
    status, answer = await vtn("POST", path, said | {"response_type": "optOut"})
    assert (status, await vtn("GET", path)) == (201, (200, [answer]))
    assert answer["response_type"] == "optOut"
    assert (await vtn("POST", path, said | {"ven_id": None}))[0] == 422
    assert (await vtn("POST", path, said | {"event_id": "another"}))[0] == 422
    assert (await vtn("POST", path, said | {"response_type": "maybe"}))[0] == 422
    assert (await vtn("POST", path, said | {"ven_id": "nobody"}))[0] == 404
    assert (await vtn("POST", "/events/x/responses", said | {"event_id": "x"}))[0] == 404


async def test_a_store_that_fails_is_503(vtn: Client, store: Store) -> None:
    """A full disk acknowledges nothing and says why, on the short cut too."""
    ven = await vtn.ven_with_resource()
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count={pages}")
    big = report("run/a", ven["id"]) | {"client_name": "x" * 256}
    answers = [await vtn("POST", "/reports", big | {"report_name": f"{n}"}) for n in range(40)]
    stored = [status for status, _ in answers].count(201)
    assert answers[-1] == (503, {"detail": "the VTN's store fails: database or disk is full"})
    assert (await vtn("POST", "/programs", {"program_name": "p" * 256}))[0] in (201, 503)
    store._db.execute(f"PRAGMA max_page_count={pages + 100}")
    assert len((await vtn("GET", "/reports"))[1]) == stored
    assert (await vtn("POST", "/reports", big | {"report_name": "again"}))[0] == 201
    store.close()
    assert (await vtn.as_("a VEN's, not asked for yet")("GET", "/vens"))[0] == 503


async def test_health_needs_no_token_and_names_the_dialects(vtn: Client) -> None:
    """A client learns from it whether a VTN, and which, is there."""
    _, health = await vtn.as_(None)("GET", "/health")
    assert (health["status"], health["name"], tuple(health["dialects"])) == (
        "ok",
        "venlab-vtn",
        DIALECTS,
    )
    assert health["refuses_repeated_names"] is True
    assert (await vtn.http.get("/health")).json() == health


async def test_the_documentation_needs_no_network(vtn: Client) -> None:
    """Every script, style and picture of the pages comes from the VTN itself."""
    assert (await vtn.http.get("/docs")).headers["location"] == "/flat/docs"
    for page in ("docs", "redoc"):
        html = (await vtn.http.get(f"/flat/{page}")).text
        sources = re.findall('(?:src|href)="([^"]*)"', html)
        assert len(sources) >= 2
        for source in sources:
            assert source.startswith("/flat/static-offline-docs/")
            assert (await vtn.http.get(source)).status_code == 200
    described = (await vtn.http.get("/flat/openapi.json")).json()
    members = described["components"]["schemas"]["ReportRequest"]["properties"]
    assert members["report_type"]["enum"] == ["baseline", "demand", "deviation", "usage"]
    assert len(described["paths"]) == 12
