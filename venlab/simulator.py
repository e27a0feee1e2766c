"""The loads of a fleet, step by step, and the meters that sample them.

The power of load k of resource r in a quarter of an hour is its profile's, some quarters earlier,
times the fleet's scale, the day factor of r and the noise of the load. Randomness is looked up by
(seed, town_id, resource name, what it is for, day or quarter of the mapped year): another VEN,
status, start or step changes no value. No clock, no network, no global state.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from venlab import draws
from venlab.calendar import day_type, profile_day, profile_quarter
from venlab.errors import ConfigError, RunError
from venlab.fleet import END_USES, HOUSES, Fleet
from venlab.profiles import DAYS, HEATED, QUARTERS, Profiles

__all__ = ["Meter", "Noise", "Sample", "Simulator"]

Ints = NDArray[np.int64]

QUARTER = timedelta(minutes=15)
DRAW_WITHIN_DAYS = 14


@dataclass(frozen=True)
class Noise:
    """How much a building differs from its profile: assumptions, not measurements.

    Parameters
    ----------
    day_sigma, day_memory : float
        Day factor of a resource: AR(1), mean 1, its standard deviation, and its correlation from
        one day to the next.
    quarter_sigma : float
        Relative standard deviation of each load in each quarter, independent.
    """

    day_sigma: float = 0.05
    day_memory: float = 0.7
    quarter_sigma: float = 0.05


class Simulator:
    """The power of every load of a fleet, one step after the other.

    Parameters
    ----------
    fleet : Fleet
        Resources of any status are simulated.
    profiles : Profiles
        Has the profiles that the fleet names, else a DataError.
    seed : int
        Another seed, other days and noise.
    start : datetime
        Begin of step 0, aware.
    step_min : float
        Length of a step [min]: whole quarters of an hour, of which it takes the mean, or a part of
        one, then it takes the quarter that holds its begin. Others are a ConfigError.
    noise : Noise, optional
        Spread of days and quarters.

    Attributes
    ----------
    index : int
        Steps taken so far; set it to go on from there.

    Notes
    -----
    There are only 12 houses, so each day a household draws lighting, equipment and hot water, each
    on its own, from another day of the same type within 14 days; heating is of its own day.
    """

    def __init__(
        self,
        fleet: Fleet,
        profiles: Profiles,
        *,
        seed: int,
        start: datetime,
        step_min: float,
        noise: Noise | None = None,
    ) -> None:
        if not start.tzinfo:
            raise ConfigError(f"start is {start.isoformat()}, without a zone", "use UTC")
        self._start, self._length, self.index = start.astimezone(UTC), _length(step_min), 0
        if QUARTER % self._length and self._length % QUARTER:
            raise ConfigError(f"step_min is {step_min:g}", "it must divide 15 or be a multiple")
        noise = noise or Noise()
        towns, resources = fleet.town_id[fleet.resource_ven].tolist(), fleet.resource_name.tolist()
        names = (f"{seed}|{t}|{r}" for t, r in zip(towns, resources, strict=True))
        keys = draws.keys(names, streams=10)
        self._noise, self._noise_keys = draws.normal_table(noise.quarter_sigma), keys[:, :6].copy()
        self._day_factor, self._draw_keys = _day_factors(keys[:, 6], noise), keys[:, 7:]
        self._others, self._n_others = _other_days()

        self._shift = np.rint(fleet.time_shift_min / 15).astype(np.int64)
        self._scale = fleet.load_scale(profiles)
        self._house = np.isin(fleet.profile, HOUSES)
        # A person's own meter data are taken as they are, whatever heats the building.
        simulated = ~np.isin(fleet.profile, list(profiles.measured))
        self._resistance = np.flatnonzero((fleet.heat_supply == "resistance") & simulated)
        self._table, self._cop = profiles.power_kw.ravel(), profiles.cop
        self._row = profiles.power_kw[0].size
        profile = np.array([profiles.index(n) for n in fleet.profile.tolist()])
        self._column = 6 * profile[:, None] + np.arange(6)
        # Of the day that each resource lives: where its loads begin in the table, times what.
        self._day = np.full(len(profile), -1)
        self._base, self._gain = np.empty_like(self._column), np.empty_like(self._scale)

    def time_of(self, index: int) -> datetime:
        """Return when a step begins, aware UTC."""
        return self._start + index * self._length

    def rated_kw(self) -> NDArray[np.float32]:
        """Return a power that each resource never uses more than, shape (R,) [kW].

        The sum of its six loads' highest quarters of the year, on its highest day, at the most
        noise that there is.
        """
        table = self._table.reshape(QUARTERS, -1, len(END_USES))
        most = table.max(axis=0).ravel()[self._column]
        heat = (table[:, :, [*HEATED]] * self._cop[:, None]).max(axis=0)
        profiles = self._column[self._resistance, 0] // len(END_USES)
        most[self._resistance[:, None], [*HEATED]] = heat[profiles]
        rated = (most * self._scale).sum(axis=1) * self._day_factor.max(axis=0)
        return np.asarray(rated * self._noise.max(), np.float32)

    def step(self) -> NDArray[np.float32]:
        """Return the power of the step that begins, and count it.

        Returns
        -------
        float32 array, shape (6 R,) [kW]
            Mean over the step; a new array each time. Load k of resource r is at ``6 * r + k``.
        """
        begin, quarters = self.time_of(self.index), max(1, self._length // QUARTER)
        power = self._power(begin)
        for n in range(1, quarters):
            power += self._power(begin + n * QUARTER)
        self.index += 1
        return power.ravel() / np.float32(quarters)

    def _power(self, t: datetime) -> NDArray[np.float32]:
        mapped_day, mapped_quarter = profile_quarter(t)
        now = 96 * mapped_day + mapped_quarter
        day, quarter = np.divmod((now - self._shift) % QUARTERS, 96)
        self._begin_days(np.flatnonzero(day != self._day), day)
        where = self._base + (self._row * quarter)[:, None]
        power: NDArray[np.float32] = self._table.take(where)
        for load, column in HEATED.items():  # resistance makes the heat pump's heat without it
            rows = where[self._resistance, load] // self._row
            power[self._resistance, load] *= self._cop[rows, column]
        power *= self._gain
        power *= draws.normal_factor(self._noise, draws.hashed(self._noise_keys, now))
        return power

    def _begin_days(self, who: Ints, day: Ints) -> None:
        """Let a day begin for those whose own clock passed midnight."""
        self._day[who] = day[who]
        self._base[who] = 96 * self._row * day[who, None] + self._column[who]
        self._gain[who] = self._scale[who] * self._day_factor[day[who], who][:, None]
        who = who[self._house[who]]
        for n, load in enumerate((3, 4, 5)):
            bits = draws.hashed(self._draw_keys[who, n], day[who])
            other = self._others[day[who], draws.index(bits, self._n_others[day[who]])]
            self._base[who, load] = 96 * self._row * other + self._column[who, load]


class Sample(NamedTuple):
    """The readings of one interval.

    Parameters
    ----------
    stamp : datetime
        Begin of the interval, aware UTC.
    duration_s : int
        Length of the interval [s].
    watts : int32 array, shape (6 R,) [W]
        Mean power of each load; -1 where the resource is not approved.
    """

    stamp: datetime
    duration_s: int
    watts: NDArray[np.int32]


class Meter:
    """Samples steps in intervals, and counts what it measured.

    Parameters
    ----------
    start : datetime
        Begin of the first interval and of the first step, aware.
    step_min, interval_min : float
        Lengths [min] in whole seconds; one must divide the other, else a ConfigError.

    Attributes
    ----------
    measured, measured_ws : int
        Readings of approved loads so far, and their energy [W s].

    Examples
    --------
    >>> meter = Meter(datetime(2023, 1, 1, tzinfo=UTC), step_min=15, interval_min=7.5)
    >>> meter.add(np.full(6, 0.25, np.float32))
    >>> sample = meter.read(np.array([True]))
    >>> sample.duration_s, sample.watts.tolist(), meter.measured_ws
    (450, [250, 250, 250, 250, 250, 250], 675000)
    """

    def __init__(self, start: datetime, step_min: float, interval_min: float) -> None:
        self._step, self._interval = _length(step_min), _length(interval_min)
        if self._step % self._interval and self._interval % self._step:
            problem = f"a step has {step_min:g} min, a reading {interval_min:g} min"
            raise ConfigError(problem, "one must divide the other")
        self._at = self._until = start.astimezone(UTC)
        self._steps: deque[tuple[datetime, NDArray[np.float32]]] = deque()
        self.measured = self.measured_ws = 0

    def add(self, power_kw: NDArray[np.float32]) -> None:
        """Take the power of the step that begins [kW]; the array is kept, so leave it alone."""
        self._steps.append((self._until, power_kw))
        self._until += self._step

    def read(self, approved: NDArray[np.bool_], end: datetime | None = None) -> Sample:
        """Return the next interval's readings, of whole watts.

        Parameters
        ----------
        approved : bool array, shape (R,)
            Whose loads are measured.
        end : datetime, optional
            End of the run: an interval that passes it is cut there.

        Raises
        ------
        RunError
            Its steps were not added yet, or it begins at `end` or after it.
        """
        begin = self._at
        until = min(begin + self._interval, end or self._until + self._interval)
        if not begin < until <= self._until:
            raise RunError(f"no steps to measure from {begin.isoformat()} to {until.isoformat()}")
        while self._steps[0][0] + self._step <= begin:
            self._steps.popleft()
        mean_w = np.zeros_like(self._steps[0][1])
        for first, power_kw in self._steps:
            # A step that only begins where the interval ends has no part in it.
            part = (min(first + self._step, until) - max(first, begin)) / (until - begin)
            if part > 0:
                mean_w += np.float32(1000 * part) * power_kw
        self._at = until
        there, duration_s = np.repeat(approved, 6), (until - begin) // timedelta(seconds=1)
        watts = np.where(there, np.rint(mean_w), -1).astype(np.int32)
        self.measured += int(there.sum())
        self.measured_ws += int(watts[there].sum(dtype=np.int64)) * duration_s
        return Sample(begin, duration_s, watts)


def _length(minutes: float) -> timedelta:
    try:
        length = timedelta(minutes=minutes)
    except (OverflowError, ValueError):
        length = timedelta(0)
    if length <= timedelta(0) or length % timedelta(seconds=1):
        raise ConfigError(f"a length of {minutes:g} min", "use whole seconds, at least one")
    return length


def _day_factors(keys: draws.Keys, noise: Noise) -> NDArray[np.float32]:
    """Return the day factor of each day of the mapped year and resource, shape (365, R)."""
    fresh = draws.normal_table(noise.day_sigma)
    rest = np.sqrt(1 - noise.day_memory**2)
    factors = np.empty((DAYS, len(keys)), np.float32)
    for day in range(DAYS):
        factors[day] = draws.normal_factor(fresh, draws.hashed(keys, day)) - 1
        if day:
            factors[day] = noise.day_memory * factors[day - 1] + rest * factors[day]
    return np.maximum(factors + 1, 0)


def _other_days() -> tuple[Ints, Ints]:
    """Return the other days of the same type within 14 days, and how many, for each day."""
    first = date(2023, 1, 1)
    kind = np.array([day_type(first + timedelta(days=d)) for d in range(DAYS)])
    away = np.delete(np.arange(-DRAW_WITHIN_DAYS, DRAW_WITHIN_DAYS + 1), DRAW_WITHIN_DAYS)
    near = (np.arange(DAYS)[:, None] + away) % DAYS
    # Store Bededag is gone: its day stands for no other day.
    same = (kind[near] == kind[:, None]) & (near != profile_day(date(2023, 5, 5)))
    order = np.argsort(~same, axis=1, kind="stable")
    return np.take_along_axis(near, order, axis=1), same.sum(axis=1)
