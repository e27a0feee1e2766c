"""What a price, a level, an offset or an alert asks of loads: one scale from 0 to 3."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from venlab.errors import ConfigError
from venlab.model import Event
from venlab.track import Active

__all__ = [
    "CAPS",
    "LIMIT",
    "RELATIVE",
    "SUBSCRIPTION",
    "PriceRule",
    "is_understood",
    "level_of",
    "number_of",
]

HIGHEST = 3.0
OFFSETS = {"CONTROL_LEVEL_OFFSET": 10.0, "CONTROL_LEVEL_OFFSET_PERCENT": 1.0}
EMERGENCIES = ("ALERT_GRID_EMERGENCY", "ALERT_BLACK_START")
LIMIT, SUBSCRIPTION = "IMPORT_CAPACITY_LIMIT", "IMPORT_CAPACITY_SUBSCRIPTION"
SETPOINT, RELATIVE = "DISPATCH_SETPOINT", "DISPATCH_SETPOINT_RELATIVE"
CAPS = (LIMIT, SUBSCRIPTION, SETPOINT, RELATIVE)
"""Signals that say how much may be used, in kW, and no level."""


@dataclass(frozen=True)
class PriceRule:
    """From which price on loads answer: how many times the mean of the prices that the event has.

    An assumption: that Danish retail prefers responses led by prices is known (doi
    10.1186/s42162-019-0073-3), from which price on is not.

    Parameters
    ----------
    times_mean : three floats
        Where levels 1, 2 and 3 begin, rising; else a ConfigError.

    Examples
    --------
    >>> rule = PriceRule()
    >>> [rule.level(price, mean=2.0) for price in (1.0, 2.4, 2.5, 3.5, 9.0)]
    [0.0, 0.0, 1.0, 2.0, 3.0]
    """

    times_mean: tuple[float, float, float] = (1.25, 1.5, 2.0)

    def __post_init__(self) -> None:
        if not 0 < self.times_mean[0] <= self.times_mean[1] <= self.times_mean[2]:
            raise ConfigError(f"times_mean is {self.times_mean}", "use three rising numbers")

    def level(self, price: float, mean: float) -> float:
        """Return the level that a price asks for; none where prices are not above 0 in the mean.

        Parameters
        ----------
        price, mean : float
            In the same unit.
        """
        if mean <= 0:
            return 0.0
        return float(sum(price >= times * mean for times in self.times_mean))


def level_of(type_: str, active: Active, rule: PriceRule) -> float:
    """Return the level, 0 to 3, that a signal asks for; 0 where it asks for none.

    SIMPLE says it; CONTROL_LEVEL_OFFSET goes from 0 to 10, and its PERCENT from 0 to 1, the higher
    the less consumption (3.1.0 Definition), so 10 is level 3; an emergency is level 3. Loads here
    give way, they do not use more than they would: an offset below 0 asks for nothing.

    Parameters
    ----------
    type_ : str
        Of the signal.
    active : Active
        What it asks for.
    rule : PriceRule
        What a price asks for.
    """
    value = number_of(active.value)
    if type_ in EMERGENCIES:
        return HIGHEST
    if value is None:
        return 0.0
    if type_ == "SIMPLE":
        return min(max(value, 0.0), HIGHEST)
    if type_ in OFFSETS:
        return min(max(value / OFFSETS[type_], 0.0), 1.0) * HIGHEST
    if type_ == "PRICE":
        return rule.level(value, _mean_price(active.event))
    return 0.0


def is_understood(event: Event) -> Mapping[str, bool]:
    """Return for each type of signal in an event whether loads do anything about it."""
    known = {"SIMPLE", "PRICE", *OFFSETS, *EMERGENCIES, *CAPS}
    return {signal.type: signal.type in known for i in event.intervals for signal in i.signals}


def _mean_price(event: Event) -> float:
    prices = [
        number
        for interval in event.intervals
        for signal in interval.signals
        if signal.type == "PRICE"
        for number in map(number_of, signal.values)
        if number is not None
    ]
    return sum(prices) / len(prices) if prices else 0.0


def number_of(value: object) -> float | None:
    """Return the number that a value is, None where it is none or not finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None
