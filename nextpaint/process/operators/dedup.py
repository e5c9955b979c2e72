"""Deduplication: the first or the last row of each key, by event time or by arrival.

The first by event time is final: it waits until the watermark has passed it, and rows at or behind the watermark are
late. The last by event time is told at once and updated; a row older than the one kept is passed over, an equal time
replaces. By arrival the first is told once, the last is updated by every row.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from nextpaint.process.expiry import Expiry, bounded
from nextpaint.process.operators.protocol import (
    ROW,
    Change,
    DeadRow,
    EventClock,
    Operator,
    Output,
    Row,
    Select,
    StepContext,
    moments,
)
from nextpaint.process.state import Cell, State, frozen
from nextpaint.record.columns import INSERT, UPDATE_AFTER, UPDATE_BEFORE, Batch
from nextpaint.sql.plan import Deduplicate

_RANK = (1,)


class LastRow(Operator):
    """State: `kept`, key -> row."""

    def __init__(self, identity: str, node: Deduplicate, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self.partition = node.partition
        self._time = node.time
        self._nested = any(each.is_nested for each in self.types)
        decimals = any(each.has_decimals for each in self.types)
        self._kept = self._made(node, state)
        self._expiry = Expiry(identity, node.ttl_ms, decimals, state) if node.ttl_ms else None
        self._source = sources[0]

    def _made(self, node: Deduplicate, state: State) -> Cell:
        return state.cell(self.id, "kept", decimals=any(each.has_decimals for each in self.types))

    def restore(self) -> None:
        if self._expiry is not None:
            self._expiry.restore()

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        for row, seq, at_ms in zip(batch.rows(), batch.seq.tolist(), context.at(batch.seq).tolist(), strict=True):
            held = frozen(row) if self._nested else row
            key = tuple([held[index] for index in self.partition])
            _expire(self._expiry, self._kept, at_ms)
            stored: Row | None = self._kept.get(key)
            if self._replaces(stored, held):
                self._kept.put(key, held)
                if self._expiry is not None:
                    self._expiry.write(key, at_ms)
                for change in _replacement(stored, held):
                    out.add(change.kind, seq, change.row)
        return out.batch(batch.mark_seq, batch.mark_wm)

    @property
    def bound(self) -> str:
        return bounded("the last row per key", self._expiry)

    def _replaces(self, stored: Row | None, row: Row) -> bool:
        if self._time is None:
            return stored != row
        time = row[self._time]
        if not isinstance(time, int):
            return False
        return stored is None or (stored != row and stored[self._time] <= time)  # type: ignore[operator]

    def pending(self, select: Select, as_of: int) -> list[Change]:
        wanted = {column: value for column, value in select.items() if column in self.partition}
        touched: dict[Row, Row] = {}
        for change in self._source.pending(wanted, as_of):
            row = frozen(change.row)
            key = tuple([row[index] for index in self.partition])
            if self._replaces(touched.get(key, self._kept.get(key)), row):
                touched[key] = row
        return [change for key, row in touched.items() for change in _replacement(self._kept.get(key), row)]


def _expire(expiry: Expiry | None, cell: Cell, now_ms: int) -> None:
    """Forget keys that were not written for the time to live."""
    if expiry is not None:
        for gone in expiry.expired(now_ms):
            cell.pop(gone)


def _replacement(stored: Row | None, row: Row) -> list[Change]:
    if stored is None:
        return [Change(INSERT, row + _RANK)]
    return [Change(UPDATE_BEFORE, stored + _RANK), Change(UPDATE_AFTER, row + _RANK)]


class FirstArrival(Operator):
    """State: `seen`, key -> 1."""

    def __init__(self, identity: str, node: Deduplicate, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self.partition = node.partition
        decimals = any(each.has_decimals for each in self.types)
        self._seen = self._made(node, state)
        self._buries = node.buries
        self._expiry = Expiry(identity, node.ttl_ms, decimals, state) if node.ttl_ms else None
        self._source = sources[0]

    def _made(self, node: Deduplicate, state: State) -> Cell:
        return state.cell(self.id, "seen", decimals=any(each.has_decimals for each in self.types))

    def restore(self) -> None:
        if self._expiry is not None:
            self._expiry.restore()

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        for row, seq, at_ms in zip(batch.rows(), batch.seq.tolist(), context.at(batch.seq).tolist(), strict=True):
            key = tuple([row[index] for index in self.partition])
            _expire(self._expiry, self._seen, at_ms)
            if key not in self._seen:
                self._seen.put(key, 1)
                if self._expiry is not None:
                    self._expiry.write(key, at_ms)
                out.add(INSERT, seq, row + _RANK)
            elif self._buries:
                context.dead.append(DeadRow(seq, self.id, self._buries, row))
        return out.batch(batch.mark_seq, batch.mark_wm)

    @property
    def bound(self) -> str:
        return bounded("the keys seen", self._expiry)

    def pending(self, select: Select, as_of: int) -> list[Change]:
        wanted = {column: value for column, value in select.items() if column in self.partition}
        found: dict[Row, Change] = {}
        for change in self._source.pending(wanted, as_of):
            key = tuple([change.row[index] for index in self.partition])
            if key not in self._seen:
                found.setdefault(key, Change(INSERT, change.row + _RANK))
        return list(found.values())


class FirstRow(Operator):
    """State: `held`, key -> (time, seq, ordinal, row), the earliest row so far; `told`, key -> 1. Derived: a heap of
    held rows by time, with entries of rows that an earlier one has replaced."""

    waits = frozenset({"held"})

    def __init__(self, identity: str, node: Deduplicate, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        assert node.time is not None
        self.partition = node.partition
        self._time = node.time
        self._nested = any(each.is_nested for each in self.types)
        decimals = any(each.has_decimals for each in self.types)
        self._held = state.cell(identity, "held", decimals=decimals)
        self._told = state.cell(identity, "told", decimals=decimals)
        self._clock = EventClock(state, identity, 1)
        self._source = sources[0]
        self._due: list[tuple[int, int, int, Row]] = []  # time, seq, ordinal, key: the first three are unique
        self._last_seq, self._ordinal = -1, 0

    def restore(self) -> None:
        self._clock.restore()
        self._due = [(time, seq, ordinal, key) for key, (time, seq, ordinal, _) in self._held.items()]
        heapq.heapify(self._due)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        rows = batch.rows()
        for what, _, value, seq in moments(inputs, self._clock, self._clock.risen(inputs), self.next_timer):
            if what == ROW:
                self._take(frozen(rows[value]) if self._nested else rows[value], seq)
            else:
                self._fire(out, seq)
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _take(self, row: Row, seq: int) -> None:
        time = row[self._time]
        key = tuple([row[index] for index in self.partition])
        if not isinstance(time, int) or time <= self._clock.watermark:
            self.late += 1
            return
        self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
        self._last_seq = seq
        held = self._held.get(key)
        if key in self._told or (held is not None and held[0] <= time):
            return
        self._held.put(key, (time, seq, self._ordinal, row))
        heapq.heappush(self._due, (time, seq, self._ordinal, key))

    def _fire(self, out: Output, seq: int) -> None:
        while self._due and self._due[0][0] <= self._clock.watermark:
            *place, key = heapq.heappop(self._due)
            held = self._held.get(key)
            if held is not None and list(held[:3]) == place:
                self._held.pop(key)
                self._told.put(key, 1)
                out.add(INSERT, seq, held[3] + _RANK)

    @property
    def bound(self) -> str:
        return "the keys seen, for ever"

    @property
    def held(self) -> int:
        return len(self._held)

    def next_timer(self) -> int | None:
        return self._due[0][0] if self._due else None

    def pending(self, select: Select, as_of: int) -> list[Change]:
        wanted = {column: value for column, value in select.items() if column in self.partition}
        found: dict[Row, tuple[int, Row]] = {}
        keys = [key for key, _ in self._held.items()]
        if len(wanted) == len(self.partition):
            keys = [tuple([wanted[column] for column in self.partition])]
        for key in keys:
            held = self._held.get(key)
            if held is not None and all(held[3][column] == value for column, value in wanted.items()):
                found[key] = (held[0], held[3])
        for change in self._source.pending(wanted, as_of):
            time = change.row[self._time]
            key = tuple([change.row[index] for index in self.partition])
            if not isinstance(time, int) or time <= self._clock.watermark or key in self._told:
                continue
            if key not in found or time < found[key][0]:
                found[key] = (time, change.row)
        return [Change(INSERT, row + _RANK) for _, row in sorted(found.values(), key=lambda each: each[0])]
