"""The HTTP server of a node: its routes, and where its connections live.

Connections are held by a process of their own (`serve.fronted`), or by the loop of the node (`serve.listener`): the
same code with the same limits either way. A node with one core, and most tests, have no use for another process.

Invariants: an address beyond loopback is not bound without API keys. Signals are left to the process that called
`serve`.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable

import msgspec

from nextpaint.govern.access import Access
from nextpaint.record.errors import NextpaintError
from nextpaint.serve.app import App, HttpSettings
from nextpaint.serve.collect import Collector
from nextpaint.serve.decisions import Decisions
from nextpaint.serve.fronted import FrontedServer
from nextpaint.serve.http import Route
from nextpaint.serve.items import Items
from nextpaint.serve.listener import BACKLOG, HttpServer
from nextpaint.serve.node import Node
from nextpaint.serve.ofrep import Ofrep
from nextpaint.serve.probes import Probes
from nextpaint.serve.query import Query

Server = HttpServer | FrontedServer


class InsecureBinding(NextpaintError):
    """The address is reachable by others and no API key protects the node."""

    status = 400


async def serve(
    node: Node, host: str, port: int, access: Access, pages: Iterable[Route] = (), *, fronted: bool = False
) -> Server:
    """Bind and serve a node on the running loop, with default settings; port 0 takes a free one.

    `fronted`: connections are held by a process of their own.
    Raises InsecureBinding, or NextpaintError if the address is taken.
    """
    return await serve_app(node_app(node, access, pages=pages), host, port, fronted=fronted)


async def serve_app(app: App, host: str, port: int, *, fronted: bool = False) -> Server:
    """As `serve`, for an application made by `node_app` with other settings."""
    check_binding(host, app.access)
    sock = _bind(host, port)
    server = FrontedServer(app, sock) if fronted else HttpServer(app, sock)
    await server.start()
    return server


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def node_app(node: Node, access: Access, *, pages: Iterable[Route] = (), settings: HttpSettings | None = None) -> App:
    """The routes of a node with their limits: its API and further pages."""
    probes = Probes(node)
    rooms = (Collector(node, access), Decisions(node), Items(node), Query(node), Ofrep(node), probes)
    api = [route for room in rooms for route in room.routes()]
    pages = list(pages)
    probes.api = [*api, *(each for each in pages if each.path.startswith("/v1/"))]
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
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise NextpaintError(
            f"cannot listen: {error.strerror or error}",
            where=f"{host}:{port}",
            cure="stop what uses it, or give --port 0",
        ) from error
    return sock
