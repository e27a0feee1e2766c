"""The fleet's eye on the VTN's events: what is new, what is gone, and what the VENs answer."""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from venlab.client import Client
from venlab.errors import NoAnswer, Refused, VtnError
from venlab.model import Event, Ven
from venlab.opting import Decision
from venlab.tasks import for_each
from venlab.track import lifespan

__all__ = ["EventWatch"]

log = logging.getLogger(__name__)

Decide = Callable[[Event, frozenset[str]], Callable[[Ven], str]]
Views = dict[frozenset[str], list[Event]]  # who sees what: VENs by client name


class EventWatch:
    """Remembers which version of which event was seen, and hands on each once.

    Where each VEN asks for itself, a version is handed on again when others see it than did.

    OpenADR 3 cancels by deletion (User Guide 7.9): an event that is listed no more has one version
    more, a cancelled one, unless it was over by itself. Listed again, it counts again.

    Parameters
    ----------
    in_flight : int
        Polls at the same time, where each VEN asks for itself.
    decide : callable, optional
        Called with a new version of an event and the client names of the VENs that see it; returns
        what says for each of them what it answers. Else none of them takes part.
    """

    def __init__(self, in_flight: int = 8, decide: Decide | None = None) -> None:
        self._in_flight, self._decide = in_flight, decide or _nobody
        self._seen: dict[str, Event] = {}
        self._receivers: dict[str, frozenset[str]] = {}
        self._handed: dict[str, frozenset[str]] = {}  # to whom the last version was handed on
        self._answered: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        self._new: list[Event] = []
        self._recent: deque[Event] = deque(maxlen=5)

    @property
    def recent(self) -> tuple[Event, ...]:
        """The last few versions that were seen, the newest last."""
        return tuple(self._recent)

    def received_by(self, event: Event) -> frozenset[str]:
        """Return the client names of the VENs that see an event now; none where it is gone."""
        return self._receivers.get(event.id, frozenset())

    def remember(self, decisions: Iterable[Decision], vens: Sequence[Ven]) -> None:
        """Count versions as seen and answered: those that took effect before a run goes on.

        Parameters
        ----------
        decisions : iterable of Decision
            In the order in which they were made.
        vens : sequence of Ven
            The fleet.
        """
        for decision in decisions:
            event, names = (
                decision.event,
                frozenset(vens[v].client_name for v in decision.receivers),
            )
            self._seen[event.id] = event
            self._receivers[event.id] = self._handed[event.id] = names
            self._answered[event.id, event.version] = {vens[v].id for v in decision.receivers}
            if event.cancelled:
                del self._receivers[event.id]

    async def poll(self, client: Client, vens: Sequence[Ven], now: datetime) -> None:
        """Ask for events; each VEN answers each new version once, and goes on after an outage.

        One poll serves the fleet; where each VEN sees its own, each asks, and for one that got no
        answer all is as it was.

        Parameters
        ----------
        client : Client
            The VTN; what it raises leaves all that was seen as it was.
        vens : sequence of Ven
            The fleet.
        now : datetime
            By which an event is over, aware.
        """
        fleet = _names(vens)
        apart = client.sees_apart
        views = await self._views(client, vens) if apart else {fleet: await client.events()}
        listed = self._receive(views, fleet)
        for event in listed.values():
            if (new := self._as_new(event) or self._as_seen_by_others(event)) is None:
                continue
            answered, sees = self._answered[new.id, new.version], self._receivers[new.id]
            answer_of = self._decide(new, sees)
            for ven in vens:
                if ven.client_name in sees and ven.id not in answered:
                    await _answer(client, new, ven, answer_of(ven))
                    answered.add(ven.id)
            self._hand_on(new)
        # In the flat dialect nothing is deleted and a status says what is cancelled: there a VTN
        # that leaves one out, since it lists only what is still to come, cancels nothing.
        if client.can("delete"):
            self._miss(now)

    def take(self) -> list[Event]:
        """Hand over the versions seen since the last call: they take effect now."""
        new, self._new = self._new, []
        return new

    def _as_new(self, event: Event) -> Event | None:
        """Return an event with a version above all that were handed on; None if it is known."""
        last = self._seen.get(event.id)
        if last is None:
            return event
        back = last.cancelled and not event.cancelled  # as it was before, maybe
        if event.version <= last.version and not back:
            return None
        return replace(event, version=max(event.version, last.version + 1))

    def _as_seen_by_others(self, event: Event) -> Event | None:
        """Return the version that was handed on, where other VENs see it now than saw it then."""
        last = self._seen[event.id]
        same = self._receivers[event.id] == self._handed.get(event.id)
        return None if same or last.cancelled else last

    async def _views(self, client: Client, vens: Sequence[Ven]) -> Views:
        """Let each VEN ask for its events; raise where none is answered."""
        views: Views = {}
        failed: list[VtnError] = []
        limit, silent = min(self._in_flight, len(vens)), 0

        async def look(ven: Ven) -> None:
            nonlocal silent
            try:
                views[frozenset((ven.client_name,))] = await client.events(ven)
                silent = 0
            except VtnError as error:
                failed.append(error)
                silent += isinstance(error, NoAnswer)
                if silent >= limit:  # nobody is there: the others need not wait for that too
                    raise

        with suppress(NoAnswer):
            await for_each(vens, look, limit)
        if failed and not views:
            raise failed[0]
        if failed:
            log.warning("%d VENs see no events: %s", len(vens) - len(views), failed[0])
        return views

    def _receive(self, views: Views, fleet: frozenset[str]) -> dict[str, Event]:
        """Return each event that is listed, once, and note who sees it now."""
        listed: dict[str, Event] = {}
        unheard = fleet.difference(*views)
        receivers = {key: names & unheard for key, names in self._receivers.items()}
        for names, events in views.items():
            for event in events:
                listed[event.id] = _merged(listed.get(event.id, event), event)
                receivers[event.id] = receivers.get(event.id, frozenset()) | names
        self._receivers = {key: names for key, names in receivers.items() if names}
        return listed

    def _miss(self, now: datetime) -> None:
        """Cancel what was there and nobody lists any more: to delete is how one cancels."""
        for last in list(self._seen.values()):
            if last.id not in self._receivers and not last.cancelled:
                _, end = lifespan(last)
                if end is None or end > now:
                    self._hand_on(replace(last, cancelled=True, version=last.version + 1))

    def _hand_on(self, event: Event) -> None:
        self._seen[event.id] = event
        self._handed[event.id] = self._receivers.get(event.id, frozenset())
        self._new.append(event)
        self._recent.append(event)


def _names(vens: Iterable[Ven]) -> frozenset[str]:
    return frozenset(ven.client_name for ven in vens)


def _merged(event: Event, other: Event) -> Event:
    """Return what two VENs see of one event: each sees those targets only that it has."""
    if event.version != other.version:
        return max(event, other, key=lambda each: each.version)
    new = [target for target in other.targets if target not in event.targets]
    return replace(event, targets=(*event.targets, *new)) if new else event


def _nobody(_event: Event, _names: frozenset[str]) -> Callable[[Ven], str]:
    return lambda _: "notParticipating"


async def _answer(client: Client, event: Event, ven: Ven, answer: str) -> None:
    """Say what a VEN answers; an answer may be unwanted."""
    if not client.can("respond"):
        return
    try:
        await client.respond(event, ven, answer)
    except Refused as error:
        log.warning("%s and event %s: %s", ven.name, event.name, error)
