"""What a step gives to the outside: rows of append-only targets and dead rows, each with an identity.

Outputs are ordered by identity, so that a re-run after a crash can skip exactly those the ledger holds already. Rows of
one target and step stay columns; their bytes are made together (`Block.encoded`). As Python objects, one by one, they
are made for whoever iterates: tests, tools, and a few rows where columns would cost more.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.json_text import (
    BOOLEAN,
    DECIMAL_BYTES,
    INTEGER,
    JSON,
    REAL_BYTES,
    RECORD_BYTES,
    TEXT,
    write_decimals,
    write_json,
    write_reals,
)  # fmt: skip
from nextpaint.record.codec import EncodedBatch, Record, record_batch
from nextpaint.record.columns import KIND_NAMES, Batch, Column, DecimalColumn, IntArray, Value
from nextpaint.record.types import Kind
from nextpaint.record.views import ByteArray, Views

DEAD_TOPIC = "_dead"
FEW = 16  # rows that are encoded one by one: the fixed cost of a columnar encoding is that of about so many


class OutputIdentity(NamedTuple):
    """What caused an output row: the seq of an input record, the statement, the ordinal among its rows of that seq."""

    seq: int
    operator: int
    ordinal: int


NOTHING_EMITTED = OutputIdentity(-1, 0, 0)


@dataclass(frozen=True, slots=True)
class OutputRow:
    """A row for an append-only target, or for the dead-letter topic."""

    identity: OutputIdentity
    topic: str
    kind: str
    row: dict[str, Value]


def plain(value: Value) -> Value:
    """A value as JSON can say it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


_json = msgspec.json.Encoder(decimal_format="number")


def output_value(row: OutputRow) -> bytes:
    """An output row as its record's JSON value."""
    return _json.encode({name: plain(value) for name, value in row.row.items()})


@dataclass(slots=True)
class Block:
    """The rows of one target in one step. `ordinals`: among the rows of the same seq."""

    topic: str
    operator: int
    names: tuple[str, ...]
    batch: Batch
    ordinals: IntArray

    @staticmethod
    def of(topic: str, operator: int, names: tuple[str, ...], batch: Batch) -> Block:
        return Block(topic, operator, names, batch, _ordinals(batch.seq))

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def last(self) -> OutputIdentity:
        return OutputIdentity(int(self.batch.seq[-1]), self.operator, int(self.ordinals[-1]))

    def after(self, identity: OutputIdentity) -> Block:
        """The rows beyond `identity`."""
        seq, ordinals = self.batch.seq, self.ordinals
        if not len(seq) or seq[0] > identity.seq:
            return self
        here = ordinals > identity.ordinal if self.operator == identity.operator else self.operator > identity.operator
        beyond = (seq > identity.seq) | ((seq == identity.seq) & here)
        return Block(self.topic, self.operator, self.names, self.batch.take(beyond), ordinals[beyond])

    def __iter__(self) -> Iterator[OutputRow]:
        kinds = self.batch.kind.tolist()
        numbers = zip(self.batch.seq.tolist(), self.ordinals.tolist(), kinds, self.batch.rows(), strict=True)
        for seq, ordinal, kind, row in numbers:
            identity = OutputIdentity(seq, self.operator, ordinal)
            yield OutputRow(identity, self.topic, KIND_NAMES[kind], dict(zip(self.names, row, strict=True)))

    def encoded(self, at_ms: int) -> EncodedBatch:
        """The rows as records of one batch, at one time: the bytes of `output_value` for each."""
        values = json_rows(self.names, self.batch.columns, as_records=True)
        return record_batch(values.buffer.data, len(values), at_ms)


def _ordinals(seqs: IntArray) -> IntArray:
    """The place of each row among those of its seq."""
    again = seqs[1:] == seqs[:-1]
    if not again.any():
        return np.zeros(len(seqs), np.int64)
    places = np.arange(len(seqs), dtype=np.int64)
    begins = places.copy()
    begins[1:][again] = 0
    return places - np.maximum.accumulate(begins)


@dataclass(slots=True)
class Outputs:
    """All that one step gives. Iterating gives rows in identity order."""

    blocks: list[Block] = field(default_factory=list)
    dead: list[OutputRow] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(map(len, self.blocks)) + len(self.dead)

    def __iter__(self) -> Iterator[OutputRow]:
        return merge(self.dead, *self.blocks, key=lambda row: row.identity)

    def extend(self, later: Outputs) -> None:
        """Add what a later part of the same step gave."""
        self.blocks += later.blocks
        self.dead += later.dead

    @property
    def last(self) -> OutputIdentity:
        """The greatest identity; of no rows, that before any."""
        reached = [block.last for block in self.blocks if len(block)] + [row.identity for row in self.dead]
        return max(reached, default=NOTHING_EMITTED)

    def after(self, identity: OutputIdentity) -> Outputs:
        """The rows beyond `identity`."""
        blocks = [block.after(identity) for block in self.blocks]
        return Outputs([each for each in blocks if len(each)], [row for row in self.dead if row.identity > identity])

    def drafts(self, at_ms: int) -> Iterator[tuple[str, list[Record], EncodedBatch | None]]:
        """(topic, records, None) or (topic, none, encoded) of each target, rows in order, at ledger time `at_ms`."""
        for block in self.blocks:
            if len(block) < FEW:
                yield block.topic, [Record(None, output_value(row), at_ms) for row in block], None
            else:
                yield block.topic, [], block.encoded(at_ms)
        if self.dead:
            yield DEAD_TOPIC, [Record(None, output_value(row), at_ms) for row in self.dead], None


# ------------------------------------------------------------ JSON


def json_rows(names: Sequence[str], columns: Sequence[Column], *, as_records: bool = False) -> Views:
    """Each row as a JSON object, the bytes msgspec would write. At least one column. `as_records`: the buffer is the
    records of a batch with these values."""
    rows = len(columns[0])
    cells = [_cells(column) for column in columns]
    words = np.empty((len(cells), rows), np.int64)
    lengths = np.zeros((len(cells), rows), np.int32)
    valid = np.ones((len(cells), rows), np.bool_)
    for at, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        words[at] = cell.words
        if cell.lengths is not None:
            lengths[at] = cell.lengths
        if column.valid is not None:
            valid[at] = column.valid
    before = [(b"," if at else b"{") + msgspec.json.encode(name) + b":" for at, name in enumerate(names)]
    name_start = np.cumsum([0, *map(len, before)], dtype=np.int64)
    # An integer takes at most 20 bytes, a character of text at most six.
    bound = rows * (int(name_start[-1]) + 1 + 22 * len(cells) + RECORD_BYTES) + 6 * int(
        np.maximum(lengths, 0).sum(dtype=np.int64)
    )
    into = np.empty(bound, np.uint8)
    start, length = np.empty(rows, np.int64), np.empty(rows, np.int32)
    used = write_json(
        np.array([cell.kind for cell in cells], np.int64), np.frombuffer(b"".join(before), np.uint8), name_start,
        np.array([cell.text.ctypes.data if cell.text is not None else 0 for cell in cells], np.int64),
        words, lengths, valid, as_records, into, start, length,
    )  # fmt: skip
    return Views(into[:used], start, length)


@dataclass(slots=True)
class _Cells:
    """A column as the kernel takes it: numbers, or places in bytes."""

    kind: int
    words: npt.NDArray[np.int64] | npt.NDArray[np.bool_]
    lengths: npt.NDArray[np.int32] | None = None
    text: ByteArray | None = None


def _cells(column: Column) -> _Cells:
    kind = column.type.kind
    if kind is Kind.STRING:
        views = column.views()
        return _Cells(TEXT, views.start, views.length, views.buffer)
    if isinstance(column, DecimalColumn):
        return _decimals(column)
    if column.type.dtype == np.float64:
        return _reals(column)
    if column.type.dtype != object:
        return _Cells(BOOLEAN if kind is Kind.BOOLEAN else INTEGER, column.values)
    views = Views.of([None if value is None else _json.encode(plain(value)) for value in column.to_list()])
    return _Cells(JSON, views.start, views.length, views.buffer)


def _decimals(column: DecimalColumn) -> _Cells:
    values = np.ascontiguousarray(column.scaled)
    into = np.empty(DECIMAL_BYTES * len(values), np.uint8)
    start, length = np.empty(len(values), np.int64), np.empty(len(values), np.int32)
    used = write_decimals(values, column.type.scale, into, start, length)
    long = (length < 0).nonzero()[0]
    if not len(long):
        return _Cells(JSON, start, length, into)
    others = Views.of([_json.encode(value) for value in column.take(long).to_list()])
    start[long], length[long] = others.start + used, others.length
    return _Cells(JSON, start, length, np.concatenate((into[:used], others.buffer)))


def _reals(column: Column) -> _Cells:
    values = np.ascontiguousarray(column.values)
    into = np.empty(REAL_BYTES * len(values), np.uint8)
    start, length = np.empty(len(values), np.int64), np.empty(len(values), np.int32)
    used = write_reals(values, into, start, length)
    long = (length < 0).nonzero()[0]
    if not len(long):
        return _Cells(JSON, start, length, into)
    others = Views.of([_json.encode(value) for value in values[long].tolist()])
    start[long], length[long] = others.start + used, others.length
    return _Cells(JSON, start, length, np.concatenate((into[:used], others.buffer)))
