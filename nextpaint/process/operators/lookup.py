"""Lookup joins: each left row meets the content of a table at the row's own position in the ledger, once.

What the table holds is kept here as a side of a join, moved on by its changes in `seq` order, so that a row sees
exactly the changes of records before it. A result is never updated later and no watermark is waited for; the left
side's watermark goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nextpaint.process.operators.condition import Condition
from nextpaint.process.operators.protocol import (
    ROW,
    Change,
    Operator,
    Output,
    Row,
    Select,
    StepContext,
    merged,
)
from nextpaint.process.operators.sides import Entry, JoinSide
from nextpaint.process.state import State, frozen
from nextpaint.record.columns import INSERT, UPDATE_AFTER, Batch
from nextpaint.sql.plan import LookupJoin as LookupNode

LEFT, RIGHT = 0, 1


class LookupJoin(Operator):
    """State: `table`, row of the right side -> (times, matches, seq, ordinal)."""

    def __init__(self, identity: str, node: LookupNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node.schema.types)
        self._node = node
        right = node.right.schema
        self._width = len(node.left.schema.fields)
        decimals = any(each.has_decimals for each in right.types)
        cell = state.cell(identity, "table", decimals=decimals)
        self._table = JoinSide(cell, node.right_keys, (False,) * len(node.right_keys))
        self._padding = (None,) * len(right.fields)
        self._nested = any(each.is_nested for each in right.types)
        self._condition = Condition(node.residual, self.types, identity)
        self._sources = tuple(sources)
        self._last_seq, self._ordinal = -1, 0

    def restore(self) -> None:
        self._table.restore()

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        out = Output(self.nothing)
        left = inputs[LEFT]
        rows, changes = left.rows(), inputs[RIGHT].rows()
        kinds, clocks = [batch.kind.tolist() for batch in inputs], context.at(left.seq).tolist()
        for what, port, value, seq in merged(inputs):
            if what != ROW:
                continue
            if port == RIGHT:
                row = frozen(changes[value]) if self._nested else changes[value]
                self._change(kinds[RIGHT][value], row, seq)
                continue
            for each in self._joined(rows[value], (seq, context, clocks[value])):
                out.add(kinds[LEFT][value], seq, each)
        return out.batch(left.mark_seq, left.mark_wm)

    def _change(self, kind: int, row: Row, seq: int) -> None:
        self._ordinal = self._ordinal + 1 if seq == self._last_seq else 0
        self._last_seq = seq
        if kind in (INSERT, UPDATE_AFTER):
            self._table.put(row, Entry(1, 0, seq, self._ordinal))
        elif self._table.entry(row) is not None:
            self._table.put(row, None)

    def _joined(self, row: Row, moment: tuple[int, StepContext | None, int]) -> list[Row]:
        key = tuple([row[index] for index in self._node.left_keys])
        pairs = [row + each for each in self._table.rows(key)] if None not in key else []
        passing = self._condition.passing(pairs, *moment)
        found = [pair for pair, passes in zip(pairs, passing, strict=True) if passes]
        return found or ([row + self._padding] if self._node.outer else [])

    # ------------------------------------------------------------ live

    def left_columns(self, columns: Iterable[int]) -> set[int]:
        """The left columns that decide these output columns: themselves, or the left key equal to a right key."""
        return set(self._decided(columns))

    def _decided(self, columns: Iterable[int]) -> dict[int, int]:
        equal = {
            self._width + right: left for left, right in zip(self._node.left_keys, self._node.right_keys, strict=True)
        }
        return {
            column if column < self._width else equal[column]: column
            for column in columns
            if column < self._width or column in equal
        }

    def pending(self, select: Select, as_of: int) -> list[Change]:
        """Rows still held upstream, as they would meet the table now."""
        known: Select = {column: value for column, value in select.items() if value is not None}
        wanted: Select = {left: known[column] for left, column in self._decided(known).items()}
        return [
            Change(change.kind, row)
            for change in self._sources[LEFT].pending(wanted, as_of)
            for row in self._joined(change.row, (0, None, as_of))
        ]
