"""Mirrors: columns that follow a table's state for reads over many keys. Derived, never part of the state.

A mirror is told which keys changed (`Backlog`) and brings itself up to date when it is read, or in portions before
that. A deleted key leaves an empty slot, which the next new key takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nextpaint.process.backlog import Backlog
from nextpaint.process.kernels.decayed import DecayedSum
from nextpaint.process.operators.group import GroupAggregate
from nextpaint.process.operators.protocol import Row
from nextpaint.process.operators.table import MaterialisedTable
from nextpaint.process.places import Moves, Places, Slotted
from nextpaint.process.state import Cell
from nextpaint.record.columns import Column, IntArray, Value
from nextpaint.record.types import DOUBLE, Type


@dataclass(frozen=True, slots=True)
class Fading:
    """A table column that is a plain copy of a decayed aggregate: read from the group's accumulators, as of a time."""

    group: GroupAggregate
    aggregate: int
    half_life_ms: int


class _Held:
    """One mirrored column: values by slot, and which are present. Fading columns hold (value, anchor)."""

    def __init__(self, type_: Type, size: int) -> None:
        self.type = type_
        self.values = np.zeros(size, type_.dtype)
        self.valid = np.zeros(size, np.bool_)
        self.anchors: IntArray = np.zeros(size, np.int64)

    def grow(self, size: int) -> None:
        self.values = np.resize(self.values, size)
        self.valid = np.concatenate([self.valid, np.zeros(size - len(self.valid), np.bool_)])
        self.anchors = np.resize(self.anchors, size)

    def set(self, places: IntArray, values: Sequence[Value]) -> None:
        """Values by slot; None is NULL."""
        valid = np.fromiter((value is not None for value in values), np.bool_, len(values))
        if self.type.dtype == object:
            self.values[places] = np.fromiter(values, object, len(values))
        elif valid.all():
            self.values[places] = values
        else:
            self.values[places[valid]] = [value for value in values if value is not None]
        self.valid[places] = valid


class _Coded:
    """A mirrored STRING column as integers: values get codes in the order they are first seen."""

    def __init__(self, held: _Held, size: int) -> None:
        self.codes: IntArray = np.full(len(held.values), -1, np.int64)
        self.of: dict[Value, int] = {}
        self.set(np.arange(size), held)

    def set(self, places: IntArray, held: _Held) -> None:
        """Take in the values of these slots."""
        if len(self.codes) < len(held.values):
            grown = np.full(len(held.values) - len(self.codes), -1, np.int64)
            self.codes = np.concatenate([self.codes, grown])
        of = self.of
        pairs = zip(held.values[places].tolist(), held.valid[places].tolist(), strict=True)
        codes = [of.setdefault(value, len(of)) if valid else -1 for value, valid in pairs]
        self.codes[places] = codes


class TableMirror:
    """All rows of a table with a one-column primary key, as columns by slot.

    Which slot a key has is layout: two mirrors of one table may differ in it, and nothing may depend on it.
    """

    def __init__(self, table: MaterialisedTable, fading: Mapping[str, Fading]) -> None:
        self._table = table
        self._fading = dict(fading)
        self._columns: dict[str, _Held] = {}
        self._coded: dict[str, _Coded] = {}
        self._places: dict[int, Places] = {}
        self._backlog = Backlog(table.rows, self._groups())
        self.slots: dict[Value, int] = {}
        self.keys: list[Value] = []
        self._free: list[int] = []
        self.moves = Moves()

    def _groups(self) -> list[Cell]:
        """The cells of the groups that fading columns are read from."""
        return [each.groups for each in {id(each.group): each.group for each in self._fading.values()}.values()]

    @property
    def behind(self) -> int:
        """Keys that are still to be taken in."""
        return len(self._backlog)

    def refresh(self) -> None:
        """Take in what changed since the last read."""
        if len(self._backlog):
            self.take_in()

    def take_in(self, most: int | None = None) -> None:
        """Take in a part of what changed, about `most` keys; all of it without a number."""
        keys = self._backlog.take(most)
        kept, rows, slots, gone = list[Any](), list[Row | None](), list[int](), list[int]()
        plain = any(name not in self._fading for name in self._columns)
        for key, row in zip(keys, self._table.get_all(keys) if plain else [None] * len(keys), strict=True):
            slot = self.slots.get(key[0])
            if row is not None or key in self._table.rows:
                kept.append(key)
                rows.append(row)
                slots.append(self._add(key[0]) if slot is None else slot)
            elif slot is not None:
                self._drop(key[0], slot)
                gone.append(slot)
        places, empty = np.array(slots, np.int64), np.array(gone, np.int64)
        for name, held in self._columns.items():
            held.valid[empty] = False
            self._fill(name, held, kept, rows, places)
            if name in self._coded:
                self._coded[name].set(empty, held)
                self._coded[name].set(places, held)

    def rebind(self, table: MaterialisedTable, fading: Mapping[str, Fading]) -> None:
        """Follow another table, which holds the same rows now, from here on."""
        self.refresh()
        self._table, self._fading = table, dict(fading)
        self._backlog.rebind(table.rows, self._groups())

    def _add(self, key: Value) -> int:
        if self._free:
            slot = self._free.pop()
            self.keys[slot] = key
        else:
            slot = len(self.keys)
            self.keys.append(key)
        self.slots[key] = slot
        self.moves.note(key)
        for held in self._columns.values():
            if slot >= len(held.values):
                held.grow(max(64, 2 * len(held.values)))
        return slot

    def _drop(self, key: Value, slot: int) -> None:
        del self.slots[key]
        self.keys[slot] = None
        self._free.append(slot)
        self.moves.note(key)

    def _fill(
        self, name: str, held: _Held, keys: Sequence[Row], rows: Sequence[Row | None], places: IntArray
    ) -> None:  # fmt: skip
        """Take in a column of rows; fading ones of all keys at once."""
        if not len(keys):
            return
        fading = self._fading.get(name)
        if fading is not None:
            values, anchors, valid = fading.group.faded(keys, fading.aggregate)
            held.values[places], held.anchors[places], held.valid[places] = values, anchors, valid
            return
        index = self._table.names.index(name)
        held.set(places, [row[index] if row is not None else None for row in rows])

    def declare(self, columns: Iterable[str], codes: Iterable[str]) -> None:
        """Keep these columns and codes from here on, without bringing anything up to date."""
        for name in (*columns, *codes):
            if name not in self._columns:
                index = self._table.names.index(name)
                type_ = DOUBLE if name in self._fading else self._table.types[index]
                held = self._columns[name] = _Held(type_, max(64, len(self.keys)))
                if self.slots:
                    self._fill_all(name, held)
        for name in codes:
            if name not in self._coded:
                self._coded[name] = _Coded(self._columns[name], len(self.keys))

    def _fill_all(self, name: str, held: _Held) -> None:
        keys = [(key,) for key in self.slots]
        places = np.fromiter(self.slots.values(), np.int64, len(keys))
        rows = [] if name in self._fading else self._table.get_all(keys)
        self._fill(name, held, keys, rows, places)

    def keeps(self, columns: Iterable[str], codes: Iterable[str]) -> bool:
        """Whether it has all of these already."""
        return self._columns.keys() >= {*columns, *codes} and self._coded.keys() >= set(codes)

    def _held(self, name: str) -> _Held:
        self.refresh()
        if name not in self._columns:
            self.declare((name,), ())
        return self._columns[name]

    def column(self, name: str, as_of_ms: int) -> Column:
        """One value per slot as of a time. Do not write into it."""
        held = self._held(name)
        size = len(self.keys)
        values, valid = held.values[:size], held.valid[:size]
        fading = self._fading.get(name)
        if fading is not None:
            values = DecayedSum(fading.half_life_ms).values(values, held.anchors[:size], as_of_ms)
        return Column(held.type, values, valid)

    def codes(self, name: str) -> tuple[IntArray, Mapping[Value, int]]:
        """The code of each slot (-1: NULL or deleted), and the code of each value seen. Do not change them."""
        self.refresh()
        if name not in self._coded:
            self.declare((), (name,))
        return self._coded[name].codes[: len(self.keys)], self._coded[name].of

    def places_in(self, other: Slotted) -> IntArray:
        """For each slot the slot of the same key in another mirror, -1 where there is none; kept while neither
        changes."""
        return self._places.setdefault(id(other), Places()).of(self, other)

    def place(self, other: Slotted) -> None:
        """Keep `places_in` up from here on, without bringing the mirrors up to date."""
        self._places.setdefault(id(other), Places()).catch_up(self, other)

    def keep_places(self, others: Iterable[Slotted]) -> None:
        """Forget the places in all other mirrors than these: they are gone."""
        known = {id(each) for each in others}
        self._places = {other: places for other, places in self._places.items() if other in known}

    def take(self, name: str, keys: Sequence[Value], as_of_ms: int) -> Column:
        """One value per key; NULL where there is no row."""
        held = self._held(name)
        slots = self.slots
        places = np.array([slots.get(key, -1) for key in keys], np.int64)
        if not len(self.keys):
            return Column(held.type, np.zeros(len(keys), held.type.dtype), np.zeros(len(keys), np.bool_))
        values = held.values[places]
        valid = held.valid[places] & (places >= 0)
        fading = self._fading.get(name)
        if fading is not None:
            values = DecayedSum(fading.half_life_ms).values(values, held.anchors[places], as_of_ms)
        return Column(held.type, values, valid)
