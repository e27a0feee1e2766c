"""Whatever JSON answers a call: a value, or an error of our family, never another exception."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import venlab.paging
from venlab.auth import ClientCredentials
from venlab.client import Client
from venlab.errors import NotAVtn, VtnError
from venlab.model import Event, Program, Resource, Ven
from venlab.retry import asked_wait_s
from venlab.secret import Secret
from venlab.timeline import Timeline
from venlab.track import lifespan
from venlab.transport import Answer
from venlab.wire import Dialect, LoadName, dialect

VEN = Ven("v1", "Aars", "aars")
FLAT = dialect("flat")
NOON = datetime(2023, 1, 9, 12, tzinfo=UTC)
EVENT = replace(
    Event.between(NOON, NOON + timedelta(hours=1), name="peak", program_id="p1"), id="e1"
)
RESOURCE = Resource("r1", "school_01", "Aars")


class Parrot:
    """A transport that gives the same answer to everything, or the next of some."""

    def __init__(self, body: bytes | Callable[[], bytes], status: int = 200) -> None:
        self._body, self._status = body, status

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        assert len(path) < 5000
        assert path.isascii()
        return Answer(self._status, {}, self._body() if callable(self._body) else self._body)

    async def close(self) -> None: ...


async def registered(client: Client) -> object:
    """Register a VEN and write its reports: the VTN's ids go into them."""
    ven = await client.register_ven("Aars", "aars")
    resource = await client.register_resource(ven, RESOURCE)
    loads = [LoadName(0, resource.id, "school_01", "load_0")]
    (draft,) = FLAT.writer(ven, loads, "run", None).write(NOON, 0, [1500])
    return json.loads(draft.body)


async def polled(client: Client) -> object:
    """List events and do with them what a run does."""
    events = await client.events()
    for event in events:
        for at in lifespan(event):
            assert at is None or at.utcoffset() == timedelta(0)
        assert set(Timeline([event]).at(NOON)) <= {event.signal and event.signal.type}
        await client.respond(event, VEN, "optIn")
    return events


async def read_back(client: Client) -> object:
    pages = [page async for page in client.heard("run")]
    assert all(abs(heard.watts) < 2**63 for page in pages for heard in page)
    return pages


async def taken_and_looked_for(client: Client) -> object:
    """Send a report, and look for it."""
    answer = await client.post_report(VEN, b"{}")
    receipt = client.dialect.receipt(answer.body)
    return [await client.holds("run/a"), receipt, asked_wait_s(answer)]


CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "greet": lambda c: c.greet(),
    "register": registered,
    "resources": lambda c: c.resources(),
    "set status": lambda c: c.set_status("r1", "approved"),
    "programs": lambda c: c.programs(),
    "create program": lambda c: c.create_program("peaks"),
    "enrol": lambda c: c.enrol(Program("p1", "peaks"), "r1"),
    "events": polled,
    "create event": lambda c: c.create_event(EVENT),
    "change event": lambda c: c.change_event(EVENT),
    "cancel event": lambda c: c.cancel_event(EVENT),
    "responses": lambda c: c.responses(EVENT),
    "read back": read_back,
    "report": taken_and_looked_for,
    "renew token": lambda c: c._renew("v1"),
}
# What a VTN says when all is well; a test spoils it.
START, END = "2023-01-09T16:00:00Z", "2023-01-09T18:00:00+01:00"
SIGNAL = {"type": "SIMPLE", "values": [1.0, 2.0], "unit": ""}
GOOD: dict[str, Any] = {
    "greet": {"status": "ok"},
    "register": {"id": "v1", "auth_token": "abc"},
    "resources": [{"id": "r1", "resource_name": "school_01", "status": "approved"}],
    "programs": [{"id": "p1", "program_name": "peaks"}],
    "create program": {"id": "p1"},
    "events": [
        {
            "id": "e1",
            "event_name": "peak",
            "start_date": START,
            "end_date": END,
            "program_id": "p1",
            "status": "active",
            "modification_number": 3,
            "signal": SIGNAL,
            "interval_minutes": 30,
            "targets": ["Aars"],
        }
    ],
    "responses": [{"ven_id": "v1", "response_type": "optIn"}],
    "read back": [
        {"report_name": "run/a", "intervals": [{"id": 0, "payloads": [{"values": [1.5]}]}]}
    ],
    "refusal": {"detail": [{"loc": ["body", "start"], "msg": "wrong", "input": 3}]},
}
GOOD |= {"report": {"id": "r1"}, "renew token": {"auth_token": "abc"}}
GOOD |= {"token": {"access_token": "abc", "token_type": "Bearer", "expires_in": 60}}
GOOD |= dict.fromkeys(("create event", "change event"), GOOD["events"][0])

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**53, -(2**63), 2**64, 10**30, -1, 0])
    | st.floats()
    | st.sampled_from([1e308, -1e308, 1e9, 5e-324])
    | st.text(max_size=20)
    | st.sampled_from(["", "\x00", "\x7f", "a\n", "../..", "?#%", "å" * 300, "approved", "optIn"])
    | st.datetimes().map(str)
    | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
    | st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "P9999Y"])
)
ANY = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner)
)


def near(good: Any) -> st.SearchStrategy[Any]:
    """Draw what is like a good answer but for members that are another thing, or not there."""
    if isinstance(good, dict):
        members = {name: near(value) for name, value in good.items()}
        return st.fixed_dictionaries({}, optional=members) | st.fixed_dictionaries(members) | ANY
    if isinstance(good, list):
        return st.lists(near(good[0]), max_size=3) | ANY
    return st.just(good) | st.just(good) | ANY


STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 404, 409, 422, 429, 500, 999])


def asked(call: str, transport: Parrot) -> object:
    return asyncio.run(CALLS[call](Client(transport, FLAT, Secret("t0ken"))))


def takes_or_says(call: str, body: bytes, status: int) -> None:
    said = ""
    try:
        asked(call, Parrot(body, status))
    except VtnError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 1500


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=100, deadline=None)
@given(data=st.data(), status=STATUSES)
def test_any_json_is_taken_or_told(call: str, data: st.DataObject, status: int) -> None:
    """Random JSON, or an answer with something wrong in it: a value or a VtnError."""
    answer = data.draw(near(GOOD.get(call, GOOD["refusal"])) | near(GOOD["refusal"]) | ANY)
    takes_or_says(call, json.dumps(answer).encode(), status)


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=30, deadline=None)
@given(body=st.binary(), status=STATUSES)
def test_any_bytes_are_taken_or_told(call: str, body: bytes, status: int) -> None:
    """What is no JSON at all neither."""
    takes_or_says(call, body, status)


TOKEN_SERVER = ClientCredentials("http://127.0.0.1:1/token", "lab", Secret("s3cret"))


@settings(max_examples=300, deadline=None)
@given(
    body=(near(GOOD["token"]) | ANY).map(lambda a: json.dumps(a).encode()) | st.binary(),
    status=STATUSES,
)
def test_any_answer_of_a_token_server_is_taken_or_told(body: bytes, status: int) -> None:
    """A token with its time, or a VtnError."""
    try:
        secret, lasts_s = TOKEN_SERVER.read(Answer(status, {}, body))
    except VtnError:
        return
    assert re.fullmatch(r"[!-~]+", secret.reveal())
    assert lasts_s > 0


@pytest.mark.parametrize("status", [200, 401])
def test_a_deep_answer_of_a_token_server(status: int) -> None:
    """No depth ends the lab."""
    with pytest.raises(VtnError):
        TOKEN_SERVER.read(Answer(status, {}, b'{"x":' + b"[" * 200_000))


@pytest.mark.parametrize(
    "said",
    [
        *("9" * 400, "1" * 5000, "-1", "1e9", "nan", "inf", "\x00", "²", "٣", "soon"),
        "Mon, 01 Jan 2030 00:00:00 +" + "9" * 30,
        "Mon, " + "9" * 30 + " Jan 2030 00:00:00 GMT",
        *("Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359"),
    ],
)
def test_whatever_wait_is_asked_for_is_bounded(said: str) -> None:
    """A broken or hostile Retry-After puts nobody off for ever."""
    assert 0 <= asked_wait_s(Answer(503, {"retry-after": said}, b"")) <= 3600


# What nobody asks a flat VTN: it tells the id of what has a name, its reports are about no event,
# and nothing is deleted there.
OF_THE_STANDARD = {"vens", "resources_of", "event", "addresses", "open_address", "reports"}
OF_THE_STANDARD |= {"subscribed"}
OF_THE_STANDARD |= {f"delete_{what}" for what in ("report", "resource", "ven", "event", "program")}


def test_every_call_of_the_dialect_is_made() -> None:
    """A new call needs an answer that is spoilt here."""
    made: set[str] = set()

    class Spy:
        def __getattr__(self, name: str) -> object:
            made.add(name)
            return getattr(FLAT, name)

    for call, make in CALLS.items():
        client = Client(Parrot(json.dumps(GOOD.get(call)).encode()), Spy())  # type: ignore[arg-type]
        with suppress(VtnError):
            asyncio.run(make(client))  # type: ignore[arg-type]
    returned = {
        name: getattr(there, "__annotations__", {}) for name, there in vars(Dialect).items()
    }
    calls = {name for name, hints in returned.items() if "Call[" in hints.get("return", "")}
    assert calls > OF_THE_STANDARD
    assert calls - OF_THE_STANDARD <= made


@settings(max_examples=300, deadline=None)
@given(body=(near(GOOD["refusal"]) | ANY).map(lambda a: json.dumps(a).encode()) | st.binary())
def test_any_refusal_has_words(body: bytes) -> None:
    """They are short and printable, whatever was said."""
    words = FLAT.explain(body)
    assert words == "" or words.isprintable()
    assert len(words) <= 1001


@pytest.mark.parametrize("call", [name for name in CALLS if name in GOOD])
def test_what_is_spoilt_is_good_before(call: str) -> None:
    """The answers above are taken as they are."""
    assert asked(call, Parrot(json.dumps(GOOD[call]).encode()))


@pytest.mark.parametrize(
    ("call", "body"),
    [
        ("register", b'{"id": 5}'),
        ("register", b'{"id": null}'),
        ("register", b'{"id": ""}'),
        ("register", b'{"id": "a\\u007fb"}'),
        ("register", b'{"id": "a\\n"}'),
        ("register", b'{"id": "%b"}' % (b"x" * 257)),
        ("register", b'{"id": "v", "auth_token": 5}'),
        ("register", b'[{"id": "v"}]'),
        ("greet", b'{"status": 1}'),
        ("resources", b"null"),
        ("resources", b"{}"),
        ("resources", b"[null]"),
        ("resources", b'[{"id": "r", "resource_name": "s", "status": "asleep"}]'),
        ("programs", b'[{"id": 1e400}]'),
        ("events", b'[{"id": "e"}]'),
        ("events", b'[{"id":"e","event_name":"n","start_date":1,"end_date":2}]'),
        ("responses", b'[{"ven_id": ["v"], "response_type": "optIn"}]'),
        ("read back", b'[{"report_name": "run/a", "intervals": null}]'),
        ("read back", b'[{"report_name":"a","intervals":[{"payloads":[{"values":[1e308]}]}]}]'),
        ("read back", b'[{"report_name":"a","intervals":[{"payloads":[{"values":[NaN]}]}]}]'),
        ("read back", b'[{"report_name":"%b","intervals":[]}]' % (b"x" * 100_000)),
    ],
)
def test_wrong_types_and_values(call: str, body: bytes) -> None:
    """NotAVtn says where in the answer."""
    with pytest.raises(NotAVtn, match=r"is not what a VTN says"):
        asked(call, Parrot(body))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("start_date", '"0001-01-01T00:00:00+14:00"'),
        ("end_date", '"9999-12-31T23:59:59-14:00"'),
        ("start_date", '"yesterday"'),
        ("modification_number", "1" + "0" * 30),
        ("modification_number", "1" + "0" * 5000),
        ("modification_number", "1.5"),
        ("modification_number", "true"),
        ("signal", '{"type": "SIMPLE", "values": null}'),
        ("signal", '{"type": "SIMPLE", "values": [1e999]}'),
        ("signal", '{"type": "SIMPLE", "values": ["1"]}'),
        ("interval_minutes", "0"),
        ("interval_minutes", "1e300"),
        ("targets", "[1]"),
    ],
)
def test_wrong_members_of_events(member: str, value: str) -> None:
    """An event that no run could play is no event."""
    good = GOOD["events"][0] | {member: "?"}
    body = json.dumps([good]).replace('"?"', value)
    with pytest.raises(NotAVtn, match=r"is not what a VTN says"):
        asked("events", Parrot(body.encode()))


def test_a_name_is_one_printable_line() -> None:
    """An event's name goes into logs: it writes no lines of its own there."""
    events = [GOOD["events"][0] | {"event_name": "a\x1b[31m\nERROR b"}]
    (event,) = asked("events", Parrot(json.dumps(events).encode()))  # type: ignore[misc]
    assert event.name == "a [31m ERROR b"


def test_a_list_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A VTN that always has something new to list is told from one that has much."""
    monkeypatch.setattr(venlab.paging, "MOST_ITEMS", 5000)
    numbers = count()

    def page() -> bytes:
        return json.dumps([{"id": f"p{next(numbers)}"} for _ in range(1000)]).encode()

    with pytest.raises(NotAVtn, match="list programs never ends"):
        asked("programs", Parrot(page))
    assert next(numbers) == 5000
