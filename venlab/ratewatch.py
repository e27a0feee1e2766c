"""Whether a VTN takes what a schedule gives: said at once, with what helps."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

__all__ = ["RateWatch"]

log = logging.getLogger("venlab.lab")

CYCLES_LATE = 2  # as many may wait before it is looked at how fast they go


class RateWatch:
    """Compares the readings that a schedule gives with those a VTN takes.

    Parameters
    ----------
    readings : int
        In a cycle.
    every_s : float
        Report interval [schedule s].
    now : callable, optional
        Monotonic wall time [s].

    Attributes
    ----------
    notice : str
        What is to be said; empty where the VTN keeps up.

    Examples
    --------
    >>> watch = RateWatch(1656, 15.0)
    >>> watch.expect(rate_per_s=50.0, speed=1.0)
    >>> watch.notice[:65]
    'the schedule asks for 110 readings a second, and the VTN gets 50:'
    """

    def __init__(
        self, readings: int, every_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._readings, self._every_s, self._now = readings, every_s, now
        self._last = (now(), 0, 0)
        self.notice = ""

    def expect(self, rate_per_s: float, speed: float, *, in_a_report: float = 1.0) -> None:
        """Say beforehand that a limit of requests is lower than what the schedule asks for."""
        self._say(rate_per_s * in_a_report, speed)

    def look(self, settled: int, waiting: int, speed: float) -> None:
        """Look, once a cycle, at how many readings are settled and how many wait."""
        began, settled_then, waiting_then = self._last
        self._last = now, *_ = self._now(), settled, waiting
        if waiting <= CYCLES_LATE * self._readings:
            self.notice = "" if not waiting else self.notice
        elif waiting > waiting_then > 0 and settled > settled_then:  # else it is away, not slow
            self._say((settled - settled_then) / max(now - began, 1e-3), speed)

    def _say(self, rate_per_s: float, speed: float) -> None:
        asked = self._readings * speed / self._every_s
        if not math.isfinite(asked) or asked <= rate_per_s or self.notice:
            return
        self.notice = (
            f"the schedule asks for {asked:.0f} readings a second, and the VTN gets"
            f" {rate_per_s:.3g}: readings wait longer and longer. Lower speed to"
            f" {speed * rate_per_s / asked:.2g}, play fewer VENs, raise report_every_s, or give"
            " the VTN more with rate_per_s, in_flight or transport = 'fast'"
        )
        log.warning("%s", self.notice)
