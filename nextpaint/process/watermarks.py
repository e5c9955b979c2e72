"""Watermarks of sources, as Flink's: after every row max(rowtime) - delay, never back.

Two extensions are declared by settings: an idle timeout leaves a silent source out of minima
(`table.exec.source.idle-timeout`), an idle advance lets its watermark follow the ledger clock minus its delay
(`nextpaint.idle-advance`), so that the last session of the night closes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextpaint.process.state import State
from nextpaint.record.columns import IDLE, MIN_WATERMARK, IntArray

# An idle advance moves in steps of this: a quiet source then costs its readers at most four marks a second.
ADVANCE_MS = 250

_NONE: IntArray = np.empty(0, np.int64)


Marks = tuple[IntArray, IntArray]  # seqs, and the watermark after the rows up to each
Silences = tuple[IntArray, IntArray]  # seq and ledger time of each record where the ledger clock moved


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Read from `SET`: durations in ms, 0 = off."""

    idle_timeout_ms: int = 0
    idle_advance_ms: int = 0


class SourceClock:
    """Watermark of one source. Kept: newest time, watermark, ledger time of the last row, idle flag."""

    def __init__(self, identity: str, delay_ms: int, idle_timeout_ms: int, idle_advance_ms: int, state: State) -> None:
        self.delay_ms = delay_ms
        self._idle_timeout_ms = idle_timeout_ms
        self._idle_advance_ms = idle_advance_ms
        self._cell = state.cell(identity, "clock")
        self.watermark = MIN_WATERMARK
        self._last_at = 0
        self._idle = False

    def restore(self) -> None:
        self.watermark, self._last_at, self._idle = self._cell.get(0, (MIN_WATERMARK, 0, False))

    def store(self) -> None:
        self._cell.put(0, (self.watermark, self._last_at, self._idle))

    def rows(self, times: IntArray, seqs: IntArray, at_ms: IntArray, silences: Silences) -> Marks:
        """The marks after rows in order, with their ledger times, and moves of the ledger clock. A row comes before a
        move at its seq."""
        marks: list[Marks] = []
        begin = 0
        for seq, at in self._noticed(seqs, at_ms, silences):
            end = int(np.searchsorted(seqs, seq, side="right"))
            self._follow(times[begin:end], seqs[begin:end], at_ms[begin:end], marks)
            begin = end
            mark = self.silence(at)
            if mark is not None:
                marks.append((np.array([seq], np.int64), np.array([mark], np.int64)))
        self._follow(times[begin:], seqs[begin:], at_ms[begin:], marks)
        if len(marks) == 1:
            return marks[0]
        marks.append((_NONE, _NONE))
        return np.concatenate([each[0] for each in marks]), np.concatenate([each[1] for each in marks])

    def _noticed(self, seqs: IntArray, at_ms: IntArray, silences: Silences) -> list[tuple[int, int]]:
        """The moves of the ledger clock that may have a consequence: those long enough after the last row."""
        moved, clock = silences
        if not len(moved) or (self._last_at and not self._idle_timeout_ms and not self._idle_advance_ms):
            return []
        rows_before = np.searchsorted(seqs, moved, side="right")
        last = np.full(len(moved), self._last_at, np.int64)
        after_rows = rows_before > 0
        last[after_rows] = at_ms[rows_before[after_rows] - 1]
        noticed = last == 0
        for least in (self._idle_timeout_ms, self._idle_advance_ms):
            if least:
                noticed |= clock - last >= least
        return list(zip(moved[noticed].tolist(), clock[noticed].tolist(), strict=True))

    def _follow(self, times: IntArray, seqs: IntArray, at_ms: IntArray, marks: list[Marks]) -> None:
        """Rows without a pause: a mark where the watermark moved, and at the first row after idleness."""
        if not len(times):
            return
        reached = np.maximum(np.maximum.accumulate(times) - self.delay_ms, self.watermark)
        moved = np.empty(len(times), np.bool_)
        moved[0] = self._idle or reached[0] > self.watermark
        np.greater(reached[1:], reached[:-1], out=moved[1:])
        places = moved.nonzero()[0]
        marks.append((seqs[places], reached[places]))
        self.watermark = int(reached[-1])
        self._last_at = int(at_ms[-1])
        self._idle = False

    def silence(self, at_ms: int) -> int | None:
        """The ledger clock moved to `at_ms`: a mark if silence has a consequence, else None."""
        if not self._last_at:
            self._last_at = at_ms
            return None
        silent_ms = at_ms - self._last_at
        if self._idle_advance_ms and silent_ms >= self._idle_advance_ms:
            reached = at_ms - at_ms % ADVANCE_MS - self.delay_ms
            if reached > self.watermark:
                self.watermark = reached
                return self.watermark
            return None
        if self._idle_timeout_ms and silent_ms >= self._idle_timeout_ms and not self._idle:
            self._idle = True
            return IDLE
        return None

    def unmoved_by(self, at_ms: int) -> bool:
        """Whether silence up to this ledger time certainly has no consequence."""
        if not self._last_at:
            return False
        silent_ms = at_ms - self._last_at
        if self._idle_advance_ms and silent_ms >= self._idle_advance_ms:
            return at_ms - at_ms % ADVANCE_MS - self.delay_ms <= self.watermark
        return not self._idle_timeout_ms or self._idle or silent_ms < self._idle_timeout_ms

    def due_ms(self, timer_ms: int) -> int | None:
        """The ledger time at which silence would bring the watermark to `timer_ms`, or make the source idle."""
        if self._idle_advance_ms:
            needed = timer_ms + self.delay_ms
            return max(self._last_at + self._idle_advance_ms, needed + -needed % ADVANCE_MS)
        if self._idle_timeout_ms and not self._idle:
            return self._last_at + self._idle_timeout_ms
        return None
