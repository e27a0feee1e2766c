"""ISO 8601 durations of fixed length, as OpenADR writes them."""

from __future__ import annotations

import re
from datetime import timedelta

from venlab.errors import DataError

__all__ = ["FOR_EVER", "format_duration", "parse_duration"]

FOR_EVER = timedelta.max
"""What ``P9999Y`` stands for (OpenADR 3 Definition: an infinite duration)."""

_PATTERN = re.compile(
    r"P(?=.)(?:(?P<weeks>\d+)W|(?:(?P<days>\d+)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?)",
    re.ASCII,
)


def parse_duration(text: str) -> timedelta:
    """Read an ISO 8601 duration of weeks, days, hours, minutes and seconds.

    Parameters
    ----------
    text : str
        Such as ``PT15M``; ``P9999Y`` means for ever.

    Returns
    -------
    timedelta
        Never negative; `FOR_EVER` for ``P9999Y``.

    Raises
    ------
    DataError
        The text is no such duration, or is longer than can be represented.

    Examples
    --------
    >>> parse_duration("PT7M30S").total_seconds()
    450.0
    """
    if text == "P9999Y":
        return FOR_EVER
    found = _PATTERN.fullmatch(text)
    if not found:
        raise DataError(f"{text!r} is not a duration", "write it as PT15M, PT1H30M, P1D or P9999Y")
    parts = {unit: float(amount) for unit, amount in found.groupdict(default="0").items()}
    try:
        return timedelta(**parts)
    except OverflowError:
        raise DataError(f"{text!r} is longer than can be represented", "use P9999Y") from None


def format_duration(length: timedelta) -> str:
    """Write a duration in the shortest ISO 8601 form.

    Parameters
    ----------
    length : timedelta
        Not negative.

    Returns
    -------
    str
        ``PT0S`` for nothing, ``P9999Y`` for `FOR_EVER`.

    Raises
    ------
    DataError
        The length is negative, which OpenADR cannot say.

    Examples
    --------
    >>> format_duration(timedelta(minutes=7.5))
    'PT7M30S'
    """
    if length == FOR_EVER:
        return "P9999Y"
    if length < timedelta(0):
        raise DataError(f"a duration of {length} is negative")
    minutes, seconds = divmod(length.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{length.microseconds:06d}".rstrip("0").rstrip(".")
    date = f"{length.days}D" if length.days else ""
    time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
    if seconds or fraction or not (date or time):
        time += f"{seconds}{fraction}S"
    return f"P{date}" + (f"T{time}" if time else "")
