"""The simulated people of a demonstration, as tasks on a running node: shoppers, or viewers of films."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from itertools import cycle
from typing import Any

from nextpaint.connect.shoppers import Shopper
from nextpaint.connect.viewers import Film, Viewer
from nextpaint.engine.facade import Engine
from nextpaint.govern.access import SCOPES, Principal
from nextpaint.record.errors import NextpaintError

SIMULATED = Principal("simulated-shoppers", SCOPES)
REFUSED_PAUSE_S = 1.0  # refused or read-only: they come back later


class Crowd:
    """Asks for pages, as its people do: of the first of `surfaces`; shoppers of all of them, in turn. `items`: the
    catalogue's rows, as they went into the item tables."""

    def __init__(self, engine: Engine, surfaces: Sequence[str], items: Sequence[Mapping[str, Any]]) -> None:
        self.sent = 0  # calls that simulated people sent
        self._engine = engine
        self._surfaces = surfaces
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
        """One simulated shopper: look at a page, think, click."""
        for surface in cycle(self._surfaces):
            await asyncio.sleep(shopper.think_ms() / 1000)
            try:
                answer = await self._page(shopper.anonymous_id, surface)
                await self._send(shopper.react(answer, self._engine.node.ports.clock.now_ms()))
            except NextpaintError:
                await asyncio.sleep(REFUSED_PAUSE_S)

    async def _watch(self, viewer: Viewer) -> None:
        """One simulated viewer: look at the page, begin something, stay or leave."""
        while True:
            await asyncio.sleep(viewer.think_ms() / 1000)
            try:
                for moment in viewer.react(await self._page(viewer.anonymous_id, self._surfaces[0])):
                    await asyncio.sleep(moment.pause_ms / 1000)
                    await self._send([viewer.call(moment, self._engine.node.ports.clock.now_ms())])
            except NextpaintError:
                await asyncio.sleep(REFUSED_PAUSE_S)

    async def _page(self, anonymous_id: str, surface: str) -> dict[str, Any]:
        body: dict[str, Any] = {"anonymousId": anonymous_id, "inputs": self.inputs(surface)}
        return await self._engine.decide(SIMULATED, surface, body)

    async def _send(self, calls: list[dict[str, Any]]) -> None:
        if calls:
            self.sent += len(calls)
            await self._engine.ingest(SIMULATED, calls)

    def inputs(self, name: str) -> dict[str, Any]:
        """The required inputs of a surface (a plain type; an optional one is wrapped), filled in plainly."""
        surface = next(each for each in self._engine.node.application.surfaces if each.name == name)
        plain: Mapping[type, Any] = {str: "home", int: 0, float: 0.0, bool: False, list: []}
        return {name: plain[kind] for name, kind in surface.inputs.items() if isinstance(kind, type)}
