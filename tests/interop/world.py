"""A VTN with the lab's objects in it, a peer that is played there, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.interop.environments import Peer
from tests.interop.lab import LabClient
from tests.interop.peers.script import holds
from tests.standard.recording import Recording, forwarding, served
from tests.standard.samples import request
from tests.vtn.conftest import Server
from venlab.durations import Duration
from venlab.errors import DataError, VenlabError

PLAYED_S = 120.0
CREDENTIAL = "op"
READS = "the lab reads what it wrote"


class Cell(NamedTuple):
    """What came of one operation: whether it went well, and if not why."""

    ok: bool
    detail: str


@dataclass
class Outcome:
    """What came of one peer in one version.

    Attributes
    ----------
    cells : dict
        By operation.
    requests, answers : list of str
        What the documents do not allow of what the peer asked and of what our VTN answered.
    """

    cells: dict[str, Cell] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)


class World:
    """One version of a running VTN, with what the lab wrote there."""

    def __init__(self, url: str, version: str) -> None:
        self.root, self.version = url, version
        self.url = f"{url}/openadr3/{version}"
        self.seen = Recording()
        self._http = self.seen.watch(httpx.Client(base_url=self.url, trust_env=False))
        self._token = self._given()
        self.client = LabClient(self.url, version, CREDENTIAL, self.seen)
        self.lab = self._written()

    def close(self) -> None:
        self._http.close()

    def _given(self) -> str:
        form = {"grant_type": "client_credentials", "client_id": "operator"}
        form |= {"client_secret": CREDENTIAL}
        answer = self._http.post("/auth/token", data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        """Ask as business logic, by plain HTTP."""
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = self._http.request(method, path, json=content, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def _written(self) -> dict[str, Any]:
        """Have the lab write what it writes; return the objects as the VTN has them."""
        ids = self.client.write()
        events = [self.ask("GET", f"/events/{event}") for event in ids["events"]]
        program = self.ask("GET", f"/programs/{ids['program']}")
        (report,) = self.ask("GET", "/reports")
        return {"program": program, "events": events, "report": report}

    def tell(self, peer: Peer, url: str) -> dict[str, Any]:
        """Return what a peer's script is told: where, who it is, what is there, what to write."""
        name = peer.package
        spare, waste = (
            self.ask("POST", "/programs", {"programName": f"{what} of {name}"})
            for what in ("spare", "waste")
        )
        program = {"programID": self.lab["program"]["id"]}
        ids = {"eventID": self.lab["events"][2]["id"]}
        ids |= program if self.version == "3.0.1" else {}
        level = {"id": 0, "payloads": [{"type": "SIMPLE", "values": [3]}]}
        bodies = {
            "program": {"programName": f"program of {name}", "targets": None},
            "event": {**program, "eventName": f"event of {name}", "intervals": [level]},
            "ven": {"venName": f"VEN of {name}"},
            "resource": {},
            "report": {**ids, "reportName": f"{name}/1", "clientName": name},
            "subscription": {**program, "clientName": name, "objectOperations": [self._call()]},
        }
        write = {kind: request(self.version, kind, **body) for kind, body in bodies.items()}
        write["program"].pop("timeZoneOffset", None)  # openadr3-client has no member for it
        write["plain report"] = write["report"] | {"reportName": f"{name}/2"}
        del write["plain report"]["payloadDescriptors"]
        return {
            "version": self.version,
            "url": f"{url}/openadr3/{self.version}",
            "token_url": f"{url}/openadr3/{self.version}/auth/token",
            "operator": {"id": "operator", "secret": CREDENTIAL},
            "ven": {"id": f"client-of-{name}", "secret": CREDENTIAL},
            "lab": self.lab | {"spare": spare, "waste": waste},
            "write": write,
        }

    def _call(self) -> dict[str, Any]:
        """Return what to call for what, in words that all clients of the version have."""
        words = ["POST", "DELETE"] if self.version == "3.0.1" else ["DELETE"]
        calls = {"objects": ["EVENT"], "operations": words, "bearerToken": "t"}
        return calls | {"callbackUrl": "https://vtn.example/told"}

    def read_back(self, kind: str, object_id: str | None, body: Any, who: str) -> None:
        """Raise ValueError unless the VTN holds what a peer was to write, somewhere if no id.

        By plain HTTP every member is looked at, by the lab's client what the lab makes of it.
        """
        path = f"/vens/{body['venID']}" if (kind, self.version) == ("resource", "3.0.1") else ""
        path += f"/{kind}s" + (f"/{object_id}" if object_id else "")
        found = self.ask("GET", path)
        wanted = meant({name: value for name, value in body.items() if name != "objectType"})
        for call in wanted.get("objectOperations", []):
            del call["bearerToken"]  # its maker's secret, shown to nobody else
        if object_id:
            holds(meant(found), wanted)
        elif not any(meant(each) == meant(each) | wanted for each in found):
            raise ValueError(f"none of {len(found)} is it")
        self.client.read(kind, object_id, body, who)


def play(peer: Peer, python: Path, world: World, folder: Path) -> Outcome:
    """Let a peer do all it can; look at every exchange, and read back what it wrote."""
    outcome, seen = Outcome(), Recording()
    with served(seen.app(forwarding(world.root))) as url:
        told = world.tell(peer, url)
        ended = subprocess.run(
            [python, peer.script],
            input=json.dumps(told).encode(),
            cwd=folder,
            env=os.environ | {"NO_PROXY": "*", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ""},
            capture_output=True,
            timeout=PLAYED_S,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr.decode()[-2000:]
    wrong = []
    for line in ended.stdout.decode().splitlines():
        if not line.startswith('{"operation"'):
            continue  # its own chatter
        said = json.loads(line)
        outcome.cells[said["operation"]] = Cell(said["ok"], said["detail"])
        if said["ok"] and "kind" in said:
            body = said.get("body") or told["write"][said["kind"]]
            try:
                world.read_back(said["kind"], said.get("wrote"), body, told["ven"]["id"])
            except (ValueError, AssertionError, VenlabError) as error:
                wrong.append(f"{said['kind']}: {error}")
    outcome.cells[READS] = Cell(not wrong, "; ".join(wrong))
    outcome.requests, outcome.answers = seen.requests, seen.answers
    return outcome


def meant(content: Any) -> Any:
    """Return JSON with times and durations as what they mean, and without what is null."""
    if isinstance(content, dict):
        return {name: meant(inner) for name, inner in content.items() if inner is not None}
    if isinstance(content, list):
        return [meant(inner) for inner in content]
    if isinstance(content, str):
        for reading in (datetime.fromisoformat, Duration.parse):
            try:
                return reading(content)
            except (ValueError, DataError):
                continue
    return content


@contextmanager
def running(store: Path) -> Iterator[str]:
    """Run a VTN as a process of its own; its url."""
    server = Server("--embedded", "--store", str(store), credential=CREDENTIAL)
    try:
        yield server.ready["url"]
    finally:
        server.process.kill()
        server.ended()
