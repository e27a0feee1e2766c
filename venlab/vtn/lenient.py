"""What real clients send, brought into the shape that the standard's documents say."""

from __future__ import annotations

from functools import cache
from math import isinf
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, inspect
from pydantic_core import from_json
from starlette.datastructures import QueryParams

from venlab.vtn.models import must_exist
from venlab.vtn.problems import Unfit

S = TypeVar("S", bound=Struct)
_NOW = ("0001-01-01", "0001-01-01T00:00:00")  # as the documents write "now", though it is no time
_info = cache(inspect.type_info)


def read_body(body: bytes, shape: type[S]) -> tuple[S, dict[str, Any]]:
    """Return what a body holds, as its struct and as members that may be shown to everybody.

    A null where a member may as well be left out leaves it out; members that are not known are
    ignored; a descriptor that does not say which it is gets said. All else must be as documented.

    Raises
    ------
    Unfit
        It is not; the first thing that is wrong, and where.
    """
    try:
        sent = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Unfit(f"JSON decode error: {error}") from None
    members = _fitted(sent, _info(shape))
    return _convert(members, shape, strict=True), members


def read_query(asked: QueryParams, shape: type[S]) -> S:
    """Return what a list is asked for; what is not known is ignored."""
    info = _info(shape)
    assert isinstance(info, inspect.StructType)
    given: dict[str, Any] = {}
    for field in info.fields:
        if field.encode_name in asked:
            many = isinstance(field.type, inspect.ListType)
            get: Any = asked.getlist if many else asked.get
            given[field.encode_name] = get(field.encode_name)
    return _convert(given, shape, strict=False)


def _convert(members: Any, shape: type[S], *, strict: bool) -> S:
    try:
        return msgspec.convert(members, shape, strict=strict)
    except ValueError as error:
        raise Unfit(str(error)) from None


def _fitted(value: Any, kind: Any) -> Any:
    if isinstance(value, float) and isinf(value):
        # As 1e999 is read; written again it would be no JSON, and spoil each list that it is in.
        raise Unfit("a number is out of range")
    match kind:
        case inspect.StructType(fields=fields) if isinstance(value, dict):
            return {
                f.encode_name: _fitted(_given(value, f), f.type) for f in fields if _has(value, f)
            }
        case inspect.ListType(item_type=item) if isinstance(value, list):
            return [_fitted(each, item) for each in value]
        case inspect.UnionType(types=kinds) if isinstance(value, dict | list):
            wanted = inspect.StructType if isinstance(value, dict) else inspect.ListType
            return next((_fitted(value, each) for each in kinds if isinstance(each, wanted)), value)
        case inspect.Metadata(inner, {"format": "date-time"}) if isinstance(value, str):
            return _moment(_fitted(value, inner))
        case inspect.Metadata(inner, _):
            return _fitted(value, inner)
    return value


def _has(value: dict[str, Any], field: inspect.Field) -> bool:
    name = field.encode_name
    return value.get(name) is not None or (field.required and (name in value or _says(field)))


def _says(field: inspect.Field) -> bool:
    return isinstance(field.type, inspect.LiteralType)


def _given(value: dict[str, Any], field: inspect.Field) -> Any:
    given = value.get(field.encode_name)
    if given is None and isinstance(field.type, inspect.LiteralType):
        return field.type.values[0]
    return given


def _moment(text: str) -> str:
    if text in _NOW:
        return "0001-01-01T00:00:00Z"
    try:
        return must_exist(text)
    except ValueError as error:
        raise Unfit(f"{text!r} is no time: {error}") from None
