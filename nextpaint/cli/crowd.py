"""The simulated people of a demonstration, as tasks on a running node: shoppers, or viewers of films."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from nextpaint.connect.shoppers import Shopper
from nextpaint.connect.viewers import Film, Viewer
from nextpaint.engine.facade import Engine
from nextpaint.govern.access import SCOPES, Principal
from nextpaint.record.errors import NextpaintError

SIMULATED = Principal("simulated-shoppers", SCOPES)
REFUSED_PAUSE_S = 1.0  # refused or read-only: they come back later


class Crowd:
    """Asks `surface` for pages, as its people do. `items`: the catalogue's rows, as they went into the item tables."""

    def __init__(self, engine: Engine, surface: str, items: Sequence[Mapping[str, Any]]) -> None:
        self.sent = 0  # calls that simulated people sent
        self._engine = engine
        self._surface = surface
        self._items = items

    def shoppers(self, count: int) -> list[Coroutine[Any, Any, None]]:
        """`count` simulated shoppers; none where there is nothing to like."""
        categories = {str(each["item_id"]): str(each.get("category", "")) for each in self._items}
        return [self._shop(Shopper(number, categories)) for number in range(count if categories else 0)]

    def viewers(self, count: int) -> list[Coroutine[Any, Any, None]]:
        """`count` simulated viewers, where items have a kind and a running time."""
        films = {
            str(each["item_id"]): Film(str(each["kind"]), 60 * int(each["runtime_min"]))
            for each in self._items
            if each.get("kind") and each.get("runtime_min")
        }
        return [self._watch(Viewer(number, films)) for number in range(count if films else 0)]

    async def _shop(self, shopper: Shopper) -> None:
        """One simulated shopper: look at the page, think, click."""
        while True:
            await asyncio.sleep(shopper.think_ms() / 1000)
            try:
                answer = await self._page(shopper.anonymous_id)
                await self._send(shopper.react(answer, self._engine.node.ports.clock.now_ms()))
            except NextpaintError:
                await asyncio.sleep(REFUSED_PAUSE_S)

    async def _watch(self, viewer: Viewer) -> None:
        """One simulated viewer: look at the page, begin something, stay or leave."""
        while True:
            await asyncio.sleep(viewer.think_ms() / 1000)
            try:
                for moment in viewer.react(await self._page(viewer.anonymous_id)):
                    await asyncio.sleep(moment.pause_ms / 1000)
                    await self._send([viewer.call(moment, self._engine.node.ports.clock.now_ms())])
            except NextpaintError:
                await asyncio.sleep(REFUSED_PAUSE_S)

    async def _page(self, anonymous_id: str) -> dict[str, Any]:
        body: dict[str, Any] = {"anonymousId": anonymous_id, "inputs": self._inputs()}
        return await self._engine.decide(SIMULATED, self._surface, body)

    async def _send(self, calls: list[dict[str, Any]]) -> None:
        if calls:
            self.sent += len(calls)
            await self._engine.ingest(SIMULATED, calls)

    def _inputs(self) -> dict[str, Any]:
        """The required inputs of the surface (a plain type; an optional one is wrapped), filled in plainly."""
        surface = next(each for each in self._engine.node.application.surfaces if each.name == self._surface)
        plain: Mapping[type, Any] = {str: "home", int: 0, float: 0.0, bool: False, list: []}
        return {name: plain[kind] for name, kind in surface.inputs.items() if isinstance(kind, type)}
