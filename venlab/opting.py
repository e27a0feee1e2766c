"""Who takes part in an event, and what a VEN answers to it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from venlab import draws
from venlab.fleet import LOADS, Fleet
from venlab.flexibility import Flexibility
from venlab.model import Event
from venlab.names import named_resources, named_vens

__all__ = ["Choice", "Decision", "Opting", "Policy"]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Choice(IntEnum):
    """What became of an event at a resource."""

    NOT_ASKED = 0
    TAKES_PART = 1
    BY_HAND = 2
    NOT_ENROLLED = 3


@dataclass(frozen=True, eq=False)
class Decision:
    """One version of an event, who received it, and what each resource does about it.

    Parameters
    ----------
    event : Event
        As it was received.
    receivers : tuple of int
        Which VENs of the fleet see it.
    choices : uint8 array, shape (R,)
        A `Choice` for each resource.
    """

    event: Event
    receivers: tuple[int, ...]
    choices: NDArray[np.uint8]

    @property
    def takes_part(self) -> Bools:
        """Which resources take part, shape (R,)."""
        return np.asarray(self.choices == Choice.TAKES_PART)

    @property
    def asked(self) -> Bools:
        """Which approved resources it is for, shape (R,)."""
        return np.asarray(self.choices != Choice.NOT_ASKED)

    def answer(self, behind: Bools) -> str:
        """Return what a VEN says to it.

        Parameters
        ----------
        behind : bool array, shape (R,)
            Which resources are the VEN's.

        Returns
        -------
        str
            ``optIn`` if any of them takes part, ``optOut`` if all that could refuse, and
            ``notParticipating`` if none is enrolled or meant.
        """
        choices = self.choices[behind]
        if (choices == Choice.TAKES_PART).any():
            return "optIn"
        return "optOut" if (choices == Choice.BY_HAND).any() else "notParticipating"


Policy = Callable[[Event, Bools], Bools]
"""Given an event and which resources are enrolled and meant, says which of them take part."""


class Opting:
    """Who is enrolled, whom an event means, and who refuses it by hand.

    Each resource is enrolled or not once, with the probability that its loads have in the table of
    flexibility; each refuses each event on its own. The draws go by seed, town, resource, event
    name and start, never by an id that a VTN made: so another VTN, another dialect and one VEN
    more change nobody's mind.

    Parameters
    ----------
    fleet : Fleet
        Whose resources.
    flexible : Flexibility
        Of each load.
    seed : int
        Of the draws.
    prefix : str
        Before the names of this fleet's VENs at the VTN.
    policy : Policy, optional
        Who takes part, in place of the draws.
    """

    def __init__(
        self,
        fleet: Fleet,
        flexible: Flexibility,
        seed: int,
        prefix: str = "",
        policy: Policy | None = None,
    ) -> None:
        self._fleet, self._prefix = fleet, prefix
        towns, resources = fleet.town_id[fleet.resource_ven], fleet.resource_name
        self._keys = [f"{seed}|{t}|{r}" for t, r in zip(towns, resources, strict=True)]
        drawn = np.repeat(self._drawn("takes part"), len(LOADS))
        self.enrolled_loads = drawn < flexible.participation_frac
        self.enrolled = self.enrolled_loads.reshape(-1, len(LOADS)).any(axis=1)
        self._opt_out = flexible.opt_out_frac.reshape(-1, len(LOADS)).max(axis=1)
        self._policy = policy or self._not_by_hand

    def decide(self, event: Event, receivers: Collection[int], approved: Bools) -> Decision:
        """Return what each resource does about an event.

        Parameters
        ----------
        event : Event
            As it was received.
        receivers : collection of int
            Which VENs see it.
        approved : bool array, shape (R,)
            Nobody else is asked.
        """
        meant = self.meant(event, receivers) & approved
        takes_part = self._policy(event, meant & self.enrolled) & meant & self.enrolled
        choices = np.full(len(meant), Choice.NOT_ASKED, np.uint8)
        choices[meant] = Choice.NOT_ENROLLED
        choices[meant & self.enrolled] = Choice.BY_HAND
        choices[takes_part] = Choice.TAKES_PART
        return Decision(event, tuple(sorted(receivers)), choices)

    def meant(self, event: Event, receivers: Collection[int]) -> Bools:
        """Return which resources an event is for: of those that see it, shape (R,)."""
        fleet = self._fleet
        sees = np.isin(np.arange(fleet.n_vens), list(receivers))
        if not event.targets:
            return sees[fleet.resource_ven]
        named = named_vens(fleet, event, self._prefix)[fleet.resource_ven]
        return (named | named_resources(fleet, event)) & sees[fleet.resource_ven]

    def _not_by_hand(self, event: Event, enrolled: Bools) -> Bools:
        start = event.period.start if event.period else None
        begin = start.astimezone(UTC).isoformat() if start else "now"
        return np.asarray(enrolled & (self._drawn(f"{event.name}|{begin}") >= self._opt_out))

    def _drawn(self, what: str) -> Floats:
        bits = draws.keys((f"{key}|{what}" for key in self._keys), streams=1)[:, 0]
        return np.asarray((bits >> 32) / 2.0**32)
