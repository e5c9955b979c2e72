"""What a decision costs.

    scripts/bench decide [--seconds 30]                               the retail blueprint: 400 candidates, alone
    scripts/bench decide --items 100000 [--candidates 200 1000]       a large catalogue, while events come in

The second has five retrievers, four filters, five features, exploration, diversity and a record, by weights and by 100
trees, and prints CPU and latency by stage, what was degraded, memory, how soon a changed item is found, the recall of
the search, and ratios to the echo endpoint and to LightGBM; see `rig.large`. It measures for 30 seconds, from half a
million items on for 240: a million take 3 GB and ten minutes. `--index` lets an index of clusters follow (`--index
usearch` a graph), and measures that.

The first: CPU by stage in the process, then over HTTP beside the echo endpoint.

In the process the node's monotonic clock is the CPU time of its state thread, so the stages in the decision records
are CPU and not waiting. Over HTTP the node runs in a process of its own, and what counts is that process's CPU, all
threads. No figure here is a time that passed.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path
from statistics import median

import msgspec
import uvloop
from rig import large
from rig.client import Connections
from rig.figures import ROUNDS, Cell, CpuClock, arguments, print_ratio, print_table, where
from rig.served import Served
from rig.shop import SURFACE, opened, requests

from nextpaint.engine.facade import Engine
from nextpaint.engine.recomputation import decisions_of
from nextpaint.govern.access import LOCAL
from nextpaint.stream.frame import EntryKind

CANDIDATES_MIN = 200
WARM_UP = 50
BLOCK = 10


class InProcess:
    """Decisions without an edge. `outside`: CPU of the answer's own parts that no stage owns."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._bodies = requests()
        self.state, self.others = Cell(), Cell()
        self.stages: dict[str, Cell] = defaultdict(Cell)
        self.candidates: list[int] = []
        self.degraded = 0

    async def round(self, seconds: float) -> None:
        """Decide for `seconds`, one after the other."""
        parts: Counter[str] = Counter()
        count = state_ns = process_ns = 0
        last = max((seq for seq, _ in decisions_of(self._engine.node.ledger)), default=-1)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for body in islice(self._bodies, BLOCK):
                asked = msgspec.json.decode(body)
                thread, process = time.thread_time_ns(), time.process_time_ns()
                answer = await self._engine.decide(LOCAL, SURFACE, asked)
                state_ns += time.thread_time_ns() - thread
                process_ns += time.process_time_ns() - process
                count += 1
                self._note(answer, parts)
        await self._engine.node.settled()
        self.state.add(state_ns, count)
        self.others.add(process_ns - state_ns, count)
        for seq, record in decisions_of(self._engine.node.ledger):
            if seq > last:
                for stage in record.stages:
                    parts[stage.stage] += int(stage.ms * 1e6)
        owned = sum(parts.values())
        parts["request, reading, answer"] = state_ns - owned
        for name, cpu_ns in parts.items():
            self.stages[name].add(cpu_ns, count)

    def _note(self, answer: dict[str, object], parts: Counter[str]) -> None:
        budget = answer["budget"]
        assert isinstance(budget, dict)
        parts["commit: append, sync, applying the record"] += int(budget["commit"] * 1e6)
        candidates = answer["candidates"]
        assert isinstance(candidates, int)
        self.candidates.append(candidates)
        self.degraded += bool(answer["degraded"])


class OverHttp:
    """The same over one connection, one request at a time; and the same bodies to the echo endpoint."""

    def __init__(self, node: Served) -> None:
        self._node = node
        self._connection = Connections(node.port, 1)
        self._bodies = requests()
        self.decide, self.echo = Cell(), Cell()
        self.answer_bytes: list[int] = []
        self.candidates: list[int] = []

    def round(self, seconds: float) -> None:
        """Half the time each, in turns of a tenth."""
        spent: dict[str, list[int]] = {"/v1/echo": [0, 0], f"/v1/decide/{SURFACE}": [0, 0]}
        for _ in range(5):
            for path, total in spent.items():
                cpu_ns, count = self._run(path, seconds / 10)
                total[0] += cpu_ns
                total[1] += count
        self.echo.add(*spent["/v1/echo"])
        self.decide.add(*spent[f"/v1/decide/{SURFACE}"])

    def _run(self, path: str, seconds: float) -> tuple[int, int]:
        before, count = self._node.cpu_ns(), 0
        answers: list[bytes] = []
        end = time.perf_counter() + seconds
        while count == 0 or time.perf_counter() < end:
            answers += self._connection.wave(path, [next(self._bodies)])
            count += 1
        cpu_ns = self._node.cpu_ns() - before
        if path != "/v1/echo":
            self.answer_bytes += [len(each) for each in answers]
            self.candidates += [msgspec.json.decode(each)["candidates"] for each in answers[:BLOCK]]
        return cpu_ns, count

    def close(self) -> None:
        self._connection.close()


def record_bytes(engine: Engine) -> list[int]:
    """Key and value of every decision record in the ledger, bytes before compression."""
    return [
        len(record.key or b"") + len(record.value or b"")
        for frame in engine.node.ledger.frames()
        for entry in frame.entries
        if entry.topic == "decisions" and entry.kind is EntryKind.INPUT
        for record in entry.records
    ]


async def measure(directory: Path, seconds: float) -> None:
    engine, _ = await opened(directory / "inside", CpuClock())
    for body in islice(requests(), WARM_UP):
        await engine.decide(LOCAL, SURFACE, msgspec.json.decode(body))
    inside = InProcess(engine)
    with Served(directory / "served") as node, contextlib.closing(OverHttp(node)) as http:
        http.round(0.2)
        http.decide, http.echo = Cell(), Cell()
        for _ in range(ROUNDS):
            await inside.round(seconds / ROUNDS / 2)
            http.round(seconds / ROUNDS / 2)
        sizes = record_bytes(engine)
        await engine.close()
    report(inside, http, sizes)


def report(inside: InProcess, http: OverHttp, sizes: list[int]) -> None:
    total = inside.state.us
    rows = [(name, cell.us, f"{cell.us / total:6.1%}") for name, cell in inside.stages.items()]
    print_table(
        f"a decision in the process, {inside.state.count} of them",
        [
            *rows,
            ("state thread, total", total, ""),
            ("other threads (sync, BLAS)", inside.others.us, ""),
        ],
    )
    print_table(
        "a request over HTTP, one connection",
        [
            ("decide", http.decide.us, f"{http.decide.count} requests"),
            ("echo", http.echo.us, f"{http.echo.count} requests"),
        ],
    )
    candidates = inside.candidates + http.candidates
    print(f"\ncandidates after filters: {min(candidates)} to {max(candidates)}; degraded: {inside.degraded}")
    if min(candidates) < CANDIDATES_MIN:
        print(f"note: {sum(each < CANDIDATES_MIN for each in candidates)} decisions had fewer than {CANDIDATES_MIN}")
    print(f"record of a decision: {median(sizes):.0f} bytes; answer: {median(http.answer_bytes):.0f} bytes")
    print_ratio("decide/echo", http.decide.us, http.echo.us, "CPU per request")
    print_ratio("decide over HTTP/in the process", http.decide.us, total + inside.others.us, "CPU per decision")
    print_ratio("record/answer", median(sizes), median(http.answer_bytes), "bytes per decision")


def main(argv: list[str] | None = None) -> int:
    options = arguments("CPU per decision, by stage and beside the echo endpoint.", argv, large.options)
    print(where(options.data))
    with tempfile.TemporaryDirectory(prefix="nextpaint-bench-", dir=options.data) as directory:
        if options.items:
            uvloop.run(large.measure(options, Path(directory)))
        else:
            uvloop.run(measure(Path(directory), options.seconds or large.SECONDS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
