"""A node with a large catalogue behind HTTP in a process of its own: `python -m rig.served_catalogue DIRECTORY ITEMS`.

Prints one JSON line when it answers, and one for each line on its input:

    cpu                 nanoseconds of CPU that the process used so far
    clock wall|cpu      what the node's durations are from here on: time that passed, or CPU of its state thread
    stages              of the decisions since the last time: milliseconds by stage, candidates, how many were degraded
    memory              gigabytes that the process holds now
    delete ITEM         takes an item out of its table, as a connector does: a record without a value
    follow KIND         lets an index in memory follow the vectors
    index               how far it is: vectors written, whether all are, how often the index was gone around
    promote             fits trees and puts them in force
    search              the exact search, and the index where one follows, beside an exhaustive one
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
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from nextpaint.cli.indexing import index_of
from nextpaint.decide import Decider, DecisionRecord
from nextpaint.decide.codec import decoded
from nextpaint.engine import interpreter
from nextpaint.engine.facade import Engine
from nextpaint.engine.nearest import Followed, VectorIndex
from nextpaint.engine.registry import Upload
from nextpaint.engine.replay import DECISIONS_TOPIC
from nextpaint.govern.access import LOCAL, Access
from nextpaint.process.live import Tables
from nextpaint.process.reading import FloatArray, Vectors
from nextpaint.process.scoring import ranker_of
from nextpaint.record.codec import Record
from nextpaint.serve.server import node_app, serve_app
from nextpaint.stream.frame import Draft, EntryKind
from rig.catalogue import FEATURES, filled, fitted
from rig.peak_memory import peak_mb
from rig.served import PATIENT

SEARCHES, NEAREST = 30, 10  # of each kind of session
SEEDS, ALIKE, PART = 4, 200, 50_000
EQUAL = 1e-9


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
        self._frame = 0
        self._index: tuple[Followed, VectorIndex] | None = None
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
            case ["search"]:
                return self._search()
            case ["memory"]:
                return {"gb": held_gb()}
            case ["delete", item]:
                key = json.dumps({"item_id": item}).encode()
                record = Record(key, None, self._engine.node.ports.clock.now_ms())
                await self._engine.node.appended(Draft("catalog", EntryKind.INPUT, [record]))
                return {}
            case ["follow", kind]:
                index = index_of("item_vectors", {"kind": kind})
                self._index = self._engine.follow("item_vectors", index), index
                return {}
            case ["index"]:
                return self._following()
            case ["scorer"]:
                self._fitted = self._fitted or fitted()
                return _scorer(*self._fitted)
            case ["anew"]:
                return self._anew()
        raise ValueError(f"unknown question {asked}")

    def _following(self) -> dict[str, Any]:
        assert self._index is not None
        followed, _ = self._index
        counters = self._engine.node.observed.counters
        gone_around = {name: counters[name] for name in ("index_missed", "index_behind")}
        return {"written": followed.written, "current": followed.current, "failed": followed.failed, **gone_around}

    def _stages(self) -> dict[str, Any]:
        stages: dict[str, list[float]] = defaultdict(list)
        sums: list[float] = []
        candidates, degraded = [], 0
        for frame in self._engine.node.ledger.frames(self._frame):
            self._frame = frame.number + 1
            for entry in frame.entries:
                for record in map(decision_of, entry.records if entry.topic == DECISIONS_TOPIC else ()):
                    candidates.append(record.considered)
                    degraded += bool(record.degraded)
                    sums.append(sum(stage.ms for stage in record.stages))
                    for stage in record.stages:
                        stages[stage.stage].append(stage.ms)
        figures = {name: [float(np.median(ms)), float(np.percentile(ms, 99))] for name, ms in stages.items()}
        return {"stages": figures, "sum_ms": float(np.mean(sums)), "candidates": candidates, "degraded": degraded}

    def _search(self) -> dict[str, Any]:
        """What searches find and cost, beside an exhaustive one in floating point, for two kinds of sessions: of items
        drawn from all, and of items that are alike."""
        node = self._engine.node
        vectors = node.tables.reading(node.ports.clock.now_ms()).vectors("item_vectors")
        told: dict[str, Any] = {
            "vectors": len(vectors.keys), "dimensions": vectors.matrix.shape[1], "bytes": vectors.matrix.nbytes,
            "recall": {}, "ms": {},
        }  # fmt: skip
        for kind, sessions in (("any items", _sessions(vectors, 0)), ("items alike", _sessions(vectors, ALIKE))):
            parts = np.array_split(vectors.matrix, 1 + len(vectors.keys) // PART)
            scores = np.concatenate([part.astype(np.float64) @ sessions.T for part in parts]) / vectors.norms[:, None]
            least = np.partition(scores, -NEAREST, axis=0)[-NEAREST]  # of the best: who equals the last is one of them
            for name, search in self._searches(vectors):
                found, cost = list[float](), list[float]()
                for at, session in enumerate(sessions):
                    before = time.thread_time_ns()
                    rows = search(session)
                    cost.append((time.thread_time_ns() - before) / 1e6)
                    found.append(min(int((scores[rows, at] >= least[at] - EQUAL).sum()), NEAREST) / NEAREST)
                label = f"{name}, sessions of {kind}"
                told["recall"][label], told["ms"][label] = float(np.mean(found)), float(np.median(cost))
        return told

    def _searches(self, vectors: Vectors) -> list[tuple[str, Callable[[FloatArray], Any]]]:
        """Each search by its name: rows that it gives for a session."""
        found: list[tuple[str, Callable[[FloatArray], Any]]] = [("exact", lambda one: vectors.near(one, NEAREST))]
        if self._index is not None:
            index, count = self._index[1], NEAREST * 5 // 4
            found.append(
                ("index", lambda one: [vectors.slots[key] for key in index.nearest(one.astype(np.float32), count)])
            )
        return found

    def _anew(self) -> dict[str, Any]:
        application, clock = self._engine.node.application, self._engine.node.ports.clock
        decider = Decider(application.surfaces, application.program.tables, clock)
        before = time.thread_time()
        Tables(self._engine.node.runner).follow(decider.followed)
        return {"cpu_s": time.thread_time() - before}


def _sessions(vectors: Vectors, alike: int) -> FloatArray:
    """Directions of sessions, each of `SEEDS` items of which the newer weigh more: any items, or one and others out of
    the `alike` nearest to it."""
    draw = np.random.default_rng(4)
    made = []
    for _ in range(SEARCHES):
        seeds = draw.integers(0, len(vectors.keys), SEEDS)
        if alike:
            seeds[1:] = draw.choice(vectors.near(vectors.matrix[seeds[0]].astype(np.float64), alike), SEEDS - 1)
        made.append((vectors.matrix[seeds] / vectors.norms[seeds][:, None] * 0.5 ** np.arange(SEEDS)[:, None]).sum(0))
    return np.array(made)


def decision_of(record: Record) -> DecisionRecord:
    return decoded(record.value or b"")


def held_gb() -> float:
    """Gigabytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e9


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
    empty_gb = held_gb()
    engine = await filled(directory, items, clock)
    interpreter.prepare()  # as `nextpaint run` does once it has started
    server = await serve_app(node_app(engine, Access(), settings=PATIENT), "127.0.0.1", 0)
    filled_s, peak_gb = time.process_time(), peak_mb() / 1e3
    print(json.dumps({"port": server.port, "filled_s": filled_s, "peak_gb": peak_gb, "empty_gb": empty_gb}), flush=True)
    served = ServedCatalogue(engine, clock)
    asked = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    while line := await asked.readline():
        print(json.dumps(await served.answer(line.decode().split())), flush=True)
    await server.stop()
    await engine.close()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2])))
