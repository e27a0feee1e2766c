"""Which dialect a VTN speaks, by what it answers, and how that is known."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from venlab.errors import NotAVtn

__all__ = ["BASES", "Get", "Spoken", "detect"]

BASES = ("", "/openadr3/3.1.0", "/openadr3/3.0.1", "/flat")
"""Where a VTN's base path is looked for, after the url that was given."""

Get = Callable[[str], Awaitable[tuple[int, bytes]]]
"""Asks for a path and returns status and body."""

_ONLY_301 = {"programLongName", "retailerName", "programType", "timeZoneOffset", "bindingEvents"}
_decode = msgspec.json.Decoder().decode


class Spoken(NamedTuple):
    """The dialect that a VTN speaks, under which base path, and how that is known."""

    dialect: str
    base: str
    how: str


async def detect(get: Get) -> Spoken:
    """Find out what a VTN speaks; nothing is created there.

    Parameters
    ----------
    get : callable
        Asks for a path after the url that was given, with the credential that there is.

    Raises
    ------
    NotAVtn
        Nothing there speaks any of the dialects; the message says what answered instead.
    """
    heard = []
    for base in BASES:
        status, body = await get(f"{base}/programs?skip=0&limit=1")
        if found := await _at(get, base, status, body):
            return found
        heard.append(f"{base or '/'} answers {status}")
    raise NotAVtn(
        f"what the VTN speaks cannot be told: asked for programs, {', '.join(heard)}",
        "name the dialect, and check vtn_url and its path",
    )


async def _at(get: Get, base: str, status: int, body: bytes) -> Spoken | None:
    said = _json(body)
    if status == 404 or said is None or (status >= 300 and status not in (400, 401, 403)):
        return None
    named, words = await get(f"{base}/auth/server")
    answer = _json(words)
    if named == 200 and isinstance(answer, dict) and "tokenURL" in answer:
        return Spoken("3.1.0", base, "/auth/server names a token server, as 3.1.0 alone has it")
    if isinstance(said, list):
        return _by_program(base, said) or await _by_paths(get, base)
    if isinstance(said, dict) and set(said) == {"detail"}:
        return Spoken("flat", base, f"a refusal ({status}) is a detail alone, and no problem")
    return await _by_paths(get, base)


def _by_program(base: str, programs: list[Any]) -> Spoken | None:
    program = programs[0] if programs and isinstance(programs[0], dict) else {}
    if "program_name" in program:
        return Spoken("flat", base, "a program has a program_name")
    if "programName" not in program:
        return None
    targets = program.get("targets") or ()
    if _ONLY_301 & {name for name, value in program.items() if value is not None}:
        return Spoken("3.0.1", base, "a program has members that 3.1.0 dropped")
    if any(isinstance(target, dict) for target in targets):
        return Spoken("3.0.1", base, "a program's targets have types")
    if any(isinstance(target, str) for target in targets) or program.get("attributes"):
        return Spoken("3.1.0", base, "a program has plain targets, or attributes")
    return None


async def _by_paths(get: Get, base: str) -> Spoken | None:
    """Tell by which paths there are: 3.1.0 alone has notifiers, 3.0.1 alone no /resources."""
    notifiers, body = await get(f"{base}/notifiers")
    if notifiers != 404 and _json(body) is not None:
        return Spoken("3.1.0", base, f"/notifiers is there ({notifiers}), as in 3.1.0 alone")
    resources, _ = await get(f"{base}/resources?skip=0&limit=1")
    if resources == 404:
        return Spoken("3.0.1", base, "there is neither /notifiers nor /resources: 3.1.0 has both")
    return Spoken("flat", base, f"/resources is there ({resources}) and /notifiers is not")


def _json(body: bytes) -> Any:
    try:
        return _decode(body[: 2**20])
    except (ValueError, RecursionError):
        return None
