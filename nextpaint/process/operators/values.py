"""VALUES as a source: its rows come once, with the first record the statement sees, and then it has ended.

So what joins them finds them from the first record on, and they never hold a watermark back.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nextpaint.process.functions.compile import Evaluation, Failures, compile_expr
from nextpaint.process.operators.protocol import Change, DeadRow, Operator, Row, Select, StepContext
from nextpaint.process.state import State
from nextpaint.record.columns import INSERT, MAX_WATERMARK, Batch
from nextpaint.sql.plan import Values


class ConstantRows(Operator):
    """State: `told`, 0 -> 1 once the rows have come."""

    def __init__(self, identity: str, node: Values, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._rows = [[compile_expr(each) for each in row] for row in node.rows]
        self._told = state.cell(identity, "told")

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        if len(self._told):
            return self.nothing
        self._told.put(0, 1)
        seq = int(context.seqs[0])
        rows, failed = self._evaluated(int(context.at_ms[0]))
        context.dead += [DeadRow(seq, self.id, reason, row) for row, reason in failed]
        marks = np.array([seq], np.int64), np.array([MAX_WATERMARK], np.int64)
        return Batch.of(self.types, rows, [seq] * len(rows), [INSERT] * len(rows)).marked(*marks)

    def _evaluated(self, at_ms: int) -> tuple[list[Row], list[tuple[Row, str]]]:
        """The rows, and those of which an expression failed with the reason."""
        rows: list[Row] = []
        failed: list[tuple[Row, str]] = []
        for evaluators in self._rows:
            failures = Failures()
            row = tuple(each(Evaluation((), 1, at_ms, failures)).to_list()[0] for each in evaluators)
            if failures.rows:
                failed.append((row, failures.rows[0]))
            else:
                rows.append(row)
        return rows, failed

    def pending(self, select: Select, as_of: int) -> list[Change]:
        if len(self._told):
            return []
        return [
            Change(INSERT, row)
            for row in self._evaluated(as_of)[0]
            if all(row[column] == value for column, value in select.items())
        ]
