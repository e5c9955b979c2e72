"""Makes `data/catalog.csv` and `data/orders.csv.gz` from the UCI "Online Retail" data set.

    python blueprints/retail/prepare.py online_retail.parquet [target folder]

Input: one Parquet file with the columns of the set as `invoice_no, stock_code, description, quantity, invoice_time,
unit_price_gbp, customer_id, country`, in time order. Needs pyarrow (`pip install 'nextpaint[parquet]'`).

The lines are read and cleaned by `nextpaint.connect.orders`, the same code that replays the whole set. Its rules; the
script prints how many lines each one took away:

1. An item is a stock code of five digits, with or without letters behind (`85123`, `85123A`). Letters are made upper
   case, so `15056bl` and `15056BL` are one item; `85123A` and `85123B` stay two. Everything else (POST, DOT, M, D,
   BANK CHARGES, gift vouchers...) is postage, fees or manual lines.
2. A line that repeats an earlier line in every column is a double entry: 0.8 % of the file.
3. A line without a price, or with a negative quantity outside a cancellation, is a stock adjustment ("damaged",
   "found", "sold as set on dotcom"): nothing was sold.
4. A cancellation (invoice number starting with C) stays, with its negative quantity: it takes back what was sold.

Catalogue: every item with at least one line left, but for three charges and vouchers that carry an item's code. Title
and price are those of the lines up to the end of the shipped orders (most frequent description, median unit price),
never of later ones: a catalogue that knows the future would flatter every measurement. Items first sold later have
only later lines and get theirs from those; `first_sold` says when. Category: `categories.toml`. Stock is MADE UP (the
set has none): a function of the item code.

Orders: every line left from 2010-12-01 to 2011-01-15. The same input gives the same bytes: no clock, no chance, no time
stamp in the gzip header.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
import tomllib
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from nextpaint.connect.orders import HEADER, OrderLine, read_orders

FEES = ("PACKING CHARGE", "NEXT DAY CARRIAGE", "DOTCOMGIFTSHOP GIFT VOUCHER")  # five digits, but nothing on a shelf
# Exclusive, 2011-01-16: six and a half weeks, the peak before Christmas and the quiet after it.
ORDERS_UNTIL_MS = int(datetime(2011, 1, 16, tzinfo=UTC).timestamp() * 1000)
CATALOG_HEADER = ("item_id", "title", "category", "price", "stock", "first_sold")
# The titles are all upper case; in sentence case they read like a shop. These words keep their capital.
PROPER = (
    "Christmas",
    "Easter",
    "London",
    "Paris",
    "Union Jack",
    "French",
    "English",
    "Victorian",
    "Edwardian",
    "Regency",
    "Scandinavian",
    "Scottie",
    "Babushka",
    "Charlotte",
    "Lola",
    "Suki",
    "Santa",
    "Rudolph",
    "Parisienne",
    "Indian",
    "Moroccan",
    "Chinese",
    "Tutti Frutti",
    "Morris",
    "Murano",
    "Mothers Day",
    "Valentine",
    "Halloween",
    "TV",
    "DIY",
)


@dataclass(frozen=True, slots=True)
class Family:
    """One category: a title belongs to it when a phrase of `words` is in it after those of `unless` were taken out."""

    name: str
    words: re.Pattern[str]
    unless: re.Pattern[str] | None


def read_families(path: Path) -> list[Family]:
    """The families of `categories.toml`, in their order."""

    def phrases(words: Sequence[str]) -> re.Pattern[str]:
        longest_first = sorted(words, key=lambda word: (-len(word), word))
        return re.compile(r"(?<![a-z0-9])(?:" + "|".join(map(re.escape, longest_first)) + r")(?![a-z0-9])")

    entries = tomllib.loads(path.read_text(encoding="utf-8"))["family"]
    return [
        Family(each["name"], phrases(each["words"]), phrases(each["unless"]) if "unless" in each else None)
        for each in entries
    ]


def category_of(title: str, families: Sequence[Family]) -> str:
    """The first family that claims the title, else "Other"."""
    lower = title.lower()
    for family in families:
        text = family.unless.sub(" ", lower) if family.unless else lower
        if family.words.search(text):
            return family.name
    return "Other"


def sentence_case(title: str) -> str:
    """`WHITE METAL LANTERN` to `White metal lantern`; the words of `PROPER` keep their capitals."""
    text = title.lower()
    for name in PROPER:
        text = re.sub(rf"\b{re.escape(name.lower())}\b", name, text)
    return text[:1].upper() + text[1:]


def made_up_stock(item_id: str) -> int:
    """A start stock for the demonstration, 0 for one item in fifty, else 3 to 119. It says nothing about the real
    shop."""
    number = zlib.crc32(item_id.encode())
    return 0 if number % 50 == 0 else 3 + number // 50 % 117


def catalog_rows(lines: Sequence[OrderLine], families: Sequence[Family]) -> list[tuple[object, ...]]:
    """One row per item, by item code. Ties between titles go to the one seen first."""
    by_item: dict[str, list[OrderLine]] = {}
    for line in lines:
        by_item.setdefault(line.item_id, []).append(line)
    rows: list[tuple[object, ...]] = []
    for item_id, own in sorted(by_item.items()):
        known = [line for line in own if line.time_ms < ORDERS_UNTIL_MS] or own
        titles = Counter(line.title for line in known if line.title)
        if not titles or titles.most_common(1)[0][0].upper().startswith(FEES):
            continue
        title = sentence_case(titles.most_common(1)[0][0])
        price = round(median(line.price for line in known), 2)
        category = category_of(title, families)
        rows.append((item_id, title, category, f"{price:.2f}", made_up_stock(item_id), minute_of(own[0])[:10]))
    return rows


def minute_of(line: OrderLine) -> str:
    """`2010-12-01T08:26`: the shop's local time, as the set has it."""
    return datetime.fromtimestamp(line.time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M")


def order_rows(lines: Sequence[OrderLine], items: set[str]) -> list[tuple[object, ...]]:
    """The lines of the shipped weeks, in the order of the file."""
    return [
        (line.order_id, minute_of(line), line.customer_id, line.item_id, line.qty, f"{line.price:.2f}")
        for line in lines
        if line.time_ms < ORDERS_UNTIL_MS and line.item_id in items
    ]


def as_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def as_gzip(content: bytes) -> bytes:
    """Without name and time stamp, so that equal content gives equal bytes."""
    target = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=target, mtime=0) as stream:
        stream.write(content)
    return target.getvalue()


def prepare(parquet: Path, families: Path) -> tuple[bytes, bytes, Counter[str]]:
    """The content of `catalog.csv` and of `orders.csv` (uncompressed), and what each rule dropped."""
    dropped: Counter[str] = Counter()
    lines = list(read_orders(parquet, dropped))
    catalog = catalog_rows(lines, read_families(families))
    orders = order_rows(lines, {str(row[0]) for row in catalog})
    return as_csv(CATALOG_HEADER, catalog), as_csv(HEADER, orders), dropped


def main(arguments: Sequence[str]) -> int:
    here = Path(__file__).resolve().parent
    if not 1 <= len(arguments) <= 2:
        print("usage: prepare.py online_retail.parquet [target folder]", file=sys.stderr)
        return 2
    target = Path(arguments[1]) if len(arguments) == 2 else here / "data"
    catalog, orders, dropped = prepare(Path(arguments[0]), here / "categories.toml")
    target.mkdir(parents=True, exist_ok=True)
    (target / "catalog.csv").write_bytes(catalog)
    (target / "orders.csv.gz").write_bytes(as_gzip(orders))
    for reason, count in dropped.most_common():
        print(f"dropped {count:7,} lines: {reason}")
    items, lines = len(catalog.splitlines()) - 1, len(orders.splitlines()) - 1
    print(f"wrote {items:,} items and {lines:,} order lines to {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
