"""Angles: the nearest double to the true value, checked against another way to compute it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.functions import angles

FLOATS = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("name", ["sin", "cos", "tan", "atan", "sinh", "cosh", "tanh"])
@given(x=FLOATS)
def test_the_machines_own_differs_in_the_last_place_at_most(name, x):
    ours = getattr(angles, name)(x)
    try:
        theirs = getattr(math, name)(x)
    except OverflowError:
        assert math.isinf(ours)
        return
    assert ours == theirs or abs(ours - theirs) <= 4 * math.ulp(theirs)


@given(st.floats(-1, 1))
def test_inverses(x):
    assert abs(angles.asin(x) - math.asin(x)) <= 2 * math.ulp(math.asin(x))
    assert abs(angles.acos(x) - math.acos(x)) <= 2 * math.ulp(math.acos(x))


@given(FLOATS, FLOATS)
def test_the_angle_of_a_point(y, x):
    expected = math.atan2(y, x)
    assert abs(angles.atan2(y, x) - expected) <= 2 * math.ulp(expected)
    assert math.copysign(1, angles.atan2(y, x)) == math.copysign(1, expected)


def test_edges():
    assert math.isnan(angles.sin(math.inf)) and math.isnan(angles.acos(1.1)) and math.isnan(angles.asin(-2.0))
    assert angles.sin(1e22) == -0.8522008497671888
    assert angles.cos(0.0) == 1.0
    assert angles.sinh(800.0) == math.inf
    assert angles.tanh(-800.0) == -1.0
    assert angles.atan(math.inf) == math.pi / 2
    assert angles.cot(0.0) == math.inf
    assert angles.degrees(math.pi) == 180.0
