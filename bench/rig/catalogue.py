"""A large catalogue to measure: made-up items with made-up vectors, orders, visitors who have clicked, a fitted ranker.

Vectors are a category's direction and noise: they say nothing of any shop, and cost as much as real ones.
"""

from __future__ import annotations

import asyncio
import base64
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
from nextpaint.govern.access import LOCAL
from nextpaint.models.embedding import SentenceEncoder
from nextpaint.ports import Clock, Ports, SystemDisk, SystemRandom, ThreadWorkers
from nextpaint.process.graph import VECTORS
from nextpaint.process.operators.vectors import content_key
from nextpaint.record.codec import Record
from nextpaint.stream.frame import Draft, EntryKind

FOLDER = Path(__file__).resolve().parents[1] / "applications" / "catalogue"
SETTINGS = NodeSettings(lag_ms_max=3_600_000, checkpoint_s=3_600, checkpoint_records=10**9, unapplied_max=10**6)
CATEGORIES, VISITORS, CLICKS, ORDERS = 500, 500, 20_000, 4_000
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
    """Made-up items: number, category, vector."""

    def __init__(self, size: int, dimensions: int) -> None:
        chance = np.random.default_rng(5)
        self.size = size
        self._centres = chance.integers(-90, 91, (CATEGORIES, dimensions))
        self._noise = chance.integers(-60, 61, dimensions + 65_536)

    def row(self, number: int) -> dict[str, Any]:
        return {
            "item_id": f"item-{number}", "title": f"Thing {number}", "category": f"c{number % CATEGORIES}",
            "price": 1.0 + number % 97, "stock": number % 19,
        }  # fmt: skip

    def vector(self, number: int) -> bytes:
        at = number * 7_919 % 65_536
        shift = number // 65_536 % 7 + 1  # beyond the stretch of noise, the same noise weighs differently
        mixed = self._centres[number % CATEGORIES] + self._noise[at : at + self._centres.shape[1]] * shift // 4
        return bytes(np.clip(mixed, -127, 127).astype(np.int8).tobytes())


class Encoder:
    """Made-up vectors for made-up titles, the node's own text encoder for all others. Waits for `filled`: while the
    catalogue is filled its vectors come as records."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.filled = threading.Event()
        self._catalogue = catalogue
        self._texts = SentenceEncoder()
        self.identity, self.dimensions = self._texts.identity, self._texts.dimensions

    def encode(self, texts: Sequence[str]) -> list[bytes]:
        self.filled.wait()
        made = [TITLE.fullmatch(text) for text in texts]
        computed = iter(self._texts.encode([text for text, found in zip(texts, made, strict=True) if not found]))
        return [self._catalogue.vector(int(found[1])) if found else next(computed) for found in made]


async def filled(directory: Path, catalogue: Catalogue, clock: Clock) -> Engine:
    """A node with items, vectors, orders and clicks applied."""
    deliver = asyncio.get_running_loop().call_soon_threadsafe
    ports = Ports(clock, SystemDisk(directory), SystemRandom(), ThreadWorkers(deliver))
    encoder = Encoder(catalogue)
    engine = await Engine.open(
        directory, Application.load(FOLDER), ports, settings=SETTINGS, embedder=encoder,
        background=ThreadWorkers(deliver),
    )  # fmt: skip
    encode = msgspec.json.encode
    for part in batched(range(catalogue.size), 2_000):
        await engine.put_items(LOCAL, [catalogue.row(number) for number in part])
        now_ms, records = ports.clock.now_ms(), []
        for number in part:
            key = content_key(f"Thing {number}")
            vector = base64.b64encode(catalogue.vector(number)).decode()
            value = {"content": key, "vector": vector, "model": encoder.identity}
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
