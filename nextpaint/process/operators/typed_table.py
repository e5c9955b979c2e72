"""Materialised tables on typed state: one whose changelog nobody reads passes nothing on, the other what changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels import cells, tables
from nextpaint.process.kernels.paged import WORD
from nextpaint.process.operators.protocol import Operator, Row, StepContext
from nextpaint.process.operators.table import GroupedTable, MaterialisedTable
from nextpaint.process.state import State
from nextpaint.process.typed import FIELDS_MAX, TypedCell, keyable, kinds_of, packable
from nextpaint.process.typed_chains import Emitted
from nextpaint.record.columns import DELETE, Batch, Column, IntArray
from nextpaint.record.types import BIGINT, Field

Words = npt.NDArray[np.int64]


def fitting(fields: Sequence[Field], key: Sequence[int]) -> bool:
    """Can the rows be held as words?"""
    types = [each.type for each in fields]
    return packable(types) and len(types) < FIELDS_MAX and keyable([types[each] for each in key])


class QuietTable(MaterialisedTable):
    """State: `rows`, typed: key fields, ledger time of the last change, the other columns."""

    rows: TypedCell

    def __init__(
        self, identity: str, fields: Sequence[Field], key: tuple[int, ...], sources: Sequence[Operator], state: State
    ) -> None:
        self._order = (*key, *(each for each in range(len(fields)) if each not in key))
        super().__init__(identity, fields, key, sources, state)

    def _made(self, state: State) -> TypedCell:
        kinds = kinds_of(self.types[each] for each in self._order)
        keys = len(self.key)
        place = [self._order.index(each) + (self._order.index(each) >= keys) for each in range(len(kinds))]
        self._place = place

        def row(fields: Sequence[Any]) -> tuple[Any, ...]:
            return fields[keys], tuple([fields[each] for each in place])

        def fields(value: tuple[Any, ...]) -> list[Any]:
            return [value[0], *(value[1][each] for each in self._order[keys:])]

        held = (*kinds[:keys], WORD, *kinds[keys:])
        return state.add(TypedCell(f"{self.id}/typed", held, keys, (row, fields), whole=True))

    def get_all(self, keys: Sequence[Row]) -> list[Row | None]:
        return [None if each is None else each[1] for each in self.rows.several(keys)]

    def changed_at_ms(self, keys: Sequence[Row]) -> list[int | None]:
        return cast("list[int | None]", self.rows.field(keys, len(self.key)))

    def _packed(self, batch: Batch, at_ms: IntArray) -> tuple[Words, list[Any]]:
        columns = [batch.columns[each] for each in self._order]
        columns.insert(len(self.key), Column(BIGINT, at_ms))
        return self.rows.packing.rows(columns, len(batch))

    def _watched(self, batch: Batch) -> None:
        if self.rows.watchers:
            self.rows.changed(list(zip(*(batch.columns[each].to_list() for each in self.key), strict=True)))

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        if not len(batch):
            return self.nothing.marked(batch.mark_seq, batch.mark_wm)
        cell = self.rows
        rows, kept = self._packed(batch, context.at(batch.seq))
        cell.run(tables.table_step, len(batch), rows, cell.digests(rows), batch.kind, len(self.key))
        cell.reclaim()
        del kept
        self._watched(batch)
        return self.nothing.marked(batch.mark_seq, batch.mark_wm)


class TypedTable(QuietTable):
    """State: as a quiet table's."""

    def __init__(
        self, identity: str, fields: Sequence[Field], key: tuple[int, ...], sources: Sequence[Operator], state: State
    ) -> None:
        super().__init__(identity, fields, key, sources, state)
        self._emitted = Emitted(self.rows.packing.width, 0, 2)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        made = self.changed(batch, context.at(batch.seq)) if len(batch) else self.nothing
        return made.marked(batch.mark_seq, batch.mark_wm)

    def changed(self, batch: Batch, at_ms: IntArray) -> Batch:
        """Take the rows of a batch; gives what changed. `at_ms`: the ledger time of each row."""
        cell, emitted, cursor = self.rows, self._emitted, np.zeros(2, np.int64)
        rows, kept = self._packed(batch, at_ms)
        digests = cell.digests(rows)
        emitted.run(
            (cell,),
            lambda: tables.changed_step(
                cell.meta, rows, digests, batch.kind, len(self.key), emitted.rows, emitted.told, cursor
            ),
        )
        made = self._told(batch, int(cursor[1]))
        del kept
        cell.reclaim()
        self._watched(batch)
        return made

    def _told(self, batch: Batch, count: int) -> Batch:
        if not count:
            return self.nothing
        emitted, packing = self._emitted, self.rows.packing
        columns = packing.columns(emitted.rows, count, self._place, self.types)
        caused = emitted.told[:count, 1]
        return Batch(tuple(columns), emitted.told[:count, 0].astype(np.int8), batch.seq[caused])


class TypedGroupedTable(GroupedTable):
    """State: `rows`, typed: primary key, ledger time of the last change."""

    rows: TypedCell

    def _made(self, state: State) -> TypedCell:
        kinds = kinds_of(self.types[each] for each in self.key)
        return state.add(TypedCell(f"{self.id}/typed", (*kinds, WORD), len(kinds)))

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch, cell = inputs[0], self.rows
        if len(batch):
            columns = [batch.columns[place] for place in self._place]
            rows, kept = cell.packing.rows([*columns, Column(BIGINT, context.at(batch.seq))], len(batch))
            digests, gone = cell.digests(rows), batch.kind == DELETE
            bounds = [0, *((gone[1:] != gone[:-1]).nonzero()[0] + 1).tolist(), len(batch)]
            for begin, end in pairwise(bounds):
                if gone[begin]:
                    cell.run(cells.cell_remove, end - begin, digests[begin:end])
                else:
                    cell.run(cells.cell_put, end - begin, rows[begin:end], digests[begin:end])
            del kept
            if cell.watchers:
                cell.changed(list(zip(*(each.to_list() for each in columns), strict=True)))
        return self.nothing.marked(batch.mark_seq, batch.mark_wm)
