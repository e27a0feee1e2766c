"""OpenADR 3's reports of several intervals, or of sums: as an event's descriptor asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from venlab.wire import Draft, Measured
from venlab.wire.v3_answers import ReportAnswer
from venlab.wire.v3_reports import W_PER_KW, WS_PER_KWH, BatchWriter, heard
from venlab.wire.v3_shapes import Report301, Report310

__all__ = ["BatchAndWindowWriter", "window_halves"]

SUM = b'"AGGREGATED_REPORT"'  # the documents' name of a resource that is the sum of all


class _Value(NamedTuple):
    """A value of a report: its resource, its interval's place, its power [W], what is new in it."""

    name: bytes
    interval: int
    watts: int
    positions: list[int]


class BatchAndWindowWriter(BatchWriter):
    """Writes one report an interval, or of several; see `BatchWriter`."""

    def write_window(
        self, intervals: Sequence[Measured], new: int, *, aggregate: bool
    ) -> list[Draft]:
        """Write the reports of several intervals; those before `new` are in a report already.

        A report is named by its last interval, and each of its intervals has the number of its
        cycle for an id and a period of its own: whoever leaves one out need not count.
        """
        values = list(self._sums(intervals, new) if aggregate else self._each(intervals, new))
        begins, numbers = [], []
        for interval in intervals:
            name, period = self._of(interval.stamp, interval.duration_s)
            begin = b'{"id":%d,"intervalPeriod":%b,"payloads":[{"type":"%b","values":['
            begins.append(begin % (interval.cycle, period, self._kind.encode()))
            numbers.append(self._number(interval.duration_s))
        said = [b"%b%b]}]}" % (begins[v.interval], numbers[v.interval](v.watts)) for v in values]
        parts = list(self._parts(values, said))
        return [
            self._report(f"{name}/{n}" if len(parts) > 1 else name, values[a:b], said[a:b])
            for n, (a, b) in enumerate(parts)
        ]

    def write_series(
        self, name: str, stamp: datetime, duration_s: int, watts: NDArray[np.int32], first: int
    ) -> Draft:
        """Write the report of intervals without a gap, each load's after its common period.

        An interval without a period of its own follows the one before it, so this takes half the
        bytes of `write_window`, and the numbers go into a ready form: seven million in seconds.
        """
        slot = b'{"id":%d,"payloads":[{"type":"%b","values":[%b]}]}'
        kind, number = self._kind.encode(), b"%d.%03d" if self._kind == "DEMAND" else b"%a"
        form = b",".join(slot % (n, kind, number) for n in range(len(watts)))
        if self._kind == "DEMAND":
            values = np.stack(np.divmod(watts, W_PER_KW), axis=-1).transpose(1, 0, 2)
        else:
            values = (watts.astype(np.int64) * duration_s / WS_PER_KWH).T
        begin = self._of(stamp, duration_s)[1] + b',"intervals":['
        entries = [
            b"%b%b%b]}" % (entry, begin, form % tuple(load))
            for entry, load in zip(
                self._entries[first:], values.reshape(watts.shape[1], -1).tolist(), strict=False
            )
        ]
        return Draft(name, self._body(name, entries), range(first, first + len(entries)))

    def _each(self, intervals: Sequence[Measured], new: int) -> Iterator[_Value]:
        """Yield each load's intervals, of the loads that have something new."""
        for n, name in enumerate(self._names):
            there = [i for i, interval in enumerate(intervals) if interval.watts[n] >= 0]
            if not any(intervals[i].cycle >= new for i in there):
                continue
            for i in there:
                at = [i * len(self._names) + n] if intervals[i].cycle >= new else []
                yield _Value(name, i, intervals[i].watts[n], at)

    def _sums(self, intervals: Sequence[Measured], new: int) -> Iterator[_Value]:
        """Yield the sum of all loads of each interval."""
        for i, interval in enumerate(intervals):
            there = [n for n, watts in enumerate(interval.watts) if watts >= 0]
            at = [i * len(self._names) + n for n in there] if interval.cycle >= new else []
            if there:
                yield _Value(SUM, i, sum(interval.watts[n] for n in there), at)

    def _parts(self, values: Sequence[_Value], said: Sequence[bytes]) -> Iterator[tuple[int, int]]:
        """Yield from where to where the values go into one report, as the limits are."""
        room, most, begin, size, names = self._room, self._limits.most_resources, 0, 0, 0
        for n, value in enumerate(values):
            another = n == begin or value.name != values[n - 1].name
            alone = len(said[n]) + 1 + len(_entry(value.name, []))
            more = alone if another else len(said[n]) + 1
            if n > begin and (size + more > room or names + another > most):
                yield begin, n
                begin, size, names, more, another = n, 0, 0, alone, True
            size, names = size + more, names + another
        if values:
            yield begin, len(values)

    def _report(self, name: str, values: Sequence[_Value], said: Sequence[bytes]) -> Draft:
        entries: dict[bytes, list[bytes]] = {}
        for value, words in zip(values, said, strict=True):
            entries.setdefault(value.name, []).append(words)
        body = self._body(name, [_entry(*each) for each in entries.items()])
        told = len(values), sum(value.watts for value in values)
        return Draft(name, body, [p for value in values for p in value.positions], told)


def _entry(name: bytes, intervals: list[bytes]) -> bytes:
    return b'{"resourceName":%b,"intervals":[%b]}' % (name, b",".join(intervals))


def window_halves(
    name: str, body: bytes, cycles: Sequence[int], shape: type[Report301 | Report310]
) -> list[Draft]:
    """Return a report of several intervals in two parts; none if it has one value.

    First the resources part, then the intervals of a single one. A part whose values were all
    reported before is left out.
    """
    report = msgspec.json.decode(body, type=shape)
    name = name if name.count("/") > 2 else name + "/"
    parts, begin, new_ones = [], 0, set(cycles)
    for letter, resources in zip("ab", _halved(report.resources), strict=False):
        new = msgspec.structs.replace(report, report_name=name + letter, resources=resources)
        text = msgspec.json.encode(new)
        ids = [interval.id for resource in resources for interval in resource.intervals]
        if len(report.resources) > 1:  # a reading a value, but for those told before
            end = begin + sum(i in new_ones for i in ids)
            positions, begin = list(range(begin, end)), end
        else:  # of a sum, many a value
            positions = [p for p, cycle in enumerate(cycles) if cycle in ids]
        if positions:
            parts.append(Draft(name + letter, text, positions, _told(text)))
    return parts


def _halved(resources: list[Any]) -> list[list[Any]]:
    if (middle := len(resources) // 2) > 0:
        return [resources[:middle], resources[middle:]]
    (only,) = resources
    if (middle := len(only.intervals) // 2) == 0:
        return []
    cuts = only.intervals[:middle], only.intervals[middle:]
    return [[msgspec.structs.replace(only, intervals=cut)] for cut in cuts]


def _told(body: bytes) -> tuple[int, int]:
    """Return how many values a VTN will read in a report, and their sum [W]."""
    read = heard(msgspec.convert({**msgspec.json.decode(body), "id": "-"}, ReportAnswer))
    return read.readings, read.watts
