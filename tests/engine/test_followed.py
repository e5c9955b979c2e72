"""What surfaces read over many keys is made before the first decision and kept near the state afterwards, at a cost in
proportion to what changed."""

import asyncio

import pytest
import uvloop

from nextpaint.govern.access import LOCAL
from nextpaint.process import live, mirror, places, vector_mirror
from tests.engine.shop import asked, click, opened, retail, slice_of

SURFACE = "home_carousel"
ANOTHER_WEIGHT = {"surfaces_py": [("interest=0.45, trend=0.10)", "interest=0.40, trend=0.10)")]}
ANOTHER_TABLE = {"features_sql": [("INTERVAL '2' HOUR", "INTERVAL '3' HOUR")]}


class Work:
    """Counts keys that are written into columns and places, and what is made anew."""

    def __init__(self, monkeypatch):
        self.made, self.keys = [], 0
        self._patch = monkeypatch
        self._count(mirror.TableMirror, "_held", self._column)
        self._count(mirror._Coded, "__init__", lambda *_: self.made.append("codes"))
        self._count(mirror.TableMirror, "__init__", lambda *_: self.made.append("mirror"))
        self._count(places.Places, "_follow", lambda follows, *_: follows._seen[0] >= 0 or self.made.append("places"))
        self._count(mirror.TableMirror, "_fill", lambda _self, _name, _held, keys, *_: self._add(len(keys)))
        self._count(vector_mirror.VectorMirror, "_look", lambda _self, items: self._add(len(items)))

    def _column(self, mirrored, name):
        if name not in mirrored._columns:
            self.made.append(f"column {name} of {mirrored._table.id}")

    def _add(self, keys):
        self.keys += keys

    def _count(self, owner, name, tell):
        before = getattr(owner, name)

        def counted(*arguments):
            tell(*arguments)
            return before(*arguments)

        self._patch.setattr(owner, name, counted)


async def filled(engine):
    """Items, and a visitor with clicks."""
    items = slice_of(300)
    await engine.put_items(LOCAL, items)
    await engine.ingest(LOCAL, [click("v1", each["item_id"]) for each in items[:40]])
    await engine.node.settled()
    return items


@pytest.mark.parametrize("again", [False, True], ids=["a node filled while it runs", "a node opened again"])
def test_the_first_decision_makes_nothing(tmp_path, monkeypatch, again):
    monkeypatch.setattr(live, "BEHIND_MAX", 20)

    async def decided(engine):
        work = Work(monkeypatch)
        answer = await engine.decide(LOCAL, SURFACE, asked("v1"))
        assert answer["items"]
        return work

    async def test():
        async with opened(tmp_path / "node", retail(), items=slice_of(300)) as engine:
            await filled(engine)
            if not again:
                return await decided(engine)
        async with opened(tmp_path / "node", retail()) as engine:
            return await decided(engine)

    work = uvloop.run(test())
    assert work.made == []
    assert work.keys <= 20 * 12, "what waits is bounded: about a dozen columns, 20 keys each"


def test_a_changed_item_costs_a_few_keys_and_not_the_table(tmp_path, monkeypatch):
    async def test():
        async with opened(tmp_path / "node", retail(), items=slice_of(300)) as engine:
            items = await filled(engine)
            await engine.decide(LOCAL, SURFACE, asked("v1"))
            work = Work(monkeypatch)
            await engine.put_items(LOCAL, [{**items[7], "price": 3.0, "title": "Another title"}])
            await engine.node.settled()
            await engine.decide(LOCAL, SURFACE, asked("v1"))
            return work

    work = uvloop.run(test())
    assert work.made == []
    assert 0 < work.keys < 60


@pytest.mark.parametrize("edits", [ANOTHER_WEIGHT, ANOTHER_TABLE], ids=["the same tables", "a table made anew"])
def test_another_application_takes_over_what_is_the_same_and_makes_the_rest_before_the_switch(
    tmp_path, monkeypatch, edits
):
    """At the switch itself, when nothing is decided, only what waited is done: at most `BEHIND_MAX` keys a table."""
    monkeypatch.setattr(live, "BEHIND_MAX", 20)
    monkeypatch.setattr(live, "PORTION", 16)

    async def test():
        async with opened(tmp_path / "node", retail(), items=slice_of(300)) as engine:
            await filled(engine)
            node = engine.node
            tables, kept = node.tables, node.tables.vectors["item_vectors"]
            catalog, trending = tables.mirror("catalog"), tables.mirror("trending")
            at_switch, decided = [], []
            switched = node._on_switch

            def on_switch(switch):
                work = Work(monkeypatch)
                switched(switch)
                at_switch.append((list(work.made), work.keys))

            monkeypatch.setattr(node.turns, "_switch", on_switch)
            applying = asyncio.create_task(engine.apply(LOCAL, retail(**edits)))
            while not applying.done():
                decided.append(await engine.decide(LOCAL, SURFACE, asked("v1")))
            await applying
            answer = await engine.decide(LOCAL, SURFACE, asked("v1"))
            assert node.tables is not tables
            assert node.tables.vectors["item_vectors"] is kept
            assert node.tables.mirror("catalog") is catalog
            assert (node.tables.mirror("trending") is trending) == (edits is ANOTHER_WEIGHT)
            again = await engine.explain(LOCAL, answer["decision_id"], replay=True)
            assert again["replay"]["verdict"] == "identical"
            assert all(each["items"] for each in decided)
            return at_switch[0], len(decided)

    (made, keys), decided = uvloop.run(test())
    assert made == []
    assert keys <= 20 * 12
    assert decided > (0 if edits is ANOTHER_WEIGHT else 1), "decisions go on while a table is made"
