"""The frozen ranking of a nightly job."""

from nextpaint.connect.last_night import DAY_MS, PAIR_ITEMS_MAX, frozen_ranking
from nextpaint.connect.orders import OrderLine


def order(order_id, day, *items, qty=1):
    return [OrderLine(order_id, day * DAY_MS, "", item, qty, 1.0) for item in items]


HISTORY = [
    *order("1", 1, "old", "pair", "partner"),
    *order("2", 1, "old", "pair", "partner"),
    *order("3", 1, "old"),
    *order("4", 2, "new"),
    *order("C4", 2, "cancelled", qty=-1),
]


def test_yesterdays_sellers_come_first_then_those_of_all_days():
    ranking = frozen_ranking(HISTORY)
    assert [item for item, _ in ranking.popular] == ["new", "old", "pair", "partner"]
    assert ranking.popular[0][1] > 1 > ranking.popular[1][1]


def test_a_page_shows_what_goes_with_its_item_then_what_is_popular_each_once():
    ranking = frozen_ranking(HISTORY)
    assert ranking.together["partner"] == ("pair", "old")
    assert ranking.page("partner") == ["pair", "old", "new"]
    assert ranking.page() == ["new", "old", "pair", "partner"]
    assert ranking.page("unknown item", limit=2) == ["new", "old"]


def test_restocking_orders_and_single_orders_make_no_pairs():
    many = [f"item {number}" for number in range(PAIR_ITEMS_MAX + 1)]
    ranking = frozen_ranking([*order("1", 1, *many), *order("2", 1, *many), *order("3", 1, "a", "b")])
    assert ranking.together == {}


def test_nothing_gives_nothing():
    assert frozen_ranking([]).page() == []
    assert frozen_ranking([]).rows(7) == []


def test_rows_are_those_of_the_table_yesterday():
    assert frozen_ranking(order("1", 1, "a")).rows(7) == [{"item_id": "a", "score": 1.5, "ts": 7}]
