"""Which messages are in the ledger already: a client that retries is answered, not counted twice.

The promise has a horizon, and says so: a message id is remembered for `horizon_ms` of ledger time or until
`entries_max` younger ids arrived, whichever is shorter; `span()` tells what it is right now.

Invariants: the table is a function of the ledger, for it changes only in `remember`, called for each applied record
in order; the first body of an id wins, another body is counted in `conflicts`; **a duplicate of an original that is
not durable yet is not acknowledged**, it waits for the original (`begin`, `seen` -> `Waiting`) and shares its fate.

Memory: about 205 bytes per id (CPython 3.11), so 820 MB at the default `entries_max`; size it to the machine.
Does not hold message ids or bodies, only 128-bit and 64-bit BLAKE2b hashes of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b

from crc32c import crc32c

from nextpaint.record.errors import LedgerError
from nextpaint.stream.packed import PackedRows

_MAGIC = b"NPdd\x01"  # the last byte is the version
_KEY_BYTES = 16
_VALUE_BYTES = 24  # seq, at, body hash: 8 bytes each
_64 = (1 << 64) - 1


class Waiting:
    """An original on its way to disk, and the duplicates that wait for it."""

    __slots__ = ("_waiters", "body_hash")

    def __init__(self, body_hash: int) -> None:
        self.body_hash = body_hash
        self._waiters: list[tuple[Callable[[int], None], Callable[[LedgerError], None]]] = []

    def join(self, done: Callable[[int], None], failed: Callable[[LedgerError], None]) -> None:
        """`done(seq of the original)` once it is durable, or `failed(error)` if it never will be."""
        self._waiters.append((done, failed))

    def settle(self, seq: int) -> None:
        """The original is durable."""
        waiters, self._waiters = self._waiters, []
        for done, _ in waiters:
            done(seq)

    def fail(self, error: LedgerError) -> None:
        """The original was lost before it was acknowledged."""
        waiters, self._waiters = self._waiters, []
        for _, failed in waiters:
            failed(error)


@dataclass(frozen=True, slots=True)
class Span:
    """What is remembered now. `ms`: ledger time between the oldest and the newest id."""

    entries: int
    ms: int
    limited_by: str  # "time" or "entries"


@dataclass(slots=True)
class Dedup:
    """horizon_ms: 1 h covers the retries of phones and queues. entries_max: 4 M ids are 1 h at 1,100 a second."""

    horizon_ms: int = 3_600_000
    entries_max: int = 4_000_000
    conflicts: int = 0  # duplicates whose body differs from the first
    duplicates: int = 0
    _known: dict[bytes, int] = field(default_factory=dict)  # key -> seq, at and body hash in one integer
    _order: deque[bytes] = field(default_factory=deque)  # a dict finds its oldest key only by walking over removed ones
    _waiting: dict[bytes, Waiting] = field(default_factory=dict)
    _crowded: bool = False
    _rows: PackedRows = field(default_factory=PackedRows)  # the same, as a dump has them: 40 bytes an id

    @staticmethod
    def key(write_key: str, message_id: str) -> bytes:
        """16 bytes that name a message of a source; different sources never share one."""
        source = write_key.encode("utf-8", "surrogatepass")
        name = message_id.encode("utf-8", "surrogatepass")
        return blake2b(len(source).to_bytes(4, "big") + source + name, digest_size=_KEY_BYTES).digest()

    @staticmethod
    def body_hash(body: bytes) -> int:
        """64 bits, to tell a retry from another message under the same id."""
        return int.from_bytes(blake2b(body, digest_size=8).digest(), "big")

    def seen(self, key: bytes, body_hash: int | None = None) -> int | Waiting | None:
        """The seq of the durable original; or an original to `join`; or None: it is new, `begin` it."""
        packed = self._known.get(key)
        waiting = None if packed is not None else self._waiting.get(key)
        if packed is None and waiting is None:
            return None
        self.duplicates += 1
        first_hash = waiting.body_hash if waiting is not None else (packed or 0) & _64
        if body_hash is not None and body_hash != first_hash:
            self.conflicts += 1
        return waiting if packed is None else packed >> 128

    def begin(self, key: bytes, body_hash: int) -> None:
        """An original was handed to the writer; its duplicates wait until `remember` or `abandon`."""
        if key in self._waiting or key in self._known:
            raise ValueError("this message has begun already; ask seen() first")
        self._waiting[key] = Waiting(body_hash)

    def remember(self, key: bytes, seq: int, at: int, body_hash: int) -> None:
        """A durable record with this id was applied, live or in a replay. Releases who waits for it."""
        if key not in self._known:
            packed = self._known[key] = (seq << 128) | (at << 64) | body_hash
            self._order.append(key)
            self._rows.append(key + packed.to_bytes(_VALUE_BYTES, "big"))
            self._expire(at)
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            waiting.settle(seq)

    def abandon(self, key: bytes, error: LedgerError) -> None:
        """The original never became durable: who waited is told, and the id is free again."""
        waiting = self._waiting.pop(key, None)
        if waiting is not None:
            waiting.fail(error)

    def span(self) -> Span:
        """For metrics and for the promise on the status page."""
        if not self._order:
            return Span(0, 0, "time")
        ms = self._at(self._order[-1]) - self._at(self._order[0])
        return Span(len(self._order), ms, "entries" if self._crowded else "time")

    def snapshot(self) -> Callable[[], bytes]:
        """The table as it is now for a checkpoint, to be encoded later, on any thread.

        40 bytes per id, oldest first. Who is waiting is not part of it.
        """
        head = _MAGIC + len(self._known).to_bytes(8, "big") + bytes([self._crowded])
        rows = self._rows.snapshot()

        def encoded() -> bytes:
            data = head + rows()
            return data + crc32c(data).to_bytes(4, "big")

        return encoded

    def dump(self) -> bytes:
        """The table as a checkpoint holds it."""
        return self.snapshot()()

    def load(self, data: bytes | memoryview) -> None:
        """Replace the table by a dumped one. ValueError, and nothing changed, for anything else."""
        data = bytes(data)
        row = _KEY_BYTES + _VALUE_BYTES
        start = len(_MAGIC) + 9
        if data[: len(_MAGIC)] != _MAGIC:
            raise ValueError("not a dedup table of version 1; drop the checkpoint and replay")
        count = int.from_bytes(data[len(_MAGIC) : start - 1], "big")
        if len(data) != start + count * row + 4 or crc32c(data[:-4]) != int.from_bytes(data[-4:], "big"):
            raise ValueError("the dedup table is damaged; drop the checkpoint and replay")
        self._known = {
            data[at : at + _KEY_BYTES]: int.from_bytes(data[at + _KEY_BYTES : at + row], "big")
            for at in range(start, len(data) - 4, row)
        }
        self._order = deque(self._known)
        self._rows = PackedRows(data[start:-4])
        self._crowded = bool(data[start - 1])

    def _at(self, key: bytes) -> int:
        return self._known[key] >> 64 & _64

    def _expire(self, at: int) -> None:
        oldest = at - self.horizon_ms
        while self._order and self._at(self._order[0]) < oldest:
            self._forget_oldest()
            self._crowded = False
        while len(self._order) > self.entries_max:
            self._forget_oldest()
            self._crowded = True

    def _forget_oldest(self) -> None:
        del self._known[self._order.popleft()]
        self._rows.drop(_KEY_BYTES + _VALUE_BYTES)
