"""What one setting is: its section, its meaning, and which values it may have."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

__all__ = ["LONGEST_S", "Setting", "Value", "allowed", "interval", "problem", "setting"]

LONGEST_S = 86_400.0
Value = bool | int | float | str
Setting = dataclasses.Field[Any]


def setting(
    default: Value,
    section: str,
    meaning: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare one setting: `low` and `high` belong to its range, `above` does not."""
    limits = {"low": low, "high": high, "above": above, "choices": choices}
    return dataclasses.field(
        default=default, metadata={"section": section, "meaning": meaning, **limits}
    )


def interval(default_s: float, meaning: str) -> Any:
    """Declare how often something is done: the agenda counts in µs, and a run has an end."""
    return setting(default_s, "schedule", meaning, low=0.001, high=LONGEST_S)


def allowed(setting: Setting) -> str:
    """Return which values a setting may have, in words."""
    m, kind = setting.metadata, type(setting.default).__name__
    if m["choices"]:
        return "one of " + ", ".join(repr(c) for c in m["choices"])
    if m["above"] > -math.inf:
        return f"{kind} above {m['above']:g}" + (
            f", at most {m['high']:g}" if m["high"] < math.inf else ""
        )
    if m["high"] < math.inf:
        return f"{kind} from {m['low']:g} to {m['high']:g}"
    return f"{kind} of at least {m['low']:g}" if m["low"] > -math.inf else kind


def problem(setting: Setting, value: Any) -> str:
    """Return what is wrong with a value, with what is allowed; empty if nothing."""
    kind, m = type(setting.default), setting.metadata
    fits = type(value) is kind or (kind is float and type(value) is int)
    if fits and kind in (int, float):
        fits = m["low"] <= value <= m["high"] and value > m["above"]
    if fits and m["choices"]:
        fits = value in m["choices"]
    return "" if fits else f"{setting.name} is {value!r}, allowed is {allowed(setting)}"
