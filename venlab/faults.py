"""Faults to order: what a VTN is told to do wrong, as data and as the text that people type."""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import Any, NamedTuple

from venlab.errors import ConfigError

__all__ = ["KINDS", "PRESETS", "Fault", "Faults"]


class _Check(NamedTuple):
    """What a value may be, in words and as a test."""

    allowed: str
    holds: Callable[[Any], bool]


def _number(low: float, high: float, *, whole: bool = False) -> _Check:
    def holds(value: Any) -> bool:
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        return number and low <= value <= high

    words = f"a {'whole ' if whole else ''}number from {low:g} to {high:,.0f}"
    return _Check(words if high else "none", holds)


def _words(allowed: str, pattern: str) -> _Check:
    found = re.compile(pattern).fullmatch
    return _Check(allowed, lambda value: isinstance(value, str) and found(value) is not None)


_CHECKS = {
    "latency": _number(0.001, 3600),
    "status": _number(400, 599, whole=True),
    "exhausted": _number(0, 10**6, whole=True),
    "seed": _number(0, 2**32 - 1, whole=True),
    "stored": _Check("the word alone, or True in Python", lambda value: value is True),
    "sigma": _number(0, 5),
    "retry_after": _number(0, 86_400, whole=True),
    "down": _number(0, 3600),
    "lose": _words("store", "store"),
    "share": _number(0, 1),
    "path": _words("a path such as /reports", r"/[!-~]*"),
    "method": _words("GET, POST, PUT, PATCH or DELETE", "GET|POST|PUT|PATCH|DELETE"),
    "ven": _words("a VEN's name or id", r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,256}"),
    "from": _number(0, 10**6),
    "for": _number(0, 10**6),
}
_TEXTS = ("lose", "path", "method", "ven")
_WHEN = ("from", "for")
_WHERE = ("share", "path", "method", "ven", *_WHEN)
_BOTH = ("stored", *_WHERE)

KINDS = {
    "latency": ("the answer takes so long [s]; with sigma: lognormal, median", ("sigma", *_BOTH)),
    "status": ("this status for an answer; written as 503", ("retry_after", *_BOTH)),
    "reset": ("the connection is reset, no answer", _BOTH),
    "silent": ("the connection stays open, and no answer ever comes", _BOTH),
    "html": ("a web page for an answer, with status 200, to a POST 201", _BOTH),
    "half": ("stored, and the connection closes in the middle of the answer", _WHERE),
    "expire": ("the VEN's own token is refused until it is renewed", _WHERE),
    "close": ("the connection closes after the answer", _WHERE),
    "created_200": ("200 where 201 is due", _WHERE),
    "null_times": ("times of creation and change are null", _WHERE),
    "naive_times": ("times have no zone", _WHERE),
    "unknown_500": ("500 where 404 is due", _WHERE),
    "repeat_reports": ("a report's name may come again, and is stored again", _WHEN),
    "repeat_vens": ("a VEN's name may come again, and gets a new id", _WHEN),
    "exhausted": ("after so many new connections, others get no answer", _WHEN),
    "diskfull": ("the store cannot grow", _WHEN),
    "restart": (
        "connections are reset, nobody listens for down=1 [s]; lose=store: empty then",
        ("down", "lose", "from"),
    ),
}
"""Each kind of fault: what it does, and which options it takes."""

PRESETS = {
    "vtn-ri": "exhausted=200; close; null_times; repeat_vens; repeat_reports",
    "sailesha": "created_200; null_times; unknown_500; repeat_reports",
    "bad-network": "latency=0.05 sigma=1; reset share=0.01; reset stored share=0.01",
}
"""Faults by one name: two VTNs that others had to live with, and a bad day."""

_ALL = KINDS | {name: (f"= {text}", _WHEN) for name, text in PRESETS.items()}


@dataclass(frozen=True)
class Fault:
    """One thing to do wrong, and where and when.

    Parameters
    ----------
    kind : str
        A key of `KINDS` or `PRESETS`.
    value : float
        Of ``latency`` the seconds, of ``status`` the status, of ``exhausted`` the connections.
    stored : bool
        Whether it strikes after the request was carried out, so that what it sent is stored.
    sigma : float
        Of ``latency``: standard deviation of the logarithm; 0 = always the same.
    retry_after : int, optional
        Of ``status``: what the header Retry-After says [s].
    down : float
        Of ``restart``: how long nobody listens [s].
    lose : str
        Of ``restart``: ``store`` = begin with an empty one.
    share : float
        How many of the requests that match, 0 to 1.
    path : str
        Beginning of their path, after the base path.
    method : str
        Their method.
    ven : str
        Name, client name or id of the VEN whose they are, or of whom they speak.
    from_s, for_s : float
        Window: its begin after the order took hold, and its length [s].

    Raises
    ------
    ConfigError
        No such kind, an option it does not take, or a value out of range.

    Examples
    --------
    >>> print(Fault("status", 503, share=0.3, path="/reports"))
    503 share=0.3 path=/reports
    """

    kind: str
    value: float = 0
    _: KW_ONLY
    stored: bool = False
    sigma: float = 0.0
    retry_after: int | None = None
    down: float = 1.0
    lose: str = ""
    share: float = 1.0
    path: str = ""
    method: str = ""
    ven: str = ""
    from_s: float = 0.0
    for_s: float = math.inf

    def __post_init__(self) -> None:
        _options(self.kind)
        _check(self.kind, f"fault {self.kind}: its value", self.value)
        for name, value in self._given():
            _option(self.kind, name)
            _check(name, f"fault {self.name}: {name}", value)

    @property
    def name(self) -> str:
        """What it is called in texts and logs: its kind, or the status."""
        return f"{self.value:g}" if self.kind == "status" else self.kind

    def __str__(self) -> str:
        valued = self.kind in _CHECKS and self.kind != "status"
        given = (n if v is True else f"{n}={_text(v)}" for n, v in self._given())
        return " ".join((f"{self.name}={_text(self.value)}" if valued else self.name, *given))

    def _given(self) -> list[tuple[str, Any]]:
        """Return the options that are not left as they are, by their names in a text."""
        named = {
            f.name.removesuffix("_s"): (getattr(self, f.name), f.default) for f in fields(self)
        }
        return [(n, v) for n, (v, default) in named.items() if n in _CHECKS and v != default]


@dataclass(frozen=True, repr=False)
class Faults:
    """What a VTN is told to do wrong.

    Parameters
    ----------
    faults : tuple of Fault
        All of them; none = it behaves.
    seed : int
        The same seed and the same sequence of requests give the same faults.

    Raises
    ------
    ConfigError
        The seed is no whole number, 0 or more.

    Examples
    --------
    >>> faults = Faults.parse("503 share=0.3 path=/reports from=5 for=10; latency=0.2", seed=7)
    >>> print(faults)
    503 share=0.3 path=/reports from=5 for=10; latency=0.2
    >>> bool(Faults.parse(""))
    False
    """

    faults: tuple[Fault, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        _check("seed", "the seed of faults", self.seed)

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Faults:
        """Read faults as people type them: ``KIND[=VALUE] [OPTION=VALUE]...; ...``.

        Parameters
        ----------
        text : str
            ``str()`` gives it back; empty = none.
        seed : int
            As in `Faults`.

        Raises
        ------
        ConfigError
            Naming the fault and the word, what looks like it, and what is allowed.

        Examples
        --------
        >>> Faults.parse("reset stored share=0.1 ven='Høje Taastrup'; vtn-ri from=60")
        Faults.parse("reset stored share=0.1 ven='Høje Taastrup'; vtn-ri from=60", seed=0)
        """
        words: list[list[str]] = [[]]
        lexer = shlex.shlex(text, posix=True, punctuation_chars=";")
        lexer.whitespace_split, lexer.commenters = True, ""
        try:
            for word in lexer:
                words.append([]) if set(word) == {";"} else words[-1].append(word)
        except ValueError as error:
            raise ConfigError(f"the faults {text!r} cannot be read: {error}") from None
        return cls(tuple(_read(first, rest) for first, *rest in filter(None, words)), seed)

    def __str__(self) -> str:
        return "; ".join(map(str, self.faults))

    def __repr__(self) -> str:
        return f"Faults.parse({str(self)!r}, seed={self.seed})"

    def __bool__(self) -> bool:
        return bool(self.faults)

    def plain(self) -> tuple[Fault, ...]:
        """Return the faults with each preset replaced by what it stands for, in its window."""
        return tuple(plain for fault in self.faults for plain in _plain(fault))


def _plain(fault: Fault) -> Iterable[Fault]:
    if fault.kind not in PRESETS:
        return [fault]
    parts = Faults.parse(PRESETS[fault.kind]).faults
    return [replace(part, from_s=fault.from_s, for_s=fault.for_s) for part in parts]


def _read(first: str, rest: list[str]) -> Fault:
    kind, _, value = first.partition("=")
    if kind.isdecimal():
        kind, value = "status", kind
    given: dict[str, Any] = {}
    for word in rest:
        name, mark, text = word.partition("=")
        _option(kind, name)
        option = _value(name, text) if mark else True
        _check(name, f"fault {first}: {name}", option)  # here too: it may equal the default
        given[f"{name}_s" if name in _WHEN else name] = option
    return Fault(kind, _value(kind, value) if value else 0, **given)


def _value(name: str, text: str) -> Any:
    """Return the number that a text says, or the text, for the checks to take or refuse."""
    with suppress(ValueError):
        if name not in _TEXTS:
            number = float(text)
            return int(number) if number.is_integer() else number
    return text


def _options(kind: str) -> tuple[str, ...]:
    if kind not in _ALL:
        raise _unknown(f"there is no fault {kind!r}", kind, _ALL)
    return _ALL[kind][1]


def _option(kind: str, name: str) -> None:
    if name not in (options := _options(kind)):
        raise _unknown(f"fault {kind} takes no {name!r}", name, options)


def _unknown(problem: str, name: str, allowed: Iterable[str]) -> ConfigError:
    near = difflib.get_close_matches(name, allowed, 1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return ConfigError(problem + hint, f"allowed are {', '.join(allowed)}")


def _check(name: str, place: str, value: Any) -> None:
    check = _CHECKS.get(name, _number(0, 0))
    if not check.holds(value):
        raise ConfigError(f"{place} is {value!r}", f"allowed is {check.allowed}")


def _text(value: float | str) -> str:
    """Write a value so that reading gives it back, quoted only where it must be."""
    if not isinstance(value, str):
        return repr(value).removesuffix(".0")
    return value if re.fullmatch(r"[^\s;'\"\\]+", value) else shlex.quote(value)
