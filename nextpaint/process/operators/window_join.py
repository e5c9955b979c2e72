"""Window joins: rows of both sides that carry the same window, joined by key when the watermark passes its end.

INNER, LEFT, RIGHT, FULL, SEMI and ANTI. A row is late when its window has fired. The result is append-only: what is
unmatched at the end of its window is padded once and for all.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from nextpaint.process.operators.condition import Condition
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
from nextpaint.process.operators.sides import side_columns
from nextpaint.process.state import State, frozen
from nextpaint.process.window_times import WindowTimes
from nextpaint.record.columns import INSERT, Batch
from nextpaint.sql.plan import JoinKind
from nextpaint.sql.plan import WindowJoin as WindowJoinNode

LEFT, RIGHT = 0, 1
Sides = tuple[list[Row], list[Row]]


class WindowJoin(Operator):
    """State: `rows`, (end, start, side, seq, ordinal) -> row. Derived: places by window, and a heap of window ends."""

    waits = frozenset({"rows", "typed_left", "typed_right"})

    def __init__(self, identity: str, node: WindowJoinNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self.node = node
        inputs = (node.left.schema, node.right.schema)
        joined = (*inputs[LEFT].types, *inputs[RIGHT].types)
        self._keys, self._bounds = (node.left_keys, node.right_keys), (node.left_window, node.right_window)
        self._padding = tuple((None,) * len(each.fields) for each in inputs)
        self._nested = tuple(any(type_.is_nested for type_ in each.types) for each in inputs)
        self._condition = Condition(node.residual, joined, identity)
        self._made(state)
        self._times = WindowTimes(node.zone)
        self._clock = EventClock(state, identity, 2)
        self._sources = tuple(sources)
        self._last_seq, self._ordinal = -1, 0
        self._windows: dict[int, list[tuple[int, int, int, int, int]]] = {}  # by end
        self._ends: list[int] = []

    def _made(self, state: State) -> None:
        """Make the cells."""
        types = (*self.node.left.schema.types, *self.node.right.schema.types)
        self._rows = state.cell(self.id, "rows", decimals=any(each.has_decimals for each in types))

    def restore(self) -> None:
        self._clock.restore()
        self._windows, self._ends = {}, []
        for place, _ in self._rows.items():
            self._remember(place)

    def _remember(self, place: tuple[int, int, int, int, int]) -> None:
        if place[0] not in self._windows:
            self._windows[place[0]] = []
            heapq.heappush(self._ends, place[0])
        self._windows[place[0]].append(place)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        out = Output(self.nothing)
        rows = [batch.rows() for batch in inputs]
        risen = self._clock.risen(inputs)
        for what, port, value, seq in moments(inputs, self._clock, risen, self.next_timer):
            if what == ROW:
                self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
                self._last_seq = seq
                self._take(port, frozen(rows[port][value]) if self._nested[port] else rows[port][value])
            else:
                self._fire(out, seq, context)
        return out.batch(*risen)

    def _window(self, port: int, row: Row) -> tuple[int, int]:
        """(end, start)."""
        start, end = (row[index] for index in self._bounds[port])
        assert isinstance(start, int) and isinstance(end, int), "window bounds are never NULL"
        return end, start

    def _take(self, port: int, row: Row) -> None:
        end, start = self._window(port, row)
        if self._times.fires(end) <= self._clock.watermark:
            self.late += 1
            return
        place = (end, start, port, self._last_seq, self._ordinal)
        self._rows.put(place, row)
        self._remember(place)

    def _fire(self, out: Output, seq: int, context: StepContext) -> None:
        while self._ends and self._times.fires(self._ends[0]) <= self._clock.watermark:
            end = heapq.heappop(self._ends)
            sides: dict[int, Sides] = {}
            for place in sorted(self._windows.pop(end)):
                sides.setdefault(place[1], ([], []))[place[2]].append(self._rows.pop(place))
            moment = (seq, context, int(context.at(np.array([seq]))[0]))
            for start in sorted(sides):
                for row in self._joined(sides[start], moment):
                    out.add(INSERT, seq, row)

    # ------------------------------------------------------------ one window

    def _key(self, port: int, row: Row) -> Row | None:
        key = tuple([row[index] for index in self._keys[port]])
        for value, null in zip(key, self.node.nulls_match, strict=True):
            if value is None and not null:
                return None
        return key

    def _joined(self, sides: Sides, moment: tuple[int, StepContext | None, int]) -> Iterator[Row]:
        """The rows of one window, left rows in order of arrival, then unmatched right ones."""
        kind = self.node.kind
        by_key: dict[Row, list[int]] = {}
        for index, row in enumerate(sides[RIGHT]):
            key = self._key(RIGHT, row)
            if key is not None:
                by_key.setdefault(key, []).append(index)
        met: set[int] = set()
        for row in sides[LEFT]:
            key = self._key(LEFT, row)
            others = by_key.get(key, []) if key is not None else []
            pairs = [row + sides[RIGHT][index] for index in others]
            passing = self._condition.passing(pairs, *moment)
            if kind.left_only:
                if any(passing) == (kind is JoinKind.SEMI):
                    yield row
                continue
            for index, pair, passes in zip(others, pairs, passing, strict=True):
                if passes:
                    met.add(index)
                    yield pair
            if kind.pads_left and not any(passing):
                yield row + self._padding[RIGHT]
        if kind.pads_right:
            for index, row in enumerate(sides[RIGHT]):
                if index not in met:
                    yield self._padding[LEFT] + row

    # ------------------------------------------------------------ live

    @property
    def held(self) -> int:
        return len(self._rows)

    def next_timer(self) -> int | None:
        return self._times.fires(self._ends[0]) if self._ends else None

    def columns_at(self, port: int, columns: Iterable[int]) -> dict[int, int]:
        """Input column of one side -> the output column that fixes its value: keys and window bounds are equal."""
        equal = ((*self._keys[LEFT], *self._bounds[LEFT]), (*self._keys[RIGHT], *self._bounds[RIGHT]))
        return side_columns(equal, len(self._padding[LEFT]), port, columns)

    def pending(self, select: Select, as_of: int) -> list[Change]:
        """Open windows of the keys asked, with rows still held upstream."""
        known: Select = {column: value for column, value in select.items() if value is not None}
        windows: dict[tuple[int, int], Sides] = {}
        for port, source in enumerate(self._sources):
            wanted: Select = {index: known[column] for index, column in self.columns_at(port, known).items()}
            rows = [row for row in self._waiting(port) if all(row[at] == value for at, value in wanted.items())]
            for row in [*rows, *(frozen(each.row) for each in source.pending(wanted, as_of))]:
                window = self._window(port, row)
                if self._times.fires(window[0]) > self._clock.watermark:
                    windows.setdefault(window, ([], []))[port].append(row)
        return [
            Change(INSERT, row) for window in sorted(windows) for row in self._joined(windows[window], (0, None, as_of))
        ]

    def _waiting(self, port: int) -> list[Row]:
        """The rows of a side, those of a window in the order they came in."""
        places = sorted(place for places in self._windows.values() for place in places if place[2] == port)
        return [self._rows.get(place) for place in places]
