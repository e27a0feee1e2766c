"""The standard's objects and its two versions, as tables: what differs stands here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from msgspec import UNSET, Meta, UnsetType

from venlab.wire.v3_shapes import SHAPES, Name, ObjectID, ObjectType, Shape

Id = ObjectID | UnsetType
Word = Name | UnsetType


class Query(Shape, forbid_unknown_fields=False, kw_only=True):
    """What a list may be asked for; each list takes a part of it."""

    skip: Annotated[int, Meta(ge=0, lt=2**31)] = 0
    limit: Annotated[int, Meta(ge=0, le=50)] = 50


class Targeted(Query, kw_only=True):
    """By targets: in 3.0.1 of a type, in 3.1.0 plain; both take the other's as far as it goes."""

    targets: list[Name] | UnsetType = UNSET
    target_type: str = ""
    target_values: list[str] | UnsetType = UNSET


class _Events(Targeted, kw_only=True):
    program_id: Id = UNSET
    active: bool = False


class _Reports(Query, kw_only=True):
    program_id: Id = UNSET
    event_id: Id = UNSET
    client_name: Word = UNSET


class _Subscriptions(Targeted, kw_only=True):
    program_id: Id = UNSET
    client_name: Word = UNSET
    objects: list[ObjectType] | UnsetType = UNSET


class _Vens(Targeted, kw_only=True):
    ven_name: Word = UNSET


class _Resources(Targeted, kw_only=True):
    resource_name: Word = UNSET
    ven_id: Id = UNSET


class Kind(NamedTuple):
    """One kind of object.

    `columns` says in which column of the store a member is kept, and so found. `unique` are the
    columns that no two may share, `parent` the kind that it belongs to and the member that says
    so. `reads` is the scope with which a VEN reads it in 3.1.0; `made` by VENs it is theirs alone.
    """

    path: str
    writes: str
    reads: str
    query: type[Query]
    columns: dict[str, str]
    unique: tuple[str, ...] = ()
    parent: tuple[str, str] = ("", "")
    made: bool = False
    table: str = "objects"

    @property
    def singular(self) -> str:
        """What one of them is called."""
        return self.path[:-1]

    @property
    def word(self) -> str:
        """What an object of this kind calls itself."""
        return self.singular.upper()

    @property
    def id_name(self) -> str:
        """The member, and the part of a path, that names one of them."""
        return f"{self.singular}ID"


_OWN = "read_ven_objects"
_PROGRAM = ("programs", "program_id")
KINDS = {
    kind.path: kind
    for kind in (
        Kind(
            "programs",
            "write_programs",
            "read_targets",
            Targeted,
            {"program_name": "name"},
            unique=("name",),
        ),
        Kind(
            "events",
            "write_events",
            "read_targets",
            _Events,
            {"program_id": "parent", "event_name": "name"},
            parent=_PROGRAM,
        ),
        Kind(
            "reports",
            "write_reports",
            _OWN,
            _Reports,
            {"program_id": "program", "event_id": "event", "client_name": "client_name"},
            parent=("events", "event_id"),
            made=True,
            table="standard_reports",
        ),
        Kind(
            "subscriptions",
            "write_subscriptions",
            _OWN,
            _Subscriptions,
            {"program_id": "parent", "client_name": "name"},
            parent=_PROGRAM,
            made=True,
        ),
        Kind("vens", "write_vens", _OWN, _Vens, {"ven_name": "name"}, unique=("name",), made=True),
        Kind(
            "resources",
            "write_vens",
            _OWN,
            _Resources,
            {"resource_name": "name", "ven_id": "parent"},
            unique=("parent", "name"),
            parent=("vens", "ven_id"),
            made=True,
        ),
    )
}
REPORTS = KINDS["reports"]


@dataclass(frozen=True)
class Version:
    """One version of the standard.

    `stranger` is the status for who is not known, `private` whether VENs see their own only;
    `business` and `ven` are the scopes that business logic and a VEN may have.
    """

    name: Literal["3.0.1", "3.1.0"]
    stranger: int
    private: bool
    business: tuple[str, ...]
    ven: tuple[str, ...]

    @property
    def base(self) -> str:
        """Where it is served."""
        return f"/openadr3/{self.name}"

    def shape(self, kind: Kind) -> type[Shape]:
        """Return what is posted for an object of this kind."""
        return SHAPES[self.name][kind.path]

    def place(self, kind: Kind) -> str:
        """Return the path of the list of a kind, after the base."""
        nested = kind.path == "resources" and not self.private
        return f"/vens/{{venID}}/{kind.path}" if nested else f"/{kind.path}"


_BOTH = ("write_subscriptions", "write_vens")
_BUSINESS = ("read_all", "write_programs", "write_events", *_BOTH)
VERSIONS = (
    Version("3.0.1", 403, False, _BUSINESS, ("read_all", "write_reports", *_BOTH)),
    Version("3.1.0", 401, True, _BUSINESS, ("read_targets", _OWN, "write_reports", *_BOTH)),
)
