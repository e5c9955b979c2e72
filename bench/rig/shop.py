"""A shop to measure: the retail blueprint with its catalogue, some orders, and visitors who have clicked.

Seeded: two shops get the same rows, apart from times. Vectors are trigram hashes of the titles: they cost a decision
less than the model's (64 dimensions, not 512) and spare each bench half a minute of embedding.
"""

from __future__ import annotations

import asyncio
import csv
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from nextpaint.application import Application
from nextpaint.connect.orders import read_orders
from nextpaint.connect.replay import iso_time, order_row, whole_orders
from nextpaint.connect.traffic import Traffic
from nextpaint.engine import interpreter
from nextpaint.engine.facade import Engine
from nextpaint.engine.node import NodeSettings
from nextpaint.engine.system import system_ports
from nextpaint.govern.access import LOCAL
from nextpaint.models.embedding import HashEncoder
from nextpaint.ports import Clock, Disk, ThreadWorkers

RETAIL = Path(__file__).resolve().parents[2] / "blueprints" / "retail"
SURFACE = "home_carousel"
VISITORS = 200
CLICKS = 2_000  # ten of each visitor: enough that every retriever has something to find
CLICKS_SPAN_MS = 300_000
ORDERS = 400
ORDER_LINES_SPAN_MS = 3_600_000
ROWS_AT_ONCE = 500
PATIENT = NodeSettings(lag_ms_max=3_600_000)  # a bench holds the loop between its rounds: that is no overload

Call = dict[str, Any]


def application() -> Application:
    return Application.load(RETAIL)


def catalogue() -> list[dict[str, Any]]:
    """Item rows as `PUT /v1/items` takes them."""
    with (RETAIL / "data" / "catalog.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    texts = ("item_id", "title", "category")
    return [
        {**{name: row[name] for name in texts}, "price": float(row["price"]), "stock": int(row["stock"])}
        for row in rows
    ]


def clicks(items: list[str], now_ms: int, seed: int = 1) -> Iterator[Call]:
    """Views of random items over the last five minutes; each visitor in turn. Times differ, as they do in life: equal
    ones would make ties of all decayed sums."""
    draw = random.Random(seed)
    for number in range(CLICKS):
        yield {
            "timestamp": iso_time(now_ms - CLICKS_SPAN_MS + number * CLICKS_SPAN_MS // CLICKS),
            "type": "track",
            "event": "Product Viewed",
            "anonymousId": f"visitor-{number % VISITORS}",
            "properties": {"product_id": draw.choice(items)},
        }


def requests() -> Iterator[bytes]:
    """Bodies of decisions for the visitors in turn, for ever."""
    bodies = [
        msgspec.json.encode({"anonymousId": f"visitor-{number}", "inputs": {"page": "home"}})
        for number in range(VISITORS)
    ]
    while True:
        yield from bodies


def traffic(items: list[str], run: str) -> Traffic:
    """Events as `nextpaint load` sends them; what was shown before is made up, so that impressions follow."""
    made = Traffic(items, 2_000, {"page": "home"}, seed=1, run=run)
    for number in range(1_000):
        first = number * 20 % (len(items) - 20)
        made.decided(made.who(), f"{number:032x}", SURFACE, items[first : first + 20])
    return made


async def opened(directory: Path, clock: Clock | None = None, disk: Disk | None = None) -> tuple[Engine, list[str]]:
    """A node on a new directory with everything applied, and the ids of its items."""
    ports = system_ports(directory, clock=clock, disk=disk)
    background = ThreadWorkers(asyncio.get_running_loop().call_soon_threadsafe)
    engine = await Engine.open(
        directory, application(), ports, settings=PATIENT, embedder=HashEncoder(), background=background
    )
    items = catalogue()
    for start in range(0, len(items), ROWS_AT_ONCE):
        await engine.put_items(LOCAL, items[start : start + ROWS_AT_ONCE])
    ids = [str(each["item_id"]) for each in items]
    now_ms = ports.clock.now_ms()
    orders = islice(whole_orders(read_orders(RETAIL / "data" / "orders.csv.gz")), ORDERS)
    bought = [line for order in orders for line in order]
    begin_ms, gap_ms = now_ms - ORDER_LINES_SPAN_MS, ORDER_LINES_SPAN_MS // len(bought)
    lines = [order_row(line, begin_ms + number * gap_ms) for number, line in enumerate(bought)]
    for start in range(0, len(lines), ROWS_AT_ONCE):
        await engine.put_rows(LOCAL, "orders", lines[start : start + ROWS_AT_ONCE])
    calls = clicks(ids, now_ms)
    while part := list(islice(calls, ROWS_AT_ONCE)):
        await engine.ingest(LOCAL, part)
    while engine.status()["vectors"]["missing"]:
        await asyncio.sleep(0.05)
    await engine.node.settled()
    interpreter.prepare()  # as `nextpaint run` does once it has started
    return engine, ids
