"""The HTTP server of a node: a listening socket and its connections, in the node's own event loop.

Invariants: an address beyond loopback is not bound without API keys; a connection that does not complete a request in
`request_timeout_s` is closed (also one that never sends a byte); headers and connections have a ceiling; stopping lets
requests in flight finish for a few seconds. Signals are left to the process that called `serve`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

import msgspec

from nextpaint.govern.access import Access
from nextpaint.record.errors import NextpaintError
from nextpaint.serve.app import App, HttpSettings
from nextpaint.serve.collect import Collector
from nextpaint.serve.connection import Connection
from nextpaint.serve.decisions import Decisions
from nextpaint.serve.http import Route
from nextpaint.serve.items import Items
from nextpaint.serve.node import Node
from nextpaint.serve.ofrep import Ofrep
from nextpaint.serve.probes import Probes
from nextpaint.serve.query import Query

_STOP_TIMEOUT_S = 5
_SWEEP_S = 0.5
_BACKLOG = 1024
_ACCEPTS_A_TURN = 32  # uvloop takes one connection a turn of the loop and watch: on a busy node 50 a second with one


class InsecureBinding(NextpaintError):
    """The address is reachable by others and no API key protects the node."""

    status = 400


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
                lambda: Connection(self.app, self._connections), sock=self._socket.dup(), backlog=_BACKLOG
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


async def serve(node: Node, host: str, port: int, access: Access, pages: Iterable[Route] = ()) -> HttpServer:
    """Bind and serve a node on the running loop, with default settings; port 0 takes a free one.

    Raises InsecureBinding, or NextpaintError if the address is taken.
    """
    return await serve_app(node_app(node, access, pages=pages), host, port)


async def serve_app(app: App, host: str, port: int) -> HttpServer:
    """As `serve`, for an application made by `node_app` with other settings."""
    check_binding(host, app.access)
    server = HttpServer(app, _bind(host, port))
    await server.start()
    return server


def node_app(node: Node, access: Access, *, pages: Iterable[Route] = (), settings: HttpSettings | None = None) -> App:
    """The routes of a node with their limits: its API and further pages."""
    probes = Probes(node)
    rooms = (Collector(node, access), Decisions(node), Items(node), Query(node), Ofrep(node), probes)
    api = [route for room in rooms for route in room.routes()]
    probes.api = api
    for route in api:
        if route.accepts is not None:
            msgspec.json.Decoder(route.accepts)  # resolves the type's annotations now and not with the first request
    return App([*api, *pages], access, settings, node.busy)


def check_binding(host: str, access: Access) -> None:
    """Refuse an address that others can reach if there are no API keys."""
    if not is_loopback(host) and not access.has_keys:
        raise InsecureBinding(
            f"{host or 'all addresses'} can be reached by others and this node has no API keys",
            where="--host",
            cure="create a key with `nextpaint key NAME`, or bind 127.0.0.1",
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise NextpaintError(
            f"cannot listen: {error.strerror or error}",
            where=f"{host}:{port}",
            cure="stop what uses it, or give --port 0",
        ) from error
    return sock
