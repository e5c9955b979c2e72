"""OVER on typed state: what `OverAggregation` does, a batch at a time in a kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nextpaint.process import erasing
from nextpaint.process.erasing import Erased, Traces, erased, named, packed_at, removed
from nextpaint.process.kernels import over
from nextpaint.process.kernels.accumulate import COUNT, COUNT_ALL, SUM
from nextpaint.process.kernels.over import FRAME_LINKS, KEPT, ROW_LINKS, WAITING
from nextpaint.process.kernels.paged import TRUTH, WORD
from nextpaint.process.operators.over import Frame, Held, OverAggregation
from nextpaint.process.operators.protocol import Operator, Row, StepContext
from nextpaint.process.state import Cell, State
from nextpaint.process.typed import FIELDS_MAX, Packing, TypedCell, keyable, kinds_of, packable
from nextpaint.process.typed_aggregates import TypedAggregates, typed_aggregates
from nextpaint.process.typed_chains import ordered
from nextpaint.process.typed_timeline import Timeline, Timers
from nextpaint.record.columns import INSERT, Batch
from nextpaint.sql.plan import OverAggregate

_FIRED = 2  # the field that says whether a row has fired
_LEAD = 3  # fields of a row before its columns: seq, ordinal, whether it has fired
_EXACT = (COUNT_ALL, COUNT, SUM)  # what can be taken back without a trace


def fitting(node: OverAggregate) -> TypedAggregates | None:
    """The node's aggregates as a program over state rows, or None where the general operator is needed."""
    types = node.input.schema.types
    results = [each.type for each in node.aggregates]
    partition = [types[each] for each in node.partition]
    if not keyable(partition) or not packable([*types, *results]) or len(types) + _LEAD > FIELDS_MAX:
        return None
    if len(partition) + 1 + 2 * len(results) > FIELDS_MAX:
        return None
    return typed_aggregates(node.aggregates, types, (), len(partition) + 1, lead=_LEAD, stored=True)


class _Frames:
    """Frames as the general operator holds them: partition -> (last fired time, kept rows, accumulators)."""

    def __init__(self, operator: TypedOver) -> None:
        self._operator = operator

    def get(self, partition: Row) -> Frame | None:
        operator = self._operator
        found = operator.frame_cell.get(partition)
        if found is None or found[0] is None:
            return None
        if not operator.bounded:
            return found[0], (), found[1]
        kept: list[Any] = [(row[operator.node.order], row) for _, row in operator.listed(partition, KEPT)]
        return found[0], tuple(kept), ()

    def items(self) -> Iterator[tuple[Row, Frame]]:
        for partition in [key for key, _ in self._operator.frame_cell.items()]:
            frame = self.get(partition)
            if frame is not None:
                yield partition, frame


class TypedOver(OverAggregation):
    """State, typed: `rows`: seq, ordinal, whether fired, columns; `frames`: partition, last fired time, accumulators.
    Derived: the lists of a frame's rows, timers of waiting rows and of frames to clean."""

    def __init__(
        self, identity: str, node: OverAggregate, sources: Sequence[Operator], state: State, program: TypedAggregates
    ) -> None:
        self._program = program
        super().__init__(identity, node, sources, state)
        rows, time = self.row_cell.packing, _LEAD + node.order
        partition = self._key_packing.kinds
        exact = all(what in _EXACT for what in program.program[:, 0].tolist())
        self._shape = np.array(
            [
                over.RANGE if node.unit == "RANGE" else over.ROWS, -1 if node.preceding is None else node.preceding,
                rows.at[time], time, len(rows.kinds), len(partition), len(program.kinds), int(not exact),
                self.row_cell.link_at, self.frame_cell.link_at,
            ],
            np.int64,
        )  # fmt: skip
        self._key_fields = self._key_packing.keys(range(len(partition)))
        self._in_row = rows.keys([_LEAD + each for each in node.partition])
        self._timeline = Timeline(self._clock, rows.width, program.result_width)
        self._clean_timers = Timers()
        self._frames = _Frames(self)  # type: ignore[assignment]

    def _cells(self, state: State) -> None:
        node, program = self.node, self._program
        kinds = kinds_of(node.input.schema.types)
        partition = [kinds[each] for each in node.partition]
        self._key_packing = Packing(partition)

        def row(fields: Sequence[Any]) -> tuple[Any, ...]:
            return fields[0], tuple(fields[1:])

        def frame(fields: Sequence[Any]) -> tuple[Any, ...]:
            return fields[0], program.accumulators(fields[1:])

        self.row_cell = state.add(
            TypedCell(
                f"{self.id}/rows",
                (WORD, WORD, TRUTH, *kinds),
                2,
                (row, _unwritten),
                links=ROW_LINKS,
                placed=True,
                found=False,
            )
        )
        self.frame_cell = state.add(
            TypedCell(
                f"{self.id}/typed", (*partition, WORD, *program.kinds), len(partition), (frame, _unwritten),
                links=FRAME_LINKS,
            )
        )  # fmt: skip

    def restore(self) -> None:
        self._clock.restore()
        found = self.row_cell.words((_FIRED, _LEAD + self.node.order, 0, 1))
        waiting = ordered(found[found[:, 0] == 0], (2, 3))
        kept = ordered(found[found[:, 0] != 0], (1, 2, 3))
        self._timeline.armed(len(waiting))
        self._clean_timers.armed(len(self.frame_cell))
        over.over_linked(
            self.row_cell.meta, self.frame_cell.meta, self._timeline.queue, self._clean_timers.queue, self._shape,
            self._in_row, waiting, kept, np.empty((1, self.row_cell.packing.width), np.int64),
        )  # fmt: skip

    def erase(self, traces: Traces, cells: Mapping[str, Cell]) -> dict[str, Erased]:
        """As the general operator, whose waiting rows are a cell and whose kept rows lie in their frames: rows that
        wait go where they name the person, kept ones with their frame."""
        rows = self.row_cell
        waiting, _ = named(rows, traces, range(len(rows.packing.kinds)))
        hits = erasing.held(rows, traces)
        fired = packed_at(rows, waiting)[:, rows.packing.at[_FIRED]] != 0
        partition, _ = named(rows, traces, [_LEAD + each for each in self.node.partition])
        slots = np.union1d(waiting[~fired], partition)
        counts = {
            "rows": removed(rows, slots, hits[~np.isin(hits[:, 0], slots)]),
            "typed": erased(self.frame_cell, traces),
        }
        return self.remade(counts, cells)

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        rows_cell, frames, line, size = self.row_cell, self.frame_cell, self._timeline, len(batch)
        rows, kept = rows_cell.packing.rows(batch.columns, size)
        keys, kept_too = self._key_packing.rows([batch.columns[each] for each in self.node.partition], size)
        digests = frames.digests(keys, self._key_fields)
        line.begin()
        line.cursor[over.LAST_SEQ] = -1
        line.run(
            ((rows_cell, line), (frames, self._clean_timers)),
            lambda: over.over_step(
                rows_cell.meta, frames.meta, line.queue, self._clean_timers.queue, line.cursor, line.due, self._shape,
                rows, keys, digests, self._program.program,
                batch.seq, batch.mark_seq, batch.mark_wm, line.out, line.results, line.seq,
            ),
        )  # fmt: skip
        del kept, kept_too
        count = line.end()
        self.late += line.late
        made = self._put_out(batch, count) if count else self.nothing.marked(batch.mark_seq, batch.mark_wm)
        rows_cell.reclaim()
        frames.reclaim()
        return made

    def _put_out(self, batch: Batch, count: int) -> Batch:
        line, packing = self._timeline, self.row_cell.packing
        width = len(packing.kinds) - _LEAD
        columns = packing.columns(line.out, count, range(_LEAD, _LEAD + width), self.types[:width])
        columns += self._program.columns(line.results, count)
        kinds = np.full(count, INSERT, np.int8)
        return Batch(tuple(columns), kinds, line.seq[:count].copy(), batch.mark_seq, batch.mark_wm)

    def next_timer(self) -> int | None:
        return self._timeline.first_time()

    # ------------------------------------------------------------ reading

    def listed(self, partition: Row, which: int) -> list[tuple[tuple[int, int], Row]]:
        """((seq, ordinal), row) of one of a frame's lists."""
        frame = self.frame_cell.find(partition)
        if frame < 0:
            return []
        packing = self.row_cell.packing
        packed = np.empty((16, packing.width), np.int64)
        arguments = self.row_cell.meta, self.frame_cell.meta, frame, which, self._shape
        while (count := over.over_listed(*arguments, packed)) > len(packed):
            packed = np.empty((count, packing.width), np.int64)
        found: list[list[Any]] = packing.values(packed, count)
        return [((fields[0], fields[1]), tuple(fields[_LEAD:])) for fields in found]

    @property
    def held(self) -> int:
        return self._timeline.waiting

    def held_rows(self) -> Iterator[tuple[Held, Row]]:
        for (seq, ordinal), (fired, row) in self.row_cell.items():
            if not fired:
                yield (row[self.node.order], seq, ordinal), row

    def _held_of(self, partition: Row) -> list[tuple[Held, Row]]:
        order: Any = self.node.order
        return [((row[order], *place), row) for place, row in self.listed(partition, WAITING)]


def _unwritten(value: Any) -> Sequence[Any]:
    raise TypeError("written by the operator's kernel only")
