"""A decayed sum does not depend on the order of its rows, fades by half each half-life, and merges."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.kernels.decayed import KEPT, DecayedSum

ROWS = st.lists(st.tuples(st.floats(-1e6, 1e6, allow_nan=False), st.integers(0, 50 * 600_000)), min_size=1, max_size=40)


def added(rows, half_life=600_000):
    decayed = DecayedSum(half_life)
    buckets = decayed.zero
    for x, time in rows:
        buckets = decayed.add(buckets, x, time)
    return buckets


@given(ROWS, st.integers(0, 2**32))
def test_the_sum_is_the_same_bit_for_bit_in_any_order(rows, seed):
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    assert added(shuffled) == added(rows)


@given(ROWS, ROWS)
def test_merging_is_adding_all_rows_to_one(first, second):
    decayed = DecayedSum(600_000)
    assert decayed.merge(added(first), added(second)) == added([*first, *second])


@given(ROWS, st.integers(0, 10 * 600_000))
def test_the_sum_is_right(rows, after):
    as_of = max(time for _, time in rows) + after
    exact = math.fsum(x * 2.0 ** -((as_of - time) / 600_000) for x, time in rows)
    found = DecayedSum(600_000).value(added(rows), as_of)
    assert found == pytest.approx(exact, rel=1e-9, abs=1e-6 + 1e-15 * sum(abs(x) for x, _ in rows))


@given(st.lists(ROWS, min_size=1, max_size=6), st.integers(0, 80 * 600_000))
def test_reading_many_gives_the_same_bits_as_reading_each(many, as_of):
    decayed = DecayedSum(600_000)
    sums = [added(rows) for rows in many]
    folded = [decayed.fold(each) for each in sums]
    found = decayed.values(np.array([value for value, _ in folded]), np.array([at for _, at in folded]), as_of)
    assert found.tolist() == [decayed.value(each, as_of) for each in sums]


def test_half_is_left_after_a_half_life():
    decayed = DecayedSum(600_000)
    buckets = added([(4.0, 1_200_000)])
    assert [decayed.value(buckets, 1_200_000 + each * 600_000) for each in range(4)] == [4.0, 2.0, 1.0, 0.5]


def test_a_reading_before_the_newest_row_does_not_grow():
    decayed = DecayedSum(600_000)
    buckets = added([(4.0, 1_200_000)])
    assert decayed.value(buckets, 0) == 4.0 == decayed.value(buckets, None)


def test_no_row_has_no_value():
    assert DecayedSum(1_000).value((), 5) is None


@given(st.integers(0, 2**32))
def test_what_is_too_old_to_matter_is_dropped_in_any_order(seed):
    rows = [(1.0, each * 600_000) for each in range(0, 3 * KEPT, 7)]
    buckets = added(rows)
    assert len(buckets) <= KEPT + 1
    random.Random(seed).shuffle(rows)
    assert added(rows) == buckets
