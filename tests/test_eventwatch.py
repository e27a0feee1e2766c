"""What the fleet sees of events, and what its VENs answer."""

from __future__ import annotations

import pytest

from tests.scripted import Reply, Request, scripted
from venlab.client import Client
from venlab.errors import NoAnswer
from venlab.eventwatch import EventWatch
from venlab.model import Ven
from venlab.transport import HttpxTransport
from venlab.wire import dialect

VENS = [Ven(f"v{n}", f"Town {n}", f"town{n}") for n in range(3)]
EVENTS = (
    b'[{"id":"e","event_name":"peak","program_id":"p","modification_number":0,'
    b'"start_date":"2023-11-30T16:00:00Z","end_date":"2023-11-30T18:00:00Z"}]'
)


async def test_a_refused_answer_keeps_no_event_from_taking_effect() -> None:
    """Each VEN answers once, also where the VTN wants no answer of one of them."""

    def reply(request: Request) -> Reply:
        if request.method == "GET":
            return 200, EVENTS
        return (404, b"{}") if request.json["ven_id"] == "v1" else (201, b"{}")

    async with scripted(reply) as vtn:
        client, watch = Client(HttpxTransport(vtn.url), dialect("flat")), EventWatch()
        for _ in range(2):
            await watch.poll(client, VENS)
        await client.close()
        assert [event.name for event in watch.take()] == ["peak"]
        assert watch.take() == []
        asked = [r.json["ven_id"] for r in vtn.requests if r.method == "POST"]
        assert asked == ["v0", "v1", "v2"]


async def test_an_outage_between_two_answers() -> None:
    """The next poll goes on with those that have not answered yet, then the event counts."""
    answers = iter([(201, b"{}"), None, (201, b"{}"), (201, b"{}")])

    async with scripted(lambda r: (200, EVENTS) if r.method == "GET" else next(answers)) as vtn:
        client, watch = Client(HttpxTransport(vtn.url), dialect("flat")), EventWatch()
        with pytest.raises(NoAnswer):
            await watch.poll(client, VENS)
        assert watch.take() == []
        await watch.poll(client, VENS)
        await client.close()
        assert len(watch.take()) == 1
        asked = [r.json["ven_id"] for r in vtn.requests if r.method == "POST"]
        assert asked == ["v0", "v1", "v1", "v2"]
