"""Columns and batches: what flows between operators.

A `Batch` is a run of change rows of one table in input order. Beside its columns it carries

* `kind`: +I, -U, +U or -D of each row,
* `seq`: the ordinal in the ledger of the input record that caused each row; never falls inside a batch,
* a watermark step function (`mark_seq`, `mark_wm`): after the rows with `seq <= mark_seq[i]` the watermark is
  `mark_wm[i]`. Steps outlive the rows that made them: a filter drops rows, never marks.

At one `seq` rows come before marks, as in Flink with a watermark after every record. How a run of records is cut into
batches is a scheduling choice: an operator's state and its output rows, in order, must not depend on it.

NULL: `valid[i]` is False (and an object column holds None there). `valid is None` means no NULL in the column.

A STRING or BYTES column may be held as places in a buffer (`TextColumn`, see `record.views`); its Python objects are
made when somebody asks for `values`. `Column.views()` gives places for either form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.record.types import Kind, Type
from nextpaint.record.views import Views

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
KindArray = npt.NDArray[np.int8]
AnyArray = npt.NDArray[Any]

INSERT, UPDATE_BEFORE, UPDATE_AFTER, DELETE = 0, 1, 2, 3
KIND_NAMES = ("+I", "-U", "+U", "-D")

MIN_WATERMARK = -(2**63)
MAX_WATERMARK = 2**63 - 1  # end of input: everything fires
IDLE = 2**63 - 2  # the source is silent: left out of the minimum until its next mark

Value = bool | int | float | str | bytes | Decimal | list[Any] | tuple[Any, ...] | dict[Any, Any] | None


@dataclass(slots=True)
class Column:
    """Values of one type, shape (rows,). See `record.types` for how each type is held. A value: never changed once made
    (a frozen dataclass would say so too, and costs three times as much to make)."""

    type: Type
    values: AnyArray
    valid: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, indices: AnyArray) -> Column:
        """Rows by index array or boolean mask."""
        valid = None if self.valid is None else self.valid[indices]
        return Column(self.type, self.values[indices], valid)

    def masked(self, valid: BoolArray) -> Column:
        """The same values, NULL where `valid` is False as well."""
        both = valid if self.valid is None else self.valid & valid
        if self.type.dtype.kind != "O":
            return Column(self.type, self.values, both)
        values = self.values.copy()
        values[~both] = None
        return Column(self.type, values, both)

    def typed(self, type_: Type) -> Column:
        """The same values under another type that holds them alike."""
        return Column(type_, self.values, self.valid)

    def to_list(self) -> list[Value]:
        """Python values, None for NULL."""
        values: list[Value] = self.values.tolist()
        if self.valid is None:
            return values
        return [value if ok else None for value, ok in zip(values, self.valid.tolist(), strict=True)]

    def views(self) -> Views:
        """Places of a STRING or BYTES column's values in a buffer; made from the objects if there are none yet."""
        return Views.of(self.values.tolist())

    @staticmethod
    def of(type_: Type, values: Sequence[Value]) -> Column:
        """A column from Python values; None is NULL."""
        valid = None
        whole: Sequence[Value] = values
        dtype = type_.dtype
        if None in values:
            valid = np.array([value is not None for value in values], np.bool_)
            if dtype.kind != "O":
                whole = [0 if value is None else value for value in values]
        if type_.is_nested:
            return Column(type_, _boxed(whole), valid)
        if dtype.kind == "O":
            held = np.empty(len(values), object)
            held[:] = whole
            return Column(type_, held, valid)
        return Column(type_, np.array(whole, dtype), valid)

    @staticmethod
    def concat(columns: Sequence[Column]) -> Column:
        """Columns of one type, end to end."""
        if len(columns) == 1:
            return columns[0]
        valid = None
        if any(column.valid is not None for column in columns):
            valid = np.concatenate(
                [np.ones(len(column), np.bool_) if column.valid is None else column.valid for column in columns]
            )
        if all(isinstance(column, TextColumn) for column in columns):
            return TextColumn(columns[0].type, Views.concat([column.views() for column in columns]), valid)
        decimals = [column.scaled for column in columns if isinstance(column, DecimalColumn)]
        if len(decimals) == len(columns):
            return DecimalColumn(columns[0].type, np.concatenate(decimals), valid)
        rows = [column for column in columns if isinstance(column, RowColumn)]
        if len(rows) == len(columns):
            length = sum(map(len, rows))
            return RowColumn(rows[0].type, length, lambda at: Column.concat([row.field(at) for row in rows]), valid)
        return Column(columns[0].type, np.concatenate([column.values for column in columns]), valid)


class TextColumn(Column):
    """A STRING or BYTES column held as places in a buffer; `values` are made on first use and kept."""

    __slots__ = ("_values", "_views")

    def __init__(self, type_: Type, views: Views, valid: BoolArray | None = None) -> None:
        self.type = type_
        self.valid = valid
        self._views = views
        self._values: AnyArray | None = None

    def __len__(self) -> int:
        return len(self._views.start)

    @property
    def values(self) -> AnyArray:
        """Python strings or bytes, None for NULL."""
        if self._values is None:
            cells: list[Any] = self._views.texts() if self.type.kind is Kind.STRING else self._views.raw()
            held = np.empty(len(cells), object)
            held[:] = cells
            if self.valid is not None:
                held[~self.valid] = None
            self._values = held
        return self._values

    @values.setter
    def values(self, values: AnyArray) -> None:
        raise AttributeError("a column is a value: make another")

    def views(self) -> Views:
        return self._views

    def take(self, indices: AnyArray) -> Column:
        valid = None if self.valid is None else self.valid[indices]
        return TextColumn(self.type, self._views.take(indices), valid)

    def masked(self, valid: BoolArray) -> Column:
        both = valid if self.valid is None else self.valid & valid
        return TextColumn(self.type, self._views.where(both), both)

    def typed(self, type_: Type) -> Column:
        return TextColumn(type_, self._views, self.valid)

    def to_list(self) -> list[Value]:
        made: list[Value] = self.values.tolist()
        return made

    def __repr__(self) -> str:
        return f"TextColumn({self.type}, {self.to_list()!r})"


class DecimalColumn(Column):
    """A DECIMAL column held as whole numbers of the last digit of its scale; `values`, Decimals, are made on first use
    and kept."""

    __slots__ = ("_values", "scaled")

    def __init__(self, type_: Type, scaled: AnyArray, valid: BoolArray | None = None) -> None:
        self.type = type_
        self.valid = valid
        self.scaled = scaled
        self._values: AnyArray | None = None

    def __len__(self) -> int:
        return len(self.scaled)

    @property
    def values(self) -> AnyArray:
        """Decimals with as many digits behind the point as the type says, None for NULL."""
        if self._values is None:
            places = -self.type.scale
            made = [Decimal(each).scaleb(places) for each in self.scaled.tolist()]
            held = np.fromiter(made, object, len(made))
            if self.valid is not None:
                held[~self.valid] = None
            self._values = held
        return self._values

    @values.setter
    def values(self, values: AnyArray) -> None:
        raise AttributeError("a column is a value: make another")

    def take(self, indices: AnyArray) -> Column:
        valid = None if self.valid is None else self.valid[indices]
        return DecimalColumn(self.type, self.scaled[indices], valid)

    def masked(self, valid: BoolArray) -> Column:
        return DecimalColumn(self.type, self.scaled, valid if self.valid is None else self.valid & valid)

    def typed(self, type_: Type) -> Column:
        if type_.scale == self.type.scale:
            return DecimalColumn(type_, self.scaled, self.valid)
        return Column(type_, self.values, self.valid)

    def to_list(self) -> list[Value]:
        made: list[Value] = self.values.tolist()
        return made

    def __repr__(self) -> str:
        return f"DecimalColumn({self.type}, {self.to_list()!r})"


def _boxed(values: Sequence[Value]) -> AnyArray:
    """An object array that holds lists and tuples as single cells (NumPy would make them dimensions)."""
    held = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        held[index] = value
    return held


class RowColumn(Column):
    """A ROW column held as one column per field, each made on first use by `make(field)`; `values`, tuples, too."""

    __slots__ = ("_fields", "_length", "_make", "_values")

    def __init__(self, type_: Type, length: int, make: Callable[[int], Column], valid: BoolArray | None) -> None:
        self.type = type_
        self.valid = valid
        self._length = length
        self._make = make
        self._fields: dict[int, Column] = {}
        self._values: AnyArray | None = None

    def __len__(self) -> int:
        return self._length

    def _held(self, index: int) -> Column:
        """A field's column, whose rows may hold anything where the row is NULL."""
        found = self._fields.get(index)
        if found is None:
            found = self._fields[index] = self._make(index)
        return found

    def field(self, index: int) -> Column:
        """A field of every row; NULL where the row is."""
        column = self._held(index)
        return column if self.valid is None else column.masked(self.valid)

    @property
    def values(self) -> AnyArray:
        """Tuples, None for NULL."""
        if self._values is None:
            fields = [self._held(index).to_list() for index in range(len(self.type.fields))]
            rows: list[Any] = list(zip(*fields, strict=True))
            if self.valid is not None:
                rows = [row if ok else None for row, ok in zip(rows, self.valid.tolist(), strict=True)]
            self._values = _boxed(rows)
        return self._values

    @values.setter
    def values(self, values: AnyArray) -> None:
        raise AttributeError("a column is a value: make another")

    def take(self, indices: AnyArray) -> Column:
        valid = None if self.valid is None else self.valid[indices]
        length = int(np.count_nonzero(indices)) if indices.dtype == np.bool_ else len(indices)
        return RowColumn(self.type, length, lambda index: self._held(index).take(indices), valid)

    def masked(self, valid: BoolArray) -> Column:
        return RowColumn(self.type, self._length, self._held, valid if self.valid is None else self.valid & valid)

    def typed(self, type_: Type) -> Column:
        return RowColumn(type_, self._length, self._held, self.valid)

    def to_list(self) -> list[Value]:
        made: list[Value] = self.values.tolist()
        return made


_NO_MARKS: IntArray = np.empty(0, np.int64)
_NO_MARKS.setflags(write=False)


def _no_marks() -> IntArray:
    return _NO_MARKS


@dataclass(slots=True)
class Batch:
    """Change rows with their hidden columns; see the module's docstring for the invariants. A value, as `Column` is."""

    columns: tuple[Column, ...]
    kind: KindArray
    seq: IntArray
    mark_seq: IntArray = field(default_factory=_no_marks)
    mark_wm: IntArray = field(default_factory=_no_marks)

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, indices: AnyArray) -> Batch:
        """The rows at `indices` (which must keep input order), with all marks."""
        if indices.dtype == np.bool_:
            indices = indices.nonzero()[0]  # once, not once a column
        return Batch(
            tuple(column.take(indices) for column in self.columns),
            self.kind[indices],
            self.seq[indices],
            self.mark_seq,
            self.mark_wm,
        )

    def with_columns(self, columns: Iterable[Column]) -> Batch:
        """The same rows and marks under other columns."""
        return Batch(tuple(columns), self.kind, self.seq, self.mark_seq, self.mark_wm)

    def rows(self) -> list[tuple[Value, ...]]:
        """Rows as Python tuples, in order."""
        if not self.columns:
            return [()] * len(self)
        return list(zip(*(column.to_list() for column in self.columns), strict=True))

    @staticmethod
    def of(types: Sequence[Type], rows: Sequence[Sequence[Value]], seq: Sequence[int], kind: Sequence[int]) -> Batch:
        """A batch of Python rows without marks."""
        columns = tuple(Column.of(each, [line[index] for line in rows]) for index, each in enumerate(types))
        return Batch(columns, np.array(kind, np.int8), np.array(seq, np.int64))

    @property
    def types(self) -> tuple[Type, ...]:
        return tuple(column.type for column in self.columns)

    def until(self, seq: int) -> Batch:
        """The rows and marks up to and with this seq."""
        rows = int(np.searchsorted(self.seq, seq, side="right"))
        marks = int(np.searchsorted(self.mark_seq, seq, side="right"))
        kept = self if rows == len(self) else self.take(np.arange(rows))
        return kept if marks == len(self.mark_seq) else kept.marked(self.mark_seq[:marks], self.mark_wm[:marks])

    def marked(self, mark_seq: IntArray, mark_wm: IntArray) -> Batch:
        """The same rows under other marks."""
        return Batch(self.columns, self.kind, self.seq, mark_seq, mark_wm)

    def with_marks(self, seqs: Sequence[int], watermarks: Sequence[int]) -> Batch:
        if not seqs:
            return self.marked(_NO_MARKS, _NO_MARKS)
        return self.marked(np.array(seqs, np.int64), np.array(watermarks, np.int64))
