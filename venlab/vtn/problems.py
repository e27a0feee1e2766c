"""Refusals of the standard's dialects: problems in JSON (RFC 7807), as `application/json`."""

from __future__ import annotations

import sqlite3
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

LONGEST = 1000  # of what is repeated of a body


class Unfit(ValueError):
    """What was sent is not of the shape that the document says."""


async def problem(_request: Any, error: Any) -> JSONResponse:
    """Return the answer for an error: a refusal, a body that is wrong, or a store that fails."""
    headers = None
    match error:
        case HTTPException():
            status, headers, detail = error.status_code, error.headers, error.detail
        case sqlite3.Error():
            status, detail = 503, f"the VTN's store fails: {error}"
        case RequestValidationError():
            status, detail = 400, error.errors()[0]["msg"]
        case _:
            status, detail = 400, str(error)
    content: Any = detail if isinstance(detail, dict) else {"detail": str(detail)[:LONGEST]}
    title = HTTPStatus(status).phrase
    return JSONResponse({"title": title, "status": status, **content}, status, headers)
