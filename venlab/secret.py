"""A value that must never be shown."""

from __future__ import annotations

__all__ = ["SENDABLE", "Secret"]

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

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself, for the one place that sends it."""
        return self._value

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
