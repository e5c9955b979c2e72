"""What an event costs in CPU, edge by edge, beside three yardsticks.

Edges: the door alone; the whole way in of a node (door, dedup, encode, append, sync, apply) in requests of 1, 10 and
100 events; single events over HTTP to a node in another process; the runner alone, by step size and by operator.
Yardsticks: the echo endpoint, append + fdatasync of the very write sizes the node made, and the JSON parser on the
bodies. No figure here is a time that passed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import msgspec
import uvloop
from rig.client import Connections
from rig.disk import WatchedDisk
from rig.figures import ROUNDS, Cell, arguments, print_ratio, print_table, where
from rig.served import Served
from rig.shop import application, opened, traffic

from nextpaint.engine.facade import Engine
from nextpaint.engine.replay import Switch, arriving
from nextpaint.govern.access import LOCAL
from nextpaint.govern.door import Door, DoorSettings
from nextpaint.ports import SystemRandom
from nextpaint.process.runner import Runner
from nextpaint.record.runs import Run

BATCHES = (1, 10, 100)
CONNECTIONS = (1, 32)
STEPS = (1, 10, 100)
BLOCK = 300  # events between two looks at the clock; a multiple of every batch and step
BASE_STEP = 512
OPERATORS_SHOWN = 12


class InProcess:
    """The edges of one node without HTTP."""

    def __init__(self, engine: Engine, items: list[str], disk: WatchedDisk) -> None:
        self._engine = engine
        self._disk = disk
        self._traffic = traffic(items, "inside")
        self._door = Door(engine.node.subjects, DoorSettings(), SystemRandom())
        self._done: list[bytes] = []
        self.parse, self.door = Cell(), Cell()
        self.whole = {each: Cell() for each in BATCHES}
        self.disk = {each: Cell() for each in BATCHES}
        self.writes: dict[int, list[int]] = {each: [] for each in BATCHES}
        self.body_bytes: list[int] = []

    async def round(self, directory: Path, seconds: float) -> None:
        for batch in BATCHES:
            await self._whole(directory, batch, seconds / (len(BATCHES) + 1))
        self._cheap(seconds / (len(BATCHES) + 1))

    async def _whole(self, directory: Path, batch: int, seconds: float) -> None:
        cpu_ns = count = 0
        self._disk.sizes.clear()
        for bodies in self._blocks(seconds):
            calls = [_call(body) for body in bodies]
            before = time.process_time_ns()
            for start in range(0, BLOCK, batch):
                await self._engine.ingest(LOCAL, calls[start : start + batch])
            await self._engine.node.settled()
            cpu_ns += time.process_time_ns() - before
            count += BLOCK
        self.whole[batch].add(cpu_ns, count)
        sizes = list(self._disk.sizes)
        self.writes[batch] += sizes
        self.disk[batch].add(raw_appends(directory, sizes), count)

    def _blocks(self, seconds: float) -> Iterator[list[bytes]]:
        end = time.perf_counter() + seconds
        while True:
            self._done = [self._traffic.event()[1] for _ in range(BLOCK)]
            self.body_bytes += [len(each) for each in self._done]
            yield self._done
            if time.perf_counter() >= end:
                return

    def _cheap(self, seconds: float) -> None:
        """Parser and door on bodies that were taken before, so that no visitor is new."""
        parse_ns = door_ns = count = 0
        now_ms = self._engine.node.ports.clock.now_ms()
        end = time.perf_counter() + seconds
        while count == 0 or time.perf_counter() < end:
            before = time.thread_time_ns()
            for body in self._done:
                msgspec.json.decode(body)
            parse_ns += time.thread_time_ns() - before
            calls = [_call(body) for body in self._done]
            before = time.thread_time_ns()
            for call in calls:
                self._door.admit([call], LOCAL, now_ms)
            door_ns += time.thread_time_ns() - before
            count += BLOCK
        self.parse.add(parse_ns, count)
        self.door.add(door_ns, count)


def _call(body: bytes) -> dict[str, Any]:
    call: dict[str, Any] = msgspec.json.decode(body)
    call["type"] = "track"
    return call


def raw_appends(directory: Path, sizes: list[int]) -> int:
    """CPU ns of appending and syncing blocks of these sizes to one file, as plainly as the system allows."""
    path = directory / "raw-appends"
    block = os.urandom(max(sizes, default=1))
    view = memoryview(block)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        before = time.thread_time_ns()
        for size in sizes:
            os.write(descriptor, view[:size])
            os.fdatasync(descriptor)
        return time.thread_time_ns() - before
    finally:
        os.close(descriptor)
        path.unlink()


class OverHttp:
    """Single events to a node in another process; the same bodies to its echo endpoint."""

    def __init__(self, node: Served, items: list[str]) -> None:
        self._node = node
        self._traffic = traffic(items, "http")
        self._connections = {each: Connections(node.port, each) for each in CONNECTIONS}
        self.track = {each: Cell() for each in CONNECTIONS}
        self.echo = {each: Cell() for each in CONNECTIONS}

    def round(self, seconds: float) -> None:
        share = seconds / (2 * len(CONNECTIONS))
        for count in CONNECTIONS:
            self._run(self.echo[count], count, "/v1/echo", share)
            self._run(self.track[count], count, "/v1/track", share)

    def _run(self, cell: Cell, connections: int, path: str, seconds: float) -> None:
        before, sent = self._node.cpu_ns(), 0
        end = time.perf_counter() + seconds
        while sent == 0 or time.perf_counter() < end:
            self._connections[connections].wave(path, [self._traffic.event()[1] for _ in range(connections)])
            sent += connections
        cell.add(self._node.cpu_ns() - before, sent)

    def close(self) -> None:
        for each in self._connections.values():
            each.close()


class RunnerAlone:
    """Records to state, no ledger: the records of the in-process node, applied again."""

    def __init__(self, engine: Engine, filled: int) -> None:
        """`filled`: seq of the last record of the filled shop; what came after it is measured."""
        read = [each for frame in engine.node.ledger.frames() for entry in frame.entries for each in arriving(entry)]
        runs = [each for each in read if not isinstance(each, Switch)]
        records = [run.part(at, at + 1) for run in runs for at in range(len(run))]
        self._base = [each for each in records if each.seq <= filled]
        self._events = [each for each in records if each.seq > filled]
        self.steps = {each: Cell() for each in STEPS}
        self.operators: Counter[str] = Counter()
        self.operators_records = 0

    def measure(self, seconds: float) -> None:
        for _ in range(ROUNDS):
            self._by_step(self._runner(), seconds / ROUNDS)
        self._by_operator(self._runner(), seconds / ROUNDS)

    def _runner(self) -> Runner:
        runner = Runner(application().design)
        for start in range(0, len(self._base), BASE_STEP):
            runner.apply(self._base[start : start + BASE_STEP])
        return runner

    def _blocks(self, seconds: float) -> Iterator[list[Run]]:
        end = time.perf_counter() + seconds
        for start in range(0, len(self._events) - BLOCK, BLOCK):
            yield self._events[start : start + BLOCK]
            if time.perf_counter() >= end and start >= BLOCK * len(STEPS):
                return

    def _by_step(self, runner: Runner, seconds: float) -> None:
        spent = {each: [0, 0] for each in STEPS}
        for number, block in enumerate(self._blocks(seconds)):
            size = STEPS[number % len(STEPS)]
            before = time.thread_time_ns()
            for start in range(0, BLOCK, size):
                runner.apply(block[start : start + size])
            spent[size][0] += time.thread_time_ns() - before
            spent[size][1] += BLOCK
        for size, (cpu_ns, count) in spent.items():
            if count:
                self.steps[size].add(cpu_ns, count)

    def _by_operator(self, runner: Runner, seconds: float) -> None:
        graph = runner.graph
        for stage in graph.stages:
            name = f"{type(stage.operator).__name__} {stage.target or stage.operator.id}"
            self._time(stage.operator, "step", name)
        for name, source in graph.sources.items():
            self._time(source, "read", f"Source {name}")
        for block in self._blocks(seconds):
            for start in range(0, BLOCK, 10):
                runner.apply(block[start : start + 10])
            self.operators_records += BLOCK

    def _time(self, owner: object, method: str, name: str) -> None:
        inner: Callable[..., Any] = getattr(owner, method)

        def timed(*given: Any) -> Any:
            before = time.thread_time_ns()
            made = inner(*given)
            self.operators[name] += time.thread_time_ns() - before
            return made

        setattr(owner, method, timed)


async def measure(directory: Path, seconds: float) -> None:
    disk = WatchedDisk(directory / "inside")
    engine, items = await opened(directory / "inside", disk=disk)
    filled = engine.node.durable
    inside = InProcess(engine, items, disk)
    share = seconds / ROUNDS
    with Served(directory / "served") as node, contextlib.closing(OverHttp(node, items)) as http:
        for _ in range(ROUNDS):
            await inside.round(directory, 0.4 * share)
            http.round(0.4 * share)
    alone = RunnerAlone(engine, filled)
    await engine.close()
    alone.measure(0.2 * seconds)
    report(inside, http, alone)


def report(inside: InProcess, http: OverHttp, alone: RunnerAlone) -> None:
    print_table("an event, in the process", [
        ("JSON parser alone", inside.parse.us, f"{mean(inside.body_bytes):.0f} bytes a body"),
        ("door alone", inside.door.us, ""),
        *((f"the whole way in, {n} a request", cell.us, f"{cell.count} events") for n, cell in inside.whole.items()),
        *((f"append + fdatasync of its writes, {n} a request", cell.us, _sizes(inside.writes[n]))
          for n, cell in inside.disk.items()),
    ])  # fmt: skip
    print_table("an event over HTTP, one a request", [
        *((f"track, {n} connections", cell.us, f"{cell.count} requests") for n, cell in http.track.items()),
        *((f"echo, {n} connections", cell.us, f"{cell.count} requests") for n, cell in http.echo.items()),
    ])  # fmt: skip
    print_table("a record, applied by the runner alone", [
        (f"steps of {n}", cell.us, f"{1e6 / cell.us:.0f} applies per CPU second") for n, cell in alone.steps.items()
    ])  # fmt: skip
    shown = alone.operators.most_common(OPERATORS_SHOWN)
    rest = sum(alone.operators.values()) - sum(cpu_ns for _, cpu_ns in shown)
    count = alone.operators_records * 1e3
    rows = [(name, cpu_ns / count, "") for name, cpu_ns in [*shown, ("all others", rest)]]
    print_table("the same by operator, steps of 10", rows)
    print()
    for n in BATCHES:
        print_ratio(f"whole/append+fdatasync, {n} a request", inside.whole[n].us, inside.disk[n].us, "CPU per event")
    print_ratio("door/parser", inside.door.us, inside.parse.us, "CPU per event")
    print_ratio("whole/parser, 100 a request", inside.whole[100].us, inside.parse.us, "CPU per event")
    for n in CONNECTIONS:
        print_ratio(f"track/echo, {n} connections", http.track[n].us, http.echo[n].us, "CPU per request")
    print_ratio("apply in steps of 1/100", alone.steps[1].us, alone.steps[100].us, "CPU per record")


def _sizes(writes: list[int]) -> str:
    return f"{len(writes)} writes, {mean(writes):.0f} bytes each" if writes else "no writes"


def main(argv: list[str] | None = None) -> int:
    options = arguments("CPU per event by edge, beside the echo endpoint, the disk and the JSON parser.", argv)
    print(where(options.data))
    with tempfile.TemporaryDirectory(prefix="nextpaint-bench-", dir=options.data) as directory:
        uvloop.run(measure(Path(directory), options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
