"""A materialised table on typed state, where nobody reads its changelog: it takes changes and passes nothing on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nextpaint.process.kernels import tables
from nextpaint.process.kernels.paged import WORD
from nextpaint.process.operators.protocol import Operator, StepContext
from nextpaint.process.operators.table import MaterialisedTable
from nextpaint.process.state import State
from nextpaint.process.typed import FIELDS_MAX, TypedCell, keyable, kind_of, packable
from nextpaint.record.columns import Batch, Column
from nextpaint.record.types import BIGINT, Field


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
        kinds = [kind for each in self._order if (kind := kind_of(self.types[each])) is not None]
        keys = len(self.key)
        place = [self._order.index(each) + (self._order.index(each) >= keys) for each in range(len(kinds))]

        def row(fields: Sequence[Any]) -> tuple[Any, ...]:
            return fields[keys], tuple([fields[each] for each in place])

        def fields(value: tuple[Any, ...]) -> list[Any]:
            return [value[0], *(value[1][each] for each in self._order[keys:])]

        held = (*kinds[:keys], WORD, *kinds[keys:])
        return state.add(TypedCell(f"{self.id}/typed", held, keys, (row, fields), whole=True))

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        if not len(batch):
            return self.nothing.marked(batch.mark_seq, batch.mark_wm)
        cell, keys = self.rows, len(self.key)
        columns = [batch.columns[each] for each in self._order]
        columns.insert(keys, Column(BIGINT, context.at(batch.seq)))
        rows, kept = cell.packing.rows(columns, len(batch))
        cell.run(tables.table_step, len(batch), rows, cell.digests(rows), batch.kind, keys)
        cell.reclaim()
        del kept
        if cell.watchers:
            cell.changed(list(zip(*(batch.columns[each].to_list() for each in self.key), strict=True)))
        return self.nothing.marked(batch.mark_seq, batch.mark_wm)
