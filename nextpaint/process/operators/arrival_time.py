"""Processing time as a time attribute: rows carry the ledger's clock, and the watermark follows it.

So windows and patterns in order of processing time run as those of event time do. No row is late. What the clock lets
out comes with the first record of the ledger, of whatever table, that is later; a node that has none appends a tick.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nextpaint.process.operators.protocol import Change, Operator, Select, StepContext
from nextpaint.process.state import State
from nextpaint.record.columns import MAX_WATERMARK, MIN_WATERMARK, Batch, Column
from nextpaint.sql.plan import ArrivalTime


class TimedByArrival(Operator):
    """State: `clock`, the ledger time up to which the watermark has been told. A record at that time may follow, so the
    watermark is a millisecond behind."""

    follows_clock = True

    def __init__(self, identity: str, node: ArrivalTime, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self.column = node.column
        self._source = sources[0]
        self._cell = state.cell(identity, "clock")
        self._told = MIN_WATERMARK

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        columns = list(batch.columns)
        columns[self.column] = Column(self.types[self.column], context.at(batch.seq))
        before = np.concatenate([[self._told], context.at_ms[:-1]])
        rises = context.at_ms > before
        seqs, marks = context.seqs[rises], context.at_ms[rises] - 1
        if len(marks):
            self._told = int(context.at_ms[-1])
            self._cell.put(0, self._told)
        if len(batch.mark_wm) and int(batch.mark_wm[-1]) == MAX_WATERMARK:  # the end of the input
            seqs, marks = np.append(seqs, batch.mark_seq[-1]), np.append(marks, MAX_WATERMARK)
        return batch.with_columns(columns).marked(seqs, marks)

    def pending(self, select: Select, as_of: int) -> list[Change]:
        wanted = {column: value for column, value in select.items() if column != self.column}
        at = self.column
        return [
            Change(each.kind, (*each.row[:at], as_of, *each.row[at + 1 :]))
            for each in self._source.pending(wanted, as_of)
        ]

    def restore(self) -> None:
        self._told = self._cell.get(0, MIN_WATERMARK)
