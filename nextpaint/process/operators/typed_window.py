"""TUMBLE, HOP, CUMULATE and windows of windows on typed state: what `WindowAggregation` does, a batch at a time in a
kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from nextpaint.process.kernels import windows
from nextpaint.process.kernels.paged import WORD
from nextpaint.process.operators.protocol import Operator, StepContext
from nextpaint.process.operators.window import WindowAggregation
from nextpaint.process.state import State
from nextpaint.process.typed import TypedCell, keyable, kinds_of, packable
from nextpaint.process.typed_aggregates import TypedAggregates, typed_aggregates
from nextpaint.process.typed_timeline import Timeline
from nextpaint.record.columns import INSERT, Batch, Column
from nextpaint.sql.plan import WindowAggregate, WindowedAggregate, WindowKind

C = TypeVar("C", bound=TypedCell)
_KINDS = {WindowKind.TUMBLE: windows.TUMBLE, WindowKind.HOP: windows.HOP, WindowKind.CUMULATE: windows.CUMULATE}


def _window_columns(node: WindowAggregate | WindowedAggregate) -> tuple[int, ...]:
    """The columns that say to which windows a row belongs: its time, or start and end of its window."""
    return (node.time,) if isinstance(node, WindowAggregate) else (node.start, node.end)


def fitting(node: WindowAggregate | WindowedAggregate) -> TypedAggregates | None:
    """The node's aggregates as a program, or None where its keys, values or functions need the general operator."""
    if node.window.zone if isinstance(node, WindowAggregate) else node.zone:
        return None  # wall-clock times are looked up row by row
    types = node.input.schema.types
    results = [each.type for each in node.aggregates]
    if not keyable([types[each] for each in node.keys]) or not packable([*types, *results, *results]):
        return None
    return typed_aggregates(node.aggregates, types, (*node.keys, *_window_columns(node)), len(node.keys) + 2, lead=2)


class TypedWindow(WindowAggregation):
    """State: `windows`, typed: end, start, key fields, accumulators. Derived: timers of window ends."""

    _windows: TypedCell

    def __init__(
        self, identity: str, node: WindowAggregate | WindowedAggregate, sources: Sequence[Operator], state: State,
        program: TypedAggregates,
    ) -> None:  # fmt: skip
        self._program = program
        super().__init__(identity, node, sources, state)
        keys = len(node.keys)
        packing = program.packing
        self._key_fields = packing.keys(range(2, 2 + keys))
        places = [2 + program.inputs.index(each) for each in _window_columns(node)]
        if isinstance(node, WindowAggregate):
            window = [_KINDS[node.window.kind], node.window.size, node.window.step, node.window.offset]
        else:
            window = [windows.GIVEN, 0, 0, packing.at[places[1]]]
        self._window = np.array([*window, packing.at[places[0]], places[0], 2 + keys, self._windows.link_at], np.int64)
        self._notes = np.zeros(windows.NOTES, np.int64)
        self._timeline = Timeline(self._clock, self._windows.packing.width, program.result_width)

    def _made(self, node: WindowAggregate | WindowedAggregate, state: State) -> TypedCell:
        return state.add(self._cell(TypedCell, "typed", node, windows.LINKS))

    def _cell(self, kind: type[C], name: str, node: WindowAggregate | WindowedAggregate, links: int) -> C:
        kinds = kinds_of(node.input.schema.types[each] for each in node.keys)
        program, keys = self._program, len(kinds)
        return kind(
            f"{self.id}/{name}", (WORD, WORD, *kinds, *program.kinds), 2 + keys,
            (program.accumulators, program.fields), hashed=(*range(2, 2 + keys), 0, 1), links=links,
        )  # fmt: skip

    def restore(self) -> None:
        self._clock.restore()
        self._timeline.armed(len(self._windows))
        windows.windows_armed(self._windows.meta, self._timeline.queue)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        program, cell, line = self._program, self._windows, self._timeline
        rows, kept = program.packing.rows(program.given(batch), len(batch))
        line.begin()
        line.run(
            ((cell, line),),
            lambda: windows.window_step(
                cell.meta, line.queue, line.cursor, line.due, self._window, rows, self._key_fields, program.program,
                self._notes, batch.seq, batch.mark_seq, batch.mark_wm, line.out, line.results, line.seq,
            ),
        )  # fmt: skip
        del kept
        count = line.end()
        self.late += line.late
        made = self._fired(batch, count) if count else self.nothing.marked(batch.mark_seq, batch.mark_wm)
        cell.reclaim()
        return made

    def _fired(self, batch: Batch, count: int) -> Batch:
        line, packing, keys = self._timeline, self._windows.packing, len(self.keys)
        types = (*self.types[keys : keys + 2], *self.types[:keys])
        end, start, *columns = packing.columns(line.out, count, range(keys + 2), types)
        time = Column(self.types[keys + 2], end.values - 1)
        columns += [start, end, time, *self._program.columns(line.results, count)]
        kinds = np.full(count, INSERT, np.int8)
        return Batch(tuple(columns), kinds, line.seq[:count].copy(), batch.mark_seq, batch.mark_wm)

    def next_timer(self) -> int | None:
        end = self._timeline.first_time()
        return end - 1 if end is not None else None
