"""One report on its way to the VTN: its attempts, and what their answers mean for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from venlab.circuit import Circuit
from venlab.client import Client
from venlab.clock import Clock
from venlab.errors import AccessDenied, ConfigError, NoAnswer, NotAVtn, VtnError
from venlab.model import Ven
from venlab.outbox import Outbox
from venlab.retry import Backoff, Verdict, asked_wait_s, verdict
from venlab.runfile import Frozen, Settled, Taken
from venlab.transport import Answer

__all__ = ["Sender", "Sending"]

log = logging.getLogger(__name__)


@dataclass
class Sending:
    """One report in hand: how it goes since it was taken."""

    item: Taken
    body: bytes
    state: str = "waiting"
    status: int | None = None
    words: str = ""
    attempts: int = 0
    unanswered: int = 0
    out: bool = False  # a request is under way
    asked_s: float = 0.0  # how long the VTN asked to wait
    known_again: bool = False  # its VEN was registered again for it

    @property
    def maybe_stored(self) -> bool:
        """Whether an attempt under this name got no answer: the VTN may have the report."""
        return bool(self.item.unanswered + self.unanswered)

    def outcome(self) -> Settled:
        """Return what became of it; a request that is cut off now may be stored."""
        unanswered = self.unanswered + self.out
        return Settled(self.item.id, self.state, self.status, self.words, self.attempts, unanswered)


class Sender:
    """Sends one report at a time, a few times if need be, and judges the answers.

    Parameters
    ----------
    client : Client
        The VTN.
    outbox : Outbox
        Where parts of a report go that is too much, or partly wrong.
    vens : sequence of Ven
        As registered, in the order of the fleet; looked up anew for each report.
    circuit : Circuit
        Told of failures and answers; while it is open nothing is tried again.
    clock, backoff, tries
        What the attempts of one report go by.
    look : bool
        Look for the name before it is repeated, where the VTN takes a name twice.
    register_again : callable, optional
        Awaited with the index of a VEN that the VTN does not know any more.
    """

    def __init__(
        self,
        client: Client,
        outbox: Outbox,
        vens: Sequence[Ven],
        circuit: Circuit,
        *,
        clock: Clock,
        backoff: Backoff,
        tries: int,
        look: bool,
        register_again: Callable[[int], Awaitable[None]] | None,
    ) -> None:
        self._client, self._outbox, self._vens, self._circuit = client, outbox, vens, circuit
        self._clock, self._backoff, self._tries, self._look = clock, backoff, tries, look
        self._register_again = register_again
        self._again: dict[int, asyncio.Future[None]] = {}
        self._moved: set[int] = set()
        self.kept_cycles = 0  # before these a run went on, maybe at a VTN that lost its VENs

    async def deliver(self, each: Sending, tries: int | None = None) -> None:
        """Send a report until it is settled, or its tries are used up and it waits.

        Raises
        ------
        NotAVtn
            There is nobody who takes reports.
        StoreError
            The run file cannot be written.
        """
        tries = tries or self._tries
        if each.item.ven in self._moved or each.item.cycle < self.kept_cycles:
            each.body = self._readdressed(each)
        if not await self._attempt(each) or tries == 1:
            return
        first = [True]  # has failed already, without this machinery: it costs as much as a request

        async def attempt() -> bool:
            return first.pop() if first else self._circuit.open or await self._attempt(each)

        def wait_s(state: RetryCallState) -> float:
            return max(each.asked_s, self._backoff(state.attempt_number))

        retrying = AsyncRetrying(
            sleep=self._clock.sleep,
            wait=wait_s,
            stop=lambda state: state.attempt_number >= tries or self._circuit.open,
            retry=retry_if_result(bool),
            retry_error_callback=lambda _: None,
        )
        await retrying(attempt)

    async def _attempt(self, each: Sending) -> bool:
        """Send it once; tell whether it may be tried again."""
        try:
            if each.maybe_stored and self._must_look and await self._client.holds(each.item.name):
                each.state = "acknowledged"
                return False
            each.attempts, each.out = each.attempts + 1, True
            answer = await self._client.post_report(self._vens[each.item.ven], each.body)
            each.out = False
            log.debug("%s: %s", each.item.name, answer.status)
            return await self._judge(each, answer)
        except NoAnswer as error:
            each.unanswered += each.out
            each.out, each.words = False, error.problem
            self._circuit.failed(error.problem)
            log.debug("%s: %s", each.item.name, error)
            return True
        except AccessDenied as error:
            each.out = False
            self._refused(each, error.status, error.problem)
            return False

    @property
    def _must_look(self) -> bool:
        return self._look and not self._client.refuses_repeated_names

    async def _judge(self, each: Sending, answer: Answer) -> bool:
        """Settle a report by its answer; tell whether it may be tried again."""
        dialect, status = self._client.dialect, answer.status
        means = verdict(answer, receipt=dialect.receipt(answer.body))
        each.status = status
        each.words = "" if means is Verdict.TAKEN else dialect.explain(answer.body)
        if means is Verdict.LATER:
            # After a 408, a 5xx or a portal's page the report may be stored all the same.
            each.unanswered += status not in (425, 429)
            each.asked_s = asked_wait_s(answer)
            self._circuit.leave_alone(each.asked_s)
            self._circuit.failed(f"it answers {status} {each.words}".rstrip())
            return True
        if means is Verdict.CREDENTIAL:
            self._refused(each, status, each.words)
            return False
        self._circuit.answered()
        if means is Verdict.WRONG and not each.known_again and await self._client.address_is_lost():
            means = Verdict.UNKNOWN  # OpenADR 3 has no 404 for a report
        if means is Verdict.UNKNOWN and not each.known_again and self._register_again:
            return await self._known_again(each)
        if means in (Verdict.WRONG, Verdict.TOO_LARGE) and each.maybe_stored:
            # What is refused is a repeat; its halves, under names of their own, would be doubles.
            means = Verdict.TAKEN if await self._client.holds(each.item.name) else means
        await self._settle(each, means)
        return False

    async def _settle(self, each: Sending, means: Verdict) -> None:
        """Let an answer that nothing changes any more decide."""
        if means is Verdict.NO_VTN:
            said = f"the VTN takes no reports: {each.status} {each.words}"
            raise NotAVtn(said, "check vtn_url", status=each.status)
        if means is Verdict.TAKEN or (means is Verdict.NAMED and each.maybe_stored):
            self._again.pop(each.item.ven, None)
            each.state, each.words = "acknowledged", ""
        elif means is not Verdict.NAMED and (parts := self._parts(each)):
            await self._outbox.split(each.item, parts)
            each.state = "split"
        else:
            taken = "name already taken: " if means is Verdict.NAMED else ""
            each.state, each.words = "rejected", taken + each.words
            log.warning("%s rejected: %s %s", each.item.name, each.status, each.words)

    def _refused(self, each: Sending, status: int | None, words: str) -> None:
        """Hold everything: who asks is refused, not what is sent."""
        if not self._circuit.open:
            log.warning("the VTN refuses our credential: %s %s; reports wait", status, words)
        each.status, each.words = status, words
        self._circuit.break_off(f"it refuses our credential: {status} {words}".rstrip())

    async def _known_again(self, each: Sending) -> bool:
        """Register the report's VEN again, once for all its reports, and send it once more."""
        assert self._register_again
        ven = each.item.ven
        if ven not in self._again:
            self._again[ven] = asyncio.ensure_future(self._register_again(ven))
        try:
            await asyncio.shield(self._again[ven])
        except (VtnError, ConfigError) as error:  # an event may ask now what no lab can give
            self._again.pop(ven, None)
            self._circuit.failed(error.problem)
            each.words = error.problem
            return True
        self._moved.add(ven)
        each.known_again, each.body = True, self._readdressed(each)
        return await self._attempt(each)

    def _readdressed(self, each: Sending) -> bytes:
        return self._client.readdress(each.item.body, self._vens[each.item.ven])

    def _parts(self, each: Sending) -> list[Frozen]:
        """Return a report's two halves; none where it carries a single reading."""
        item, parts = each.item, []
        known = np.frombuffer(item.loads, "<i4").reshape(-1, max(1, item.readings))
        cycles = known[1].tolist() if len(known) > 1 else ()  # see `runfile.behind`
        halves = self._client.dialect.halves(item.name, each.body, item.readings, cycles)
        for name, body, at, told in halves:
            loads = known[:, list(at)].tobytes()
            parts.append(Frozen(name, item.ven, item.lane, len(at), 0, loads, body, told))
        return parts
