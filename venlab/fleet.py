"""The fleet: towns are VENs, buildings are their resources, and each resource has six loads.

A resource follows a simulated load profile (`venlab.profiles`), scaled by floor area. What a town
has depends on its size: ``data/building_mix.csv`` says how often each type occurs, how large it
is, how it is heated and what of this is assumed. Draws are keyed by seed and town, and the n-th
draw of a town does not depend on how many follow: no town changes another one's buildings.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import NAMESPACE_DNS, uuid5
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from venlab.errors import ConfigError, DataError
from venlab.model import Resource, Status
from venlab.platforms import data_dir
from venlab.profiles import HEATED, Profiles
from venlab.tables import near, read_schema, read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["END_USES", "LOADS", "Fleet"]

Columns = dict[str, NDArray[Any]]

END_USES = ("heating", "cooling", "ventilation", "lighting", "equipment", "water_heating")
LOADS = tuple(f"load_{k}" for k in range(len(END_USES)))
HEAT_SUPPLIES = ("heat_pump", "district_heating", "resistance")
HOUSES = tuple(f"house_{n:02d}" for n in range(1, 13))
TOWN_SIZES = ("village", "town", "large_town", "city")
TOWN_SIZE_FROM = (5_000, 20_000, 60_000)  # people from which the second, third, fourth begin

TIME_SHIFT_MIN = 20.0  # standard deviation; three of them are the most


@dataclass(frozen=True, eq=False, repr=False)
class Fleet:
    """VENs and their resources as arrays; resources stand together by VEN.

    Load k (0 to 5) of resource r is load ``6 * r + k`` of the fleet.

    Parameters
    ----------
    town_id, ven_name, price_area : str arrays, shape (V,)
        ASCII key of the town, which is also the VEN's client name; the town's name, made unique
        by its municipality where two towns share it; DK1 or DK2.
    latitude, longitude : float64 arrays, shape (V,) [deg]
        Position, WGS84.
    resource_ven : int64 array, shape (R,)
        Index of the VEN that a resource belongs to.
    resource_name, building_type, heat_supply, status, profile : str arrays, shape (R,)
        As ``data/fleet_schema.csv`` explains them.
    floor_area_m2, time_shift_min : float64 arrays, shape (R,) [m²], [min]
        Size, and how much later than its profile the building lives.
    note : str
        Where the fleet came from and how its table was read.

    Examples
    --------
    >>> Fleet.reference()
    Fleet: 10 VENs, 276 of 296 resources approved, 1,656 loads
    >>> Fleet.reference().only(["Aabenraa"])
    Fleet: 1 VEN, 15 of 17 resources approved, 90 loads
    """

    town_id: NDArray[np.str_]
    ven_name: NDArray[np.str_]
    price_area: NDArray[np.str_]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    resource_ven: NDArray[np.int64]
    resource_name: NDArray[np.str_]
    building_type: NDArray[np.str_]
    floor_area_m2: NDArray[np.float64]
    heat_supply: NDArray[np.str_]
    status: NDArray[np.str_]
    time_shift_min: NDArray[np.float64]
    profile: NDArray[np.str_]
    note: str = ""

    @classmethod
    def reference(cls, seed: int = 7) -> Fleet:
        """Make the reference fleet: 10 VENs, 276 approved resources and 20 that are not.

        Parameters
        ----------
        seed : int
            From 0; draws which buildings, not how many. Other seeds are a ConfigError.
        """
        towns = ["aabenraa", "aars", "esbjerg", "koebenhavn", "marstal", "odense"]
        towns += ["roenne", "roskilde", "svendborg", "viborg"]
        approved = (15, 28, 30, 30, 24, 30, 29, 30, 30, 30)
        return _drawn(seed, towns, approved, ("pending", "suspended"))

    @classmethod
    def full(cls, seed: int = 7) -> Fleet:
        """Make the full fleet: 287 VENs (all but the three smallest towns), 19,402 resources.

        Each VEN has 5 to 400 resources, all approved, in proportion to its population.

        Parameters
        ----------
        seed : int
            From 0; draws which buildings, not how many. Other seeds are a ConfigError.
        """
        towns = _towns()
        rows = np.sort(np.argsort(towns["population"], kind="stable")[3:])
        counts = _apportion(towns["population"][rows], 19_402, low=5, high=400)
        return _drawn(seed, towns["town_id"][rows].tolist(), counts.tolist())

    @classmethod
    def from_csv(cls, path: str | Path) -> Fleet:
        """Read a fleet that a person edited; VENs come in the order in which they first appear.

        Parameters
        ----------
        path : path
            A CSV with the columns of ``data/fleet_schema.csv``, as a spreadsheet saves it.

        Raises
        ------
        DataError
            Naming file, line, column and value of the first thing wrong, and what is allowed.
        """
        schema = read_schema(data_dir() / "fleet_schema.csv")
        table = read_table(path, schema, key=("town_id", "resource_name"))
        return _assembled(table.columns, f"{path}: {table.note}")

    def to_csv(self, path: str | Path) -> None:
        """Write the fleet as a table that `from_csv` reads back exactly.

        Parameters
        ----------
        path : path
            The file; a DataError says if it cannot be written.
        """
        columns = {"town_id": self.town_id[self.resource_ven]}
        columns |= {name: getattr(self, name) for name in _RESOURCE_COLUMNS[1:]}
        # Left empty where it follows from the type, so that an edited type takes effect.
        columns["profile"] = np.where(self.profile == _usual_profile(columns), "", self.profile)
        for name in ("floor_area_m2", "time_shift_min"):  # the shortest text that reads back
            digits = [np.format_float_positional(x, trim="-") for x in columns[name]]
            columns[name] = np.array(digits)
        try:
            with Path(path).open("w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows(zip(*(c.tolist() for c in columns.values()), strict=True))
        except OSError as error:
            raise DataError(f"cannot write {path}: {error.strerror}") from None

    def only(self, vens: int | str | Sequence[str]) -> Fleet:
        """Return the fleet of some VENs, in the same order: the first so many, or those named.

        Parameters
        ----------
        vens : int, str or sequence of str
            How many, or the `ven_name` or `town_id` of each.

        Raises
        ------
        ConfigError
            A number of VENs that the fleet does not have, or a name that it does not know.
        """
        keep = np.zeros(self.n_vens, dtype=bool)
        if isinstance(vens, Iterable):
            for name in [vens] if isinstance(vens, str) else vens:
                keep |= self._named(name)
        elif isinstance(vens, (int, np.integer)):
            keep[: max(vens, 0)] = vens <= self.n_vens
        if not keep.any():
            raise ConfigError(f"vens is {vens!r}", f"use a number from 1 to {self.n_vens} or names")
        rows = keep[self.resource_ven]
        kept: dict[str, Any] = {name: getattr(self, name)[keep] for name in _VEN_COLUMNS}
        kept |= {name: getattr(self, name)[rows] for name in _RESOURCE_COLUMNS}
        kept["resource_ven"] = (np.cumsum(keep) - 1)[kept["resource_ven"]]
        return replace(self, **kept)

    def resource(self, r: int, ven_name: str) -> Resource:
        """Return the r-th resource as it is registered: its VEN's name is as the VTN knows it.

        Examples
        --------
        >>> Fleet.reference().resource(0, "Aabenraa").attributes["load_0"]
        ['heating']
        """
        name = str(self.resource_name[r])
        return Resource(
            id=str(uuid5(NAMESPACE_DNS, f"{ven_name}/{name}")),
            name=name,
            ven_name=ven_name,
            kind=str(self.building_type[r]),
            status=cast("Status", str(self.status[r])),
            attributes={load: [use] for load, use in zip(LOADS, END_USES, strict=True)},
        )

    def load_scale(self, profiles: Profiles) -> NDArray[np.float32]:
        """Return what the six loads of each resource's profile are multiplied by, (R, 6).

        Floor area ÷ the profile's floor area × the intensity factor of ``building_mix.csv`` (1 for
        a person's own profile); 0 for what a building does not have: cooling in homes, electric
        heating and hot water with district heating.

        Parameters
        ----------
        profiles : Profiles
            Has the profiles that the fleet names, else a DataError says which is missing.
        """
        mix = _read("building_mix")
        factor = dict(zip(mix["building_type"].tolist(), mix["intensity_factor"], strict=True))
        factor |= dict.fromkeys(HOUSES, factor["household"])
        names, which = np.unique(self.profile, return_inverse=True)
        area_m2 = profiles.floor_area_m2[[profiles.index(n) for n in names.tolist()]]
        per_m2 = np.array([factor.get(n, 1.0) for n in names.tolist()]) / area_m2
        scale = np.repeat((self.floor_area_m2 * per_m2[which])[:, None], len(LOADS), axis=1)
        # A person's own meter data are taken as they are, whatever heats and cools the building.
        simulated = ~np.isin(self.profile, list(profiles.measured))
        no_cooling = mix["building_type"][mix["has_cooling"] == "no"]
        scale[simulated & np.isin(self.building_type, no_cooling), 1] = 0.0
        scale[np.ix_(simulated & (self.heat_supply == "district_heating"), [*HEATED])] = 0.0
        return scale.astype(np.float32)

    @property
    def n_vens(self) -> int:
        """Number of VENs, V."""
        return len(self.town_id)

    @property
    def n_resources(self) -> int:
        """Number of resources of any status, R."""
        return len(self.resource_name)

    @property
    def n_loads(self) -> int:
        """Number of loads of all resources, N = 6 R: the length of the simulator's arrays."""
        return len(LOADS) * self.n_resources

    @property
    def approved(self) -> NDArray[np.bool_]:
        """Which resources may report, shape (R,)."""
        return np.asarray(self.status == "approved")

    @property
    def vens(self) -> pd.DataFrame:
        """The VENs as a table to look at."""
        import pandas as pd

        table = pd.DataFrame({name: getattr(self, name) for name in _VEN_COLUMNS})
        table["resources"] = np.bincount(self.resource_ven, minlength=self.n_vens)
        table["approved"] = np.bincount(self.resource_ven[self.approved], minlength=self.n_vens)
        return table

    @property
    def resources(self) -> pd.DataFrame:
        """The resources as a table to look at."""
        import pandas as pd

        columns = {name: getattr(self, name) for name in _RESOURCE_COLUMNS[1:]}
        return pd.DataFrame({"ven_name": self.ven_name[self.resource_ven], **columns})

    def __repr__(self) -> str:
        approved, vens = int(self.approved.sum()), f"VEN{'s' * (self.n_vens != 1)}"
        return (
            f"Fleet: {self.n_vens} {vens}, {approved:,} of {self.n_resources:,} "
            f"resources approved, {len(LOADS) * approved:,} loads"
        )

    def _named(self, name: str) -> NDArray[np.bool_]:
        found = np.asarray((self.ven_name == name) | (self.town_id == name))
        if not found.any():
            names = [*self.ven_name.tolist(), *self.town_id.tolist()]
            problem = f"the fleet has no VEN {name!r}{near(str(name), names)}"
            raise ConfigError(problem, f"its first one is {names[0]}")
        return found


_VEN_COLUMNS = ("town_id", "ven_name", "price_area", "latitude", "longitude")
_RESOURCE_COLUMNS = tuple(f.name for f in fields(Fleet))[len(_VEN_COLUMNS) : -1]


def _assembled(table: Columns, note: str) -> Fleet:
    """Put a fleet together from the columns of ``fleet_schema.csv``, in whatever order."""
    towns = _towns()
    row = {t: i for i, t in enumerate(towns["town_id"].tolist())}
    place = {t: i for i, t in enumerate(dict.fromkeys(table["town_id"].tolist()))}
    ven = np.array([place[t] for t in table["town_id"].tolist()])
    order = np.argsort(ven, kind="stable")
    usual = _usual_profile(table)
    table = {**table, "profile": np.where(table["profile"] == "", usual, table["profile"])}
    return Fleet(
        **{name: towns[name][[row[t] for t in place]] for name in _VEN_COLUMNS},
        resource_ven=ven[order],
        **{name: table[name][order] for name in _RESOURCE_COLUMNS[1:]},
        note=note,
    )


def _drawn(
    seed: int, town_ids: list[str], approved: Sequence[int], others: tuple[str, ...] = ()
) -> Fleet:
    """Draw so many approved resources for each town, and one of each other status."""
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ConfigError(f"seed is {seed!r}", "use a whole number from 0")
    count = np.array(approved) + len(others)
    draws = [_draws(seed, town_id, n) for town_id, n in zip(town_ids, count, strict=True)]
    uniform, normal = (np.concatenate(d) for d in zip(*draws, strict=True))
    towns, mix = _towns(), _read("building_mix")
    people = dict(zip(towns["town_id"].tolist(), towns["population"], strict=True))
    size = np.searchsorted(TOWN_SIZE_FROM, [people[t] for t in town_ids], side="right")
    ven = np.repeat(np.arange(len(town_ids)), count)
    kind = _pick(np.stack([mix[f"share_{s}"] for s in TOWN_SIZES])[size[ven]], uniform[:, 0])
    supply = _pick(np.stack([mix[s] for s in HEAT_SUPPLIES], axis=1)[kind], uniform[:, 1])
    area = mix["median_m2"][kind] * np.exp(mix["spread"][kind] * normal[:, 0])
    shift = TIME_SHIFT_MIN * np.clip(normal[:, 1], -3, 3)
    table = {
        "town_id": np.array(town_ids)[ven],
        "building_type": mix["building_type"][kind],
        "floor_area_m2": np.round(np.clip(area, mix["min_m2"][kind], mix["max_m2"][kind])),
        "heat_supply": np.array(HEAT_SUPPLIES)[supply],
        "status": np.array([s for n in approved for s in ["approved"] * n + list(others)]),
        "time_shift_min": np.round(shift) + 0.0,  # + 0.0 makes -0.0 a plain zero
        "profile": np.full(len(ven), ""),
    }
    order = np.lexsort((kind, ven))  # in a VEN by type, else as drawn
    table = {name: values[order] for name, values in table.items()}
    table["resource_name"] = _numbered(table)
    return _assembled(table, f"drawn from seed {seed}")


def _draws(seed: int, town_id: str, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two uniform and two normal draws for each of a town's first n resources."""
    streams = np.random.SeedSequence([seed, *town_id.encode()]).spawn(2)
    uniform, normal = (np.random.default_rng(s) for s in streams)
    return uniform.random((n, 2)), normal.standard_normal((n, 2))


def _pick(weights: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw one column of each row, as often as its weight says."""
    reach = np.cumsum(weights, axis=1)
    if not reach[:, -1].all():
        raise DataError("building_mix.csv has shares that are all 0", "give one of them a share")
    return np.asarray((uniform[:, None] * reach[:, -1:] >= reach).sum(axis=1))


def _numbered(table: Columns) -> NDArray[np.str_]:
    """Name each resource by its type and its number among those of its town."""
    met: Counter[tuple[str, str]] = Counter()
    names = []
    for key in zip(table["town_id"].tolist(), table["building_type"].tolist(), strict=True):
        met[key] += 1
        names.append(f"{key[1]}_{met[key]:02d}")
    return np.array(names)


def _usual_profile(table: Columns) -> NDArray[np.str_]:
    """Return the profile of each building type; a household's house is drawn by its name."""
    columns = (table[c].tolist() for c in ("town_id", "resource_name", "building_type"))
    house = {"household": HOUSES}
    rows = [(house.get(k, (k,)), f"{t}/{n}") for t, n, k in zip(*columns, strict=True)]
    return np.array([some[crc32(key.encode()) % len(some)] for some, key in rows])


def _apportion(weight: NDArray[np.int64], total: int, low: int, high: int) -> NDArray[np.int64]:
    """Split `total` by weight into whole numbers from `low` to `high`, by largest remainder."""
    least, most = 0.0, float(total)
    for _ in range(100):  # find the factor whose clamped shares sum to the total
        factor = (least + most) / 2
        share = np.clip(weight * factor, low, high)
        least, most = (factor, most) if share.sum() < total else (least, factor)
    whole: NDArray[np.int64] = np.floor(share).astype(np.int64)
    whole[np.argsort(whole - share, kind="stable")[: total - whole.sum()]] += 1
    return whole


def _read(name: str) -> Columns:
    schema = read_schema(data_dir() / f"{name}_schema.csv")
    return read_table(data_dir() / f"{name}.csv", schema, key=(next(iter(schema)),)).columns


def _towns() -> Columns:
    """Read the towns, each with its own people only, and name the VENs."""
    towns = _read("danish_towns")
    for town, people in zip(towns["part_of"], towns["population"].copy(), strict=True):
        towns["population"][towns["town_id"] == town] -= people
    names, times = np.unique(towns["name"], return_counts=True)
    full = [f"{n} ({m})" for n, m in zip(towns["name"], towns["municipality"], strict=True)]
    towns["ven_name"] = np.where(np.isin(towns["name"], names[times > 1]), full, towns["name"])
    return towns
