"""Sources: from ledger records to change batches with watermarks.

A declared table without a connector is a topic of its own name whose values are JSON objects of its columns, or Avro
(`process.formats`); keys are JSON. A record
with a null value deletes the key's row. A table with a PRIMARY KEY takes partial rows: absent columns keep their
value. With 'format' = 'debezium-json' records are changes with images (`process.images`).

Records are decoded to columns (`process.decoding`); one by one only where that decoder is not certain, where one
record makes several rows, and where there are too few to be worth a pass. Either way gives the same rows. Watermarks
are in `process.watermarks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from nextpaint.process.coercion import coerce
from nextpaint.process.decoding import Decoded
from nextpaint.process.derived import Carried, DerivedColumns
from nextpaint.process.formats import decoder_of
from nextpaint.process.images import Image, read_image
from nextpaint.process.operators import choice
from nextpaint.process.operators.protocol import Operator, Output, Row, StepContext
from nextpaint.process.operators.table import MaterialisedTable
from nextpaint.process.operators.typed_table import TypedTable
from nextpaint.process.state import State
from nextpaint.process.watermarks import Silences, SourceClock, SourceSettings
from nextpaint.record.columns import (
    DELETE,
    INSERT,
    UPDATE_AFTER,
    UPDATE_BEFORE,
    Batch,
    BoolArray,
    Column,
    IntArray,
    Value,
)
from nextpaint.record.runs import Run, joined, numbered
from nextpaint.record.types import Field, Kind
from nextpaint.record.views import ByteArray
from nextpaint.sql.program import Table

_ESCAPE = b"\\u"  # how JSON may write any character otherwise
FEW = 8  # records that are decoded one by one: a columnar pass costs as much as about so many

Json = Any
Bury = Callable[[int, str], None]
Explode = Callable[[Mapping[str, Json]], Iterable[Mapping[str, Json]]]

# JSON values of exactly this Python type need no check or conversion.
_EXACT: dict[Kind, type] = {Kind.STRING: str, Kind.BOOLEAN: bool, Kind.DOUBLE: float}


@dataclass(frozen=True, slots=True)
class Exploding:
    """How one record becomes several rows. `word`: bytes that stand in every record that makes any, written without
    escapes: a record without them is not decoded."""

    rows: Explode
    word: bytes = b""


@dataclass(slots=True)
class Arrived:
    """The records of one topic in one step. `places`: as in a Run; `seqs` and `at_ms`: one per record."""

    buffer: ByteArray
    places: IntArray
    seqs: IntArray
    at_ms: IntArray

    def __len__(self) -> int:
        return len(self.seqs)

    def key(self, index: int) -> bytes | None:
        return self._bytes(*self.places[index, :2].tolist())

    def value(self, index: int) -> bytes | None:
        return self._bytes(*self.places[index, 2:].tolist())

    def _bytes(self, start: int, length: int) -> bytes | None:
        return None if length < 0 else self.buffer[start : start + length].tobytes()

    def holding(self, word: bytes) -> list[int]:
        """The records whose value has `word` in it, or might have it in escapes, and those without a value."""
        starts, lengths = self.places[:, 2], self.places[:, 3]
        if not len(starts):
            return []
        low = int(starts.min())
        data = self.buffer[low : int((starts + lengths).max())].tobytes()
        found: list[int] = []
        for index, (start, length) in enumerate(zip((starts - low).tolist(), lengths.tolist(), strict=True)):
            end = start + length
            if length < 0 or data.find(word, start, end) >= 0 or data.find(_ESCAPE, start, end) >= 0:
                found.append(index)
        return found

    @staticmethod
    def of(runs: Sequence[Run], known: tuple[IntArray, IntArray] | None = None) -> Arrived:
        """`known`: `seqs` and `at_ms`, where somebody has them."""
        buffer, places = joined(runs)
        return Arrived(buffer, places, *(known or numbered(runs)))


class Source(Operator):
    """A declared table fed by records. With a primary key it is materialised as well."""

    def __init__(
        self, table: Table, topic: str, explode: Exploding | None, settings: SourceSettings, state: State
    ) -> None:
        super().__init__(f"source/{table.name}", [each.type for each in table.fields])
        self.table = table
        self.topic = topic
        self._explode = explode
        self._images = table.takes_images
        self._rowtime = table.watermark.column if table.watermark else None
        self._exact = [_EXACT.get(each.type.kind) for each in table.fields]
        self._derived = DerivedColumns(table)
        self._decoder = decoder_of(table)
        delay = table.watermark.delay_ms if table.watermark else 0
        self.clock = SourceClock(self.id, delay, settings.idle_timeout_ms, settings.idle_advance_ms, state)
        self.rows_table = (
            choice.table(f"table/{table.name}", table.fields, table.primary_key, (), state, quiet=False)
            if table.primary_key
            else None
        )

    def restore(self) -> None:
        self.clock.restore()

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        raise RuntimeError("a source is fed with records, see `read`")

    def read(self, arrived: Arrived | None, silences: Silences, bury: Bury) -> Batch:
        """Rows of the records and marks. `silences`: where the ledger clock moved: the mark comes after that record. A
        record that does not decode goes to `bury(seq, reason)`."""
        if arrived is None:
            batch, times, places = self.nothing, _NO_TIMES, _NO_TIMES
        elif self.rows_table is not None:
            batch, times, places = self._upserts(arrived, self.rows_table, bury)
        elif self._explode is not None or self._derived or self._images or len(arrived) < FEW:
            word = self._explode.word if self._explode is not None else b""
            telling = arrived.holding(word) if word else range(len(arrived))
            batch, places = self._one_by_one(arrived, telling, bury)
            times = batch.columns[self._rowtime].values if self._rowtime is not None else _NO_TIMES
        else:
            batch, places = self._columns(arrived, bury)
            times = batch.columns[self._rowtime].values if self._rowtime is not None else _NO_TIMES
        if self._rowtime is None:
            self.clock.store()
            return batch
        seqs, at_ms = (arrived.seqs[places], arrived.at_ms[places]) if arrived is not None else (_NO_TIMES, _NO_TIMES)
        marks = self.clock.rows(times, seqs, at_ms, silences)
        self.clock.store()
        return batch.marked(*marks)

    # ------------------------------------------------------------ columns

    def _decoded(self, arrived: Arrived) -> Decoded:
        """Columns of all records; those that a NULL makes impossible are odd."""
        lengths = arrived.places[:, 3].astype(np.int32)
        decoded = self._decoder.decode(arrived.buffer, np.ascontiguousarray(arrived.places[:, 2]), lengths)
        for index, field in enumerate(self.table.fields):
            column = decoded.columns[index]
            if index == self._rowtime:
                column = decoded.columns[index] = self._stamped(column, decoded.absent[index], arrived.at_ms)
            if column.valid is not None and (index == self._rowtime or not field.nullable):
                decoded.odd |= ~column.valid
        return decoded

    def _stamped(self, column: Column, absent: BoolArray, at_ms: IntArray) -> Column:
        """A row without its own time happened when it was admitted."""
        if column.valid is None:
            return column
        return Column(column.type, np.where(absent, at_ms, column.values), column.valid | absent)

    def _columns(self, arrived: Arrived, bury: Bury) -> tuple[Batch, IntArray]:
        """The batch, and for each row the index of its record."""
        decoded = self._decoded(arrived)
        whole = Batch(tuple(decoded.columns), np.zeros(len(arrived), np.int8), arrived.seqs)
        if not decoded.odd.any():
            return whole, np.arange(len(arrived), dtype=np.int64)
        clean = (~decoded.odd).nonzero()[0]
        slow, places = self._one_by_one(arrived, decoded.odd.nonzero()[0].tolist(), bury)
        kept = whole.take(clean)
        if not len(slow):
            return kept, clean
        together = np.concatenate((clean, places))
        order = np.argsort(together, kind="stable")
        columns = [Column.concat(pair) for pair in zip(kept.columns, slow.columns, strict=True)]
        joint = Batch(tuple(columns), np.zeros(len(order), np.int8), arrived.seqs[together])
        return joint.take(order), together[order]

    # ------------------------------------------------------------ one by one

    def _one_by_one(self, arrived: Arrived, indices: Iterable[int], bury: Bury) -> tuple[Batch, IntArray]:
        """Rows of the records at `indices`, and for each the index of its record."""
        out = Output(self.nothing)
        places: list[int] = []
        for index in indices:
            seq = int(arrived.seqs[index])
            try:
                rows = self._decode(self._carried(arrived, index))
            except (ValueError, RecursionError) as error:
                bury(seq, _reason(error))
                continue
            for kind, row in rows:
                out.add(kind, seq, row)
                places.append(index)
        return out.batch(_NO_TIMES, _NO_TIMES), np.array(places, np.int64)

    def _upserts(self, arrived: Arrived, table: MaterialisedTable, bury: Bury) -> tuple[Batch, IntArray, IntArray]:
        """Changes of a table with a primary key, and the time and the index of the record of each row that came."""
        out = Output(self.nothing)
        times: list[int] = []
        places: list[int] = []
        complete: list[Row | None] = [None] * len(arrived)
        if len(arrived) >= FEW and not self._derived and not self._images:
            decoded = self._decoded(arrived)
            partial = self._partial(decoded)
            if isinstance(table, TypedTable) and not partial.any():
                whole = Batch(tuple(decoded.columns), np.zeros(len(arrived), np.int8), arrived.seqs)
                stamps = decoded.columns[self._rowtime].values if self._rowtime is not None else _NO_TIMES
                return table.changed(whole, arrived.at_ms), stamps, np.arange(len(arrived), dtype=np.int64)
            complete = self._complete(decoded, partial)
        for index, (seq, at_ms) in enumerate(zip(arrived.seqs.tolist(), arrived.at_ms.tolist(), strict=True)):
            row = complete[index]
            try:
                rows = [(INSERT, row)] if row else self._decode(self._carried(arrived, index))
            except (ValueError, RecursionError) as error:
                bury(seq, _reason(error))
                continue
            for kind, each in rows:
                if kind == UPDATE_BEFORE:  # of an image that changes nothing: told all the same, as Flink does
                    out.add(UPDATE_BEFORE, seq, each)
                    out.add(UPDATE_AFTER, seq, each)
                else:
                    table.apply(out, kind, seq, each, at_ms)
                if self._rowtime is not None:
                    time = each[self._rowtime]
                    assert isinstance(time, int), "rows are stamped when decoded"
                    times.append(time)
                    places.append(index)
        return out.batch(_NO_TIMES, _NO_TIMES), np.array(times, np.int64), np.array(places, np.int64)

    def _partial(self, decoded: Decoded) -> BoolArray:
        """The records that must be looked at by themselves: they do not give every column."""
        partial = decoded.odd
        for index, column in enumerate(decoded.columns):
            if index != self._rowtime:
                partial |= decoded.absent[index]
            if index in self.table.primary_key and column.valid is not None:
                partial |= ~column.valid
        return partial

    @staticmethod
    def _complete(decoded: Decoded, partial: BoolArray) -> list[Row | None]:
        """The records that give every column; None for the others."""
        rows: list[Row | None] = list(zip(*(column.to_list() for column in decoded.columns), strict=True))
        for index in partial.nonzero()[0].tolist():
            rows[index] = None
        return rows

    def _carried(self, arrived: Arrived, index: int) -> Carried:
        seq, at_ms = int(arrived.seqs[index]), int(arrived.at_ms[index])
        return Carried(self.topic, seq, at_ms, arrived.key(index), arrived.value(index))

    def _decode(self, record: Carried) -> list[tuple[int, Row]]:
        if record.value is None:
            # What Debezium sends after a deletion; and a view of another topic has no rows to take back.
            return [] if self._images or self._explode is not None else self._deleted(record.key)
        decoded = self._decoder.record(record.value)
        if self._images:
            return self._imaged(read_image(decoded), record)
        if not isinstance(decoded, dict):
            raise ValueError("the record is not a JSON object")
        objects = [decoded] if self._explode is None else self._explode.rows(decoded)
        return [self._row(each, record) for each in objects]

    def _deleted(self, key: bytes | None) -> list[tuple[int, Row]]:
        if self.rows_table is None or key is None:
            raise ValueError("a record without a value deletes by key, which needs a table with a PRIMARY KEY")
        names = msgspec.json.decode(key)
        if not isinstance(names, dict):
            raise ValueError("the record's key is not a JSON object")
        keys = tuple(coerce(names.get(self.table.names[at]), self.types[at]) for at in self.table.primary_key)
        stored = self.rows_table.get(keys)
        return [(DELETE, stored)] if stored is not None else []

    def _imaged(self, image: Image, record: Carried) -> list[tuple[int, Row]]:
        """The changes of an image: as they are, or by the key of a table that is kept by key, where an update that
        says itself that it changes nothing is only its UPDATE_BEFORE."""
        op, before, after = image
        if self.rows_table is None:
            kinds = (UPDATE_BEFORE, UPDATE_AFTER) if op == "u" else (DELETE, INSERT)
            if op == "u" and before is None:
                raise ValueError("without a key an update needs before: REPLICA IDENTITY FULL in PostgreSQL")
            images = zip(kinds, (before, after), strict=True)
            return [(kind, self._cells(row, record)) for kind, row in images if row is not None]
        stored = self.rows_table.get(self._key(before)) if before is not None else None
        if after is not None:
            moved = stored is not None and before is not None and self._key(before) != self._key(after)
            gone = [(DELETE, stored)] if moved and stored is not None else []
            row = self._cells(after, record)
            return [(UPDATE_BEFORE, row)] if row == stored and before == after else [*gone, (INSERT, row)]
        if stored is None or before is None:
            return []
        ended = self._ended(stored, before)
        return [(DELETE, ended)] if ended == stored else [(UPDATE_AFTER, ended), (DELETE, ended)]

    def _ended(self, stored: Row, before: Mapping[str, Json]) -> Row:
        """The row that is deleted, at the time its image says: a version ends then."""
        if self._rowtime is None:
            return stored
        field = self.table.fields[self._rowtime]
        time = coerce(before.get(field.name), field.type)
        return stored if time is None else (*stored[: self._rowtime], time, *stored[self._rowtime + 1 :])

    def _key(self, value: Mapping[str, Json]) -> Row:
        fields = self.table.fields
        cell = self._decoder.cell
        key = tuple(cell(value.get(fields[at].name), fields[at].type) for at in self.table.primary_key)
        if None in key:
            raise ValueError(f"the primary key {[fields[at].name for at in self.table.primary_key]} is missing")
        return key

    def _row(self, value: Mapping[str, Json], record: Carried) -> tuple[int, Row]:
        stored = self.rows_table.get(self._key(value)) if self.rows_table is not None else None
        return (INSERT if stored is None else UPDATE_AFTER), self._cells(value, record, stored)

    def _cells(self, value: Mapping[str, Json], record: Carried, stored: Row | None = None) -> Row:
        """A whole row. Columns that `value` leaves out are those of the `stored` row."""
        cells: list[Value] = []
        for index, field in enumerate(self.table.fields):
            given: Json = value.get(field.name)
            if index in self._derived.places:
                given = None
            elif type(given) is not self._exact[index]:
                given = self._cell(index, field, value, stored, record.at_ms)
            cells.append(given)
        if self._derived:
            self._derived.fill(cells, record)
        return tuple(cells)

    def _cell(self, index: int, field: Field, value: Mapping[str, Json], stored: Row | None, at_ms: int) -> Value:
        if field.name in value:
            made = self._decoder.cell(value[field.name], field.type)
        elif index == self._rowtime and not self._images:
            made = at_ms  # a row without its own time happened when it was admitted
        else:
            made = stored[index] if stored is not None else None
        if made is None and index == self._rowtime:
            raise ValueError(f"the time attribute {field.name} is NULL")
        if made is None and not field.nullable:
            raise ValueError(f"{field.name} is NOT NULL")
        return made


def _reason(error: Exception) -> str:
    return "the JSON is nested too deeply" if isinstance(error, RecursionError) else str(error)


_NO_TIMES: IntArray = np.empty(0, np.int64)
