"""Mirrors: columns that follow a table's state for reads over many keys. Derived, never part of the state.

A mirror is told which keys changed (a cell's watcher set) and brings itself up to date when it is read. Slots are
stable while `version` is; a deleted key leaves an empty slot, which the next new key takes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.decayed import DecayedSum
from nextpaint.process.operators.group import GroupAggregate
from nextpaint.process.operators.table import MaterialisedTable
from nextpaint.process.operators.vectors import TextVectors
from nextpaint.process.reading import Vectors
from nextpaint.record.columns import Column, IntArray, Value
from nextpaint.record.types import DOUBLE, Type


@dataclass(frozen=True, slots=True)
class Fading:
    """A table column that is a plain copy of a decayed aggregate: read from the group's accumulators, as of a time."""

    group: GroupAggregate
    aggregate: int
    half_life_ms: int


DOTS_BYTES_MAX = 64 << 20  # every item of a catalogue of 4,000; of a larger one, those looked at lately
LOG_MAX = 100_000  # changed keys remembered; past this whoever follows starts anew


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


class _Places:
    """For each slot of one mirror the slot of the same key in another, brought up to date by the keys that changed."""

    def __init__(self) -> None:
        self.slots: IntArray = np.empty(0, np.int64)
        self._seen = (-1, -1)  # versions of the two mirrors

    def follow(self, mirror: TableMirror, other: TableMirror) -> None:
        versions = (mirror.version, other.version)
        if versions == self._seen:
            return
        own, others = versions[0] - self._seen[0], versions[1] - self._seen[1]
        if self._seen[0] < 0 or own > len(mirror.log) or others > len(other.log) or own + others > len(mirror.keys):
            slot_of = other.slots.get
            self.slots = np.array([slot_of(key, -1) for key in mirror.keys], np.int64)
        else:
            missing = len(mirror.keys) - len(self.slots)
            if missing > 0:
                self.slots = np.concatenate([self.slots, np.full(missing + len(self.slots) // 4, -1, np.int64)])
            for key in (*mirror.log[len(mirror.log) - own :], *other.log[len(other.log) - others :]):
                slot = mirror.slots.get(key)
                if slot is not None:
                    self.slots[slot] = other.slots.get(key, -1)
        self._seen = versions


class TableMirror:
    """All rows of a table with a one-column primary key, as columns by slot."""

    def __init__(self, table: MaterialisedTable, fading: Mapping[str, Fading]) -> None:
        self._table = table
        self._fading = dict(fading)
        self._columns: dict[str, _Held] = {}
        self._coded: dict[str, _Coded] = {}
        self._places: dict[int, _Places] = {}
        self.log: list[Value] = []  # keys added and removed, in order; `version` counts them
        self._changed: set[Any] = {key for key, _ in table.rows.items()}
        table.rows.watchers.append(self._changed)
        for group in {id(each.group): each.group for each in fading.values()}.values():
            group.groups.watchers.append(self._changed)
        self.slots: dict[Value, int] = {}
        self.keys: list[Value] = []
        self._free: list[int] = []
        self.version = 0

    def refresh(self) -> None:
        """Take in what changed since the last read."""
        if not self._changed:
            return
        changed = sorted(self._changed, key=repr)  # a fixed order, so that slots do not depend on hash seeds
        self._changed.clear()
        for key in changed:
            slot = self.slots.get(key[0])
            if key not in self._table.rows:
                if slot is not None:
                    self._drop(key[0], slot)
                continue
            if slot is None:
                slot = self._add(key[0])
            for name, held in self._columns.items():
                self._fill(name, held, slot, key)
                if name in self._coded:
                    self._coded[name].set(slot, held)

    def _add(self, key: Value) -> int:
        if self._free:
            slot = self._free.pop()
            self.keys[slot] = key
        else:
            slot = len(self.keys)
            self.keys.append(key)
        self.slots[key] = slot
        self._changed_key(key)
        for held in self._columns.values():
            if slot >= len(held.values):
                held.grow(max(64, 2 * len(held.values)))
        return slot

    def _changed_key(self, key: Value) -> None:
        self.version += 1
        self.log.append(key)
        if len(self.log) > LOG_MAX:
            self.log.clear()

    def _drop(self, key: Value, slot: int) -> None:
        del self.slots[key]
        self.keys[slot] = None
        self._free.append(slot)
        self._changed_key(key)
        for name, held in self._columns.items():
            held.valid[slot] = False
            if name in self._coded:
                self._coded[name].set(slot, held)

    def _fill(self, name: str, held: _Held, slot: int, key: tuple[Value, ...]) -> None:
        fading = self._fading.get(name)
        if fading is None:
            row = self._table.get(key)
            value = row[self._table.names.index(name)] if row is not None else None
            held.valid[slot] = value is not None
            if value is not None or held.type.dtype == object:
                held.values[slot] = value
            return
        stored = fading.group.groups.get(key)
        buckets = stored[1][fading.aggregate] if stored is not None else ()
        held.valid[slot] = bool(buckets)
        held.values[slot], held.anchors[slot] = DecayedSum(fading.half_life_ms).fold(buckets)

    def _held(self, name: str) -> _Held:
        self.refresh()
        if name not in self._columns:
            index = self._table.names.index(name)
            held = _Held(DOUBLE if name in self._fading else self._table.types[index], max(64, len(self.keys)))
            for key, slot in self.slots.items():
                self._fill(name, held, slot, (key,))
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

    def places_in(self, other: TableMirror) -> IntArray:
        """For each slot the slot of the same key in another mirror, -1 where there is none; kept while neither
        changes."""
        self.refresh()
        other.refresh()
        known = self._places.get(id(other))
        if known is None:
            known = self._places[id(other)] = _Places()
        known.follow(self, other)
        return known.slots[: len(self.keys)]

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


class VectorMirror:
    """The matrix of all known vectors of an item table; rows are dense, a removed row is filled by the last one."""

    def __init__(self, source: TextVectors) -> None:
        self._source = source
        self._changed: set[Any] = {item for item, _ in source.texts.items()}
        source.texts.watchers.append(self._changed)
        self._by_content: dict[str, set[Value]] = {}
        self._content: dict[Value, str] = {}
        self._keys: list[Value] = []
        self._slots: dict[Value, int] = {}
        self._matrix = np.zeros((0, 0), np.float32)
        self._norms = np.zeros(0)
        self._version = 0
        self._dots: OrderedDict[int, npt.NDArray[np.float32]] = OrderedDict()  # of items asked for lately, by slot

    def refresh(self) -> None:
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

    def dots(self, slot: int) -> npt.NDArray[np.float32]:
        """Dot products of one row with all, exact; bounded in memory, dropped when any vector changes."""
        found = self._dots.get(slot)
        if found is None:
            matrix = self._matrix[: len(self._keys)]
            found = self._dots[slot] = matrix @ matrix[slot]
            while len(self._dots) * found.nbytes > DOTS_BYTES_MAX:
                self._dots.popitem(last=False)
        else:
            self._dots.move_to_end(slot)
        return found

    def _set(self, item: Value, vector: bytes | None) -> None:
        self._dots.clear()
        slot = self._slots.get(item)
        if vector is None:
            if slot is not None:
                self._remove(item, slot)
            return
        components = np.frombuffer(vector, np.int8).astype(np.float32)
        norm = float(np.sqrt(float(np.dot(components, components))))  # exact: integers below 2**24
        if norm == 0.0:
            return
        if slot is None:
            slot = len(self._keys)
            self._keys.append(item)
            self._slots[item] = slot
            self._version += 1
            self._reserve(slot + 1, len(components))
        self._matrix[slot] = components
        self._norms[slot] = norm

    def _reserve(self, rows: int, dimensions: int) -> None:
        if rows > len(self._matrix):
            size = max(256, 2 * len(self._matrix))
            matrix, norms = np.zeros((size, dimensions), np.float32), np.ones(size)
            if len(self._matrix):
                matrix[: len(self._matrix)], norms[: len(self._norms)] = self._matrix, self._norms
            self._matrix, self._norms = matrix, norms

    def _remove(self, item: Value, slot: int) -> None:
        last = len(self._keys) - 1
        moved = self._keys[last]
        self._matrix[slot], self._norms[slot] = self._matrix[last], self._norms[last]
        self._keys[slot] = moved
        self._slots[moved] = slot
        self._keys.pop()
        del self._slots[item]
        self._version += 1

    def view(self) -> Vectors:
        self.refresh()
        size = len(self._keys)
        return Vectors(
            self._keys,
            self._slots,
            self._matrix[:size],
            self._norms[:size],
            self._source.missing,
            self._version,
            self.dots,
        )
