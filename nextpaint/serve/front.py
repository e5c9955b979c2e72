"""The front: a process that holds a node's connections, so that the node's own is left to what a node is for.

    client == HTTP ==> front: connection, limits, route, key   == channel ==> node: handler
                       (`Front`, an `App` whose handlers are elsewhere)       (`serve.fronted`)

Reading and writing small requests costs a busy node a fifth of its one thread, and a second core has nothing else to
do. It also keeps hostile bytes away: HTTP is parsed, keys are checked and bodies are inflated where there is no ledger,
no state and no `keys.db`.

The front starts with what the node says: its routes (without handlers), settings and API key records. It lives as long
as the channel: when the node is gone it is gone at once, and a client sees its connection close as with any node that
died. Signals are for the node to heed. Invariants are those of `serve.app` and `serve.connection`: each request that
the node was given is answered by it or not at all.

    python -m nextpaint.serve.front CHANNEL LISTENING      numbers of two open sockets
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable

import msgspec
import uvloop

from nextpaint.govern.access import Access, KeyRecord, Principal
from nextpaint.record.errors import NextpaintError
from nextpaint.serve.app import App, HttpSettings, Reply
from nextpaint.serve.channel import Channel
from nextpaint.serve.exchange import Exchange
from nextpaint.serve.http import Request, Response, Route
from nextpaint.serve.listener import HttpServer

_BUSY_S = 0.02  # how long a node that is busy is taken to be: a turn or two of its loop


class Known(msgspec.Struct, array_like=True):
    """A route as the front knows it. Its place in the list is its number."""

    method: str
    path: str
    scope: str | None
    lane: str
    body_bytes_max: int
    cross_origin: bool


class Hello(msgspec.Struct):
    """The node's first message."""

    routes: list[Known]
    settings: HttpSettings
    keys: list[KeyRecord]
    is_open: bool


class Asked(msgspec.Struct, array_like=True):
    """A request that was let in: `body` whole and inflated, `complete_s` on the clock both processes share."""

    number: int
    route: int
    method: str
    path: str
    params: dict[str, str]
    query: bytes
    headers: dict[bytes, bytes]
    principal: Principal | None
    request_id: bytes
    keep_alive: bool
    complete_s: float
    body: bytes


class Told(msgspec.Struct):
    """The node's further messages. `answers`: (number, bytes of HTTP); `busy`: why it takes no events just now."""

    answers: list[tuple[int, bytes]]
    busy: str = ""
    stop: bool = False


encode = msgspec.msgpack.Encoder().encode


class Front(App):
    """An App whose handlers run in the node: what was let in is sent there, and its answer is sent on as it is."""

    def __init__(self, hello: Hello, send: Callable[[bytes], None], loop: asyncio.AbstractEventLoop) -> None:
        routes = [
            Route(each.method, each.path, _elsewhere, "", each.scope, each.lane, each.body_bytes_max, each.cross_origin)
            for each in hello.routes
        ]
        self._busy, self._busy_until = "", 0.0
        access = Access(hello.keys, loopback=hello.is_open)
        super().__init__(routes, access, hello.settings, self._node_busy)
        self._numbers = {id(route): number for number, route in enumerate(self.router.routes)}
        self._send = send
        self._loop = loop
        self._unsent: list[Asked] = []
        self._asked: dict[int, tuple[Exchange, bool, Reply]] = {}
        self._count = 0

    def _node_busy(self) -> str:
        """What the node said, for as long as it is news: a request now and then goes on to ask it again."""
        return self._busy if self._busy and self._loop.time() < self._busy_until else ""

    def handle(self, exchange: Exchange, reply: Reply, loop: asyncio.AbstractEventLoop) -> None:
        """As `App.handle`: the answer comes from the node."""
        if exchange.refusal is None:
            exchange.refusal = self._tried(exchange, lambda: self._ask(exchange, reply))
        if exchange.refusal is not None:
            self._reply(exchange, exchange.refusal, reply)

    def _ask(self, exchange: Exchange, reply: Reply) -> None:
        route, headers = self._entered(exchange, self._loop.time()), exchange.headers
        body = self._whole(exchange, route)
        self._count += 1
        if b"content-encoding" in headers:
            headers = {name: value for name, value in headers.items() if name != b"content-encoding"}
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(
            Asked(
                self._count, self._numbers[id(route)], exchange.method, exchange.path, exchange.params, exchange.query,
                dict(headers), exchange.principal, exchange.request_id, exchange.keep_alive, exchange.complete_s, body,
            )
        )  # fmt: skip
        self._asked[self._count] = exchange, exchange.keep_alive, reply

    def _flush(self) -> None:
        asked, self._unsent = self._unsent, []
        self._send(encode(asked))

    def told(self, told: Told) -> None:
        """Send on what the node answered."""
        self._busy, self._busy_until = told.busy, self._loop.time() + _BUSY_S
        for number, data in told.answers:
            exchange, keep_alive, reply = self._asked.pop(number)
            self.abandon(exchange)
            if keep_alive and not exchange.keep_alive:  # the front is stopping, and the node did not know yet
                data = data.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
            reply(exchange, data)


def _elsewhere(request: Request) -> Response:
    raise AssertionError("the front has no handlers")


async def _run(channel_end: socket.socket, listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    decode, over = msgspec.msgpack.Decoder(Told).decode, asyncio.Event()
    greeted: asyncio.Future[Front] = loop.create_future()

    def received(message: memoryview) -> None:
        if not greeted.done():
            greeted.set_result(Front(msgspec.msgpack.decode(message, type=Hello), channel.send, loop))
            return
        told = decode(message)
        greeted.result().told(told)
        if told.stop:
            over.set()

    channel = Channel(channel_end, loop, received, lambda: os._exit(0))
    server = HttpServer(await greeted, listening)
    await server.start()
    channel.send(encode([]))  # no requests yet, and ready for them
    await over.wait()
    await server.stop()


def main() -> int:
    """Be the front of the node that started this process."""
    if len(sys.argv) != 3 or not all(each.isdigit() for each in sys.argv[1:]):
        error = NextpaintError("this process is started by a node", where="front", cure="use `nextpaint run`")
        print(error, file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    channel_end, listening = (socket.socket(fileno=int(each)) for each in sys.argv[1:])
    uvloop.run(_run(channel_end, listening))
    return 0


if __name__ == "__main__":
    sys.exit(main())
