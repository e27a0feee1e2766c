"""What a fleet's VENs and resources go by at a VTN, and by which names events mean them."""

from __future__ import annotations

from venlab.fleet import Fleet
from venlab.model import Target

__all__ = ["targets_of_resource", "targets_of_ven"]


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
    name = Target(prefix + str(fleet.ven_name[v]), "VEN_NAME")
    return name, Target(str(fleet.price_area[v]), "SERVICE_AREA")


def targets_of_resource(fleet: Fleet, r: int) -> tuple[Target, ...]:
    """Return the names of a resource: its own, and its building type's as a group.

    Parameters
    ----------
    fleet : Fleet
        Whose resource it is.
    r : int
        Which one.
    """
    kind = Target(str(fleet.building_type[r]), "GROUP")
    return Target(str(fleet.resource_name[r]), "RESOURCE_NAME"), kind
