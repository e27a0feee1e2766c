"""A run's way to its VTN: the process where it is our own, the client, and what mends either."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path

from venlab.auth import ClientCredentials
from venlab.client import Client
from venlab.clock import Clock
from venlab.config import LabConfig
from venlab.credentials import OfVen, credential_of, credential_of_ven
from venlab.embedded import EmbeddedVtn
from venlab.errors import ConfigError, NoAnswer, Refused, VtnError
from venlab.fasttransport import FastTransport
from venlab.faults import Faults
from venlab.history import History
from venlab.made import Diary
from venlab.opening import patience
from venlab.outbox import Outbox
from venlab.outside import look_at
from venlab.pace import Paced
from venlab.roster import Roster
from venlab.runfile import Attempt
from venlab.secret import Secret
from venlab.transport import Answer, HttpxTransport, Transport
from venlab.upload import Journal, Progress, Upload, Uploaded
from venlab.wire import Limits, dialect

__all__ = ["Link"]

log = logging.getLogger("venlab.lab")

PROGRAM = "venlab"
REPORT_EVENT, HISTORY_EVENT = "venlab-reports", "venlab-history"


class Link:
    """The VTN that a run speaks to: the one that is named, or one of its own.

    Parameters
    ----------
    config : LabConfig
        Which VTN, dialect and transport, and how many requests a second.
    folder : Path
        Where an embedded VTN keeps its store and log.
    note : callable
        Called with each `Attempt`.
    wall : Clock
        What the rate limit goes by.
    """

    def __init__(
        self, config: LabConfig, folder: Path, note: Callable[[Attempt], None], wall: Clock
    ) -> None:
        self._config, self._note, self._wall = config, note, wall
        self._folder = folder
        self.vtn = None if config.vtn_url else EmbeddedVtn(folder)
        self.url = config.vtn_url
        self.client: Client
        self._patiently = patience(config, wall)
        self._reviving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Start the embedded VTN where none is named, and greet it."""
        config = self._config
        transport = FastTransport if config.transport == "fast" else HttpxTransport
        credential: Secret | ClientCredentials
        if self.vtn:
            name = "flat" if config.dialect == "auto" else config.dialect
            await self.vtn.start()
            self.url, credential = self.vtn.url_of(name), self.vtn.credential
            # Its own VTN gives a token to any client that shows the fleet's credential.
            of_ven = None if name == "flat" else self._of_own(credential, transport)
            log.info("Embedded VTN is up at %s", self.url)
        else:
            name, self.url, tokens, how = await look_at(config, transport)
            credential = credential_of(config, transport, tokens)
            of_ven = credential_of_ven(config, transport, tokens)
            log.info("The VTN at %s speaks %s: %s", self.url, name, how)
        inner = transport(self.url, in_flight=config.in_flight, timeout_s=config.timeout_s)
        mended = Revived(inner, self.revive) if self.vtn else inner
        carrier = Paced(mended, config.rate_per_s, self._wall)
        limits = Limits(config.batch_bytes, config.batch_resources)
        speaks, now = dialect(name, limits), self._wall.schedule_s
        self.client = Client(carrier, speaks, credential, self._note, now=now, of_ven=of_ven)
        self.client.as_business = self.vtn is not None and speaks.private
        if not self.vtn:
            if self.client.can("delete"):
                self.client.diary = Diary(self._folder, self.url).note
            await self.client.greet()
            return
        await self._patiently(self.client.greet)
        await self._patiently(lambda: self.client.create_program(PROGRAM))

    async def close(self) -> None:
        """Close the connections, and end the VTN that was started."""
        if hasattr(self, "client"):
            await self.client.close()
        if self._reviving:
            self._reviving.cancel()
            await asyncio.gather(self._reviving, return_exceptions=True)
        if self.vtn:
            await self.vtn.stop()

    async def misbehave(self) -> None:
        """Let the embedded VTN do wrong what the settings say, from now on."""
        if self.vtn and self._config.faults:
            await self.vtn.misbehave(Faults.parse(self._config.faults, self._config.seed))

    async def revive(self) -> None:
        """Start the embedded VTN again where it has died, and was not ended on purpose."""
        if self._reviving and not self._reviving.done():
            await asyncio.shield(self._reviving)
        elif self.vtn and self.vtn.died:
            log.warning("The embedded VTN has died; it is started again")
            # A task of its own: whoever of those who wait for it is cancelled, it comes back.
            self._reviving = asyncio.create_task(self.vtn.start(), context=contextvars.Context())
            await asyncio.shield(self._reviving)

    async def register(
        self, roster: Roster, progress: Callable[[int, int], None], *, goes_on: bool
    ) -> None:
        """Register everybody; a VTN that loses meanwhile what it had is told all of it again."""
        self.client.voices, as_operator = roster.client_names, self.vtn is not None
        await self._patiently(self._find_address)
        try:
            await roster.settle(self.client, progress, as_operator=as_operator, goes_on=goes_on)
        except Refused as error:
            if error.status != 404:
                raise
            log.warning("%s; everybody is registered again", error)
            roster.resource_ids.clear()
            if self.vtn:
                await self.client.create_program(PROGRAM)
            await self._find_address()
            await roster.settle(self.client, progress, as_operator=as_operator)
        log.info("Simulator initialized with %d approved resources", roster.approved.sum())

    async def register_again(self, roster: Roster, ven: int) -> None:
        """Register a VEN that the VTN does not know any more, with all that stands behind it."""
        if self.vtn:
            await self.client.create_program(PROGRAM)
        await self._find_address()
        self.client.forget(roster.vens[ven])
        await roster.register_again(self.client, ven, as_operator=self.vtn is not None)

    async def upload(
        self, history: History, roster: Roster, run_id: str, progress: Progress
    ) -> Uploaded:
        """Send a history; about an event of its own, unless one is named for all reports.

        So who reads back the run need not page through it.
        """
        if not history.is_of(roster.fleet):
            raise ConfigError(f"{history}, of another fleet", "simulate it for lab.fleet")
        config, client = self._config, self.client
        address = client.address
        if client.can("address") and not config.report_event:
            find = partial(client.address_of, HISTORY_EVENT, PROGRAM)
            address = await self._patiently(find)
        digest = await asyncio.to_thread(lambda: history.digest)  # of gigabytes, perhaps
        with Journal(self._folder / f"history-{digest}.jsonl", config.vtn_url) as journal:
            new_upload = partial(
                Upload,
                history,
                client,
                roster.vens,
                roster.resource_ids,
                run_id=run_id,
                journal=journal,
                patiently=self._patiently,
                address=address,
                limits=Limits(config.batch_bytes, config.batch_resources),
                in_flight=config.in_flight,
                look=config.look_before_resend,
            )
            # Each load is rendered and looked at: a full fleet's take longer than a stop may wait.
            upload = await asyncio.to_thread(new_upload)
            return await upload.send(progress)

    async def read_back(self, run_id: str, outbox: Outbox) -> None:
        """Keep what the VTN says it holds of a run, if it says so."""
        outbox.note_about(read_back=False)  # what was heard before says nothing of now

        async def hear() -> None:
            await outbox.keep_heard((), anew=True)
            async with aclosing(self.client.heard(run_id)) as pages:
                async for page in pages:
                    await outbox.keep_heard(page, anew=False)

        try:
            await self._patiently(hear)
            outbox.note_about(read_back=True)
        except VtnError as error:
            log.warning("The VTN was not read back: %s", error)
        await outbox.flush()

    async def _find_address(self) -> None:
        await self.client.find_address(self._config.report_event or REPORT_EVENT, PROGRAM)

    def _of_own(self, credential: Secret, transport: Callable[..., Transport]) -> OfVen:
        def looked_after(*args: object, **options: object) -> Transport:
            return Revived(transport(*args, **options), self.revive, asks_again=True)

        url, timeout_s = f"{self.url}/auth/token", self._config.timeout_s
        fleet = ClientCredentials(
            url, "fleet", credential, transport=looked_after, timeout_s=timeout_s
        )
        return fleet.of


class Revived:
    """A transport that has the VTN looked after where no answer came.

    Parameters
    ----------
    transport : Transport
        What carries the requests.
    revive : callable
        Awaited after each failure; who asked may then ask again.
    asks_again : bool
        Whether that is done here, once: what is asked for may be had twice, as a token.
    """

    def __init__(
        self,
        transport: Transport,
        revive: Callable[[], Awaitable[None]],
        *,
        asks_again: bool = False,
    ) -> None:
        self._transport, self._revive, self._asks_again = transport, revive, asks_again
        self.close = transport.close

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one request; NoAnswer if none came, and then the VTN is there again."""
        try:
            return await self._transport.send(method, path, body, headers)
        except NoAnswer:
            await self._revive()
            if self._asks_again:
                return await self._transport.send(method, path, body, headers)
            raise
