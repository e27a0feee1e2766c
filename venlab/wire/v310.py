"""OpenADR 3.1.0: what it says in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from venlab.model import Resource, Ven
from venlab.wire.v3 import OpenAdr3, values_map
from venlab.wire.v3_shapes import Report310

__all__ = ["V310"]


class V310(OpenAdr3):
    """OpenADR 3.1.0: a VEN is one OAuth client, and what it makes is seen by itself only."""

    name = "3.1.0"
    report_shape = Report310
    types_targets = False
    private = True
    stranger = 401

    def _ven(self, name: str, client_name: str, speaks: bool) -> Mapping[str, Any]:
        if speaks:  # its token says which client it is
            return {"objectType": "VEN_VEN_REQUEST", "venName": name}
        return {"objectType": "BL_VEN_REQUEST", "venName": name, "clientID": client_name}

    def _resources_path(self, ven: Ven, skip: int, limit: int) -> str:
        return f"/resources?{urlencode({'venID': ven.id, 'skip': skip, 'limit': limit})}"

    def _resources_place(self, ven_id: str) -> str:
        return "/resources"

    def _resource(
        self, ven: Ven, resource: Resource, speaks: bool
    ) -> tuple[str, Mapping[str, Any]]:
        body: dict[str, Any] = {"resourceName": resource.name, "venID": ven.id}
        body |= {"attributes": values_map(resource.attributes)}
        if speaks:
            return "/resources", {"objectType": "VEN_RESOURCE_REQUEST", **body}
        return "/resources", {
            "objectType": "BL_RESOURCE_REQUEST",
            "clientID": ven.client_name,
            **body,
        }
