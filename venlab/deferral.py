"""The deferrable part of loads: what is not used now is used later, whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Deferral"]

Floats = NDArray[np.float64]


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
    >>> kw, most_kw = np.full(1, 2.0), np.full(1, 9.0)
    >>> [wash.step(kw, np.full(1, off), most_kw, hours=0.5).item() for off in put_off_kw]
    [1.0, 1.0, 3.0, 3.0, 2.0]
    """

    def __init__(self, longest_h: Floats) -> None:
        self._longest_h = longest_h
        self.pending_kwh = np.zeros(len(longest_h))
        self._put_off_h = np.zeros(len(longest_h))  # during which it was put off
        self._waits_h = np.zeros(len(longest_h))  # the first of it
        self._runs_kw = np.zeros(len(longest_h))  # 0: it waits

    def step(
        self, undisturbed_kw: Floats, put_off_kw: Floats, most_kw: Floats, hours: float
    ) -> Floats:
        """Return the power of a step [kW]; what it leaves out is pending.

        Parameters
        ----------
        undisturbed_kw : array, shape (N,) [kW]
            Power over the step without an event.
        put_off_kw : array, shape (N,) [kW]
            How much of it an event wants to be later; 0 where there is none.
        most_kw : array, shape (N,) [kW]
            What the load may take at most.
        hours : float
            Length of the step [h].
        """
        power_kw = undisturbed_kw.copy()
        who = np.flatnonzero((put_off_kw > 0) | (self.pending_kwh > 0))
        if len(who):
            waited = self._waits_h[who] >= self._longest_h[who] - 1e-9
            wants = (put_off_kw[who] > 0) & ~waited & (self._runs_kw[who] == 0)
            power_kw[who] += np.where(
                wants,
                -put_off_kw[who],
                self._used(who, undisturbed_kw[who], most_kw[who], hours),
            )
            self._count(who, wants, (undisturbed_kw - power_kw)[who] * hours, hours)
        return power_kw

    def _used(
        self, who: NDArray[np.intp], undisturbed_kw: Floats, most_kw: Floats, hours: float
    ) -> Floats:
        begins = (self._runs_kw[who] == 0) & (self.pending_kwh[who] > 0)
        over_h = np.maximum(self._put_off_h[who], hours)
        self._runs_kw[who] = np.where(begins, self.pending_kwh[who] / over_h, self._runs_kw[who])
        room_kw = np.maximum(most_kw - undisturbed_kw, 0.0)
        pending_kw = self.pending_kwh[who] / hours
        return np.minimum(np.minimum(self._runs_kw[who], pending_kw), room_kw)

    def _count(
        self, who: NDArray[np.intp], wants: NDArray[np.bool_], off_kwh: Floats, hours: float
    ) -> None:
        pending = self.pending_kwh[who] + off_kwh
        pending = np.where(pending < 1e-9, 0.0, pending)
        is_done = pending == 0
        self.pending_kwh[who] = pending
        self._runs_kw[who] = np.where(wants | is_done, 0.0, self._runs_kw[who])
        self._put_off_h[who] = np.where(is_done, 0.0, self._put_off_h[who] + hours * wants)
        self._waits_h[who] = np.where(is_done, 0.0, self._waits_h[who] + hours)
