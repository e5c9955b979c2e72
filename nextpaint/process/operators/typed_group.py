"""Group aggregation on typed state: what `GroupAggregate` does, a batch at a time in a kernel.

Rows, kinds, order, accumulators and readings equal the general operator's; only the step and the cell are others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nextpaint.process.kernels import grouping
from nextpaint.process.kernels.paged import WORD
from nextpaint.process.operators.group import GroupAggregate
from nextpaint.process.operators.protocol import Operator, StepContext
from nextpaint.process.state import State
from nextpaint.process.typed import TypedCell, keyable, kind_of, packable
from nextpaint.process.typed_aggregates import TypedAggregates, typed_aggregates
from nextpaint.record.columns import Batch
from nextpaint.sql.plan import Changes
from nextpaint.sql.plan import GroupAggregate as GroupNode


def fitting(node: GroupNode) -> TypedAggregates | None:
    """The node's aggregates as a program, or None where its keys, values or functions need the general operator."""
    if node.ttl_ms:
        return None
    types = node.input.schema.types
    key_types = [types[each] for each in node.keys]
    results = [each.type for each in node.aggregates]
    if not keyable(key_types) or not packable([*key_types, *results, *results]):
        return None
    retracts = node.input.schema.changes is not Changes.APPEND
    return typed_aggregates(node.aggregates, types, node.keys, len(node.keys) + 1, retracts=retracts)


class TypedGroup(GroupAggregate):
    """State: `groups`, typed: key fields, row count, accumulators."""

    groups: TypedCell

    def __init__(
        self, identity: str, node: GroupNode, sources: Sequence[Operator], state: State, program: TypedAggregates
    ) -> None:
        self._program = program
        super().__init__(identity, node, sources, state)
        self._cursor = np.zeros(2, np.int64)

    def _made(self, node: GroupNode, state: State) -> TypedCell:
        program = self._program
        kinds = [kind_of(node.input.schema.types[each]) for each in node.keys]

        def value(fields: Sequence[Any]) -> tuple[Any, ...]:
            return fields[0], program.accumulators(fields[1:])

        def fields(value: tuple[Any, ...]) -> list[Any]:
            return [value[0], *program.fields(value[1])]

        held = [each for each in kinds if each is not None]
        return state.add(TypedCell(f"{self.id}/typed", (*held, WORD, *program.kinds), len(held), (value, fields)))

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        nothing = self._touched if self.keys_only else self.nothing
        if not len(batch):
            return nothing.marked(batch.mark_seq, batch.mark_wm)
        program, cell, size = self._program, self.groups, len(batch)
        rows, kept = program.packing.rows([batch.columns[each] for each in program.inputs], size)
        digests = cell.digests(rows)
        room = size if self.keys_only else 2 * size
        out = np.empty((0 if self.keys_only else room + 2, program.result_width), np.int64)
        out_row, out_kind = np.empty(room + 2, np.int64), np.empty(room + 2, np.int8)
        cursor = self._cursor
        cursor[:] = 0
        while True:
            grouping.group_step(
                cell.meta, rows, digests, batch.kind, program.program, len(self.keys), self.keys_only,
                out, out_row, out_kind, cursor,
            )  # fmt: skip
            if cursor[0] == size:
                break
            cell.provide()
        cell.reclaim()
        if cell.watchers:
            cell.changed(list(zip(*(batch.columns[each].to_list() for each in self.keys), strict=True)) or [()])
        del kept
        return self._out(batch, cursor[1], (out, out_row, out_kind))

    def _out(self, batch: Batch, count: int, made: tuple[Any, Any, Any]) -> Batch:
        out, out_row, out_kind = made
        if not count:
            nothing = self._touched if self.keys_only else self.nothing
            return nothing.marked(batch.mark_seq, batch.mark_wm)
        row = out_row[:count]
        columns = [batch.columns[each].take(row) for each in self.keys]
        if not self.keys_only:
            columns += self._program.columns(out, count)
        return Batch(tuple(columns), out_kind[:count], batch.seq[row], batch.mark_seq, batch.mark_wm)
