"""TUMBLE, HOP, CUMULATE, and rows that carry their window: one state row per window and key (end, start, key fields,
accumulators), fired in order of end and then of key when the watermark passes.

A row may be in several windows of its key. The first is found by a note of where that of the key was last, each other
one by a link from the one before; notes and links are hints, checked against what stands there, so nothing keeps them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.accumulate import add, finish, start
from nextpaint.process.kernels.memory import load, store
from nextpaint.process.kernels.packing import absorb_keys, absorb_word, hash_begun, hash_ended
from nextpaint.process.kernels.paged import (
    FIRST_FIELD,
    HIGH,
    ROOM_DUE,
    ROOM_OUT,
    find,
    insert,
    is_live,
    lacking,
    next_slot,
    read_fields,
    room_for,
    row_at,
    touch,
    unlink,
    write_fields,
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
from nextpaint.process.kernels.timers import COUNT, first_slot, first_time, pop, push, room_for_timers
from nextpaint.record.compiled import inner, kernel

Words = npt.NDArray[np.int64]
TUMBLE, HOP, CUMULATE, GIVEN = range(4)
KIND, SIZE, STEP, OFFSET, TIME, TIME_FIELD, KEYS, LINK = range(8)  # GIVEN: TIME has the start, OFFSET the end
NEXT_WINDOW, KEY_LOW, KEY_HIGH, LINKS = range(4)  # links of a row: a slot plus one; the hash of its key alone
NOTES = 4096
INNER, COUNTED = 10, 11  # of the cursor: windows of the row that are done, and whether any was open


@inner
def bounds(window: Any, rows: Any, at: int) -> Any:
    """(first start, first end, windows) that hold a row; see `operators.window.windows_of`."""
    time = rows[at, window[TIME]]
    if window[KIND] == GIVEN:
        return time, rows[at, window[OFFSET]], 1
    size, step, offset = window[SIZE], window[STEP], window[OFFSET]
    if window[KIND] == HOP:
        last = time - (time - offset) % step
        if size <= time - last:
            return last, last + size, 0
        count = (size - 1 - (time - last)) // step
        return last - count * step, last - count * step + size, count + 1
    begin = time - (time - offset) % size
    if window[KIND] == TUMBLE:
        return begin, begin + size, 1
    end = begin + ((time - begin) // step + 1) * step
    return begin, end, (begin + size - end) // step + 1


@inner
def _opened(meta: Any, queue: Any, digest: Any, packed: Any, keys: int, program: Any) -> Any:
    """The slot of a window of a row, made if there is none; -1 when room lacks. The slot may be written."""
    low, high = digest
    slot = find(meta, low, high)
    if slot >= 0:
        return slot if touch(meta, slot) else -1
    if not room_for_timers(meta, queue, 1) or not room_for(meta, packed, keys) or not touch(meta, next_slot(meta)):
        return -1
    slot = insert(meta, low, high)
    row = row_at(meta, slot)
    write_fields(meta, row, packed, keys)
    start(program.ctypes.data, program.shape[0], row)
    push(queue, load(row + 8 * FIRST_FIELD), 0, slot)
    return slot


@inner
def is_window(meta: Any, window: Any, slot: int, key: Any, begin: int, end: int) -> Any:
    """Is this the slot of a window of a key, or of a slice of one?"""
    if slot < 0 or slot >= meta[HIGH]:
        return False
    row = row_at(meta, slot)
    link = row + 8 * window[LINK]
    return (
        load(row + 8 * FIRST_FIELD) == end
        and load(row + 8 * FIRST_FIELD + 8) == begin
        and load(link + 8 * KEY_LOW) == key[0]
        and load(link + 8 * KEY_HIGH) == key[1]
        and is_live(row)
    )


@inner
def _row_taken(
    meta: Any, queue: Any, cursor: Any, window: Any, rows: Any, keys: Any, program: Any, notes: Any
) -> Any:  # fmt: skip
    """Count a row in its open windows; False when room lacks."""
    at = cursor[ROW]
    if rows[at, 0] >> window[TIME_FIELD] & 1:
        cursor[LATE] += 1
        cursor[ROW] += 1
        return True
    begin, end, count = bounds(window, rows, at)
    packed = rows[at].ctypes.data
    state = absorb_keys(hash_begun(), rows, at, keys)
    key = hash_ended(state)
    hint = notes.ctypes.data + 8 * (key[0] & (NOTES - 1))  # where the slot of the next window may stand
    while cursor[INNER] < count:
        number = cursor[INNER]
        this_end = end + number * window[STEP]
        if this_end - 1 > cursor[WATERMARK]:
            this_begin = begin + number * window[STEP] if window[KIND] == HOP else begin
            slot = load(hint) - 1
            if is_window(meta, window, slot, key, this_begin, this_end):
                if not touch(meta, slot):
                    return False
            else:
                store(packed + 8, this_end)
                store(packed + 16, this_begin)
                digest = hash_ended(absorb_word(absorb_word(state, this_end), this_begin))
                slot = _opened(meta, queue, digest, packed, window[KEYS], program)
                if slot < 0:
                    return False
                store(hint, slot + 1)
            link = row_at(meta, slot) + 8 * window[LINK]
            store(link + 8 * KEY_LOW, key[0])
            store(link + 8 * KEY_HIGH, key[1])
            hint = link + 8 * NEXT_WINDOW
            add(program.ctypes.data, program.shape[0], row_at(meta, slot), packed)
            cursor[COUNTED] = 1
        cursor[INNER] += 1
    cursor[LATE] += 1 - cursor[COUNTED]
    cursor[INNER], cursor[COUNTED] = 0, 0
    cursor[ROW] += 1
    return True


@kernel(
    "void(int64[::1], int64[::1], int64[::1], int64[::1], const int64[::1], int64[:,::1], const int64[:,::1],"
    " const int64[:,::1], int64[::1], const int64[::1], const int64[::1], const int64[::1], int64[:,::1],"
    " int64[:,::1], int64[::1])"
)
def window_step(
    meta: Words, queue: Words, cursor: Words, due: Words, window: Words, rows: Words, keys: Words, program: Words,
    notes: Words, seq: Words, mark_seq: Words, mark_wm: Words, out: Words, results: Words, out_seq: Words,
) -> None:  # fmt: skip
    """A batch through the windows, from where `cursor` stands. `notes`: hints, `NOTES` words, zero at first. Output:
    the state row of a window that fired, its results, and the seq of the mark that fired it."""
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
            end, count = first_time(queue), 0
            while queue[COUNT] and first_time(queue) == end:
                due[count] = first_slot(queue)
                count += 1
                pop(queue)
            sorted_slots(meta, due, count, 1, window[KEYS] - 1)
            cursor[DUE], cursor[DUE_COUNT] = 0, count
        else:
            what = moment(cursor, seq, mark_seq)
            if what == ENDED:
                return
            if what == TAKE_MARK:
                mark_passed(cursor, mark_seq, mark_wm)
            elif not _row_taken(meta, queue, cursor, window, rows, keys, program, notes):
                return


@kernel("void(int64[::1], int64[::1])")
def windows_armed(meta: Words, queue: Words) -> None:
    """Set the timer of every window; there is room for as many as rows."""
    for slot in range(meta[HIGH]):
        row = row_at(meta, slot)
        if is_live(row):
            push(queue, load(row + 8 * FIRST_FIELD), 0, slot)
