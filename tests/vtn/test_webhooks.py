"""Webhooks: who is told what, and what becomes of an endpoint that does not listen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from tests.standard.documents import document
from tests.standard.recording import served
from tests.vtn.conftest import Server
from tests.vtn.standards import VERSIONS, Vtn, vtn_of
from venlab.vtn import webhooks as module
from venlab.vtn.store import Store
from venlab.vtn.webhooks import TRIES, Unreachable, Webhooks


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110 - it happens in another thread
            await asyncio.sleep(0.01)


@dataclass
class Endpoint:
    """A subscriber's server: repeats what it is asked, keeps what it is told."""

    told: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)  # to what it is told, then 200
    echoes: bool = True
    asked: int = 0
    url: str = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, status, headers = b"", 200, dict(scope["headers"])
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        said = parse_qs(scope["query_string"].decode()).get("echo", [""])[0] if self.echoes else "x"
        if scope["method"] == "POST":
            self.asked += 1
            status = self.answers.pop(0) if self.answers else 200
            if status == 200:
                self.told.append(json.loads(body))
                self.tokens.append(headers.get(b"authorization", b"").decode())
        start = {"type": "http.response.start", "status": status}
        await send(start | {"headers": [(b"location", b"/elsewhere")]})
        await send({"type": "http.response.body", "body": said.encode()})

    async def hears(self, number: int) -> list[dict[str, Any]]:
        """Wait until it was told so often."""
        await until(lambda: len(self.told) >= number)
        return self.told

    def calls(self, *objects: str, operations: Any = ("CREATE", "UPDATE", "DELETE")) -> Any:
        wanted = {"objects": list(objects), "operations": list(operations)}
        return [wanted | {"callbackUrl": f"{self.url}/hook?a=b", "bearerToken": "s3cret"}]


@asynccontextmanager
async def listening(
    store: Store, version: str, **more: Any
) -> AsyncIterator[tuple[Vtn, Endpoint, Webhooks]]:
    """A VTN that may tell anybody, and somebody who listens on loopback."""
    hooks = Webhooks(**{"anywhere": True, "pause_s": 0.01} | more)
    endpoint = Endpoint()
    with served(endpoint) as url:
        endpoint.url = url
        async with vtn_of(version, store, webhooks=hooks) as vtn:
            yield vtn, endpoint, hooks
    for key in list(hooks._mailboxes):
        hooks.forget(key[0])


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_subscriber_is_told(store: Store, version: str) -> None:
    """Made, changed, deleted, and what goes with it: in order, with its token, as documented."""
    async with listening(store, version) as (vtn, endpoint, _):
        operator = await vtn.as_("operator")
        program = await operator.made("program", targets=None)
        calls = endpoint.calls("EVENT", "PROGRAM")
        await operator.made("subscription", objectOperations=calls)
        event = await operator.made("event", targets=None)
        sent = vtn.sample("event", targets=None, eventName="another")[1]
        _, changed = await operator("PUT", f"/events/{event['id']}", sent)
        await operator.made("event", targets=None)
        await operator("DELETE", f"/events/{event['id']}")
        told = await endpoint.hears(4)
        made, put = ("CREATE", "UPDATE") if vtn.private else ("POST", "PUT")
        assert [each["operation"] for each in told] == [made, put, made, "DELETE"]
        assert [told[0]["object"], told[1]["object"], told[3]["object"]] == [
            event,
            changed,
            changed,
        ]
        assert {each["objectType"] for each in told} == {"EVENT"}
        assert endpoint.tokens == ["Bearer s3cret"] * 4
        schema = document(version)["components"]["schemas"]["notification"]
        for each in told:
            assert set(each) <= set(schema["properties"])
            assert each["operation"] in schema["properties"]["operation"]["enum"]
        await operator("DELETE", f"/programs/{program['id']}")
        await asyncio.sleep(0)
        if vtn.private:
            assert await operator("GET", "/notifiers") == (200, {"WEBHOOK": True})


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_program_and_operations_narrow_it(store: Store, version: str) -> None:
    """Of another program, or another operation, or kind, no word; reports come too."""
    async with listening(store, version) as (vtn, endpoint, _):
        operator, aars = await vtn.as_("operator"), await vtn.as_("aars")
        for kind in ("program", "event"):
            await operator.made(kind, targets=None)
        await aars.made("ven")
        calls = endpoint.calls("EVENT", "REPORT", operations=["CREATE"])
        await aars.made("subscription", objectOperations=calls)
        other = await operator.made("program", programName="other", targets=None)
        await operator.made("event", programID=other["id"], targets=None)
        changed = vtn.sample("event", targets=None)[1]
        await operator("PUT", f"/events/{vtn.ids['event']}", changed)
        await aars.made("resource", resourceName="other")
        report = await aars.made("report", reportName="r/2")
        told = await endpoint.hears(1)
        assert [each["object"] for each in told] == [report]


async def test_a_ven_is_told_of_what_it_sees(store: Store) -> None:
    """3.1.0: nothing of another VEN's, of targets only those granted to it; its own all."""
    async with listening(store, "3.1.0") as (vtn, endpoint, _):
        operator = await vtn.as_("operator")
        await operator.made("program", targets=None)
        ven = {"objectType": "BL_VEN_REQUEST", "venName": "Aars", "clientID": "aars"}
        _, granted = await operator("POST", "/vens", ven | {"targets": ["a", "b"]})
        aars, other = await vtn.as_("aars"), await vtn.as_("other")
        calls = endpoint.calls("EVENT", "VEN", "RESOURCE")
        await aars.made("subscription", objectOperations=calls, programID=vtn.ids["program"])
        for targets in (["x"], ["a", "x"]):
            await operator.made("event", targets=targets)
        await other.made("ven", venName="Other")
        await aars.made("resource", venID=granted["id"])
        told = await endpoint.hears(2)
        assert [each["objectType"] for each in told] == ["EVENT", "RESOURCE"]
        assert told[0]["object"]["targets"] == ["a"]
        only_b = endpoint.calls("EVENT")
        only_b[0]["callbackUrl"] += "&only=b"
        await aars.made("subscription", objectOperations=only_b, targets=["b"])
        for targets in (["a"], ["b"]):
            await operator.made("event", targets=targets)
        told = await endpoint.hears(5)
        seen = sorted(each["object"]["targets"] for each in told if each["objectType"] == "EVENT")
        assert seen == [["a"], ["a"], ["b"], ["b"]]


async def test_typed_targets_narrow_it(store: Store) -> None:
    """3.0.1: an object with one value of one of the types."""
    async with listening(store, "3.0.1") as (vtn, endpoint, _):
        operator, aars = await vtn.as_("operator"), await vtn.as_("aars")
        for kind in ("program", "event"):
            await operator.made(kind, targets=None)
        await aars.made("ven")
        aim = [{"type": "GROUP", "values": ["a", "b"]}]
        calls = endpoint.calls("EVENT")
        await aars.made("subscription", objectOperations=calls, targets=aim)
        for of, value in (("GROUP", "x"), ("OTHER", "a"), ("GROUP", "a")):
            await operator.made("event", targets=[{"type": of, "values": [value]}])
        await operator.made("event", targets=None)
        (told,) = await endpoint.hears(1)
        assert told["object"]["targets"] == [{"type": "GROUP", "values": ["a"]}]


async def test_who_does_not_echo_is_told_nothing(store: Store) -> None:
    """400, and no subscription: no echo, nobody there, no url, a token that fits in no header."""
    async with listening(store, "3.1.0") as (vtn, endpoint, _):
        aars = await vtn.as_("aars")
        endpoint.echoes = False
        urls = [endpoint.url, "http://127.0.0.1:1/", "gopher://a.example", "http://", "http://a b"]
        for url in urls:
            calls = [endpoint.calls("EVENT")[0] | {"callbackUrl": url}]
            sent = vtn.sample("subscription", objectOperations=calls)[1]
            del sent["programID"]
            status, problem = await aars.bad("POST", "/subscriptions", sent)
            assert status == 400, url
            assert "s3cret" not in problem["detail"]
        endpoint.echoes = True
        calls = [endpoint.calls("EVENT")[0] | {"bearerToken": "a\r\nb"}]
        sent = vtn.sample("subscription", objectOperations=calls)[1]
        del sent["programID"]
        assert (await aars.bad("POST", "/subscriptions", sent))[0] == 400
        assert await aars.listed("/subscriptions") == []


@pytest.mark.parametrize(
    "url", ["http://example.org/", "https://127.0.0.1/", "https://10.0.0.1", "https://[::1]:8443/x"]
)
async def test_only_https_and_public_addresses(url: str) -> None:
    """Unless it may go anywhere: a VTN must not be made to knock at doors in its own house."""
    with pytest.raises(Unreachable, match=r"not https|not a public one"):
        await Webhooks().must_echo(url, "")


async def test_what_is_not_taken_comes_again(store: Store) -> None:
    """After a failure the same is told again, and what follows comes after it."""
    async with listening(store, "3.1.0") as (vtn, endpoint, _):
        operator = await vtn.as_("operator")
        await operator.made("program", targets=None)
        await operator.made("subscription", objectOperations=endpoint.calls("EVENT"))
        endpoint.answers = [503, 302, 404]
        for name in ("first", "second"):
            await operator.made("event", targets=None, eventName=name)
        told = await endpoint.hears(2)
        assert [each["object"]["eventName"] for each in told] == ["first", "second"]
        assert endpoint.asked == 5


async def test_a_dead_endpoint_hears_no_more(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """After six failures, or a thousand behind; until its subscription is put again."""
    async with listening(store, "3.1.0") as (vtn, endpoint, hooks):
        operator = await vtn.as_("operator")
        await operator.made("program", targets=None)
        made = await operator.made("subscription", objectOperations=endpoint.calls("EVENT"))
        endpoint.answers = [500] * TRIES
        await operator.made("event", targets=None)
        await until(lambda: "is dead" in caplog.text)
        assert endpoint.asked == TRIES
        await operator.made("event", targets=None)
        assert (endpoint.told, endpoint.asked) == ([], TRIES)
        sent = vtn.sample("subscription", objectOperations=endpoint.calls("EVENT"))[1]
        assert (await operator("PUT", f"/subscriptions/{made['id']}", sent))[0] == 200
        event = await operator.made("event", targets=None)
        assert [each["object"] for each in await endpoint.hears(1)] == [event]
        assert "s3cret" not in caplog.text + repr(hooks._mailboxes)


async def test_one_that_is_too_far_behind_is_dead(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What waits for one endpoint is bounded."""
    monkeypatch.setattr(module, "MOST", 3)
    hooks = Webhooks(anywhere=True)
    for _ in range(5):
        hooks.tell("s", "http://127.0.0.1:1/", "", b"{}")
    await until(lambda: "is dead" in caplog.text)
    for _ in range(5):
        hooks.tell("s", "http://127.0.0.1:1/", "", b"{}")
    (mailbox,) = hooks._mailboxes.values()
    assert (mailbox.dead, len(mailbox.waiting)) == (True, 0)
    hooks.forget("s")


async def test_the_process_tells_and_ends_at_once(serve: Callable[..., Server]) -> None:
    """`--webhooks-anywhere`; one that is still to be told does not keep a VTN from its end."""
    server, endpoint = serve("op", "--webhooks-anywhere"), Endpoint()
    with served(endpoint) as endpoint.url:
        async with httpx.AsyncClient(
            base_url=server.ready["3.1.0"],
            trust_env=False,
            headers={"Authorization": "Bearer op"},
        ) as http:
            assert (await http.get("/notifiers")).json() == {"WEBHOOK": True}
            sent = {"clientName": "a", "objectOperations": endpoint.calls("PROGRAM")}
            assert (await http.post("/subscriptions", json=sent)).status_code == 201
            await http.post("/programs", json={"programName": "first"})
            await endpoint.hears(1)
            endpoint.answers = [500] * TRIES
            await http.post("/programs", json={"programName": "second"})
            await until(lambda: endpoint.asked > 1)
    server.process.stdin.close()
    server.process.stdin = None
    code, log = server.ended()
    assert (code, "Traceback" in log, "s3cret" in log) == (0, False, False)


async def test_without_webhooks_nobody_is_asked(private: Vtn) -> None:
    """A VTN calls nobody unless it is told to, and says so."""
    _, aars = await private.filled()
    assert await aars("GET", "/notifiers") == (200, {"WEBHOOK": False})
    calls = [{"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": "https://a.invalid"}]
    await aars.made("subscription", objectOperations=calls)
