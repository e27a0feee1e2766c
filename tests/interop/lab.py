"""The lab at that VTN: what it writes and what it reads, by its own client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tests.interop.peers.script import holds
from tests.standard.recording import Recording
from venlab.auth import ClientCredentials
from venlab.client import Client
from venlab.durations import Duration
from venlab.model import Event, Interval, Period, Resource, Signal, Target
from venlab.secret import Secret
from venlab.transport import HttpxTransport
from venlab.wire import LoadName, dialect

T = TypeVar("T")
START = datetime(2023, 1, 9, 16, tzinfo=UTC)
NORTH = Target("north", "GROUP")
WATTS = (1500, 250)


class LabClient:
    """The lab's client in one version, and a VEN that speaks for itself where VENs do.

    It is used from code that has no loop of its own; what it exchanges is looked at.
    """

    def __init__(self, url: str, version: str, secret: str, seen: Recording) -> None:
        self._url, self._version, self._secret, self._seen = url, version, secret, seen

    def _run(self, work: Callable[[Client], Awaitable[T]]) -> T:
        async def run() -> T:
            token_url = f"{self._url}/auth/token"
            business = ClientCredentials(token_url, "operator", Secret(self._secret))
            client = Client(
                self._seen.transport(HttpxTransport(self._url), self._url),
                dialect(self._version),
                business,
                of_ven=business.of,
            )
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(run())

    def write(self) -> dict[str, Any]:
        """Write a program, events to act on and to report on, a VEN, its resource and a report.

        Their ids are returned, by kind.
        """

        async def work(client: Client) -> dict[str, Any]:
            program = await client.create_program("peaks")
            hour = Period(START, Duration(exact=timedelta(hours=1)))
            levels = [Interval(n, (Signal("SIMPLE", (n,)),)) for n in (1, 2)]
            prices = [Interval(n, (Signal("PRICE", (0.5 + n,), "KWH"),)) for n in range(4)]

            async def event(name: str, intervals: list[Interval], **more: Any) -> str:
                new = Event("", name, program.id, period=hour, intervals=tuple(intervals), **more)
                return (await client.create_event(new)).id

            events = [await event("peak", levels, targets=(NORTH,), priority=1)]
            events += [await event("prices", prices)]
            await client.find_address("reports", "peaks")
            assert client.address
            events += [client.address.event_id]
            events += [await event("again", levels), await event("and again", levels)]
            ven = await client.register_ven("Lab", "lab")
            where = {"LOCATION": ["9.41", "55.04"]}
            shop = Resource("", "shop_01", ven.name, attributes=where)
            resource = await client.register_resource(ven, shop)
            loads = [LoadName(n, resource.id, shop.name, f"load_{n}") for n in range(len(WATTS))]
            (draft,) = client.writer(ven, loads, "run-1").write(START, 900, WATTS)
            assert (await client.post_report(ven, draft.body)).status == 201
            return {"program": program.id, "events": events, "ven": ven.id, "resource": resource.id}

        return self._run(work)

    def read(self, kind: str, object_id: str | None, body: Any, who: str) -> None:
        """Raise ValueError unless the lab reads as it is what a peer wrote as client `who`.

        Subscriptions are not its business, nor reports of anything but power.
        """

        async def work(client: Client) -> None:
            if kind == "program":
                names = {program.id: program.name for program in await client.programs()}
                holds(names.get(str(object_id)), body["programName"])
            elif kind == "event":
                (event,) = [each for each in await client.events() if each.id == object_id]
                wanted = [p for each in body["intervals"] for p in each["payloads"]]
                signals = [signal for each in event.intervals for signal in each.signals]
                found = [{"type": s.type, "values": list(s.values)} for s in signals]
                holds([event.name, found], [body["eventName"], wanted])
            elif kind == "ven":
                holds((await client.register_ven(body["venName"], who)).id, object_id)
            elif kind == "report" and "reportName" in body:
                await client.find_address("reports", "peaks")
                run_id, _, _ = body["reportName"].partition("/")
                heard = [each async for page in client.heard(run_id) for each in page]
                watts = {each.name: (each.readings, each.watts) for each in heard}
                values = [r["intervals"][0]["payloads"][0]["values"][0] for r in body["resources"]]
                wanted = len(values), round(1000 * sum(values))
                holds(watts.get(body["reportName"]), wanted)

        self._run(work)
