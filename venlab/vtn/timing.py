"""When an event is over."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from venlab.errors import VenlabError
from venlab.wire.v3_answers import EventAnswer

_decode = msgspec.json.Decoder(EventAnswer).decode


def is_over(event: bytes, now: datetime | None = None) -> bool:
    """Tell whether all of an event, as it is shown, has passed.

    One that starts when it is received starts when it was made.

    Examples
    --------
    >>> times = b'"createdDateTime":"2023-01-09T16:00:00Z","intervalPeriod":{"duration":"%b"}'
    >>> [is_over(b'{"id":"e",%b}' % (times % length)) for length in (b"PT1H", b"P9999Y")]
    [True, False]
    """
    from venlab.track import lifespan  # which loads NumPy; few ask for this
    from venlab.wire.v3_events import event_of

    try:
        _, end = lifespan(event_of(_decode(event)))
    except (VenlabError, ValueError, ArithmeticError):  # a time beyond all calendars is not over
        return False
    return end is not None and end <= (now or datetime.now(UTC))
