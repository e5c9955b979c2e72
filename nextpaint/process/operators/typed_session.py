"""SESSION windows on typed state: what `SessionAggregation` does, a batch at a time in a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nextpaint.process.kernels import sessions
from nextpaint.process.kernels.paged import WORD
from nextpaint.process.operators.protocol import Operator, StepContext
from nextpaint.process.operators.session import SessionAggregation
from nextpaint.process.state import State
from nextpaint.process.typed import TypedLists, keyable, kinds_of, packable
from nextpaint.process.typed_aggregates import TypedAggregates, typed_aggregates
from nextpaint.process.typed_timeline import Timeline
from nextpaint.record.columns import INSERT, Batch, Column
from nextpaint.sql.plan import WindowAggregate


def fitting(node: WindowAggregate) -> TypedAggregates | None:
    """The node's aggregates as a program, or None where its keys, values or functions need the general operator."""
    if node.window.zone:
        return None  # wall-clock times are looked up row by row
    types = node.input.schema.types
    results = [each.type for each in node.aggregates]
    if not keyable([types[each] for each in node.keys]) or not packable([*types, *results, *results]):
        return None
    return typed_aggregates(node.aggregates, types, (*node.keys, node.time), len(node.keys) + 2)


class TypedSession(SessionAggregation):
    """State: `sessions`, typed: key fields, start, end, accumulators; a row for each. Derived: timers, one for each
    session, set when it opens and set again when it is found to have grown."""

    _sessions: TypedLists

    def __init__(
        self, identity: str, node: WindowAggregate, sources: Sequence[Operator], state: State, program: TypedAggregates
    ) -> None:
        self._program = program
        super().__init__(identity, node, sources, state)
        place = program.inputs.index(node.time)
        packing = program.packing
        self._key_fields = packing.keys(range(len(node.keys)))
        self._session = np.array(
            [node.window.size, packing.at[place], place, len(node.keys), self._sessions.link_at], np.int64
        )
        self._timeline = Timeline(self._clock, self._sessions.packing.width, program.result_width)

    def _made(self, node: WindowAggregate, state: State) -> TypedLists:
        kinds = kinds_of(node.input.schema.types[each] for each in node.keys)
        program = self._program

        def session(fields: Sequence[Any]) -> tuple[Any, ...]:
            return fields[0], fields[1], program.accumulators(fields[2:])

        def fields(session: tuple[Any, ...]) -> list[Any]:
            return [session[0], session[1], *program.fields(session[2])]

        return state.add(
            TypedLists(f"{self.id}/typed", (*kinds, WORD, WORD, *program.kinds), len(kinds), (session, fields), links=1)
        )

    def restore(self) -> None:
        self._clock.restore()
        self._timeline.armed(len(self._sessions))
        sessions.sessions_armed(self._sessions.meta, self._timeline.queue, self._session)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        program, cell, line = self._program, self._sessions, self._timeline
        rows, kept = program.packing.rows(program.given(batch), len(batch))
        digests = cell.digests(rows, self._key_fields)
        line.begin()
        line.run(
            ((cell, line),),
            lambda: sessions.session_step(
                cell.meta, line.queue, line.cursor, line.due, self._session, rows, digests, program.program,
                batch.seq, batch.mark_seq, batch.mark_wm, line.out, line.results, line.seq,
            ),
        )  # fmt: skip
        del kept
        count = line.end()
        self.late += line.late
        made = self._fired(batch, count) if count else self.nothing.marked(batch.mark_seq, batch.mark_wm)
        cell.reclaim()
        return made

    def _fired(self, batch: Batch, count: int) -> Batch:
        line, packing, keys = self._timeline, self._sessions.packing, len(self.keys)
        columns = packing.columns(line.out, count, range(keys + 2), self.types[: keys + 2])
        time = Column(self.types[keys + 2], columns[-1].values - 1)
        columns += [time, *self._program.columns(line.results, count)]
        kinds = np.full(count, INSERT, np.int8)
        return Batch(tuple(columns), kinds, line.seq[:count].copy(), batch.mark_seq, batch.mark_wm)

    def next_timer(self) -> int | None:
        end = self._timeline.first_time()
        return end - 1 if end is not None else None
