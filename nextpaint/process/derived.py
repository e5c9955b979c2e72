"""Columns a source works out for itself: metadata of the record, and computed columns.

Metadata comes first, since computed columns may read it. A computed column that fails buries its record, as a value
that does not decode does.
"""

from __future__ import annotations

from typing import NamedTuple

from nextpaint.process.functions.compile import compile_row
from nextpaint.record.columns import Value
from nextpaint.sql.program import Table


class Carried(NamedTuple):
    """One record on its way to a source."""

    topic: str
    seq: int
    at_ms: int
    key: bytes | None
    value: bytes | None


class DerivedColumns:
    """`places`: the columns that take no value from the record's own value."""

    def __init__(self, table: Table) -> None:
        self._rowtime = table.watermark.column if table.watermark else None
        self._names = table.names
        self._metadata = [(index, key, compile_row(cast)) for index, key, cast in table.metadata]
        self._computed = [(index, compile_row(expr)) for index, expr in table.computed]
        self.places = frozenset([index for index, _, _ in table.metadata] + [index for index, _ in table.computed])

    def __bool__(self) -> bool:
        return bool(self.places)

    def fill(self, cells: list[Value], record: Carried) -> None:
        """Put the derived values into a row's cells. Raises ValueError with the reason when one cannot be had."""
        carried: dict[str, Value] = {
            "topic": record.topic,
            "partition": 0,
            "offset": record.seq,
            "timestamp": record.at_ms,
            "key": record.key,
        }
        for index, key, cast in self._metadata:
            cells[index] = cast((carried[key],), record.at_ms)
        row = tuple(cells)
        for index, compute in self._computed:
            cells[index] = compute(row, record.at_ms)
        if self._rowtime in self.places and cells[self._rowtime] is None:
            raise ValueError(f"the time attribute {self._names[self._rowtime]} is NULL")
