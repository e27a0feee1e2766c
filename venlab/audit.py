"""The closing check: what was counted in three places, and what one has and another has not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from venlab.reportplan import Plan
from venlab.runfile import behind
from venlab.runreader import RunReader

__all__ = ["Check", "audit"]

NAMES_SHOWN = 5
WATT_S_PER_KWH = 3.6e6
MEASURED = ("measured", "measured_watt_s")  # what the simulator counted, noted when a run ends
PER_CYCLE = "SELECT cycle, readings, loads FROM deliveries ORDER BY cycle"


@dataclass(frozen=True)
class Check:
    """The closing check: what was counted in three places, and what is missing.

    Examples
    --------
    >>> print(Check(8, 9.0, 8, 9.0, 0, 0, 8, 9.0, ()))
    measured 8 = acknowledged 8 + rejected 0 + waiting 0; heard 8 = acknowledged 8
    energy: measured 9.000 kWh, heard 9.000 kWh
    nothing is missing
    """

    measured: int
    measured_kwh: float
    acknowledged: int
    acknowledged_kwh: float
    rejected: int
    waiting: int
    heard: int | None
    heard_kwh: float | None
    missing: tuple[str, ...]
    not_asked: int = 0

    @property
    def ok(self) -> bool:
        """Whether every count agrees and nothing is missing."""
        return not self.missing

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        heard = "not read back" if self.heard is None else f"{self.heard:,}"
        energy = "not read back" if self.heard_kwh is None else f"{self.heard_kwh:,.3f} kWh"
        lines = [
            f"measured {self.measured:,} = acknowledged {self.acknowledged:,} + rejected "
            f"{self.rejected:,} + waiting {self.waiting:,}; heard {heard} = acknowledged "
            f"{self.acknowledged:,}",
            f"energy: measured {self.measured_kwh:,.3f} kWh, heard {energy}",
        ]
        if self.not_asked:
            lines.append(f"the event asks for no report of {self.not_asked:,} readings beside them")
        fine = "nothing is missing"
        if self.heard is None:
            fine += " on this side; what the VTN holds is not known"
        elif absent := self.waiting + self.rejected:
            fine += f", but the VTN does not have {absent:,} of them"
        return "\n".join([*lines, *(self.missing or (fine,))])


def audit(run: RunReader) -> Check:
    """Compare what simulator, outbox and VTN counted, and name what is missing."""
    about = run.about
    kept: Any = run.rows("SELECT total(measured), total(watt_s) FROM readings")[0]
    measured, measured_ws = (about.get(k, int(n)) for k, n in zip(MEASURED, kept, strict=True))
    states = {
        state: (count, watt_s)
        for state, count, watt_s in run.rows(
            "SELECT state, sum(readings), sum(watt_s) FROM deliveries GROUP BY state"
        )
    }
    acknowledged, acknowledged_ws = states.get("acknowledged", (0, 0))
    rejected, _ = states.get("rejected", (0, 0))
    plan = Plan(*about.get("plan", ()))
    open_since, not_due, not_due_ws = _not_due(run, plan)
    waiting = not_due + sum(states.get(s, (0, 0))[0] for s in ("waiting", "in flight"))
    heard, heard_ws = _heard_sums(run) if about.get("read_back") else (None, None)
    missing = [
        *_unlike_simulator(about, kept),
        *_unlike_outbox(
            run, plan, open_since, kept, not_due_ws + sum(watt_s for _, watt_s in states.values())
        ),
        *(() if heard is None else _unlike_vtn(run, heard_ws, acknowledged_ws)),
    ]
    return Check(
        measured,
        measured_ws / WATT_S_PER_KWH,
        acknowledged,
        acknowledged_ws / WATT_S_PER_KWH,
        rejected,
        waiting,
        heard,
        None if heard_ws is None else heard_ws / WATT_S_PER_KWH,
        tuple(missing),
        about.get("not_asked", 0),
    )


def _unlike_simulator(about: dict[str, Any], kept: tuple[float, float]) -> Iterator[str]:
    if any(kept) and MEASURED[0] not in about:
        yield "simulator → run file: not compared, since the run has not ended"
    for key, stored, what in zip(MEASURED, kept, ("readings", "W·s"), strict=True):
        if (simulated := about.get(key, stored)) != stored:
            yield f"simulator → run file: {simulated:,} {what} measured, {stored:,.0f} kept"


def _not_due(run: RunReader, plan: Plan) -> tuple[float, int, int]:
    """Return the cycle from which on readings wait for a report that is not full yet; how many."""
    last = run.one("SELECT max(cycle) FROM readings")
    window = None if last is None else plan.window_of(last)
    if window and window.end > last + 1:
        sums = "total(measured), total(watt_s)"
        in_none = f"NOT EXISTS (SELECT 1 FROM deliveries WHERE cycle = {last})"
        where = f"cycle >= {window.new} AND {in_none}"
        count, watt_s = run.rows(f"SELECT {sums} FROM readings WHERE {where}")[0]
        if count:
            return window.new, int(count), int(watt_s)
    return math.inf, 0, 0


def _unlike_outbox(
    run: RunReader, plan: Plan, open_since: float, kept: tuple[float, float], told_ws: int
) -> Iterator[str]:
    if lost := list(_not_covered(run, plan, open_since)):
        yield _listed("run file → outbox: readings in no report", lost)
    elif kept[1] != told_ws:
        yield f"run file → outbox: {kept[1]:,.0f} W·s kept, {told_ws:,} in reports"


def _not_covered(run: RunReader, plan: Plan, open_since: float) -> Iterator[str]:
    """Yield the readings that no report, or more than one, carries; a cycle at a time."""
    carried = groupby(run.each(PER_CYCLE), itemgetter(0))
    number, reports = next(carried, (math.inf, iter(())))
    there: dict[int, list[bytes]] = {}
    for cycle, stamp, _, watts in run.cycles():
        window = plan.window_of(cycle)
        while number < (window.end if window else cycle + 1):
            for due, readings, loads in reports:
                for n, those in behind(loads, readings, due):
                    there.setdefault(n, []).append(those)
            number, reports = next(carried, (math.inf, iter(())))
        covered = np.frombuffer(b"".join(there.pop(cycle, ())), "<i4")
        times = np.bincount(covered, minlength=len(watts))
        wanted = (watts >= 0) & bool(window and cycle < open_since)
        for load in np.flatnonzero(times != wanted).tolist():
            yield f"{run.load_name(load)} at {stamp} in {times[load]} reports"


def _unlike_vtn(run: RunReader, heard_ws: int | None, acknowledged_ws: int) -> Iterator[str]:
    """Compare names, readings and powers at the VTN with those it acknowledged."""
    sides = (
        "SELECT name, readings FROM deliveries WHERE state = 'acknowledged'",
        "SELECT name, readings FROM heard",
    )
    for here, there, words in (
        (*sides, "outbox → VTN: acknowledged but not heard"),
        (*reversed(sides), "VTN → outbox: heard but not acknowledged"),
    ):
        names = [name for name, _ in run.rows(f"{here} EXCEPT {there} ORDER BY name")]
        if names:
            yield _listed(words, names)
    others = _of_heard(run, "SELECT h.name {there} WHERE {ws} != d.watt_s ORDER BY h.name")
    if others:
        yield _listed("VTN → lab: another power heard than sent", [name for (name,) in others])
    if heard_ws != acknowledged_ws:
        yield f"VTN → lab: {heard_ws:,} W·s heard, {acknowledged_ws:,} W·s acknowledged"


def _heard_sums(run: RunReader) -> tuple[int, int]:
    """Return readings and energy [W·s] of what the VTN holds; the length is the cycle's."""
    count = run.one("SELECT coalesce(sum(readings), 0) FROM heard")
    watt_s = _of_heard(run, "SELECT coalesce(sum({ws}), 0) {there}")[0][0]
    return count, watt_s


def _of_heard(run: RunReader, query: str) -> list[tuple[Any, ...]]:
    """Ask for what was heard, `{ws}` in W·s: a report's, where it tells what it was to tell."""
    ws, told = "h.watts * r.duration_s", ""
    if "plan" in run.about:
        ws, told = f"iif(h.watts = t.watts, d.watt_s, {ws})", "LEFT JOIN told t ON t.id = d.id"
    of_cycle = "JOIN readings r ON r.cycle = d.cycle"
    there = f"FROM heard h JOIN deliveries d ON d.name = h.name {of_cycle} {told}"
    return run.rows(query.format(ws=ws, there=there))


def _listed(words: str, names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return f"{words}: {len(names):,}, {shown}{more}"
