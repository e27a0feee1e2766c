"""The VTN under schemathesis: requests made up from the standard's own documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from tests.faults.test_vtn_schemathesis import SEEDED
from tests.standard.documents import EXTRA_STATUSES, VERSIONS, document
from tests.standard.oracle import oracle
from tests.standard.samples import request
from tests.vtn.conftest import Server

MARK = "0nly-of-ven-a"  # in what 3.1.0 keeps for A alone
TOKEN = "/auth/token"


# What an answer holds is looked at by the oracle, with the document as it is.
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.content_type_conformance,
    checks.status_code_conformance,
]
MANY = 10  # examples an operation
OF_A = ("ven", "resource", "report", "subscription")
DURATIONS = [None, "PT0S", "PT15M", "P1DT1.5S", "P2W", "P9999Y", "-PT1H", "P", "PT", ""]


def lighter(content: Any, *, plain: bool) -> Any:
    """Return the document without its one pattern that takes a second to make a string for.

    Plain: also without members that nobody knows, which cost most of the time that is left.
    """
    duration = content["components"]["schemas"]["duration"]
    del duration["pattern"]
    duration["enum"] = DURATIONS
    for schema in content["components"]["schemas"].values() if plain else ():
        if "properties" in schema:
            schema["additionalProperties"] = False
    return content


class World:
    """A server with a program and an event, and all that VEN A made; asked as whom one likes."""

    def __init__(self, server: Server, version: str) -> None:
        self.version, self.private = version, version == "3.1.0"
        self.url = f"{server.ready['url']}/openadr3/{version}"
        self.http = requests.Session()
        self.http.trust_env = False
        self.tokens = {who: self._token(who) for who in ("operator", "a", "b")}
        self.tokens["stranger"] = "who?"
        self._numbers = count()
        self.ids = {"program": self.made("program"), "event": ""}
        self.ids["event"] = self.made("event")
        self.ids["ven"] = self.made("ven", "a", venName=f"A {MARK}")
        for kind in ("resource", "report", "subscription"):
            self.ids[kind] = self.made(kind, "a")
        assert all(self.ids.values()), self.ids

    def _token(self, who: str) -> str:
        form = {"grant_type": "client_credentials", "client_id": who, "client_secret": "op"}
        answer = self.http.post(self.url + TOKEN, data=form)
        assert answer.ok, answer.text
        return str(answer.json()["access_token"])

    def ask(self, method: str, path: str, content: Any = None, who: str = "operator") -> Any:
        headers = self.as_(who)
        return self.http.request(method, self.url + path, json=content, headers=headers)

    def as_(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[who]}"}

    def made(self, kind: str, who: str = "operator", **changes: Any) -> str:
        """Make an object of a kind, under a name of its own; its id, empty if it was refused."""
        body = request(self.version, kind, **changes)
        name = f"{kind} {next(self._numbers)}" + (f" {MARK}" if kind in OF_A else "")
        named = {"report": "reportName", "subscription": "clientName"}.get(kind, f"{kind}Name")
        body |= {named: changes.get(named, name)}
        for what in ("program", "event", "ven"):
            if f"{what}ID" in body:
                body[f"{what}ID"] = self.ids[what]
        if kind in ("program", "event"):
            body["targets"] = None  # else a VEN of 3.1.0 sees them only where it was granted them
        answer = self.ask("POST", self.place(kind), body, who)
        return str(answer.json()["id"]) if answer.ok else ""

    def place(self, kind: str) -> str:
        nested = kind == "resource" and not self.private
        return f"/vens/{self.ids['ven']}/resources" if nested else f"/{kind}s"

    def of_a(self) -> list[Any]:
        """Return what A made, as it is now."""
        found = [self.ask("GET", f"{self.place(kind)}/{self.ids[kind]}").json() for kind in OF_A]
        under = found[0].get("resources") or []  # of 3.0.1's VEN; those made for cases are A's
        found[0]["resources"] = [each for each in under if MARK not in each["resourceName"]]
        return found

    def real(self, operation: Any, who: str, case: Any) -> Any:
        """Let a case name what is there; what it would delete is made anew, but for the VEN."""
        ids = dict(self.ids)
        if operation.method.upper() == "DELETE":
            kind = operation.path.rstrip("}ID").rpartition("{")[2]
            made = self.made(kind, "a" if kind in OF_A else "operator") if kind != "ven" else None
            ids[kind] = made or f"no-{kind}"
        named = {f"{kind}ID": found for kind, found in ids.items()}
        named |= {"clientID": "a", "client_id": who, "client_secret": "op"}
        named |= {"grant_type": "client_credentials", "scope": "read_all"}
        given = case.path_parameters or {}
        case.path_parameters = {name: named.get(name, value) for name, value in given.items()}
        case.query = {name: named.get(name, value) for name, value in (case.query or {}).items()}
        if isinstance(case.body, dict):
            case.body = {name: named.get(name, value) for name, value in case.body.items()}
        return case


@pytest.fixture(params=VERSIONS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    server = Server("--embedded", "--store", str(tmp_path / "vtn.sqlite"))
    try:
        world = World(server, request.param)
        yield world
        world.http.close()
        assert server.process.poll() is None
    finally:
        server.process.kill()
        server.ended()


def exchange(world: World, operation: Any, case: Any, who: str, real: bool) -> int:
    """Ask as somebody, hold the answer against the document; return its status."""
    headers = {} if operation.path == TOKEN else world.as_(who)
    if real:
        case = world.real(operation, who, case)
    answer = case.call(session=world.http, headers=headers)
    if str(answer.status_code) not in EXTRA_STATUSES:
        case.validate_response(answer, checks=CHECKS, headers=headers)
    oracle(world.version).exchange(
        *(operation.method.upper(), case.formatted_path, {}, {}, b"", answer.status_code),
        answer.content,
        response_headers={name: value[0] for name, value in answer.headers.items()},
        request=False,
    )
    if world.private and who in {"b", "stranger"}:
        assert MARK not in answer.text or MARK in str(vars(case)), case.as_curl_command()
    return int(answer.status_code)


def play(world: World, who: tuple[str, ...], examples: int) -> Counter[int]:
    """Ask for every operation, with what it takes and what it does not; count the statuses."""
    schema = schemathesis.openapi.from_dict(lighter(document(world.version), plain=examples < MANY))
    schema.config.update(base_url=world.url)
    counted: Counter[int] = Counter()

    def one(drawn: tuple[Any, Any, str, bool]) -> None:
        counted[exchange(world, *drawn)] += 1

    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if mode == GenerationMode.NEGATIVE and not takes_anything(operation):
                continue  # nothing is wrong then
            made_up = operation.as_strategy(generation_mode=mode)
            drawn = st.tuples(st.just(operation), made_up, st.sampled_from(who), st.booleans())
            asked = given(drawn=drawn)(one)
            seed(7)(settings(SEEDED, max_examples=examples)(asked))()
    return counted


def takes_anything(operation: Any) -> bool:
    return any((operation.path_parameters, operation.query, operation.body))


def hold(world: World, examples: int) -> int:
    """Let those who are not A try first, then A and the operator; return how many cases it was."""
    before = world.of_a()
    foreign = play(world, ("b", "b", "b", "stranger"), examples)
    assert world.of_a() == before
    own = play(world, ("operator", "a"), examples)
    assert foreign[200]
    assert own[200]
    assert own[201]
    assert own[400]
    return foreign.total() + own.total()


def test_a_few_cases(world: World) -> None:
    """No 500, nothing that the document does not say, and nothing of VEN A for anybody else."""
    assert hold(world, 2) > 200


@pytest.mark.slow
def test_five_thousand_cases(world: World, record_property: Callable[[str, int], None]) -> None:
    """The same, in the number that the project promises."""
    cases = hold(world, 45)
    record_property("cases", cases)
    assert cases >= 5000
