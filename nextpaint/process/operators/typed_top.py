"""Top-N of an append-only input on typed state: what `TopN` does, a batch at a time in a kernel.

A partition's rows are a chain, walked from its end for each row that enters: right for the few ranks people ask for.
Larger ones, inputs that are updated and a time to live stay with the general operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nextpaint.process.kernels import chains, ranking
from nextpaint.process.kernels.paged import WORD
from nextpaint.process.operators.protocol import Operator, Row, StepContext
from nextpaint.process.operators.top import TopN
from nextpaint.process.ranking import Place, Ranking
from nextpaint.process.state import State
from nextpaint.process.typed import FIELDS_MAX, TypedCell, keyable, kinds_of, packable
from nextpaint.process.typed_chains import Chains, Emitted
from nextpaint.record.columns import Batch, Column
from nextpaint.record.types import BIGINT
from nextpaint.sql.plan import Changes, Rank

RANKS_MAX = 1_000


def fitting(node: Rank) -> bool:
    """Can rows be held as words, and are they few per partition?"""
    types = node.input.schema.types
    return (
        not node.ttl_ms
        and node.limit is None
        and node.input.schema.changes is Changes.APPEND
        and node.last is not None
        and node.last <= RANKS_MAX
        and packable(types)
        and len(types) + 2 <= FIELDS_MAX
        and keyable([types[each] for each in node.partition])
    )


class TypedTopN(TopN):
    """State: `rows`, typed: partition, seq, ordinal, the other columns. Derived: rows chained by partition, best
    first."""

    _rows: TypedCell

    def __init__(self, identity: str, node: Rank, sources: Sequence[Operator], state: State) -> None:
        others = [each for each in range(len(node.input.schema.fields)) if each not in node.partition]
        self._columns_at = (*node.partition, *others)
        super().__init__(identity, node, sources, state)
        keys, packing = len(node.partition), self._rows.packing
        self._place = [self._field(each) for each in range(len(self._columns_at))]
        self._chains = Chains(self._rows, range(keys))
        self._partitions = packing.keys(range(keys))
        self._rank = np.array(
            [node.first, node.last or 0, node.shown, keys, packing.at[keys], packing.at[keys + 1]], np.int64
        )
        fields = [(self._field(each.index), each) for each in node.keys]
        self._lines = np.array(
            [[packing.kinds[at], at, packing.at[at], each.descending, each.nulls_first] for at, each in fields],
            np.int64,
        ).reshape(-1, 5)
        self._cursor = np.zeros(4, np.int64)
        self._cursor[2] = -1
        self._emitted = Emitted(packing.width, 0, 3)

    def _field(self, column: int) -> int:
        """Where a column of the input is among the fields."""
        at = self._columns_at.index(column)
        return at if at < len(self.partition) else at + 2

    def _made(self, node: Rank, state: State) -> TypedCell:
        kinds = kinds_of(self.types[each] for each in self._columns_at)
        keys = len(node.partition)

        def row(fields: Sequence[Any]) -> tuple[Any, ...]:
            return tuple([fields[each] for each in self._place])

        def fields(row: tuple[Any, ...]) -> list[Any]:
            return [row[each] for each in self._columns_at[keys:]]

        held = (*kinds[:keys], WORD, WORD, *kinds[keys:])
        return state.add(TypedCell(f"{self.id}/typed", held, keys + 2, (row, fields), links=chains.LINKS, whole=True))

    def restore(self) -> None:
        """Chain the rows in order; what they rank by may be text, so they are sorted as Python values."""
        keys = len(self.partition)
        found = []
        for slot, fields in self._rows.rows():
            row = tuple([fields[each] for each in self._place])
            found.append((self._order(row), fields[keys], fields[keys + 1], slot))
        found.sort()
        self._chains.clear()
        self._chains.built(np.array([each[-1] for each in found], np.int64))

    def _ranking(self, partition: Row) -> Ranking | None:
        keys, places = len(self.partition), []
        for fields in self._chains.rows(partition):
            row = tuple([fields[each] for each in self._place])
            places.append(Place(self._order(row), fields[keys], fields[keys + 1], row))  # type: ignore[arg-type]
        return Ranking(places) if places else None

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        if not len(batch):
            return self.nothing.marked(batch.mark_seq, batch.mark_wm)
        cell, emitted, keys = self._rows, self._emitted, len(self.partition)
        columns = [batch.columns[each] for each in self._columns_at]
        columns[keys:keys] = [Column(BIGINT, batch.seq), Column(BIGINT, np.zeros(len(batch), np.int64))]
        rows, kept = cell.packing.rows(columns, len(batch))
        partitions = cell.digests(rows, self._partitions)
        cursor = self._cursor
        cursor[:2] = 0
        emitted.run(
            (cell, self._chains.index),
            lambda: ranking.rank_step(
                cell.meta, self._chains.index.meta, self._rank, self._lines, rows, self._partitions, partitions,
                emitted.rows, emitted.told, cursor,
            ),
        )  # fmt: skip
        count = int(cursor[1])
        made = self._told(batch, count) if count else self.nothing
        del kept
        cell.reclaim()
        return made.marked(batch.mark_seq, batch.mark_wm)

    def _told(self, batch: Batch, count: int) -> Batch:
        emitted, packing = self._emitted, self._rows.packing
        columns = packing.columns(emitted.rows, count, self._place, self.types[: len(self._place)])
        told = emitted.told[:count]
        columns.append(Column(self.types[len(columns)], told[:, 2].copy()))
        return Batch(tuple(columns), told[:, 0].astype(np.int8), batch.seq[told[:, 1]])
