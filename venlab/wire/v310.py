"""OpenADR 3.1.0: what it says in its own way."""

from __future__ import annotations

from urllib.parse import urlencode

from venlab.model import Resource, Traits, Ven
from venlab.wire.v3 import OpenAdr3
from venlab.wire.v3_shapes import Report310
from venlab.wire.v3_traits import Json, described, traits_of

__all__ = ["V310"]


class V310(OpenAdr3):
    """OpenADR 3.1.0: a VEN is one OAuth client, and what it makes is seen by itself only."""

    name = "3.1.0"
    report_shape = Report310
    types_targets = False
    private = True
    stranger = 401

    def _ven(self, name: str, client_name: str, traits: Traits, speaks: bool) -> Json:
        return _request("VEN", {"venName": name}, client_name, traits, speaks)

    def _resources_path(self, ven: Ven, skip: int, limit: int) -> str:
        return f"/resources?{urlencode({'venID': ven.id, 'skip': skip, 'limit': limit})}"

    def _resources_place(self, ven_id: str) -> str:
        return "/resources"

    def _resource(self, ven: Ven, resource: Resource, speaks: bool) -> tuple[str, Json]:
        named, traits = {"resourceName": resource.name, "venID": ven.id}, traits_of(resource)
        return "/resources", _request("RESOURCE", named, ven.client_name, traits, speaks)


def _request(
    kind: str, named: dict[str, str], client_name: str, traits: Traits, speaks: bool
) -> Json:
    """Return what is sent for a VEN's own object: business logic says whose, and grants targets."""
    if speaks:  # its token says which client it is
        told = described(traits._replace(targets=()), typed=False)
        return {"objectType": f"VEN_{kind}_REQUEST", **named, **told}
    whose = {"objectType": f"BL_{kind}_REQUEST", "clientID": client_name}
    return {**whose, **named, **described(traits, typed=False)}
