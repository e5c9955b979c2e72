"""A reading in which a few facts are otherwise: rows of tables that nothing is derived from.

Where no statement, index or learner reads a table, another value in one of its rows changes that row and nothing else.
So reading over the row is the same as writing it, and the state stays as it is for the next question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.reading import Learned, Reading, Row, Vectors, Whole
from nextpaint.record.columns import Column, IntArray, Value

Facts = Mapping[str, Mapping[str, Mapping[str, Value]]]  # table -> key -> column -> value


class Overlaid:
    """Implements `process.reading.Reading` over another one. `facts` are of tables with a one-column key, and of rows
    that are there; `at_ms`: when they changed."""

    def __init__(self, below: Reading, facts: Facts, at_ms: int) -> None:
        self._below = below
        self._facts = facts
        self._at_ms = at_ms

    @property
    def position(self) -> int:
        return self._below.position

    @property
    def time_ms(self) -> int:
        return self._below.time_ms

    @property
    def stopped(self) -> frozenset[str]:
        return self._below.stopped

    def row(self, table: str, key: tuple[Value, ...]) -> Row | None:
        row = self._below.row(table, key)
        said = self._facts.get(table, {}).get(str(key[0])) if row is not None else None
        return row if row is None or said is None else {**row, **said}

    def rows(self, table: str, prefix: tuple[Value, ...]) -> Sequence[Row]:
        if table not in self._facts:
            return self._below.rows(table, prefix)
        row = self.row(table, prefix)
        return [] if row is None else [row]

    def keyed(self, table: str, column: str, keys: Sequence[Value]) -> Column:
        below = self._below.keyed(table, column, keys)
        said = {key: row[column] for key, row in self._facts.get(table, {}).items() if column in row}
        return (
            _written(below, {at: said[str(key)] for at, key in enumerate(keys) if str(key) in said}) if said else below
        )

    def whole(self, table: str) -> Whole:
        below = self._below.whole(table)
        return _Whole(below, self._facts[table]) if table in self._facts else below

    def places(self, table: str, other: str) -> IntArray:
        return self._below.places(table, other)

    def vectors(self, table: str) -> Vectors:
        return self._below.vectors(table)

    def learned(self, name: str) -> Learned:
        return self._below.learned(name)

    def changed_at_ms(self, table: str, keys: Sequence[tuple[Value, ...]]) -> list[int | None]:
        below, said = self._below.changed_at_ms(table, keys), self._facts.get(table, {})
        return [self._at_ms if str(key[0]) in said else at for key, at in zip(keys, below, strict=True)]


class _Whole:
    def __init__(self, below: Whole, facts: Mapping[str, Mapping[str, Value]]) -> None:
        self._below = below
        self._facts = facts
        self.keys: Sequence[Value] = below.keys
        self.slots: Mapping[Value, int] = below.slots

    def _said(self, name: str) -> dict[int, Value]:
        return {self.slots[key]: row[name] for key, row in self._facts.items() if name in row and key in self.slots}

    def column(self, name: str) -> Column:
        return _written(self._below.column(name), self._said(name))

    def codes(self, name: str) -> tuple[npt.NDArray[np.int64], Mapping[Value, int]]:
        codes, of = self._below.codes(name)
        said = self._said(name)
        if said:
            codes, of = codes.copy(), dict(of)
            for slot, value in said.items():
                codes[slot] = -1 if value is None else of.setdefault(value, len(of))
        return codes, of


def _written(column: Column, said: Mapping[int, Value]) -> Column:
    """A column with other values at some places."""
    if not said:
        return column
    values: Any = column.values.copy()
    valid = np.ones(len(values), np.bool_) if column.valid is None else column.valid.copy()
    for at, value in said.items():
        valid[at] = value is not None
        if value is not None or values.dtype == object:
            values[at] = value
    return Column(column.type, values, valid)
