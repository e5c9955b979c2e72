"""The shortest decimal that is a given double, and no other: Schubfach.

Source: R. Giulietti, "The Schubfach way to render doubles" (2021), sections 8 and 9; names of quantities are those of
the paper. Every double has one decimal of fewest digits between its neighbours; of several of that length the nearest
is taken. Powers of ten are kept to 128 bits, rounded up, which the paper proves to be enough for all doubles.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.record.compiled import inlined, inner, instruction

_LEAST, _MOST = -324, 292  # of the exponents whose opposites are powers of ten that are needed
_FRACTION_BITS, _BIAS = 52, 1075
_HIDDEN = 1 << _FRACTION_BITS
_TEN = np.uint64(10)


def _powers() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The high and the low 64 bits of the powers of ten from -_MOST to -_LEAST, scaled to 128 bits, rounded up."""
    scaled = []
    for exponent in range(-_MOST, -_LEAST + 1):
        power = 10 ** abs(exponent)
        bits = power.bit_length()
        if exponent < 0:
            scaled.append(-(-(1 << (127 + bits)) // power))
        else:
            scaled.append(power << (128 - bits) if bits <= 128 else -(-power // (1 << (bits - 128))))
    high = np.array([each >> 64 for each in scaled], np.uint64)
    return high, np.array([each & (1 << 64) - 1 for each in scaled], np.uint64)


_HIGH, _LOW = _powers()


_product_high = instruction("product_high")  # the high 64 bits of the product of two uint64
bits_of = instruction("bits_of")  # the bits of a double as int64


@inlined
def _rounded_to_odd(high: Any, low: Any, factor: Any) -> int:
    """The high bits of a power times a factor; odd if anything was below them."""
    carried = _product_high(low, factor)
    middle = high * factor + carried
    top = _product_high(high, factor) + (np.uint64(1) if middle < carried else np.uint64(0))
    return np.int64(top | (np.uint64(1) if middle > np.uint64(1) else np.uint64(0)))  # type: ignore[return-value]


@inner
def shortest(value: float) -> Any:
    """(digits, exponent): digits * 10**exponent is the shortest decimal of a finite double > 0. Digits may end in
    zeros."""
    bits = bits_of(value)
    fraction, biased = bits & (_HIDDEN - 1), bits >> _FRACTION_BITS
    c, q = fraction, 1 - _BIAS
    if biased != 0:
        c, q = fraction | _HIDDEN, biased - _BIAS
        if -_FRACTION_BITS <= q <= 0 and c & ((1 << -q) - 1) == 0:
            return c >> -q, 0
    closer = 1 if fraction == 0 and biased > 1 else 0  # the neighbour below is only half as far
    k = (q * 1_262_611 - (524_031 if closer == 1 else 0)) >> 22
    shift = np.uint64(q + ((-k * 1_741_647) >> 19) + 1)
    high, low = _HIGH[_MOST - k], _LOW[_MOST - k]
    odd = c & 1  # then the bounds themselves are read as its neighbours
    lower = _rounded_to_odd(high, low, np.uint64(4 * c - 2 + closer) << shift) + odd
    exact = _rounded_to_odd(high, low, np.uint64(4 * c) << shift)
    upper = _rounded_to_odd(high, low, np.uint64(4 * c + 2) << shift) - odd
    s = exact >> 2
    if s >= 10:
        tens: Any = np.int64(np.uint64(s) // _TEN)
        below, above = lower <= 40 * tens, 40 * tens + 40 <= upper
        if below != above:
            return tens + (1 if above else 0), k + 1
    below, above = lower <= 4 * s, 4 * s + 4 <= upper
    if below != above:
        return s + (1 if above else 0), k
    middle = 4 * s + 2
    return s + (1 if exact > middle or (exact == middle and s & 1 == 1) else 0), k
