"""Says whether an exchange is what the standard's document says: the request and the answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import jsonschema_rs
import msgspec

from tests.standard.documents import EXTENSIONS, EXTRA_STATUSES, document

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PROBLEM = {"$ref": "#/components/schemas/problem"}
NOBODY_HOME = {401, 403, 404, 405}  # where the document has no such path or method
BOUNDS = {"int32": 2**31, "int64": 2**63}

Query = str | Mapping[str, Any] | Iterable[tuple[str, str]]


class Oracle:
    """Holds exchanges against one version's document.

    `document` may be another one than the patched, to see what a patch is for.
    """

    def __init__(self, version: str, content: Any = None) -> None:
        self.version = version
        self.base = f"/openadr3/{version}"
        self._document = as_json_schema(content or document(version))
        self._found = lru_cache(maxsize=4096)(self._operation)
        self._validators: dict[tuple[str, ...], Any] = {}
        self._routes = [(_pattern(path), path) for path in self._document["paths"]]

    def exchange(  # noqa: PLR0917 - an exchange has as many parts
        self,
        method: str,
        url_path: str,
        query: Query,
        request_headers: Mapping[str, str],
        request_body: bytes,
        status: int,
        response_body: bytes,
        *,
        response_headers: Mapping[str, str] | None = None,
        request: bool = True,
    ) -> None:
        """Raise AssertionError, naming the place, unless the document allows all of it.

        Parameters
        ----------
        url_path : str
            With this version's base path or without.
        query : str, mapping or pairs
            As it stands in the url, or its members.
        response_headers : mapping, optional
            Where they are known the answer's type is looked at too.
        request : bool
            Whether the request is meant to be good; the answer is looked at in any case. Where
            it is not, a path or method that the document has not may be answered by a problem.
        """
        path = url_path.removeprefix(self.base) or "/"
        where = f"{self.version} {method} {path}"
        answer = where, response_body, _header(response_headers or {}, "content-type")
        if f"{method} {path}" in EXTENSIONS:
            schema = EXTENSIONS[f"{method} {path}"]
            if schema and status == 200:
                self._json(("extension", method, path), schema, *answer)
            return
        try:
            template, given, operation = self._found(method, path)
        except AssertionError:
            if request or status not in NOBODY_HOME:
                raise
            self._json(("problem",), PROBLEM, f"{where}: the {status} answer", *answer[1:])
            return
        if request:
            self._parameters(where, template, operation, given, query)
            if body := operation.get("requestBody"):
                self._body(f"{where}: the request", template, body, request_headers, request_body)
            elif request_body:
                raise AssertionError(f"{where}: a body, and the document has none")
        responses = operation["responses"]
        if str(status) in responses:
            schema = _resolved(self._document, responses[str(status)])["content"][JSON]["schema"]
        elif str(status) in EXTRA_STATUSES:
            schema = PROBLEM
        else:
            told = ", ".join(sorted(responses))
            raise AssertionError(f"{where}: answered {status}, and the document has {told}")
        self._json(
            (template, method, str(status)), schema, f"{where}: the {status} answer", *answer[1:]
        )

    def valid(self, schema: str, content: Any) -> None:
        """Hold any content against one of the document's schemas, by its name."""
        self._check((schema,), {"$ref": f"#/components/schemas/{schema}"}, content, schema)

    def security(self, method: str, url_path: str) -> list[str]:
        """Return the scopes that the document asks for; empty where it needs no token."""
        found = self._found(method, url_path.removeprefix(self.base))[2].get("security", [])
        return [scope for one in found for scope in one.get("oAuth2ClientCredentials", [])]

    def _operation(self, method: str, path: str) -> tuple[str, dict[str, str], Any]:
        """Return the template of a path, what stands in its places, and the operation."""
        fits = [(t, m.groupdict()) for pattern, t in self._routes if (m := pattern.fullmatch(path))]
        if not fits:
            raise AssertionError(f"{self.version} {method} {path}: the document has no such path")
        template, given = min(fits, key=lambda fit: fit[0].count("{"))
        item = self._document["paths"][template]
        if method.lower() not in item:
            raise AssertionError(f"{self.version} {method} {path}: the document has no such method")
        operation = dict(item[method.lower()])
        shared = [*item.get("parameters", []), *operation.get("parameters", [])]
        operation["parameters"] = {(one["in"], one["name"]): one for one in shared}
        return template, {name: unquote(text) for name, text in given.items()}, operation

    def _parameters(
        self, where: str, template: str, operation: Any, given: dict[str, str], query: Query
    ) -> None:
        known = operation["parameters"]
        asked: dict[tuple[str, str], list[str]] = {("path", n): [v] for n, v in given.items()}
        for name, value in _pairs(query):
            asked.setdefault(("query", name), []).append(value)
        for place, values in asked.items():
            name = " ".join(place)
            if place not in known:
                raise AssertionError(f"{where}: {name}: the document has no such parameter")
            schema = _resolved(self._document, known[place]["schema"])
            content = _typed(self._document, schema, values)
            key = (template, operation["operationId"], *place)
            self._check(key, known[place]["schema"], content, f"{where}: {name}")

    def _body(
        self, where: str, template: str, body: Any, headers: Mapping[str, str], raw: bytes
    ) -> None:
        if not raw:
            if body.get("required"):
                raise AssertionError(f"{where}: has no body, and the document requires one")
            return
        (kind, content), *_ = body["content"].items()
        schema, sent = content["schema"], _header(headers, "content-type")
        if _plain(sent) != kind:
            raise AssertionError(f"{where}: a body of type {sent!r}, and the document has {kind}")
        key = (template, "body", schema["$ref"])
        if kind == JSON:
            self._json(key, schema, where, raw, kind)
            return
        form = dict(parse_qsl(raw.decode(), keep_blank_values=True))
        if _header(headers, "authorization").lower().startswith("basic "):
            # RFC 6749 §2.3.1: who shows id and secret there does not repeat them here.
            form = {"client_id": "basic", "client_secret": "basic"} | form
        self._check(key, schema, form, where)

    def _json(self, key: tuple[str, ...], schema: Any, where: str, raw: bytes, kind: str) -> None:
        if kind and _plain(kind) != JSON:
            raise AssertionError(f"{where}: of type {kind!r}, and the document has {JSON}")
        try:
            content = msgspec.json.decode(raw)  # no NaN, no Infinity
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise AssertionError(f"{where}: not JSON: {error}: {raw[:200]!r}") from None
        self._check(key, schema, content, where)

    def _check(self, key: tuple[str, ...], schema: Any, content: Any, where: str) -> None:
        if key not in self._validators:
            whole = {"allOf": [schema], "components": self._document["components"]}
            self._validators[key] = jsonschema_rs.Draft4Validator(whole, validate_formats=True)
        if self._validators[key].is_valid(content):
            return
        found = [
            f"{'/'.join(map(str, error.instance_path)) or 'the whole'}: {error.message[:400]}"
            for error in list(self._validators[key].iter_errors(content))[:3]
        ]
        raise AssertionError(f"{where}: at " + "; at ".join(found))


@cache
def oracle(version: str) -> Oracle:
    """Return the one oracle of a version, so that its validators are made once."""
    return Oracle(version)


def as_json_schema(part: Any) -> Any:
    """Return OpenAPI 3.0's schemas as the JSON Schema they extend, draft 4.

    Only three things differ that these documents use: `nullable`, the formats of numbers, and
    `discriminator`, which says how to choose and not what is valid.
    """
    if isinstance(part, list):
        return [as_json_schema(inner) for inner in part]
    if not isinstance(part, dict):
        return part
    kept = {
        n: as_json_schema(inner) for n, inner in part.items() if n not in ("nullable", "example")
    }
    if part.get("nullable") is True:
        kept["type"] = [part["type"], "null"]
        if "enum" in part:
            kept["enum"] = [*part["enum"], None]
    if part.get("format") in BOUNDS:
        bound = BOUNDS[part["format"]]
        kept = {"minimum": -bound, "maximum": bound - 1} | kept
    return kept


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)))


def _resolved(content: Any, part: Any) -> Any:
    while "$ref" in part:
        place = content
        for key in part["$ref"].removeprefix("#/").split("/"):
            place = place[key]
        part = place
    return part


def _typed(content: Any, schema: Any, values: list[str]) -> Any:
    """Return what a parameter's text means; text that means nothing stays text, and is wrong."""
    kind = schema.get("type")
    if kind == "array":
        inner = _resolved(content, schema["items"])
        return [_typed(content, inner, [value]) for value in values]
    if len(values) > 1:
        return values
    (value,) = values
    if kind == "integer" and re.fullmatch(r"-?\d+", value):
        return int(value)
    return {"true": True, "false": False}.get(value, value) if kind == "boolean" else value


def _pairs(query: Query) -> Iterable[tuple[str, str]]:
    if isinstance(query, str):
        return parse_qsl(query, keep_blank_values=True)
    if isinstance(query, Mapping):
        listed = ((n, v if isinstance(v, list | tuple) else [v]) for n, v in query.items())
        return [(name, _text(value)) for name, values in listed for value in values]
    return query


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _plain(kind: str) -> str:
    return kind.partition(";")[0].strip().lower()
