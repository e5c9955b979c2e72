"""The order in which a batch happened: rows before marks at one seq, and what is due after every mark.

The shape every operator with event time shares. A kernel's loop asks `moment` what comes next and says `passed` when it
is done with it; everything that was done stays done when a kernel comes back early for room.

    cursor      ROW: next row | MARK: next mark | WATERMARK: of the operator | INPUT: its input's last mark | OUT: rows
                put out | LATE: rows dropped | SEQ: of the mark that is being answered | DUE, DUE_COUNT: of the slots
                that fire now, how many have and how many there are | 9...: an operator's own
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.memory import compared, load
from nextpaint.process.kernels.paged import FIRST_FIELD, NULLS, SPEC, SPEC_WORDS, STRING, string_at
from nextpaint.record.columns import IDLE
from nextpaint.record.compiled import inner

ROW, MARK, WATERMARK, INPUT, OUT, LATE, SEQ, DUE, DUE_COUNT = range(9)
CURSOR = 12
TAKE_ROW, TAKE_MARK, ENDED = range(3)

Words = npt.NDArray[np.int64]


@inner
def moment(cursor: Any, seq: Any, mark_seq: Any) -> Any:
    """What comes next: a row, a mark, or the end of the batch."""
    row, mark = cursor[ROW], cursor[MARK]
    if mark < mark_seq.size and (row == seq.size or mark_seq[mark] < seq[row]):
        return TAKE_MARK
    return TAKE_ROW if row < seq.size else ENDED


@inner
def mark_passed(cursor: Any, mark_seq: Any, mark_wm: Any) -> None:
    """Take the next mark of the only input: the watermark rises with it, or stays."""
    mark = cursor[MARK]
    cursor[INPUT] = mark_wm[mark]
    if mark_wm[mark] != IDLE and mark_wm[mark] > cursor[WATERMARK]:
        cursor[WATERMARK] = mark_wm[mark]
    cursor[SEQ] = mark_seq[mark]
    cursor[MARK] += 1


# ---------------------------------------------------------------- order of keys


@inner
def _class_of(word: int) -> Any:
    """MessagePack's size classes in the order of their first bytes; NULL stands between 0 and 2."""
    if word >= 128:
        return 2
    if word >= 0:
        return 0
    if word >= -32:
        return 7
    if word >= -128:
        return 3
    if word >= -32768:
        return 4
    if word >= -2147483648:
        return 5
    return 6


@inner
def words_compared(left: int, right: int) -> Any:
    """Two integers in the order of their MessagePack bytes."""
    if left == right:
        return 0
    left_class, right_class = _class_of(left), _class_of(right)
    if left_class != right_class:
        return left_class - right_class
    return -1 if left < right else 1


@inner
def _ranked(kind: int, null: bool, word: int) -> Any:
    """Where a value stands before its bytes are looked at."""
    if null:
        return 1
    if kind >= STRING:
        return 0 if kind == STRING and word & 0xFFFFFFFF < 32 else 2
    return _class_of(word) if kind == 0 else 2


@inner
def keys_compared(meta: Any, left: Any, right: Any, first: int, fields: int) -> Any:
    """Key fields `first`... of two rows in the order of their MessagePack bytes, as general operators sort keys."""
    left_nulls, right_nulls = load(left + 8 * NULLS), load(right + 8 * NULLS)
    for field in range(first, first + fields):
        kind = load(meta[SPEC] + field * 8 * SPEC_WORDS)
        a, b = load(left + 8 * (FIRST_FIELD + field)), load(right + 8 * (FIRST_FIELD + field))
        null = left_nulls >> field & 1 != 0
        difference = _ranked(kind, null, a) - _ranked(kind, right_nulls >> field & 1 != 0, b)
        if difference != 0:
            return difference
        if null or a == b:
            continue
        if kind < STRING:
            return -1 if a < b else 1
        size = a & 0xFFFFFFFF
        if size != b & 0xFFFFFFFF:
            return size - (b & 0xFFFFFFFF)
        difference = compared(string_at(meta, a), string_at(meta, b), size)
        if difference != 0:
            return difference
    return 0
