"""The VTN as an ASGI application: each dialect under its own base path, and what stands before."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from importlib.metadata import distributions
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline
from pydantic_core import from_json
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from venlab.errors import ConfigError
from venlab.secret import Secret
from venlab.vtn.checks import JSON, Access, Caller, add_handlers, worded, wrong
from venlab.vtn.kinds import VERSIONS
from venlab.vtn.models import Health, Refusal
from venlab.vtn.problems import problem
from venlab.vtn.reports import MAX_BODY, report_routes, take_report
from venlab.vtn.routes import event_routes, fleet_routes, program_routes
from venlab.vtn.standard import Standard
from venlab.vtn.standard_app import create_standard
from venlab.vtn.store import Row, Store
from venlab.vtn.tokens import MAX_FORM, TOKEN_PATH, token_routes
from venlab.vtn.webhooks import Webhooks

FLAT = "/flat"
_FORMS = {("POST", base + TOKEN_PATH) for base in ("", FLAT, *(v.base for v in VERSIONS))}
Take = Callable[[Caller, bytes], Awaitable[tuple[int, bytes]] | None]


def create_app(
    store: Store,
    credential: Secret,
    *,
    token_ttl_s: int = 3600,
    now: Callable[[], float] = time.time,
    webhooks: Webhooks | None = None,
) -> Front:
    """Return the VTN over a store; for a server, or in-process for a test.

    The credential is the operator's token, valid for every VEN; it must not be empty. Tokens that
    are given for it, or for a VEN's, last `token_ttl_s`, 1 or more. ConfigError where that is not
    so. The store stays the caller's to close. Without webhooks nobody is told anything.
    """
    if token_ttl_s < 1:
        raise ConfigError(f"tokens would last {token_ttl_s} s", "let them last 1 s or more")
    access = Access(store, credential, now)
    version = next((found.version for found in distributions(name="venlab")), "0")

    dialects = ["flat", *(each.name for each in VERSIONS)]

    async def health() -> Row:
        """Tell that the VTN is well, and what it speaks."""
        told = {"status": "ok", "name": "venlab-vtn", "dialects": dialects, "version": version}
        return told | {"refuses_repeated_names": "reports" not in store.repeats}

    flat = FastAPIOffline(title="venlab VTN, flat dialect", version=version, redirect_slashes=False)
    flat.add_api_route("/health", health, response_model=Health)
    refusals: Any = {code: {"model": Refusal} for code in (401, 403, 404, 409, 413, 503)}
    for routes in (fleet_routes, report_routes, program_routes, event_routes):
        flat.include_router(routes(store, access), responses=refusals)
    flat.include_router(token_routes(access, token_ttl_s))
    root = FastAPI(openapi_url=None, redirect_slashes=False)
    root.add_api_route("/health", health)
    root.add_route("/docs", lambda _request: RedirectResponse(f"{FLAT}/docs"))
    root.include_router(token_routes(access, token_ttl_s))
    root.mount(FLAT, flat)
    take: dict[tuple[str, str], Take] = {("POST", f"{FLAT}/reports"): partial(take_report, store)}
    for each in VERSIONS:
        standard = Standard(each, store, webhooks)
        root.mount(each.base, create_standard(standard, access, health, token_ttl_s))
        take["POST", f"{each.base}/reports"] = standard.take
    add_handlers(flat, worded)
    add_handlers(root, in_words_of_its_dialect)
    return Front(root, store, access, take)


class Front:
    """Knows callers, bounds bodies to strict JSON, and answers good reports itself.

    `take` has, for each path of reports, what returns the work of storing one; None if the
    ordinary route must look at it.
    """

    def __init__(
        self, app: ASGIApp, store: Store, access: Access, take: dict[tuple[str, str], Take]
    ) -> None:
        self._app, self.store, self.access, self._take = app, store, access, take

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        app, body, caller = self._app, b"", None  # a stranger's body is not read
        asked = scope["method"], scope["path"]
        take = self._take.get(asked)
        form = not take and asked in _FORMS
        dialect, _, words_of = dialect_of(scope["path"])
        try:
            if form:  # from whom it is stands in it
                body = await _read(receive, MAX_FORM)
            else:
                caller = self.access.caller(scope["headers"], dialect)
            if caller is not None and (take or scope["method"] in {"POST", "PUT", "PATCH"}):
                body = await _read(receive, MAX_BODY)
                if take and (answer := take(caller, body)) is not None:
                    await _send(send, *await answer)
                    return
                if body:
                    # FastAPI would take UTF-16, NaN and any depth, and choke on them later.
                    from_json(body, allow_inf_nan=False)
        except ValueError as error:
            words = f"JSON decode error: {error}"
            app = await words_of(None, wrong(words, {}, kind="json_invalid"))
        except (HTTPException, sqlite3.Error) as error:
            app = await words_of(None, error)
        except (ClientDisconnect, asyncio.CancelledError):  # who asked is gone, or the server ends
            return

        read: list[Message] = [{"type": "http.request", "body": body}]

        async def again() -> Message:
            return read.pop() if read else await receive()

        headers = scope["headers"]
        if not form:
            # Whatever type a body claims, it is JSON.
            headers = [header for header in headers if header[0] != b"content-type"]
            headers.append((b"content-type", JSON.encode()))
        with suppress(asyncio.CancelledError):  # the server ends, and who asked is gone
            await app({**scope, "headers": headers, "state": {"caller": caller}}, again, send)


def dialect_of(path: str) -> tuple[str, str, Any]:
    """Return which dialect a path is of, its base path, and how it words refusals."""
    for version in VERSIONS:
        if path.startswith(version.base):
            return version.name, version.base, problem
    return "flat", FLAT, worded


async def in_words_of_its_dialect(request: Request, error: Exception) -> Response:
    """Return the answer for an error where no dialect's application was reached."""
    words_of = dialect_of(request.url.path)[2]
    answer: Response = await words_of(request, error)
    return answer


async def _send(send: Send, status: int, content: bytes) -> None:
    # By hand: a Response object costs as much as decoding the report.
    headers = [(b"content-type", JSON.encode()), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _read(receive: Receive, most: int) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise HTTPException(413, f"the body is longer than {most} bytes")
    return bytes(body)
