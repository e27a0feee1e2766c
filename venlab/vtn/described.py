"""What the page of a version says of its routes: parameters, bodies, answers and refusals."""

from __future__ import annotations

from typing import Any

import msgspec

from venlab.vtn.kinds import KINDS, Kind, Version
from venlab.vtn.store import Row

_REF = "#/components/schemas/{name}"
_TEXT: Row = {"type": "string"}
_TIME: Row = {"type": "string", "format": "date-time"}
_PROBLEM: Row = {
    "type": "object",
    "properties": {"title": _TEXT, "status": {"type": "integer"}, "detail": _TEXT},
}


def described(document: Row, version: Version) -> Row:
    """Return FastAPI's document of a version with what the tables of kinds and shapes say."""
    shapes = [version.shape(kind) for kind in KINDS.values()]
    _, schemas = msgspec.json.schema_components(shapes, ref_template=_REF)
    for schema in schemas.values():
        schema.pop("additionalProperties", None)  # what is not known is ignored
    schemas["Problem"] = _PROBLEM
    for kind in KINDS.values():
        schemas[kind.singular.title()] = _answer(kind, version, schemas)
        place = version.place(kind)
        one = f"{place}/{{{kind.id_name}}}"
        for path in (place, one):
            for method, operation in document["paths"][path].items():
                asked = (method, path == one)
                operation.update(_operation(kind, version, *asked))
                operation["parameters"] = _parameters(kind, path, *asked)
                operation["tags"] = [kind.path]
    document["components"] = {"schemas": schemas | document["components"]["schemas"]}
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "client": {
            "type": "oauth2",
            "flows": {
                "clientCredentials": {
                    "tokenUrl": f"{version.base}/auth/token",
                    "scopes": dict.fromkeys({*version.business, *version.ven}, ""),
                }
            },
        },
    }
    return document


def _answer(kind: Kind, version: Version, schemas: Row) -> Row:
    """Return an object as it is shown: what was asked for, and what the VTN sets."""
    asked: Row = schemas[version.shape(kind).__name__]
    more = {"id": _TEXT, "createdDateTime": _TIME, "modificationDateTime": _TIME}
    more["objectType"] = {"const": kind.word}
    if version.private and kind.made:
        more["clientID"] = _TEXT
    return asked | {
        "title": kind.singular.title(),
        "properties": asked["properties"] | more,
        "required": [*asked["required"], *more],
    }


def _operation(kind: Kind, version: Version, method: str, single: bool) -> Row:
    shown = {"$ref": _REF.format(name=kind.singular.title())}
    listed = method == "get" and not single
    good = "201" if method == "post" else "200"
    refusals = {400, version.stranger, 403, 413}
    refusals |= {404} if single or kind.path == "resources" else set()
    refusals |= {409} if method in ("post", "put") else set()
    told: Row = {good: _content("OK", {"type": "array", "items": shown} if listed else shown)}
    problem = {"$ref": _REF.format(name="Problem")}
    told |= {str(status): _content("Refused", problem) for status in sorted(refusals)}
    scopes = [kind.writes] if method != "get" else ["read_all", kind.reads]
    operation: Row = {"responses": told, "security": [{"bearer": []}]}
    operation["security"] += [
        {"client": [s]} for s in scopes if s in version.business + version.ven
    ]
    if method in ("post", "put"):
        body = {"$ref": _REF.format(name=version.shape(kind).__name__)}
        operation["requestBody"] = {"required": True} | _content("", body)
    return operation


def _content(words: str, schema: Row) -> Row:
    content: Row = {"content": {"application/json": {"schema": schema}}}
    return content | ({"description": words} if words else {})


def _parameters(kind: Kind, path: str, method: str, single: bool) -> list[Any]:
    inside = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    found = [{"name": n, "in": "path", "required": True, "schema": _TEXT} for n in inside]
    if method == "get" and not single:
        query = msgspec.json.schema(kind.query)["$defs"][kind.query.__name__]["properties"]
        found += [{"name": n, "in": "query", "schema": schema} for n, schema in query.items()]
    return found
