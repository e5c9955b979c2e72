"""A listening socket and its connections, in the event loop that runs.

Invariants: a connection that does not complete a request in `request_timeout_s` is closed (also one that never sends a
byte); headers and connections have a ceiling; stopping lets requests in flight finish for a few seconds.
"""

from __future__ import annotations

import asyncio
import socket

from nextpaint.serve.app import App
from nextpaint.serve.connection import Connection

_STOP_TIMEOUT_S = 5
_SWEEP_S = 0.5
BACKLOG = 1024
_ACCEPTS_A_TURN = 32  # uvloop takes one connection a turn of the loop and watch: on a busy node 50 a second with one


class HttpServer:
    """A running server; `port` is the bound one (for port 0)."""

    def __init__(self, app: App, sock: socket.socket) -> None:
        self.app = app
        self.port: int = sock.getsockname()[1]
        self._socket = sock
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Return when connections are accepted."""
        loop = asyncio.get_running_loop()
        for _ in range(_ACCEPTS_A_TURN):
            server = await loop.create_server(
                lambda: Connection(self.app, self._connections), sock=self._socket.dup(), backlog=BACKLOG
            )
            self._servers.append(server)
        self._sweep()

    async def stop(self) -> None:
        """Stop accepting, let requests in flight finish, close."""
        for server in self._servers:
            server.close()
        loop = asyncio.get_running_loop()
        end = loop.time() + _STOP_TIMEOUT_S
        for connection in list(self._connections):
            connection.finish()
        while self._connections and loop.time() < end:
            await asyncio.sleep(0.005)
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)
        if self._timer is not None:
            self._timer.cancel()
        self._socket.close()

    def _sweep(self) -> None:
        """Close connections that are overdue. One timer for all: one per request costs more than parsing."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._connections):
            connection.sweep(now)
        self._timer = loop.call_later(min(_SWEEP_S, self.app.settings.request_timeout_s / 4), self._sweep)
