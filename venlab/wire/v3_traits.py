"""What OpenADR 3 is told of a VEN or a resource where it is made: attributes and targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from venlab.model import Resource, Traits
from venlab.wire.v3_events import targets_of

__all__ = ["Json", "described", "traits_of"]

Json = Mapping[str, Any]


def described(traits: Traits, *, typed: bool) -> dict[str, Any]:
    """Return attributes and targets, as many as there are, as the documents write them.

    Examples
    --------
    >>> described(Traits({"LOCATION": [9.42, 55.04]}), typed=False)
    {'attributes': [{'type': 'LOCATION', 'values': [9.42, 55.04]}]}
    """
    found = [{"type": t, "values": list(values)} for t, values in traits.attributes.items()]
    body = {"attributes": found, "targets": targets_of(traits.targets, typed=typed)}
    return {member: values for member, values in body.items() if values}


def traits_of(resource: Resource) -> Traits:
    """Return a resource's traits, its loads among its attributes."""
    own = resource.traits
    return own._replace(attributes={**resource.attributes, **own.attributes})
