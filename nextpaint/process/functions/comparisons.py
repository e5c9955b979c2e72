"""Comparison of two values, IN, BETWEEN, GREATEST and LEAST.

Both sides are brought to one type first: an integer beside a DECIMAL is exact, anything beside a DOUBLE is compared as
DOUBLE, text beside a time is read as that time, CHAR and VARCHAR are not padded. A comparison with NULL is NULL;
IS [NOT] DISTINCT FROM never is. Text is ordered by code point. `x IN (..., NULL)` is NULL where nothing matched.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from nextpaint.process.functions.casts import FLOATS, TIMESTAMPS, widen
from nextpaint.process.functions.evaluation import (
    Evaluation,
    Held,
    Kernel,
    Operand,
    both,
    cells_of,
    constant,
    lanes,
    lift,
    made,
    nulls,
)
from nextpaint.record.columns import TextColumn
from nextpaint.record.types import BOOLEAN, DOUBLE, Kind, Type
from nextpaint.record.views import same_text
from nextpaint.sql.plan import Call

_Compare = Callable[[Any, Any], Any]
_FEW_TEXTS = 16  # that are looked for one after the other; more are a set of Python strings


def common(left: Operand, right: Operand) -> tuple[Operand, Operand]:
    """Both operands at the type they are compared in."""
    if left.type.is_nested and right.type.is_nested:
        return _frozen(left), _frozen(right)
    target = _common_type(left.type, right.type)
    return (left, right) if target is None else (_at(left, target), _at(right, target))


def _frozen(operand: Operand) -> Operand:
    """Arrays as tuples, however they came: a decoded one and a constructed one are equal."""
    return made(operand.type, lift(operand.type, _tuples, (operand,)), (operand,))


def _tuples(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple([_tuples(each) for each in value])
    if isinstance(value, dict):
        return {_tuples(key): _tuples(each) for key, each in value.items()}
    return value


def _common_type(left: Type, right: Type) -> Type | None:
    """The type both sides are converted to; None if their values compare as they are held."""
    kinds = {left.kind, right.kind}
    if Kind.NULL in kinds:
        return right if left.kind is Kind.NULL else left
    if left.kind is right.kind:
        return None
    if kinds & set(FLOATS):
        return DOUBLE
    if Kind.STRING in kinds:
        return right if left.kind is Kind.STRING else left
    if Kind.DATE in kinds and kinds & set(TIMESTAMPS):
        return right if left.kind is Kind.DATE else left
    return None


def _at(operand: Operand, target: Type) -> Operand:
    """Held as `target` is; a DECIMAL column beside a DECIMAL of another scale stays as it is."""
    return operand if operand.type.kind is target.kind else widen(operand, target)


def comparison(compare: _Compare, left: Operand, right: Operand) -> Operand:
    """`compare` of two operands, NULL if one is NULL."""
    left, right = common(left, right)
    if left.is_null or right.is_null:
        return constant(BOOLEAN, None)
    if object in (left.type.dtype, right.type.dtype):
        return made(BOOLEAN, _object_kernel(compare, left, right), (left, right))
    first, second = lanes((left, right))

    def kernel(ev: Evaluation) -> Held:
        x, x_valid = first(ev)
        y, y_valid = second(ev)
        return compare(x, y), both(x_valid, y_valid)

    return made(BOOLEAN, kernel, (left, right))


def _object_kernel(compare: _Compare, left: Operand, right: Operand) -> Kernel:
    first, second = left.run, right.run
    if right.constant:
        wanted = right.value
        places = left.column if isinstance(wanted, str) and compare in (operator.eq, operator.ne) else None
        text = np.frombuffer(str(wanted).encode(), np.uint8)

        def against(ev: Evaluation) -> Held:
            if places is not None and isinstance(column := places(ev), TextColumn):
                same = same_text(column.views(), text)
                return same if compare is operator.eq else ~same, column.valid
            values, valid = first(ev)
            cells = values.tolist()
            if valid is None:
                return np.fromiter([compare(cell, wanted) for cell in cells], np.bool_, len(cells)), None
            found = [cell is not None and compare(cell, wanted) for cell in cells]
            return np.fromiter(found, np.bool_, len(cells)), valid

        return against

    def kernel(ev: Evaluation) -> Held:
        x, x_valid = first(ev)
        y, y_valid = second(ev)
        valid = both(x_valid, y_valid)
        pairs = zip(x.tolist(), y.tolist(), strict=True)
        if valid is None:
            return np.fromiter([compare(a, b) for a, b in pairs], np.bool_, len(x)), None
        found = [a is not None and b is not None and compare(a, b) for a, b in pairs]
        return np.fromiter(found, np.bool_, len(x)), valid

    return kernel


def _builder(compare: _Compare) -> Callable[[Call, tuple[Operand, ...]], Operand]:
    return lambda call, operands: comparison(compare, operands[0], operands[1])


build_equal = _builder(operator.eq)
build_not_equal = _builder(operator.ne)
build_less = _builder(operator.lt)
build_less_equal = _builder(operator.le)
build_greater = _builder(operator.gt)
build_greater_equal = _builder(operator.ge)


def _distinct(wanted: bool) -> Callable[[Call, tuple[Operand, ...]], Operand]:
    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        left, right = common(operands[0], operands[1])
        first, second = left.run, right.run

        def kernel(ev: Evaluation) -> Held:
            pairs = zip(cells_of(first(ev)), cells_of(second(ev)), strict=True)
            return np.fromiter([_differ(a, b) is wanted for a, b in pairs], np.bool_, ev.length), None

        return made(BOOLEAN, kernel, operands)

    return build


def _differ(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is not b
    return bool(a != b)


build_distinct = _distinct(True)
build_not_distinct = _distinct(False)


# ---------------------------------------------------------------- IN


def build_in(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """IN: (value, options...)."""
    value, options = operands[0], operands[1:]
    if value.is_null:
        return constant(BOOLEAN, None)
    matched = [common(value, option) for option in options if not option.is_null]
    has_null = len(matched) < len(options)
    hashable = value.type.kind not in (Kind.ARRAY, Kind.MAP, Kind.ROW)
    if hashable and matched and all(pair[1].constant for pair in matched):
        kinds = {pair[0].type.kind for pair in matched}
        if len(kinds) == 1:
            wanted = frozenset([pair[1].value for pair in matched])
            return made(BOOLEAN, _in_set(matched[0][0], wanted, has_null), (matched[0][0],))
    return made(BOOLEAN, _in_any([comparison(operator.eq, *pair).run for pair in matched], has_null), operands)


def _in_set(operand: Operand, wanted: frozenset[Any], has_null: bool) -> Kernel:
    run = operand.run
    texts = [np.frombuffer(each.encode("utf-8", "surrogatepass"), np.uint8) for each in wanted if isinstance(each, str)]
    places = operand.column if 0 < len(texts) <= _FEW_TEXTS else None

    def kernel(ev: Evaluation) -> Held:
        if places is not None and isinstance(column := places(ev), TextColumn):
            views = column.views().compact()
            among = np.logical_or.reduce([same_text(views, text) for text in texts])
            if column.valid is not None:
                among &= column.valid
            return among, both(column.valid, among) if has_null else column.valid
        values, valid = run(ev)
        cells = values.tolist()
        found = np.fromiter([cell in wanted for cell in cells], np.bool_, len(cells))
        return found, both(valid, found) if has_null else valid

    return kernel


def _in_any(tests: list[Kernel], has_null: bool) -> Kernel:
    def kernel(ev: Evaluation) -> Held:
        found = np.zeros(ev.length, np.bool_)
        known = np.full(ev.length, not has_null)
        for test in tests:
            values, valid = test(ev)
            if valid is not None:
                values = values & valid
                known = known & valid
            found = found | values
        return found, found | known

    return kernel


# ---------------------------------------------------------------- BETWEEN, GREATEST, LEAST


def between_parts(operands: tuple[Operand, ...]) -> tuple[Operand, Operand]:
    """The tests x >= low and x <= high: BETWEEN is their conjunction, so `1 BETWEEN 2 AND NULL` is FALSE."""
    return comparison(operator.ge, operands[0], operands[1]), comparison(operator.le, operands[0], operands[2])


def _extreme(better: _Compare, pick: Callable[[Any], Any]) -> Callable[[Call, tuple[Operand, ...]], Operand]:
    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        parts = [widen(each, call.type) for each in operands]
        if any(part.is_null for part in parts):
            return made(call.type, lambda ev: nulls(call.type, ev.length), operands)
        runs = [part.run for part in parts]

        def objects(ev: Evaluation) -> Held:
            lines = zip(*[cells_of(run(ev)) for run in runs], strict=True)
            values = np.fromiter([None if None in line else pick(line) for line in lines], object, ev.length)
            missing = np.fromiter([cell is not None for cell in values.tolist()], np.bool_, ev.length)
            return values, missing

        def numbers(ev: Evaluation) -> Held:
            values, valid = runs[0](ev)
            for run in runs[1:]:
                others, others_valid = run(ev)
                values = np.where(better(others, values), others, values)
                valid = both(valid, others_valid)
            return values, valid

        return made(call.type, objects if call.type.dtype == object else numbers, parts)

    return build


# As Java orders doubles: NaN above all.
build_greatest = _extreme(lambda new, old: (new > old) | (new != new), max)
build_least = _extreme(lambda new, old: (new < old) | (old != old), min)
