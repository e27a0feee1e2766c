"""What can heal and what cannot: the table of retries, and how long to wait."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import numpy as np
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt

from venlab.clock import Clock
from venlab.errors import NoAnswer, NotAVtn
from venlab.transport import Answer

__all__ = ["Backoff", "Patience", "Verdict", "asked_wait_s", "verdict"]

T = TypeVar("T")
LONGEST_S = 3600.0


class Verdict(enum.Enum):
    """What an answer to a report means for it."""

    TAKEN = enum.auto()
    """2xx: the VTN has it."""
    LATER = enum.auto()
    """408, 425, 429, 5xx, or a success that is no VTN's: the same bytes again, later."""
    CREDENTIAL = enum.auto()
    """401, 403: who asks is refused, not what is sent."""
    UNKNOWN = enum.auto()
    """404: the VTN does not know our VEN or resource (any more)."""
    NAMED = enum.auto()
    """409: there is a report of this name."""
    TOO_LARGE = enum.auto()
    """413: half of it may go."""
    NO_VTN = enum.auto()
    """405: no reports are taken there at all."""
    WRONG = enum.auto()
    """400, 422 and whatever else: no retry heals that."""


_OF_STATUS = {
    401: Verdict.CREDENTIAL,
    403: Verdict.CREDENTIAL,
    404: Verdict.UNKNOWN,
    405: Verdict.NO_VTN,
    409: Verdict.NAMED,
    413: Verdict.TOO_LARGE,
}


def verdict(answer: Answer, *, receipt: bool) -> Verdict:
    """Return what an answer to a report means.

    Parameters
    ----------
    answer : Answer
        As it came.
    receipt : bool
        Whether its body is what this dialect's VTN says of a report it has taken.

    Examples
    --------
    >>> verdict(Answer(503, {}, b""), receipt=False).name
    'LATER'
    >>> verdict(Answer(200, {}, b"<html>log in"), receipt=False).name
    'LATER'
    """
    if answer.may_heal:
        return Verdict.LATER
    if 200 <= answer.status < 300:
        # A portal or a proxy answers 200 to everything; nobody has stored anything.
        return Verdict.TAKEN if receipt else Verdict.LATER
    return _OF_STATUS.get(answer.status, Verdict.WRONG)


def asked_wait_s(answer: Answer) -> float:
    """Return how long a VTN asks to be left alone [s], 0 where it asks for nothing.

    RFC 9110 §10.2.3: ``Retry-After`` is whole seconds or a date. Nobody is left alone for more
    than an hour: what asks for years is broken, and may be mended before.

    Examples
    --------
    >>> asked_wait_s(Answer(429, {"retry-after": "7"}, b""))
    7.0
    """
    try:
        said = answer.headers.get("retry-after") or ""  # some libraries fail where it is not ASCII
        if said.isascii() and said.isdigit():
            return min(float(said), LONGEST_S)
        moment = parsedate_to_datetime(said)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - datetime.now(UTC)).total_seconds()), LONGEST_S)


class Backoff:
    """Waits that double from the first to the longest, each shortened at random by up to half.

    Parameters
    ----------
    first_s, longest_s : float
        The first wait and the longest [s].
    random : numpy Generator
        So that a fleet does not come back all at once.

    Examples
    --------
    >>> waits = Backoff(1.0, 8.0, np.random.default_rng(7))
    >>> all(0.5 <= waits(1) <= 1.0 and 4.0 <= waits(9) <= 8.0 for _ in range(100))
    True
    """

    def __init__(self, first_s: float, longest_s: float, random: np.random.Generator) -> None:
        self._first_s, self._longest_s, self._random = first_s, longest_s, random

    def __call__(self, failures: int) -> float:
        """Return the wait after so many failures [s]."""
        whole = min(self._longest_s, self._first_s * 2.0 ** min(failures - 1, 30))
        return whole * float(self._random.uniform(0.5, 1.0))


class Patience:
    """Awaits work that may be done twice, again while no VTN answers and tries are left.

    Parameters
    ----------
    tries : int
        Attempts in all.
    clock : Clock
        What waits go by.
    backoff : Backoff
        Waits between attempts, where the VTN does not ask for longer ones.
    """

    def __init__(self, tries: int, clock: Clock, backoff: Backoff) -> None:
        self._retrying = AsyncRetrying(
            sleep=clock.sleep,
            wait=lambda state: max(_asked_s(state), backoff(state.attempt_number)),
            stop=stop_after_attempt(tries),
            retry=retry_if_exception_type((NoAnswer, NotAVtn)),  # a portal's page, too, passes
            reraise=True,
        )

    async def __call__(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what the work does; what its last try raises, or whatever a try cannot heal."""

        async def once() -> T:  # a lambda that returns a coroutine would count as done
            return await work()

        return await self._retrying.copy()(once)  # a copy: it keeps notes while it runs


def _asked_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after_s if isinstance(error, NoAnswer) else 0.0
