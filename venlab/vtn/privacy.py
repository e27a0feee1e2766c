"""What a caller of a standard's dialect sees of what is there, and what it may change."""

from __future__ import annotations

import json
import re
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

_REPORT_ID = re.compile("report-([0-9]{1,18})")
VENS, RESOURCES, SUBSCRIPTIONS = (KINDS[path] for path in ("vens", "resources", "subscriptions"))


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
        self._asked: set[str] = set()  # of targets; no others are shown then

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
            number = _REPORT_ID.fullmatch(object_id)
            key = int(number[1]) if number else -1
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
        self._asked = set(getattr(query, "targets", ()) or ())
        found = (row for row in self._store.page(**where) if self._fits(kind, row, query))
        return list(islice(found, query.skip, query.skip + query.limit))

    def hears(self, kind: Kind, row: Row, subscription: Row) -> bool:
        """Tell whether the caller, who subscribed, is to be told of an object."""
        body = from_json(row["body"])
        if kind.made and self.private and row["client"] != self.caller.client_id:
            return False
        program = row["id"] if kind.path == "programs" else row.get("program", row.get("parent"))
        only = subscription.get("programID") if kind not in (VENS, RESOURCES) else None
        if only not in (None, program) or not (kind.made or self._sees(body)):
            return False
        targets = subscription.get("targets", [])
        queries = [Targeted(targets=targets)] if self._version.private else []
        if targets and not self._version.private:
            asked = [(t["type"], [str(value) for value in t["values"]]) for t in targets]
            queries = [Targeted(target_type=of, target_values=values) for of, values in asked]
        return not targets or any(self._aimed(kind, row, body, query) for query in queries)

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
            heard = {word for each in body["objectOperations"] for word in each["objects"]}
            if objects.isdisjoint(heard):
                return False
        if getattr(query, "active", False) and is_over(self.show(kind, row)):
            return False
        return not isinstance(query, Targeted) or self._aimed(kind, row, body, query)

    def _aimed(self, kind: Kind, row: Row, body: Row, query: Targeted) -> bool:
        """Tell whether an object has the targets that are asked for, or a name as such.

        In 3.1.0 it must have all of them, of a VEN's those that are granted to it, and it is no
        matter of a type; in 3.0.1 one value of the type is enough.
        """
        wanted, of = _wanted(query), query.target_type
        if of == f"{kind.word}_NAME" and row["name"] in wanted:
            return True
        targets: list[Any] = body.get("targets", [])
        if not self._version.private:
            values = [t["values"] for t in targets if of in ("", t["type"])]
            found = {str(value) for each in values for value in each}
            return not (of or wanted) or bool(found & wanted if wanted else values)
        held = wanted & self.granted if self.private else wanted
        return held <= set(targets) and bool(held or not wanted)

    def _changed(self, kind: Kind, row: Row) -> Row | None:
        """Return the members as this caller sees them, if not all as they are stored."""
        if kind is SUBSCRIPTIONS and row["client"] != self.caller.client_id:
            body: Row = from_json(row["body"])
            for operation in body["objectOperations"]:
                operation.pop("bearerToken", None)  # its maker's secret
            return body
        if self.private and not kind.made:
            body = from_json(row["body"])
            self._hide(body)
            if described := body.get("reportDescriptors"):
                body["reportDescriptors"] = [each for each in described if self._hide(each)]
            return body
        if kind is VENS and not self._version.private:
            behind = self._store.page(**self._where(RESOURCES), parent=row["id"])
            shown = [from_json(self.show(RESOURCES, each)) for each in behind]
            return {**from_json(row["body"]), "resources": shown}
        return None

    def _hide(self, holder: Row) -> bool:
        """Take away the targets that are not shown; tell whether it is still for this VEN."""
        if not holder.get("targets"):
            return True
        shown = self.granted & self._asked if self._asked else self.granted
        holder["targets"] = [each for each in holder["targets"] if each in shown]
        return bool(holder["targets"])


def targets_of(row: Row) -> list[Any]:
    """Return the targets of an object that is stored."""
    targets: list[Any] = from_json(row["body"]).get("targets", [])
    return targets


def _wanted(query: Targeted) -> set[str]:
    return {*(query.targets or ()), *(query.target_values or ())}


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
