"""INTERSECT and EXCEPT, with and without ALL: how often each row is in both inputs decides how often it comes out.

Rows count as they change: +I where a row comes out once more, -D where once less. NULL equals NULL, as in all set
operations.
"""

from __future__ import annotations

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
    merged,
)
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, INSERT, UPDATE_BEFORE, Batch
from nextpaint.sql.plan import SetOperation

_Counts = tuple[int, int]  # how often in the left and in the right input


class SetComparison(Operator):
    """State: `rows`, row -> how often it is in the left and in the right input."""

    def __init__(self, identity: str, node: SetOperation, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._intersect = node.intersect
        self._all = node.all
        self._rows = state.cell(identity, "rows", decimals=any(each.has_decimals for each in self.types))
        self._clock = EventClock(state, identity, 2)
        self._sources = tuple(sources)

    def restore(self) -> None:
        self._clock.restore()

    @property
    def bound(self) -> str:
        return "how often each row is in both inputs, for ever"

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        out = Output(self.nothing)
        marks: list[tuple[int, int]] = []
        rows = [batch.rows() for batch in inputs]
        kinds = [batch.kind.tolist() for batch in inputs]
        for what, port, value, seq in merged(inputs):
            if what == ROW:
                row = rows[port][value]
                before: _Counts = self._rows.get(row, (0, 0))
                after = _counted(before, port, kinds[port][value])
                if any(after):
                    self._rows.put(row, after)
                else:
                    self._rows.pop(row)
                for kind in self._told(before, after):
                    out.add(kind, seq, row)
            elif self._clock.advance(port, value):
                marks.append((seq, self._clock.watermark))
        batch = out.batch(inputs[0].mark_seq[:0], inputs[0].mark_wm[:0])
        return batch.with_marks([mark[0] for mark in marks], [mark[1] for mark in marks])

    def _comes(self, counts: _Counts) -> int:
        left, right = counts
        if self._all:
            return min(left, right) if self._intersect else max(left - right, 0)
        return int(left > 0 and (right > 0) == self._intersect)

    def _told(self, before: _Counts, after: _Counts) -> list[int]:
        more = self._comes(after) - self._comes(before)
        return [INSERT] * more if more > 0 else [DELETE] * -more

    def pending(self, select: Select, as_of: int) -> list[Change]:
        touched: dict[Row, _Counts] = {}
        for port, source in enumerate(self._sources):
            for change in source.pending(select, as_of):
                before = touched.get(change.row) or self._rows.get(change.row, (0, 0))
                touched[change.row] = _counted(before, port, change.kind)
        return [
            Change(kind, row)
            for row, after in touched.items()
            for kind in self._told(self._rows.get(row, (0, 0)), after)
        ]


def _counted(counts: _Counts, port: int, kind: int) -> _Counts:
    step = -1 if kind in (UPDATE_BEFORE, DELETE) else 1
    left, right = counts
    return (max(left + step, 0), right) if port == 0 else (left, max(right + step, 0))
