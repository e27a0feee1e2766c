"""What applies when: the events that are known, laid out in time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from datetime import UTC, datetime
from math import inf
from types import MappingProxyType

from venlab.errors import DataError
from venlab.model import Event, Program, Target
from venlab.track import Active, Track

__all__ = ["Timeline", "rank"]

Received = datetime | Mapping[str, datetime]


class Timeline:
    """What events ask for at any time: of everybody, with no start randomised, or as one sees it.

    .. code-block:: text

                  16:00   17:00   18:00   19:00   20:00   21:00
        tariff      |--0.20-|--0.90-|--0.50-|--0.20-|--0.90-|--0.50-   PRICE, 3 x PT1H, for ever
        saving        |-----------1-----------|                        SIMPLE, PT3H, priority 5
        emergency             |-----3-----|                            SIMPLE, PT1H30M, priority 0

        PRICE       |  0.20 |  0.90 |  0.50 |  0.20 |  0.90 |  0.50
        SIMPLE        |   1   |     3     | 1 |
                              ^
        at(17:15) = {PRICE: 0.90, SIMPLE: 3}, and next_change(17:15) = 18:00

    Parameters
    ----------
    events : iterable of Event
        All that are known, in any order; of one with several versions the last counts, and one
        that is cancelled counts no more.
    received : datetime or mapping, optional
        When all, or each by its id, were received first: where "now" is. Else when the VTN made
        them.
    programs : iterable of Program, optional
        Whose units go for signals that have none.
    seed : int, optional
        Of the randomised starts.

    Raises
    ------
    DataError
        An event starts when it is received, and nobody says when that was.

    Notes
    -----
    The rules are those of OpenADR's documents (3.1.0: User Guide 7.1, 7.3, 7.4, 7.9); where they
    say nothing, the choice is ours:

    * An interval's own period goes before its event's. One without start begins when that before
      it is over, the first when the event's period begins, else when the event is received.
    * A duration that nobody says is none, as in the documents; but with no period at all the
      interval lasts for ever, and in an event with a duration of its own it lasts as long.
    * The event's `duration` (3.1.0) counts from the first begin: it cuts what is longer, and
      repeats what is shorter. ``PT0S``, its default, says nothing.
    * Several prices or emissions in one interval share it evenly. Several values of another type
      are one thing, such as the points of a curve.
    * `randomize_start` moves the first interval and with it all others, by the same time for the
      same VEN and event; an interval with one of its own moves anew, with those after it.
    * Who joins late skips ahead: what applies depends on when it is, not on who asks when.
    * Where two events ask for one type of signal, the lower priority number wins; then the newer
      event (ours). Within one event the interval that began last wins (ours).
    * The time of a program's period is its own span, which does not bound its events.

    Examples
    --------
    >>> from venlab import Signal, parse_time
    >>> begin, end = parse_time("2023-11-30T17:00"), parse_time("2023-11-30T19:00")
    >>> timeline = Timeline([Event.between(begin, end, Signal("SIMPLE", (2,)))])
    >>> timeline.at(parse_time("2023-11-30T18:00"))["SIMPLE"].value
    2
    >>> timeline.at(end), timeline.next_change(end)
    ({}, None)
    """

    def __init__(
        self,
        events: Iterable[Event],
        *,
        received: Received = MappingProxyType({}),
        programs: Iterable[Program] = (),
        seed: int = 0,
    ) -> None:
        units = {program.id: program.units for program in programs}
        self._tracks = tuple(
            Track(event, _now(event, received), units.get(event.program_id, {}))
            for event in sorted(_latest(events), key=lambda event: rank(event, received))
            if event.signal and not event.cancelled
        )
        self._seed = seed
        self._parts: dict[tuple[Track, ...], Timeline] = {self._tracks: self}

    def seen_by(self, ven: str, *names: str | Target) -> Timeline:
        """Return what of it is for a VEN or for something behind it, at its own random times.

        Parameters
        ----------
        ven : str
            What the VEN is known by to its operator, such as its town_id, and to no VTN: each has
            its own random times, whichever the VTN, so that a run can be repeated.
        *names : str or Target
            What it goes by at the VTN: the names of the VEN, of a resource and of the groups it is
            in. With none, only events for everybody are left.

        Returns
        -------
        Timeline
            The same object for all who see the same: a fleet asks each of them once.
        """
        who = [Target(name) if isinstance(name, str) else name for name in names]
        key = f"{self._seed}|{ven}"
        seen = tuple(track.of(key) for track in self._tracks if track.is_for(who))
        if seen not in self._parts:
            part = self._parts[seen] = copy(self)
            part._tracks = seen
        return self._parts[seen]

    def at(self, t: datetime) -> Mapping[str, Active]:
        """Return what each type of signal asks for at an instant, such as ``SIMPLE``.

        Parameters
        ----------
        t : datetime
            Aware.

        Returns
        -------
        mapping
            Empty where nothing applies.
        """
        _check(t)
        answer: dict[str, Active] = {}
        for track in self._tracks:  # the best last
            answer |= track.at(t)
        return answer

    def next_change(self, t: datetime) -> datetime | None:
        """Return the first instant after t at which the answer may change; None = it never does.

        Parameters
        ----------
        t : datetime
            Aware.
        """
        _check(t)
        changes = [track.next_change(t) for track in self._tracks]
        return min((change for change in changes if change), default=None)


def _check(t: datetime) -> None:
    if not t.tzinfo:
        raise DataError(f"{t.isoformat()} has no zone", "use vl.parse_time")


def _latest(events: Iterable[Event]) -> Iterable[Event]:
    """Return the last version of each event; those that no VTN knows have no id."""
    known: dict[object, Event] = {}
    for event in events:
        key = event.id or event
        if key not in known or known[key].version <= event.version:
            known[key] = event
    return known.values()


def _now(event: Event, received: Received) -> datetime | None:
    own = received.get(event.id) if isinstance(received, Mapping) else received
    return own or event.created


def rank(event: Event, received: Received) -> tuple[float, datetime, str, str]:
    """Return what orders events, the one that wins last; names and ids decide when all is equal.

    Parameters
    ----------
    event : Event
        One of them.
    received : datetime or mapping
        When it was, as of `Timeline`.
    """
    newness = event.created or _now(event, received) or datetime.min.replace(tzinfo=UTC)
    priority = -inf if event.priority is None else -event.priority
    return priority, newness, event.name, event.id
