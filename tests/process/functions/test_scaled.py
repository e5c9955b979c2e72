"""DECIMAL in whole numbers equals the functions over Decimal, row by row: values, NULLs, failures and printed bytes."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.functions.compile import compile_expr
from nextpaint.process.functions.evaluation import Evaluation
from nextpaint.process.outputs import json_rows
from nextpaint.record import types as t
from nextpaint.record.columns import Column, DecimalColumn
from nextpaint.record.types import Field
from nextpaint.sql.binder import Binder
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import tokenize
from nextpaint.sql.expression_grammar import parse_expression
from nextpaint.sql.plan import Schema
from nextpaint.sql.scope import Scope

FIELDS = (
    Field("a", t.decimal(10, 2)),
    Field("b", t.decimal(18, 6)),
    Field("n", t.BIGINT),
    Field("i", t.INT),
    Field("w", t.decimal(18, 0)),
)
SCOPE = Scope.of(Schema(FIELDS), "t")
EXPRESSIONS = (
    *("a + b", "a - n", "a * b", "0.908 * n", "a / b", "n / a", "b / 7", "a * a * a", "-a", "ABS(b)", "w * w"),
    *("a > b", "a = n", "b <> i", "a >= 10", "w < 0.5", "a <= b + 1", "n < w"),
    *("CAST(a AS DOUBLE)", "CAST(b AS INT)", "CAST(w AS BIGINT)", "CAST(a AS TINYINT)", "CAST(w AS DOUBLE)"),
    *("CAST(b AS DECIMAL(6, 1))", "TRY_CAST(b AS DECIMAL(4, 2))", "CAST(n AS DECIMAL(20, 3))", "CAST(a AS STRING)"),
    *("CASE WHEN a > 0 THEN a * 2 ELSE b END", "CAST(0.908 * n AS DECIMAL(23, 3))", "a * 0", "COALESCE(a + b, 0)"),
)

wide = st.integers(-(10**18) + 1, 10**18 - 1)
LARGEST = (10**10 - 1, 10**18 - 1, 2**63 - 1, 2**31 - 1, 10**18 - 1)


def lines_of(seed):
    """Rows of one size of number, so that whole batches fit and others do not; some NULLs and zeros."""
    chance = Random(seed)
    size = chance.choice((3, 5, 9, 18))

    def cell(largest):
        reach = min(10**size, largest)
        return chance.choice((None, 0)) if chance.random() < 0.1 else chance.randint(-reach, reach)

    return [tuple(map(cell, LARGEST)) for _ in range(chance.randint(16, 24))]


def expression(text):
    return Binder(SCOPE).value(parse_expression(Cursor(tokenize(text))))


def columns_of(lines, whole):
    made = []
    for at, field in enumerate(FIELDS):
        cells = [line[at] for line in lines]
        valid = np.array([cell is not None for cell in cells])
        if field.type.kind is not t.Kind.DECIMAL:
            made.append(Column.of(field.type, cells))
        elif whole:
            made.append(DecimalColumn(field.type, np.array([cell or 0 for cell in cells], np.int64), valid))
        else:
            places = -field.type.scale
            made.append(Column.of(field.type, [None if c is None else Decimal(c).scaleb(places) for c in cells]))
    return tuple(made)


def answers(expr, columns, length):
    """Values and failures."""
    ev = Evaluation(columns, length)
    column = compile_expr(expr)(ev)
    assert len(column) == length
    failed = ev.failures.rows
    return column, [None if row in failed else cell for row, cell in enumerate(column.to_list())], failed


@pytest.mark.parametrize("text", EXPRESSIONS)
@pytest.mark.parametrize("seed", range(8))
def test_whole_numbers_give_what_decimals_give(text, seed):
    expr, lines = expression(text), lines_of(seed)
    fast, found, failed = answers(expr, columns_of(lines, True), len(lines))
    one_by_one = [answers(expr, columns_of([line], False), 1) for line in lines]
    assert found == [each[1][0] for each in one_by_one]
    assert failed == {row: each[2][0] for row, each in enumerate(one_by_one) if each[2]}
    if not failed:
        printed = [bytes(each) for each in json_rows(["x"], [fast]).raw()]
        assert printed == [_json(cell) for cell in found]


_encoder = msgspec.json.Encoder(decimal_format="number")


def _json(cell):
    return _encoder.encode({"x": cell})


def test_whole_numbers_are_used_where_they_fit():
    lines = [(i, i, i, i, i) for i in range(20)]
    columns = columns_of(lines, True)
    assert isinstance(answers(expression("CAST(0.908 * n AS DECIMAL(23, 3))"), columns, 20)[0], DecimalColumn)
    assert isinstance(answers(expression("a + b"), columns, 20)[0], DecimalColumn)
    many = columns_of([(10**9, 10**17, 2**62, i, 10**17) for i in range(20)], True)
    assert not isinstance(answers(expression("w * w"), many, 20)[0], DecimalColumn)


@given(st.lists(st.none() | wide, min_size=1, max_size=20), st.integers(0, 30), st.data())
def test_a_column_of_whole_numbers_is_a_column_of_decimals(cells, scale, data):
    type_ = t.decimal(38, scale)
    plain = Column.of(type_, [None if cell is None else Decimal(cell).scaleb(-scale) for cell in cells])
    valid = np.array([cell is not None for cell in cells])
    held = DecimalColumn(type_, np.array([cell or 0 for cell in cells], np.int64), valid)
    assert list(map(str, held.to_list())) == list(map(str, plain.to_list()))
    take = np.array(data.draw(st.lists(st.integers(0, len(cells) - 1))), np.int64)
    assert held.take(take).to_list() == plain.take(take).to_list()
    twice = Column.concat([held, held])
    assert isinstance(twice, DecimalColumn) and twice.to_list() == plain.to_list() * 2
    assert Column.concat([held, plain]).to_list() == plain.to_list() * 2
    mask = np.array([i % 2 == 0 for i in range(len(cells))])
    assert held.masked(mask).to_list() == plain.masked(mask).to_list()
    assert [bytes(each) for each in json_rows(["x"], [held]).raw()] == [_json(cell) for cell in plain.to_list()]
