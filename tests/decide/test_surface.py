"""A surface is the printed tuple of its stages."""

import nextpaint.decide
from nextpaint.decide import WEB_RERANK, Given, Surface, requirements
from tests.decide.surfaces import HOME, SEARCH


def test_printing_a_surface_shows_its_pipeline():
    assert str(HOME).splitlines() == [
        "home_carousel: 10 of catalog for personalisation, WEB_RERANK (250 of 500 ms)",
        "  inputs    page str, item_id Optional(str)",
        "  retrieve  Similar(item_vectors, to=session of recent.items in item_vectors, half-life 10 min, k=20)",
        "            BoughtTogether(orders, to=recent.items, k=10)",
        "            Top(trending, by=heat, k=10, where category in TopOf(category_interest, by=heat, n=3))",
        "  require   inventory.stock > 2",
        "            NotSeen(impressions, times=3, within=1 h)",
        "            NotBought(orders, within=30 d)",
        "  cold      Top(trending, by=heat, k=30)",
        "  features  sim = session of recent.items in item_vectors, half-life 10 min",
        "            heat = category_interest.heat",
        "            trend = trending.heat",
        "            price = inventory.price",
        "  rank      Model(ctr_ranker, until_trained=Weighted(sim=0.5, heat=0.3, trend=0.2))",
        "  rules     Diversify(by=category, at_most=3)",
        "  fallback  LastGood(max_age=10 min)",
    ]


def test_functions_print_by_name():
    def new_arrivals(candidates, context):
        return candidates

    surface = Surface("s", window=WEB_RERANK, purpose="p", items="catalog", retrieve=[new_arrivals])
    assert "retrieve  new_arrivals()" in str(surface)


def test_but_differs_in_what_is_named_and_nothing_else():
    other = HOME.but("other", limit=3)
    assert (other.name, other.limit) == ("other", 3)
    assert other.stages == HOME.stages
    assert SEARCH.stages[0] == ("retrieve", Given("items"))


def test_a_surface_knows_where_it_was_written():
    here = Surface("s", window=WEB_RERANK, purpose="p", items="catalog", retrieve=[])
    there = here.but("t")
    assert here.at.file == there.at.file == __file__
    assert there.at.line == here.at.line + 1


def test_requirements_are_known_before_any_table_is():
    needs = requirements([HOME, SEARCH])
    assert [each.split(" (")[0].split(" SELECT")[0] for each in needs.statements] == [
        "CREATE TABLE `_seen_impressions`",
        "INSERT INTO `_seen_impressions`",
        "CREATE TABLE `_bought_orders`",
        "INSERT INTO `_bought_orders`",
    ]
    assert "LAST_N(ROW(`item_id`, `ts`), 500) FROM `impressions` GROUP BY subject" in needs.statements[1]
    assert [(each.name, each.table, each.basket, each.item) for each in needs.cooccurrences] == [
        ("_together_orders", "orders", "order_id", "item_id")
    ]
    assert [(each.name, each.items, each.text) for each in needs.vectors] == [("item_vectors", "catalog", "title")]
    assert dict(needs.live)["category_interest"] == ("heat",)
    assert needs.whole == ("catalog", "trending")


def test_the_public_list_is_sorted_and_true():
    names = nextpaint.decide.__all__
    assert names == [
        *sorted(n for n in names if n.isupper()),
        *sorted(n for n in names if n[0].isupper() and not n.isupper()),
        *sorted(n for n in names if n[0].islower()),
    ]
    assert [name for name in names if not hasattr(nextpaint.decide, name)] == []
