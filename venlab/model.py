"""What an OpenADR system is made of, in no dialect: programs, events, VENs, resources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal, NamedTuple

from venlab.durations import Duration

__all__ = [
    "NO_TRAITS",
    "Event",
    "Interval",
    "Period",
    "Point",
    "Program",
    "ReportDescriptor",
    "Resource",
    "Signal",
    "Status",
    "Target",
    "Traits",
    "Value",
    "Ven",
]

Status = Literal["approved", "pending", "suspended"]


class Point(NamedTuple):
    """A point of a curve, such as volt against var."""

    x: float
    y: float


Value = float | int | str | bool | Point


class Target(NamedTuple):
    """Whom an event is for: a VEN, a resource, a group.

    OpenADR 3.0.1 says of what type a name is, such as ``VEN_NAME``; 3.1.0 and the flat dialect
    have the name alone. So a target is a name, with the type where somebody said it: no dialect
    that can carry a type loses it, and nobody must write one.
    """

    name: str
    type: str = ""


class Traits(NamedTuple):
    """What a VEN or a resource is made with beside its name, where a dialect has words for it.

    `attributes` maps OpenADR's types to values: LOCATION [deg] is longitude and latitude in this
    order, MAX_POWER_CONSUMPTION is in kW. `targets` are the names by which events mean it.
    """

    attributes: Mapping[str, Sequence[Value]] = MappingProxyType({})
    targets: tuple[Target, ...] = ()


NO_TRAITS = Traits()


@dataclass(frozen=True, slots=True)
class Ven:
    """A virtual end node as the VTN knows it."""

    id: str
    name: str
    client_name: str


@dataclass(frozen=True, slots=True)
class Resource:
    """What stands behind a VEN: one building with its loads.

    `attributes` maps a name to its values, such as ``{"load_0": ["heating"]}``.
    """

    id: str
    name: str
    ven_name: str
    kind: str = "building"
    status: Status = "approved"
    attributes: Mapping[str, list[str]] = field(default_factory=dict)
    traits: Traits = NO_TRAITS


@dataclass(frozen=True, slots=True)
class Program:
    """A demand response program that resources can be enrolled in.

    `units` maps a signal's type to its unit in all events of the program that do not say another.
    """

    id: str
    name: str
    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Signal:
    """What an event asks for: one type, its values in order, and their unit."""

    type: str
    values: tuple[Value, ...]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Period:
    """When an interval is, or all of an event's where they say nothing of their own.

    No `start` (the standard's ``0001-01-01``) is right after the interval before; of the first,
    when the event is received. No `duration` is none of one's own. With `randomize_start` each
    VEN begins up to that much earlier or later.
    """

    start: datetime | None = None
    duration: Duration | None = None
    randomize_start: Duration | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """A part of an event with its signals; `id` is the sender's, and no position."""

    id: int
    signals: tuple[Signal, ...] = ()
    period: Period | None = None


@dataclass(frozen=True, slots=True)
class ReportDescriptor:
    """A report that an event asks for: of what, for whom, and when; -1 as in the standard."""

    payload_type: str
    reading_type: str = ""
    units: str = ""
    targets: tuple[Target, ...] = ()
    aggregate: bool = False
    start_interval: int = -1
    num_intervals: int = -1
    historical: bool = True
    frequency: int = -1
    repeat: int = 1
    report_intervals: Literal["INTERVALS", "SUB_INTERVALS", "OPEN_INTERVALS"] = "INTERVALS"


@dataclass(frozen=True, slots=True)
class Event:
    """A demand response event, at one version of it.

    What it means in time, `venlab.timeline.Timeline` says. No targets means everybody in the
    program; the lower `priority` wins, none is the lowest. A `duration` cuts the intervals off or
    repeats them.
    """

    id: str
    name: str
    program_id: str
    version: int = 0
    cancelled: bool = False
    targets: tuple[Target, ...] = ()
    priority: int | None = None
    created: datetime | None = None
    period: Period | None = None
    intervals: tuple[Interval, ...] = ()
    duration: Duration | None = None
    report_descriptors: tuple[ReportDescriptor, ...] = ()

    @classmethod
    def between(
        cls,
        start: datetime,
        end: datetime,
        signal: Signal | None = None,
        *,
        name: str = "",
        program_id: str = "",
        targets: Iterable[str | Target] = (),
    ) -> Event:
        """Return an event that asks for one thing over [start, end).

        Parameters
        ----------
        start, end : datetime
            Aware.
        signal : Signal, optional
            What it asks for, else SIMPLE level 1, "use less".
        name, program_id : str
            Of the event, and of the program at the VTN.
        targets : iterable of str or Target
            VENs, resources or groups by name; none means everybody.

        Examples
        --------
        >>> from venlab import parse_time
        >>> begin, end = parse_time("2023-11-30T17:00"), parse_time("2023-11-30T19:00")
        >>> event = Event.between(begin, end, name="evening peak", targets=["Aars"])
        >>> print(event.period.duration, event.signal.type, event.signal.values)
        PT2H SIMPLE (1,)
        """
        asked = signal or Signal("SIMPLE", (1,))
        return cls(
            "",
            name,
            program_id,
            targets=tuple(Target(t) if isinstance(t, str) else t for t in targets),
            period=Period(start, Duration(exact=end - start)),
            intervals=(Interval(0, (asked,)),),
        )

    @property
    def signal(self) -> Signal | None:
        """The first thing it asks for: all, of an event as `between` makes it."""
        return next((signal for i in self.intervals for signal in i.signals), None)
