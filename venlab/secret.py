"""A value that must never be shown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus

from venlab.errors import ConfigError

__all__ = ["SENDABLE", "Secret", "hide", "variable"]

SENDABLE = (
    r"\A[!-~]*\Z"  # what fits in a header; of another, HTTP libraries show all in their errors
)


class Secret:
    """A token or password that hides itself in every ``repr``, log and traceback.

    Parameters
    ----------
    value : str
        What is to be kept; `reveal` is the only way to read it.

    Examples
    --------
    >>> Secret("s3cret")
    Secret(***)
    >>> f"{Secret('s3cret')}"
    '***'
    """

    __slots__ = ("_spelled", "_value")

    def __init__(self, value: str) -> None:
        self._value = value
        self._spelled: re.Pattern[str] | None = None

    def reveal(self) -> str:
        """Return the value itself, for the one place that sends it."""
        return self._value

    def out_of(self, said: str) -> str:
        r"""Return what somebody said without the value, which encoders may have spelled otherwise.

        Examples
        --------
        >>> Secret("a/b+c").out_of(r"not a/b+c, a\/b\u002bc, a%2Fb%2Bc or a&#47;b&#x2B;c")
        'not ***, ***, *** or ***'
        """
        if not self._value:
            return said
        if self._spelled is None:
            each = re.sub(r"\\+", r"\\", self._value)  # of backslashes any number will do
            self._spelled = re.compile("".join(map(_spellings, each)))
        return self._spelled.sub("***", said)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        # A pickle would carry the value into files and other processes.
        raise TypeError("a Secret is never written down; pass it on by hand")


def _spellings(c: str) -> str:
    """Return the pattern of a character as it is, and as JSON, URLs and HTML may write it."""
    if c.isascii() and c.isalnum():
        return c
    spelled = {c, escape(c), quote(c), quote_plus(c), quote_plus(c).lower(), f"&#{ord(c)};"}
    for code in (f"{ord(c):04x}", f"{ord(c):04X}"):
        spelled |= {f"u{code}", f"&#x{code.lstrip('0')};"}
    longest_first = sorted(spelled - {"\\"}, key=len, reverse=True)
    # Backslashes before it, and many where a JSON text stands in another; each is looked at once.
    escaped = rf"\\{{0,8}}+(?:{'|'.join(map(re.escape, longest_first))})"
    return rf"(?:{escaped}|\\{{1,32}}+)" if c == "\\" else escaped


def hide(values: dict[str, Any], names: Iterable[str]) -> None:
    """Make Secrets of the values of these names, in place: tracebacks may show who holds them.

    Raises
    ------
    ConfigError
        One is no text.
    """
    for name in names:
        kind = type(values.get(name, ""))
        if name in values and kind is not Secret:
            values[name] = Secret(str(values[name]))
        if not issubclass(kind, str | Secret):
            raise ConfigError(f"{name} is of type {kind.__name__}", "give it as text")


def variable(name: str, env: Mapping[str, str] | None = None) -> str:
    """Return an environment variable, or nothing; whoever asks need not hold all of them."""
    return (os.environ if env is None else env).get(name, "")
