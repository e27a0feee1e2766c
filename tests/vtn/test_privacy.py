"""One VEN never reads, changes, reports for or answers for another: a row for every route."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import httpx
import pytest

from tests.vtn.conftest import Client, Json, Server, report, resource

MARK = "0nly-of-ven-a"  # in the names of all that is A's
EVENT = {"event_name": "x", "program_id": "{program}"}
EVENT |= {"start_date": "2023-01-09T16:00:00Z", "end_date": "2023-01-09T18:00:00Z"}


class Try(NamedTuple):
    """What VEN B tries: path and body with placeholders, and the status it gets."""

    path: str
    status: int
    body: Any = None


class Form(dict[str, str]):
    """What an OAuth2 client sends: it says in the form who it is, and carries no token."""


def as_client(client_id: str) -> Form:
    form = {"grant_type": "client_credentials", "scope": "{a}"}
    return Form(form | {"client_id": client_id, "client_secret": "{b_token}"})


def told(name: str, ven: str, resource_id: str, **more: Any) -> Json:
    return report(name, ven, resource_id=resource_id, **more)


def doubled(first: Json, **last: Any) -> bytes:
    """JSON whose members come twice: readers must agree which one holds."""
    return json.dumps(first).encode()[:-1] + b"," + json.dumps(last).encode()[1:]


OWN = told("run/own", "{b}", "{b_resource}")
NEW = {"resource_name": "new", "resource_type": "t"}
AS_A = {"event_id": "{event}", "response_type": "optOut", "ven_id": "{a}"}
AS_B = AS_A | {"ven_id": "{b}"}
ROWS: dict[str, list[Try]] = {
    "GET /health": [Try("/health", 200)],
    "POST /vens": [
        Try("/vens", 403, {"ven_name": "new", "client_name": "c"}),
        Try("/vens", 403, {"ven_name": "{a_name}", "client_name": "c"}),
    ],
    "POST /auth/token": [
        Try("/auth/token", 401, as_client("{a}")),
        Try("/auth/token", 401, as_client("{a_name}")),
        Try("/auth/token", 401, as_client("operator")),
        Try("/auth/token", 200, as_client("{b}")),
    ],
    "GET /vens": [
        Try("/vens", 200),
        Try("/vens?ven_name={a_name}", 200),
        Try("/vens?id={a}&ven_id={a}", 200),
        Try("/vens?limit=5000", 200),
    ],
    "POST /vens/{ven_id}/token": [Try("/vens/{a}/token", 403), Try("/vens/{b}/token", 403)],
    "POST /resources": [
        Try("/resources", 403, NEW | {"id": "new", "ven_name": "{a_name}"}),
        Try("/resources", 403, NEW | {"id": "{a_resource}", "ven_name": "{a_name}"}),
        Try("/resources", 409, NEW | {"id": "{a_resource}", "ven_name": "B"}),
        Try("/resources", 403, NEW | {"id": "new", "ven_name": "{a_name}", "ven_id": "{b}"}),
    ],
    "GET /resources": [
        Try("/resources", 200),
        Try("/resources?ven_name={a_name}", 200),
        Try("/resources?ven_id={a}", 200),
    ],
    "GET /resources/{resource_id}": [
        Try("/resources/{a_resource}", 403),
        Try("/resources/{b_resource}/../{a_resource}", 404),
        Try("/resources/{b_resource}%2F..%2F{a_resource}", 404),
    ],
    "PATCH /resources/{resource_id}": [
        Try("/resources/{a_resource}", 403, {"status": "suspended"}),
        Try("/resources/{b_resource}", 403, {"status": "suspended"}),
    ],
    "POST /reports": [
        Try("/reports", 403, told("run/new", "{a}", "{a_resource}")),
        Try("/reports", 403, told("run/new", "{a}", "{b_resource}")),
        Try("/reports", 404, told("run/new", "{b}", "{a_resource}")),
        Try("/reports", 409, told("{a_report}", "{b}", "{b_resource}")),
        Try("/reports", 403, told("run/new", "{a}", "{a_resource}", extra=1)),
        Try("/reports", 404, told("run/new", "{b}", "{a_resource}", extra=1)),
        Try("/reports", 403, doubled(OWN, ven_id="{a}")),
        Try("/reports", 404, doubled(OWN, resource_id="{a_resource}")),
        Try("/reports", 403, doubled(OWN | {"x": 1}, ven_id="{a}")),
        Try("/reports", 201, doubled(told("run/twice", "{a}", "x"), **{**OWN, "ven_id": "{b}"})),
    ],
    "GET /reports": [
        Try("/reports", 200),
        Try("/reports?run={run}", 200),
        Try("/reports?run={run}&after={run}/&skip=0&limit=5000", 200),
        Try("/reports?ven={a}&ven_id={a}", 200),
    ],
    "POST /programs": [Try("/programs", 403, {"program_name": "new"})],
    "GET /programs": [Try("/programs", 200)],
    "POST /programs/{program_id}/resources": [
        Try("/programs/{program}/resources?resource_id={a_resource}", 403),
        Try("/programs/{program}/resources?resource_id={b_resource}&resource_id={a_resource}", 403),
    ],
    "POST /events": [Try("/events", 403, EVENT)],
    "GET /events": [Try("/events", 200)],
    "GET /events/{event_id}": [Try("/events/{event}", 200)],
    "PUT /events/{event_id}": [Try("/events/{event}", 403, EVENT)],
    "DELETE /events/{event_id}": [Try("/events/{event}", 403)],
    "POST /events/{event_id}/responses": [
        Try("/events/{event}/responses", 403, AS_A),
        Try("/events/{event}/responses", 403, doubled(AS_B, ven_id="{a}")),
        Try("/events/{event}/responses", 201, AS_B),
    ],
    "GET /events/{event_id}/responses": [
        Try("/events/{event}/responses", 200),
        Try("/events/{event}/responses?ven_id={a}", 200),
    ],
}


@dataclass
class World:
    operator: Client
    a: Client
    b: Client
    names: dict[str, str]

    def filled(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace("{" + name + "}", value)
        return text

    async def attempt(self, who: Client, row: str, tried: Try) -> tuple[int, Any]:
        """Try it, and see that nothing of A is in the answer but what B itself said."""
        path = self.filled(tried.path)
        body = tried.body
        if isinstance(body, Form):
            return await self.as_client({n: self.filled(v) for n, v in body.items()})
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        raw = raw if raw is None else self.filled(raw.decode()).encode()
        status, content = await who(row.split(maxsplit=1)[0], path, raw)
        said = json.dumps(content)
        for mark in (MARK, self.names["a"]):
            assert mark not in said or mark in f"{path} {raw!r}", (row, tried)
        return status, content

    async def as_client(self, form: dict[str, str]) -> tuple[int, Any]:
        """Ask for a token: it shows no more than VEN B's own."""
        answer = await self.operator.http.post("/flat/auth/token", data=form)
        if answer.is_success:
            given = self.operator.as_(answer.json()["access_token"])
            assert await given("GET", "/vens") == await self.b("GET", "/vens")
            assert (await given("POST", "/programs", {"program_name": "new"}))[0] == 403
        return answer.status_code, answer.json()

    async def seen(self) -> list[Any]:
        """What A sees of its own, and the operator of what is everybody's."""
        answers = f"/events/{self.names['event']}/responses"
        own = [await self.a("GET", path) for path in ("/vens", "/resources", "/reports", answers)]
        return own + [await self.operator("GET", path) for path in ("/events", "/programs")]


@pytest.fixture
async def world(serve: Callable[..., Server], http: httpx.AsyncClient) -> World:
    operator = serve().client(http)
    names = {"a_name": f"A {MARK}", "a_resource": f"r/{MARK}", "b_resource": "r/b"}
    names |= {"run": MARK, "a_report": f"{MARK}/1"}
    vens = {"a": await operator.ven(names["a_name"]), "b": await operator.ven("B")}
    tokens = {name: operator.as_(ven["auth_token"]) for name, ven in vens.items()}
    names |= {name: ven["id"] for name, ven in vens.items()}
    names["b_token"] = vens["b"]["auth_token"]
    world = World(operator, tokens["a"], tokens["b"], names)
    for name, ven in vens.items():
        behind = resource(ven["ven_name"], id=names[f"{name}_resource"])
        assert (await operator("POST", "/resources", behind))[0] == 201
    _, program = await operator("POST", "/programs", {"program_name": "peaks"})
    names["program"] = program["id"]
    _, event = await operator("POST", "/events", EVENT | {"program_id": program["id"]})
    names["event"] = event["id"]
    answer = {"event_id": event["id"], "response_type": "optIn"}
    assert (await world.a("POST", f"/events/{event['id']}/responses", answer))[0] == 201
    mine = told(names["a_report"], names["a"], names["a_resource"])
    assert (await world.a("POST", "/reports", mine))[0] == 201
    return world


async def test_every_route_has_a_row(world: World) -> None:
    """A new route needs a row: what may another VEN's token do there?"""
    _, document = await world.operator("GET", "/openapi.json")
    routes = {f"{m.upper()} {path}" for path, ways in document["paths"].items() for m in ways}
    assert routes == set(ROWS)


async def test_a_ven_gets_nothing_of_another(world: World) -> None:
    """VEN B is refused or shown its own only, and what is A's is as it was."""
    before = await world.seen()
    for row, tries in ROWS.items():
        for tried in tries:
            assert (await world.attempt(world.b, row, tried))[0] == tried.status, (row, tried)
        assert await world.seen() == before, row


async def test_a_stranger_gets_nothing_at_all(world: World) -> None:
    """No token, one that was made up, one that was renewed: 401, whatever is asked."""
    assert (await world.b("GET", "/vens"))[0] == 200
    _, renewed = await world.operator("POST", f"/vens/{world.names['b']}/token")
    assert (await world.b.as_(renewed["auth_token"])("GET", "/vens"))[0] == 200
    before = await world.seen()
    for stranger in (world.b, world.b.as_(None), world.b.as_("who?"), world.b.as_(MARK)):
        for row, tries in ROWS.items():
            expected = 200 if row == "GET /health" else 401
            for tried in tries:
                assert (await world.attempt(stranger, row, tried))[0] == expected, (row, tried)
    assert await world.seen() == before
