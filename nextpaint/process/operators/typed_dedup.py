"""Deduplication on typed state: the last row of each key, and the first to arrive, a batch at a time in a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nextpaint.process.kernels import latest
from nextpaint.process.operators.dedup import FirstArrival, LastRow
from nextpaint.process.operators.protocol import Operator, StepContext
from nextpaint.process.state import State
from nextpaint.process.typed import TypedCell, keyable, kinds_of, packable
from nextpaint.process.typed_chains import Emitted
from nextpaint.record.columns import INSERT, Batch, Column
from nextpaint.record.types import BIGINT
from nextpaint.sql.plan import Deduplicate


def fitting(node: Deduplicate) -> bool:
    """Can rows and keys be held as words?"""
    types = node.input.schema.types
    return not node.ttl_ms and not node.buries and packable(types) and keyable([types[each] for each in node.partition])


class TypedLastRow(LastRow):
    """State: `kept`, typed: key fields, the other columns."""

    _kept: TypedCell

    def __init__(self, identity: str, node: Deduplicate, sources: Sequence[Operator], state: State) -> None:
        others = [each for each in range(len(node.input.schema.fields)) if each not in node.partition]
        self._order = (*node.partition, *others)
        super().__init__(identity, node, sources, state)
        packing = self._kept.packing
        self._time_field = -1 if node.time is None else self._order.index(node.time)
        self._time_word = -1 if node.time is None else packing.at[self._time_field]
        self._emitted = Emitted(packing.width, 0, 2)

    def _made(self, node: Deduplicate, state: State) -> TypedCell:
        kinds = kinds_of(self.types[each] for each in self._order)
        place = [self._order.index(each) for each in range(len(kinds))]

        def row(fields: Sequence[Any]) -> tuple[Any, ...]:
            return tuple([fields[each] for each in place])

        def fields(row: tuple[Any, ...]) -> list[Any]:
            return [row[each] for each in self._order[len(node.partition) :]]

        return state.add(TypedCell(f"{self.id}/typed", kinds, len(node.partition), (row, fields), whole=True))

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        if not len(batch):
            return self.nothing.marked(batch.mark_seq, batch.mark_wm)
        cell, emitted = self._kept, self._emitted
        rows, kept = cell.packing.rows([batch.columns[each] for each in self._order], len(batch))
        digests = cell.digests(rows)
        cursor = np.zeros(2, np.int64)
        emitted.run(
            (cell,),
            lambda: latest.last_step(
                cell.meta, rows, digests, self._time_field, self._time_word, emitted.rows, emitted.told, cursor
            ),
        )
        count = int(cursor[1])
        made = self._told(batch, count) if count else self.nothing
        del kept
        cell.reclaim()
        return made.marked(batch.mark_seq, batch.mark_wm)

    def _told(self, batch: Batch, count: int) -> Batch:
        emitted, packing = self._emitted, self._kept.packing
        width = len(self._order)
        columns = packing.columns(emitted.rows, count, map(self._order.index, range(width)), self.types[:width])
        columns.append(Column(self.types[width], np.ones(count, np.int64)))
        caused = emitted.told[:count, 1]
        return Batch(tuple(columns), emitted.told[:count, 0].astype(np.int8), batch.seq[caused])


class TypedFirstArrival(FirstArrival):
    """State: `seen`, typed: key fields."""

    _seen: TypedCell

    def _made(self, node: Deduplicate, state: State) -> TypedCell:
        kinds = kinds_of(self.types[each] for each in node.partition)
        return state.add(TypedCell(f"{self.id}/typed", kinds, len(kinds), (lambda _: 1, lambda _: ())))

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        if not len(batch):
            return self.nothing.marked(batch.mark_seq, batch.mark_wm)
        cell = self._seen
        rows, kept = cell.packing.rows([batch.columns[each] for each in self.partition], len(batch))
        digests, first, cursor = cell.digests(rows), np.empty(len(batch), np.int64), np.zeros(2, np.int64)
        while True:
            latest.first_step(cell.meta, rows, digests, first, cursor)
            if cursor[0] == len(batch):
                break
            cell.provide()
        del kept
        found = first[: cursor[1]]
        columns = [each.take(found) for each in batch.columns]
        columns.append(Column(BIGINT, np.ones(len(found), np.int64)))
        kinds = np.full(len(found), INSERT, np.int8)
        return Batch(tuple(columns), kinds, batch.seq[found], batch.mark_seq, batch.mark_wm)
