"""Decisions out of a large catalogue while events come in: `bench/decide.py --items N` prints what this measures.

The node runs in a process of its own. This one sends single events and item rows at a fixed rate, answered or not
(`nextpaint.connect.open_loop`), and decides over one connection, one after the other. Two passes each: in the first the
node's clock is time that passes, which gives latencies and says what was degraded; in the second it is the CPU of the
state thread, which gives what each stage costs.

What a decision costs is the larger of two readings, both printed: the CPU of the node's process beyond what ingest
alone took in as long a time (too small where decisions are long: events that come meanwhile share their steps, so
ingest costs less beside them), and the mean sum of its stages.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from nextpaint.connect.open_loop import Stream, drive
from rig.catalogue import TREES, VISITORS, click
from rig.client import PATIENCE_S, Connections
from rig.figures import print_ratio
from rig.served import Served

CANDIDATES = (200, 1_000)  # the surfaces there are: page_200, page_1000
EVENTS_PER_S, ROWS_PER_S = 500.0, 5.0
SECONDS, SECONDS_MANY, MANY = 30.0, 240.0, 500_000  # of measuring: a share of 0.5 % needs 200 decisions a pass
ROUNDS, FINDABLE_MAX_S, GIVEN_UP_S = 20, 1.0, 20.0  # of items that are put, changed and deleted
DEGRADED_MAX = 0.005
WARM_UP_S = 0.3
WHOLE = 10  # decisions in a row without a degraded one: what they need is made
WHOLE_MAX = 500


@dataclass(frozen=True, slots=True)
class Passed:
    """What came of one pass: latencies in ms of the requests, CPU of the node beyond its answers to nobody."""

    latencies_ms: np.ndarray
    cpu_s: float
    seconds: float
    refused: int

    def us(self, ingest_share: float) -> float:
        """CPU microseconds of a request, without what ingest takes."""
        return (self.cpu_s - ingest_share * self.seconds) / len(self.latencies_ms) * 1e6


class Large:
    """A served catalogue and the traffic to it."""

    def __init__(self, node: Served, items: int, events_per_s: float) -> None:
        self._node = node
        self._items = items
        self._events_per_s = events_per_s
        self._draw = random.Random(9)
        self._sent = 0
        self._bodies = _bodies()
        self._connection = Connections(node.port, 1)
        self._ingest: list[Passed] = []
        self._finders = 0
        self._decided = self._degraded = 0

    def close(self) -> None:
        self._connection.close()

    # ------------------------------------------------------------ traffic

    def _event(self) -> tuple[object, bytes]:
        self._sent += 1
        now_ms = time.time_ns() // 1_000_000
        return None, self._request("POST /v1/track", click(self._draw, self._items, now_ms, 10**6 + self._sent))

    def _row(self) -> tuple[object, bytes]:
        number = self._draw.randrange(self._items)
        row = {"item_id": f"item-{number}", "price": 1.0 + self._sent % 97}
        return None, self._request("PUT /v1/items", {"items": [row]})

    def _request(self, line: str, body: dict[str, Any]) -> bytes:
        data = msgspec.json.encode(body)
        head = f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(data)}"
        return head.encode() + b"\r\n\r\n" + data

    async def passed(self, path: str, seconds: float) -> Passed:
        """Ingest for `seconds`; meanwhile one request after the other to `path`, where one is given."""
        streams = [Stream("events", self._events_per_s, self._event), Stream("rows", ROWS_PER_S, self._row)]
        address = ("127.0.0.1", self._node.port)
        coming = asyncio.create_task(
            drive(streams, address, warm_up_s=WARM_UP_S, seconds=seconds, seed=1, patience_s=PATIENCE_S)
        )
        await asyncio.sleep(WARM_UP_S)
        before, began = self._node.cpu_ns(), time.perf_counter()
        taken = await asyncio.to_thread(self._asked, path, began + seconds) if path else await _slept(seconds)
        passed_s = time.perf_counter() - began
        cpu_s = (self._node.cpu_ns() - before) / 1e9
        await coming
        errors = [each for stream in streams for each in stream.error_examples]
        if errors:
            raise SystemExit(f"the node did not take what it was sent: {errors[0]}")
        return Passed(np.array(taken), cpu_s, passed_s, sum(stream.refused for stream in streams))

    def _asked(self, path: str, end: float) -> list[float]:
        taken: list[float] = []
        while not taken or time.perf_counter() < end:
            before = time.perf_counter()
            self._connection.wave(path, [next(self._bodies)])
            taken.append((time.perf_counter() - before) * 1e3)
        return taken

    def whole(self, path: str) -> int:
        """Decide until `WHOLE` in a row are whole; how many came before them."""
        row = 0
        for turn in range(WHOLE_MAX):
            answer = msgspec.json.decode(self._connection.wave(path, [next(self._bodies)])[0])
            row = 0 if answer["degraded"] else row + 1
            if row == WHOLE:
                return turn + 1 - WHOLE
        return WHOLE_MAX

    # ------------------------------------------------------------ what is printed

    async def ingest(self, seconds: float) -> None:
        """Ingest alone."""
        found = await self.passed("", seconds)
        self._ingest.append(found)
        share = found.cpu_s / found.seconds
        print(f"ingest alone, {self._events_per_s:g} events and {ROWS_PER_S:g} item rows a second: {share:.1%} of a "
              f"core, {found.refused} refused", flush=True)  # fmt: skip

    @property
    def _share(self) -> float:
        return sum(each.cpu_s for each in self._ingest) / sum(each.seconds for each in self._ingest)

    async def echo(self, seconds: float) -> float:
        found = await self.passed("/v1/echo", seconds)
        p50, p99 = np.percentile(found.latencies_ms, [50, 99])
        us = found.us(self._share)
        print(f"echo while events come in: CPU {us:.0f} us, latency p50 {p50:.2f} ms, p99 {p99:.2f} ms", flush=True)
        return us

    async def decisions(self, surface: str, ranker: str, seconds: float) -> float:
        """One surface by one ranker; CPU microseconds of a decision."""
        path = f"/v1/decide/{surface}"
        before = self.whole(path)
        self._node.ask("stages")
        timed = await self.passed(path, seconds)
        waited = self._node.ask("stages")
        self._node.ask("clock cpu")
        counted = await self.passed(path, seconds)
        self._node.ask("clock wall")
        spent = self._node.ask("stages")
        beyond = (timed.us(self._share) * len(timed.latencies_ms) + counted.us(self._share) * len(counted.latencies_ms)
                  ) / (len(timed.latencies_ms) + len(counted.latencies_ms))  # fmt: skip
        us, candidates = max(beyond, spent["sum_ms"] * 1e3), waited["candidates"]
        share = waited["degraded"] / len(candidates)
        self._decided += len(candidates)
        self._degraded += waited["degraded"]
        p50, p99, p999 = np.percentile(timed.latencies_ms, [50, 99, 99.9])
        print(f"\n{surface} by {ranker}, {min(candidates)} to {max(candidates)} candidates, "
              f"{len(candidates)} decisions, {before} before all was whole")  # fmt: skip
        print(f"  latency over HTTP p50 {p50:.1f} ms, p99 {p99:.1f} ms, p99.9 {p999:.1f} ms; CPU {us:.0f} us: "
              f"{1e6 / us:.0f} decisions per CPU-second; {timed.refused} events refused")  # fmt: skip
        print(f"  CPU of the process beyond ingest alone {beyond:.0f} us, of the stages {spent['sum_ms'] * 1e3:.0f} us")
        print(f"  degraded {waited['degraded']} ({share:.2%}), to be at most {DEGRADED_MAX:.1%}: "
              f"{'held' if share <= DEGRADED_MAX else 'MISSED'}")  # fmt: skip
        print(f"  {'':40}{'CPU us':>9}{'p99':>9}{'latency us':>12}{'p99':>9}")
        for name, (half, most) in sorted(spent["stages"].items(), key=lambda each: -float(each[1][0])):
            late = waited["stages"].get(name, [0.0, 0.0])
            figures = f"{half * 1e3:>9.0f}{most * 1e3:>9.0f}{late[0] * 1e3:>12.0f}{late[1] * 1e3:>9.0f}"
            print(f"    {name:38}{figures}", flush=True)
        return us

    def whole_share(self) -> None:
        """What was degraded of all passes: one of them may have too few decisions to tell 0.5 % from one by chance."""
        share = self._degraded / self._decided
        kept = "held" if share <= DEGRADED_MAX else "MISSED"
        print(f"degraded in all passes: {self._degraded} of {self._decided} ({share:.2%}), to be at most "
              f"{DEGRADED_MAX:.1%}: {kept}")  # fmt: skip

    async def findable(self, how: str) -> None:
        """How soon a new and a changed item are found by similarity, and a deleted one is not, while events come in:
        from the sending of the change to the sending of the first decision that shows it."""
        streams = [Stream("events", self._events_per_s, self._event), Stream("rows", ROWS_PER_S, self._row)]
        taken = asyncio.create_task(asyncio.to_thread(self._rounds))
        while not taken.done():
            await drive(
                streams, ("127.0.0.1", self._node.port), warm_up_s=0.0, seconds=1.0, seed=2, patience_s=PATIENCE_S
            )
        print(f"\nfindable, {ROUNDS} items each, {how}, while events come in; seconds from sending the change")
        for name, each in (await taken).items():
            kept = f"to be under {FINDABLE_MAX_S:g}: {'held' if max(each) < FINDABLE_MAX_S else 'MISSED'}"
            late = f"most {max(each):.3f}, {kept}, number {int(np.argmax(each)) + 1} of {len(each)} took longest"
            print(f"  {name:16} p50 {np.median(each):.3f}, {late}", flush=True)

    def _rounds(self) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {"new item": [], "changed title": [], "deleted item": []}
        for turn in range(ROUNDS):
            self._finders += 1
            who, title = f"finder-{self._finders}", f"{_WORDS[turn % len(_WORDS)]} number {self._finders}"
            fresh, changed = f"fresh-{self._finders}", f"item-{self._draw.randrange(self._items)}"
            now_ms = time.time_ns() // 1_000_000
            looked = click(self._draw, self._items, now_ms, 10**9 + self._finders)
            looked |= {"anonymousId": who, "properties": {"product_id": fresh, "category": "c0"}}
            self._connection.wave("/v1/track", [msgspec.json.encode(looked)])
            row = {"item_id": fresh, "title": title, "category": "c0", "price": 9.0, "stock": 9}
            found["new item"].append(self._until(who, fresh, lambda row=row: self._put(row)))
            row = {"item_id": changed, "title": f"{title} too"}
            found["changed title"].append(self._until(who, changed, lambda row=row: self._put(row)))
            gone = lambda item=changed: self._node.ask(f"delete {item}")  # noqa: E731
            found["deleted item"].append(self._until(who, changed, gone, there=False))
        return found

    def _put(self, row: dict[str, Any]) -> None:
        self._connection.wave("/v1/items", [msgspec.json.encode({"items": [row]})], "PUT")

    def _until(self, who: str, item: str, change: Callable[[], object], there: bool = True) -> float:
        """Seconds until a decision shows the item, or shows it no more."""
        body = [msgspec.json.encode({"anonymousId": who})]
        began = time.perf_counter()
        change()
        while time.perf_counter() - began < GIVEN_UP_S:
            asked = time.perf_counter() - began
            answer = msgspec.json.decode(self._connection.wave("/v1/decide/alike", body)[0])
            if (item in [each["id"] for each in answer["items"]]) == there:
                return asked
        return GIVEN_UP_S

    def follow(self, kind: str) -> None:
        """Let an index follow the vectors; meanwhile decide, ten times a second."""
        before_gb, cpu_ns, began = self._node.ask("memory")["gb"], self._node.cpu_ns(), time.perf_counter()
        self._node.ask(f"follow {kind}")
        taken, told = list[float](), 0
        while not (found := self._node.ask("index"))["current"]:
            if found["failed"]:
                raise SystemExit(f"the index failed: {found['failed']}")
            if found["written"] * 10 // self._items > told:
                told = found["written"] * 10 // self._items
                print(f"  index: {found['written']} of {self._items} written", flush=True)
            before = time.perf_counter()
            self._connection.wave("/v1/decide/page_200", [next(self._bodies)])
            taken.append((time.perf_counter() - before) * 1e3)
            time.sleep(0.1)
        cpu_s = (self._node.cpu_ns() - cpu_ns) / 1e9
        p50, p99 = np.percentile(taken, [50, 99])
        print(f"\n{kind} index of all vectors: made in {time.perf_counter() - began:.0f} s, {cpu_s:.0f} s of CPU with "
              f"{len(taken)} decisions meanwhile (p50 {p50:.1f}, p99 {p99:.1f}, most {max(taken):.1f} ms), "
              f"{self._node.ask('memory')['gb'] - before_gb:.2f} GB", flush=True)  # fmt: skip


_WORDS = ("amber lantern", "folding chair", "wool blanket", "garden spade", "copper kettle")


async def _slept(seconds: float) -> list[float]:
    await asyncio.sleep(seconds)
    return [0.0]


def _bodies() -> Iterator[bytes]:
    while True:
        for number in range(VISITORS):
            yield msgspec.json.encode({"anonymousId": f"visitor-{number}"})


def searched(told: dict[str, Any]) -> None:
    """Print what the search found."""
    size = f"{told['vectors']} vectors of {told['dimensions']}, {told['bytes'] / 1e6:.0f} MB"
    print(f"\nsearch for 10 among {size}")
    for name, recall in told["recall"].items():
        print(f"  {name}: recall@10 {recall:.4f}, CPU {told['ms'][name]:.2f} ms", flush=True)


def scored(told: dict[str, Any], decided: dict[int, float]) -> None:
    """Print what the trees cost, beside the library, and beside a decision."""
    for rows, cost in told.items():
        print(f"{TREES} trees, {rows} rows: ours {cost['ours']:.0f} us, LightGBM {cost['lightgbm']:.0f} us, same: "
              f"{cost['same']}")  # fmt: skip
        print_ratio(f"trees/LightGBM, {rows} rows", cost["ours"], cost["lightgbm"], "CPU per batch")
        if int(rows) in decided:
            print_ratio(f"decide/LightGBM, {rows} rows", decided[int(rows)], cost["lightgbm"], "CPU, whole decision")


def options(parser: argparse.ArgumentParser) -> None:
    """What `bench decide` takes for a large catalogue."""
    parser.add_argument("--items", type=int, default=0, help="made-up items; without it the retail blueprint decides")
    parser.add_argument("--candidates", type=int, nargs="+", choices=CANDIDATES, default=list(CANDIDATES))
    parser.add_argument("--events", type=float, default=EVENTS_PER_S, help="single events a second that come in")
    parser.add_argument("--index", choices=("clusters", "usearch"), nargs="?", const="clusters", default="",
                        help="measure an index in memory as well: of clusters, or a graph")  # fmt: skip
    parser.set_defaults(seconds=None)


async def measure(options: argparse.Namespace, directory: Path) -> None:
    """Fill a node, measure everything, print it."""
    module = ("rig.served_catalogue", str(options.items))
    with Served(directory, *module) as node, contextlib.closing(Large(node, options.items, options.events)) as large:
        print(f"{options.items} items in {node.said['filled_s']:.0f} s of CPU, at most {node.said['peak_gb']:.2f} GB",
              flush=True)  # fmt: skip
        whole = options.seconds or (SECONDS_MANY if options.items >= MANY else SECONDS)
        seconds = whole / (4 * len(options.candidates) + 3)
        await large.ingest(seconds)
        trees: dict[int, float] = {}
        for ranker in ("weights", f"{TREES} trees"):
            if ranker != "weights":
                node.ask("promote")
            for count in options.candidates:
                trees[count] = await large.decisions(f"page_{count}", ranker, seconds)
        print()
        await large.ingest(seconds)
        echo = await large.echo(seconds)
        held = node.ask("memory")["gb"]
        print(f"memory: {held:.2f} GB, {node.said['empty_gb']:.2f} GB before there were items: "
              f"{(held - node.said['empty_gb']) / options.items * 1e9:.0f} bytes an item")  # fmt: skip
        await large.findable("every vector searched")
        searched(node.ask("search"))
        if options.index:
            large.follow(options.index)
            searched(node.ask("search"))
            for count in options.candidates:
                await large.decisions(f"page_{count}", f"{TREES} trees, index", seconds)
            await large.findable("by the index")
            print("index: " + ", ".join(f"{name} {value}" for name, value in node.ask("index").items()))
        print()
        large.whole_share()
        scored(node.ask("scorer"), trees)
        for count, us in trees.items():
            print_ratio(f"decide/echo, page_{count}", us, echo, "CPU per request, events coming in")
        print(f"what surfaces read, made anew as at a start: {node.ask('anew')['cpu_s']:.2f} s of CPU")
