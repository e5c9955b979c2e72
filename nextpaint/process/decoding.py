"""Records to columns: the schema of a table, the compiled JSON decoder, and what it leaves for a slower way.

    decoder = JsonDecoder(table.fields)
    decoded = decoder.decode(buffer, start, length)      the records whose bytes are at these places

`decoded.odd` says which records were not decoded here: the caller decodes them one by one (`process.coercion`), which
gives the same values, or says what is wrong. Every other record has the values that way would give.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from nextpaint.process.coercion import Json, coerce
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
    STACK,
    TEXT,
    TIME,
    UNESCAPED,
    VALUE,
    decode_json,
)
from nextpaint.record.columns import BoolArray, Column, IntArray, RowColumn, TextColumn, Value
from nextpaint.record.types import INTEGER_BITS, INTEGERS, Field, Kind, Type, row
from nextpaint.record.views import ByteArray, Views

_KINDS: dict[Kind, int] = {
    **dict.fromkeys(INTEGERS, INTEGER),
    **dict.fromkeys((Kind.DOUBLE, Kind.FLOAT), REAL),
    **dict.fromkeys((Kind.TIMESTAMP, Kind.TIMESTAMP_LTZ), TIME),
    Kind.BOOLEAN: BOOLEAN,
    Kind.STRING: TEXT,
    Kind.ROW: RECORD,
}
_NO_ROWS: IntArray = np.empty(0, np.int64)
_UNMATCHED = 2**31  # the length of a name that JSON writes with escapes: the kernel never meets it


@dataclass(slots=True)
class Decoded:
    """Columns over all records; rows of `odd` ones hold anything. `absent`: (fields, records), what was not given."""

    columns: list[Column]
    absent: npt.NDArray[np.bool_]
    odd: BoolArray


@dataclass(slots=True)
class Pass:
    """What one call of the kernel wrote."""

    buffer: ByteArray
    arena: ByteArray
    words: IntArray
    reals: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int32]
    states: npt.NDArray[np.uint8]
    odd: BoolArray
    whole: ByteArray | None = None
    least: list[int] = field(default_factory=list)  # of each node's states, over all records
    most: list[int] = field(default_factory=list)
    converted: dict[int, dict[int, Any]] = field(default_factory=dict)  # values of types the kernel does not decode

    def with_arena(self) -> ByteArray:
        """The records' bytes and behind them the unescaped text."""
        if self.whole is None:
            self.whole = np.concatenate((self.buffer, self.arena))
        return self.whole


class ColumnTree(ABC):
    """The columns of one schema as a tree of nodes, a ROW's fields below it, and how a pass over bytes becomes them.

    Node 0 is the record; children of a node are contiguous. `kinds`: those that the pass decodes itself; a value of any
    other, or one it was not certain of, is left as a place in the bytes, for `_value` to convert."""

    def __init__(self, fields: Sequence[Field], kinds: Mapping[Kind, int]) -> None:
        self._fields = tuple(fields)
        self._kinds = kinds
        self._nodes: list[list[int]] = []
        self._types: list[Type] = [row(*fields)]
        self._tree(self._fields)

    def _tree(self, fields: Sequence[Field]) -> None:
        """The nodes, breadth first."""
        self._nodes.append([RECORD, 1, len(fields), 0, 0, 64])
        waiting: list[tuple[int, Sequence[Field], int]] = [(0, fields, 1)]
        while waiting:
            parent, below, depth = waiting.pop(0)
            self._nodes[parent][1] = len(self._nodes)
            for each in below:
                kind = self._kinds.get(each.type.kind, OTHER)
                if kind == RECORD and (depth >= DEPTH_MAX or not each.type.fields):
                    kind = OTHER
                if kind == RECORD:
                    waiting.append((len(self._nodes), each.type.fields, depth + 1))
                self._node(each, kind)

    def _node(self, declared: Field, kind: int) -> None:
        bits = INTEGER_BITS.get(declared.type.kind, 64)
        inner = len(declared.type.fields) if kind == RECORD else 0
        self._nodes.append([kind, 0, inner, 0, 0, bits])
        self._types.append(declared.type)

    @abstractmethod
    def _value(self, node: int, data: bytes) -> Any:
        """The value of bytes that the pass left alone. Raises ValueError or RecursionError."""

    def _decoded(self, made: Pass) -> Decoded:
        """What a pass wrote as columns."""
        states = made.states
        made.least, made.most = states.min(axis=1).tolist(), states.max(axis=1).tolist()
        self._settle(made)
        columns = [self._column(made, 1 + index, field.type) for index, field in enumerate(self._fields)]
        return Decoded(columns, states[1 : 1 + len(self._fields)] == ABSENT, made.odd)

    def _settle(self, made: Pass) -> None:
        """Convert the values that the kernel left alone; a record with one that does not fit is odd."""
        for node, most in enumerate(made.most):
            raw = (made.states[node] == RAW).nonzero()[0] if most >= RAW else _NO_ROWS
            if not len(raw):
                continue
            kind = self._nodes[node][0]
            if kind in (TEXT, RECORD):
                made.odd[raw] = True
                continue
            cells = [self._raw(made, node, row) for row in raw.tolist()]
            if kind == OTHER:
                made.converted[node] = dict(zip(raw.tolist(), cells, strict=True))
                continue
            values = made.reals[node] if kind == REAL else made.words[node]
            values[raw] = [0 if cell is None else cell for cell in cells]

    def _column(self, made: Pass, node: int, type_: Type) -> Column:
        kind = self._nodes[node][0]
        if kind == OTHER:
            cells: list[Any] = [None] * len(made.odd)
            for at, cell in made.converted.get(node, {}).items():
                cells[at] = cell
            return Column.of(type_, cells)
        valid: BoolArray | None = made.states[node] >= VALUE if made.least[node] < VALUE else None
        if kind == TEXT:
            return self._text(made, node, type_, valid)
        if kind == RECORD:
            first, fields = self._nodes[node][1], type_.fields
            return RowColumn(
                type_, len(made.odd), lambda index: self._column(made, first + index, fields[index].type), valid
            )
        values = made.reals[node] if kind == REAL else made.words[node]
        if valid is not None:
            values = np.where(valid, values, values.dtype.type(0))  # what no record gave was not written
        if type_.kind is Kind.FLOAT:
            with np.errstate(over="ignore", invalid="ignore"):  # invalid: a signalling NaN, which bytes may spell
                values = values.astype(np.float32).astype(np.float64)
        return Column(type_, values.astype(np.bool_) if kind == BOOLEAN else values, valid)

    def _text(self, made: Pass, node: int, type_: Type, valid: BoolArray | None) -> Column:
        start, length, buffer = made.words[node], made.lengths[node], made.buffer
        if made.most[node] == UNESCAPED:
            buffer = made.with_arena()
            start = np.where(made.states[node] == UNESCAPED, start + len(made.buffer), start)
        if valid is not None:
            start = np.where(valid, start, 0)
        views = Views(buffer, start, length)
        return TextColumn(type_, views if valid is None else views.where(valid & ~made.odd), valid)

    def _raw(self, made: Pass, node: int, row: int) -> Any:
        """A value from its bytes; a record with a value that does not fit is odd."""
        if made.odd[row]:
            return None
        start = int(made.words[node, row])
        try:
            return self._value(node, made.buffer[start : start + int(made.lengths[node, row])].tobytes())
        except (ValueError, RecursionError):
            made.odd[row] = True
            return None


class JsonDecoder(ColumnTree):
    """JSON objects of one schema."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._names = bytearray()
        super().__init__(fields, _KINDS)
        self._node_array = np.array(self._nodes, np.int64)
        self._name_array = np.frombuffer(bytes(self._names) + bytes(8), np.uint8)

    def _node(self, declared: Field, kind: int) -> None:
        super()._node(declared, kind)
        name = declared.name.encode()
        plain = msgspec.json.encode(declared.name) == b'"' + name + b'"'
        self._nodes[-1][3:5] = [len(self._names) + 1, len(name) if plain else _UNMATCHED]
        self._names += b'"' + name + b'":'
        assert len(self._nodes[-1]) == NODE_NUMBERS

    def decode(self, buffer: ByteArray, start: IntArray, length: npt.NDArray[np.int32]) -> Decoded:
        """All fields of the records at these places of `buffer`; a length of -1 is a record without a value: odd."""
        return self._decoded(self.passed(buffer, start, length))

    def passed(self, buffer: ByteArray, start: IntArray, length: npt.NDArray[np.int32]) -> Pass:
        """What the kernel says of these records, for whoever makes other columns of it."""
        rows, nodes = len(start), len(self._nodes)
        words = np.empty((nodes, rows), np.int64)  # of what is absent they stay anything, see `_column`
        lengths, states = np.empty((nodes, rows), np.int32), np.zeros((nodes, rows), np.uint8)
        arena = np.empty(int(np.maximum(length, 0).sum(dtype=np.int64)), np.uint8)
        flags = np.empty(rows, np.uint8)
        reals = words.view(np.float64)
        used = decode_json(
            buffer, start, length, self._name_array, self._node_array, words, reals, lengths, states, arena, flags,
            np.zeros(STACK, np.int64),  # of this pass: threads may share a decoder
        )  # fmt: skip
        return Pass(buffer, arena[:used], words, reals, lengths, states, flags != CLEAN)

    def _value(self, node: int, data: bytes) -> Any:
        return coerce(msgspec.json.decode(data), self._types[node])

    # One record by itself: what a source asks for when the pass was not certain.

    @staticmethod
    def record(data: bytes) -> Json:
        """The JSON value of a record. Raises ValueError."""
        return msgspec.json.decode(data)

    @staticmethod
    def cell(value: Json, type_: Type) -> Value:
        """A value inside a record as a column's. Raises ValueError."""
        return coerce(value, type_)
