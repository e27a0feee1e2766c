"""What a fleet's VENs and resources go by at a VTN, and whom of them an event names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from venlab.fleet import Fleet
from venlab.model import Event, Target

__all__ = ["named_resources", "named_vens", "targets_of_resource", "targets_of_ven"]

VEN, AREA, RESOURCE, GROUP = "VEN_NAME", "SERVICE_AREA", "RESOURCE_NAME", "GROUP"


def targets_of_ven(fleet: Fleet, v: int, prefix: str = "") -> tuple[Target, ...]:
    """Return the names of a VEN: its own, and its price area's.

    Parameters
    ----------
    fleet : Fleet
        Whose VEN it is.
    v : int
        Which one.
    prefix : str
        Put before the names of a fleet that shares a VTN with others.

    Examples
    --------
    >>> [target.name for target in targets_of_ven(Fleet.reference(), 1, "class-")]
    ['class-Aars', 'DK1']
    """
    return tuple(Target(str(n[v]), kind) for kind, n in _ven_names(fleet, prefix).items())


def targets_of_resource(fleet: Fleet, r: int) -> tuple[Target, ...]:
    """Return the names of a resource: its own, and its building type's as a group.

    Parameters
    ----------
    fleet : Fleet
        Whose resource it is.
    r : int
        Which one.
    """
    return tuple(Target(str(n[r]), kind) for kind, n in _resource_names(fleet).items())


def named_vens(fleet: Fleet, event: Event, prefix: str = "") -> NDArray[np.bool_]:
    """Return which VENs an event names, shape (V,); parameters as of `targets_of_ven`."""
    return _named(event, _ven_names(fleet, prefix))


def named_resources(fleet: Fleet, event: Event) -> NDArray[np.bool_]:
    """Return which resources an event names, themselves or their group, shape (R,)."""
    return _named(event, _resource_names(fleet))


def _ven_names(fleet: Fleet, prefix: str) -> dict[str, NDArray[np.str_]]:
    return {VEN: np.char.add(prefix, fleet.ven_name.astype(str)), AREA: fleet.price_area}


def _resource_names(fleet: Fleet) -> dict[str, NDArray[np.str_]]:
    return {RESOURCE: fleet.resource_name, GROUP: fleet.building_type}


def _named(event: Event, names: Mapping[str, NDArray[np.str_]]) -> NDArray[np.bool_]:
    """Tell who has a name that is a target: of that kind, or of none that anybody said."""
    found = [
        np.isin(own, [name for name, type_ in event.targets if type_ in ("", kind)])
        for kind, own in names.items()
    ]
    return np.asarray(np.any(found, axis=0))
