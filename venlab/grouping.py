"""Loads summed up: by VEN, resource, building type, end use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

from venlab.errors import ConfigError
from venlab.fleet import END_USES, LOADS, Fleet

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["By", "Grouping"]

By = Literal["fleet", "ven", "resource", "load", "building_type", "end_use"]


class Grouping(NamedTuple):
    """Some loads of a fleet, side by side by group.

    `columns` is what the groups are called; `loads`, which loads they hold, group by group, and
    `begins` where each begins among these.
    """

    columns: pd.Index[Any]
    loads: NDArray[np.intp]
    begins: NDArray[np.intp]

    @classmethod
    def of(cls, fleet: Fleet, by: By, there: NDArray[np.bool_]) -> Self:
        """Return the groups that some loads make; one without any is left out.

        Parameters
        ----------
        fleet : Fleet
            Whose loads.
        by : {"fleet", "ven", "resource", "load", "building_type", "end_use"}
            What the groups are; a resource's name has its VEN before it, a load's both.
        there : bool array, shape (6 R,)
            Which loads.

        Raises
        ------
        ConfigError
            An unknown `by`.
        """
        labels, group = _groups(fleet, by)
        # Those of a VEN and of a resource are side by side in the fleet already.
        loads = np.flatnonzero(there)
        loads = loads[np.argsort(group[loads], kind="stable")]
        groups, begins = np.unique(group[loads], return_index=True)
        return cls(labels[groups], loads, begins)

    def sums(self, values: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
        """Return the sums of each row by group.

        Parameters
        ----------
        values : array, shape (rows, 6 R)
            Of each load of the fleet.
        dtype : type
            What they are summed in.
        """
        return np.add.reduceat(values.take(self.loads, axis=1), self.begins, axis=1, dtype=dtype)


def _groups(fleet: Fleet, by: str) -> tuple[pd.Index[Any], NDArray[np.intp]]:
    """Return what the groups are called, and which of them each load belongs to."""
    import pandas as pd

    names, each = fleet.ven_name[fleet.resource_ven], np.arange(fleet.n_loads)
    if by == "load":
        levels = [*(np.repeat(n, len(LOADS)) for n in (names, fleet.resource_name))]
        levels.append(np.tile(LOADS, fleet.n_resources))
        return pd.MultiIndex.from_arrays(levels, names=["ven", "resource", "load"]), each
    if by == "resource":
        levels = [names, fleet.resource_name]
        return pd.MultiIndex.from_arrays(levels, names=["ven", "resource"]), each // len(LOADS)
    if by == "end_use":
        return pd.Index(END_USES, name=by), each % len(LOADS)
    if by == "fleet":
        return pd.Index(["fleet"], name=by), np.zeros_like(each)
    if by == "ven":
        return pd.Index(fleet.ven_name, name=by), np.repeat(fleet.resource_ven, len(LOADS))
    if by == "building_type":
        kinds, which = np.unique(fleet.building_type, return_inverse=True)
        return pd.Index(kinds, name=by), np.repeat(which, len(LOADS))
    raise ConfigError(f"by is {by!r}", f"use {', '.join(get_args(By))}")
