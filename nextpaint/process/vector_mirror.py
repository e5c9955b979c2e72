"""The matrix of all known vectors of an item table, for reads by similarity. Derived, never part of the state.

Signed bytes, as they came: a million vectors of 512 are half a gigabyte. Rows are dense, a removed row is filled by the
last one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.process.operators.vectors import TextVectors
from nextpaint.process.places import Moves, Places, Slotted
from nextpaint.process.reading import Vectors
from nextpaint.record.columns import IntArray, Value


class VectorMirror:
    """Vectors by row, brought up to date when they are read."""

    def __init__(self, source: TextVectors) -> None:
        self._source = source
        self._changed: set[Any] = {item for item, _ in source.texts.items()}
        source.texts.watchers.append(self._changed)
        self._by_content: dict[str, set[Value]] = {}
        self._content: dict[Value, str] = {}
        self.keys: list[Value] = []
        self.slots: dict[Value, int] = {}
        self.moves = Moves()
        self._places: dict[int, Places] = {}
        self._matrix = np.zeros((0, 0), np.int8)
        self._norms = np.zeros(0)
        self.watchers: list[set[Value]] = []  # told which items have another vector, or none

    @property
    def behind(self) -> int:
        """Items and contents that changed since the last read."""
        return len(self._changed) + len(self._source.arrived)

    def refresh(self) -> None:
        """Take in what changed since the last read."""
        for item in sorted(self._changed, key=repr):
            content = self._source.texts.get(item)
            old = self._content.pop(item, None)
            if old is not None:
                self._by_content[old].discard(item)
            if content is not None:
                self._content[item] = content
                self._by_content.setdefault(content, set()).add(item)
            self._set(item, self._source.vector(item))
        self._changed.clear()
        for content in sorted(self._source.arrived):
            for item in sorted(self._by_content.get(content, ()), key=repr):
                self._set(item, self._source.vector(item))
        self._source.arrived.clear()

    def _set(self, item: Value, vector: bytes | None) -> None:
        for watcher in self.watchers:
            watcher.add(item)
        slot = self.slots.get(item)
        components = np.frombuffer(vector or b"", np.int8)
        wide = components.astype(np.int64)
        square = int(np.dot(wide, wide))
        if square == 0:  # there is no vector, or one without a direction
            if slot is not None:
                self._remove(item, slot)
            return
        if slot is None:
            slot = len(self.keys)
            self.keys.append(item)
            self.slots[item] = slot
            self.moves.note(item)
            self._reserve(slot + 1, len(components))
        self._matrix[slot] = components
        self._norms[slot] = np.sqrt(float(square))

    def _reserve(self, rows: int, dimensions: int) -> None:
        if rows > len(self._matrix):
            size = max(256, 2 * len(self._matrix))
            matrix, norms = np.zeros((size, dimensions), np.int8), np.ones(size)
            if len(self._matrix):
                matrix[: len(self._matrix)], norms[: len(self._norms)] = self._matrix, self._norms
            self._matrix, self._norms = matrix, norms

    def _remove(self, item: Value, slot: int) -> None:
        last = len(self.keys) - 1
        moved = self.keys[last]
        self._matrix[slot], self._norms[slot] = self._matrix[last], self._norms[last]
        self.keys[slot] = moved
        self.slots[moved] = slot
        self.keys.pop()
        del self.slots[item]
        self.moves.note(item)
        self.moves.note(moved)

    def places_in(self, other: Slotted) -> IntArray:
        """For each row the slot of the same key in another mirror, -1 where there is none."""
        return self._places.setdefault(id(other), Places()).of(self, other)

    def view(self) -> Vectors:
        """The vectors as they are now; valid until the next step."""
        self.refresh()
        size = len(self.keys)
        return Vectors(self.keys, self.slots, self._matrix[:size], self._norms[:size], self._source.missing)
