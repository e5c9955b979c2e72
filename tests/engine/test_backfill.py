"""Features logged live equal those computed from the raw records by somebody else: plain Python, no engine code.

The ledger's bytes are read record by record; what a decision could know is everything up to its read position. Sums
that fade are summed term by term, so they agree but for the declared resolution of decayed sums.
"""

import asyncio
import json
import random
from math import fsum

import pytest

from nextpaint.application import Application
from nextpaint.cli import main
from nextpaint.cli.commands import Directory
from nextpaint.connect.replay import iso_time
from nextpaint.decide import Reward
from nextpaint.engine.recomputation import decisions_of
from nextpaint.engine.training import training_set
from nextpaint.govern.access import LOCAL
from tests.engine.explorer import GOODS_30, clicked, explorer, shown
from tests.engine.shop import asked, click, ids, opened, order_lines, order_rows, retail, slice_of, written

MINUTE = 60_000
RESOLUTION = 100 * 2.0**-28  # a decayed sum keeps each of its rows, here less than a hundred, to 2^-28
WEIGHTS = {"Product Viewed": 1.0, "Product Clicked": 1.0, "Product Added": 4.0}


async def busy(directory, seed):
    """Clicks, some late, orders and changing stock, with decisions in between."""
    chance = random.Random(seed)
    items = slice_of(120)
    known = {item["item_id"] for item in items}
    lines = [line for line in order_lines(4000) if line[1] in known]
    async with opened(directory, retail(), items=items) as engine:
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


# ---------------------------------------------------------------- a feature that is declared afterwards

VIEWS_SQL = """
CREATE VIEW looked AS
SELECT subject, item_id, ts FROM events WHERE event = 'Product Viewed' AND item_id IS NOT NULL;
CREATE TABLE own (subject STRING, item_id STRING, n BIGINT, PRIMARY KEY (subject, item_id) NOT ENFORCED);
INSERT INTO own SELECT subject, item_id, COUNT(*) FROM looked GROUP BY subject, item_id;
CREATE TABLE recent (item_id STRING, n BIGINT, PRIMARY KEY (item_id) NOT ENFORCED);
INSERT INTO recent SELECT item_id, COUNT(*) FROM looked GROUP BY item_id;
"""
LATER = """
tried = tried.but("tried", features={"heat": "heat.heat", "price": "goods.price", "own": "own.n", "all": "recent.n"})
"""
TRIED = """features={"heat": "heat.heat", "price": "goods.price"}, rank=Weighted(heat=1.0, price=0.1), """


def counted(directory, record):
    """(own, all) per item from the raw records up to a decision's position, by nobody's code but this."""
    own, everybody = {}, {}
    for frame in Directory(directory).frames():
        for entry in frame.entries:
            for at, raw in enumerate(entry.records if entry.topic == "events" else ()):
                row = json.loads(raw.value)
                if entry.base_seq + at <= record.position and row.get("event") == "Product Viewed":
                    item = json.loads(row["properties"])["product_id"]
                    everybody[item] = everybody.get(item, 0) + 1
                    if row["subject"] in record.subjects:
                        own[item] = own.get(item, 0) + 1
    return {each.id: (own.get(each.id), everybody.get(each.id)) for each in record.items}


def test_a_feature_that_is_declared_later_has_the_values_it_would_have_had(tmp_path):
    application = explorer("EpsilonGreedy(0.5)", TRIED)
    later = explorer("EpsilonGreedy(0.5)", TRIED, more=LATER)
    files = dict(later.files)
    files["corner.sql"] += VIEWS_SQL.encode()
    later = Application.of(files)

    async def run():
        async with opened(tmp_path / "node", application, items=GOODS_30) as engine:
            chance = random.Random(3)
            for n in range(40):
                visitor = f"v{n % 5}"
                await engine.ingest(LOCAL, [click(visitor, f"g{chance.randrange(9)}") for _ in range(2)])
                if n % 4 == 0:
                    await engine.put_items(LOCAL, [{"item_id": f"g{n % 9}", "price": float(n)}])
                answer = await engine.decide(LOCAL, "tried", asked(visitor))
                await engine.ingest(LOCAL, [shown(visitor, answer), clicked(visitor, answer, ids(answer)[0])])

    asyncio.run(run())
    ledger = Directory(tmp_path / "node")
    reward = Reward("chosen", when="event = 'Product Clicked'", within="30 min")
    logged = training_set(ledger, application, "tried", reward)
    again = training_set(ledger, application, "tried", reward, application)
    assert again.csv() == logged.csv(), "the same features: the same bits"
    found = training_set(ledger, application, "tried", reward, later)
    assert found.features == ("heat", "price", "own", "all")
    assert [each[:2] for each in found.values] == logged.values and found.rewards == logged.rewards
    records = {record.decision_id: record for _, record in decisions_of(ledger)}
    for decision, item, values in zip(found.decisions, found.items, found.values, strict=True):
        assert values[2:] == counted(tmp_path / "node", records[decision])[item], (decision, item)
    assert sum(each[2] is not None for each in found.values) > 20
    assert len({each[3] for each in found.values}) > 8, "a count that grew, as of each decision"


def test_the_command_takes_features_from_a_folder(tmp_path, capsys):
    application = explorer("EpsilonGreedy(0.5)", TRIED)

    async def run():
        async with opened(tmp_path / "node", application, items=GOODS_30) as engine:
            answer = await engine.decide(LOCAL, "tried", asked("v1"))
            await engine.ingest(LOCAL, [shown("v1", answer)])

    asyncio.run(run())
    files = dict(explorer("EpsilonGreedy(0.5)", TRIED, more=LATER).files)
    files["corner.sql"] += VIEWS_SQL.encode()
    folder = written(Application.of(files), tmp_path / "later")
    out = tmp_path / "model.txt"
    asked_for = ["train", "tried", "--data", str(tmp_path / "node"), "--reward", "chosen", "--out", str(out)]
    assert main([*asked_for, "--folder", str(folder)]) == 0
    lineage = json.loads(out.with_suffix(".lineage.json").read_text())
    assert lineage["features"] == ["heat", "price", "own", "all"] and lineage["backfilled"] is True
