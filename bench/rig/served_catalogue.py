"""A node with a large catalogue behind HTTP in a process of its own: `python -m rig.served_catalogue DIRECTORY ITEMS`.

Prints one JSON line when it answers, and one for each line on its input:

    cpu                 nanoseconds of CPU that the process used so far
    clock wall|cpu      what the node's durations are from here on: time that passed, or CPU of its state thread
    stages              of the decisions since the last time: milliseconds by stage, candidates, how many were degraded
    promote             fits trees and puts them in force
    search [index]      the exact search beside an exhaustive one; with `index` also usearch, built here
    scorer              the tree scorer beside the library that fitted the trees
    anew                what is read over many keys, made as at a start

It stops at the end of its input.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from nextpaint.cli import interpreter
from nextpaint.decide import Decider
from nextpaint.engine.facade import Engine
from nextpaint.engine.recomputation import decisions_of
from nextpaint.engine.registry import Upload
from nextpaint.govern.access import LOCAL, Access
from nextpaint.process.live import Tables
from nextpaint.process.reading import Vectors
from nextpaint.process.scoring import ranker_of
from nextpaint.serve.server import node_app, serve_app
from rig.catalogue import FEATURES, Catalogue, filled, fitted
from rig.served import PATIENT

DIMENSIONS, SEARCHES, NEAREST = 512, 20, 10


class EitherClock:
    """A `Clock` whose durations are time that passes, or CPU time of the state thread; it may change between requests
    and goes on where it was."""

    def __init__(self) -> None:
        self._count, self._offset_ns = time.monotonic_ns, 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        return self._count() + self._offset_ns

    def use(self, kind: str) -> None:
        """Measure "wall" or "cpu"; on the state thread."""
        now = self.monotonic_ns()
        self._count = time.thread_time_ns if kind == "cpu" else time.monotonic_ns
        self._offset_ns = now - self._count()


class ServedCatalogue:
    """What the node is asked over its input."""

    def __init__(self, engine: Engine, clock: EitherClock) -> None:
        self._engine = engine
        self._clock = clock
        self._seen = -1
        self._fitted: tuple[Any, bytes] | None = None

    async def answer(self, asked: list[str]) -> dict[str, Any]:
        match asked:
            case ["cpu"]:
                return {"cpu_ns": time.process_time_ns()}
            case ["clock", kind]:
                self._clock.use(kind)
                return {}
            case ["stages"]:
                return self._stages()
            case ["promote"]:
                self._fitted = self._fitted or fitted()
                await self._engine.promote(LOCAL, "ranker", Upload("ranker.txt", self._fitted[1]))
                return {}
            case ["search", *index]:
                return self._search(bool(index))
            case ["scorer"]:
                self._fitted = self._fitted or fitted()
                return _scorer(*self._fitted)
            case ["anew"]:
                return self._anew()
        raise ValueError(f"unknown question {asked}")

    def _stages(self) -> dict[str, Any]:
        stages: dict[str, list[float]] = defaultdict(list)
        candidates, degraded, last = [], 0, self._seen
        for seq, record in decisions_of(self._engine.node.ledger):
            if seq > last:
                self._seen = seq
                candidates.append(record.considered)
                degraded += bool(record.degraded)
                for stage in record.stages:
                    stages[stage.stage].append(stage.ms)
        figures = {name: [float(np.median(ms)), float(np.percentile(ms, 99))] for name, ms in stages.items()}
        return {"stages": figures, "candidates": candidates, "degraded": degraded}

    def _search(self, index: bool) -> dict[str, Any]:
        node = self._engine.node
        vectors = node.tables.reading(node.ports.clock.now_ms()).vectors("item_vectors")
        draw = np.random.default_rng(4)
        found: dict[str, list[float]] = defaultdict(list)
        cost: dict[str, list[float]] = defaultdict(list)
        built_s, approximate = _built(vectors) if index else (0.0, None)
        for _ in range(SEARCHES):
            seeds = draw.integers(0, len(vectors.keys), 4)
            direction = (vectors.matrix[seeds] / vectors.norms[seeds][:, None] * 0.5 ** np.arange(4)[:, None]).sum(0)
            parts = np.array_split(vectors.matrix, 1 + len(vectors.keys) // 50_000)
            scores = np.concatenate([part.astype(np.float64) @ direction for part in parts]) / vectors.norms
            best = {vectors.keys[at] for at in np.argsort(-scores, kind="stable")[:NEAREST].tolist()}
            before = time.thread_time_ns()
            near = vectors.nearest(direction, NEAREST)
            cost["exact"].append((time.thread_time_ns() - before) / 1e6)
            found["exact"].append(len(best & {vectors.keys[at] for at in near.tolist()}) / NEAREST)
            if approximate is not None:
                before = time.thread_time_ns()
                proposed = approximate.nearest(direction.astype(np.float32), NEAREST * 5 // 4)
                cost["usearch"].append((time.thread_time_ns() - before) / 1e6)
                found["usearch"].append(len(best & set(proposed)) / NEAREST)
        return {
            "vectors": len(vectors.keys), "dimensions": vectors.matrix.shape[1], "bytes": vectors.matrix.nbytes,
            "recall": {name: float(np.mean(each)) for name, each in found.items()},
            "ms": {name: float(np.median(each)) for name, each in cost.items()}, "built_s": built_s,
        }  # fmt: skip

    def _anew(self) -> dict[str, Any]:
        application, clock = self._engine.node.application, self._engine.node.ports.clock
        decider = Decider(application.surfaces, application.program.tables, clock)
        before = time.thread_time()
        Tables(self._engine.node.runner).follow(decider.followed)
        return {"cpu_s": time.thread_time() - before}


def _built(vectors: Vectors) -> tuple[float, Any]:
    """CPU seconds, and an index of all vectors."""
    from nextpaint.connect.usearch_index import UsearchIndex

    index, names = UsearchIndex(), [str(key) for key in vectors.keys]
    before = time.process_time()
    for at in range(0, len(names), 256):
        part = names[at : at + 256]
        index.write(part, vectors.matrix[at : at + 256].astype(np.float32), part)
    return time.process_time() - before, index


def _scorer(booster: Any, data: bytes) -> dict[str, Any]:
    """CPU microseconds of a batch, by number of rows, and whether the scores are the library's."""
    ranker = ranker_of("ranker.txt", data, sha256(data).hexdigest())
    told: dict[str, Any] = {}
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
        told[str(rows)] = {**cost, "same": same}
    return told


async def main(directory: Path, items: int) -> None:
    clock = EitherClock()
    engine = await filled(directory, Catalogue(items, DIMENSIONS), clock)
    interpreter.prepare()  # as `nextpaint run` does once it has started
    server = await serve_app(node_app(engine, Access(), settings=PATIENT), "127.0.0.1", 0)
    filled_s, peak_gb = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps({"port": server.port, "filled_s": filled_s, "peak_gb": peak_gb}), flush=True)
    served = ServedCatalogue(engine, clock)
    asked = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    while line := await asked.readline():
        print(json.dumps(await served.answer(line.decode().split())), flush=True)
    await server.stop()
    await engine.close()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2])))
