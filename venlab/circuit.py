"""A circuit between the lab and its VTN: broken by failures in a row, mended by one real answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from venlab.clock import Clock
from venlab.retry import Backoff
from venlab.runfile import Outage

__all__ = ["Circuit"]

AFTER = 5
"""Failures in a row that open it: at a third of all answers lost, once in hundreds."""


class Circuit:
    """Closed while the VTN answers; while it is open nobody sends but one who probes.

    Parameters
    ----------
    clock : Clock
        What waits go by.
    backoff : Backoff
        Between two probes.
    note : callable, optional
        Called with an outage as far as it has come: when it begins, when it ends, and when what
        waited has been sent.

    Attributes
    ----------
    reason : str
        Why it is open; empty while it is closed.
    outage : Outage or None
        The present one, or the last while what it left is still waiting. Where it opens again
        before that, another one begins, and the first has no time at which all was caught up.

    Examples
    --------
    >>> import numpy as np
    >>> circuit = Circuit(Clock(1.0), Backoff(0.2, 5.0, np.random.default_rng(7)))
    >>> for _ in range(5):
    ...     circuit.failed("no answer")
    >>> circuit.open, circuit.reason
    (True, 'no answer')
    """

    def __init__(
        self, clock: Clock, backoff: Backoff, note: Callable[[Outage], None] = lambda _: None
    ) -> None:
        self._clock, self._backoff, self._note = clock, backoff, note
        self._failures = self._probes = 0
        self._not_before_s = 0.0
        self.reason = ""
        self.outage: Outage | None = None

    @property
    def open(self) -> bool:
        """Whether nobody may send."""
        return bool(self.reason)

    def failed(self, reason: str) -> None:
        """Count a failure that says something about the VTN as a whole."""
        self._failures += 1
        if self._failures >= AFTER:
            self.break_off(reason)

    def break_off(self, reason: str) -> None:
        """Open it now."""
        if self.open:
            return
        self.reason, self._probes = reason, 0
        self.outage = Outage(time.time(), None, None, reason)
        self._note(self.outage)

    def leave_alone(self, seconds: float) -> None:
        """Send nothing for so long [s], as the VTN asks."""
        self._not_before_s = max(self._not_before_s, self._clock.schedule_s() + seconds)

    def answered(self) -> None:
        """Take note that the VTN is there."""
        self._failures = 0
        if self.open:
            self.reason = ""
            if self.outage:
                self.outage = self.outage._replace(closed=time.time())
                self._note(self.outage)

    def caught_up(self) -> None:
        """Take note that nothing waits any more."""
        if self.outage:
            self._note(self.outage._replace(caught_up=time.time()))
            self.outage = None

    async def turn(self) -> None:
        """Wait until one may send, as the VTN asked."""
        if self._not_before_s > self._clock.schedule_s():
            await self._clock.until(self._not_before_s)

    async def before_probe(self) -> None:
        """Wait before the VTN is tried again, longer each time."""
        self._probes += 1
        await self._clock.sleep(self._backoff(self._probes))
        await self.turn()
