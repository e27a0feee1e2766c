"""The VTN's flat API under schemathesis: requests made up from its own OpenAPI document."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from tests.vtn.conftest import Json, Server, report, resource

MARK = "0nly-of-ven-a"  # in the names of all that is A's
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.status_code_conformance,
]


class World:
    """A server with two VENs and what is theirs, asked as one of them, the operator or nobody."""

    def __init__(self, server: Server) -> None:
        self.url: str = server.ready["flat"]
        self.http = requests.Session()
        self.http.trust_env = False
        self.tokens = {"operator": "op", "stranger": "who?"}
        vens = {}
        for name in ("A", "B", "C"):
            names = {"ven_name": f"{name} {MARK}" if name == "A" else name, "client_name": "c"}
            vens[name] = self.must("POST", "/vens", names)
            self.tokens[name] = vens[name]["auth_token"]
        a = vens["A"]
        mine = resource(a["ven_name"], id=f"r/{MARK}", resource_name=f"s {MARK}")
        self.must("POST", "/resources", mine)
        program = self.must("POST", "/programs", {"program_name": "peaks"})["id"]
        times = {"start_date": "2023-01-09T16:00:00Z", "end_date": "2023-01-09T18:00:00Z"}
        event = {"event_name": "peak", "program_id": program, **times}
        self.event = self.must("POST", "/events", event)["id"]
        told = report(f"run/{MARK}", a["id"], resource_id=mine["id"])
        self.must("POST", "/reports", told, "A")
        said = {"event_id": self.event, "response_type": "optIn"}
        self.must("POST", f"/events/{self.event}/responses", said, "A")
        self.marks = MARK, a["id"]
        # What a case may name instead of what was made up; its token C may lose.
        self.real = {"ven_id": a["id"], "ven_name": a["ven_name"], "resource_id": mine["id"]}
        self.real |= {"program_id": program, "event_id": self.event, "run": "run"}
        self.to_renew = {"ven_id": vens["C"]["id"]}

    def must(self, method: str, path: str, content: Any = None, who: str = "operator") -> Any:
        answer = self.http.request(method, self.url + path, json=content, headers=self.as_(who))
        assert answer.ok, answer.text
        return answer.json()

    def as_(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[who]}"}

    def of_a(self) -> list[Any]:
        """What A sees of its own."""
        paths = "/vens", "/resources", "/reports", f"/events/{self.event}/responses"
        return [self.must("GET", path, who="A") for path in paths]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    server = Server("--embedded", "--store", str(tmp_path / "vtn.sqlite"))
    try:
        world = World(server)
        yield world
        world.http.close()
        assert server.process.poll() is None
    finally:
        server.process.kill()
        server.ended()


def lighter(part: Any) -> Any:
    """Return the document without patterns that take a second to make a string for."""
    if isinstance(part, dict):
        kept = {name: lighter(inner) for name, inner in part.items()}
        if isinstance(kept.get("pattern"), str):
            kept.pop("pattern")
            kept |= (
                {} if "format" in kept else {"enum": ["PT0S", "PT15M", "P1DT1.5S", "P9999Y", "P"]}
            )
        return kept
    return [lighter(inner) for inner in part] if isinstance(part, list) else part


def with_real(real: Json, case: Any) -> Any:
    """Let a case name what is there."""
    case.path_parameters = {n: real.get(n, v) for n, v in (case.path_parameters or {}).items()}
    case.query = {n: real.get(n, v) for n, v in (case.query or {}).items()}
    if isinstance(case.body, dict):
        case.body = {name: real.get(name, value) for name, value in case.body.items()}
    return case


def hears_nothing_of_a(world: World, case: Any, said: str) -> None:
    asked = json.dumps([case.path_parameters, dict(case.query or {}), repr(case.body)])
    for mark in world.marks:
        assert mark not in said or mark in asked, f"{case.as_curl_command()} tells of VEN A: {said}"


SEEDED = settings(
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def play(world: World, who: tuple[str, ...], examples: int) -> Counter[int]:
    """Ask for every operation, with what it takes and what it does not; count the statuses."""
    schema = schemathesis.openapi.from_dict(lighter(world.must("GET", "/openapi.json")))
    schema.config.update(base_url=world.url)
    counted: Counter[int] = Counter()

    def ask(drawn: tuple[Any, str]) -> None:
        case, headers = drawn[0], world.as_(drawn[1])
        answer = case.call(session=world.http, headers=headers)
        counted[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS, headers=headers)
        if drawn[1] in {"B", "stranger"}:
            hears_nothing_of_a(world, case, answer.text)

    for found in schema.get_all_operations():
        operation = found.ok()
        real = world.real | (world.to_renew if operation.path.endswith("/token") else {})
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if (operation.path, mode) == ("/health", GenerationMode.NEGATIVE):
                continue  # it takes nothing, so nothing is wrong
            made_up = operation.as_strategy(generation_mode=mode)
            case = made_up | made_up.map(partial(with_real, real))
            one = given(drawn=st.tuples(case, st.sampled_from(who)))(ask)
            seed(7)(settings(SEEDED, max_examples=examples)(one))()
    return counted


def hold(world: World, examples: int) -> int:
    """Let those who are not A try first, then A and the operator; return how many cases it was."""
    before = world.of_a()
    foreign = play(world, ("B", "B", "B", "stranger"), examples)
    assert world.of_a() == before
    own = play(world, ("operator", "A"), examples)
    assert foreign[200] + foreign[201]
    assert own[200] > own[404] * 0.1
    assert own[201]
    assert own[422]
    return foreign.total() + own.total()


def test_two_hundred_cases(world: World) -> None:
    """No 500, nothing that the document does not say, and nothing of VEN A for anybody else."""
    assert hold(world, 3) > 200


@pytest.mark.slow
def test_five_thousand_cases(world: World, record_property: Callable[[str, int], None]) -> None:
    """The same, in the number that the project promises."""
    cases = hold(world, 80)
    record_property("cases", cases)
    assert cases >= 5000
