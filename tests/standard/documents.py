"""The OpenAPI documents of OpenADR 3.0.1 and 3.1.0, with their defects mended.

The files lie beside this as they came (SOURCES.md); what is changed after loading is `PATCHES`,
each with its reason. Left alone, since nothing is decided by it: examples that break their own
schema (a URI without a scheme), `{$request.body#/callbackUrl}` that names a member which is one
level down, and the servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FOLDER = Path(__file__).parent
VERSIONS = ("3.0.1", "3.1.0")
KINDS = ("program", "event", "report", "subscription", "ven", "resource")

ABSENT: Any = object()  # as `old`: a member that is not there


class Patch(NamedTuple):
    """At a path into the document (``*``: each that is there), what was becomes something else.

    A path with a ``*`` changes the places that hold `old`, one at least, and leaves the others.
    """

    path: str  # keys with a blank between them
    old: Any
    new: Any
    why: str


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _response(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/responses/{name}"}


def _problem(words: str, schema: str = "problem") -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": _ref(schema)}}}


CRUD = ["READ", "CREATE", "UPDATE", "DELETE"]
VERBS = ["GET", "POST", "PUT", "DELETE"]
NOW = ["0001-01-01", "0001-01-01T00:00:00"]
OPERATIONS = (
    "components schemas subscription properties objectOperations items properties operations items"
)

BOTH = (
    Patch(
        "components schemas intervalPeriod nullable",
        ABSENT,
        True,
        "the Definition calls optional members generally nullable, this is optional wherever it "
        "stands, and a widely used client sends null for whatever it leaves out",
    ),
    Patch(
        "components schemas duration nullable",
        ABSENT,
        True,
        "as with intervalPeriod; so for a duration, a randomizeStart and a timeZoneOffset",
    ),
    Patch(
        "components schemas intervalPeriod properties start",
        _ref("dateTime"),
        {"anyOf": [_ref("dateTime"), {"type": "string", "enum": NOW}]},
        "the schema's own description (3.1.0) and the User Guide (both) give these two as 'now', "
        "and neither is a date-time of RFC 3339",
    ),
    Patch(
        "components schemas * properties programDescriptions items type",
        ABSENT,
        "object",
        "it has required members, and without a type a string or a number would pass",
    ),
    Patch(
        "paths * * requestBody required",
        ABSENT,
        True,
        "some operations have it and some not; none of them can do anything without a body",
    ),
)  # fmt: skip

ONLY_301 = (
    Patch(
        f"{OPERATIONS} enum",
        CRUD,
        CRUD + VERBS[:3],
        "the Alliance's own download has the verbs of HTTP here, and fielded code speaks them",
    ),
    Patch(
        "components schemas notification properties operation enum",
        VERBS,
        VERBS + CRUD[:3],
        "the other side of the same: who subscribed to CREATE is not told of a POST",
    ),
    Patch(
        "paths /auth/token post responses 401",
        ABSENT,
        _problem("Unauthorized.", "authError"),
        "authError's own description asks for it where the client is not known, as RFC 6749 does",
    ),
    *(
        Patch(
            f"components schemas {kind}Provided",
            ABSENT,
            {
                "allOf": [
                    _ref(kind),
                    {
                        "type": "object",
                        "required": [
                            "id", "createdDateTime", "modificationDateTime", "objectType",
                            *(["venID"] if kind == "resource" else []),
                        ],
                    },
                ]
            },
            "one schema serves request and answer, so it requires nothing of what its comments "
            "say the VTN provisions; 3.1.0 requires it in answers, and clients cannot do without",
        )
        for kind in KINDS
    ),
    *(
        Patch(
            f"paths * * responses * content application/json schema {at}",
            _ref(kind)["$ref"],
            _ref(f"{kind}Provided")["$ref"],
            f"so an answer's {kind} has what the VTN provisions",
        )
        for kind in KINDS
        for at in ("$ref", "items $ref")
    ),
)  # fmt: skip

ONLY_310 = (
    Patch(
        "components schemas BlVenRequest properties targets default",
        "null          -",
        None,
        "a stray dash made a string of it, and the whole document invalid",
    ),
    Patch(
        "components schemas ven allOf",
        [_ref("objectMetadata"), _ref("BlVenRequest")],
        [_ref("objectMetadata"), _ref("providedVen")],
        "its objectType would have to be VEN and BL_VEN_REQUEST at once",
    ),
    Patch(
        "components schemas providedVen",
        ABSENT,
        {
            "type": "object",
            "required": ["clientID", "venName"],
            "properties": {
                "clientID": _ref("clientID"),
                "venName": _ref("venName"),
                "targets": {"type": "array", "items": _ref("target"), "nullable": True},
                "attributes": {"type": "array", "items": _ref("valuesMap"), "nullable": True},
            },
        },
        "BlVenRequest without the objectType",
    ),
    Patch(
        "components schemas resource allOf",
        [_ref("objectMetadata"), _ref("BlResourceRequest")],
        [_ref("objectMetadata"), _ref("providedResource")],
        "its objectType would have to be RESOURCE and BL_RESOURCE_REQUEST at once",
    ),
    Patch(
        "components schemas providedResource",
        ABSENT,
        {
            "type": "object",
            "required": ["clientID", "resourceName", "venID"],
            "properties": {
                "clientID": _ref("clientID"),
                "resourceName": _ref("resourceName"),
                "venID": _ref("objectID"),
                "targets": {"type": "array", "items": _ref("target"), "nullable": True},
                "attributes": {"type": "array", "items": _ref("valuesMap"), "nullable": True},
            },
        },
        "BlResourceRequest without the objectType",
    ),
    *(
        Patch(
            f"components schemas {kind} properties",
            ABSENT,
            {"objectType": {"type": "string", "enum": [kind.upper()]}},
            "objectMetadata lets any object call itself any of the six, and the oneOf of a "
            "notification could not tell an event from a subscription; 3.0.1 has one name each",
        )
        for kind in KINDS
    ),
    Patch(
        "paths * get security",
        [{"oAuth2ClientCredentials": ["read_bl"]}, {"bearerAuth": []}],
        [{"oAuth2ClientCredentials": ["read_all"]}, {"bearerAuth": []}],
        "five operations ask for a scope that is not declared; read_all is business logic's",
    ),
    Patch(
        "paths /programs/{programID} put responses 401",
        ABSENT,
        _response("unauthorized"),
        "every other operation that needs a token has it",
    ),
    Patch(
        "paths /vens post responses 409",
        ABSENT,
        _response("conflict"),
        "venName is unique, one client has one ven, and PUT has it",
    ),
    *(
        Patch(
            f"paths /notifiers get responses {status}",
            ABSENT,
            _response(name),
            "it needs a token and a scope like all others, and names no way to say so",
        )
        for status, name in (
            ("401", "unauthorized"), ("403", "forbidden"), ("500", "internalServerError"),
        )
    ),
    *(
        Patch(
            f"paths /notifiers/mqtt/topics/{which} get responses 403",
            ABSENT,
            _response("forbidden"),
            "it needs a scope, and the topics of all other objects have it",
        )
        for which in ("programs", "programs/{programID}", "programs/{programID}/events")
    ),
)  # fmt: skip

PATCHES = {"3.0.1": BOTH + ONLY_301, "3.1.0": BOTH + ONLY_310}

# What our VTN says and the documents do not: paths with the schema of a good answer (None: not
# JSON, or not looked at), and statuses that any operation may answer with a problem ("Servers may
# implement other response codes", the Definition has it).
EXTENSIONS: dict[str, Any] = {
    "GET /health": {"type": "object", "required": ["status", "name", "dialects"]},
    "GET /docs": None,
    "GET /openapi.json": None,
}
EXTRA_STATUSES = {
    "413": "a body is longer than this VTN takes",
    "503": "its store cannot be written now",
}


class _Loader(yaml.CSafeLoader):
    """Leaves times as text: examples are JSON, which has no times."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
    for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def published(version: str) -> Any:
    """Return a document as it was published."""
    return yaml.load((FOLDER / f"openadr-{version}.yaml").read_bytes(), _Loader)


def document(version: str) -> Any:
    """Return a document with its patches; each call a copy of its own."""
    return deepcopy(_patched(version))


@cache
def _patched(version: str) -> Any:
    content = published(version)
    for patch in PATCHES[version]:
        apply(patch, content)
    return content


def apply(patch: Patch, content: Any) -> int:
    """Apply a patch in place; return at how many places it held, AssertionError if at none."""
    *way, last = patch.path.split(" ")
    held = 0
    for place in _places(content, way):
        if isinstance(place, dict) and place.get(last, ABSENT) == patch.old:
            place[last] = deepcopy(patch.new)
            held += 1
    assert held, f"{patch.path} is not what the patch says it was"
    return held


def _places(content: Any, way: list[str]) -> Iterator[Any]:
    if not way:
        yield content
    elif isinstance(content, dict):
        first, *rest = way
        for key in list(content) if first == "*" else [first] * (first in content):
            yield from _places(content[key], rest)
