"""Reports of the standard's dialects on the hot route: decoded at once, their times looked at once.

All resources of a report name the same few times. A pattern looked for in each of 400 would cost
three times what all else does, so the structs here take any text, and each different one is looked
at by the real shape afterwards.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from venlab.vtn.models import must_exist
from venlab.wire import v3_shapes as shapes

Text = str | UnsetType


class _AnyPeriod(shapes.Shape, kw_only=True):
    start: Text = UNSET
    duration: Text = UNSET
    randomize_start: Text = UNSET


class _Report301(shapes.Report[_AnyPeriod, shapes.ReportPayload301], kw_only=True):
    program_id: shapes.ObjectID


_KNOWN: dict[str, tuple[Any, type[shapes.Shape]]] = {
    "3.0.1": (_Report301, shapes.Period),
    "3.1.0": (shapes.Report[_AnyPeriod, shapes.ReportPayload310], shapes.OpenPeriod),
}


class Quick:
    """Decodes a version's reports."""

    def __init__(self, version: str) -> None:
        shape, self._period = _KNOWN[version]
        self._decode = msgspec.json.Decoder(shape).decode

    def report(self, body: bytes) -> Any:
        """Return the report in a body; None where the ordinary route must look at it."""
        try:
            report = self._decode(body)
            for period in _periods(report):
                msgspec.convert(msgspec.to_builtins(period), self._period)
                if period.start:
                    must_exist(period.start)
        except (ValueError, RecursionError):
            return None
        # One that says what it is would say it twice when it is shown.
        return report if report.object_type is UNSET else None


def _periods(report: Any) -> list[_AnyPeriod]:
    """Return the different periods of a report."""
    found = {}
    for resource in report.resources:
        if period := resource.interval_period:
            found[period.start, period.duration, period.randomize_start] = period
        for interval in resource.intervals:
            if period := interval.interval_period:
                found[period.start, period.duration, period.randomize_start] = period
    return list(found.values())
