"""Another application is put in force on a running node, under traffic: nobody notices, nothing unchanged is
touched.
"""

import asyncio
import random

import pytest

from nextpaint.engine.replay import Rebuild, Replay
from nextpaint.govern.access import LOCAL
from nextpaint.process.live import Tables
from nextpaint.record.errors import Overloaded
from nextpaint.stream.frame import Position
from tests.engine.life import Kept
from tests.engine.shop import asked, click, opened, order_lines, order_rows, retail, slice_of, until

# A half-life edited, a feature added: a table of its own, read by the surface.
EDITED = {
    "features_sql": [
        ("DECAYED_SUM(weight, INTERVAL '10' MINUTE)", "DECAYED_SUM(weight, INTERVAL '3' MINUTE)"),
        (
            "-- How busy a person is",
            "CREATE TABLE looked_at (item_id STRING, n BIGINT, PRIMARY KEY (item_id) NOT ENFORCED);\n"
            "INSERT INTO looked_at SELECT item_id, COUNT(*) FROM clicks GROUP BY item_id;\n\n-- How busy a person is",
        ),
    ],
    "surfaces_py": [
        ('"stock": "inventory.stock",', '"stock": "inventory.stock",\n        "looks": "looked_at.n",'),
        ("interest=0.45, trend=0.10)", "interest=0.40, trend=0.10, looks=0.05)"),
    ],
}
CHANGED = {"category_interest", "looked_at"}
KEPT = {
    "recent",
    "trending",
    "pace",
    "visits",
    "category_sales",
    "catalog",
    "inventory",
    "orders",
    "events",
    "impressions",
}


async def traffic(engine, items, failed, busy, decided):
    """Events, orders and stock, and four who ask for decisions, while `busy()`. `decided` gets the decisions' ids."""
    chance = random.Random(3)
    lines = [line for line in order_lines(6000) if line[1] in {item["item_id"] for item in items}]

    async def write():
        while busy():
            visitor, item = f"v{chance.randrange(8)}", chance.choice(items)["item_id"]
            try:
                await engine.ingest(LOCAL, [click(visitor, item)])
                if chance.randrange(4) == 0:
                    now = engine.node.ports.clock.now_ms()
                    await engine.put_rows(LOCAL, "orders", order_rows([chance.choice(lines)], now))
                    await engine.put_items(LOCAL, [{"item_id": item, "stock": chance.randrange(4)}])
            except Overloaded:  # what comes in gives way to decisions; a client sends again
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.002)

    async def decide(number):
        while busy():
            try:
                answer = await engine.decide(LOCAL, "home_carousel", asked(f"v{number}"))
                decided.append(answer["decision_id"])
                failed.extend([] if answer["items"] else [f"no items: {answer['decision_id']}"])
            except Exception as error:
                failed.append(repr(error))
            await asyncio.sleep(0.005)

    await asyncio.gather(write(), *(decide(number) for number in range(4)))


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A change under traffic, and everything that was seen of it."""
    return asyncio.run(change(tmp_path_factory.mktemp("apply") / "node"))


async def change(directory):
    items = slice_of(250)
    before, after = retail(), retail(**EDITED)
    failed, decided, running = [], [], True
    async with opened(directory, before, items=items) as engine:
        node = engine.node
        await engine.put_rows(LOCAL, "orders", order_rows(order_lines(100), node.ports.clock.now_ms()))
        first = await engine.decide(LOCAL, "home_carousel", asked("v1"))
        load = asyncio.create_task(traffic(engine, items, failed, lambda: running, decided))
        await until(lambda: len(decided) > 30)
        old = node.runner
        middle = await engine.decide(LOCAL, "home_carousel", asked("v1"))
        plan = engine.plan(after)
        answer = await engine.apply(LOCAL, after)
        switched = node.seq_of(Position.parse(answer["position"]))
        before_switch = len(decided)
        await until(lambda: len(decided) > before_switch + 30)
        last = await engine.decide(LOCAL, "home_carousel", asked("v1"))
        running = False
        await load
        await node.settled()
        ids = [each["decision_id"] for each in (first, middle, last)]
        replays = [(await engine.explain(LOCAL, each, replay=True))["replay"] for each in ids]
        await node.settled()  # explaining took a while, in which a tick may have come
        kept = Kept(node.ledger.frames())
        assert kept.last_seq == node.runner.applied
        seen = {
            "failed": failed, "plan": plan, "answer": answer, "replays": replays, "kept": kept,
            "old": old, "switched": switched, "state": node.runner.state.hash(), "runner": node.runner, "after": after,
            "facts": (await engine.explain(LOCAL, ids[2]))["items"][0]["facts"], "before": before,
        }  # fmt: skip
    return seen


def cells(runner, table):
    """Hash of each cell of the operators that make one table, all the way up to its sources."""
    graph = runner.graph
    if table not in graph.targets:
        operators = {graph.sources[table].id, f"table/{table}"}
    else:
        operators, open_ = set(), [graph.targets[table]]
        while open_:
            stage = open_.pop()
            operators.add(stage.operator.id)
            open_ += stage.inputs
    return {name: cell.hash() for name, cell in runner.state.cells.items() if name.rpartition("/")[0] in operators}


def test_no_decision_fails_while_an_application_is_applied(changed):
    assert changed["failed"] == []


def test_the_plan_says_what_is_kept_and_what_is_rebuilt(changed):
    assert set(changed["plan"]["rebuilt"]) == CHANGED
    assert set(changed["plan"]["kept"]) >= KEPT
    assert changed["plan"]["dropped"] == []
    assert {name: changed["answer"][name] for name in changed["plan"]} == changed["plan"]


def test_unchanged_tables_have_the_same_content_at_the_switch(changed):
    """The state that ran until the switch, beside that of the new application at the same record."""
    old = changed["old"]
    fresh = Rebuild(changed["kept"], changed["after"]).finish(old.applied)
    assert old.applied < changed["switched"] <= changed["kept"].last_seq
    compared = 0
    for table in changed["plan"]["kept"]:
        before, now = cells(old, table), cells(fresh, table)
        assert before == now, table
        compared += len(before)
    assert compared > 10
    assert cells(old, "category_interest") != cells(fresh, "category_interest")


def test_the_running_state_equals_a_fresh_run_of_the_new_application(changed):
    """As if it had been in force from the first record; and a replay that meets the switch on its way agrees."""
    fresh = Rebuild(changed["kept"], changed["after"]).finish(changed["kept"].last_seq)
    assert fresh.state.hash() == changed["state"]
    now = fresh.at_ms + 1_000
    people = [key for key, _ in changed["runner"].graph.table("recent").rows.items()]
    for table in sorted(CHANGED):
        live, again = (Tables(each).live[table] for each in (changed["runner"], fresh))
        rows = {
            key: row for person in people for key, row in live.rows(person if table != "looked_at" else (), now).items()
        }
        assert rows, table
        assert rows == {key: again.row(key, now) for key in rows}
    replay = Replay(changed["kept"])
    replay.advance(changed["kept"].last_seq)
    assert replay.runner.state.hash() == changed["state"] and replay.application.hash == changed["after"].hash


def test_decisions_from_before_and_after_replay_identical(changed):
    assert [replay["verdict"] for replay in changed["replays"]] == ["identical"] * 3, changed["replays"]


def test_the_added_feature_is_read_after_the_change(changed):
    assert "looks" in {fact["feature"] for fact in changed["facts"]}
