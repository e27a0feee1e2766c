"""The fleet's eye on the VTN's events: what is new, what is gone, and what the VENs answer."""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from venlab.client import Client
from venlab.durations import FOR_EVER, Duration
from venlab.errors import Refused
from venlab.model import Event, Period, Ven
from venlab.track import lifespan

__all__ = ["EventWatch"]

log = logging.getLogger(__name__)

Applied = tuple[str, str, int, str, str | None, int]


class EventWatch:
    """Remembers which version of which event was seen, and hands on each once.

    OpenADR 3 cancels by deletion (User Guide 7.9): an event that is listed no more has one version
    more, a cancelled one, unless it was over by itself. Listed again, it counts again.
    """

    def __init__(self) -> None:
        self._seen: dict[str, Event] = {}
        self._answered: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        self._new: list[Event] = []
        self._recent: deque[Event] = deque(maxlen=5)

    @property
    def recent(self) -> tuple[Event, ...]:
        """The last few versions that were seen, the newest last."""
        return tuple(self._recent)

    def remember(self, applied: Iterable[Applied]) -> None:
        """Count versions as seen and answered: those that took effect before a run goes on."""
        self._seen |= {row[0]: _as_kept(row) for row in applied}

    async def poll(self, client: Client, vens: Sequence[Ven], now: datetime) -> None:
        """Ask for events; each VEN answers each new version once, and goes on after an outage.

        Parameters
        ----------
        client : Client
            The VTN; what it raises leaves all that was seen as it was.
        vens : sequence of Ven
            Who answers.
        now : datetime
            By which an event is over, aware.
        """
        listed = await client.events()
        for event in listed:
            if (new := self._as_new(event)) is None:
                continue
            answered = self._answered[new.id, new.version]
            for ven in vens:
                if ven.id not in answered:
                    await _answer(client, new, ven)
                    answered.add(ven.id)
            self._hand_on(new)
        # In the flat dialect nothing is deleted and a status says what is cancelled: there a VTN
        # that leaves one out, since it lists only what is still to come, cancels nothing.
        if client.can("delete"):
            self._miss({event.id for event in listed}, now)

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

    def _miss(self, listed: set[str], now: datetime) -> None:
        """Cancel what was there and is listed no more: to delete is how one cancels."""
        for last in list(self._seen.values()):
            if last.id not in listed and not last.cancelled:
                _, end = lifespan(last)
                if end is None or end > now:
                    self._hand_on(replace(last, cancelled=True, version=last.version + 1))

    def _hand_on(self, event: Event) -> None:
        self._seen[event.id] = event
        self._new.append(event)
        self._recent.append(event)


def _as_kept(row: Applied) -> Event:
    """Return as much of an event as a run file keeps: not what it asked for."""
    event_id, name, version, start, end, cancelled = row
    begin = datetime.fromisoformat(start)
    length = Duration(exact=datetime.fromisoformat(end) - begin) if end else FOR_EVER
    return Event(event_id, name, "", version, bool(cancelled), period=Period(begin, length))


async def _answer(client: Client, event: Event, ven: Ven) -> None:
    """Say that the loads of this fleet do not react to events; an answer may be unwanted."""
    if not client.can("respond"):
        return
    try:
        await client.respond(event, ven, "notParticipating")
    except Refused as error:
        log.warning("%s and event %s: %s", ven.name, event.name, error)
