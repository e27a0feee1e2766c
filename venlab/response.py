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
        self._drifts = np.flatnonzero((flexible.thermal_frac > 0) & (flexible.reference_kw > 0))
        self._defers = np.flatnonzero(flexible.deferrable_frac > 0)
        at = self._drifts
        self._drift = Drift(
            flexible.time_constant_h[at],
            flexible.full_off_drift_k[at],
            flexible.reference_kw[at],
            flexible.comfort_band_k[at],
            flexible.recovery_h[at],
        )
        self._deferral = Deferral(flexible.max_delay_h[self._defers])
        parts = flexible.thermal_frac, flexible.deferrable_frac, flexible.sheddable_frac
        whole = np.maximum(sum(parts), 1e-12)
        self._thermal_cut, self._deferrable_cut, self._sheddable_cut = (p / whole for p in parts)
        # Heat that comes by pipe, or a kind of load that the building has not: nothing to drift.
        self._thermal_cut[flexible.reference_kw <= 0] = 0.0

    @property
    def deviation_k(self) -> Floats:
        """How far each load's temperature has drifted, shape (N,) [K]; 0 where it keeps none."""
        return self._whole(self._drifts, self._drift.deviation_k)

    @property
    def pending_kwh(self) -> Floats:
        """What each load has put off and not used yet, shape (N,) [kWh]."""
        return self._whole(self._defers, self._deferral.pending_kwh)

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
            A new array.
        """
        power_kw = undisturbed_kw.astype(np.float64)
        off_kw = cut_frac * power_kw
        changed_kw = -off_kw * self._sheddable_cut
        changed_kw[self._drifts] += self._of_drifts(power_kw, off_kw, changed_kw, hours)
        changed_kw[self._defers] += self._of_deferrals(power_kw, off_kw, changed_kw, hours)
        touched = np.flatnonzero(changed_kw)
        answer = undisturbed_kw.copy()
        answer[touched] = np.maximum(power_kw[touched] + changed_kw[touched], 0.0)
        return answer

    def _of_drifts(
        self, power_kw: Floats, off_kw: Floats, changed_kw: Floats, hours: float
    ) -> Floats:
        at, share = self._drifts, self._flexible.thermal_frac[self._drifts]
        part_kw = share * power_kw[at]
        beside_kw = power_kw[at] - part_kw + changed_kw[at]
        most_kw = self._flexible.rated_kw[at] - beside_kw
        return self._drift.step(part_kw, (off_kw * self._thermal_cut)[at], most_kw, hours) - part_kw

    def _of_deferrals(
        self, power_kw: Floats, off_kw: Floats, changed_kw: Floats, hours: float
    ) -> Floats:
        at, share = self._defers, self._flexible.deferrable_frac[self._defers]
        part_kw = share * power_kw[at]
        beside_kw = power_kw[at] - part_kw + changed_kw[at]
        most_kw = self._flexible.rated_kw[at] - beside_kw
        put_off_kw = (off_kw * self._deferrable_cut)[at]
        return self._deferral.step(part_kw, put_off_kw, most_kw, hours) - part_kw

    def _whole(self, at: NDArray[np.intp], values: Floats) -> Floats:
        whole = np.zeros(len(self._flexible.rated_kw))
        whole[at] = values
        return whole
