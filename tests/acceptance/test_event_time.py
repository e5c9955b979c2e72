"""Events that come late, and silence: results depend on when things happened, and time passes without traffic."""

import asyncio
from datetime import UTC, datetime

from nextpaint.cli.commands import Directory
from nextpaint.engine.node import NodeSettings
from nextpaint.engine.recomputation import decisions_of
from nextpaint.govern.access import LOCAL
from nextpaint.ports import SimulatedClock, SystemClock
from tests.engine.shop import (
    GOODS,
    asked,
    click,
    corner,
    ids,
    opened,
    order_lines,
    order_rows,
    retail,
    slice_of,
    until,
    vectors_ready,
)

MINUTE_MS = 60_000


def iso(ms):
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def recent(engine, visitor):
    token = engine.node.subjects.known("anonymous", visitor)
    rows = engine.node.tables.reading(engine.node.ports.clock.now_ms()).rows("recent", (token,))
    return [item for item, _, _ in rows[0]["items"]] if rows else []


def known_since(ms, items):
    """The items as the shop has known them since then: a click is joined with the catalogue of its own time."""
    return [{**item, "ts": ms} for item in items]


async def heat(engine, visitor):
    return {row["category"]: row["heat"] for row in engine.interests(visitor, "category_interest")}


def test_a_click_five_minutes_late_lands_before_the_later_ones_and_changes_the_next_decision(tmp_path):
    items = slice_of(200)
    category = {item["item_id"]: item["category"] for item in items}
    first, second = items[0]["item_id"], items[1]["item_id"]
    late = next(item["item_id"] for item in items if item["category"] not in (category[first], category[second]))

    async def run():
        async with opened(tmp_path, retail()) as engine:
            now = engine.node.ports.clock.now_ms()
            await engine.put_items(LOCAL, known_since(now - 60 * MINUTE_MS, items))
            await vectors_ready(engine)
            lines = [line for line in order_lines(6000) if line[1] in category]
            await engine.put_rows(LOCAL, "orders", order_rows(lines, now))
            clicks = [click("v", first, timestamp=iso(now - 2 * MINUTE_MS)), click("v", second)]
            receipt = await engine.ingest(LOCAL, clicks)
            before = await engine.decide(LOCAL, "home_carousel", asked("v", position=receipt.position))
            assert await recent(engine, "v") == [first, second]
            receipt = await engine.ingest(LOCAL, [click("v", late, timestamp=iso(now - 5 * MINUTE_MS))])
            after = await engine.decide(LOCAL, "home_carousel", asked("v", position=receipt.position))
            assert receipt.accepted == 1 and not receipt.quarantined
            assert await recent(engine, "v") == [late, first, second]
            assert ids(before) != ids(after)
            # It counts as what it is: a click five minutes old, half a half-life.
            hot = await heat(engine, "v")
            assert abs(hot[category[late]] - 2**-0.5) < 0.01
            assert engine.status()["totals"]["late"] == 0

    asyncio.run(run())


def test_a_click_beyond_the_lateness_is_counted_where_a_window_has_closed(tmp_path):
    """The blueprint allows 10 minutes. A sum that fades and a list of the last items still take it, in its place; a
    session that is over and a join with the past do not, and say so."""

    async def run():
        items = slice_of(100)
        async with opened(tmp_path, retail(), items=items) as engine:
            now = engine.node.ports.clock.now_ms()
            one, two = items[0]["item_id"], items[1]["item_id"]
            await engine.ingest(LOCAL, [click("v", one)])
            receipt = await engine.ingest(LOCAL, [click("v", two, timestamp=iso(now - 25 * MINUTE_MS))])
            assert receipt.accepted == 1
            await engine.node.applied(receipt.seq)
            late = engine.status()["late_by_operator"]
            assert {name.partition("/")[0] for name in late} == {"session", "temporal"}, late
            assert "nextpaint_late_rows_total{" in engine.metrics()
            assert await recent(engine, "v") == [two, one]

    asyncio.run(run())


def test_an_event_time_from_1970_or_2031_is_quarantined_and_moves_no_watermark(tmp_path):
    async def run():
        async with opened(tmp_path, corner(), items=GOODS) as engine:
            await engine.ingest(LOCAL, [click("v", "g1")])
            marks = {name: source.clock.watermark for name, source in engine.node.runner.graph.sources.items()}
            for year in ("1970", "2031"):
                receipt = await engine.ingest(LOCAL, [click("v", "g1", timestamp=f"{year}-01-01T00:00:00Z")])
                assert receipt.accepted == 0 and year in receipt.quarantined[0][1]
                await engine.node.applied(receipt.seq)
            for ts in (0, 1_930_000_000_000):
                receipt = await engine.put_rows(LOCAL, "goods", [{"item_id": "g1", "stock": 1, "ts": ts}])
                assert (receipt.accepted == 0) == (ts > 0), "a keyed table may hold what is known since long ago"
            now = {name: source.clock.watermark for name, source in engine.node.runner.graph.sources.items()}
            slack = engine.node.ports.clock.now_ms() + 60_000
            assert all(now[name] < slack for name in marks)

    asyncio.run(run())


SESSIONS = """
CREATE TABLE visits (subject STRING, started TIMESTAMP(3), ended TIMESTAMP(3), n BIGINT);
INSERT INTO visits SELECT subject, window_start, window_end, COUNT(*)
FROM TABLE(SESSION(TABLE clicks PARTITION BY subject, DESCRIPTOR(ts), INTERVAL '2' SECOND))
GROUP BY subject, window_start, window_end;
"""


def test_with_no_traffic_at_all_a_session_ends_within_its_gap_and_two_seconds(tmp_path):
    """Gap 2 s, lateness 0 s. Nobody sends anything after the last click: the node's own ticks move time on."""
    application = corner(
        SESSIONS, edits=[("'nextpaint.events.lateness' = '1 s'", "'nextpaint.events.lateness' = '0 s'")]
    )
    ledger = Directory(tmp_path) if tmp_path.exists() else None

    def ended():
        return [r.value for f in ledger.frames() for e in f.entries if e.topic == "visits" for r in e.records]

    async def run():
        clock, tick_ms = SimulatedClock(SystemClock().now_ms()), 250
        settings = NodeSettings(lag_ms_max=10**9, tick_ms=1)  # of the loop's time; four a second of the clock's
        async with opened(tmp_path, application, items=GOODS, clock=clock, settings=settings) as engine:
            await engine.ingest(LOCAL, [click("v", "g1"), click("v", "g2"), click("w", "g1")])
            last_ms, node = clock.now_ms(), engine.node
            while len(ended()) < 2:
                assert clock.now_ms() - last_ms < 4_000, "the sessions did not end"
                clock.advance(tick_ms)
                for _ in range(2):  # the one that is on its way may have been begun before
                    timer = node._tick
                    await until(lambda timer=timer: node._tick is not timer)
                    await node.settled()
            assert clock.now_ms() - last_ms >= 2_000

    asyncio.run(run())
    assert not list(decisions_of(ledger))
