"""Every setting of the lab in one table: ``lab.toml``, then arguments; the later wins."""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from venlab import calendar
from venlab.errors import ConfigError, DataError
from venlab.faults import Faults
from venlab.platforms import data_dir
from venlab.secret import Secret, hide, variable
from venlab.settings import LONGEST_S, Value, allowed, interval, problem, setting
from venlab.urls import checked_url

__all__ = [
    "SECRETS",
    "LabConfig",
    "check_value",
    "describe",
    "own_file",
    "params",
]

SECRETS = {"token": "VENLAB_TOKEN", "client_secret": "VENLAB_CLIENT_SECRET"}  # and where they are
DIALECTS = ("flat", "3.0.1", "3.1.0")
TOML_VARIABLE = "VENLAB_TOML"
QUARTER_S = 900  # what the load profiles are made of
LONGEST_H = 1e6  # a date has an end, and a century is enough


@dataclass(frozen=True, kw_only=True)
class LabConfig:
    """What a lab is told: fleet, simulation, schedule, VTN, delivery and run.

    Each field is a key of ``lab.toml`` in the section that its metadata names, and may be a
    parameter of a notebook. `describe` prints them all.

    Raises
    ------
    ConfigError
        Naming every wrong value at once and what is allowed.

    Examples
    --------
    >>> LabConfig(report_every_s=15, simulate_every_s=30, step_min=15).interval_min
    7.5
    """

    vens: int = setting(10, "fleet", "VENs that take part, at most", low=1, high=287)
    fleet_csv: str = setting("", "fleet", "fleet table to play, empty = the reference fleet")
    seed: int = setting(7, "fleet", "seed of fleet and noise", low=0, high=2**32 - 1)

    flexibility_csv: str = setting(
        "", "simulation", "what loads can give in an event, empty = data/flexibility_parameters.csv"
    )
    start: str = setting(
        "2023-11-30T16:00", "simulation", "simulated start, Copenhagen time unless zoned"
    )
    simulated_hours: float = setting(
        3.0, "simulation", "length [simulated h]", above=0, high=LONGEST_H
    )
    step_min: float = setting(
        15.0, "simulation", "one advance of the simulation [simulated min]", above=0, high=1440
    )
    realtime: bool = setting(
        False, "simulation", "start now, one step = one simulate interval: for VTNs of true time"
    )

    speed: float = setting(math.inf, "schedule", "schedule seconds per wall second", above=0)
    simulate_every_s: float = interval(30.0, "simulate interval [s]")
    report_every_s: float = interval(15.0, "report interval [s]")
    events_every_s: float = interval(15.0, "event poll interval [s]")
    status_every_s: float = interval(300.0, "resource status interval [s]")
    heartbeat_every_s: float = interval(300.0, "heartbeat interval [s]")

    vtn_url: str = setting("", "vtn", "the VTN's base url, empty = the embedded VTN")
    dialect: str = setting("flat", "vtn", "which JSON the VTN speaks", choices=(*DIALECTS, "auto"))
    transport: str = setting("httpx", "vtn", "what carries the requests", choices=("httpx", "fast"))
    in_flight: int = setting(8, "vtn", "requests at the same time", low=1, high=64)
    timeout_s: float = setting(
        10.0, "vtn", "longest wait for an answer [s]", above=0, high=LONGEST_S
    )
    rate_per_s: float = setting(math.inf, "vtn", "requests a second, at most", above=0)
    report_event: str = setting(
        "", "vtn", "event that reports are about, by name or id; empty = one of the lab's own"
    )
    allow_writes: bool = setting(False, "vtn", "may create things on an outside VTN")
    faults: str = setting(
        "", "vtn", "what the embedded VTN does wrong during a run, empty = nothing"
    )
    token_url: str = setting("", "vtn", "where OAuth2 gives tokens, empty = VENLAB_TOKEN is one")
    client_id: str = setting("", "vtn", "the OAuth2 client; VENLAB_CLIENT_SECRET is its secret")
    scope: str = setting("", "vtn", "OAuth2 scopes to ask for, empty = none are named")
    ven_credentials: str = setting(
        "", "vtn", "table of town_id, client_id, client_secret: a credential for each VEN"
    )
    auth_style: str = setting(
        "body", "vtn", "how the client's secret is sent", choices=("body", "basic")
    )

    tries: int = setting(3, "delivery", "attempts before a report waits", low=1, high=10)
    spread: float = setting(
        0.8, "delivery", "share of the report interval over which VENs are spread", low=0, high=0.95
    )
    look_before_resend: bool = setting(
        True, "delivery", "look for a report that may be there, where a VTN takes names twice"
    )
    drain_s: float = setting(
        30.0, "delivery", "longest wait for the backlog [s]", low=0, high=LONGEST_S
    )
    batch_bytes: int = setting(
        1_000_000, "delivery", "longest report [bytes], where one holds many loads", low=2_000
    )
    batch_resources: int = setting(
        10_000, "delivery", "most resources of one report, where it holds many", low=1
    )
    durability: str = setting(
        "process", "delivery", "what a reading survives", choices=("process", "power")
    )
    name_prefix: str = setting("", "delivery", "put before every VEN's name")

    out_dir: str = setting("", "run", "the run folder, empty = a new one under runs/")
    resume: bool = setting(False, "run", "go on with the run that out_dir holds")

    town: str = setting("Viborg", "lesson", "the town that a lesson looks at, by name or town_id")

    token: Secret = dataclasses.field(default_factory=lambda: Secret(""))
    client_secret: Secret = dataclasses.field(default_factory=lambda: Secret(""))

    def __post_init__(self) -> None:
        hide(vars(self), SECRETS)  # however they came
        problems = [p for s in _settings() if (p := problem(s, getattr(self, s.name)))]
        problems = problems or list(self._contradictions())
        if problems:
            raise ConfigError("; ".join(problems))

    def _contradictions(self) -> Iterable[str]:
        shorter, longer = sorted(
            round(s * 1e6) for s in (self.simulate_every_s, self.report_every_s)
        )
        if longer % shorter:
            yield (
                f"report_every_s = {self.report_every_s:g} and simulate_every_s = "
                f"{self.simulate_every_s:g}: one must divide the other"
            )
        elif (seconds := round(self.interval_min * 60, 9)) % 1 or seconds < 1:
            yield f"a reading would cover {seconds:g} s, it must be whole seconds"
        step_s = round(self.step * 60, 9)
        if step_s % 1 or (QUARTER_S % step_s and step_s % QUARTER_S):
            yield f"a step is {step_s:g} s, it must divide 15 min or be a multiple of it"
        for name in ("vtn_url", "token_url"):
            try:
                checked_url(getattr(self, name) or "http://localhost", name)
            except ConfigError as error:
                yield str(error)
        named = [name for name in ("token_url", "client_id") if getattr(self, name)]
        single = self.client_id and self.client_secret
        if self.vtn_url and named and not (single or self.ven_credentials):
            yield f"{named[0]} is set: it needs client_id, and the secret in VENLAB_CLIENT_SECRET"
        if self.transport == "httpx" and self.in_flight > 8:
            yield f"in_flight is {self.in_flight}: httpx slows down past 8, use transport = 'fast'"
        try:
            Faults.parse(self.faults)
        except ConfigError as error:
            yield f"faults: {error}"
        if self.resume and not self.out_dir:
            yield "resume is true and out_dir is empty: name the folder of the run to go on with"
        try:
            self.start_utc()
        except DataError as error:
            yield f"start: {error}"

    @property
    def step(self) -> float:
        """One advance of the simulation [simulated min]; in real time the simulate interval."""
        return self.simulate_every_s / 60 if self.realtime else self.step_min

    @property
    def interval_min(self) -> float:
        """What one reading covers [simulated min]: step × report ÷ simulate interval."""
        return self.step * self.report_every_s / self.simulate_every_s

    @property
    def steps(self) -> int:
        """How many steps the run has: the simulated hours, rounded up to whole steps."""
        return max(1, math.ceil(self.simulated_hours * 60 / self.step - 1e-9))

    def start_utc(self) -> datetime:
        """Return the simulated start; now, to the second, where `realtime` is set."""
        if self.realtime:
            return datetime.now(UTC).replace(microsecond=0)
        return calendar.parse_time(self.start)

    def but(self, **changes: Value | Secret) -> LabConfig:
        """Return the same settings with some changed."""
        hide(changes, SECRETS)
        return dataclasses.replace(self, **_known(changes))

    def public(self) -> dict[str, Value]:
        """Return every setting but the secret ones, for files and prints."""
        return {s.name: getattr(self, s.name) for s in _settings()}

    def secrets(self) -> dict[str, Secret]:
        """Return the secret settings by name."""
        return {name: getattr(self, name) for name in SECRETS}

    @classmethod
    def load(
        cls, path: str | Path | None = None, env: Mapping[str, str] | None = None, **arguments: Any
    ) -> LabConfig:
        """Read ``lab.toml``, take secrets from the environment, then apply arguments.

        Parameters
        ----------
        path : path, optional
            The file; else what ``VENLAB_TOML`` names, else ``lab.toml`` here, else the shipped one.
        env : mapping, optional
            Where ``VENLAB_TOML``, ``VENLAB_TOKEN`` and ``VENLAB_CLIENT_SECRET`` are looked up;
            ``os.environ`` if not given.
        **arguments
            Settings by name; they win over the file.

        Raises
        ------
        ConfigError
            A file that is missing or no TOML, a key or value that is not allowed.
        """
        hide(arguments, SECRETS)
        values = _read_toml(_toml_path(path, env))
        values.update(_known(arguments))
        # A file's last line break is not of the secret in it.
        hidden = {name: Secret(variable(there, env).strip()) for name, there in SECRETS.items()}
        return cls(**{**hidden, **values})


def own_file(env: Mapping[str, str] | None = None) -> dict[str, Value]:
    """Return what a person's own ``lab.toml`` says; nothing where only the shipped one is there.

    Raises
    ------
    ConfigError
        A key or value that is not allowed.
    """
    path = _toml_path(None, env)
    return {} if path == data_dir() / "lab.toml" else _read_toml(path)


def params(cell: Mapping[str, Any] | None = None, /, **values: Any) -> LabConfig:
    """Check the parameters of a notebook and return them with every other setting.

    Parameters
    ----------
    cell : mapping, optional
        The notebook's ``globals()``; the settings among its names are taken.
    **values
        Settings by name; they win over `cell`.

    Returns
    -------
    LabConfig
        Frozen; its ``repr`` shows no secret.

    Raises
    ------
    ConfigError
        Naming the wrong names, types or values and what is allowed.

    Examples
    --------
    >>> params(vens=3, speed=60).vens
    3
    """
    hide(values, SECRETS)
    known = {s.name: cell[s.name] for s in _settings() if s.name in cell} if cell else {}
    return LabConfig.load(**known | values)


def describe() -> list[tuple[str, str, str, str]]:
    """Return (section, name, type and range, meaning) of each setting, in order."""
    return [(s.metadata["section"], s.name, allowed(s), s.metadata["meaning"]) for s in _settings()]


def check_value(name: str, value: Any) -> str:
    """Return what is wrong with a setting's value, or nothing."""
    for each in _settings():
        if each.name == name:
            return problem(each, value)
    return f"unknown setting {name}"


def _settings() -> list[dataclasses.Field[Any]]:
    return [f for f in dataclasses.fields(LabConfig) if f.metadata]


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    names = [s.name for s in _settings()]
    unknown = [n for n in values if n not in names and n not in SECRETS]
    if unknown:
        raise ConfigError(
            "; ".join(_unknown(n, names, "parameter") for n in unknown),
            "allowed are " + ", ".join(names),
        )
    return dict(values)


def _unknown(name: str, names: Iterable[str], what: str) -> str:
    near = difflib.get_close_matches(name, list(names), 1)
    return f"unknown {what} {name}" + (f" (did you mean {near[0]}?)" if near else "")


def _toml_path(path: str | Path | None, env: Mapping[str, str] | None) -> Path:
    chosen = path or variable(TOML_VARIABLE, env)
    if chosen:
        return Path(chosen)
    return here if (here := Path("lab.toml")).is_file() else data_dir() / "lab.toml"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            values, problems = _checked_toml(tomllib.load(file))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    if problems:  # raised here, where no traceback shows a token that somebody wrote there
        raise ConfigError(f"{path.name}: " + "; ".join(problems))
    return values


def _checked_toml(sections: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the values of a parsed file, and all that is wrong with it."""
    home: dict[str, list[dataclasses.Field[Any]]] = {}
    for each in _settings():
        home.setdefault(each.metadata["section"], []).append(each)
    problems, values = [], {}
    for section, content in sections.items():
        if section not in home or not isinstance(content, dict):
            problems.append(_unknown(f"[{section}]", (f"[{s}]" for s in home), "section"))
            continue
        here = {s.name: s for s in home[section]}
        for key, value in content.items():
            if key not in here:
                hint = _unknown(key, here, f"key in [{section}]:")
                problems.append(f"{hint}; allowed are {', '.join(here)}")
            elif wrong := problem(here[key], value):
                problems.append(wrong)
            else:
                values[key] = value
    return values, problems
