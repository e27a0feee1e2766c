"""OpenADR 3.0.1 and 3.1.0: their paths over the store, from the table of kinds and versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi_offline import FastAPIOffline
from pydantic_core import to_json

from venlab.vtn.checks import JSON, Access, Caller
from venlab.vtn.kinds import KINDS, REPORTS, Kind, Version
from venlab.vtn.lenient import read_body, read_query
from venlab.vtn.privacy import View
from venlab.vtn.problems import add_problems
from venlab.vtn.store import Row, Store, now_text
from venlab.vtn.tokens import token_routes

VENS, RESOURCES, EVENTS, PROGRAMS = (KINDS[k] for k in ("vens", "resources", "events", "programs"))
_OF_BUSINESS = frozenset({"programs", "events"})
_TOPICS = (
    *("programs", "programs/{id}", "programs/{id}/events", "events", "reports", "subscriptions"),
    *("vens", "vens/{id}", "vens/{id}/events", "vens/{id}/programs", "vens/{id}/resources"),
    "resources",
)


def standard_app(
    store: Store, access: Access, version: Version, lasts_s: int, told: Callable[[], Row]
) -> FastAPI:
    """Return the application of one version, to be mounted at its base path.

    Parameters
    ----------
    store, access
        Of the VTN.
    version : Version
        Which it speaks.
    lasts_s : int
        How long its tokens last [s].
    told : callable
        Returns what the VTN says of itself.
    """
    app = FastAPIOffline(
        title=f"venlab VTN, OpenADR {version.name}", version=version.name, redirect_slashes=False
    )

    async def health() -> Row:
        """Tell that the VTN is well (an extension)."""
        return told()

    app.add_api_route("/health", health)
    app.include_router(token_routes(access, lasts_s, version))
    if version.private:
        _add_notices(app, store, version)
    for kind in KINDS.values():
        _add_kind(app, store, version, kind)
    add_problems(app)
    return app


def _add_kind(app: FastAPI, store: Store, version: Version, kind: Kind) -> None:
    place = version.place(kind)
    one = f"{place}/{{object_id}}"
    ven = "venID" if "{venID}" in place else ""

    async def listed(request: Request) -> Response:
        view = _view(store, version, request, kind.reads, "read_all")
        query = read_query(request.query_params, kind.query)
        where = {"parent": _ven(view, request)["id"]} if ven else {}
        rows = view.page(kind, query, **where)
        return _answer(b"[%b]" % b",".join(view.show(kind, row) for row in rows))

    async def made(request: Request) -> Response:
        view = _view(store, version, request, kind.writes)
        body = await request.body()
        parent = _ven(view, request)["id"] if ven else None
        return await make(store, view, kind, body, parent)

    async def shown(request: Request, object_id: str) -> Response:
        view = _view(store, version, request, kind.reads, "read_all")
        return _answer(view.show(kind, _one(view, kind, request, object_id)))

    async def replaced(request: Request, object_id: str) -> Response:
        view = _view(store, version, request, kind.writes)
        row = _one(view, kind, request, object_id)
        view.must_change(row)
        changed = _checked(store, view, kind, await request.body(), row.get("parent"), row["id"])
        del changed["client"]  # whoever changes it, it stays whose it is
        if kind is REPORTS:
            changed["name"] = row["name"]  # a name is of what was acknowledged first
        store.change(kind.table, id=row["id"], modified=now_text(), **changed)
        return _answer(view.show(kind, view.find(kind, object_id) or row | changed))

    async def removed(request: Request, object_id: str) -> Response:
        business = ("read_all",) if kind is REPORTS else ()  # who tidies up after a run
        view = _view(store, version, request, kind.writes, *business, change=True)
        row = _one(view, kind, request, object_id)
        view.must_change(row)
        answer = _answer(view.show(kind, row))
        store.remove(kind.table, "id=?", row["id"])
        # What stands behind it goes too; reports stay, whatever they were about.
        if kind in {VENS, PROGRAMS}:
            store.remove("objects", "parent=?", row["id"])
        return answer

    word, documented = kind.word.title(), _documented(version, kind)
    for path, method, call, says in (
        (place, "GET", listed, f"List {kind.path} in the order of their creation."),
        (place, "POST", made, f"Create a {word}."),
        (one, "GET", shown, f"Show a {word}."),
        (one, "PUT", replaced, f"Replace a {word}."),
        (one, "DELETE", removed, f"Delete a {word}, and show what it was."),
    ):
        app.add_api_route(
            path.replace("{venID}", "{ven_id}"),
            call,
            methods=[method],
            status_code=201 if method == "POST" else 200,
            description=says,
            name=f"{method.lower()} {kind.path}",
            openapi_extra=documented if method in {"POST", "PUT"} else None,
        )


async def make(
    store: Store, view: View, kind: Kind, body: bytes, parent: str | None = None
) -> Response:
    """Create an object from a body; the answer shows it.

    Raises
    ------
    HTTPException
        It belongs to nothing that is there, its name is taken, or the caller may not make it.
    Unfit
        It has not the shape that the document says.
    """
    row = _checked(store, view, kind, body, parent)
    created = now_text()
    if kind is REPORTS:
        return await _report(store, view, row, body)
    object_id = uuid4().hex
    row |= {"id": object_id, "created": created, "modified": created}
    row |= {"version": view.version.name, "kind": kind.path}
    store.add("objects", **row)
    return _answer(view.show(kind, row), 201)


async def _report(store: Store, view: View, row: Row, body: bytes) -> Response:
    values = (row["version"], row["client"], None, row["event"], row["program"])
    number, created, new = await store.add_to(
        REPORTS.table, row["name"], *values, row["client_name"], row["body"]
    )
    if not new:
        raise HTTPException(409, f"there is a report of this name, report-{number}")
    kept = {**row, "id": number, "created": created, "modified": None}
    return _answer(view.show(REPORTS, kept), 201)


def _checked(
    store: Store,
    view: View,
    kind: Kind,
    body: bytes,
    parent: str | None,
    itself: str = "",
) -> Row:
    """Return what is stored of a body, without what the VTN sets by itself."""
    content, members = read_body(body, view.version.shape(kind))
    said = {column: getattr(content, member, None) for member, column in kind.columns.items()}
    row: Row = {c: None if v is msgspec.UNSET else v for c, v in said.items()}
    if parent is not None and kind is RESOURCES:
        row["parent"] = row.get("parent") or parent
    row["client"] = _client(view, kind, members)
    for name in ("objectType", "clientID"):
        members.pop(name, None)
    _must_belong(view, kind, row)
    if kind is RESOURCES and view.version.private:
        row["client"] = row["client"] or view.caller.client_id
    _must_be_new(store, view, kind, row, itself)
    row["body"] = to_json(members)
    if kind is REPORTS:
        name = getattr(content, "report_name", None)
        row["name"] = f"{view.version.name} {name}" if isinstance(name, str) else None
        row["version"] = view.version.name
        row.setdefault("program", None)
    return row


def _client(view: View, kind: Kind, members: Row) -> str:
    """Return whose an object is: its maker's, or whom business logic makes it for."""
    if (
        view.private
        and (members.get("targets") or "clientID" in members)
        and kind
        in {
            VENS,
            RESOURCES,
        }
    ):
        raise HTTPException(403, "targets and clientID are for business logic to give")
    return str(members.get("clientID") or view.caller.client_id)


def _must_belong(view: View, kind: Kind, row: Row) -> None:
    path, member = kind.parent
    column = kind.columns.get(member, "parent")
    if not path or not (parent := row.get(column)):
        return
    found = view.find(KINDS[path], parent)
    if found is None:
        status = 404 if kind is RESOURCES else 400
        raise HTTPException(status, f"there is no {KINDS[path].word.lower()} {parent!r}")
    if kind is RESOURCES:
        view.must_change(found)
        if view.is_business:
            row["client"] = found["client"]
    if kind is REPORTS:
        if row.get("program") not in (None, found["parent"]):
            raise HTTPException(400, f"event {parent!r} is not of program {row['program']!r}")
        row["program"] = found["parent"]


def _must_be_new(store: Store, view: View, kind: Kind, row: Row, itself: str) -> None:
    same: list[Row] = [{c: row[c] for c in kind.unique}] if kind.unique else []
    if kind is VENS and view.version.private:
        same.append({"client": row["client"]})  # one VEN for each client
    for where in same:
        every = {"version": view.version.name, "kind": kind.path, **where}
        if any(held["id"] != itself for held in store.page("objects", **every)):
            what = " and ".join(map(str, where.values()))
            raise HTTPException(409, f"there is a {kind.word.lower()} of {what}")


def _one(view: View, kind: Kind, request: Request, object_id: str) -> Row:
    where = {"parent": _ven(view, request)["id"]} if "ven_id" in request.path_params else {}
    if row := view.find(kind, object_id, **where):
        return row
    raise HTTPException(404, f"there is no {kind.word.lower()} {object_id!r}")


def _ven(view: View, request: Request) -> Row:
    ven_id: str = request.path_params["ven_id"]
    if row := view.find(VENS, ven_id):
        return row
    raise HTTPException(404, f"there is no ven {ven_id!r}")


def _view(
    store: Store, version: Version, request: Request, *scopes: str, change: bool = False
) -> View:
    caller: Caller | None = request.state.caller
    if caller is None:
        headers = {"WWW-Authenticate": "Bearer"} if version.stranger == 401 else None
        raise HTTPException(version.stranger, "no token, or one that is not known here", headers)
    view = View(store, version, caller)
    if not view.may(*scopes) or (change and not (view.is_business or view.may(scopes[0]))):
        raise HTTPException(403, f"the token has no scope {' or '.join(scopes)}")
    return view


def _answer(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type=JSON)


def _documented(version: Version, kind: Kind) -> dict[str, Any]:
    """Return the shape of a body for the documentation page."""
    schema, parts = msgspec.json.schema_components(
        [version.shape(kind)], ref_template="#/$defs/{name}"
    )
    inlined = {**schema[0], "$defs": parts}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": inlined}}}}


def _add_notices(app: FastAPI, store: Store, version: Version) -> None:
    async def server(request: Request) -> Row:
        """Name who gives tokens: this VTN itself."""
        return {"tokenURL": f"{str(request.base_url).rstrip('/')}{version.base}/auth/token"}

    async def notifiers(request: Request) -> Row:
        """List how notifications are sent: not at all; a client polls."""
        _view(store, version, request, "read_all", "read_targets", "read_ven_objects")
        return {"WEBHOOK": False}

    async def topic(request: Request) -> Response:
        """Refuse: no broker is there."""
        _view(store, version, request, "read_all", "read_targets", "read_ven_objects")
        raise HTTPException(404, "this VTN sends no notifications by MQTT")

    app.add_api_route("/auth/server", server)
    app.add_api_route("/notifiers", notifiers)
    for name in _TOPICS:
        app.add_api_route(f"/notifiers/mqtt/topics/{name}", topic)
