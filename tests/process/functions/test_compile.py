"""Compiling: what is refused, folded, reported; and a column equals its rows one by one."""

import struct
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.process.functions.compile import (
    FUNCTIONS,
    Evaluation,
    Failures,
    compile_expr,
    compile_row,
    evaluate_row,
    predicate,
)
from nextpaint.record.columns import Column
from nextpaint.record.errors import ApplicationError
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, FLOAT, INT, STRING, TIMESTAMP, decimal
from nextpaint.sql.plan import At, Call, ColumnRef, Literal


def test_an_unknown_function_is_refused_with_its_place():
    call = Call(INT, "NO_SUCH", (), at=At("app.sql", 3, 8))
    with pytest.raises(ApplicationError, match=r"app.sql:3:8: error: the function NO_SUCH is not known"):
        compile_expr(call)


def test_the_set_of_functions_is_closed():
    assert all(name == name.upper() for name in FUNCTIONS)
    assert len(FUNCTIONS) > 100


def test_constant_parts_are_computed_once(monkeypatch):
    calls = []
    monkeypatch.setitem(FUNCTIONS, "UPPER", lambda call, operands: calls.append(1) or upper(call, operands))
    from nextpaint.process.functions.strings import FUNCTIONS as strings

    upper = strings["UPPER"]
    evaluate = compile_expr(
        Call(BOOLEAN, "=", (ColumnRef(STRING, 0, "s"), Call(STRING, "UPPER", (Literal(STRING, "x"),))))
    )
    assert evaluate(Evaluation((Column.of(STRING, ["X", "x"]),), 2)).to_list() == [True, False]
    assert calls == [1]


def test_a_constant_part_that_fails_fails_the_rows_that_reach_it():
    one_over_zero = Call(INT, "/", (Literal(INT, 1), Literal(INT, 0)))
    failures = Failures()
    assert compile_expr(one_over_zero)(Evaluation((), 2, 0, failures)).to_list() == [None, None]
    assert failures.rows == {0: "division by zero", 1: "division by zero"}
    guarded = Call(INT, "IF", (ColumnRef(BOOLEAN, 0, "b"), one_over_zero, Literal(INT, 5)))
    ev = Evaluation((Column.of(BOOLEAN, [False, True]),), 2)
    assert compile_expr(guarded)(ev).to_list() == [5, None]
    assert ev.failures.rows == {1: "division by zero"}


def test_a_column_is_handed_through_as_it_is():
    column = Column.of(STRING, ["a", None])
    assert compile_expr(ColumnRef(STRING, 0, "s"))(Evaluation((column,), 2)) is column


def test_inputs_are_never_changed():
    values = np.array([1, 2, 3])
    values.flags.writeable = False
    valid = np.array([True, False, True])
    valid.flags.writeable = False
    x = ColumnRef(INT, 0, "x")
    one = Literal(INT, 1)
    for call in (
        Call(INT, "/", (x, Call(INT, "-", (x, one)))),
        Call(INT, "COALESCE", (x, one)),
        Call(BOOLEAN, "OR", (Call(BOOLEAN, "IS NULL", (x,)), Call(BOOLEAN, ">", (Call(INT, "/", (one, x)), one)))),
        Call(INT, "CASE", (Call(BOOLEAN, ">", (x, one)), x, one)),
    ):
        compile_expr(call)(Evaluation((Column(INT, values, valid),), 3))


def test_one_row_of_python_values():
    a, b = ColumnRef(STRING, 0, "a"), ColumnRef(DOUBLE, 3, "b")
    condition = Call(
        BOOLEAN, "AND", (Call(BOOLEAN, "=", (a, Literal(STRING, "x"))), Call(BOOLEAN, ">", (b, Literal(INT, 2))))
    )
    check = compile_row(condition)
    assert check(("x", None, None, 2.5), 0) is True
    assert check(("x", object(), None, None), 0) is None
    assert check(("y", None, None, None), 0) is False
    assert evaluate_row(Call(TIMESTAMP, "CURRENT_TIMESTAMP", ()), (), at_ms=7) == 7
    with pytest.raises(ValueError, match="division by zero"):
        evaluate_row(Call(INT, "/", (Literal(INT, 1), ColumnRef(INT, 0, "n"))), (0,))


def test_batches_of_any_length():
    expr = Call(STRING, "||", (ColumnRef(STRING, 0, "s"), Literal(STRING, "!")))
    for length in (0, 1, 7, 10_000):
        column = Column.of(STRING, ["a"] * length)
        assert compile_expr(expr)(Evaluation((column,), length)).to_list() == ["a!"] * length


# ---------------------------------------------------------------- random expressions

CELLS = {
    INT: st.sampled_from([0, 1, -1, 2, 7, -7, 2**31 - 1, -(2**31)]),
    BIGINT: st.sampled_from([0, 1, -1, 10**18, 2**63 - 1, -(2**63)]),
    FLOAT: st.sampled_from([0.0, 1.5, -2.5, 3.0000000054977558e38]),
    DOUBLE: st.sampled_from([0.0, -0.0, 1.5, -2.5, 1e308, float("inf"), float("nan"), 0.1]),
    decimal(10, 2): st.sampled_from([Decimal("0.00"), Decimal("1.50"), Decimal("-99999999.99")]),
    STRING: st.sampled_from(["", "a", "12", "1.5", "view", '{"a":1}', "2024-01-31 10:20:30", "é", "x,y"]),
    BOOLEAN: st.booleans(),
    TIMESTAMP: st.sampled_from([0, -1, 1_706_696_430_456, 951_782_400_000]),
}
TYPES = list(CELLS)
NUMBERS = [INT, BIGINT, DOUBLE, decimal(10, 2)]


def leaf(type_):
    cell = st.none() | CELLS[type_]
    refs = st.just(ColumnRef(type_, TYPES.index(type_), "c"))
    return refs | refs | cell.map(lambda value: Literal(type_, value))


def call(type_, function, *arguments, **options):
    return st.tuples(*arguments).map(lambda args: Call(type_, function, args, tuple(options.items())))


@st.composite
def expressions(draw, type_, depth=3):
    if depth == 0:
        return draw(leaf(type_))

    def sub(kind):
        return expressions(kind, depth - 1)

    choices = [
        leaf(type_),
        call(type_, "CASE", sub(BOOLEAN), sub(type_), sub(BOOLEAN), sub(type_), sub(type_)),
        call(type_, "COALESCE", sub(type_), sub(type_)),
        call(type_, "IF", sub(BOOLEAN), sub(type_), sub(type_)),
        call(type_, "NULLIF", sub(type_), sub(type_)),
    ]
    if type_.is_numeric:
        choices += [call(type_, name, sub(type_), sub(type_)) for name in "+-*/%"]
        choices += [call(type_, "ABS", sub(type_)), call(type_, "-", sub(type_)), call(type_, "ROUND", sub(type_))]
        choices += [call(type_, "GREATEST", sub(type_), sub(type_))]
        choices += [call(type_, name, sub(STRING)) for name in ("CAST", "TRY_CAST")]
        choices += [call(type_, "CAST", sub(kind)) for kind in NUMBERS]
    if type_ == INT:
        choices += [call(type_, "CHAR_LENGTH", sub(STRING)), call(type_, "JSON_VALUE", sub(STRING), path="$.a")]
        choices += [call(type_, "TIMESTAMPDIFF", sub(TIMESTAMP), sub(TIMESTAMP), unit="MONTH")]
    if type_ == DOUBLE:
        choices += [call(type_, name, sub(DOUBLE)) for name in ("EXP", "LN", "SQRT")]
        choices += [call(type_, "POWER", sub(DOUBLE), sub(DOUBLE))]
    if type_ == STRING:
        choices += [call(type_, "||", sub(STRING), sub(STRING)), call(type_, "UPPER", sub(STRING))]
        choices += [
            call(type_, "SUBSTRING", sub(STRING), sub(INT)),
            call(type_, "SPLIT_INDEX", sub(STRING), sub(STRING), sub(INT)),
        ]
        choices += [call(type_, "CONCAT_WS", sub(STRING), sub(STRING), sub(STRING))]
        choices += [call(type_, "JSON_VALUE", sub(STRING), path="$.a", on_error="ERROR")]
        choices += [call(type_, "CAST", sub(kind)) for kind in (INT, DOUBLE, FLOAT, BOOLEAN, TIMESTAMP, decimal(10, 2))]
    if type_ == TIMESTAMP:
        choices += [call(type_, "FLOOR_TIME", sub(TIMESTAMP), unit="WEEK"), call(type_, "TO_TIMESTAMP", sub(STRING))]
        choices += [
            call(type_, "CAST", sub(STRING)),
            call(type_, "TIMESTAMPADD", leaf(INT), sub(TIMESTAMP), unit="MONTH"),
        ]
    if type_ == BOOLEAN:
        kind = draw(st.sampled_from(TYPES))
        other = draw(st.sampled_from(NUMBERS)) if kind in NUMBERS else kind
        choices += [call(type_, name, sub(kind), sub(other)) for name in ("=", "<>", "<", ">=", "IS DISTINCT FROM")]
        choices += [call(type_, name, sub(BOOLEAN), sub(BOOLEAN)) for name in ("AND", "OR")]
        choices += [
            call(type_, "NOT", sub(BOOLEAN)),
            call(type_, "IS NULL", sub(kind)),
            call(type_, "IS TRUE", sub(BOOLEAN)),
        ]
        choices += [
            call(type_, "IN", sub(kind), leaf(other), leaf(other)),
            call(type_, "BETWEEN", sub(kind), sub(other), sub(kind)),
        ]
        choices += [call(type_, "LIKE", sub(STRING), st.just(Literal(STRING, "%a%")))]
    return draw(st.one_of(choices))


def bits(value):
    return struct.pack("d", value) if isinstance(value, float) and value == value else repr(value)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 6))
def test_a_column_equals_its_rows_one_by_one(data, length):
    type_ = data.draw(st.sampled_from(TYPES))
    expr = data.draw(expressions(type_))
    cells = [data.draw(st.lists(st.none() | CELLS[kind], min_size=length, max_size=length)) for kind in TYPES]
    columns = tuple(Column.of(kind, each) for kind, each in zip(TYPES, cells, strict=True))
    evaluate = compile_expr(expr)
    whole = Evaluation(columns, length)
    column = evaluate(whole)
    assert column.type == type_ and len(column) == length
    for row, value in enumerate(column.to_list()):
        part = whole.take(np.array([row]))
        alone = Evaluation(part.columns, 1)
        assert bits(evaluate(alone).to_list()[0]) == bits(value)
        assert alone.failures.rows.get(0) == whole.failures.rows.get(row)
    if type_ == BOOLEAN:
        kept = predicate(expr)(Evaluation(columns, length)).tolist()
        assert kept == [value is True for value in column.to_list()]
