"""Who is registered: a fleet's VENs and resources as the VTN knows them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import cast
from uuid import NAMESPACE_DNS, uuid5

import numpy as np

from venlab.client import Client
from venlab.errors import Refused
from venlab.fleet import END_USES, LOADS, Fleet
from venlab.model import Program, Resource, Status, Ven
from venlab.tasks import for_each

__all__ = ["Roster"]

log = logging.getLogger(__name__)


class Roster:
    """A fleet's VENs, its resources' ids, and which of them are approved.

    Parameters
    ----------
    fleet : Fleet
        Who is to be registered.
    prefix : str
        Put before every VEN's name, so that many fleets can share a VTN.
    in_flight : int
        Requests at the same time.
    """

    def __init__(self, fleet: Fleet, *, prefix: str = "", in_flight: int = 8) -> None:
        self._fleet = fleet
        self._prefix = prefix
        self._in_flight = in_flight
        self.vens: list[Ven] = []
        self.resource_ids: dict[int, str] = {}
        self.approved = fleet.approved.copy()

    @property
    def complete(self) -> bool:
        """Whether every VEN and every resource is registered."""
        return bool(self.vens) and len(self.resource_ids) == self._fleet.n_resources

    @property
    def progress(self) -> str:
        """How far the registration is, in words."""
        return f"{len(self.resource_ids)} of {self._fleet.n_resources} resources are registered"

    async def register(self, client: Client, progress: Callable[[int, int], None]) -> None:
        """Register all VENs, then all resources; repeatable, and goes on where it broke off.

        What the VTN has already is found by its name, not made twice.

        Parameters
        ----------
        client : Client
            The VTN.
        progress : callable
            Called with how many resources are registered, and of how many.
        """
        vens: dict[int, Ven] = {}
        of = self._fleet.n_resources
        tenth = max(1, of // 10)

        async def register_ven(v: int) -> None:
            name = self._prefix + str(self._fleet.ven_name[v])
            log.info("Registering VEN: %s", name)
            vens[v] = await client.register_ven(name, self._prefix + str(self._fleet.town_id[v]))

        async def register_resource(r: int) -> None:
            ven = vens[int(self._fleet.resource_ven[r])]
            registered = await client.register_resource(ven, self._resource(r, ven))
            self.resource_ids[r] = registered.id
            done = len(self.resource_ids)
            progress(done, of)
            if done % tenth == 0 or done == of:
                log.info("Registered %d/%d resources", done, of)

        await for_each(range(self._fleet.n_vens), register_ven, self._in_flight)
        if len(self.resource_ids) == of:
            self.resource_ids.clear()
        missing = [r for r in range(of) if r not in self.resource_ids]
        await for_each(missing, register_resource, self._in_flight)
        self.vens = [vens[v] for v in range(self._fleet.n_vens)]

    async def play_operator(self, client: Client) -> None:
        """Give each resource the status that the fleet's table says: on our own VTN only."""
        for r in np.flatnonzero(~self._fleet.approved).tolist():
            status = cast("Status", str(self._fleet.status[r]))
            await client.set_status(self.resource_ids[r], status)

    async def read_status(self, client: Client) -> None:
        """Take from the VTN which resources are approved, where it can say."""
        try:
            told = {r.id: r.status == "approved" for r in await client.resources()}
        except Refused as error:
            if error.status not in (404, 405):
                raise
            return
        for r, resource_id in self.resource_ids.items():
            self.approved[r] = told.get(resource_id, self.approved[r])

    async def enrol(self, client: Client) -> None:
        """Enrol the approved resources in every program that the VTN has."""
        approved = np.flatnonzero(self.approved).tolist()
        for program in await client.programs():
            await self._enrol_in(client, program, approved)

    async def _enrol_in(self, client: Client, program: Program, resources: list[int]) -> None:
        async def enrol(r: int) -> None:
            await client.enrol(program, self.resource_ids[r])

        await for_each(resources, enrol, self._in_flight)

    def _resource(self, r: int, ven: Ven) -> Resource:
        name = str(self._fleet.resource_name[r])
        return Resource(
            id=str(uuid5(NAMESPACE_DNS, f"{ven.name}/{name}")),
            name=name,
            ven_name=ven.name,
            kind=str(self._fleet.building_type[r]),
            attributes={load: [use] for load, use in zip(LOADS, END_USES, strict=True)},
        )
