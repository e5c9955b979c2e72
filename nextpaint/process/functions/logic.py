"""Three-valued logic, tests for NULL, and the conditional expressions.

AND, OR, CASE, COALESCE and IF evaluate a part only for the rows that reach it: `b <> 0 AND a / b > 1` never divides by
zero. A part that cannot fail may be evaluated for all rows where that is cheaper.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator

import numpy as np

from nextpaint.process.functions.casts import widen
from nextpaint.process.functions.comparisons import between_parts, comparison
from nextpaint.process.functions.evaluation import (
    Evaluation,
    Held,
    Kernel,
    Operand,
    constant,
    every,
    fail_where,
    made,
    some,
)
from nextpaint.process.functions.text_places import FEW, chosen, column_of, with_column
from nextpaint.record.columns import BoolArray, Column, IntArray
from nextpaint.record.types import BOOLEAN, Kind, Type
from nextpaint.sql.plan import Call

_Builder = Callable[[Call, tuple[Operand, ...]], Operand]


def true_rows(held: Held) -> BoolArray:
    """Where a BOOLEAN is TRUE: not FALSE and not NULL."""
    values, valid = held
    return values if valid is None else values & valid


# ---------------------------------------------------------------- AND, OR, NOT


def conjunction(parts: tuple[Operand, ...]) -> Operand:
    """AND of all parts."""
    return made(BOOLEAN, _connective([_boolean(part) for part in parts], deciding=False), parts)


def disjunction(parts: tuple[Operand, ...]) -> Operand:
    """OR of all parts."""
    return made(BOOLEAN, _connective([_boolean(part) for part in parts], deciding=True), parts)


def _boolean(part: Operand) -> Operand:
    return widen(part, BOOLEAN)


def _connective(parts: list[Operand], *, deciding: bool) -> Kernel:
    """AND (decided by a FALSE) or OR (decided by a TRUE), left to right."""

    def kernel(ev: Evaluation) -> Held:
        held = parts[0].run(ev)
        for part in parts[1:]:
            values, valid = held
            open_rows = ~values if deciding else values  # those that the parts so far do not decide
            if valid is not None:
                open_rows = open_rows | ~valid
            if not some(open_rows):
                return held
            if part.fallible and not every(open_rows):
                held = _continued(ev, part, held, open_rows.nonzero()[0], deciding)
            else:
                held = _joined(held, part.run(ev), deciding)
        return held

    return kernel


def _continued(ev: Evaluation, part: Operand, held: Held, rows: IntArray, deciding: bool) -> Held:
    """`held` joined with `part`, which is evaluated on `rows` only: the others are decided."""
    values, valid = held
    old = (values[rows], None if valid is None else valid[rows])
    new_values, new_valid = _joined(old, part.run(ev.take(rows, part.reads)), deciding)
    values = values.copy()
    values[rows] = new_values
    if valid is None and new_valid is None:
        return values, None
    valid = np.ones(ev.length, np.bool_) if valid is None else valid.copy()
    valid[rows] = True if new_valid is None else new_valid
    return values, valid


def _joined(left: Held, right: Held, deciding: bool) -> Held:
    x, x_valid = left
    y, y_valid = right
    if x_valid is None and y_valid is None:
        return (x | y if deciding else x & y), None
    x_true, y_true = true_rows(left), true_rows(right)
    x_false = ~x if x_valid is None else x_valid & ~x
    y_false = ~y if y_valid is None else y_valid & ~y
    if deciding:
        true = x_true | y_true
        return true, true | (x_false & y_false)
    true = x_true & y_true
    return true, true | x_false | y_false


def build_and(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """AND, of two or more."""
    return conjunction(operands)


def build_or(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """OR, of two or more."""
    return disjunction(operands)


def build_between(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """BETWEEN: (x, low, high)."""
    return conjunction(between_parts(operands))


def build_not(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """NOT."""
    run = _boolean(operands[0]).run

    def kernel(ev: Evaluation) -> Held:
        values, valid = run(ev)
        return ~values, valid

    return made(BOOLEAN, kernel, operands)


# ---------------------------------------------------------------- tests


def _test(decide: Callable[[Held], BoolArray]) -> _Builder:
    """Builder of a test that is never NULL."""

    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        run = operands[0].run
        return made(BOOLEAN, lambda ev: (decide(run(ev)), None), operands)

    return build


def _is_null(held: Held) -> BoolArray:
    return np.zeros(len(held[0]), np.bool_) if held[1] is None else ~held[1]


def _is_not_null(held: Held) -> BoolArray:
    return np.ones(len(held[0]), np.bool_) if held[1] is None else held[1]


def _is_false(held: Held) -> BoolArray:
    return ~held[0] if held[1] is None else held[1] & ~held[0]


build_is_null = _test(_is_null)
build_is_not_null = _test(_is_not_null)
build_is_true = _test(true_rows)
build_is_not_true = _test(lambda held: ~true_rows(held))
build_is_false = _test(_is_false)
build_is_not_false = _test(lambda held: ~_is_false(held))


# ---------------------------------------------------------------- conditionals


def case(type_: Type, whens: list[Operand], thens: list[Operand], default: Operand) -> Operand:
    """CASE: `thens[i]` of the first `whens[i]` that is TRUE, else `default`."""
    thens = [widen(each, type_) for each in thens]
    default = widen(default, type_)
    whens = [_boolean(each) for each in whens]

    def kernel(ev: Evaluation) -> Held:
        result = _Merge(type_, ev.length)
        for rows, operand, part in _branches(ev, whens, thens, default):
            held = operand.run(part)
            if rows is None:
                return held
            result.put(rows, held)
        return result.values, result.valid

    operand = made(type_, kernel, [*whens, *thens, default])
    if type_.kind is not Kind.STRING:
        return operand

    def column(ev: Evaluation) -> Column | None:
        if ev.length < FEW:
            return None
        return chosen(
            type_,
            ev.length,
            [(rows, column_of(each, part)) for rows, each, part in _branches(ev, whens, thens, default)],
        )

    return with_column(operand, column)


def _branches(
    ev: Evaluation, whens: list[Operand], thens: list[Operand], default: Operand
) -> Iterator[tuple[IntArray | None, Operand, Evaluation]]:
    """Rows of `ev` (None: all), the operand that gives their values, and those rows; no row twice, all of them once."""
    left, rows = ev, None  # the rows no branch has taken yet, and their places in `ev`
    for when, then in zip(whens, thens, strict=True):
        taken = true_rows(when.run(left))
        if not some(taken):
            continue
        if every(taken):
            yield rows, then, left
            return
        found = taken.nonzero()[0]
        yield (found if rows is None else rows[found]), then, left.take(found, then.reads)
        others = (~taken).nonzero()[0]
        rows = others if rows is None else rows[others]
        left = left.take(others)
    yield rows, default, left


class _Merge:
    """A result put together from rows of several branches."""

    __slots__ = ("valid", "values")

    def __init__(self, type_: Type, length: int) -> None:
        self.values = np.empty(length, type_.dtype)
        self.valid: BoolArray | None = None

    def put(self, rows: IntArray, held: Held) -> None:
        self.values[rows] = held[0]
        if held[1] is not None:
            if self.valid is None:
                self.valid = np.ones(len(self.values), np.bool_)
            self.valid[rows] = held[1]


def build_case(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """Arguments: when, then, when, then, ..., and the ELSE if there is one."""
    pairs = len(operands) // 2
    default = operands[-1] if len(operands) % 2 else constant(call.type, None)
    whens = [operands[2 * index] for index in range(pairs)]
    return case(call.type, whens, [operands[2 * index + 1] for index in range(pairs)], default)


def build_if(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """IF: (condition, then, else); a NULL condition takes the else."""
    return case(call.type, [operands[0]], [operands[1]], operands[2])


def build_nullif(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """NULLIF: (a, b) is NULL where a = b, else a."""
    equal = comparison(operator.eq, operands[0], operands[1])
    return case(call.type, [equal], [constant(call.type, None)], operands[0])


def build_coalesce(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """COALESCE: the first that is not NULL."""
    parts = [widen(each, call.type) for each in operands if not each.is_null]
    if not parts:
        return constant(call.type, None)

    def kernel(ev: Evaluation) -> Held:
        values, valid = parts[0].run(ev)
        for part in parts[1:]:
            if valid is None or every(valid):
                return values, None
            if not some(valid):
                values, valid = part.run(ev)
                continue
            rows = (~valid).nonzero()[0]
            more, more_valid = part.run(ev.take(rows, part.reads))
            values, valid = values.copy(), valid.copy()
            values[rows] = more
            valid[rows] = True if more_valid is None else more_valid
        return values, valid

    return made(call.type, kernel, parts)


def build_only(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """ONLY: (value, number of rows): the value of the one row; more than one fail the row."""
    run, count = operands[0].run, operands[1].run

    def kernel(ev: Evaluation) -> Held:
        values, valid = run(ev)
        several = np.asarray(count(ev)[0]) > 1
        one = fail_where(ev, several, None, "a query as a value gives more than one row")
        return values, one if valid is None else valid & one

    return made(call.type, kernel, operands, fallible=True)


def build_require(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """REQUIRE: the value; a NULL fails its row. Option column: whose constraint it is."""
    column = str(dict(call.options)["column"])
    run = operands[0].run

    def kernel(ev: Evaluation) -> Held:
        values, valid = run(ev)
        if valid is None:
            return values, None
        return values, fail_where(ev, ~valid, None, f"{column} is NOT NULL and gets a NULL") & valid

    return made(call.type, kernel, operands, fallible=True)
