"""The flat dialect's reports: kept as the bytes that came, shown as these bytes with an id."""

from __future__ import annotations

from collections.abc import Awaitable

import msgspec
from fastapi import APIRouter, HTTPException, Request, Response

from venlab.vtn.checks import JSON, OPERATOR, Caller, Calling, Paging, one
from venlab.vtn.models import FromBody, Report, many, must_exist
from venlab.vtn.store import Store
from venlab.wire.flat_shapes import ReportRequest

MAX_BODY = 8 * 2**20
_decode = msgspec.json.Decoder(ReportRequest).decode


def decode_report(body: bytes) -> ReportRequest | None:
    """Return the report in a body, or None where the ordinary route must look at it."""
    try:
        report = _decode(body)
        must_exist(report.start)
    except (ValueError, RecursionError):
        return None
    return report


def take_report(store: Store, caller: Caller, body: bytes) -> Awaitable[tuple[int, bytes]] | None:
    """Return what stores a good report; None where the ordinary route must look at it."""
    report = decode_report(body)
    owner = store.owner_of(report.resource_id) if report else None
    if report and owner == report.ven_id and caller.ven_id in (OPERATOR, owner):
        return accept(store, report, body)
    return None


async def accept(store: Store, report: ReportRequest, body: bytes) -> tuple[int, bytes]:
    """Store a checked report; return status and body of the answer: 201, or 409 with the id."""
    body = body.strip()
    number, created, is_new = await store.add_report(report.report_name, report.ven_id, body)
    if is_new:
        return 201, with_id(body, number, created)
    return 409, b'{"detail":"a report of this name is there","id":"report-%d"}' % number


def with_id(body: bytes, number: int, created: str) -> bytes:
    """Return a stored report as it is shown: the sender's bytes, then id and times.

    Examples
    --------
    >>> with_id(b'{"report_name":"a"}', 7, "2023-01-09T16:00:00Z")[:37]
    b'{"report_name":"a","id":"report-7","c'
    """
    # At the end, since of a member that comes twice readers take the last.
    times = f'"created_date_time":"{created}","modification_date_time":"{created}"'
    return b'%b,"id":"report-%d",%b}' % (body[:-1], number, times.encode())


def report_routes(store: Store, _access: object) -> APIRouter:
    """Return the ordinary routes of reports, which explain what is wrong with one."""
    router = APIRouter()

    @router.post("/reports", status_code=201, response_model=Report)
    async def post_report(
        report: FromBody[ReportRequest], caller: Calling, request: Request
    ) -> Response:
        """Store a report and show it with its id; a name is taken once.

        A resource that is not approved may report all the same: its VEN learns of the status
        only when it asks next, and what was measured until then is not to be lost.
        """
        caller.must_speak_for(report.ven_id)
        one(store, "vens", "VEN", id=report.ven_id)
        if one(store, "resources", "resource", id=report.resource_id)["ven_id"] != report.ven_id:
            raise HTTPException(404, f"resource {report.resource_id!r} is not behind this VEN")
        status, content = await accept(store, report, await request.body())
        return Response(content, status, media_type=JSON)

    @router.get("/reports", response_model=many(Report))
    async def list_reports(
        caller: Calling, paging: Paging, run: str = "", after: str = ""
    ) -> Response:
        """List reports by name: of one run (what stands before the first slash), after a name.

        A VEN sees its own. A page of very long reports ends early: go on until one is empty.
        """
        parts: list[bytes] = []
        left = MAX_BODY
        for number, body, created in store.reports(run, after, *paging, caller.ven_id):
            parts.append(with_id(body, number, created))
            left -= len(body)
            if left < 0:
                break
        return Response(b"[%b]" % b",".join(parts), media_type=JSON)

    return router
