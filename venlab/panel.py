"""How a run is going, as HTML and SVG text: far cheaper than a figure, in the page's colours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from venlab.calendar import TZ
from venlab.canvas import END_USE_COLOURS, OUTCOME_COLOURS, power_unit
from venlab.fleet import END_USES, LOADS
from venlab.lab import Lab
from venlab.model import Event, Signal
from venlab.player import Status
from venlab.track import lifespan

__all__ = ["ENDED", "events", "figure", "head", "page", "speed_words", "style", "vens", "words"]

POINTS = 240  # of the figure: more steps than that are averaged
WINDOW_STEPS = 12  # the least that its time axis shows
TICKS = 6  # on the time axis, about
TICK_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080, 43200)
TONES = {"running": "good", "paused": "warn", "done": "good", "stopped": "warn", "failed": "bad"}
ENDED = ("done", "stopped", "failed")
LATE_S = 1.0  # a lag that is worth a mark


def page(lab: Lab, status: Status, problem: str = "") -> str:
    """Return the whole picture, which needs nothing else to be read."""
    pieces = head(lab, status, problem), figure(lab, status)
    table = f'<div class="vl-scroll">{vens(lab, status)}</div>'
    return f'<div class="vl-dash">{style()}{"".join(pieces)}{table}{events(status)}</div>'


def style() -> str:
    """Return the style sheet with the colours that `venlab.plots` gives to outcomes."""
    names = {"acknowledged": "good", "waiting": "warn", "rejected": "bad"}
    colours = "".join(f"--{names[what]}:{colour};" for what, colour in OUTCOME_COLOURS.items())
    sheet = Path(__file__).with_name("dashboard.css").read_text(encoding="utf-8")
    return f"<style>.vl-dash {{{colours}}}\n{sheet}</style>"


def words(lab: Lab, status: Status) -> tuple[str, str]:
    """Say in a word or two what the lab does, and what there is to know about it."""
    waiting = f"{status.waiting:,} readings"
    draining = status.state == "running" and status.cycle == status.cycles
    if draining:
        return "Sending what is left", waiting
    if status.state in ENDED and status.waiting:
        return status.state.capitalize(), f"{waiting} wait in {lab.folder}"
    if status.state == "registering":
        done, of = len(lab.roster.resource_ids), lab.fleet.n_resources
        return "Registering", f"{done:,} of {of:,} resources"
    return {"new": "Not registered yet", "registered": "Ready"}.get(
        status.state, status.state.capitalize()
    ), ""


def speed_words(speed: float) -> str:
    """Return a speed as a person says it.

    Examples
    --------
    >>> speed_words(60.0), speed_words(float("inf"))
    ('60 ×', 'no waiting')
    """
    return f"{speed:g} ×" if np.isfinite(speed) else "no waiting"


def head(lab: Lab, status: Status, problem: str = "") -> str:
    """Return what changes all the time: state, progress, numbers."""
    title, detail = words(lab, status)
    vens = lab.fleet.n_vens
    fleet = f"{vens:,} VEN{'s' * (vens > 1)}, {int(lab.roster.approved.sum()):,} resources"
    trouble = problem or status.problem
    mark = _mark(TONES.get(status.state, ""), "vl-dot")
    return (
        f'<div class="vl-head"><div class="vl-row">'
        f'<span class="vl-state vl-grow">{mark}{title}</span>'
        f'<span class="vl-faint">{fleet}</span>{_vtn(status)}'
        + (f'<span class="vl-faint vl-detail">{escape(detail)}</span>' if detail else "")
        + "</div>"
        + (f'<div class="vl-notice">{escape(trouble)}</div>' if trouble else "")
        + _bar(*(int(counts.sum()) for counts in _counts(lab, status)))
        + f'<div class="vl-tiles">{"".join(_tiles(lab, status))}</div>{_failed(status)}</div>'
    )


# -- numbers ----------------------------------------------------------------------------------


def _counts(lab: Lab, status: Status) -> tuple[NDArray[np.int64], ...]:
    """Return readings of each VEN: acknowledged, waiting, rejected, expected in the whole run."""
    none = np.zeros(lab.fleet.n_vens, np.int64)
    if status.measured is None or status.acknowledged is None or status.rejected is None:
        return none, none, none, none
    approved = lab.fleet.resource_ven[lab.roster.approved]
    a_cycle = np.bincount(approved, minlength=lab.fleet.n_vens) * len(LOADS)
    expected = status.measured + a_cycle * (status.cycles - status.cycle)
    waiting = status.measured - status.acknowledged - status.rejected
    return status.acknowledged, waiting, status.rejected, expected


def _tiles(lab: Lab, status: Status) -> Iterator[str]:
    acknowledged, waiting, rejected, expected = (int(c.sum()) for c in _counts(lab, status))
    measured = acknowledged + waiting + rejected
    late = "warn" if status.lag_s > LATE_S else ""
    yield _tile("Cycle", f"{status.cycle:,}", f"of {status.cycles:,}" if status.cycles else "")
    yield _tile("Simulated time", *_simulated(lab, status))
    yield _tile("Left", *_left(lab, status))
    yield _tile("Measured", f"{measured:,}", f"of {expected:,}" if expected else "readings")
    rate = _rate(acknowledged, measured)
    yield _tile("Acknowledged", f"{acknowledged:,}", f"success rate {rate}")
    again = 0 if status.retried is None else int(status.retried.sum())
    repeated = f"{again:,} sent again" if again else ""
    yield _tile("Waiting", f"{waiting:,}", repeated, "" if status.vtn_up else "warn")
    yield _tile("Rejected", f"{rejected:,}", "", "bad" if rejected else "")
    yield _tile("Lag", f"{status.lag_s:.2f} s", "behind schedule", late)


def _failed(status: Status) -> str:
    """Say how many of the last requests were not taken, by outcome, with their median latency."""
    failed = [each for each in status.answers if each.outcome != "taken"]
    if not failed:
        return ""
    said = ", ".join(f"{n:,} {what} ({p50_ms:.0f} ms)" for what, n, p50_ms, _ in failed)
    of = sum(each.requests for each in status.answers)
    return f'<div class="vl-faint">Of the last {of:,} reports: {said}</div>'


def _tile(label: str, value: str, note: str = "", tone: str = "") -> str:
    mark = _mark(tone, "vl-dot") if tone else ""
    return (
        f'<div><div class="vl-label">{label}</div><div class="vl-value">{mark}{value}</div>'
        f'<div class="vl-note">{note}</div></div>'
    )


def _rate(acknowledged: int, measured: int) -> str:
    """Return a share cut, not rounded: 100.0 % means that not one is missing."""
    return f"{acknowledged * 1000 // measured / 10:.1f} %" if measured else "–"


def _simulated(lab: Lab, status: Status) -> tuple[str, str]:
    if not status.end_s:
        return _local(lab.simulator.time_of(0)).strftime(
            "%H:%M"
        ), f"{_local(lab.simulator.time_of(0)):%a %d %b}"
    share = min(1.0, status.schedule_s / status.end_s)
    now = _local(lab.simulator.time_of(0) + share * _length(lab))
    return f"{now:%H:%M}", f"{now:%a %d %b}"


def _left(lab: Lab, status: Status) -> tuple[str, str]:
    if status.state not in ("running", "paused"):
        return "–", ""
    speed = lab.clock.speed
    if not np.isfinite(speed):
        return "–", speed_words(speed)
    left_s = max(0.0, status.end_s - status.schedule_s) / speed
    return str(timedelta(seconds=round(left_s))), f"at {speed_words(speed)}"


def _vtn(status: Status) -> str:
    if status.measured is None:
        return ""
    tone, word = ("good", "up") if status.vtn_up else ("bad", "away")
    return f"<span>{_mark(tone, 'vl-dot')}VTN {word}{_answers_in(status)}</span>"


def _answers_in(status: Status) -> str:
    """Say how fast the VTN takes reports, while it is there."""
    for what, _, p50_ms, p99_ms in status.answers:
        if what == "taken" and status.vtn_up:
            said = f"answers in {p50_ms:.0f} ms, 99 % below {p99_ms:.0f} ms"
            return f'<span class="vl-faint">, {said}</span>'
    return ""


def _bar(acknowledged: int, waiting: int, rejected: int, expected: int) -> str:
    parts = (("good", acknowledged), ("warn", waiting), ("bad", rejected))
    pieces = (
        f'<i class="vl-{tone}" style="width:{100 * count / expected:.4g}%"></i>'
        for tone, count in parts
        if count
    )
    return f'<div class="vl-bar">{"".join(pieces)}</div>'


def _mark(tone: str, shape: str = "", colour: str = "") -> str:
    drawn = f' style="background:{colour}"' if colour else ""
    return f'<span class="vl-mark {shape}{f" vl-{tone}" if tone else ""}"{drawn}></span>'


# -- power against time -------------------------------------------------------------------------


def figure(lab: Lab, status: Status) -> str:
    """Return the fleet's power against time, stacked by end use, and what the colours mean."""
    power_kw = np.array([kw for _, kw in status.power_kw]).reshape(-1, len(END_USES))
    highest_kw = power_kw.sum(axis=1).max(initial=0)
    unit, scale = power_unit(highest_kw)
    every = _nice(highest_kw / scale)
    top = every * max(1, np.ceil(highest_kw / scale / every))
    levels = np.arange(0, top + every / 2, every) if status.power_kw else np.zeros(1)
    lines = "".join(f'<path d="M0 {100 - 100 * v / top:.4g}H1000"/>' for v in levels[1:])
    ticks = (
        f'<span class="vl-y" style="top:{100 - 100 * v / top:.4g}%">{v:,g}</span>' for v in levels
    )
    begin, span = _window(lab, status)
    ends = [(at + _step(lab) - begin) / span * 1000 for at, _ in status.power_kw]
    layers = _layers(np.array([0.0, *ends]), power_kw / scale / top)
    empty = "" if status.power_kw else '<span class="vl-empty">nothing is simulated yet</span>'
    return (
        f'<div class="vl-power"><div class="vl-figure">'
        f'<div class="vl-label">Fleet power [{unit}] by end use, Copenhagen time</div>'
        f'<div class="vl-plot"><svg viewBox="0 0 1000 100" preserveAspectRatio="none">'
        f'{"".join(layers)}<g class="vl-grid">{lines}</g></svg>'
        f"{''.join(ticks)}{''.join(_time_ticks(begin, begin + span))}{empty}</div></div>"
        f"{_key(power_kw, unit, scale)}</div>{_ven_key()}"
    )


def _window(lab: Lab, status: Status) -> tuple[datetime, timedelta]:
    """Return what the time axis shows: it doubles as it fills, up to the whole run."""
    begin, last = lab.simulator.time_of(0), lab.simulator.time_of(0)
    if status.power_kw:
        begin, last = status.power_kw[0][0], status.power_kw[-1][0] + _step(lab)
    whole = lab.simulator.time_of(0) + _length(lab) - begin
    span = WINDOW_STEPS * _step(lab)
    while span < last - begin:
        span *= 2
    return begin, min(span, whole)


def _layers(edges: NDArray[np.float64], share: NDArray[np.float64]) -> Iterator[str]:
    """Yield an area of steps for each end use, from the top of the stack down to its ground."""
    first = np.arange(0, len(share), -(-len(share) // POINTS) or 1)
    if not len(first):
        return
    counts = np.diff([*first, len(share)])
    tops = np.cumsum(np.add.reduceat(share, first) / counts[:, None], axis=1)
    ends = edges[first + counts]
    for use, heights in reversed(list(zip(END_USES, tops.T, strict=True))):
        steps = "".join(
            f"V{100 - 100 * h:.4g}H{end:.5g}" for h, end in zip(heights, ends, strict=True)
        )
        yield f'<path fill="{END_USE_COLOURS[use]}" d="M0 100{steps}V100Z"/>'


def _nice(highest: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that divides an axis into some five parts."""
    rough = (highest or 5.0) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= rough))


def _time_ticks(begin: datetime, end: datetime) -> Iterator[str]:
    """Yield local times, at whole hours or minutes of the day where they are many."""
    minutes = (end - begin).total_seconds() / 60
    every = timedelta(minutes=next((m for m in TICK_MIN if minutes / m <= TICKS), minutes))
    midnight = _local(begin).replace(hour=0, minute=0, second=0, microsecond=0)
    at = midnight + every * -(-(_local(begin) - midnight) // every)
    written = "%H:%M" if every < timedelta(days=1) else "%a %d"
    while at <= end:
        share = 100 * ((at - begin) / (end - begin))
        yield f'<span class="vl-x" style="left:{share:.4g}%">{at:{written}}</span>'
        at += every


def _key(power_kw: NDArray[np.float64], unit: str, scale: float) -> str:
    """Return what the colours mean, with the power of the last step."""
    now = power_kw[-1] / scale if len(power_kw) else np.full(len(END_USES), np.nan)
    digits = 2 if unit == "MW" else 0

    def row(name: str, value: float, kind: str = "") -> str:
        number = "–" if np.isnan(value) else f"{value:,.{digits}f}"
        return f"<div{kind}><span>{name}</span><span>{number}</span></div>"

    uses = (
        row(_mark("", "", END_USE_COLOURS[use]) + use.replace("_", " "), value)
        for use, value in reversed(list(zip(END_USES, now, strict=True)))
    )
    total = row(f"last step [{unit}]", float(now.sum()), ' class="vl-sum"')
    return f'<div class="vl-key">{total}{"".join(uses)}</div>'


# -- VENs and events ----------------------------------------------------------------------------


def _ven_key() -> str:
    meanings = (("good", "acknowledged"), ("warn", "waiting"), ("bad", "rejected"))
    key = " ".join(_mark(tone) + what for tone, what in meanings)
    return (
        '<div class="vl-label vl-row"><span class="vl-grow">VENs: progress, readings acknowledged,'
        f' success rate</span><span class="vl-legend">{key}</span></div>'
    )


def vens(lab: Lab, status: Status) -> str:
    """Return a cell for each VEN: progress, acknowledged, success rate; more where one points."""
    names = [escape(str(name)) for name in lab.fleet.ven_name]
    counts = (c.tolist() for c in _counts(lab, status))
    cells = (
        f'<div title="{name}: {a:,} acknowledged, {w:,} waiting, {r:,} rejected">'
        f"<span>{name}</span>{_bar(a, w, r, of)}<span>{a:,}</span>"
        f'<span class="vl-faint">{_rate(a, a + w + r)}</span></div>'
        for name, a, w, r, of in zip(names, *counts, strict=True)
    )
    return f'<div class="vl-vens">{"".join(cells)}</div>'


def events(status: Status) -> str:
    """Return the events that were seen last, the newest first."""
    rows = "".join(_event(event) for event in reversed(status.events))
    table = f'<div class="vl-events">{rows}</div>' if rows else ""
    return f'<div class="vl-label">Last events{"" if rows else ": none yet"}</div>{table}'


def _event(event: Event) -> str:
    state = "cancelled" if event.cancelled else f"version {event.version}"
    cells = (_when(event), event.name, _asked(event.signal), state)
    return "".join(f"<span>{escape(cell)}</span>" for cell in cells)


def _when(event: Event) -> str:
    begin, end = (t and _local(t) for t in lifespan(event))
    if not begin:
        return "when received"
    same_day = end and begin.date() == end.date()
    last = f"{end:{'%H:%M' if same_day else '%a %d %b %H:%M'}}" if end else ""
    return f"{begin:%a %d %b %H:%M}–{last}"


def _asked(signal: Signal | None) -> str:
    if not signal:
        return ""
    first = next(iter(signal.values), "")
    value = f"{first:g}" if isinstance(first, float) else f"{first}"
    return f"{signal.type} {value} {signal.unit}".strip()


def _local(at: datetime) -> datetime:
    return at.astimezone(ZoneInfo(TZ))


def _step(lab: Lab) -> timedelta:
    return timedelta(minutes=lab.config.step)


def _length(lab: Lab) -> timedelta:
    return lab.config.steps * _step(lab)
