"""What heals and what does not, how long one waits, and when nobody is asked any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from venlab.circuit import AFTER, Circuit
from venlab.clock import Clock
from venlab.errors import NoAnswer, NotAVtn, Refused
from venlab.retry import Backoff, Patience, Verdict, asked_wait_s, verdict
from venlab.runfile import Outage
from venlab.transport import Answer

TABLE = {
    Verdict.TAKEN: (200, 201, 202, 204),
    Verdict.LATER: (408, 425, 429, 500, 501, 502, 503, 504, 507, 520, 599),
    Verdict.CREDENTIAL: (401, 403),
    Verdict.UNKNOWN: (404,),
    Verdict.NO_VTN: (405,),
    Verdict.NAMED: (409,),
    Verdict.TOO_LARGE: (413,),
    Verdict.WRONG: (301, 400, 402, 406, 410, 415, 418, 422, 451),
}


@pytest.mark.parametrize(("means", "statuses"), TABLE.items(), ids=lambda x: str(x)[:20])
def test_the_table(means: Verdict, statuses: tuple[int, ...]) -> None:
    """Status by status, as the design has it."""
    for status in statuses:
        assert verdict(Answer(status, {}, b""), receipt=True) is means, status


def test_a_success_that_is_no_vtns() -> None:
    """A portal's page with status 200 is no receipt: the report goes again."""
    assert verdict(Answer(200, {}, b"<html>"), receipt=False) is Verdict.LATER
    assert verdict(Answer(422, {}, b"<html>"), receipt=False) is Verdict.WRONG


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [("7", 7.0), ("0", 0.0), ("", 0.0), ("-3", 0.0), ("soon", 0.0), ("٣", 0.0), ("1e3", 0.0)],
)
def test_retry_after_in_seconds(said: str, wait_s: float) -> None:
    """Whole seconds in ASCII digits; what cannot be read asks for nothing."""
    assert asked_wait_s(Answer(429, {"retry-after": said}, b"")) == wait_s


def test_retry_after_as_a_date() -> None:
    """A date in a minute is a minute; one that has passed is none."""
    for ahead_s, least, most in ((60, 57, 60), (-60, 0, 0)):
        moment = datetime.now(UTC) + timedelta(seconds=ahead_s)
        said = format_datetime(moment, usegmt=True)
        assert least <= asked_wait_s(Answer(503, {"retry-after": said}, b"")) <= most


def test_backoff_doubles_to_its_longest() -> None:
    """0.1, 0.2, 0.4 … to 5 s, each shortened by up to half; the thousandth overflows nothing."""
    backoff = Backoff(0.1, 5.0, np.random.default_rng(7))
    for failures, whole in ((1, 0.1), (2, 0.2), (3, 0.4), (6, 3.2), (7, 5.0), (1000, 5.0)):
        waits = [backoff(failures) for _ in range(200)]
        assert whole / 2 <= min(waits) < 0.6 * whole
        assert 0.9 * whole < max(waits) <= whole


def patience(tries: int) -> Patience:
    return Patience(tries, Clock(1000.0), Backoff(0.1, 1.0, np.random.default_rng(7)))


async def test_patience_tries_again_what_nobody_answered() -> None:
    """Two times nobody, or a page that is no VTN's; and no more tries than allowed."""
    answers = iter([NoAnswer("away"), NotAVtn("a page"), None])

    async def work() -> str:
        if error := next(answers):
            raise error
        return "done"

    assert await patience(3)(work) == "done"
    answers = iter([NoAnswer("away"), NoAnswer("still away"), None])
    with pytest.raises(NoAnswer, match="still away"):
        await patience(2)(work)


async def test_patience_does_not_repeat_a_refusal() -> None:
    """What is refused is raised at once."""
    times = []

    async def work() -> None:
        times.append(1)
        raise Refused("no", status=422)

    with pytest.raises(Refused):
        await patience(8)(work)
    assert len(times) == 1


async def test_patience_waits_as_long_as_it_is_asked_to() -> None:
    """A VTN that says when to come again is taken at its word."""
    clock = Clock(1000.0)
    told = iter([NoAnswer("busy", retry_after_s=60.0), None])

    async def work() -> float:
        if error := next(told):
            raise error
        return clock.schedule_s()

    began = clock.schedule_s()
    waiting = Patience(2, clock, Backoff(0.1, 1.0, np.random.default_rng(7)))
    assert await waiting(work) - began >= 60


def circuit() -> Circuit:
    return Circuit(Clock(1000.0), Backoff(0.2, 5.0, np.random.default_rng(7)))


def test_failures_in_a_row_open_it_and_an_answer_closes_it() -> None:
    """Four failures and an answer, four more: closed; a fifth in a row opens it."""
    it = circuit()
    for _ in range(2):
        for _ in range(AFTER - 1):
            it.failed("no answer")
        assert not it.open
        it.answered()
    for _ in range(AFTER):
        it.failed("no answer")
    assert it.open
    assert it.reason == "no answer"
    it.answered()
    assert not it.open


def test_an_outage_is_over_when_nothing_waits() -> None:
    """It opens, closes, and is caught up in that order; opened again before that, it is another,
    and the time between the two is no outage."""
    noted: list[Outage] = []
    it = Circuit(Clock(1000.0), Backoff(0.2, 5.0, np.random.default_rng(7)), noted.append)
    for reason in ("gone", "gone again"):
        it.break_off(reason)
        it.break_off("still so")
        it.answered()
    it.caught_up()
    it.caught_up()
    begun, ended, begun_again, ended_again, over = noted
    assert [(n.closed, n.caught_up) for n in (begun, begun_again)] == [(None, None)] * 2
    assert (ended.reason, ended.caught_up) == ("gone", None)
    assert begun.opened == ended.opened <= (ended.closed or 0) <= begun_again.opened
    assert over == ended_again._replace(caught_up=over.caught_up)
    assert begun_again.opened <= (over.closed or 0) <= (over.caught_up or 0)
