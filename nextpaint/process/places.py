"""Which slot of one mirror holds the key of a slot of another, kept up by the keys that came, went and moved."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Protocol

import numpy as np

from nextpaint.record.columns import IntArray, Value

LOG_MAX = 100_000  # changed keys remembered; past this the older half is forgotten, and who missed it starts anew


class Moves:
    """The keys that changed their slot, in order. `version` counts them and never goes back."""

    def __init__(self) -> None:
        self.version = 0
        self._log: list[Value] = []

    def note(self, key: Value) -> None:
        """`key` got a slot, lost it or went to another."""
        self.version += 1
        self._log.append(key)
        if len(self._log) > LOG_MAX:
            del self._log[: LOG_MAX // 2]

    def since(self, version: int) -> Sequence[Value] | None:
        """The keys noted since; None where they are forgotten."""
        count = self.version - version
        return None if count > len(self._log) else self._log[len(self._log) - count :]


class Slotted(Protocol):
    """A mirror: keys in slots. `refresh` brings it up to date."""

    keys: list[Value]
    slots: dict[Value, int]
    moves: Moves

    def refresh(self) -> None: ...


class Places:
    """For each slot of one mirror the slot of the same key in another, -1 where there is none."""

    def __init__(self) -> None:
        self._slots: IntArray = np.empty(0, np.int64)
        self._seen = (-1, -1)  # versions of the two mirrors

    def of(self, mirror: Slotted, other: Slotted) -> IntArray:
        """As both are now, shape (slots of `mirror`,). Do not write into it."""
        mirror.refresh()
        other.refresh()
        self.catch_up(mirror, other)
        return self._slots[: len(mirror.keys)]

    def catch_up(self, mirror: Slotted, other: Slotted) -> None:
        """Take in what both mirrors did since, without bringing them up to date. Costs in proportion to that."""
        versions = (mirror.moves.version, other.moves.version)
        if versions != self._seen:
            self._follow(mirror, other)
            self._seen = versions

    def _follow(self, mirror: Slotted, other: Slotted) -> None:
        own = mirror.moves.since(self._seen[0]) if self._seen[0] >= 0 else None
        others = other.moves.since(self._seen[1]) if self._seen[1] >= 0 else None
        slot_of = other.slots.get
        if not other.slots:
            self._slots = np.full(len(mirror.keys), -1, np.int64)
            return
        if own is None or others is None or len(own) + len(others) > len(mirror.keys):
            self._slots = np.fromiter(map(slot_of, mirror.keys, repeat(-1)), np.int64, len(mirror.keys))
            return
        missing = len(mirror.keys) - len(self._slots)
        if missing > 0:
            self._slots = np.concatenate([self._slots, np.full(missing + len(self._slots) // 4, -1, np.int64)])
        for key in (*own, *others):
            slot = mirror.slots.get(key)
            if slot is not None:
                self._slots[slot] = slot_of(key, -1)
