"""What each load of a fleet can give, and from when on it hurts: a table that a person edits."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from venlab.calendar import day_type
from venlab.errors import DataError
from venlab.fleet import LOADS, Fleet
from venlab.platforms import data_dir
from venlab.profiles import DAYS, HEATED, Profiles
from venlab.tables import near, read_schema, read_table

__all__ = ["Flexibility"]

Floats = NDArray[np.float64]

NAME = "flexibility_parameters"
QUARTERS_A_DAY = 96
WINTER, SUMMER = (12, 1, 2), (6, 7, 8)
COOLING = LOADS.index("load_1")


@dataclass(frozen=True, eq=False, repr=False)
class Flexibility:
    """The flexibility of each load, arrays of shape (N,) with N = 6 R, as `Fleet` orders them.

    Parameters
    ----------
    thermal_frac, deferrable_frac, sheddable_frac : float64 arrays
        How its power is made up; the rest is must-run.
    level_frac : float64 array, shape (4, N)
        Share of its power that is cut at SIMPLE 0 to 3.
    comfort_band_k, full_off_drift_k, time_constant_h, recovery_h, max_delay_h, max_event_h, \
response_delay_min, ramp_down_min, ramp_up_min, min_on_min, min_off_min, participation_frac, \
opt_out_frac : float64 arrays
        As ``data/flexibility_parameters_schema.csv`` explains them.
    reference_kw : float64 array [kW]
        Mean of the thermal part on winter workdays from 17 to 19; of cooling, on summer workdays
        from 12 to 18. A load without one has no thermal part.
    rated_kw : float64 array [kW]
        What the load may take at most.
    """

    thermal_frac: Floats
    deferrable_frac: Floats
    sheddable_frac: Floats
    level_frac: Floats
    comfort_band_k: Floats
    full_off_drift_k: Floats
    time_constant_h: Floats
    recovery_h: Floats
    max_delay_h: Floats
    max_event_h: Floats
    response_delay_min: Floats
    ramp_down_min: Floats
    ramp_up_min: Floats
    min_on_min: Floats
    min_off_min: Floats
    participation_frac: Floats
    opt_out_frac: Floats
    reference_kw: Floats
    rated_kw: Floats

    @property
    def flexible_frac(self) -> Floats:
        """What share of a load's power can give way."""
        return self.thermal_frac + self.deferrable_frac + self.sheddable_frac

    @classmethod
    def of(cls, fleet: Fleet, profiles: Profiles, table: str | Path | None = None) -> Flexibility:
        """Return what a fleet's loads can give.

        Parameters
        ----------
        fleet : Fleet
            Whose loads they are.
        profiles : Profiles
            Has the profiles that the fleet names.
        table : path, optional
            An edited copy of ``data/flexibility_parameters.csv``, else that.

        Raises
        ------
        DataError
            A row is missing or wrong, and what to do.

        Examples
        --------
        >>> fleet = Fleet.reference().only(["Aabenraa"])
        >>> flexible = Flexibility.of(fleet, Profiles.load())
        >>> flexible.level_frac.shape
        (4, 102)
        """
        path = table or data_dir() / f"{NAME}.csv"
        rows = _rows(path)
        types, which = np.unique(fleet.building_type, return_inverse=True)
        found = [_row_of(path, rows, t, load) for t in types.tolist() for load in LOADS]
        of_load = np.array(found).reshape(len(types), len(LOADS))[which].ravel()
        columns: dict[str, Any] = {
            field.name: rows[field.name][of_load] for field in fields(cls) if field.name in rows
        }
        levels = [np.zeros(len(of_load))]
        levels += [rows[f"shed_level_{level}_frac"][of_load] for level in (1, 2, 3)]
        mean_kw, peak_kw = _year(fleet, profiles)
        thermal_kw = columns["thermal_frac"] * mean_kw
        return cls(
            **columns,
            level_frac=np.array(levels),
            reference_kw=thermal_kw,
            rated_kw=rows["rated_over_peak_frac"][of_load] * peak_kw,
        )


def _rows(path: str | Path) -> dict[str, NDArray[Any]]:
    schema = read_schema(data_dir() / f"{NAME}_schema.csv")
    rows = read_table(path, schema, key=("building_type", "load")).columns
    parts = ("thermal", "deferrable", "sheddable", "must_run")
    whole = sum(rows[f"{part}_frac"] for part in parts)
    cut = rows["shed_level_3_frac"]
    for wrong, problem, remedy in (
        (np.abs(whole - 1) > 1e-6, "its four shares are not 1 together", "mend one of them"),
        (cut > 1 - rows["must_run_frac"] + 1e-6, "level 3 cuts what must run", "let it cut less"),
        (np.diff([rows[f"shed_level_{n}_frac"] for n in (1, 2, 3)], axis=0).min(axis=0) < 0,
         "a higher level cuts less", "let levels rise"),
    ):  # fmt: skip
        if (at := np.flatnonzero(wrong)).size:
            row = f"{rows['building_type'][at[0]]} {rows['load'][at[0]]}"
            raise DataError(f"{path}, {row}: {problem}", remedy)
    return rows


def _row_of(path: str | Path, rows: dict[str, NDArray[Any]], building: str, load: str) -> int:
    at = np.flatnonzero((rows["building_type"] == building) & (rows["load"] == load))
    if not at.size:
        known = near(building, rows["building_type"].tolist())
        raise DataError(f"{path} has no row for {building} {load}{known}", "add one")
    return int(at[0])


def _year(fleet: Fleet, profiles: Profiles) -> tuple[Floats, Floats]:
    """Return each load's mean in the hours that its drift is told for, and its highest quarter."""
    power, scale = profiles.power_kw, fleet.load_scale(profiles).astype(np.float64)
    at = np.array([profiles.index(name) for name in fleet.profile.tolist()])
    evenings, noons = _quarters(WINTER, 17, 19), _quarters(SUMMER, 12, 18)
    hours = [noons if load == COOLING else evenings for load in range(len(LOADS))]
    mean = np.array([power[h, :, load].mean(axis=0) for load, h in enumerate(hours)]).T
    peak = power.max(axis=0)
    mean_kw, peak_kw = mean[at] * scale, peak[at] * scale
    simulated = ~np.isin(fleet.profile, list(profiles.measured))
    direct = np.flatnonzero((fleet.heat_supply == "resistance") & simulated)
    for load, column in HEATED.items():  # resistance makes the heat pump's heat without it
        heat = power[:, :, load] * profiles.cop[:, column, None]
        mean_kw[direct, load] = heat[hours[load]].mean(axis=0)[at[direct]] * scale[direct, load]
        peak_kw[direct, load] = heat.max(axis=0)[at[direct]] * scale[direct, load]
    return mean_kw.ravel(), peak_kw.ravel()


def _quarters(months: tuple[int, ...], first_hour: int, end_hour: int) -> NDArray[np.int64]:
    """Return the local quarters of 2023 on workdays of some months, between two hours."""
    days = [date(2023, 1, 1) + timedelta(days=n) for n in range(DAYS)]
    wanted = [n for n, d in enumerate(days) if d.month in months and day_type(d) == "business"]
    of_day = np.arange(4 * first_hour, 4 * end_hour)
    return np.asarray((QUARTERS_A_DAY * np.array(wanted)[:, None] + of_day).ravel())
