"""What a decision costs when the catalogue is large: 100,000 or a million made-up items, 200 and 1,000 candidates.

    scripts/bench catalogue [--items 100000] [--decisions 200] [--dimensions 512]

Every stage is on: five retrievers, four filters, five features, a ranker of 100 trees fitted by LightGBM on made-up
rows and promoted, exploration, diversity, record. Between two decisions five events and now and then an item row are
admitted, applied and not counted. Times are CPU of the state thread, by stage, from the decision records.

Vectors are made up: a category's direction and noise. Then: the exact search beside an exhaustive one in floating point
(recall@10, CPU), and the tree scorer beside LightGBM's own `predict` on one thread.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import random
import resource
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import uvloop
from rig.figures import CpuClock, print_ratio

from nextpaint.application import Application
from nextpaint.cli import interpreter
from nextpaint.connect.replay import iso_time
from nextpaint.decide import Decider
from nextpaint.engine.facade import Engine
from nextpaint.engine.node import NodeSettings
from nextpaint.engine.recomputation import decisions_of
from nextpaint.engine.registry import Upload
from nextpaint.govern.access import LOCAL
from nextpaint.ports import Ports, SystemDisk, SystemRandom, ThreadWorkers
from nextpaint.process.graph import VECTORS
from nextpaint.process.live import Tables
from nextpaint.process.operators.vectors import content_key
from nextpaint.process.scoring import ranker_of
from nextpaint.record.codec import Record
from nextpaint.stream.frame import Draft, EntryKind

FOLDER = Path(__file__).parent / "applications" / "catalogue"
SETTINGS = NodeSettings(lag_ms_max=3_600_000, checkpoint_s=3_600, checkpoint_records=10**9, unapplied_max=10**6)
CATEGORIES, VISITORS, CLICKS, ORDERS = 500, 500, 20_000, 4_000
FEATURES = ("similarity", "interest", "trend", "price", "stock")
TREES = 100
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


async def filled(directory: Path, catalogue: Catalogue) -> Engine:
    """A node with items, vectors, orders and clicks applied."""
    deliver = asyncio.get_running_loop().call_soon_threadsafe
    ports = Ports(CpuClock(), SystemDisk(directory), SystemRandom(), ThreadWorkers(deliver))
    engine = await Engine.open(directory, Application.load(FOLDER), ports, settings=SETTINGS)
    encode = msgspec.json.encode
    for part in batched(range(catalogue.size), 2_000):
        await engine.put_items(LOCAL, [catalogue.row(number) for number in part])
        now_ms, records = ports.clock.now_ms(), []
        for number in part:
            key = content_key(f"Thing {number}")
            value = {"content": key, "vector": base64.b64encode(catalogue.vector(number)).decode()}
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


async def decided(engine: Engine, surface: str, catalogue: Catalogue, count: int) -> None:
    """Decide `count` times while events come; print the stages."""
    draw, number = random.Random(9), 10**6
    spent: list[int] = []
    candidates: list[int] = []
    degraded = 0
    warm = await warmed(engine, surface)
    print(f"\n{surface}: {warm} decisions until none was degraded")
    last = max((seq for seq, _ in decisions_of(engine.node.ledger)), default=-1)
    for turn in range(count + 20):
        body = {"anonymousId": f"visitor-{turn % VISITORS}"}
        before = time.thread_time_ns()
        answer = await engine.decide(LOCAL, surface, body)
        if turn >= 20:  # the first ones fill what is kept between decisions
            spent.append(time.thread_time_ns() - before)
            candidates.append(answer["candidates"])
            degraded += bool(answer["degraded"])
        now_ms = engine.node.ports.clock.now_ms()
        await engine.ingest(LOCAL, [click(draw, catalogue.size, now_ms, number + each) for each in range(5)])
        number += 5
        if turn % 10 == 0:
            await engine.put_items(LOCAL, [{**catalogue.row(turn), "price": 1.0 + turn}])
        await engine.node.settled()
    stages: dict[str, list[float]] = defaultdict(list)
    for seq, record in decisions_of(engine.node.ledger):
        if seq > last:
            for stage in record.stages:
                stages[stage.stage].append(stage.ms)
    us = np.array(spent) / 1e3
    print(f"{surface}: {min(candidates)} to {max(candidates)} candidates, {count} decisions, {degraded} degraded")
    print(f"  {'CPU us, median, p99':46}{np.median(us):>10.0f}{np.percentile(us, 99):>10.0f}")
    print(f"  decisions per CPU-second {1e6 / us.mean():.0f}")
    for name, each in sorted(stages.items(), key=lambda pair: -float(np.median(pair[1]))):
        print(f"    {name:44}{np.median(each) * 1e3:>10.0f}{np.percentile(each, 99) * 1e3:>10.0f}")


async def warmed(engine: Engine, surface: str) -> int:
    """Decisions until ten in a row are whole: 0 where the first one finds everything it reads made. At most 500."""
    whole = 0
    for turn in range(500):
        answer = await engine.decide(LOCAL, surface, {"anonymousId": f"visitor-{turn % VISITORS}"})
        whole = 0 if answer["degraded"] else whole + 1
        if whole == 10:
            return turn - 9
    return 500


def searched(engine: Engine) -> None:
    """The exact search beside an exhaustive one."""
    reading = engine.node.tables.reading(engine.node.ports.clock.now_ms())
    vectors = reading.vectors("item_vectors")
    draw = np.random.default_rng(4)
    found, cost = [], []
    for _ in range(20):
        seeds = draw.integers(0, len(vectors.keys), 4)
        direction = (vectors.matrix[seeds] / vectors.norms[seeds][:, None] * 0.5 ** np.arange(4)[:, None]).sum(0)
        before = time.thread_time_ns()
        near = vectors.nearest(direction, 10)
        cost.append((time.thread_time_ns() - before) / 1e6)
        parts = np.array_split(vectors.matrix, 1 + len(vectors.keys) // 50_000)
        scores = np.concatenate([part.astype(np.float64) @ direction for part in parts]) / vectors.norms
        found.append(len(set(np.argsort(-scores, kind="stable")[:10].tolist()) & set(near.tolist())) / 10)
    print(f"\nsearch among {len(vectors.keys)} vectors of {vectors.matrix.shape[1]}: recall@10 {np.mean(found):.4f}, "
          f"CPU {np.median(cost):.2f} ms, {vectors.matrix.nbytes / 1e6:.0f} MB of vectors")  # fmt: skip


def made_anew(engine: Engine) -> None:
    """What a start pays for what surfaces read. Comes last: this copy follows the state, too."""
    application, ports = engine.node.application, engine.node.ports
    decider = Decider(application.surfaces, application.program.tables, ports.clock)
    before = time.thread_time()
    Tables(engine.node.runner).follow(decider.followed)
    print(f"\nwhat surfaces read, made anew as at a start: {time.thread_time() - before:.2f} s of CPU")


def scored(booster: Any, data: bytes) -> None:
    """The tree scorer beside the library that fitted the trees."""
    from hashlib import sha256

    ranker = ranker_of("ranker.txt", data, sha256(data).hexdigest())
    for rows in (200, 1_000):
        matrix = np.random.default_rng(rows).random((rows, len(FEATURES))) * [1, 1, 1, 98, 19]
        cost = {}
        for name, predict in (
            ("ours", ranker.predict),
            ("lightgbm", lambda each: booster.predict(each, num_threads=1)),
        ):
            spent = []
            for _ in range(15):
                before = time.process_time_ns()
                predict(matrix)
                spent.append((time.process_time_ns() - before) / 1e3)
            cost[name] = float(np.median(spent))
        same = bool(np.all(np.abs(ranker.predict(matrix) - booster.predict(matrix, num_threads=1)) <= 4e-16))
        print(
            f"\n{TREES} trees, {rows} rows: ours {cost['ours']:.0f} us, LightGBM {cost['lightgbm']:.0f}, same: {same}"
        )
        print_ratio(f"trees/LightGBM, {rows} rows", cost["ours"], cost["lightgbm"], "CPU per batch")


async def measure(options: argparse.Namespace, directory: Path) -> None:
    catalogue = Catalogue(options.items, options.dimensions)
    started = time.process_time()
    engine = await filled(directory, catalogue)
    interpreter.prepare()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{options.items} items in {time.process_time() - started:.0f} s of CPU, at most {memory:.2f} GB", flush=True)
    booster, data = fitted()
    for surface in ("page_200", "page_1000"):
        await decided(engine, surface, catalogue, options.decisions)
    await engine.promote(LOCAL, "ranker", Upload("ranker.txt", data))
    print("\nwith the ranker of trees in force:")
    for surface in ("page_200", "page_1000"):
        await decided(engine, surface, catalogue, options.decisions)
    searched(engine)
    scored(booster, data)
    made_anew(engine)
    await engine.close()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--decisions", type=int, default=200)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--data", type=Path, help="directory for the node; a million items take 2 GB of it")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="nextpaint-bench-", dir=options.data) as directory:
        uvloop.run(measure(options, Path(directory)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
