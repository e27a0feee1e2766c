"""A VTN that comes up filled: a fleet's VENs and what stands behind them, in every dialect.

They are registered by requests like anybody's, in the lab's own words: what is there is what the
lab would have made, and it finds all of it.
"""

from __future__ import annotations

import logging
from typing import TypeVar
from urllib.parse import unquote

from starlette.types import Message

from venlab.errors import RunError
from venlab.fleet import Fleet
from venlab.model import Ven
from venlab.secret import Secret
from venlab.vtn.app import FLAT, Front
from venlab.vtn.kinds import VERSIONS
from venlab.wire import Call, dialect

log = logging.getLogger(__name__)

T = TypeVar("T")
PROGRAM, EVENT = "venlab", "venlab-reports"  # as the lab names its own
REFERENCE = 10  # VENs of the reference fleet
_LASTS_S = 60


async def fill(app: Front, credential: Secret, vens: int) -> None:
    """Register the first so many VENs of the reference fleet, or past ten of the full one.

    In the standard's dialects there is an event to report on as well. Nothing is done where
    the store holds a program or a VEN already. ConfigError where there are not so many VENs.
    """
    fleet = (Fleet.reference() if vens <= REFERENCE else Fleet.full()).only(vens)
    if any(app.store.find(table) for table in ("programs", "vens", "objects")):
        log.info("The store is filled already")
        return
    for name in ("flat", *(version.name for version in VERSIONS)):
        await _Filler(app, credential, name).fill(fleet)
        log.info("Filled in %s: %d VENs, %d resources", name, fleet.n_vens, fleet.n_resources)


class _Filler:
    """Asks the application itself, in one dialect: as business logic, then as each VEN."""

    def __init__(self, app: Front, credential: Secret, name: str) -> None:
        self._app, self._spoken = app, dialect(name)
        self._base = next((v.base for v in VERSIONS if v.name == name), FLAT)
        self._secret = self._token = credential.reveal()

    async def fill(self, fleet: Fleet) -> None:
        program = await self._ask(self._spoken.create_program(PROGRAM))
        speaks = "address" not in self._spoken.cannot  # of flat's VENs the operator speaks
        if speaks:
            await self._ask(self._spoken.open_address(program.id, EVENT))
        behind: list[list[int]] = [[] for _ in range(fleet.n_vens)]
        for r, v in enumerate(fleet.resource_ven.tolist()):
            behind[v].append(r)
        for v, resources in enumerate(behind):
            name, client = str(fleet.ven_name[v]), str(fleet.town_id[v])
            if speaks:
                self._be(client)
            made = await self._ask(self._spoken.register_ven(name, client, speaks=speaks))
            for r in resources:
                resource = fleet.resource(r, name)
                ven = Ven(made.id, name, client)
                told = await self._ask(self._spoken.register_resource(ven, resource, speaks=speaks))
                if not speaks and resource.status != "approved":
                    await self._ask(self._spoken.set_status(told.id, resource.status))
                elif not speaks:
                    await self._ask(self._spoken.enrol(program.id, told.id))

    def _be(self, client: str) -> None:
        owner = self._app.access.owner(client, self._secret.encode(), self._spoken.name)
        assert owner
        self._token = self._app.access.issue(owner, _LASTS_S)

    async def _ask(self, call: Call[T]) -> T:
        path, _, query = call.path.partition("?")
        scope = {
            "type": "http",
            "method": call.method,
            "path": self._base + unquote(path),
            "query_string": query.encode(),
            "headers": [(b"authorization", f"Bearer {self._token}".encode())],
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": call.body}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        status, body = sent[0]["status"], b"".join(part.get("body", b"") for part in sent)
        if not call.takes(status):
            said = f"{call.path}: {status} {self._spoken.explain(body)}"
            raise RunError(f"the VTN cannot be filled: {said}")
        return call.read(status, body)
