"""What an OpenADR system is made of, in no dialect: programs, events, VENs, resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

__all__ = ["Event", "Program", "Resource", "Signal", "Status", "Ven"]

Status = Literal["approved", "pending", "suspended"]


@dataclass(frozen=True, slots=True)
class Ven:
    """A virtual end node as the VTN knows it."""

    id: str
    name: str
    client_name: str


@dataclass(frozen=True, slots=True)
class Resource:
    """What stands behind a VEN: one building with its loads.

    `attributes` maps a name to its values, such as ``{"load_0": ["heating"]}``.
    """

    id: str
    name: str
    ven_name: str
    kind: str = "building"
    status: Status = "approved"
    attributes: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Program:
    """A demand response program that resources can be enrolled in."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Signal:
    """What an event asks for: one type, its values in order, and their unit."""

    type: str
    values: tuple[float, ...]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A demand response event over [start, end), at one version of it.

    `targets` names VENs or resources; empty means everybody in the program.
    `signal` is None where the VTN's dialect cannot say one.
    """

    id: str
    name: str
    program_id: str
    start: datetime
    end: datetime
    version: int = 0
    cancelled: bool = False
    signal: Signal | None = None
    targets: tuple[str, ...] = ()
