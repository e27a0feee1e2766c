"""Who is calling, what is there, and how a refusal is worded."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from secrets import token_urlsafe
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic_core import to_json
from starlette.exceptions import HTTPException as AnyHTTPException  # also of paths that are none

from venlab.errors import ConfigError
from venlab.secret import Secret
from venlab.vtn.store import Row, Store

JSON = "application/json"
OPERATOR = None  # instead of a VEN's id: who may act for all
OPERATOR_ID = "operator"  # its client id
EVERYWHERE = None  # instead of a dialect


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a token speaks for, one VEN or the operator, and when it ends [s of wall].

    It opens one dialect's paths, or the operator's all; of the standard's scopes it has these, or
    all that its role may have. A VEN of the standard is known by its OAuth2 client's id.
    """

    ven_id: str | None
    ends_at: float = math.inf
    dialect: str | None = "flat"
    client_id: str = ""
    scopes: frozenset[str] | None = None

    def must_speak_for(self, ven_id: str | None) -> None:
        """Refuse with 403 who may not act for a VEN, or for the operator."""
        if self.ven_id not in (OPERATOR, ven_id):
            raise HTTPException(403, "this token may act for its own VEN only")


class Access:
    """Knows callers by their tokens: the store has hashes of them, none of the credential."""

    def __init__(
        self, store: Store, credential: Secret, now: Callable[[], float] = time.time
    ) -> None:
        if not credential:
            raise ConfigError("the VTN's credential is empty", "give it a random one")
        self._store, self._now = store, now
        self._operator = hash_of(credential.reveal().encode())
        self.forget()

    def forget(self) -> None:
        """Know nobody but the operator, until they are looked up again."""
        owner = Caller(OPERATOR, dialect=EVERYWHERE, client_id=OPERATOR_ID)
        self._known = {self._operator: owner}

    def caller(
        self, headers: Iterable[tuple[bytes, bytes]], dialect: str = "flat"
    ) -> Caller | None:
        """Return who sends these headers; None if they carry no token that opens this dialect."""
        for name, value in headers:
            if name == b"authorization" and value[:7].lower() == b"bearer ":
                token_hash = hash_of(value[7:].strip())
                caller = self._known.get(token_hash) or self._look_up(token_hash)
                opens = caller and caller.dialect in (EVERYWHERE, dialect)
                return caller if caller and opens and self._now() < caller.ends_at else None
        return None

    def _look_up(self, token_hash: bytes) -> Caller | None:
        if ven := self._store.find("vens", token_hash=token_hash):
            found = Caller(ven["id"])
        elif token := self._store.find("tokens", hash=token_hash):
            scopes = None if token["scopes"] is None else frozenset(token["scopes"].split())
            del token["hash"]
            found = Caller(**token | {"scopes": scopes})
        else:
            return None
        self._known[token_hash] = found
        return found

    def owner(self, client_id: str, secret: bytes, dialect: str = "flat") -> Caller | None:
        """Return who has this id and secret.

        It is the operator, or a VEN with its own token; in the standard's dialects the fleet's
        credential is that of every other client, each of them a VEN.
        """
        if client_id == OPERATOR_ID or dialect != "flat":
            if hash_of(secret) != self._operator:
                return None
            if client_id == OPERATOR_ID:
                operator = self._known[self._operator]
                return operator if dialect == "flat" else replace(operator, dialect=dialect)
            return Caller(f"{dialect}/{client_id}", dialect=dialect, client_id=client_id)
        ven = self._store.find("vens", id=client_id, token_hash=hash_of(secret))
        return Caller(client_id) if ven else None

    def issue(self, caller: Caller, lasts_s: float) -> str:
        """Return a new token that speaks for somebody for so long; those that ended are gone."""
        now, token = self._now(), token_urlsafe(32)
        self._store.remove("tokens", "ends_at<=?", now)
        self._known = {h: c for h, c in self._known.items() if now < c.ends_at}
        row = asdict(caller) | {"hash": hash_of(token.encode()), "ends_at": now + lasts_s}
        row["scopes"] = None if caller.scopes is None else " ".join(sorted(caller.scopes))
        self._store.add("tokens", **row)
        return token

    def revoke(self, ven_id: str) -> None:
        """End all that speaks for a VEN but its own token."""
        self._store.remove("tokens", "ven_id=?", ven_id)
        self._known = {h: c for h, c in self._known.items() if c.ven_id != ven_id}

    def give_token(self, ven_id: str, token_hash: bytes | None) -> None:
        """Make this hash, or none, that of a VEN's token; all before it are no longer valid."""
        self.revoke(ven_id)
        self._store.change("vens", id=ven_id, token_hash=token_hash)


def hash_of(token: bytes) -> bytes:
    """Return what is kept of a token."""
    return sha256(token).digest()


async def _caller(
    request: Request, _documented: Annotated[Any, Security(HTTPBearer(auto_error=False))]
) -> Caller:
    caller: Caller | None = request.state.caller
    if caller is None:
        challenge = {"WWW-Authenticate": "Bearer"}
        raise HTTPException(401, "no token, or one that is not known", challenge)
    return caller


async def _paging(
    skip: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> tuple[int, int]:
    return skip, limit


Calling = Annotated[Caller, Security(_caller)]
Paging = Annotated[tuple[int, int], Depends(_paging)]


def one(store: Store, table: str, what: str, **where: str) -> Row:
    """Return the row that fulfils the condition, or refuse with 404."""
    if row := store.find(table, **where):
        return row
    raise HTTPException(404, f"there is no {what} {' '.join(where.values())!r}")


def create(store: Store, table: str, what: str, row: Row, *unique: str) -> Row:
    """Insert a row and return it, or refuse with 409 and the id of what has its name."""
    if store.add(table, **row):
        return row
    held = store.find(table, **{column: row[column] for column in unique}) or row
    raise taken(f"{what} {row[unique[-1]]!r}", held.get("id") or row[unique[-1]])


def taken(what: str, holder: str) -> HTTPException:
    """Return the 409 that names what is there."""
    return HTTPException(409, {"detail": f"{what} is there", "id": holder})


def wrong(words: str, value: Any, *place: str, kind: str = "value_error") -> RequestValidationError:
    """Return the 422 for what the shape of a body alone cannot refuse."""
    problem = {"type": kind, "loc": ("body", *place), "msg": words, "input": value}
    return RequestValidationError([problem])


def add_handlers(app: FastAPI, words_of: Callable[..., Awaitable[Response]]) -> None:
    """Let something word an application's refusals."""
    for kind in (AnyHTTPException, RequestValidationError, sqlite3.Error):
        app.add_exception_handler(kind, words_of)


async def worded(_request: Any, error: Any) -> Response:
    """Return the answer for an error: a refusal, fields that are wrong, or a store that fails."""
    if isinstance(error, sqlite3.Error):
        return JSONResponse({"detail": f"the VTN's store fails: {error}"}, 503)
    if isinstance(error, AnyHTTPException):
        content: Any = error.detail if isinstance(error.detail, dict) else {"detail": error.detail}
        return JSONResponse(content, error.status_code, error.headers)
    detail = [{k: p.get(k) for k in ("type", "loc", "msg", "input")} for p in error.errors()]
    for problem in detail:
        # A member that is missing would repeat the whole body, each of them.
        if len(to_json(problem["input"], inf_nan_mode="null")) > 2000:
            problem["input"] = "(too long to repeat)"
    # Not JSONResponse: it fails on the infinity that a number out of range has become.
    return Response(to_json({"detail": detail}, inf_nan_mode="null"), 422, media_type=JSON)
