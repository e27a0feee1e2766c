"""The past of a fleet: all its readings of some weeks, without a VTN, in memory or on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from venlab.errors import ConfigError, StoreError
from venlab.fleet import LOADS, Fleet
from venlab.grouping import By, Grouping
from venlab.profiles import Profiles
from venlab.simulator import Meter, Noise, Simulator

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["A_DAY", "INTERVAL", "History", "Step"]

Step = Callable[[NDArray[np.float32], datetime], NDArray[np.float32]]

INTERVAL = timedelta(minutes=15)
A_DAY = timedelta(days=1) // INTERVAL
IN_MEMORY = 2**29  # bytes; a history that is longer goes to a folder
AT_ONCE = 2**25  # bytes of it that are summed up at a time
WATTS, FACTS, FLEET = "watts.npy", "history.json", "fleet.csv"


@dataclass(frozen=True, eq=False, repr=False)
class History:
    """The readings of a fleet's loads, quarter by quarter.

    Parameters
    ----------
    fleet : Fleet
        Whose loads they are.
    start : datetime
        Begin of the first quarter, aware UTC.
    watts : int32 array, shape (quarters, 6 R) [W]
        Mean power of each load; -1 where the resource is not approved. One that was loaded stays
        on disk, and only what is looked at is read.
    seed : int
        Of the simulation.

    Examples
    --------
    >>> fleet = Fleet.reference().only(["Aabenraa"])
    >>> history = History.simulate(fleet, days=2, until=datetime(2023, 11, 30, tzinfo=UTC))
    >>> history
    History: 2 days from 2023-11-28T00:00Z, 17,280 readings of 90 loads
    >>> history.kw(by="end_use").iloc[0].round(1).to_dict()["heating"] > 0
    True
    """

    fleet: Fleet
    start: datetime
    watts: NDArray[np.int32]
    seed: int

    @classmethod
    def simulate(
        cls,
        fleet: Fleet,
        *,
        until: datetime,
        days: int = 45,
        seed: int = 7,
        folder: str | Path | None = None,
        step: Step | None = None,
        noise: Noise | None = None,
        profiles: Profiles | None = None,
        progress: Callable[[int, int], None] = lambda *_: None,
    ) -> History:
        """Simulate the days before a moment, as a run with that seed would have measured them.

        Parameters
        ----------
        fleet : Fleet
            Its approved resources are measured.
        until : datetime
            End of the last quarter, aware: such as `lab.simulator.time_of(0)`.
        days : int
            How many times 24 hours.
        seed : int
            A run's `seed`; 45 days of it meet the run without a seam.
        folder : path, optional
            Where it is written quarter by quarter, as `save` would; then nothing of it is held in
            memory. A history that is there is replaced when the new one is whole.
        step : callable, optional
            Given the power of the step without events [kW] and when it begins, returns the power
            that is measured: so that events were called in the past.
        noise, profiles : optional
            As `Simulator` takes them.
        progress : callable, optional
            Called after each day with how many quarters there are, and of how many.

        Raises
        ------
        ConfigError
            A time without a zone, no days, or more than fits in memory and no `folder`.
        StoreError
            The folder cannot be written.
        """
        if not until.tzinfo or days < 1:
            raise ConfigError(
                f"a history of {days} days until {until.isoformat()}",
                "use a day or more, and a time with a zone",
            )
        start, shape = until.astimezone(UTC) - timedelta(days=days), (days * A_DAY, fleet.n_loads)
        simulator = Simulator(
            fleet, profiles or Profiles.load(), seed=seed, start=start, step_min=15, noise=noise
        )
        rows = _measured(simulator, fleet.approved, shape[0], step, progress)
        if folder is not None:
            _write(Path(folder), rows, fleet, _facts(start, seed, shape))
            return cls.load(folder)
        if 4 * math.prod(shape) > IN_MEMORY:
            size_mb = 4 * math.prod(shape) // 10**6
            raise ConfigError(f"this history takes {size_mb:,} MB", "name a folder for it")
        watts = np.empty(shape, np.int32)
        for n, row in enumerate(rows):
            watts[n] = row
        return cls(fleet, start, watts, seed)

    @classmethod
    def load(cls, folder: str | Path) -> History:
        """Open a history that was saved; its readings stay on disk.

        Parameters
        ----------
        folder : path
            Where it is: ``watts.npy``, which NumPy reads alone, ``fleet.csv``, ``history.json``.

        Raises
        ------
        StoreError
            There is none, it was not finished, or its files do not fit together.
        """
        folder = Path(folder)
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            watts = np.load(folder / WATTS, mmap_mode="r", allow_pickle=False)
            start, seed = datetime.fromisoformat(facts["start"]), int(facts["seed"])
            shape = tuple(facts["shape"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            said = f"{folder} holds no whole history: {error}"
            raise StoreError(said, "simulate it again") from None
        fleet = Fleet.from_csv(folder / FLEET)
        if not (watts.shape == shape and shape[1:] == (fleet.n_loads,) and watts.dtype == np.int32):
            raise StoreError(f"the files of {folder} do not fit together", "simulate it again")
        return cls(fleet, start, watts, seed)

    def save(self, folder: str | Path) -> None:
        """Write it to a folder, where `load` finds it; StoreError where that fails.

        Parameters
        ----------
        folder : path
            Made if need be. The history that is there stays until the new one is whole, and a kill
            at whichever moment leaves a whole one or none.
        """
        facts = _facts(self.start, self.seed, self.watts.shape)
        _write(Path(folder), self.watts, self.fleet, facts)

    def kw(self, by: By = "ven", *, vens: int | str | Sequence[str] | None = None) -> pd.DataFrame:
        """Return the mean power of each quarter, summed up.

        Parameters
        ----------
        by : {"fleet", "ven", "resource", "load", "building_type", "end_use"}
            What the columns are; a resource's have VEN and resource, a load's the load too. What
            has no approved resource has no column.
        vens : int, str or sequence of str, optional
            Of which VENs, as `Fleet.only` takes them; else of all.

        Returns
        -------
        DataFrame [kW]
            A row a quarter, indexed by its start, aware UTC.

        Raises
        ------
        ConfigError
            An unknown `by`, or an unknown VEN.
        """
        import pandas as pd

        there = self.measured
        if vens is not None:
            named = np.isin(self.fleet.town_id, self.fleet.only(vens).town_id)
            there = there & named[self.ven_of_load]
        groups = Grouping.of(self.fleet, by, there)
        power_kw = np.empty((len(self.watts), len(groups.columns)))
        rows = max(1, AT_ONCE // max(1, self.watts[0].nbytes))
        for n in range(0, len(power_kw), rows):
            power_kw[n : n + rows] = groups.sums(self.watts[n : n + rows], np.int64) / 1000
        return pd.DataFrame(power_kw, self.stamps, groups.columns)

    @property
    def stamps(self) -> pd.DatetimeIndex:
        """Begin of each quarter, aware UTC."""
        import pandas as pd

        return pd.date_range(self.start, periods=len(self.watts), freq=INTERVAL, name="start")

    @cached_property
    def measured(self) -> NDArray[np.bool_]:
        """Which loads were measured, shape (6 R,)."""
        return np.asarray(self.watts[0] >= 0)

    @cached_property
    def ven_of_load(self) -> NDArray[np.int64]:
        """Which VEN of the fleet each load belongs to, shape (6 R,)."""
        return np.repeat(self.fleet.resource_ven, len(LOADS))

    @property
    def readings(self) -> int:
        """How many readings there are."""
        return len(self.watts) * int(self.measured.sum())

    @cached_property
    def digest(self) -> str:
        """Sixteen characters that no other history has: of other values, loads or times."""
        told = blake2b(self.start.isoformat().encode(), digest_size=8)
        told.update("\n".join(_names(self.fleet)).encode())
        for row in self.watts:
            told.update(row.data)
        return told.hexdigest()

    def is_of(self, fleet: Fleet) -> bool:
        """Tell whether its loads are those of a fleet, in this order."""
        return _names(self.fleet) == _names(fleet)

    def __repr__(self) -> str:
        days = len(self.watts) / A_DAY
        return (
            f"History: {days:g} day{'s' * (days != 1)} from {self.start:%Y-%m-%dT%H:%MZ}, "
            f"{self.readings:,} readings of {int(self.measured.sum()):,} loads"
        )


def _names(fleet: Fleet) -> list[str]:
    return [*fleet.town_id[fleet.resource_ven].tolist(), *fleet.resource_name.tolist()]


def _measured(
    simulator: Simulator,
    approved: NDArray[np.bool_],
    quarters: int,
    step: Step | None,
    progress: Callable[[int, int], None],
) -> Iterator[NDArray[np.int32]]:
    """Yield the readings of each quarter: by a run's own meter, so that they are a run's."""
    meter = Meter(simulator.time_of(0), 15, 15)
    for n in range(quarters):
        begin = simulator.time_of(n)
        power_kw = simulator.step()
        meter.add(step(power_kw, begin) if step else power_kw)
        yield meter.read(approved).watts
        if (n + 1) % A_DAY == 0:
            progress(n + 1, quarters)


def _facts(start: datetime, seed: int, shape: tuple[int, ...]) -> dict[str, Any]:
    return {"start": start.isoformat(), "seed": seed, "shape": shape}


def _write(
    folder: Path, rows: Iterable[NDArray[np.int32]], fleet: Fleet, facts: dict[str, Any]
) -> None:
    """Write quarter by quarter under a name that nobody reads; the facts make it whole."""
    about = {"descr": "<i4", "fortran_order": False, "shape": facts["shape"]}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{WATTS}.part").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, about)
            for row in rows:
                file.write(row.astype("<i4", copy=False).data)
        (folder / FACTS).unlink(missing_ok=True)
        (folder / f"{WATTS}.part").replace(folder / WATTS)
        fleet.to_csv(folder / FLEET)
        (folder / f"{FACTS}.part").write_text(json.dumps(facts) + "\n", encoding="utf-8")
        (folder / f"{FACTS}.part").replace(folder / FACTS)
    except OSError as error:
        said = f"cannot write a history to {folder}: {error.strerror}"
        raise StoreError(said, "see whether its disk is full") from None
