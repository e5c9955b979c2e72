"""Facts bind by the names of key columns, whatever the shape of the key."""

import pytest

from nextpaint.decide import Feature, Given
from nextpaint.decide.facts import unite
from tests.decide.reading import shop, visit
from tests.decide.surfaces import HOME, decide, decider


def feature(reading, source, subjects=("s1",), **inputs):
    """The values of a feature for i000..i003."""
    surface = HOME.but(
        "test", features={"f": source}, rank=None, rules=[], require=[], retrieve=[Given("items")], cold=None
    )
    body = {"inputs": {"page": "home", **inputs}, "items": ["i000", "i001", "i002", "i003"]}
    return [item.values[0] for item in decide(decider(surface), reading, subjects, "test", **body).record.items]


def test_by_the_item():
    assert feature(shop(), "inventory.price") == [1.0, 2.0, 3.0, 4.0]


def test_by_the_item_even_where_an_input_is_named_like_it():
    assert feature(shop(), "inventory.price", item_id="i009") == [1.0, 2.0, 3.0, 4.0]


def test_by_an_input_where_the_declaration_says_so():
    price = Feature("inventory.price", on={"item_id": "inputs.item_id"})
    assert feature(shop(), price, item_id="i009") == [10.0] * 4
    assert feature(shop(), price) == [None] * 4


def test_by_a_column_of_the_items_row():
    reading = shop()
    reading.put("by_category", category="mugs", margin=0.4)
    assert feature(reading, "by_category.margin") == [None, None, 0.4, None]


def test_by_an_input_of_the_same_name():
    reading = shop()
    reading.put("page_boost", page="home", boost=2.0)
    assert feature(reading, "page_boost.boost") == [2.0] * 4


def test_by_the_person():
    reading = shop()
    reading.put("carts", subject="s1", value=7.5, items=2)
    assert feature(reading, "carts.value") == [7.5] * 4
    assert feature(reading, "carts.value", subjects=()) == [None] * 4


def test_by_the_person_and_a_column_of_the_item():
    reading = shop()
    visit(reading, "s1", ("i002", 3.0, 1))
    assert feature(reading, "category_interest.heat") == [None, None, 3.0, None]


def test_by_two_columns_of_the_item():
    reading = shop()
    reading.put("placed", category="cake tins", item_id="i001", heat=5.0)
    assert feature(reading, "placed.heat") == [None, 5.0, None, None]


def test_numbers_of_several_devices_add_and_rows_of_one_are_enough():
    reading = shop()
    visit(reading, "phone", ("i002", 3.0, 1))
    visit(reading, "laptop", ("i002", 1.5, 1), ("i001", 1.0, 1))
    reading.put("carts", subject="laptop", value=7.5, items=2)
    assert feature(reading, "category_interest.heat", ["phone", "laptop"]) == [None, 1.0, 4.5, None]
    assert feature(reading, "carts.value", ["phone", "laptop"]) == [7.5] * 4


def test_what_is_no_number_is_null():
    reading = shop()
    reading.put("inventory", item_id="i001", stock=1, price=float("inf"))
    reading.put("inventory", item_id="i002", stock=1, price=float("nan"))
    assert feature(reading, "inventory.price") == [1.0, None, None, 4.0]


@pytest.mark.parametrize(
    ("first", "second", "united"), [(1, 2, 3), (None, 2, 2), (1.5, None, 1.5), ("a", "b", "a"), (True, False, True)]
)
def test_values_of_two_devices(first, second, united):
    assert unite(first, second) == united


def test_a_plain_function_is_a_feature_and_must_fit():
    assert feature(shop(), lambda candidates, context: [float(key[1:]) for key in candidates.keys()]) == [
        0.0,
        1.0,
        2.0,
        3.0,
    ]
    with pytest.raises(ValueError, match=r"gave shape \(2,\) for 4 candidates"):
        feature(shop(), lambda candidates, context: [1.0, 2.0])
