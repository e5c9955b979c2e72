"""What one evaluation reads, what its parts exchange, and how rows that fail are kept.

Inside this package a value in flight is `Held`: (values, valid) of one column, without its type, which is known when
the expression is compiled. `valid is None` means no NULL; a row that is not valid holds None in an object array and
anything in another. Nothing here changes an array it was given.

A row whose expression fails gets NULL and an entry in `Failures`; evaluation of the other rows goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from nextpaint.record.columns import AnyArray, BoolArray, Column, IntArray, TextColumn, Value
from nextpaint.record.types import Kind, Type
from nextpaint.record.views import Views

Held = tuple[AnyArray, BoolArray | None]

_MANY = 64  # rows among which it is worth looking for texts that repeat


class Scaled(NamedTuple):
    """Values of a DECIMAL or integer type as whole numbers of the last digit of its scale; none is larger than `bound`.
    Of a constant one value."""

    values: AnyArray
    valid: BoolArray | None
    bound: int


class Failed(Exception):
    """A function cannot give a value for one row; the message is the reason. Never leaves this package."""


class Failures:
    """Rows whose expression failed: row number in the batch -> first reason. One for all expressions over a batch."""

    __slots__ = ("rows",)

    def __init__(self) -> None:
        self.rows: dict[int, str] = {}

    def add(self, row: int, reason: str) -> None:
        self.rows.setdefault(row, reason)

    def __len__(self) -> int:
        return len(self.rows)


class Evaluation:
    """The rows an expression is evaluated over.

    `at_ms` is the ledger's clock (CURRENT_TIMESTAMP, PROCTIME): one number, or one per row, shape (length,).
    `rows` gives the row numbers under which failures are reported; None means 0..length-1.
    """

    __slots__ = ("at_ms", "columns", "failures", "length", "rows")

    def __init__(
        self,
        columns: tuple[Column, ...],
        length: int,
        at_ms: int | IntArray = 0,
        failures: Failures | None = None,
        rows: IntArray | None = None,
    ) -> None:
        self.columns = columns
        self.length = length
        self.at_ms = at_ms
        self.failures = Failures() if failures is None else failures
        self.rows = rows

    def take(self, indices: IntArray, reads: Iterable[int] | None = None) -> Evaluation:
        """The rows at `indices`, under their original row numbers. `reads`: the only columns that will be read (the
        others are left as they are, at their old length)."""
        columns = list(self.columns)
        for index in range(len(columns)) if reads is None else reads:
            columns[index] = columns[index].take(indices)
        return Evaluation(
            tuple(columns),
            len(indices),
            self.at_ms if isinstance(self.at_ms, int) else self.at_ms[indices],
            self.failures,
            indices if self.rows is None else self.rows[indices],
        )

    def fail(self, row: int, reason: str) -> None:
        """Row `row` of this evaluation failed."""
        self.failures.add(row if self.rows is None else int(self.rows[row]), reason)


Kernel = Callable[[Evaluation], Held]
Evaluator = Callable[[Evaluation], Column]


@dataclass(frozen=True, slots=True)
class Operand:
    """A compiled expression. `reads`: the input columns it needs. `fallible`: some row of it may fail, so it must not
    be evaluated for rows that do not reach it. `warns`: its floating point may overflow or divide by zero, which is
    a value in SQL and a warning in NumPy. `constant`: the same `value` for every row."""

    type: Type
    run: Kernel
    reads: frozenset[int] = frozenset()
    fallible: bool = False
    warns: bool = False
    constant: bool = False
    value: Value = field(default=None, compare=False)
    column: Evaluator | None = field(default=None, compare=False)  # where it is a column or a field of one
    scaled: Callable[[Evaluation], Scaled | None] | None = field(default=None, compare=False)  # see `scaled.py`

    @property
    def is_null(self) -> bool:
        return self.constant and self.value is None

    def lane(self) -> Kernel:
        """Like `run`, but a constant is held once, shape (1,), for operations that broadcast."""
        if not self.constant or self.value is None:
            return self.run
        held = (filled(self.type, self.value, 1), None)
        return lambda ev: held


def filled(type_: Type, value: Value, length: int) -> AnyArray:
    """`length` times `value` (not None)."""
    values = np.empty(length, type_.dtype)
    if isinstance(value, list | tuple):
        for index in range(length):
            values[index] = value
    else:
        values.fill(value)
    return values


def nulls(type_: Type, length: int) -> Held:
    """`length` NULLs."""
    values = np.full(length, None, object) if type_.dtype == object else np.zeros(length, type_.dtype)
    return values, np.zeros(length, np.bool_)


def constant(type_: Type, value: Value) -> Operand:
    """The operand of a literal."""
    column = _one_text(type_, value) if type_.kind is Kind.STRING else None
    if value is None:
        return Operand(type_, lambda ev: nulls(type_, ev.length), constant=True, column=column)
    return Operand(type_, lambda ev: (filled(type_, value, ev.length), None), constant=True, value=value, column=column)


def _one_text(type_: Type, value: Value) -> Evaluator | None:
    """A column whose rows are all one place."""
    try:
        text = np.frombuffer(str("" if value is None else value).encode(), np.uint8)
    except UnicodeEncodeError:  # half a pair, which is no text in a buffer
        return None

    def column(ev: Evaluation) -> Column:
        views = Views(text, np.zeros(ev.length, np.int64), np.full(ev.length, len(text), np.int32))
        return TextColumn(type_, views, np.zeros(ev.length, np.bool_) if value is None else None)

    return column


# A NumPy bool is one byte, 0 or 1: searching the bytes is several times cheaper than any()/all() on small arrays.


def some(mask: BoolArray) -> bool:
    """Whether any row is set."""
    return b"\1" in mask.tobytes()


def every(mask: BoolArray) -> bool:
    """Whether all rows are set."""
    return b"\0" not in mask.tobytes()


def both(left: BoolArray | None, right: BoolArray | None) -> BoolArray | None:
    """Valid where both are."""
    if left is None:
        return right
    return left if right is None else left & right


def hold(type_: Type, cells: Sequence[Value]) -> Held:
    """Python values, None for NULL, as an array and its validity."""
    length = len(cells)
    if None not in cells:
        return np.fromiter(cells, type_.dtype, length), None
    valid = np.fromiter([cell is not None for cell in cells], np.bool_, length)
    if type_.dtype == object:
        return np.fromiter(cells, object, length), valid
    return np.fromiter([0 if cell is None else cell for cell in cells], type_.dtype, length), valid


def cells_of(held: Held) -> list[Any]:
    """Python values, None for NULL."""
    values, valid = held
    cells: list[Any] = values.tolist()
    if valid is None or values.dtype == object:
        return cells
    return [cell if ok else None for cell, ok in zip(cells, valid.tolist(), strict=True)]


def lift(type_: Type, function: Callable[..., Any], operands: Sequence[Operand]) -> Kernel:
    """`function` over Python values, row by row; where texts repeat, text by text. NULL in, NULL out; it may return
    None for NULL and raise `Failed`."""
    if any(operand.is_null for operand in operands):
        return lambda ev: nulls(type_, ev.length)
    if len(operands) == 1 or (operands and all(operand.constant for operand in operands[1:])):
        rest = [operand.value for operand in operands[1:]]
        one = (lambda cell: function(cell, *rest)) if rest else function
        return _lift_one(type_, one, operands[0])
    return _lift_many(type_, function, operands)


def _lift_one(type_: Type, one: Callable[[Any], Any], operand: Operand) -> Kernel:
    run = operand.run
    repeats = operand.type.kind is Kind.STRING and not type_.is_nested

    def kernel(ev: Evaluation) -> Held:
        held = run(ev)
        cells = cells_of(held)
        try:
            if repeats and len(cells) >= _MANY and len(distinct := set(cells)) * 2 <= len(cells):
                known = {cell: None if cell is None else one(cell) for cell in distinct}
                return hold(type_, [known[cell] for cell in cells])
            if held[1] is None:
                return hold(type_, [one(cell) for cell in cells])
            return hold(type_, [None if cell is None else one(cell) for cell in cells])
        except Failed:
            return hold(type_, [_guarded(ev, row, one, (cell,)) for row, cell in enumerate(cells)])

    return kernel


def _lift_many(type_: Type, function: Callable[..., Any], operands: Sequence[Operand]) -> Kernel:
    sources = [(operand.run, operand.constant, operand.value) for operand in operands]

    def kernel(ev: Evaluation) -> Held:
        columns = [repeat(value, ev.length) if fixed else cells_of(run(ev)) for run, fixed, value in sources]
        lines = list(zip(*columns, strict=True))
        try:
            return hold(type_, [None if None in line else function(*line) for line in lines])
        except Failed:
            return hold(type_, [_guarded(ev, row, function, line) for row, line in enumerate(lines)])

    return kernel


def _guarded(ev: Evaluation, row: int, function: Callable[..., Any], line: tuple[Any, ...]) -> Any:
    """One row of a batch in which some row failed."""
    if None in line:
        return None
    try:
        return function(*line)
    except Failed as failed:
        ev.fail(row, str(failed))
        return None


def fail_where(ev: Evaluation, bad: BoolArray, valid: BoolArray | None, reason: str) -> BoolArray:
    """Fail the rows of `bad` that are not NULL already; the validity without them."""
    if valid is not None:
        bad = bad & valid
    for row in bad.nonzero()[0].tolist():
        ev.fail(row, reason)
    return ~bad if valid is None else valid & ~bad


def made(
    type_: Type, run: Kernel, operands: Sequence[Operand], *, fallible: bool = False, warns: bool = False
) -> Operand:
    """The operand of a function over `operands`."""
    return Operand(
        type_,
        run,
        frozenset().union(*[operand.reads for operand in operands]),
        fallible or any([operand.fallible for operand in operands]),
        warns or any([operand.warns for operand in operands]),
    )


def lanes(operands: Sequence[Operand]) -> list[Kernel]:
    """Kernels whose results broadcast against each other to the length of the batch."""
    if all(operand.constant for operand in operands):
        return [operand.run for operand in operands]
    return [operand.lane() for operand in operands]
