"""One HTTP connection: bytes in, requests in their order, one write per answer.

httptools parses. A request is begun when its headers are complete and handled when its body is; the next one of the
same connection waits until this one is answered, so answers are in order. What a connection may take:

    headers, body            `header_bytes_max`; the route's limit (see serve.app)
    a turn of the loop       `_QUANTUM` bytes parsed, `_REQUESTS_A_TURN` requests handled; the rest waits for the next
    ahead of its answers     what one quantum holds; then nothing more is read
    time                     `request_timeout_s` to complete a request, or to take its answers; `keep_alive_s` idle

Invariants: a refused request is answered at once and its body dropped; after an error of the protocol the connection
answers what came before it, then the error, then closes. Not here: what a request means (`serve.app`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

import httptools

from nextpaint.serve.app import App, broken
from nextpaint.serve.exchange import Exchange

_QUANTUM = 16 * 1024
_REQUESTS_A_TURN = 16
_DROPPED_MAX = 16 * 1024 * 1024  # of a refused body: so long a client may take to read why; then it is cut off
_NEVER = float("inf")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """`open_ones` holds every open connection of a server."""

    def __init__(self, app: App, open_ones: set[Connection]) -> None:
        self._app = app
        self._open_ones = open_ones
        self._loop = asyncio.get_running_loop()
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._rest: memoryview | bytes = b""  # read and not parsed
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._in_head = False
        self._arriving: Exchange | None = None  # its body is not whole
        self._dropped = 0  # bytes of a refused body
        self._invites = False  # the client sends the body once it is told to
        self._waiting: deque[Exchange] = deque()  # whole or refused, in order
        self._current: Exchange | None = None  # its handler runs
        self._pumping = False
        self._scheduled = False
        self._reading = True
        self._over = False  # nothing more is taken from this connection
        self._incomplete_since = _NEVER
        self._idle_since = _NEVER
        self._full_since = _NEVER  # its client takes no answers

    # ------------------------------------------------------------ the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but inheritance
        self._open_ones.add(self)
        self._incomplete_since = self._loop.time()
        if len(self._open_ones) > self._app.settings.connections_max:
            self._break(503, "too many connections")

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        if self._rest or len(data) > _QUANTUM:
            self._rest = memoryview(bytes(self._rest) + data if self._rest else data)
            if not self._scheduled:
                self._go_on()
            return
        self._parse(data)
        self._pump()

    def eof_received(self) -> bool:
        """The client sends no more; what it sent is answered."""
        self._over = True
        self._rest = b""
        return self._current is not None or bool(self._waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = True
        self._open_ones.discard(self)
        if self._arriving is not None:
            self._app.abandon(self._arriving)
        for exchange in self._waiting:
            self._app.abandon(exchange)
        self._waiting.clear()
        self._arriving, self._transport, self._rest = None, None, b""
        self._parser = None  # it holds this object, and this object holds it

    def pause_writing(self) -> None:
        self._full_since = self._loop.time()

    def resume_writing(self) -> None:
        self._full_since = _NEVER
        self._pump()

    # ------------------------------------------------------------ the parser's calls

    def on_message_begin(self) -> None:
        self._url, self._headers = b"", {}
        self._in_head, self._head_bytes = True, 0
        self._idle_since = _NEVER
        self._incomplete_since = self._loop.time()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name not in self._headers:
            self._headers[name] = value
        elif name == b"host":
            raise ValueError("two Host headers")

    def on_headers_complete(self) -> None:
        self._in_head = False
        parser = self._parser
        if parser is None:
            return
        if b"host" not in self._headers and parser.get_http_version() == "1.1":
            raise ValueError("no Host header")
        exchange = self._app.begin(parser.get_method().decode("latin-1"), self._url, self._headers)
        exchange.keep_alive = parser.should_keep_alive()
        self._arriving, self._dropped = exchange, 0
        expected = self._headers.get(b"expect")
        if exchange.refusal is not None:
            if expected is not None:
                exchange.keep_alive = False  # whether its body will come nobody knows
            self._waiting.append(exchange)
        elif expected is not None:
            self._invites = expected.lower() == b"100-continue"

    def on_body(self, body: bytes) -> None:
        exchange = self._arriving
        if exchange is None:
            return
        if exchange.refusal is not None:
            self._dropped += len(body)
            if self._dropped > _DROPPED_MAX:
                self._abort()
            return
        if not self._app.receive(exchange, body):
            self._waiting.append(exchange)

    def on_message_complete(self) -> None:
        exchange, self._arriving = self._arriving, None
        self._invites, self._incomplete_since = False, _NEVER
        if exchange is None:
            return
        exchange.complete_s = self._loop.time()
        if exchange.refusal is None:
            self._waiting.append(exchange)

    # ------------------------------------------------------------ forward

    def _parse(self, data: bytes | memoryview) -> None:
        if self._parser is None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:  # no other protocol is spoken here: the next request follows
            after = bytes(data[upgrade.args[0] :])
            self._rest = after + bytes(self._rest)
        except httptools.HttpParserError:
            self._break(400, "this is not a valid HTTP request")
        if self._in_head and not self._over:
            self._head_bytes += len(data)
            if self._head_bytes > self._app.settings.header_bytes_max:
                self._break(431, "the headers are too large")

    def _pump(self) -> None:
        """Handle what waits, in order, a few requests; then read on, or go on in the next turn."""
        if self._pumping:
            return
        self._pumping = True
        handled = 0
        while self._waiting and self._current is None and self._full_since == _NEVER and handled < _REQUESTS_A_TURN:
            handled += 1
            self._current = self._waiting.popleft()
            self._app.handle(self._current, self._reply, self._loop)
        self._pumping = False
        if self._transport is None:
            return
        busy = bool(self._waiting) or self._current is not None
        if not busy and self._over:
            self._transport.close()
        elif self._waiting or self._rest:
            self._read(False)
            if self._current is None and self._full_since == _NEVER:
                self._schedule()
        else:
            self._read(True)
            if not busy:
                self._rest_easy(self._transport)

    def _rest_easy(self, transport: asyncio.Transport) -> None:
        """Everything that came is answered."""
        if self._invites:
            self._invites = False
            transport.write(_CONTINUE)
        if self._incomplete_since == _NEVER:
            self._idle_since = self._loop.time()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Parse another quantum once everything before it is answered."""
        self._scheduled = False
        if self._rest and not self._waiting and self._current is None and not self._over:
            part, self._rest = self._rest[:_QUANTUM], self._rest[_QUANTUM:]
            self._parse(part)
        self._pump()

    def _reply(self, exchange: Exchange, data: bytes) -> None:
        self._current = None
        if self._transport is None:
            return
        self._transport.write(data)
        if not exchange.keep_alive:
            self._over = True
            self._rest = b""
            for waiting in self._waiting:
                self._app.abandon(waiting)
            self._waiting.clear()
        self._pump()

    def _read(self, on: bool) -> None:
        if self._transport is None or on == self._reading or self._over:
            return
        self._reading = on
        if on:
            self._transport.resume_reading()
            if self._incomplete_since != _NEVER:
                self._incomplete_since = self._loop.time()  # it could not go on while nothing was read
        else:
            self._transport.pause_reading()

    def _break(self, status: int, what: str) -> None:
        """The connection cannot go on: what came before is answered, then this, then it closes."""
        if self._over:
            return
        self._over = True
        self._incomplete_since, self._rest = _NEVER, b""
        if self._arriving is not None:
            self._app.abandon(self._arriving)
            answered = self._arriving.refusal is not None
            self._arriving = None
            if answered:
                self._pump()
                return
        self._waiting.append(broken(status, what))
        self._pump()

    def _abort(self) -> None:
        self._over = True
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------ the server's calls

    def sweep(self, now: float) -> None:
        """Close what is overdue; called every now and then."""
        settings = self._app.settings
        overdue = now - settings.request_timeout_s
        if self._full_since < overdue:
            self._abort()
        elif self._reading and self._incomplete_since < overdue:
            self._break(408, "the request was not complete in time")
        elif self._idle_since < now - settings.keep_alive_s and self._transport is not None:
            self._over = True
            self._transport.close()

    def finish(self) -> None:
        """Close once what is under way is answered."""
        if self._transport is None:
            return
        if self._current is None and not self._waiting and self._arriving is None:
            self._over = True
            self._transport.close()
            return
        for exchange in (self._arriving, self._current, *self._waiting):
            if exchange is not None:
                exchange.keep_alive = False

    def abort(self) -> None:
        """Close now."""
        self._abort()
