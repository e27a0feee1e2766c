"""An event as text: a run file keeps what was asked, whole, in whichever dialect it came."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from venlab.model import Event

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["event_of", "text_of"]


def text_of(event: Event) -> str:
    """Return an event as JSON.

    Examples
    --------
    >>> event = Event("17", "evening peak", "program")
    >>> event_of(text_of(event)) == event
    True
    """
    return _adapter().dump_json(event, exclude_defaults=True).decode()


def event_of(text: str) -> Event:
    """Return the event that a text tells."""
    return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[Event]:
    from pydantic import TypeAdapter  # a tenth of a second: where there is an event only

    return TypeAdapter(Event)
