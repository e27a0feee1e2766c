"""The flat dialect's VENs, resources, programs and events, over the store."""

from __future__ import annotations

from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter

from venlab.vtn import models
from venlab.vtn.checks import OPERATOR, Access, Calling, Paging, create, hash_of, one, taken, wrong
from venlab.vtn.models import FromBody, many
from venlab.vtn.store import Row, Store
from venlab.wire import flat_shapes as flat


def fleet_routes(store: Store, access: Access) -> APIRouter:
    """Return the routes of VENs, their tokens and resources."""
    router = APIRouter()

    @router.post("/vens", status_code=201, response_model=models.NewVen)
    async def register_ven(body: FromBody[flat.VenRequest], caller: Calling) -> Row:
        """Register a VEN; the operator's. Its token is shown this once."""
        caller.must_speak_for(OPERATOR)
        token = token_urlsafe(32)
        row: Row = {"id": uuid4().hex, "token_hash": hash_of(token.encode())}
        row |= msgspec.structs.asdict(body)
        held = store.find("vens", ven_name=body.ven_name)
        if held and "vens" not in store.repeats:
            raise taken(f"VEN {body.ven_name!r}", held["id"])
        store.add("vens", **row)
        return row | {"auth_token": token}

    @router.get("/vens", response_model=many(models.Ven))
    async def list_vens(caller: Calling, paging: Paging, ven_name: str = "") -> list[Row]:
        """List VENs in the order they came; a VEN sees itself."""
        return store.page("vens", *paging, ven_name=ven_name or None, id=caller.ven_id)

    @router.post("/vens/{ven_id}/token", response_model=models.Token)
    async def renew_token(ven_id: str, caller: Calling) -> Row:
        """Give a VEN a new token; the operator's. Those it had are no longer valid."""
        caller.must_speak_for(OPERATOR)
        one(store, "vens", "VEN", id=ven_id)
        token = token_urlsafe(32)
        access.give_token(ven_id, hash_of(token.encode()))
        return {"auth_token": token}

    @router.post("/resources", status_code=201, response_model=models.Created)
    async def register_resource(body: FromBody[flat.ResourceRequest], caller: Calling) -> Row:
        """Register a resource behind a VEN; it is approved until the operator says otherwise."""
        one(store, "vens", "VEN", ven_name=body.ven_name)
        ven = store.page("vens", ven_name=body.ven_name)[-1]  # who took the name last has it
        caller.must_speak_for(ven["id"])
        shown = ("id", "ven_name", "resource_name", "resource_type")
        row: Row = {name: getattr(body, name) for name in shown} | {"ven_id": ven["id"]}
        row |= {"status": "approved", "body": msgspec.json.encode(body)}
        return create(store, "resources", "resource", row, "ven_name", "resource_name")

    @router.get("/resources", response_model=many(models.Resource))
    async def list_resources(caller: Calling, paging: Paging, ven_name: str = "") -> list[Row]:
        """List resources in the order they came; a VEN sees its own."""
        return store.page("resources", *paging, ven_name=ven_name or None, ven_id=caller.ven_id)

    @router.get("/resources/{resource_id:path}", response_model=models.Resource)
    async def get_resource(resource_id: str, caller: Calling) -> Row:
        """Show a resource."""
        resource = one(store, "resources", "resource", id=resource_id)
        caller.must_speak_for(resource["ven_id"])
        return resource

    @router.patch("/resources/{resource_id:path}", response_model=models.Resource)
    async def set_status(
        resource_id: str, body: FromBody[flat.StatusRequest], caller: Calling
    ) -> Row:
        """Approve or suspend a resource; the operator's."""
        caller.must_speak_for(OPERATOR)
        resource = one(store, "resources", "resource", id=resource_id)
        store.change("resources", id=resource_id, status=body.status)
        return {**resource, "status": body.status}

    return router


def program_routes(store: Store, _access: Access) -> APIRouter:
    """Return the routes of programs and enrolment."""
    router = APIRouter()

    @router.post("/programs", status_code=201, response_model=models.Program)
    async def create_program(body: FromBody[flat.ProgramRequest], caller: Calling) -> Row:
        """Create a program; the operator's."""
        caller.must_speak_for(OPERATOR)
        row = {"id": uuid4().hex, "program_name": body.program_name}
        return create(store, "programs", "program", row, "program_name")

    @router.get("/programs", response_model=many(models.Program))
    async def list_programs(caller: Calling, paging: Paging) -> list[Row]:
        """List programs in the order they came."""
        return store.page("programs", *paging)

    @router.post(
        "/programs/{program_id}/resources", status_code=201, response_model=models.Enrolment
    )
    async def enrol(program_id: str, resource_id: str, caller: Calling) -> Row:
        """Enrol a resource in a program."""
        one(store, "programs", "program", id=program_id)
        caller.must_speak_for(one(store, "resources", "resource", id=resource_id)["ven_id"])
        row = {"program_id": program_id, "resource_id": resource_id}
        return create(store, "enrolments", "enrolled resource", row, "program_id", "resource_id")

    return router


def event_routes(store: Store, _access: Access) -> APIRouter:
    """Return the routes of events and what VENs answer to them."""
    router = APIRouter()

    @router.post("/events", status_code=201, response_model=models.Event)
    async def create_event(body: FromBody[flat.EventRequest], caller: Calling) -> Row:
        """Create an event in a program; the operator's."""
        content = _checked(body)
        caller.must_speak_for(OPERATOR)
        one(store, "programs", "program", id=body.program_id)
        row = {"id": uuid4().hex, "body": content, "cancelled": 0, "modification_number": 0}
        store.add("events", **row)
        return _shown(row)

    @router.get("/events", response_model=many(models.Event))
    async def list_events(caller: Calling, paging: Paging) -> list[Row]:
        """List events in the order they came, cancelled ones too; every VEN sees all."""
        return [_shown(row) for row in store.page("events", *paging)]

    @router.get("/events/{event_id}", response_model=models.Event)
    async def get_event(event_id: str, caller: Calling) -> Row:
        """Show an event."""
        return _shown(one(store, "events", "event", id=event_id))

    @router.put("/events/{event_id}", response_model=models.Event)
    async def replace_event(
        event_id: str, body: FromBody[flat.EventRequest], caller: Calling
    ) -> Row:
        """Replace an event by its next version; the operator's. A cancelled one stays so."""
        content = _checked(body)
        caller.must_speak_for(OPERATOR)
        event = one(store, "events", "event", id=event_id)
        one(store, "programs", "program", id=body.program_id)
        if event["cancelled"]:
            raise taken("its cancellation", event_id)
        return _changed(store, event, body=content)

    @router.delete("/events/{event_id}", response_model=models.Event)
    async def cancel_event(event_id: str, caller: Calling) -> Row:
        """Cancel an event; the operator's. It stays in the list."""
        caller.must_speak_for(OPERATOR)
        event = one(store, "events", "event", id=event_id)
        return _shown(event) if event["cancelled"] else _changed(store, event, cancelled=1)

    @router.post(
        "/events/{event_id}/responses", status_code=201, response_model=models.EventResponse
    )
    async def respond(event_id: str, body: FromBody[flat.ResponseRequest], caller: Calling) -> Row:
        """Answer an event for a VEN; its last answer holds. The operator names the VEN."""
        if body.event_id != event_id:
            raise wrong("it is not the event of the path", body.event_id, "event_id")
        ven_id = body.ven_id or caller.ven_id
        if ven_id is None:
            raise wrong("the operator must name the VEN", None, "ven_id")
        caller.must_speak_for(ven_id)
        one(store, "events", "event", id=event_id)
        one(store, "vens", "VEN", id=ven_id)
        row = {"id": f"{event_id}.{ven_id}", "event_id": event_id, "ven_id": ven_id}
        said = {"response_type": body.response_type}
        if not store.add("responses", **row, **said):
            store.change("responses", id=row["id"], **said)
        return {**row, **said}

    @router.get("/events/{event_id}/responses", response_model=many(models.EventResponse))
    async def list_responses(event_id: str, caller: Calling, paging: Paging) -> list[Row]:
        """List what VENs answered; a VEN sees its own."""
        one(store, "events", "event", id=event_id)
        return store.page("responses", *paging, event_id=event_id, ven_id=caller.ven_id)

    return router


def _checked(body: flat.EventRequest) -> bytes:
    if datetime.fromisoformat(body.end_date) <= datetime.fromisoformat(body.start_date):
        raise wrong("the end is not after the start", body.end_date, "end_date")
    return msgspec.json.encode(body)


def _changed(store: Store, event: Row, **values: Any) -> Row:
    values["modification_number"] = event["modification_number"] + 1
    store.change("events", **values, id=event["id"])
    return _shown(event | values)


def _shown(row: Row) -> Row:
    event: Row = msgspec.json.decode(row["body"])
    now = datetime.now(UTC)
    begun = now >= datetime.fromisoformat(event["start_date"])
    ended = now >= datetime.fromisoformat(event["end_date"])
    status = "completed" if ended else "active" if begun else "scheduled"
    return {**event, **row, "status": "cancelled" if row["cancelled"] else status}
