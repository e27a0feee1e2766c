"""Webhooks: subscribers are told over HTTP what was made, changed and deleted.

What waits to be told is in memory: it does not survive an end of the VTN.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
from collections import deque
from secrets import token_urlsafe
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from venlab.errors import NoAnswer, VenlabError, plain
from venlab.secret import SENDABLE, Secret
from venlab.vtn.checks import JSON

if TYPE_CHECKING:
    from venlab.transport import Answer

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
TRIES = 6
MOST = 1000  # notifications that wait for one endpoint; one so far behind is as good as dead


class Unreachable(ValueError):
    """An endpoint that must not, or cannot, be told anything."""


class Webhooks:
    """All endpoints that are told, each in a mailbox of its own.

    Only https is spoken, to public addresses, unless it may go anywhere. A notification that is
    not taken is sent again after 1, 2, 4, … times `pause_s`; after `TRIES` the endpoint is dead
    and hears no more until its subscription is made or replaced.
    """

    def __init__(self, *, anywhere: bool = False, pause_s: float = 1.0) -> None:
        self._anywhere, self._pause_s = anywhere, pause_s
        self._mailboxes: dict[tuple[str, str], _Mailbox] = {}

    async def must_echo(self, url: str, token: str) -> None:
        """Let an endpoint prove that it wants to be told: it repeats what it is asked.

        Raises
        ------
        Unreachable
            It does not, or is none that may be told.
        """
        if not re.match(SENDABLE, token):
            raise Unreachable("a bearerToken is of printable ASCII characters")
        word = token_urlsafe(16)
        said = await self._ask(url, "GET", f"echo={word}", token, b"")
        if said.status != 200 or word.encode() not in said.body:
            raise Unreachable(f"{plain(url, 200)} does not repeat the word it is asked to echo")

    def tell(self, subscription_id: str, url: str, token: str, notice: bytes) -> None:
        """Have an endpoint told, after all that it is still to be told."""
        key = (subscription_id, url)
        mailbox = self._mailboxes.setdefault(key, _Mailbox(deque(), []))
        if mailbox.dead:
            return
        mailbox.waiting.append((Secret(token), notice))
        if not mailbox.at_work:
            mailbox.at_work.append(asyncio.create_task(self._empty(key, mailbox)))

    def forget(self, subscription_id: str) -> None:
        """Tell nothing more that waits for a subscription; its endpoints begin anew."""
        for key in [key for key in self._mailboxes if key[0] == subscription_id]:
            for task in self._mailboxes.pop(key).at_work:
                task.cancel()

    async def _empty(self, key: tuple[str, str], mailbox: _Mailbox) -> None:
        while mailbox.waiting:
            if len(mailbox.waiting) > MOST or not await self._told(key[1], *mailbox.waiting[0]):
                log.warning("Webhook %s is dead: it did not take what it was told", plain(key[1]))
                mailbox.waiting.clear()
                return  # its task stays there, so that nobody begins again
            mailbox.waiting.popleft()
        mailbox.at_work.clear()

    async def _told(self, url: str, token: Secret, notice: bytes) -> bool:
        for failures in range(TRIES):
            if failures:
                await asyncio.sleep(self._pause_s * 2.0 ** (failures - 1))
            try:
                if 200 <= (await self._ask(url, "POST", "", token.reveal(), notice)).status < 300:
                    return True
            except Unreachable as error:
                log.info("Webhook: %s", error)
        return False

    async def _ask(self, url: str, method: str, query: str, token: str, body: bytes) -> Answer:
        from venlab.transport import HttpxTransport  # slow to load, and few VTNs tell anybody

        parts = urlsplit(url)
        transport = None
        try:
            transport = HttpxTransport(f"{parts.scheme}://{parts.netloc}", timeout_s=TIMEOUT_S)
            if not self._anywhere:
                await _must_be_public(parts.scheme, parts.hostname or "", parts.port or 443)
            path = f"{parts.path}?{'&'.join(filter(None, (parts.query, query)))}".rstrip("?")
            headers = {"content-type": JSON}
            headers |= {"authorization": f"Bearer {token}"} if token else {}
            return await transport.send(method, path, body, headers)
        except (VenlabError, OSError, ValueError) as error:
            words = error.problem if isinstance(error, NoAnswer) else error
            raise Unreachable(f"{plain(url, 200)} cannot be told: {plain(str(words))}") from None
        finally:
            if transport:
                await transport.close()


class _Mailbox(NamedTuple):
    """What an endpoint is still to be told, and the one task that does."""

    waiting: deque[tuple[Secret, bytes]]
    at_work: list[asyncio.Task[None]]

    @property
    def dead(self) -> bool:
        """Whether that task gave up."""
        return any(task.done() for task in self.at_work)


async def _must_be_public(scheme: str, host: str, port: int) -> None:
    if scheme != "https":
        raise Unreachable("it is not https")
    loop = asyncio.get_running_loop()
    for *_, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not ipaddress.ip_address(address[0]).is_global:
            raise Unreachable("its address is not a public one")
