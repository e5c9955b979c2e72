"""Window joins on typed state: what `WindowJoin` does, a batch of each side at a time in a kernel.

A further condition of an inner join is evaluated on the joined columns. For outer joins and EXISTS it decides what is
padded, so those stay with the general operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nextpaint.process.functions.compile import predicate
from nextpaint.process.kernels import both_inputs, window_joining
from nextpaint.process.kernels.paged import WORD
from nextpaint.process.operators.protocol import Operator, Row, StepContext
from nextpaint.process.operators.stateless import passing
from nextpaint.process.operators.window_join import LEFT, RIGHT, WindowJoin
from nextpaint.process.state import State
from nextpaint.process.typed import FIELDS_MAX, TypedCell, keyable, kinds_of, packable
from nextpaint.process.typed_chains import ordered
from nextpaint.process.typed_timeline import Timeline, Words
from nextpaint.record.columns import INSERT, Batch
from nextpaint.sql.plan import JoinKind
from nextpaint.sql.plan import WindowJoin as WindowJoinNode

_GIVES = {JoinKind.SEMI: window_joining.SEMI, JoinKind.ANTI: window_joining.ANTI}
_PLACE = 2  # fields of a waiting row before its columns: seq, ordinal


def fitting(node: WindowJoinNode) -> bool:
    """Can rows and keys be held as words, and do keys alone say what matches?"""
    sides = ((node.left.schema.types, node.left_keys), (node.right.schema.types, node.right_keys))
    keys = [[types[each] for each in at] for types, at in sides]
    return (
        not node.zone
        and (node.residual is None or node.kind is JoinKind.INNER)
        and all(packable(types) and len(types) + _PLACE <= FIELDS_MAX for types, _ in sides)
        and all(keyable(each) for each in keys)
        and kinds_of(keys[LEFT]) == kinds_of(keys[RIGHT])
    )


class TypedWindowJoin(WindowJoin):
    """State, typed: `left` and `right`, a row for each that waits: seq, ordinal, columns. Derived: timers of windows,
    their rows in the order they came in, right rows by window and key."""

    _cells: tuple[TypedCell, ...]

    def __init__(self, identity: str, node: WindowJoinNode, sources: Sequence[Operator], state: State) -> None:
        super().__init__(identity, node, sources, state)
        program = np.zeros(window_joining.JOIN, np.int64)
        program[window_joining.GIVES] = _GIVES.get(node.kind, window_joining.PAIRS)
        program[window_joining.PADS : window_joining.PADS + 2] = node.kind.pads_left, node.kind.pads_right
        fields: list[Words] = []
        for port, cell in enumerate(self._cells):
            keys = [_PLACE + each for each in self._keys[port]]
            never = {key for key, null in zip(keys, node.nulls_match, strict=True) if not null}
            start, end = self._bounds[port]
            program[window_joining.START + port] = cell.packing.at[_PLACE + start]
            program[window_joining.END + port] = cell.packing.at[_PLACE + end]
            program[window_joining.FIELDS + port] = len(cell.packing.kinds)
            program[window_joining.WIDTH + port] = cell.packing.width
            program[window_joining.LINK + port] = cell.link_at
            program[window_joining.NEVER + port] = sum(1 << each for each in never)
            fields.append(cell.packing.keys(keys))
        self._program, self._key_fields = program, tuple(fields)
        left, right = (cell.packing.width for cell in self._cells)
        self._timeline = Timeline(self._clock, left, right)
        self._indexed()
        self._passes = predicate(node.residual) if node.residual is not None else None

    def _made(self, state: State) -> None:
        sides = (("left", self.node.left.schema.types), ("right", self.node.right.schema.types))
        self._cells = tuple(
            state.add(
                TypedCell(
                    f"{self.id}/typed_{name}", (WORD, WORD, *kinds_of(types)), _PLACE, placed=True,
                    links=window_joining.LINKS,
                )
            )
            for name, types in sides
        )  # fmt: skip

    def _indexed(self) -> None:
        """Indexes of nothing."""
        self._by_window = TypedCell("windows", (WORD,) * window_joining.WINDOW_FIELDS, 0)
        self._by_key = TypedCell("keys", (WORD,) * window_joining.KEY_FIELDS, 0)

    def restore(self) -> None:
        self._clock.restore()
        self._indexed()
        line = self._timeline
        line.armed(self.held)
        for port, cell in enumerate(self._cells):
            slots, packed = ordered(cell.words((0, 1)), (0, 1)), np.empty((1, cell.packing.width), np.int64)
            at = 0

            def armed(port: int = port, slots: Words = slots, packed: Words = packed) -> None:
                nonlocal at
                at = window_joining.window_join_armed(
                    self._cells[port].meta, self._by_window.meta, self._by_key.meta, line.queue, self._program, port,
                    self._key_fields[port], slots, packed, at,
                )  # fmt: skip

            line.run(((cell, line), (self._by_window, line), (self._by_key, line)), armed)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        line, given, kept = self._timeline, list[Any](), list[Any]()
        for cell, batch, keys in zip(self._cells, inputs, self._key_fields, strict=True):
            rows, keep = cell.packing.rows(batch.columns, len(batch))
            kept.append(keep)
            given += [rows, batch.seq, keys]
        mark_pairs = [each for batch in inputs for each in (batch.mark_seq, batch.mark_wm)]
        marks = np.empty((len(mark_pairs[0]) + len(mark_pairs[2]), 2), np.int64)
        tables = (*self._cells, self._by_window, self._by_key)
        metas = tuple(each.meta for each in tables)
        line.begin()
        line.cursor[both_inputs.LAST_SEQ] = -1
        step: Any = window_joining.window_join_step
        line.run(
            [(each, line) for each in tables],
            lambda: step(
                *metas, line.queue, line.cursor, self._program, *given, *mark_pairs, line.out, line.results, line.seq,
                marks,
            ),
        )  # fmt: skip
        del kept
        count = line.end()
        self.late += line.late
        made = self._result(count, context) if count else self.nothing
        for cell in self._cells:
            cell.reclaim()
        risen = marks[: line.cursor[both_inputs.MARKS]]
        return made.marked(risen[:, 0].copy(), risen[:, 1].copy())

    def _result(self, count: int, context: StepContext) -> Batch:
        left, right = (cell.packing for cell in self._cells)
        line, width = self._timeline, len(self._padding[LEFT])
        more = self.types[width:]
        columns = left.columns(line.out, count, range(_PLACE, _PLACE + width), self.types[:width])
        columns += right.columns(line.results, count, range(_PLACE, _PLACE + len(more)), more)
        made = Batch(tuple(columns), np.full(count, INSERT, np.int8), line.seq[:count].copy())
        return made if self._passes is None else passing(made, self._passes, self.id, context)

    # ------------------------------------------------------------ live

    @property
    def held(self) -> int:
        return sum(map(len, self._cells))

    def next_timer(self) -> int | None:
        end = self._timeline.first_time()
        return end - 1 if end is not None else None

    def _waiting(self, port: int) -> list[Row]:
        return [row for _, row in sorted(self._cells[port].items(), key=lambda each: each[0])]
