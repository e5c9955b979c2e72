"""The quality tasks through the engine: rows enter by the calls a shop uses, answers come from surfaces.

The node's clock is the rows' own time, so decays run as they would have in those days. Its monotonic clock stands
still: no stage is ever late, quality is not a matter of speed here.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nextpaint.application import Application
from nextpaint.connect.replay import iso_time, order_row
from nextpaint.engine.facade import Engine
from nextpaint.engine.node import NodeSettings
from nextpaint.govern.access import LOCAL
from nextpaint.models.embedding import Embedder
from nextpaint.ports import InlineWorkers, Ports, SeededRandom, SimulatedClock, SystemDisk, ThreadWorkers
from rig.baskets import Answered, Basket, Baskets, answered
from rig.sessions import Named, Sessions, View

APPLICATIONS = Path(__file__).resolve().parents[1] / "applications"
EVENTS = {"view": "Product Viewed", "cart": "Product Added", "purchase": "Order Completed"}
VECTORS_EVERY = 200  # rows between two waits for the encoder
YEARS_S = 10**9  # the clock runs through months in minutes: a checkpoint a minute would be a third of the work
SETTINGS = NodeSettings(lag_ms_max=3_600_000, checkpoint_s=YEARS_S, checkpoint_records=10**9)
Part = tuple[int, int]


class PastShop:
    """One node that lives through old times."""

    def __init__(self, engine: Engine, clock: SimulatedClock) -> None:
        self._engine, self._clock = engine, clock
        self._shown: dict[str, dict[str, Any]] = {}

    @staticmethod
    async def open(application: str, directory: Path, embedder: Embedder, begin_ms: int) -> PastShop:
        clock = SimulatedClock(begin_ms)
        deliver = asyncio.get_running_loop().call_soon_threadsafe
        ports = Ports(clock, SystemDisk(directory), SeededRandom(7), InlineWorkers())
        engine = await Engine.open(
            directory, Application.load(APPLICATIONS / application), ports,
            settings=SETTINGS, embedder=embedder, background=ThreadWorkers(deliver),
        )  # fmt: skip
        return PastShop(engine, clock)

    def move(self, time_ms: int) -> None:
        if time_ms > self._clock.now_ms():
            self._clock.jump(time_ms - self._clock.now_ms())

    async def items(self, rows: Sequence[dict[str, Any]]) -> None:
        """Item rows that differ from what the shop shows."""
        changed = [row for row in rows if self._shown.get(row["item_id"]) != row]
        self._shown.update({row["item_id"]: row for row in changed})
        if changed:
            await self._engine.put_items(LOCAL, changed)

    async def orders(self, rows: Sequence[dict[str, Any]]) -> None:
        await self._engine.put_rows(LOCAL, "orders", rows)

    async def event(self, call: dict[str, Any]) -> None:
        receipt = await self._engine.ingest(LOCAL, [call])
        assert receipt.accepted == 1, f"{call} was quarantined"
        await self._engine.node.applied(receipt.seq)

    async def answer(self, surface: str, who: dict[str, str]) -> list[str]:
        """The ids for this person now, best first."""
        found = await self._engine.decide(LOCAL, surface, who)
        return [item["id"] for item in found["items"]]

    async def embedded(self) -> None:
        """Wait until every title has its vector."""
        while self._engine.status()["vectors"]["missing"]:
            await asyncio.sleep(0.01)

    async def close(self) -> None:
        await self._engine.close()


async def baskets_answered(
    shop: PastShop, baskets: Baskets, surfaces: Sequence[str], part: Part, k: int = 10
) -> dict[str, list[Answered]]:
    """Live through all baskets up to the part's end; answer its targets with every surface."""
    answers: dict[str, list[Answered]] = {surface: [] for surface in surfaces}
    index = {item: number for number, item in enumerate(baskets.ids)}
    titles: dict[str, Counter[str]] = defaultdict(Counter)
    bought: dict[str, set[int]] = defaultdict(set)
    for place, basket in enumerate(baskets.all[: part[1]]):
        shop.move(basket.time_ms)
        if basket.is_target and place >= part[0]:
            before = bought[basket.customer]
            for surface in surfaces:
                found = await shop.answer(surface, {"userId": f"customer-{basket.customer}"})
                top = [index[item] for item in found]
                fresh = [item for item in top if item not in before]
                answers[surface].append(answered(basket, set(before), top[:k], fresh[:k]))
        await shop.items(_titled(basket, titles))
        await shop.orders([order_row(line, basket.time_ms) for line in basket.lines])
        if basket.customer:
            bought[basket.customer].update(basket.items.tolist())
        if place % VECTORS_EVERY == 0:
            await shop.embedded()
    return answers


def _titled(basket: Basket, titles: dict[str, Counter[str]]) -> list[dict[str, Any]]:
    """A basket's items with their most frequent title so far (ties: the later in the alphabet), NULL without one."""
    best: dict[str, str | None] = {}
    for line in basket.lines:
        counts = titles[line.item_id]
        if line.title:
            counts[line.title] += 1
        best[line.item_id] = max(counts, key=lambda each: (counts[each], each), default=None)
    return [{"item_id": item, "title": title} for item, title in best.items()]


async def sessions_answered(
    shop: PastShop, sessions: Sessions, surfaces: Sequence[str], part: Part, k: int = 20
) -> dict[str, list[Named]]:
    """Live through all events up to the part's end; answer its targets with every surface."""
    answers: dict[str, list[Named]] = {surface: [] for surface in surfaces}
    wanted = {place for place in sessions.targets if part[0] <= place < part[1]}
    known: set[str] = set()
    visited: dict[str, set[str]] = defaultdict(set)
    for place, view in enumerate(sessions.all[: part[1]]):
        shop.move(view.time_ms)
        if place in wanted:
            for surface in surfaces:
                found = await shop.answer(surface, {"anonymousId": view.session})
                left = [item for item in found if item not in visited[view.session]]
                answers[surface].append(Named(view.session, view.item, view.item in known, tuple(left[:k])))
        await shop.items([{"item_id": view.item, "title": view.title, "category": view.category}])
        await shop.event(_call(view, place))
        known.add(view.item)
        visited[view.session].add(view.item)
        if place % VECTORS_EVERY == 0:
            await shop.embedded()
    return answers


def _call(view: View, place: int) -> dict[str, Any]:
    return {
        "type": "track",
        "event": EVENTS[view.kind],
        "messageId": f"row-{place}",
        "anonymousId": view.session,
        "timestamp": iso_time(view.time_ms),
        "properties": {"product_id": view.item, "category": view.category},
    }
