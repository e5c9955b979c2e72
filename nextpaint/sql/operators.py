"""Operators over typed operands: comparison, arithmetic, time and intervals, CASE.

Each gives a `Call` whose operands are in the type the operator works in, or raises Refusal.
"""

from __future__ import annotations

from nextpaint.record import types
from nextpaint.record.types import INTEGERS, Kind, Type
from nextpaint.sql import coercion, literals
from nextpaint.sql.plan import At, Call, Expr, Literal
from nextpaint.sql.refusal import Refusal

_INTERVALS = (Kind.INTERVAL_DAY, Kind.INTERVAL_YEAR)


def comparison_operands(left: Expr, right: Expr, operator: str, at: At) -> tuple[Expr, Expr]:
    """Both sides in the type they are compared in."""
    left, right = _constant_time(left, right), _constant_time(right, left)
    if left.type.kind is Kind.NULL and right.type.kind is Kind.NULL:
        raise Refusal("NULL has no type here", at, "write IS NULL")
    same = operator in ("=", "<>", "IS DISTINCT FROM") or (operator == "IN" and left.type.kind is Kind.ARRAY)
    common = (coercion.equatable if same else coercion.comparable)(left.type, right.type)
    if common is None:
        raise Refusal(f"{operator} between {left.type} and {right.type}", at, _comparison_cure(left.type, right.type))
    return coercion.operand(left, common, left.at), coercion.operand(right, common, right.at)


def _constant_time(side: Expr, other: Expr) -> Expr:
    """A constant text beside a date or timestamp is one."""
    times = (Kind.DATE, Kind.TIMESTAMP)
    if isinstance(side, Literal) and isinstance(side.value, str) and other.type.kind in times:
        literal = literals.time_value(other.type.kind, side.value, side.at)
        return Literal(other.type, literal.value, side.at)
    return side


def _comparison_cure(left: Type, right: Type) -> str:
    kinds = {left.kind, right.kind}
    if Kind.STRING in kinds and (left.is_numeric or right.is_numeric):
        return "text and numbers do not compare: CAST one of them"
    if left.kind in (Kind.ARRAY, Kind.MAP, Kind.ROW):
        return "compare their elements or fields"
    return "CAST one of them"


def arithmetic(operator: str, left: Expr, right: Expr, at: At) -> Expr:
    """`+ - * / %` and `||`."""
    if operator == "||":
        for side in (left, right):
            if side.type.kind is not Kind.STRING:
                raise Refusal(f"|| joins text, not {side.type}", side.at, "CAST it AS STRING")
        return Call(types.STRING, "||", (left, right), at=at)
    result = coercion.numeric_result(operator, left.type, right.type)
    if result is not None:
        sides = tuple(_arithmetic_operand(side, result) for side in (left, right))
        if operator in "/%" and isinstance(right, Literal) and right.value == 0 and result.kind is not Kind.DOUBLE:
            raise Refusal("division by zero", right.at, "write NULLIF(x, 0) for a divisor that may be 0")
        return Call(result, operator, sides, at=at)
    found = _time_arithmetic(operator, left, right, at)
    if found is not None:
        return found
    cure = "CAST the text to a number" if Kind.STRING in (left.type.kind, right.type.kind) else ""
    if (left.type.is_time and right.type.is_time) or left.type.kind is right.type.kind is Kind.DATE:
        cure = "use TIMESTAMPDIFF(unit, from, to)"
    raise Refusal(f"{operator} between {left.type} and {right.type}", at, cure)


def _arithmetic_operand(side: Expr, result: Type) -> Expr:
    if result.kind is Kind.DECIMAL:
        return coercion.cast(side, coercion.as_decimal(side.type), side.at)
    return coercion.operand(side, result, side.at)


def _time_arithmetic(operator: str, left: Expr, right: Expr, at: At) -> Expr | None:
    """Time +/- interval, interval + time, interval +/- interval."""
    if operator == "*":
        interval, number = (left, right) if left.type.kind in _INTERVALS else (right, left)
        if interval.type.kind in _INTERVALS and number.type.kind in INTEGERS:
            return Call(interval.type, "*", (interval, number), at=at)
    if operator == "+" and left.type.kind in _INTERVALS and right.type.kind not in _INTERVALS:
        left, right = right, left
    if operator not in "+-" or right.type.kind not in _INTERVALS:
        return None
    if left.type.is_time or (left.type.kind is Kind.TIME and right.type.kind is Kind.INTERVAL_DAY):
        return Call(left.type, operator, (left, right), at=at)
    if left.type.kind is Kind.DATE:
        whole = isinstance(right, Literal) and isinstance(right.value, int)
        if right.type.kind is Kind.INTERVAL_YEAR or (whole and right.value % 86_400_000 == 0):  # type: ignore[union-attr,operator]
            return Call(left.type, operator, (left, right), at=at)
        raise Refusal("a DATE moves by whole days", right.at, "CAST it AS TIMESTAMP(3) first")
    if left.type == right.type and isinstance(left, Literal) and isinstance(right, Literal):
        one, other = left.value, right.value
        if isinstance(one, int) and isinstance(other, int):
            return Literal(left.type, one + other if operator == "+" else one - other, at)
    return None


def case_call(conditions: list[Expr], branches: list[Expr], at: At) -> Expr:
    """CASE with its branches in one type; the last branch is ELSE."""
    target = coercion.common_type([branch.type for branch in branches])
    if target is None:
        shown = sorted({str(branch.type) for branch in branches if branch.type.kind is not Kind.NULL})
        if not shown:
            raise Refusal("every branch is NULL", at, "write CAST(NULL AS type) in one")
        raise Refusal(f"the branches mix {' and '.join(shown)}", at, "CAST them to one type")
    args: list[Expr] = []
    for condition, branch in zip(conditions, branches, strict=False):
        args.extend((condition, coercion.cast(branch, target, branch.at)))
    args.append(coercion.cast(branches[-1], target, branches[-1].at))
    return Call(target, "CASE", tuple(args), at=at)


def negated(call: Call, is_negated: bool) -> Expr:
    """`call`, or NOT of it."""
    return Call(types.BOOLEAN, "NOT", (call,), at=call.at) if is_negated else call


def sign_type(operand: Type) -> Type:
    """The type of the -1 that negates a number: a DECIMAL keeps its scale with (1, 0)."""
    return types.decimal(1, 0) if operand.kind is Kind.DECIMAL else operand
