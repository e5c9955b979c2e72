"""The ASGI application: leads a request to its handler, and whatever happens to an answer.

A request passes, in this order: host and origin, route, concurrency, key and scope, declared size, body (bounded, also
when compressed), handler. Whatever fails is answered with the status of the error's class; only a fault of ours is a
500, and it is logged with the request's id.

Invariants: no body is read beyond its route's limit; bodies held at one time have a ceiling in bytes, requests in
flight one per lane, and what exceeds them is refused with 429 before it is read; a request that a browser sends across
origins is refused where no key protects the node. Handlers run on the event loop and may not block.
Not here: connections, slow clients and header sizes (`serve.server`).
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from nextpaint.govern.access import Access
from nextpaint.record.errors import NextpaintError, NotFound, Overloaded, RequestError, TooLarge
from nextpaint.serve.http import (
    JSON,
    ForbiddenOrigin,
    Headers,
    Request,
    Response,
    Route,
    Router,
    UnsupportedMedia,
    credential,
    error_response,
    header,
)

log = logging.getLogger("nextpaint.http")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

RECEIVED = "nextpaint.received_s"  # in the ASGI scope: loop time at which the first byte of a request was read

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_BODY_TYPES = (b"application/json", b"text/plain", b"application/octet-stream")
_REQUEST_ID_MAX = 64


class ClientGone(Exception):
    """The client closed the connection before its request was complete: nobody is left to answer."""


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the edge. `origins`: further web origins that may call collect and decide routes ("https://shop.example").

    The lanes are counted apart, so that a flood of events does not refuse decisions. 128 decisions waiting is half a
    second of a busy node: a later answer would miss its window anyway. The lags are how long a request may have
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


def inflate(data: bytes, bytes_max: int) -> bytes:
    """One gzip stream of at most `bytes_max` bytes. Raises TooLarge without inflating more, RequestError if damaged."""
    stream = zlib.decompressobj(wbits=31)
    try:
        inflated = stream.decompress(data, bytes_max + 1)
    except zlib.error as error:
        raise RequestError(f"the gzip body is damaged: {error}", where="body", cure="send it again") from error
    if len(inflated) > bytes_max:
        raise TooLarge(f"the body inflates to more than {bytes_max} bytes", where="body", cure="send smaller batches")
    if not stream.eof or stream.unused_data:
        raise RequestError("the gzip body is cut short or followed by other bytes", where="body", cure="send it again")
    return inflated


class App:
    """The ASGI application over a route table."""

    def __init__(self, routes: Iterable[Route], access: Access, settings: HttpSettings | None = None) -> None:
        self.router = Router(routes)
        self.access = access
        self.settings = settings or HttpSettings()
        self.in_flight_max = {
            "collect": self.settings.collect_in_flight_max,
            "decide": self.settings.decide_in_flight_max,
            "other": self.settings.other_in_flight_max,
        }
        self.lag_ms_max = {"collect": self.settings.collect_lag_ms_max, "decide": self.settings.decide_lag_ms_max}
        self.in_flight = dict.fromkeys(self.in_flight_max, 0)
        self.body_bytes_in_flight = 0
        self.refused = 0
        self._served = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers: Headers = scope["headers"]
        self._served += 1
        request_id = _request_id(headers) or b"r%d" % self._served
        try:
            response = await self._respond(scope, headers, receive)
        except ClientGone:
            return
        except NextpaintError as error:
            if error.status >= 500:
                log.warning("%s %s: %s (request %s)", scope["method"], scope["path"], error, request_id.decode())
            response = error_response(error)
        except Exception:  # the edge: a fault of ours is answered and logged, and the node goes on
            log.exception("%s %s failed (request %s)", scope["method"], scope["path"], request_id.decode())
            cure = f"report it with the request id {request_id.decode()}"
            response = error_response(NextpaintError("the node failed to answer this request", cure=cure))
        origin = header(headers, b"origin")
        if origin is not None:
            self._add_origin(response, scope, headers, origin)
        await _send(send, response, request_id)

    async def _respond(self, scope: Scope, headers: Headers, receive: Receive) -> Response:
        method, path = scope["method"], scope["path"]
        self._check_site(method, headers)
        if method == "OPTIONS":
            return self._preflight(path)
        route, params = self.router.find(method, path)
        request = Request(method, path, params, scope["query_string"], headers)
        lane = route.lane
        if self.in_flight[lane] >= self.in_flight_max[lane]:
            self.refused += 1
            raise Overloaded("too many requests are waiting", where=f"{method} {route.path}")
        self._check_lag(scope, route)
        if route.scope is not None:
            request.principal = self.access.authenticate(credential(headers))
            request.principal.require(route.scope)
        self.in_flight[lane] += 1
        held = 0
        try:
            declared = _content_length(headers)
            if declared or declared is None:
                request.body = await self._read(receive, route, headers, declared)
                held = len(request.body)
                self.body_bytes_in_flight += held
            return await route.handler(request)
        finally:
            self.in_flight[lane] -= 1
            self.body_bytes_in_flight -= held

    def _check_lag(self, scope: Scope, route: Route) -> None:
        """Refuse what has waited in this process for longer than its lane allows.

        Answering it late helps nobody, and events give way before decisions do.
        """
        lag_ms_max = self.lag_ms_max.get(route.lane)
        received_s = scope.get(RECEIVED)
        if lag_ms_max is None or received_s is None:
            return
        lag_ms = (asyncio.get_running_loop().time() - received_s) * 1000
        if lag_ms > lag_ms_max:
            self.refused += 1
            raise Overloaded(f"the node is {lag_ms:.0f} ms behind", where=f"{route.method} {route.path}")

    async def _read(self, receive: Receive, route: Route, headers: Headers, declared: int | None) -> bytes:
        """The body, inflated. `declared`: Content-Length; None for a chunked body."""
        bytes_max = route.body_bytes_max
        if declared is not None and declared > bytes_max:
            raise _too_large(route, bytes_max)
        if self.body_bytes_in_flight + (declared or 0) > self.settings.body_bytes_in_flight_max:
            self.refused += 1
            raise Overloaded("too many bytes are waiting", where=route.path)
        content_type = header(headers, b"content-type")
        if content_type is not None and not content_type.lower().startswith(_BODY_TYPES):
            raise UnsupportedMedia("the body is of another type", where="Content-Type", cure="send application/json")
        encoding = (header(headers, b"content-encoding") or b"identity").strip().lower()
        if encoding not in (b"identity", b"gzip"):
            raise UnsupportedMedia("the body is compressed in another way", where="Content-Encoding", cure="send gzip")
        body = await self._receive(receive, route, bytes_max)
        return inflate(body, bytes_max) if encoding == b"gzip" else body

    async def _receive(self, receive: Receive, route: Route, bytes_max: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part: bytes = message.get("body", b"")
                size += len(part)
                self.body_bytes_in_flight += len(part)
                if size > bytes_max:
                    raise _too_large(route, bytes_max)
                if not message.get("more_body", False):
                    return part if not parts else b"".join([*parts, part])
                parts.append(part)
        finally:
            self.body_bytes_in_flight -= size

    def _check_site(self, method: str, headers: Headers) -> None:
        """Where no key protects the node, only pages of this machine (or of allowed origins) may write to it."""
        if not self.access.is_open:
            return
        host = header(headers, b"host")
        if host is not None and _host_name(host) not in LOCAL_NAMES:
            raise ForbiddenOrigin(
                "this node has no API keys and answers only to this machine's own names",
                where="Host",
                cure="open it as http://127.0.0.1, or create API keys with `nextpaint key NAME`",
            )
        origin = header(headers, b"origin")
        if origin is not None and method not in ("GET", "HEAD") and not self._is_allowed(origin, host):
            raise ForbiddenOrigin(
                "a page of this origin may not call this node", where="Origin", cure="allow it with `origins`"
            )

    def _is_allowed(self, origin: bytes, host: bytes | None) -> bool:
        text = origin.decode("latin-1")
        if text in self.settings.origins:
            return True
        try:
            parts = urlsplit(text)
            name = parts.hostname
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or name is None:
            return False
        return name in LOCAL_NAMES or (host is not None and parts.netloc == host.decode("latin-1"))

    def _preflight(self, path: str) -> Response:
        methods, _ = self.router.methods(path)
        allowed = ", ".join(sorted({*methods, "OPTIONS"})).encode()
        return Response(b"", 204, b"", [(b"allow", allowed), (b"access-control-allow-methods", allowed)])

    def _add_origin(self, response: Response, scope: Scope, headers: Headers, origin: bytes) -> None:
        response.headers.append((b"vary", b"Origin"))
        try:
            methods, _ = self.router.methods(scope["path"])
        except NotFound:
            return
        if any(route.cross_origin for route in methods.values()) and self._is_allowed(origin, header(headers, b"host")):
            response.headers += [
                (b"access-control-allow-origin", origin),
                (b"access-control-allow-headers", b"authorization, content-type"),
                (b"access-control-max-age", b"600"),
            ]


async def _send(send: Send, response: Response, request_id: bytes) -> None:
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id),
        *response.headers,
    ]
    if response.status == 204:
        del headers[:2]
    if response.content_type == JSON:
        headers.append((b"cache-control", b"no-store"))
    elif response.content_type.startswith(b"text/html"):
        headers += _PAGE_HEADERS
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


_PAGE_HEADERS = [
    (b"content-security-policy", b"default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
                                 b"frame-ancestors 'self'; base-uri 'none'; form-action 'self'"),
    (b"referrer-policy", b"no-referrer"),
]  # fmt: skip


def _content_length(headers: Headers) -> int | None:
    """Bytes declared; 0 without a body, None for a chunked one."""
    for name, value in headers:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
        if name == b"transfer-encoding":
            return None
    return 0


def _host_name(host: bytes) -> str:
    text = host.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def _request_id(headers: Headers) -> bytes | None:
    given = header(headers, b"x-request-id")
    if given and len(given) <= _REQUEST_ID_MAX and given.replace(b"-", b"").replace(b"_", b"").isalnum():
        return given
    return None


def _too_large(route: Route, bytes_max: int) -> TooLarge:
    return TooLarge(
        f"the body is larger than {bytes_max} bytes", where=f"{route.method} {route.path}", cure="send less at once"
    )
