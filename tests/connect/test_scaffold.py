"""`nextpaint init`: an application folder out of somebody's files, never over something that is there."""

import ast
import csv
import json
import time
import tomllib

import pytest

from nextpaint.application import Application
from nextpaint.connect.replay import EventReplay, Replay
from nextpaint.connect.scaffold import create
from nextpaint.record.errors import InvalidInput

PRODUCTS = "SKU;Name;Kategorie;Preis;Bestand\n" + (
    "A1;Laterne;Licht;12,50;4\nA2;Lampe, blau;Licht;1.012,50 €;0\nA3;Tasse;Küche;3;7\n"
)
EVENTS = [
    {"type": "view_item", "user": "u1", "ts": 1700000000, "sku": "A1"},
    {"type": "purchase", "user": "u1", "ts": 1700000060, "sku": "A1", "qty": 2, "price": 12.5, "order_id": "o1"},
]


@pytest.fixture
def products(tmp_path):
    path = tmp_path / "products.csv"
    path.write_text(PRODUCTS)
    return path


@pytest.fixture
def events(tmp_path):
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join(map(json.dumps, EVENTS)))
    return path


def surface_names(folder):
    tree = ast.parse((folder / "surfaces.py").read_text())
    return [node.targets[0].id for node in tree.body if isinstance(node, ast.Assign)]


def test_an_application_is_written_with_all_its_files(tmp_path, products, events):
    folder = tmp_path / "myshop"
    created = create(folder, products, events)
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "README.md", "data/catalog.csv", "data/events.ndjson", "data/orders.csv", "features.sql", "nextpaint.toml",
        "streams.sql", "surfaces.py",
    ]  # fmt: skip
    assert (created.items, created.events, created.orders, created.notes) == (3, 2, 1, ())
    assert "item_id   = 'SKU'" in created.guesses[0]
    assert surface_names(folder) == ["session", "home", "search", "last_night"]
    assert tomllib.loads((folder / "nextpaint.toml").read_text())["name"] == "myshop"
    assert "{{" not in "".join(path.read_text() for path in folder.rglob("*.*") if path.is_file())


def test_the_files_are_brought_into_one_shape(tmp_path, products, events):
    create(tmp_path / "myshop", products, events)
    with (tmp_path / "myshop/data/catalog.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert rows[1] == {"item_id": "A2", "title": "Lampe, blau", "category": "Licht", "price": "1012.5", "stock": "0"}
    (_, call), _ = list(EventReplay(tmp_path / "myshop/data/events.ndjson", 60, 0))
    assert (call["event"], call["userId"], call["properties"]) == ("view_item", "u1", {"sku": "A1"})
    [(_, [line])] = list(Replay(tmp_path / "myshop/data/orders.csv", 60, 0, user_prefix=""))
    assert (line["order_id"], line["user_id"], line["item_id"], line["qty"]) == ("o1", "u1", "A1", 2)


def test_the_sql_reads_the_users_events_and_those_of_the_shop_page(tmp_path, products, events):
    create(tmp_path / "myshop", products, events)
    sql = (tmp_path / "myshop/streams.sql").read_text()
    assert "WHERE event IN ('view_item', 'Product Viewed', 'Product Clicked', 'Product Added')" in sql
    assert "COALESCE(JSON_VALUE(properties, '$.sku'), JSON_VALUE(properties, '$.product_id'))" in sql


def test_a_catalogue_alone_is_enough_and_missing_columns_are_not_required(tmp_path):
    (tmp_path / "p.csv").write_text("handle,title\na,Cup\nb,Plate\n")
    created = create(tmp_path / "shop", tmp_path / "p.csv")
    text = (tmp_path / "shop/surfaces.py").read_text()
    assert "inventory." not in text and "Diversify" not in text and "category_interest" not in text
    assert (created.events, created.orders) == (0, 0)
    assert (tmp_path / "shop/data/events.ndjson").read_text() == ""


def test_the_written_application_checks(tmp_path, products, events):
    create(tmp_path / "whole", products, events)
    (tmp_path / "p.csv").write_text("handle,title\na,Cup\nb,Plate\n")
    create(tmp_path / "bare", tmp_path / "p.csv")
    for name in ("whole", "bare"):
        application = Application.load(tmp_path / name)
        assert [surface.name for surface in application.surfaces] == ["home_carousel", "search", "last_night"]


def test_nothing_is_overwritten_without_force(tmp_path, products):
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="not empty"):
        create(folder, products)
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
    create(folder, products, force=True)
    assert (folder / "mine.txt").read_text() == "mine" and (folder / "streams.sql").exists()
    (folder / "streams.sql").write_text("edited")
    create(folder, products, force=True)
    assert (folder / "streams.sql").read_text() != "edited"


def test_a_failure_leaves_nothing_behind(tmp_path, products):
    (tmp_path / "bad.ndjson").write_text("no\nno\n")
    with pytest.raises(InvalidInput, match="2 of 2 rows"):
        create(tmp_path / "shop", products, tmp_path / "bad.ndjson")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.ndjson", "products.csv"]


def test_shopify_rows_of_one_handle_are_one_item(tmp_path):
    header = "Handle,Title,Type,Variant SKU,Variant Inventory Qty,Variant Price,Image Src\n"
    rows = "cup,Cup,Mugs,C-R,3,9.50,x\ncup,,,C-B,4,9.50,\ncup,,,,,,y\nplate,Plate,Plates,P,0,4,\n"
    (tmp_path / "shopify.csv").write_text(header + rows)
    created = create(tmp_path / "shop", tmp_path / "shopify.csv")
    lines = (tmp_path / "shop/data/catalog.csv").read_text().splitlines()
    assert lines[1:] == ["cup,Cup,Mugs,9.5,7", "plate,Plate,Plates,4.0,0"]
    assert created.notes == ("2 rows repeat the id of an earlier row and were taken as variants of it",)


def test_bad_cells_are_named_by_row_and_column(tmp_path):
    good = "".join(f"B{number},Cup {number},{number}.50\n" for number in range(1, 60))
    (tmp_path / "p.csv").write_text("sku,name,price\nA,Cup,soon\n,None,1\n" + good)
    created = create(tmp_path / "shop", tmp_path / "p.csv")
    assert created.items == 60
    assert created.notes[:2] == (
        "row 2, column price: 'soon' is no price; write an amount such as 12.50; it was left empty",
        "row 3, column sku: no item id; fill it in or remove the row",
    )
    (tmp_path / "worse.csv").write_text("sku,name,price\n" + "A,Cup,1\n" * 9 + ",Cup,1\n")
    with pytest.raises(InvalidInput, match="1 of 10 rows") as caught:
        create(tmp_path / "worse", tmp_path / "worse.csv", columns={"item_id": "sku"})
    assert "row 11, column sku" in str(caught.value)


def test_hostile_names_stay_text(tmp_path):
    name = "view'); DROP TABLE catalog; --{{name}}"
    (tmp_path / "p.csv").write_text('sku,name\nA,"""; import os #"\nB,Plate\n')
    lines = [{"event": name, "user": "u", "ts": 1700000000, "x'y": "A"}] * 3
    (tmp_path / "e.ndjson").write_text("\n".join(map(json.dumps, lines)))
    folder = tmp_path / '"My" Shop'
    create(folder, tmp_path / "p.csv", tmp_path / "e.ndjson")
    sql = (folder / "streams.sql").read_text()
    assert "'view''); DROP TABLE catalog; --{{name}}'" in sql
    assert "JSON_VALUE(properties, '$.product_id')" in sql and "x'y" not in sql
    assert tomllib.loads((folder / "nextpaint.toml").read_text())["name"] == "my-shop"
    ast.parse((folder / "surfaces.py").read_text())


def test_items_of_events_that_nobody_knows_are_said(tmp_path, products):
    lines = [{"event": "view", "user": "u", "ts": 1700000000 - number, "sku": "X"} for number in range(3)]
    (tmp_path / "e.ndjson").write_text("\n".join(map(json.dumps, lines)))
    notes = create(tmp_path / "shop", products, tmp_path / "e.ndjson").notes
    assert notes[0].startswith("2 events are older than one before them")
    assert "not in the catalogue" in notes[1]


def test_a_hundred_thousand_rows_cost_in_proportion_to_a_tenth_of_them(tmp_path):
    def cpu_ns(rows):
        with (tmp_path / "p.csv").open("w") as stream:
            stream.write("sku,name,category,price,stock\n")
            stream.writelines(
                f"S{number},Item {number},Family {number % 20},{number % 90}.5,{number % 7}\n" for number in range(rows)
            )
        began = time.thread_time_ns()
        assert create(tmp_path / f"shop of {rows}", tmp_path / "p.csv").items == rows
        return time.thread_time_ns() - began

    assert cpu_ns(100_000) < 40 * cpu_ns(10_000)
