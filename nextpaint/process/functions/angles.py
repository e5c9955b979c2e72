"""Trigonometric and hyperbolic functions, the same bits on every machine.

Each value is computed in decimal arithmetic with 30 digits to spare (Taylor series after reduction) and rounded once to
the nearest double. That takes tens of microseconds a value: these functions are for few rows. An argument outside a
function's domain gives NaN, as in Java.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal
from functools import lru_cache

from nextpaint.process.functions.strings import Builder, plain

_DIGITS = 50
Reals = Callable[[Context, Decimal], Decimal]


@lru_cache(maxsize=64)
def _pi(digits: int) -> Decimal:
    """Machin: pi = 16 atan(1/5) - 4 atan(1/239)."""
    context = Context(prec=digits + 10)

    def arctangent(inverse: int) -> Decimal:
        power = context.divide(Decimal(1), Decimal(inverse))
        total, square, n = power, Decimal(inverse * inverse), 1
        while power.adjusted() > -digits - 10:
            power = context.divide(power.copy_negate(), square)
            n += 2
            total = context.add(total, context.divide(power, Decimal(n)))
        return total

    return context.subtract(context.multiply(Decimal(16), arctangent(5)), context.multiply(Decimal(4), arctangent(239)))


def _series(context: Context, x: Decimal, term: Decimal, n: int) -> Decimal:
    """x^n/n! with alternating signs, from `term` on, in steps of two: sine (n = 1) or cosine (n = 0)."""
    total, square = term, context.multiply(x, x)
    while term and term.adjusted() > total.adjusted() - context.prec - 2:
        term = context.divide(context.multiply(term.copy_negate(), square), Decimal((n + 1) * (n + 2)))
        n += 2
        total = context.add(total, term)
    return total


def _circle(x: float) -> tuple[Decimal, Decimal]:
    """Sine and cosine."""
    exact = Decimal(x)
    digits = _DIGITS + max(0, exact.adjusted()) * 2
    context = Context(prec=digits)
    half = context.divide(_pi(digits), Decimal(2))
    quarter = int(context.divide(exact, half).to_integral_value())
    rest = context.subtract(exact, context.multiply(Decimal(quarter), half))
    sine, cosine = _series(context, rest, rest, 1), _series(context, rest, Decimal(1), 0)
    match quarter % 4:
        case 0:
            return sine, cosine
        case 1:
            return cosine, sine.copy_negate()
        case 2:
            return sine.copy_negate(), cosine.copy_negate()
    return cosine.copy_negate(), sine


def _arctangent(x: Decimal) -> Decimal:
    context = Context(prec=_DIGITS)
    halvings = 0
    while abs(x) > Decimal("0.05"):
        root = context.sqrt(context.add(Decimal(1), context.multiply(x, x)))
        x = context.divide(x, context.add(Decimal(1), root))
        halvings += 1
    power, total, square, n = x, x, context.multiply(x, x), 1
    while power and power.adjusted() > total.adjusted() - _DIGITS - 2:
        power = context.multiply(power.copy_negate(), square)
        n += 2
        total = context.add(total, context.divide(power, Decimal(n)))
    return context.multiply(total, Decimal(2**halvings))


def _finite(function: Callable[[float], float]) -> Callable[[float], float]:
    def guarded(x: float) -> float:
        return function(x) if math.isfinite(x) else math.nan

    return guarded


@_finite
def sin(x: float) -> float:
    """Radians."""
    return float(_circle(x)[0]) if x else x


@_finite
def cos(x: float) -> float:
    """Radians."""
    return float(_circle(x)[1])


@_finite
def tan(x: float) -> float:
    """Radians."""
    sine, cosine = _circle(x)
    return float(Context(prec=_DIGITS).divide(sine, cosine)) if x else x


def cot(x: float) -> float:
    """1 / tan(x), rounded once more, as Flink computes it."""
    tangent = tan(x)
    return 1.0 / tangent if tangent else math.copysign(math.inf, tangent)


def atan(x: float) -> float:
    """The angle in (-pi/2, pi/2)."""
    if math.isnan(x) or not x:
        return x
    if math.isinf(x):
        return math.copysign(float(_pi(_DIGITS) / 2), x)
    return float(_arctangent(Decimal(x)))


def atan2(y: float, x: float) -> float:
    """The angle of the point (x, y) in [-pi, pi]; signs of zero count."""
    if math.isnan(x) or math.isnan(y):
        return math.nan
    if not y or math.isinf(x) or math.isinf(y) or not x:
        if not y:
            quarters = 0 if math.copysign(1.0, x) > 0 else 4
        elif math.isinf(x):
            quarters = (1 if x > 0 else 3) if math.isinf(y) else (0 if x > 0 else 4)
        else:
            quarters = 2
        return math.copysign(float(_pi(_DIGITS) * quarters / 4), y)
    angle = _arctangent(Context(prec=_DIGITS).divide(Decimal(y), Decimal(x)))
    if x < 0:
        angle += _pi(_DIGITS) if y > 0 else -_pi(_DIGITS)
    return float(angle)


def asin(x: float) -> float:
    """The angle in [-pi/2, pi/2]; NaN outside [-1, 1]."""
    if not -1.0 <= x <= 1.0 or not x:
        return x if not x else math.nan
    if abs(x) == 1.0:
        return math.copysign(float(_pi(_DIGITS) / 2), x)
    context = Context(prec=_DIGITS)
    root = context.sqrt(context.subtract(Decimal(1), context.multiply(Decimal(x), Decimal(x))))
    return float(_arctangent(context.divide(Decimal(x), root)))


def acos(x: float) -> float:
    """The angle in [0, pi]; NaN outside [-1, 1]."""
    if not -1.0 <= x <= 1.0:
        return math.nan
    if x == -1.0:
        return float(_pi(_DIGITS))
    context = Context(prec=_DIGITS)
    # acos(x) = 2 atan(sqrt((1 - x) / (1 + x)))
    ratio = context.divide(context.subtract(Decimal(1), Decimal(x)), context.add(Decimal(1), Decimal(x)))
    return float(2 * _arctangent(context.sqrt(ratio)))


def _hyperbola(x: float) -> tuple[Decimal, Decimal, Context]:
    """2 sinh, 2 cosh."""
    context = Context(prec=_DIGITS + max(0, -Decimal(x).adjusted()) * 2)
    up = context.exp(Decimal(x))
    down = context.divide(Decimal(1), up)
    return context.subtract(up, down), context.add(up, down), context


def sinh(x: float) -> float:
    """Infinity where it overflows."""
    if not x or not math.isfinite(x) or abs(x) > 750:
        return x if not x or math.isnan(x) else math.copysign(math.inf, x)
    return float(_hyperbola(x)[0] / 2)


def cosh(x: float) -> float:
    """Infinity where it overflows."""
    if not math.isfinite(x) or abs(x) > 750:
        return math.nan if math.isnan(x) else math.inf
    return float(_hyperbola(x)[1] / 2)


def tanh(x: float) -> float:
    """In [-1, 1]."""
    if not x or math.isnan(x):
        return x
    if abs(x) > 750:
        return math.copysign(1.0, x)
    sine, cosine, context = _hyperbola(x)
    return float(context.divide(sine, cosine))


def degrees(x: float) -> float:
    """As Java's Math.toDegrees."""
    return x * (180.0 / math.pi)


def radians(x: float) -> float:
    """As Java's Math.toRadians."""
    return x * (math.pi / 180.0)


FUNCTIONS: dict[str, Builder] = {
    "SIN": plain(sin),
    "COS": plain(cos),
    "TAN": plain(tan),
    "COT": plain(cot),
    "ASIN": plain(asin),
    "ACOS": plain(acos),
    "ATAN": plain(atan),
    "ATAN2": plain(atan2),
    "SINH": plain(sinh),
    "COSH": plain(cosh),
    "TANH": plain(tanh),
    "DEGREES": plain(degrees),
    "RADIANS": plain(radians),
}
