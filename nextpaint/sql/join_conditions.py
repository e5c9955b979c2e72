"""What a join's condition says: equalities between the sides, and the rest.

Conditions are lists of conjuncts over the joined columns: the left ones first, then the right ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nextpaint.record.types import BOOLEAN, INTEGERS
from nextpaint.sql.nested_keys import bytewise, packed
from nextpaint.sql.plan import Call, ColumnRef, Expr, Literal, columns_of, shifted

_STRICT = frozenset("+ - * / % || = <> < <= > >= LIKE CAST TRY_CAST".split())


@dataclass(frozen=True, slots=True)
class Equality:
    """`left = right`; `right` is over the right side's own columns. `nulls`: IS NOT DISTINCT FROM."""

    left: Expr
    right: Expr
    nulls: bool


def conjuncts(condition: Expr | None) -> list[Expr]:
    """The parts of a condition joined by AND."""
    if condition is None:
        return []
    if isinstance(condition, Call) and condition.function == "AND":
        return [part for side in condition.args for part in conjuncts(side)]
    return [condition]


def conjunction(parts: Sequence[Expr]) -> Expr | None:
    """The parts joined by AND; None when there are none."""
    whole: Expr | None = None
    for each in parts:
        whole = each if whole is None else Call(BOOLEAN, "AND", (whole, each), at=whole.at)
    return whole


def reads_only(expr: Expr, low: int, high: int) -> bool:
    """Are all columns it reads in [low, high), and is there one?"""
    read = columns_of(expr)
    return bool(read) and all(low <= index < high for index in read)


def equalities(parts: Iterable[Expr], width: int) -> tuple[list[Equality], list[Expr]]:
    """Equalities between the `width` left columns and the right ones, each once, and the rest."""
    found: list[Equality] = []
    rest: list[Expr] = []
    for each in parts:
        pair = _equality(each, width)
        if pair is None:
            rest.append(each)
        elif pair not in found:
            found.append(pair)
    return found, rest


def _equality(each: Expr, width: int) -> Equality | None:
    nulls = isinstance(each, Call) and each.function == "NOT"
    inner = each.args[0] if nulls and isinstance(each, Call) else each
    if not isinstance(inner, Call) or inner.function != ("IS DISTINCT FROM" if nulls else "="):
        return None
    first, second = inner.args
    if first.type.kind is not second.type.kind and not {first.type.kind, second.type.kind} <= set(INTEGERS):
        return None
    if first.type.is_nested:
        if not (bytewise(first.type) and bytewise(second.type)):
            return None
        first, second = packed(first), packed(second)
    last = 1 << 30
    if reads_only(second, 0, width):
        first, second = second, first
    if reads_only(first, 0, width) and reads_only(second, width, last):
        return Equality(first, shifted(second, -width), nulls)
    return None


def rejects_nulls(expr: Expr, low: int, high: int) -> bool:
    """Is the condition never TRUE for a row whose columns in [low, high) are all NULL? Then padded rows do not pass."""
    if not isinstance(expr, Call):
        return isinstance(expr, ColumnRef) and low <= expr.index < high
    match expr.function:
        case "AND":
            return any(rejects_nulls(each, low, high) for each in expr.args)
        case "OR":
            return all(rejects_nulls(each, low, high) for each in expr.args)
        case "IS NOT NULL":
            return _null_with(expr.args[0], low, high)
        case "NOT" | "IS TRUE":
            return _null_with(expr.args[0], low, high)
    return _null_with(expr, low, high)


def _null_with(expr: Expr, low: int, high: int) -> bool:
    """Is the value NULL when the columns in [low, high) are?"""
    if isinstance(expr, ColumnRef):
        return low <= expr.index < high
    if isinstance(expr, Literal):
        return expr.value is None
    if expr.function == "IN":
        return _null_with(expr.args[0], low, high)
    return expr.function in _STRICT and any(_null_with(each, low, high) for each in expr.args)
