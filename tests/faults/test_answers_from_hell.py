"""Answers from hell: whatever a server says, an error of our family, soon, and in little memory."""

from __future__ import annotations

import asyncio
import time
import traceback
from pathlib import Path

import pytest

from tests.faults import scripts
from tests.faults.hell import WELL, Script, answer, growth, hell
from tests.faults.scripts import TOKEN
from venlab.auth import ClientCredentials
from venlab.client import Client
from venlab.errors import AccessDenied, NoAnswer, NotAVtn, VtnError
from venlab.fasttransport import FastTransport
from venlab.model import Ven
from venlab.outbox import Attempt
from venlab.secret import Secret
from venlab.transport import MAX_ANSWER, HttpxTransport
from venlab.vtn.reports import MAX_BODY
from venlab.wire import dialect

VEN = Ven("v1", "Aars", "aars")
BRIEF_S = 0.5  # for what only the clock ends
BUSY_S = 4.0  # what a machine with other work to do may take longer

Carrier = type[HttpxTransport] | type[FastTransport]


@pytest.fixture(params=[HttpxTransport, FastTransport], ids=lambda t: t.__name__)
def carrier(request: pytest.FixtureRequest) -> Carrier:
    """Both transports give the same guarantees."""
    return request.param  # type: ignore[no-any-return]


def client_of(
    carrier: Carrier, url: str, timeout_s: float = 10.0, notes: list[Attempt] | None = None
) -> Client:
    note = (lambda _: None) if notes is None else notes.append
    transport = carrier(url, timeout_s=timeout_s, in_flight=2)
    return Client(transport, dialect("flat"), Secret(TOKEN), note)


def shows_no_secret(error: Exception, notes: list[Attempt]) -> None:
    """Neither its words nor a traceback with values; words are one printable line."""
    walk = traceback.walk_tb(error.__traceback__)
    ours = [(f, n) for f, n in walk if "tests" not in Path(f.f_code.co_filename).parts]
    assert len(ours) > 1
    shown = traceback.StackSummary.extract(ours, capture_locals=True)
    said = f"{error} {error!r} {notes} {[frame.locals for frame in shown]}"
    assert TOKEN not in said + "".join(traceback.format_exception(error))
    assert len(str(error)) < 1500
    assert str(error).isprintable()


async def asked(
    carrier: Carrier,
    script: Script,
    error: type[VtnError] | None,
    *taken: int,
    timeout_s: float = 10.0,
) -> None:
    """Ask for health and send a report under a script, then ask again of a server that is well.

    The health must be `error`, or none; the report no answer, or one of a status that is `taken`.
    """
    notes: list[Attempt] = []
    longest_s = BUSY_S + (timeout_s if timeout_s < 1 else 0)
    async with hell(script) as server:
        client = client_of(carrier, server.url, timeout_s, notes)
        async with growth() as grown:
            began = time.monotonic()
            if error:
                with pytest.raises(error) as caught:
                    await client.health()
                shows_no_secret(caught.value, notes)
                del caught  # its traceback keeps what the frames held
            else:
                assert await client.health() == "ok"
            assert time.monotonic() - began < longest_s
            try:
                got = await client.post_report(VEN, b"{}")
            except NoAnswer as none:
                assert not taken
                shows_no_secret(none, notes)
            else:
                assert got.status in taken
                words = client.dialect.explain(got.body)
                assert TOKEN not in words
                assert words == "" or (words.isprintable() and len(words) < 1500)
            assert time.monotonic() - began < 2 * longest_s
        assert grown[0] < 4 * MAX_ANSWER
        server.healed = True
        for _ in range(3):
            assert await client.health() == "ok"
        await client.close()
        async with asyncio.timeout(5):
            await server.quiet.wait()


async def test_what_never_ends(carrier: Carrier) -> None:
    """However often a byte comes: no answer when the time for a whole one is over."""

    async def each(name: str) -> None:
        try:
            await asked(carrier, scripts.SILENT[name], NoAnswer, timeout_s=BRIEF_S)
        except BaseException as error:
            error.add_note(name)
            raise

    await asyncio.gather(*map(each, scripts.SILENT))  # all wait at the same time


@pytest.mark.parametrize("name", scripts.FLOODS)
async def test_floods(carrier: Carrier, name: str) -> None:
    """What comes without a pause and is no answer ends with the time for one."""
    await asked(carrier, scripts.FLOODS[name], NoAnswer, timeout_s=BRIEF_S)


@pytest.mark.parametrize("name", scripts.HUGE)
async def test_huge_bodies(carrier: Carrier, name: str) -> None:
    """An answer longer than the longest is none, however its length is given; memory is bounded."""
    await asked(carrier, scripts.HUGE[name], NoAnswer)


async def test_the_bound_is_far_from_what_vtns_say(carrier: Carrier) -> None:
    """A page of 5,000 reports of a load is taken with ease, and so is our VTN's longest page."""
    report = (
        b'{"report_name":"run-20230109T160000Z-abcd/frederikssund/%04d/load_0/20230109T160000Z",'
        b'"intervals":[{"id":0,"payloads":[{"type":"USAGE","values":[1.5]}]}],"rest":"%b"}'
    )
    page = b"[%b]" % b",".join(report % (n, b"r" * 600) for n in range(5000))
    assert len(page) * 6 < MAX_ANSWER
    assert 2 * MAX_BODY + 5000 * 200 < MAX_ANSWER  # it ends a page with what passes the bound
    async with hell(Script(answer(page))) as server:
        client = client_of(carrier, server.url)
        pages = [len(found) async for found in client.heard("run-20230109T160000Z-abcd")]
        assert pages == [5000]
        await client.close()


@pytest.mark.parametrize("name", scripts.BROKEN)
async def test_what_is_no_answer(carrier: Carrier, name: str) -> None:
    """NoAnswer at once, and the next request is as good as any."""
    await asked(carrier, scripts.BROKEN[name], NoAnswer)


@pytest.mark.parametrize("name", scripts.NOT_A_VTN)
async def test_what_no_vtn_says(carrier: Carrier, name: str) -> None:
    """NotAVtn; a report that is answered so counts by its status."""
    said = scripts.NOT_A_VTN[name]
    await asked(carrier, Script(said), NotAVtn, int(said[9:12]))


@pytest.mark.parametrize("name", scripts.AN_ANSWER)
async def test_what_is_odd_and_an_answer(carrier: Carrier, name: str) -> None:
    """It is taken, and what came behind it never answers the next request."""
    await asked(carrier, Script(scripts.AN_ANSWER[name]), None, 200)


async def test_an_answer_that_was_not_asked_for_acknowledges_nothing(carrier: Carrier) -> None:
    """A 201 behind another answer is not what the VTN says to the report that comes next."""
    async with hell(Script(answer(WELL) + answer(b"{}", "201 Created"))) as server:
        client = client_of(carrier, server.url)
        assert await client.health() == "ok"
        server.script = Script(answer(b"{}", "422 No"))
        assert (await client.post_report(VEN, b"{}")).status == 422
        await client.close()


@pytest.mark.parametrize("name", scripts.REFUSALS)
async def test_refusals(carrier: Carrier, name: str) -> None:
    """An error in a short printable line that does not repeat what we sent."""
    said = scripts.REFUSALS[name]
    await asked(carrier, Script(said), VtnError, int(said[9:12]))


@pytest.mark.parametrize("status", [300, 301, 302, 303, 305, 307, 308])
async def test_no_redirect_is_followed(carrier: Carrier, status: int) -> None:
    """Neither elsewhere nor here nor into files: one request, an error that says what to do."""
    async with hell(Script(answer(WELL))) as elsewhere:
        host = elsewhere.url.removeprefix("http:")
        for where in (f"{elsewhere.url}/health", f"{host}/", "/health", "file:///etc/hosts", "["):
            headers = f"location: {where}", f'alt-svc: h2="{host[2:]}"', f"refresh: 0; url={where}"
            said = answer(b"", f"{status} There", *headers)
            async with hell(Script(said)) as server:
                client = client_of(carrier, server.url)
                with pytest.raises(NotAVtn, match=r"(?i)redirects are not followed.*vtn_url"):
                    await client.health()
                assert (await client.post_report(VEN, b"{}")).status == status
                await client.close()
                assert [head.split()[0] for head in server.heads] == [b"GET", b"POST"]
        assert elsewhere.heads == []
        assert not elsewhere.open


async def test_no_cookie_is_kept(carrier: Carrier) -> None:
    """What a server wants remembered is not sent to it again."""
    async with hell(Script(answer(WELL, "200 OK", "set-cookie: a=b; path=/"))) as server:
        client = client_of(carrier, server.url)
        assert [await client.health() for _ in range(2)] == ["ok", "ok"]
        await client.close()
        assert b"cookie" not in b"".join(server.heads).lower()
        assert b"accept-encoding: identity" in server.heads[0].lower()


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_token_goes_nowhere_else(carrier: Carrier, status: int) -> None:
    """A challenge that names another realm or host is one more refusal."""
    challenge = 'www-authenticate: Basic realm="http://127.0.0.1:1/"'
    script = Script(answer(b'{"detail": "who?"}', f"{status} No", challenge))
    await asked(carrier, script, AccessDenied, status)


@pytest.mark.parametrize("ends", [True, False])
async def test_an_answer_before_the_request_is_complete(carrier: Carrier, ends: bool) -> None:
    """It counts, or is none where the connection ends under the request; soon in any case."""
    said = answer(b'{"detail": "too long"}', "413 Too Long", "connection: close")
    async with hell(Script(said, ends=ends, listens=False)) as server:
        client = client_of(carrier, server.url)
        began = time.monotonic()
        try:
            got = await client.post_report(VEN, b" " * 2**23)
        except NoAnswer:
            assert ends
        else:
            assert got.status == 413
        assert time.monotonic() - began < BUSY_S
        server.healed = True
        assert await client.health() == "ok"
        await client.close()


async def test_a_wait_that_is_asked_for_in_odd_words(carrier: Carrier) -> None:
    """A Retry-After that is not ASCII, or comes twice, asks for nothing or for one of both."""
    for said, waits in (
        (["retry-after: \xe5"], (0,)),
        (["retry-after: 7", "retry-after: 9"], (0, 7)),
    ):
        async with hell(Script(answer(b"{}", "503 Busy", *said))) as server:
            client = client_of(carrier, server.url)
            with pytest.raises(NoAnswer) as caught:
                await client.health()
            assert caught.value.retry_after_s in waits
            await client.close()


async def test_a_token_server_from_hell(carrier: Carrier) -> None:
    """What repeats the form it was sent shows no secret of it, whatever it makes of it."""
    head = answer(b"", "400 Bad").replace(b"\r\n\r\n", b"\r\n(")
    refusal = answer(b'{"error": "no", "error_description": "not %b"}' % TOKEN.encode(), "400 Bad")
    for said in (head + TOKEN.encode() + b"): x\r\n\r\n", b"HTTP/1.1 " + TOKEN.encode(), refusal):
        for style in ("body", "basic"):
            async with hell(Script(said, ends=True)) as server:
                url = f"{server.url}/token"
                ours = ClientCredentials(
                    url, "lab", Secret(TOKEN), style=style, transport=carrier, timeout_s=5.0
                )
                notes: list[Attempt] = []
                client = Client(carrier(server.url), dialect("flat"), ours, notes.append)
                with pytest.raises(VtnError) as caught:
                    await client.health()
                shows_no_secret(caught.value, notes)
                del caught
                await client.close()


async def test_plain_http_where_tls_was_expected(carrier: Carrier) -> None:
    """An error that names the url, at once where something is said and in time where nothing is."""
    for said in (b"HTTP/1.1 400 Bad\r\n\r\n", b""):
        async with hell(Script(said, listens=False)) as server:
            client = client_of(carrier, server.url.replace("http", "https"), BRIEF_S)
            began = time.monotonic()
            with pytest.raises(NoAnswer, match="https://127") as caught:
                await client.health()
            shows_no_secret(caught.value, [])
            assert time.monotonic() - began < BRIEF_S + BUSY_S
            await client.close()
            assert server.heads == []


async def test_the_clock_starts_when_a_connection_is_free(carrier: Carrier) -> None:
    """Many callers and few connections: who waits in line is not late."""

    async def slow(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)  # a server's pace: what the test is about
        writer.write(answer(WELL))

    async with hell(Script(slow)) as server:
        client = client_of(carrier, server.url, timeout_s=1.0)
        asked_at_once = [client.health() for _ in range(40)]  # 2 s of work for two connections
        assert await asyncio.gather(*asked_at_once) == ["ok"] * 40
        await client.close()
