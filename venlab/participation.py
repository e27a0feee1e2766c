"""A run's part in demand response: what is polled is answered, kept, and moves the loads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from venlab.client import Client
from venlab.eventwatch import EventWatch
from venlab.fleet import Fleet
from venlab.model import Event, Ven
from venlab.opting import Choice, Decision
from venlab.outbox import Outbox
from venlab.responder import Responder
from venlab.roster import Roster
from venlab.simulator import Simulator

__all__ = ["Participation"]


class Participation:
    """Where a run's events go: from the VTN to its loads, and into the run file on the way.

    Parameters
    ----------
    fleet : Fleet
        Who is asked.
    roster : Roster
        Everybody registered, and who is approved.
    responder : Responder
        What the fleet does about it.
    outbox : Outbox
        Where it is kept, so that the run can go on and be looked at.
    in_flight : int
        Polls at the same time, where each VEN asks for itself.
    """

    def __init__(
        self, fleet: Fleet, roster: Roster, responder: Responder, outbox: Outbox, in_flight: int
    ) -> None:
        self._fleet, self._roster = fleet, roster
        self._responder, self._outbox = responder, outbox
        self._watch = EventWatch(in_flight, self._decide)
        self._decided: dict[tuple[str, int], Decision] = {}
        self._kept: defaultdict[int, list[Decision]] = defaultdict(list)

    @property
    def recent(self) -> tuple[Event, ...]:
        """The last few versions of events that were seen, the newest last."""
        return self._watch.recent

    async def poll(self, client: Client, now: datetime) -> None:
        """Ask for events, and answer new ones; parameters as of `EventWatch.poll`."""
        await self._watch.poll(client, self._roster.vens, now)

    async def remember(self) -> None:
        """Take from the run file what was decided before the run goes on."""
        for step, decision in await self._outbox.decisions():
            self._kept[step].append(decision)
        decisions = [decision for step in sorted(self._kept) for decision in self._kept[step]]
        self._watch.remember(decisions, self._roster.vens)

    def begin(self, step: int, at: datetime) -> None:
        """Let the events that were seen since the last step take effect at one."""
        for event in self._watch.take():
            decision = self._decided.pop((event.id, event.version), None) or self._nobody(event)
            self._outbox.note_decision(step, at, decision)
            self._kept[step].append(decision)

    def step(self, simulator: Simulator) -> NDArray[np.float32]:
        """Return the power of the simulator's next step [kW], with what events move of it."""
        step, begin = simulator.index, simulator.time_of(simulator.index)
        for decision in self._kept.pop(step, ()):
            self._responder.receive(decision, begin)
        return self._responder.step(begin, simulator.step())

    def _decide(self, event: Event, names: frozenset[str]) -> Callable[[Ven], str]:
        """Decide about an event that the VENs of these client names see; return who says what."""
        fleet, clients = self._fleet, self._roster.client_names
        receivers = [v for v, name in enumerate(clients) if name in names]
        if event.cancelled:
            decision = self._nobody(event)
        else:
            decision = self._responder.decide(event, receivers, self._roster.approved)
        self._decided[event.id, event.version] = decision

        def answer(ven: Ven) -> str:
            return decision.answer(fleet.resource_ven == clients.index(ven.client_name))

        return answer

    def _nobody(self, event: Event) -> Decision:
        """Return a decision in which nobody is asked: of an event that is over."""
        return Decision(event, (), np.full(self._fleet.n_resources, Choice.NOT_ASKED, np.uint8))
