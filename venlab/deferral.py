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

    >>> wash, usual_kw, room_kw = Deferral(np.array([6.0])), np.full(1, 2.0), np.full(1, 7.0)
    >>> for put_off_kw in (1.0, 1.0, 0.0, 0.0, 0.0):
    ...     power_kw = wash.wants(usual_kw, np.full(1, put_off_kw), room_kw, 0.5)
    ...     wash.take(power_kw - usual_kw, 0.5)
    ...     print(power_kw.item(), wash.pending_kwh.item())
    1.0 0.5
    1.0 1.0
    3.0 0.5
    3.0 0.0
    2.0 0.0
    """

    def __init__(self, longest_h: Floats) -> None:
        self._longest_h = longest_h
        self.pending_kwh = np.zeros(len(longest_h))
        self._put_off_h = np.zeros(len(longest_h))  # during which it was put off
        self._waits_h = np.zeros(len(longest_h))  # the first of it
        self._runs_kw = np.zeros(len(longest_h))  # 0: it waits

    @property
    def is_still(self) -> bool:
        """Whether nothing is pending."""
        return not self.pending_kwh.any()

    def wants(
        self, undisturbed_kw: Floats, put_off_kw: Floats, room_kw: Floats, hours: float
    ) -> Floats:
        """Return the power that each load wants to have over a step [kW].

        Parameters
        ----------
        undisturbed_kw : array, shape (N,) [kW]
            Power over the step without an event.
        put_off_kw : array, shape (N,) [kW]
            How much of it an event wants to be later; 0 where there is none.
        room_kw : array, shape (N,) [kW]
            How much more than that the load may take, 0 or more.
        hours : float
            Length of the step [h].
        """
        can_wait = (self._waits_h < self._longest_h - ROUNDING_H) & (self._runs_kw == 0)
        used_kw = np.minimum(np.minimum(self._begins_kw(hours), self.pending_kwh / hours), room_kw)
        return undisturbed_kw + np.where((put_off_kw > 0) & can_wait, -put_off_kw, used_kw)

    def take(self, more_kw: Floats, hours: float) -> None:
        """Keep what became of a step.

        Parameters
        ----------
        more_kw : array, shape (N,) [kW]
            Power as it came to be, less the undisturbed one: below 0 where it was put off.
        hours : float
            Length of the step [h].
        """
        runs_kw = np.where(more_kw > 0, self._begins_kw(hours), 0.0)
        self.pending_kwh -= more_kw * hours
        self.pending_kwh[self.pending_kwh < ROUNDING_KWH] = 0.0
        left = self.pending_kwh > 0
        self._runs_kw = runs_kw * left
        self._put_off_h = (self._put_off_h + hours * (more_kw < 0)) * left
        self._waits_h = (self._waits_h + hours) * left

    def _begins_kw(self, hours: float) -> Floats:
        """Return at what power what is pending runs, or would if it began now."""
        return np.where(
            self._runs_kw > 0,
            self._runs_kw,
            self.pending_kwh / np.maximum(self._put_off_h, hours),
        )
