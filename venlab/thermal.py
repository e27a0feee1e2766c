"""The thermal part of loads: how far a temperature drifts while power is withheld, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drift"]

Floats = NDArray[np.float64]


class Drift:
    """How far each load's temperature is from where it would be undisturbed.

    With x the deviation [K], positive in the direction of drift, P₀ the power without an event
    and P the power with it [kW]::

        τ dx/dt = −x + Θ (P₀ − P) ÷ P_ref,    0 ≤ P ≤ the load's rating,    x ≤ the comfort band

    The first-order model of arXiv 2309.01987 and 1510.06855; power is constant over a step, so a
    step is exact. After an event x is led back to zero in a straight line (NREL/TP-5500-89340),
    and the rebound is whatever that takes: it is an outcome and no parameter.

    Parameters
    ----------
    time_constant_h : array, shape (N,) [h]
        τ.
    full_off_k : array, shape (N,) [K]
        Θ, where x would end if the mean power of the season, P_ref, stayed off.
    reference_kw : array, shape (N,) [kW]
        P_ref, above 0.
    band_k : array, shape (N,) [K]
        How far x may go; there the load takes what holds it.
    recovery_h : array, shape (N,) [h]
        How long the straight line is.

    Attributes
    ----------
    deviation_k : array, shape (N,) [K]
        x at the end of the last step.

    Examples
    --------
    A restaurant's heating, 60 % off for two hours (Θ 13.3 K, τ 8 h):

    >>> one = [np.array([value]) for value in (8.0, 13.3, 1.0, 2.0, 2.0)]
    >>> drift = Drift(*one)
    >>> for _ in range(8):
    ...     power_kw = drift.step(np.ones(1), np.full(1, 0.6), np.full(1, 1.1), 0.25)
    >>> round(float(drift.deviation_k[0]), 2), round(float(power_kw[0]), 3)
    (1.77, 0.4)
    """

    def __init__(
        self,
        time_constant_h: Floats,
        full_off_k: Floats,
        reference_kw: Floats,
        band_k: Floats,
        recovery_h: Floats,
    ) -> None:
        self._tau_h, self._per_k = time_constant_h, reference_kw / full_off_k
        self._band_k, self._recovery_h = band_k, recovery_h
        self.deviation_k = np.zeros(len(band_k))
        self._left_h = np.zeros(len(band_k))  # of the way back

    def step(
        self, undisturbed_kw: Floats, withheld_kw: Floats, most_kw: Floats, hours: float
    ) -> Floats:
        """Return the power of a step [kW], and let the temperature drift.

        Parameters
        ----------
        undisturbed_kw : array, shape (N,) [kW]
            P₀ over the step.
        withheld_kw : array, shape (N,) [kW]
            How much of it an event wants to be off; 0 where there is none.
        most_kw : array, shape (N,) [kW]
            What the load may take at most.
        hours : float
            Length of the step [h].
        """
        power_kw = undisturbed_kw.copy()
        who = np.flatnonzero((withheld_kw > 0) | (self.deviation_k != 0))
        if len(who):
            called = withheld_kw[who] > 0
            aim_k = np.where(
                called,
                self._drifted(who, withheld_kw[who], hours),
                self._on_the_way_back(who, hours),
            )
            aim_k = np.minimum(aim_k, np.maximum(self._band_k[who], 0.0))
            power_kw[who] = self._power(who, undisturbed_kw[who], aim_k, most_kw[who], hours)
            off_kw = undisturbed_kw[who] - power_kw[who]
            reached_k = self._drifted(who, off_kw, hours)
            # What rounding leaves of a way that is over is no drift.
            there = (aim_k == 0) & (np.abs(reached_k) < 1e-9)
            self.deviation_k[who] = np.where(there, 0.0, reached_k)
            left_h = np.maximum(self._left_h[who] - hours, 0.0)
            self._left_h[who] = np.where(called, self._recovery_h[who], left_h)
        return power_kw

    def _keeps(self, who: NDArray[np.intp], hours: float) -> Floats:
        """Return what is left of a deviation after a step that is undisturbed."""
        return np.asarray(np.exp(-hours / self._tau_h[who]))

    def _drifted(self, who: NDArray[np.intp], off_kw: Floats, hours: float) -> Floats:
        keeps = self._keeps(who, hours)
        return np.asarray(self.deviation_k[who] * keeps + off_kw / self._per_k[who] * (1 - keeps))

    def _on_the_way_back(self, who: NDArray[np.intp], hours: float) -> Floats:
        left_h = self._left_h[who]
        share = np.maximum(left_h - hours, 0.0) / np.maximum(left_h, hours)
        return np.asarray(self.deviation_k[who] * share)

    def _power(
        self,
        who: NDArray[np.intp],
        undisturbed_kw: Floats,
        aim_k: Floats,
        most_kw: Floats,
        hours: float,
    ) -> Floats:
        """Return the power that leads to a deviation at the step's end, as far as it is allowed."""
        keeps = self._keeps(who, hours)
        off_kw = (aim_k - self.deviation_k[who] * keeps) / (1 - keeps) * self._per_k[who]
        # A profile may be above the rating by its noise; an event makes it no worse.
        most = np.maximum(most_kw, undisturbed_kw)
        return np.clip(undisturbed_kw - off_kw, 0.0, most)
