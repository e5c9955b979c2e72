"""Event-time temporal join: each left row meets the version of its key in force at its own time.

The version is the one with the largest time at or before the left row's; a delete ends a version; of versions with
one time the last in input order wins. A left row waits until the combined watermark reaches its time; rows released
together leave in arrival order. A left row at or behind the watermark is late: dropped and counted (Flink 2.4's
rule). Extra conditions apply to that one version. The left row's change kind is kept.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from nextpaint.process.functions.compile import Evaluation, Failures, predicate
from nextpaint.process.operators.protocol import (
    ROW,
    Change,
    EventClock,
    Operator,
    Output,
    Row,
    Select,
    StepContext,
    merged,
    settled,
)
from nextpaint.process.state import Cell, State
from nextpaint.record.columns import DELETE, MAX_WATERMARK, Batch, Value
from nextpaint.sql.plan import TemporalJoin as TemporalNode

LEFT, RIGHT = 0, 1
Version = tuple[int, Row | None]  # from time; None = deleted from then on


class TemporalJoin(Operator):
    """State: `left`, (seq, ordinal) -> (kind, row) waiting; `versions`, right key -> versions ordered by time.
    Derived: a heap of waiting rows by time, and an index of waiting rows per column that live readings select by."""

    waits = frozenset({"left"})

    def __init__(self, identity: str, node: TemporalNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._node = node
        self._left_width = len(node.left.schema.fields)
        self._keys = (node.right_keys, node.left_keys)
        self._padding: Row = (None,) * len(node.right.schema.fields)
        self._residual = predicate(node.residual) if node.residual is not None else None
        self._left, self._versions = self._cells(node, state)
        self._clock = EventClock(state, identity, 2)
        self._sources = tuple(sources)
        self._due: list[tuple[int, int, int]] = []
        self._indexes: dict[int, dict[Value, dict[tuple[int, int], None]]] = {}
        self._last_seq, self._ordinal = -1, 0

    def _cells(self, node: TemporalNode, state: State) -> tuple[Cell, Cell]:
        decimals = any(each.has_decimals for each in self.types)
        return tuple(state.cell(self.id, name, decimals=decimals) for name in ("left", "versions"))  # type: ignore[return-value]

    def restore(self) -> None:
        self._clock.restore()
        self._due, self._indexes = [], {}
        for (seq, ordinal), (_, row) in self._left.items():
            heapq.heappush(self._due, (row[self._node.left_time], seq, ordinal))

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        out = Output(self.nothing)
        marks: list[tuple[int, int]] = []
        rows = (inputs[LEFT].rows(), inputs[RIGHT].rows())
        kinds = inputs[LEFT].kind.tolist()
        versions = dict(settled(inputs[RIGHT].kind.tolist(), [self._right_key(row) for row in rows[RIGHT]]))
        for what, port, value, seq in merged(inputs):
            if what == ROW and port == LEFT:
                self._take(kinds[value], rows[LEFT][value], seq)
            elif what == ROW and value in versions:
                self._version(versions[value], rows[RIGHT][value])
            elif what == ROW:
                continue
            elif self._clock.advance(port, value):
                self._release(out, seq)
                marks.append((seq, self._clock.watermark))
        batch = out.batch(inputs[LEFT].mark_seq[:0], inputs[LEFT].mark_wm[:0])
        return batch.with_marks([mark[0] for mark in marks], [mark[1] for mark in marks])

    # ------------------------------------------------------------ left

    def _take(self, kind: int, row: Row, seq: int) -> None:
        time = row[self._node.left_time]
        if not isinstance(time, int) or time <= self._clock.watermark:
            self.late += 1
            return
        self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
        self._last_seq = seq
        place = (seq, self._ordinal)
        self._left.put(place, (kind, row))
        heapq.heappush(self._due, (time, *place))
        for column, index in self._indexes.items():
            index.setdefault(row[column], {})[place] = None

    def _release(self, out: Output, seq: int) -> None:
        places = []
        while self._due and self._due[0][0] <= self._clock.watermark:
            places.append(heapq.heappop(self._due)[1:])
        for place in sorted(places):
            kind, row = self._left.pop(place)
            for column, index in self._indexes.items():
                waiting = index[row[column]]
                del waiting[place]
                if not waiting:
                    del index[row[column]]
            joined = self._joined(row)
            if joined is not None:
                out.add(kind, seq, joined)

    def _joined(self, row: Row) -> Row | None:
        key = tuple(row[index] for index in self._node.left_keys)
        versions: tuple[Version, ...] = () if None in key else self._versions.get(key, ())
        place = bisect_right(versions, row[self._node.left_time], key=lambda version: version[0]) - 1  # type: ignore[type-var]
        right = versions[place][1] if place >= 0 else None
        if right is not None and self._matches(row + right):
            return row + right
        return row + self._padding if self._node.outer else None

    def _matches(self, joined: Row) -> bool:
        if self._residual is None:
            return True
        batch = Batch.of(self.types, [joined], [0], [0])
        return bool(self._residual(Evaluation(batch.columns, 1, 0, Failures()))[0])

    # ------------------------------------------------------------ right

    def _right_key(self, row: Row) -> Row:
        return tuple(row[index] for index in self._node.right_keys)

    def _version(self, kind: int, row: Row) -> None:
        time = row[self._node.right_time]
        if not isinstance(time, int):
            return
        key = self._right_key(row)
        versions: list[Version] = list(self._versions.get(key, ()))
        place = bisect_right(versions, time, key=lambda version: version[0])
        made: Version = (time, None if kind == DELETE else row)
        if place and versions[place - 1][0] == time:
            versions[place - 1] = made
        else:
            versions.insert(place, made)
        # Keep the newest version at or before the watermark, and all newer ones: no left row can ask for an older one.
        oldest = bisect_right(versions, self._clock.watermark, key=lambda version: version[0]) - 1
        if self._clock.watermark == MAX_WATERMARK:
            oldest = len(versions) - 1
        self._versions.put(key, tuple(versions[max(oldest, 0) :]))

    # ------------------------------------------------------------ live

    @property
    def held(self) -> int:
        return len(self._left)

    def next_timer(self) -> int | None:
        return self._due[0][0] if self._due else None

    def left_columns(self, columns: Iterable[int]) -> set[int]:
        """The left columns that decide these output columns: themselves, or the left key equal to a right key."""
        equal = {self._left_width + right: left for right, left in zip(*self._keys, strict=True)}
        traced = {column if column < self._left_width else equal.get(column) for column in columns}
        return {column for column in traced if column is not None}

    def _waiting(self, select: Select) -> list[tuple[int, Row]]:
        """Left rows that wait, in arrival order, narrowed by one selected left column through an index."""
        columns = {left: value for column, value in select.items() for left in self.left_columns((column,))}
        if not columns:
            return [self._left.get(place) for place in sorted(place for place, _ in self._left.items())]
        column = min(columns)
        places = sorted(self._index(column).get(columns[column], ()))
        rows = [row for place in places if (row := self._left.get(place)) is not None]
        return [each for each in rows if all(each[1][at] == value for at, value in columns.items())]

    def _index(self, column: int) -> dict[Value, dict[tuple[int, int], None]]:
        if column not in self._indexes:
            index: dict[Value, dict[tuple[int, int], None]] = {}
            for place, (_, row) in self._left.items():
                index.setdefault(row[column], {})[place] = None
            self._indexes[column] = index
        return self._indexes[column]

    def pending(self, select: Select, as_of: int) -> list[Change]:
        left = {at: value for column, value in select.items() for at in self.left_columns((column,))}
        waiting = self._waiting(select)
        for change in self._sources[LEFT].pending(left, as_of):
            time = change.row[self._node.left_time]
            if isinstance(time, int) and time > self._clock.watermark:
                waiting.append((change.kind, change.row))
        joined = ((kind, self._joined(row)) for kind, row in waiting)
        return [Change(kind, row) for kind, row in joined if row is not None]
