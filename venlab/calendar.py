"""Local time and the kind of a day: which day of 2023 stands for any other date.

The load profiles cover Danish 2023. Another date takes a 2023 day of the same kind: a holiday the
day of the same name, any other date the one that lies the nearest multiple of 364 days away, which
keeps the weekday. The season drifts by 1.2 days for each year away from 2023.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from dateutil.easter import easter

from venlab.errors import ConfigError, DataError, LocalTimeError

__all__ = ["TZ", "day_type", "holiday_name", "parse_time", "profile_day", "profile_quarter"]

TZ = "Europe/Copenhagen"

DayType = Literal["business", "saturday", "sunday", "holiday"]
_FIRST = date(2023, 1, 1)
_STORE_BEDEDAG_UNTIL = 2023  # abolished by act no. 214 of 6 March 2023
_FIXED = {
    "Nytårsdag": (1, 1),
    "Grundlovsdag": (6, 5),
    "Juleaften": (12, 24),
    "Juledag": (12, 25),
    "2. juledag": (12, 26),
}
_AFTER_EASTER = {
    "Skærtorsdag": -3,
    "Langfredag": -2,
    "Påskedag": 0,
    "2. påskedag": 1,
    "Store Bededag": 26,
    "Kristi himmelfartsdag": 39,
    "Pinsedag": 49,
    "2. pinsedag": 50,
}


def parse_time(text: str, tz: str = TZ) -> datetime:
    """Return the moment that a person wrote, as aware UTC.

    Parameters
    ----------
    text : str
        ISO 8601; without a zone it is local time in `tz`.
    tz : str, optional
        An IANA time zone.

    Raises
    ------
    LocalTimeError
        A local time that does not exist or occurs twice; it names both moments it may mean.
    DataError
        No ISO time, or not between 1900 and 2200.
    ConfigError
        An unknown time zone.

    Examples
    --------
    >>> parse_time("2023-11-30T16:00").isoformat()
    '2023-11-30T15:00:00+00:00'
    """
    zone = _zone(tz)
    try:
        written = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        raise DataError(f"{text!r} is no time", "write it as 2023-11-30T16:00") from None
    if not 1900 <= written.year <= 2200:
        raise DataError(f"{text!r} is too far away", "use a year from 1900 to 2200")
    if written.tzinfo:
        return written.astimezone(UTC)
    first, second = (written.replace(tzinfo=zone, fold=f).astimezone(UTC) for f in (0, 1))
    if first == second:
        return first
    meant = sorted((first, second))
    exists = first.astimezone(zone).replace(tzinfo=None) == written
    raise LocalTimeError(
        f"{text} {'occurs twice' if exists else 'does not exist'} in {tz}",
        "write " + " or ".join(m.astimezone(zone).isoformat(timespec="minutes") for m in meant),
    )


def holiday_name(day: date) -> str | None:
    """Return the name of a Danish holiday or closing day, or None.

    Grundlovsdag and Juleaften are closing days; Store Bededag was a holiday until 2023.

    Examples
    --------
    >>> holiday_name(date(2023, 5, 5)), holiday_name(date(2024, 4, 26))
    ('Store Bededag', None)
    """
    return _holidays(day.year).get(day)


def day_type(day: date) -> DayType:
    """Return the kind of a day: holidays and closing days first, else by its weekday.

    Examples
    --------
    >>> day_type(date(2024, 12, 24)), day_type(date(2024, 12, 28))
    ('holiday', 'saturday')
    """
    if holiday_name(day):
        return "holiday"
    return "saturday" if day.weekday() == 5 else "sunday" if day.weekday() == 6 else "business"


@lru_cache(maxsize=1024)
def profile_day(day: date) -> int:
    """Return the day of 2023 that stands for a date, counted from 0 (1 January) to 364.

    A date that is no holiday never takes a holiday of 2023 but the same weekday a week from it, so
    Store Bededag's day of 2023 is unused after 2023.

    Examples
    --------
    >>> profile_day(date(2023, 3, 1)) == profile_day(date(2024, 2, 28)) == 59
    True
    """
    holidays = _holidays(_FIRST.year)
    if name := holiday_name(day):
        return next((d - _FIRST).days for d, n in holidays.items() if n == name)
    away = (day - _FIRST).days
    # 1 January and 31 December lie 364 days apart: the nearer one is meant.
    index = 364 if away > 0 and away % 364 == 0 else away % 364
    weeks = (index + 7 * w for w in (0, -1, 1) if 0 <= index + 7 * w < 365)
    return next(i for i in weeks if _FIRST + timedelta(days=i) not in holidays)


def profile_quarter(t: datetime, tz: str = TZ) -> tuple[int, int]:
    """Return which quarter of an hour of local 2023 stands for a moment.

    Parameters
    ----------
    t : datetime
        Aware.
    tz : str, optional
        The IANA time zone people live by.

    Returns
    -------
    tuple of int
        Day of 2023 (0 to 364) and local quarter of the day (0 to 95). An hour that occurs twice in
        autumn gives the same quarters twice.

    Examples
    --------
    >>> profile_quarter(datetime(2023, 7, 1, 10, 15, tzinfo=UTC))
    (181, 49)
    """
    local = t.astimezone(_zone(tz))
    return profile_day(local.date()), 4 * local.hour + local.minute // 15


@cache
def _holidays(year: int) -> dict[date, str]:
    days = {date(year, *month_day): name for name, month_day in _FIXED.items()}
    for name, after in _AFTER_EASTER.items():
        if name != "Store Bededag" or year <= _STORE_BEDEDAG_UNTIL:
            days[easter(year) + timedelta(days=after)] = name
    return days


def _zone(tz: str) -> ZoneInfo:
    try:
        return ZoneInfo(tz)
    except (KeyError, ValueError, OSError):
        raise ConfigError(f"unknown time zone {tz!r}", f"use an IANA name such as {TZ}") from None
