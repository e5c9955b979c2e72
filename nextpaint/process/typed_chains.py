"""Rows of a typed cell chained by key, and what kernels put out that have no timers.

A `Chains` is derived: the index and the word of layout in each row (`kernels/chains.py`) are neither hashed nor
saved, and made anew by `restore`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels import chains, packing, paged
from nextpaint.process.kernels.paged import ROOM_OUT, WORD
from nextpaint.process.typed import Packing, TypedCell
from nextpaint.record.columns import Value

Words = npt.NDArray[np.int64]
_OUT_ROWS = 64


def ordered(rows: Words, by: Sequence[int]) -> Words:
    """The slots of what `TypedCell.words` gave, sorted by these columns (the first weighs most)."""
    return np.ascontiguousarray(rows[np.lexsort([rows[:, each] for each in reversed(by)]), -1])


class Chains:
    """The rows of `cell` by the fields `keys`, in an order that kernels keep."""

    def __init__(self, cell: TypedCell, keys: Sequence[int]) -> None:
        self._cell = cell
        self.keys = cell.packing.keys(keys)
        self._one = Packing([cell.packing.kinds[each] for each in keys])
        self._one_keys = self._one.keys(range(len(keys)))
        self._digest = np.empty((1, 2), np.int64)
        self.clear()

    def clear(self) -> None:
        """An index of nothing."""
        self.index = TypedCell("index", (WORD,) * chains.INDEX_FIELDS, 0)

    def restore(self, order: Sequence[int]) -> None:
        """Chain all rows anew, sorted by these fields of one word each (the first weighs most)."""
        self.clear()
        rows = self._cell.words(order)
        if len(rows):
            self.built(ordered(rows, range(len(order))))

    def built(self, slots: Words) -> None:
        """Chain rows in this order."""
        scratch = np.empty((1, self._cell.packing.width), np.int64)
        at = 0
        while (at := chains.chains_built(self._cell.meta, self.index.meta, self.keys, slots, scratch, at)) < len(slots):
            self.index.provide()

    def rows(self, key: Sequence[Value]) -> list[list[Value]]:
        """All fields of the rows of a key, in order. `key`: values of the key fields' types."""
        packing.hash_packed(self._one.one(key), self._one_keys, self._digest)
        low, high = self._digest[0].tolist()
        found = np.empty((8, self._cell.packing.width), np.int64)
        while (count := chains.chain_read(self._cell.meta, self.index.meta, low, high, found)) > len(found):
            found = np.empty((count, self._cell.packing.width), np.int64)
        return self._cell.packing.values(found, count) if count else []


class Emitted:
    """What a kernel puts out: packed rows of one or two tables, and words about each (`told`)."""

    __slots__ = ("more", "rows", "told")

    def __init__(self, width: int, more_width: int, told: int) -> None:
        self.rows = np.empty((_OUT_ROWS, width), np.int64)
        self.more = np.empty((_OUT_ROWS, more_width), np.int64)
        self.told = np.empty((_OUT_ROWS, told), np.int64)

    def run(self, tables: Sequence[TypedCell], call: Callable[[], None]) -> None:
        """Call a kernel until none of the tables says that it lacks room."""
        for table in tables:
            table.meta[paged.NEED] = paged.NOTHING
        while True:
            call()
            lacking = [table for table in tables if table.meta[paged.NEED] != paged.NOTHING]
            if not lacking:
                return
            for table in lacking:
                if table.meta[paged.NEED] == ROOM_OUT:
                    self._grow(int(table.meta[paged.NEED_SIZE]))
                    table.meta[paged.NEED] = paged.NOTHING
                else:
                    table.provide()

    def _grow(self, more: int) -> None:
        def grown(words: Words) -> Words:
            return np.concatenate([words, np.empty((max(more, len(words)), words.shape[1]), np.int64)])

        self.rows, self.more, self.told = grown(self.rows), grown(self.more), grown(self.told)
