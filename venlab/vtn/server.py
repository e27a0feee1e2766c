"""The VTN's server: uvicorn's, which takes orders to misbehave while it runs."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from concurrent.futures import Future
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from venlab.errors import VenlabError
from venlab.faults import KINDS, Fault, Faults
from venlab.vtn.misbehave import Misbehaving, reset

log = logging.getLogger(__name__)

_ORDER_S = 10.0  # for an order to take hold


class Order(msgspec.Struct):
    """A line of JSON on stdin: the faults that hold from now on, empty for none."""

    faults: str
    seed: int = 0


class Server(uvicorn.Server):
    """A server that can be told to misbehave: at its start, and by a line from another thread."""

    def __init__(self, machine: Misbehaving, faults: Faults, **settings: Any) -> None:
        config = uvicorn.Config(machine, http=_Protocol, interface="asgi3", **settings)
        super().__init__(config)
        self._machine, self._from_the_start = machine, faults
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._listeners: list[socket.socket] = []
        self._holding: list[asyncio.Task[None]] = []
        self._one_restart = asyncio.Lock()
        self.servers = []

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on these sockets until told to end."""
        self._listeners = sockets or []
        self._loop.set_result(asyncio.get_running_loop())
        await self._order(self._from_the_start)
        await super().serve(self._listeners)  # the list itself: what is in it at the end is closed

    def obey(self, line: bytes) -> dict[str, str]:
        """Carry out an order, from another thread; say what holds, or what was wrong."""
        try:
            order = msgspec.json.decode(line, type=Order)
            faults = Faults.parse(order.faults, order.seed)
            loop = self._loop.result(_ORDER_S)
            asyncio.run_coroutine_threadsafe(self._order(faults), loop).result(_ORDER_S)
        except (VenlabError, ValueError, TimeoutError) as error:
            return {"error": str(error) or "the VTN is too busy"}
        return {"holds": str(faults)}

    async def _order(self, faults: Faults) -> None:
        for task in self._holding:
            task.cancel()
        await asyncio.gather(*self._holding, return_exceptions=True)  # each sets right what it did
        await self._machine.aim(faults)
        lasting = [fault for fault in faults.plain() if "share" not in KINDS[fault.kind][1]]
        self._holding = [asyncio.create_task(self._hold(fault)) for fault in lasting]
        await asyncio.sleep(0)  # they have begun

    async def _hold(self, fault: Fault) -> None:
        if fault.from_s:
            await asyncio.sleep(fault.from_s)
        with self._machine.lasting(fault):
            if fault.kind != "restart":
                await asyncio.sleep(fault.for_s)
                return
            async with self._one_restart:
                await self._restart(fault)

    async def _restart(self, fault: Fault) -> None:
        old = self._listeners.pop()
        new = socket.socket(old.family)
        if os.name == "posix":  # elsewhere the option lets others share the port
            new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address = old.getsockname()
        for server in self.servers:
            server.close()
        old.close()
        for connection in list(self.server_state.connections):
            reset(connection.transport)
        try:
            # Bound and not listening: who comes is refused, and nobody else gets the port.
            new.bind(address)
            self._machine.forget(fault)
        except (OSError, VenlabError) as error:
            log.error("The VTN cannot start again: %s", error)
            self.should_exit = True
        try:
            await asyncio.sleep(fault.down)
        finally:
            self._listeners.append(new)
            if not self.should_exit:
                await self.startup(self._listeners)


class _Protocol(HttpToolsProtocol):
    """Shows the application its transport, and turns a deaf ear to connections too many."""

    def connection_made(self, transport: Any) -> None:
        """Serve a connection, or never read from it."""
        machine: Any = self.app
        if machine.ignores(transport):
            transport.set_protocol(asyncio.Protocol())
            return
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
