"""One version of the standard as an application: its routes, who may use them, its page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi_offline import FastAPIOffline

from venlab.vtn.checks import JSON, Access, add_handlers
from venlab.vtn.described import described
from venlab.vtn.kinds import KINDS, Kind
from venlab.vtn.privacy import View
from venlab.vtn.problems import Unfit, problem
from venlab.vtn.standard import Answer, Standard
from venlab.vtn.store import Row
from venlab.vtn.tokens import TOKEN_PATH, token_routes

Work = Callable[[Kind, View, Request], Awaitable[Answer]]


def create_standard(
    standard: Standard, access: Access, health: Callable[[], Awaitable[Row]], token_ttl_s: int
) -> FastAPI:
    """Return the application of one version."""
    version = standard.version
    app = FastAPIOffline(title=f"venlab VTN, OpenADR {version.name}", redirect_slashes=False)
    drawn = app.openapi
    # FastAPI cannot see what is read by hand, so its document is filled in, when it is asked for.
    app.openapi = cache(lambda: described(drawn(), version))  # type: ignore[method-assign]
    app.add_api_route("/health", health)
    app.include_router(token_routes(access, token_ttl_s, version))
    for kind in KINDS.values():
        place, reads, writes = version.place(kind), ("read_all", kind.reads), (kind.writes,)
        one = f"{place}/{{{kind.id_name}}}"
        rows: list[tuple[str, str, Work, tuple[str, ...]]] = [
            ("GET", place, standard.search, reads),
            ("POST", place, standard.create, writes),
            ("GET", one, standard.read, reads),
            ("PUT", one, standard.replace, writes),
            ("DELETE", one, standard.delete, writes),
        ]
        for method, path, work, scopes in rows:
            endpoint = _endpoint(standard, kind, work, scopes)
            words = f"{work.__name__} {kind.path}"
            app.add_api_route(
                path, endpoint, methods=[method], name=words, description=work.__doc__
            )
    if version.private:
        _notifiers(app, standard)
    add_handlers(app, problem)
    app.add_exception_handler(Unfit, problem)
    return app


def _endpoint(standard: Standard, kind: Kind, work: Work, scopes: tuple[str, ...]) -> Any:
    async def endpoint(request: Request) -> Response:
        status, content = await work(kind, view_of(standard, request, *scopes), request)
        return Response(content, status, media_type=JSON)

    return endpoint


def view_of(standard: Standard, request: Request, *scopes: str) -> View:
    """Return what the caller sees, or refuse who is not known or has none of these scopes."""
    caller = request.state.caller
    if caller is None:
        status = standard.version.stranger
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        raise HTTPException(status, "no token, or one that is not known here", headers)
    view = standard.view(caller)
    if scopes and not view.may(*scopes):
        raise HTTPException(403, f"this needs a token with the scope {' or '.join(scopes)}")
    return view


def _notifiers(app: FastAPI, standard: Standard) -> None:
    """Add what 3.1.0 has besides: discovery and notifiers, none of which is MQTT."""

    @app.get("/auth/server")
    async def auth_server(request: Request) -> Row:
        """Tell where tokens are given."""
        # Mounted below a base path, a request's base url is still that of the whole server.
        base = str(request.base_url).rstrip("/") + standard.version.base
        return {"tokenURL": base + TOKEN_PATH}

    @app.get("/notifiers")
    async def notifiers(request: Request) -> Row:
        """Tell how one may be notified: by webhooks, where the VTN is told to send them."""
        view_of(standard, request)
        return {"WEBHOOK": standard.webhooks is not None}

    @app.get("/notifiers/mqtt/topics/{topic:path}")
    async def topics(topic: str, request: Request) -> Row:
        """Refuse with 404: there is no broker."""
        view_of(standard, request)
        raise HTTPException(404, f"there is no MQTT broker, so no topics for {topic}")
