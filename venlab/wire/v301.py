"""OpenADR 3.0.1: what it says in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from venlab.model import Resource, Ven
from venlab.wire.v3 import OpenAdr3, quoted, values_map
from venlab.wire.v3_shapes import Report301

__all__ = ["V301"]


class V301(OpenAdr3):
    """OpenADR 3.0.1: resources stand under their VEN, an event has intervals."""

    name = "3.0.1"
    report_shape = Report301
    types_targets = True
    private = False
    stranger = 403  # it knows no 401

    def _ven(self, name: str, client_name: str, speaks: bool) -> Mapping[str, Any]:
        return {"objectType": "VEN", "venName": name}

    def _resources_path(self, ven: Ven, skip: int, limit: int) -> str:
        query = urlencode({"skip": skip, "limit": limit})
        return f"{self._resources_place(ven.id)}?{query}"

    def _resources_place(self, ven_id: str) -> str:
        return f"/vens/{quoted(ven_id)}/resources"

    def _resource(
        self, ven: Ven, resource: Resource, speaks: bool
    ) -> tuple[str, Mapping[str, Any]]:
        body: dict[str, Any] = {"objectType": "RESOURCE", "resourceName": resource.name}
        body |= {"attributes": values_map(resource.attributes)}
        return self._resources_place(ven.id), body
