"""The fleet's eye on the VTN's events: what is new, and what the VENs answer."""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from collections.abc import Sequence

from venlab.client import Client
from venlab.errors import Refused
from venlab.model import Event, Ven

__all__ = ["EventWatch"]

log = logging.getLogger(__name__)


class EventWatch:
    """Remembers which version of which event was seen, and hands on each once."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._answered: defaultdict[tuple[str, int], set[str]] = defaultdict(set)
        self._new: list[Event] = []
        self._recent: deque[Event] = deque(maxlen=5)

    @property
    def recent(self) -> tuple[Event, ...]:
        """The last few versions that were seen, the newest last."""
        return tuple(self._recent)

    def remember(self, applied: Sequence[tuple[str, int]]) -> None:
        """Count versions as seen and answered: those that took effect before a run goes on."""
        self._seen |= dict(applied)

    async def poll(self, client: Client, vens: Sequence[Ven]) -> None:
        """Ask for events; each VEN answers each new version once, and goes on after an outage."""
        for event in await client.events():
            if self._seen.get(event.id, -1) >= event.version:
                continue
            answered = self._answered[event.id, event.version]
            for ven in vens:
                if ven.id not in answered:
                    await _answer(client, event, ven)
                    answered.add(ven.id)
            self._seen[event.id] = event.version
            self._new.append(event)
            self._recent.append(event)

    def take(self) -> list[Event]:
        """Hand over the versions seen since the last call: they take effect now."""
        new, self._new = self._new, []
        return new


async def _answer(client: Client, event: Event, ven: Ven) -> None:
    """Say that the loads of this fleet do not react to events; an answer may be unwanted."""
    if not client.can("respond"):
        return
    try:
        await client.respond(event, ven, "notParticipating")
    except Refused as error:
        log.warning("%s and event %s: %s", ven.name, event.name, error)
