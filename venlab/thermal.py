"""The thermal part of loads: how far a temperature drifts while power is withheld, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Drift"]

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

ROUNDING = 1e-12  # of the comfort band: what is left of a way back that is over


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

    Examples
    --------
    A restaurant's heating, 60 % off for two hours (Θ 13.3 K, τ 8 h):

    >>> drift = Drift(*(np.array([value]) for value in (8.0, 13.3, 1.0, 2.0, 2.0)))
    >>> usual_kw, off_kw, nobody = np.ones(1), np.full(1, 0.6), np.empty(0, int)
    >>> for _ in range(8):
    ...     power_kw = drift.wants(usual_kw, off_kw, np.full(1, 0.1), nobody, 0.25)
    ...     drift.take(usual_kw - power_kw, nobody, 0.25)
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
        self._tau_h, self._k_a_kw = time_constant_h, full_off_k / reference_kw
        self._band_k, self._recovery_h = band_k, recovery_h
        self._left_h = np.zeros(len(band_k))  # of the way back
        # The deviation, as the power that, off over a step, makes it: then a step is y = k y + off.
        self._y_kw = np.zeros(len(band_k))
        self._hours, self._keeps = 0.0, np.ones(len(band_k))
        self._k_a_y, self._band_y = np.ones((2, len(band_k)))

    @property
    def deviation_k(self) -> Floats:
        """How far each load has drifted at the end of the last step, shape (N,) [K]."""
        return self._y_kw * self._k_a_y

    @property
    def at_band(self) -> NDArray[np.bool_]:
        """Which loads have drifted as far as they may."""
        return self.deviation_k >= self._band_k * (1 - ROUNDING)

    @property
    def is_still(self) -> bool:
        """Whether nobody is anywhere but where he would be undisturbed."""
        return not self._y_kw.any()

    def wants(
        self,
        undisturbed_kw: Floats,
        withheld_kw: Floats,
        room_kw: Floats,
        back: Indices,
        hours: float,
    ) -> Floats:
        """Return the power that each load wants to have over a step [kW].

        Where nothing is withheld and nothing has drifted, the undisturbed one to the bit.

        Parameters
        ----------
        undisturbed_kw : array, shape (N,) [kW]
            P₀ over the step.
        withheld_kw : array, shape (N,) [kW]
            How much of it an event wants to be off.
        room_kw : array, shape (N,) [kW]
            How much more than that the load may take, 0 or more. A profile may be above the rating
            by its noise; an event makes that no worse.
        back : int array
            Those that nothing is withheld from: they are on their way back, or at rest.
        hours : float
            Length of the step [h].
        """
        self._see(hours)
        off_kw = np.minimum(withheld_kw, self._band_y - self._y_kw * self._keeps)
        left_h = np.maximum(self._left_h[back], hours)
        off_kw[back] = self._y_kw[back] * ((left_h - hours) / left_h - self._keeps[back])
        np.minimum(off_kw, undisturbed_kw, out=off_kw)
        np.maximum(off_kw, -room_kw, out=off_kw)
        return undisturbed_kw - off_kw

    def take(self, off_kw: Floats, back: Indices, hours: float) -> None:
        """Let temperatures drift over a step.

        Parameters
        ----------
        off_kw : array, shape (N,) [kW]
            P₀ − P, as it came to be.
        back : int array
            Those that nothing was withheld from; of the others the way back begins anew.
        hours : float
            Length of the step [h].
        """
        self._see(hours)
        self._y_kw *= self._keeps
        self._y_kw += off_kw
        left_h = np.maximum(self._left_h[back] - hours, 0.0)
        self._left_h[:] = self._recovery_h
        self._left_h[back] = left_h
        home = back[(left_h == 0) & (np.abs(self._y_kw[back]) < ROUNDING * self._band_y[back])]
        self._y_kw[home] = 0.0

    def _see(self, hours: float) -> None:
        """Know what a step of that length leaves of a deviation, and how many K a kW makes."""
        if hours == self._hours:
            return
        deviation_k = self.deviation_k
        self._hours, self._keeps = hours, np.exp(-hours / self._tau_h)
        self._k_a_y = (1 - self._keeps) * self._k_a_kw
        self._band_y, self._y_kw = self._band_k / self._k_a_y, deviation_k / self._k_a_y
