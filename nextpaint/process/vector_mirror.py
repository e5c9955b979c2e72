"""The matrix of all known vectors of an item table, for reads by similarity. Derived, never part of the state.

Signed bytes, as they came: a million vectors of 512 are half a gigabyte. Rows are dense, a removed row is filled by the
last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

from nextpaint.process.backlog import Backlog
from nextpaint.process.known_dots import KnownDots
from nextpaint.process.operators.vectors import TextVectors
from nextpaint.process.places import Moves, Places, Slotted
from nextpaint.process.reading import Vectors
from nextpaint.record.columns import IntArray, Value

PORTION = 1024  # items looked at together: their vectors as 64-bit numbers are 4 MB


class VectorMirror:
    """Vectors by row, brought up to date when they are read."""

    def __init__(self, source: TextVectors) -> None:
        self._source = source
        self._backlog = Backlog(source.texts)
        source.arrived.clear()  # an item's vector is looked up when the item is taken in
        self._waiting: dict[str, set[Value]] = {}  # content key -> items that had no vector when they were looked at
        self.keys: list[Value] = []
        self.slots: dict[Value, int] = {}
        self.moves = Moves()
        self._places: dict[int, Places] = {}
        self._matrix = np.zeros((0, 0), np.int8)
        self._norms = np.zeros(0)
        self._dots = KnownDots()
        self.watchers: list[set[Value]] = []  # told which items have another vector, or none

    @property
    def behind(self) -> int:
        """Items and contents that are still to be taken in."""
        return len(self._backlog) + len(self._source.arrived)

    def refresh(self) -> None:
        """Take in what changed since the last read."""
        if self.behind:
            self.take_in()

    def take_in(self, most: int | None = None) -> None:
        """Take in a part of what changed, about `most` items; all of it without a number."""
        items = self._backlog.take(most)
        arrived = list(islice(self._source.arrived, None if most is None else max(most - len(items), 0)))
        self._source.arrived.difference_update(arrived)
        for content in arrived:
            items += self._waiting.pop(content, ())
        for at in range(0, len(items), PORTION):
            self._look(items[at : at + PORTION])

    def _look(self, items: Sequence[Value]) -> None:
        """Take in what the vectors of these items are now."""
        known, vectors = list[Value](), list[bytes]()
        for item in items:
            content = self._source.texts.get(item)
            vector = None if content is None else self._source.vector_of(content)
            if vector:
                known.append(item)
                vectors.append(vector)
                continue
            if content is not None:
                self._waiting.setdefault(content, set()).add(item)
            self._forget(item)
        if not known:
            return
        rows = np.frombuffer(b"".join(vectors), np.int8).reshape(len(known), -1)
        wide = rows.astype(np.int64)
        squares = np.einsum("ij,ij->i", wide, wide)
        self._reserve(len(self.keys) + len(known), rows.shape[1])
        directed = squares > 0  # one without a direction is none
        for item in [known[at] for at in np.flatnonzero(~directed).tolist()]:
            self._forget(item)
        kept = [known[at] for at in np.flatnonzero(directed).tolist()]
        slots = np.array([self._slot(item) for item in kept], np.int64)
        self._matrix[slots] = rows[directed]
        self._norms[slots] = np.sqrt(squares[directed].astype(np.float64))
        self._dots.changed(self._matrix[: len(self.keys)], slots)
        for watcher in self.watchers:
            watcher.update(kept)

    def _slot(self, item: Value) -> int:
        slot = self.slots.get(item)
        if slot is None:
            slot = self.slots[item] = len(self.keys)
            self.keys.append(item)
            self.moves.note(item)
        return slot

    def _forget(self, item: Value) -> None:
        """There is no vector of this item."""
        for watcher in self.watchers:
            watcher.add(item)
        slot = self.slots.get(item)
        if slot is not None:
            self._remove(item, slot)

    def same(self, other: VectorMirror) -> bool:
        """Whether another mirror has the vectors of this one where both stand at the same record."""
        return self._source.id == other._source.id

    def close(self) -> None:
        """Follow nothing any more."""
        self._backlog.close()

    def rebind(self, source: TextVectors) -> None:
        """Follow another operator, which holds the same now, from here on."""
        self.refresh()
        self._source = source
        self._backlog.rebind(source.texts)
        source.arrived.clear()

    def _reserve(self, rows: int, dimensions: int) -> None:
        if rows > len(self._matrix):
            size = max(256, rows, 2 * len(self._matrix))
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
        self._dots.changed(self._matrix[:last], np.array([slot, last], np.int64))

    def places_in(self, other: Slotted) -> IntArray:
        """For each row the slot of the same key in another mirror, -1 where there is none."""
        return self._places.setdefault(id(other), Places()).of(self, other)

    def place(self, other: Slotted) -> None:
        """Keep `places_in` up from here on, without bringing the mirrors up to date."""
        self._places.setdefault(id(other), Places()).catch_up(self, other)

    def keep_places(self, others: Iterable[Slotted]) -> None:
        """Forget the places in all other mirrors than these: they are gone."""
        known = {id(each) for each in others}
        self._places = {other: places for other, places in self._places.items() if other in known}

    def view(self) -> Vectors:
        """The vectors as they are now; valid until the next step."""
        self.refresh()
        size = len(self.keys)
        matrix, norms = self._matrix[:size], self._norms[:size]
        return Vectors(self.keys, self.slots, matrix, norms, self._source.missing, self._dots)
