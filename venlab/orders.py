"""What the events that a fleet knows ask of each of its loads, from when on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from venlab.fleet import LOADS, Fleet
from venlab.flexibility import Flexibility
from venlab.names import named_resources
from venlab.opting import Decision, Opting
from venlab.prices import (
    CAPS,
    LIMIT,
    RELATIVE,
    SUBSCRIPTION,
    PriceRule,
    is_understood,
    level_of,
    number_of,
)
from venlab.response import Order
from venlab.timeline import Timeline, rank
from venlab.track import lifespan

__all__ = ["Orders"]

log = logging.getLogger(__name__)

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Orders:
    """The events that are known, as orders to loads.

    Of one type of signal the lower priority number wins, then the newer event, as `Timeline` has
    it; of several types what asks for most. Of caps the lowest holds, whatever its event's
    priority: each is a limit of its own. A capacity limit that ends falls back to the capacity
    that is subscribed. An event that names resources, or a group of them, caps each of these; else
    it caps the sum of what stands behind each VEN. A load that was called for as long as it can be
    opts out until nothing is asked of it any more.

    Parameters
    ----------
    fleet : Fleet
        Whose loads.
    flexible : Flexibility
        Of each load.
    opting : Opting
        Who is enrolled.
    seed : int
        Of randomised starts.
    price_rule : PriceRule, optional
        What prices ask for.
    """

    def __init__(
        self,
        fleet: Fleet,
        flexible: Flexibility,
        opting: Opting,
        seed: int,
        price_rule: PriceRule | None = None,
    ) -> None:
        self._fleet, self._flexible, self._opting = fleet, flexible, opting
        self._seed, self._rule = seed, price_rule or PriceRule()
        self._first = np.flatnonzero(np.diff(fleet.resource_ven, prepend=-1))
        self._known: dict[str, _Known] = {}
        self._received: dict[str, datetime] = {}
        self._longest_h = np.where(flexible.max_event_h > 0, flexible.max_event_h, np.inf)
        self._called_h = np.full(fleet.n_loads, np.inf)  # since when, in hours since `EPOCH`
        self.tired = np.zeros(fleet.n_loads, bool)

    def receive(self, decision: Decision, at: datetime) -> None:
        """Know an event, or a new version of it, from a time on.

        Parameters
        ----------
        decision : Decision
            With what each resource does about it.
        at : datetime
            Aware.
        """
        event = decision.event
        received = self._received.setdefault(event.id, at)
        self._known = {key: known for key, known in self._known.items() if not known.is_over(at)}
        if event.cancelled or event.signal is None:
            self._known.pop(event.id, None)
            return
        for type_, understood in is_understood(event).items():
            if not understood:
                log.warning("Event %s asks for %s: no load here answers that", event.name, type_)
        timeline = Timeline([replace(event, targets=())], received=received, seed=self._seed)
        self._known[event.id] = _Known(
            decision, received, list(self._parts(timeline)), named_resources(self._fleet, event)
        )
        ranked = sorted(self._known.items(), key=lambda e: rank(e[1].decision.event, e[1].received))
        self._known = dict(ranked)

    def _parts(self, timeline: Timeline) -> Iterator[tuple[Timeline, Bools]]:
        """Return an event in time for all, or for each VEN where starts are randomised."""
        fleet = self._fleet
        of = [timeline.seen_by(str(town)) for town in fleet.town_id]
        for part in dict.fromkeys(of):
            vens = np.array([each is part for each in of])
            yield part, vens[fleet.resource_ven]

    def next_change(self, t: datetime) -> datetime | None:
        """Return when the next order differs, at the earliest; None = never."""
        timelines = chain.from_iterable(known.parts for known in self._known.values())
        changes = [part.next_change(t) for part, _ in timelines]
        ends_h = (self._called_h + self._longest_h)[~self.tired].min(initial=np.inf)
        if np.isfinite(ends_h):
            changes.append(EPOCH + float(ends_h) * HOUR)
        return min((change for change in changes if change and change > t), default=None)

    def at(self, t: datetime, last_kw: NDArray[np.float32]) -> Order:
        """Return what is asked from a time on; to be called in the order of time.

        Parameters
        ----------
        t : datetime
            Aware.
        last_kw : float32 array, shape (6 R,) [kW]
            Power of each load before that: what is relative is relative to it.
        """
        caps, levels = _Caps(self._fleet), dict[str, Floats]()
        for known in self._known.values():  # the best last
            for timeline, who in known.parts:
                for type_, active in timeline.at(t).items():
                    if type_ in CAPS:
                        if (kw := number_of(active.value)) is not None:
                            self._cap(caps, known, who, (type_, kw), last_kw)
                        continue
                    level = levels.setdefault(type_, np.zeros(self._fleet.n_resources))
                    level[who & known.decision.takes_part] = level_of(type_, active, self._rule)
        level = np.max(list(levels.values()), axis=0, initial=0.0)
        cut = self._rested(self._cut(level), t)
        ven_kw, resource_kw = caps.settled()
        return Order(t, cut, ven_kw, resource_kw, caps.takes_part, caps.counts)

    def _cut(self, level: Floats) -> Floats:
        """Return the share that is off at a level of each resource, between two the mean."""
        if not level.any():
            return np.zeros(self._fleet.n_loads)
        table, of_load = self._flexible.level_frac, np.repeat(level, len(LOADS))
        lower = np.floor(of_load).astype(int)
        upper, each = np.minimum(lower + 1, len(table) - 1), np.arange(self._fleet.n_loads)
        cut = table[lower, each] + (of_load - lower) * (table[upper, each] - table[lower, each])
        return np.asarray(cut * self._opting.enrolled_loads)

    def _rested(self, cut: Floats, t: datetime) -> Floats:
        """Return cuts without those of loads that have been called for as long as they can be."""
        now_h = (t - EPOCH) / HOUR
        self._called_h = np.where(cut > 0, np.minimum(self._called_h, now_h), np.inf)
        self.tired = now_h - self._called_h >= self._longest_h - 1e-9
        return np.where(self.tired, 0.0, cut)

    def _cap(
        self,
        caps: _Caps,
        known: _Known,
        who: Bools,
        signal: tuple[str, float],
        last_kw: NDArray[np.float32],
    ) -> None:
        """Let one signal cap whom it is for."""
        type_, value = signal
        meant = who & known.decision.asked
        each, behind = meant & known.named, meant & ~known.named
        vens = np.zeros(self._fleet.n_vens, bool)
        vens[self._fleet.resource_ven[behind]] = True
        ven_kw = np.full(self._fleet.n_vens, value)
        resource_kw = np.full(self._fleet.n_resources, value)
        if type_ == RELATIVE:
            if value >= 0:
                return  # loads here use no more than they would
            of_resource, of_ven = known.power_at_begin(who, last_kw, self._first)
            resource_kw, ven_kw = resource_kw + of_resource, ven_kw + of_ven
        caps.lower(type_, np.maximum(ven_kw, 0.0), vens, np.maximum(resource_kw, 0.0), each)
        caps.takes_part |= known.decision.takes_part & meant
        caps.counts |= meant


@dataclass(eq=False)
class _Known:
    """An event that is known: in time, for whom, and what it found where it began."""

    decision: Decision
    received: datetime
    parts: list[tuple[Timeline, Bools]]
    named: Bools
    began_kw: dict[bytes, tuple[Floats, Floats]] = field(default_factory=dict)

    def is_over(self, at: datetime) -> bool:
        """Tell whether it has ended for whoever began last."""
        _, end = lifespan(self.decision.event, self.received)
        return end is not None and end + 24 * HOUR < at

    def power_at_begin(
        self, who: Bools, last_kw: NDArray[np.float32], first: NDArray[np.intp]
    ) -> tuple[Floats, Floats]:
        """Return what resources and VENs used when it began for them [kW]."""
        key = who.tobytes()
        if key not in self.began_kw:
            resource_kw = last_kw.reshape(-1, len(LOADS)).sum(axis=1, dtype=np.float64)
            ven_kw = np.add.reduceat(resource_kw * self.decision.asked, first)
            self.began_kw[key] = resource_kw, ven_kw
        return self.began_kw[key]


class _Caps:
    """Caps of VENs and of resources, the lowest of each, while signal after signal is read."""

    def __init__(self, fleet: Fleet) -> None:
        n = fleet.n_vens, fleet.n_resources
        self._caps = [np.full(size, np.inf) for size in n]
        self._limits = [np.full(size, np.inf) for size in n]
        self._subscribed = [np.full(size, np.inf) for size in n]
        self.takes_part, self.counts = np.zeros((2, fleet.n_resources), bool)

    def lower(
        self, type_: str, ven_kw: Floats, vens: Bools, resource_kw: Floats, resources: Bools
    ) -> None:
        """Take a signal for some VENs and some resources."""
        kinds = {LIMIT: self._limits, SUBSCRIPTION: self._subscribed}
        for cap, kw, who in zip(
            kinds.get(type_, self._caps), (ven_kw, resource_kw), (vens, resources), strict=True
        ):
            cap[who] = np.minimum(cap[who], kw[who])

    def settled(self) -> list[Floats]:
        """Return the caps of VENs and of resources [kW]."""
        of = zip(self._caps, self._limits, self._subscribed, strict=True)
        return [
            np.minimum(cap, np.where(np.isfinite(limit), limit, subscribed))
            for cap, limit, subscribed in of
        ]
