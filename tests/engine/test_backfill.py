"""Features logged live equal those computed from the raw records by somebody else: plain Python, no engine code.

The ledger's bytes are read record by record; what a decision could know is everything up to its read position. Sums
that fade are summed term by term, so they agree but for the declared resolution of decayed sums.
"""

import asyncio
import json
import random
from math import fsum

import pytest

from nextpaint.cli.commands import Directory
from nextpaint.connect.replay import iso_time
from nextpaint.engine.node import NodeSettings
from nextpaint.engine.recomputation import decisions_of
from nextpaint.govern.access import LOCAL
from tests.engine.shop import asked, click, opened, order_lines, order_rows, retail, slice_of

PATIENT = NodeSettings(lag_ms_max=10**9)
MINUTE = 60_000
RESOLUTION = 100 * 2.0**-28  # a decayed sum keeps each of its rows, here less than a hundred, to 2^-28
WEIGHTS = {"Product Viewed": 1.0, "Product Clicked": 1.0, "Product Added": 4.0}


async def busy(directory, seed):
    """Clicks, some late, orders and changing stock, with decisions in between."""
    chance = random.Random(seed)
    items = slice_of(120)
    known = {item["item_id"] for item in items}
    lines = [line for line in order_lines(4000) if line[1] in known]
    async with opened(directory, retail(), items=items, settings=PATIENT) as engine:
        for n in range(60):
            now = engine.node.ports.clock.now_ms()
            visitor = f"v{chance.randrange(4)}"
            for _ in range(chance.randrange(4)):
                item = chance.choice(items)["item_id"]
                event = chance.choice(list(WEIGHTS))
                late = chance.choice([0, 0, 3 * MINUTE, 9 * MINUTE])
                await engine.ingest(LOCAL, [click(visitor, item, event, timestamp=iso_time(now - late))])
            if n % 3 == 0:
                rows = order_rows(chance.sample(lines, 3), now - chance.randrange(20_000))
                await engine.put_rows(LOCAL, "orders", rows)
            if n % 5 == 0:
                change = {"item_id": chance.choice(items)["item_id"], "stock": chance.randrange(1, 50)}
                await engine.put_items(LOCAL, [{**change, "price": chance.randrange(1, 9) / 2}])
            if n % 7 == 0:
                await engine.node.settled()
            await engine.decide(LOCAL, "home_carousel", asked(visitor, **chance.choice([{}, {"ahead_ms": 5 * MINUTE}])))


class Raw:
    """The ledger's records as JSON, in order: (seq, topic, row)."""

    def __init__(self, directory):
        self.rows = []
        for frame in Directory(directory).frames():
            for entry in frame.entries:
                if entry.topic in ("events", "orders", "catalog", "inventory"):
                    rows = [json.loads(record.value) for record in entry.records]
                    self.rows += [(entry.base_seq + at, entry.topic, row) for at, row in enumerate(rows)]

    def page(self, record):
        """Per answered item the features of `home_carousel` but the similarity, which needs the model's vectors."""
        now, known = record.time_ms, [(topic, row) for seq, topic, row in self.rows if seq <= record.position]
        catalog = {row["item_id"]: row for topic, row in known if topic == "catalog"}
        inventory = {row["item_id"]: row for topic, row in known if topic == "inventory"}
        interest, trend = {}, {}
        for topic, row in known:
            if topic == "orders" and row["qty"] > 0:
                trend.setdefault(row["item_id"], []).append(8.0 * 2.0 ** (-(now - row["ts"]) / (120 * MINUTE)))
            elif topic == "events" and row.get("event") in WEIGHTS:
                item, weight, age = json.loads(row["properties"])["product_id"], WEIGHTS[row["event"]], now - row["ts"]
                trend.setdefault(item, []).append(weight * 2.0 ** (-age / (120 * MINUTE)))
                if row["subject"] in record.subjects:
                    faded = weight * 2.0 ** (-age / (10 * MINUTE))
                    held = catalog[item]["ts"] <= row["ts"]  # the category of the item when the click happened
                    interest.setdefault(catalog[item]["category"] if held else "Other", []).append(faded)
        for item in record.items:
            own = interest.get(catalog[item.id]["category"])
            yield (
                item,
                {
                    "interest": None if own is None else fsum(own),
                    "trend": fsum(trend[item.id]) if item.id in trend else None,
                    "price": inventory[item.id]["price"],
                    "stock": inventory[item.id]["stock"],
                },
            )


def test_every_logged_value_is_what_the_raw_records_give(tmp_path):
    asyncio.run(busy(tmp_path / "node", seed=5))
    raw, compared, personal = Raw(tmp_path / "node"), 0, 0
    for _, record in decisions_of(Directory(tmp_path / "node")):
        names = [each.name for each in record.features]
        for item, expected in raw.page(record):
            logged = dict(zip(names, item.values, strict=True))
            for name, value in expected.items():
                where = (record.decision_id, item.id, name)
                assert logged[name] == (None if value is None else pytest.approx(value, rel=1e-12, abs=RESOLUTION)), (
                    where
                )
                compared += 1
                personal += name == "interest" and value is not None
    assert compared > 3000 and personal > 100
