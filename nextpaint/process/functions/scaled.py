"""DECIMAL in columns: arithmetic, comparisons and casts over whole numbers of the last digit, where they are exact.

An operand that can give its values as 64-bit integers at its type's scale has `scaled`; `improved` gives one to each
call whose operands have one. It answers None whenever a batch is small, a value may not fit 64 bits, or a row may fail:
then the functions over `Decimal` run, row by row, which are the reference and say what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from nextpaint.process.functions.evaluation import Evaluation, Held, Operand, Scaled, both
from nextpaint.record.columns import AnyArray, Column, DecimalColumn
from nextpaint.record.types import INTEGER_BITS, INTEGERS, Kind, Type
from nextpaint.sql.plan import Call

Give = Callable[[Evaluation], "Scaled | None"]
_Rule = Callable[[Call, tuple[Operand, ...]], "Operand | None"]

FEW = 16  # rows that are computed one by one: arrays cost as much as about so many
_LIMIT = 2**63 - 1
_EXACT_DOUBLE = 2**53
_POWERS_EXACT = 22  # of ten, in a double


def of_column(type_: Type, index: int) -> Give | None:
    """A column's whole numbers: of an integer itself, of a DECIMAL where it is held so."""
    if type_.kind in INTEGERS:
        return lambda ev: _integers(ev.columns[index]) if ev.length >= FEW else None
    return (lambda ev: _decimals(ev.columns[index]) if ev.length >= FEW else None) if _is_decimal(type_) else None


def _of_operand(operand: Operand) -> Give | None:
    """An operand's whole numbers: of a field of a ROW, or of anything that gives integers."""
    if operand.scaled is not None or operand.warns:
        return operand.scaled
    held, run = operand.column, operand.run
    if operand.type.kind in INTEGERS:
        return lambda ev: _integers(Column(operand.type, *run(ev))) if ev.length >= FEW else None
    if held is None or not _is_decimal(operand.type):
        return None
    return lambda ev: _decimals(held(ev)) if ev.length >= FEW else None


def of_literal(type_: Type, value: Any) -> Give | None:
    """A constant's whole number, shape (1,)."""
    if value is None or not (_is_decimal(type_) or type_.kind in INTEGERS):
        return None
    whole = int(Decimal(value).scaleb(_scale(type_)))
    if abs(whole) > _LIMIT:
        return None
    held = Scaled(np.array([whole], np.int64), None, abs(whole))
    return lambda ev: held if ev.length >= FEW else None


def improved(call: Call, operand: Operand, operands: tuple[Operand, ...]) -> Operand:
    """The operand of a call, computed in whole numbers where they will do."""
    rule = _RULES.get(call.function)
    if rule is None or not any(_is_decimal(each.type) for each in (operand, *operands)):
        return operand
    whole = [replace(each, scaled=_of_operand(each)) for each in operands]
    if any(each.scaled is None for each in whole):
        return operand
    return rule(call, (operand, *whole)) or operand


def column_of(type_: Type, found: Scaled, length: int) -> Column:
    """A DECIMAL column of whole numbers."""
    return DecimalColumn(type_, _whole_length(found.values, length), found.valid)


def _is_decimal(type_: Type) -> bool:
    return type_.kind is Kind.DECIMAL


def _scale(type_: Type) -> int:
    return type_.scale if _is_decimal(type_) else 0


def _whole_length(values: AnyArray, length: int) -> AnyArray:
    return values if len(values) == length else np.broadcast_to(values, (length,))


def _integers(column: Column) -> Scaled:
    return Scaled(column.values, column.valid, _largest(column.values))


def _decimals(column: Column) -> Scaled | None:
    if not isinstance(column, DecimalColumn):
        return None
    return Scaled(column.scaled, column.valid, _largest(column.scaled))


def _largest(values: AnyArray) -> int:
    return max(int(values.max()), -int(values.min())) if len(values) else 0


# ---------------------------------------------------------------- steps, each exact or None


def _raised(found: Scaled, digits: int) -> Scaled | None:
    """With so many more digits behind the point."""
    factor = 10**digits
    if factor > _LIMIT or found.bound * factor > _LIMIT:
        return None
    return Scaled(found.values * np.int64(factor), found.valid, found.bound * factor) if digits else found


def _at_scale(found: Scaled, own: int, wanted: int) -> Scaled | None:
    """At another scale, rounded half away from zero where digits go."""
    if wanted >= own:
        return _raised(found, wanted - own)
    unit = 10 ** (own - wanted)
    if unit > _LIMIT or found.bound + unit // 2 > _LIMIT:
        return None
    size = (np.abs(found.values) + np.int64(unit // 2)) // np.int64(unit)
    return Scaled(np.where(found.values < 0, -size, size), found.valid, (found.bound + unit // 2) // unit)


def _fitted(found: Scaled | None, own: int, type_: Type) -> Scaled | None:
    """As the values of a DECIMAL type; None where one of them may be outside."""
    made = _at_scale(found, own, type_.scale) if found is not None else None
    if made is None or made.bound >= 10**type_.precision:
        return None
    return made


def _added(x: Scaled, y: Scaled) -> Scaled | None:
    return (
        Scaled(x.values + y.values, both(x.valid, y.valid), x.bound + y.bound) if x.bound + y.bound <= _LIMIT else None
    )


def _taken(x: Scaled, y: Scaled) -> Scaled | None:
    return (
        Scaled(x.values - y.values, both(x.valid, y.valid), x.bound + y.bound) if x.bound + y.bound <= _LIMIT else None
    )


def _multiplied(x: Scaled, y: Scaled) -> Scaled | None:
    return (
        Scaled(x.values * y.values, both(x.valid, y.valid), x.bound * y.bound) if x.bound * y.bound <= _LIMIT else None
    )


def _divided(x: Scaled, y: Scaled) -> Scaled | None:
    """The quotient rounded half away from zero; None where a divisor may be zero."""
    if not len(y.values) or not y.values.all() or x.bound + y.bound > _LIMIT:
        return None
    size, by = np.abs(x.values), np.abs(y.values)
    quotient, left = size // by, size % by
    quotient = quotient + (left >= by - left)
    return Scaled(np.where((x.values < 0) != (y.values < 0), -quotient, quotient), both(x.valid, y.valid), x.bound + 1)


# ---------------------------------------------------------------- calls


def _given(operands: Sequence[Operand], ev: Evaluation) -> list[Scaled] | None:
    found = []
    for each in operands:
        made = each.scaled(ev) if each.scaled is not None else None
        if made is None:
            return None
        found.append(made)
    return found


def _with(operand: Operand, give: Give) -> Operand:
    """An operand of a DECIMAL type whose values are whole numbers where `give` has them."""
    slow, type_ = operand.run, operand.type

    def run(ev: Evaluation) -> Held:
        found = give(ev)
        if found is None:
            return slow(ev)
        column = column_of(type_, found, ev.length)
        return column.values, column.valid

    return replace(operand, run=run, scaled=give)


def _sum(step: Callable[[Scaled, Scaled], Scaled | None]) -> _Rule:
    def rule(call: Call, operands: tuple[Operand, ...]) -> Operand | None:
        made, *sides = operands
        if len(sides) != 2:
            return None
        own = max(_scale(each.type) for each in sides)

        def give(ev: Evaluation) -> Scaled | None:
            given = _given(sides, ev)
            if given is None:
                return None
            raised = [_raised(each, own - _scale(side.type)) for each, side in zip(given, sides, strict=True)]
            x, y = raised
            return _fitted(step(x, y), own, call.type) if x is not None and y is not None else None

        return _with(made, give)

    return rule


def _product(call: Call, operands: tuple[Operand, ...]) -> Operand | None:
    made, left, right = operands
    own = _scale(left.type) + _scale(right.type)

    def give(ev: Evaluation) -> Scaled | None:
        given = _given((left, right), ev)
        return _fitted(_multiplied(*given), own, call.type) if given is not None else None

    return _with(made, give)


def _quotient(call: Call, operands: tuple[Operand, ...]) -> Operand | None:
    made, left, right = operands
    digits = call.type.scale - _scale(left.type) + _scale(right.type)
    if digits < 0:
        return None

    def give(ev: Evaluation) -> Scaled | None:
        given = _given((left, right), ev)
        raised = _raised(given[0], digits) if given is not None else None
        if given is None or raised is None:
            return None
        return _fitted(_divided(raised, given[1]), call.type.scale, call.type)

    return _with(made, give)


def _comparison(compare: Callable[[Any, Any], Any]) -> _Rule:
    def rule(call: Call, operands: tuple[Operand, ...]) -> Operand | None:
        made, left, right = operands
        own = max(_scale(left.type), _scale(right.type))
        slow = made.run

        def run(ev: Evaluation) -> Held:
            given = _given((left, right), ev)
            if given is None:
                return slow(ev)
            x, y = (_raised(each, own - _scale(s.type)) for each, s in zip(given, (left, right), strict=True))
            if x is None or y is None:
                return slow(ev)
            found = compare(x.values, y.values)
            return _whole_length(found, ev.length), both(x.valid, y.valid)

        return replace(made, run=run)

    return rule


def _cast(call: Call, operands: tuple[Operand, ...]) -> Operand | None:
    made, source = operands
    own = _scale(source.type)
    if _is_decimal(call.type):
        return _with(made, lambda ev: _fitted(source.scaled(ev) if source.scaled else None, own, call.type))
    if call.type.kind is Kind.DOUBLE:
        return replace(made, run=_doubles(made, source, own))
    return replace(made, run=_wholes(made, source, own)) if call.type.kind in INTEGERS else None


def _doubles(made: Operand, source: Operand, own: int) -> Callable[[Evaluation], Held]:
    """The nearest doubles: one division of two exact numbers rounds correctly."""

    def run(ev: Evaluation) -> Held:
        found = source.scaled(ev) if source.scaled is not None and own <= _POWERS_EXACT else None
        if found is None or found.bound > _EXACT_DOUBLE:
            return made.run(ev)
        return _whole_length(found.values / 10.0**own, ev.length), found.valid

    return run


def _wholes(made: Operand, source: Operand, own: int) -> Callable[[Evaluation], Held]:
    """The integers, cut toward zero."""
    limit = 1 << (INTEGER_BITS[made.type.kind] - 1)

    def run(ev: Evaluation) -> Held:
        found = source.scaled(ev) if source.scaled is not None and 10**own <= _LIMIT else None
        if found is None or found.bound // 10**own >= limit:
            return made.run(ev)
        size = np.abs(found.values) // np.int64(10**own)
        return _whole_length(np.where(found.values < 0, -size, size), ev.length), found.valid

    return run


def _absolute(call: Call, operands: tuple[Operand, ...]) -> Operand | None:
    made, source = operands

    def give(ev: Evaluation) -> Scaled | None:
        found = source.scaled(ev) if source.scaled is not None else None
        return Scaled(np.abs(found.values), found.valid, found.bound) if found is not None else None

    return _with(made, give)


_RULES: dict[str, _Rule] = {
    "+": _sum(_added),
    "-": _sum(_taken),
    "*": _product,
    "/": _quotient,
    "ABS": _absolute,
    "CAST": _cast,
    "TRY_CAST": _cast,
    "=": _comparison(np.equal),
    "<>": _comparison(np.not_equal),
    "<": _comparison(np.less),
    "<=": _comparison(np.less_equal),
    ">": _comparison(np.greater),
    ">=": _comparison(np.greater_equal),
}
