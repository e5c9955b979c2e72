"""Requests, responses and routes: what a handler sees, what it answers, and how a path finds it.

Bodies are decoded here, answers become bytes here, and errors get their JSON shape {"error": {"what", "where",
"cure"}}. Pure: no I/O. How a request reaches its handler is `serve.app`; connections are `serve.connection`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from nextpaint.govern.access import Principal
from nextpaint.record.errors import (
    InvalidInput,
    NextpaintError,
    NotFound,
    Overloaded,
    RequestError,
    Unauthenticated,
)

Headers = Mapping[bytes, bytes]  # names in lower case; the first value of a name that came twice

JSON = b"application/json"
_PARAMETER_LENGTH_MAX = 256


class MethodNotAllowed(RequestError):
    """The path is known under other methods. HTTP 405."""

    status = 405


class UnsupportedMedia(RequestError):
    """The body is of a type or encoding that this call does not read. HTTP 415."""

    status = 415


class ForbiddenOrigin(RequestError):
    """A page of another origin, or another host name, reached a node without keys. HTTP 403."""

    status = 403


@dataclass(slots=True)
class Request:
    """One request, its body whole and inflated. `complete_s`: the loop's time at which its last byte came."""

    method: str
    path: str
    params: dict[str, str]
    query_string: bytes
    headers: Headers
    principal: Principal | None = None
    body: bytes = b""
    complete_s: float = 0.0

    def query(self) -> dict[str, str]:
        """Query parameters, the last of equal names."""
        if not self.query_string:
            return {}
        try:
            return dict(parse_qsl(self.query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=32))
        except ValueError as error:
            raise RequestError(f"the query string cannot be read: {error}", where=self.path) from error

    def caller(self) -> Principal:
        if self.principal is None:
            raise Unauthenticated("no API key was sent", where=self.path)
        return self.principal


@dataclass(slots=True)
class Response:
    """A whole answer. `headers` are added to those every answer has. It may be kept and answered again."""

    body: bytes
    status: int = 200
    content_type: bytes = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass(slots=True)
class Later:
    """An answer that is made when something is done: no task for a request that only waits. `make` may raise as a
    handler may."""

    done: Awaitable[Any]
    make: Callable[[Any], Response]


Handler = Callable[[Request], Response | Later | Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """One method and path (`/v1/decide/{surface}`) and what it needs. `scope` None: no key is asked for by the router.

    `lane` names the concurrency limit. `cross_origin`: other web origins may be allowed to call it.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    scope: str | None = None
    lane: str = "other"
    body_bytes_max: int = 0
    cross_origin: bool = False
    accepts: type | None = None
    tags: tuple[str, ...] = ()


encode_json = msgspec.json.Encoder().encode


def json_response(value: Any, status: int = 200) -> Response:
    """An answer of any JSON value."""
    return Response(encode_json(value), status)


def decode_json(body: bytes, type_: Any = Any, where: str = "body") -> Any:
    """The decoded body. Raises RequestError if it is not JSON, InvalidInput naming the field if it is misshapen."""
    try:
        return msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError as error:
        raise InvalidInput(str(error), where=where, cure="see /openapi.json for the fields of this call") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"the body is not valid JSON: {error}", where=where, cure="send one JSON value") from error


def error_response(error: NextpaintError) -> Response:
    """The JSON answer of an error; texts that are not Unicode are replaced."""
    texts = {"what": error.what, "where": error.where, "cure": error.cure}
    shown = {name: text.encode("utf-8", "replace").decode() for name, text in texts.items()}
    response = json_response({"error": shown}, error.status)
    if isinstance(error, Overloaded):
        seconds = b"%d" % max(1, error.retry_after_s)
        response.headers += [(b"retry-after", seconds), (b"x-ratelimit-reset", seconds)]
    if isinstance(error, Unauthenticated):
        response.headers.append((b"www-authenticate", b'Bearer realm="nextpaint"'))
    return response


def credential(headers: Headers) -> str | None:
    """The key of an Authorization header: Bearer, or Basic with the key as user name (Segment) or password."""
    value = headers.get(b"authorization")
    if value is None:
        return None
    scheme, _, rest = value.strip().partition(b" ")
    rest = rest.strip()
    if scheme.lower() == b"bearer":
        return rest.decode("latin-1")
    if scheme.lower() == b"basic":
        try:
            user, _, password = base64.b64decode(rest, validate=True).decode("latin-1").partition(":")
        except (binascii.Error, ValueError):
            return None
        return user or password
    return None


_STATUS_LINES = {each.value: b"HTTP/1.1 %d %b\r\n" % (each.value, each.phrase.encode()) for each in HTTPStatus}
_PAGE_HEADERS = (
    b"content-security-policy: default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"frame-ancestors 'self'; base-uri 'none'; form-action 'self'\r\n"
    b"referrer-policy: no-referrer\r\n"
)


def encode_response(
    response: Response, request_id: bytes, added: Iterable[tuple[bytes, bytes]] = (), *, body: bool = True
) -> bytes:
    """The bytes of an answer. `added`: further headers; `body` False: the head alone, as HEAD asks for."""
    content, content_type = response.body, response.content_type
    if response.status == 200 and content_type == JSON and not response.headers and not added and body:
        return (  # nearly every answer of a busy node
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"x-content-type-options: nosniff\r\nx-request-id: %b\r\ncache-control: no-store\r\n\r\n%b"
        ) % (len(content), request_id, content)
    head = [_STATUS_LINES.get(response.status) or b"HTTP/1.1 %d Status\r\n" % response.status]
    if response.status != HTTPStatus.NO_CONTENT:
        head.append(b"content-type: %b\r\ncontent-length: %d\r\n" % (content_type, len(content)))
    head.append(b"x-content-type-options: nosniff\r\nx-request-id: %b\r\n" % request_id)
    head += [b"%b: %b\r\n" % each for each in (*response.headers, *added)]
    if content_type == JSON:
        head.append(b"cache-control: no-store\r\n")
    elif content_type.startswith(b"text/html"):
        head.append(_PAGE_HEADERS)
    head.append(b"\r\n")
    if body:
        head.append(content)
    return b"".join(head)


class Router:
    """Finds the route of a method and path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[list[str], dict[str, Route]]] = []
        for route in self.routes:
            if "{" in route.path:
                methods = self._pattern(route.path.split("/"))
            else:
                methods = self._exact.setdefault(route.path, {})
            if route.method in methods:
                raise ValueError(f"two routes for {route.method} {route.path}")
            methods[route.method] = route

    def _pattern(self, segments: list[str]) -> dict[str, Route]:
        for known, methods in self._patterns:
            if known == segments:
                return methods
        self._patterns.append((segments, {}))
        return self._patterns[-1][1]

    def methods(self, path: str) -> tuple[dict[str, Route], dict[str, str]]:
        """The routes of a path by method, and its parameters. Raises NotFound."""
        found = self._exact.get(path)
        if found is not None:
            return found, {}
        segments = path.split("/")
        for pattern, methods in self._patterns:
            if len(pattern) == len(segments):
                params = _match(pattern, segments)
                if params is not None:
                    return methods, params
        raise NotFound(f"there is nothing at {path[:_PARAMETER_LENGTH_MAX]}", where="path", cure="see /openapi.json")

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """The route and its parameters. Raises NotFound or MethodNotAllowed."""
        methods, params = self.methods(path)
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            raise MethodNotAllowed(
                f"{method[:16]} is not a method of this path", where=path, cure="use " + ", ".join(methods)
            )
        return route, params


def _match(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    params = {}
    for expected, given in zip(pattern, segments, strict=True):
        if expected[:1] == "{":
            if not given or len(given) > _PARAMETER_LENGTH_MAX:
                return None
            params[expected[1:-1]] = given
        elif expected != given:
            return None
    return params
