"""The retail blueprint's data: what is in it, and that its script makes the same files again."""

import csv
import gzip
import os
import tomllib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from blueprints.retail import prepare
from nextpaint.application import Application
from nextpaint.connect.orders import epoch_ms, read_orders
from nextpaint.connect.replay import Replay

RETAIL = Path(__file__).resolve().parents[2] / "blueprints" / "retail"
PARQUET = os.environ.get("NEXTPAINT_RETAIL_PARQUET", "")


@pytest.fixture(scope="module")
def catalog():
    with (RETAIL / "data/catalog.csv").open(encoding="utf-8", newline="") as stream:
        return {row["item_id"]: row for row in csv.DictReader(stream)}


@pytest.fixture(scope="module")
def orders():
    dropped = Counter()
    lines = list(read_orders(RETAIL / "data/orders.csv.gz", dropped))
    assert not dropped
    return lines


def test_the_whole_catalogue_is_there(catalog):
    assert len(catalog) == 3_641
    assert all(code[:5].isdigit() and (code[5:] == "" or code[5:].isupper()) for code in catalog)
    assert all(row["title"] and float(row["price"]) > 0 and int(row["stock"]) >= 0 for row in catalog.values())
    assert catalog["85123A"]["title"] == "White hanging heart t-light holder"


def test_families_are_few_readable_and_cover_nearly_everything(catalog):
    counts = Counter(row["category"] for row in catalog.values())
    assert 12 <= len(counts) <= 18
    assert counts["Other"] < 0.15 * len(catalog)
    assert min(counts.values()) >= 20  # a carousel of one family can be filled


def test_six_weeks_of_orders_in_time_order_with_their_cancellations(orders, catalog):
    assert (len(orders), len({line.order_id for line in orders})) == (57_171, 2_431)
    assert all(earlier.time_ms <= later.time_ms for earlier, later in pairwise(orders))
    assert orders[0].time_ms == epoch_ms("2010-12-01T08:26")
    assert orders[-1].time_ms < epoch_ms("2011-01-16")
    assert {line.item_id for line in orders} <= catalog.keys()
    assert all((line.qty < 0) == line.order_id.startswith("C") for line in orders)
    assert sum(line.qty < 0 for line in orders) == 976
    assert sum(not line.customer_id for line in orders) == 21_466


def test_some_items_start_sold_out(catalog):
    assert sum(row["stock"] == "0" for row in catalog.values()) == 58


def test_the_files_are_small_and_attributed():
    files = [path for path in (RETAIL / "data").iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    attribution = (RETAIL / "data/ATTRIBUTION.md").read_text()
    assert all(words in attribution for words in ("Online Retail", "Chen", "CC BY 4.0", "What was changed", "made up"))


def test_the_gzip_holds_no_time_and_no_name():
    header = (RETAIL / "data/orders.csv.gz").read_bytes()[:10]
    assert header[3] == 0 and header[4:8] == b"\0\0\0\0"


def test_the_settings_name_files_that_exist_and_a_replay_that_runs():
    settings = tomllib.loads((RETAIL / "nextpaint.toml").read_text())
    assert (RETAIL / settings["data"]["catalog"]).is_file()
    replay = settings["replay"]
    path, begin_ms = RETAIL / settings["data"]["orders"], epoch_ms(replay["begin"])
    due_ms, rows = next(iter(Replay(path, replay["speed"], 0, replay["gap_max_minutes"] * 60_000, begin_ms)))
    assert due_ms == 0
    assert rows[0]["original_ts"] >= begin_ms


def test_the_application_checks_and_its_tables_are_those_of_the_files():
    application = Application.load(RETAIL)
    assert {"catalog", "inventory", "orders", "yesterday"} <= application.program.tables.keys()
    targets = {insert.target for insert in application.program.inserts if not insert.target.startswith("_")}
    tables = {"category_interest", "recent", "trending", "pace", "visits", "category_sales", "bought", "demand"}
    assert targets == tables
    surfaces = [surface.name for surface in application.surfaces]
    assert surfaces == ["home_carousel", "search", "discover", "buy_again", "last_night"]
    assert application.settings["replay"]["score"] in surfaces
    assert set(application.settings["shoppers"]["also"]) <= set(surfaces)


@pytest.mark.parametrize(
    ("title", "category"),
    [
        ("Red Christmas mug", "Christmas"),
        ("PACK OF 6 GIFT BAGS", "Party & gift wrap"),
        ("Playing cards vintage", "Toys & games"),
        ("Cake tin retrospot", "Kitchen & baking"),
        ("White metal lantern", "Lights & lanterns"),
        ("Lanternship", "Other"),
    ],
)
def test_the_first_family_with_a_whole_word_of_the_title_wins(title, category):
    assert prepare.category_of(title, prepare.read_families(RETAIL / "categories.toml")) == category


def test_titles_are_put_in_sentence_case():
    assert prepare.sentence_case("SET OF 3 UNION JACK CHRISTMAS TINS") == "Set of 3 Union Jack Christmas tins"


def test_made_up_stock_is_a_function_of_the_code(catalog):
    assert all(int(row["stock"]) == prepare.made_up_stock(code) for code, row in catalog.items())


@pytest.mark.skipif(not PARQUET, reason="NEXTPAINT_RETAIL_PARQUET does not name the Parquet file of the data set")
def test_the_script_makes_the_same_files_again():
    """The compressed bytes are the compressor's business (another zlib packs otherwise): their content is compared."""
    pytest.importorskip("pyarrow")
    catalog, orders, dropped = prepare.prepare(Path(PARQUET), RETAIL / "categories.toml")
    assert catalog == (RETAIL / "data/catalog.csv").read_bytes()
    assert orders == gzip.decompress((RETAIL / "data/orders.csv.gz").read_bytes())
    assert dropped == {"exact duplicate": 2_842, "not an item": 2_246, "stock adjustment": 1_934}
    assert prepare.as_gzip(orders) == prepare.as_gzip(orders)
