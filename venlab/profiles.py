"""Load profiles: what 16 building types and 12 houses use in each quarter of Danish 2023.

They are simulated (EnergyPlus under Øresund weather, CREST), not measured: ``data/SOURCES.md``.
A person's own meter data stands beside them under a name of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from venlab.errors import DataError
from venlab.platforms import data_dir
from venlab.tables import near, read_schema, read_table

__all__ = ["DAYS", "HEATED", "QUARTERS", "Profiles"]

DAYS = 365
QUARTERS = 96 * DAYS
HEATED = {0: 0, 5: 1}
"""The loads that a heat pump feeds, each with its column of the COPs."""

# Quarters of local 2023 at which the clock was put forward (26 March, 02:00) and back (29 October,
# 03:00). Between them local time runs an hour, four quarters, ahead of the year's winter clock.
_SUMMER_TIME = (96 * 84 + 8, 96 * 301 + 12)
_BEGIN = datetime(2022, 12, 31, 23, tzinfo=UTC)


@dataclass(frozen=True, eq=False, repr=False)
class Profiles:
    """Mean power of six loads by local quarter of 2023, for each profile.

    Parameters
    ----------
    names : tuple of str, length K
        Building types, then houses, then a person's own.
    power_kw : float32 array, shape (35040, K, 6) [kW]
        The row of local quarter q of day d is ``96 * d + q``. The hour that spring leaves out
        repeats the hour before; of the one that autumn repeats, the first is taken.
    floor_area_m2 : float64 array, shape (K,) [m²]
        Size of the building behind a profile.
    cop : float32 array, shape (35040, 2)
        Heat ÷ electricity of the heat pumps behind the simulated profiles, for heating and for hot
        water: the formulas of When2Heat (Ruhnau et al. 2019, Scientific Data 6, 189) at 2023's
        temperatures, so the same for all of them.
    measured : frozenset of str, optional
        Which names are a person's own meter data.

    Examples
    --------
    >>> Profiles.load()
    Profiles: 28 load profiles, 0 of them measured
    """

    names: tuple[str, ...]
    power_kw: NDArray[np.float32]
    floor_area_m2: NDArray[np.float64]
    cop: NDArray[np.float32]
    measured: frozenset[str] = frozenset()

    @classmethod
    def load(cls) -> Profiles:
        """Read the simulated profiles that come with the package."""
        with np.load(data_dir() / "profiles_2023.npz", allow_pickle=False) as file:
            counts = file["counts"].reshape(-1, QUARTERS).T.astype(np.float32)
            unit_kw = (1 / file["per_kw"]).astype(np.float32)
            return cls(
                names=tuple(file["names"].tolist()),
                power_kw=_local(counts.reshape(QUARTERS, -1, 6) * unit_kw[:, None]),
                floor_area_m2=file["floor_area_m2"],
                cop=_local(file["cop"].T.astype(np.float32) / 10_000),
            )

    def with_csv(self, path: str | Path, name: str, floor_area_m2: float) -> Profiles:
        """Return these profiles and one more, from a person's meter data of Danish 2023.

        Parameters
        ----------
        path : path
            A CSV with the columns of ``data/profile_schema.csv``, a row each quarter or each hour.
        name : str
            What a fleet table calls it.
        floor_area_m2 : float
            Size of the metered building [m²]; a resource of another size is scaled.

        Raises
        ------
        DataError
            Naming the first cell that is wrong, or the first time that is missing or doubled.
        """
        if name in self.names:
            raise DataError(f"there is a profile {name!r} already", "give yours another name")
        if not 0 < floor_area_m2 < np.inf:
            raise DataError(f"floor_area_m2 is {floor_area_m2:g}", "it must be above 0")
        schema = read_schema(data_dir() / "profile_schema.csv")
        columns = read_table(path, schema, key=("time_utc",)).columns
        times = columns.pop("time_utc").tolist()
        try:
            rows = _whole_year(times)
        except DataError as error:
            raise DataError(f"{path}, column time_utc: {error.problem}", error.remedy) from None
        power = np.stack([c[rows] for c in columns.values()], axis=1).astype(np.float32)
        return replace(
            self,
            names=(*self.names, name),
            power_kw=np.concatenate([self.power_kw, _local(power)[:, None]], axis=1),
            floor_area_m2=np.append(self.floor_area_m2, floor_area_m2),
            measured=self.measured | {name},
        )

    def index(self, name: str) -> int:
        """Return where a profile stands; an unknown name is a DataError."""
        if name not in self.names:
            problem = f"there is no load profile {name!r}{near(name, self.names)}"
            raise DataError(problem, f"use one of {', '.join(self.names)}")
        return self.names.index(name)

    def __repr__(self) -> str:
        number, measured = len(self.names), len(self.measured)
        return f"Profiles: {number} load profiles, {measured} of them measured"


def _local(utc: NDArray[Any]) -> NDArray[Any]:
    """Take the rows of a year in UTC order by local quarter."""
    rows = np.arange(QUARTERS)
    rows[slice(*_SUMMER_TIME)] -= 4
    return utc[rows]


def _whole_year(times: list[str]) -> NDArray[np.int64]:
    """Return which row holds each quarter of Danish 2023, in UTC order."""
    since = np.array([_minutes(t) for t in times])
    quarter, off = np.divmod(since, 15)
    if off.any():
        raise DataError(f"{times[off.argmax()]} begins no quarter", "use :00, :15, :30 or :45")
    order = np.flatnonzero((quarter >= 0) & (quarter < QUARTERS))
    order = order[np.argsort(quarter[order], kind="stable")]
    found = quarter[order]
    double = np.flatnonzero(np.diff(found) == 0)
    if len(double):
        raise DataError(f"{times[order[double[0] + 1]]} is there twice", "remove one")
    each = 4 if len(found) and not (found % 4).any() else 1
    missing = np.setdiff1d(np.arange(0, QUARTERS, each), found)
    if len(missing):
        first = np.datetime64(_BEGIN.replace(tzinfo=None), "m") + 15 * int(missing[0])
        problem = f"{first}Z is missing, with {len(missing) - 1} more"
        raise DataError(problem, "give every quarter or every hour of Danish 2023")
    return np.repeat(order, each)


def _minutes(text: str) -> float:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(f"{text!r} is no time", "write it as 2022-12-31T23:00Z") from None
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _BEGIN).total_seconds() / 60
