"""What loads do when less of them is asked for: each part of a load in its own way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from venlab.deferral import Deferral
from venlab.flexibility import Flexibility
from venlab.thermal import Drift

__all__ = ["Response"]

Floats = NDArray[np.float64]


class Response:
    """The power of a fleet's loads while some of it is cut, and after.

    A cut is spread over a load's thermal, deferrable and sheddable parts in proportion. What is
    shed is gone; what is deferred comes later; what is thermal comes back as far as temperatures
    want it. Loads that nothing is asked of, and that owe nothing, keep their power to the bit.

    Parameters
    ----------
    flexible : Flexibility
        Of each load.

    Examples
    --------
    >>> from venlab.fleet import Fleet
    >>> from venlab.profiles import Profiles
    >>> flexible = Flexibility.of(Fleet.reference().only(["Aabenraa"]), Profiles.load())
    >>> response, power_kw = Response(flexible), np.full(102, 0.5, np.float32)
    >>> bool((response.step(power_kw, np.zeros(102), hours=0.25) == power_kw).all())
    True
    """

    def __init__(self, flexible: Flexibility) -> None:
        self._flexible = flexible
        self._drifts = (flexible.thermal_frac > 0) & (flexible.reference_kw > 0)
        # Where there is no thermal part, no time passes: any number but 0 will do.
        self._drift = Drift(
            flexible.time_constant_h,
            flexible.full_off_drift_k,
            np.where(self._drifts, flexible.reference_kw, 1.0),
            flexible.comfort_band_k,
            flexible.recovery_h,
        )
        self._defers = flexible.deferrable_frac > 0
        self._deferral = Deferral(flexible.max_delay_h)
        parts = flexible.thermal_frac, flexible.deferrable_frac, flexible.sheddable_frac
        whole = np.maximum(sum(parts), 1e-12)
        self._thermal_cut, self._deferrable_cut, self._sheddable_cut = (p / whole for p in parts)
        # Heat that comes by pipe, or a load that the building does not have: nothing to drift.
        self._thermal_cut[~self._drifts] = 0.0
        self._owes = np.zeros(len(whole), bool)

    @property
    def deviation_k(self) -> Floats:
        """How far each load's temperature has drifted, shape (N,) [K]; 0 where it keeps none."""
        return self._drift.deviation_k

    @property
    def pending_kwh(self) -> Floats:
        """What each load has put off and not used yet, shape (N,) [kWh]."""
        return self._deferral.pending_kwh

    def step(
        self, undisturbed_kw: NDArray[np.float32], cut_frac: Floats, *, hours: float
    ) -> NDArray[np.float32]:
        """Return the power of a step.

        Parameters
        ----------
        undisturbed_kw : float32 array, shape (N,) [kW]
            Power of each load without an event.
        cut_frac : float64 array, shape (N,)
            Share of it that is asked to be off; 0 where nothing is asked.
        hours : float
            Length of the step [h].

        Returns
        -------
        float32 array, shape (N,) [kW]
            The array that was given, where nothing is asked of any load and none owes anything.
        """
        who = np.flatnonzero((cut_frac > 0) | self._owes)
        if not len(who):
            return undisturbed_kw
        power_kw = undisturbed_kw[who].astype(np.float64)
        off_kw = cut_frac[who] * power_kw
        changed_kw = -off_kw * self._sheddable_cut[who]
        for part, step, frac, cut in (
            (self._drifts, self._drift.step, self._flexible.thermal_frac, self._thermal_cut),
            (
                self._defers,
                self._deferral.step,
                self._flexible.deferrable_frac,
                self._deferrable_cut,
            ),
        ):
            here = np.flatnonzero(part[who])
            at = who[here]
            part_kw = frac[at] * power_kw[here]
            beside_kw = power_kw[here] - part_kw + changed_kw[here]
            most_kw = self._flexible.rated_kw[at] - beside_kw
            changed_kw[here] += step(at, part_kw, off_kw[here] * cut[at], most_kw, hours) - part_kw
        self._owes[who] = (self.deviation_k[who] != 0) | (self.pending_kwh[who] > 0)
        answer = undisturbed_kw.copy()
        answer[who] = np.maximum(power_kw + changed_kw, 0.0)
        return answer
