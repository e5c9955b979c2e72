"""Which types go together, and what comes out: arithmetic results, common types, implicit and explicit casts.

The rules are Flink 2.3's, asked of its planner (docs/internals/sql.md says how). All functions are pure; None = the
types do not go together.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from nextpaint.record import types
from nextpaint.record.types import INTEGERS, Kind, Type, decimal
from nextpaint.sql.plan import At, Call, Expr, Literal
from nextpaint.sql.user_functions import in_force

_PRECISION_MAX = 38
_SCALE_MIN = 6
_DIGITS = {Kind.TINYINT: 3, Kind.SMALLINT: 5, Kind.INT: 10, Kind.BIGINT: 19}
_FLOATING = (Kind.FLOAT, Kind.DOUBLE)
_STRINGS = (Kind.STRING,)
_TIMES = (Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_LTZ)


def as_decimal(type_: Type) -> Type:
    """The DECIMAL that holds every value of an integer type; a DECIMAL itself."""
    return type_ if type_.kind is Kind.DECIMAL else decimal(_DIGITS[type_.kind], 0)


def adjusted(precision: int, scale: int) -> Type:
    """At most 38 digits; the scale gives way first, down to 6 (SQL Server's rule, as in Flink)."""
    if precision <= _PRECISION_MAX:
        return decimal(precision, scale)
    whole = precision - scale
    return decimal(_PRECISION_MAX, max(_PRECISION_MAX - whole, min(scale, _SCALE_MIN)))


def numeric_result(operator: str, left: Type, right: Type) -> Type | None:
    """The type of `left operator right` for two numbers."""
    if not (left.is_numeric and right.is_numeric):
        return None
    if left.kind in _FLOATING or right.kind in _FLOATING:
        if operator == "%":
            return None
        if left.kind in _FLOATING and right.kind in _FLOATING:
            return left  # as Flink has it: FLOAT * DOUBLE is FLOAT, DOUBLE * FLOAT is DOUBLE
        return _floating_result(left, right)
    if left.kind in INTEGERS and right.kind in INTEGERS:
        if operator == "%":
            return right
        return max(left, right, key=lambda each: INTEGERS.index(each.kind))
    return _decimal_result(operator, as_decimal(left), as_decimal(right))


def _floating_result(left: Type, right: Type) -> Type:
    if Kind.DOUBLE in (left.kind, right.kind) or Kind.DECIMAL in (left.kind, right.kind):
        return types.DOUBLE
    return types.FLOAT


def _decimal_result(operator: str, left: Type, right: Type) -> Type:
    whole_left, whole_right = left.precision - left.scale, right.precision - right.scale
    if operator == "*":
        return adjusted(left.precision + right.precision + 1, left.scale + right.scale)
    if operator == "/":
        scale = max(_SCALE_MIN, left.scale + right.precision + 1)
        return adjusted(whole_left + right.scale + scale, scale)
    scale = max(left.scale, right.scale)
    if operator == "%":
        return adjusted(min(whole_left, whole_right) + scale, scale)
    return adjusted(max(whole_left, whole_right) + scale + 1, scale)


def common_type(candidates: Sequence[Type]) -> Type | None:
    """The type that holds the values of all: CASE, COALESCE, IN, ARRAY[], UNION ALL, comparisons. NULL fits all."""
    known = [each for each in candidates if each.kind is not Kind.NULL]
    if not known:
        return None
    result: Type | None = known[0]
    for each in known[1:]:
        if result is None:
            return None
        result = _common(result, each)
    return result


def _common(left: Type, right: Type) -> Type | None:
    if left == right:
        return left
    if left.is_numeric and right.is_numeric:
        return _common_number(left, right)
    if left.kind in _STRINGS and right.kind in _STRINGS:
        return types.STRING
    if left.kind is Kind.BYTES and right.kind is Kind.BYTES:
        return types.BYTES
    if left.is_time and right.is_time and left.kind is right.kind:
        return left if left.precision >= right.precision else right
    if left.kind is Kind.ARRAY and right.kind is Kind.ARRAY and left.element and right.element:
        element = _common(left.element, right.element)
        return types.array(element) if element else None
    if left.kind is Kind.ROW and right.kind is Kind.ROW and same_layout(left, right):
        return left
    return None


def _common_number(left: Type, right: Type) -> Type:
    if left.kind in _FLOATING or right.kind in _FLOATING:
        return _floating_result(left, right)
    if left.kind in INTEGERS and right.kind in INTEGERS:
        return max(left, right, key=lambda each: INTEGERS.index(each.kind))
    first, second = as_decimal(left), as_decimal(right)
    scale = max(first.scale, second.scale)
    whole = max(first.precision - first.scale, second.precision - second.scale)
    return adjusted(whole + scale, scale)


def same_layout(left: Type, right: Type) -> bool:
    """Equal but for names of fields and nullability: held the same way."""
    if left.kind is Kind.ROW and right.kind is Kind.ROW:
        return len(left.fields) == len(right.fields) and all(
            same_layout(one.type, other.type) for one, other in zip(left.fields, right.fields, strict=True)
        )
    if left.kind is Kind.ARRAY and right.kind is Kind.ARRAY and left.element and right.element:
        return same_layout(left.element, right.element)
    if left.kind is Kind.MAP and right.kind is Kind.MAP and left.key and right.key and left.element and right.element:
        return same_layout(left.key, right.key) and same_layout(left.element, right.element)
    if left.kind is right.kind and left.kind in (Kind.STRING, Kind.BYTES):
        return True
    return left == right


def comparable(left: Type, right: Type) -> Type | None:
    """The type two values are ordered in; None when Flink (or this engine) does not order them."""
    result = equatable(left, right)
    return None if result is None or result.is_nested else result


def equatable(left: Type, right: Type) -> Type | None:
    """The type two values are compared in by = and <>; None when they are not compared."""
    if {left.kind, right.kind} == {Kind.TIMESTAMP, Kind.TIMESTAMP_LTZ}:
        return left if left.kind is Kind.TIMESTAMP_LTZ else right
    if left.kind is Kind.MAP and right.kind is Kind.MAP:
        return left if same_layout(left, right) else None
    return common_type((left, right))


# ---------------------------------------------------------------- casts


def stores(source: Type, target: Type) -> bool:
    """Does an INSERT cast `source` to `target` by itself (Flink's implicit casts: no loss of kind)?"""
    if source.kind is Kind.NULL or source == target:
        return True
    if source.kind in INTEGERS:
        if target.kind in INTEGERS:
            return INTEGERS.index(source.kind) <= INTEGERS.index(target.kind)
        return target.is_numeric
    if source.kind is Kind.DECIMAL:
        return target.kind is Kind.DECIMAL or target.kind in _FLOATING
    if source.kind in _FLOATING:
        return target.kind in (Kind.DOUBLE, Kind.DECIMAL, source.kind)
    if source.is_time:
        return target.is_time or target.kind is Kind.DATE
    if source.kind is not target.kind:
        return False
    return _stores_nested(source, target)


def _stores_nested(source: Type, target: Type) -> bool:
    """Two types of one kind."""
    if source.kind is Kind.ROW:
        return len(source.fields) == len(target.fields) and all(
            stores(one.type, other.type) for one, other in zip(source.fields, target.fields, strict=True)
        )
    if source.kind is Kind.MAP and source.key and target.key and not stores(source.key, target.key):
        return False
    if source.element and target.element:
        return stores(source.element, target.element)
    return True


def castable(source: Type, target: Type) -> bool:
    """Is CAST(source AS target) defined?"""
    if source.kind is Kind.NULL or stores(source, target):
        return True
    simple = (Kind.BOOLEAN, Kind.DECIMAL, *INTEGERS, *_FLOATING)
    if source.kind in simple and target.kind in simple:
        return True
    if target.kind is Kind.STRING:
        return True
    if source.kind is Kind.STRING:
        return target.kind in (*simple, *_TIMES, Kind.BYTES)
    if source.kind in _TIMES and target.kind in _TIMES:
        return {source.kind, target.kind} != {Kind.DATE, Kind.TIME}
    if source.kind is Kind.ROW and target.kind is Kind.ROW:
        return len(source.fields) == len(target.fields) and all(
            castable(one.type, other.type) for one, other in zip(source.fields, target.fields, strict=True)
        )
    if source.kind is Kind.ARRAY and target.kind is Kind.ARRAY and source.element and target.element:
        return castable(source.element, target.element)
    return False


_ZONELESS = (Kind.STRING, Kind.TIMESTAMP, Kind.DATE)


def local(expr: Expr, target: Type) -> Expr:
    """An instant on its way to something without a zone: what clocks of the session's zone show."""
    zone = in_force().zone
    if not zone or expr.type.kind is not Kind.TIMESTAMP_LTZ or target.kind not in (*_ZONELESS, Kind.TIME):
        return expr
    shown = Type(Kind.TIMESTAMP, precision=expr.type.precision)
    return Call(shown, "WALL_CLOCK", (expr,), (("zone", zone),), expr.at)


def instant(expr: Expr, target: Type, at: At) -> Expr:
    """When clocks of the session's zone show a TIMESTAMP."""
    return Call(target, "INSTANT", (expr,), (("zone", in_force().zone),), at)


def cast(expr: Expr, target: Type, at: At) -> Expr:
    """`expr` as `target`: itself when it is held the same way, a folded constant, or a CAST call."""
    expr = local(expr, target)
    source = expr.type
    if target.kind is Kind.TIMESTAMP_LTZ and source.kind in _ZONELESS and in_force().zone:
        return instant(cast(expr, Type(Kind.TIMESTAMP, precision=target.precision), at), target, at)
    if source.kind is Kind.NULL or (isinstance(expr, Literal) and expr.value is None):
        return Literal(target, None, at)
    if source == target or (source.kind is Kind.STRING and target.kind is Kind.STRING and not target.length):
        return expr
    if isinstance(expr, Literal):
        folded = _folded(expr, target, at)
        if folded is not None:
            return folded
    return Call(target, "CAST", (expr,), at=at)


def _folded(expr: Literal, target: Type, at: At) -> Literal | None:
    value = expr.value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if target.kind in INTEGERS and isinstance(value, int):
        return Literal(target, value, at)
    if target.kind is Kind.DOUBLE:
        return Literal(target, float(value), at)
    if target.kind is Kind.DECIMAL and _fits(Decimal(value), target):
        return Literal(target, Decimal(value).quantize(Decimal(1).scaleb(-target.scale)), at)
    return None


def _fits(value: Decimal, target: Type) -> bool:
    _, digits, exponent = value.as_tuple()
    scale = max(0, -int(exponent))
    return scale <= target.scale and len(digits) - scale <= target.precision - target.scale


def operand(expr: Expr, target: Type, at: At) -> Expr:
    """`expr` ready for an operator that works in `target`. Integers of any width are held alike and stay."""
    if expr.type.kind in INTEGERS and target.kind in INTEGERS:
        return expr
    if expr.type.kind is Kind.DECIMAL and target.kind is Kind.DECIMAL:
        return expr
    return cast(expr, target, at)
