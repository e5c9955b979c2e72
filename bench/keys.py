"""What state costs: typed operators beside the general ones, and how cost grows with the number of keys.

1. Each operator on typed state and its general twin take the same decoded batches: CPU per event by batch size, and the
   ratio, of one run.
2. Aggregates that know single values, with 10 and with 500 of them in a group: CPU per event, which should be the same.
3. GROUP BY a string key with 10 k, 100 k, 1 M (and with --full 5 M) keys: events per CPU-second and bytes per key while
   growing and afterwards, with snapshots taken one after the other all the time; CPU of a slice at p99.9 and at most.

No figure here is a time that passed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rig.figures import print_ratio

from nextpaint.engine import interpreter
from nextpaint.process.kernels.warm import warm
from nextpaint.process.operators import choice
from nextpaint.process.operators.group import GroupAggregate
from nextpaint.process.operators.interval import IntervalJoin
from nextpaint.process.operators.over import OverAggregation
from nextpaint.process.operators.protocol import Operator, StepContext
from nextpaint.process.operators.session import SessionAggregation
from nextpaint.process.operators.temporal import TemporalJoin
from nextpaint.process.operators.window import WindowAggregation
from nextpaint.process.state import State
from nextpaint.record.columns import Batch, Column, RowColumn, TextColumn
from nextpaint.record.types import BIGINT, DOUBLE, STRING, TIMESTAMP, Field, Kind, Type, array
from nextpaint.record.views import Views
from nextpaint.sql import plan
from nextpaint.sql.plan import Aggregate, JoinKind, Scan, Schema, Window, WindowKind

USERS, ITEMS = 20_000, 2_000
DELAY_MS = 30_000
EVENTS_PER_SECOND = 200
TYPES = (STRING, STRING, DOUBLE, TIMESTAMP)
SLICE = 512
SNAPSHOT_ROWS = 1_024


def names(prefix: bytes, numbers: np.ndarray[Any, Any]) -> TextColumn:
    """Text of 16 bytes per number."""
    digits = numbers[:, None] // 10 ** np.arange(16 - len(prefix))[::-1] % 10 + 48
    body = np.concatenate([np.tile(np.frombuffer(prefix, np.uint8), (len(numbers), 1)), digits.astype(np.uint8)], 1)
    start = np.arange(len(numbers), dtype=np.int64) * 16
    return TextColumn(STRING, Views(body.ravel(), start, np.full(len(numbers), 16, np.int32)))


def schema(*aggregates: Aggregate, keys: tuple[Field, ...] = ()) -> Schema:
    return Schema((*keys, *(Field(f"a{at}", each.type) for at, each in enumerate(aggregates))))


CLICKS = Scan(Schema(tuple(Field(name, type_) for name, type_ in zip("uipt", TYPES, strict=True)), rowtime=3), "clicks")
PRICES = Scan(Schema((Field("i", STRING), Field("p", DOUBLE), Field("t", TIMESTAMP)), rowtime=2), "prices")
COUNT, SUM = Aggregate("COUNT", (), BIGINT), Aggregate("SUM", (2,), DOUBLE)
USER = (Field("u", STRING),)
BOUNDS = tuple(Field(name, TIMESTAMP) for name in ("window_start", "window_end", "window_time"))
MINUTE = 60_000

GROUP = plan.GroupAggregate(schema(COUNT, SUM, keys=USER), CLICKS, (0,), (COUNT, SUM))
OVER = plan.OverAggregate(
    schema(COUNT, keys=CLICKS.schema.fields), CLICKS, (0,), 3, "RANGE", 5 * MINUTE, (COUNT,)
)  # fmt: skip
HOP = plan.WindowAggregate(
    schema(COUNT, keys=(Field("i", STRING), *BOUNDS)), CLICKS, Window(WindowKind.HOP, 10 * MINUTE, MINUTE), 3, (1,),
    (COUNT,),
)  # fmt: skip
SESSION = plan.WindowAggregate(
    schema(COUNT, SUM, keys=(*USER, *BOUNDS)), CLICKS, Window(WindowKind.SESSION, 15 * MINUTE), 3, (0,), (COUNT, SUM)
)
TEMPORAL = plan.TemporalJoin(
    schema(keys=(*CLICKS.schema.fields, *PRICES.schema.fields)), CLICKS, PRICES, (1,), (0,), 3, 2, True
)
INTERVAL = plan.IntervalJoin(
    schema(keys=(*CLICKS.schema.fields, *PRICES.schema.fields)), CLICKS, PRICES, JoinKind.LEFT, (1,), (0,), 3, 2,
    -MINUTE, MINUTE,
)  # fmt: skip

ITEM = Type(Kind.ROW, fields=(Field("item", STRING), Field("t", TIMESTAMP)))
SHOWN = Scan(Schema((*CLICKS.schema.fields, Field("shown", ITEM)), rowtime=3), "shown")
HALF_LIFE = 10 * MINUTE
MEMBERS = (
    ("LAST_N", Aggregate("LAST_N", (4,), array(ITEM), parameter=500)),
    ("DECAYED_SUM", Aggregate("DECAYED_SUM", (2,), DOUBLE, parameter=HALF_LIFE)),
    ("COUNT(DISTINCT)", Aggregate("COUNT", (1,), BIGINT, distinct=True)),
    ("TOP_N_COUNTS", Aggregate("TOP_N_COUNTS", (1,), array(ITEM), parameter=50)),
)

Maker = Callable[[str, Any, Any, State], Operator]
OPERATORS: tuple[tuple[str, Any, Maker, Maker], ...] = (
    ("GROUP BY", GROUP, GroupAggregate, choice.group),
    ("OVER RANGE", OVER, OverAggregation, choice.over),
    ("HOP", HOP, WindowAggregation, choice.window),
    ("SESSION", SESSION, SessionAggregation, choice.session),
    ("temporal join", TEMPORAL, TemporalJoin, choice.temporal),
    ("interval join", INTERVAL, IntervalJoin, choice.interval),
)


def clicks(chance: np.random.Generator, size: int, first: int) -> Batch:
    """Clicks in the order they came in, up to 10 s late, a mark every quarter of a second of event time."""
    seq = np.arange(first, first + size, dtype=np.int64)
    clock = 1_000_000 + seq * 1_000 // EVENTS_PER_SECOND
    time_ = clock - np.where(chance.random(size) < 0.1, chance.integers(0, 10_000, size), 0)
    price = Column(DOUBLE, chance.integers(1, 100, size).astype(np.float64))
    users = np.minimum(chance.zipf(1.3, size) - 1, USERS - 1)
    columns = (names(b"user", users), names(b"item", chance.integers(0, ITEMS, size)), price, Column(TIMESTAMP, time_))
    marked = np.flatnonzero(np.diff(clock // 250, prepend=clock[0] // 250 - 1))
    return Batch(columns, np.zeros(size, np.int8), seq, seq[marked], clock[marked] - DELAY_MS)


def prices(clicked: Batch, chance: np.random.Generator) -> Batch:
    """A tenth as many price changes, at the seqs of clicks."""
    picked = np.sort(chance.choice(len(clicked), max(1, len(clicked) // 10), replace=False))
    time_ = 1_000_000 + clicked.seq[picked] * 1_000 // EVENTS_PER_SECOND
    columns = (
        names(b"item", chance.integers(0, ITEMS, len(picked))),
        Column(DOUBLE, chance.random(len(picked))),
        Column(TIMESTAMP, time_),
    )
    kinds = np.zeros(len(picked), np.int8)
    return Batch(columns, kinds, clicked.seq[picked], clicked.mark_seq, clicked.mark_wm)


def fed(node: Any, events: int, batch: int) -> Iterator[tuple[Batch, ...]]:
    chance = np.random.default_rng(7)
    for first in range(0, events, batch):
        made = clicks(chance, min(batch, events - first), first)
        yield (made, prices(made, chance)) if node in (TEMPORAL, INTERVAL) else (made,)


def cpu_us(make: Maker, node: Any, events: int, batch: int) -> float:
    """CPU microseconds per event."""
    operator = make("bench/1", node, _sources(), State())
    spent = 0
    for batches in list(fed(node, events, batch)):
        context = StepContext(batches[0].seq, batches[0].seq)
        before = time.thread_time_ns()
        operator.step(batches, context)
        spent += time.thread_time_ns() - before
    return spent / events / 1_000


class _Nothing(Operator):
    def step(self, inputs: Any, context: StepContext) -> Batch:
        raise AssertionError


def _sources() -> list[Operator]:
    return [_Nothing("clicks", TYPES), _Nothing("prices", PRICES.schema.types)]


def operators(events: int) -> None:
    print(f"{'operator, CPU us per event':28}{'batch':>8}{'general':>10}{'typed':>10}{'k/CPU-s':>10}")
    for name, node, general, typed in OPERATORS:
        for batch in (1, 10, 100, 2_000):
            count = max(200, min(events, events * batch // 100))
            row, kernel = cpu_us(general, node, count, batch), cpu_us(typed, node, count, batch)
            print(f"  {name:26}{batch:>8}{row:>10.2f}{kernel:>10.2f}{1_000 / kernel:>10.0f}")
            if batch in (1, 2_000):
                print_ratio(f"{name} general/typed at {batch}", row, kernel, f"{count} events")


def members_us(make: Maker, aggregate: Aggregate, held: int, events: int) -> float:
    """CPU microseconds per event in batches of 20, when 20 groups have `held` values each; for LAST_N `held` is n."""
    given = replace(aggregate, parameter=held) if aggregate.function == "LAST_N" else aggregate
    node = plan.GroupAggregate(schema(given, keys=USER), SHOWN, (0,), (given,))
    operator = make("bench/1", node, _sources(), State())
    filled, spent = 20 * held, 0
    for first in range(0, filled + events, 20):
        seq = np.arange(first, first + 20, dtype=np.int64)
        users, items = names(b"user", seq % 20), names(b"item", seq // 20 % held)
        time_ = Column(TIMESTAMP, 1_000_000 + seq)
        fields = (items, time_)
        shown = RowColumn(ITEM, 20, fields.__getitem__, None)
        batch = Batch((users, items, Column(DOUBLE, np.ones(20)), time_, shown), np.zeros(20, np.int8), seq)
        before = time.thread_time_ns()
        operator.step((batch,), StepContext(seq, seq))
        spent += time.thread_time_ns() - before if first >= filled else 0
    return spent / events / 1_000


def quiet_general(*given: Any) -> GroupAggregate:
    made = GroupAggregate(*given)
    made.keys_only = True
    return made


def quiet_typed(*given: Any) -> GroupAggregate:
    return choice.group(*given, quiet=True)


def members(events: int) -> None:
    heads = "".join(f"{each:>14}" for each in ("general 10", "general 500", "typed 10", "typed 500"))
    print(f"\n{'values in a group, CPU us per event':36}{heads}")
    for name, aggregate in MEMBERS:
        makers = (quiet_general, quiet_typed)
        made = [members_us(each, aggregate, held, events) for each in makers for held in (10, 500)]
        print(f"  {name:34}" + "".join(f"{each:>14.2f}" for each in made))
        print_ratio(f"{name} 500/10 values", made[3], made[2], "CPU per event")


@dataclass
class Grown:
    """Cost at a number of keys."""

    keys: int
    growing_us: float
    after_us: float
    bytes_per_key: float
    rss_per_key: float
    slices_ms: list[float]
    snapshots: int


def rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def grow(keys: int) -> Grown:
    """All keys once in random order, then as many events over random keys; a snapshot runs at any time."""
    state = State()
    operator = choice.group("bench/1", GROUP, _sources(), state)
    chance = np.random.default_rng(1)
    order = chance.permutation(keys)
    later = chance.integers(0, keys, min(keys, 1_000_000))
    at_first = rss()
    slices: list[float] = []
    snapshot, snapshots = state.snapshot(), 0
    spent = [0, 0]
    for phase, numbers in enumerate((order, later)):
        for first in range(0, len(numbers), SLICE):
            part = numbers[first : first + SLICE]
            columns = (names(b"user", part), names(b"item", part), Column(DOUBLE, np.ones(len(part))))
            time_ = Column(TIMESTAMP, np.zeros(len(part), np.int64))
            seq = np.arange(first, first + len(part), dtype=np.int64)
            batch = Batch((*columns, time_), np.zeros(len(part), np.int8), seq)
            before = time.thread_time_ns()
            operator.step((batch,), StepContext(seq, seq))
            took = time.thread_time_ns() - before
            spent[phase] += took
            slices.append(took / 1e6)
            before = time.thread_time_ns()
            if snapshot.done:
                snapshot, snapshots = state.snapshot(), snapshots + 1
            else:
                snapshot.slice(SNAPSHOT_ROWS)
            slices.append((time.thread_time_ns() - before) / 1e6)
    held = sum(cell.size_bytes() for cell in state.cells.values())
    used = rss() - at_first
    return Grown(
        keys, spent[0] / keys / 1e3, spent[1] / len(later) / 1e3, held / keys, used / keys, sorted(slices), snapshots
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="5 M keys as well")
    parser.add_argument("--events", type=int, default=40_000, help="events per operator")
    parser.add_argument("--keys", type=int, default=1_000_000, help="the most keys to grow to without --full")
    options = parser.parse_args(argv)
    warm()
    operators(options.events)
    members(options.events)
    heads = f"{'keys':>10}{'growing us':>12}{'after us':>10}{'bytes/key':>11}{'RSS/key':>9}"
    print(f"\n{heads}{'p99.9 ms':>10}{'max ms':>8}")
    interpreter.prepare()  # as a node does: a full collection of garbage would be somebody's slice
    sizes = [each for each in (10_000, 100_000, 1_000_000) if each <= options.keys]
    made = [grow(keys) for keys in ([*sizes, 5_000_000] if options.full else sizes)]
    for each in made:
        high = each.slices_ms[int(len(each.slices_ms) * 0.999)]
        print(
            f"{each.keys:>10}{each.growing_us:>12.2f}{each.after_us:>10.2f}{each.bytes_per_key:>11.0f}"
            f"{each.rss_per_key:>9.0f}{high:>10.2f}{each.slices_ms[-1]:>8.2f}  {each.snapshots} snapshots"
        )
    if len(made) > 1:
        few, many = made[0], made[-1]
        print_ratio("CPU per event, most keys / fewest", many.after_us, few.after_us, f"{many.keys} / {few.keys} keys")
        print_ratio("bytes per key, most keys / fewest", many.bytes_per_key, few.bytes_per_key, "rows, index, strings")


if __name__ == "__main__":
    main(sys.argv[1:])
