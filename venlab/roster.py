"""Who is registered: a fleet's VENs and resources as the VTN knows them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from venlab.client import Client
from venlab.clock import Clock
from venlab.errors import Refused, RunError
from venlab.fleet import Fleet
from venlab.model import Program, Status, Traits, Ven
from venlab.names import targets_of_resource, targets_of_ven
from venlab.retry import Backoff, Patience
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
    patience : Patience, optional
        How often each registration is tried while the VTN does not answer.
    rated_kw : callable, optional
        Returns what each resource uses at most, shape (R,) [kW]; called when one is registered.

    Attributes
    ----------
    names, client_names : list of str
        What each VEN is called at the VTN, and what it calls itself, in the order of the fleet.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        prefix: str = "",
        in_flight: int = 8,
        patience: Patience | None = None,
        rated_kw: Callable[[], NDArray[np.float32]] | None = None,
    ) -> None:
        self.fleet, self._prefix = fleet, prefix
        self._in_flight, self._rate = in_flight, rated_kw
        self.client_names = [prefix + str(town) for town in fleet.town_id]
        self.names = [prefix + str(name) for name in fleet.ven_name]
        self._patiently = patience or Patience(
            1, Clock(1.0), Backoff(0.1, 1.0, np.random.default_rng())
        )
        self.vens: list[Ven] = []
        self.resource_ids: dict[int, str] = {}
        self.approved = fleet.approved.copy()
        self._new: set[int] = set()  # resources that the VTN did not know

    @property
    def complete(self) -> bool:
        """Whether every VEN and every resource is registered."""
        return bool(self.vens) and len(self.resource_ids) == self.fleet.n_resources

    def must_be_complete(self) -> None:
        """Raise a RunError unless everybody is registered."""
        if not self.complete:
            raise RunError("not everybody is registered", "await lab.register() first")

    @property
    def progress(self) -> str:
        """How far the registration is, in words."""
        return f"{len(self.resource_ids)} of {self.fleet.n_resources} resources are registered"

    async def settle(
        self,
        client: Client,
        progress: Callable[[int, int], None],
        *,
        as_operator: bool,
        goes_on: bool = False,
    ) -> None:
        """Register everybody, learn who is approved, and enrol those; parameters as below.

        Where a run goes on, the statuses of what the VTN knows are as they are.
        """
        await self.register(client, progress)
        if as_operator:
            await self.play_operator(client, np.array(sorted(self._new), int) if goes_on else None)
        await self._patiently(partial(self.read_status, client))
        await self.enrol(client)

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
        held: dict[int, dict[str, str]] = {}
        of = self.fleet.n_resources
        tenth = max(1, of // 10)

        async def register_ven(v: int) -> None:
            vens[v] = await self._register_ven(client, v)
            held[v] = await self._patiently(partial(client.resources_of, vens[v]))

        async def register_resource(r: int) -> None:
            v = int(self.fleet.resource_ven[r])
            await self._register_resource(client, r, vens[v], held[v])
            done = len(self.resource_ids)
            progress(done, of)
            if done % tenth == 0 or done == of:
                log.info("Registered %d/%d resources", done, of)

        await for_each(range(self.fleet.n_vens), register_ven, self._in_flight)
        if len(self.resource_ids) == of:
            self.resource_ids.clear()
        missing = [r for r in range(of) if r not in self.resource_ids]
        await for_each(missing, register_resource, self._in_flight)
        self.vens = [vens[v] for v in range(self.fleet.n_vens)]

    async def register_again(self, client: Client, v: int, *, as_operator: bool) -> None:
        """Register one VEN, and what stands behind it, at a VTN that does not know it any more.

        Parameters
        ----------
        client : Client
            The VTN.
        v : int
            Which VEN of the fleet.
        as_operator : bool
            Whether the VTN is our own: then resources get the status that the fleet's table says.
        """
        ven = await self._register_ven(client, v)
        behind = np.flatnonzero(self.fleet.resource_ven == v)
        held = await self._patiently(partial(client.resources_of, ven))
        for r in behind.tolist():
            await self._register_resource(client, r, ven, held)
        if as_operator:
            await self.play_operator(client, behind)
        await self._enrol(client, behind[self.approved[behind]].tolist())
        self.vens[v] = ven

    @cached_property
    def _rated_kw(self) -> NDArray[np.float32] | None:
        return self._rate() if self._rate else None

    async def _register_ven(self, client: Client, v: int) -> Ven:
        name = self.names[v]
        client_name = self.client_names[v]
        log.info("Registering VEN: %s", name)
        fleet = self.fleet
        place = [round(float(degrees[v]), 5) for degrees in (fleet.longitude, fleet.latitude)]
        traits = Traits({"LOCATION": place}, targets_of_ven(fleet, v, self._prefix))
        return await self._patiently(lambda: client.register_ven(name, client_name, traits))

    async def _register_resource(
        self, client: Client, r: int, ven: Ven, held: Mapping[str, str]
    ) -> None:
        resource = self.fleet.resource(r, ven.name)
        if resource.name in held:
            self.resource_ids[r] = held[resource.name]
            return
        rated = {}
        if self._rated_kw is not None:
            rated["MAX_POWER_CONSUMPTION"] = [math.ceil(10 * self._rated_kw[r]) / 10]
        described = replace(resource, traits=Traits(rated, targets_of_resource(self.fleet, r)))
        told = await self._patiently(lambda: client.register_resource(ven, described))
        self.resource_ids[r] = told.id
        if told.is_new:
            self._new.add(r)

    async def play_operator(self, client: Client, which: NDArray[np.intp] | None = None) -> None:
        """Give resources the status that the fleet's table says: on our own VTN only."""
        if not client.can("status"):
            return
        which = np.arange(self.fleet.n_resources) if which is None else which
        for r in which[~self.fleet.approved[which]].tolist():
            status = cast("Status", str(self.fleet.status[r]))
            await self._patiently(partial(client.set_status, self.resource_ids[r], status))

    async def read_status(self, client: Client) -> None:
        """Take from the VTN which resources are approved, where it can say."""
        if not client.can("status"):
            return
        try:
            listed = await client.resources()
        except Refused as error:
            if error.status not in (404, 405):
                raise
            return
        told = {each.id: each.status == "approved" for each in listed}
        for r, resource_id in self.resource_ids.items():
            self.approved[r] = told.get(resource_id, self.approved[r])

    async def enrol(self, client: Client) -> None:
        """Enrol the approved resources in every program that the VTN has."""
        await self._enrol(client, np.flatnonzero(self.approved).tolist())

    async def _enrol(self, client: Client, resources: list[int]) -> None:
        if client.can("enrol"):
            for program in await self._patiently(client.programs):
                await self._enrol_in(client, program, resources)

    async def _enrol_in(self, client: Client, program: Program, resources: list[int]) -> None:
        async def enrol(r: int) -> None:
            await self._patiently(lambda: client.enrol(program, self.resource_ids[r]))

        await for_each(resources, enrol, self._in_flight)
