"""`run`: one function on one set of arguments, evaluated in every way that must agree."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from nextpaint.process.functions.compile import Evaluation, compile_expr
from nextpaint.record.columns import Column
from nextpaint.record.types import BOOLEAN, BYTES, DOUBLE, INT, NULL, STRING, Type, decimal
from nextpaint.sql.plan import Call, ColumnRef, Literal


def type_of(value: Any) -> Type:
    if isinstance(value, Decimal):
        _, digits, exponent = value.as_tuple()
        return decimal(max(len(digits), -exponent), -exponent)
    kinds = {bool: BOOLEAN, int: INT, float: DOUBLE, str: STRING, bytes: BYTES, type(None): NULL}
    return kinds[type(value)]


def answers(evaluate: Any, columns: tuple[Column, ...], length: int, at_ms: int) -> list[Any]:
    """Values, and `failed: reason` for rows that failed."""
    ev = Evaluation(columns, length, at_ms)
    column = evaluate(ev)
    assert len(column) == length
    assert column.values.dtype == column.type.dtype
    if column.valid is not None:
        assert column.valid.dtype == np.bool_
        if column.values.dtype == object:
            assert [cell is not None for cell in column.values.tolist()] == column.valid.tolist()
    elif column.values.dtype == object:
        assert None not in column.values.tolist()
    found = column.to_list()
    for row, reason in ev.failures.rows.items():
        assert found[row] is None
        found[row] = f"failed: {reason}"
    return found


def same(a: Any, b: Any) -> bool:
    return repr(a) == repr(b)


@pytest.fixture
def run():
    def go(function: str, type_: Type, *arguments: Any, at_ms: int = 0, **options: Any) -> Any:
        """Arguments are Python values, or (Type, value). The same answer must come from literals (folded or not), from
        columns of one row, and from rows of a batch between NULL rows."""
        typed = [
            each if isinstance(each, tuple) and isinstance(each[0], Type) else (type_of(each), each)
            for each in arguments
        ]
        settings = tuple(options.items())
        literals = tuple(Literal(kind, value) for kind, value in typed)
        refs = tuple(ColumnRef(kind, index, f"c{index}") for index, (kind, _) in enumerate(typed))
        folded = compile_expr(Call(type_, function, literals, settings))
        first = answers(folded, (), 1, at_ms)[0]
        assert all(same(first, each) for each in answers(folded, (), 3, at_ms))
        assert answers(folded, (), 0, at_ms) == []
        if not typed or any(kind is NULL for kind, _ in typed):
            return first
        shapes = [literals[:1] + refs[1:], refs[:1] + literals[1:]]
        try:
            shapes.append(refs)
            evaluators = [compile_expr(Call(type_, function, shape, settings)) for shape in shapes]
        except Exception as refused:  # a setting that must be constant
            assert "constant" in str(refused) or "precision" in str(refused)
            evaluators = [compile_expr(Call(type_, function, refs[:1] + literals[1:], settings))]
        for evaluate in evaluators:
            one = tuple(Column.of(kind, [value]) for kind, value in typed)
            assert same(answers(evaluate, one, 1, at_ms)[0], first)
            three = tuple(Column.of(kind, [value, None, value]) for kind, value in typed)
            batch = answers(evaluate, three, 3, at_ms)
            assert same(batch[0], first) and same(batch[2], first)
            none = tuple(Column.of(kind, []) for kind, _ in typed)
            assert answers(evaluate, none, 0, at_ms) == []
        return first

    return go
