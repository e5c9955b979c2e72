"""exp2, exp, log, log2, log10 and power on float64: the same bits on every machine and however a batch is cut.

Built from + - * / floor, comparisons and the exponent bits alone, each of which IEEE 754 fixes to the bit; no library
function, no fused multiply-add, no reduction. Each function comes twice, for one float (`exp2`) and for an array
(`exp2_array`), written as the same operations in the same order: their results are equal bit for bit. `math.frexp` and
`math.ldexp` are the scalar forms of the exponent bits; both are exact here. NaN results are the one quiet NaN.

Method (table-driven, after Tang 1989 and 1990): 2^(j/512) and ln(m/256) are kept as a sum of two doubles, computed at
import in integer-exact decimal arithmetic, so that what remains is a polynomial on an interval below 0.004. exp and
exp2 lose about 0.51 units in the last place; the logarithms are carried as an unevaluated sum of two doubles of about
70 bits, which `power` needs, and are rounded once.

The array functions let NumPy warn (overflow, invalid); callers silence it.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from nextpaint.record.compiled import inner

FloatArray = npt.NDArray[np.float64]

_DIGITS = Context(prec=60)
_STEPS = 512  # table entries of 2^x per octave
_CELLS = 256  # a mantissa's reciprocal is rounded to a multiple of 1/256


def _split(value: Decimal) -> tuple[float, float]:
    """A number as the sum of two doubles."""
    high = float(value)
    return high, float(_DIGITS.subtract(value, Decimal(high)))


def _powers_of_two() -> tuple[list[float], list[float]]:
    ratio = Decimal(2)
    for _ in range(9):  # 512 = 2^9
        ratio = _DIGITS.sqrt(ratio)
    value, high, low = Decimal(1), [], []
    for _ in range(_STEPS):
        pair = _split(value)
        high.append(pair[0])
        low.append(pair[1])
        value = _DIGITS.multiply(value, ratio)
    return high, low


def _ln_ratio(number: int) -> Decimal:
    """ln((number + 1) / number) = 2 atanh(1 / (2 number + 1))."""
    x = _DIGITS.divide(Decimal(1), Decimal(2 * number + 1))
    square, term, total, odd = _DIGITS.multiply(x, x), x, x, 1
    while term.adjusted() > -55:
        odd += 2
        term = _DIGITS.multiply(term, square)
        total = _DIGITS.add(total, _DIGITS.divide(term, Decimal(odd)))
    return _DIGITS.multiply(total, Decimal(2))


def _logarithms() -> tuple[list[float], list[float]]:
    """-ln(i / 256) for i of 0..512 (0 below 128): the logarithm of what dividing by i/256 takes away."""
    logs = {_CELLS: Decimal(0)}
    for number in range(_CELLS, 2 * _CELLS):
        logs[number + 1] = _DIGITS.add(logs[number], _ln_ratio(number))
    for number in range(_CELLS - 1, 127, -1):
        logs[number] = _DIGITS.subtract(logs[number + 1], _ln_ratio(number))
    pairs = [_split(-logs.get(number, Decimal(0))) for number in range(2 * _CELLS + 1)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


_EXP_HIGH, _EXP_LOW = _powers_of_two()
_LOG_HIGH, _LOG_LOW = _logarithms()
_EXP_HIGH_ARRAY, _EXP_LOW_ARRAY = np.array(_EXP_HIGH), np.array(_EXP_LOW)
_LOG_HIGH_ARRAY, _LOG_LOW_ARRAY = np.array(_LOG_HIGH), np.array(_LOG_LOW)
_SCALES = [2.0**power for power in range(-1022, 1024)]  # 2^power at index power + 1022: exact
_SCALES_ARRAY = np.array(_SCALES)

_LN2 = _DIGITS.ln(Decimal(2))
_LN2_HIGH, _LN2_LOW = _split(_LN2)
_LOG2E_HIGH, _LOG2E_LOW = _split(_DIGITS.divide(Decimal(1), _LN2))
_LOG10E_HIGH, _LOG10E_LOW = _split(_DIGITS.divide(Decimal(1), _DIGITS.ln(Decimal(10))))
# ln 2 / 512 in two parts, the first of 30 bits: times a whole number below 2^22 it is exact.
_STEP_HIGH = math.floor(_LN2_HIGH * 2.0**30) / 2.0**39
_STEP_LOW = float(_DIGITS.subtract(_DIGITS.divide(_LN2, Decimal(_STEPS)), Decimal(_STEP_HIGH)))
# ln 2 in two parts, the first of 40 bits: times a binary exponent it is exact.
_LN2_TOP = math.floor(_LN2_HIGH * 2.0**40) / 2.0**40
_LN2_REST = float(_DIGITS.subtract(_LN2, Decimal(_LN2_TOP)))
_STEPS_PER_UNIT = _STEPS * _LOG2E_HIGH
# 2^r = 1 + P(r) for |r| <= 1/1024: Taylor; the first term left out is below 2^-60.
_A1, _A2, _A3, _A4 = (float(_DIGITS.divide(_DIGITS.power(_LN2, n), Decimal(math.factorial(n)))) for n in range(1, 5))
_SPLITTER = 2.0**27 + 1.0  # Dekker: splits a double into two halves of 26 bits
_EXP_MAX, _EXP_MIN = 710.0, -746.0  # beyond: infinity, zero
_THIRD, _FIFTH, _SIXTH, _SEVENTH = 1.0 / 3.0, 0.2, 1.0 / 6.0, 1.0 / 7.0
_24TH = 1.0 / 24.0
_ROOT_HALF = 0.7071067811865476
_ALL_WHOLE = 2.0**53  # from here on every double is a whole, even number
_NAN, _INFINITY = math.nan, math.inf
_FEW = 32  # values that are computed one by one: twenty passes over an array cost more


# ---------------------------------------------------------------- powers of two and of e


@overload
def exp2(x: float) -> float: ...
@overload
def exp2(x: FloatArray) -> FloatArray: ...
def exp2(x: float | FloatArray) -> float | FloatArray:
    """2^x of one float; an array goes to `exp2_array`."""
    if isinstance(x, np.ndarray):
        return exp2_array(x)
    if -1021.0 < x < 1023.0:  # the result is a normal number: one scaling
        k = math.floor(x * 512.0 + 0.5)
        r = x - k * 0.001953125
        head = _EXP_HIGH[k & 511]
        tail = head * (r * (_A1 + r * (_A2 + r * (_A3 + r * _A4))))
        return (head + (_EXP_LOW[k & 511] + tail)) * _SCALES[(k >> 9) + 1022]
    if x != x:
        return _NAN
    if x >= 1024.0:
        return _INFINITY
    if x < -1076.0:
        return 0.0
    k = math.floor(x * 512.0 + 0.5)
    r = x - k * 0.001953125
    head = _EXP_HIGH[k & 511]
    tail = head * (r * (_A1 + r * (_A2 + r * (_A3 + r * _A4))))
    return _scaled_of(head + (_EXP_LOW[k & 511] + tail), k >> 9)


@inner
def exp2_of_fraction(x: Any) -> Any:
    """2^x of an x in [0, 1), for kernels: `exp2`."""
    k = math.floor(x * 512.0 + 0.5)
    r = x - k * 0.001953125
    head = _EXP_HIGH_ARRAY[k & 511]
    tail = head * (r * (_A1 + r * (_A2 + r * (_A3 + r * _A4))))
    return (head + (_EXP_LOW_ARRAY[k & 511] + tail)) * (2.0 if k >> 9 else 1.0)


def exp2_array(x: FloatArray) -> FloatArray:
    """2^x, shape as x."""
    if x.ndim == 1 and x.size <= _FEW:
        return np.array([exp2(each) for each in x.tolist()], np.float64)
    bounded = np.where(x == x, np.minimum(np.maximum(x, -1077.0), 1025.0), 0.0)
    k = np.floor(bounded * 512.0 + 0.5)
    r = bounded - k * 0.001953125
    whole = k.astype(np.int64)
    head = _EXP_HIGH_ARRAY[whole & 511]
    tail = head * (r * (_A1 + r * (_A2 + r * (_A3 + r * _A4))))
    result = _scaled(head + (_EXP_LOW_ARRAY[whole & 511] + tail), whole >> 9)
    result = np.where(x < -1076.0, 0.0, result)
    return np.where(x == x, result, _NAN)


def exp(x: float) -> float:
    """e^x of one float."""
    if x != x:
        return _NAN
    if x > _EXP_MAX:
        return _INFINITY
    if x < _EXP_MIN:
        return 0.0
    return _exp_of_pair(x, 0.0)


def exp_array(x: FloatArray) -> FloatArray:
    """e^x, shape as x."""
    bounded = np.where(x == x, np.minimum(np.maximum(x, _EXP_MIN), _EXP_MAX), 0.0)
    result = _exp_pair(bounded, np.zeros_like(bounded))
    result = np.where(x < _EXP_MIN, 0.0, result)
    result = np.where(x > _EXP_MAX, _INFINITY, result)
    return np.where(x == x, result, _NAN)


def _exp_of_pair(high: float, low: float) -> float:
    """e^(high + low) for `high` within the bounds and a `low` far smaller."""
    k = math.floor(high * _STEPS_PER_UNIT + 0.5)
    r = (high - k * _STEP_HIGH) - (k * _STEP_LOW - low)
    head = _EXP_HIGH[k & 511]
    tail = head * (r + r * r * (0.5 + r * (_SIXTH + r * _24TH)))
    return _scaled_of(head + (_EXP_LOW[k & 511] + tail), k >> 9)


def _exp_pair(high: FloatArray, low: FloatArray) -> FloatArray:
    k = np.floor(high * _STEPS_PER_UNIT + 0.5)
    r = (high - k * _STEP_HIGH) - (k * _STEP_LOW - low)
    whole = k.astype(np.int64)
    head = _EXP_HIGH_ARRAY[whole & 511]
    tail = head * (r + r * r * (0.5 + r * (_SIXTH + r * _24TH)))
    return _scaled(head + (_EXP_LOW_ARRAY[whole & 511] + tail), whole >> 9)


def _scaled_of(mantissa: float, power: int) -> float:
    """The number mantissa * 2^power, in two steps, of which only the second can round."""
    half = power >> 1
    return mantissa * _SCALES[half + 1022] * _SCALES[power - half + 1022]


def _scaled(mantissa: FloatArray, power: npt.NDArray[np.int64]) -> FloatArray:
    half = power >> 1
    scaled: FloatArray = mantissa * _SCALES_ARRAY[half + 1022] * _SCALES_ARRAY[power - half + 1022]
    return scaled


# ---------------------------------------------------------------- logarithms


def _ln_of(x: float) -> tuple[float, float]:
    """The natural logarithm of a positive finite float as a sum of two doubles."""
    mantissa, exponent = math.frexp(x)
    if mantissa < _ROOT_HALF:
        mantissa, exponent = mantissa * 2.0, exponent - 1
    cell = math.floor(256.0 / mantissa + 0.5)
    inverse = cell * 0.00390625
    # f = mantissa * inverse - 1 without loss: the inverse has 10 bits, each half of the mantissa at most 27.
    big = mantissa * _SPLITTER
    upper = big - (big - mantissa)
    f, f_low = _sum_of(upper * inverse - 1.0, (mantissa - upper) * inverse)
    square, square_low = _product_of(f, f)
    tail = square * f * (_THIRD - f * (0.25 - f * (_FIFTH - f * (_SIXTH - f * (_SEVENTH - f * 0.125)))))
    rest = ((f_low - f * f_low) - 0.5 * square_low) + tail
    high, low = _sum_of(exponent * _LN2_TOP, _LOG_HIGH[cell])
    high, more = _sum_of(high, f)
    high, last = _sum_of(high, -0.5 * square)
    low = ((low + more) + last) + ((exponent * _LN2_REST + _LOG_LOW[cell]) + rest)
    return _sum_of(high, low)


def _ln(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    mantissa, exponents = np.frexp(x)
    small = mantissa < _ROOT_HALF
    mantissa = np.where(small, mantissa * 2.0, mantissa)
    exponent = exponents.astype(np.float64) - small
    cells = np.floor(256.0 / mantissa + 0.5)
    inverse = cells * 0.00390625
    cell = cells.astype(np.int64)
    big = mantissa * _SPLITTER
    upper = big - (big - mantissa)
    f, f_low = _sum(upper * inverse - 1.0, (mantissa - upper) * inverse)
    square, square_low = _product(f, f)
    tail = square * f * (_THIRD - f * (0.25 - f * (_FIFTH - f * (_SIXTH - f * (_SEVENTH - f * 0.125)))))
    rest = ((f_low - f * f_low) - 0.5 * square_low) + tail
    high, low = _sum(exponent * _LN2_TOP, _LOG_HIGH_ARRAY[cell])
    high, more = _sum(high, f)
    high, last = _sum(high, -0.5 * square)
    low = ((low + more) + last) + ((exponent * _LN2_REST + _LOG_LOW_ARRAY[cell]) + rest)
    return _sum(high, low)


def _sum_of(a: float, b: float) -> tuple[float, float]:
    """The sum a + b as its rounded value and the exact rest (Knuth)."""
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def _sum(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def _product_of(a: float, b: float) -> tuple[float, float]:
    """The product a * b as its rounded value and the exact rest (Dekker)."""
    total = a * b
    big = a * _SPLITTER
    a_high = big - (big - a)
    a_low = a - a_high
    big = b * _SPLITTER
    b_high = big - (big - b)
    b_low = b - b_high
    return total, ((a_high * b_high - total) + a_high * b_low + a_low * b_high) + a_low * b_low


def _product(a: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray]:
    total = a * b
    big = a * _SPLITTER
    a_high = big - (big - a)
    a_low = a - a_high
    big = b * _SPLITTER
    b_high = big - (big - b)
    b_low = b - b_high
    return total, ((a_high * b_high - total) + a_high * b_low + a_low * b_high) + a_low * b_low


def _odd_log(x: float) -> float | None:
    """The logarithm, to any base above 1, of what is not a positive finite number."""
    if 0.0 < x < _INFINITY:
        return None
    if x == 0.0:
        return -_INFINITY
    return _INFINITY if x > 0.0 else _NAN


def log(x: float) -> float:
    """Natural logarithm of one float: ln 0 = -inf, ln of a negative number is NaN."""
    odd = _odd_log(x)
    return _ln_of(x)[0] if odd is None else odd


def _log_times_of(x: float, factor: float, factor_low: float) -> float:
    odd = _odd_log(x)
    if odd is not None:
        return odd
    high, low = _ln_of(x)
    product, rest = _product_of(high, factor)
    return product + (rest + (high * factor_low + low * factor))


def _log_times(x: FloatArray, factor: float, factor_low: float) -> FloatArray:
    good = (x > 0.0) & (x < _INFINITY)
    high, low = _ln(np.where(good, x, 1.0))
    product, rest = _product(high, np.full_like(high, factor))
    return _patched_logs(product + (rest + (high * factor_low + low * factor)), x, good)


def _patched_logs(result: FloatArray, x: FloatArray, good: npt.NDArray[np.bool_]) -> FloatArray:
    for index in (~good).nonzero()[0].tolist():
        result[index] = _odd_log(float(x[index]))
    return result


def log_array(x: FloatArray) -> FloatArray:
    """Natural logarithm, shape (n,)."""
    good = (x > 0.0) & (x < _INFINITY)
    return _patched_logs(_ln(np.where(good, x, 1.0))[0], x, good)


def log2(x: float) -> float:
    """Logarithm to base 2 of one float, exact for powers of two."""
    return _log_times_of(x, _LOG2E_HIGH, _LOG2E_LOW)


def log2_array(x: FloatArray) -> FloatArray:
    """Logarithm to base 2, shape (n,)."""
    return _log_times(x, _LOG2E_HIGH, _LOG2E_LOW)


def log10(x: float) -> float:
    """Logarithm to base 10 of one float, exact for powers of ten."""
    return _log_times_of(x, _LOG10E_HIGH, _LOG10E_LOW)


def log10_array(x: FloatArray) -> FloatArray:
    """Logarithm to base 10, shape (n,)."""
    return _log_times(x, _LOG10E_HIGH, _LOG10E_LOW)


# ---------------------------------------------------------------- x to the power y


def power(x: float, y: float) -> float:
    """x^y of two floats, special cases as Java's Math.pow (1^inf and 1^NaN are NaN)."""
    if y == 0.0:
        return 1.0
    if x != x or y != y:
        return _NAN
    size = abs(x)
    if abs(y) == _INFINITY:
        return _NAN if size == 1.0 else _INFINITY if (size > 1.0) == (y > 0.0) else 0.0
    whole = abs(y) >= _ALL_WHOLE or math.floor(y) == y
    odd = whole and abs(y) < _ALL_WHOLE and math.floor(y * 0.5) * 2 != y
    if size == 0.0 or size == _INFINITY:
        result = _INFINITY if (size == 0.0) == (y < 0.0) else 0.0
    elif x < 0.0 and not whole:
        return _NAN
    else:
        high, low = _ln_of(size)
        exponent = y * high
        if exponent > _EXP_MAX:
            result = _INFINITY
        elif exponent < _EXP_MIN:
            result = 0.0
        else:
            exponent, rest = _product_of(y, high)
            result = _exp_of_pair(exponent, rest + y * low)
    return -result if odd and math.copysign(1.0, x) < 0.0 else result


def power_array(x: FloatArray, y: FloatArray) -> FloatArray:
    """x^y, both of shape (n,)."""
    good = (x > 0.0) & (x < _INFINITY) & (np.abs(y) < _ALL_WHOLE) & (y != 0.0)
    bases, exponents = np.where(good, x, 1.0), np.where(good, y, 1.0)
    high, low = _ln(bases)
    product, rest = _product(exponents, high)
    good &= (product <= _EXP_MAX) & (product >= _EXP_MIN)
    result = _exp_pair(np.where(good, product, 0.0), np.where(good, rest + exponents * low, 0.0))
    for index in (~good).nonzero()[0].tolist():
        result[index] = power(float(x[index]), float(y[index]))
    return result
