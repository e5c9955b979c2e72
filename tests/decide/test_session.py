"""The session vector fades towards what was looked at last, and is the same bits in any order of summation."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.decide import DecisionRequest
from nextpaint.decide.context import Context, ListPath, Moment
from nextpaint.decide.session import WEIGHT_BITS, BoundSession, exact_sum
from tests.decide.reading import MINUTE_MS, shop, visit

PATH = ListPath("recent", "items", item=0, time=2, weight=1)
SESSION = BoundSession(PATH, "item_vectors", 10 * MINUTE_MS)


def context(reading, subjects=("s1",)):
    return Context(reading, "catalog", DecisionRequest(), subjects, Moment("d", reading.time_ms, 0))


def vector(reading, subjects=("s1",)):
    return SESSION.vector(context(reading, subjects))


def test_nothing_recent_is_no_vector():
    assert vector(shop()) is None


def test_items_without_a_vector_do_not_count():
    reading = shop()
    visit(reading, "s1", ("i001", 1.0, 1))
    del reading.vector_rows["i001"]
    assert vector(reading) is None


def test_components_are_integers_within_a_byte():
    reading = shop()
    visit(reading, "s1", ("i001", 1.0, 1), ("i002", 4.0, 5))
    session = vector(reading)
    assert session.values.dtype == np.float32
    assert (session.values == np.rint(session.values)).all()
    assert np.abs(session.values).max() == 127
    assert session.norm == float(np.sqrt(sum(int(each) ** 2 for each in session.values)))


def test_it_is_the_decayed_weighted_mean_up_to_rounding():
    reading = shop()
    visit(reading, "s1", ("i001", 1.0, 0), ("i002", 4.0, 20))
    mean = sum(
        weight * 2.0 ** -(minutes / 10) * reading.vector_rows[item] / np.linalg.norm(reading.vector_rows[item])
        for item, weight, minutes in [("i001", 1.0, 0), ("i002", 4.0, 20)]
    )
    expected = np.rint(mean / np.abs(mean).max() * 127)
    assert np.abs(vector(reading).values - expected).max() <= 1


def test_with_time_the_newer_item_takes_over():
    reading = shop()
    visit(reading, "s1", ("i001", 4.0, 30), ("i002", 1.0, 0))
    similarity = SESSION.similarity
    now = context(reading)
    first, second = similarity(now.found(["i001", "i002"]), now).values
    assert second > first


def test_devices_merge_into_one_session():
    both = shop()
    visit(both, "phone", ("i001", 1.0, 3))
    visit(both, "laptop", ("i002", 2.0, 1))
    one = shop()
    visit(one, "s1", ("i001", 1.0, 3), ("i002", 2.0, 1))
    assert (vector(both, ["phone", "laptop"]).values == vector(one).values).all()


def test_similarity_is_null_without_a_vector_and_equal_on_both_ways_to_compute_it():
    reading = shop()
    visit(reading, "s1", ("i001", 1.0, 3))
    del reading.vector_rows["i005"]
    one, other = context(reading), context(reading)
    other_all = SESSION.all_similarities(other)
    assert other_all is not None
    candidates = one.found(["i004", "i005", "i006"])
    gathered, from_all = SESSION.similarity(candidates, one), SESSION.similarity(candidates, other)
    assert gathered.to_list() == from_all.to_list()
    assert gathered.to_list()[1] is None


@given(st.lists(st.floats(1e-9, 8.0), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_the_sum_is_exact_in_whole_numbers(weights, seed):
    components = np.random.default_rng(seed).integers(-127, 128, (len(weights), 16)).astype(np.float32)
    total = exact_sum(np.array(weights), components).tolist()
    whole = [round(weight / max(weights) * 2**WEIGHT_BITS) for weight in weights]
    expected = [sum(w * int(c) for w, c in zip(whole, column, strict=True)) for column in components.T.tolist()]
    assert [int(each) for each in total] == expected


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 39), st.floats(0.1, 8.0), st.integers(0, 90)), min_size=1, max_size=30),
    st.randoms(),
)
def test_the_order_of_rows_changes_no_bit(events, chance):
    vectors = []
    for _ in range(2):
        reading = shop()
        chance.shuffle(events)
        visit(reading, "s1", *[(f"i{item:03d}", weight, minutes) for item, weight, minutes in events])
        items = list(reading.vector_rows)
        chance.shuffle(items)
        reading.vector_rows = {item: reading.vector_rows[item] for item in items}
        vectors.append(vector(reading))
    assert (vectors[0].values == vectors[1].values).all()
    assert vectors[0].norm == vectors[1].norm
