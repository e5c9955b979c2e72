"""A typed cell: a `Cell` whose rows are words in paged memory, so that kernels can work on it.

It answers like any cell (keys and values are the same tuples), and is hashed, saved and loaded like any cell; what is
inside is `kernels.paged`. Keys are integers, times, booleans, strings and bytes: two keys are equal exactly when their
128-bit hashes are.

A kernel that lacks room says so in `meta` and is called again after `provide`; `run` is that loop. A step that wrote
ends with `settle`.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.huge_memory import HugeMemory
from nextpaint.process.kernels import cells, packing, paged
from nextpaint.process.kernels.paged import BYTES, REAL, SPEC_WORDS, STRING, TRUTH, WORD
from nextpaint.process.state import Cell, FrozenPage, Immutable, Key
from nextpaint.record.columns import Column, TextColumn, Value
from nextpaint.record.hashing import key_hashes
from nextpaint.record.types import STRING as STRING_TYPE
from nextpaint.record.types import Kind, Type
from nextpaint.record.views import Views

Words = npt.NDArray[np.int64]

_PAGE_FORMAT = struct.Struct("<HHI")  # format, fields, rows
_FORMAT = 1
_EXPORTED = 256
_WORDS = 1024  # rows looked at together where only words are wanted
_ONE_BYTES = 1024  # of the texts of one row of Python values; longer ones are taken where they are
_NO_NULLS: npt.NDArray[np.bool_] = np.empty(0, np.bool_)
_KINDS = {Kind.BOOLEAN: TRUTH, Kind.STRING: STRING, Kind.BYTES: BYTES}
_PYTHON = (int, float, (bool, int), str, bytes)  # by kind
FIELDS_MAX = 60


def kind_of(type_: Type) -> int | None:
    """How a field of this type is held; None when it is not words."""
    if type_.kind in _KINDS:
        return _KINDS[type_.kind]
    return {"i": WORD, "f": REAL}.get(type_.dtype.kind)


def kinds_of(types: Iterable[Type]) -> tuple[int, ...]:
    """How fields of these types are held, as far as they are words: whoever asks made sure that all are."""
    return tuple(kind for each in types if (kind := kind_of(each)) is not None)


def packable(types: Sequence[Type]) -> bool:
    """Can rows of these types be packed?"""
    return len(types) <= FIELDS_MAX and all(kind_of(each) is not None for each in types)


def keyable(types: Sequence[Type]) -> bool:
    """Can these types be a key? Not floats: equal keys of a dictionary and equal bits differ for them."""
    return packable(types) and all(kind_of(each) != REAL for each in types)


class Packing:
    """Rows of some field kinds as words: field i is `width` words in all before it, after the word of NULL bits."""

    __slots__ = ("_bytes", "_bytes_at", "_memory", "_none", "_one", "_reals", "_words", "at", "kinds", "width")

    def __init__(self, kinds: Sequence[int]) -> None:
        self.kinds = tuple(kinds)
        self.at: list[int] = []
        self.width = 1
        for kind in self.kinds:
            self.at.append(self.width)
            self.width += 2 if kind >= STRING else 1
        self._none = np.zeros((0, self.width), np.int64)
        self._one = np.zeros((1, self.width), np.int64)
        self._reals: Any = self._one[0].view(np.float64).data  # memory views: single words are set twice as fast
        self._words: Any = self._one[0].data
        text = np.empty(_ONE_BYTES, np.uint8)
        self._bytes: Any = text.data
        self._bytes_at = text.ctypes.data
        self._memory: list[Any] = []

    def keys(self, fields: Sequence[int]) -> Words:
        """What `hash_packed` needs to know of key fields."""
        return np.array([[self.kinds[each], self.at[each], each] for each in fields], np.int64).reshape(-1, 3)

    def rows(self, columns: Sequence[Column], size: int) -> tuple[Words, list[Any]]:
        """`size` rows of columns, packed, and what must be kept alive while those are used. Where there are fewer
        columns than fields they are the last ones, and the first are zero."""
        kept: list[Any] = []
        if not size:
            return self._none, kept
        rows = np.zeros((size, self.width), np.int64)
        lead = len(self.kinds) - len(columns)
        for field, (column, kind) in enumerate(zip(columns, self.kinds[lead:], strict=True), start=lead):
            valid = _NO_NULLS if column.valid is None else column.valid
            if kind >= STRING:
                views = column.views()
                kept.append(views)
                packing.pack_views(rows, self.at[field], field, views.buffer, views.start, views.length, valid)
            else:
                values = column.values
                if kind == REAL:
                    values = np.ascontiguousarray(values).view(np.int64)
                elif kind == TRUTH:
                    values = values.astype(np.int64)
                elif not values.flags.c_contiguous:
                    values = np.ascontiguousarray(values)
                packing.pack_words(rows, self.at[field], field, values, valid)
        return rows, kept

    def one(self, values: Sequence[Value]) -> Words:
        """One row of Python values; good until the next."""
        row, nulls, used = self._words, 0, 0
        self._memory.clear()
        for field, (value, kind, at) in enumerate(zip(values, self.kinds, self.at, strict=False)):
            if value is None:
                nulls |= 1 << field
                row[at] = 0
                if kind >= STRING:
                    row[at + 1] = 0
            elif kind >= STRING:
                body: Any = value.encode() if kind == STRING else value  # type: ignore[union-attr]
                end = used + len(body)
                if end <= _ONE_BYTES:
                    self._bytes[used:end] = body
                    row[at], row[at + 1] = self._bytes_at + used, len(body)
                    used = end
                else:
                    kept = np.frombuffer(body, np.uint8)
                    self._memory.append(kept)
                    row[at], row[at + 1] = kept.ctypes.data, len(body)
            elif kind == REAL:
                self._reals[at] = float(value)  # type: ignore[arg-type]
            else:
                row[at] = int(value)  # type: ignore[arg-type]
        row[0] = nulls
        return self._one

    def of_values(self, lines: Sequence[Sequence[Value]], fields: int) -> tuple[Words, list[Any]]:
        """Rows whose first fields are these Python values, and what must be kept alive while those are used."""
        rows, kept = np.zeros((len(lines), self.width), np.int64), list[Any]()
        for field in range(fields):
            kind, cells = self.kinds[field], [line[field] for line in lines]
            valid = np.array([cell is not None for cell in cells], np.bool_)
            if kind >= STRING:
                views = Views.of(cells)  # type: ignore[arg-type]
                kept.append(views)
                packing.pack_views(rows, self.at[field], field, views.buffer, views.start, views.length, valid)
                continue
            words = np.array([0 if cell is None else cell for cell in cells], np.float64 if kind == REAL else np.int64)
            packing.pack_words(rows, self.at[field], field, words.view(np.int64), valid)
        return rows, kept

    def values(self, rows: Words, count: int) -> list[list[Value]]:
        """Packed rows as Python values."""
        nulls = rows[:count, 0].tolist()
        columns = [self.field_values(rows, count, field, nulls) for field in range(len(self.kinds))]
        return [list(each) for each in zip(*columns, strict=True)]

    def field_values(self, rows: Words, count: int, field: int, nulls: list[int]) -> list[Value]:
        """One field of packed rows as Python values; `nulls`: the first words of the rows."""
        kind, at, bit = self.kinds[field], self.at[field], 1 << field
        found: list[Any] = (rows.view(np.float64) if kind == REAL else rows)[:count, at].tolist()
        if kind >= STRING:
            raw = map(ctypes.string_at, found, rows[:count, at + 1].tolist())
            found = [each.decode() for each in raw] if kind == STRING else list(raw)
        elif kind == TRUTH:
            found = [bool(each) for each in found]
        return [None if null & bit else each for null, each in zip(nulls, found, strict=True)]

    def columns(self, rows: Words, count: int, fields: Iterable[int], types: Iterable[Type]) -> list[Column]:
        """Fields of `count` packed rows as columns of their own memory."""
        nulls = packing.nulls_of(rows, count)
        return [self._column(rows, count, field, type_, nulls) for field, type_ in zip(fields, types, strict=True)]

    def _column(self, rows: Words, count: int, field: int, type_: Type, nulls: int) -> Column:
        kind, at = self.kinds[field], self.at[field]
        valid = rows[:count, 0] >> field & 1 == 0 if nulls >> field & 1 else None
        if kind >= STRING:
            start, length = np.empty(count, np.int64), np.empty(count, np.int32)
            buffer = np.empty(packing.lay_out(rows, count, at, start, length), np.uint8)
            packing.gather_packed(rows, count, at, buffer)
            return TextColumn(type_, Views(buffer, start, length), valid)
        values = rows[:count, at].copy()
        if kind == REAL:
            return Column(type_, values.view(np.float64), valid)
        return Column(type_, values != 0 if kind == TRUTH else values, valid)


Shape = tuple[Callable[[Sequence[Value]], Immutable], Callable[[Immutable], Sequence[Value]]]
PLAIN: Shape = (tuple, lambda value: value)


class TypedCell(Cell):
    """Fields: the key's, then the value's. `shape`: how a value is made of its fields, and its fields of a value.
    `links`: words per row after the fields that are layout, zero in a new row; rebuilt by whoever uses them. `hashed`:
    the order in which the key fields are hashed, when it is not theirs. `whole`: a value is made of all fields, the
    key's as well. `placed`: the key is seq and ordinal, rows come in that order, see `kernels.packing.placed`. `found`:
    False where nobody looks for a row by its key."""

    __slots__ = (
        "_arena", "_cursor", "_digest", "_directory", "_from", "_heap", "_heap_free", "_kept", "_key_fields",
        "_memory", "_segments", "_shape", "_spec", "_waiting", "keys", "link_at", "meta", "packing",
    )  # fmt: skip

    def __init__(
        self, name: str, kinds: Sequence[int], keys: int, shape: Shape = PLAIN, links: int = 0,
        hashed: Sequence[int] | None = None, whole: bool = False, placed: bool = False,
        found: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(name)
        self.packing = Packing(kinds)
        self.keys = keys
        self._from = 0 if whole else keys
        self._key_fields = self.packing.keys(range(keys) if hashed is None else hashed)
        if placed:
            self._key_fields[:, 0] = packing.PLACED
        self._shape = shape
        self.link_at = paged.FIRST_FIELD + len(kinds)
        self._digest = np.empty((1, 2), np.int64)
        fields = [[kind, self.packing.at[at], paged.FIRST_FIELD + at] for at, kind in enumerate(kinds)]
        self._spec = np.array(fields, np.int64).reshape(-1, SPEC_WORDS)
        self._heap_free = np.zeros(paged.CLASSES, np.int64)
        self._directory = np.zeros(16, np.int64)
        self._heap = np.zeros(16, np.int64)
        self._segments: list[Words] = []
        self._kept: list[Words] = []
        self._memory = HugeMemory()
        self._arena: Words | None = None
        self._waiting: list[FrozenPage] = []
        self._cursor = 0
        self.meta = meta = np.zeros(paged.META, np.int64)
        meta[paged.WIDTH] = self.link_at + links
        meta[paged.LEVEL] = 1
        meta[paged.FIELDS], meta[paged.SPEC] = len(kinds), self._spec.ctypes.data
        meta[paged.STRINGS] = sum(kind >= STRING for kind in kinds)
        meta[paged.HEAP_FREE] = self._heap_free.ctypes.data
        meta[paged.DIRECTORY], meta[paged.HEAP] = self._directory.ctypes.data, self._heap.ctypes.data
        meta[paged.SALT], meta[paged.SALT_HIGH] = _salt(name)
        meta[paged.UNFOUND] = not found
        self._more_rows()

    def size_bytes(self) -> int:
        """The memory that rows, index and strings have taken, with what is free in it."""
        row = 8 * int(self.meta[paged.WIDTH]) + paged.ROWS_AT // paged.SEGMENT_ROWS
        return int(self.meta[paged.HIGH]) * row + int(self.meta[paged.HEAP_AT]) * paged.UNIT

    # ------------------------------------------------------------ room

    def run(self, kernel: Callable[..., int], count: int, *arguments: Any) -> None:
        """Call `kernel(meta, *arguments, at)` until it has come to `count`."""
        at = 0
        while (at := kernel(self.meta, *arguments, at)) < count:
            self.provide()

    def provide(self) -> None:
        """What the kernel that just returned lacked."""
        need = self.meta[paged.NEED]
        if need == paged.ROOM_ROWS:
            self._more_rows()
        elif need == paged.ROOM_HEAP:
            self._more_heap(int(self.meta[paged.NEED_SIZE]))
        elif need == paged.ROOM_SAVE:
            self._drain(int(self.meta[paged.NEED_SIZE]))
        else:
            raise RuntimeError(f"cell {self.name}: a kernel stopped without saying what it lacks ({need})")
        self.meta[paged.NEED] = paged.NOTHING

    def _more_rows(self) -> None:
        words = (paged.ROWS_AT + paged.SEGMENT_ROWS * 8 * int(self.meta[paged.WIDTH])) // 8
        self._segments.append(self._memory.zeros(words))
        self._directory = entered(self._directory, len(self._segments) - 1, [self._segments[-1].ctypes.data])
        self.meta[paged.DIRECTORY] = self._directory.ctypes.data
        self.meta[paged.CAPACITY] += paged.SEGMENT_ROWS

    def _more_heap(self, units: int) -> None:
        segments = -(-units // paged.HEAP_UNITS)
        if int(self.meta[paged.HEAP_END]) + segments * paged.HEAP_UNITS > paged.UNITS_MAX:
            raise MemoryError(f"cell {self.name}: more than {paged.UNITS_MAX * paged.UNIT >> 30} GB of texts")
        chunk = self._memory.zeros(segments * paged.HEAP_SEGMENT // 8)
        first = sum(len(each) * 8 for each in self._kept) // paged.HEAP_SEGMENT
        places = [chunk.ctypes.data + each * paged.HEAP_SEGMENT for each in range(segments)]
        self._kept.append(chunk)
        self._heap = entered(self._heap, first, places)
        self.meta[paged.HEAP] = self._heap.ctypes.data
        self.meta[paged.HEAP_AT] = first * paged.HEAP_UNITS
        self.meta[paged.HEAP_END] = (first + segments) * paged.HEAP_UNITS

    # ------------------------------------------------------------ a cell's own

    def __len__(self) -> int:
        return int(self.meta[paged.ROWS])

    def digests(self, rows: Words, keys: Words | None = None) -> Words:
        """The hashes of the key fields of packed rows; `keys` says where those are when the rows are not the cell's."""
        found = np.empty((len(rows), 2), np.int64)
        if not len(rows):
            return found
        packing.hash_packed(rows, self._key_fields if keys is None else keys, found)
        return found

    def find(self, key: Sequence[Value]) -> int:
        """The slot of a key, -1 when there is none; its fields are then in the packing's one row."""
        self._require_found()
        if not self.may_hold(key):
            return -1
        slot: int = cells.cell_find(self.meta, self.packing.one(key), self._key_fields, self._digest)
        return slot

    def _require_found(self) -> None:
        if self.meta[paged.UNFOUND]:
            raise RuntimeError(f"cell {self.name}: its rows are not found by their key")

    def may_hold(self, key: Sequence[Value]) -> bool:
        """Are these values of the key's types? A key of others is not there."""
        kinds = self.packing.kinds[: self.keys]
        return len(key) == self.keys and all(
            value is None or (isinstance(value, _PYTHON[kind]) and (kind != WORD or -(2**63) <= value < 2**63))  # type: ignore[operator]
            for kind, value in zip(kinds, key, strict=True)
        )

    def get(self, key: Key, default: Immutable = None) -> Immutable:
        if self.find(key) < 0:
            return default
        fields = self.packing.values(self.packing._one, 1)[0]  # noqa: SLF001  found there
        return self._shape[0](fields[self._from :])

    def several(self, keys: Iterable[Key]) -> list[Immutable]:
        keys = list(keys)
        if len(keys) <= 1 or not self._may_hold_each(keys):
            return [self.get(key) for key in keys]
        packed, found = self._found_each(keys)
        held = iter(self.packing.values(np.ascontiguousarray(packed[found]), int(found.sum())))
        return [self._shape[0](next(held)[self._from :]) if there else None for there in found.tolist()]

    def field(self, keys: Sequence[Key], field: int) -> list[Value]:
        """One field of the row of each key, counted over key and value; None where there is no row. Not for texts: they
        may be gone with the next change."""
        if len(keys) <= 1 or not self._may_hold_each(keys):
            return [self._field(key, field) for key in keys]
        packed, found = self._found_each(keys)
        values = self.packing.field_values(packed, len(keys), field, packed[:, 0].tolist())
        return [value if there else None for value, there in zip(values, found.tolist(), strict=True)]

    def _field(self, key: Key, field: int) -> Value:
        packing = self.packing
        return packing.values(packing._one, 1)[0][field] if self.find(key) >= 0 else None  # noqa: SLF001  found there

    def _found_each(self, keys: Sequence[Key]) -> tuple[Words, npt.NDArray[np.bool_]]:
        """The packed row of each key, and which keys there are."""
        self._require_found()
        packed, kept = self.packing.of_values(keys, self.keys)
        found = np.empty(len(keys), np.bool_)
        cells.cell_find_each(self.meta, self.digests(packed), packed, found)
        del kept
        return packed, found

    def _may_hold_each(self, keys: Sequence[Key]) -> bool:
        """`may_hold` of every key; texts are looked at a column at a time."""
        if set(map(len, keys)) == {self.keys}:
            columns = zip(self.packing.kinds, zip(*keys, strict=True), strict=False)
            if all(kind == STRING and set(map(type, values)) == {str} for kind, values in columns):
                return True
        return all(map(self.may_hold, keys))

    def __contains__(self, key: Key) -> bool:
        return self.find(key) >= 0

    def put(self, key: Key, value: Immutable) -> None:
        rows = self.packing.one((*key, *self._shape[1](value)))
        self.run(cells.cell_put, 1, rows, self.digests(rows))
        self.changed([key])

    def put_all(self, rows: Mapping[Key, Immutable]) -> None:
        for key, value in rows.items():
            self.put(key, value)

    def pop(self, key: Key) -> Immutable:
        value = self.get(key)
        if value is not None:
            self.run(cells.cell_remove, 1, self._digest.copy())
            self.changed([key])
        return value

    def changed(self, keys: Sequence[Key]) -> None:
        """Tell whoever follows this cell."""
        for watcher in self.watchers:
            watcher.update(keys)

    def items(self) -> Iterator[tuple[Key, Immutable]]:
        for _, fields in self.rows():
            yield tuple(fields[: self.keys]), self._shape[0](fields[self._from :])

    def key_pages(self) -> Iterator[list[Key]]:
        """As of any cell: rows keep their slots."""
        packed = np.empty((_EXPORTED, self.packing.width), np.int64)
        slots = np.empty(_EXPORTED, np.int64)
        at = 0
        while at < self.meta[paged.HIGH]:
            at = cells.cell_export(self.meta, at, packed, slots)
            count = int((slots >= 0).sum())
            nulls = packed[:count, 0].tolist()
            fields = [self.packing.field_values(packed, count, field, nulls) for field in range(self.keys)]
            yield list(zip(*fields, strict=True))

    def rows(self) -> Iterator[tuple[int, list[Value]]]:
        """(slot, fields) of every row."""
        packed = np.empty((_EXPORTED, self.packing.width), np.int64)
        slots = np.empty(_EXPORTED, np.int64)
        at = 0
        while at < self.meta[paged.HIGH]:
            at = cells.cell_export(self.meta, at, packed, slots)
            count = int((slots >= 0).sum())
            yield from zip(slots[:count].tolist(), self.packing.values(packed, count), strict=True)

    def words(self, fields: Sequence[int]) -> Words:
        """Some fields of one word each, and the slot, of every row: a line for each, in order of slots."""
        places = [self.packing.at[each] for each in fields]
        packed, slots = np.empty((_WORDS, self.packing.width), np.int64), np.empty(_WORDS, np.int64)
        found = [np.empty((0, len(places) + 1), np.int64)]
        at = 0
        while at < self.meta[paged.HIGH]:
            at = cells.cell_export(self.meta, at, packed, slots)
            count = int((slots >= 0).sum())
            found.append(np.column_stack([*(packed[:count, place] for place in places), slots[:count]]))
        return np.concatenate(found)

    def reclaim(self) -> None:
        """Free what a step's kernels took out."""
        if self.meta[paged.LIMBO]:
            cells.cell_reclaim(self.meta)

    def wipe(self) -> None:
        """Zero all memory of a cell that is not used again."""
        for piece in (*self._segments, *self._kept):
            piece.fill(0)

    # ------------------------------------------------------------ hash and snapshots

    def hash(self) -> int:
        words = np.empty(2, np.uint64)
        cells.cell_hash(self.meta, words)
        return int(words[0]) | int(words[1]) << 64

    def freeze(self) -> None:
        if self.meta[paged.SNAPSHOT]:
            raise RuntimeError(f"cell {self.name} is already frozen by another snapshot")
        self.meta[paged.SNAPSHOT] = 1
        self.meta[paged.EPOCH] += 1
        self.meta[paged.FROZEN] = self.meta[paged.HIGH]
        self._cursor, self._waiting = 0, []

    def frozen_pages(self) -> Iterator[FrozenPage]:
        assert self.meta[paged.SNAPSHOT], "freeze first"
        while self._cursor < self.meta[paged.FROZEN] or self.meta[paged.SAVED] or self._waiting:
            if not self._waiting:
                self._cursor = cells.cell_save(self.meta, self._cursor, _EXPORTED)
                self._drain(int(self.meta[paged.NEED_SIZE]))
            while self._waiting:
                yield self._waiting.pop()
        self.thaw()

    def thaw(self) -> None:
        self.meta[paged.SNAPSHOT] = self.meta[paged.SAVED] = self.meta[paged.SAVE_ROOM] = 0
        self.meta[paged.SAVED_PAGES] = 0
        self._waiting, self._arena = [], None

    def _drain(self, size: int) -> None:
        """Take the saved pages over, and see that there is room for `size` bytes."""
        saved = int(self.meta[paged.SAVED])
        if saved and self._arena is not None:
            whole = self._arena[: saved // 8]
            at = 0
            while at < len(whole):
                words, rows = int(whole[at]) // 8, int(whole[at + 1])
                if rows:
                    low, high = whole[at + 2 : at + 4].view(np.uint64).tolist()
                    body = (
                        _PAGE_FORMAT.pack(_FORMAT, len(self.packing.kinds), rows) + whole[at + 4 : at + words].tobytes()
                    )
                    self._waiting.append(FrozenPage(rows, low | high << 64, body))
                at += words
        self.meta[paged.SAVED] = self.meta[paged.SAVED_PAGES] = 0
        if self._arena is None or size > self._arena.nbytes:
            self._arena = np.empty(max(1 << 17, 2 * size) // 8, np.int64)
            self.meta[paged.SAVE], self.meta[paged.SAVE_ROOM] = self._arena.ctypes.data, self._arena.nbytes

    def load_page(self, data: bytes, known: dict[str, str] | None = None) -> None:
        """Take the rows of a saved page; raises ValueError when it is not one of this cell."""
        format_, fields, _ = _PAGE_FORMAT.unpack_from(data)
        if format_ != _FORMAT or fields != len(self.packing.kinds):
            raise ValueError(f"cell {self.name}: not a page of this cell")
        body = np.frombuffer(data, np.uint8, offset=_PAGE_FORMAT.size)
        if not cells.cell_check(self.meta, body):
            raise ValueError(f"cell {self.name}: a damaged page")
        self.run(cells.cell_load, len(body), body)


class TypedLists(TypedCell):
    """Several rows under one key: a value is a tuple of what the rows say, in order of their first two fields."""

    def get(self, key: Key, default: Immutable = None) -> Immutable:
        if not self.may_hold(key):
            return default
        rows = self.packing.one(key)
        packing.hash_packed(rows, self._key_fields, self._digest)
        low, high = self._digest[0].tolist()
        found = np.empty((8, self.packing.width), np.int64)
        while (count := cells.cell_find_all(self.meta, low, high, found)) > len(found):
            found = np.empty((count, self.packing.width), np.int64)
        if not count:
            return default
        return self._listed([fields[self.keys :] for fields in self.packing.values(found, count)])

    def _listed(self, found: list[list[Any]]) -> tuple[Immutable, ...]:
        return tuple(self._shape[0](fields) for fields in sorted(found, key=lambda fields: fields[:2]))

    def __contains__(self, key: Key) -> bool:
        return self.get(key) is not None

    def items(self) -> Iterator[tuple[Key, Immutable]]:
        by_key: dict[Key, list[list[Value]]] = {}
        for _, fields in self.rows():
            by_key.setdefault(tuple(fields[: self.keys]), []).append(fields[self.keys :])
        for key, found in by_key.items():
            yield key, self._listed(found)

    def put(self, key: Key, value: Immutable) -> None:
        raise TypeError(f"cell {self.name} is written by its operator's kernel only")


def _salt(name: str) -> tuple[int, int]:
    """A table's rows are hashed under its name."""
    low, high = key_hashes((Column.of(STRING_TYPE, [name]),), (0,))[0].view(np.int64).tolist()
    return low, high


def entered(directory: Words, at: int, addresses: Sequence[int]) -> Words:
    """A directory with these addresses at a place; a larger one when it is full."""
    while at + len(addresses) > len(directory):
        directory = np.concatenate([directory, np.zeros_like(directory)])
    directory[at : at + len(addresses)] = addresses
    return directory
