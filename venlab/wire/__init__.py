"""JSON ⇄ model, one module a dialect; nothing outside this folder knows JSON names.

A dialect turns each thing the lab wants into a `Call`: what to send, and how to read the answer.
The client sends calls without knowing what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import (
    TYPE_CHECKING,
    ClassVar,
    Generic,
    NamedTuple,
    Protocol,
    TypeVar,
    runtime_checkable,
)

import numpy as np
from numpy.typing import NDArray

from venlab.config import DIALECTS
from venlab.errors import ConfigError
from venlab.model import (
    NO_TRAITS,
    Event,
    Program,
    ReportDescriptor,
    Resource,
    Status,
    Traits,
    Ven,
)
from venlab.secret import Secret

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Address",
    "Call",
    "Dialect",
    "Draft",
    "Health",
    "Heard",
    "Held",
    "Limits",
    "LoadName",
    "Measured",
    "Page",
    "Registered",
    "ReportWriter",
    "SeriesWriter",
    "WindowWriter",
    "can_say",
    "dialect",
    "unsayable",
]

T = TypeVar("T")
WISHES = {
    "address": "which event a report is about",
    "status": "whether a resource is approved",
    "enrol": "that a resource takes part in a program",
    "respond": "what a VEN answers to an event",
    "renew": "to ask the VTN for a VEN's new token",
    "delete": "to delete what was made",
}
"""Each wish that some dialect has no words for, in a person's."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request and the meaning of its answer; `path` may carry a query.

    `read` gets status and body, and is called for 2xx and for each status in `also`.
    """

    method: str
    path: str
    read: Callable[[int, bytes], T]
    body: bytes = b""
    also: tuple[int, ...] = ()

    def takes(self, status: int) -> bool:
        """Tell whether an answer of that status is read; any other is a refusal."""
        return 200 <= status < 300 or status in self.also


class Health(NamedTuple):
    """What a VTN says of itself: how it is, and whether it takes a report's name once only."""

    status: str
    refuses_repeated_names: bool = False


class Registered(NamedTuple):
    """What the VTN answers to a registration: its id, and a token where it gives one."""

    id: str
    is_new: bool
    token: Secret = Secret("")


class Address(NamedTuple):
    """What reports are about where they need an event, and how it asks for them."""

    name: str
    program_id: str
    event_id: str
    asked: ReportDescriptor = ReportDescriptor("DEMAND")

    @property
    def id(self) -> str:
        """The event's."""
        return self.event_id


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one report may be: bytes, and resources."""

    most_bytes: int = 1_000_000
    most_resources: int = 10_000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a long list: what counts of it, where the next begins, and which page it is.

    `next` is empty at the end. `key` tells a page from the one before: a VTN that pages its own
    way may repeat itself.
    """

    items: list[T]
    next: str
    key: str


class Heard(NamedTuple):
    """One report as the VTN holds it: its name, readings and their sum [W]."""

    name: str
    readings: int
    watts: int


class Held(NamedTuple):
    """A report that a VTN holds, by whomever: its id, its name, whose it is and about what."""

    id: str
    name: str
    client_name: str
    event_id: str


class LoadName(NamedTuple):
    """Where one load stands in the fleet, with the VTN's id of its resource."""

    load_index: int
    resource_id: str
    resource: str
    load: str


class Draft(NamedTuple):
    """A report ready to be frozen: its name, its bytes, and which of the loads it covers.

    Of one that holds several intervals, or their sums, `told` is how many values a VTN will read
    in it, and their sum [W].
    """

    name: str
    body: bytes
    positions: Sequence[int]
    told: tuple[int, int] | None = None


class Measured(NamedTuple):
    """One interval of the loads of a VEN: its number, start, length [s] and powers [W]."""

    cycle: int
    stamp: datetime
    duration_s: int
    watts: Sequence[int]


class ReportWriter(Protocol):
    """Writes one VEN's reports; all that does not change is rendered once."""

    def write(self, stamp: datetime, duration_s: int, watts: Sequence[int]) -> list[Draft]:
        """Write the reports of one interval; `watts` follows the loads, -1 = not measured."""
        ...


class WindowWriter(ReportWriter, Protocol):
    """Writes also what an event asks for that wants more than one interval, or sums."""

    def write_window(
        self, intervals: Sequence[Measured], new: int, *, aggregate: bool
    ) -> list[Draft]:
        """Write the reports of several intervals; those before `new` are in a report already.

        A position is that of a new reading among all: interval by interval, load by load.
        """
        ...


@runtime_checkable
class SeriesWriter(Protocol):
    """Writes also many intervals of loads that have no gap, as a VEN's history is."""

    def write_series(
        self, name: str, stamp: datetime, duration_s: int, watts: NDArray[np.int32], first: int
    ) -> Draft:
        """Write one report of that name.

        Parameters
        ----------
        name : str
            The report's.
        stamp : datetime
            Start of the first interval; each begins where the one before it ends.
        duration_s : int
            Length of each [s].
        watts : int32 array, shape (intervals, loads) [W]
            Mean power, 0 or more.
        first : int
            Which of the writer's loads the first column is.
        """
        ...


class Dialect(Protocol):
    """Which JSON a VTN speaks.

    `cannot` says of each wish that the dialect has no words for, why: nobody makes a call of it.
    """

    name: ClassVar[str]
    page: ClassVar[int]  # the most that a list is asked for at once
    page_of_reports: ClassVar[int]
    tells_id_of_same_name: ClassVar[bool]  # who registers a name again learns the id that it has
    private: ClassVar[bool]  # a VEN sees its own only
    stranger: ClassVar[int]  # status of an answer to a token that is not known
    cannot: ClassVar[Mapping[str, str]]

    def health(self) -> Call[Health]: ...  # noqa: D102 - the names are those of `Client`
    def vens(self, name: str, skip: int, limit: int) -> Call[list[Ven]]: ...  # noqa: D102
    def register_ven(  # noqa: D102
        self, name: str, client_name: str, *, speaks: bool, traits: Traits = NO_TRAITS
    ) -> Call[Registered]: ...
    def renew_token(self, ven_id: str) -> Call[Secret]: ...  # noqa: D102
    def resources_of(self, ven: Ven, skip: int, limit: int) -> Call[list[Resource]]: ...  # noqa: D102
    def register_resource(  # noqa: D102
        self, ven: Ven, resource: Resource, *, speaks: bool
    ) -> Call[Registered]: ...
    def resources(self, skip: int, limit: int) -> Call[list[Resource]]: ...  # noqa: D102
    def set_status(self, resource_id: str, status: Status) -> Call[None]: ...  # noqa: D102
    def programs(self, skip: int, limit: int) -> Call[list[Program]]: ...  # noqa: D102
    def create_program(self, name: str) -> Call[Program]: ...  # noqa: D102
    def enrol(self, program_id: str, resource_id: str) -> Call[bool]: ...  # noqa: D102
    def events(self, skip: int, limit: int) -> Call[list[Event]]: ...  # noqa: D102
    def event(self, event_id: str) -> Call[Event]: ...  # noqa: D102
    def create_event(self, event: Event) -> Call[Event]: ...  # noqa: D102
    def change_event(self, event: Event) -> Call[Event]: ...  # noqa: D102
    def cancel_event(self, event_id: str) -> Call[None]: ...  # noqa: D102
    def respond(self, event_id: str, ven_id: str, answer: str) -> Call[None]: ...  # noqa: D102
    def responses(  # noqa: D102
        self, event_id: str, skip: int, limit: int
    ) -> Call[list[tuple[str, str]]]: ...
    def addresses(self, skip: int, limit: int) -> Call[list[Address]]: ...  # noqa: D102
    def open_address(self, program_id: str, name: str) -> Call[Address]: ...  # noqa: D102
    def post_report(self, body: bytes) -> Call[None]: ...  # noqa: D102
    def heard(  # noqa: D102
        self, run_id: str, address: Address | None, place: str, limit: int
    ) -> Call[Page[Heard]]: ...
    def holds(  # noqa: D102
        self, name: str, address: Address | None, place: str, limit: int
    ) -> Call[Page[str]]: ...
    def reports(  # noqa: D102
        self, client_name: str, event_id: str, skip: int, limit: int
    ) -> Call[list[Held]]: ...
    def subscribed(self, program_id: str, /) -> Call[bool]: ...  # noqa: D102
    def delete_report(self, report_id: str, /) -> Call[None]: ...  # noqa: D102
    def delete_resource(self, ven_id: str, resource_id: str) -> Call[None]: ...  # noqa: D102
    def delete_ven(self, ven_id: str, /) -> Call[None]: ...  # noqa: D102
    def delete_event(self, event_id: str, /) -> Call[None]: ...  # noqa: D102
    def delete_program(self, program_id: str, /) -> Call[None]: ...  # noqa: D102
    def explain(self, body: bytes) -> str: ...  # noqa: D102

    def receipt(self, body: bytes) -> bool:
        """Tell whether a body of a 2xx is a VTN's, of a report that it has taken."""
        ...

    def readdress(self, body: bytes, ven: Ven, address: Address | None) -> bytes:
        """Return a frozen report for a VEN and an event that were made again, with other ids."""
        ...

    def halves(self, name: str, body: bytes, readings: int, of: Sequence[int] = ()) -> list[Draft]:
        """Return a report in two parts with names of their own; none if it has one reading.

        Of a report of several intervals, `of` says which cycle each of its readings is of.
        """
        ...

    def writer(
        self, ven: Ven, loads: Sequence[LoadName], run_id: str, address: Address | None
    ) -> ReportWriter:
        """Return what writes a VEN's reports."""
        ...


def dialect(name: str, limits: Limits | None = None) -> Dialect:
    """Return the dialect of that name, and what one report may be where it holds many loads.

    Raises
    ------
    ConfigError
        There is none.
    """
    if name == "flat":
        from venlab.wire.flat import Flat

        return Flat()
    if name == "3.0.1":
        from venlab.wire.v301 import V301

        return V301(limits)
    if name == "3.1.0":
        from venlab.wire.v310 import V310

        return V310(limits)
    raise ConfigError(f"unknown dialect {name!r}", f"use one of {', '.join(DIALECTS)}")


def can_say() -> pd.DataFrame:
    """Return what each dialect can say, and why not where it cannot.

    Returns
    -------
    DataFrame
        A row a wish that not all have words for, a column a dialect: "yes" or the reason.

    Examples
    --------
    >>> can_say().loc["which event a report is about", ["flat", "3.1.0"]].to_list()
    ['no: a report is about no event', 'yes']
    """
    import pandas as pd

    told: dict[str, list[str]] = {}
    for name in DIALECTS:
        cannot = dialect(name).cannot
        told[name] = [f"no: {cannot[wish]}" if wish in cannot else "yes" for wish in WISHES]
    return pd.DataFrame(told, list(WISHES.values()))


def unsayable(dialect: Dialect, wish: str) -> ConfigError:
    """Return the error of who wishes all the same what a dialect has no words for."""
    return ConfigError(f"{dialect.name} cannot say that: {dialect.cannot[wish]}")
