"""OVER aggregation: one row out per row in, in event-time order, append-only.

Rows wait until the watermark reaches their time and are then handled in (time, arrival) order. RANGE frames: peers
(same key and time) are all added before any is emitted. Late rule, as Flink: a bounded frame drops a row only when
its key already fired that time or a later one; an unbounded frame drops every row at or behind the watermark.

As of a time, a bounded RANGE frame is recounted over (t - range, t] from the rows it keeps and holds, so it falls to
zero without a new event.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Protocol

from nextpaint.process.aggregates import Accumulators
from nextpaint.process.operators.protocol import (
    ROW,
    Change,
    EventClock,
    Operator,
    Output,
    Row,
    Select,
    StepContext,
    in_order,
)
from nextpaint.process.state import State
from nextpaint.record.columns import INSERT, Batch, Value
from nextpaint.sql.plan import OverAggregate

Held = tuple[int, int, int]  # time, seq, ordinal: the order rows are handled in
Frame = tuple[int, tuple[tuple[int, Row], ...], tuple[object, ...]]  # last fired time, kept rows, accumulators


class FrameTable(Protocol):
    """Frames by partition."""

    def get(self, partition: Row) -> Frame | None: ...
    def put(self, partition: Row, frame: Frame) -> None: ...


class _Tried:
    """Frames with changes that are only tried: a live reading fires what is held, and the state stays."""

    def __init__(self, frames: FrameTable) -> None:
        self._frames = frames
        self._changed: dict[Row, Frame] = {}

    def get(self, partition: Row) -> Frame | None:
        changed = self._changed.get(partition)
        return changed if changed is not None else self._frames.get(partition)

    def put(self, partition: Row, frame: Frame) -> None:
        self._changed[partition] = frame


class OverAggregation(Operator):
    """State: `held`, (time, seq, ordinal) -> row not fired yet; `frames`, partition -> Frame. A bounded frame keeps
    rows, an unbounded one keeps accumulators. Derived: heaps of held rows and of frames to clean, held rows by
    partition."""

    waits = frozenset({"held"})

    def __init__(self, identity: str, node: OverAggregate, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self.node = node
        self.partition = node.partition
        self._range = node.preceding if node.unit == "RANGE" else None
        self._rows = node.preceding if node.unit == "ROWS" else None
        self._accumulators = Accumulators(node.aggregates, node.input.schema.types, node.order)
        self._cells(state)
        self._clock = EventClock(state, identity, 1)
        self._source = sources[0]
        self._due: list[Held] = []
        self._by_partition: dict[Row, list[Held]] = {}
        self._clean: list[tuple[int, _Ordered]] = []
        self._last_seq, self._ordinal = -1, 0

    def _cells(self, state: State) -> None:
        decimals = any(each.has_decimals for each in self.types)
        self._held = state.cell(self.id, "held", decimals=decimals)
        self._frames = state.cell(self.id, "frames", decimals=decimals)

    @property
    def bounded(self) -> bool:
        return self.node.preceding is not None

    def restore(self) -> None:
        self._clock.restore()
        self._due, self._by_partition, self._clean = [], {}, []
        for held, row in self._held.items():
            self._index(held, row)
        for partition, (last, _, _) in self._frames.items():
            self._arm_cleaning(last, partition)

    def _partition(self, row: Row) -> Row:
        return tuple(row[index] for index in self.node.partition)

    def _index(self, held: Held, row: Row) -> None:
        heapq.heappush(self._due, held)
        self._by_partition.setdefault(self._partition(row), []).append(held)

    def _arm_cleaning(self, last: int, partition: Row) -> None:
        if self._range is not None:
            heapq.heappush(self._clean, (last + self._range + self._range // 2, _Ordered(partition)))

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        rows = batch.rows()
        for what, value, seq in in_order(batch):
            if what == ROW:
                self._take(rows[value], seq)
            elif self._clock.advance(0, value):
                self._accumulators.reasons.clear()  # those of readings are nobody's rows
                self._fire(out, seq, context)
                self._forget()
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _take(self, row: Row, seq: int) -> None:
        time = row[self.node.order]
        if not isinstance(time, int) or self._is_late(time, self._partition(row)):
            self.late += 1
            return
        self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
        self._last_seq = seq
        held = (time, seq, self._ordinal)
        self._held.put(held, row)
        self._index(held, row)

    def _is_late(self, time: int, partition: Row) -> bool:
        if not self.bounded:
            return time <= self._clock.watermark
        frame: Frame | None = self._frames.get(partition)
        return frame is not None and time <= frame[0]

    def _fire(self, out: Output, seq: int, context: StepContext) -> None:
        due: list[tuple[Held, Row]] = []
        while self._due and self._due[0][0] <= self._clock.watermark:
            held = heapq.heappop(self._due)
            row: Row = self._held.pop(held)
            self._unindex(held, self._partition(row))
            due.append((held, row))
        for _, same_time in groupby(due, key=lambda each: each[0][0]):
            peers = list(same_time)
            for row, results in self._fired(peers, self._frames):
                out.add(INSERT, seq, row + results)
                if self._accumulators.reasons:
                    self._accumulators.report(context, seq, self.id, row)
            for partition in {self._partition(row): None for _, row in peers} if self._range is not None else ():
                self._arm_cleaning(peers[0][0][0], partition)

    def _unindex(self, held: Held, partition: Row) -> None:
        waiting = self._by_partition[partition]
        waiting.remove(held)
        if not waiting:
            del self._by_partition[partition]

    def _fired(self, peers: list[tuple[Held, Row]], frames: FrameTable) -> list[tuple[Row, tuple[Value, ...]]]:
        """Rows of one time with their results, in arrival order."""
        time = peers[0][0][0]
        if self.node.unit == "ROWS":
            return [(row, self._advanced(frames, self._partition(row), time, [row])) for _, row in peers]
        by_partition: dict[Row, list[Row]] = {}
        for _, row in peers:
            by_partition.setdefault(self._partition(row), []).append(row)
        results = {each: self._advanced(frames, each, time, rows) for each, rows in by_partition.items()}
        return [(row, results[self._partition(row)]) for _, row in peers]

    def _advanced(self, frames: FrameTable, partition: Row, time: int, rows: list[Row]) -> tuple[Value, ...]:
        """Add rows of one time to a frame; gives the results at that time."""
        _, kept, accs = frames.get(partition) or (0, (), self._accumulators.zero)
        if not self.bounded:
            for row in rows:
                accs = self._accumulators.add(accs, row)
            frames.put(partition, (time, (), accs))
            return self._accumulators.results(accs, time)
        kept = (*kept, *((time, row) for row in rows))
        if self._range is not None:
            kept = tuple(each for each in kept if each[0] >= time - self._range)
        else:
            kept = kept[-(self._rows or 0) - 1 :]
        frames.put(partition, (time, kept, ()))
        return self._over(kept, time)

    def _over(self, kept: Sequence[tuple[int, Row]], as_of: int | None) -> tuple[Value, ...]:
        accs = self._accumulators.zero
        for _, row in kept:
            accs = self._accumulators.add(accs, row)
        return self._accumulators.results(accs, as_of)

    def _forget(self) -> None:
        """Drop frames that no row can reach any more, half a range later than needed and, as in Flink, not while a row
        of the key waits."""
        while self._clean and self._clean[0][0] <= self._clock.watermark:
            due, ordered = heapq.heappop(self._clean)
            partition = ordered.row
            if partition in self._by_partition:
                continue  # its rows arm the cleaning again when they fire
            frame: Frame | None = self._frames.get(partition)
            if frame is not None and self._range is not None and frame[0] + self._range + self._range // 2 == due:
                self._frames.pop(partition)

    @property
    def held(self) -> int:
        return len(self._held)

    def next_timer(self) -> int | None:
        return self._due[0][0] if self._due else None

    # ------------------------------------------------------------ live

    def _waiting(self, select: Select, as_of: int) -> list[tuple[Held, Row]]:
        """Rows not fired yet that match, in the order they would fire, rows still held upstream included."""
        columns = {column: value for column, value in select.items() if column < len(self._source.types)}
        if any(index not in columns for index in self.node.partition):
            columns = {index: columns[index] for index in self.node.partition if index in columns}
            held = self.held_rows()
            waiting = [(each, row) for each, row in held if all(row[at] == value for at, value in columns.items())]
        else:
            partition = tuple(columns[index] for index in self.node.partition)
            waiting = self._held_of(partition)
            columns = dict(zip(self.node.partition, partition, strict=True))
        for ordinal, change in enumerate(self._source.pending(columns, as_of)):
            time = change.row[self.node.order]
            if isinstance(time, int) and not self._is_late(time, self._partition(change.row)):
                waiting.append(((time, 2**63, ordinal), change.row))
        return sorted(waiting, key=lambda each: each[0])

    def held_rows(self) -> Iterable[tuple[Held, Row]]:
        """Rows that have not fired."""
        return self._held.items()

    def _held_of(self, partition: Row) -> list[tuple[Held, Row]]:
        """Those of one partition."""
        return [(each, self._held.get(each)) for each in self._by_partition.get(partition, ())]

    def pending(self, select: Select, as_of: int) -> list[Change]:
        waiting = self._waiting(select, as_of)
        if not waiting:
            return []
        frames, changes = _Tried(self._frames), list[Change]()
        for _, same_time in groupby(waiting, key=lambda each: each[0][0]):
            changes += [Change(INSERT, row + results) for row, results in self._fired(list(same_time), frames)]
        return changes

    def recounted(self, partition: Row, as_of: int) -> tuple[Value, ...]:
        """The aggregates of a bounded RANGE frame over (as_of - range, as_of], held rows included."""
        assert self._range is not None, "only RANGE frames recount"
        select = dict(zip(self.node.partition, partition, strict=True))
        frame: Frame | None = self._frames.get(partition)
        rows = list(frame[1]) if frame is not None else []
        rows += [(held[0], row) for held, row in self._waiting(select, as_of)]
        return self._over([each for each in rows if as_of - self._range < each[0] <= as_of], as_of)

    @property
    def recounts(self) -> bool:
        return self._range is not None


class _Ordered:
    """A partition key in a heap: ties of time need an order, any order, that never compares the key itself."""

    __slots__ = ("row",)

    def __init__(self, row: Row) -> None:
        self.row = row

    def __lt__(self, other: object) -> bool:
        return False
