"""Files of one JSON value a line, which a kill cuts off at most in the last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["line_of", "whole_lines"]


def whole_lines(path: Path) -> tuple[list[Any], bytes]:
    """Return the values of a file's whole lines, and what begins the next line written to it.

    A line that was cut off, and gone on after, is left out; after one that is cut off at the end
    the next begins a line of its own. Where there is no file there are none.
    """
    *lines, torn = (path.read_bytes() if path.exists() else b"").split(b"\n")
    values = []
    for line in lines:
        try:
            values.append(json.loads(line))
        except ValueError:
            continue
    return values, b"\n" if torn else b""


def line_of(value: Any) -> bytes:
    """Return the line of a value."""
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
