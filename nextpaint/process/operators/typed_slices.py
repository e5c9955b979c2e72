"""HOP and CUMULATE in slices: what `TypedWindow` does, with one state row a row of input and not one for each of its
windows; see `kernels.slices`. For aggregates that are the same in any order of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels import accumulate, paged, slices
from nextpaint.process.kernels.slices import ALIVE, NEXT_END
from nextpaint.process.operators.protocol import Operator, Row, Select, StepContext
from nextpaint.process.operators.typed_window import TypedWindow
from nextpaint.process.operators.window import Held
from nextpaint.process.state import State
from nextpaint.process.typed import TypedCell
from nextpaint.process.typed_aggregates import TypedAggregates
from nextpaint.record.columns import Batch, Value
from nextpaint.sql.plan import Window, WindowAggregate, WindowedAggregate, WindowKind

Words = npt.NDArray[np.int64]
_WINDOWS = 256  # of a reading that are made together, at first
_IN_ANY_ORDER = (accumulate.COUNT_ALL, accumulate.COUNT, accumulate.SUM, accumulate.MIN, accumulate.MAX)


def fitting(window: Window, program: TypedAggregates) -> bool:
    """Do windows share rows, and give aggregates of parts that of the whole, bit for bit? Sums of reals do not, nor do
    MIN and MAX of reals: which of -0.0 and 0.0 they are, and NaN, depends on the order of rows."""
    shared = window.kind in (WindowKind.HOP, WindowKind.CUMULATE) and window.size > window.step
    return shared and bool(np.isin(program.program[:, 0], _IN_ANY_ORDER).all())


class _Slices(TypedCell):
    """The slices, and beside them the running windows, which are derived: neither hashed nor saved."""

    __slots__ = ("running",)

    running: TypedCell

    def size_bytes(self) -> int:
        return super().size_bytes() + self.running.size_bytes()


class SlicedWindow(TypedWindow):
    """State: `slices`, typed: end, start, key fields, accumulators. Derived: running windows of keys, in order of key,
    and timers of slices that wait for the first of their windows."""

    _windows: _Slices

    def __init__(
        self, identity: str, node: WindowAggregate, sources: Sequence[Operator], state: State, program: TypedAggregates
    ) -> None:
        super().__init__(identity, node, sources, state, program)
        self._turn = np.zeros(slices.PLACES, np.int64)
        self._scratch = np.zeros((1, self._windows.packing.width), np.int64)

    def _made(self, node: WindowAggregate | WindowedAggregate, state: State) -> _Slices:
        made = state.add(self._cell(_Slices, "slices", node, slices.LINKS))
        made.running = self._cell(TypedCell, "running", node, slices.RUNNING_LINKS)
        return made

    def restore(self) -> None:
        cell = self._windows
        self._clock.restore()
        self._turn[:] = 0
        cell.running.wipe()  # after an erasure it names somebody
        cell.running = self._cell(TypedCell, "running", self._node, slices.RUNNING_LINKS)
        self._timeline.armed(len(cell))
        slices.slices_armed(
            cell.meta, self._timeline.queue, self._window, self._scratch, self._key_fields, self._clock.watermark
        )

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        program, cell, line = self._program, self._windows, self._timeline
        running = cell.running
        rows, kept = program.packing.rows(program.given(batch), len(batch))
        line.begin()
        line.run(
            ((cell, line), (running, line)),
            lambda: slices.slices_step(
                cell.meta, running.meta, line.queue, line.cursor, line.due, self._window, rows, self._key_fields,
                program.program, self._notes, self._turn, self._scratch, batch.seq, batch.mark_seq, batch.mark_wm,
                line.out, line.results, line.seq,
            ),
        )  # fmt: skip
        del kept
        count = line.end()
        self.late += line.late
        made = self._fired(batch, count) if count else self.nothing.marked(batch.mark_seq, batch.mark_wm)
        cell.reclaim()
        running.reclaim()
        return made

    def next_timer(self) -> int | None:
        end = int(self._turn[NEXT_END]) if self._turn[ALIVE] else self._timeline.first_time()
        return end - 1 if end is not None else None

    # ------------------------------------------------------------ readings

    def _opened(self, positions: Select) -> dict[Row, Held]:
        cell = self._windows
        listed = np.empty((len(cell), 4), np.int64)
        slices.slices_listed(cell.meta, self._window, listed)
        keys = len(self.keys)
        if keys and len(positions) == keys:
            key = [positions[at] for at in range(keys)]
            if not cell.may_hold((0, 0, *key)):
                return {}
            digest = cell.digests(cell.packing.one((0, 0, *key)), self._key_fields)[0]
            listed = listed[(listed[:, :2] == digest).all(axis=1)]
        listed = listed[np.lexsort((listed[:, 2], listed[:, 1], listed[:, 0]))]
        last = np.ones(len(listed), np.bool_)
        last[:-1] = (listed[1:, :2] != listed[:-1, :2]).any(axis=1)
        return {
            tuple(fields[: 2 + keys]): self._program.accumulators(fields[2 + keys :])
            for fields in self._open_windows(np.ascontiguousarray(listed[:, 3]), np.flatnonzero(last) + 1)
            if all(fields[2 + column] == value for column, value in positions.items())
        }

    def _open_windows(self, slots: Words, ends: Words) -> Iterator[list[Value]]:
        """The fields of every open window of groups, of the slots of their slices; see `slices_opened`."""
        cell, group, room = self._windows, 0, _WINDOWS
        scratch, count = np.zeros(int(cell.meta[paged.WIDTH]), np.int64), np.zeros(1, np.int64)
        while group < len(ends):
            out = np.empty((room, cell.packing.width), np.int64)
            after = slices.slices_opened(
                cell.meta, self._window, self._program.program, slots, ends, group, self._clock.watermark, scratch,
                out, count,
            )  # fmt: skip
            yield from cell.packing.values(out, int(count[0]))
            if after == group:
                room *= 2  # one group has more than fits
            group = after
