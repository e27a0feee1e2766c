"""OpenADR 3's reports: one for a VEN and an interval, with each load as a resource of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from venlab.durations import Duration
from venlab.errors import DataError
from venlab.model import Ven
from venlab.reportplan import UNITS
from venlab.wire import Address, Draft, Heard, Limits, LoadName
from venlab.wire.v3_answers import PeriodAnswer, ReportAnswer
from venlab.wire.v3_shapes import Report301, Report310

__all__ = ["WS_PER_KWH", "W_PER_KW", "BatchWriter", "halves", "heard"]

W_PER_KW, WS_PER_KWH = 1000, 3_600_000
_VALUE = 24  # bytes that a number takes, at most


class BatchWriter:
    """One report a VEN and interval, or a few where that is too much; rendered but for values.

    Parameters
    ----------
    ven : Ven
        Whose loads they are; its client name is the town's id.
    loads : sequence of LoadName
        The loads, in order.
    run_id : str
        First part of every name.
    address : Address
        The event that they are about, and whether it wants power or energy.
    limits : Limits
        The most bytes and resources of one report.
    shape : type
        A report's shape in the dialect.

    Raises
    ------
    DataError
        A VTN that keeps to the standard would refuse a report, or no report is short enough.
    """

    def __init__(
        self,
        ven: Ven,
        loads: Sequence[LoadName],
        run_id: str,
        *,
        address: Address,
        limits: Limits,
        shape: type[Report301 | Report310],
    ) -> None:
        self._name, self._limits = f"{run_id}/{ven.client_name}/", limits
        self._kind = address.asked.payload_type
        head: dict[str, object] = {"eventID": address.event_id}
        descriptor = {"payloadType": self._kind, "readingType": "MEAN", "units": UNITS[self._kind]}
        if shape is Report301:
            head = {"programID": address.program_id, **head}
        else:  # 3.0.1 may leave it out, and not all clients can read it
            descriptor = {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", **descriptor}
        head |= {"clientName": ven.client_name, "payloadDescriptors": [descriptor]}
        self._head = msgspec.json.encode(head)[:-1] + b',"reportName":'
        self._names = [msgspec.json.encode(f"{n.resource}.{n.load}") for n in loads]
        self._entries = [b'{"resourceName":%b,"intervalPeriod":' % name for name in self._names]
        if loads:
            self._must_be_right(shape)

    def write(self, stamp: datetime, duration_s: int, watts: Sequence[int]) -> list[Draft]:
        """Write the loads that were measured.

        Parameters
        ----------
        stamp : datetime
            Start of the interval.
        duration_s : int
            Its length [s].
        watts : sequence of int
            Mean power of each load [W]; -1 = not measured.
        """
        name, period = self._of(stamp, duration_s)
        middle = b'%b,"intervals":[{"id":0,"payloads":[{"type":"%b","values":[' % (
            period,
            self._kind.encode(),
        )
        number = self._number(duration_s)
        there = [i for i, w in enumerate(watts) if w >= 0]
        entries = [
            b"%b%b%b]}]}]}" % (self._entries[i], middle, number(watts[i]))  # a resource and its end
            for i in there
        ]
        parts = list(self._parted(entries))
        if len(parts) == 1:
            return [self._draft(name, entries, there)]
        return [
            self._draft(f"{name}/{n}", entries[a:b], there[a:b]) for n, (a, b) in enumerate(parts)
        ]

    def _of(self, stamp: datetime, duration_s: int) -> tuple[str, bytes]:
        """Return a report's name by an interval, and the interval's period."""
        when = stamp.astimezone(UTC)
        period = {"start": when.strftime("%Y-%m-%dT%H:%M:%SZ"), "duration": _length(duration_s)}
        return self._name + when.strftime("%Y%m%dT%H%M%SZ"), msgspec.json.encode(period)

    def _body(self, name: str, entries: list[bytes]) -> bytes:
        told = msgspec.json.encode(name)
        return b'%b%b,"resources":[%b]}' % (self._head, told, b",".join(entries))

    def _draft(self, name: str, entries: list[bytes], positions: Sequence[int]) -> Draft:
        return Draft(name, self._body(name, entries), positions)

    @property
    def _room(self) -> int:
        """How many bytes a report has for what it says of its resources."""
        return self._limits.most_bytes - len(self._head) - len(self._name) - _VALUE * 3

    def _parted(self, entries: list[bytes]) -> Iterator[tuple[int, int]]:
        """Yield from where to where the entries go into one report, as even as the limits are."""
        room = self._room
        begin = size = 0
        for n, entry in enumerate(entries):
            size += len(entry) + 1
            if n > begin and (size > room or n - begin == self._limits.most_resources):
                yield begin, n
                begin, size = n, len(entry) + 1
        if entries:
            yield begin, len(entries)

    def _number(self, duration_s: int) -> Callable[[int], bytes]:
        if self._kind == "DEMAND":
            return lambda w: b"%d.%03d" % (w // W_PER_KW, w % W_PER_KW)
        return lambda w: repr(w * duration_s / WS_PER_KWH).encode()

    def _must_be_right(self, shape: type[Report301 | Report310]) -> None:
        """Read one body as a VTN will: a wrong shape is found before it is sent."""
        stamp = datetime(2023, 1, 1, tzinfo=UTC)
        for draft in self.write(stamp, 900, [0] * len(self._entries)):
            try:
                msgspec.json.decode(draft.body, type=shape)
            except msgspec.ValidationError as error:
                raise DataError(f"a report {draft.name} would be refused: {error}") from None
            if len(draft.body) > self._limits.most_bytes:
                raise DataError(
                    f"one resource of a report takes {len(draft.body)} bytes, and "
                    f"batch_bytes is {self._limits.most_bytes}",
                    "allow more",
                )


def halves(
    name: str, body: bytes, readings: int, shape: type[Report301 | Report310]
) -> list[Draft]:
    """Return a report in two parts with names of their own; none if it has one reading."""
    if readings < 2:
        return []
    report = msgspec.json.decode(body, type=shape)
    middle = readings // 2
    name = name if name.count("/") > 2 else name + "/"
    parts = []
    for letter, part in (("a", slice(0, middle)), ("b", slice(middle, readings))):
        new = msgspec.structs.replace(
            report, report_name=name + letter, resources=report.resources[part]
        )
        positions = range(readings)[part]
        parts.append(Draft(name + letter, msgspec.json.encode(new), positions))
    return parts


def heard(report: ReportAnswer) -> Heard:
    """Return what a VTN holds as a report: each value as power again [W].

    Raises
    ------
    ValueError
        It is no report of power or energy.
    """
    watts = count = 0
    for resource in report.resources:
        for interval in resource.intervals:
            period = interval.interval_period or resource.interval_period
            for payload in interval.payloads:
                for value in payload.values:
                    watts += _watts(payload.type, value, period)
                    count += 1
    return Heard(report.report_name or "", count, watts)


def _watts(kind: str, value: object, period: PeriodAnswer | None) -> int:
    if kind not in UNITS or not isinstance(value, int | float):
        raise ValueError(f"{value!r} as {kind} is neither power nor energy")
    if kind == "DEMAND":
        return round(value * W_PER_KW)
    length = Duration.parse((period and period.duration) or "PT0S")
    if length.months or length.exact <= timedelta(0):
        raise ValueError(f"{value!r} KWH over {length}")
    return round(value * WS_PER_KWH / length.exact.total_seconds())


def _length(duration_s: int) -> str:
    return str(Duration(exact=timedelta(seconds=duration_s)))
