"""Decay of one weight: a half is left after a half-life, and scalar and array agree bit for bit."""

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.kernels import decay as d

HOUR = 3_600_000
HALF_LIVES = st.sampled_from([1, 7, 1000, 60_000, 600_000, HOUR, 30 * 24 * HOUR])


def bits(value):
    return struct.pack("<d", value)


@given(st.floats(allow_nan=False), st.integers(-(2**52), 2**52), HALF_LIVES)
def test_scalar_and_array_decay_give_the_same_bits(value, age, half_life):
    with np.errstate(all="ignore"):
        found = d.decay_array(np.array([value]), np.array([age]), half_life)[0]
    assert bits(d.decay(value, age, half_life)) == bits(found)


def test_half_is_left_after_a_half_life_and_nothing_grows():
    assert d.decay(8.0, HOUR, HOUR) == 4.0
    assert d.decay(8.0, 3 * HOUR, HOUR) == 1.0
    assert d.decay(8.0, 0, HOUR) == 8.0
    assert d.decay(8.0, -5, HOUR) == 8.0
    assert d.decay(8.0, 2**52, 1) == 0.0
