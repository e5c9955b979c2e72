"""PERCENTILE: exact, whatever the order of rows, taken back and merged, beside a list of the values themselves."""

import math

from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process import percentiles
from nextpaint.process.aggregates import aggregate_function
from nextpaint.process.kept import GroupAccumulators, Kept
from nextpaint.record.types import BIGINT, DOUBLE, array
from nextpaint.sql.plan import Aggregate

VALUES = st.lists(
    st.one_of(st.integers(-5, 5).map(float), st.floats(-1e6, 1e6).map(lambda x: x + 0.0), st.just(math.nan)),
    max_size=20,
)
SHARES = (0.0, 0.3, 0.5, 0.999, 1.0)
ALL = Aggregate("PERCENTILE", (0,), array(DOUBLE), options=tuple(("share", each) for each in SHARES))


def listed(values):
    """From the values in order: between two by their distance."""
    ordered = sorted(values, key=percentiles.place_of)
    found = []
    for share in SHARES:
        place = share * (len(ordered) - 1) + 1
        low, high = math.floor(place), math.ceil(place)
        same = percentiles.place_of(ordered[low - 1]) == percentiles.place_of(ordered[high - 1])
        between = (high - place) * ordered[low - 1] + (place - low) * ordered[high - 1]
        found.append(ordered[low - 1] if same else between)
    return found


def same(found, expected):
    return repr(found) == repr(expected)  # NaN is NaN, to the last bit


@given(VALUES, VALUES)
def test_counts_give_what_the_values_give(kept, gone):
    acc = ()
    for value in [*gone, *kept]:
        acc = percentiles.count(acc, value, 1)
    for value in gone:
        acc = percentiles.count(acc, value, -1)
    function = aggregate_function(ALL, (DOUBLE,))
    assert same(function.result(acc, None), listed(kept) if kept else None)


@given(VALUES, VALUES)
def test_merging_is_counting_both(a, b):
    function = aggregate_function(ALL, (DOUBLE,))
    one, other, both = function.zero, function.zero, function.zero
    for value in a:
        one, both = function.add(one, (value,), 0), function.add(both, (value,), 0)
    for value in b:
        other, both = function.add(other, (value,), 0), function.add(both, (value,), 0)
    assert same(function.merge(one, other), both)


@given(VALUES, VALUES)
def test_a_group_keeps_its_values_apart_and_gives_the_same(kept, gone):
    calls = GroupAccumulators((ALL,), (DOUBLE,), None, updated=True)
    group, accs = Kept((), None), calls.zero
    for value in [*gone, *kept]:
        accs = calls.folded(accs, (value,), group, False)
    for value in gone:
        accs = calls.folded(accs, (value,), group, True)
    assert same(calls.results(accs)[0], listed(kept) if kept else None)
    looked_at = calls.folded(accs, (7.5,), group.copy(), False)
    assert same(calls.results(looked_at)[0], listed([*kept, 7.5]))
    assert same(calls.results(calls.folded(accs, (7.5,), group, False))[0], listed([*kept, 7.5])), "a copy is a copy"


def test_zero_has_no_sign():
    calls, function = GroupAccumulators((ALL,), (DOUBLE,), None, updated=True), aggregate_function(ALL, (DOUBLE,))
    group, accs, acc = Kept((), None), calls.zero, function.zero
    for value in (-0.0, 0.0):
        accs, acc = calls.folded(accs, (value,), group, False), function.add(acc, (value,), 0)
        assert str(calls.results(accs)[0]) == str(function.result(acc, None)) == str([0.0] * len(SHARES))


def test_a_row_counts_as_often_as_it_says():
    call = Aggregate("PERCENTILE", (0, 1), DOUBLE, options=(("share", 0.5),))
    calls = GroupAccumulators((call,), (DOUBLE, BIGINT), None, updated=True)
    function, acc = aggregate_function(call, (DOUBLE, BIGINT)), ()
    group, accs = Kept((), None), calls.zero
    for row, expected in [((1.0, 3), 1.0), ((9.0, 10**12), 9.0), ((5.0, 0), 9.0), ((5.0, None), 9.0), ((None, 1), 9.0)]:
        accs, acc = calls.folded(accs, row, group, False), function.add(acc, row, 0)
        assert calls.results(accs) == (expected,)
        assert function.result(acc, None) == expected
    accs, acc = calls.folded(accs, (9.0, 10**12), group, True), function.retract(acc, (9.0, 10**12), 0)
    assert (*calls.results(accs), function.result(acc, None)) == (1.0, 1.0)
