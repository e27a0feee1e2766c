"""OAuth2 tokens of the embedded VTN: who gets one, what it opens, and when it ends."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vtn.conftest import Client, Json, report
from venlab.auth import ClientCredentials
from venlab.errors import ConfigError
from venlab.secret import Secret
from venlab.vtn.app import create_app
from venlab.vtn.store import Store
from venlab.vtn.tokens import MAX_FORM, _client_of, _form_of

FORM = "application/x-www-form-urlencoded"
PATHS = ["/auth/token", "/flat/auth/token"]


def basic(client_id: str, secret: str) -> str:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + b64encode(pair.encode()).decode()


async def ask(
    vtn: Client, form: Json | str | bytes, path: str = PATHS[0], **headers: str
) -> httpx.Response:
    content = urlencode(form) if isinstance(form, dict) else form
    headers = {"content-type": FORM} | {k.replace("_", "-"): v for k, v in headers.items()}
    return await vtn.http.post(path, content=content, headers=headers)


def named(client_id: str, secret: str, **more: str) -> Json:
    given = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return given | more


async def token_of(vtn: Client, client_id: str, secret: str) -> str:
    answer = await ask(vtn, named(client_id, secret))
    assert answer.status_code == 200
    token = answer.json()["access_token"]
    assert isinstance(token, str)
    return token


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def aged(store: Store) -> AsyncIterator[tuple[Client, Clock]]:
    """A VTN whose tokens last 100 s of a clock that a test turns."""
    clock = Clock()
    app = create_app(store, Secret("op"), token_ttl_s=100, now=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://vtn") as http:
        yield Client(http, "op"), clock


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("style", ["body", "basic"])
async def test_the_operators_token(vtn: Client, path: str, style: str) -> None:
    """RFC 6749 §5.1: token, type and life, which no cache keeps; it does what the operator may."""
    if style == "body":
        answer = await ask(vtn, named("operator", "op", scope="read_all"), path)
    else:
        form = {"grant_type": "client_credentials", "scope": "read_all"}
        answer = await ask(vtn, form, path, authorization=basic("operator", "op"))
    content = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    token = content.pop("access_token")
    assert content == {"token_type": "Bearer", "expires_in": 3600, "scope": "read_all"}
    assert (await vtn.as_(token).ven())["ven_name"] == "Aars"


async def test_a_vens_token(vtn: Client) -> None:
    """A VEN's id and its own token get one that speaks for this VEN and nobody else."""
    ven = await vtn.ven_with_resource()
    other = await vtn.ven("Skive")
    own = vtn.as_(await token_of(vtn, ven["id"], ven["auth_token"]))
    assert (await own("POST", "/reports", report("run/a", ven["id"])))[0] == 201
    assert (await own("POST", "/reports", report("run/b", other["id"])))[0] == 403
    assert [found["id"] for found in (await own("GET", "/vens"))[1]] == [ven["id"]]
    assert (await own("POST", "/vens", {"ven_name": "X", "client_name": "x"}))[0] == 403


async def test_a_token_is_nobodys_secret(vtn: Client) -> None:
    """What was given opens routes; it gets no further token, and nor does another's secret."""
    ven, other = await vtn.ven(), await vtn.ven("Skive")
    issued = await token_of(vtn, "operator", "op")
    assert (await vtn.as_(issued)("GET", "/vens"))[0] == 200
    pairs = [("operator", issued), (ven["id"], issued), ("operator", ven["auth_token"])]
    pairs += [(ven["id"], other["auth_token"]), (ven["id"], "op"), ("Aars", ven["auth_token"])]
    for client_id, secret in [*pairs, ("", "op"), ("nobody", "\0")]:
        refused = await ask(vtn, named(client_id, secret))
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


GOOD = named("operator", "op")
BY_HEADER = {"authorization": basic("operator", "op")}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("form", "headers", "refusal"),
    [
        (named("operator", "wrong"), {}, "401 invalid_client"),
        ({"grant_type": "client_credentials"}, {}, "401 invalid_client"),
        (b"", {}, "401 invalid_client"),
        ({"client_id": "operator", "client_secret": "op"}, {}, "400 invalid_request"),
        (GOOD | {"grant_type": "password"}, {}, "400 unsupported_grant_type"),
        (GOOD, BY_HEADER, "400 invalid_request"),  # one way at a time
        (b"client_id=operator&client_secret=op&client_id=x", {}, "400 invalid_request"),
        (b"client_id=%ff&client_secret=op", {}, "400 invalid_request"),
        (b"\xff", {}, "400 invalid_request"),
        (b"&".join([b"a=1"] * 101), {}, "400 invalid_request"),
        (b"{}", {"content_type": "application/json"}, "400 invalid_request"),
        *(
            ({}, {"authorization": header}, "401 invalid_client")
            for header in ("Basic b3A=", "Basic !", "Basic /w==", "Basic", "Bearer op", "")
        ),
    ],
)
async def test_who_gets_none(
    vtn: Client, path: str, form: Any, headers: dict[str, str], refusal: str
) -> None:
    """RFC 6749 §5.2: the error by its name, with words; 401 names the way that is open."""
    answer = await ask(vtn, form, path, **headers)
    assert f"{answer.status_code} {answer.json()['error']}" == refusal
    assert sorted(answer.json()) == ["error", "error_description"]
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)


async def test_a_form_that_is_too_long_or_comes_by_another_method(vtn: Client) -> None:
    """A stranger's form is bounded, and the path knows POST only."""
    assert (await ask(vtn, b"a" * (MAX_FORM + 1))).status_code == 413
    assert (await ask(vtn, b"a" * MAX_FORM)).status_code == 401
    for path in PATHS:
        for method in ("GET", "PUT", "DELETE"):
            assert (await vtn.http.request(method, path)).status_code == 405


async def test_a_token_ends(aged: tuple[Client, Clock], store: Store) -> None:
    """After its 100 s it is 401, whether it was used before or not; what ended is forgotten."""
    vtn, clock = aged
    used = vtn.as_(await token_of(vtn, "operator", "op"))
    unused = vtn.as_(await token_of(vtn, "operator", "op"))
    clock.now = 1099.9
    assert (await used("GET", "/vens"))[0] == 200
    clock.now = 1100
    assert (await used("GET", "/vens"))[0] == 401
    assert (await unused("GET", "/vens"))[0] == 401
    assert len(store.page("tokens")) == 2
    await token_of(vtn, "operator", "op")
    assert len(store.page("tokens")) == 1
    assert (await vtn("GET", "/vens"))[0] == 200


async def test_only_hashes_are_stored_and_they_survive(tmp_path: Path) -> None:
    """A VTN that starts anew takes the tokens that it gave, and its file holds none of them."""
    tokens = []
    for _ in range(2):
        store = Store(tmp_path / "s")
        transport = httpx.ASGITransport(create_app(store, Secret("op")))
        async with httpx.AsyncClient(transport=transport, base_url="http://vtn") as http:
            vtn = Client(http, "op")
            tokens.append(await token_of(vtn, "operator", "op"))
            assert {(await vtn.as_(token)("GET", "/vens"))[0] for token in tokens} == {200}
            assert not any(token in repr(store.page("tokens")) for token in tokens)
        store.close()
    assert not any(token.encode() in (tmp_path / "s").read_bytes() for token in tokens)


async def test_a_vens_new_token_ends_what_the_old_one_got(vtn: Client) -> None:
    """Or who had stolen it would stay for an hour; other VENs and the operator are not touched."""
    ven, other = await vtn.ven(), await vtn.ven("Skive")
    old, others = [
        vtn.as_(await token_of(vtn, each["id"], each["auth_token"])) for each in (ven, other)
    ]
    operator = vtn.as_(await token_of(vtn, "operator", "op"))
    assert (await old("GET", "/vens"))[0] == 200
    _, renewed = await operator("POST", f"/vens/{ven['id']}/token")
    assert (await old("GET", "/vens"))[0] == 401
    assert (await others("GET", "/vens"))[0] == 200
    new = vtn.as_(await token_of(vtn, ven["id"], renewed["auth_token"]))
    assert (await new("GET", "/vens"))[0] == 200


async def test_a_store_that_fails_is_503(vtn: Client, store: Store) -> None:
    """At both paths, and no token is given."""
    store.close()
    for path in PATHS:
        assert (await ask(vtn, named("operator", "op"), path)).status_code == 503


def test_tokens_that_would_not_last_are_refused(store: Store) -> None:
    """A VTN that gives such makes no sense."""
    with pytest.raises(ConfigError, match="tokens would last 0 s"):
        create_app(store, Secret("op"), token_ttl_s=0)


async def test_the_page_of_the_api_documents_it(vtn: Client) -> None:
    """With the form's members, the answer and both refusals."""
    described = (await vtn.http.get("/flat/openapi.json")).json()["paths"]["/auth/token"]["post"]
    form = described["requestBody"]["content"][FORM]["schema"]["properties"]
    assert list(form) == ["grant_type", "client_id", "client_secret", "scope"]
    assert set(described["responses"]) == {"200", "400", "401"}


@settings(deadline=None)
@given(client_id=st.text(min_size=1), secret=st.text(min_size=1))
def test_what_the_labs_client_sends_arrives(client_id: str, secret: str) -> None:
    """Any id and secret, colons, spaces and umlauts too, by the form and by HTTP Basic."""
    for style in ("body", "basic"):
        asks = ClientCredentials("http://vtn/token", client_id, Secret(secret), style=style)
        form = _form_of(FORM, bytes(asks._form()))
        header = f"Basic {asks._basic()}" if style == "basic" else None
        assert _client_of(header, form) == (client_id, secret)
