"""Interval joins: rows of two streams whose event times lie within constant bounds of each other.

A pair comes out as soon as its second row arrives. A row is kept while a row of the other side may still match it, and
an outer row that met nothing comes out padded when the watermark has passed that point; one that is past it on arrival
is padded at once. Nothing is dropped as late: a late row joins what is still kept. When rows are dropped from memory
follows Flink's TimeIntervalJoin, per key and with its two points of expiry for all keys, because what a late row still
finds depends on it.

The output's watermark is held back by the larger of both bounds, so that no row comes out late.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence

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
from nextpaint.process.state import Cell, State, frozen
from nextpaint.record.columns import INSERT, MAX_WATERMARK, MIN_WATERMARK, Batch, IntArray
from nextpaint.sql.plan import IntervalJoin as IntervalNode

LEFT, RIGHT = 0, 1
Place = tuple[int, int, int]  # event time, seq, ordinal


class IntervalJoin(Operator):
    """State: `left` and `right`, (seq, ordinal) -> (row, has matched); `timers`, (side, key) -> the time its oldest row
    expires, and that row's place; `expired`, side -> the time up to which its rows have been dropped.
    Derived: places by key in order of time, and a heap of timers."""

    waits = frozenset({"left", "right", "typed_left", "typed_right"})

    _cells: Sequence[Cell]

    def __init__(self, identity: str, node: IntervalNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self.node = node
        inputs = (node.left.schema, node.right.schema)
        joined = (*inputs[LEFT].types, *inputs[RIGHT].types)
        self._made(state)
        self._expired = state.cell(identity, "expired")
        self._keys, self._times = (node.left_keys, node.right_keys), (node.left_time, node.right_time)
        self._reach = (-node.lower, node.upper)  # how long after a left (right) row its partner may be
        self._delay = max(0, *self._reach)
        self._padding = tuple((None,) * len(each.fields) for each in inputs)
        self._nested = tuple(any(type_.is_nested for type_ in each.types) for each in inputs)
        self._pads = (node.kind.pads_left, node.kind.pads_right)
        self._condition = Condition(node.residual, joined, identity)
        self._clock = EventClock(state, identity, 2)
        self._sources = tuple(sources)
        self._last_seq, self._ordinal = -1, 0
        self._places: list[dict[Row, list[Place]]] = [{}, {}]
        self._due: list[tuple[int, int, int, int, Row]] = []

    def _made(self, state: State) -> None:
        """Make the cells of rows and timers."""
        decimals = any(each.has_decimals for each in (*self.node.left.schema.types, *self.node.right.schema.types))
        self._cells = [state.cell(self.id, name, decimals=decimals) for name in ("left", "right")]
        self._timers = state.cell(self.id, "timers", decimals=decimals)

    def restore(self) -> None:
        self._clock.restore()
        self._places, self._due = [{}, {}], []
        for side, cell in enumerate(self._cells):
            for (seq, ordinal), (row, _) in cell.items():
                key = tuple(row[index] for index in self._keys[side])
                self._places[side].setdefault(key, []).append((row[self._times[side]], seq, ordinal))
            for places in self._places[side].values():
                places.sort()
        for (side, key), (time, seq, ordinal) in self._timers.items():
            heapq.heappush(self._due, (time, side, seq, ordinal, key))

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        out = Output(self.nothing)
        rows = [batch.rows() for batch in inputs]
        clocks = [context.at(batch.seq).tolist() for batch in inputs]
        risen = self._clock.risen(inputs)
        for what, port, value, seq in moments(inputs, self._clock, risen, self._next_due):
            if what == ROW:
                row = frozen(rows[port][value]) if self._nested[port] else rows[port][value]
                self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
                self._last_seq = seq
                self._take(port, row, out, context, clocks[port][value])
            else:
                self._expire(out, seq)
        return out.batch(risen[0], self._held_back(risen[1]))

    def _held_back(self, watermarks: IntArray) -> IntArray:
        """What is told of these watermarks: they stay behind by the delay, and at the end of input they do not."""
        lowered = np.maximum(watermarks, MIN_WATERMARK + self._delay) - self._delay
        return np.where(watermarks == MAX_WATERMARK, MAX_WATERMARK, lowered)

    def _next_due(self) -> int | None:
        return self._due[0][0] if self._due else None

    # ------------------------------------------------------------ rows

    def _key(self, port: int, row: Row) -> Row | None:
        key = tuple([row[index] for index in self._keys[port]])
        return None if None in key else key

    def _take(self, port: int, row: Row, out: Output, context: StepContext, at_ms: int) -> None:
        time, key, seq = row[self._times[port]], self._key(port, row), self._last_seq
        if not isinstance(time, int):
            self.late += 1  # no event time: it can be near nothing
            return
        last = time + self._reach[port]  # the latest partner
        matched = False
        if key is not None and self._expired.get(1 - port, MIN_WATERMARK) < last:
            self._move_expiry(1 - port)
            matched = self._meet(port, key, row, out, (context, at_ms))
            self._drop(1 - port, key, out, seq)
        if key is not None and self._clock.watermark < last:
            self._cells[port].put((seq, self._ordinal), (row, matched and self._pads[port]))
            insort(self._places[port].setdefault(key, []), (time, seq, self._ordinal))
            if (port, key) not in self._timers:
                self._set_timer(port, key, (time, seq, self._ordinal))
        elif not matched and self._pads[port]:
            out.add(INSERT, seq, self._padded(port, row))

    def _meet(self, port: int, key: Row, row: Row, out: Output, moment: tuple[StepContext, int]) -> bool:
        """Join a row with what the other side keeps within its bounds."""
        other = 1 - port
        places = self._within(port, self._places[other].get(key, []), row)
        pairs = [self._pair(port, row, self._cells[other].get(place[1:])[0]) for place in places]
        passing = self._condition.passing(pairs, self._last_seq, *moment)
        for place, pair, passes in zip(places, pairs, passing, strict=True):
            if passes:
                out.add(INSERT, self._last_seq, pair)
                held, known = self._cells[other].get(place[1:])
                if self._pads[other] and not known:
                    self._cells[other].put(place[1:], (held, True))
        return any(passing)

    def _within(self, port: int, places: list[Place], row: Row) -> list[Place]:
        time: int = row[self._times[port]]  # type: ignore[assignment]
        first = bisect_left(places, (time - self._reach[1 - port],))
        return places[first : bisect_right(places, (time + self._reach[port] + 1,))]

    @staticmethod
    def _pair(port: int, row: Row, other: Row) -> Row:
        return row + other if port == LEFT else other + row

    def _padded(self, port: int, row: Row) -> Row:
        return self._pair(port, row, self._padding[1 - port])

    # ------------------------------------------------------------ expiry

    def _move_expiry(self, side: int) -> None:
        """Rows of a side up to this time can match nothing that is not late."""
        watermark = self._clock.watermark
        ended = watermark == MAX_WATERMARK
        self._expired.put(side, watermark if ended else max(MIN_WATERMARK, watermark - self._reach[side] - 1))

    def _drop(self, side: int, key: Row, out: Output, seq: int) -> None:
        """Forget the expired rows of a key; padded, if they are owed that."""
        places = self._places[side].get(key, [])
        count = bisect_right(places, (self._expired.get(side) + 1,))
        for place in places[:count]:
            row, matched = self._cells[side].pop(place[1:])
            if self._pads[side] and not matched:
                out.add(INSERT, seq, self._padded(side, row))
        del places[:count]
        if not places:
            self._places[side].pop(key, None)

    def _set_timer(self, side: int, key: Row, place: Place) -> None:
        due = place[0] + self._reach[side] + 1
        self._timers.put((side, key), (due, *place[1:]))
        heapq.heappush(self._due, (due, side, *place[1:], key))

    def _expire(self, out: Output, seq: int) -> None:
        while self._due and self._due[0][0] <= self._clock.watermark:
            _, side, _, _, key = heapq.heappop(self._due)
            self._move_expiry(side)
            self._drop(side, key, out, seq)
            left = self._places[side].get(key)
            if left:
                self._set_timer(side, key, left[0])
            else:
                self._timers.pop((side, key))

    # ------------------------------------------------------------ live

    @property
    def holds_back(self) -> bool:
        return any(self._pads)

    @property
    def held(self) -> int:
        """Rows that may still come out padded."""
        return sum(len(cell) for cell, pads in zip(self._cells, self._pads, strict=True) if pads)

    def next_timer(self) -> int | None:
        return self._next_due() if self.holds_back else None

    def columns_at(self, port: int, columns: Iterable[int]) -> dict[int, int]:
        """Input column of one side -> the output column that fixes its value."""
        return side_columns(self._keys, len(self._padding[LEFT]), port, columns)

    def pending(self, select: Select, as_of: int) -> list[Change]:
        """Rows held upstream joined with each other and with what is kept; then what is still unmatched, padded."""
        known: Select = {column: value for column, value in select.items() if value is not None}
        kept: list[list[tuple[Row, bool]]] = []
        arriving: list[list[Row]] = []
        for port, source in enumerate(self._sources):
            wanted: Select = {index: known[column] for index, column in self.columns_at(port, known).items()}
            kept.append(self._kept(port, wanted))
            arriving.append([frozen(each.row) for each in source.pending(wanted, as_of)])
        matched: tuple[set[Row], set[Row]] = (set(), set())
        rows = self._pairs(arriving[LEFT], [row for row, _ in kept[RIGHT]] + arriving[RIGHT], matched, as_of)
        rows += self._pairs([row for row, _ in kept[LEFT]], arriving[RIGHT], matched, as_of)
        for port in (LEFT, RIGHT):
            if self._pads[port]:
                waiting = [row for row, met in kept[port] if not met] + arriving[port]
                rows += [self._padded(port, row) for row in waiting if row not in matched[port]]
        return [Change(INSERT, row) for row in rows]

    def _kept(self, port: int, wanted: Select) -> list[tuple[Row, bool]]:
        if set(self._keys[port]) <= set(wanted):
            places = self._places[port].get(tuple(wanted[index] for index in self._keys[port]), [])
        else:
            places = sorted(place for each in self._places[port].values() for place in each)
        rows = [self._cells[port].get(place[1:]) for place in places]
        return [each for each in rows if all(each[0][index] == value for index, value in wanted.items())]

    def _pairs(self, left: list[Row], right: list[Row], matched: tuple[set[Row], set[Row]], as_of: int) -> list[Row]:
        by_key: dict[Row | None, list[Row]] = {}
        for row in right:
            by_key.setdefault(self._key(RIGHT, row), []).append(row)
        found: list[Row] = []
        for row in left:
            key = self._key(LEFT, row)
            others = [each for each in by_key.get(key, ()) if self._near(row, each)] if key is not None else []
            passing = self._condition.passing([row + each for each in others], 0, None, as_of)
            for other, passes in zip(others, passing, strict=True):
                if passes:
                    found.append(row + other)
                    matched[LEFT].add(row)
                    matched[RIGHT].add(other)
        return found

    def _near(self, left: Row, right: Row) -> bool:
        first, second = left[self.node.left_time], right[self.node.right_time]
        if not isinstance(first, int) or not isinstance(second, int):
            return False
        return self.node.lower <= first - second <= self.node.upper
