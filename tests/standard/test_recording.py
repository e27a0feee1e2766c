"""Exchanges seen as they happen: through the lab's transport, httpx, an app and a server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.standard.recording import Recording, forwarding, recorded, served
from tests.standard.samples import answered, request
from venlab.transport import HttpxTransport

BASE = "/openadr3/3.1.0"
SENT = {"Content-Type": "application/json"}
GOOD, BAD = json.dumps(request("3.1.0", "ven")).encode(), b'{"venName": "Aars"}'


async def vtn(scope: Any, receive: Any, send: Any) -> None:
    """Answers every POST well, and GET /vens with an object that lacks its times."""
    heard = (await receive())["body"].decode()
    status, content = 201, answered("3.1.0", "ven", heard=heard)
    if scope["method"] == "GET":
        status, content = 200, [{"id": "v1", "venName": "Aars"}]
    if scope["path"] == "/flat/vens":
        status, content = 200, "anything"
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


@pytest.fixture
def seen() -> Recording:
    return Recording()


@pytest.fixture
def url() -> Iterator[str]:
    with served(vtn) as url:
        yield url


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(vtn)
    async with httpx.AsyncClient(transport=transport, base_url="http://vtn") as client:
        yield client


def holds_all_that_was_wrong(seen: Recording) -> None:
    """After a good POST, a bad POST that was answered well, and a GET answered wrongly."""
    assert seen.exchanges == {"3.1.0 POST 201": 2, "3.1.0 GET 200": 1}
    (request,), (answer,) = seen.requests, seen.answers
    assert request.startswith("3.1.0 POST /vens: the request: at the whole: ")
    assert answer.startswith("3.1.0 GET /vens: the 200 answer: at 0: ")
    with pytest.raises(AssertionError, match=r"(?s)the request.*the 200 answer"):
        seen.check()


async def test_through_the_transport_of_the_lab(seen: Recording) -> None:
    """What the lab's client sends and hears is looked at, under the base path of its url."""
    base = f"http://vtn{BASE}"
    transport = seen.transport(HttpxTransport(base, app=vtn), base)
    for body in (GOOD, BAD):
        assert (await transport.send("POST", "/vens", body, SENT)).status == 201
    assert (await transport.send("GET", "/vens?skip=0", b"", {})).status == 200
    await transport.close()
    holds_all_that_was_wrong(seen)


def test_through_httpx_over_a_server(seen: Recording, url: str) -> None:
    """What a test says by httpx is looked at; what it reads is there still, streamed or not."""
    with seen.watch(httpx.Client(base_url=url, trust_env=False)) as client:
        client.post(f"{BASE}/vens", content=GOOD, headers=SENT)
        client.post(f"{BASE}/vens", content=BAD, headers=SENT)
        with client.stream("GET", f"{BASE}/vens?limit=1") as answer:
            assert answer.read().startswith(b"[{")
        assert client.get("/flat/vens").json() == "anything"
    holds_all_that_was_wrong(seen)


async def test_through_an_asynchronous_httpx(seen: Recording, http: httpx.AsyncClient) -> None:
    """The same for an AsyncClient."""
    seen.watch(http)
    await http.post(f"{BASE}/vens", content=GOOD, headers=SENT)
    await http.post(f"{BASE}/vens", content=BAD, headers=SENT)
    await http.get(f"{BASE}/vens")
    holds_all_that_was_wrong(seen)


def test_before_an_application_and_a_server_elsewhere(seen: Recording, url: str) -> None:
    """An application is looked at from before it; one that passes on does so as it came."""
    with served(seen.app(forwarding(url))) as front, httpx.Client(trust_env=False) as client:
        for body in (GOOD, BAD):
            told = client.post(f"{front}{BASE}/vens", content=body, headers=SENT)
            assert (told.status_code, told.json()) == (
                201,
                answered("3.1.0", "ven", heard=body.decode()),
            )
        assert client.get(f"{front}{BASE}/vens").json() == [{"id": "v1", "venName": "Aars"}]
        assert client.get(f"{front}/flat/vens").json() == "anything"
    holds_all_that_was_wrong(seen)


def test_requests_that_are_meant_to_be_bad(url: str) -> None:
    """Inside `bad_requests` answers only are looked at, and so where requests are not told."""
    with recorded() as seen, seen.watch(httpx.Client(base_url=url, trust_env=False)) as client:
        with seen.bad_requests():
            client.post(f"{BASE}/vens", content=BAD, headers=SENT)
        assert not seen.requests
    with recorded(requests=False) as seen:
        httpx_said(seen, url, BAD)
        assert seen.requests


def test_what_was_wrong_is_raised_at_the_end(url: str) -> None:
    """A test fails by what its exchanges were, even where it looked at nothing itself."""
    with pytest.raises(AssertionError, match="the request"), recorded() as seen:
        httpx_said(seen, url, BAD)


def httpx_said(seen: Recording, url: str, body: bytes) -> None:
    with seen.watch(httpx.Client(base_url=url, trust_env=False)) as client:
        client.post(f"{BASE}/vens", content=body, headers=SENT)
