"""JSON ⇄ model, one module a dialect; nothing outside this folder knows JSON names.

A dialect turns each thing the lab wants into a `Call`: what to send, and how to read the answer.
The client sends calls without knowing what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

from venlab.errors import ConfigError
from venlab.model import Event, Program, Resource, Status, Ven
from venlab.secret import Secret

__all__ = [
    "Call",
    "Dialect",
    "Draft",
    "Health",
    "Heard",
    "LoadName",
    "Registered",
    "ReportWriter",
    "dialect",
]

T = TypeVar("T")


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


class Heard(NamedTuple):
    """One report as the VTN holds it: its name, readings and their sum [W]."""

    name: str
    readings: int
    watts: int


class LoadName(NamedTuple):
    """Where one load stands in the fleet, with the VTN's id of its resource."""

    load_index: int
    resource_id: str
    resource: str
    load: str


class Draft(NamedTuple):
    """A report ready to be frozen: its name, its bytes, and which of the loads it covers."""

    name: str
    body: bytes
    positions: Sequence[int]


class ReportWriter(Protocol):
    """Writes one VEN's reports; all that does not change is rendered once."""

    def write(self, stamp: datetime, duration_s: int, watts: Sequence[int]) -> list[Draft]:
        """Write the reports of one interval; `watts` follows the loads, -1 = not measured."""
        ...


class Dialect(Protocol):
    """Which JSON a VTN speaks."""

    name: str

    def health(self) -> Call[Health]: ...  # noqa: D102 - the names are those of `Client`
    def register_ven(self, name: str, client_name: str) -> Call[Registered]: ...  # noqa: D102
    def renew_token(self, ven_id: str) -> Call[Secret]: ...  # noqa: D102
    def register_resource(self, resource: Resource) -> Call[Registered]: ...  # noqa: D102
    def resources(self, skip: int, limit: int) -> Call[list[Resource]]: ...  # noqa: D102
    def set_status(self, resource_id: str, status: Status) -> Call[None]: ...  # noqa: D102
    def programs(self, skip: int, limit: int) -> Call[list[Program]]: ...  # noqa: D102
    def create_program(self, name: str) -> Call[Program]: ...  # noqa: D102
    def enrol(self, program_id: str, resource_id: str) -> Call[bool]: ...  # noqa: D102
    def events(self, skip: int, limit: int) -> Call[list[Event]]: ...  # noqa: D102
    def create_event(self, event: Event) -> Call[Event]: ...  # noqa: D102
    def change_event(self, event: Event) -> Call[Event]: ...  # noqa: D102
    def cancel_event(self, event_id: str) -> Call[None]: ...  # noqa: D102
    def respond(self, event_id: str, ven_id: str, answer: str) -> Call[None]: ...  # noqa: D102
    def responses(  # noqa: D102
        self, event_id: str, skip: int, limit: int
    ) -> Call[list[tuple[str, str]]]: ...
    def post_report(self, body: bytes) -> Call[None]: ...  # noqa: D102
    def heard(self, run_id: str, after: str, limit: int) -> Call[list[Heard]]: ...  # noqa: D102
    def holds(self, name: str) -> Call[bool]: ...  # noqa: D102
    def explain(self, body: bytes) -> str: ...  # noqa: D102

    def receipt(self, body: bytes) -> bool:
        """Tell whether a body of a 2xx is a VTN's, of a report that it has taken."""
        ...

    def readdress(self, body: bytes, ven: Ven) -> bytes:
        """Return a frozen report for a VEN that was registered again under another id."""
        ...

    def halves(self, name: str, body: bytes, readings: int) -> list[Draft]:
        """Return a report in two parts with names of their own; none if it has one reading."""
        ...

    def writer(self, ven: Ven, loads: Sequence[LoadName], run_id: str) -> ReportWriter:
        """Return what writes a VEN's reports."""
        ...


def dialect(name: str) -> Dialect:
    """Return the dialect of that name.

    Raises
    ------
    ConfigError
        There is none.
    """
    if name == "flat":
        from venlab.wire.flat import Flat

        return Flat()
    raise ConfigError(f"unknown dialect {name!r}", "use flat")
