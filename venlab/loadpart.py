"""One kind of part of many loads: where they are, and how they go from one power to another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from venlab.fleet import LOADS
from venlab.flexibility import Flexibility

__all__ = ["Part"]

Floats = NDArray[np.float64]

NO_RAMP_MIN = 1e-9


@dataclass(frozen=True, eq=False)
class Part:
    """The thermal, deferrable or sheddable part of those loads that have one, M of them.

    Parameters
    ----------
    who : int array, shape (M,)
        Which loads of the fleet.
    frac, flexible_frac : float64 arrays, shape (M,)
        What share of a load's power the part is, and all parts that can give way.
    rated_kw : float64 array, shape (M,) [kW]
        What the load may take at most.
    delay_min, ramp_down_min, ramp_up_min, min_on_min, min_off_min : float64 arrays [min]
        As ``data/flexibility_parameters_schema.csv`` explains them.
    """

    who: NDArray[np.intp]
    frac: Floats
    flexible_frac: Floats
    rated_kw: Floats
    delay_min: Floats
    ramp_down_min: Floats
    ramp_up_min: Floats
    min_on_min: Floats
    min_off_min: Floats

    @classmethod
    def of(cls, flexible: Flexibility, name: str, can: NDArray[np.bool_]) -> Self:
        """Return the parts of one kind that are above nothing, of those loads that can be called.

        Parameters
        ----------
        flexible : Flexibility
            Of each load.
        name : str
            Which part: ``thermal_frac``, ``deferrable_frac`` or ``sheddable_frac``.
        can : bool array, shape (6 R,)
            Whose.
        """
        frac: Floats = getattr(flexible, name)
        who = np.flatnonzero(can & (frac > 0))
        return cls(
            who,
            frac[who],
            flexible.flexible_frac[who],
            flexible.rated_kw[who],
            flexible.response_delay_min[who],
            np.maximum(flexible.ramp_down_min[who], NO_RAMP_MIN),
            np.maximum(flexible.ramp_up_min[who], NO_RAMP_MIN),
            flexible.min_on_min[who],
            flexible.min_off_min[who],
        )

    @property
    def slowest_min(self) -> float:
        """After how long each load is where an order wants it, however it was [min]."""
        longest = (self.delay_min, self.ramp_down_min, self.ramp_up_min)
        held = np.maximum(self.min_on_min, self.min_off_min)
        return float(sum(each.max(initial=0.0) for each in (*longest, held)))

    def of_loads(self, power_kw: NDArray[np.float32]) -> Floats:
        """Return the part's power of all loads' [kW]."""
        return np.asarray(power_kw.take(self.who) * self.frac)

    def share_of(self, cut_frac: Floats) -> Floats:
        """Return the share of the part that a cut of each load wants off: of each part the same."""
        return np.minimum(cut_frac[self.who] / self.flexible_frac, 1.0)

    def room_kw(self, power_kw: NDArray[np.float32]) -> Floats:
        """Return by how much each load may use more than it does [kW]."""
        return np.maximum(self.rated_kw - power_kw.take(self.who), 0.0)

    def spread(self, values: NDArray[Any], n: int) -> NDArray[Any]:
        """Return values of the part as values of n loads, 0 where a load has no such part."""
        spread = np.zeros(n, values.dtype)
        spread[self.who] = values
        return spread

    @cached_property
    def resource(self) -> NDArray[np.intp]:
        """Which resource each load is of, shape (M,)."""
        return self.who // len(LOADS)

    def of_resources(self, values: Floats) -> Floats:
        """Return each load's value of its resource's."""
        return values.take(self.resource)

    def mixed(self, ways: list[Floats], ages_min: list[float], minutes: float) -> Floats:
        """Return the mean power over a step in which loads go from one power to the next [kW].

        Less is taken after a load's delay, more at once, both on a ramp; but a way that is to be
        left before it was begun is never gone, and a compressor that has just gone off or on stays
        so for its shortest time.

        Parameters
        ----------
        ways : list of K + 1 arrays, shape (M,) [kW]
            The power under each order, the oldest first.
        ages_min : list of K float [min]
            How long ago, when the step begins, each order but the oldest was given.
        minutes : float
            Length of the step [min].
        """
        mean_kw, now_kw = ways[0].copy(), ways[0]
        began_min, took_min = np.full((2, len(now_kw)), -np.inf)  # of the way before
        went_down = np.zeros(len(now_kw), bool)
        for n, (way_kw, age_min) in enumerate(zip(ways[1:], ages_min, strict=True), start=1):
            down = way_kw < now_kw
            begins_min = self.delay_min * down - age_min
            change_kw = way_kw - now_kw
            if n < len(ages_min):
                late = self.delay_min * (ways[n + 1] < way_kw) - ages_min[n] <= begins_min
                change_kw = np.where(late, 0.0, change_kw)
            goes = change_kw != 0
            held_min = np.where(went_down, self.min_off_min, self.min_on_min) * (down != went_down)
            begins_min = np.maximum(begins_min, began_min + np.maximum(took_min, held_min))
            ramp_min = np.where(down, self.ramp_down_min, self.ramp_up_min)
            gone_min = _gone(minutes - begins_min, ramp_min) - _gone(-begins_min, ramp_min)
            mean_kw += change_kw * (gone_min / minutes)
            began_min = np.where(goes, begins_min, began_min)
            took_min = np.where(goes, ramp_min, took_min)
            went_down = np.where(goes, down, went_down)
            now_kw = now_kw + change_kw
        return mean_kw


def _gone(minutes: Floats, ramp_min: Floats) -> Floats:
    """Return the integral of how much of a ramp is gone, from its begin on [min]."""
    inside = np.clip(minutes, 0.0, ramp_min)
    return inside**2 / (2 * ramp_min) + np.maximum(minutes - ramp_min, 0.0)
