"""Doubles as the shortest decimals that are read as them again, beside Python's own repr."""

import math
import struct
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nextpaint.process.kernels.shortest import shortest
from nextpaint.record.compiled import kernel

positive = st.floats(min_value=0, exclude_min=True, allow_infinity=False)
any_bits = st.integers(1, (0x7FF << 52) - 1).map(lambda bits: struct.unpack("<d", struct.pack("<q", bits))[0])


@kernel("void(const float64[::1], int64[::1], int64[::1])")
def spelled(values, digits, exponents):
    for at in range(values.size):
        digits[at], exponents[at] = shortest(values[at])


def decimals(values):
    digits, exponents = np.zeros(len(values), np.int64), np.zeros(len(values), np.int64)
    spelled(np.array(values), digits, exponents)
    return list(zip(digits.tolist(), exponents.tolist(), strict=True))


def agree(values):
    for value, (digits, exponent) in zip(values, decimals(values), strict=True):
        exact = Fraction(10) ** exponent * digits
        assert exact == Fraction(Decimal(repr(value))), (value, digits, exponent)


@given(st.lists(positive | any_bits, min_size=1, max_size=50))
@example([5e-324, 1.7976931348623157e308, 2.2250738585072014e-308, 2.225073858507201e-308, 0.1, 0.30000000000000004])
@example([9007199254740993.0, 2e16, 1e22, 1e23, 9.5e-3, 4.35, 26.991000000000003])
def test_it_is_what_repr_says(values):
    agree(values)


@pytest.mark.parametrize("exponent", range(-1074, 1024, 7))
def test_powers_of_two_and_their_neighbours(exponent):
    power = 2.0**exponent
    agree([each for each in (math.nextafter(power, 0), power, math.nextafter(power, math.inf)) if 0 < each < math.inf])


def test_powers_of_ten_and_what_is_half_way_between_doubles():
    tens = [float(f"1e{exponent}") for exponent in range(-323, 309)]
    agree(tens + [math.nextafter(each, 0) for each in tens[1:]])
    for power in range(53, 64):  # a shorter decimal half way to a neighbour is this double's only if its bits are even
        agree([2.0**power + 2.0 ** (power - 52) * step for step in range(500)])
