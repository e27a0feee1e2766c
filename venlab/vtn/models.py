"""FastAPI's models: requests derived from the dialect's structs, and the shapes of answers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache, partial, reduce
from operator import or_
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import Body
from msgspec import NODEFAULT, inspect
from pydantic import AfterValidator, BaseModel, FailFast, Field, FiniteFloat, create_model
from pydantic_core import CoreSchema, core_schema

from venlab.wire import flat_shapes as flat


def must_exist(moment: str) -> str:
    """Return a timestamp of the right form if the calendar has it, else raise ValueError."""
    datetime.fromisoformat(moment)
    return moment


@cache
def model_of(shape: type[msgspec.Struct]) -> type[BaseModel]:
    """Return the pydantic model that takes and refuses the same JSON as a struct.

    Members that are not known it ignores, as FastAPI does; a struct may forbid them.
    """
    info = inspect.type_info(shape)
    assert isinstance(info, inspect.StructType)
    fields: Any = {f.name: (_annotation(f.type), _default(f)) for f in info.fields}
    # Python's own expressions, as msgspec uses them: Rust's have no look-ahead.
    config: Any = {"regex_engine": "python-re"}
    return create_model(shape.__name__, __config__=config, __doc__=shape.__doc__, **fields)


def _default(field: inspect.Field) -> Any:
    if field.default_factory is not NODEFAULT:
        return Field(default_factory=field.default_factory)
    return ... if field.default is NODEFAULT else field.default


def _annotation(kind: Any) -> Any:
    hint: Any = _BASES.get(type(kind))
    match kind:
        case inspect.Metadata(inner, extra):
            hint = Annotated[_annotation(inner), Field(json_schema_extra=extra)]
            if extra == {"format": "date-time"}:
                hint = Annotated[hint, AfterValidator(must_exist)]
        case inspect.ListType(item):
            # The first wrong item speaks for its list: a million of them would fill the memory.
            hint = Annotated[list[_annotation(item)], FailFast()]  # type: ignore[misc]
        case inspect.UnionType(kinds):
            hint = reduce(or_, map(_annotation, kinds))
        case inspect.StructType(shape):
            hint = model_of(shape)
        case inspect.LiteralType(values):
            hint = Literal[values]
        case _ if hint:
            limits: Any = {name: getattr(kind, name) for name in _LIMITS if hasattr(kind, name)}
            hint = Annotated[hint, Field(strict=True, **limits)]
    return hint


_LIMITS = ("min_length", "max_length", "pattern", "ge", "gt", "le", "lt")
_BASES: Any = {inspect.StrType: str, inspect.IntType: int, inspect.FloatType: FiniteFloat}


class _AsStruct:
    """Lets FastAPI check a body by the derived model and hand over the struct itself."""

    def __get_pydantic_core_schema__(
        self, source: type[msgspec.Struct], handler: Callable[[Any], CoreSchema]
    ) -> CoreSchema:
        to_struct = partial(msgspec.convert, type=source, from_attributes=True)
        return core_schema.no_info_after_validator_function(to_struct, handler(model_of(source)))


T = TypeVar("T")
FromBody = Annotated[T, _AsStruct(), Body()]


many: Any = list.__class_getitem__  # many(Ven) is the shape of a list of them


def _answer(name: str, members: str, base: Any = None, **others: Any) -> type[BaseModel]:
    others.update(dict.fromkeys(members.split(), str))
    return create_model(name, __base__=base, **others)


Refusal = _answer("Refusal", "detail", id=(str | None, None))
Health = _answer("Health", "status name version", dialects=list[str], refuses_repeated_names=bool)
Created = _answer("Created", "id")
Token = _answer("Token", "auth_token")
AccessToken = _answer(
    "AccessToken", "access_token token_type", expires_in=int, scope=(str | None, None)
)
TokenRefusal = _answer("TokenRefusal", "error error_description")
Ven = _answer("Ven", "id ven_name client_name")
NewVen = _answer("NewVen", "auth_token", Ven)
Resource = _answer("Resource", "id resource_name ven_name resource_type status")
Program = _answer("Program", "id program_name")
Enrolment = _answer("Enrolment", "program_id resource_id")
Event = _answer("Event", "id status", model_of(flat.EventRequest), modification_number=int)
EventResponse = _answer("EventResponse", "id event_id ven_id response_type")
_TIMES = "created_date_time modification_date_time"
Report = _answer("Report", f"id {_TIMES}", model_of(flat.ReportRequest))
