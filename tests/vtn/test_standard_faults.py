"""Faults to order in the standard's dialects: they find their paths, VENs and tokens there too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.standard.samples import request
from venlab.embedded import DIALECTS, EmbeddedVtn
from venlab.errors import ConfigError
from venlab.faults import Faults


class World:
    """A VTN in a process, with a program, an event and two VENs in one version."""

    def __init__(self, embedded: EmbeddedVtn, version: str) -> None:
        self.embedded, self.version = embedded, version
        self.http = httpx.Client(base_url=embedded.url_of(version), trust_env=False)
        self.tokens: dict[str, str] = {}
        for client in ("operator", "aars", "vejle"):
            self.renew(client)
        program = self.ask("POST", "/programs", "operator", request(version, "program"))
        event = request(version, "event", programID=program.json()["id"], targets=None)
        program_id = {} if version == "3.1.0" else {"programID": event["programID"]}
        event_id = self.ask("POST", "/events", "operator", event).json()["id"]
        self.report = request(version, "report", eventID=event_id, **program_id)
        for client in ("aars", "vejle"):
            sent = request(version, "ven", venName=client.title())
            assert self.ask("POST", "/vens", client, sent).status_code == 201

    def renew(self, client: str) -> None:
        form = {"grant_type": "client_credentials", "client_id": client}
        form["client_secret"] = self.embedded.credential.reveal()
        self.tokens[client] = self.http.post("/auth/token", data=form).json()["access_token"]

    def ask(self, method: str, path: str, client: str, content: Any = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.tokens[client]}"}
        return self.http.request(method, path, json=content, headers=headers)

    def status(self, path: str, client: str = "aars") -> int:
        return self.ask("GET", path, client).status_code

    def misbehave(self, text: str) -> None:
        asyncio.run(self.embedded.misbehave(Faults.parse(text)))


@pytest.fixture(params=["3.0.1", "3.1.0"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    embedded = EmbeddedVtn(tmp_path)
    asyncio.run(embedded.start())
    try:
        world = World(embedded, request.param)
        with closing(world.http):
            yield world
    finally:
        asyncio.run(embedded.stop())


def test_a_fault_finds_path_and_ven(world: World) -> None:
    """A path is that after the base path; a VEN is its client's id, its ven's name or id."""
    world.misbehave("503 path=/events")
    assert [world.status(path) for path in ("/events", "/programs")] == [503, 200]
    vens = {each["venName"]: each["id"] for each in world.ask("GET", "/vens", "operator").json()}
    for name in ("aars", "Aars", vens["Aars"]):
        world.misbehave(f"503 ven={name}")
        assert [world.status("/events", client) for client in world.tokens] == [200, 503, 200]
        assert world.status(f"/vens/{vens['Aars']}", "operator") == 503
        assert world.status("/vens?venName=Aars", "operator") == 503
        assert world.status(f"/vens/{vens['Vejle']}", "operator") == 200


def test_a_fault_takes_one_vens_token(world: World) -> None:
    """From then on it is not known; a new one is; nobody else is touched."""
    world.misbehave("expire ven=Aars path=/events")
    unknown = 401 if world.version == "3.1.0" else 403
    assert world.status("/events") == unknown
    world.misbehave("")
    assert [world.status("/programs", client) for client in world.tokens] == [200, unknown, 200]
    world.renew("aars")
    assert world.status("/programs") == 200


def test_what_is_wrong_with_answers_and_names(world: World) -> None:
    """Times, statuses and repeated names, in this dialect's words."""
    world.misbehave("null_times; created_200; repeat_reports; unknown_500")
    answers = [world.ask("POST", "/reports", "aars", world.report) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    for answer in answers:
        content = answer.json()
        assert (content["createdDateTime"], content["modificationDateTime"]) == (None, None)
    assert world.status("/events/nobody") == 500
    world.misbehave("naive_times")
    moment = world.ask("GET", "/reports", "aars").json()[0]["createdDateTime"]
    assert not moment.endswith(("Z", "+00:00"))


def test_a_restart_may_lose_the_store(world: World) -> None:
    """Then nothing of it is known any more, no token either; the credential gets a new one."""
    world.ask("POST", "/reports", "aars", world.report)
    world.misbehave("restart down=0 lose=store")
    unknown = 401 if world.version == "3.1.0" else 403
    for _ in range(100):
        try:
            status = world.status("/reports")
        except httpx.TransportError:
            continue
        if status == unknown:
            break
    world.renew("aars")
    assert world.ask("GET", "/reports", "aars").json() == []
    assert world.ask("POST", "/reports", "aars", world.report).status_code == 400


def test_where_it_speaks_what(world: World) -> None:
    """Each dialect's url, and an error for what it does not speak."""
    for dialect in DIALECTS:
        url = world.embedded.url_of(dialect)
        assert httpx.get(f"{url}/health", trust_env=False).json()["status"] == "ok"
    with pytest.raises(ConfigError, match=r"2\.0b"):
        world.embedded.url_of("2.0b")
