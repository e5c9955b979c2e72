"""SESSION windows: one state row per open session (key fields, start, end, accumulators, timer), fired in order of end
and then of key when the watermark passes. Sessions of one key share its hash."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.accumulate import add, finish, merge, start
from nextpaint.process.kernels.memory import load, prefetch, store
from nextpaint.process.kernels.paged import (
    AHEAD,
    FIRST_FIELD,
    HIGH,
    ROOM_DUE,
    ROOM_OUT,
    append,
    find,
    find_next,
    foresee,
    is_live,
    lacking,
    read_fields,
    row_at,
    touch,
    unlink,
)
from nextpaint.process.kernels.timeline import (
    DUE,
    DUE_COUNT,
    ENDED,
    LATE,
    OUT,
    ROW,
    SEQ,
    TAKE_MARK,
    WATERMARK,
    mark_passed,
    moment,
    sorted_slots,
)
from nextpaint.process.kernels.timers import (
    COUNT,
    ORDER,
    coming,
    first_order,
    first_slot,
    first_time,
    pop,
    push,
    room_for_timers,
)
from nextpaint.record.compiled import inner, kernel

Words = npt.NDArray[np.int64]

GAP, TIME, TIME_FIELD, KEYS, LINK = range(5)  # of `session`; LINK: the word of a state row that holds its timer


@inner
def _armed(queue: Any, row: Any, link: int, end: int, slot: int) -> None:
    """Set the one timer of a row that is good; older ones for the slot are not."""
    queue[ORDER] += 1
    store(row + 8 * link, queue[ORDER])
    push(queue, end, queue[ORDER], slot)


@inner
def _touching(meta: Any, low: int, high: int, bounds: Any, after: Any) -> Any:
    """The session of a key with the smallest start above `after` that overlaps or touches; -1: none."""
    at, begin, end = bounds
    found = -1
    found_begin = np.int64(0)
    slot = find(meta, low, high)
    while slot >= 0:
        row = row_at(meta, slot)
        this = load(row + 8 * at)
        if this <= end and begin <= load(row + 8 * at + 8) and this > after and (found < 0 or this < found_begin):
            found, found_begin = slot, this
        slot = find_next(meta, slot)
    return found


@inner
def _row_taken(meta: Any, queue: Any, cursor: Any, session: Any, rows: Any, digests: Any, program: Any) -> Any:
    """Extend, merge or open a session; False when room lacks."""
    at = cursor[ROW]
    if rows[at, 0] >> session[TIME_FIELD] & 1:
        cursor[LATE] += 1
        cursor[ROW] += 1
        return True
    foresee(meta, digests, at)
    lines, code = program.shape[0], program.ctypes.data
    packed = rows[at].ctypes.data
    low, high = digests[at, 0], digests[at, 1]
    place = FIRST_FIELD + session[KEYS]
    begin = rows[at, session[TIME]]
    end = begin + session[GAP]
    bounds = (place, begin, end)
    slot = _touching(meta, low, high, bounds, np.int64(-(2**63)))
    if slot < 0:
        if end - 1 <= cursor[WATERMARK]:
            cursor[LATE] += 1
            cursor[ROW] += 1
            return True
        if not room_for_timers(meta, queue, 1):
            return False
        slot = append(meta, low, high, packed, session[KEYS])
        if slot < 0:
            return False
        row = row_at(meta, slot)
        start(code, lines, row)
        _armed(queue, row, session[LINK], end, slot)
        store(row + 8 * place, begin)
        store(row + 8 * place + 8, end)
    else:
        other = slot
        while other >= 0:
            if not touch(meta, other):
                return False
            other = _touching(meta, low, high, bounds, load(row_at(meta, other) + 8 * place))
        row = row_at(meta, slot)
        other = _touching(meta, low, high, bounds, load(row + 8 * place))
        while other >= 0:
            more = row_at(meta, other)
            merge(code, lines, row, more)
            store(row + 8 * place + 8, max(load(row + 8 * place + 8), load(more + 8 * place + 8)))
            after = load(more + 8 * place)
            unlink(meta, other)
            other = _touching(meta, low, high, bounds, after)
        store(row + 8 * place, min(begin, load(row + 8 * place)))
        store(row + 8 * place + 8, max(end, load(row + 8 * place + 8)))
    add(code, lines, row, packed)
    cursor[ROW] += 1
    return True


@inner
def _due_now(meta: Any, queue: Any, due: Any, session: Any) -> Any:
    """Take the timers of the first time: their sessions into `due`, or, where a session grew, a later timer."""
    end, count = first_time(queue), 0
    while queue[COUNT] and first_time(queue) == end:
        slot, order = first_slot(queue), first_order(queue)
        pop(queue)
        after = coming(queue, AHEAD)
        if after >= 0:
            prefetch(row_at(meta, after))
            prefetch(row_at(meta, after) + 8 * session[LINK])
        row = row_at(meta, slot)
        if not is_live(row) or load(row + 8 * session[LINK]) != order:
            continue
        this = load(row + 8 * (FIRST_FIELD + session[KEYS] + 1))
        if this > end:
            push(queue, this, order, slot)
        else:
            due[count] = slot
            count += 1
    return count


@kernel(
    "void(int64[::1], int64[::1], int64[::1], int64[::1], const int64[::1], const int64[:,::1], const int64[:,::1],"
    " const int64[:,::1], const int64[::1], const int64[::1], const int64[::1], int64[:,::1], int64[:,::1], int64[::1])"
)
def session_step(
    meta: Words, queue: Words, cursor: Words, due: Words, session: Words, rows: Words, digests: Words, program: Words,
    seq: Words, mark_seq: Words, mark_wm: Words, out: Words, results: Words, out_seq: Words,
) -> None:  # fmt: skip
    """A batch through the sessions, from where `cursor` stands. Output: the state row of a session that fired, its
    results, and the seq of the mark that fired it."""
    while True:
        if cursor[DUE] < cursor[DUE_COUNT]:
            count = cursor[OUT]
            if count == out_seq.size:
                lacking(meta, ROOM_OUT, 1)
                return
            slot = due[cursor[DUE]]
            if not touch(meta, slot):
                return
            row = row_at(meta, slot)
            read_fields(meta, row, out[count].ctypes.data)
            finish(program.ctypes.data, program.shape[0], row, results[count].ctypes.data)
            unlink(meta, slot)
            out_seq[count] = cursor[SEQ]
            cursor[OUT] += 1
            cursor[DUE] += 1
        elif queue[COUNT] and first_time(queue) - 1 <= cursor[WATERMARK]:
            if due.size < 2 * queue[COUNT]:
                lacking(meta, ROOM_DUE, 2 * queue[COUNT])
                return
            count = _due_now(meta, queue, due, session)
            sorted_slots(meta, due, count, 0, session[KEYS])
            cursor[DUE], cursor[DUE_COUNT] = 0, count
        else:
            what = moment(cursor, seq, mark_seq)
            if what == ENDED:
                return
            if what == TAKE_MARK:
                mark_passed(cursor, mark_seq, mark_wm)
            elif not _row_taken(meta, queue, cursor, session, rows, digests, program):
                return


@kernel("void(int64[::1], int64[::1], const int64[::1])")
def sessions_armed(meta: Words, queue: Words, session: Words) -> None:
    """Set the timer of every session; there is room for as many as rows."""
    for slot in range(meta[HIGH]):
        row = row_at(meta, slot)
        if is_live(row):
            _armed(queue, row, session[LINK], load(row + 8 * (FIRST_FIELD + session[KEYS] + 1)), slot)
