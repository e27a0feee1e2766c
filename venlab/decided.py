"""Decisions about events as rows of the run file, from which a run can be played again."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime

import numpy as np

from venlab.eventtext import event_of, text_of
from venlab.opting import Decision
from venlab.track import lifespan

__all__ = ["keep", "kept"]


def keep(c: sqlite3.Connection, step: int, at: datetime, decision: Decision) -> None:
    """Keep that a version of an event took effect at a step, which began at a time."""
    event, receivers = decision.event, json.dumps(decision.receivers)
    times = (t and t.isoformat() for t in lifespan(event, at))
    told = (step, event.id, event.name, event.version, *times, event.cancelled)
    row = (*told, text_of(event), receivers, decision.choices.tobytes())
    c.execute("INSERT INTO events_applied VALUES (?,?,?,?,?,?,?,?,?,?)", row)


def kept(c: sqlite3.Connection) -> list[tuple[int, Decision]]:
    """Return the decisions that took effect, and at which step, in this order."""
    rows = c.execute("SELECT step, said, receivers, choices FROM events_applied ORDER BY rowid")
    return [
        (step, Decision(event_of(said), tuple(json.loads(vens)), np.frombuffer(choices, np.uint8)))
        for step, said, vens, choices in rows
    ]
