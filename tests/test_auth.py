"""Tokens: where they come from, renewed in time and once, and never shown or sent elsewhere."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

import pytest

import venlab as vl
from tests.scripted import Reply, Request, Scripted, scripted
from tests.vtn.conftest import Server, report
from venlab.auth import PAUSE_S, ClientCredentials
from venlab.client import Client
from venlab.errors import AccessDenied, ConfigError, NoAnswer, NotAVtn, VtnError
from venlab.fasttransport import FastTransport
from venlab.lab import Lab
from venlab.model import Resource, Ven
from venlab.outbox import Attempt
from venlab.secret import Secret
from venlab.transport import HttpxTransport
from venlab.wire import dialect

TRANSPORTS: list[type[HttpxTransport] | type[FastTransport]] = [HttpxTransport, FastTransport]
Carrier: type[HttpxTransport] | type[FastTransport] = HttpxTransport
VEN = Ven("v1", "Aars", "aars")
REFUSED: Reply = (401, b'{"detail": "who are you?"}')
FORBIDDEN: Reply = (403, b'{"detail": "not for you"}')


@pytest.fixture(params=TRANSPORTS, ids=lambda t: t.__name__, autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every rule of this file holds for both transports."""
    monkeypatch.setattr("tests.test_auth.Carrier", request.param)


@dataclass
class World:
    """A VTN and its token server, at one address: /token gives t1, t2, … and the last is good.

    `token` and `vtn` answer instead, where they are set.
    """

    lasts_s: float | None = 100
    refusal: Reply = REFUSED
    token: Reply | Callable[[Request], Reply] = (0, b"")
    good: str = ""
    given: int = 0
    now: float = 0.0

    def reply(self, request: Request) -> Reply:
        if request.path == "/token":
            return self.give(request)
        if request.path.endswith("/token"):
            self.good = "renewed"
            return 200, b'{"auth_token": "renewed"}'
        if request.headers.get("authorization") != f"Bearer {self.good}":
            return self.refusal
        return 200, b'{"status": "ok"}'

    def give(self, request: Request) -> Reply:
        self.given += 1
        if callable(self.token):
            return self.token(request)
        if self.token != (0, b""):
            return self.token
        self.good = f"t{self.given}"
        answer: dict[str, object] = {"access_token": self.good, "token_type": "bearer"}
        return 200, json.dumps(
            answer | ({"expires_in": self.lasts_s} if self.lasts_s else {})
        ).encode()

    def clock(self) -> float:
        return self.now


def credentials(url: str, secret: str = "s3cret", **more: str) -> ClientCredentials:
    return ClientCredentials(url, "lab", Secret(secret), transport=Carrier, timeout_s=1, **more)


def client_of(vtn: Scripted, world: World, token: str | None = None, **more: object) -> Client:
    """A client with a fixed token, or one that asks at /token."""
    source = credentials(f"{vtn.url}/token") if token is None else Secret(token)
    carrier = Carrier(vtn.url, timeout_s=1)
    return Client(carrier, dialect("flat"), source, now=world.clock, **more)  # type: ignore[arg-type]


async def asked(
    work: Callable[[Client, World], Awaitable[None]], world: World, token: str | None = None
) -> list[Request]:
    """Let a client work with such a world; return what was asked."""
    async with scripted(world.reply) as vtn:
        client = client_of(vtn, world, token)
        try:
            await work(client, world)
        finally:
            await client.close()
    return vtn.requests


# -- what is sent -------------------------------------------------------------------------------


async def sent(client_id: str, secret: str, **more: str) -> Request:
    """Return the request for a token as it arrives."""
    async with scripted(World().reply) as server:
        url = f"{server.url}/token"
        source = ClientCredentials(url, client_id, Secret(secret), transport=Carrier, **more)
        await source.ask()
        await source.close()
    return server.requests[0]


async def test_the_example_of_the_standard() -> None:
    """RFC 6749 §2.3.1 shows this very header, and §4.4.2 this form, for this client."""
    request = await sent("s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw", style="basic")
    assert request.headers["authorization"] == "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert (request.method, request.body) == ("POST", b"grant_type=client_credentials")


async def test_id_and_secret_in_the_form() -> None:
    """As a form encodes them, with the scopes that are asked for."""
    request = await sent("a lab", "p&ss=wörd+", scope="read_all write_reports")
    assert "authorization" not in request.headers
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["a lab"],
        "client_secret": ["p&ss=wörd+"],
        "scope": ["read_all write_reports"],
    }


async def test_the_token_server_is_exactly_the_one_named() -> None:
    """A path that ends in a slash keeps it: without one it would be another place."""
    async with scripted(lambda _: (404, b"")) as server:
        for path in ("", "/oauth/token", "/oauth/token/"):
            source = credentials(server.url + path)
            await source.ask()
            await source.close()
    assert [request.path for request in server.requests] == ["/", "/oauth/token", "/oauth/token/"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    """Where it leads nobody is asked, and the error says so."""
    async with scripted(lambda _: (200, b"{}")) as elsewhere:

        def away(_: Request) -> Reply:
            return status, b"", f"location: {elsewhere.url}/token"

        with pytest.raises(NotAVtn, match=f"status {status}.*redirects are not followed"):
            await asked(greet, World(token=away))
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1/token", "http://me:s3cret@x/token", "http://x/?a=1"]
)
def test_a_token_url_that_is_none(url: str) -> None:
    """It is refused when it is named, and a password in it is not shown."""
    with pytest.raises(ConfigError, match="token_url") as caught:
        credentials(url)
    assert "s3cret" not in str(caught.value)


def test_an_empty_secret_is_refused() -> None:
    """It would be no secret."""
    with pytest.raises(ConfigError, match="VENLAB_CLIENT_SECRET"):
        credentials("http://127.0.0.1/token", "")


# -- renewed in time ----------------------------------------------------------------------------


async def greet(client: Client, _: World) -> None:
    assert await client.greet() == "ok"


async def greet_at(client: Client, world: World, *moments: float) -> list[int]:
    """Greet at each moment; return how many tokens were given until then."""
    given = []
    for world.now in moments:
        await greet(client, world)
        given.append(world.given)
    return given


async def test_renewed_a_tenth_of_its_life_before_its_end() -> None:
    """One of 100 s, given at 0, is renewed from 90 on; one of an hour 30 s before its end."""

    async def work(client: Client, world: World) -> None:
        assert await greet_at(client, world, 0, 89.9, 90, 179.9, 180) == [1, 1, 2, 2, 3]
        world.lasts_s = 3600
        assert await greet_at(client, world, 270, 3839.9, 3840) == [4, 4, 5]

    requests = await asked(work, World())
    assert [r.headers.get("authorization") for r in requests][:5] == [
        None,
        "Bearer t1",
        "Bearer t1",
        None,
        "Bearer t2",
    ]


async def test_a_life_that_is_written_as_text() -> None:
    """Some servers do: "100" is 100 s."""
    world = World(token=(200, b'{"access_token":"t","token_type":"Bearer","expires_in":"100"}'))
    world.good = "t"

    async def work(client: Client, world: World) -> None:
        assert await greet_at(client, world, 0, 89, 90) == [1, 1, 2]

    await asked(work, world)


async def test_without_a_life_it_is_used_until_it_is_refused() -> None:
    """However long that is; then it is renewed and the same request is made again."""

    async def work(client: Client, world: World) -> None:
        assert await greet_at(client, world, 0, 1e6) == [1, 1]
        world.good = "another"
        assert (await client.post_report(VEN, b'{"a": 1}')).status == 200

    requests = await asked(work, World(lasts_s=None))
    assert [(r.path, r.body) for r in requests if "authorization" in r.headers][2:] == [
        ("/reports", b'{"a": 1}'),
        ("/reports", b'{"a": 1}'),
    ]
    assert requests[-1].headers["authorization"] == "Bearer t2"


async def test_a_token_that_is_still_good_outlives_a_failed_renewal() -> None:
    """Its end is near and nobody gives another: it is sent until its end, and then not."""

    async def work(client: Client, world: World) -> None:
        await greet(client, world)
        world.token = (503, b"")
        assert await greet_at(client, world, 90, 99.9) == [2, 3]
        world.now = 100
        with pytest.raises(NoAnswer, match=r"/token gives no token now: status 503"):
            await client.greet()

    await asked(work, World())


# -- renewed when it is refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "lasts_s", "at", "renewed"),
    [
        (REFUSED, 100, 50, True),
        (REFUSED, None, 50, True),
        (FORBIDDEN, 100, 50, False),
        (FORBIDDEN, None, 50, True),
    ],
)
async def test_when_a_refusal_may_mean_that_it_has_ended(
    refusal: Reply, lasts_s: float | None, at: float, renewed: bool
) -> None:
    """401 always; 403 where nobody told when it ends."""

    async def work(client: Client, world: World) -> None:
        await greet(client, world)
        world.good, world.now = "another", at
        answer = await client.post_report(VEN, b"{}")
        assert (answer.status == 200, world.given) == (renewed, 1 + renewed)

    await asked(work, World(lasts_s, refusal))


async def test_a_403_at_its_end() -> None:
    """Where the token's time comes while the request is under way, 403 may mean that."""
    async with scripted(lambda request: FORBIDDEN) as vtn:
        world = World()

        def ends(request: Request) -> Reply:
            if request.path == "/token":
                return world.give(request)
            if request.headers["authorization"] == "Bearer t1":
                world.now = 100
                return FORBIDDEN
            return 200, b'{"status": "ok"}'

        vtn.reply = ends
        client = client_of(vtn, world)
        await greet(client, world)
        await client.close()
    assert world.given == 2


async def test_refused_again_is_the_answer_and_nobody_is_asked_soon() -> None:
    """The VTN's own words come back; for some seconds the token server is left alone."""

    async def work(client: Client, world: World) -> None:
        world.refusal = REFUSED
        with pytest.raises(AccessDenied, match=r"401 who are you\?.*VENLAB_CLIENT_SECRET"):
            await client.greet()
        assert world.given == 2
        for _ in range(5):
            answer = await client.post_report(VEN, b"{}")
            assert (answer.status, answer.body) == REFUSED
        assert world.given == 2
        world.now = PAUSE_S
        assert (await client.post_report(VEN, b"{}")).status == 401
        assert world.given == 3

    token = (200, b'{"access_token": "not it", "token_type": "Bearer"}'.replace(b"not it", b"no"))
    requests = await asked(work, World(token=token))
    assert len([r for r in requests if r.path == "/health"]) == 2


async def test_eight_that_are_refused_at_once_renew_once() -> None:
    """One request at the token server, counted there, and all eight are answered."""

    async def work(client: Client, world: World) -> None:
        await greet(client, world)
        world.good = "another"
        await asyncio.gather(*(greet(client, world) for _ in range(8)))
        assert world.given == 2

    requests = await asked(work, World())
    assert len([r for r in requests if r.path == "/health"]) == 1 + 8 + 8


async def test_whoever_stops_waiting_stops_nobody_else() -> None:
    """The first, for whom the renewal began, is cancelled; the two others get their token."""

    async def work(client: Client, world: World) -> None:
        first, *others = [asyncio.create_task(client.greet()) for _ in range(3)]
        await asyncio.sleep(0)
        first.cancel()
        assert await asyncio.gather(*others) == ["ok", "ok"]
        assert first.cancelled()
        assert world.given == 1

    await asked(work, World())


async def test_closing_ends_a_renewal_that_nobody_waits_for() -> None:
    """Nothing is left in the loop, not even one that had not begun, and the next may begin."""

    async def work(client: Client, world: World) -> None:
        for passes in (1, 2, 3):
            waiting = asyncio.create_task(client.greet())
            for _ in range(passes):
                await asyncio.sleep(0)
            waiting.cancel()
            await client.close()
            await asyncio.wait([waiting])
            running = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
            assert "Tokens._replace" not in running
        await greet(client, world)

    await asked(work, World())


async def test_loops_and_threads() -> None:
    """In the first loop, in two loops of threads at once, in one after them, and here again."""
    world, revoked = World(lasts_s=None), 0

    def reply(request: Request) -> Reply:
        """Take every token but the first few."""
        if request.path == "/token":
            return world.give(request)
        number = int(request.headers["authorization"].removeprefix("Bearer t"))
        return (200, b'{"status": "ok"}') if number > revoked else REFUSED

    async with scripted(reply) as vtn:
        client = client_of(vtn, world)

        def once() -> list[str]:
            async def eight() -> list[str]:
                return await asyncio.gather(*(client.greet() for _ in range(8)))

            return asyncio.run(eight())

        assert await client.greet() == "ok"
        revoked = world.given
        answers = await asyncio.gather(asyncio.to_thread(once), asyncio.to_thread(once))
        assert answers == [["ok"] * 8] * 2
        assert world.given <= revoked + 2  # one for each loop, or one for both
        revoked = given = world.given
        assert await asyncio.to_thread(once) == ["ok"] * 8
        assert await client.greet() == "ok"
        assert world.given == given + 1
        await client.close()


# -- a token server that is away, or refuses ----------------------------------------------------


@pytest.mark.parametrize(
    ("token", "error", "words"),
    [
        (None, NoAnswer, "no answer from http://127"),
        ((503, b"busy"), NoAnswer, "status 503"),
        ((429, b""), NoAnswer, "status 429"),
        (
            (401, b'{"error": "invalid_client", "error_description": "unknown client"}'),
            AccessDenied,
            "refuses the client 'lab': 401 invalid_client: unknown client.*VENLAB_CLIENT_SECRET",
        ),
        ((400, b'{"error": "invalid_scope"}'), AccessDenied, r"400 invalid_scope\. See token_url"),
        ((403, b"<html>go away"), AccessDenied, "403"),
        ((404, b'{"detail": "Not Found"}'), NotAVtn, "status 404.*check token_url|Check token_url"),
        ((200, b"<html>"), NotAVtn, "malformed"),
        ((200, b'"t"'), NotAVtn, "Expected `object`"),
        ((201, b'{"access_token": "t", "token_type": "Bearer"}'), NotAVtn, "status 201"),
        ((200, b'{"token_type": "Bearer"}'), NotAVtn, "access_token"),
        ((200, b'{"access_token": "", "token_type": "Bearer"}'), NotAVtn, "access_token"),
        ((200, b'{"access_token": 5, "token_type": "Bearer"}'), NotAVtn, "access_token"),
        ((200, b'{"access_token": "t0ken\\n", "token_type": "Bearer"}'), NotAVtn, "access_token"),
        ((200, b'{"access_token": "t0ken"}'), NotAVtn, "token_type"),
        ((200, b'{"access_token": "t0ken", "token_type": "mac"}'), NotAVtn, "bearer.*token_type"),
        *(
            ((200, b'{"access_token":"t0ken","token_type":"bearer","expires_in":%b}' % life), *rest)
            for life in (b"0", b"-1", b'"soon"', b"[1]", b"1e999", b'"NaN"')
            for rest in [(NotAVtn, "expires_in|out of range")]
        ),
    ],
)
async def test_what_a_token_server_may_say(token: Reply, error: type[VtnError], words: str) -> None:
    """Each is one of our errors with its words, in the first request already; asked once."""

    async def work(client: Client, world: World) -> None:
        depths = set()
        for _ in range(3):
            with pytest.raises(error, match=words) as caught:
                await client.greet()
            depths.add(len(traceback.extract_tb(caught.tb)))
            assert "s3cret" not in str(caught.value)
            assert "t0ken" not in str(caught.value)
        assert world.given == len(depths) == 1  # what is remembered carries no old traceback
        world.now += PAUSE_S
        with pytest.raises(error, match=words):
            await client.greet()
        assert world.given == 2
        world.now, world.token = world.now + PAUSE_S, (0, b"")
        await greet(client, world)

    world = World(token=lambda _: token)
    await asked(work, world)


@pytest.mark.parametrize("secret", ["s3cret", "s3cret &/+ö"])
async def test_a_secret_that_is_repeated_is_not_shown(secret: str) -> None:
    """A server that says what it was sent, in the form or in the header, tells nobody."""

    def echo(request: Request) -> Reply:
        said = f"who is {request.headers.get('authorization')} {request.body.decode()} {secret}"
        return 401, json.dumps({"error": "invalid_client", "error_description": said}).encode()

    async with scripted(echo) as server:
        for style in ("body", "basic"):
            source = credentials(server.url, secret, style=style)
            with pytest.raises(AccessDenied, match="who is") as caught:
                source.read(await source.ask())
            await source.close()
            assert "s3cret" not in str(caught.value)
            assert source._basic() not in str(caught.value)


async def test_reports_wait_while_no_token_is_given() -> None:
    """Sending a report raises NoAnswer only: a refusal is its answer, 401, with the words."""

    async def work(client: Client, world: World) -> None:
        answer = await client.post_report(VEN, b"{}")
        assert answer.status == 401
        assert "invalid_client" in client.dialect.explain(answer.body)
        world.token, world.now = (200, b"<html>"), PAUSE_S
        assert (await client.post_report(VEN, b"{}")).status == 401
        world.token, world.now = None, 2 * PAUSE_S
        with pytest.raises(NoAnswer):
            await client.post_report(VEN, b"{}")
        world.token, world.now = (0, b""), 3 * PAUSE_S
        assert (await client.post_report(VEN, b"{}")).status == 200

    requests = await asked(work, World(token=(401, b'{"error": "invalid_client"}')))
    assert len([r for r in requests if r.path == "/reports"]) == 1


# -- VENs' own tokens, and those that cannot be renewed -----------------------------------------


async def test_a_fixed_token_is_not_renewed() -> None:
    """There is nobody to ask: the answer is the answer, once."""

    async def work(client: Client, _: World) -> None:
        with pytest.raises(AccessDenied, match="VENLAB_TOKEN"):
            await client.greet()
        assert (await client.post_report(VEN, b"{}")).status == 401

    assert len(await asked(work, World(), "fixed")) == 2


class Flat:
    """A flat VTN: registers v1 with own1, renews as it is told, takes the token that is good."""

    def __init__(self, renewal: Reply = (200, b'{"auth_token": "own2"}')) -> None:
        self.renewal, self.good, self.renewed = renewal, "own1", 0

    def reply(self, request: Request) -> Reply:
        fleet = request.headers["authorization"] == "Bearer fleet"
        if request.path == "/vens":
            return (201, b'{"id": "v1", "auth_token": "own1"}') if fleet else FORBIDDEN
        if request.path == "/vens/v1/token":
            self.renewed += 1
            return self.renewal if fleet else FORBIDDEN
        return (
            (201, b"{}") if request.headers["authorization"] == f"Bearer {self.good}" else REFUSED
        )


async def registered(flat: Flat, work: Callable[[Client, World], Awaitable[None]]) -> None:
    async def begin(client: Client, world: World) -> None:
        await client.register_ven("Aars", "aars")
        assert (await client.post_report(VEN, b"{}")).status == 201
        await work(client, world)

    world = World()
    world.reply = flat.reply  # type: ignore[method-assign]
    await asked(begin, world, "fleet")


async def test_a_vens_token_is_renewed_with_the_fleets() -> None:
    """Once for eight reports at once; the fleet's credential asks, the VEN's new token is sent."""
    flat = Flat()

    async def work(client: Client, _: World) -> None:
        flat.good = "own2"
        answers = await asyncio.gather(*(client.post_report(VEN, b"{}") for _ in range(8)))
        assert {answer.status for answer in answers} == {201}
        assert (await client.post_report(VEN, b"{}")).status == 201

    await registered(flat, work)
    assert flat.renewed == 1


async def test_a_ven_that_the_vtn_knows_no_more() -> None:
    """404 for its token is 404 for its reports, so that it registers again; then all is well."""
    flat = Flat((404, b'{"detail": "there is no VEN v1"}'))

    async def work(client: Client, _: World) -> None:
        flat.good = "another"
        for _ in range(3):
            answer = await client.post_report(VEN, b"{}")
            assert answer.status == 404
            assert "there is no VEN v1" in client.dialect.explain(answer.body)
        assert flat.renewed == 1
        client.forget(VEN)
        flat.good = "own1"
        await client.register_ven("Aars", "aars")
        assert (await client.post_report(VEN, b"{}")).status == 201

    await registered(flat, work)


async def test_a_ven_that_is_forgotten_speaks_with_the_fleets_token() -> None:
    """Until it is registered again."""
    flat = Flat()

    async def work(client: Client, _: World) -> None:
        client.forget(VEN)
        flat.good = "fleet"
        assert (await client.post_report(VEN, b"{}")).status == 201

    await registered(flat, work)


@pytest.mark.parametrize(
    ("renewal", "status", "words"),
    [
        ((405, b"no such call"), 401, "who are you"),  # the VTN's own answer
        ((403, b'{"detail": "not the fleet"}'), 401, r"not the \*\*\*.*VENLAB_TOKEN"),
        ((200, b'{"auth_token": "own\\n"}'), 401, "auth_token"),
        ((200, b"{}"), 401, "auth_token"),
        ((200, b'{"auth_token": "own3"}'), 401, "who are you"),
    ],
)
async def test_a_vens_token_that_cannot_be_renewed(renewal: Reply, status: int, words: str) -> None:
    """The report waits: 401, with the words that say why; asked once for some seconds."""
    flat = Flat(renewal)

    async def work(client: Client, _: World) -> None:
        flat.good = "another"
        for _ in range(3):
            answer = await client.post_report(VEN, b"{}")
            assert answer.status == status
        said = client.dialect.explain(answer.body)
        assert "own" not in said
        with pytest.raises(AssertionError, match=words):
            raise AssertionError(said)

    await registered(flat, work)
    assert flat.renewed == 1


# -- nothing is shown ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "token",
    [
        None,
        (503, b"t0ken"),
        (404, b"t0ken"),
        (401, b'{"error": "invalid_client", "error_description": "s3cret"}'),
        (200, b'{"access_token": "t0ken", "token_type": "mac"}'),
        (200, b'{"access_token": "t0ken", "token_type": "Bearer"}'),  # which is refused
    ],
)
@pytest.mark.parametrize("style", ["body", "basic"])
async def test_no_traceback_note_or_state_shows_secret_or_token(token: Reply, style: str) -> None:
    """Notebooks show local values if asked to; no frame of ours holds one in the clear."""
    notes: list[Attempt] = []
    world = World(token=lambda _: token)
    async with scripted(world.reply) as vtn:
        source = credentials(f"{vtn.url}/token", style=style)
        client = Client(Carrier(vtn.url, timeout_s=1), dialect("flat"), source, notes.append)
        with pytest.raises(VtnError) as caught:
            await client.greet()
        await client.close()
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in shown.stack if "tests" not in Path(frame.filename).parts]
    assert len(ours) > 1
    everything = f"{caught.value} {[f.locals for f in ours]} {notes} {vars(client)} {vars(source)}"
    everything += f"{vars(client._tokens)}"
    assert notes[0].purpose == "get token"
    for hidden in ("s3cret", "t0ken", source._basic()):
        assert hidden not in everything


@pytest.mark.parametrize("reply", [None, (503, b"")])
async def test_what_carries_a_secret_shows_none(reply: Reply) -> None:
    """Where the request itself fails, in the frames that hold the form and the headers too."""
    async with scripted(lambda _: reply) as server:
        for style in ("body", "basic"):
            source = credentials(server.url, style=style)
            with pytest.raises(NoAnswer) as caught:
                source.read(await source.ask())
            await source.close()
            shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            ours = [f.locals for f in shown.stack if "tests" not in Path(f.filename).parts]
            assert "s3cret" not in str(ours)
            assert source._basic() not in str(ours)


# -- against the VTN that comes with the lab ----------------------------------------------------


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts VTNs over a store of that name; each ends at the latest with the test."""
    with ExitStack() as stack:

        def start(store: str, *options: str) -> Server:
            place = ("--embedded", "--store", str(tmp_path / store))
            server = Server(*place, *options, credential="op")
            stack.callback(server.ended)
            stack.callback(server.process.kill)
            return server

        yield start


async def test_a_run_in_which_tokens_end(serve: Callable[..., Server], tmp_path: Path) -> None:
    """They last 2 s and the run 5: several are asked for, and every reading is heard.

    The VEN was registered by another run, so the fleet's token is sent for its reports too.
    """
    server, fast = serve("vtn.sqlite", "--token-ttl", "2"), Carrier is FastTransport
    config = vl.params(
        vens=1,
        simulated_hours=0.5,
        speed=12.0,
        out_dir=str(tmp_path / "before"),
        transport="fast" if fast else "httpx",
        vtn_url=server.ready["flat"],
        token_url=server.ready["url"] + "/auth/token",
        client_id="operator",
        client_secret="op",
        auth_style="basic" if fast else "body",
    )
    async with Lab(config) as before:
        await before.register()
    async with Lab(config.but(out_dir=str(tmp_path / "run"))) as lab:
        await lab.register()
        await lab.run()
        await lab.read_back()
    check = lab.results.check()
    assert check.ok, str(check)
    assert check.heard == 4 * 6 * 17
    requests = lab.results.requests
    tokens = requests[requests["purpose"] == "get token"]
    assert len(tokens) >= 3
    assert set(tokens["status"]) == {200}
    kept = "".join(f.read_text("utf-8", "replace") for f in lab.folder.iterdir() if f.is_file())
    assert '"client_id": "operator"' in kept
    assert "client_secret" not in kept


async def test_a_wrong_secret_is_said_when_the_lab_opens(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    """With the VTN's words and what to look at; the folder is free again."""
    server = serve("vtn.sqlite")
    config = vl.params(
        out_dir=str(tmp_path / "run"),
        vtn_url=server.ready["flat"],
        token_url=server.ready["flat"] + "/auth/token",
        client_id="operator",
        client_secret="wr0ng",
    )
    for _ in range(2):
        with pytest.raises(AccessDenied, match=r"invalid_client: no client.*VENLAB_CLIENT_SECRET"):
            await Lab(config).open()


async def test_a_vens_token_that_the_vtn_ended_or_lost(serve: Callable[..., Server]) -> None:
    """Renewed where the VEN is known; where the whole store is gone, 404, and it registers anew."""
    server = serve("one.sqlite")
    client = Client(Carrier(server.ready["flat"], timeout_s=5), dialect("flat"), Secret("op"))
    operator = Client(Carrier(server.ready["flat"], timeout_s=5), dialect("flat"), Secret("op"))
    house = Resource("aars/restaurant_01", "restaurant_01", "Aars")

    async def posted(ven: Ven, name: str) -> int:
        body = json.dumps(report(name, ven.id)).encode()
        for _ in range(5):
            try:
                return (await client.post_report(ven, body)).status
            except NoAnswer:  # a connection to the VTN that was there before
                pass
        raise AssertionError("no answer")

    try:
        ven = await client.register_ven("Aars", "aars")
        await client.register_resource(ven, house)
        assert await posted(ven, "run/a") == 201
        await operator._ask("renew token", operator.dialect.renew_token(ven.id))
        assert await posted(ven, "run/b") == 201
        server.process.kill()
        server.ended()
        serve("another.sqlite", "--port", str(server.ready["port"]))
        assert await posted(ven, "run/c") == 404
        client.forget(ven)
        ven = await client.register_ven("Aars", "aars")
        await client.register_resource(ven, house)
        assert await posted(ven, "run/c") == 201
    finally:
        await client.close()
        await operator.close()
