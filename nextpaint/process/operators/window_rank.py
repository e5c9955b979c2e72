"""Top-N and deduplication within windows: the best rows of each window, emitted when the watermark passes its end.

Rows carry the bounds of their window. A row is late when its window has fired. Of equal rows the one that came first
ranks higher; a deduplication that keeps the last row by time takes the later one (`late_ties`).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import msgspec

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
from nextpaint.process.ranking import Place, Ranking, order_by
from nextpaint.process.state import State, frozen
from nextpaint.process.window_times import WindowTimes
from nextpaint.record.columns import INSERT, Batch
from nextpaint.sql.plan import WindowRank

_PENDING = 2**62  # seqs of rows that have not arrived yet

_sortable = msgspec.msgpack.Encoder(decimal_format="string").encode


class WindowTopN(Operator):
    """State: `rows`, (end, start, partition, seq, ordinal) -> row. Derived: the ranking of each window and partition,
    and a heap of window ends."""

    waits = frozenset({"rows"})

    def __init__(self, identity: str, node: WindowRank, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._node = node
        self.partition = node.partition
        self._nested = any(each.is_nested for each in self.types)
        self._order = order_by(node.keys, node.input.schema.types)
        self._rows = state.cell(identity, "rows", decimals=any(each.has_decimals for each in self.types))
        self._times = WindowTimes(node.zone)
        self._clock = EventClock(state, identity, 1)
        self._source = sources[0]
        self._rankings: dict[int, dict[Row, Ranking]] = {}  # by end, then (start, partition)
        self._ends: list[int] = []
        self._last_seq, self._ordinal = -1, 0

    def restore(self) -> None:
        self._clock.restore()
        self._rankings, self._ends = {}, []
        for (end, start, partition, seq, ordinal), row in self._rows.items():
            self._ranking(end, (start, partition)).add(self._place(row, seq, ordinal))

    def _ranking(self, end: int, key: Row) -> Ranking:
        if end not in self._rankings:
            self._rankings[end] = {}
            heapq.heappush(self._ends, end)
        return self._rankings[end].setdefault(key, Ranking())

    def _place(self, row: Row, seq: int, ordinal: int) -> Place:
        if self._node.late_ties:
            return Place(self._order(row), -seq, -ordinal, row)
        return Place(self._order(row), seq, ordinal, row)

    def _bounds(self, row: Row) -> tuple[int, Row]:
        """The window's end, and (start, partition)."""
        end = row[self._node.end]
        assert isinstance(end, int), "window bounds are never NULL"
        return end, (row[self._node.start], tuple([row[index] for index in self.partition]))

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
        end, key = self._bounds(row)
        if self._times.fires(end) <= self._clock.watermark:
            self.late += 1
            return
        self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
        self._last_seq = seq
        ranking = self._ranking(end, key)
        place = self._place(row, seq, self._ordinal)
        ranking.add(place)
        gone = ranking.places.pop() if len(ranking.places) > self._node.last else None
        if gone is place:
            return
        self._rows.put((end, *key, seq, self._ordinal), row)
        if gone is not None:
            self._rows.pop((end, *key, abs(gone.seq), abs(gone.ordinal)))

    def _fire(self, out: Output, seq: int) -> None:
        while self._ends and self._times.fires(self._ends[0]) <= self._clock.watermark:
            end = heapq.heappop(self._ends)
            rankings = self._rankings.pop(end)
            for key in sorted(rankings, key=_sortable):
                for place in rankings[key].places:
                    self._rows.pop((end, *key, abs(place.seq), abs(place.ordinal)))
                for row in self._ranked(rankings[key]):
                    out.add(INSERT, seq, row)

    def _ranked(self, ranking: Ranking) -> list[Row]:
        best = ranking.best(self._node.first, self._node.last)
        return [(*place.row, rank) for rank, place in enumerate(best, start=self._node.first)]

    @property
    def held(self) -> int:
        return len(self._rows)

    def next_timer(self) -> int | None:
        return self._times.fires(self._ends[0]) if self._ends else None

    def pending(self, select: Select, as_of: int) -> list[Change]:
        inside = {*self.partition, self._node.start, self._node.end}
        wanted = {column: value for column, value in select.items() if column in inside}
        open_ones: dict[tuple[int, Row], Ranking] = {}
        for end, rankings in self._rankings.items():
            for key, ranking in rankings.items():
                row = ranking.places[0].row
                if all(row[column] == value for column, value in wanted.items()):
                    open_ones[(end, key)] = Ranking(list(ranking.places))
        for number, change in enumerate(self._source.pending(wanted, as_of)):
            row = frozen(change.row)
            end, key = self._bounds(row)
            if self._times.fires(end) > self._clock.watermark:
                open_ones.setdefault((end, key), Ranking()).add(self._place(row, _PENDING + number, 0))
        order = sorted(open_ones, key=lambda each: (each[0], _sortable(each[1])))
        return [Change(INSERT, row) for each in order for row in self._ranked(open_ones[each])]
