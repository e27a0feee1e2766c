"""When an event is over."""

from __future__ import annotations

from venlab.vtn.store import Row


def is_over(event: Row) -> bool:
    """Tell whether all of an event lies in the past."""
    return False
