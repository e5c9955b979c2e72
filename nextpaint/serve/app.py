"""Leads a request to its handler, and whatever happens to an answer.

A request passes, in this order, when its headers are complete: host and origin, route, concurrency, key and scope,
declared size; then, when its body is whole (bounded, also when compressed): the handler. Whatever fails is answered
with the status of the error's class; only a fault of ours is a 500, and it is logged with the request's id.

Invariants: no body is kept beyond its route's limit; bodies held at one time have a ceiling in bytes, requests in
flight (their handlers run) one per lane, and what exceeds them is refused with 429 before it is read; a request that a
browser sends across origins is refused where no key protects the node. Handlers run on the event loop and may not
block. A handler that answers at once, or when a promise is kept, costs no task.
Not here: connections, slow clients and header sizes (`serve.connection`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import msgspec

from nextpaint.govern.access import Access
from nextpaint.ports.promise import Promise
from nextpaint.record.errors import NextpaintError, NotFound, Overloaded, RequestError, TooLarge
from nextpaint.serve.exchange import Exchange, check_media, content_length
from nextpaint.serve.http import (
    Headers,
    Later,
    Request,
    Response,
    Route,
    Router,
    credential,
    encode_response,
    error_response,
)
from nextpaint.serve.origins import Origins

log = logging.getLogger("nextpaint.http")

T = TypeVar("T")
Reply = Callable[[Exchange, bytes], None]


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the edge. `origins`: further web origins that may call collect and decide routes ("https://shop.example").

    The lanes are counted apart, so that a flood of events does not refuse decisions. 128 decisions waiting is half a
    second of a busy node: a later answer would miss its window anyway. The lags are how long a whole request may have
    waited in this process before it is looked at.
    """

    origins: frozenset[str] = frozenset()
    collect_in_flight_max: int = 4096
    decide_in_flight_max: int = 128
    other_in_flight_max: int = 128
    collect_lag_ms_max: int = 100
    decide_lag_ms_max: int = 1_000
    body_bytes_in_flight_max: int = 64 * 1024 * 1024
    connections_max: int = 4096
    header_bytes_max: int = 32 * 1024
    request_timeout_s: float = 10.0  # from the first byte of a request to the last byte of its body
    keep_alive_s: int = 75


class App:
    """A route table with its limits. A connection calls `begin`, `receive` for each part of a body, then `handle`;
    or `abandon`, when its client is gone before. `busy`: why events are not taken just now, "" when they are; asked
    when headers are complete, because a node that refuses most of what comes must do so for next to nothing."""

    def __init__(
        self,
        routes: Iterable[Route],
        access: Access,
        settings: HttpSettings | None = None,
        busy: Callable[[], str] = lambda: "",
    ) -> None:
        self.router = Router(routes)
        self.access = access
        self.settings = settings or HttpSettings()
        self.origins = Origins(self.settings.origins, access.is_open)
        self.in_flight_max = {
            "collect": self.settings.collect_in_flight_max,
            "decide": self.settings.decide_in_flight_max,
            "other": self.settings.other_in_flight_max,
        }
        self.lag_ms_max = {"collect": self.settings.collect_lag_ms_max, "decide": self.settings.decide_lag_ms_max}
        self._tasks: set[asyncio.Task[None]] = set()  # answers under way
        self.in_flight = dict.fromkeys(self.in_flight_max, 0)
        self.body_bytes_in_flight = 0
        self.refused = 0
        self._served = 0
        self.busy = busy
        self._refusals: dict[str, Response] = {}  # by reason

    # ------------------------------------------------------------ the way in

    def begin(self, method: str, target: bytes, headers: Headers) -> Exchange:
        """An exchange for a request whose headers are complete; one that may not go on has its `refusal`."""
        self._served += 1
        exchange = Exchange(method, headers, self._served)
        exchange.refusal = self._tried(exchange, lambda: self._admit(exchange, target))
        return exchange

    def _admit(self, exchange: Exchange, target: bytes) -> Response | None:
        """Find the route; an answer, if there is one without it."""
        method, headers = exchange.method, exchange.headers
        exchange.target(target)
        self.origins.check(method, headers)
        if method == "OPTIONS":
            return self._preflight(exchange.path)
        route, exchange.params = self.router.find(method, exchange.path)
        self._check_lane(route)
        refusal = self.turned_away(route)
        if refusal is not None:
            return refusal
        if route.scope is not None:
            exchange.principal = self.access.authenticate(credential(headers))
            exchange.principal.require(route.scope)
        declared = content_length(headers)
        if declared != 0:
            if declared is not None and declared > route.body_bytes_max:
                raise _too_large(route)
            if self.body_bytes_in_flight + (declared or 0) > self.settings.body_bytes_in_flight_max:
                self.refused += 1
                raise Overloaded("too many bytes are waiting", where=route.path)
            check_media(headers)
        exchange.route = route
        return None

    def turned_away(self, route: Route) -> Response | None:
        """The answer to a request that brings events while the node takes none."""
        why = self.busy() if route.lane == "collect" else ""
        if not why:
            return None
        self.refused += 1
        found = self._refusals.get(why)
        if found is None:
            found = self._refusals[why] = error_response(Overloaded(why, retry_after_s=1))
        return found

    def receive(self, exchange: Exchange, part: bytes) -> bool:
        """A part of the body. False: beyond the route's limit, and the exchange got its `refusal`."""
        if exchange.route is None:
            raise AssertionError("a refused exchange takes no body")
        exchange.parts.append(part)
        exchange.body_bytes += len(part)
        self.body_bytes_in_flight += len(part)
        if exchange.body_bytes <= exchange.route.body_bytes_max:
            return True
        exchange.refusal = self._failed(exchange, _too_large(exchange.route))
        self.abandon(exchange)
        return False

    def abandon(self, exchange: Exchange) -> None:
        """Give back what an exchange holds."""
        if exchange.lane is not None:
            self.in_flight[exchange.lane] -= 1
            exchange.lane = None
        self.body_bytes_in_flight -= exchange.body_bytes
        exchange.body_bytes = 0
        exchange.parts = []

    # ------------------------------------------------------------ the handler

    def handle(self, exchange: Exchange, reply: Reply, loop: asyncio.AbstractEventLoop) -> None:
        """Answer by `reply(exchange, bytes)`, now or later, once. `loop`: the running one."""
        if exchange.refusal is not None:
            self._reply(exchange, exchange.refusal, reply)
            return
        outcome = self._tried(exchange, lambda: self._outcome(exchange, loop.time()))
        if isinstance(outcome, Response):
            self._reply(exchange, outcome, reply)
        elif isinstance(outcome, Later):
            self._follow(exchange, outcome.done, outcome.make, reply)
        else:
            self._follow(exchange, outcome, _as_it_is, reply)

    def _follow(
        self, exchange: Exchange, awaited: Awaitable[Any], make: Callable[[Any], Response], reply: Reply
    ) -> None:
        """Reply when `awaited` is done."""
        if isinstance(awaited, Promise):
            awaited.then(lambda kept: self._reply(exchange, self._tried(exchange, lambda: make(kept.result())), reply))
            return
        task = asyncio.ensure_future(self._answered(exchange, awaited, make, reply))
        self._tasks.add(task)  # the loop itself forgets who nobody holds
        task.add_done_callback(self._tasks.discard)

    async def _answered(
        self, exchange: Exchange, awaited: Awaitable[Any], make: Callable[[Any], Response], reply: Reply
    ) -> None:
        """Reply as a part of the task that `awaited` needs: the answer leaves in the turn of the loop that made it."""
        try:
            made = await awaited
        except asyncio.CancelledError:  # the node is stopping
            self.abandon(exchange)
            raise
        except Exception as error:
            self._reply(exchange, self._failed(exchange, error), reply)
        else:
            self._reply(exchange, self._tried(exchange, lambda: make(made)), reply)

    def _outcome(self, exchange: Exchange, now: float) -> Response | Later | Awaitable[Response]:
        """What the handler gives."""
        route = self._entered(exchange, now)
        request = Request(
            exchange.method, exchange.path, exchange.params, exchange.query, exchange.headers, exchange.principal
        )
        request.complete_s = exchange.complete_s
        request.body = self._whole(exchange, route)
        return route.handler(request)

    def _entered(self, exchange: Exchange, now: float) -> Route:
        """The route of an exchange that is in flight from here on."""
        route = exchange.route
        if route is None:
            raise AssertionError("an exchange without a route was not refused")
        self._check_lag(exchange, route, now)
        self._check_lane(route)
        exchange.lane = route.lane
        self.in_flight[route.lane] += 1
        return route

    def _whole(self, exchange: Exchange, route: Route) -> bytes:
        """The body, inflated."""
        if not exchange.parts:
            return b""
        body = exchange.body(route.body_bytes_max)
        self.body_bytes_in_flight += len(body) - exchange.body_bytes
        exchange.body_bytes = len(body)
        exchange.parts = []
        return body

    def _check_lane(self, route: Route) -> None:
        if self.in_flight[route.lane] >= self.in_flight_max[route.lane]:
            self.refused += 1
            raise Overloaded("too many requests are waiting", where=f"{route.method} {route.path}")

    def _check_lag(self, exchange: Exchange, route: Route, now: float) -> None:
        """Refuse what has waited in this process for longer than its lane allows.

        Answering it late helps nobody, and events give way before decisions do.
        """
        lag_ms_max = self.lag_ms_max.get(route.lane)
        if lag_ms_max is None:
            return
        lag_ms = (now - exchange.complete_s) * 1000
        if lag_ms > lag_ms_max:
            self.refused += 1
            raise Overloaded(f"the node is {lag_ms:.0f} ms behind", where=f"{route.method} {route.path}")

    # ------------------------------------------------------------ the answer

    def _tried(self, exchange: Exchange, attempt: Callable[[], T]) -> T | Response:
        """What `attempt` gives, or the answer to what it raises: the node goes on."""
        try:
            return attempt()
        except Exception as error:
            return self._failed(exchange, error)

    def _failed(self, exchange: Exchange, error: Exception) -> Response:
        if isinstance(error, NextpaintError):
            if error.status >= 500:
                said = (exchange.method, exchange.path, error, exchange.request_id.decode())
                log.warning("%s %s: %s (request %s)", *said)
            return error_response(error)
        request_id = exchange.request_id.decode()
        log.error("%s %s failed (request %s)", exchange.method, exchange.path, request_id, exc_info=error)
        cure = f"report it with the request id {request_id}"
        return error_response(NextpaintError("the node failed to answer this request", cure=cure))

    def _reply(self, exchange: Exchange, response: Response, reply: Reply) -> None:
        self.abandon(exchange)
        added: list[tuple[bytes, bytes]] = []
        origin = exchange.headers.get(b"origin")
        if origin is not None:
            self._add_origin(added, exchange, origin)
        if not exchange.keep_alive:
            added.append((b"connection", b"close"))
        data = encode_response(response, exchange.request_id, added, body=exchange.method != "HEAD")
        reply(exchange, data)

    def _preflight(self, path: str) -> Response:
        methods, _ = self.router.methods(path)
        allowed = ", ".join(sorted({*methods, "OPTIONS"})).encode()
        return Response(b"", 204, b"", [(b"allow", allowed), (b"access-control-allow-methods", allowed)])

    def _add_origin(self, added: list[tuple[bytes, bytes]], exchange: Exchange, origin: bytes) -> None:
        added.append((b"vary", b"Origin"))
        try:
            methods, _ = self.router.methods(exchange.path)
        except NotFound:
            return
        host = exchange.headers.get(b"host")
        if any(route.cross_origin for route in methods.values()) and self.origins.may_call(origin, host):
            added += [
                (b"access-control-allow-origin", origin),
                (b"access-control-allow-headers", b"authorization, content-type"),
                (b"access-control-max-age", b"600"),
            ]


def broken(status: int, what: str, number: int = 0) -> Exchange:
    """An exchange for what came over a connection and is no request: refused, and the last of its connection."""
    error = RequestError(what, where="connection", cure="send smaller or faster")
    error.status = status
    exchange = Exchange("", {}, number)
    exchange.refusal, exchange.keep_alive = error_response(error), False
    return exchange


def _as_it_is(response: Response) -> Response:
    return response


def _too_large(route: Route) -> TooLarge:
    return TooLarge(
        f"the body is larger than {route.body_bytes_max} bytes",
        where=f"{route.method} {route.path}",
        cure="send less at once",
    )
