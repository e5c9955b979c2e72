"""A page as a whole: no value more than so often, and every move on record."""

from collections import Counter

from nextpaint.decide import Diversify, Given, Weighted
from nextpaint.decide.explain import explain
from tests.decide.reading import shop, visit
from tests.decide.surfaces import HOME, decide, decider, ids

PLAIN = {
    "features": {"trend": "trending.heat"},
    "rank": Weighted(trend=1.0),
    "retrieve": [Given("items")],
    "require": [],
    "cold": None,
}


def page(rules, items, limit):
    surface = HOME.but("test", rules=rules, **PLAIN)
    return decide(decider(surface), shop(), (), "test", items=[f"i{each:03d}" for each in items], limit=limit)


def test_no_value_more_than_at_most_while_others_fit():
    decision = page([Diversify(by="category", at_most=2)], [0, 8, 16, 24, 1, 9, 17, 2], 6)
    assert ids(decision) == ["i000", "i001", "i002", "i008", "i009", "i016"]
    categories = Counter(
        item["fields"]["category"] for item in page([Diversify("category", 2)], range(40), 10).answer["items"]
    )
    assert max(categories.values()) <= 2


def test_items_are_moved_never_dropped():
    decision = page([Diversify(by="category", at_most=1)], [0, 8, 16, 1], 4)
    assert ids(decision) == ["i000", "i001", "i008", "i016"]


def test_what_moved_and_why_is_on_record():
    decision = page([Diversify(by="category", at_most=1)], [0, 8, 9, 10], 3)
    (effect,) = decision.record.effects
    assert (effect.rule, effect.why) == ("diversify", "category lanterns already once")
    assert effect.moved == (("i008", 2, 4),)
    (miss,) = decision.record.near
    assert (miss.id, miss.cause, miss.by) == ("i008", "rule", "diversify")


def test_a_function_is_a_rule_and_its_moves_are_recorded():
    def last_first(candidates, context):
        return candidates.take([len(candidates) - 1, *range(len(candidates) - 1)])

    decision = page([last_first], [0, 1, 2], 3)
    assert ids(decision) == ["i002", "i000", "i001"]
    assert decision.record.effects[0].moved == (("i000", 1, 2), ("i001", 2, 3), ("i002", 3, 1))


def test_a_function_may_drop_but_not_add():
    def only_even_and_a_stranger(candidates, context):
        return context.found([*[key for key in candidates.keys() if int(key[1:]) % 2 == 0], "i039"])

    decision = page([only_even_and_a_stranger], [0, 1, 2], 3)
    assert ids(decision) == ["i000", "i002"]
    assert ("i001", 2, 0) in decision.record.effects[0].moved


def test_effects_are_told_in_explanations():
    reading = shop()
    visit(reading, "s1", *[(f"i{index:03d}", 1.0, 1) for index in (0, 8, 16, 24)])
    view = explain(decide(decider(), reading).record, "support")
    assert "moved down, category lanterns already 3 times (diversify)" in view["text"]
