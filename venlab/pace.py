"""How many requests a second a VTN gets: evenly spaced, never a burst."""

from __future__ import annotations

import math
from collections.abc import Mapping

from venlab.clock import Clock
from venlab.transport import Answer, Transport

__all__ = ["Paced"]

CATCH_UP_S = 0.2
"""How much lateness is made up for [s]: a loop wakes late, and the mean must hold all the same."""


class Paced:
    """A transport under a rate limit: each request has its turn, at absolute times.

    Parameters
    ----------
    transport : Transport
        What carries the requests.
    rate_per_s : float
        Requests in a second; ``inf`` for no limit.
    clock : Clock
        Whose seconds those are.

    Notes
    -----
    In any 10 s there are at most 1 + 0.2 / 10 times as many as the limit allows. A library's
    limiter would go by the loop's own time; this one goes by a clock that tests may hurry.
    """

    def __init__(self, transport: Transport, rate_per_s: float, clock: Clock) -> None:
        self._transport = transport
        self._every_s = 1 / rate_per_s
        self._clock = clock
        self._next_s = -math.inf

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request when its turn has come; raises what the transport does."""
        if self._every_s:
            turn_s = max(self._next_s, self._clock.schedule_s() - CATCH_UP_S)
            self._next_s = turn_s + self._every_s
            await self._clock.until(turn_s)
        return await self._transport.send(method, path, body, headers)

    async def close(self) -> None:
        """Close the running loop's connections."""
        await self._transport.close()
