"""Convert the simulated load profiles from Parquet into what NumPy reads alone.

Run by hand, needs pandas and pyarrow: ``python data/convert.py FOLDER``, where FOLDER holds
``building_loads_15min_2023.parquet`` and ``household_loads_15min_2023.parquet``. It writes
``profiles_2023.npz`` beside this file; what that holds is told in ``DATA_DICTIONARY.md``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
QUARTERS = 365 * 96
LOADS = ["heating_kw", "cooling_kw", "ventilation_kw", "lighting_kw", "equipment_kw"]
LOADS += ["water_heating_kw"]
HEAT = {"heating_kw": "heat_demand_kw_th", "water_heating_kw": "hot_water_demand_kw_th"}
COP_UNITS = 10_000


def cube(folder: Path, table: str, key: str, names: pd.Series, columns: list[str]) -> np.ndarray:
    """Return the columns of a table by name of building, shape (names, columns, quarters)."""
    frame = pd.read_parquet(folder / f"{table}_15min_2023.parquet")
    groups = dict(list(frame.groupby(key, observed=True)))
    year = pd.date_range("2022-12-31T23:00Z", periods=QUARTERS, freq="15min")
    for name, group in groups.items():
        assert (group["time_utc"].to_numpy() == year.to_numpy()).all(), f"{name} has a gap"
    return np.stack([groups[n][columns].to_numpy(np.float64).T for n in names])


def units_per_kw(power_kw: np.ndarray) -> int:
    """Return how the source rounded a building: 10, 100 or 1000 units per kW."""
    fits = (n for n in (10, 100, 1000) if np.allclose(power_kw * n, np.rint(power_kw * n), 0, 0.01))
    return next(fits)


def cop(power_kw: np.ndarray, heat_kw: np.ndarray, unit_kw: np.ndarray) -> np.ndarray:
    """Return heat ÷ electricity, checked to be one series for all types within their rounding.

    Parameters
    ----------
    power_kw, heat_kw : arrays, shape (types, quarters) [kW]
        Electricity of the heat pump and the heat it delivers.
    unit_kw : array, shape (types,) [kW]
        What each type was rounded to.
    """
    units = power_kw / unit_kw[:, None]
    best, all_quarters = units.argmax(axis=0), np.arange(power_kw.shape[1])
    ratio = heat_kw[best, all_quarters] / power_kw[best, all_quarters]
    ratio_error = (1 + ratio) / 2 / units.max(axis=0)
    slack = (1 + ratio) * unit_kw[:, None] / 2 + power_kw * ratio_error
    assert (np.abs(heat_kw - ratio * power_kw) <= slack + 1e-4).all(), "the types disagree"
    return np.rint(ratio * COP_UNITS)


def main(folder: Path) -> None:
    """Read both tables, check them, and write one file."""
    types = pd.read_csv(HERE / "building_types.csv")
    houses = pd.read_csv(HERE / "households.csv")
    kinds, homes = types["building_type"], houses["household"]
    buildings = cube(folder, "building_loads", "building_type", kinds, [*LOADS, *HEAT.values()])
    loads = buildings[:, :6], cube(folder, "household_loads", "household", homes, LOADS)
    per_kw = np.array([units_per_kw(b) for part in loads for b in part], np.uint16)
    counts = np.rint(np.concatenate(loads) * per_kw[:, None, None])
    assert counts.min() >= 0, "a load is negative"
    assert counts.max() < 2**16, "a load does not fit into 16 bits"
    unit_kw = 1 / per_kw[: len(kinds)]
    factors = [
        cop(buildings[:, LOADS.index(electric)], buildings[:, 6 + i], unit_kw)
        for i, electric in enumerate(HEAT)
    ]
    np.savez_compressed(
        HERE / "profiles_2023.npz",
        names=np.array([*kinds, *homes]),
        floor_area_m2=np.array([*types["floor_area_m2"], *houses["floor_area_m2"]], np.float64),
        per_kw=per_kw,
        counts=counts.astype(np.uint16),
        cop=np.stack(factors).astype(np.uint16),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
