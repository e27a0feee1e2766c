"""The client: right in whichever loop calls it, and every odd answer a readable error."""

from __future__ import annotations

import asyncio
import json
import threading
import traceback
from pathlib import Path

import pytest

from tests.scripted import Reply, Request, scripted
from venlab.client import Client
from venlab.errors import AccessDenied, ConfigError, NoAnswer, NotAVtn, Refused, VtnError
from venlab.fasttransport import FastTransport
from venlab.model import Program, Ven
from venlab.runfile import Attempt
from venlab.secret import Secret
from venlab.transport import MAX_WORDS, HttpxTransport, is_loopback
from venlab.wire import dialect

OK = (200, b'{"status": "ok"}')


TRANSPORTS: list[type[HttpxTransport] | type[FastTransport]] = [HttpxTransport, FastTransport]


@pytest.fixture(params=TRANSPORTS, ids=lambda t: t.__name__, autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule of this file holds for both transports."""
    monkeypatch.setattr("tests.test_client.Carrier", request.param)


Carrier: type[HttpxTransport] | type[FastTransport] = HttpxTransport


def client_of(url: str, token: str = "", **more: object) -> Client:
    return Client(
        Carrier(url, timeout_s=1),
        dialect("flat"),
        Secret(token),
        **more,  # type: ignore[arg-type]
    )


async def greeted(reply: Reply) -> str:
    async with scripted(lambda _: reply) as vtn:
        client = client_of(vtn.url)
        try:
            return await client.greet()
        finally:
            await client.close()


async def test_a_vtn_that_is_well() -> None:
    """Its own word comes back."""
    assert await greeted(OK) == "ok"


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (None, NoAnswer, "no answer from http://127"),
        ((500, b"oops"), NoAnswer, "500 oops"),
        ((200, b"<html>"), NotAVtn, "check vtn_url and dialect|Check vtn_url"),
        ((200, b'{"status": 3}'), NotAVtn, "status"),
        ((404, b"nothing here"), NotAVtn, "404 nothing here"),
        ((401, b'{"detail": "who?"}'), AccessDenied, r"who\?.*VENLAB_TOKEN"),
        ((418, b"teapot"), Refused, "418 teapot"),
    ],
)
async def test_whatever_answers_is_an_error_in_words(
    reply: Reply, error: type[VtnError], words: str
) -> None:
    """The error is of our family, says what came back and what to do."""
    with pytest.raises(error, match=words):
        await greeted(reply)


async def test_nobody_there() -> None:
    """A closed port is an error that names the url."""
    async with scripted(lambda _: OK) as vtn:
        url = vtn.url
    with pytest.raises(NoAnswer, match=url):
        await client_of(url).greet()


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8080", "ftp://x", "http://", "http://[::1", "http://x:99999", "http://x:pony"],
)
def test_a_url_that_is_none(url: str) -> None:
    """It is refused when the client is made, with an example."""
    with pytest.raises(ConfigError, match="vtn_url"):
        Carrier(url)


@pytest.mark.parametrize("token", ["s3cret\n", "s3cr\u00e9t", "s3cret\0", " s3cret"])
async def test_a_token_that_cannot_be_sent_is_not_shown(token: str) -> None:
    """Whoever gave it: HTTP libraries would put the whole header into their error."""
    with pytest.raises(ConfigError, match="VENLAB_TOKEN") as caught:
        client_of("http://127.0.0.1:1", token)
    assert "s3cr" not in str(caught.value)
    body = json.dumps({"id": "v1", "auth_token": token}).encode()
    async with scripted(lambda _: (201, body)) as vtn:
        client = client_of(vtn.url)
        with pytest.raises(NotAVtn, match="auth_token") as given:
            await client.register_ven("Aars", "aars")
        await client.close()
    assert "s3cr" not in str(given.value)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:1/flat", True),
        ("http://127.8.0.1", True),
        ("https://[::1]:8080", True),
        ("http://localhost", True),
        ("http://127.example.org", False),
        ("http://localhost.example.org", False),
        ("http://10.0.0.1", False),
    ],
)
def test_which_urls_are_this_machine(url: str, here: bool) -> None:
    """Elsewhere nothing is created without a word, whatever a host's name begins with."""
    assert is_loopback(url) is here


def test_certificates_are_checked_however_https_is_written() -> None:
    """A scheme is the same in capitals."""
    assert HttpxTransport("HTTPS://vtn.example.org")._tls
    assert not HttpxTransport("http://vtn.example.org")._tls


async def test_a_vtn_without_the_extension_is_greeted_by_its_events() -> None:
    """No /health is no error where the rest of the dialect is there."""

    def reply(request: Request) -> Reply:
        return (200, b"[]") if request.path.startswith("/events") else (404, b"{}")

    async with scripted(reply) as vtn:
        client = client_of(vtn.url)
        assert await client.greet() == "ok"
        await client.close()


async def test_a_client_that_was_closed_may_be_used_again() -> None:
    """Closing ends connections, not the client."""
    async with scripted(lambda _: OK) as vtn:
        client = client_of(vtn.url)
        for _ in range(2):
            assert await client.greet() == "ok"
            await client.close()


async def test_each_ven_speaks_with_its_own_token() -> None:
    """The fleet's credential registers; after that a VEN's own token is sent for it."""

    def reply(request: Request) -> Reply:
        return 201, b'{"id": "v1", "auth_token": "own"}'

    async with scripted(reply) as vtn:
        client = client_of(vtn.url, "fleet")
        ven = await client.register_ven("Aars", "aars")
        await client.post_report(ven, b"{}")
        await client.post_report(Ven("other", "Aars", "aars"), b"{}")
        sent = [r.headers["authorization"] for r in vtn.requests]
        assert sent == ["Bearer fleet", "Bearer own", "Bearer fleet"]
        await client.close()


async def test_a_repeated_registration_finds_what_is_there() -> None:
    """409 with an id is an answer, not an error."""
    async with scripted(lambda _: (409, b'{"detail": "taken", "id": "v7"}')) as vtn:
        client = client_of(vtn.url)
        assert (await client.register_ven("Aars", "aars")).id == "v7"
        await client.close()


async def test_a_page_is_no_receipt() -> None:
    """Also where nothing of the answer is needed: nothing or JSON is a VTN's, a page is not."""
    answers = iter([(201, b""), (201, b'{"id": "x"}'), (409, b"[]"), (201, b"<html>Log in")])
    async with scripted(lambda _: next(answers)) as vtn:
        client = client_of(vtn.url)
        program = Program("p", "summer")
        assert [await client.enrol(program, "r") for _ in range(3)] == [True, True, False]
        with pytest.raises(NotAVtn):
            await client.enrol(program, "r")
        await client.close()


async def test_pages_are_collected_whatever_the_order() -> None:
    """A VTN that ignores skip and repeats its list is read once, without an endless walk."""
    page = b"[%b]" % b",".join(b'{"id":"p%d","program_name":"n"}' % n for n in range(1000))
    async with scripted(lambda _: (200, page)) as vtn:
        client = client_of(vtn.url)
        assert len(await client.programs()) == 1000
        assert len(vtn.requests) == 2
        await client.close()


LONG = b'{"you": "sa"}' + b" " * MAX_WORDS + b"<html>"


@pytest.mark.parametrize("page", [b'{"you": "sa"id"}', LONG], ids=["short", "long"])
async def test_no_receipt_comes_of_hiding(page: bytes) -> None:
    """What is no JSON does not become some where the token or a long page's end is left out."""
    async with scripted(lambda _: (200, page)) as vtn:
        client = client_of(vtn.url, 'sa"id')
        answer = await client.post_report(Ven("v", "Aars", "aars"), b"{}")
        await client.close()
    assert not client.dialect.receipt(answer.body)
    assert b'sa"id' not in answer.body


async def test_every_request_is_noted_answered_or_not() -> None:
    """Purpose, VEN, status, latency and problem; the token is in none of it."""
    notes: list[Attempt] = []
    async with scripted(lambda _: None) as vtn:
        client = client_of(vtn.url, "s3cret", note=notes.append)
        with pytest.raises(NoAnswer) as caught:
            await client.post_report(Ven("v", "Aars", "aars"), b"{}")
        await client.close()
    (note,) = notes
    assert (note.purpose, note.ven, note.status, note.bytes) == ("report", "Aars", None, 2)
    assert note.problem
    assert "s3cret" not in f"{notes} {caught.value} {vars(client)}"


@pytest.mark.parametrize("reply", [None, (500, b""), (403, b"")])
async def test_a_traceback_that_shows_values_shows_no_token(reply: Reply) -> None:
    """Notebooks have such a mode; no frame of ours holds the token in the clear."""
    async with scripted(lambda _: reply) as vtn:
        client = client_of(vtn.url, "s3cret")
        with pytest.raises(VtnError) as caught:
            await client.greet()
        await client.close()
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in shown.stack if "tests" not in Path(frame.filename).parts]
    assert len(ours) > 1
    assert "s3cret" not in str([frame.locals for frame in ours])


async def test_a_registration_that_cannot_be_read_shows_no_token() -> None:
    """Nor does the answer that holds it."""
    async with scripted(lambda _: (201, b'{"id": 5, "auth_token": "s3cret"}')) as vtn:
        client = client_of(vtn.url)
        with pytest.raises(NotAVtn, match="id") as caught:
            await client.register_ven("Aars", "aars")
        await client.close()
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [f.locals for f in shown.stack if "tests" not in Path(f.filename).parts]
    assert "answer" in str(ours)
    assert "s3cret" not in str(ours)


def in_new_loop(client: Client) -> str:
    return asyncio.run(client.greet())


def test_one_client_in_loop_after_loop() -> None:
    """Twice `asyncio.run`, the old bug "Event loop is closed", and no socket is left open."""
    answers: list[str] = []
    with_server: list[str] = []
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with scripted(lambda _: OK) as vtn:
            with_server.append(vtn.url)
            ready.set()
            await asyncio.to_thread(done.wait, 10)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait(10)
    try:
        client = client_of(with_server[0])
        answers += [in_new_loop(client), in_new_loop(client)]
        threads = [
            threading.Thread(target=lambda: answers.append(in_new_loop(client))) for _ in range(2)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join(10)
    finally:
        done.set()
        thread.join(10)
    assert answers == ["ok"] * 4
