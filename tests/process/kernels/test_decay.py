"""Decay, and decayed sums that are the same in any order of arrival."""

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nextpaint.process.kernels import decay as d

HOUR = 3_600_000
HALF_LIVES = st.sampled_from([1, 7, 1000, 60_000, 600_000, HOUR, 30 * 24 * HOUR])
WEIGHTS = st.sampled_from([1.0, -1.0, 0.0, 4.0, 0.1, 1e-9, 1e12, 5e-324]) | st.floats(-1e15, 1e15)
START = 1_700_000_000_000


def bits(value):
    return struct.pack("<d", value)


def added(events, half_life):
    mass, anchor = 0, d.NO_ANCHOR
    for x, t in events:
        mass, anchor = d.decayed_add(mass, anchor, x, t, half_life)
    return mass, anchor


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


@st.composite
def histories(draw):
    """Events over at most HISTORY_BITS half-lives: within them, any order is allowed."""
    half_life = draw(HALF_LIVES)
    start = draw(st.sampled_from([START, 0, -START]))
    span = half_life * (d.HISTORY_BITS - 1)
    times = st.integers(start, start + span)
    near = st.integers(start, start + 3 * half_life)
    return draw(st.lists(st.tuples(WEIGHTS, times | near), min_size=1, max_size=12)), half_life


@given(histories(), st.randoms())
def test_the_sum_is_the_same_bit_for_bit_in_any_order(history, chance):
    events, half_life = history
    shuffled = list(events)
    chance.shuffle(shuffled)
    assert added(events, half_life) == added(shuffled, half_life)
    assert added(events, half_life) == added(sorted(events, key=lambda event: event[1]), half_life)


def test_a_long_history_with_bounded_lateness_is_order_free():
    """Years of events: shuffled within 100 half-lives, the state at the end is the same."""
    chance = np.random.Generator(np.random.PCG64(3))
    times = np.sort(chance.integers(0, 20_000 * HOUR, 3000))
    events = [(float(x), int(t)) for x, t in zip(chance.uniform(-5, 5, 3000), times, strict=True)]
    arrival = sorted(events, key=lambda event: event[1] + chance.integers(0, 100 * HOUR))
    assert arrival != events
    assert added(arrival, HOUR) == added(events, HOUR)


@given(histories(), st.integers(0, 10))
def test_the_sum_is_right(history, after):
    events, half_life = history
    mass, anchor = added(events, half_life)
    t = anchor + after * half_life // 2
    truth = sum(
        Fraction(x) * Fraction(2.0 ** (((t0 - t) % half_life) / half_life)) * Fraction(2) ** ((t0 - t) // half_life)
        for x, t0 in events
    )
    scale = max(abs(x) * 2.0 ** ((t0 - t) / half_life) for x, t0 in events)
    found = d.decayed_read(mass, anchor, t, half_life)
    assert found == pytest.approx(float(truth), rel=1e-12, abs=max(scale * 1e-13, 1e-17))


@given(histories(), WEIGHTS, st.integers(0, 100))
def test_an_event_can_be_taken_back(history, x, back):
    events, half_life = history
    mass, anchor = added(events, half_life)
    t = anchor - back * half_life // 2
    twice = d.decayed_add(*d.decayed_add(mass, anchor, x, t, half_life), -x, t, half_life)
    assert twice == (mass, anchor)


@given(histories(), st.integers(0, 12))
def test_merging_two_sums_is_adding_all_events(history, cut):
    events, half_life = history
    assume(0 < cut < len(events))
    one, two = added(events[:cut], half_life), added(events[cut:], half_life)
    merged = d.decayed_merge(*one, *two, half_life)
    assert merged == d.decayed_merge(*two, *one, half_life)
    whole = added(events, half_life)
    assert merged[1] == whole[1] and 0 <= whole[0] - merged[0] <= 1
    assert d.decayed_merge(*one, 0, d.NO_ANCHOR, half_life) == one


@given(st.lists(histories(), min_size=1, max_size=5), st.integers(-100, 100))
def test_reading_many_gives_the_same_bits_as_reading_each(many, minutes):
    half_life = 600_000
    t = START + minutes * 60_000
    sums = [added(events, half_life) for events, _ in many] + [(0, d.NO_ANCHOR)]
    masses, anchors = [mass for mass, _ in sums], np.array([anchor for _, anchor in sums])
    found = d.decayed_read_array(masses, anchors, t, half_life)
    for row, (mass, anchor) in enumerate(sums):
        assert bits(found[row]) == bits(d.decayed_read(mass, anchor, t, half_life))


def test_a_reading_before_the_newest_event_is_as_of_that_event():
    mass, anchor = added([(4.0, START)], HOUR)
    assert d.decayed_read(mass, anchor, START - HOUR, HOUR) == pytest.approx(4.0, rel=1e-15)
    assert d.decayed_read(mass, anchor, START + HOUR, HOUR) == pytest.approx(2.0, rel=1e-15)
    assert d.decayed_read(0, d.NO_ANCHOR, START, HOUR) == 0.0


@pytest.mark.parametrize("x", [math.inf, -math.inf, math.nan, 1e200])
def test_a_weight_that_cannot_be_kept_is_refused(x):
    with pytest.raises(ValueError, match="decayed sum"):
        d.decayed_add(0, d.NO_ANCHOR, x, START, HOUR)


def test_the_state_stays_small():
    mass, anchor = added([(1.0, START + n * 1000) for n in range(20_000)], HOUR)
    assert mass.bit_length() < d.FRACTION_BITS + d.HISTORY_BITS + 20
    mass, anchor = d.decayed_add(mass, anchor, 1.0, START + 10_000 * HOUR, HOUR)
    assert d.decayed_read(mass, anchor, anchor, HOUR) == pytest.approx(1.0, rel=1e-15)
