"""Whatever JSON answers a call in OpenADR 3: a value, or an error of our family."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.faults.test_any_json import ANY, EVENT, NOON, RESOURCE, STATUSES, VEN, near
from tests.standard.samples import answered
from venlab.client import Client
from venlab.errors import NotAVtn, VtnError
from venlab.secret import Secret
from venlab.timeline import Timeline
from venlab.track import lifespan
from venlab.transport import Answer
from venlab.wire import Address, Dialect, LoadName, dialect

VERSIONS = ("3.0.1", "3.1.0")
KINDS = ("program", "event", "report", "subscription", "ven", "resource")
NAMED = {
    "program": {"programName": "peaks"},
    "report": {"reportName": "run/a"},
    "resource": {"resourceName": RESOURCE.name},
}
PROBLEM = {"title": "Bad Request", "status": 400, "detail": "intervals: missing"}


def good(version: str, method: str, path: str) -> Any:
    """Return what a VTN says to a request when all is well."""
    place = path.partition("?")[0].strip("/").split("/")
    kind = next((k for k in KINDS if f"{k}s" in place[-2:]), None)
    if kind is None:
        return {"status": "ok"}
    found = answered(version, kind, **NAMED.get(kind, {}))
    is_list = method == "GET" and place[-1] == f"{kind}s"
    return [found] if is_list else found


class Spoiler:
    """A transport that answers each request as a VTN of a version would, but for what a test
    does to it."""

    def __init__(self, version: str, spoil: Callable[[Any], tuple[int, bytes]]) -> None:
        self._version, self._spoil = version, spoil

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        assert len(path) < 5000
        assert path.isascii()
        status, said = self._spoil(good(self._version, method, path))
        return Answer(status, {}, said)

    async def close(self) -> None: ...


async def registered(client: Client) -> object:
    ven = await client.register_ven("Aars", "aars")
    return await client.register_resource(ven, RESOURCE)


async def reported(client: Client) -> object:
    """Find the event to report on, write a report and its halves, send it, and look for it."""
    await client.find_address("peak", "peaks")
    loads = [LoadName(n, "resource-1", RESOURCE.name, f"load_{n}") for n in range(2)]
    (draft,) = client.writer(VEN, loads, "run").write(NOON, 900, [1500, 2])
    client.readdress(draft.body, VEN)
    assert len(client.dialect.halves(draft.name, draft.body, 2)) == 2
    answer = await client.post_report(VEN, draft.body)
    found = await client.holds("run/a"), await client.address_is_lost()
    return client.dialect.receipt(answer.body), client.dialect.explain(answer.body), found


async def polled(client: Client) -> object:
    events = await client.events()
    for event in events:
        for at in lifespan(event):
            assert at is None or at.utcoffset() == timedelta(0)
        Timeline([event]).at(NOON)
    return events


async def read_back(client: Client) -> object:
    client.address = Address("peak", "program-1", "event-1")
    pages = [page async for page in client.heard("run")]
    assert all(abs(heard.watts) < 2**63 for page in pages for heard in page)
    return pages


async def cleaned(client: Client) -> object:
    """Look for what may be deleted, and delete it."""
    says = client.dialect
    for report in await client.reports("aars"):
        await client.delete(says.delete_report(report.id))
    if ven := await client.find_ven("Aars", "aars"):
        for resource_id in (await client.resources_of(ven)).values():
            await client.delete(says.delete_resource(ven.id, resource_id))
        await client.delete(says.delete_ven(ven.id))
    for address in await client.addresses():
        await client.delete(says.delete_event(address.event_id))
    await client.delete(says.delete_program("program-1"))
    return await client.is_subscribed("program-1") or True


CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "greet": lambda c: c.greet(),
    "register": registered,
    "programs": lambda c: c.programs(),
    "create program": lambda c: c.create_program("another"),
    "events": polled,
    "create event": lambda c: c.create_event(EVENT),
    "change event": lambda c: c.change_event(replace(EVENT, version=2)),
    "cancel event": lambda c: c.cancel_event(EVENT),
    "report": reported,
    "read back": read_back,
    "clean": cleaned,
}
SILENT = ("cancel event",)  # nothing comes of it


def asked(version: str, call: str, spoil: Callable[[Any], tuple[int, bytes]]) -> object:
    client = Client(Spoiler(version, spoil), dialect(version), Secret("t0ken"))
    return asyncio.run(CALLS[call](client))  # type: ignore[arg-type] # all are coroutines


def takes_or_says(version: str, call: str, spoil: Callable[[Any], tuple[int, bytes]]) -> None:
    said = ""
    try:
        asked(version, call, spoil)
    except VtnError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 1500


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("call", CALLS)
def test_what_is_spoilt_is_good_before(version: str, call: str) -> None:
    """The answers that a test spoils are taken as they are."""
    result = asked(version, call, lambda answer: (200, json.dumps(answer).encode()))
    assert result or call in SILENT


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_json_is_taken_or_told(version: str, call: str, data: st.DataObject) -> None:
    """In any answer of several, random JSON or something wrong: a value or a VtnError."""

    def spoil(answer: Any) -> tuple[int, bytes]:
        if data.draw(st.booleans(), label="as it should be"):
            return 200, json.dumps(answer).encode()
        body = data.draw(near(answer) | near(PROBLEM) | ANY, label="answer")
        return data.draw(STATUSES, label="status"), json.dumps(body).encode()

    takes_or_says(version, call, spoil)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=20, deadline=None)
@given(body=st.binary(), status=STATUSES)
def test_any_bytes_are_taken_or_told(version: str, call: str, body: bytes, status: int) -> None:
    """What is no JSON at all neither."""
    takes_or_says(version, call, lambda _: (status, body))


def test_every_call_of_the_dialect_is_made() -> None:
    """A new call needs an answer that is spoilt here, but for what the standard cannot say."""
    made: set[str] = set()
    standard = dialect("3.0.1")

    class Spy:
        def __getattr__(self, name: str) -> object:
            made.add(name)
            return getattr(standard, name)

    for make in CALLS.values():
        spoiler = Spoiler("3.0.1", lambda answer: (200, json.dumps(answer).encode()))
        with suppress(VtnError):
            # A spy answers for a dialect, and all calls are coroutines.
            asyncio.run(make(Client(spoiler, Spy())))  # type: ignore[arg-type] # as said
    returned = {
        name: getattr(there, "__annotations__", {}) for name, there in vars(Dialect).items()
    }
    calls = {name for name, hints in returned.items() if "Call[" in hints.get("return", "")}
    of_flat = {"resources", "set_status", "enrol", "respond", "responses", "renew_token"}
    assert calls > of_flat
    assert calls - of_flat - {"open_address", "program"} <= made


@settings(max_examples=200, deadline=None)
@given(body=(near(PROBLEM) | ANY).map(lambda a: json.dumps(a).encode()) | st.binary())
def test_any_problem_has_words(body: bytes) -> None:
    """They are short and printable, whatever was said."""
    words = dialect("3.1.0").explain(body)
    assert words == "" or words.isprintable()
    assert len(words) <= 1100


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("member", ["start", "duration"])
def test_an_event_whose_time_is_none(version: str, member: str) -> None:
    """It is no VTN's answer: what asks for events goes on, and no run ends of it."""

    def spoil(answer: Any) -> tuple[int, bytes]:
        period = {"start": "2023-11-30T16:00:00Z", "duration": "PT1H", member: "yesterday"}
        said = [{**each, "intervalPeriod": period} for each in answer]
        return 200, json.dumps(said).encode()

    with pytest.raises(NotAVtn, match="is not what a VTN says: 'yesterday' is no"):
        asked(version, "events", spoil)
