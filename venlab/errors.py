"""The error family: each error says what was wrong, with the value, and what to do.

.. code-block:: text

    VenlabError
    ├── ConfigError        a parameter, a key of lab.toml, an argument, an expression
    ├── DataError          a table or profile that a person gave us
    │   └── LocalTimeError a wall-clock time that does not exist or occurs twice
    ├── StoreError         the run file: cannot be written, opened or trusted
    ├── VtnError           anything about the server we talk to
    │   ├── NoAnswer       nobody there, refused, timed out, cut off
    │   ├── NotAVtn        somebody answers, but not as a VTN does
    │   ├── AccessDenied   401 or 403: the credential is wrong, missing or expired
    │   └── Refused        any other refusal (400, 404, 409, 413, 422, …)
    └── RunError           a run or a notebook that could not finish
"""

from __future__ import annotations

__all__ = [
    "AccessDenied",
    "ConfigError",
    "DataError",
    "LocalTimeError",
    "NoAnswer",
    "NotAVtn",
    "Refused",
    "RunError",
    "StoreError",
    "VenlabError",
    "VtnError",
    "plain",
]


class VenlabError(Exception):
    """Base of every error that venlab raises on purpose.

    Parameters
    ----------
    problem : str
        What was wrong, with the offending value.
    remedy : str, optional
        What the reader can do about it.

    Examples
    --------
    >>> print(ConfigError("speed is -1, it must be above 0", "use 1, 60 or inf"))
    speed is -1, it must be above 0. Use 1, 60 or inf.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        if not self.remedy:
            return self.problem
        advice = self.remedy[0].upper() + self.remedy[1:]
        return f"{self.problem.rstrip('.')}. {advice.rstrip('.')}."


class ConfigError(VenlabError):
    """A parameter, a key of ``lab.toml``, an argument or an expression is unusable."""


class DataError(VenlabError):
    """A table or profile that a person gave us does not hold what it must."""


class LocalTimeError(DataError):
    """A wall-clock time does not exist (spring) or occurs twice (autumn)."""


class StoreError(VenlabError):
    """The run file cannot be written, opened or trusted."""


def plain(words: str, longest: int = 1000) -> str:
    r"""Return what a stranger said as it may be shown: on one line, printable, not too long.

    Parameters
    ----------
    words : str
        What was said.
    longest : int
        Characters that are kept.

    Examples
    --------
    >>> plain("down \x1b[31m for\r\n repair"), plain("a very long story", 6)
    ('down [31m for repair', 'a very…')
    """
    shown = "".join(c if c.isprintable() else " " for c in words[:longest])
    return " ".join(shown.split()) + "…" * (len(words) > longest)


class VtnError(VenlabError):
    """Something about the VTN we talk to.

    Parameters
    ----------
    problem, remedy : str
        As in `VenlabError`; the problem may hold a stranger's words.
    status : int, optional
        The HTTP status, where there was an answer.
    """

    def __init__(self, problem: str, remedy: str = "", *, status: int | None = None) -> None:
        super().__init__(plain(problem), remedy)
        self.status = status


class NoAnswer(VtnError):
    """Nobody answered: refused, timed out, cut off in the middle, or with a passing failure.

    Parameters
    ----------
    problem, remedy, status
        As in `VtnError`.
    retry_after_s : float
        How long the VTN asks to be left alone [s].
    """

    def __init__(
        self,
        problem: str,
        remedy: str = "",
        *,
        status: int | None = None,
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(problem, remedy, status=status)
        self.retry_after_s = retry_after_s


class NotAVtn(VtnError):
    """Somebody answers there, but not as a VTN does."""


class AccessDenied(VtnError):
    """The VTN answers 401 or 403: the credential is wrong, missing or expired."""


class Refused(VtnError):
    """The VTN refuses what we asked, for a reason a retry cannot heal."""


class RunError(VenlabError):
    """A run or a notebook could not finish."""
