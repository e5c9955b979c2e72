"""Rows of bytes that are appended at one end and dropped at the other, and are copied without stopping anybody.

Rows lie in sealed chunks that never change, so a snapshot is a list of references: who writes it out joins it on
another thread. Does not know where a row ends: callers drop whole rows, by their size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

CHUNK_BYTES = 64 << 10  # copied by a snapshot at most; 4 M rows of 40 bytes are 2,500 chunks


class PackedRows:
    """Appended with `append`, dropped from the front with `drop`."""

    __slots__ = ("_dropped", "_open", "_sealed")

    def __init__(self, rows: bytes = b"") -> None:
        self._sealed: deque[bytes] = deque([rows] if rows else [])
        self._open = bytearray()
        self._dropped = 0  # bytes of the first chunk

    def append(self, row: bytes) -> None:
        self._open += row
        if len(self._open) >= CHUNK_BYTES:
            self._seal()

    def drop(self, size: int) -> None:
        """Forget the first `size` bytes."""
        self._dropped += size
        while self._sealed and self._dropped >= len(self._sealed[0]):
            self._dropped -= len(self._sealed.popleft())
        if not self._sealed and self._dropped >= len(self._open):
            self._open.clear()
            self._dropped = 0

    def snapshot(self) -> Callable[[], bytes]:
        """The rows as they are now, to be joined later, on any thread."""
        parts, dropped = [*self._sealed, bytes(self._open)], self._dropped
        return lambda: b"".join(parts)[dropped:] if dropped else b"".join(parts)

    def _seal(self) -> None:
        self._sealed.append(bytes(self._open))
        self._open.clear()
