"""The order in which two inputs happened, for operators that have two: at one seq left rows, right rows, left marks,
right marks, as `operators.protocol.merged` has it."""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.process.kernels.timeline import INPUT, SEQ, WATERMARK
from nextpaint.record.columns import IDLE
from nextpaint.record.compiled import inner

# Of the cursor: the next of each input's rows and marks, marks put out, and the ordinal of the row taken last.
LEFT_ROW, RIGHT_ROW, LEFT_MARK, RIGHT_MARK, MARKS, LAST_SEQ, ORDINAL = range(12, 19)
NO_MORE, TAKE_LEFT, TAKE_RIGHT, LEFT_MARKED, RIGHT_MARKED = range(5)


@inner
def next_of_both(cursor: Any, seqs: Any) -> Any:
    """Which of rows and marks of both inputs comes next. `seqs`: of left rows, right rows, left marks, right marks."""
    found, best = NO_MORE, np.int64(0)
    left, right, left_mark, right_mark = seqs
    if cursor[LEFT_ROW] < left.size:
        found, best = TAKE_LEFT, left[cursor[LEFT_ROW]]
    if cursor[RIGHT_ROW] < right.size and (found == NO_MORE or right[cursor[RIGHT_ROW]] < best):
        found, best = TAKE_RIGHT, right[cursor[RIGHT_ROW]]
    if cursor[LEFT_MARK] < left_mark.size and (found == NO_MORE or left_mark[cursor[LEFT_MARK]] < best):
        found, best = LEFT_MARKED, left_mark[cursor[LEFT_MARK]]
    if cursor[RIGHT_MARK] < right_mark.size and (found == NO_MORE or right_mark[cursor[RIGHT_MARK]] < best):
        found = RIGHT_MARKED
    return found


@inner
def _advanced(cursor: Any, port: int, mark: int) -> Any:
    """Take a mark of an input; did the combined watermark rise?"""
    cursor[INPUT + port] = mark
    left, right = cursor[INPUT], cursor[INPUT + 1]
    if left == IDLE and right == IDLE:
        return False
    combined = right if left == IDLE else left if right == IDLE else min(left, right)
    if combined <= cursor[WATERMARK]:
        return False
    cursor[WATERMARK] = combined
    return True


@inner
def mark_of_both(cursor: Any, port: int, marks: Any, watermarks: Any, out: Any) -> Any:
    """Take the next mark of an input; True, with a mark in `out`, when the combined watermark rose."""
    at = cursor[LEFT_MARK + port]
    cursor[LEFT_MARK + port] += 1
    cursor[SEQ] = marks[at]
    if not _advanced(cursor, port, watermarks[at]):
        return False
    out[cursor[MARKS], 0], out[cursor[MARKS], 1] = cursor[SEQ], cursor[WATERMARK]
    cursor[MARKS] += 1
    return True


@inner
def numbered(cursor: Any, seq: int) -> Any:
    """Which row of its seq this is, of both inputs together, counted from 0; it is counted."""
    ordinal = cursor[ORDINAL] + 1 if seq == cursor[LAST_SEQ] else 0
    cursor[LAST_SEQ], cursor[ORDINAL] = seq, ordinal
    return ordinal
