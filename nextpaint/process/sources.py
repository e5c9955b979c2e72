"""Sources: from ledger records to change batches with watermarks.

A declared table without a connector is a topic of its own name whose values are JSON objects of its columns; a record
with a null value deletes the key's row. A table with a PRIMARY KEY takes partial rows: absent columns keep their
value.

Watermarks follow Flink: after every row, max(rowtime) - delay, never back. Two extensions are declared by settings:
an idle timeout leaves a silent source out of minima (`table.exec.source.idle-timeout`), an idle advance lets its
watermark follow the ledger clock minus its delay (`nextpaint.idle-advance`), so that the last session of the night
closes.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import msgspec

from nextpaint.process.operators.protocol import Operator, Output, Row, StepContext
from nextpaint.process.operators.table import MaterialisedTable
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, IDLE, INSERT, MIN_WATERMARK, UPDATE_AFTER, Batch, Value
from nextpaint.record.types import INTEGER_BITS, INTEGERS, Field, Kind, Type
from nextpaint.sql.plan import Table

# An idle advance moves in steps of this: a quiet source then costs its readers at most four marks a second.
ADVANCE_MS = 250

Json = Any
_compact = msgspec.json.Encoder().encode


class Incoming(NamedTuple):
    """One ledger record on its way to a source."""

    seq: int
    at_ms: int
    key: bytes | None
    value: bytes | None


def coerce(value: Json, type_: Type) -> Value:
    """A JSON value as a value of a SQL type; raises ValueError naming what is wrong. Integers must fit their width."""
    if value is None:
        return None
    made = _COERCIONS[type_.kind](value, type_)
    if made is None:
        raise ValueError(f"{repr(value)[:60]} is not a {type_}")
    return made


def _text(value: Json, type_: Type) -> Value:
    return value if isinstance(value, str) else _compact(value).decode()


def _boolean(value: Json, type_: Type) -> Value:
    return value if isinstance(value, bool) else None


def _integer(value: Json, type_: Type) -> Value:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    half = 1 << (INTEGER_BITS[type_.kind] - 1)
    if not -half <= value < half:
        raise ValueError(f"{value} does not fit {type_}")
    return value


def _real(value: Json, type_: Type) -> Value:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number else None


def _bytes(value: Json, type_: Type) -> Value:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else None


def _date(value: Json, type_: Type) -> Value:
    return (date.fromisoformat(value) - date(1970, 1, 1)).days if isinstance(value, str) else None


def _array(value: Json, type_: Type) -> Value:
    assert type_.element is not None
    return tuple(coerce(each, type_.element) for each in value) if isinstance(value, list) else None


def _row(value: Json, type_: Type) -> Value:
    if isinstance(value, dict):
        return tuple(coerce(value.get(field.name), field.type) for field in type_.fields)
    if isinstance(value, list) and len(value) == len(type_.fields):
        return tuple(coerce(each, field.type) for each, field in zip(value, type_.fields, strict=True))
    return None


def _map(value: Json, type_: Type) -> Value:
    assert type_.element is not None
    element = type_.element
    return {name: coerce(each, element) for name, each in value.items()} if isinstance(value, dict) else None


def _no_json(value: Json, type_: Type) -> Value:
    raise ValueError(f"{type_} cannot be sent as JSON")


def _decimal(value: Json, type_: Type) -> Decimal:
    try:
        made = Decimal(str(value)).quantize(Decimal(1).scaleb(-type_.scale))
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not a {type_}") from error
    if len(made.as_tuple().digits) > type_.precision:
        raise ValueError(f"{value} does not fit {type_}")
    return made


def _timestamp(value: Json, type_: Type) -> Value:
    """Epoch ms as a number, or ISO-8601 text (without a zone it is UTC)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError(f"{value[:40]!r} is not a time: use epoch milliseconds or ISO-8601") from error
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    raise ValueError(f"{value!r} is not a time: use epoch milliseconds or ISO-8601")


_COERCIONS: dict[Kind, Callable[[Json, Type], Value]] = {
    **dict.fromkeys(Kind, _no_json),
    **dict.fromkeys(INTEGERS, _integer),
    **dict.fromkeys((Kind.DOUBLE, Kind.FLOAT), _real),
    **dict.fromkeys((Kind.TIMESTAMP, Kind.TIMESTAMP_LTZ), _timestamp),
    Kind.STRING: _text,
    Kind.BOOLEAN: _boolean,
    Kind.DECIMAL: _decimal,
    Kind.BYTES: _bytes,
    Kind.DATE: _date,
    Kind.ARRAY: _array,
    Kind.ROW: _row,
    Kind.MAP: _map,
}


class SourceClock:
    """Watermark of one source. Kept: newest time, watermark, ledger time of the last row, idle flag."""

    def __init__(self, identity: str, delay_ms: int, idle_timeout_ms: int, idle_advance_ms: int, state: State) -> None:
        self.delay_ms = delay_ms
        self._idle_timeout_ms = idle_timeout_ms
        self._idle_advance_ms = idle_advance_ms
        self._cell = state.cell(identity, "clock")
        self.watermark = MIN_WATERMARK
        self._last_at = 0
        self._idle = False

    def restore(self) -> None:
        self.watermark, self._last_at, self._idle = self._cell.get(0, (MIN_WATERMARK, 0, False))

    def store(self) -> None:
        self._cell.put(0, (self.watermark, self._last_at, self._idle))

    def row(self, time_ms: int, at_ms: int) -> int | None:
        """After a row: the new watermark if it moved or the source was idle, else None."""
        self._last_at = at_ms
        woke, self._idle = self._idle, False
        if time_ms - self.delay_ms > self.watermark:
            self.watermark = time_ms - self.delay_ms
            return self.watermark
        return self.watermark if woke else None

    def silence(self, at_ms: int) -> int | None:
        """The ledger clock moved to `at_ms`: a mark if silence has a consequence, else None."""
        if not self._last_at:
            self._last_at = at_ms
            return None
        silent_ms = at_ms - self._last_at
        if self._idle_advance_ms and silent_ms >= self._idle_advance_ms:
            reached = at_ms - at_ms % ADVANCE_MS - self.delay_ms
            if reached > self.watermark:
                self.watermark = reached
                return self.watermark
            return None
        if self._idle_timeout_ms and silent_ms >= self._idle_timeout_ms and not self._idle:
            self._idle = True
            return IDLE
        return None

    def unmoved_by(self, at_ms: int) -> bool:
        """Whether silence up to this ledger time certainly has no consequence."""
        if not self._last_at:
            return False
        silent_ms = at_ms - self._last_at
        if self._idle_advance_ms and silent_ms >= self._idle_advance_ms:
            return at_ms - at_ms % ADVANCE_MS - self.delay_ms <= self.watermark
        return not self._idle_timeout_ms or self._idle or silent_ms < self._idle_timeout_ms

    def due_ms(self, timer_ms: int) -> int | None:
        """The ledger time at which silence would bring the watermark to `timer_ms`, or make the source idle."""
        if self._idle_advance_ms:
            needed = timer_ms + self.delay_ms
            return max(self._last_at + self._idle_advance_ms, needed + -needed % ADVANCE_MS)
        if self._idle_timeout_ms and not self._idle:
            return self._last_at + self._idle_timeout_ms
        return None


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Read from `SET`: durations in ms, 0 = off."""

    idle_timeout_ms: int = 0
    idle_advance_ms: int = 0


# JSON values of exactly this Python type need no check or conversion.
_EXACT: dict[Kind, type] = {
    Kind.STRING: str, Kind.BOOLEAN: bool, Kind.DOUBLE: float, Kind.TIMESTAMP: int, Kind.TIMESTAMP_LTZ: int,
}  # fmt: skip

Explode = Callable[[Mapping[str, Json]], Iterable[Mapping[str, Json]]]


class Source(Operator):
    """A declared table fed by records. With a primary key it is materialised as well."""

    def __init__(
        self, table: Table, topic: str, explode: Explode | None, settings: SourceSettings, state: State
    ) -> None:
        super().__init__(f"source/{table.name}", [each.type for each in table.fields])
        self.table = table
        self.topic = topic
        self._explode = explode
        self._rowtime = table.watermark.column if table.watermark else None
        self._exact = [_EXACT.get(each.type.kind) for each in table.fields]
        delay = table.watermark.delay_ms if table.watermark else 0
        self.clock = SourceClock(self.id, delay, settings.idle_timeout_ms, settings.idle_advance_ms, state)
        self.rows_table = (
            MaterialisedTable(f"table/{table.name}", table.fields, table.primary_key, (), state)
            if table.primary_key
            else None
        )

    def restore(self) -> None:
        self.clock.restore()

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        raise RuntimeError("a source is fed with records, see `read`")

    def read(
        self, records: Sequence[Incoming], silences: Sequence[tuple[int, int]], bury: Callable[[int, str], None]
    ) -> Batch:
        """Rows of `records` and marks. `silences`: (seq, at) where the ledger clock moved: the mark comes after that
        record. A record that does not decode goes to `bury(seq, reason)`."""
        out = Output(self.nothing)
        marks: list[tuple[int, int]] = []
        at_clock = iter(silences)
        moved = next(at_clock, None)
        for record in records:
            while moved is not None and moved[0] < record.seq:
                self._silence(marks, moved)
                moved = next(at_clock, None)
            try:
                rows = self._decode(record)
            except ValueError as error:
                bury(record.seq, str(error))
                continue
            for kind, row in rows:
                self._emit(out, marks, kind, row, record)
        while moved is not None:
            self._silence(marks, moved)
            moved = next(at_clock, None)
        self.clock.store()
        batch = out.batch(_NONE, _NONE)
        return batch.with_marks([mark[0] for mark in marks], [mark[1] for mark in marks])

    def _silence(self, marks: list[tuple[int, int]], moved: tuple[int, int]) -> None:
        mark = self.clock.silence(moved[1])
        if mark is not None:
            marks.append((moved[0], mark))

    def _emit(self, out: Output, marks: list[tuple[int, int]], kind: int, row: Row, record: Incoming) -> None:
        if self.rows_table is not None:
            self.rows_table.apply(out, kind, record.seq, row, record.at_ms)
        else:
            out.add(kind, record.seq, row)
        if self._rowtime is None:
            return
        time = row[self._rowtime]
        assert isinstance(time, int), "rows are stamped when decoded"
        mark = self.clock.row(time, record.at_ms)
        if mark is not None:
            marks.append((record.seq, mark))

    def _decode(self, record: Incoming) -> list[tuple[int, Row]]:
        if record.value is None:
            return self._deleted(record)
        value = msgspec.json.decode(record.value)
        if not isinstance(value, dict):
            raise ValueError("the record is not a JSON object")
        objects = [value] if self._explode is None else self._explode(value)
        return [self._row(each, record.at_ms) for each in objects]

    def _deleted(self, record: Incoming) -> list[tuple[int, Row]]:
        if self.rows_table is None or record.key is None:
            raise ValueError("a record without a value deletes by key, which needs a table with a PRIMARY KEY")
        names = msgspec.json.decode(record.key)
        key = tuple(coerce(names.get(self.table.names[at]), self.types[at]) for at in self.table.primary_key)
        stored = self.rows_table.get(key)
        return [(DELETE, stored)] if stored is not None else []

    def _row(self, value: Mapping[str, Json], at_ms: int) -> tuple[int, Row]:
        fields = self.table.fields
        stored: Row | None = None
        if self.rows_table is not None:
            key = tuple(coerce(value.get(fields[at].name), fields[at].type) for at in self.table.primary_key)
            if None in key:
                raise ValueError(f"the primary key {[fields[at].name for at in self.table.primary_key]} is missing")
            stored = self.rows_table.get(key)
        cells: list[Value] = []
        for index, field in enumerate(fields):
            given: Json = value.get(field.name)
            if type(given) is not self._exact[index]:
                given = self._cell(index, field, value, stored, at_ms)
            cells.append(given)
        row = tuple(cells)
        return (INSERT if stored is None else UPDATE_AFTER), row

    def _cell(self, index: int, field: Field, value: Mapping[str, Json], stored: Row | None, at_ms: int) -> Value:
        if field.name in value:
            made = coerce(value[field.name], field.type)
        elif index == self._rowtime:
            made = at_ms  # a row without its own time happened when it was admitted
        else:
            made = stored[index] if stored is not None else None
        if made is None and index == self._rowtime:
            raise ValueError(f"the time attribute {field.name} is NULL")
        if made is None and not field.nullable:
            raise ValueError(f"{field.name} is NOT NULL")
        return made


_NONE = Batch.of((), (), (), ()).mark_seq
