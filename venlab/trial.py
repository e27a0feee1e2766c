"""What a VTN does with one VEN, one good report and ten bad ones, and all of it taken back."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from venlab.config import LabConfig
from venlab.errors import AccessDenied, NoAnswer, Refused, VtnError
from venlab.model import Resource, Ven
from venlab.outside import Outside
from venlab.probe import Asker, Finding, Verdict, asking
from venlab.tasks import in_any_case
from venlab.transport import HttpxTransport, Transport
from venlab.wire import Address, Call, LoadName, Registered
from venlab.wire.probing import bad_reports, get, ids_in, made_id, taken

__all__ = ["try_reports"]

T = TypeVar("T")
METER = "meter"
STAMP = datetime(2023, 1, 9, 16, tzinfo=UTC)
WATTS = 1500


async def try_reports(
    config: LabConfig,
    there: Outside,
    finding: Finding,
    transport: Callable[..., Transport] = HttpxTransport,
) -> None:
    """Register a VEN with a resource, send a good report and ten bad ones, and delete all again.

    Parameters
    ----------
    config : LabConfig
        With a client's credential and a token, the token makes what only business logic may.
    there : Outside
        The VTN, as `look` found it.
    finding : Finding
        What is found out is added to it, also where an error breaks it off.
    transport : callable
        Makes what carries the requests.

    Raises
    ------
    AccessDenied, Refused, NoAnswer
        The VTN takes no VEN, or has no event to report on.
    """
    async with _askers(config, there, transport) as (asker, business):
        trial = _Trial(asker, business, finding)
        try:
            await trial.play()
        finally:
            await in_any_case(trial.undo())


@asynccontextmanager
async def _askers(
    config: LabConfig, there: Outside, transport: Callable[..., Transport]
) -> AsyncIterator[tuple[Asker, Asker]]:
    """Hand out who asks as the VEN, and who as business logic: the same where one is named."""
    async with asking(config, there, transport=transport) as asker:
        if not (config.client_id and config.token):
            yield asker, asker
            return
        token = config.token
        async with asking(config, there, transport=transport, credential=token) as business:
            yield asker, business


class _Trial:
    def __init__(self, asker: Asker, business: Asker, finding: Finding) -> None:
        self._asker, self._business, self._finding = asker, business, finding
        self._name = f"venlab-probe-{secrets.token_hex(3)}"
        self._says = asker.dialect
        self._made: list[tuple[str, Asker, Callable[[], Call[None]]]] = []

    async def play(self) -> None:
        """Make what a report needs, then send the reports."""
        address = await self._address() if self._asker.can("address") else None
        ven, speaks = await self._ven()
        resource = Resource(f"{self._name}/{METER}", METER, ven.name, "probe")
        call = self._says.register_resource(ven, resource, speaks=speaks)
        told = await self._create(f"resource {METER}", self._asker, call)
        self._to_delete(f"resource {METER}", partial(self._says.delete_resource, ven.id, told.id))
        load = LoadName(0, told.id, METER, "load_0")
        writer = self._says.writer(ven, [load], self._name, address)
        good = writer.write(STAMP, 900, [WATTS])[0].body
        if not await self._report("a good one", good, (200, 201)):
            said = "the good report is not taken: ten bad ones would tell nothing"
            raise Refused(said, "use a credential that may report, a VEN's most often")
        for bad in bad_reports(self._says.name, good):
            await self._report(bad.what, bad.body, bad.right)

    async def undo(self) -> None:
        """Delete what was made, the last first; what stays is noted."""
        for what, asker, call in reversed(self._made):
            self._finding.made.insert(0, what)
            if not self._asker.can("delete"):
                self._finding.left.insert(0, what)
                continue
            try:
                await asker.read("delete", call())
            except VtnError as error:
                self._finding.left.append(f"{what} ({error.problem})")
        if self._finding.left and not self._asker.can("delete"):
            why = f"{self._says.name}: {self._says.cannot['delete']}"
            self._finding.left[-1] += f" ({why})"

    async def _address(self) -> Address:
        """Make an event that asks for reports; where that may not be, take one that is there."""
        try:
            call = self._says.create_program(self._name)
            program = await self._create(f"program {self._name}", self._business, call)
            undo = partial(self._says.delete_program, program.id)
            self._to_delete(f"program {self._name}", undo, business=True)
            opening = self._says.open_address(program.id, self._name)
            event = await self._create(f"event {self._name}", self._business, opening)
            undo = partial(self._says.delete_event, event.event_id)
            self._to_delete(f"event {self._name}", undo, business=True)
            return event
        except (AccessDenied, Refused) as error:
            found = await self._asker.read("list events", self._says.addresses(0, self._says.page))
            if found:
                return found[0]
            problem = f"there is no event to report on: {error.problem}"
            remedy = "put a token of business logic into VENLAB_TOKEN beside --client-id"
            raise AccessDenied(problem, remedy, status=error.status) from None

    async def _ven(self) -> tuple[Ven, bool]:
        """Register as a VEN for itself, else as business logic; return it, and if it was the first.

        In 3.1.0 a client has one VEN: where it is there already, that one is used, and stays.
        """
        problem: VtnError | None = None
        for speaks in (True, False):
            call = self._says.register_ven(self._name, self._name, speaks=speaks)
            try:
                told: Registered = await self._create(f"VEN {self._name}", self._asker, call)
            except (AccessDenied, Refused) as error:
                problem = problem or error  # the first says why it may not be itself
                continue
            self._to_delete(f"VEN {self._name}", partial(self._says.delete_ven, told.id))
            if told.token:
                self._asker.speak_as(told.id, told.token)
            return Ven(told.id, self._name, self._name), speaks
        if self._says.private and problem and problem.status == 409:
            answer = await self._asker.ask(get("/vens?skip=0&limit=1"))
            if found := ids_in(answer.body):
                return Ven(found[0], self._name, self._name), True
        assert problem
        raise problem

    async def _create(self, what: str, asker: Asker, call: Call[T]) -> T:
        try:
            return await asker.read(f"make {what}", call)
        except NoAnswer:
            self._finding.left.append(f"perhaps {what}: no answer came")
            raise

    def _to_delete(
        self, what: str, call: Callable[[], Call[None]], *, business: bool = False
    ) -> None:
        self._made.append((what, self._business if business else self._asker, call))

    async def _report(self, what: str, body: bytes, right: tuple[int, ...]) -> bool:
        """Send a report and note what it got; return whether it was taken."""
        try:
            answer = await self._asker.ask(self._says.post_report(body))
        except NoAnswer as error:
            self._finding.reports.append(Verdict(what, None, "no", error.problem))
            return False
        as_it_should = "yes" if answer.status in right else "no"
        verdict = as_it_should if right else "open"
        words = self._asker.words(answer)
        self._finding.reports.append(Verdict(what, answer.status, verdict, words))
        if not taken(answer.status):
            return False
        report_id = made_id(answer.body)
        self._to_delete(f"report: {what}", partial(self._says.delete_report, report_id))
        return True
