"""Exercises of the lessons: an answer is checked, and what is off is said kindly."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from html import escape
from numbers import Real
from textwrap import fill
from typing import Any

import msgspec
import numpy as np

from venlab.errors import ConfigError
from venlab.profiles import Profiles
from venlab.simulator import Simulator
from venlab.tables import near
from venlab.wire.flat_shapes import ReportRequest

__all__ = ["Verdict", "beside", "brief", "check"]

WIDTH = 100  # of a line of JSON
CLOSE = 0.01  # how far off a right number may be: a rounded one is right


@dataclass(frozen=True, repr=False)
class Verdict:
    """What `check` says: true only where the answer is right; `ok` is None where there is none."""

    ok: bool | None
    words: str

    def __bool__(self) -> bool:
        return self.ok is True

    def __repr__(self) -> str:
        return f"{'…' if self.ok is None else '✔' if self.ok else '✘'} {self.words}"

    def _repr_html_(self) -> str:
        colour = "#7F7F7F" if self.ok is None else "#009E73" if self.ok else "#D55E00"
        style = f"border-left: 4px solid {colour}; padding: 2px 10px"
        return f'<div style="{style}">{escape(repr(self))}</div>'


def check(name: str, answer: object, *given: Any) -> Verdict:
    """Check the answer to an exercise of a lesson.

    Parameters
    ----------
    name : str
        The exercise, as its cell names it; an unknown one is a ConfigError.
    answer : object
        A number, or a report as a dict; ``...`` where there is none yet.
    *given : object
        What the question is about, as its cell hands it over; else a ConfigError.

    Examples
    --------
    >>> check("vtn.energy", 2.4 * 7.5, 2.4, 7.5)
    ✘ 18 kWh is 60 times too much: minutes were counted, and a kWh counts hours
    """
    if name not in _EXERCISES:
        raise ConfigError(f"there is no exercise {name}{near(name, _EXERCISES)}")
    right, unit, slips = _EXERCISES[name]
    if len(given) != right.__code__.co_argcount:
        raise ConfigError(f"{name} was given {len(given)} things", "run its cell as it was written")
    if answer is ...:
        return Verdict(None, "not answered yet: put your answer where the three dots are")
    if name.startswith("vtn.mend"):
        return _mended(answer, right(*given))
    return _number(answer, right(*given), unit, slips)


def beside(sent: Mapping[str, Any], status: int, said: Mapping[str, Any]) -> Any:
    """Return a report beside what a VTN says to it, member by member, as a table to look at.

    Parameters
    ----------
    sent, said : mapping
        The report's JSON and the answer's.
    status : int
        Status of the answer.
    """
    import pandas as pd

    told: dict[str, list[str]] = {}
    detail = said.get("detail", "")
    for problem in [] if isinstance(detail, str) else detail:
        _, member, *inside = map(str, problem["loc"])
        told.setdefault(member, []).append(": ".join([*inside[-1:], problem["msg"]]))
    shown = {k: json.dumps(v, ensure_ascii=False) for k, v in sent.items()}
    rows = {m: [shown.get(m, "(not there)"), "; ".join(told.get(m, []))] for m in {**shown, **told}}
    heads: list[Any] = ["what was sent", f"what the VTN answers: {status}"]
    left: Any = {"selector": "th, td", "props": [("text-align", "left")]}
    table = pd.DataFrame.from_dict(rows, "index", columns=heads).style.set_table_styles([left])
    return table.set_properties(heads[1:], color="#D55E00")


def brief(report: Mapping[str, Any]) -> str:
    """Return a report's JSON to look at: of each list the first, and how many follow.

    Parameters
    ----------
    report : mapping
        The report's JSON.

    Examples
    --------
    >>> print(brief({"reportName": "a", "resources": [{"values": [0.3]}, {}, {}]}))
    {
      "reportName": "a",
      "resources": [{"values": [0.3]}, "… and 2 more"]
    }
    """
    members = (
        f"{json.dumps(k)}: {json.dumps(_first(v), ensure_ascii=False)}" for k, v in report.items()
    )
    lay = partial(fill, width=WIDTH, initial_indent="  ", subsequent_indent=" " * 6)
    lines = (lay(member, break_long_words=False, break_on_hyphens=False) for member in members)
    return "{\n" + ",\n".join(lines) + "\n}"


def _first(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _first(inner) for key, inner in value.items()}
    if isinstance(value, list):
        more = [f"… and {len(value) - 1:,} more"] if len(value) > 1 else []
        return [*map(_first, value[:1]), *more]
    return value


def _number(answer: object, right: float, unit: str, slips: Mapping[float, str]) -> Verdict:
    if not right > 0:
        return Verdict(True, "there is none of it on this day, so any answer will do")
    if not isinstance(answer, Real) or isinstance(answer, bool) or not math.isfinite(answer):
        return Verdict(
            False, f"one plain number is wanted, this is of type {type(answer).__name__}"
        )
    shown, ratio = f"{float(answer):.6g} {unit}".strip(), float(answer) / right
    if abs(ratio - 1) <= CLOSE:
        return Verdict(True, f"right: {shown}")
    size = f"{ratio:.3g} times too much" if ratio > 1 else f"{ratio:.3g} of what it should be"
    known = {1 / right**2: "that is the right fraction turned round"} | dict(slips)
    hint = next((words for slip, words in known.items() if abs(ratio / slip - 1) <= CLOSE), "")
    return Verdict(False, f"{shown} is {size}" + (f": {hint}" if hint else ""))


def _mended(answer: object, good: Mapping[str, Any]) -> Verdict:
    """Compare a report with the one that is meant: first its shape, then what it says."""
    try:
        said = msgspec.to_builtins(msgspec.convert(answer, ReportRequest))
        off = datetime.fromisoformat(said["start"]) - datetime.fromisoformat(good["start"])
    except (msgspec.ValidationError, ValueError) as error:
        return Verdict(False, f"the VTN would refuse it: {error}")
    wrong = [n for n in good if said[n] != good[n] and n not in ("report_name", "start")]
    if not off and not wrong:
        return Verdict(True, "right: the VTN takes it")
    words = f"start is {off.total_seconds() / 60:+g} min away from the interval's; Z means UTC"
    if wrong:
        words = f"{wrong[0]} is {said[wrong[0]]!r}, it was {good[wrong[0]]!r}"
    return Verdict(False, f"its shape is right, but {words}")


def _heat_pumps_kwh(fleet: Any, p: Any) -> float:
    """Return a day's heating electricity of a fleet where everybody has a heat pump [kWh]."""
    pumps = replace(fleet, heat_supply=np.full(fleet.n_resources, "heat_pump"))
    simulator = Simulator(pumps, Profiles.load(), seed=p.seed, start=p.start_utc(), step_min=15)
    return sum(float(simulator.step()[::6][fleet.approved].sum()) for _ in range(96)) / 4


_HOURS = {4.0: "a quarter of an hour at 1 kW is 0.25 kWh", 1000.0: "1000 W are one kW"}
_MINUTES = {60.0: "minutes were counted, and a kWh counts hours", 2.0: "that is a whole step's"}
_SIX = {1 / 6: "a building has six loads", 1 / 24: "that is an hour's, a day has 24"}
_EXERCISES: dict[str, tuple[Any, str, dict[float, str]]] = {
    "tour.readings": (lambda loads, p: loads * 24 * 60 / p.interval_min, "readings", _SIX),
    "tour.energy": (lambda check: check.measured_kwh, "kWh", _HOURS),
    "fleet.energy": (lambda day: float(day.sum()) / 4, "kWh", _HOURS),
    "fleet.coincidence": (
        lambda kw: kw.sum(axis=1).max() / max(kw.max(axis=0).sum(), 1e-9),
        "",
        {},
    ),
    "fleet.heat_pumps": (_heat_pumps_kwh, "kWh", _HOURS),
    "vtn.energy": (lambda power_kw, minutes: power_kw * minutes / 60, "kWh", _MINUTES),
    **{f"vtn.mend_{n}": (lambda good: good, "", {}) for n in (1, 2, 3)},
    "time.cycles": (lambda p: p.steps * p.simulate_every_s / p.report_every_s, "cycles", {}),
    "time.speed": (
        lambda p: 24 * 60 / p.step * p.simulate_every_s / 60,
        "",
        {60.0: "a minute has 60 s"},
    ),
    "break.backlog": (
        lambda away_min, per_s: away_min * 60 * per_s,
        "readings",
        {1 / 60: "a minute has 60 s", 1 / 6: "a building has six loads"},
    ),
    "break.drain": (
        lambda backlog, limit_and_new: backlog / (limit_and_new[0] - limit_and_new[1]),
        "s",
        {0.448: "new readings keep coming meanwhile"},
    ),
    "break.twice": (
        lambda sent: sent,
        "reports",
        {2.0: "each has one name, and a name one report"},
    ),
    "standard.requests": (
        lambda loads, vens: loads / vens,
        "times",
        {1 / 6: "a building has six loads, and each has a report of its own in flat"},
    ),
    "standard.demand": (
        lambda kwh, minutes: kwh / (minutes / 60),
        "kW",
        {0.125: "the number was copied: USAGE is energy, DEMAND is power"},
    ),
    "standard.pages": (
        lambda resources, limit: math.ceil(resources / limit),
        "pages",
        {1 / 6: "that is flat's page of 1,000; the standard gives 50 at most"},
    ),
    "outside.requests": (
        lambda every_s, vens: 60 / every_s * vens,
        "requests",
        {1 / 60: "that is in a second, a minute has 60"},
    ),
    "outside.twice": (lambda sent, again: sent + again, "reports", {}),
    "time.drift": (lambda body_s, every_s: 86400 / every_s * body_s, "s", {}),
}
