"""Group aggregation on typed state: what `GroupAggregate` does, a batch at a time in a kernel.

Rows, kinds, order, accumulators and readings equal the general operator's; only the step and the cell are others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nextpaint.process.erasing import Erased, Traces, named, packed_at, removed
from nextpaint.process.kept import Kept
from nextpaint.process.kernels import grouping
from nextpaint.process.kernels.decayed import DecayedSum
from nextpaint.process.kernels.members import CALL_WORDS
from nextpaint.process.kernels.paged import META, NEED, WORD
from nextpaint.process.operators.group import Folded, GroupAggregate
from nextpaint.process.operators.protocol import Operator, Row, StepContext
from nextpaint.process.state import Cell, State
from nextpaint.process.typed import Packing, TypedCell, keyable, kind_of, packable
from nextpaint.process.typed_aggregates import TypedAggregates, typed_aggregates
from nextpaint.process.typed_members import GroupCell, Members
from nextpaint.record.columns import Batch, Column
from nextpaint.sql.plan import Changes
from nextpaint.sql.plan import GroupAggregate as GroupNode

_NO_MEMBERS = np.zeros(META, np.int64)
_NO_CALLS = np.empty((0, CALL_WORDS), np.int64)


def fitting(node: GroupNode, quiet: bool = False) -> TypedAggregates | None:
    """The node's aggregates as a program, or None where its keys, values or functions need the general operator.
    `quiet`: nobody asks for finished rows; lists, which kernels do not finish, need that."""
    inputs = node.input.schema
    types = inputs.types
    key_types = [types[each] for each in node.keys]
    results = [each.type for each in node.aggregates if not (quiet and each.type.is_nested)]
    if node.ttl_ms or not keyable(key_types) or not packable([*key_types, *results, *results]):
        return None
    retracts = inputs.changes is not Changes.APPEND
    return typed_aggregates(
        node.aggregates, types, node.keys, len(node.keys) + 1, retracts=retracts, keeps=True, rowtime=inputs.rowtime
    )


class TypedGroup(GroupAggregate):
    """State: `groups`, typed: key fields, row count, accumulators; `members` where aggregates have them."""

    groups: TypedCell

    def __init__(
        self, identity: str, node: GroupNode, sources: Sequence[Operator], state: State, program: TypedAggregates
    ) -> None:
        self._program = program
        self._members = Members(identity, program, state) if program.members else None
        super().__init__(identity, node, sources, state)
        self._cursor = np.zeros(4, np.int64)
        self._lists = (_NO_MEMBERS, _NO_CALLS)
        if self._members is not None:
            self._lists = (self._members.cell.meta, self._members.lines)

    def _made(self, node: GroupNode, state: State) -> TypedCell:
        program = self._program
        kinds = [kind_of(node.input.schema.types[each]) for each in node.keys]

        def value(fields: Sequence[Any]) -> tuple[Any, ...]:
            return fields[0], program.accumulators(fields[1:])

        def fields(value: tuple[Any, ...]) -> list[Any]:
            return [value[0], *program.fields(value[1])]

        held = [each for each in kinds if each is not None]
        name, all_kinds = f"{self.id}/typed", (*held, WORD, *program.kinds)
        if self._members is not None:
            return state.add(GroupCell(name, all_kinds, len(held), (value, fields), self._members))
        return state.add(TypedCell(name, all_kinds, len(held), (value, fields)))

    def _values(self, node: GroupNode, state: State) -> None:
        """The values of DISTINCT calls are members."""

    def restore(self) -> None:
        if self._members is not None:
            self._members.restore(self.groups)

    def erase(self, traces: Traces, cells: Mapping[str, Cell]) -> dict[str, Erased]:
        """As of any operator; the members of groups that go are found through those, for they do not name them."""
        slots, hits = named(self.groups, traces, range(self.groups.keys))
        counts = {"typed": Erased()}
        if self._members is not None:
            gone = self.groups.digests(packed_at(self.groups, slots))
            counts["members"] = self._members.erase(traces, gone)
        counts["typed"] = removed(self.groups, slots, hits)
        return self.remade(counts, cells)

    @property
    def bound(self) -> str:
        distinct = " with its distinct values" if self.accumulators.kept_calls else ""
        return f"a group per key{distinct}"

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        nothing = self._touched if self.keys_only else self.nothing
        if not len(batch):
            return nothing.marked(batch.mark_seq, batch.mark_wm)
        program, cell, size = self._program, self.groups, len(batch)
        rows, kept = program.packing.rows(program.given(batch), size)
        digests = cell.digests(rows)
        room = size if self.keys_only else 2 * size
        out = np.empty((0 if self.keys_only else room + 2, program.result_width), np.int64)
        out_row, out_kind = np.empty(room + 2, np.int64), np.empty(room + 2, np.int8)
        cursor = self._cursor
        cursor[:] = 0
        while True:
            grouping.group_step(
                cell.meta, self._lists[0], rows, digests, batch.kind, program.program, self._lists[1], len(self.keys),
                self.keys_only, out, out_row, out_kind, cursor,
            )  # fmt: skip
            if cursor[grouping.AT] == size:
                break
            self._provide()
        cell.reclaim()
        if self._members is not None:
            self._members.cell.reclaim()
        if cell.watchers:
            cell.changed(list(zip(*(batch.columns[each].to_list() for each in self.keys), strict=True)) or [()])
        del kept
        return self._out(batch, cursor[grouping.OUTPUT], (out, out_row, out_kind))

    def _provide(self) -> None:
        """What the kernel that just returned lacked, in either table."""
        if self._members is not None and self._members.cell.meta[NEED]:
            self._members.cell.provide()
        else:
            self.groups.provide()

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

    # ------------------------------------------------------------ reading

    def looked_at(self, key: Row) -> Kept | None:
        if self._members is None or not self.accumulators.kept_calls:
            return None
        return self._members.looked_at(self.groups, key)

    def faded(self, keys: Sequence[Row], aggregate: int) -> Folded:
        assert self._members is not None, "a decayed aggregate has members"
        columns = [Column.of(self.types[at], [key[at] for key in keys]) for at in range(len(self.keys))]
        rows, kept = Packing(self.groups.packing.kinds[: len(self.keys)]).rows(columns, len(keys))
        values, buckets, valid = self._members.folded(self.groups, self.groups.digests(rows), aggregate)
        del kept
        return values, DecayedSum(self.accumulators.half_lives[aggregate]).anchors_ms(buckets), valid
