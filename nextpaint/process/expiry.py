"""State TTL: keys that were not written for a while are forgotten, as `table.exec.state.ttl` asks.

The clock is the ledger's `at` of the rows an operator is given, and looking happens before each of them; so what is
forgotten when is a function of the record sequence. A key that expired starts anew; nothing is said about it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

import msgspec

from nextpaint.process.state import State

_sortable = msgspec.msgpack.Encoder(decimal_format="string").encode

Key = Any


def bounded(what: str, expiry: Expiry | None) -> str:
    """How long an operator keeps what it keeps, in words."""
    return f"{what}, forgotten after {expiry.ttl_ms / 1000:g} s" if expiry is not None else f"{what}, for ever"


class Expiry:
    """State: `written`, key -> ledger time of its last write. Derived: a heap of (time, key), with entries of keys
    that were written again."""

    def __init__(self, identity: str, ttl_ms: int, decimals: bool, state: State) -> None:
        self.ttl_ms = ttl_ms
        self._written = state.cell(identity, "written", decimals=decimals)
        self._due: list[tuple[int, bytes, Key]] = []

    def restore(self) -> None:
        self._due = [(at_ms, _sortable(key), key) for key, at_ms in self._written.items()]
        heapq.heapify(self._due)

    def write(self, key: Key, at_ms: int) -> None:
        if self._written.get(key) != at_ms:
            self._written.put(key, at_ms)
            heapq.heappush(self._due, (at_ms, _sortable(key), key))

    def forget(self, key: Key) -> None:
        """The key is gone for another reason."""
        self._written.pop(key)

    def expired(self, now_ms: int) -> Iterator[Key]:
        """Keys not written within the time to live up to `now_ms`, oldest first; each is forgotten here."""
        while self._due and self._due[0][0] + self.ttl_ms <= now_ms:
            at_ms, _, key = heapq.heappop(self._due)
            if self._written.get(key) == at_ms:
                self._written.pop(key)
                yield key
