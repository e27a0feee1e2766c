"""Who may do what in the standard's dialects, and what of others one sees."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.vtn.standards import BUSINESS, KINDS, Asker, Vtn, vtn_of
from venlab.vtn.store import Store

MINE = [kind for kind in KINDS if kind not in BUSINESS]
WRITES = {
    "program": "write_programs",
    "event": "write_events",
    "report": "write_reports",
    "subscription": "write_subscriptions",
    "ven": "write_vens",
    "resource": "write_vens",
}


def reads(vtn: Vtn, kind: str) -> str:
    """The scope with which a VEN reads a kind."""
    if not vtn.private:
        return "read_all"
    return "read_targets" if kind in BUSINESS else "read_ven_objects"


async def statuses(who: Asker, vtn: Vtn, kind: str) -> list[int]:
    """What one gets for list, look, replace, delete and create, in this order."""
    one, (many, body) = vtn.path(kind, vtn.ids[kind]), vtn.sample(kind)
    asked = [("GET", many, None), ("GET", one, None), ("PUT", one, body)]
    asked += [("DELETE", one, None), ("POST", many, body)]
    return [(await who(*each))[0] for each in asked]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_stranger_gets_nothing(standard: Vtn, kind: str) -> None:
    """Without a token, or with one that is made up: 403 in 3.0.1, which knows no 401, else 401."""
    await standard.filled()
    status = 401 if standard.private else 403
    with standard.seen.bad_requests():  # a stranger's body is not even read
        for token in (None, "who?", ""):
            assert await statuses(Asker(standard, token), standard, kind) == [status] * 5
    answer = await standard.http.get(f"{standard.base}/programs")
    assert ("www-authenticate" in answer.headers) == standard.private


@pytest.mark.parametrize("kind", KINDS)
async def test_each_scope_opens_its_own(standard: Vtn, kind: str) -> None:
    """With the scope to write one may not read, with that to read not write; without, neither."""
    operator, aars = await standard.filled()
    client = "operator" if kind in BUSINESS else "aars"
    reading = "read_all" if kind in BUSINESS else reads(standard, kind)
    reader = await standard.as_(client, scope=reading)
    assert await statuses(reader, standard, kind) == [200, 200, 403, 403, 403]
    other = "write_vens" if WRITES[kind] != "write_vens" else "write_subscriptions"
    assert await statuses(await standard.as_(client, scope=other), standard, kind) == [403] * 5
    writer = await standard.as_(client, scope=WRITES[kind])
    repeats = kind in ("event", "subscription")
    last = 400 if kind == "resource" and not standard.private else 201
    del operator, aars, last
    found = await statuses(writer, standard, kind)
    assert found == [403, 403, 200, 200, 201], repeats


async def test_the_roles(standard: Vtn) -> None:
    """Business logic writes programs and events, no reports; a VEN the other way round."""
    operator, aars = await standard.filled()
    for kind in BUSINESS:
        assert (await aars("POST", *standard.sample(kind)))[0] == 403
        assert (await aars("DELETE", standard.path(kind, standard.ids[kind])))[0] == 403
    for who in (operator, Asker(standard, "op")):
        assert (await who("POST", *standard.sample("report", reportName="r/2")))[0] == 403
        assert (await who("DELETE", standard.path("report", standard.ids["report"])))[0] == 403
        assert len(await who.listed("/reports")) == 1
    changed = standard.sample("program", programName="another")[1]
    path = standard.path("program", standard.ids["program"])
    assert (await Asker(standard, "op")("PUT", path, changed))[0] == 200


async def test_a_ven_changes_only_what_it_made(store: Store) -> None:
    """3.0.1: it sees all, and of what others made, or business logic, it changes nothing."""
    async with vtn_of("3.0.1", store) as vtn:
        operator, aars = await vtn.filled()
        other = await vtn.as_("other")
        for kind in MINE:
            found = await statuses(other, vtn, kind)
            # It has no resource behind a foreign ven either; of names, Aars and r/1 are taken.
            last = {"report": 409, "subscription": 201, "ven": 409, "resource": 403}[kind]
            assert found == [200, 200, 403, 403, last], kind
        ven = await operator.made("ven", venName="of the operator")
        assert (await aars("DELETE", f"/vens/{ven['id']}"))[0] == 403
        for kind in ("subscription", "resource", "ven"):
            assert (await operator("DELETE", vtn.path(kind, vtn.ids[kind])))[0] == 200


async def test_a_subscribers_token_is_its_own(standard: Vtn) -> None:
    """Who reads others' subscriptions does not learn what their endpoints take for proof."""
    operator, aars = await standard.filled()
    path = standard.path("subscription", standard.ids["subscription"])
    for who, shown in ((aars, True), (operator, False)):
        answers = [(await who("GET", path))[1], (await who.listed("/subscriptions"))[0]]
        for each in answers:
            assert ("bearerToken" in each["objectOperations"][0]) is shown
    _, deleted = await operator("DELETE", path)
    assert "bearerToken" not in deleted["objectOperations"][0]


@pytest.mark.parametrize("kind", MINE)
async def test_what_a_ven_made_is_its_own(private: Vtn, kind: str) -> None:
    """3.1.0: for another VEN it is not there, and it stays as it is; business logic sees it."""
    operator, aars = await private.filled()
    path = private.path(kind, private.ids[kind])
    before = (await aars("GET", path))[1]
    other = await private.as_("other")
    last = {"report": 409, "subscription": 201, "ven": 409, "resource": 404}[kind]
    assert await statuses(other, private, kind) == [200, 404, 404, 404, last]
    if kind != "subscription":
        assert await other.listed(private.path(kind)) == []
    seen = (await operator("GET", path))[1]
    assert (seen["id"], seen["clientID"]) == (before["id"], "aars")
    assert await aars("GET", path) == (200, before)


async def test_a_ven_cannot_put_itself_behind_another(private: Vtn) -> None:
    """A clientID or targets in what a VEN sends count for nothing, and BL_… is refused."""
    await private.filled()
    other = await private.as_("other")
    extra = {"clientID": "aars", "targets": ["vip"]}
    with private.seen.bad_requests():
        ven = await other.made("ven", venName="Other", **extra)
        assert (ven["clientID"], "targets" in ven) == ("other", False)
        sent = private.sample("ven", **extra, venName="Other")[1]
        _, changed = await other("PUT", f"/vens/{ven['id']}", sent)
        assert (changed["clientID"], "targets" in changed) == ("other", False)
        resource = await other.made("resource", venID=ven["id"], **extra)
        assert (resource["clientID"], "targets" in resource) == ("other", False)
    business = {"objectType": "BL_VEN_REQUEST", "venName": "X", "clientID": "x"}
    assert (await other("POST", "/vens", business))[0] == 403
    behind = {"objectType": "BL_RESOURCE_REQUEST", "clientID": "other", "resourceName": "X"}
    assert (await other("POST", "/resources", behind | {"venID": ven["id"]}))[0] == 403
    moved = private.sample("resource", venID=private.ids["ven"])[1]
    assert (await other("PUT", f"/resources/{resource['id']}", moved))[0] == 404


async def test_one_ven_a_client(private: Vtn) -> None:
    """3.1.0: 409 for a second ven of one clientID, whoever makes it, and by PUT."""
    operator, aars = await private.filled()
    assert (await aars("POST", *private.sample("ven", venName="second")))[0] == 409
    named = {"objectType": "BL_VEN_REQUEST", "venName": "second", "targets": ["g"]}
    assert (await operator("POST", "/vens", named | {"clientID": "aars"}))[0] == 409
    status, made = await operator("POST", "/vens", named | {"clientID": "skive"})
    assert (status, made["clientID"], made["targets"]) == (201, "skive", ["g"])
    path = f"/vens/{made['id']}"
    assert (await operator("PUT", path, named | {"clientID": "aars"}))[0] == 409
    skive = await private.as_("skive")
    assert [each["id"] for each in await skive.listed("/vens")] == [made["id"]]


async def test_business_logic_provisions(private: Vtn) -> None:
    """It makes a ven for a client and resources behind it, and hands both to another client."""
    operator = await private.as_("operator")
    named = {"objectType": "BL_VEN_REQUEST", "venName": "Aars", "clientID": "aars"}
    _, ven = await operator("POST", "/vens", named)
    behind = {"objectType": "BL_RESOURCE_REQUEST", "resourceName": "r", "venID": ven["id"]}
    _, resource = await operator("POST", "/resources", behind | {"clientID": "aars"})
    assert resource["clientID"] == "aars"
    assert (await operator("POST", "/resources", behind | {"clientID": "x"}))[0] == 400
    for client in ("aars", "new"):
        assert (await operator("PUT", f"/vens/{ven['id']}", named | {"clientID": client}))[0] == 200
        who = await private.as_(client)
        found = [await who.listed("/vens"), await who.listed("/resources")]
        assert [each["clientID"] for (each,) in found] == [client, client]
    assert await (await private.as_("aars")).listed("/resources") == []
    own = private.sample("ven", venName="operator's own")
    assert (await operator("POST", *own))[1]["clientID"] == "operator"


async def granted(vtn: Vtn) -> tuple[Asker, Asker]:
    """Business logic, and a VEN to whose ven `a` is granted and to whose resource `b`."""
    operator = await vtn.as_("operator")
    ven = {"objectType": "BL_VEN_REQUEST", "venName": "Aars", "clientID": "aars", "targets": ["a"]}
    vtn.ids["ven"] = (await operator("POST", "/vens", ven))[1]["id"]
    behind = {"objectType": "BL_RESOURCE_REQUEST", "clientID": "aars", "resourceName": "r"}
    behind |= {"venID": vtn.ids["ven"], "targets": ["b"]}
    vtn.ids["resource"] = (await operator("POST", "/resources", behind))[1]["id"]
    return operator, await vtn.as_("aars")


@pytest.mark.parametrize("kind", BUSINESS)
async def test_targets_are_seen_by_whom_they_were_granted_to(private: Vtn, kind: str) -> None:
    """Without targets all see it; else who holds one, and of its targets only those it holds."""
    operator, aars = await granted(private)
    await operator.made("program", programName="first", targets=None)
    aims: dict[str, Any] = {"all": None, "a": ["a"], "ab": ["a", "b"], "bx": ["x", "b"], "x": ["x"]}
    ids = {
        name: (await operator.made(kind, **{f"{kind}Name": name}, targets=targets))["id"]
        for name, targets in aims.items()
    }

    async def seen(who: Asker, asked: str = "") -> dict[str, Any]:
        listed = await who.listed(f"/{kind}s{asked}")
        found = {each[f"{kind}Name"]: each.get("targets") for each in listed}
        return {name: targets for name, targets in found.items() if name != "first"}

    held = {"all": None, "a": ["a"], "ab": ["a", "b"], "bx": ["b"]}
    assert await seen(aars) == held
    assert await seen(operator) == aims
    assert await seen(await private.as_("other")) == {"all": None}
    assert await seen(aars, "?targets=a") == {"a": ["a"], "ab": ["a"]}
    assert await seen(aars, "?targets=a&targets=b") == {"ab": ["a", "b"]}
    assert await seen(aars, "?targets=x") == {}
    assert await seen(aars, "?targets=b&targets=x") == {"ab": ["b"], "bx": ["b"]}
    for name, object_id in ids.items():
        status, found = await aars("GET", f"/{kind}s/{object_id}")
        assert status == (200 if name in held else 404)
        assert found.get("targets") == held.get(name)

    # What business logic takes away again is gone at once; a VEN cannot keep it by a PUT.
    ven = {"objectType": "BL_VEN_REQUEST", "venName": "Aars", "clientID": "aars"}
    own = {"objectType": "VEN_VEN_REQUEST", "venName": "Aars 2"}
    _, changed = await aars("PUT", f"/vens/{private.ids['ven']}", own)
    assert (changed["venName"], changed["targets"]) == ("Aars 2", ["a"])
    assert (await operator("PUT", f"/vens/{private.ids['ven']}", ven))[0] == 200
    assert await seen(aars) == {"all": None, "ab": ["b"], "bx": ["b"]}


async def test_a_report_asked_of_others_is_not_shown(private: Vtn) -> None:
    """A reportDescriptor has targets of its own: hidden like the event's."""
    operator, aars = await granted(private)
    await operator.made("program", targets=None)
    asks = [{"payloadType": "P", "targets": targets} for targets in (["x"], ["a", "x"], None)]
    event = await operator.made("event", targets=None, reportDescriptors=asks)
    _, seen = await aars("GET", f"/events/{event['id']}")
    assert [each.get("targets") for each in seen["reportDescriptors"]] == [["a"], None]
    assert len(event["reportDescriptors"]) == 3


async def test_what_a_ven_does_not_see_it_cannot_name(private: Vtn) -> None:
    """No report on an event for others, nor a subscription to their program: as if not there."""
    operator, aars = await granted(private)
    await operator.made("program", targets=["x"])
    await operator.made("event", targets=["x"])
    for kind in ("report", "subscription"):
        assert (await aars("POST", *private.sample(kind)))[0] == 400
    assert (await aars("GET", private.path("event", private.ids["event"])))[0] == 404


async def test_nothing_of_a_ven_leaks(private: Vtn) -> None:
    """Another VEN asks for everything in every way there is, and never reads A's mark."""
    mark = "0nly-of-a"
    await private.filled()
    a = await private.as_(mark)
    private.ids.pop("ven")
    ven = await a.made("ven", venName=mark)
    await a.made("resource", venID=ven["id"], resourceName=mark)
    report = await a.made("report", reportName=mark, clientName=mark)
    await a.made("subscription", clientName=mark)
    b = await private.as_("b")
    for path in (
        *("/vens", "/resources", "/reports", "/subscriptions", f"/resources?venID={ven['id']}"),
        *(f"/reports?eventID={private.ids['event']}", f"/reports?clientName={mark}"),
        *(f"/vens?venName={mark}", f"/vens/{ven['id']}", f"/reports/{report['id']}"),
        *("/programs", "/events", "/notifiers", "/subscriptions?objects=EVENT"),
    ):
        said = json.dumps((await b("GET", path))[1])
        assert mark not in said or mark in path, path
        assert f'"clientID": "{mark}"' not in said
    assert await b.listed(f"/reports?clientName={mark}") == []


async def test_pages_count_what_one_sees(private: Vtn) -> None:
    """skip and limit walk over one's own in the order of creation; others' between do not count."""
    operator, aars = await granted(private)
    other = await private.as_("other")
    await operator.made("program", targets=None)
    await operator.made("event", targets=None)
    for n in range(7):
        for targets in (["x"], ["a"]):
            await operator.made("program", programName=f"{n} {targets[0]}", targets=targets)
        for who, name in ((other, "x"), (aars, "a")):
            await who.made("report", reportName=f"{n} {name}")
            await who.made("subscription", clientName=f"{n} {name}")
    own = [f"{n} a" for n in range(7)]
    names = {"report": "reportName", "subscription": "clientName", "program": "programName"}
    for kind, name in names.items():
        found: list[str] = []
        first = int(kind == "program")  # the one without targets
        while page := await aars.listed(f"/{kind}s?skip={first + len(found)}&limit=3"):
            assert len(page) <= 3
            found += [each[name] for each in page]
        assert found == own, kind
        assert await aars.listed(f"/{kind}s?limit=0") == []
