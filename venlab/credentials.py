"""Whose credential is used for what: the fleet's, and each VEN's where the VTN knows them apart."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from venlab.auth import ClientCredentials
from venlab.config import LabConfig
from venlab.errors import ConfigError, DataError
from venlab.secret import Secret
from venlab.transport import Transport

__all__ = ["OfVen", "credential_of", "credential_of_ven"]

COLUMNS = ("town_id", "client_id", "client_secret")
OfVen = Callable[[str], ClientCredentials]
"""Who gives tokens to the VEN of a client name."""


def credential_of(
    config: LabConfig, transport: Callable[..., Transport], token_url: str
) -> Secret | ClientCredentials:
    """Return the fleet's credential that the settings name: a token, or who gives tokens.

    Parameters
    ----------
    config : LabConfig
        Its client and secrets.
    transport : callable
        Makes what carries the request.
    token_url : str
        Where tokens are given.
    """
    if not (config.client_id and token_url):
        return config.token
    return _client(config, transport, token_url)(config.client_id, config.client_secret)


def credential_of_ven(
    config: LabConfig, transport: Callable[..., Transport], token_url: str
) -> OfVen | None:
    """Return who gives tokens to each VEN, where the settings name a table of its credentials.

    Parameters
    ----------
    config, transport, token_url
        As above.

    Raises
    ------
    ConfigError
        There is no such table, or nobody who gives tokens.
    DataError
        It lacks a column, or a town stands there twice; no secret is in the message.
    """
    if not config.ven_credentials:
        return None
    if not token_url:
        raise ConfigError("ven_credentials is set, and nobody is named who gives tokens: token_url")
    table = _read(Path(config.ven_credentials))
    client = _client(config, transport, token_url)
    prefix = config.name_prefix

    def of_ven(client_name: str) -> ClientCredentials:
        town = client_name.removeprefix(prefix)
        if town not in table:
            problem = f"{config.ven_credentials} has no credential of {town!r}"
            raise ConfigError(problem, "add a row, or let fewer VENs take part")
        return client(*table[town])

    return of_ven


def _client(
    config: LabConfig, transport: Callable[..., Transport], token_url: str
) -> Callable[[str, Secret], ClientCredentials]:
    """Return what makes credentials of one token server, which share its connection."""
    first = ClientCredentials(
        token_url,
        config.client_id,
        config.client_secret or Secret("?"),
        scope=config.scope,
        style=config.auth_style,
        transport=transport,
        timeout_s=config.timeout_s,
    )
    return first.of


def _read(path: Path) -> dict[str, tuple[str, Secret]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise ConfigError(f"ven_credentials: {path} cannot be read: {error.strerror}") from None
    table: dict[str, tuple[str, Secret]] = {}
    for line, row in enumerate(rows, 2):
        if any(not row.get(column) for column in COLUMNS):
            raise DataError(f"{path}, line {line}: it needs {', '.join(COLUMNS)}")
        if row["town_id"] in table:
            raise DataError(f"{path}, line {line}: {row['town_id']!r} stands there already")
        table[row["town_id"]] = row["client_id"], Secret(row["client_secret"])
    return table
