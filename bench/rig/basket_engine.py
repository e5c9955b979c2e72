"""The next-basket task through the engine: orders enter by `put_rows`, answers come from surfaces.

The node's clock is the invoices' own time, so decays run as they would have in those days. Its monotonic clock stands
still: no stage is ever late, quality is not a matter of speed here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from nextpaint.application import Application
from nextpaint.connect.replay import order_row
from nextpaint.engine.facade import Engine
from nextpaint.engine.node import NodeSettings
from nextpaint.govern.access import LOCAL
from nextpaint.models.embedding import Embedder
from nextpaint.ports import InlineWorkers, Ports, SeededRandom, SimulatedClock, SystemDisk, ThreadWorkers
from rig.baskets import Answered, Basket, Baskets, answered

APPLICATION = Path(__file__).resolve().parents[1] / "applications" / "baskets"
K = 10


class BasketShop:
    """One node that lives through the invoices. Titles are the most frequent so far and enter when they change."""

    def __init__(self, engine: Engine, clock: SimulatedClock, ids: Sequence[str]) -> None:
        self._engine, self._clock = engine, clock
        self._index = {item: number for number, item in enumerate(ids)}
        self._titles: dict[str, Counter[str]] = {}
        self._shown: dict[str, str] = {}

    @staticmethod
    async def open(directory: Path, files: Mapping[str, bytes], embedder: Embedder, baskets: Baskets) -> BasketShop:
        clock = SimulatedClock(baskets.all[0].time_ms)
        deliver = asyncio.get_running_loop().call_soon_threadsafe
        ports = Ports(clock, SystemDisk(directory), SeededRandom(7), InlineWorkers())
        engine = await Engine.open(
            directory, Application.of(dict(files)), ports, settings=NodeSettings(lag_ms_max=3_600_000),
            embedder=embedder, background=ThreadWorkers(deliver),
        )  # fmt: skip
        return BasketShop(engine, clock, baskets.ids)

    async def admit(self, basket: Basket) -> None:
        """Titles that changed, then the lines."""
        self._move(basket)
        items = [row for line in basket.lines if line.title and (row := self._retitled(line.item_id, line.title))]
        if items:
            await self._engine.put_items(LOCAL, items)
        rows = [order_row(line, basket.time_ms) for line in basket.lines]
        await self._engine.put_rows(LOCAL, "orders", rows)

    async def answer(self, basket: Basket, surface: str) -> list[int]:
        """The items for this customer now, best first."""
        self._move(basket)
        asked = {"userId": f"customer-{basket.customer}"}
        found = await self._engine.decide(LOCAL, surface, asked)
        return [self._index[item["id"]] for item in found["items"]]

    def _move(self, basket: Basket) -> None:
        ahead = basket.time_ms - self._clock.now_ms()
        if ahead > 0:
            self._clock.jump(ahead)

    def _retitled(self, item: str, title: str) -> dict[str, str] | None:
        counts = self._titles.setdefault(item, Counter())
        counts[title] += 1
        best = max(counts, key=lambda each: (counts[each], each))
        if self._shown.get(item) == best:
            return None
        self._shown[item] = best
        return {"item_id": item, "title": best}

    async def embedded(self) -> None:
        """Wait until every title has its vector."""
        while self._engine.status()["vectors"]["missing"]:
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self._engine.close()


async def run_surfaces(
    shop: BasketShop, baskets: Baskets, surfaces: Sequence[str], parts: Sequence[tuple[int, int]]
) -> dict[str, list[Answered]]:
    """Live through all baskets up to the last part's end; answer the targets inside the parts with every surface."""
    answers: dict[str, list[Answered]] = {surface: [] for surface in surfaces}
    bought: dict[str, set[int]] = {}
    for place, basket in enumerate(baskets.all[: parts[-1][1]]):
        if basket.is_target and any(first <= place < last for first, last in parts):
            before = bought.get(basket.customer, set())
            for surface in surfaces:
                top = await shop.answer(basket, surface)
                fresh = [item for item in top if item not in before]
                answers[surface].append(answered(basket, before, top[:K], fresh[:K]))
        await shop.admit(basket)
        if basket.customer:
            bought.setdefault(basket.customer, set()).update(basket.items.tolist())
        if place % 500 == 0:
            await shop.embedded()
    return answers
