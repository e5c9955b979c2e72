"""Simulated shoppers: functions of their seed, labelled simulated, liking their favourites and the top of a page."""

from collections import Counter

from nextpaint.connect.orders import epoch_ms
from nextpaint.connect.shoppers import CLICKS_MAX, Shopper

CATEGORIES = {f"{family}-{number}": family for family in ("bags", "candles", "toys", "mugs") for number in range(10)}


def page(*items):
    return {"decision_id": "d1", "items": [{"id": item, "position": place} for place, item in enumerate(items, 1)]}


def test_the_same_seed_and_pages_give_the_same_calls():
    def session():
        shopper = Shopper(7, CATEGORIES)
        return [shopper.react(page(*CATEGORIES), now) for now in range(1000, 5000, 1000)]

    assert session() == session()


def test_the_first_call_is_the_impression_of_the_whole_page():
    calls = Shopper(1, CATEGORIES).react(page("bags-1", "toys-2"), 1_700_000_000_000)
    assert calls[0]["event"] == "Impression"
    assert calls[0]["properties"] == {
        "decision_id": "d1",
        "items": [{"item_id": "bags-1", "position": 1}, {"item_id": "toys-2", "position": 2}],
    }


def test_every_call_is_a_segment_call_labelled_simulated_with_its_own_message_id():
    calls = [
        call for seed in range(30) for call in Shopper(seed, CATEGORIES).react(page(*CATEGORIES), 1_700_000_000_000)
    ]
    assert {call["event"] for call in calls} == {"Impression", "Product Clicked", "Product Viewed", "Product Added"}
    assert all(call["type"] == "track" and call["context"]["simulated"] is True for call in calls)
    assert all(call["anonymousId"].startswith("simulated-") for call in calls)
    assert len({call["messageId"] for call in calls}) == len(calls)
    times = [epoch_ms(call["timestamp"]) for call in calls]
    assert all(0 <= time - 1_700_000_000_000 < 100 for time in times)


def test_clicks_and_carts_carry_the_decision():
    calls = [call for seed in range(30) for call in Shopper(seed, CATEGORIES).react(page(*CATEGORIES), 1)]
    for call in calls:
        if call["event"] in ("Product Clicked", "Product Added"):
            assert call["properties"]["decision_id"] == "d1"
            assert call["properties"]["product_id"] in CATEGORIES


def clicks(shoppers, items):
    return Counter(
        call["properties"]["product_id"]
        for shopper in shoppers
        for call in shopper.react(page(*items), 1)
        if call["event"] == "Product Clicked"
    )


def test_a_favourite_is_clicked_far_more_than_the_rest():
    shoppers = [Shopper(seed, CATEGORIES) for seed in range(400)]
    liked = other = 0
    for shopper in shoppers:
        favourite = max(shopper.taste, key=shopper.taste.get)
        for item, count in clicks([shopper], [f"{family}-1" for family in ("bags", "candles", "toys", "mugs")]).items():
            liked, other = (liked + count, other) if CATEGORIES[item] == favourite else (liked, other + count)
    assert liked > other


def test_an_item_at_the_top_of_a_page_is_clicked_more_than_the_same_item_further_down():
    unknown = [f"unknown-{number}" for number in range(14)]
    first, last = ["toys-1", *unknown], [*unknown, "toys-1"]
    top = clicks([Shopper(seed, CATEGORIES) for seed in range(1500)], first)["toys-1"]
    end = clicks([Shopper(seed, CATEGORIES) for seed in range(1500)], last)["toys-1"]
    assert top > 2 * end > 0


def test_a_page_is_done_after_a_few_clicks_and_taste_drifts():
    shopper = Shopper(3, CATEGORIES)
    before = shopper.taste
    most = max(sum(clicks([shopper], CATEGORIES).values()) for _ in range(200))
    assert most <= CLICKS_MAX
    assert shopper.taste != before


def test_an_empty_page_or_unknown_items_give_no_clicks():
    assert Shopper(1, CATEGORIES).react({"decision_id": "d", "items": []}, 1) == []
    assert [call["event"] for call in Shopper(1, {}).react(page("x"), 1)] == ["Impression"]
