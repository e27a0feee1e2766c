"""A run that was broken off: what its folder still says, and whether it may go on as asked."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from venlab.config import SECRETS, LabConfig, describe
from venlab.errors import ConfigError, StoreError
from venlab.secret import hide

__all__ = [
    "PARAMS_FILE",
    "config_of",
    "kept_settings",
    "must_be_the_same",
    "played_config",
    "secrets_to_ask",
    "settings_of",
    "write_settings",
]

PARAMS_FILE = "params.json"
FREE = {"vtn", "delivery", "run", "lesson"}  # sections that change no value of a run
BOUND = {"simulate_every_s", "report_every_s", "dialect", "name_prefix"}  # these do, or its names


def write_settings(folder: Path, config: LabConfig, run_id: str) -> None:
    """Write every setting of a run but its secrets, and where it had those from."""
    secrets = [SECRETS[name] for name, held in config.secrets().items() if held]
    # As text: JSON knows no infinity.
    settings = {
        name: str(value) if isinstance(value, float) and value == float("inf") else value
        for name, value in config.public().items()
    }
    told = {**settings, "resume": False, "run_id": run_id, "secrets": secrets}
    text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    # Whole or not at all: a run that is killed here can still be gone on with.
    path = folder / PARAMS_FILE
    try:
        (folder / (PARAMS_FILE + ".new")).write_text(text, encoding="utf-8")
        os.replace(folder / (PARAMS_FILE + ".new"), path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}") from None


def kept_settings(folder: str | Path) -> dict[str, Any]:
    """Return the settings of the run in a folder, with its ``run_id`` and ``secrets`` beside them.

    Raises
    ------
    StoreError
        There is no run, or one that had not begun.
    """
    path = Path(folder, PARAMS_FILE)
    try:
        told = dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        said = f"{folder} holds no run to go on with: none had begun there"
        raise StoreError(said, "name a run's folder, or begin the run anew") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read: {error}") from None
    for name, value in told.items():
        if value == "inf":
            told[name] = float("inf")
    if "run_id" not in told:
        raise StoreError(f"{path} names no run_id", "name a run's folder")
    return told


def must_be_the_same(config: LabConfig, kept: Mapping[str, Any]) -> None:
    """Refuse settings under which a run would have other values, or other names, than it began.

    Raises
    ------
    ConfigError
        Naming each setting that differs.
    """
    asked = config.public()
    bound = {name for section, name, *_ in describe() if section not in FREE | {"schedule"}} | BOUND
    differ = [
        f"{name} is {asked[name]!r}, the run has {kept[name]!r}"
        for name in sorted(bound)
        if name in kept and kept[name] != asked[name]
    ]
    if differ:
        raise ConfigError(
            f"the run in {config.out_dir} cannot go on so: {'; '.join(differ)}",
            "leave these as they were, or begin a new run",
        )


def secrets_to_ask(kept: Mapping[str, Any]) -> list[str]:
    """Return the environment variables of the secrets that a run had and that are not set now."""
    return [name for name in kept.get("secrets", ()) if not os.environ.get(name)]


def config_of(folder: str | Path, changes: dict[str, Any]) -> LabConfig:
    """Return the settings under which the run in a folder goes on.

    Raises
    ------
    StoreError
        There is no run.
    ConfigError
        A change is no setting, or would give the run other values; or a secret is missing.
    """
    hide(changes, SECRETS)
    kept = kept_settings(folder)
    config = played_config(kept, **changes, out_dir=str(folder), resume=True)
    must_be_the_same(config, kept)
    given = {SECRETS[name] for name, secret in config.secrets().items() if secret}
    if missing := [name for name in secrets_to_ask(kept) if name not in given]:
        raise ConfigError(
            f"the run spoke to {config.vtn_url} with a secret, which no run folder keeps",
            f"put it into the environment variable {' and '.join(missing)} and resume again",
        )
    return config


def played_config(kept: Mapping[str, Any], **changes: Any) -> LabConfig:
    """Return the settings that a folder has, without its secrets, but for what is other now."""
    known = {name for _, name, *_ in describe()}
    settings = {name: value for name, value in kept.items() if name in known}
    return LabConfig.load(**{**settings, **changes})


def settings_of(config: LabConfig, kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings to hand on: those that a folder has, as they are now."""
    return {n: v for n, v in config.public().items() if n in kept or n in ("resume", "out_dir")}
