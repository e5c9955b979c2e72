"""CURRENT_WATERMARK: the watermark each row finds, as a column beside its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nextpaint.process.operators.protocol import Change, EventClock, Operator, Select, StepContext
from nextpaint.process.state import State
from nextpaint.record.columns import MIN_WATERMARK, Batch, Column, IntArray, Value
from nextpaint.sql.plan import WatermarkColumn


class WatermarkBeside(Operator):
    """Adds the watermark in force before each row, NULL before the first. Nothing is held back."""

    def __init__(self, identity: str, node: WatermarkColumn, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._source = sources[0]
        self._clock = EventClock(state, identity, 1)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch, before = inputs[0], self._clock.watermark
        seqs, watermarks = self._clock.risen(inputs)
        if len(watermarks):
            self._clock.watermark = int(watermarks[-1])
            self._clock.kept()
        # A mark comes after the rows of its own seq.
        found = np.concatenate([[before], watermarks])[np.searchsorted(seqs, batch.seq, side="left")]
        return batch.with_columns([*batch.columns, self._column(found)])

    def _column(self, watermarks: IntArray) -> Column:
        return Column(self.types[-1], watermarks, watermarks != MIN_WATERMARK)

    def pending(self, select: Select, as_of: int) -> list[Change]:
        wanted = {column: value for column, value in select.items() if column < self.width}
        now: Value = None if self._clock.watermark == MIN_WATERMARK else self._clock.watermark
        return [Change(each.kind, (*each.row, now)) for each in self._source.pending(wanted, as_of)]

    @property
    def width(self) -> int:
        """The columns of the input."""
        return len(self.types) - 1

    def restore(self) -> None:
        self._clock.restore()
