"""Regular joins on typed state: what `Join` does, a batch of each side at a time in a kernel.

A further condition of an inner join is evaluated on the joined columns: a pair that does not pass changes no state. For
outer joins and EXISTS it decides what is padded, so those stay with the general operator, as do joins with a time to
live.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from nextpaint.process.functions.compile import predicate
from nextpaint.process.kernels import both_inputs, chains, joining, timeline
from nextpaint.process.kernels.paged import WORD
from nextpaint.process.operators.join import LEFT, RIGHT, Join
from nextpaint.process.operators.protocol import Operator, Row, StepContext
from nextpaint.process.operators.sides import Entry, JoinSide
from nextpaint.process.operators.stateless import passing
from nextpaint.process.state import State
from nextpaint.process.typed import FIELDS_MAX, Packing, TypedCell, keyable, kinds_of, packable
from nextpaint.process.typed_chains import Chains, Emitted
from nextpaint.record.columns import Batch
from nextpaint.record.types import Type
from nextpaint.sql.plan import Join as JoinNode
from nextpaint.sql.plan import JoinKind

_GIVES = {JoinKind.SEMI: joining.SEMI, JoinKind.ANTI: joining.ANTI}


def fitting(node: JoinNode) -> bool:
    """Can rows and keys be held as words, and do keys alone say what matches?"""
    sides = ((node.left.schema.types, node.left_keys), (node.right.schema.types, node.right_keys))
    keys = [[types[each] for each in at] for types, at in sides]
    return (
        not any(node.ttl_ms)
        and (node.residual is None or node.kind is JoinKind.INNER)
        and all(packable(types) and len(types) + joining.COUNTED <= FIELDS_MAX for types, _ in sides)
        and all(keyable(each) for each in keys)
        and kinds_of(keys[LEFT]) == kinds_of(keys[RIGHT])
    )


def _counted(fields: Sequence[Any]) -> tuple[Any, ...]:
    times, seq, ordinal, matches = fields
    return times, matches, seq, ordinal


def _fields_counted(entry: Sequence[Any]) -> tuple[Any, ...]:
    times, matches, seq, ordinal = entry
    return times, seq, ordinal, matches


def _uncounted(fields: Sequence[Any]) -> tuple[Any, ...]:
    times, seq, ordinal = fields
    return times, 0, seq, ordinal


def _fields_uncounted(entry: Sequence[Any]) -> tuple[Any, ...]:
    times, _, seq, ordinal = entry
    return times, seq, ordinal


class TypedSide(JoinSide):
    """One side: a typed cell, columns -> times, seq, ordinal and, if it `tracks` them, matches. Derived: rows chained
    by join key."""

    def __init__(
        self, name: str, types: Sequence[Type], keys: Sequence[int], nulls_match: Sequence[bool], tracks: bool
    ) -> None:
        kinds = kinds_of(types)
        shape = (_counted, _fields_counted) if tracks else (_uncounted, _fields_uncounted)
        held = (*kinds, *(WORD,) * (joining.COUNTED if tracks else joining.MATCHES))
        self.cell = TypedCell(name, held, len(kinds), shape, links=chains.LINKS, hashed=range(len(kinds)))
        super().__init__(self.cell, keys, nulls_match)
        self.given = Packing(kinds)
        self.key_fields = self.given.keys(keys)
        self._chains = Chains(self.cell, keys)
        self._columns = len(kinds)

    @property
    def index(self) -> TypedCell:
        """The chains' index."""
        return self._chains.index

    def restore(self) -> None:
        self._chains.restore((self._columns + joining.SEQ_AT, self._columns + joining.ORDINAL_AT))

    def rows(self, key: Row) -> Iterable[Row]:
        return [tuple(fields[: self._columns]) for fields in self._chains.rows(key)]

    def put(self, row: Row, entry: Entry | None) -> None:
        raise TypeError("written by the join's kernel only")


class TypedJoin(Join):
    """State: `left` and `right`, typed, see `TypedSide`."""

    _sides: tuple[TypedSide, ...]

    def __init__(self, identity: str, node: JoinNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node, sources, state)
        left, right = self._sides
        program = np.zeros(joining.JOIN, np.int64)
        program[joining.GIVES] = _GIVES.get(node.kind, joining.PAIRS)
        for port, side in enumerate(self._sides):
            program[joining.PADS + port] = self._pads[port]
            program[joining.TRACKS + port] = self._tracks[port]
            program[joining.COLUMNS + port] = len(side.given.kinds)
            program[joining.WIDTH + port] = side.given.width
            program[joining.NEVER + port] = sum(1 << each for each in set(side.never))
        self._program = program
        self._cursor = np.zeros(timeline.CURSOR, np.int64)
        self._emitted = Emitted(left.cell.packing.width, right.cell.packing.width, 2)
        self._passes = predicate(node.residual) if node.residual is not None else None

    def _made(self, node: JoinNode, state: State) -> tuple[TypedSide, ...]:
        nulls = node.nulls_match or (False,) * len(node.left_keys)
        left, right = self._tracks
        sides = (
            TypedSide(f"{self.id}/typed_left", node.left.schema.types, node.left_keys, nulls, left),
            TypedSide(f"{self.id}/typed_right", node.right.schema.types, node.right_keys, nulls, right),
        )
        for side in sides:
            state.add(side.cell)
        return sides

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        cursor, emitted = self._cursor, self._emitted
        cursor[:] = 0
        cursor[timeline.WATERMARK] = self._clock.watermark
        cursor[timeline.INPUT : timeline.INPUT + 2] = self._clock.inputs
        cursor[both_inputs.LAST_SEQ] = -1
        given, kept = [], []
        for side, batch in zip(self._sides, inputs, strict=True):
            rows, keep = side.given.rows(batch.columns, len(batch))
            kept.append(keep)
            keyed = side.cell.digests(rows, side.key_fields)
            given += [rows, side.cell.digests(rows), keyed, batch.kind, batch.seq]
        mark_pairs = [each for batch in inputs for each in (batch.mark_seq, batch.mark_wm)]
        marks = np.empty((len(mark_pairs[0]) + len(mark_pairs[2]), 2), np.int64)
        tables = [each for side in self._sides for each in (side.cell, side.index)]
        before = (*(each.meta for each in tables), self._program, cursor, *given, *mark_pairs)
        step: Any = joining.join_step
        emitted.run(tables, lambda: step(*before, emitted.rows, emitted.more, emitted.told, marks))
        self._clock.moved(cursor[timeline.INPUT : timeline.INPUT + 2].tolist(), int(cursor[timeline.WATERMARK]))
        count = int(cursor[timeline.OUT])
        made = self._result(count, context) if count else self.nothing
        del kept  # what was put out pointed into it
        for side in self._sides:
            side.cell.reclaim()
        risen = marks[: cursor[both_inputs.MARKS]]
        return made.marked(risen[:, 0].copy(), risen[:, 1].copy())

    def _result(self, count: int, context: StepContext) -> Batch:
        left, right = (side.cell.packing for side in self._sides)
        emitted, width = self._emitted, self._width
        columns = left.columns(emitted.rows, count, range(width), self.types[:width])
        if not self.node.kind.left_only:
            more = self.types[width:]
            columns += right.columns(emitted.more, count, range(len(more)), more)
        kinds = emitted.told[:count, 0].astype(np.int8)
        made = Batch(tuple(columns), kinds, emitted.told[:count, 1].copy())
        return made if self._passes is None else passing(made, self._passes, self.id, context)
