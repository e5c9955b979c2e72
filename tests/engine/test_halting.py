"""A node at its memory ceiling: a statement halts, surfaces that read it take their fallback, all else goes on."""

import asyncio

from nextpaint.engine.ceiling import LOOK_MS
from nextpaint.engine.facade import Engine
from nextpaint.engine.node import NodeSettings
from nextpaint.govern.access import LOCAL
from nextpaint.models.embedding import HashEncoder
from nextpaint.ports import InlineWorkers, Ports, SeededRandom, SimulatedClock, SimulatedDisk
from tests.engine.shop import GOODS, asked, click, corner, ids

START_MS = 1_790_000_000_000
CEILING = "SET 'nextpaint.state.ceiling' = '{}';\n"
SETTINGS = NodeSettings(lag_ms_max=10**9, frame_gap_ms=0)


def application(ceiling):
    other = "\nall_goods = shelf.but('all_goods', retrieve=[Top('goods', by='price', k=50)], features={}, rank=None)\n"
    return corner(CEILING.format(ceiling), other)


async def opened(directory, disk, clock, ceiling):
    directory.mkdir(parents=True, exist_ok=True)
    ports = Ports(clock, disk, SeededRandom(2), InlineWorkers())
    return await Engine.open(
        directory, application(ceiling), ports, settings=SETTINGS, embedder=HashEncoder(), background=InlineWorkers()
    )


async def look(engine, clock):
    """Time passes, and something arrives: the node measures after it has applied it."""
    for _ in range(2):
        clock.advance(LOOK_MS + 1)
        await engine.ingest(LOCAL, [click("ticking", "g1")])
        await engine.node.settled()


async def grown(engine, visitor, count):
    for start in range(0, count, 500):
        await engine.ingest(LOCAL, [click(visitor, f"other {n}") for n in range(start, min(count, start + 500))])
    await engine.node.settled()


async def live(directory):
    disk, clock = SimulatedDisk(SeededRandom(1)), SimulatedClock(START_MS)
    engine = await opened(directory, disk, clock, "300 kb")
    await engine.put_items(LOCAL, [{**each, "ts": START_MS} for each in GOODS])
    await engine.ingest(LOCAL, [click("known", f"g{n}") for n in (3, 3, 3, 7, 7, 9)])
    await engine.node.settled()
    before = await engine.decide(LOCAL, "shelf", asked("known"))
    assert ids(before)[:3] == ["g3", "g7", "g9"] and not before.get("degraded")

    await grown(engine, "many", 4_000)
    await look(engine, clock)
    assert engine.node.runner.halts.stopped == {"heat"}
    assert 'statement_halted{target="heat"} 1' in engine.metrics()

    heat = (await engine.query(LOCAL, "SELECT COUNT(*) AS n FROM heat"))["rows"]
    await engine.ingest(LOCAL, [click("known", f"new {n}") for n in range(5)])
    await engine.node.settled()
    assert (await engine.query(LOCAL, "SELECT COUNT(*) AS n FROM heat"))["rows"] == heat
    assert max(row[0] for row in (await engine.query(LOCAL, "SELECT n FROM seen"))["rows"]) == 4_000

    again = await engine.decide(LOCAL, "shelf", asked("known"))
    (why,) = again["degraded"]
    assert (why["stage"], why["cause"]) == ("decide", "heat stopped at the memory ceiling")
    assert why["used"] == "last good answer" and ids(again) == ids(before)
    stranger = await engine.decide(LOCAL, "shelf", asked("stranger"))
    assert stranger["degraded"][0]["used"] == "cold list" and len(ids(stranger)) == 5
    elsewhere = await engine.decide(LOCAL, "all_goods", asked("known"))
    assert not elsewhere.get("degraded") and len(ids(elsewhere)) == 5
    for each in (before, again, stranger, elsewhere):
        explained = await engine.explain(LOCAL, each["decision_id"], replay=True)
        assert explained["replay"]["verdict"] == "identical", explained["replay"]
    await engine.close()

    engine = await opened(directory, disk, clock, "300 kb")
    assert engine.node.runner.halts.stopped == {"heat"}, "a restart halts where it halted"
    await engine.apply(LOCAL, application("300 mb"))
    await engine.node.settled()
    assert not engine.node.runner.halts.stopped
    assert (await engine.query(LOCAL, "SELECT COUNT(*) AS n FROM heat"))["rows"][0][0] == heat[0][0] + 5
    after = await engine.decide(LOCAL, "shelf", asked("known"))
    assert not after.get("degraded")
    await engine.close()


def test_a_statement_halts_and_surfaces_that_read_it_fall_back(tmp_path):
    asyncio.run(live(tmp_path / "node"))
