"""The session vector fades towards what was looked at last, and is the same bits in any order of summation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.decide import DecisionRequest
from nextpaint.decide.context import Context, ListPath, Moment
from nextpaint.decide.session import SEEDS_MAX, BoundSession
from tests.decide.reading import MINUTE_MS, shop, visit

PATH = ListPath("recent", "items", item=0, time=2, weight=1)
SESSION = BoundSession(PATH, "item_vectors", 10 * MINUTE_MS)


def context(reading, subjects=("s1",)):
    return Context(reading, "catalog", DecisionRequest(), subjects, Moment("d", reading.time_ms, 0))


def similarities(reading, subjects=("s1",)):
    """Cosine similarity by item, or None."""
    found = SESSION.similarities(context(reading, subjects))
    if found is None:
        return None
    every = found.scores(np.arange(len(found.vectors.keys)))
    return dict(zip(found.vectors.keys, (every / found.length).tolist(), strict=True))


def test_nothing_recent_is_no_session():
    assert similarities(shop()) is None


def test_items_without_a_vector_do_not_count():
    reading = shop()
    visit(reading, "s1", ("i001", 1.0, 1))
    del reading.vector_rows["i001"]
    assert similarities(reading) is None


def test_it_is_the_cosine_with_the_decayed_weighted_sum_of_directions():
    reading = shop()
    visit(reading, "s1", ("i001", 1.0, 0), ("i002", 4.0, 20))
    mean = sum(
        weight * 2.0 ** -(minutes / 10) * reading.vector_rows[item] / np.linalg.norm(reading.vector_rows[item])
        for item, weight, minutes in [("i001", 1.0, 0), ("i002", 4.0, 20)]
    )
    for item, found in similarities(reading).items():
        row = reading.vector_rows[item]
        assert found == pytest.approx(float(mean @ row / np.linalg.norm(mean) / np.linalg.norm(row)), abs=1e-6)


def test_an_item_looked_at_alone_is_like_itself():
    reading = shop()
    visit(reading, "s1", ("i001", 2.0, 7))
    assert similarities(reading)["i001"] == pytest.approx(1.0, abs=1e-12)


def test_with_time_the_newer_item_takes_over():
    reading = shop()
    visit(reading, "s1", ("i001", 4.0, 30), ("i002", 1.0, 0))
    found = similarities(reading)
    assert found["i002"] > found["i001"]


def test_devices_merge_into_one_session():
    both = shop()
    visit(both, "phone", ("i001", 1.0, 3))
    visit(both, "laptop", ("i002", 2.0, 1))
    one = shop()
    visit(one, "s1", ("i001", 1.0, 3), ("i002", 2.0, 1))
    assert similarities(both, ["phone", "laptop"]) == similarities(one)


def test_the_feature_is_null_without_a_vector():
    reading = shop()
    visit(reading, "s1", ("i001", 1.0, 3))
    del reading.vector_rows["i005"]
    now = context(reading)
    found = SESSION.similarity(now.found(["i004", "i005", "i006"]), now).to_list()
    assert found[1] is None
    strength = 2.0 ** -(3 / 10)
    assert found[0] == pytest.approx(similarities(reading)["i004"] * strength, abs=1e-6)


def test_the_feature_fades_with_the_session():
    reading = shop()
    visit(reading, "s1", ("i001", 1.0, 0))
    later = context(reading.at(reading.time_ms + 20 * MINUTE_MS))
    assert SESSION.similarity(later.found(["i001"]), later).to_list() == [0.25]


def test_the_lightest_of_many_items_do_not_count():
    reading = shop()
    many = [(f"i{item:03d}", float(item + 1), 0) for item in range(SEEDS_MAX + 10)]
    visit(reading, "s1", *many)
    heaviest = shop()
    visit(heaviest, "s1", *many[10:])
    assert similarities(reading) == similarities(heaviest)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 39), st.floats(0.1, 8.0), st.integers(0, 90)), min_size=1, max_size=30),
    st.randoms(),
)
def test_the_order_of_rows_changes_no_bit(events, chance):
    found = []
    for _ in range(2):
        reading = shop()
        chance.shuffle(events)
        visit(reading, "s1", *[(f"i{item:03d}", weight, minutes) for item, weight, minutes in events])
        items = list(reading.vector_rows)
        chance.shuffle(items)
        reading.vector_rows = {item: reading.vector_rows[item] for item in items}
        found.append(similarities(reading))
    assert found[0] == found[1]
