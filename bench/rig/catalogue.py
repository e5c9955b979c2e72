"""A large catalogue to measure: made-up items with made-up vectors, orders, visitors who have clicked, a fitted ranker.

An item's vector is that of a real title of the retail blueprint, moved by a part of the difference between two other
titles that are near each other: "red" instead of "blue". So made-up items lie as texts do (`docs/vector-indexes.md` has
the figures). They say nothing of any shop, and cost as much as real ones.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import random
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from nextpaint.application import Application
from nextpaint.connect.replay import iso_time
from nextpaint.engine.facade import Engine
from nextpaint.engine.node import NodeSettings
from nextpaint.engine.system import system_ports
from nextpaint.govern.access import LOCAL
from nextpaint.models.embedding import Embedder, SentenceEncoder, quantised
from nextpaint.ports import Clock, ThreadWorkers
from nextpaint.process.graph import VECTORS
from nextpaint.process.operators.vectors import content_key
from nextpaint.record.codec import Record
from nextpaint.stream.frame import Draft, EntryKind

FOLDER = Path(__file__).resolve().parents[1] / "applications" / "catalogue"
BLUEPRINT = Path(__file__).resolve().parents[2] / "blueprints" / "retail"
SETTINGS = NodeSettings(lag_ms_max=3_600_000, checkpoint_s=3_600, checkpoint_records=10**9, unapplied_max=10**6)
CATEGORIES, VISITORS, CLICKS, ORDERS = 500, 500, 20_000, 4_000
TITLES, NEAR, LEAST_PART = 1_500, 8, 0.3  # of the blueprint; near each other; of a difference, up to the whole
FEATURES = ("similarity", "interest", "trend", "price", "stock")
TREES = 100
TITLE = re.compile(r"Thing (\d+)")
T = TypeVar("T")


def batched(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    """Parts of at most `size`."""
    left = iter(rows)
    while part := list(islice(left, size)):
        yield part


class Catalogue:
    """Made-up items: number, category, vector. `texts` makes the vectors of the titles they are made of."""

    def __init__(self, size: int, texts: Embedder) -> None:
        self.size = size
        with (BLUEPRINT / "data" / "catalog.csv").open(encoding="utf-8", newline="") as lines:
            rows = sorted((row["category"], row["title"]) for row in csv.DictReader(lines))
        titles = list(dict.fromkeys(title for _, title in rows))
        titles = [titles[at * len(titles) // TITLES] for at in range(TITLES)]
        vectors = np.frombuffer(b"".join(texts.encode(titles)), np.int8).reshape(TITLES, -1).astype(np.float32)
        self._titles = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        alike = self._titles @ self._titles.T
        np.fill_diagonal(alike, -np.inf)
        self._near = np.argsort(-alike, axis=1, kind="stable")[:, :NEAR]

    def row(self, number: int) -> dict[str, Any]:
        return {
            "item_id": f"item-{number}", "title": f"Thing {number}", "category": f"c{number % CATEGORIES}",
            "price": 1.0 + number % 97, "stock": number % 19,
        }  # fmt: skip

    def vectors(self, numbers: Sequence[int]) -> list[bytes]:
        """Signed bytes of each, always the same. A category's titles are those of one of the blueprint's."""
        number = np.array(numbers, np.uint64)
        drawn = number * np.uint64(0x9E3779B97F4A7C15)  # a splitmix64 step: bits that look like chance
        drawn = (drawn ^ (drawn >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        drawn = ((drawn ^ (drawn >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)) >> np.uint64(2)
        drawn = drawn.astype(np.int64)
        titles = number.astype(np.int64) % CATEGORIES * (TITLES // CATEGORIES) + drawn % (TITLES // CATEGORIES)
        one = drawn // 4 % TITLES
        other = self._near[one, drawn // 8_192 % NEAR]
        part = LEAST_PART + (1.0 - LEAST_PART) * (drawn // 2**24 % 65_536 / 65_535)
        moved = (self._titles[other] - self._titles[one]) * part[:, None].astype(np.float32)
        return quantised(self._titles[titles] + moved)


class Encoder:
    """Made-up vectors for made-up titles, the node's own text encoder for all others. Waits for `filled`: while the
    catalogue is filled its vectors come as records."""

    def __init__(self, catalogue: Catalogue, texts: Embedder) -> None:
        self.filled = threading.Event()
        self._catalogue = catalogue
        self._texts = texts
        self.identity, self.dimensions = self._texts.identity, self._texts.dimensions

    def encode(self, texts: Sequence[str]) -> list[bytes]:
        self.filled.wait()
        made = [TITLE.fullmatch(text) for text in texts]
        computed = iter(self._texts.encode([text for text, found in zip(texts, made, strict=True) if not found]))
        return [self._catalogue.vectors([int(found[1])])[0] if found else next(computed) for found in made]


async def filled(directory: Path, size: int, clock: Clock) -> Engine:
    """A node with `size` items, vectors, orders and clicks applied."""
    deliver = asyncio.get_running_loop().call_soon_threadsafe
    ports = system_ports(directory, clock=clock)
    texts = SentenceEncoder()
    catalogue = Catalogue(size, texts)
    encoder = Encoder(catalogue, texts)
    engine = await Engine.open(
        directory, Application.load(FOLDER), ports, settings=SETTINGS, embedder=encoder,
        background=ThreadWorkers(deliver),
    )  # fmt: skip
    encode = msgspec.json.encode
    for part in batched(range(catalogue.size), 2_000):
        await engine.put_items(LOCAL, [catalogue.row(number) for number in part])
        now_ms, records = ports.clock.now_ms(), []
        for number, vector in zip(part, catalogue.vectors(part), strict=True):
            key = content_key(f"Thing {number}")
            value = {"content": key, "vector": base64.b64encode(vector).decode(), "model": encoder.identity}
            records.append(Record(key.encode(), encode(value), now_ms))
        await engine.node.appended(Draft(VECTORS.name, EntryKind.INPUT, records))
        await engine.node.settled()
    draw = random.Random(2)
    lines = [
        {"order_id": f"o{n // 4}", "user_id": f"buyer-{n // 4}", "item_id": f"item-{hot(draw, catalogue.size)}",
         "qty": 1, "ts": ports.clock.now_ms() - 3_600_000 + n}
        for n in range(ORDERS)
    ]  # fmt: skip
    for each in batched(lines, 500):
        await engine.put_rows(LOCAL, "orders", each)
    for each in batched(range(CLICKS), 500):
        await engine.ingest(LOCAL, [click(draw, catalogue.size, ports.clock.now_ms(), n) for n in each])
        await engine.node.settled()
    encoder.filled.set()
    return engine


def hot(draw: random.Random, size: int) -> int:
    """An item: small numbers are in demand."""
    return int(size * draw.random() ** 3)


def click(draw: random.Random, size: int, now_ms: int, number: int) -> dict[str, Any]:
    item = hot(draw, size)
    return {
        "type": "track", "event": "Product Viewed", "anonymousId": f"visitor-{number % VISITORS}",
        "messageId": f"m{number}-{now_ms}", "timestamp": iso_time(now_ms - draw.randrange(300_000)),
        "properties": {"product_id": f"item-{item}", "category": f"c{item % CATEGORIES}"},
    }  # fmt: skip


def fitted() -> tuple[Any, bytes]:
    """A ranker of LightGBM on made-up rows: the booster and its file."""
    import lightgbm

    chance = np.random.default_rng(3)
    rows = np.column_stack([chance.random((20_000, 3)), chance.integers(1, 98, 20_000), chance.integers(0, 19, 20_000)])
    labels = chance.random(20_000) < 0.1 + 0.5 * rows[:, 0] * (rows[:, 3] < 50)
    data = lightgbm.Dataset(rows, labels.astype(float), feature_name=list(FEATURES))
    settings = {"objective": "binary", "num_leaves": 15, "num_threads": 1, "verbosity": -1, "seed": 1}
    booster = lightgbm.train(settings, data, TREES)
    return booster, booster.model_to_string().encode()
