"""The thermal part of loads: how far a temperature drifts while power is withheld, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drift"]

Floats = NDArray[np.float64]

ROUNDING_K = 1e-9  # what is left of a way back that is over


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
    >>> drift, all_of_them = Drift(*one), np.array([0])
    >>> for _ in range(8):
    ...     power_kw = drift.step(all_of_them, np.ones(1), np.full(1, 0.6), np.full(1, 1.1), 0.25)
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
        self._hours, self._keeps = 0.0, np.empty(0)

    def step(
        self,
        who: NDArray[np.intp],
        undisturbed_kw: Floats,
        withheld_kw: Floats,
        most_kw: Floats,
        hours: float,
    ) -> Floats:
        """Return the power of some loads over a step [kW], and let their temperature drift.

        Nothing drifts in a load that nothing is withheld from and that has not drifted: it may be
        left out, and its power is the undisturbed one to the bit.

        Parameters
        ----------
        who : int array, shape (M,)
            Which of the N loads the other arrays are about.
        undisturbed_kw : array, shape (M,) [kW]
            P₀ over the step.
        withheld_kw : array, shape (M,) [kW]
            How much of it an event wants to be off; 0 where there is none.
        most_kw : array, shape (M,) [kW]
            What the load may take at most. A profile may be above it by its noise; an event makes
            that no worse.
        hours : float
            Length of the step [h].
        """
        if hours != self._hours:  # what a step without an event leaves of a deviation
            self._hours, self._keeps = hours, np.exp(-hours / self._tau_h)
        keeps, per_k, begin_k = self._keeps[who], self._per_k[who], self.deviation_k[who]
        called, left_h = withheld_kw > 0, self._left_h[who]
        rest_h = np.maximum(left_h - hours, 0.0)
        back_k = begin_k * rest_h / np.maximum(left_h, hours)
        gain = (1 - keeps) / per_k  # K a kW that is off over the step
        aim_k = np.where(called, begin_k * keeps + withheld_kw * gain, back_k)
        aim_k = np.minimum(aim_k, self._band_k[who])
        wanted_kw = undisturbed_kw - (aim_k - begin_k * keeps) / gain
        still = (begin_k == 0) & ~called
        power_kw = np.where(
            still,
            undisturbed_kw,
            np.clip(wanted_kw, 0.0, np.maximum(most_kw, undisturbed_kw)),
        )
        end_k = begin_k * keeps + (undisturbed_kw - power_kw) * gain
        end_k[(aim_k == 0) & (np.abs(end_k) < ROUNDING_K)] = 0.0
        self.deviation_k[who] = end_k
        self._left_h[who] = np.where(called, self._recovery_h[who], rest_h)
        return power_kw
