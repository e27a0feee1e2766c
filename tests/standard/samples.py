"""One good object of each kind in both versions, written by hand from the documents."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

PERIOD = {"start": "2023-01-09T16:00:00Z", "duration": "PT15M"}
INTERVALS = [
    {"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]},
    {
        "id": 1,
        "payloads": [{"type": "PRICE", "values": [0.17, "high", True, {"x": 1.0, "y": 2.0}]}],
    },
]
LOADS = [
    {
        "resourceName": f"restaurant_01.load_{load}",
        "intervalPeriod": PERIOD,
        "intervals": [{"id": 0, "payloads": [{"type": "DEMAND", "values": [1.5 + load]}]}],
    }
    for load in range(2)
]
WHERE = [{"type": "LOCATION", "values": ["9.41", "55.04"]}]
CALLS = {"objects": ["EVENT"], "callbackUrl": "https://a.example/told", "bearerToken": "t"}

BOTH: dict[str, Any] = {
    "program": {"programName": "peaks", "intervalPeriod": PERIOD},
    "event": {"programID": "p1", "eventName": "peak", "priority": 1, "intervals": INTERVALS},
    "report": {"eventID": "e1", "clientName": "aars", "reportName": "r/1", "resources": LOADS},
    "subscription": {
        "clientName": "aars",
        "programID": "p1",
        "objectOperations": [CALLS | {"operations": ["CREATE", "UPDATE"]}],
    },
    "ven": {"venName": "Aars", "attributes": WHERE},
    "resource": {"resourceName": "restaurant_01", "venID": "v1", "attributes": WHERE},
}
DIFFERENT: dict[str, Any] = {
    "3.0.1": {
        "program": {"timeZoneOffset": "PT1H", "targets": [{"type": "GROUP", "values": ["a"]}]},
        "event": {"payloadDescriptors": [{"payloadType": "PRICE", "currency": "DKK"}]},
        "report": {"programID": "p1", "payloadDescriptors": [{"payloadType": "DEMAND"}]},
    },
    "3.1.0": {
        "program": {"targets": ["a"]},
        "event": {
            "duration": "PT1H",
            "payloadDescriptors": [
                {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRICE"}
            ],
        },
        "report": {
            "payloadDescriptors": [
                {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": "DEMAND", "units": "KW"}
            ]
        },
        "ven": {"objectType": "VEN_VEN_REQUEST"},
        "resource": {"objectType": "VEN_RESOURCE_REQUEST"},
    },
}  # fmt: skip
OWNED = ("report", "subscription", "ven", "resource")  # in 3.1.0 these carry a clientID
TIMES = {
    "createdDateTime": "2023-01-09T15:00:00.123Z",
    "modificationDateTime": "2023-01-09T16:00:00+01:00",
}


def request(version: str, kind: str, **changes: Any) -> Any:
    """Return the body of a POST that the document allows."""
    return deepcopy(BOTH[kind] | DIFFERENT[version].get(kind, {}) | changes)


def answered(version: str, kind: str, **changes: Any) -> Any:
    """Return what a VTN that has it answers."""
    whose = {"clientID": "c1"} if version == "3.1.0" and kind in OWNED else {}
    provided = {"id": f"{kind}-1", **TIMES, **whose, "objectType": kind.upper()}
    return request(version, kind) | provided | changes


def path(version: str, kind: str, object_id: str | None = None) -> str:
    """Return where a kind's objects are, or one of them."""
    under = "/vens/v1" if version == "3.0.1" and kind == "resource" else ""
    return f"{under}/{kind}s" + (f"/{object_id}" if object_id else "")
