"""What every operator with event time on typed state shares: cursor, timers, room for output, and the loop of calls.

A step is `begin`, then the operator's kernel through `run` until it reaches the end of the batch, then `end`, which
hands the clock back. Timers and scratch are derived: `armed` makes room to set all timers anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels import paged, timeline, timers
from nextpaint.process.kernels.paged import ROOM_DUE, ROOM_OUT, ROOM_TIMERS
from nextpaint.process.operators.protocol import EventClock
from nextpaint.process.typed import TypedCell, entered

Words = npt.NDArray[np.int64]
_OUT_ROWS = 64
_DUE = 64


class Timers:
    """Timers of one kind, derived from state."""

    __slots__ = ("_blocks", "_directory", "_ring", "_ring_blocks", "queue")

    def __init__(self) -> None:
        self.clear_timers()

    def clear_timers(self) -> None:
        """Forget all timers."""
        self.queue = np.zeros(timers.QUEUE, np.int64)
        self._directory = np.zeros(4, np.int64)
        self._blocks: list[Words] = []
        self._ring_blocks: list[Words] = []
        self._ring = np.zeros(0, np.int64)
        self.queue[timers.BLOCKS] = self._directory.ctypes.data

    def armed(self, count: int) -> None:
        """Forget all timers and make room for this many."""
        self.clear_timers()
        while self.queue[timers.ROOM] < count:
            self.more_timers()

    def more_timers(self) -> None:
        """Room for a block more, in the heap as in the ring: any number of timers may be in either."""
        self._blocks.append(_block())
        self._directory = entered(self._directory, len(self._blocks) - 1, [self._blocks[-1].ctypes.data])
        self.queue[timers.BLOCKS] = self._directory.ctypes.data
        self.queue[timers.ROOM] += timers.BLOCK_TIMERS
        if len(self._ring_blocks) <= len(self._blocks):  # one more: the last one in use is never the first one as well
            self._larger_ring()

    def _larger_ring(self) -> None:
        """Twice as many blocks, a power of two; those in use stay what they are, in the places of their numbers."""
        before, count = len(self._ring_blocks), max(2, 2 * len(self._ring_blocks))
        held = self._ring_blocks
        first = int(self.queue[timers.HEAD]) // timers.BLOCK_TIMERS
        placed = {(first + at) % count: held[(first + at) % before] for at in range(before)}
        self._ring_blocks = [placed[at] if at in placed else _block() for at in range(count)]
        self._ring = np.array([each.ctypes.data for each in self._ring_blocks], np.int64)
        self.queue[timers.RING] = self._ring.ctypes.data
        self.queue[timers.RING_MASK] = count * timers.BLOCK_TIMERS - 1

    def first_time(self) -> int | None:
        """The time of the first timer."""
        found = []
        if self.queue[timers.IN_HEAP]:
            found.append(int(self._blocks[0][0]))
        head = int(self.queue[timers.HEAD])
        if head < self.queue[timers.TAIL]:
            place = head & int(self.queue[timers.RING_MASK])
            block = self._ring_blocks[place // timers.BLOCK_TIMERS]
            found.append(int(block[place % timers.BLOCK_TIMERS * timers.TIMER_WORDS]))
        return min(found, default=None)

    @property
    def waiting(self) -> int:
        """How many timers are set."""
        return int(self.queue[timers.COUNT])


def _block() -> Words:
    return np.empty(timers.BLOCK_TIMERS * timers.TIMER_WORDS, np.int64)


class Timeline(Timers):
    """One operator's. `out`: rows put out, packed; `results`: their finished aggregates; `seq`: of what caused each."""

    __slots__ = ("_clock", "cursor", "due", "out", "results", "seq")

    def __init__(self, clock: EventClock, width: int, result_width: int) -> None:
        super().__init__()
        self._clock = clock
        self.cursor = np.zeros(timeline.CURSOR, np.int64)
        self.due = np.empty(_DUE, np.int64)
        self.out = np.empty((_OUT_ROWS, width), np.int64)
        self.results = np.empty((_OUT_ROWS, result_width), np.int64)
        self.seq = np.empty(_OUT_ROWS, np.int64)

    def begin(self) -> None:
        """Put the cursor before the first row and mark of a batch, under the clock's watermark."""
        self.cursor[:] = 0
        self.cursor[timeline.WATERMARK] = self._clock.watermark
        inputs = self._clock.inputs
        self.cursor[timeline.INPUT : timeline.INPUT + len(inputs)] = inputs

    def run(self, cells: Sequence[tuple[TypedCell, Timers]], call: Callable[[], None]) -> None:
        """Call a kernel until it has come to the end of the batch and nothing is due. `cells`: each with the timers
        whose lack is said there; lack of output is said in the first."""
        for cell, _ in cells:
            cell.meta[paged.NEED] = paged.NOTHING
        while True:
            call()
            lacking = [(cell, timed) for cell, timed in cells if cell.meta[paged.NEED] != paged.NOTHING]
            if not lacking:
                break
            for cell, timed in lacking:
                self._provide(cell, timed)

    def _provide(self, cell: TypedCell, timed: Timers) -> None:
        need, size = int(cell.meta[paged.NEED]), int(cell.meta[paged.NEED_SIZE])
        if need == ROOM_OUT:
            self._more_out()
        elif need == ROOM_TIMERS:
            timed.more_timers()
        elif need == ROOM_DUE:
            self.due = np.concatenate([self.due, np.empty(max(size, len(self.due)), np.int64)])
        else:
            cell.provide()
        cell.meta[paged.NEED] = paged.NOTHING

    def _more_out(self) -> None:
        self.out = np.concatenate([self.out, np.empty_like(self.out)])
        self.results = np.concatenate([self.results, np.empty_like(self.results)])
        self.seq = np.concatenate([self.seq, np.empty_like(self.seq)])

    def end(self) -> int:
        """Hand the clock back; gives how many rows were put out."""
        cursor = self.cursor.tolist()
        inputs = cursor[timeline.INPUT : timeline.INPUT + len(self._clock.inputs)]
        self._clock.moved(inputs, cursor[timeline.WATERMARK])
        return int(cursor[timeline.OUT])

    @property
    def late(self) -> int:
        """Rows of this step that were dropped."""
        return int(self.cursor[timeline.LATE])
