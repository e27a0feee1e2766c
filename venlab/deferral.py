"""The deferrable part of loads: what is not used now is used later, whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Deferral"]

Floats = NDArray[np.float64]

ROUNDING_KWH, ROUNDING_H = 1e-9, 1e-9


class Deferral:
    """Energy that an event put off, until it is used.

    A wash or a charge moves as a whole (Gils 2014, Energy 67, 1–18): what was put off during some
    hours is used at a constant power over as many, after the event, or when the first of it has
    waited for its longest time. Above the load's rating it takes longer. No energy is lost.

    Parameters
    ----------
    longest_h : array, shape (N,) [h]
        How long the first that was put off may wait.

    Attributes
    ----------
    pending_kwh : array, shape (N,) [kWh]
        What is put off and not used yet.

    Examples
    --------
    Half of 2 kW put off for an hour is 1 kWh more in the next one:

    >>> wash = Deferral(np.array([6.0]))
    >>> put_off_kw = [1.0, 1.0, 0.0, 0.0, 0.0]
    >>> one, kw, most_kw = np.array([0]), np.full(1, 2.0), np.full(1, 9.0)
    >>> [wash.step(one, kw, np.full(1, off), most_kw, 0.5).item() for off in put_off_kw]
    [1.0, 1.0, 3.0, 3.0, 2.0]
    """

    def __init__(self, longest_h: Floats) -> None:
        self._longest_h = longest_h
        self.pending_kwh = np.zeros(len(longest_h))
        self._put_off_h = np.zeros(len(longest_h))  # during which it was put off
        self._waits_h = np.zeros(len(longest_h))  # the first of it
        self._runs_kw = np.zeros(len(longest_h))  # 0: it waits

    def step(
        self,
        who: NDArray[np.intp],
        undisturbed_kw: Floats,
        put_off_kw: Floats,
        most_kw: Floats,
        hours: float,
    ) -> Floats:
        """Return the power of some loads over a step [kW]; what it leaves out is pending.

        A load that nothing is put off from and that has nothing pending may be left out.

        Parameters
        ----------
        who : int array, shape (M,)
            Which of the N loads the other arrays are about.
        undisturbed_kw : array, shape (M,) [kW]
            Power over the step without an event.
        put_off_kw : array, shape (M,) [kW]
            How much of it an event wants to be later; 0 where there is none.
        most_kw : array, shape (M,) [kW]
            What the load may take at most.
        hours : float
            Length of the step [h].
        """
        pending, runs_kw = self.pending_kwh[who], self._runs_kw[who]
        can_wait = self._waits_h[who] < self._longest_h[who] - ROUNDING_H
        waits = (put_off_kw > 0) & can_wait & (runs_kw == 0)
        begins_kw = pending / np.maximum(self._put_off_h[who], hours)
        runs_kw = np.where(waits, 0.0, np.where(runs_kw > 0, runs_kw, begins_kw))
        room_kw = np.maximum(most_kw - undisturbed_kw, 0.0)
        used_kw = np.minimum(np.minimum(runs_kw, pending / hours), room_kw)
        more_kw = np.where(waits, -put_off_kw, used_kw)
        pending = pending - more_kw * hours
        pending[pending < ROUNDING_KWH] = 0.0
        left = pending > 0
        self.pending_kwh[who] = pending
        self._runs_kw[who] = runs_kw * left
        self._put_off_h[who] = (self._put_off_h[who] + hours * waits) * left
        self._waits_h[who] = (self._waits_h[who] + hours) * left
        return np.asarray(undisturbed_kw + more_kw)
