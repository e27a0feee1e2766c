"""OpenADR 3.0.1 and 3.1.0 over the store: one implementation, `kinds` says what differs.

What one object names in another is decided once: a member of the body that names what is not
there is 400 (where the document has it, 404), a part of the path 404. With a program go its
events and subscriptions, with a VEN its resources. Reports stay, whatever becomes of their event:
what was measured is not undone by who cancels.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, NamedTuple
from uuid import uuid4

from fastapi import HTTPException, Request
from msgspec import UNSET
from pydantic_core import from_json, to_json

from venlab.vtn.checks import OPERATOR, OPERATOR_ID, Caller
from venlab.vtn.kinds import KINDS, REPORTS, Kind, Version
from venlab.vtn.lenient import read_body, read_query
from venlab.vtn.privacy import RESOURCES, SUBSCRIPTIONS, VENS, View, targets_of, with_metadata
from venlab.vtn.quick import Quick
from venlab.vtn.store import Row, Store, now_text
from venlab.vtn.webhooks import Unreachable, Webhooks

Answer = tuple[int, bytes]


class Draft(NamedTuple):
    """An object that somebody wants to be stored: as it was sent, as a struct and as members.

    `ven_id` is that of the path, `old` what it is to replace.
    """

    kind: Kind
    view: View
    body: Any
    members: Row
    ven_id: str | None
    old: Row | None = None


class Standard:
    """What one version of the standard does with its objects."""

    def __init__(self, version: Version, store: Store, webhooks: Webhooks | None = None) -> None:
        self.version, self._store, self.webhooks = version, store, webhooks
        self._quick = Quick(version.name)

    def view(self, caller: Caller) -> View:
        """Return what a caller sees."""
        return View(self._store, self.version, caller)

    # -- what is asked for ------------------------------------------------------------------------

    async def search(self, kind: Kind, view: View, request: Request) -> Answer:
        """List objects in the order of their creation."""
        query = read_query(request.query_params, kind.query)
        within: Row = {}
        if ven_id := request.path_params.get("venID"):
            within["parent"] = self._found(VENS, view, ven_id)["id"]
        rows = view.page(kind, query, **within)
        return 200, b"[%b]" % b",".join(view.show(kind, row) for row in rows)

    async def create(self, kind: Kind, view: View, request: Request) -> Answer:
        """Create an object."""
        draft = await self._draft(kind, view, request)
        if kind is REPORTS:
            return await self._add_report(view, draft.body, _to_keep(draft.members))
        behind = draft.members.pop("resources", []) if kind is VENS else []
        if len({each["resourceName"] for each in behind}) < len(behind):
            raise HTTPException(409, "two of the ven's resources have one name")
        row = self.add(kind, self._row(draft))
        self._tell("CREATE", kind, row)
        for body, members in zip(draft.body.resources if behind else (), behind, strict=True):
            each = self._row(Draft(RESOURCES, view, body, members, row["id"]))
            self._tell("CREATE", RESOURCES, self.add(RESOURCES, each))
        return 201, view.show(kind, row)

    async def read(self, kind: Kind, view: View, request: Request) -> Answer:
        """Show an object."""
        return 200, view.show(kind, self._asked(kind, view, request))

    async def replace(self, kind: Kind, view: View, request: Request) -> Answer:
        """Replace an object."""
        draft = await self._draft(kind, view, request)
        row = self._asked(kind, view, request)
        view.must_change(row)
        if kind is REPORTS:
            values = self._report(view, draft.body, _to_keep(draft.members))
            new = dict(zip(_COLUMNS, values, strict=True)) | {"name": self._name(draft.body)}
            new["client"] = row["client"]
            self._must_be_free(REPORTS, new, row, "name")
        else:
            draft.members.pop("resources", None)
            new = self._row(draft._replace(old=row))
        new["modified"] = now_text()
        self._store.change(kind.table, **new, id=row["id"])
        if kind is VENS and new["client"] != row["client"]:
            for child in self._store.page("objects", parent=row["id"]):
                self._store.change("objects", id=child["id"], client=new["client"])
        self._tell("UPDATE", kind, row | new)
        return 200, view.show(kind, row | new)

    async def delete(self, kind: Kind, view: View, request: Request) -> Answer:
        """Delete an object, and what cannot be without it; show it a last time."""
        row = self._asked(kind, view, request)
        view.must_change(row)
        shown = view.show(kind, row)
        self._store.remove(kind.table, "id=?", row["id"])
        self._tell("DELETE", kind, row)
        if kind is not REPORTS:
            children = self._store.page("objects", parent=row["id"])
            self._store.remove("objects", "parent=?", row["id"])
            for child in children:
                self._tell("DELETE", KINDS[child["kind"]], child)
        return 200, shown

    # -- objects ----------------------------------------------------------------------------------

    def add(self, kind: Kind, row: Row) -> Row:
        """Store a new object and return its row."""
        now = now_text()
        named = {"version": self.version.name, "kind": kind.path, "id": uuid4().hex}
        row = named | {"created": now, "modified": now} | row
        self._store.add("objects", **row)
        return row

    def _asked(self, kind: Kind, view: View, request: Request) -> Row:
        path = request.path_params
        if ven_id := path.get("venID") if kind is RESOURCES else None:
            self._found(VENS, view, ven_id)
            return self._found(kind, view, path[kind.id_name], parent=ven_id)
        return self._found(kind, view, path[kind.id_name])

    def _found(self, kind: Kind, view: View, object_id: str, **where: str) -> Row:
        if row := view.find(kind, object_id, **where):
            return row
        raise HTTPException(404, f"there is no {kind.singular} {object_id!r}")

    async def _draft(self, kind: Kind, view: View, request: Request) -> Draft:
        shape: Any = self.version.shape(kind)
        body, members = read_body(await request.body(), shape)
        if kind is SUBSCRIPTIONS and self.webhooks:
            for each in body.object_operations:
                try:
                    await self.webhooks.must_echo(each.callback_url, each.bearer_token or "")
                except Unreachable as error:
                    raise HTTPException(400, str(error)) from None
        return Draft(kind, view, body, members, request.path_params.get("venID"))

    def _row(self, draft: Draft) -> Row:
        """Return the columns of an object that may be stored, or refuse it."""
        kind, view, old = draft.kind, draft.view, draft.old
        row: Row = {
            column: getattr(draft.body, member, UNSET) or None
            for member, column in kind.columns.items()
        }
        row["client"] = old["client"] if old else view.caller.client_id
        if kind.parent[0] and (parent := self._parent(kind, view, row["parent"], draft.ven_id)):
            row["parent"] = parent["id"]
            if kind is RESOURCES:
                view.must_change(parent)
                draft.members["venID"] = parent["id"]
                row["client"] = parent["client"] if self.version.private else row["client"]
        if self.version.private and kind in (VENS, RESOURCES):
            self._own(draft, row)
        self._must_be_free(kind, row, old, *kind.unique)
        return row | {"body": _to_keep(draft.members)}

    def _parent(self, kind: Kind, view: View, named: str | None, ven_id: str | None) -> Row | None:
        above = KINDS[kind.parent[0]]
        if ven_id is not None:
            return self._found(above, view, ven_id)
        if named is None:
            return None
        if row := view.find(above, named):
            return row
        status = 404 if kind is RESOURCES else 400
        raise HTTPException(status, f"there is no {above.singular} {named!r}")

    def _own(self, draft: Draft, row: Row) -> None:
        """Let business logic alone say whose a ven is, and grant targets."""
        kind, body = draft.kind, draft.body
        if draft.view.is_business:
            named = body.client_id or row["client"]
            if kind is RESOURCES and named != row["client"]:
                raise HTTPException(400, f"this ven is not client {named!r}'s")
            row["client"] = named
        elif body.object_type and body.object_type.startswith("BL_"):
            raise HTTPException(403, f"{body.object_type} is business logic's")
        else:
            draft.members.pop("targets", None)
            if draft.old and (granted := targets_of(draft.old)):
                draft.members["targets"] = granted
        if kind is VENS:
            self._must_be_free(kind, row, draft.old, "client")

    def _must_be_free(self, kind: Kind, row: Row, old: Row | None, *columns: str) -> None:
        """Refuse with 409 what has a name, or a client, that another object has."""
        again = old is None and kind.path in self._store.repeats
        if not columns or row[columns[-1]] is None or again:
            return
        where = {"version": self.version.name} | {column: row[column] for column in columns}
        if kind is not REPORTS:
            where["kind"] = kind.path
        for held in self._store.page(kind.table, **where):
            if old is None or held["id"] != old["id"]:
                said = row[columns[-1]].removeprefix(f"{self.version.name}/")
                raise HTTPException(409, f"a {kind.singular} of {columns[-1]} {said!r} is there")

    def _tell(self, operation: str, kind: Kind, row: Row) -> None:
        """Tell of an object who subscribed to such, and sees it."""
        if not self.webhooks:
            return
        if kind is SUBSCRIPTIONS and operation != "CREATE":
            self.webhooks.forget(row["id"])
        named = operation if self.version.private else _VERBS[operation]
        for each in self._store.page("objects", version=self.version.name, kind="subscriptions"):
            view, body = self.view(self._maker(each["client"])), from_json(each["body"])
            for wanted in body["objectOperations"]:
                heard = {operation, named} & {*wanted["operations"]}
                if kind.word in wanted["objects"] and heard and view.hears(kind, row, body):
                    notice = {"objectType": kind.word, "operation": named}
                    notice["object"] = from_json(view.show(kind, row))
                    url, token = wanted["callbackUrl"], wanted.get("bearerToken", "")
                    self.webhooks.tell(each["id"], url, token, to_json(notice))

    def _maker(self, client_id: str) -> Caller:
        ven_id = OPERATOR if client_id == OPERATOR_ID else f"{self.version.name}/{client_id}"
        return Caller(ven_id, dialect=self.version.name, client_id=client_id)

    # -- reports ----------------------------------------------------------------------------------

    def take(self, caller: Caller, body: bytes) -> Awaitable[Answer] | None:
        """Return what stores a good report; None where the ordinary route must look at it."""
        view = self.view(caller)
        report = self._quick.report(body) if view.may(REPORTS.writes) else None
        if report is None:
            return None
        try:
            return self._add_report(view, report, body.strip())
        except HTTPException:
            return None

    def _add_report(self, view: View, report: Any, body: bytes) -> Awaitable[Answer]:
        return self._stored(view, self._name(report), self._report(view, report, body))

    async def _stored(self, view: View, name: str | None, values: tuple[Any, ...]) -> Answer:
        number, created, is_new = await self._store.add_to("standard_reports", name, *values)
        if not is_new:
            raise HTTPException(409, f"a report of this name is there: report-{number}")
        if self.webhooks:
            row = dict(zip(_COLUMNS, values, strict=True))
            self._tell("CREATE", REPORTS, row | {"id": number, "created": created})
        client = view.caller.client_id if self.version.private else None
        shown = with_metadata(values[-1], f"report-{number}", (created, created), "REPORT", client)
        return 201, shown

    def _name(self, report: Any) -> str | None:
        return f"{self.version.name}/{report.report_name}" if report.report_name else None

    def _report(self, view: View, report: Any, body: bytes) -> tuple[Any, ...]:
        """Return the columns of a report that may be stored, or refuse it."""
        event = self._parent(REPORTS, view, report.event_id, None)
        program = event["parent"] if event else None
        if getattr(report, "program_id", program) != program:
            raise HTTPException(400, f"event {report.event_id!r} is not of this program")
        names = (report.event_id, program, report.client_name)
        return self.version.name, view.caller.client_id, None, *names, body


_VERBS = {"CREATE": "POST", "UPDATE": "PUT", "DELETE": "DELETE"}
_SET = ("objectType", "clientID")
_COLUMNS = ("version", "client", "modified", "event", "program", "client_name", "body")


def _to_keep(members: Row) -> bytes:
    """Return the members that are stored: all but those that the VTN sets when it shows them."""
    return to_json({name: members[name] for name in members if name not in _SET})
