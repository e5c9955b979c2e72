"""Order lines from a file: CSV (also gzipped) in our own columns, or Parquet, also the UCI "Online Retail" set as it
is.

A CSV has the header `order_id, ts, customer_id, item_id, qty, price`: `ts` in ISO 8601 (without zone: UTC),
`customer_id` may be empty, a negative `qty` takes back what an earlier order bought. A Parquet file has the same
columns, or those of the UCI set (`invoice_no, stock_code, description, quantity, invoice_time, unit_price_gbp,
customer_id, country`).

Cleaning, counted by reason in the `dropped` counter that a caller passes:

* any file: a row without order, item or time, or with a quantity or price that is not a number ("unreadable row");
* UCI set: a stock code that is not five digits with or without letters (postage, fees, manual lines: "not an item";
  letters become upper case), a line equal to an earlier one in every column ("exact duplicate"), a line without a
  price or with a negative quantity outside a cancellation ("stock adjustment").

Lines come in the order of the file, one at a time; the file is never held whole (the UCI duplicates keep one hash a
line).
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from math import isfinite
from pathlib import Path
from typing import Any

from nextpaint.record.errors import InvalidInput

HEADER = ("order_id", "ts", "customer_id", "item_id", "qty", "price")
UCI_HEADER = ("invoice_no", "stock_code", "quantity", "invoice_time", "unit_price_gbp", "customer_id")
_UCI_ITEM = re.compile(r"\d{5}[A-Z]*")
_ROWS_PER_BATCH = 16_384


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One item of one order. `customer_id` is empty for an unknown customer; `title` only where the source has one."""

    order_id: str
    time_ms: int
    customer_id: str
    item_id: str
    qty: int
    price: float
    title: str = ""


def read_orders(path: Path, dropped: Counter[str] | None = None) -> Iterator[OrderLine]:
    """The usable lines of a file, in its order.

    Raises InvalidInput where the file is missing, of another kind, lacks a column, or needs pyarrow that is not
    installed.
    """
    counts: Counter[str] = Counter() if dropped is None else dropped
    if not path.is_file():
        raise InvalidInput(
            "no such order file", where=str(path), cure="give the path of a .csv, .csv.gz or .parquet file"
        )
    name = path.name.lower()
    if name.endswith((".csv", ".csv.gz")):
        yield from _read_csv(path, counts)
    elif name.endswith(".parquet"):
        yield from _read_parquet(path, counts)
    else:
        raise InvalidInput(
            "orders are read from .csv, .csv.gz or .parquet", where=str(path), cure="convert the file to CSV"
        )


def _read_csv(path: Path, dropped: Counter[str]) -> Iterator[OrderLine]:
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream)
            _require(path, rows.fieldnames or (), HEADER)
            yield from _own_lines(rows, dropped)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(
            f"the order file cannot be read: {error}", where=str(path), cure="write it again as UTF-8 CSV"
        ) from error


def _read_parquet(path: Path, dropped: Counter[str]) -> Iterator[OrderLine]:
    try:
        import pyarrow
        import pyarrow.parquet  # an optional extra
    except ImportError as error:
        cure = "pip install 'nextpaint[parquet]'"
        raise InvalidInput("reading Parquet needs the package pyarrow", where=str(path), cure=cure) from error
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidInput(
            f"this is no Parquet file: {error}", where=str(path), cure="give a Parquet or CSV file"
        ) from error
    names = file.schema_arrow.names
    rows = (row for batch in file.iter_batches(_ROWS_PER_BATCH) for row in batch.to_pylist())
    if "invoice_no" in names:
        _require(path, names, UCI_HEADER)
        yield from _uci_lines(rows, dropped)
    else:
        _require(path, names, HEADER)
        yield from _own_lines(rows, dropped)


def _require(path: Path, names: Iterable[str], wanted: Iterable[str]) -> None:
    found = list(names)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise InvalidInput(
            f"the order file lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            where=f"{path}, columns: {', '.join(map(str, found)) or 'none'}",
            cure=f"name the columns {', '.join(HEADER)}",
        )


def _own_lines(rows: Iterable[Mapping[str, Any]], dropped: Counter[str]) -> Iterator[OrderLine]:
    for row in rows:
        line = _own_line(row)
        if line is None:
            dropped["unreadable row"] += 1
        else:
            yield line


def _own_line(row: Mapping[str, Any]) -> OrderLine | None:
    order_id, item_id = _text(row["order_id"]), _text(row["item_id"])
    time_ms = epoch_ms(row["ts"])
    try:
        qty, price = int(_text(row["qty"])), float(_text(row["price"]) or 0)
    except ValueError:
        return None
    if not order_id or not item_id or time_ms is None or not isfinite(price):
        return None
    return OrderLine(order_id, time_ms, _text(row["customer_id"]), item_id, qty, price)


def _uci_lines(rows: Iterable[Mapping[str, Any]], dropped: Counter[str]) -> Iterator[OrderLine]:
    seen: set[bytes] = set()
    for row in rows:
        order_id, item_id = _text(row["invoice_no"]), _text(row["stock_code"]).upper()
        time_ms, qty, price = epoch_ms(row["invoice_time"]), row["quantity"], row["unit_price_gbp"]
        whole = _fingerprint(row)
        if not order_id or time_ms is None or qty is None or price is None:
            dropped["unreadable row"] += 1
        elif not _UCI_ITEM.fullmatch(item_id):
            dropped["not an item"] += 1
        elif whole in seen:
            dropped["exact duplicate"] += 1
        elif price <= 0 or qty == 0 or (qty < 0) != order_id.startswith("C"):
            dropped["stock adjustment"] += 1
        else:
            seen.add(whole)
            title = " ".join(_text(row.get("description")).split())
            yield OrderLine(order_id, time_ms, _text(row["customer_id"]), item_id, int(qty), float(price), title)


def _fingerprint(row: Mapping[str, Any]) -> bytes:
    """16 bytes for all columns of a row. Not `hash()`: that of -1 equals that of -2, two different cancellations."""
    return blake2b(repr(tuple(row.values())).encode(), digest_size=16).digest()


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def epoch_ms(value: object) -> int | None:
    """Epoch milliseconds of an ISO 8601 text, a datetime, or a number of seconds or milliseconds; None if it is none.

    Numbers from 10**11 on are milliseconds (that is 1973 in milliseconds, the year 5138 in seconds). Without a zone:
    UTC.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return None if not isfinite(value) else round(value if abs(value) >= 1e11 else value * 1000)
    text = str(value).strip()
    if re.fullmatch(r"\d{9,14}(\.\d+)?", text):
        return epoch_ms(float(text))
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(text)
    except ValueError:
        return None
    zoned = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return round(zoned.timestamp() * 1000)
