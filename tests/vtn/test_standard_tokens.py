"""Tokens of the standard's dialects: whose they are, what they open, and when they end."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.standard.recording import recorded
from tests.vtn.standards import Asker, Vtn, vtn_of
from tests.vtn.test_tokens import FORM, Clock, basic, named
from venlab.secret import Secret
from venlab.vtn.app import create_app
from venlab.vtn.store import Store
from venlab.vtn.tokens import MAX_FORM

BUSINESS = "read_all write_programs write_events write_subscriptions write_vens"
VEN = {
    "3.0.1": "read_all write_reports write_subscriptions write_vens",
    "3.1.0": "read_targets read_ven_objects write_reports write_subscriptions write_vens",
}

CREDENTIALS = {"grant_type": "client_credentials"}


async def ask(vtn: Vtn, content: Any, **headers: str) -> httpx.Response:
    with vtn.seen.bad_requests():
        kind = {"data": content} if isinstance(content, dict) else {"content": content}
        headers = {"content-type": FORM} | headers
        return await vtn.http.post(f"{vtn.base}/auth/token", **kind, headers=headers)


@pytest.mark.parametrize("style", ["body", "basic"])
async def test_who_one_is_says_the_client_id(standard: Vtn, style: str) -> None:
    """`operator` is business logic; every other id with the fleet's credential is that VEN."""
    for client_id, scopes in (("operator", BUSINESS), ("aars", VEN[standard.version])):
        if style == "body":
            answer = await ask(standard, named(client_id, "op"))
        else:
            answer = await ask(standard, CREDENTIALS, authorization=basic(client_id, "op"))
        content = answer.json()
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        who = Asker(standard, content.pop("access_token"))
        assert content == {"token_type": "Bearer", "expires_in": 3600, "scope": scopes}
        status = (await who("POST", *standard.sample("program", programName=client_id)))[0]
        assert status == (201 if client_id == "operator" else 403)


async def test_scopes_are_what_one_asks_for(standard: Vtn) -> None:
    """Fewer than the role has if one says so, empty or absent means all, never more."""
    for scope, given in (("write_vens", "write_vens"), ("", VEN[standard.version])):
        answer = await ask(standard, named("aars", "op", scope=scope))
        assert answer.json()["scope"] == given
    for client, scope in (
        *(("aars", "write_programs"), ("aars", "write_vens all"), ("operator", "write_reports")),
        *(("aars", "READ_ALL"), ("operator", "read_bl")),
    ):
        answer = await ask(standard, named(client, "op", scope=scope))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")
    status = 400 if standard.private else 200
    assert (await ask(standard, named("aars", "op", scope="read_all"))).status_code == status


@pytest.mark.parametrize(
    ("form", "headers", "error"),
    [
        (named("operator", "wrong"), {}, "invalid_client"),
        (named("aars", "wrong"), {}, "invalid_client"),
        (named("aars", ""), {}, "invalid_client"),
        (CREDENTIALS, {}, "invalid_client"),
        (named("aars", "op", grant_type="password"), {}, "unsupported_grant_type"),
        (named("a" * 129, "op"), {}, "invalid_client"),
        (CREDENTIALS, {"authorization": basic("", "op")}, "invalid_client"),
        (b"{}", {"content-type": "application/json"}, "invalid_request"),
    ],
)
async def test_who_gets_none(standard: Vtn, form: Any, headers: Any, error: str) -> None:
    """The error by its name in a problem; 3.0.1 says 403 where 3.1.0 says 401."""
    unknown = 401 if standard.private else 403
    answer = await ask(standard, form, **headers)
    status = unknown if error == "invalid_client" else 400
    content = answer.json()
    assert (answer.status_code, content["error"], content["status"]) == (status, error, status)
    assert content["error_description"]


async def test_the_longest_form_that_is_allowed(standard: Vtn) -> None:
    """4,096 characters each, in their longest form, are read; more than that are 413."""
    long = named("a", "\U0001f600" * 4096, scope="\U0001f600" * 4096)
    assert (await ask(standard, long)).status_code == (401 if standard.private else 403)
    assert (await ask(standard, b"a" * (MAX_FORM + 1))).status_code == 413


async def test_a_flat_vens_token_opens_nothing_here(standard: Vtn) -> None:
    """Nor does its id and token get one; the operator's own token opens all."""
    headers = {"Authorization": "Bearer op"}
    sent = {"ven_name": "Aars", "client_name": "aars"}
    ven = (await standard.http.post("/flat/vens", json=sent, headers=headers)).json()
    unknown = 401 if standard.private else 403
    assert (await Asker(standard, ven["auth_token"])("GET", "/programs"))[0] == unknown
    assert (await ask(standard, named(ven["id"], ven["auth_token"]))).status_code == unknown
    assert (await Asker(standard, "op")("GET", "/programs"))[0] == 200
    root = await standard.http.post("/auth/token", data=named("operator", "op"))
    assert (await Asker(standard, root.json()["access_token"])("GET", "/programs"))[0] == 200


async def test_a_narrow_token_is_not_widened_elsewhere(standard: Vtn) -> None:
    """The operator's with few scopes is known in its own dialect only."""
    narrow = await standard.as_("operator", scope="read_all")
    headers = {"Authorization": f"Bearer {narrow.token}"}
    assert (await narrow("GET", "/programs"))[0] == 200
    assert (await standard.http.get("/flat/vens", headers=headers)).status_code == 401


@pytest.mark.parametrize("version", ["3.0.1", "3.1.0"])
async def test_a_token_ends(store: Store, version: str) -> None:
    """After its 100 s it is not known; the same client gets another."""
    clock = Clock()
    app = create_app(store, Secret("op"), token_ttl_s=100, now=clock)
    with recorded() as seen:
        transport = httpx.ASGITransport(seen.app(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://vtn") as http:
            vtn = Vtn(version, http, seen, store)
            aars = await vtn.as_("aars")
            clock.now += 99.9
            assert (await aars("GET", "/programs"))[0] == 200
            clock.now += 0.1
            assert (await aars("GET", "/programs"))[0] in (401, 403)
            assert (await (await vtn.as_("aars"))("GET", "/programs"))[0] == 200


async def test_tokens_and_scopes_survive_a_start(standard: Vtn) -> None:
    """A VTN that starts anew on the store knows whose a token is, and what it may."""
    operator, aars = await standard.filled()
    narrow = await standard.as_("aars", scope="write_vens")
    async with vtn_of(standard.version, standard.store) as again:
        for who, status in ((operator, 200), (aars, 200), (narrow, 403)):
            assert (await Asker(again, who.token)("GET", "/programs"))[0] == status
        again.ids = standard.ids
        assert len(await Asker(again, aars.token).listed("/reports")) == 1
    assert str(aars.token) not in repr(standard.store.page("tokens"))


async def test_where_tokens_are(private: Vtn) -> None:
    """3.1.0's discovery names its own token route, to anybody."""
    answer = await private.http.get(f"{private.base}/auth/server")
    assert answer.json() == {"tokenURL": "http://vtn/openadr3/3.1.0/auth/token"}
    given = await private.http.post(answer.json()["tokenURL"], data=named("aars", "op"))
    assert given.status_code == 200


async def test_notifiers(private: Vtn) -> None:
    """Nobody is told by webhooks unless the VTN is told to; of MQTT no word: topics are 404."""
    _, aars = await private.filled()
    assert await aars("GET", "/notifiers") == (200, {"WEBHOOK": False})
    ven = private.ids["ven"]
    for topic in (
        *("programs", f"programs/{private.ids['program']}", "events", "reports", "vens"),
        *(f"programs/{private.ids['program']}/events", "subscriptions", f"vens/{ven}"),
        *("resources", f"vens/{ven}/events", f"vens/{ven}/programs", f"vens/{ven}/resources"),
    ):
        status, problem = await aars("GET", f"/notifiers/mqtt/topics/{topic}")
        assert (status, problem["title"]) == (404, "Not Found")
    for path in ("/notifiers", "/notifiers/mqtt/topics/programs"):
        assert (await Asker(private, None)("GET", path))[0] == 401
