"""The same-day adjustment: a baseline is moved by how the day of the event began."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from venlab.baselines.meters import Array, mean, ratio
from venlab.errors import ConfigError

if TYPE_CHECKING:
    from venlab.baselines.case import Case

__all__ = ["Adjustment"]


@dataclass(frozen=True)
class Adjustment:
    """Move a baseline by what the meter used more, or less, than it in the hours before the event.

    CAISO multiplies by measured ÷ baseline, kept within 0.8 to 1.2, PJM adds the difference. A
    window must not touch what the event itself causes: cooling ahead before it, the rebound after.

    Parameters
    ----------
    kind : "additive" or "multiplicative"
        Whether the difference of the means is added, or their ratio multiplied. A ratio is not
        used where the baseline is not above zero.
    hours : float
        How long the window before the event is [h].
    gap_h : float
        How long before the event it ends [h].
    limits : tuple of float
        The least and the most that it may change, as shares of the unadjusted baseline's mean in
        the event; ``(0, math.inf)`` moves it up only and without a cap.
    after_h : float
        How many hours after the event, beginning `gap_h` after it, count too (PG&E) [h].

    Raises
    ------
    ConfigError
        A value that makes no window or no limits.
    """

    kind: Literal["additive", "multiplicative"] = "additive"
    hours: float = 4.0
    gap_h: float = 1.0
    limits: tuple[float, float] = (-0.2, 0.2)
    after_h: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.limits
        if self.kind not in ("additive", "multiplicative"):
            raise ConfigError(f"adjustment {self.kind!r}", "use additive or multiplicative")
        if not (self.hours > 0 and self.gap_h >= 0 and self.after_h >= 0):
            raise ConfigError(f"{self} has no window", "give hours above 0 and no negative gap")
        if not low <= 0 <= high:
            raise ConfigError(f"limits {self.limits}", "give the least, then the most: (-0.2, 0.2)")

    @property
    def before_h(self) -> float:
        """How long before the event its window begins [h]."""
        return self.hours + self.gap_h

    def applied(self, case: Case, base: Array) -> tuple[Array, Array, list[str]]:
        """Return the baseline moved [kW], by how much in the event [kW], and a note for each."""
        window = case.around(self.hours, self.after_h, self.gap_h)
        there = ~np.isnan(case.actual[window] + base[window])
        level = mean(base[case.in_event])
        was, said = (mean(np.where(there, x[window], np.nan)) for x in (case.actual, base))
        if self.kind == "additive":
            asked = was - said
            low, high = (x if math.isinf(x) else x * abs(level) for x in self.limits)
            moved = np.clip(asked, low, high)
            shift: Array = np.broadcast_to(moved, base.shape)
        else:
            asked = np.where(said > 0, ratio(was, said), np.nan) - 1
            moved = np.clip(asked, *self.limits)
            shift = base * moved
        usable = ~np.isnan(asked) & (there.sum(axis=0) * 2 >= window.sum())
        capped = usable & ~np.isclose(asked, moved, rtol=1e-9, atol=1e-12)
        shift = np.where(usable, shift, 0.0)
        notes = np.where(usable, "", "not adjusted: too little before the event to compare")
        at = ["" if math.isinf(x) else f"{x:+.0%}" for x in self.limits]
        cap = np.where(asked < moved, at[0], at[1])
        words = [
            f"adjustment capped at {c}" if hit else n
            for hit, c, n in zip(capped, cap, notes, strict=True)
        ]
        return base + shift, mean(shift[case.in_event]), words
