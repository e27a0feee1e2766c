"""A notebook-driven lab that plays a fleet of OpenADR VENs against a VTN.

``import venlab as vl`` is cheap: each name is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from venlab import baselines, measures, plots
    from venlab.audit import Check
    from venlab.calendar import parse_time
    from venlab.client import Client
    from venlab.clock import Agenda, Clock
    from venlab.config import LabConfig, describe, params
    from venlab.crash import crashed
    from venlab.dashboard import Dashboard
    from venlab.embedded import EmbeddedVtn
    from venlab.errors import VenlabError
    from venlab.exercises import check
    from venlab.faults import Faults
    from venlab.fleet import Fleet
    from venlab.history import History
    from venlab.lab import Lab
    from venlab.model import Event, Signal
    from venlab.playback import Playback
    from venlab.profiles import Profiles
    from venlab.results import Results
    from venlab.secret import Secret
    from venlab.simulator import Meter, Simulator
    from venlab.timeline import Timeline
    from venlab.transport import HttpxTransport
    from venlab.wire import can_say, dialect

__all__ = [
    "Agenda",
    "Check",
    "Client",
    "Clock",
    "Dashboard",
    "EmbeddedVtn",
    "Event",
    "Faults",
    "Fleet",
    "History",
    "HttpxTransport",
    "Lab",
    "LabConfig",
    "Meter",
    "Playback",
    "Profiles",
    "Results",
    "Secret",
    "Signal",
    "Simulator",
    "Timeline",
    "VenlabError",
    "baselines",
    "can_say",
    "check",
    "crashed",
    "describe",
    "dialect",
    "measures",
    "params",
    "parse_time",
    "plots",
]

_HOME = {
    "Agenda": "clock",
    "Check": "audit",
    "Client": "client",
    "Clock": "clock",
    "Dashboard": "dashboard",
    "EmbeddedVtn": "embedded",
    "Event": "model",
    "Faults": "faults",
    "Fleet": "fleet",
    "History": "history",
    "HttpxTransport": "transport",
    "Lab": "lab",
    "LabConfig": "config",
    "Meter": "simulator",
    "Playback": "playback",
    "Profiles": "profiles",
    "Results": "results",
    "Secret": "secret",
    "Signal": "model",
    "Simulator": "simulator",
    "Timeline": "timeline",
    "VenlabError": "errors",
    "can_say": "wire",
    "check": "exercises",
    "crashed": "crash",
    "describe": "config",
    "dialect": "wire",
    "params": "config",
    "parse_time": "calendar",
}

_MODULES = {"baselines", "measures", "plots"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"venlab.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'venlab' has no attribute {name!r}")
    return getattr(import_module(f"venlab.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
