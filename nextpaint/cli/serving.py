"""A node with everything around it: engine, HTTP, pages, the application's data, its replay and its simulated
shoppers."""

from __future__ import annotations

import asyncio
import contextlib
import csv
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from nextpaint.application import Application
from nextpaint.cli.admin import admin_routes
from nextpaint.cli.crowd import Crowd
from nextpaint.cli.indexing import index_of
from nextpaint.connect.last_night import FrozenRanking, frozen_ranking
from nextpaint.connect.orders import epoch_ms, read_orders
from nextpaint.connect.replay import EventReplay, Replay
from nextpaint.connect.running_score import LISTED, RunningScore
from nextpaint.engine.facade import Engine
from nextpaint.engine.node import NodeSettings
from nextpaint.engine.system import system_ports
from nextpaint.govern.access import SCOPES, Access, Principal
from nextpaint.models.embedding import SentenceEncoder
from nextpaint.ports import ThreadWorkers
from nextpaint.process.operators.group import GroupAggregate
from nextpaint.record.errors import InvalidInput, NextpaintError
from nextpaint.serve.bidding import Bids
from nextpaint.serve.learning import Learned
from nextpaint.serve.models import Models
from nextpaint.serve.pages import HOMES, About, Pages
from nextpaint.serve.reasons import Reasons
from nextpaint.serve.reviews import Reviews
from nextpaint.serve.rules import Rules
from nextpaint.serve.server import Server, cores, is_loopback, serve

ITEMS_AT_ONCE = 500
KNOWN = "This node was given these orders before: it knows them, so guessing them would say nothing."
REPLAY = Principal("replay", SCOPES)


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """What `run` and `demo` can be told. `simulate`: replay the application's orders and let simulated shoppers in;
    `fronted`: connections are held by a process of their own; None: where there is more than one core."""

    folder: Path
    directory: Path
    host: str = "127.0.0.1"
    port: int = 8181
    simulate: bool = True
    speed: float | None = None
    shoppers: int | None = None
    node: NodeSettings | None = None
    fronted: bool | None = None


class Serving:
    """One running node. `start` returns when it answers; `stop` leaves a clean data directory."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings
        self.application = Application.load(settings.folder)
        self.engine: Engine
        self.server: Server
        self.frozen: FrozenRanking | None = None
        self.replayed = 0  # order lines replayed
        self.crowd: Crowd
        self._score: RunningScore | None = None
        self._items: list[dict[str, Any]] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        settings, loop = self.settings, asyncio.get_running_loop()
        settings.directory.mkdir(parents=True, exist_ok=True)
        access = Access.open(settings.directory / "api-keys.json", loopback=is_loopback(settings.host))
        self.engine = await Engine.open(
            settings.directory,
            self.application,
            system_ports(settings.directory),
            settings=settings.node,
            embedder=SentenceEncoder(),
            background=ThreadWorkers(loop.call_soon_threadsafe),
        )
        for table, named in self.application.settings.get("index", {}).items():
            self.engine.follow(table, index_of(table, named))
        await self._load_data()
        self._score = self._scored()
        pages = Pages(self.engine, self.last_night, self.context, self._about(), self.score)
        routes = [
            *pages.routes(),
            *admin_routes(self.engine),
            *Models(self.engine).routes(),
            *Rules(self.engine).routes(),
            *Bids(self.engine).routes(),
            *Learned(self.engine).routes(),
            *Reasons(self.engine).routes(),
            *Reviews(self.engine).routes(),
        ]
        fronted = cores() > 1 if settings.fronted is None else settings.fronted
        self.server = await serve(self.engine, settings.host, settings.port, access, routes, fronted=fronted)
        others = self.application.settings.get("shoppers", {}).get("also", ())
        self.crowd = Crowd(self.engine, (self.main_surface, *others), self._items)
        if settings.simulate:
            self._simulate()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.server.stop()
        await self.engine.close()

    @property
    def url(self) -> str:
        host = self.settings.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server.port}"

    # ------------------------------------------------------------ the application's data

    def _data(self, name: str) -> Path | None:
        """A file of `[data]` in nextpaint.toml, relative to the application's folder."""
        value = self.application.settings.get("data", {}).get(name)
        if not value:
            return None
        path = self.settings.folder / str(value)
        if not path.is_file():
            raise InvalidInput(
                f"[data] {name} names a file that is not there", where=str(path), cure="correct nextpaint.toml"
            )
        return path

    async def _load_data(self) -> None:
        """On the first start: items into the item tables, and the frozen ranking of the nightly job."""
        catalog, orders = self._data("catalog"), self._data("orders")
        if catalog is not None:
            self._items = list(_items(catalog, self._item_columns()))
            if not self._has_items():
                rows = iter(self._items)
                while part := list(islice(rows, ITEMS_AT_ONCE)):
                    await self.engine.put_items(REPLAY, part)
        if orders is not None:
            begin = self._begin_ms()
            self.frozen = await asyncio.to_thread(
                frozen_ranking, [line for line in read_orders(orders) if begin is None or line.time_ms < begin]
            )
            if "yesterday" in self.application.program.tables:
                now = self.engine.node.ports.clock.now_ms()
                await self.engine.put_rows(REPLAY, "yesterday", self.frozen.rows(now))

    def _item_columns(self) -> dict[str, str]:
        """Column -> type name, over all item tables."""
        tables = self.application.program.tables
        return {field.name: str(field.type) for name in self.application.item_tables for field in tables[name].fields}

    def _has_items(self) -> bool:
        surface = next(iter(self.application.surfaces), None)
        return surface is not None and len(self.engine.node.tables.live[surface.items].table.rows) > 0

    def _begin_ms(self) -> int | None:
        begin = self.application.settings.get("replay", {}).get("begin")
        return epoch_ms(str(begin)) if begin else None

    # ------------------------------------------------------------ what pages ask

    @property
    def page(self) -> str:
        """The page that opens first: "shop" or "feed"."""
        return str(self.application.settings.get("page", "shop"))

    def _about(self) -> About:
        if self.page not in HOMES:
            raise InvalidInput(
                f"page = {self.page!r}"[:80], where="nextpaint.toml", cure=f"write one of {', '.join(HOMES)}"
            )
        return About(self.page, str(self.application.settings.get("credits", "")))

    @property
    def main_surface(self) -> str:
        named = self.application.settings.get("main_surface")
        return str(named or next((each.name for each in self.application.surfaces), ""))

    def last_night(self) -> list[dict[str, Any]]:
        """The frozen list with titles, best first."""
        surface = next(each for each in self.application.surfaces if each.name == self.main_surface)
        reading = self.engine.node.tables.reading(self.engine.node.ports.clock.now_ms())
        keys = (
            self.frozen.page(None, 60) if self.frozen else [str(key) for key in reading.whole(surface.items).keys[:60]]
        )
        table, _, column = str(surface.features.get("price", "")).partition(".")
        shown = []
        for key in keys:
            row = reading.row(surface.items, (key,))
            if row is not None:
                priced = reading.row(table, (key,)) if column else None
                price = priced.get(column) if priced is not None else None
                shown.append({"id": key, "title": row.get("title"), "category": row.get("category"), "price": price})
        return shown[: surface.limit]

    def context(self, anonymous_id: str, ahead_ms: int) -> dict[str, Any]:
        """A visitor's fading interests: the first materialised table keyed by (subject, something) with a decayed
        column."""
        table, name, column, half_life_ms = self._interest()
        rows = self.engine.interests(anonymous_id, table, ahead_ms) if table else []
        total = sum(float(row[column] or 0.0) for row in rows) or 1.0
        interests = [
            {"category": row[name], "heat": row[column], "share": float(row[column] or 0.0) / total} for row in rows
        ]
        interests.sort(key=lambda each: -float(each["heat"] or 0.0))
        return {"interests": interests[:6], "half_life_s": half_life_ms / 1000, "recent": []}

    def _interest(self) -> tuple[str, str, str, int]:
        for name, live in self.engine.node.tables.live.items():
            table = live.table
            group = live.group
            if isinstance(group, GroupAggregate) and len(table.key) == 2 and table.names[table.key[0]] == "subject":
                half_life = max(group.accumulators.half_lives, default=0)
                decayed = [each for at, each in enumerate(table.names) if at not in table.key]
                if half_life and decayed:
                    return name, table.names[table.key[1]], decayed[0], half_life
        return "", "", "", 1

    # ------------------------------------------------------------ traffic of its own

    def _simulate(self) -> None:
        replay = self.application.settings.get("replay", {})
        orders, events = self._data("orders"), self._data("events")
        speed = self.settings.speed or float(replay.get("speed", 60))
        start = self.engine.node.ports.clock.now_ms()
        gap_ms = int(float(replay.get("gap_max_minutes", 0)) * 60_000) or None
        if orders is not None:
            lines = Replay(orders, speed, start, gap_ms, self._begin_ms(), bool(replay.get("loop", False)),
                           str(replay.get("user_prefix", "customer-")))  # fmt: skip
            self._tasks.append(asyncio.create_task(self._replay_orders(iter(lines)), name="replay-orders"))
        if events is not None:
            calls = EventReplay(events, speed, start, gap_ms)
            self._tasks.append(asyncio.create_task(self._replay_events(iter(calls)), name="replay-events"))
        self._people(self.crowd.shoppers, "shoppers")
        self._people(self.crowd.viewers, "viewers")

    def _people(self, made: Callable[[int], list[Coroutine[Any, Any, None]]], kind: str) -> None:
        configured = int(self.application.settings.get(kind, {}).get("count", 0))
        count = self.settings.shoppers if self.settings.shoppers is not None and configured else configured
        for number, person in enumerate(made(count)):
            self._tasks.append(asyncio.create_task(person, name=f"{kind}-{number}"))

    async def _replay_orders(self, orders: Iterator[tuple[int, list[dict[str, Any]]]]) -> None:
        clock = self.engine.node.ports.clock
        for due_ms, rows in orders:
            await asyncio.sleep(max(0, due_ms - clock.now_ms()) / 1000)
            if self._score is not None:
                await self._judge(self._score, rows)
            await _patiently(lambda rows=rows: self.engine.put_rows(REPLAY, "orders", rows))
            if self._score is not None:
                self._score.learn(rows)
            self.replayed += len(rows)

    # ------------------------------------------------------------ the running score

    def _scored(self) -> RunningScore | None:
        """The running score of `[replay] score = "surface"`; silent where the node knows the orders already."""
        surface = self.application.settings.get("replay", {}).get("score")
        if not surface or not self.settings.simulate or self._data("orders") is None:
            return None
        held = self.engine.node.ledger.offsets().get(("orders", 0), 0)
        why = (
            "This node was given these orders before: it knows them, so guessing them would say nothing."
            if held
            else ""
        )
        return RunningScore(str(surface), why)

    def score(self) -> dict[str, Any] | None:
        """The running score as the console shows it."""
        return None if self._score is None else self._score.told()

    async def _judge(self, score: RunningScore, rows: list[dict[str, Any]]) -> None:
        """Take our list before any row of the order is admitted, and judge it. A refused decision is no target."""
        score.finished |= "~" in rows[0]["order_id"]  # the second round of the file
        if not score.wants(rows):
            return
        asked = {"userId": rows[0]["user_id"], "limit": LISTED, "inputs": self.crowd.inputs(score.surface)}
        try:
            answer = await self.engine.decide(REPLAY, score.surface, asked)
        except NextpaintError as error:
            if error.status not in (429, 503):
                raise
            return
        score.judge(rows, [item["id"] for item in answer["items"]])

    async def _replay_events(self, calls: Iterator[tuple[int, dict[str, Any]]]) -> None:
        clock = self.engine.node.ports.clock
        for due_ms, call in calls:
            await asyncio.sleep(max(0, due_ms - clock.now_ms()) / 1000)
            await _patiently(lambda call=call: self.engine.ingest(REPLAY, [call]))


async def _patiently(send: Any) -> None:
    """Send until it is taken: a replay that is refused waits, as a client would."""
    while True:
        try:
            await send()
            return
        except NextpaintError as error:
            if error.status not in (429, 503):
                raise
            await asyncio.sleep(getattr(error, "retry_after_s", 1))


def _items(path: Path, columns: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Rows of a catalogue file as item rows: only columns the item tables have, converted to their types."""
    with path.open(newline="", encoding="utf-8") as stream:
        for number, row in enumerate(csv.DictReader(stream), start=2):
            item: dict[str, Any] = {}
            for name, text in row.items():
                if name not in columns or text in (None, ""):
                    continue
                try:
                    item[name] = _typed(text, columns[name])
                except ValueError as error:
                    raise InvalidInput(
                        f"{text!r} is not a {columns[name]}", where=f"{path}:{number}, column {name}"
                    ) from error
            yield item


def _typed(text: str, type_name: str) -> Any:
    if type_name.startswith(("INT", "BIGINT", "SMALLINT", "TINYINT")):
        return int(float(text))
    if type_name.startswith(("DOUBLE", "FLOAT", "DECIMAL")):
        return float(text)
    if type_name == "BOOLEAN":
        return text.lower() in ("1", "true", "yes")
    return text
