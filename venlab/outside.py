"""What has to be found out about somebody else's VTN before anything is said to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from venlab.auth import Headers
from venlab.config import LabConfig
from venlab.errors import ConfigError
from venlab.transport import Transport, is_loopback
from venlab.urls import checked_url
from venlab.wire.detect import Get, Spoken, detect

__all__ = ["Outside", "look_at"]


class Outside(NamedTuple):
    """Which dialect a VTN speaks, at which url, who gives its tokens, and how that is known."""

    dialect: str
    url: str
    token_url: str
    how: str


class _AuthServer(msgspec.Struct, rename={"token_url": "tokenURL"}):
    token_url: str


async def look_at(config: LabConfig, transport: Callable[..., Transport]) -> Outside:
    """Find out what the settings leave open: dialect, base path, token server.

    Parameters
    ----------
    config : LabConfig
        With a `vtn_url`.
    transport : callable
        Makes what carries the requests.

    Raises
    ------
    NotAVtn
        What it speaks cannot be told.
    ConfigError
        It names a token server that no secret may be sent to.
    """
    carrier = transport(config.vtn_url, in_flight=1, timeout_s=config.timeout_s)

    async def get(path: str) -> tuple[int, bytes]:
        token = config.token.reveal()
        headers = Headers({"authorization": f"Bearer {token}"} if token else {})
        answer = await carrier.send("GET", path, b"", headers)
        return answer.status, answer.body

    try:
        spoken = Spoken(config.dialect, "", "the settings say so")
        if config.dialect == "auto":
            spoken = await detect(get)
        token_url = config.token_url
        if config.client_id and not token_url:
            token_url = await _token_url(get, config.vtn_url, spoken)
    finally:
        await carrier.close()
    return Outside(spoken.dialect, config.vtn_url + spoken.base, token_url, spoken.how)


async def _token_url(get: Get, vtn_url: str, spoken: Spoken) -> str:
    """Return who gives tokens: 3.1.0 says so, elsewhere it is the VTN itself."""
    own = f"{vtn_url}{spoken.base}/auth/token"
    if spoken.dialect != "3.1.0":
        return own
    _, body = await get(f"{spoken.base}/auth/server")
    try:
        named = checked_url(msgspec.json.decode(body, type=_AuthServer).token_url, "tokenURL")
    except (msgspec.DecodeError, msgspec.ValidationError):
        return own
    here, there = urlsplit(vtn_url), urlsplit(named)
    if there.scheme != "https" and not is_loopback(named) and there.netloc != here.netloc:
        raise ConfigError(
            f"the VTN names {named} for tokens, and a secret would go there unprotected",
            "if that is right, set token_url to it",
        )
    return named
