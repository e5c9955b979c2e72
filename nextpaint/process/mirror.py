"""Mirrors: columns that follow a table's state for reads over many keys. Derived, never part of the state.

A mirror is told which keys changed (a cell's watcher set) and brings itself up to date when it is read. Slots are
stable while `version` is; a deleted key leaves an empty slot, which the next new key takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nextpaint.process.kernels.decayed import DecayedSum
from nextpaint.process.operators.group import GroupAggregate
from nextpaint.process.operators.table import MaterialisedTable
from nextpaint.process.places import Moves, Places, Slotted
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


class _Coded:
    """A mirrored STRING column as integers: values get codes in the order they are first seen."""

    def __init__(self, held: _Held, size: int) -> None:
        self.codes: IntArray = np.full(len(held.values), -1, np.int64)
        self.of: dict[Value, int] = {}
        for slot in range(size):
            self.set(slot, held)

    def set(self, slot: int, held: _Held) -> None:
        if slot >= len(self.codes):
            grown = np.full(len(held.values) - len(self.codes), -1, np.int64)
            self.codes = np.concatenate([self.codes, grown])
        self.codes[slot] = self.of.setdefault(held.values[slot], len(self.of)) if held.valid[slot] else -1


class TableMirror:
    """All rows of a table with a one-column primary key, as columns by slot."""

    def __init__(self, table: MaterialisedTable, fading: Mapping[str, Fading]) -> None:
        self._table = table
        self._fading = dict(fading)
        self._columns: dict[str, _Held] = {}
        self._coded: dict[str, _Coded] = {}
        self._places: dict[int, Places] = {}
        self._changed: set[Any] = {key for key, _ in table.rows.items()}
        table.rows.watchers.append(self._changed)
        for group in {id(each.group): each.group for each in fading.values()}.values():
            group.groups.watchers.append(self._changed)
        self.slots: dict[Value, int] = {}
        self.keys: list[Value] = []
        self._free: list[int] = []
        self.moves = Moves()

    @property
    def behind(self) -> int:
        """Keys that changed since the last read."""
        return len(self._changed)

    def refresh(self) -> None:
        """Take in what changed since the last read."""
        if not self._changed:
            return
        changed = sorted(self._changed, key=repr)  # a fixed order, so that slots do not depend on hash seeds
        self._changed.clear()
        kept: dict[tuple[Value, ...], int] = {}
        for key in changed:
            slot = self.slots.get(key[0])
            if key in self._table.rows:
                kept[key] = self._add(key[0]) if slot is None else slot
            elif slot is not None:
                self._drop(key[0], slot)
        for name, held in self._columns.items():
            self._fill(name, held, kept)
            if name in self._coded:
                for slot in kept.values():
                    self._coded[name].set(slot, held)

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
        for name, held in self._columns.items():
            held.valid[slot] = False
            if name in self._coded:
                self._coded[name].set(slot, held)

    def _fill(self, name: str, held: _Held, slots: Mapping[tuple[Value, ...], int]) -> None:
        """Take in a column of rows, by key; fading ones of all keys at once."""
        fading = self._fading.get(name)
        if fading is not None:
            places = np.fromiter(slots.values(), np.int64, len(slots))
            values, anchors, valid = fading.group.faded(list(slots), fading.aggregate)
            held.values[places], held.anchors[places], held.valid[places] = values, anchors, valid
            return
        index = self._table.names.index(name)
        for key, slot in slots.items():
            row = self._table.get(key)
            value = row[index] if row is not None else None
            held.valid[slot] = value is not None
            if value is not None or held.type.dtype == object:
                held.values[slot] = value

    def _held(self, name: str) -> _Held:
        self.refresh()
        if name not in self._columns:
            index = self._table.names.index(name)
            held = _Held(DOUBLE if name in self._fading else self._table.types[index], max(64, len(self.keys)))
            self._fill(name, held, {(key,): slot for key, slot in self.slots.items()})
            self._columns[name] = held
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
            self._coded[name] = _Coded(self._held(name), len(self.keys))
        return self._coded[name].codes[: len(self.keys)], self._coded[name].of

    def places_in(self, other: Slotted) -> IntArray:
        """For each slot the slot of the same key in another mirror, -1 where there is none; kept while neither
        changes."""
        return self._places.setdefault(id(other), Places()).of(self, other)

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
