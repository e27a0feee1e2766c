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
    """Compares the reports that a schedule asks for with those a VTN takes.

    Parameters
    ----------
    reports : int
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
    >>> watch.notice[:64]
    'the schedule asks for 110 reports a second, and the VTN gets 50:'
    """

    def __init__(
        self, reports: int, every_s: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._reports, self._every_s, self._now = reports, every_s, now
        self._last = (now(), 0, 0)
        self.notice = ""

    def expect(self, rate_per_s: float, speed: float) -> None:
        """Say beforehand that a rate limit is lower than what the schedule asks for."""
        self._say(rate_per_s, speed)

    def look(self, settled: int, waiting: int, speed: float) -> None:
        """Look, once a cycle, at how many readings are settled and how many wait."""
        began, settled_then, waiting_then = self._last
        self._last = now, *_ = self._now(), settled, waiting
        if waiting <= CYCLES_LATE * self._reports:
            self.notice = "" if not waiting else self.notice
        elif waiting > waiting_then > 0 and now > began:
            self._say((settled - settled_then) / (now - began), speed)

    def _say(self, rate_per_s: float, speed: float) -> None:
        asked = self._reports * speed / self._every_s
        if not math.isfinite(asked) or asked <= rate_per_s or self.notice:
            return
        self.notice = (
            f"the schedule asks for {asked:.0f} reports a second, and the VTN gets"
            f" {rate_per_s:.3g}: readings wait longer and longer. Lower speed to"
            f" {speed * rate_per_s / asked:.2g}, play fewer VENs, raise report_every_s, or give"
            " the VTN more with rate_per_s, in_flight or transport = 'fast'"
        )
        log.warning("%s", self.notice)
