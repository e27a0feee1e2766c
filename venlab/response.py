"""What loads do when less of them is asked for: each part of a load in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from venlab.deferral import Deferral
from venlab.fleet import LOADS, Fleet
from venlab.flexibility import Flexibility
from venlab.loadpart import Part
from venlab.thermal import Drift

__all__ = ["Order", "Response"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]
Power = NDArray[np.float32]

ONES = np.ones(len(LOADS), np.float32)


@dataclass(frozen=True, eq=False)
class Order:
    """What is asked of a fleet from a time on, until the next order.

    Parameters
    ----------
    since : datetime
        Aware.
    cut_frac : float64 array, shape (6 R,)
        Share of each load's power that is to be off.
    ven_cap_kw : float64 array, shape (V,) [kW]
        What each VEN may use altogether; infinite where nobody says.
    resource_cap_kw : float64 array, shape (R,) [kW]
        What each resource may use.
    takes_part : bool array, shape (R,)
        Who gives way to a cap; what the others use is there first.
    counts : bool array, shape (R,)
        Whose power a VEN's cap is about: the approved ones'.
    """

    since: datetime
    cut_frac: Floats
    ven_cap_kw: Floats
    resource_cap_kw: Floats
    takes_part: Bools
    counts: Bools

    @cached_property
    def caps(self) -> bool:
        """Whether it caps anybody."""
        return bool(np.isfinite(self.ven_cap_kw).any() or np.isfinite(self.resource_cap_kw).any())


class Response:
    """The power of a fleet's loads while some of it is to be off, and after.

    A cut is spread over a load's thermal, deferrable and sheddable parts in proportion. What is
    shed is gone; what is deferred comes later; what is thermal comes back as far as temperatures
    want it. A cap lets go first what must run, and scales the rest in proportion to what it wants
    then, so it holds for what comes back too. From one order to the next each load goes after its
    delay, where it is to use less, and on its ramp; a compressor stays as it is for its shortest
    times. What nothing is asked of, and owes nothing, keeps its power to the bit.

    Parameters
    ----------
    flexible : Flexibility
        Of each load.
    fleet : Fleet
        Whose loads they are.
    can : bool array, shape (6 R,)
        Which loads can be called at all.

    Attributes
    ----------
    shortfall_kw : float64 array, shape (V,) [kW]
        By how much the caps of the last step, of VENs and of resources behind them, could not be
        kept: what must run, and what takes no part, is more than they allow.

    Examples
    --------
    >>> from venlab.profiles import Profiles
    >>> fleet = Fleet.reference().only(["Aabenraa"])
    >>> response = Response(Flexibility.of(fleet, Profiles.load()), fleet, np.ones(102, bool))
    >>> power_kw = np.full(102, 0.5, np.float32)
    >>> response.step(power_kw, datetime(2023, 11, 30, 16), 0.25) is power_kw
    True
    """

    def __init__(self, flexible: Flexibility, fleet: Fleet, can: Bools) -> None:
        self._ven_of = fleet.resource_ven
        self._first = np.flatnonzero(np.diff(self._ven_of, prepend=-1))  # resource of each VEN
        # Heat that comes by pipe, or a load that the building does not have: nothing to drift.
        drifts = can & (flexible.thermal_frac > 0) & (flexible.reference_kw > 0)
        self._thermal = Part.of(flexible, "thermal_frac", drifts)
        self._deferrable = Part.of(flexible, "deferrable_frac", can)
        self._sheddable = Part.of(flexible, "sheddable_frac", can)
        self._parts = self._thermal, self._deferrable, self._sheddable
        at = self._thermal.who
        self._drift = Drift(
            flexible.time_constant_h[at],
            flexible.full_off_drift_k[at],
            flexible.reference_kw[at],
            flexible.comfort_band_k[at],
            flexible.recovery_h[at],
        )
        self._deferral = Deferral(flexible.max_delay_h[self._deferrable.who])
        # Loads with a thermal and a deferrable part, by their places in both.
        _, self._both, self._is_both = np.intersect1d(
            at, self._deferrable.who, assume_unique=True, return_indices=True
        )
        self._whose = np.concatenate([part.resource for part in self._parts])
        self._must_run = np.ones(len(can), np.float32)
        for part in self._parts:
            self._must_run[part.who] -= part.frac.astype(np.float32)
        self._n, self._n_vens = len(can), fleet.n_vens
        self._slowest = timedelta(minutes=max(part.slowest_min for part in self._parts))
        self._asked: list[_Asked] = []
        self._nothing = _Asked(None, [np.zeros(len(part.who)) for part in self._parts])
        self._owes = False
        self.shortfall_kw = np.zeros(fleet.n_vens)

    @property
    def deviation_k(self) -> Floats:
        """How far each load's temperature has drifted, shape (6 R,) [K]; 0 where it keeps none."""
        return self._thermal.spread(self._drift.deviation_k, self._n)

    @property
    def pending_kwh(self) -> Floats:
        """What each load has put off and not used yet, shape (6 R,) [kWh]."""
        return self._deferrable.spread(self._deferral.pending_kwh, self._n)

    @property
    def at_band(self) -> Bools:
        """Which loads take what holds them at the end of their comfort band, shape (6 R,)."""
        return self._thermal.spread(self._drift.at_band, self._n)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked and nothing is owed: then loads do what they would anyway."""
        return not (self._asked or self._owes)

    def obey(self, order: Order) -> None:
        """Take an order; one that asks for nothing ends what was asked."""
        shares = [part.share_of(order.cut_frac) for part in self._parts]
        self._asked = [*(self._asked or [self._nothing]), _Asked(order, shares)]

    def step(self, undisturbed_kw: Power, begin: datetime, hours: float) -> Power:
        """Return the power of a step.

        Parameters
        ----------
        undisturbed_kw : float32 array, shape (6 R,) [kW]
            Power of each load without an event.
        begin : datetime
            Of the step, aware; later than that of the step before.
        hours : float
            Length of the step [h].

        Returns
        -------
        float32 array, shape (6 R,) [kW]
            The array that was given, where nothing is asked and nothing is owed.
        """
        if self.is_idle:
            return undisturbed_kw
        self._forget(begin)
        usual = [part.of_loads(undisturbed_kw) for part in self._parts]
        asked = self._asked or [self._nothing]
        ways = [self._wanted(each, usual, undisturbed_kw, hours) for each in asked]
        took, back = ways[0][0], ways[-1][1]
        if len(ways) > 1:
            ages = [each.age_min(begin) for each in asked[1:]]
            each_part = zip(self._parts, *(way[0] for way in ways), strict=True)
            took = [part.mixed(powers, ages, 60 * hours) for part, *powers in each_part]
            self._share_room(took, usual, undisturbed_kw)
        off = [kw - took_kw for kw, took_kw in zip(usual, took, strict=True)]
        self._drift.take(off[0], back, hours)
        self._deferral.take(-off[1], hours)
        self._owes = not (self._drift.is_still and self._deferral.is_still)
        answer = undisturbed_kw.copy()
        for part, off_kw in zip(self._parts, off, strict=True):
            answer[part.who] -= off_kw.astype(np.float32)
        return np.maximum(answer, np.float32(0.0), out=answer)

    def _forget(self, begin: datetime) -> None:
        """Forget orders that no load is on its way from any more, and that nothing is asked."""
        while len(self._asked) > 1 and self._asked[1].since + self._slowest <= begin:
            del self._asked[0]
        if len(self._asked) == 1 and self._asked[0].is_nothing:
            self._asked = []

    def _wanted(
        self, asked: _Asked, usual: list[Floats], undisturbed_kw: Power, hours: float
    ) -> tuple[list[Floats], Indices]:
        """Return what each part takes once an order is obeyed, and whose temperatures go back."""
        warm_kw, later_kw, plain_kw = usual
        warm_off, later_off, plain_off = (
            kw * share for kw, share in zip(usual, asked.share, strict=True)
        )
        room_kw, back = self._thermal.room_kw(undisturbed_kw), asked.back
        takes_kw = self._drift.wants(warm_kw, warm_off, room_kw, back, hours)
        room_kw = self._deferrable.room_kw(undisturbed_kw)
        if len(self._both):
            more_kw = (takes_kw - warm_kw)[self._both]
            room_kw[self._is_both] -= np.clip(more_kw, 0.0, room_kw[self._is_both])
        then_kw = self._deferral.wants(later_kw, later_off, room_kw, hours)
        powers = [takes_kw, then_kw, plain_kw - plain_off]
        self.shortfall_kw = np.zeros(self._n_vens)
        if asked.order is None or not asked.order.caps:
            return powers, back
        keeps = self._kept(asked.order, powers, undisturbed_kw)
        kept = [part.of_resources(keeps) for part in self._parts]
        powers = [kw * share for kw, share in zip(powers, kept, strict=True)]
        return powers, back[kept[0][back] == 1]

    def _share_room(self, took: list[Floats], usual: list[Floats], undisturbed_kw: Power) -> None:
        """Put off more where a load's parts, each on its way, would pass its rating together."""
        room_kw = self._deferrable.room_kw(undisturbed_kw)[self._is_both]
        warmer_kw, later_kw = (
            (kw - before)[who]
            for kw, before, who in zip(took, usual, (self._both, self._is_both), strict=False)
        )
        over_kw = np.maximum(warmer_kw + later_kw - room_kw, 0.0)
        took[1][self._is_both] -= np.minimum(over_kw, np.maximum(later_kw, 0.0))

    def _kept(self, order: Order, powers: list[Floats], undisturbed_kw: Power) -> Floats:
        """Return the share of what its flexible parts want that each resource keeps under caps."""
        flexible_kw = np.zeros(len(self._ven_of))
        flexible_kw += np.bincount(self._whose, np.concatenate(powers), len(flexible_kw))
        fixed_kw = (undisturbed_kw * self._must_run).reshape(-1, len(LOADS)) @ ONES
        fixed_kw = np.where(order.takes_part, fixed_kw, fixed_kw + flexible_kw)
        flexible_kw *= order.takes_part
        keeps, over_kw = _within(order.resource_cap_kw, fixed_kw, flexible_kw)
        of_ven = (
            np.add.reduceat(kw * order.counts, self._first)
            for kw in (fixed_kw, keeps * flexible_kw, over_kw)
        )
        fixed_kw, flexible_kw, over_kw = of_ven
        keeps_of_ven, over_ven_kw = _within(order.ven_cap_kw, fixed_kw, flexible_kw)
        self.shortfall_kw = over_ven_kw + over_kw
        keeps = keeps * np.where(order.counts, keeps_of_ven[self._ven_of], 1.0)
        return np.where(order.takes_part, keeps, 1.0)


@dataclass(frozen=True, eq=False)
class _Asked:
    """An order, and what share of each part it wants to be off."""

    order: Order | None
    share: list[Floats]

    @property
    def since(self) -> datetime:
        return self.order.since if self.order else datetime.min.replace(tzinfo=UTC)

    @cached_property
    def back(self) -> Indices:
        """Thermal parts that it withholds nothing from."""
        return np.flatnonzero(self.share[0] == 0)

    @cached_property
    def is_nothing(self) -> bool:
        capped = self.order is not None and self.order.caps
        return not capped and not any(share.any() for share in self.share)

    def age_min(self, at: datetime) -> float:
        return (at - self.since) / timedelta(minutes=1)


def _within(cap_kw: Floats, fixed_kw: Floats, flexible_kw: Floats) -> tuple[Floats, Floats]:
    """Return what share of the flexible a cap leaves, and by how much the rest is over it [kW]."""
    left_kw = cap_kw - fixed_kw
    keeps = np.clip(left_kw / np.maximum(flexible_kw, 1e-12), 0.0, 1.0)
    return keeps, np.maximum(-left_kw, 0.0)
