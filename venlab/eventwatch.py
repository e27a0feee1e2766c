"""The fleet's eye on the VTN's events: what is new, and what the VENs answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from venlab.client import Client
from venlab.model import Event, Ven

__all__ = ["EventWatch"]


class EventWatch:
    """Remembers which version of which event was seen, and hands on each once."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._new: list[Event] = []
        self._recent: deque[Event] = deque(maxlen=5)

    @property
    def recent(self) -> tuple[Event, ...]:
        """The last few versions that were seen, the newest last."""
        return tuple(self._recent)

    async def poll(self, client: Client, vens: Sequence[Ven]) -> None:
        """Ask for events; each VEN answers each new version once."""
        for event in await client.events():
            if self._seen.get(event.id, -1) >= event.version:
                continue
            for ven in vens:
                # The loads of this fleet do not react to events, and the VENs say so.
                await client.respond(event, ven, "notParticipating")
            self._seen[event.id] = event.version
            self._new.append(event)
            self._recent.append(event)

    def take(self) -> list[Event]:
        """Hand over the versions seen since the last call: they take effect now."""
        new, self._new = self._new, []
        return new
