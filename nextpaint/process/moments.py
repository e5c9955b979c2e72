"""Variance and standard deviation: (count, mean, sum of squared distances), updated row by row.

Source: B. P. Welford, Note on a method for calculating corrected sums of squares and products, Technometrics 4 (1962);
two accumulators merge as T. F. Chan, G. H. Golub and R. J. LeVeque (1979) give it. Uses + - * / and sqrt only, in the
order of rows. Of integers the result is an integer, truncated, of DECIMAL the double as a DECIMAL, as in Flink.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from nextpaint.record.columns import Value
from nextpaint.record.types import INTEGERS, Kind, Type

Moments = tuple[int, float, float]

ZERO: Moments = (0, 0.0, 0.0)
_EXACT = Context(prec=38, rounding=ROUND_HALF_UP)


def add(acc: Moments, values: tuple[Value, ...], time: int) -> Moments:
    """A row more; NULL is left out."""
    value = _number(values[0])
    if value is None:
        return acc
    count, mean, squares = acc
    count += 1
    distance = value - mean
    mean += distance / count
    return (count, mean, squares + distance * (value - mean))


def retract(acc: Moments, values: tuple[Value, ...], time: int) -> Moments:
    """A row taken back; NULL is left out."""
    value = _number(values[0])
    if value is None:
        return acc
    count, mean, squares = acc
    if count <= 1:
        return ZERO
    before = mean - (value - mean) / (count - 1)
    return (count - 1, before, max(squares - (value - before) * (value - mean), 0.0))


def merge(a: Moments, b: Moments) -> Moments:
    """The moments of the rows of both."""
    if not a[0] or not b[0]:
        return a if a[0] else b
    count = a[0] + b[0]
    distance = b[1] - a[1]
    mean = a[1] + distance * b[0] / count
    return (count, mean, a[2] + b[2] + distance * distance * a[0] * b[0] / count)


def _number(value: Any) -> Any:
    """A DECIMAL as the nearest double; other values as they are."""
    return float(value) if isinstance(value, Decimal) else value


def result(acc: Moments, sample: bool, root: bool, type_: Type) -> Value:
    """As a value of the aggregate's type; NULL over no value, of a sample also over one, and where a DECIMAL has no
    room for it."""
    count, _, squares = acc
    if count <= sample:
        return None
    variance = squares / (count - sample)
    found = math.sqrt(variance) if root else variance
    if type_.kind is Kind.DECIMAL:
        digits = Decimal(repr(found))
        fits = abs(digits) < Decimal(10) ** (type_.precision - type_.scale)
        return _EXACT.quantize(digits, Decimal(1).scaleb(-type_.scale)) if fits else None
    return int(found) if type_.kind in INTEGERS else found
