"""Which report intervals an event's report descriptor asks for, and in which report each goes."""

from __future__ import annotations

from typing import NamedTuple

from venlab.errors import ConfigError
from venlab.model import ReportDescriptor

__all__ = ["EVERY", "UNITS", "Plan", "Window", "plan_of"]

UNITS = {"DEMAND": "KW", "USAGE": "KWH"}
"""What the lab can say of a load: its mean power, or its energy over the interval."""


class Window(NamedTuple):
    """The cycles [begin, end) of one report; those from `new` on are in no report before it."""

    begin: int
    new: int
    end: int


class Plan(NamedTuple):
    """When a report is due and which cycles it holds.

    The first report holds the cycles [`begin`, `end`) and is due with the last of them; each
    further one ends `every` cycles later and holds `length` cycles; after `times` (-1: for ever)
    nothing is asked for any more. With `aggregate` it holds their sums.

    Examples
    --------
    >>> plan = Plan(begin=0, end=2, length=2, every=2, times=-1)
    >>> [plan.due(cycle) for cycle in range(4)]
    [None, Window(begin=0, new=0, end=2), None, Window(begin=2, new=2, end=4)]
    """

    begin: int = 0
    end: int = 1
    length: int = 1
    every: int = 1
    times: int = -1
    aggregate: bool = False

    def window_of(self, cycle: int) -> Window | None:
        """Return what the first report with a cycle holds; None where the cycle is in none."""
        n = max(0, -(-(cycle + 1 - self.end) // self.every))
        end = self.end + n * self.every
        begin = max(0, end - self.length) if n else self.begin
        if cycle < begin or 0 <= self.times <= n:
            return None
        return Window(begin, max(begin, end - self.every) if n else begin, end)

    def due(self, cycle: int, *, last: bool = False) -> Window | None:
        """Return what the report that is due after a cycle holds, None where none is.

        After the `last` cycle of a run that is also what there is of a report that is not full.
        """
        window = self.window_of(cycle)
        full = window and window.end == cycle + 1
        return window._replace(end=cycle + 1) if window and (full or last) else None


EVERY = Plan()
"""One report after each interval."""


def plan_of(asked: ReportDescriptor) -> Plan:
    """Return when the lab reports, where an event asks so.

    Parameters
    ----------
    asked : ReportDescriptor
        What the event says.

    Raises
    ------
    ConfigError
        It asks for other values than power or energy, or a number means nothing.

    Notes
    -----
    What the documents and User Guide 7.5 leave open is decided so:

    * Intervals are the lab's own report intervals from the run's first, 0, 1, 2, …, whichever
      intervals the event itself has. That is what OPEN_INTERVALS asks for and SUB_INTERVALS
      allows; of an event without intervals, which only asks for reports, all three mean it.
    * Such an event has no end, so a descriptor that leaves all to its defaults ("one report of
      all, after the last") would never be answered before the run is over. It gets a report after
      each interval, for ever: in the Guide's words, when the VEN deems it useful. The same goes
      for "all from the start interval on"; `repeat` counts, if it is not its default of 1.
    * `start_interval` -1 is the first report's last interval: as early as it is full.
    * `historical`: the first report ends with the start interval, which it holds (the Guide's
      start 1, two intervals, gives 0 and 1). Otherwise it begins there. That asks for a forecast;
      the lab measures and never guesses, so the report is sent when its intervals are over.
    * `num_intervals` -1 with a frequency is all that no report has held yet.
    * `frequency` 0, "when the VEN chooses", is as -1: as many as a report holds.

    Examples
    --------
    >>> plan_of(ReportDescriptor("USAGE")) == EVERY
    True
    >>> plan_of(ReportDescriptor("USAGE", start_interval=1, num_intervals=2, repeat=3))
    Plan(begin=0, end=2, length=2, every=2, times=3, aggregate=False)
    """
    _must_be_sayable(asked)
    start, number = asked.start_interval, asked.num_intervals
    often, times = asked.frequency, asked.repeat
    if number < 0 and often < 1 and (start < 0 or not asked.historical):  # all, without an end
        begin, times = max(0, start), -1 if times == 1 else times
        return Plan(begin, begin + 1, times=times, aggregate=asked.aggregate)
    every = often if often > 0 else number if number > 0 else start + 1
    length = number if number > 0 else every
    if asked.historical:
        end = start + 1 if start >= 0 else length
        begin = 0 if number < 0 else max(0, end - length)
    else:
        begin = max(0, start)
        end = begin + length
    return Plan(begin, end, length, every, times, asked.aggregate)


def _must_be_sayable(asked: ReportDescriptor) -> None:
    wrong = []
    if asked.payload_type not in UNITS:
        wrong.append(f"payloadType {asked.payload_type[:50]!r}, the lab has {' and '.join(UNITS)}")
    for name, value, least in (
        ("startInterval", asked.start_interval, 0),
        ("numIntervals", asked.num_intervals, 1),
        ("frequency", asked.frequency, 0),
        ("repeat", asked.repeat, 1),
    ):
        if value < least and value != -1:
            wrong.append(f"{name} {value}, which must be -1 or at least {least}")
    if wrong:
        raise ConfigError(
            f"the event asks for reports with {'; '.join(wrong)}",
            "name another event in report_event, or change its reportDescriptors",
        )
