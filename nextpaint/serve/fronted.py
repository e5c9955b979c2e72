"""The HTTP server of a node whose connections are in a process of their own: the node's end of `serve.front`.

As `serve.server.HttpServer` to whoever starts and stops it. Requests arrive through the channel, several at once, as
`App` would have made them, and `App.handle` answers them; answers of one turn of the loop leave together.

Invariants: the listening socket is the node's, so a front that dies is replaced and nobody is refused a connection
meanwhile (requests it had are lost with their connections, and the client sends again, as after any lost connection);
the front is gone when the node is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import subprocess
import sys
from functools import partial

import msgspec

from nextpaint.record.errors import NextpaintError
from nextpaint.serve.app import App
from nextpaint.serve.channel import Channel, pair
from nextpaint.serve.exchange import Exchange
from nextpaint.serve.front import Asked, Hello, Known, Told, encode

log = logging.getLogger("nextpaint.http")

_START_TIMEOUT_S = 20
_STOP_TIMEOUT_S = 6  # the front takes five for requests under way
_AGAIN_S = 0.5  # between two fronts that died


class FrontedServer:
    """A running server; `port` is the bound one (for port 0)."""

    def __init__(self, app: App, sock: socket.socket) -> None:
        self.app = app
        self.port: int = sock.getsockname()[1]
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._decode = msgspec.msgpack.Decoder(list[Asked]).decode
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._answers: list[tuple[int, bytes]] = []
        self._stopping = False
        self._ready, self._gone = asyncio.Event(), asyncio.Event()

    async def start(self) -> None:
        """Return when connections are accepted. Raises NextpaintError where the front cannot be started."""
        self._start()
        ready, gone = (asyncio.ensure_future(each.wait()) for each in (self._ready, self._gone))
        await asyncio.wait({ready, gone}, timeout=_START_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        for each in (ready, gone):
            each.cancel()
        if not self._ready.is_set():
            await self.stop()
            raise NextpaintError(
                "the process that holds the connections did not start", where="serve.front",
                cure="what it printed says why; `--front off` holds connections in the node",
            )  # fmt: skip

    def _start(self) -> None:
        if self._stopping:
            return
        ours, theirs = pair()
        numbers = theirs.fileno(), self._socket.fileno()
        command = [sys.executable, "-P", "-m", "nextpaint.serve.front", *map(str, numbers)]
        self._process = subprocess.Popen(command, pass_fds=numbers, stdin=subprocess.DEVNULL)
        theirs.close()
        self._answers.clear()
        self._gone.clear()
        channel = self._channel = Channel(
            ours, self._loop, lambda message: self._received(channel, message), self._lost
        )
        app = self.app
        routes = [
            Known(each.method, each.path, each.scope, each.lane, each.body_bytes_max, each.cross_origin)
            for each in app.router.routes
        ]
        channel.send(encode(Hello(routes, app.settings, app.access.records, app.access.is_open)))

    async def stop(self) -> None:
        """Stop accepting, let requests in flight finish, close."""
        self._stopping = True
        channel = self._channel
        if channel is not None:
            channel.send(encode(Told([], "", stop=True)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), _STOP_TIMEOUT_S)
            channel.close()
        self._reap()
        self._socket.close()

    # ------------------------------------------------------------ requests

    def _received(self, channel: Channel, message: memoryview) -> None:
        """Handle what came together."""
        self._ready.set()
        routes = self.app.router.routes
        for asked in self._decode(message):
            exchange = Exchange(asked.method, asked.headers, asked.number)
            exchange.request_id, exchange.path, exchange.query = asked.request_id, asked.path, asked.query
            exchange.route, exchange.params = routes[asked.route], asked.params
            exchange.principal, exchange.keep_alive = asked.principal, asked.keep_alive
            exchange.complete_s = asked.complete_s
            if asked.body:
                exchange.parts = [asked.body]
            exchange.refusal = self.app.turned_away(routes[asked.route])
            self.app.handle(exchange, partial(self._answer, channel, asked.number), self._loop)

    def _answer(self, channel: Channel, number: int, exchange: Exchange, data: bytes) -> None:
        if channel is not self._channel:
            return  # the front that asked is gone
        if not self._answers:
            self._loop.call_soon(self._flush)
        self._answers.append((number, data))

    def _flush(self) -> None:
        answers, self._answers = self._answers, []
        if self._channel is not None and answers:
            self._channel.send(encode(Told(answers, self.app.busy())))

    # ------------------------------------------------------------ the process

    def _lost(self) -> None:
        """The front is gone."""
        self._channel = None
        self._answers.clear()
        self._gone.set()
        if self._stopping or not self._ready.is_set():
            return
        log.error("the process that holds the connections died (exit status %s): starting another", self._reap())
        self._loop.call_later(_AGAIN_S, self._start)

    def _reap(self) -> int | None:
        """End the process, if it did not end by itself; its exit status."""
        process, self._process = self._process, None
        if process is None:
            return None
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
