"""OpenADR 3.0.1: what it says in its own way."""

from __future__ import annotations

from urllib.parse import urlencode

from venlab.model import Resource, Traits, Ven
from venlab.wire.v3 import OpenAdr3, quoted
from venlab.wire.v3_shapes import Report301
from venlab.wire.v3_traits import Json, described, traits_of

__all__ = ["V301"]


class V301(OpenAdr3):
    """OpenADR 3.0.1: resources stand under their VEN, an event has intervals."""

    name = "3.0.1"
    report_shape = Report301
    types_targets = True
    private = False
    stranger = 403  # it knows no 401

    def _ven(self, name: str, client_name: str, traits: Traits, speaks: bool) -> Json:
        return {"objectType": "VEN", "venName": name, **described(traits, typed=True)}

    def _resources_path(self, ven: Ven, skip: int, limit: int) -> str:
        query = urlencode({"skip": skip, "limit": limit})
        return f"{self._resources_place(ven.id)}?{query}"

    def _resources_place(self, ven_id: str) -> str:
        return f"/vens/{quoted(ven_id)}/resources"

    def _resource(self, ven: Ven, resource: Resource, speaks: bool) -> tuple[str, Json]:
        body = {"objectType": "RESOURCE", "resourceName": resource.name}
        return self._resources_place(ven.id), body | described(traits_of(resource), typed=True)
