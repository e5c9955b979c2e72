"""Which decoder reads the records of a table, and which bytes a row that comes in as JSON becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from nextpaint.process.avro_decoding import AvroDecoder, ConfluentDecoder
from nextpaint.process.avro_values import encoded
from nextpaint.process.coercion import coerce
from nextpaint.process.decoding import Decoded, JsonDecoder
from nextpaint.record.columns import IntArray, Value
from nextpaint.record.types import Type
from nextpaint.record.views import ByteArray
from nextpaint.sql.formats import AVRO, IMAGES, JSON, value_format
from nextpaint.sql.program import Table


class RecordDecoder(Protocol):
    """Records as columns, and one by itself: `record` gives its fields, `cell` makes a column's value of one."""

    def decode(self, buffer: ByteArray, start: IntArray, length: npt.NDArray[np.int32]) -> Decoded: ...

    def record(self, data: bytes) -> Any: ...

    def cell(self, value: Any, type_: Type) -> Value: ...


def decoder_of(table: Table) -> RecordDecoder:
    """The decoder of a checked table's values."""
    form = value_format(table)
    if form.name in (JSON, IMAGES):
        return JsonDecoder(table.fields)
    if form.name == AVRO:
        return AvroDecoder(table.fields, form.schemas[0])
    return ConfluentDecoder(table.fields, form.schemas)


def writer_of(table: Table) -> Callable[[Mapping[str, Any]], bytes]:
    """What makes the bytes of a record from a row of JSON values. What it makes raises ValueError."""
    form = value_format(table)
    if form.name in (JSON, IMAGES):
        return _compact
    schema, fields = form.schemas.get(0) if form.name == AVRO else None, {each.name: each for each in table.fields}

    def write(row: Mapping[str, Any]) -> bytes:
        if schema is None:
            raise ValueError(f"records of {table.name} come from those who write its schemas, not as JSON")
        cells = {}
        for name, _ in schema.fields:
            cells[name] = coerce(row.get(name), fields[name].type)
            if cells[name] is None and not fields[name].nullable:
                raise ValueError(f"{name} is NOT NULL")
        return encoded(cells, schema)

    return write


_compact = msgspec.json.Encoder().encode
