"""What nearly was shown, where it would have been, and what kept it out."""

from nextpaint.decide import Given, NotBought, NotSeen, Top, Weighted
from tests.decide.reading import MINUTE_MS, NOW_MS, shop
from tests.decide.surfaces import HOME, decide, decider, ids

BY_HEAT = {
    "features": {"trend": "trending.heat", "price": "inventory.price"},
    "rank": Weighted(trend=1.0),
    "retrieve": [Top("trending", by="heat", k=20)],
    "rules": [],
    "cold": None,
    "limit": 5,
}


def near(reading, **changes):
    decision = decide(decider(HOME.but("test", **BY_HEAT | changes)), reading, ("s1",), "test")
    return decision, decision.record.near


def test_a_sold_out_item_names_its_place_the_filter_the_value_and_its_age():
    reading = shop()
    reading.put("inventory", item_id="i002", stock=0, price=3.0, changed_ms=NOW_MS - 12)
    decision, misses = near(reading, require=["inventory.stock > 2"])
    first = misses[0]
    assert (first.id, first.rank, first.cause) == ("i002", 3, "filter")
    assert (first.by, first.saw, first.age) == ("inventory.stock > 2", "stock 0", 12)
    assert first.values == (38.0, 3.0)
    assert "i002" not in ids(decision)


def test_putting_it_back_puts_it_where_it_was_said_to_be():
    reading = shop()
    reading.put("inventory", item_id="i002", stock=0, price=3.0)
    _, misses = near(reading, require=["inventory.stock > 2"])
    reading.put("inventory", item_id="i002", stock=9, price=3.0)
    decision, _ = near(reading, require=["inventory.stock > 2"])
    assert ids(decision).index("i002") + 1 == misses[0].rank


def test_removed_items_do_not_change_the_scores_of_the_others():
    reading = shop()
    reading.put("trending", item_id="i000", heat=1e6)
    reading.put("inventory", item_id="i000", stock=0, price=3.0)
    decision, misses = near(reading, require=["inventory.stock > 2"])
    assert decision.record.items[0].score == 1.0
    assert misses[0].id == "i000"
    assert misses[0].rank == 1


def test_personal_limits_say_how_often_and_when():
    reading = shop()
    reading.put("_seen_impressions", subject="s1", items=[("i001", NOW_MS - each * MINUTE_MS) for each in (9, 5, 2)])
    reading.put("_bought_orders", subject="s1", items=[("i003", NOW_MS - MINUTE_MS)])
    _, misses = near(reading, require=[NotSeen("impressions", times=3, within="1 h"), NotBought("orders")])
    told = {each.id: (each.by, each.saw, each.age) for each in misses}
    assert told["i001"] == ("not seen 3 times within 1 h", "seen 3 times", 2 * MINUTE_MS)
    assert told["i003"] == ("not bought within 30 d", "bought once", MINUTE_MS)


def test_the_next_items_are_listed_and_at_most_three_of_them():
    _, misses = near(shop(), require=[])
    assert [(each.id, each.rank, each.cause) for each in misses] == [
        ("i005", 6, "rank"), ("i006", 7, "rank"), ("i007", 8, "rank"),
    ]  # fmt: skip


def test_at_most_ten_by_the_place_they_would_have_had():
    reading = shop()
    for index in range(15):
        reading.put("inventory", item_id=f"i{index:03d}", stock=0, price=3.0)
    _, misses = near(reading, require=["inventory.stock > 2"])
    assert [each.id for each in misses] == [f"i{index:03d}" for index in range(10)]


def test_without_a_weighted_rank_a_filtered_item_has_no_place():
    reading = shop()
    reading.put("inventory", item_id="i002", stock=0, price=3.0)
    _, misses = near(reading, require=["inventory.stock > 2"], rank=None, features={})
    assert (misses[0].id, misses[0].rank, misses[0].saw) == ("i002", 0, "stock 0")


def test_a_filter_function_is_named():
    def no_lanterns(candidates, context):
        return candidates.take([index for index, key in enumerate(candidates.keys()) if int(key[1:]) % 8])

    _, misses = near(shop(), require=[no_lanterns], retrieve=[Given("items"), Top("trending", by="heat", k=20)])
    assert (misses[0].id, misses[0].by, misses[0].saw) == ("i000", "no_lanterns", "")
