"""An item whose stock was set to 0 is never answered by a decision that begins after the acknowledgement.

Not by ranking, not cold, not from a list the caller brings, not without a profile, and not by a fallback: the filters
are on every path. 200 decisions are begun each second, whether the earlier ones are done or not, while items sell
out.
"""

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field

import pytest

from nextpaint.engine.node import NodeSettings
from nextpaint.govern.access import LOCAL
from tests.engine.shop import asked, click, ids, opened, order_lines, order_rows, retail, slice_of

ITEMS = 400
PER_SECOND = 200
GONE_MIN = 20  # items sold out, or the test saw too little

# `hurried` never has time. `tight` has not when the process stalls. What they answer then is a fallback.
HURRIED = """
from nextpaint.decide import Window
hurried = home.but("hurried", window=Window("HURRIED", 500, 0, 0, 0, ttl_s=1))
tight = home.but("tight", window=Window("TIGHT", 500, 0, 40, 0, ttl_s=1))
"""
PATHS = {
    "clicked": ("home_carousel", {}),
    "cold": ("home_carousel", {}),
    "not profiled": ("home_carousel", {"profiled": False}),
    "given": ("search", {}),
    "no time": ("hurried", {}),
    "little time": ("tight", {}),
}


@dataclass
class Seen:
    """What the clients saw: answers by path, by what was used instead, and items answered that were gone."""

    answered: Counter = field(default_factory=Counter)
    used: Counter = field(default_factory=Counter)
    items: int = 0
    wrong: list = field(default_factory=list)
    pages: list = field(default_factory=list)


async def visitors(engine, items, seed):
    chance = random.Random(seed)
    names = [f"visitor-{n}" for n in range(20)]
    await engine.ingest(LOCAL, [click(name, chance.choice(items)["item_id"]) for name in names for _ in range(3)])
    return names


async def decided(engine, path, visitor, gone, everything, seen):
    surface, more = PATHS[path]
    before = set(gone)  # acknowledged before this decision begins
    given = {"items": everything} if path == "given" else {}
    body = asked("nobody" if path == "cold" else visitor, **more, **given)
    answer = await engine.decide(LOCAL, surface, body)
    seen.answered[path] += 1
    seen.used.update(each["used"] for each in answer["degraded"])
    seen.items += len(answer["items"])
    seen.pages.append(ids(answer))
    seen.wrong += [(path, item, answer["decision_id"]) for item in ids(answer) if item in before & gone]


async def sell_out(engine, seen, gone, seconds, chance):
    """Set items that are on pages right now to 0, one after the other; `gone` holds those that were acknowledged."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + seconds
    while loop.time() < ends or len(gone) <= GONE_MIN:
        await asyncio.sleep(0.02)
        if len(gone) > ITEMS // 3:  # delivered: it may be shown again from the moment it is sent
            item = chance.choice(sorted(gone))
            gone.discard(item)
            await engine.put_items(LOCAL, [{"item_id": item, "stock": 9}])
        shown = [item for page in seen.pages[-20:] for item in page if item not in gone]
        if shown:
            item = chance.choice(shown)
            receipt = await engine.put_items(LOCAL, [{"item_id": item, "stock": 0}])
            assert receipt.accepted == 1
            gone.add(item)


async def stall(engine, visitor, gone, everything, seen, seconds):
    """Ask for a decision and let the process stand still before its turn comes: its time is up when it begins."""
    for _ in range(int(seconds / 0.2)):
        await asyncio.sleep(0.15)
        decision = asyncio.create_task(decided(engine, "little time", visitor, gone, everything, seen))
        await asyncio.sleep(0)
        time.sleep(0.045)
        await decision


async def open_hours(directory, seconds, seed):
    items = slice_of(ITEMS)
    everything = [item["item_id"] for item in items[:100]]
    known = {item["item_id"] for item in items}
    application = retail(surfaces_py=[("# What a nightly job", f"{HURRIED}\n# What a nightly job")])
    seen, gone, chance = Seen(), set(), random.Random(seed)
    patient = NodeSettings(lag_ms_max=60_000)  # a machine that is stalled on purpose must still take stock changes
    async with opened(directory, application, items=items, settings=patient) as engine:
        now = engine.node.ports.clock.now_ms()
        lines = [line for line in order_lines(6000) if line[1] in known]
        await engine.put_rows(LOCAL, "orders", order_rows(lines, now))
        names = await visitors(engine, items, seed)
        for path in PATHS:  # so that every path has run once, and there is a last good answer
            await decided(engine, path, names[0], gone, everything, seen)
        selling = asyncio.create_task(sell_out(engine, seen, gone, seconds, chance))
        loop = asyncio.get_running_loop()
        start, tasks = loop.time(), [asyncio.create_task(stall(engine, names[0], gone, everything, seen, seconds))]
        for number in range(int(seconds * PER_SECOND)):
            await asyncio.sleep(max(0.0, start + number / PER_SECOND - loop.time()))
            path = chance.choice(list(PATHS))
            tasks.append(asyncio.create_task(decided(engine, path, chance.choice(names), gone, everything, seen)))
        await asyncio.gather(*tasks)
        spent = loop.time() - start
        await selling
        for path in PATHS:  # and when it is quiet again
            await decided(engine, path, chance.choice(names), gone, everything, seen)
        rows = (await engine.query(LOCAL, "SELECT item_id FROM inventory WHERE stock = 0"))["rows"]
        assert {row[0] for row in rows} == gone
    print(
        f"{len(tasks) - 1} decisions in {spent:.1f} s, {seen.items} items answered, {len(gone)} sold out, {seen.used}"
    )
    return seen, gone


def checked(seen, gone):
    assert seen.wrong == []
    assert len(gone) > GONE_MIN
    assert all(seen.answered[path] > 20 for path in PATHS)
    assert seen.used["last good answer"] > 0 and seen.used["cold list"] > 0, "no fallback was taken"


def test_an_item_that_sold_out_is_never_answered_again(tmp_path):
    checked(*asyncio.run(open_hours(tmp_path, seconds=3.0, seed=1)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 5))
def test_an_item_that_sold_out_is_never_answered_again_for_a_long_time(tmp_path, seed):
    checked(*asyncio.run(open_hours(tmp_path, seconds=20.0, seed=seed)))
