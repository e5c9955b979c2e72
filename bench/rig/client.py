"""A plain HTTP client over blocking sockets: each of `count` connections sends one request, then all answers are read.

A closed loop: nothing is sent before the last answer. It checks statuses and lengths and nothing else, so that a
client on the same machine takes as little as it can.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence

PATIENCE_S = 300.0  # a machine that stops a process for a minute ends no bench
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connections:
    """Open connections to 127.0.0.1:`port`."""

    def __init__(self, port: int, count: int) -> None:
        self._sockets = [socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) for _ in range(count)]
        for each in self._sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __len__(self) -> int:
        return len(self._sockets)

    def wave(self, path: str, bodies: Sequence[bytes], method: str = "POST") -> list[bytes]:
        """One request per connection; gives the bodies of the answers. A status other than 200 ends the bench."""
        host = "HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
        head = f"{method} {path} {host}".encode()
        for each, body in zip(self._sockets, bodies, strict=True):
            each.sendall(b"%b%d\r\n\r\n%b" % (head, len(body), body))
        return [_answer(each) for each in self._sockets]

    def close(self) -> None:
        for each in self._sockets:
            each.close()


def _answer(connection: socket.socket) -> bytes:
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _received(connection)
    found = _LENGTH.search(data, 0, end)
    size = int(found[1]) if found else 0
    while len(data) < end + 4 + size:
        data += _received(connection)
    if data[9:12] != b"200":
        raise SystemExit(f"the node answered {bytes(data[:600]).decode(errors='replace')}")
    return bytes(data[end + 4 :])


def _received(connection: socket.socket) -> bytes:
    part = connection.recv(1 << 16)
    if not part:
        raise SystemExit("the node closed a connection")
    return part
