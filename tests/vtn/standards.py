"""A VTN in-process that speaks one version of the standard, each exchange held against it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.standard.recording import Recording, recorded
from tests.standard.samples import request
from tests.vtn.conftest import Json
from venlab.secret import Secret
from venlab.vtn.app import create_app
from venlab.vtn.store import Store

VERSIONS = ("3.0.1", "3.1.0")
KINDS = ("program", "event", "report", "subscription", "ven", "resource")
BUSINESS = ("program", "event")  # what business logic makes; the rest is VENs'


def once(members: list[tuple[str, Any]]) -> Json:
    """A JSON object, none of whose members comes twice."""
    found = dict(members)
    assert len(found) == len(members), members
    return found


@dataclass
class Asker:
    """Asks one version as somebody: an answer's status and content."""

    vtn: Vtn
    token: str | None

    async def __call__(self, method: str, path: str, content: Any = None) -> tuple[int, Any]:
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        asked: Json = {"headers": headers}
        if isinstance(content, bytes):
            asked["content"] = content
        elif content is not None:
            asked["json"] = content
        answer = await self.vtn.http.request(method, self.vtn.base + path, **asked)
        return answer.status_code, json.loads(answer.content, object_pairs_hook=once)

    async def made(self, kind: str, **changes: Any) -> Json:
        """Make an object: a good one, but for the changes."""
        status, content = await self("POST", *self.vtn.sample(kind, **changes))
        assert status == 201, content
        self.vtn.ids.setdefault(kind, content["id"])
        return content

    async def listed(self, path: str) -> list[Json]:
        status, content = await self("GET", path)
        assert status == 200, content
        return content

    async def bad(self, method: str, path: str, content: Any = None) -> tuple[int, Any]:
        """Ask for what the document does not allow."""
        with self.vtn.seen.bad_requests():
            return await self(method, path, content)


class Vtn:
    """The VTN, and what was made there first of each kind."""

    def __init__(self, version: str, http: httpx.AsyncClient, seen: Recording, store: Store):
        self.version, self.http, self.seen, self.store = version, http, seen, store
        self.private = version == "3.1.0"
        self.base = f"/openadr3/{version}"
        self.ids: dict[str, str] = {}

    def sample(self, kind: str, **changes: Any) -> tuple[str, Json]:
        """Where a good object is posted, and one that names what is there."""
        body = request(self.version, kind)
        ids = {"programID": "program", "eventID": "event", "venID": "ven"}
        body |= {member: self.ids.get(of, "") for member, of in ids.items() if member in body}
        return self.path(kind), body | changes

    def path(self, kind: str, object_id: str | None = None) -> str:
        nested = kind == "resource" and not self.private
        under = f"/vens/{self.ids.get('ven', 'v')}" if nested else ""
        return f"{under}/{kind}s" + (f"/{object_id}" if object_id else "")

    async def token(self, client_id: str, **more: str) -> httpx.Response:
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "op"}
        return await self.http.post(f"{self.base}/auth/token", data=form | more)

    async def as_(self, client_id: str, **more: str) -> Asker:
        answer = await self.token(client_id, **more)
        assert answer.status_code == 200, answer.text
        return Asker(self, answer.json()["access_token"])

    async def filled(self) -> tuple[Asker, Asker]:
        """Make one of each kind; business logic and the VEN that made its own."""
        operator, aars = await self.as_("operator"), await self.as_("aars")
        for kind in ("program", "event", "ven", "resource", "subscription", "report"):
            await (operator if kind in BUSINESS else aars).made(kind, **self.untargeted(kind))
        return operator, aars

    def untargeted(self, kind: str) -> Json:
        return {"targets": None} if kind in BUSINESS else {}


@asynccontextmanager
async def vtn_of(version: str, store: Store, **settings: Any) -> AsyncIterator[Vtn]:
    """A VTN over a store; what the documents do not allow fails the test at its end."""
    with recorded() as seen:
        transport = httpx.ASGITransport(seen.app(create_app(store, Secret("op"), **settings)))
        async with httpx.AsyncClient(transport=transport, base_url="http://vtn") as http:
            yield Vtn(version, http, seen, store)
