"""Records to columns: the schema of a table, the compiled JSON decoder, and what it leaves for a slower way.

    decoder = JsonDecoder(table.fields)
    decoded = decoder.decode(buffer, start, length)      the records whose bytes are at these places

`decoded.odd` says which records were not decoded here: the caller decodes them one by one (`process.coercion`), which
gives the same values, or says what is wrong. Every other record has the values that way would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from nextpaint.process.coercion import coerce
from nextpaint.process.kernels.json_columns import (
    ABSENT,
    BOOLEAN,
    CLEAN,
    DEPTH_MAX,
    INTEGER,
    NODE_NUMBERS,
    OTHER,
    RAW,
    REAL,
    RECORD,
    TEXT,
    TIME,
    UNESCAPED,
    VALUE,
    decode_json,
)
from nextpaint.record.columns import BoolArray, Column, IntArray, RowColumn, TextColumn
from nextpaint.record.types import INTEGER_BITS, INTEGERS, Field, Kind, Type
from nextpaint.record.views import ByteArray, Views

_KINDS: dict[Kind, int] = {
    **dict.fromkeys(INTEGERS, INTEGER),
    **dict.fromkeys((Kind.DOUBLE, Kind.FLOAT), REAL),
    **dict.fromkeys((Kind.TIMESTAMP, Kind.TIMESTAMP_LTZ), TIME),
    Kind.BOOLEAN: BOOLEAN,
    Kind.STRING: TEXT,
    Kind.ROW: RECORD,
}
_UNMATCHED = 2**31  # the length of a name that JSON writes with escapes: the kernel never meets it


@dataclass(slots=True)
class Decoded:
    """Columns over all records; rows of `odd` records hold anything. `absent`: per field, where it was not given."""

    columns: list[Column]
    absent: list[BoolArray]
    odd: BoolArray


@dataclass(slots=True)
class _Pass:
    """What one call of the kernel wrote."""

    buffer: ByteArray
    arena: ByteArray
    words: IntArray
    reals: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int32]
    states: npt.NDArray[np.uint8]
    odd: BoolArray
    whole: ByteArray | None = None

    def with_arena(self) -> ByteArray:
        """The records' bytes and behind them the unescaped text."""
        if self.whole is None:
            self.whole = np.concatenate((self.buffer, self.arena))
        return self.whole


class JsonDecoder:
    """JSON objects of one schema."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = tuple(fields)
        self._names = bytearray()
        self._nodes: list[list[int]] = []
        self._first: dict[int, int] = {}
        self._tree(self._fields)
        self._node_array = np.array(self._nodes, np.int64)
        self._name_array = np.frombuffer(bytes(self._names) or b"\0", np.uint8)

    def _tree(self, fields: Sequence[Field]) -> None:
        """The nodes, breadth first: children of a node are contiguous."""
        self._nodes.append([RECORD, 1, len(fields), 0, 0, 64])
        waiting: list[tuple[int, Sequence[Field], int]] = [(0, fields, 1)]
        while waiting:
            parent, below, depth = waiting.pop(0)
            self._nodes[parent][1] = len(self._nodes)
            for field in below:
                kind = _KINDS.get(field.type.kind, OTHER)
                if kind == RECORD and (depth >= DEPTH_MAX or not field.type.fields):
                    kind = OTHER
                if kind == RECORD:
                    waiting.append((len(self._nodes), field.type.fields, depth + 1))
                self._node(field, kind)

    def _node(self, field: Field, kind: int) -> None:
        name = field.name.encode()
        plain = msgspec.json.encode(field.name) == b'"' + name + b'"'
        bits = INTEGER_BITS.get(field.type.kind, 64)
        inner = len(field.type.fields) if kind == RECORD else 0
        self._nodes.append([kind, 0, inner, len(self._names), len(name) if plain else _UNMATCHED, bits])
        self._names += name
        assert len(self._nodes[-1]) == NODE_NUMBERS

    def decode(self, buffer: ByteArray, start: IntArray, length: npt.NDArray[np.int32]) -> Decoded:
        """All fields of the records at these places of `buffer`; a length of -1 is a record without a value: odd."""
        rows, nodes = len(start), len(self._nodes)
        words = np.zeros((nodes, rows), np.int64)
        lengths, states = np.zeros((nodes, rows), np.int32), np.zeros((nodes, rows), np.uint8)
        arena = np.empty(int(np.maximum(length, 0).sum(dtype=np.int64)), np.uint8)
        flags = np.empty(rows, np.uint8)
        reals = words.view(np.float64)
        used = decode_json(
            buffer, start, length, self._name_array, self._node_array, words, reals, lengths, states, arena, flags
        )
        made = _Pass(buffer, arena[:used], words, reals, lengths, states, flags != CLEAN)
        columns = [self._column(made, 1 + index, field.type) for index, field in enumerate(self._fields)]
        absent = [states[1 + index] == ABSENT for index in range(len(self._fields))]
        return Decoded(columns, absent, made.odd)

    def _column(self, made: _Pass, node: int, type_: Type) -> Column:
        states = made.states[node]
        kind = self._nodes[node][0]
        if kind == OTHER:
            return self._converted(made, node, type_)
        valid: BoolArray | None = (states == VALUE) | (states == UNESCAPED) | (states == RAW)
        raw = (states == RAW).nonzero()[0]
        if b"\0" not in valid.tobytes():  # type: ignore[union-attr]
            valid = None
        if kind in (TEXT, RECORD):
            made.odd[raw] = True
            return self._text(made, node, type_, valid) if kind == TEXT else self._record(made, node, type_, valid)
        values = made.reals[node] if kind == REAL else made.words[node]
        for row in raw.tolist():
            value = self._raw(made, node, row, type_)
            if value is not None:
                values[row] = value
        return Column(type_, values.astype(np.bool_) if kind == BOOLEAN else values, valid)

    def _text(self, made: _Pass, node: int, type_: Type, valid: BoolArray | None) -> Column:
        start, length, buffer = made.words[node], made.lengths[node], made.buffer
        moved = made.states[node] == UNESCAPED
        if moved.any():
            buffer = made.with_arena()
            start = np.where(moved, start + len(made.buffer), start)
        views = Views(buffer, start, length)
        return TextColumn(type_, views if valid is None else views.where(valid & ~made.odd), valid)

    def _record(self, made: _Pass, node: int, type_: Type, valid: BoolArray | None) -> Column:
        first = self._nodes[node][1]
        fields = [self._column(made, first + index, field.type) for index, field in enumerate(type_.fields)]
        return RowColumn(type_, fields, valid)

    def _converted(self, made: _Pass, node: int, type_: Type) -> Column:
        """A type that is not decoded by the kernel: each value is converted by itself."""
        cells: list[Any] = [None] * len(made.odd)
        for row in (made.states[node] == RAW).nonzero()[0].tolist():
            cells[row] = self._raw(made, node, row, type_)
        return Column.of(type_, cells)

    def _raw(self, made: _Pass, node: int, row: int, type_: Type) -> Any:
        """A value from its JSON text; a record with a value that does not fit is odd."""
        if made.odd[row]:
            return None
        start = int(made.words[node, row])
        text = made.buffer[start : start + int(made.lengths[node, row])].tobytes()
        try:
            return coerce(msgspec.json.decode(text), type_)
        except (ValueError, RecursionError):
            made.odd[row] = True
            return None
