"""What would have changed a page is true: deciding again with that one change gives what was said."""

import numpy as np
import pytest

from nextpaint.decide import Weighted
from nextpaint.decide.counterfactual import counterfactuals
from nextpaint.decide.explain import WORDS_MAX, explain
from tests.decide.reading import shop, visit
from tests.decide.surfaces import HOME, decide, decider

PLAIN = HOME.but("home_carousel", rank=Weighted(sim=0.5, heat=0.3, trend=0.2, price=-0.05), rules=[], limit=20)


def visited(seed=0, size=40):
    reading = shop(size, seed=seed)
    visit(reading, "s1", (f"i{seed:03d}", 4.0, 1), (f"i{seed + 9:03d}", 1.0, 3), (f"i{seed + 3:03d}", 2.0, 2))
    return reading


def altered(name, item, value, record):
    """The surface with one value of one item changed; the others keep theirs."""
    values = {each.id: dict(zip((f.name for f in record.features), each.values, strict=True)) for each in record.items}

    def feature(candidates, context):
        found = [value if key == item else values.get(key, {}).get(name) for key in candidates.keys()]
        return np.array([np.nan if each is None else each for each in found], np.float64)

    return PLAIN.but("home_carousel", features={**PLAIN.features, name: feature}, limit=200)


@pytest.mark.parametrize("seed", range(6))
def test_an_item_with_the_value_that_was_named_is_ranked_first(seed):
    reading = visited(seed)
    whole = decide(decider(PLAIN.but("home_carousel", limit=200)), reading).record
    told = [each for each in counterfactuals(whole) if each["kind"] == "first"]
    for each in told:
        again = decide(decider(altered(each["feature"], each["id"], each["value"], whole)), reading).record
        assert again.items[0].id == each["id"], each["text"]
        assert each["text"].endswith(".") and each["feature"] in each["text"]
    assert told


@pytest.mark.parametrize("seed", range(4))
def test_without_a_feature_the_item_that_was_named_comes_first(seed):
    reading = visited(seed)
    whole = decide(decider(PLAIN.but("home_carousel", limit=200)), reading).record
    told = [each for each in counterfactuals(whole) if each["kind"] == "without"]
    assert {each["feature"] for each in told} >= {"sim", "heat"}
    assert [each["personal"] for each in told] == sorted((each["personal"] for each in told), reverse=True)
    for each in told:

        def nothing(candidates, context):
            return np.full(len(candidates), np.nan)

        features = {**PLAIN.features, each["feature"]: nothing}
        again = decide(decider(PLAIN.but("home_carousel", features=features, limit=200)), reading).record
        assert again.items[0].id == each["first"], each["text"]
        assert [item.id for item in again.items].index(each["id"]) + 1 == each["place"]


def test_what_a_filter_held_back_has_the_place_it_would_have_had():
    reading = visited()
    record = decide(decider(PLAIN), reading).record
    gone = record.items[0].id
    reading.put("inventory", item_id=gone, stock=0, price=1.0)
    told = [each for each in counterfactuals(decide(decider(PLAIN), reading).record) if each["kind"] == "allowed"]
    found = next(each for each in told if each["id"] == gone)
    assert found["place"] == 1 and found["condition"] == "inventory.stock > 2"
    assert "stock 0" in found["text"]


def test_a_model_or_no_ranker_gives_no_sums_to_change():
    record = decide(decider(PLAIN.but("home_carousel", rank=None)), visited()).record
    assert {each["kind"] for each in counterfactuals(record)} <= {"allowed"}


@pytest.mark.parametrize("seed", range(4))
def test_the_user_view_says_what_would_change_it_within_its_words(seed):
    record = decide(decider(PLAIN), visited(seed)).record
    long = {each.id: "A VERY LONG TITLE OF A THING THAT SOMEBODY NAMED WITHOUT MERCY" for each in record.items}
    told = explain(record, "user", long)
    assert len(told["text"].split()) <= WORDS_MAX
    assert "without what you did here" in told["text"].lower() and "turn profiling off" in told["text"]
    assert not any(word in told["text"] for word in ("sim", "heat", "inventory", "i0"))
    unprofiled = explain(decide(decider(PLAIN), visited(seed), ("s1",), profiled=False).record, "user")
    assert "what you did" not in unprofiled["text"]
