"""Vectors of texts that change while they are computed, and of a node that has no rest."""

import asyncio
import time
from types import SimpleNamespace

from nextpaint.engine.background import VectorWork
from nextpaint.engine.node import NodeSettings
from nextpaint.govern.access import LOCAL
from nextpaint.models.embedding import HashEncoder
from nextpaint.ports import InlineWorkers
from tests.engine.shop import DEADLINE_S, click, opened, retail, slice_of


class Texts:
    """The text column of an item table: what waits for a vector."""

    def __init__(self):
        self.texts = {}

    @property
    def missing(self):
        return len(self.texts)

    def waiting(self):
        return iter(self.texts.items())


def test_a_text_that_comes_back_after_its_vector_was_applied_is_computed_again():
    texts, sent = Texts(), []
    work = VectorWork(HashEncoder(), InlineWorkers(), lambda draft, durable: sent.append((draft, durable)))
    texts.texts = {"a": "red lantern"}
    work.poke([texts], 0)
    work.poke([texts], 0)
    assert len(sent) == 1, "on its way: not computed twice"
    texts.texts = {}  # the title changed, so the vector was for nobody when it was applied
    sent[0][1](SimpleNamespace(), SimpleNamespace(), 0)
    texts.texts = {"a": "red lantern"}  # and changed back
    work.poke([texts], 0)
    assert len(sent) == 2


class Counted(HashEncoder):
    """Remembers what it was asked to encode."""

    def __init__(self):
        self.asked = []

    def encode(self, texts):
        self.asked.append(list(texts))
        return super().encode(texts)


def test_a_node_that_starts_with_vectors_loads_the_model_before_the_first_text_needs_it():
    texts, sent, encoder = Texts(), [], Counted()
    work = VectorWork(encoder, InlineWorkers(), lambda draft, durable: sent.append(draft))
    nothing = SimpleNamespace(texts={}, waiting=lambda: iter(()))
    work.poke([nothing], 0)
    work.poke([], 0)
    assert encoder.asked == [], "no item has a text: the model is not needed"
    there = SimpleNamespace(texts={"i1": "a"}, waiting=lambda: iter(()))
    work.poke([there], 0)
    work.poke([there], 0)
    assert encoder.asked == [[]] and sent == []
    texts.texts = {"a": "red lantern"}
    work.poke([texts], 0)
    assert encoder.asked == [[], ["red lantern"]] and len(sent) == 1


def test_a_new_text_has_its_vector_soon_though_the_node_is_never_idle(tmp_path):
    async def test():
        settings = NodeSettings(tick_ms=600_000, lag_ms_max=10**9)  # nobody looks after it from time to time
        async with opened(tmp_path, retail(), items=slice_of(20), settings=settings) as engine:
            engine.node.turns._idle = lambda: None  # as under steady traffic
            await engine.put_items(LOCAL, [{"item_id": "fresh", "title": "Red tin lantern", "price": 1.0, "stock": 5}])
            view = engine.node.tables.vectors["item_vectors"].view
            number, ends = 0, time.monotonic() + DEADLINE_S
            while "fresh" not in view().slots:
                assert time.monotonic() < ends, "it waits for a rest"
                number += 1
                await engine.ingest(LOCAL, [click(f"v{number}", slice_of(20)[3]["item_id"])])
                await asyncio.sleep(0.01)

    asyncio.run(test())
