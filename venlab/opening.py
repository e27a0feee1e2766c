"""What a lab needs before it runs: leave to write, a fleet, a name."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from venlab.client import Client
from venlab.clock import Clock
from venlab.config import LabConfig
from venlab.errors import ConfigError
from venlab.fleet import LOADS, Fleet
from venlab.flexibility import Flexibility
from venlab.opting import Policy
from venlab.profiles import Profiles
from venlab.responder import Responder
from venlab.retry import Backoff, Patience
from venlab.roster import Roster
from venlab.simulator import Simulator
from venlab.transport import is_loopback

__all__ = [
    "facts",
    "fleet_of",
    "guard",
    "keep_tables",
    "new_run_id",
    "patience",
    "promise",
    "repairing",
    "responder_of",
    "simulator_of",
]

FLEXIBILITY = "flexibility.csv"
REGISTRATION_TRIES = 8  # about ten seconds: a VTN that is just starting again is waited for


def guard(config: LabConfig) -> None:
    """Refuse to create things on somebody else's VTN unless that was said to be right."""
    if config.vtn_url and not (config.allow_writes or is_loopback(config.vtn_url)):
        raise ConfigError(
            f"{config.vtn_url} is not on this machine, and a run creates VENs and reports there",
            "set allow_writes = true in lab.toml if its owner agrees",
        )


def fleet_of(config: LabConfig) -> Fleet:
    """Return the fleet that the settings name; the one it was played with where a run goes on."""
    if config.resume:
        return Fleet.from_csv(f"{config.out_dir}/fleet.csv")
    if config.fleet_csv:
        fleet = Fleet.from_csv(config.fleet_csv)
    else:
        fleet = (Fleet.reference if config.vens <= 10 else Fleet.full)(config.seed)
    return fleet.only(min(config.vens, fleet.n_vens))


def simulator_of(config: LabConfig, fleet: Fleet, profiles: Profiles, began: str = "") -> Simulator:
    """Return the simulator of a run that began at a time, or begins by its settings, at step 0."""
    start = datetime.fromisoformat(began) if began else config.start_utc()
    return Simulator(fleet, profiles, seed=config.seed, start=start, step_min=config.step)


def keep_tables(config: LabConfig, fleet: Fleet, profiles: Profiles, folder: Path) -> None:
    """Write what a run is played with into its folder: a table may be edited afterwards."""
    fleet.to_csv(folder / "fleet.csv")
    if config.flexibility_csv:
        Flexibility.of(fleet, profiles, config.flexibility_csv)  # is it one?
        shutil.copyfile(config.flexibility_csv, folder / FLEXIBILITY)


def responder_of(
    config: LabConfig,
    fleet: Fleet,
    profiles: Profiles,
    folder: Path,
    policy: Policy | None = None,
) -> Responder:
    """Return what a run's loads do about events, by the table that it keeps, else the package's."""
    own = folder / FLEXIBILITY
    flexible = Flexibility.of(fleet, profiles, own if own.exists() else None)
    return Responder(
        fleet,
        flexible,
        config.seed,
        step_min=config.step,
        prefix=config.name_prefix,
        policy=policy,
    )


def new_run_id() -> str:
    """Return a name no other run has, at whichever VTN."""
    return f"run-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def patience(config: LabConfig, wall: Clock) -> Patience:
    """Return how patiently VENs and resources are registered."""
    return Patience(REGISTRATION_TRIES, wall, Backoff(0.1, 5.0, np.random.default_rng(config.seed)))


def facts(
    config: LabConfig, roster: Roster, client: Client, url: str, simulator: Simulator
) -> dict[str, Any]:
    """Return what a run is, so that it can be told, and gone on with, however it ends."""
    approved = int(roster.approved.sum())
    return {
        "vens": len(roster.vens),
        "resources": approved,
        "loads": approved * len(LOADS),
        "dialect": client.dialect.name,
        "transport": config.transport,
        "vtn_url": url,
        "delivered": promise(client),
        "seed": config.seed,
        "speed": str(config.speed),
        "start": simulator.time_of(0).isoformat(),
    }


def promise(client: Client) -> str:
    """Return how often a report may be at the VTN, by what that says of itself."""
    return "exactly once" if client.refuses_repeated_names else "at least once"


def repairing(repair: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[bytes], bytes]:
    """Return a repair of parsed reports as one of bodies."""
    return lambda body: json.dumps(repair(json.loads(body)), separators=(",", ":")).encode()
