"""What columns mean: by name and by cells, in the exports people have."""

import pytest

from nextpaint.connect.guess import guess_columns, leaf_category, parse_count, parse_number
from nextpaint.record.errors import InvalidInput

SHOPIFY = (
    "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Variant SKU,Variant Inventory Qty,"
    "Variant Price,Variant Compare At Price,Image Src,Status"
).split(",")
WOO = "ID,Type,SKU,Name,Published,Short description,In stock?,Stock,Sale price,Regular price,Categories,Images".split(
    ","
)


def columns(header, rows, chosen=None):
    return {role: guess.column for role, guess in guess_columns(header, rows, chosen).items()}


def test_a_shopify_export():
    rows = [
        [
            "red-cup",
            "Red cup",
            "<p>x</p>",
            "Us",
            "Home > Kitchen",
            "Mugs",
            "",
            "TRUE",
            "RC",
            "4",
            "12.50",
            "",
            "http://x",
            "active",
        ],
        [
            "blue-cup",
            "Blue cup",
            "<p>y</p>",
            "Us",
            "Home > Kitchen",
            "Mugs",
            "",
            "TRUE",
            "BC",
            "0",
            "9.00",
            "",
            "",
            "active",
        ],
        ["plate", "Plate", "", "Us", "Home > Kitchen", "Plates", "", "TRUE", "", "7", "3.00", "", "", "active"],
        ["bowl", "Bowl", "", "Us", "Home > Kitchen", "Bowls", "", "TRUE", "BO", "2", "5", "", "", "active"],
    ]
    assert columns(SHOPIFY, rows) == {
        "item_id": "Handle",
        "title": "Title",
        "category": "Product Category",
        "price": "Variant Price",
        "stock": "Variant Inventory Qty",
    }


def test_a_woocommerce_export():
    rows = [
        ["11", "simple", "RC", "Red cup", "1", "A cup", "1", "4", "", "12.50", "Kitchen > Mugs", ""],
        ["12", "simple", "BC", "Blue cup", "1", "A cup", "0", "0", "8", "9.00", "Kitchen > Mugs, Sale", ""],
        ["13", "simple", "PL", "Plate", "1", "A plate", "1", "7", "", "3.00", "Kitchen > Plates", ""],
    ]
    assert columns(WOO, rows) == {
        "item_id": "SKU",
        "title": "Name",
        "category": "Categories",
        "price": "Regular price",
        "stock": "Stock",
    }


def test_a_column_whose_cells_cannot_be_it_is_never_taken():
    found = columns(
        ["sku", "name", "price", "stock"], [["A", "Cup", "ask us", "plenty"], ["B", "Plate", "ask us", "few"]]
    )
    assert (found["price"], found["stock"]) == (None, None)


def test_an_id_that_repeats_is_not_an_id():
    rows = [["A", f"P{number}", "Cup"] for number in range(10)]
    assert columns(["id", "product_code", "name"], rows)["item_id"] == "product_code"


def test_every_guess_says_how_sure_it_is_and_why():
    guesses = guess_columns(["sku", "name"], [["A", "Cup"], ["B", "Plate"]])
    assert str(guesses["item_id"]).startswith(
        "item_id   = 'sku' (97% sure: the name says it, 100% of the cells are different"
    )
    assert "not found" in str(guesses["price"])
    assert all(0 <= guess.confidence <= 1 for guess in guesses.values())


def test_without_a_title_the_id_has_to_do():
    assert columns(["sku", "price"], [["A", "1"], ["B", "2"]])["title"] == "sku"


def test_a_person_overrules_the_guess():
    rows = [["A", "x1", "Cup"], ["B", "x2", "Plate"]]
    assert columns(["sku", "internal", "name"], rows, {"item_id": "internal"})["item_id"] == "internal"
    with pytest.raises(InvalidInput, match="no column 'nope'"):
        guess_columns(["sku", "name"], rows, {"item_id": "nope"})
    with pytest.raises(InvalidInput, match="no role 'colour'"):
        guess_columns(["sku", "name"], rows, {"colour": "sku"})


def test_no_id_and_no_rows_are_errors_with_a_cure():
    with pytest.raises(InvalidInput, match="id of an item") as caught:
        guess_columns(["when", "where"], [["1", "here"], ["2", "there"]])
    assert caught.value.cure == "say which one it is: --column item_id=NAME"
    with pytest.raises(InvalidInput, match="no rows"):
        guess_columns(["sku", "name"], [])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12.0),
        ("12.50", 12.5),
        ("12,5", 12.5),
        ("£1,234.50", 1234.5),
        ("1.234,50 €", 1234.5),
        ("EUR 3", 3.0),
        ("1,200", 1200.0),
        ("0,200", 0.2),
        ("1'200.00", 1200.0),
        ("-4", -4.0),
        ("", None),
        ("free", None),
        ("1.2.3", None),
        ("12 or 13", None),
        ("9" * 400, None),
    ],
)
def test_amounts_as_people_write_them(text, number):
    assert parse_number(text) == number


def test_counts_are_whole():
    assert [parse_count(text) for text in ("7", "7.0", "7.5", "1,200", "x")] == [7, 7, None, 1200, None]


def test_the_leaf_of_the_first_category_path():
    assert [leaf_category(text) for text in ("Mugs", "Home > Mugs", "Home > Mugs, Sale", "A, B")] == [
        "Mugs",
        "Mugs",
        "Mugs",
        "A",
    ]
