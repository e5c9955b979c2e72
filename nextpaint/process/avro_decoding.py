"""Avro records to columns: a writer's schema compiled into a program of the kernel, and Confluent's header.

    decoder = AvroDecoder(table.fields, schema)             plain bytes of one schema
    decoder = ConfluentDecoder(table.fields, {7: schema})   0x00, the schema's id in 4 bytes, bytes of that schema

Columns take the writer's fields by name. `decoded.odd` and everything else is as in `process.decoding`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process import avro_values
from nextpaint.process.decoding import ColumnTree, Decoded, Pass
from nextpaint.process.kernels import avro_columns as ops
from nextpaint.process.kernels.avro_columns import decode_avro
from nextpaint.process.kernels.json_columns import BOOLEAN, CLEAN, INTEGER, OTHER, REAL, RECORD, TEXT, VALUE
from nextpaint.record.avro import Avro
from nextpaint.record.columns import Column, IntArray, Value
from nextpaint.record.types import INTEGERS, Field, Kind, Type
from nextpaint.record.views import ByteArray

Lengths = npt.NDArray[np.int32]

_SYMBOL = 7  # a node kind of its own: a word that is the place of an enum's symbol
_NOBODY = -1
_HEADER = 5  # 0x00 and the schema's id
_KINDS: dict[Kind, int] = {
    **dict.fromkeys((*INTEGERS, Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_LTZ), INTEGER),
    **dict.fromkeys((Kind.DOUBLE, Kind.FLOAT), REAL),
    Kind.BOOLEAN: BOOLEAN,
    Kind.STRING: TEXT,
    Kind.BYTES: TEXT,
    Kind.ROW: RECORD,
}


class AvroDecoder(ColumnTree):
    """Plain records of one writer's schema; `schema` fits the fields (`avro.misfit`)."""

    def __init__(self, fields: Sequence[Field], schema: Avro) -> None:
        super().__init__(fields, _KINDS)
        self._schema = schema
        self._wanted = {each.name: each.type for each in fields}
        self._read: dict[int, Avro] = {}  # by node: what its bytes are
        self._steps: list[list[int]] = []
        self._record(schema, 0)
        self._program = np.array(self._steps, np.int64).reshape(-1, ops.OP_NUMBERS)
        self._loops = np.empty((ops.LOOPS_MAX, 2), np.int64)

    # ------------------------------------------------------------ the program

    def _emit(self, what: int, node: int = _NOBODY, a: int = 0, b: int = 0) -> int:
        self._steps.append([what, node if node != _NOBODY else len(self._nodes), a, b])
        return len(self._steps) - 1

    def _record(self, schema: Avro, node: int) -> None:
        """All fields of a record; `node` nobody: they are passed over."""
        self._emit(ops.RECORD, node)
        children: dict[str, int] = {}
        if node != _NOBODY:
            fields = self._fields if node == 0 else self._types[node].fields
            children = {each.name: self._nodes[node][1] + index for index, each in enumerate(fields)}
        for name, inner in schema.fields:
            self._value_step(inner, children.get(name, _NOBODY))

    def _value_step(self, schema: Avro, node: int) -> None:
        if schema.kind == "union":
            self._union(schema, node)
        elif schema.kind == "record" and (node == _NOBODY or self._nodes[node][0] == RECORD):
            self._record(schema, node)
        elif node != _NOBODY and self._nodes[node][0] == OTHER:
            self._read[node] = schema
            self._emit(ops.OPEN, node)
            self._value_step(schema, _NOBODY)
            self._emit(ops.CLOSE, node)
        elif schema.inner is not None:
            self._loop(schema, schema.inner)
        else:
            self._scalar(schema, node)

    def _union(self, schema: Avro, node: int) -> None:
        choice = self._emit(ops.UNION, _NOBODY, 0, len(schema.branches))
        self._steps[choice][2] = choice + 1
        table = [self._emit(ops.JUMP) for _ in schema.branches]
        ends = []
        for entry, branch in zip(table, schema.branches, strict=True):
            self._steps[entry][2] = len(self._steps)
            if branch.kind == "null":
                self._emit(ops.NOTHING, node)
            else:
                self._value_step(branch, node)
            ends.append(self._emit(ops.JUMP))
        for end in ends:
            self._steps[end][2] = len(self._steps)

    def _loop(self, schema: Avro, inner: Avro) -> None:
        blocks = self._emit(ops.BLOCKS)
        if schema.kind == "map":
            self._emit(ops.TEXT)
        self._value_step(inner, _NOBODY)
        self._emit(ops.AGAIN, _NOBODY, blocks)
        self._steps[blocks][2] = len(self._steps)

    def _scalar(self, schema: Avro, node: int) -> None:
        kind = schema.kind
        if kind == "null":
            self._emit(ops.NOTHING, node)
        elif kind in ("int", "long"):
            bits = min(32 if kind == "int" else 64, self._nodes[node][5] if node != _NOBODY else 64)
            real = node != _NOBODY and self._nodes[node][0] == REAL
            self._emit(ops.REAL_OF_INTEGER if real else ops.INTEGER, node, bits, avro_values.divisor(schema))
        elif kind == "enum":
            if node != _NOBODY:
                self._nodes[node][0] = _SYMBOL
                self._read[node] = schema
            self._emit(ops.ENUM, node, len(schema.symbols))
        elif kind in ("string", "bytes"):
            text = node != _NOBODY and self._types[node].kind is Kind.STRING
            self._emit(ops.TEXT, node, int(text))
        elif kind == "fixed":
            self._emit(ops.FIXED, node, schema.size)
        else:
            self._emit({"boolean": ops.TRUTH, "float": ops.FLOAT, "double": ops.DOUBLE}[kind], node)

    # ------------------------------------------------------------ columns

    def decode(self, buffer: ByteArray, start: IntArray, length: Lengths) -> Decoded:
        """All fields of the records at these places; a length below 0 is a record without a value: odd."""
        rows, nodes = len(start), len(self._nodes)
        words = np.zeros((nodes + 1, rows), np.int64)
        lengths, states = np.zeros((nodes + 1, rows), np.int32), np.zeros((nodes + 1, rows), np.uint8)
        flags = np.empty(rows, np.uint8)
        reals = words.view(np.float64)
        decode_avro(buffer, start, length, self._program, words, reals, lengths, states, flags, self._loops)
        words, reals, lengths, states = words[:-1], reals[:-1], lengths[:-1], states[:-1]
        return self._decoded(Pass(buffer, buffer[:0], words, reals, lengths, states, flags != CLEAN))

    def _column(self, made: Pass, node: int, type_: Type) -> Column:
        if self._nodes[node][0] != _SYMBOL:
            return super()._column(made, node, type_)
        symbols = np.array([*self._read[node].symbols, None], object)
        given = made.states[node] >= VALUE
        places = np.where(given, made.words[node], len(symbols) - 1)
        return Column(type_, symbols[places], None if given.all() else given)

    def _value(self, node: int, data: bytes) -> Any:
        return avro_values.value_of(data, self._read[node], self._types[node])

    # ------------------------------------------------------------ one record by itself

    def record(self, data: bytes) -> dict[str, Value]:
        """The columns a record gives. Raises ValueError."""
        return avro_values.record(data, self._schema, self._wanted)

    @staticmethod
    def cell(value: Value, type_: Type) -> Value:
        """A value that `record` gave is a column's already."""
        return value


class ConfluentDecoder:
    """Records that say which schema wrote them: one decoder per declared schema."""

    def __init__(self, fields: Sequence[Field], schemas: Mapping[int, Avro]) -> None:
        self._fields = tuple(fields)
        self._decoders = {identity: AvroDecoder(fields, schema) for identity, schema in schemas.items()}

    def decode(self, buffer: ByteArray, start: IntArray, length: Lengths) -> Decoded:
        """As `AvroDecoder.decode`; records of a schema that is not declared are odd."""
        identities = _identities(buffer, start, length)
        found: list[tuple[IntArray, Decoded]] = []
        for identity, decoder in self._decoders.items():
            rows = (identities == identity).nonzero()[0]
            if len(rows) == len(start):
                return decoder.decode(buffer, start + _HEADER, (length - _HEADER).astype(np.int32))
            if len(rows):
                places, lengths = start[rows] + _HEADER, (length[rows] - _HEADER).astype(np.int32)
                found.append((rows, decoder.decode(buffer, places, lengths)))
        return self._together(len(start), found)

    def _together(self, count: int, parts: Sequence[tuple[IntArray, Decoded]]) -> Decoded:
        """Parts as one, in the order of records; a record in none of them is odd."""
        odd = np.ones(count, np.bool_)
        absent = np.ones((len(self._fields), count), np.bool_)
        where = np.full(count, -1, np.int64)
        done = 0
        for rows, each in parts:
            odd[rows], absent[:, rows] = each.odd, each.absent
            where[rows] = np.arange(done, done + len(rows))
            done += len(rows)
        where[where < 0] = done  # a row of NULLs stands behind all parts
        columns = []
        for index, field in enumerate(self._fields):
            nothing = Column.of(field.type, [None])
            pieces = [each.columns[index] for _, each in parts]
            columns.append(Column.concat([*pieces, nothing]).take(where))
        return Decoded(columns, absent, odd)

    def record(self, data: bytes) -> dict[str, Value]:
        """The columns a record gives. Raises ValueError."""
        if len(data) < _HEADER or data[0]:
            raise ValueError("the record does not begin with 0x00 and the id of its schema")
        identity = int.from_bytes(data[1:_HEADER], "big")
        decoder = self._decoders.get(identity)
        if decoder is None:
            known = ", ".join(map(str, sorted(self._decoders)))
            raise ValueError(f"the schema {identity} is not declared for the table, which has {known}")
        return decoder.record(data[_HEADER:])

    @staticmethod
    def cell(value: Value, type_: Type) -> Value:
        """A value that `record` gave is a column's already."""
        return value


def _identities(buffer: ByteArray, start: IntArray, length: Lengths) -> IntArray:
    """The schema id of each record, -1 where there is no header."""
    framed = length >= _HEADER
    safe = np.where(framed, start, 0)
    if len(buffer) < _HEADER:
        return np.full(len(start), -1, np.int64)
    found = np.zeros(len(start), np.int64)
    for byte in range(1, _HEADER):
        found = found << 8 | buffer[safe + byte]
    return np.where(framed & (buffer[safe] == 0), found, -1)
