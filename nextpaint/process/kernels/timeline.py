"""The order in which a batch happened: rows before marks at one seq, and what is due after every mark.

The shape every operator with event time shares. A kernel's loop asks `moment` what comes next and says `passed` when it
is done with it; everything that was done stays done when a kernel comes back early for room.

    cursor      ROW: next row | MARK: next mark | WATERMARK: of the operator | OUT: rows put out | LATE: rows dropped
                SEQ: of the mark that is being answered | DUE, DUE_COUNT: of the slots that fire now, how many have and
                how many there are | INPUT: the last mark of an input, and of a second | 10...: an operator's own
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.memory import compared, load
from nextpaint.process.kernels.paged import FIRST_FIELD, NULLS, SPEC, SPEC_WORDS, STRING, row_at, string_at, string_size
from nextpaint.record.columns import IDLE
from nextpaint.record.compiled import inner

ROW, MARK, WATERMARK, OUT, LATE, SEQ, DUE, DUE_COUNT, INPUT = range(9)
CURSOR = 24
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
        return 0 if kind == STRING and string_size(word) < 32 else 2
    return _class_of(word) if kind == 0 else 2


@inner
def keys_compared(meta: Any, left: Any, right: Any, first: int, fields: int) -> Any:
    """Key fields `first`... of two rows in the order of their MessagePack bytes, as general operators sort keys."""
    left_nulls, right_nulls = load(left + 8 * NULLS), load(right + 8 * NULLS)
    for field in range(first, first + fields):
        kind = load(meta[SPEC] + field * 8 * SPEC_WORDS)
        left_at, right_at = left + 8 * (FIRST_FIELD + field), right + 8 * (FIRST_FIELD + field)
        a, b = load(left_at), load(right_at)
        null = left_nulls >> field & 1 != 0
        difference = _ranked(kind, null, a) - _ranked(kind, right_nulls >> field & 1 != 0, b)
        if difference != 0:
            return difference
        if null or a == b:
            continue
        if kind < STRING:
            return -1 if a < b else 1
        size = string_size(a)
        if size != string_size(b):
            return size - string_size(b)
        difference = compared(string_at(meta, left_at), string_at(meta, right_at), size)
        if difference != 0:
            return difference
    return 0


@inner
def sorted_slots(meta: Any, due: Any, count: int, first: int, fields: int) -> None:
    """Sort `due[:count]`, slots, by key fields; the rest of `due` is scratch of at least the same length."""
    slots_sorted(meta, due, 0, count, first, fields)


@inner
def slots_sorted(meta: Any, due: Any, begin: int, count: int, first: int, fields: int) -> None:
    """The same for `count` slots from `begin` on."""
    end = begin + count
    width = 1
    while width < count:
        for low in range(begin, end, 2 * width):
            middle, high = min(low + width, end), min(low + 2 * width, end)
            left, right = low, middle
            for place in range(low, high):
                take_left = right >= high
                if left < middle and not take_left:
                    a, b = row_at(meta, due[left]), row_at(meta, due[right])
                    take_left = keys_compared(meta, a, b, first, fields) <= 0
                if take_left:
                    due[count + place] = due[left]
                    left += 1
                else:
                    due[count + place] = due[right]
                    right += 1
        for place in range(begin, end):
            due[place] = due[count + place]
        width *= 2


@inner
def sorted_pairs(due: Any, count: int) -> None:
    """Sort `count` pairs of words at the start of `due` by their first; behind them is scratch for as many."""
    ordered = 1
    while ordered < count and due[2 * ordered - 2] <= due[2 * ordered]:
        ordered += 1
    if ordered >= count:
        return
    width = 1
    while width < count:
        for low in range(0, count, 2 * width):
            middle, high = min(low + width, count), min(low + 2 * width, count)
            left, right = low, middle
            for place in range(count + low, count + high):
                if left < middle and (right >= high or due[2 * left] <= due[2 * right]):
                    due[2 * place], due[2 * place + 1] = due[2 * left], due[2 * left + 1]
                    left += 1
                else:
                    due[2 * place], due[2 * place + 1] = due[2 * right], due[2 * right + 1]
                    right += 1
        for place in range(2 * count):
            due[place] = due[2 * count + place]
        width *= 2
