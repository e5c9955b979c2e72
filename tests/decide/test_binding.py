"""All mistakes of all surfaces are reported at once, each with its place and a cure."""

import pytest

from nextpaint.decide import (
    BoughtTogether,
    Decider,
    Diversify,
    Feature,
    Given,
    LastGood,
    Model,
    NotSeen,
    Own,
    Recent,
    SessionVector,
    Similar,
    Top,
    TopOf,
    Weighted,
)
from nextpaint.ports.clock import SimulatedClock
from nextpaint.record.errors import ApplicationError
from tests.decide.reading import TABLES
from tests.decide.surfaces import HOME, SEARCH, SESSION, decider


def mistakes(*surfaces):
    with pytest.raises(ApplicationError) as caught:
        Decider(surfaces, TABLES, SimulatedClock())
    return caught.value.diagnostics


@pytest.mark.parametrize(
    ("changes", "what", "cure"),
    [
        ({"items": "catalogue"}, "unknown table in items: 'catalogue'", "did you mean 'catalog'?"),
        ({"items": "placed"}, "needs a primary key of one column", "PRIMARY KEY (item_id)"),
        ({"retrieve": []}, "has no retriever", "write at least one"),
        ({"retrieve": ["trending"]}, "'trending' is not a stage", "write one of the stages"),
        ({"retrieve": [Top("trendng", by="heat")]}, "unknown table in Top: 'trendng'", "did you mean 'trending'?"),
        ({"retrieve": [Top("trending", by="het")]}, "unknown column of 'trending' in Top(by=): 'het'", "'heat'"),
        ({"retrieve": [Top("catalog", by="title")]}, "catalog.title is STRING, not a number", "numeric"),
        ({"retrieve": [Top("placed", by="heat")]}, "its key is (category, item_id)", "GROUP BY the item only"),
        ({"retrieve": [Top("trending", by="heat", where={"categry": "x"})]}, "in Top(where=): 'categry'", "'category'"),
        (
            {"retrieve": [Top("trending", by="heat", where={"category": TopOf("carts", by="value")})]},
            "TopOf('carts') for 'category' needs the key (subject, category)",
            "PRIMARY KEY (subject, category)",
        ),
        ({"retrieve": [Recent("carts.items")]}, "carts.items is BIGINT, not a list of items", "LAST_N"),
        ({"retrieve": [Recent("recent")]}, "'recent' is not a column", "table.column"),
        ({"retrieve": [BoughtTogether("orders", basket="basket")]}, "in BoughtTogether(basket=): 'basket'", "known:"),
        ({"retrieve": [Given("cart")]}, "unknown input in Given: 'cart'", "known:"),
        ({"retrieve": [Given("page")]}, "that input is str", "inputs={'page': list}"),
        ({"retrieve": [Similar("other", to=SESSION)]}, "searches another space", "vectors='other'"),
        ({"features": {"sim": SessionVector("recent.items", half_life="soon")}}, "'soon' is not a length of time", ""),
        (
            {"features": {"sim": SessionVector("recent.items", text="name")}},
            "in SessionVector(text=): 'name'",
            "known:",
        ),
        ({"require": ["inventory.stok > 2"]}, "stok", "stock"),
        ({"require": ["inventory.stock + 2"]}, "must be a condition, not INT", ""),
        ({"require": [("inventory.stock > 2", "maybe")]}, "missing='maybe'", "missing='refuse'"),
        ({"require": [NotSeen("impressions", times=0)]}, "times=0", "1 or more"),
        ({"features": {"price": "inventory.prise"}}, "in feature 'price': 'prise'", "did you mean 'price'?"),
        ({"features": {"title": "catalog.title"}}, "catalog.title is STRING, not a number", "numeric"),
        ({"features": {"x": "inventory.price * trending.het"}}, "trending.het", "trending.heat"),
        ({"features": {"x": "inventory.price > 2.0"}}, "the feature must be a number, not BOOLEAN", ""),
        ({"retrieve": [Own("trending", by="heat")]}, "Own('trending') needs the key (subject, item_id)", "PRIMARY KEY"),
        ({"retrieve": [Own("bought", by="heart")]}, "'heart'", "did you mean 'heat'?"),
        ({"features": {"x": "orders.qty"}}, "'orders' has no primary key", "PRIMARY KEY"),
        ({"features": {"x": 7}}, "feature 'x' is 7", "table.column"),
        ({"features": {"x": Feature("inventory.price", on={"itm": "subject"})}}, "unknown key column", "item_id"),
        (
            {"features": {"x": Feature("inventory.price", on={"item_id": "inputs.it"})}},
            "unknown input in on=",
            "item_id",
        ),
        (
            {"inputs": {}, "features": {"x": "page_boost.boost"}},
            "nothing is named like key column 'page'",
            "on={'page'",
        ),
        ({"rank": Weighted(price=1.0, hat=2.0)}, "unknown feature in Weighted: 'hat'", "did you mean 'heat'?"),
        ({"rank": Weighted(price="much")}, "Weighted(price='much')", "finite number"),
        ({"rank": Model("m", until_trained=Weighted())}, "has no weights", "Weighted(feature=1.0)"),
        ({"rank": "best"}, "rank='best'", "Weighted"),
        ({"rules": [Diversify(by="brand")]}, "in Diversify(by=): 'brand'", "known:"),
        ({"rules": [Diversify(by="category", at_most=0)]}, "at_most=0", "1 or more"),
        ({"fallback": LastGood("10 minutes")}, "'10 minutes' is not a length of time", ""),
        ({"fallback": None}, "fallback=None", "Nothing()"),
        ({"window": 500}, "window=500", "WEB_RERANK"),
        ({"limit": 0}, "limit=0", "1 to 200"),
        ({"purpose": ""}, "no purpose", "purpose="),
        ({"inputs": {"page": dict}}, "input 'page'", "Optional"),
        ({"explore": object()}, "explore=<object", "ThompsonSampling"),
        ({"experiment": object()}, "experiment=<object", "Experiment("),
        ({"say": {"hat": "x"}}, "unknown feature in say=: 'hat'", "did you mean 'heat'?"),
    ],
)
def test_a_mistake_is_named_with_its_cure(changes, what, cure):
    found = mistakes(HOME.but("home_carousel", **changes))
    told = [f"{each.what} | {each.cure}" for each in found]
    assert any(what in each and cure in each for each in told), told


def test_all_mistakes_come_together_at_the_line_of_their_surface():
    one = HOME.but("one", require=["inventory.stok > 2"], rules=[Diversify(by="brand")])
    two = HOME.but("two", rank=Weighted(hat=1.0))
    found = mistakes(one, two)
    assert len(found) == 3
    assert {each.file for each in found} == {__file__}
    assert sorted({each.line for each in found}) == [one.at.line, two.at.line]


def test_two_surfaces_of_one_name():
    assert "given twice" in mistakes(HOME, HOME.but("home_carousel"))[0].what


def test_what_is_read_by_key_is_known_once_bound():
    assert decider(HOME, SEARCH).reads == {
        "category_interest": ("subject", "category"),
        "trending": ("item_id",),
        "inventory": ("item_id",),
    }
