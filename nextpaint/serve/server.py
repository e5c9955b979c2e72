"""The HTTP server of a node: uvicorn on httptools in the node's own event loop, with bounds on connections.

Invariants: an address beyond loopback is not bound without API keys; a connection that does not complete a request in
`request_timeout_s` is closed (also one that never sends a byte); headers and connections have a ceiling; stopping lets
requests in flight finish for a few seconds. Signals are left to the process that called `serve`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
from collections.abc import Generator, Iterable
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nextpaint.govern.access import Access
from nextpaint.record.errors import NextpaintError
from nextpaint.serve.app import RECEIVED, App, HttpSettings
from nextpaint.serve.collect import Collector
from nextpaint.serve.decisions import Decisions
from nextpaint.serve.http import Route
from nextpaint.serve.items import Items
from nextpaint.serve.node import Node
from nextpaint.serve.probes import Probes
from nextpaint.serve.query import Query

log = logging.getLogger("nextpaint.http")

_STOP_TIMEOUT_S = 5
_SWEEP_S = 0.5
_BACKLOG = 1024


class InsecureBinding(NextpaintError):
    """The address is reachable by others and no API key protects the node."""

    status = 400


class HttpServer:
    """A running server; `port` is the bound one (for port 0)."""

    def __init__(self, app: App, sock: socket.socket) -> None:
        self.app = app
        self.port: int = sock.getsockname()[1]
        self._socket = sock
        settings = app.settings
        config = uvicorn.Config(
            app,
            http=_bounded_protocol(settings),
            ws="none",
            lifespan="off",
            loop="none",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=settings.keep_alive_s,
            timeout_graceful_shutdown=_STOP_TIMEOUT_S,
        )
        self._server = _Server(config)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Return when connections are accepted."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="http")
        self._tasks = [serving, asyncio.create_task(self._sweep(), name="http-sweep")]
        while not self._server.started:
            if serving.done():
                serving.result()
                raise NextpaintError("the HTTP server did not start", where=f"port {self.port}", cure="see the log")
            await asyncio.sleep(0.001)

    async def stop(self) -> None:
        """Stop accepting, let requests in flight finish, close."""
        self._server.should_exit = True
        serving, sweeping = self._tasks
        await serving
        sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeping
        self._socket.close()

    async def _sweep(self) -> None:
        """Close connections whose request is overdue. One timer for all: one per request costs more than parsing."""
        loop = asyncio.get_running_loop()
        timeout_s = self.app.settings.request_timeout_s
        while True:
            await asyncio.sleep(min(_SWEEP_S, timeout_s / 4))
            overdue = loop.time() - timeout_s
            for connection in list(self._server.server_state.connections):
                if isinstance(connection, BoundedProtocol) and connection.waiting_since < overdue:
                    connection.refuse(408, "the request was not complete in time")


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
    """The ASGI application of a node: its API and further pages."""
    probes = Probes(node)
    rooms = (Collector(node, access), Decisions(node), Items(node), Query(node), probes)
    api = [route for room in rooms for route in room.routes()]
    probes.api = api
    for route in api:
        if route.accepts is not None:
            msgspec.json.Decoder(route.accepts)  # resolves the type's annotations now and not with the first request
    return App([*api, *pages], access, settings)


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


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the command line stops the node, in its own order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class _OneWrite:
    """A transport that sends the head of an answer together with its body: one system call and one packet, not two."""

    __slots__ = ("_head", "_transport", "is_closing")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100"):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that no body followed."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `waiting_since`: when the request that is not complete yet began; infinite when none is."""

    settings = HttpSettings()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.waiting_since = float("inf")
        self._header_bytes = 0
        self._in_headers = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._out = _OneWrite(transport)
        super().connection_made(self._out)  # type: ignore[arg-type]
        self.waiting_since = self.loop.time()
        if len(self.connections) > self.settings.connections_max:
            self.refuse(503, "too many connections")

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_headers and self.waiting_since != float("inf"):
            self._header_bytes += len(data)
            if self._header_bytes > self.settings.header_bytes_max:
                self.refuse(431, "the headers are too large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.waiting_since = self.loop.time()
        self.scope[RECEIVED] = self.waiting_since  # type: ignore[literal-required]
        self._in_headers = True
        self._header_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_headers = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.waiting_since = float("inf")
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._out.flush()
        super().on_response_complete()

    def refuse(self, status: int, what: str) -> None:
        """Answer, unless an answer has begun, and close."""
        self.waiting_since = float("inf")
        if self.transport.is_closing():
            return
        cycle: Any = self.cycle  # None before the first request
        if cycle is None or cycle.response_complete or not cycle.response_started:
            body = b'{"error":{"what":"%s","where":"connection","cure":"send smaller or faster"}}' % what.encode()
            head = b"HTTP/1.1 %d Refused\r\nconnection: close\r\ncontent-type: application/json\r\n" % status
            self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self.refuse(400, "this is not a valid HTTP request")


def _bounded_protocol(settings: HttpSettings) -> type[BoundedProtocol]:
    return type("NodeProtocol", (BoundedProtocol,), {"settings": settings})
