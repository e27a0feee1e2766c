"""What a VTN speaks, told by its answers alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from venlab.errors import NotAVtn
from venlab.wire.detect import detect

Answers = dict[str, tuple[int, Any]]
PROBLEM = {"title": "Forbidden", "status": 403}
NAMED = (200, {"tokenURL": "https://auth.example/token"})


async def spoken(answers: Answers) -> tuple[str, str]:
    async def get(path: str) -> tuple[int, bytes]:
        status, body = answers.get(path.partition("?")[0], (404, {"title": "Not Found"}))
        return status, body if isinstance(body, bytes) else json.dumps(body).encode()

    found = await detect(get)
    assert found.how
    return found.dialect, found.base


@pytest.mark.parametrize(
    ("answers", "dialect", "base"),
    [
        ({"/programs": (200, []), "/auth/server": NAMED}, "3.1.0", ""),
        ({"/programs": (401, PROBLEM), "/auth/server": NAMED}, "3.1.0", ""),
        ({"/programs": (200, [{"program_name": "a"}])}, "flat", ""),
        ({"/programs": (401, {"detail": "no token"})}, "flat", ""),
        ({"/programs": (200, []), "/resources": (200, [])}, "flat", ""),
        ({"/programs": (200, [])}, "3.0.1", ""),
        ({"/programs": (403, PROBLEM)}, "3.0.1", ""),
        ({"/programs": (200, []), "/notifiers": (403, PROBLEM)}, "3.1.0", ""),
        (
            {"/programs": (200, [{"programName": "a", "targets": [{"type": "GROUP"}]}])},
            "3.0.1",
            "",
        ),
        ({"/programs": (200, [{"programName": "a", "targets": ["b"]}])}, "3.1.0", ""),
        ({"/programs": (200, [{"programName": "a", "timeZoneOffset": "PT1H"}])}, "3.0.1", ""),
        ({"/openadr3/3.0.1/programs": (200, [])}, "3.0.1", "/openadr3/3.0.1"),
        ({"/flat/programs": (401, {"detail": "no token"})}, "flat", "/flat"),
        (
            {"/openadr3/3.1.0/programs": (401, PROBLEM), "/openadr3/3.1.0/auth/server": NAMED},
            "3.1.0",
            "/openadr3/3.1.0",
        ),
    ],
)
async def test_a_vtn_is_known_by_its_answers(answers: Answers, dialect: str, base: str) -> None:
    """Each dialect is told from the others, with a token or without, at any base path."""
    assert await spoken(answers) == (dialect, base)


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"/programs": (200, b"<h1>Welcome</h1>")},
        {"/programs": (302, b"")},
        {"/programs": (500, PROBLEM)},
    ],
)
async def test_who_speaks_none_is_no_vtn(answers: Answers) -> None:
    """A page, a redirect or a failure tells nothing, and is said."""
    with pytest.raises(NotAVtn, match="cannot be told"):
        await spoken(answers)
