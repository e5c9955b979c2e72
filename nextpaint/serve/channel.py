"""Messages between two processes of one node, over a pair of sockets and on a running loop.

A message is a length (four bytes, little-endian) and that many bytes. Both ends are ours: what they send is not checked
again. Sending never blocks and never fails: what the kernel does not take waits here, and its bounds are those of
the requests it belongs to (`serve.app`).

Invariants: messages arrive whole, in their order, each once; once the other end is gone `lost` is called, once, and
nothing is received after it.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from struct import Struct

_LENGTH = Struct("<I")
_READ_BYTES = 256 * 1024
_KERNEL_BYTES = 4 * 1024 * 1024  # asked for; the kernel gives what it allows


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that hold a busy moment's messages."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BYTES)
    return ends


class Channel:
    """One end. Open from the start; closed by `close`, or when the other end is."""

    def __init__(
        self,
        end: socket.socket,
        loop: asyncio.AbstractEventLoop,
        received: Callable[[memoryview], None],
        lost: Callable[[], None],
    ) -> None:
        end.setblocking(False)
        self._end = end
        self._loop = loop
        self._received = received
        self._lost = lost
        self._rest = b""
        self._unsent: deque[memoryview] = deque()
        self._open = True
        loop.add_reader(end, self._readable)

    def send(self, message: bytes) -> None:
        """Send now, or when the kernel takes it. Without effect once the other end is gone."""
        if not self._open:
            return
        self._unsent.append(memoryview(_LENGTH.pack(len(message)) + message))
        if len(self._unsent) == 1 and not self._sent():
            self._loop.add_writer(self._end, self._writable)

    def close(self) -> None:
        """Let go; `lost` is not called."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._end)
            self._loop.remove_writer(self._end)
            self._end.close()

    def _sent(self) -> bool:
        """Whether everything is sent."""
        while self._unsent:
            try:
                taken = self._end.send(self._unsent[0])
            except BlockingIOError:
                return False
            except OSError:  # the other end is gone: reading says so
                self._unsent.clear()
                return True
            if taken < len(self._unsent[0]):
                self._unsent[0] = self._unsent[0][taken:]
            else:
                self._unsent.popleft()
        return True

    def _writable(self) -> None:
        if self._sent():
            self._loop.remove_writer(self._end)

    def _readable(self) -> None:
        try:
            data = self._end.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            self._lost()
            return
        if self._rest:
            data = self._rest + data
        view, at, end = memoryview(data), 0, len(data)
        while self._open and end - at >= _LENGTH.size:
            after = at + _LENGTH.size + _LENGTH.unpack_from(data, at)[0]
            if after > end:
                break
            self._received(view[at + _LENGTH.size : after])
            at = after
        self._rest = data[at:]
