"""What surfaces read over many keys is made before the first decision and kept near the state afterwards, at a cost in
proportion to what changed."""

import pytest
import uvloop

from nextpaint.govern.access import LOCAL
from nextpaint.process import live, mirror, places, vector_mirror
from tests.engine.shop import asked, click, opened, retail, slice_of

SURFACE = "home_carousel"


class Work:
    """Counts keys that are written into columns and places, and what is made anew."""

    def __init__(self, monkeypatch):
        self.made, self.keys = [], 0
        self._patch = monkeypatch
        self._count(mirror.TableMirror, "_held", self._column)
        self._count(mirror._Coded, "__init__", lambda *_: self.made.append("codes"))
        self._count(mirror.TableMirror, "__init__", lambda *_: self.made.append("mirror"))
        self._count(places.Places, "_follow", lambda follows, *_: follows._seen[0] >= 0 or self.made.append("places"))
        self._count(mirror.TableMirror, "_fill", lambda _self, _name, _held, slots: self._add(len(slots)))
        self._count(vector_mirror.VectorMirror, "_set", lambda *_: self._add(1))

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
