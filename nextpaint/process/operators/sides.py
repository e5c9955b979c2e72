"""One side of a join: its rows as a multiset, found by join key in the order they first came.

Beside each row stands how many rows of the other side it meets, which is what padded rows and EXISTS depend on. An
`Overlay` is a side with changes that are not made: live readings join rows that are still held upstream through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from nextpaint.process.operators.protocol import Row
from nextpaint.process.state import Cell


class Entry(NamedTuple):
    """A row's multiplicity, its matches on the other side, and when it first came: (seq, ordinal)."""

    times: int
    matches: int
    seq: int
    ordinal: int


Written = Callable[[Row, bool], None]


class JoinSide:
    """State: the cell given, row -> Entry. Derived: rows by join key."""

    def __init__(self, cell: Cell, keys: Sequence[int], nulls_match: Sequence[bool]) -> None:
        self._cell = cell
        self.keys = tuple(keys)
        self.never = tuple(key for key, null in zip(keys, nulls_match, strict=True) if not null)
        self._by_key: dict[Row, dict[Row, None]] = {}
        self.written: Written | None = None  # told of each row that is written, or is gone

    def __len__(self) -> int:
        return len(self._cell)

    def restore(self) -> None:
        self._by_key = {}
        ordered = sorted(self._cell.items(), key=lambda each: (each[1][2], each[1][3]))
        for row, _ in ordered:
            self._by_key.setdefault(self._key(row), {})[row] = None

    def key_of(self, row: Row) -> Row | None:
        """The join key; None when it holds a NULL that matches nothing."""
        for index in self.never:
            if row[index] is None:
                return None
        return self._key(row)

    def _key(self, row: Row) -> Row:
        return tuple([row[index] for index in self.keys])

    def rows(self, key: Row) -> Iterable[Row]:
        return self._by_key.get(key, ())

    def entry(self, row: Row) -> Entry | None:
        found = self._cell.get(row)
        return Entry(*found) if found is not None else None

    def put(self, row: Row, entry: Entry | None) -> None:
        """Set or, with None, remove a row."""
        key = self._key(row)
        if self.written is not None:
            self.written(row, entry is not None)
        if entry is None:
            self._cell.pop(row)
            rows = self._by_key[key]
            del rows[row]
            if not rows:
                del self._by_key[key]
        else:
            self._cell.put(row, tuple(entry))
            self._by_key.setdefault(key, {}).setdefault(row)


class Overlay(JoinSide):
    """A side as it would be: reads fall through to the side below, writes stay here."""

    def __init__(self, below: JoinSide) -> None:
        self._below = below
        self.keys, self.never = below.keys, below.never
        self._changed: dict[Row, dict[Row, Entry | None]] = {}

    def rows(self, key: Row) -> Iterable[Row]:
        changed = self._changed.get(key, {})
        kept = [row for row in self._below.rows(key) if row not in changed or changed[row] is not None]
        known = set(kept)
        return [*kept, *(row for row, entry in changed.items() if entry is not None and row not in known)]

    def entry(self, row: Row) -> Entry | None:
        changed = self._changed.get(self._key(row), {})
        return changed[row] if row in changed else self._below.entry(row)

    def put(self, row: Row, entry: Entry | None) -> None:
        self._changed.setdefault(self._key(row), {})[row] = entry


def side_columns(
    keys: tuple[Sequence[int], Sequence[int]], width: int, port: int, columns: Iterable[int]
) -> dict[int, int]:
    """Input column of one side -> the output column that fixes its value: itself, or the other side's equal key.
    `width`: output columns before the right side's."""
    own: dict[int, int] = {}
    for column in columns:
        left = column < width
        index = column if left else column - width
        if left == (port == 0):
            own[index] = column
        else:
            own.update({mine: column for mine, other in zip(keys[port], keys[1 - port], strict=True) if other == index})
    return own
