"""ISO 8601 durations, as OpenADR writes them: years and months have no fixed length."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dateutil.relativedelta import relativedelta

from venlab.errors import DataError

__all__ = ["END_OF_TIME", "FOR_EVER", "Duration"]

END_OF_TIME = datetime.max.replace(tzinfo=UTC)
"""Where all ends that does not end before: nobody can say a later instant."""

# That of OpenADR 3's documents, to the letter. Only ASCII digits count, as in their dialect of
# patterns, and no line break may follow.
_PATTERN = re.compile(
    r"^(-?)P(?=\d|T\d)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)([DW]))?"
    r"(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?$",
    re.ASCII,
)
_LONGEST = 12 * 9999  # months


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time: months, whose length depends on when they begin, and a fixed part.

    Parameters
    ----------
    months : int
        Calendar months; a year has 12.
    exact : timedelta
        Weeks, days of 24 hours and less.

    Raises
    ------
    DataError
        One part is negative and the other is not, which ISO 8601 cannot say.

    Examples
    --------
    >>> quarter = Duration.parse("PT15M")
    >>> print(quarter + Duration(exact=timedelta(hours=2)))
    PT2H15M
    >>> print(Duration.parse("P1M").after(datetime(2023, 1, 31, tzinfo=UTC)).date())
    2023-02-28
    """

    months: int = 0
    exact: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.months * self.exact.total_seconds() < 0:
            raise DataError(f"{self.months} months and {self.exact} point two ways")

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read any duration that the documents' pattern takes.

        Parameters
        ----------
        text : str
            Such as ``PT15M`` or ``P1Y2M``; ``P9999Y`` and what is longer means for ever.

        Returns
        -------
        Duration
            To the microsecond.

        Raises
        ------
        DataError
            The text is no duration.

        Examples
        --------
        >>> Duration.parse("PT7M30S").exact.total_seconds()
        450.0
        """
        found = _PATTERN.fullmatch(text)
        if not found:
            raise DataError(f"{text[:50]!r} is no duration", "write it as PT15M, P1D or P9999Y")
        sign, years, months, days, unit, hours, minutes, seconds = found.groups(default="0")
        whole, _, fraction = seconds.partition(".")
        try:
            exact = timedelta(
                days=int(days) * (7 if unit == "W" else 1),
                hours=int(hours),
                minutes=int(minutes),
                seconds=int(whole),
                microseconds=round(float(f".{fraction}0") * 1e6),
            )
            read = cls(12 * int(years) + int(months), exact)
        except (OverflowError, ValueError):  # more days than timedelta has, more digits than int
            read = FOR_EVER
        if read.months >= _LONGEST:
            read = FOR_EVER
        return cls(-read.months, -read.exact) if sign == "-" else read

    @property
    def negative(self) -> bool:
        """Whether it leads into the past."""
        return self.months < 0 or self.exact < timedelta(0)

    def after(self, instant: datetime) -> datetime:
        """Return when it is over that begins at an instant.

        Parameters
        ----------
        instant : datetime
            Aware.

        Returns
        -------
        datetime
            Aware UTC: 31 January and one month is the last of February, a day is 24 hours in
            spring and autumn too. `END_OF_TIME` where it is over after the year 9999.
        """
        try:
            begin = instant.astimezone(UTC)
            if self.months:
                begin += relativedelta(months=self.months)
            return begin + self.exact
        except (OverflowError, ValueError):
            return datetime.min.replace(tzinfo=UTC) if self.negative else END_OF_TIME

    def __add__(self, other: Duration) -> Duration:
        try:
            return Duration(self.months + other.months, self.exact + other.exact)
        except OverflowError:
            return FOR_EVER

    def __str__(self) -> str:
        if self.negative:
            return f"-{Duration(-self.months, -self.exact)}"
        years, months = divmod(self.months, 12)
        minutes, seconds = divmod(self.exact.seconds, 60)
        hours, minutes = divmod(minutes, 60)
        fraction = f".{self.exact.microseconds:06d}".rstrip("0").rstrip(".")
        last = f"{seconds}{fraction}" if seconds or fraction else 0
        date = _written((years, "Y"), (months, "M"), (self.exact.days, "D"))
        time = _written((hours, "H"), (minutes, "M"), (last, "S"))
        return f"P{date}T{time}" if time else f"P{date or 'T0S'}"


def _written(*parts: tuple[int | str, str]) -> str:
    return "".join(f"{number}{unit}" for number, unit in parts if number)


FOR_EVER = Duration(_LONGEST)
"""What ``P9999Y`` stands for: no end."""
