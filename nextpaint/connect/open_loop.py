"""An open-loop HTTP client: requests leave when they are due, not when the last answer came.

The latency of a request counts from the moment it was due, so a server that stalls is charged for everything that
should have been sent meanwhile (no coordinated omission). Arrivals are Poisson. One request at a time per connection,
connections kept alive and opened on demand up to a ceiling; beyond it requests wait in the client, still on the clock.
Timers have a resolution of one millisecond, so a request may leave up to that late: `lag` says how late they left.
"""

from __future__ import annotations

import asyncio
import random
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

_TURN_S = 0.001
_FIRST_CONNECTIONS = 16
_ERRORS_SHOWN = 5

Prepare = Callable[[], tuple[object, bytes]]
Answered = Callable[[object, bytes, float], None]  # (what prepare returned, body, latency in seconds)


@dataclass
class Stream:
    """One kind of request. `prepare` gives (context, whole request bytes); `answered` sees the 200s that count."""

    name: str
    per_second: float
    prepare: Prepare
    answered: Answered | None = None
    connections_max: int = 256
    sent: int = 0
    ok: int = 0
    refused: int = 0
    errors: int = 0
    latencies_s: array[float] = field(default_factory=lambda: array("d"))
    lags_s: array[float] = field(default_factory=lambda: array("d"))
    error_examples: list[str] = field(default_factory=list)
    since_sent_s: float = 0.0  # of the answer that is told now: what it took without the client's own delay

    def fail(self, why: str) -> None:
        self.errors += 1
        if len(self.error_examples) < _ERRORS_SHOWN:
            self.error_examples.append(why[:300])


@dataclass(slots=True)
class _Due:
    at: float
    counts: bool  # False while warming up
    sent: float = 0.0


class _Connection(asyncio.Protocol):
    def __init__(self, pool: _Pool) -> None:
        self._pool = pool
        self._buffer = b""
        self._due: _Due | None = None
        self._context: object = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but inheritance

    def send(self, due: _Due, now: float) -> None:
        assert self._transport is not None
        self._due, due.sent = due, now
        self._context, request = self._pool.stream.prepare()
        if due.counts:
            self._pool.stream.lags_s.append(now - due.at)
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._buffer[:head_end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < head_end + 4 + length:
            return
        body = self._buffer[head_end + 4 : head_end + 4 + length]
        self._buffer = b""
        due, self._due = self._due, None
        if due is not None:
            self._pool.done(due, self._context, int(head[9:12]), body)
        assert self._transport is not None
        if b"connection: close" in head:
            self._transport.close()
        else:
            self._pool.free.append(self)
            self._pool.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        due, self._due = self._due, None
        self._pool.lost(self, due, str(exc) if exc else "the server closed the connection")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _Pool:
    """Connections of one stream, and the requests that are due."""

    def __init__(self, stream: Stream, address: tuple[str, int]) -> None:
        self.stream = stream
        self.free: list[_Connection] = []
        self._waiting: deque[_Due] = deque()
        self._address = address
        self._open = 0  # connections open or opening
        self._connections: set[_Connection] = set()
        self._in_flight = 0
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()

    @property
    def unanswered(self) -> int:
        return self._in_flight + len(self._waiting)

    async def open(self, count: int) -> None:
        """Open connections before the clock starts. Raises OSError if the server cannot be reached."""
        for _ in range(count):
            await self._connect()

    def add(self, due: _Due) -> None:
        self.stream.sent += due.counts
        self._waiting.append(due)
        self.pump()

    def pump(self) -> None:
        now = self._loop.time()
        while self._waiting and self.free:
            self._in_flight += 1
            self.free.pop().send(self._waiting.popleft(), now)
        if self._waiting and self._open < self.stream.connections_max and len(self._opening) < _FIRST_CONNECTIONS:
            task = self._loop.create_task(self._connect_later())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def done(self, due: _Due, context: object, status: int, body: bytes) -> None:
        self._in_flight -= 1
        if not due.counts:
            return
        if status == 200:
            latency_s = self._loop.time() - due.at
            self.stream.ok += 1
            self.stream.latencies_s.append(latency_s)
            self.stream.since_sent_s = latency_s - (due.sent - due.at)
            if self.stream.answered is not None:
                self.stream.answered(context, body, latency_s)
        elif status == 429:
            self.stream.refused += 1
        else:
            self.stream.fail(f"{status} {body.decode(errors='replace')}")

    def lost(self, connection: _Connection, due: _Due | None, why: str) -> None:
        self._open -= 1
        self._connections.discard(connection)
        if connection in self.free:
            self.free.remove(connection)
        if due is not None:
            self._in_flight -= 1
            if due.counts:
                self.stream.fail(why)
        self.pump()

    async def close(self) -> None:
        """Count what is unanswered as errors, and close."""
        while self._waiting:
            if self._waiting.popleft().counts:
                self.stream.fail("never sent: no connection was free")
        for task in list(self._opening):
            task.cancel()
        for connection in self._connections:
            connection.close()

    async def _connect(self) -> None:
        self._open += 1
        try:
            _, connection = await self._loop.create_connection(lambda: _Connection(self), *self._address)
        except OSError:
            self._open -= 1
            raise
        self._connections.add(connection)
        self.free.append(connection)

    async def _connect_later(self) -> None:
        try:
            await self._connect()
        except OSError:
            await asyncio.sleep(0.05)  # the server is away: try again with the next request
        self.pump()


async def drive(
    streams: list[Stream],
    address: tuple[str, int],
    *,
    warm_up_s: float,
    seconds: float,
    seed: int,
    patience_s: float = 5.0,
) -> None:
    """Send all streams for `warm_up_s` (not counted) and `seconds`, then wait up to `patience_s` for the last
    answers."""
    loop = asyncio.get_running_loop()
    chance = random.Random(seed)
    pools = [_Pool(stream, address) for stream in streams if stream.per_second > 0]
    for pool in pools:
        await pool.open(_FIRST_CONNECTIONS)
    started = loop.time() + 0.05
    counted, end = started + warm_up_s, started + warm_up_s + seconds
    upcoming = [started + chance.expovariate(pool.stream.per_second) for pool in pools]
    while pools:
        now = loop.time()
        for index, pool in enumerate(pools):
            at = upcoming[index]
            while at <= now and at < end:
                pool.add(_Due(at, at >= counted))
                at += chance.expovariate(pool.stream.per_second)
            upcoming[index] = at
        if now >= end:  # looked at once more after the end: what was due while this process stalled is sent as well
            break
        await asyncio.sleep(max(_TURN_S, min(min(upcoming), end) - loop.time()))
    deadline = loop.time() + patience_s
    while any(pool.unanswered for pool in pools) and loop.time() < deadline:
        await asyncio.sleep(0.01)
    for pool in pools:
        stream = pool.stream
        await pool.close()
        missing = stream.sent - stream.ok - stream.refused - stream.errors
        for _ in range(missing):
            stream.fail(f"no answer within {patience_s:g} s of the end")
