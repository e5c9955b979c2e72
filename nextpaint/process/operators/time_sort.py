"""ORDER BY of a stream: rows wait for the watermark and leave in order of time, then of the further keys.

Rows at or behind the watermark are late: what comes after them has left already.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

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
from nextpaint.process.ranking import Order, order_by
from nextpaint.process.state import State, frozen
from nextpaint.record.columns import INSERT, Batch
from nextpaint.sql.plan import TimeSort


class SortByTime(Operator):
    """State: `held`, (seq, ordinal) -> row. Derived: a heap of held rows by their order."""

    waits = frozenset({"held"})

    def __init__(self, identity: str, node: TimeSort, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._time = node.keys[0].index
        self._nested = any(each.is_nested for each in self.types)
        self._order = order_by(node.keys, node.input.schema.types)
        self._held = state.cell(identity, "held", decimals=any(each.has_decimals for each in self.types))
        self._clock = EventClock(state, identity, 1)
        self._source = sources[0]
        self._due: list[tuple[int, Order, int, int]] = []
        self._last_seq, self._ordinal = -1, 0

    def restore(self) -> None:
        self._clock.restore()
        self._due = [self._entry(row, seq, ordinal) for (seq, ordinal), row in self._held.items()]
        heapq.heapify(self._due)

    def _entry(self, row: Row, seq: int, ordinal: int) -> tuple[int, Order, int, int]:
        return (row[self._time], self._order(row), seq, ordinal)  # type: ignore[return-value]

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        rows = batch.rows()
        for what, value, seq in in_order(batch):
            if what == ROW:
                self._take(frozen(rows[value]) if self._nested else rows[value], seq)
            elif self._clock.advance(0, value):
                while self._due and self._due[0][0] <= self._clock.watermark:
                    *_, held_seq, ordinal = heapq.heappop(self._due)
                    out.add(INSERT, seq, self._held.pop((held_seq, ordinal)))
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _take(self, row: Row, seq: int) -> None:
        time = row[self._time]
        if not isinstance(time, int) or time <= self._clock.watermark:
            self.late += 1
            return
        self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
        self._last_seq = seq
        self._held.put((seq, self._ordinal), row)
        heapq.heappush(self._due, self._entry(row, seq, self._ordinal))

    @property
    def held(self) -> int:
        return len(self._held)

    def next_timer(self) -> int | None:
        return self._due[0][0] if self._due else None

    def pending(self, select: Select, as_of: int) -> list[Change]:
        rows = [self._held.get((seq, ordinal)) for *_, seq, ordinal in sorted(self._due)]
        coming = [
            change.row
            for change in self._source.pending(select, as_of)
            if isinstance(change.row[self._time], int) and change.row[self._time] > self._clock.watermark  # type: ignore[operator]
        ]
        wanted = [row for row in (*rows, *coming) if all(row[at] == value for at, value in select.items())]
        return [Change(INSERT, row) for row in wanted]
