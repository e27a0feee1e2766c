"""A fleet that answers events: what it is asked, whether it takes part, and what its loads do."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from venlab.fleet import Fleet
from venlab.flexibility import Flexibility
from venlab.model import Event
from venlab.opting import Decision, Opting, Policy
from venlab.orders import Orders
from venlab.prices import PriceRule
from venlab.response import Response

__all__ = ["Responder"]

HOUR = timedelta(hours=1)


class Responder:
    """The demand response of a fleet, step by step; no network, no clock.

    Parameters
    ----------
    fleet : Fleet
        Whose loads.
    flexible : Flexibility
        What each can give.
    seed : int
        Of participation, of refusals and of randomised starts.
    step_min : float
        Length of a step [min].
    prefix : str
        Before the names of this fleet's VENs at the VTN.
    policy : Policy, optional
        Who takes part in an event, in place of the table's probabilities.
    price_rule : PriceRule, optional
        What prices ask for.

    Attributes
    ----------
    response : Response
        Drift, pending energy and shortfall of the loads.

    Examples
    --------
    >>> from venlab import Event, Profiles, parse_time
    >>> fleet = Fleet.reference().only(["Aabenraa"])
    >>> responder = Responder(fleet, Flexibility.of(fleet, Profiles.load()), 7, step_min=15)
    >>> begin, end = parse_time("2023-11-30T17:00"), parse_time("2023-11-30T19:00")
    >>> decision = responder.decide(Event.between(begin, end), [0], fleet.approved)
    >>> responder.receive(decision, begin)
    >>> usual_kw = np.full(fleet.n_loads, 0.5, np.float32)
    >>> bool(responder.step(begin, usual_kw).sum() < usual_kw.sum())
    True
    """

    def __init__(
        self,
        fleet: Fleet,
        flexible: Flexibility,
        seed: int,
        *,
        step_min: float,
        prefix: str = "",
        policy: Policy | None = None,
        price_rule: PriceRule | None = None,
    ) -> None:
        self._step = timedelta(minutes=step_min)
        self._opting = Opting(fleet, flexible, seed, prefix, policy)
        self._orders = Orders(fleet, flexible, self._opting, seed, price_rule)
        self.response = Response(flexible, fleet, self._opting.enrolled_loads)
        self._due: datetime | None = None
        self._last_kw: NDArray[np.float32] | None = None

    def decide(
        self, event: Event, receivers: Collection[int], approved: NDArray[np.bool_]
    ) -> Decision:
        """Return what each resource does about an event; parameters as of `Opting.decide`."""
        return self._opting.decide(event, receivers, approved)

    def receive(self, decision: Decision, at: datetime) -> None:
        """Know an event from the step on that begins at a time, aware."""
        self._orders.receive(decision, at)
        self._due = at

    @property
    def tired(self) -> NDArray[np.bool_]:
        """Which loads have been called for as long as they can be, and opted out, shape (6 R,)."""
        return self._orders.tired

    def step(self, begin: datetime, undisturbed_kw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the power of a step; without an event the array that was given.

        Parameters
        ----------
        begin : datetime
            Of the step, aware.
        undisturbed_kw : float32 array, shape (6 R,) [kW]
            Power of each load without any event: the twin's.
        """
        last_kw = undisturbed_kw if self._last_kw is None else self._last_kw
        while self._due is not None and self._due < begin + self._step:
            at = max(begin, self._due)
            self.response.obey(self._orders.at(at, last_kw))
            self._due = self._orders.next_change(at)
        self._last_kw = self.response.step(undisturbed_kw, begin, self._step / HOUR)
        return self._last_kw
