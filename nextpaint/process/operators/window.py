"""TUMBLE, HOP and CUMULATE aggregation: one accumulator per window and key, emitted once when the watermark passes.

A row is late only when all its windows have fired (`watermark >= window_end - 1`); a late row still counts in those
of its windows that are open. Empty windows emit nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

import msgspec

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
    moments,
)
from nextpaint.process.state import Cell, State
from nextpaint.process.window_times import WindowTimes
from nextpaint.record.columns import INSERT, Batch
from nextpaint.sql.plan import Window, WindowAggregate, WindowedAggregate, WindowKind

Held = tuple[object, ...]  # what a window holds: its accumulators

_sortable = msgspec.msgpack.Encoder(decimal_format="string").encode


def windows_of(window: Window, time_ms: int) -> Iterator[tuple[int, int]]:
    """(start, end) of every window that holds a time, in order of end. Lengths in ms; see Flink's TimeWindowUtil."""
    size, offset = window.size, window.offset
    if window.kind is WindowKind.TUMBLE:
        start = time_ms - (time_ms - offset) % size
        yield start, start + size
        return
    if window.kind is WindowKind.CUMULATE:
        start = time_ms - (time_ms - offset) % size
        first = start + ((time_ms - start) // window.step + 1) * window.step
        for end in range(first, start + size + 1, window.step):
            yield start, end
        return
    last = time_ms - (time_ms - offset) % window.step
    first = last - (size - 1 - (time_ms - last)) // window.step * window.step if size > time_ms - last else last + 1
    for start in range(first, last + 1, window.step):
        yield start, start + size


class WindowAggregation(Operator):
    """State: `windows`, (end, start, *key) -> accumulators. Derived: a heap of window ends."""

    def __init__(
        self, identity: str, node: WindowAggregate | WindowedAggregate, sources: Sequence[Operator], state: State
    ) -> None:
        super().__init__(identity, node.schema.types)
        self._node = node
        self.keys = node.keys
        time = node.time if isinstance(node, WindowAggregate) else node.input.schema.rowtime
        self._accumulators = Accumulators(node.aggregates, node.input.schema.types, time)
        self._windows = self._made(node, state)
        self._clock = EventClock(state, identity, 1)
        self._source = sources[0]
        self._times = WindowTimes(node.window.zone if isinstance(node, WindowAggregate) else node.zone)
        self._by_end: dict[int, list[Row]] = {}
        self._ends: list[int] = []

    def _made(self, node: WindowAggregate | WindowedAggregate, state: State) -> Cell:
        return state.cell(self.id, "windows", decimals=any(each.has_decimals for each in self.types))

    def restore(self) -> None:
        self._clock.restore()
        self._by_end, self._ends = {}, []
        for key, _ in self._windows.items():
            self._remember(key)

    def _remember(self, key: Row) -> None:
        end: int = key[0]  # type: ignore[assignment]
        if end not in self._by_end:
            self._by_end[end] = []
            heapq.heappush(self._ends, end)
        self._by_end[end].append(key)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        out = Output(self.nothing)
        rows, kinds = batch.rows(), batch.kind.tolist()
        self._accumulators.reasons.clear()  # those of readings are nobody's rows
        for what, _, value, seq in moments(inputs, self._clock, self._clock.risen(inputs), self.next_timer):
            if what == ROW:
                self._take(Change(kinds[value], rows[value]))
                if self._accumulators.reasons:
                    self._accumulators.report(context, seq, self.id, rows[value])
            else:
                self._fire(out, seq, context)
        return out.batch(batch.mark_seq, batch.mark_wm)

    def _windows_of(self, row: Row) -> Iterable[tuple[int, int]]:
        """(start, end) of the row's windows; none without event time."""
        node = self._node
        if isinstance(node, WindowedAggregate):
            return ((row[node.start], row[node.end]),)  # type: ignore[return-value]
        time = self._times.local(row[node.time])
        return windows_of(node.window, time) if time is not None else ()

    def _take(self, change: Change) -> None:
        group = tuple(change.row[index] for index in self._node.keys)
        counted = False
        for start, end in self._windows_of(change.row):
            if self._times.fires(end) <= self._clock.watermark:
                continue
            key = (end, start, *group)
            held = self._windows.get(key)
            if held is None:
                self._remember(key)
            self._windows.put(key, self._folded(key, held, change))
            counted = True
        self.late += not counted

    def _fire(self, out: Output, seq: int, context: StepContext) -> None:
        while self._ends and self._times.fires(self._ends[0]) <= self._clock.watermark:
            end = heapq.heappop(self._ends)
            for key in sorted(self._by_end.pop(end), key=_sortable):
                row = self._closed(key, self._windows.pop(key))
                if row is None:
                    continue
                out.add(INSERT, seq, row)
                if self._accumulators.reasons:
                    self._accumulators.report(context, seq, self.id, row)

    def _folded(self, key: Row, held: Held | None, change: Change) -> Held:
        """What a window holds with a row more."""
        return self._accumulators.add(held if held is not None else self._accumulators.zero, change.row)

    def _looked_at(self, key: Row, held: Held | None, change: Change, seen: dict[Row, object]) -> Held:
        """The same for a reading, which changes nothing; `seen` is the reading's own."""
        return self._folded(key, held, change)

    def _closed(self, key: Row, held: Held) -> Row | None:
        """The row of a window that is over."""
        return self._shown(key, held)

    def _shown(self, key: Row, held: Held) -> Row | None:
        return self._result(key, held)

    def _result(self, key: Row, accs: tuple[object, ...]) -> Row:
        start, group = key[1], key[2:]
        end: int = key[0]  # type: ignore[assignment]
        return (*group, start, end, self._times.instant(end - 1), *self._accumulators.results(accs))

    def next_timer(self) -> int | None:
        return self._times.fires(self._ends[0]) if self._ends else None

    def _opened(self, positions: Select) -> dict[Row, Held]:
        """What the open windows hold, of the groups that have these values at these places."""
        return {
            key: accs
            for key, accs in self._windows.items()
            if all(key[2 + column] == value for column, value in positions.items())
        }

    def pending(self, select: Select, as_of: int) -> list[Change]:
        """Open windows of the groups asked, with rows still held upstream added."""
        positions = {column: value for column, value in select.items() if column < len(self._node.keys)}
        open_windows = self._opened(positions)
        wanted = {self._node.keys[column]: value for column, value in positions.items()}
        seen: dict[Row, object] = {}
        for change in self._source.pending(wanted, as_of):
            group = tuple(change.row[index] for index in self._node.keys)
            for start, end in self._windows_of(change.row):
                if self._times.fires(end) > self._clock.watermark:
                    key = (end, start, *group)
                    open_windows[key] = self._looked_at(key, open_windows.get(key), change, seen)
        rows = [self._shown(key, open_windows[key]) for key in sorted(open_windows, key=_sortable)]
        return [Change(INSERT, row) for row in rows if row is not None]
