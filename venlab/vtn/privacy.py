"""What a caller of a standard's dialect sees of what is there, and what it may change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import Any

from fastapi import HTTPException
from msgspec import UNSET
from pydantic_core import from_json, to_json

from venlab.vtn.checks import OPERATOR, Caller
from venlab.vtn.kinds import KINDS, REPORTS, Kind, Query, Targeted, Version
from venlab.vtn.store import Row, Store
from venlab.vtn.timing import is_over

VENS, RESOURCES = KINDS["vens"], KINDS["resources"]


class View:
    """The objects of one version, as one caller sees them.

    Business logic sees all, and in 3.0.1 so does a VEN. In 3.1.0 a VEN sees what it made itself,
    and of programs and events those without targets, and those with a target that business logic
    granted to its ven object or to a resource of it; of their targets it sees the granted ones.
    """

    def __init__(self, store: Store, version: Version, caller: Caller) -> None:
        self._store, self._version, self.caller = store, version, caller
        self.is_business = caller.ven_id is OPERATOR
        self.private = version.private and not self.is_business

    @cached_property
    def granted(self) -> set[str]:
        """The targets that business logic granted to this VEN."""
        own = [row for kind in (VENS, RESOURCES) for row in self._store.page(**self._where(kind))]
        return {target for row in own for target in targets_of(row)}

    def may(self, *scopes: str) -> bool:
        """Tell whether the caller has one of these scopes."""
        role = self._version.business if self.is_business else self._version.ven
        has = role if self.caller.scopes is None else self.caller.scopes
        return any(scope in has for scope in scopes)

    def find(self, kind: Kind, object_id: str, **where: str) -> Row | None:
        """Return an object's row if the caller sees it."""
        key: Any = object_id
        if kind is REPORTS:
            word, _, number = object_id.partition("-")
            key = int(number) if word == "report" and number.isdecimal() else -1
        row = self._store.find(**self._where(kind), id=key, **where)
        return row if row and (kind.made or self._sees(from_json(row["body"]))) else None

    def page(self, kind: Kind, query: Query, **where: Any) -> list[Row]:
        """Return the rows that are asked for, in the order of their creation."""
        for member, column in kind.columns.items():
            if (value := getattr(query, member, UNSET)) is not UNSET:
                where[column] = value
        where |= self._where(kind)
        if not self._must_look(kind, query):
            return self._store.page(**where, skip=query.skip, limit=query.limit)
        found = (row for row in self._store.page(**where) if self._fits(kind, row, query))
        return list(islice(found, query.skip, query.skip + query.limit))

    def must_change(self, row: Row) -> None:
        """Refuse with 403 who may not change an object: a VEN changes what it made."""
        if not self.is_business and row["client"] != self.caller.client_id:
            raise HTTPException(403, "a VEN may change what it made itself, and this it did not")

    def show(self, kind: Kind, row: Row) -> bytes:
        """Return an object as the caller sees it."""
        body: bytes = row["body"]
        if (changed := self._changed(kind, row)) is not None:
            body = to_json(changed)
        object_id = f"report-{row['id']}" if kind is REPORTS else row["id"]
        client = row["client"] if self._version.private and kind.made else None
        times = row["created"], row["modified"] or row["created"]
        return with_metadata(body, object_id, times, kind.word, client)

    def _where(self, kind: Kind) -> Row:
        where = {"table": kind.table, "version": self._version.name}
        if kind is not REPORTS:
            where["kind"] = kind.path
        if self.private and kind.made:
            where["client"] = self.caller.client_id
        return where

    def _sees(self, body: Row) -> bool:
        targets = body.get("targets")
        return not (self.private and targets) or not self.granted.isdisjoint(targets)

    def _must_look(self, kind: Kind, query: Query) -> bool:
        asked = ("targets", "target_type", "target_values", "objects", "active")
        hidden = self.private and not kind.made
        return hidden or any(getattr(query, name, False) for name in asked)

    def _fits(self, kind: Kind, row: Row, query: Any) -> bool:
        body = from_json(row["body"])
        if not (kind.made or self._sees(body)):
            return False
        if objects := set(getattr(query, "objects", ()) or ()):
            return any(not objects.isdisjoint(each["objects"]) for each in body["objectOperations"])
        if getattr(query, "active", False) and is_over(body):
            return False
        return not isinstance(query, Targeted) or self._aimed(kind, row, body, query)

    def _aimed(self, kind: Kind, row: Row, body: Row, query: Targeted) -> bool:
        """Tell whether an object has one of the targets that are asked for, or a name as such."""
        wanted = {*(query.targets or ()), *(query.target_values or ())}
        if query.target_type == f"{kind.word}_NAME" and row["name"] in wanted:
            return True
        if self.private and wanted:
            wanted &= self.granted
            if not wanted:
                return False
        if not wanted and (self._version.private or not query.target_type):
            return True
        return any(
            query.target_type in ("", of) and (not wanted or not wanted.isdisjoint(values))
            for of, values in _pairs(body, query.target_type)
        )

    def _changed(self, kind: Kind, row: Row) -> Row | None:
        """Return the members as this caller sees them, if not all as they are stored."""
        if kind.path == "subscriptions" and row["client"] != self.caller.client_id:
            body: Row = from_json(row["body"])
            for operation in body["objectOperations"]:
                operation.pop("bearerToken", None)  # its maker's secret
            return body
        if self.private and not kind.made:
            body = from_json(row["body"])
            self._hide(body)
            for descriptor in body.get("reportDescriptors", []):
                self._hide(descriptor)
            return body
        if kind is VENS and not self._version.private:
            behind = self._store.page(**self._where(RESOURCES), parent=row["id"])
            shown = [from_json(self.show(RESOURCES, each)) for each in behind]
            return {**from_json(row["body"]), "resources": shown}
        return None

    def _hide(self, holder: Row) -> None:
        if "targets" in holder:
            holder["targets"] = [each for each in holder["targets"] if each in self.granted]


def targets_of(row: Row) -> list[Any]:
    """Return the targets of an object that is stored."""
    targets: list[Any] = from_json(row["body"]).get("targets", [])
    return targets


def _pairs(body: Row, default: str) -> Iterator[tuple[str, set[str]]]:
    """Walk over targets as type and values; 3.1.0's have no type, so any type will do."""
    for target in body.get("targets", []):
        if isinstance(target, dict):
            yield target["type"], {str(value) for value in target["values"]}
        else:
            yield default, {target}


def with_metadata(
    body: bytes, object_id: str, times: tuple[str, str], word: str, client: str | None
) -> bytes:
    """Return an object's members followed by those that the VTN sets.

    Examples
    --------
    >>> with_metadata(b'{"venName":"Aars"}', "v", ("t", "t"), "VEN", None)[:46]
    b'{"venName":"Aars","id":"v","createdDateTime":"'
    """
    created, changed = times
    tail = f',"id":"{object_id}","createdDateTime":"{created}","modificationDateTime":"{changed}"'
    if client is not None:
        tail += f',"clientID":{json.dumps(client)}'
    return body[:-1] + f'{tail},"objectType":"{word}"}}'.encode()
