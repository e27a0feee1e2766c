"""A run's way to its VTN: the process where it is our own, the client, and what mends either."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from venlab.auth import credential_of
from venlab.client import Client
from venlab.clock import Clock
from venlab.config import LabConfig
from venlab.embedded import EmbeddedVtn
from venlab.fasttransport import FastTransport
from venlab.faults import Faults
from venlab.pace import Paced
from venlab.roster import Roster
from venlab.runfile import Attempt
from venlab.transport import HttpxTransport
from venlab.wire import dialect

__all__ = ["Link"]

log = logging.getLogger("venlab.lab")

PROGRAM = "venlab"


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
        self.vtn = None if config.vtn_url else EmbeddedVtn(folder)
        self.url = config.vtn_url
        self.client: Client

    async def open(self) -> None:
        """Start the embedded VTN where none is named, and greet it."""
        config = self._config
        transport = FastTransport if config.transport == "fast" else HttpxTransport
        if self.vtn:
            await self.vtn.start()
            self.url = self.vtn.flat_url
            log.info("Embedded VTN is up at %s", self.url)
        credential = self.vtn.credential if self.vtn else credential_of(config, transport)
        inner = transport(self.url, in_flight=config.in_flight, timeout_s=config.timeout_s)
        carrier = Paced(inner, config.rate_per_s, self._wall)
        speaks, now = dialect(config.dialect), self._wall.schedule_s
        self.client = Client(carrier, speaks, credential, self._note, now)
        await self.client.greet()
        if self.vtn:
            await self.client.create_program(PROGRAM)

    async def close(self) -> None:
        """Close the connections, and end the VTN that was started."""
        if hasattr(self, "client"):
            await self.client.close()
        if self.vtn:
            await self.vtn.stop()

    async def misbehave(self) -> None:
        """Let the embedded VTN do wrong what the settings say, from now on."""
        if self.vtn and self._config.faults:
            await self.vtn.misbehave(Faults.parse(self._config.faults, self._config.seed))

    async def revive(self) -> None:
        """Start the embedded VTN again where it has died, and was not ended on purpose."""
        if self.vtn and self.vtn.died:
            log.warning("The embedded VTN has died; it is started again")
            await self.vtn.start()

    async def register_again(self, roster: Roster, ven: int) -> None:
        """Register a VEN that the VTN does not know any more, with all that stands behind it."""
        if self.vtn:
            await self.client.create_program(PROGRAM)
        self.client.forget(roster.vens[ven].id)
        await roster.register_again(self.client, ven, as_operator=self.vtn is not None)
