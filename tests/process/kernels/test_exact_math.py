"""The exact functions: close to the truth, equal as scalar and as array, and the same bits on any x86-64."""

import hashlib
import math
import os
import struct
import subprocess
import sys
from decimal import Context, Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nextpaint.process.kernels import exact_math as exact

NAN, INF = math.nan, math.inf
TRUTH = Context(prec=50)
LN2, LN10 = TRUTH.ln(Decimal(2)), TRUTH.ln(Decimal(10))
ONE = {
    "exp2": (exact.exp2, exact.exp2_array),
    "exp": (exact.exp, exact.exp_array),
    "log": (exact.log, exact.log_array),
    "log2": (exact.log2, exact.log2_array),
    "log10": (exact.log10, exact.log10_array),
}


def bits(value):
    return struct.pack("<d", value)


def ulps(found, truth):
    """Distance in units of the last place of the true value."""
    return float(abs(Decimal(found) - truth) / Decimal(math.ulp(float(truth))))


def on_array(function, *arguments):
    with np.errstate(all="ignore"):
        return function(*[np.array([each]) for each in arguments])[0]


@pytest.mark.parametrize("name", ONE)
@given(x=st.floats())
@example(x=0.0)
@example(x=-0.0)
@example(x=NAN)
@example(x=INF)
@example(x=-INF)
@example(x=5e-324)
@example(x=1.0)
@example(x=1024.0)
@example(x=1023.9999999999999)
@example(x=-1022.0)
@example(x=-1074.5)
@example(x=-1075.0)
@example(x=-1076.5)
@example(x=709.782712893384)
@example(x=709.7827128933841)
@example(x=-745.1332191019412)
@example(x=-746.5)
@example(x=0.7071067811865476)
@example(x=0.7071067811865475)
def test_scalar_and_array_give_the_same_bits(name, x):
    scalar, array = ONE[name]
    assert bits(scalar(x)) == bits(on_array(array, x))


@given(st.floats(), st.floats())
def test_power_of_scalars_and_arrays_gives_the_same_bits(x, y):
    assert bits(exact.power(x, y)) == bits(on_array(exact.power_array, x, y))


@given(st.floats(-1021, 1023))
def test_exp2_is_within_an_ulp(x):
    truth = TRUTH.exp(TRUTH.multiply(Decimal(x), LN2))
    assert ulps(exact.exp2(x), truth) < 0.51


@given(st.floats(-708, 709))
def test_exp_is_within_an_ulp(x):
    assert ulps(exact.exp(x), TRUTH.exp(Decimal(x))) < 0.51


@given(st.floats(0, exclude_min=True, allow_infinity=False) | st.floats(0.9, 1.1))
def test_logarithms_are_within_an_ulp(x):
    if x == 1.0:
        assert exact.log(x) == exact.log2(x) == exact.log10(x) == 0.0
        return
    truth = TRUTH.ln(Decimal(x))
    assert ulps(exact.log(x), truth) < 0.501
    assert ulps(exact.log2(x), TRUTH.divide(truth, LN2)) < 0.501
    assert ulps(exact.log10(x), TRUTH.divide(truth, LN10)) < 0.501


@given(st.floats(1e-300, 1e300), st.floats(-700, 700))
def test_power_is_within_an_ulp(x, exponent):
    if abs(math.log(x)) < 1e-9:
        return
    y = exponent / math.log(x)
    truth = TRUTH.exp(TRUTH.multiply(TRUTH.ln(Decimal(x)), Decimal(y)))
    assert ulps(exact.power(x, y), truth) < 0.51


@given(st.integers(-1074, 1023))
def test_powers_of_two_are_exact(n):
    assert exact.exp2(float(n)) == math.ldexp(1.0, n)
    assert exact.log2(math.ldexp(1.0, n)) == n
    assert exact.power(2.0, float(n)) == math.ldexp(1.0, n)


@pytest.mark.parametrize("n", range(23))
def test_powers_of_ten_are_exact(n):
    assert exact.log10(10.0**n) == n
    assert exact.power(10.0, float(n)) == 10.0**n


@given(st.integers(1, 1000), st.integers(1, 5))
def test_whole_powers_are_exact(base, n):
    assert exact.power(float(base), float(n)) == float(base**n)
    assert exact.power(-float(base), float(n)) == float((-base) ** n)


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (exact.exp2, 0.0, 1.0),
        (exact.exp2, 1024.0, INF),
        (exact.exp2, INF, INF),
        (exact.exp2, -INF, 0.0),
        (exact.exp2, -1074.0, 5e-324),
        (exact.exp2, -1075.0, 0.0),
        (exact.exp2, -1076.5, 0.0),
        (exact.exp2, NAN, NAN),
        (exact.exp, 0.0, 1.0),
        (exact.exp, 709.7827128933841, INF),
        (exact.exp, 709.782712893384, 1.7976931348622732e308),
        (exact.exp, -745.0, 5e-324),
        (exact.exp, -746.0, 0.0),
        (exact.exp, NAN, NAN),
        (exact.log, 0.0, -INF),
        (exact.log, -0.0, -INF),
        (exact.log, -1.0, NAN),
        (exact.log, -INF, NAN),
        (exact.log, INF, INF),
        (exact.log, 5e-324, -744.4400719213812),
        (exact.log10, 0.0, -INF),
        (exact.log2, -5.0, NAN),
    ],
)
def test_special_values(function, x, expected):
    assert bits(function(x)) == bits(expected)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (NAN, 0.0, 1.0),
        (0.0, 0.0, 1.0),
        (1.0, NAN, NAN),
        (1.0, INF, NAN),
        (-1.0, -INF, NAN),
        (2.0, INF, INF),
        (0.5, INF, 0.0),
        (0.5, -INF, INF),
        (0.0, 3.0, 0.0),
        (-0.0, 3.0, -0.0),
        (-0.0, -3.0, -INF),
        (-0.0, 2.0, 0.0),
        (0.0, -0.5, INF),
        (INF, -1.0, 0.0),
        (-INF, 3.0, -INF),
        (-INF, -3.0, -0.0),
        (-8.0, 1 / 3, NAN),
        (-2.0, 3.0, -8.0),
        (-2.0, 2.0**60, INF),
        (10.0, 400.0, INF),
        (10.0, -400.0, 0.0),
        (-10.0, -401.0, -0.0),
    ],
)
def test_power_in_special_cases_is_javas(x, y, expected):
    assert bits(exact.power(x, y)) == bits(expected)
    assert bits(on_array(exact.power_array, x, y)) == bits(expected)


DIGEST = """
import hashlib, numpy as np
from nextpaint.process.kernels import exact_math as exact
x = np.random.Generator(np.random.PCG64(7)).uniform(-745, 709, 50_000)
y = np.random.Generator(np.random.PCG64(8)).uniform(-20, 20, 50_000)
with np.errstate(all="ignore"):
    parts = [exact.exp2_array(x), exact.exp_array(x), exact.power_array(np.abs(x), y)]
    parts += [f(np.exp2(np.floor(x)) * (1 + np.abs(y))) for f in (exact.log_array, exact.log2_array, exact.log10_array)]
print(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""
# Seen on an AMD EPYC with AVX512 and with everything above SSE4.2 switched off; any x86-64 machine must give it.
KNOWN = "7d0f06cd0a6adf842e1c25ab779fd916996825b32dc0d5d242108ac22ac51a62"


def _digest(disabled):
    environment = {**os.environ, "NPY_DISABLE_CPU_FEATURES": disabled, "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", DIGEST], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_same_bytes_without_the_processors_vector_instructions():
    """NumPy's own exp and log differ between these runs where the processor has AVX512; ours never do."""
    features = np._core._multiarray_umath.__cpu_features__
    dispatched = np._core._multiarray_umath.__cpu_dispatch__
    disabled = " ".join(name for name in dispatched if features[name])
    assert disabled, "this machine has no optional feature to switch off"
    assert _digest("") == _digest(disabled) == KNOWN


def test_the_tables_are_what_they_were():
    """A changed last bit in a table would change every decayed value of a ledger."""
    tables = (exact._EXP_HIGH, exact._EXP_LOW, exact._LOG_HIGH, exact._LOG_LOW)
    digest = hashlib.sha256(b"".join(bits(value) for table in tables for value in table)).hexdigest()
    assert digest == "d03913ea3a8a0d4f2111c94e0deb2625c2eab2c185609d58f6f78397a8b6c0bf"
