"""Arithmetic and mathematical functions on numbers.

Integers wrap at the width of the result type, as in Java; division truncates toward zero and `%` takes the dividend's
sign. FLOAT results are rounded to 32 bits after every operation. DOUBLE follows IEEE 754: x / 0 is an infinity, the
square root of a negative number is NaN. An integer or DECIMAL division by zero and a DECIMAL that outgrows its type
fail the row. Everything is exact in the sense of `kernels.exact_math`: the same bits on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Any

import numpy as np

from nextpaint.process.functions import number_text
from nextpaint.process.functions.casts import FLOATS, NARROW, widen
from nextpaint.process.functions.evaluation import (
    Evaluation,
    Failed,
    Held,
    Kernel,
    Operand,
    both,
    constant,
    fail_where,
    lanes,
    lift,
    made,
    some,
)
from nextpaint.process.kernels import exact_math
from nextpaint.record.columns import AnyArray
from nextpaint.record.types import DOUBLE, INTEGER_BITS, INTEGERS, Kind, Type
from nextpaint.sql.plan import Call

_DIVIDE = Context(prec=38, rounding=ROUND_HALF_UP, Emin=-9999, Emax=9999)  # digits Flink keeps of a DECIMAL quotient
_ZERO_DIVISION = "division by zero"


def _trim(type_: Type) -> Callable[[AnyArray], AnyArray] | None:
    """Brings a 64-bit result to the width of its type; None if it has it."""
    if type_.kind in NARROW:
        narrow = NARROW[type_.kind]
        return lambda values: values.astype(narrow).astype(np.int64)
    if type_.kind is Kind.FLOAT:
        return lambda values: values.astype(np.float32).astype(np.float64)
    return None


def _as_numbers(operands: tuple[Operand, ...], type_: Type) -> tuple[Operand, ...]:
    """Operands as the result is computed: 64-bit integers, doubles, or as they are for DECIMAL."""
    if type_.kind in FLOATS:
        return tuple([each if each.type.kind in FLOATS else widen(each, DOUBLE) for each in operands])
    return operands


def _simple(function: Callable[[Any, Any], AnyArray], exact: Callable[[Any, Any], Decimal]) -> Callable[..., Operand]:
    """Builder of + - *: `function` on arrays, `exact` on Decimals and ints."""

    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        type_ = call.type
        if type_.kind is Kind.DECIMAL:
            run = lift(type_, lambda x, y: number_text.fit(exact(x, y), type_), operands)
            return made(type_, run, operands, fallible=True)
        operands = _as_numbers(operands, type_)
        left, right = lanes(operands)
        trim = _trim(type_)

        def kernel(ev: Evaluation) -> Held:
            x, x_valid = left(ev)
            y, y_valid = right(ev)
            values = function(x, y)
            return values if trim is None else trim(values), both(x_valid, y_valid)

        return made(type_, kernel, operands, warns=type_.kind in FLOATS)

    return build


build_times = _simple(np.multiply, number_text.EXACT.multiply)
_plus = _simple(np.add, number_text.EXACT.add)
_minus = _simple(np.subtract, number_text.EXACT.subtract)


def build_plus(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """Unary and binary +."""
    return operands[0] if len(operands) == 1 else _plus(call, operands)


def build_minus(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """Unary and binary -."""
    if len(operands) == 2:
        return _minus(call, operands)
    if call.type.kind is Kind.DECIMAL:
        return made(call.type, lift(call.type, lambda x: number_text.fit(-x, call.type), operands), operands)
    return _one_array(np.negative)(call, operands)


def _truncated(x: AnyArray, y: AnyArray) -> AnyArray:
    # Through the remainder, which NumPy's fmod truncates: its // rounds down. -2^63 / -1 wraps, as in Java.
    return (x - np.fmod(x, y)) // y


def _divider(integer: Callable[[Any, Any], AnyArray], floating: Callable[[Any, Any], AnyArray], exact: Any) -> Any:
    """Builder of / and %."""

    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        type_ = call.type
        if type_.kind is Kind.DECIMAL:
            run = lift(type_, lambda x, y: number_text.fit(_nonzero(exact, x, y), type_), operands)
            return made(type_, run, operands, fallible=True)
        if type_.kind in FLOATS:
            return _simple(floating, exact)(call, operands)
        divisor = operands[1]
        if divisor.constant and divisor.value not in (None, 0, -1):
            return _simple(integer, exact)(call, operands)
        left, right, trim = operands[0].run, divisor.run, _trim(type_)

        def kernel(ev: Evaluation) -> Held:
            x, x_valid = left(ev)
            y, y_valid = right(ev)
            valid = both(x_valid, y_valid)
            zero = y == 0
            if some(zero):
                valid = fail_where(ev, zero, valid, _ZERO_DIVISION)
                y = y | zero  # 1 in the place of 0
            values = integer(x, y)
            return values if trim is None else trim(values), valid

        return made(type_, kernel, operands, fallible=True, warns=True)

    return build


def _nonzero(function: Any, x: Any, y: Any) -> Decimal:
    if y == 0:
        raise Failed(_ZERO_DIVISION)
    quotient: Decimal = function(x, y)
    return quotient


def _remainder(x: Any, y: Any) -> Decimal:
    return number_text.EXACT.remainder(x, y)


build_divide = _divider(_truncated, np.divide, _DIVIDE.divide)
build_modulo = _divider(np.fmod, np.fmod, _remainder)


# ---------------------------------------------------------------- functions of one number


def _one_array(function: Callable[[AnyArray], AnyArray], *, warns: bool = False) -> Callable[..., Operand]:
    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        inner = _as_numbers(operands, call.type)[0].run
        trim = _trim(call.type)

        def kernel(ev: Evaluation) -> Held:
            values, valid = inner(ev)
            values = function(values)
            return values if trim is None else trim(values), valid

        return made(call.type, kernel, operands, warns=warns)

    return build


def _by_kind(array: Callable[[AnyArray], AnyArray], exact: Callable[[Decimal], Decimal]) -> Callable[..., Operand]:
    """Builder of a function that keeps its argument's kind: an array function, and one for a DECIMAL."""

    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        if call.type.kind is Kind.DECIMAL:
            run = lift(call.type, lambda x: number_text.fit(exact(Decimal(x)) or Decimal(0), call.type), operands)
            return made(call.type, run, operands, fallible=True)
        return _one_array(array)(call, operands)

    return build


def _whole(array: Callable[[AnyArray], AnyArray], rounding: str) -> Callable[..., Operand]:
    """FLOOR and CEIL: an integer is its own."""
    build = _by_kind(array, lambda x: x.to_integral_value(rounding))
    return lambda call, operands: operands[0] if call.type.kind in INTEGERS else build(call, operands)


def _exact_sign(x: Decimal) -> Decimal:
    return Decimal((x > 0) - (x < 0))


build_abs = _by_kind(np.abs, abs)
build_sign = _by_kind(np.sign, _exact_sign)
build_floor = _whole(np.floor, ROUND_FLOOR)
build_ceil = _whole(np.ceil, ROUND_CEILING)


def _half_away(values: AnyArray) -> AnyArray:
    """Round half away from zero; |x| - floor(|x|) is exact."""
    size = np.abs(values)
    whole = np.floor(size)
    rounded: AnyArray = np.copysign(whole + (size - whole >= 0.5), values)
    return rounded


def _rounder(rounding: str, plain: Callable[[AnyArray], AnyArray]) -> Callable[..., Operand]:
    """ROUND and TRUNCATE to a number of digits, in decimal: ROUND(1.005, 2) is 1.01, as 1.005 is written."""

    def digits(x: Any, places: int) -> Decimal:
        rounded = Decimal(x if isinstance(x, int | Decimal) else repr(x)).quantize(
            Decimal(1).scaleb(-places), rounding, number_text.EXACT
        )
        return rounded if rounded else rounded.copy_abs()  # a DECIMAL has no negative zero

    def one(type_: Type) -> Callable[[Any, int], Any]:
        if type_.kind in FLOATS:
            return lambda x, places: float(digits(x, places)) if abs(x) < 1e80 and abs(places) < 99 else x
        if type_.kind is Kind.DECIMAL:
            return lambda x, places: number_text.fit(digits(x, min(places, type_.scale)), type_)
        half = 1 << (INTEGER_BITS[type_.kind] - 1)  # a rounded integer wraps, as any other
        return lambda x, places: x if places >= 0 else (int(digits(x, max(places, -20))) + half) % (2 * half) - half

    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        places = operands[1] if len(operands) == 2 else None
        if call.type.kind in FLOATS and (places is None or (places.constant and places.value == 0)):
            return _one_array(plain, warns=True)(call, operands[:1])
        if places is None:
            places = constant(Type(Kind.INT), 0)
        return made(call.type, lift(call.type, one(call.type), (operands[0], places)), operands, fallible=True)

    return build


build_round = _rounder(ROUND_HALF_UP, _half_away)
build_truncate = _rounder(ROUND_DOWN, np.trunc)

build_sqrt = _one_array(np.sqrt, warns=True)


def _twin(scalar: Callable[[float], float], array: Callable[[AnyArray], AnyArray]) -> Callable[..., Operand]:
    """An exact function: row by row where an array's fixed cost is higher. Both give the same bits."""

    def function(values: AnyArray) -> AnyArray:
        if len(values) > 16:
            return array(values)
        return np.fromiter([scalar(value) for value in values.tolist()], np.float64, len(values))

    return _one_array(function, warns=True)


build_exp = _twin(exact_math.exp, exact_math.exp_array)
build_ln = _twin(exact_math.log, exact_math.log_array)
build_log10 = _twin(exact_math.log10, exact_math.log10_array)
build_log2 = _twin(exact_math.log2, exact_math.log2_array)


def _two_arrays(function: Callable[[AnyArray, AnyArray], AnyArray]) -> Callable[..., Operand]:
    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        runs: list[Kernel] = [each.run for each in _as_numbers(operands, DOUBLE)]

        def kernel(ev: Evaluation) -> Held:
            x, x_valid = runs[0](ev)
            y, y_valid = runs[1](ev)
            return function(x, y), both(x_valid, y_valid)

        return made(call.type, kernel, operands, warns=True)

    return build


build_power = _two_arrays(exact_math.power_array)
_log_of_base = _two_arrays(lambda base, x: exact_math.log_array(x) / exact_math.log_array(base))


def build_log(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """LOG(x) is the natural logarithm, LOG(base, x) the quotient of two of them."""
    return build_ln(call, operands) if len(operands) == 1 else _log_of_base(call, operands)
