"""OAuth2 client credentials: who has an id and a secret gets a token for a while (RFC 6749)."""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from fastapi import APIRouter, HTTPException, Request, Response

from venlab.vtn.checks import OPERATOR, Access, Caller
from venlab.vtn.kinds import Version
from venlab.vtn.models import AccessToken, TokenRefusal
from venlab.vtn.store import Row

TOKEN_PATH = "/auth/token"
LONGEST_ID = 128  # characters; objects show whose they are
MAX_FORM = 160 * 2**10  # what the standard allows, each character in its longest form
_FORM = "application/x-www-form-urlencoded"
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_MEMBERS = ("grant_type", "client_id", "client_secret", "scope")
_SCHEMA: Row = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {name: {"type": "string"} for name in _MEMBERS},
}
_DOCUMENTED: Any = {
    "responses": {code: {"model": TokenRefusal} for code in (400, 401)},
    "openapi_extra": {"requestBody": {"required": True, "content": {_FORM: {"schema": _SCHEMA}}}},
}


def token_routes(access: Access, lasts_s: int, version: Version | None = None) -> APIRouter:
    """Return the route of tokens that last so long [s]; of the flat dialect, or of a version."""
    router = APIRouter()

    @router.post(TOKEN_PATH, response_model=AccessToken, **_DOCUMENTED)
    async def give_token(request: Request, response: Response) -> Row:
        """Give a token to a client that shows its id and secret, in the form or by HTTP Basic.

        `operator` with the VTN's credential gets a token of the operator; a VEN's id with its
        `auth_token` gets one that speaks for this VEN. In the standard's dialects every other id
        with the VTN's credential is that VEN; there `scope` narrows what a token opens, elsewhere
        it is repeated and means nothing.
        """
        try:
            form = _form_of(request.headers.get("content-type", ""), await request.body())
            owner = _owner(access, request.headers.get("authorization"), form, version)
            asked = {"scope": form["scope"]} if "scope" in form else {}
            if version:
                owner, asked = _with_scopes(owner, version, form.get("scope", ""))
        except HTTPException as refusal:
            if version and refusal.status_code == 401:
                refusal.status_code = version.stranger
            raise
        response.headers.update(_NO_STORE)
        token = access.issue(owner, lasts_s)
        return {"access_token": token, "token_type": "Bearer", "expires_in": lasts_s, **asked}

    return router


def _owner(
    access: Access, header: str | None, form: dict[str, str], version: Version | None
) -> Caller:
    client_id, secret = _client_of(header, form)
    owner = access.owner(client_id, secret.encode(), version.name if version else "flat")
    if owner is None or not 0 < len(client_id) <= LONGEST_ID:
        raise _refused("invalid_client", "no client has this id and secret")
    if (kind := form.get("grant_type")) != "client_credentials":
        error = "unsupported_grant_type" if kind else "invalid_request"
        raise _refused(error, "grant_type must be client_credentials")
    return owner


def _with_scopes(owner: Caller, version: Version, scope: str) -> tuple[Caller, Row]:
    """Return a client with the scopes that it asks for, all of its role if none; and their list."""
    may = version.business if owner.ven_id is OPERATOR else version.ven
    asked = scope.split() or may
    if more := sorted(set(asked) - set(may)):
        words = f"this client may have {' '.join(may)}, not {' '.join(more)}"
        raise _refused("invalid_scope", words)
    return replace(owner, scopes=frozenset(asked)), {"scope": " ".join(asked)}


def _form_of(kind: str, body: bytes) -> dict[str, str]:
    """Return the form's members; one without a value counts as left out (§3.2)."""
    if kind.partition(";")[0].strip().lower() != _FORM:
        raise _refused("invalid_request", f"send a form, as {_FORM}")
    try:
        lists = parse_qs(body.decode(), max_num_fields=100, errors="strict")
    except ValueError:
        raise _refused("invalid_request", "the form cannot be read") from None
    if twice := sorted(name for name, values in lists.items() if len(values) > 1):
        raise _refused("invalid_request", f"more than once in the form: {', '.join(twice)}")
    return {name: values[0] for name, values in lists.items()}


def _client_of(header: str | None, form: dict[str, str]) -> tuple[str, str]:
    """Return the client's id and secret, from the header or from the form (§2.3.1)."""
    if header is None:
        if {"client_id", "client_secret"} <= form.keys():
            return form["client_id"], form["client_secret"]
        raise _refused("invalid_client", "client_id and client_secret, or HTTP Basic, are needed")
    if "client_secret" in form:
        raise _refused("invalid_request", "the client is named both by header and by form")
    scheme, _, encoded = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        client_id, colon, secret = b64decode(encoded.strip(), validate=True).decode().partition(":")
        if not colon:
            raise ValueError
    except (ValueError, binascii.Error):
        raise _refused("invalid_client", "the header is not HTTP Basic") from None
    return unquote_plus(client_id), unquote_plus(secret)


def _refused(error: str, words: str) -> HTTPException:
    """Return the answer of §5.2; 401 where the client is not known."""
    unknown = error == "invalid_client"
    headers = _NO_STORE | ({"WWW-Authenticate": 'Basic realm="venlab"'} if unknown else {})
    content = {"error": error, "error_description": words}
    return HTTPException(401 if unknown else 400, content, headers)
