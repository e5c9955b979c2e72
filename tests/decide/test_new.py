"""What was added lately, best first, fading."""

import asyncio

import pytest

from nextpaint.decide import Decider, New, Weighted
from nextpaint.govern.access import LOCAL
from nextpaint.ports import SystemClock
from nextpaint.record.codec import Record
from nextpaint.record.errors import ApplicationError
from nextpaint.stream.frame import Draft, EntryKind
from tests.decide.reading import NOW_MS, shop
from tests.decide.surfaces import HOME, decide, decider, ids
from tests.decide.test_retrieve import notes, retrieve
from tests.engine.shop import GOODS, asked, corner, opened
from tests.engine.shop import ids as answered

DAY_MS = 86_400_000


def added(**days):
    """A shop whose items were added so many days ago; None: nobody knows."""
    reading = shop()
    for item, row in reading.data["catalog"].items():
        age = days.get(item[0], 999)
        row["ts"] = None if age is None else NOW_MS - int(age * DAY_MS)
    return reading


def test_the_newest_come_first_and_what_is_old_or_ahead_is_not_new():
    reading = added(i003=2, i001=0.5, i007=14, i002=-1, i004=71, i005=None)
    assert ids(retrieve(reading, New(by="ts", half_life="7 d"))) == ["i001", "i003", "i007"]
    assert ids(retrieve(reading, New(by="ts", half_life="7 d", k=2))) == ["i001", "i003"]
    assert ids(retrieve(reading, New(by="ts", half_life="1 d"))) == ["i001", "i003"]


def test_equal_times_are_ordered_by_key():
    assert ids(retrieve(added(i009=1, i002=1, i005=1), New(by="ts", k=2))) == ["i002", "i005"]


def test_nobody_needs_to_be_known_and_where_nothing_is_new_the_record_says_so():
    assert ids(retrieve(added(i003=1), New(by="ts"), subjects=())) == ["i003"]
    assert notes(retrieve(added(), New(by="ts")))["retrieve new"] == ("abstained", "nothing is new by ts")


def test_as_a_feature_it_halves_with_its_half_life():
    surface = HOME.but(
        "test", retrieve=[New(by="ts", half_life="30 d")], features={"new": New(by="ts", half_life="1 d")},
        rank=Weighted(new=1.0), rules=[], require=[], cold=None, say={}, explore=None,
    )  # fmt: skip
    decision = decide(decider(surface), added(i001=0, i002=1, i003=3, i004=12), ("s1",), "test")
    assert [(item.id, item.values[0]) for item in decision.record.items] == [
        ("i001", 1.0), ("i002", 0.5), ("i003", 0.125), ("i004", 0.0),
    ]  # fmt: skip
    assert decision.answer["items"][0]["reason"] == "It was added lately."


def test_a_column_that_is_no_time_is_refused():
    with pytest.raises(ApplicationError, match=r"'title'.*not a time"):
        decider(HOME.but("test", retrieve=[New(by="title")]))


# ---------------------------------------------------------------- without a time of its own


FIRST_SEEN = """
from nextpaint.decide import New
shelf_of_new = shelf.but("shelf_of_new", retrieve=[New(half_life="1 d", k=3)], features={"new": New(half_life="1 d")},
    rank=Weighted(new=1.0), cold=None)
"""


def test_without_a_column_an_item_is_as_old_as_the_node_knows_it(tmp_path):
    application = corner(surfaces=FIRST_SEEN)

    async def shown(engine):
        answer = await engine.decide(LOCAL, "shelf_of_new", asked("v1"))
        again = await engine.explain(LOCAL, answer["decision_id"], replay=True)
        assert again["replay"]["verdict"] == "identical"
        return answered(answer)

    async def run():
        async with opened(tmp_path / "node", application, items=GOODS[:6]) as engine:
            for item in (GOODS[9], GOODS[7]):
                await asyncio.sleep(0.01)
                await engine.put_items(LOCAL, [item])
            assert (await shown(engine))[:2] == ["g7", "g9"]
            await asyncio.sleep(0.01)
            await engine.put_items(LOCAL, [{"item_id": "g2", "price": 2.5}, {"item_id": "g9", "stock": 3}])
            assert (await shown(engine))[:2] == ["g7", "g9"], "a changed item is no new one"
            await asyncio.sleep(0.01)
            await engine.put_items(LOCAL, [GOODS[8]])
            assert await shown(engine) == ["g8", "g7", "g9"]
            first = await engine.query(LOCAL, "SELECT item_id FROM _first_seen_goods")
            assert len(first["rows"]) == 9
        async with opened(tmp_path / "node", application) as engine:
            assert await shown(engine) == ["g8", "g7", "g9"], "and after a start"

    asyncio.run(run())


def test_a_deleted_item_leaves_no_dead_row_and_comes_back_as_old_as_it_was(tmp_path):
    async def run():
        async with opened(tmp_path / "node", corner(surfaces=FIRST_SEEN), items=GOODS[:3]) as engine:
            await asyncio.sleep(0.01)
            await engine.put_items(LOCAL, [GOODS[5]])
            now_ms = engine.node.ports.clock.now_ms()
            gone = Record(b'{"item_id":"g1"}', None, now_ms)
            await engine.node.appended(Draft("goods", EntryKind.INPUT, [gone]))
            await engine.node.settled()
            assert "g1" not in answered(await engine.decide(LOCAL, "shelf_of_new", asked("v1")))
            await engine.put_items(LOCAL, [GOODS[1]])
            assert answered(await engine.decide(LOCAL, "shelf_of_new", asked("v1")))[0] == "g5"
            topics = {entry.topic for frame in engine.node.ledger.frames() for entry in frame.entries}
            assert not any("dead" in topic for topic in topics)

    asyncio.run(run())


def test_a_table_of_images_needs_a_column():
    ends, format_ = "NOT ENFORCED{};\nCREATE TABLE heat", ") WITH ('value.format' = 'debezium-json')"
    application = corner(surfaces=FIRST_SEEN, edits=[(ends.format(")"), ends.format(format_))])
    with pytest.raises(ApplicationError, match="name a time column"):
        Decider(application.surfaces, application.program.tables, SystemClock())
