"""A VTN with its token server that repeats what it was sent, in all ways that servers have."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from itertools import count, cycle
from typing import Any
from urllib.parse import quote, quote_plus

import venlab as vl
from tests.faults.planted import Planted
from tests.scripted import Reply, Request
from venlab.auth import credential_of
from venlab.client import Client
from venlab.fasttransport import FastTransport
from venlab.outbox import Attempt
from venlab.transport import HttpxTransport
from venlab.wire import dialect

CARRIERS = {"httpx": HttpxTransport, "fast": FastTransport}


def escaped(said: str, form: str) -> str:
    """Write what is neither letter nor digit by its number, as some encoders do."""
    return "".join(c if c.isalnum() else form.format(ord(c)) for c in said)


SAID: list[Callable[[str], tuple[int, bytes]]] = [
    lambda said: (500, json.dumps({"detail": f"not {said}"}).encode()),
    lambda said: (503, json.dumps({"detail": f"not {said}"}).replace("/", "\\/").encode()),
    lambda said: (500, b'{"detail": "%b"}' % escaped(said, "\\u{:04x}").encode()),
    lambda said: (500, json.dumps({"detail": escaped(said, "\\u{:04X}")}).encode()),
    lambda said: (502, f"<html><b>no <i>{said}</i>".encode()),
    lambda said: (502, escaped(said, "&#x{:X};").encode()),
    lambda said: (429, escaped(said, "&#{};").encode()),
    lambda said: (500, f"no {quote(said, safe='')}".encode()),
    lambda said: (500, re.sub("%..", lambda found: found[0].lower(), quote_plus(said)).encode()),
    lambda said: (200, f"<html>welcome {said}".encode()),
    lambda said: (201, json.dumps([said]).encode()),
    lambda said: (401, json.dumps({"detail": f"who is {said}?"}).encode()),
    lambda said: (403, escaped(said, "\\u{:04x}").encode()),
    lambda said: (422, json.dumps({"detail": [{"loc": [said], "msg": said}]}).encode()),
    lambda said: (400, json.dumps({"error": said, "error_description": said}).encode()),
]


class Parrot:
    """A VTN with its token server: some of its answers repeat what it was sent, all their headers.

    `repeats` tells which; those of each path do so in all ways, one after another.
    """

    def __init__(self, planted: Planted, repeats: Callable[[Request], bool]) -> None:
        self.planted, self.repeats, self.given = planted, repeats, count(1000)
        self.ways = defaultdict(lambda: cycle(SAID))

    def token(self) -> str:
        number = next(self.given)
        self.planted.add(token := f"{number}/g1ven+token=={number}")
        return token

    def __call__(self, request: Request) -> Reply:
        return (*self.answer(request), f"x-you-said: {request.headers.get('authorization', '')}")

    def answer(self, request: Request) -> tuple[int, bytes]:
        if self.repeats(request):
            form = request.body.decode() * (request.path == "/token")
            return next(self.ways[request.path])(request.headers.get("authorization", "") + form)
        if request.path == "/token":
            given = {"access_token": self.token(), "token_type": "Bearer", "expires_in": 30}
            return 200, json.dumps(given).encode()
        if request.path.startswith("/vens"):
            told = {"id": request.json.get("ven_name", "v"), "auth_token": self.token()}
            return 201, json.dumps(told).encode()
        if request.method == "GET" and request.path != "/health":
            return 200, b"[]"
        return 201, b'{"id": "x", "status": "ok"}'


def asking(way: str, url: str) -> dict[str, Any]:
    """Return the settings of a fleet that shows in some way who it is."""
    asks = {"token_url": f"{url}/token", "client_id": "a lab", "auth_style": way}
    return {"vtn_url": url} | ({} if way == "token" else asks)


def client_of(way: str, url: str, transport: str, notes: list[Attempt]) -> Client:
    config, carrier = vl.params(**asking(way, url)), CARRIERS[transport]
    credential = credential_of(config, carrier)
    return Client(carrier(url, timeout_s=5.0), dialect("flat"), credential, notes.append)
