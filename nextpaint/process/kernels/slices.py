"""HOP and CUMULATE where windows share their rows: a row is counted in one slice, a part of event time that no window
begins or ends within, and windows are made of slices.

    slices      state: a row per slice and key (end, start, key fields, accumulators); those of a key that are in its
                running window are chained in order of time
    running     derived: a row per key with rows in the window that fires next (the same fields), with what its slices
                have together

A slice waits, by a timer, for the first of its windows that has not fired. When that fires the slice joins the running
window of its key, and leaves it with the last window that it is in. So a window costs each key what came and went since
the one before, however many slices it has. What leaves is subtracted; a MIN or MAX that leaves is sought in the slices
that stay. Both need aggregates that do not depend on the order of rows, bit for bit.

`due` holds the running rows in order of key, from one window to the next; keys that came are put into their places.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.accumulate import add, finish, left, merge, sought, start
from nextpaint.process.kernels.memory import clear, copy, load, prefetch, store
from nextpaint.process.kernels.packing import absorb_keys, absorb_word, hash_begun, hash_ended
from nextpaint.process.kernels.paged import (
    AHEAD,
    FIELDS,
    FIRST_FIELD,
    HIGH,
    ROOM_DUE,
    ROOM_OUT,
    append,
    find,
    insert,
    is_live,
    lacking,
    next_slot,
    read_copied,
    read_fields,
    room_for,
    row_at,
    touch,
    unlink,
    write_fields,
)
from nextpaint.process.kernels.timeline import (
    DUE,
    ENDED,
    LATE,
    OUT,
    ROW,
    SEQ,
    TAKE_MARK,
    WATERMARK,
    keys_compared,
    mark_passed,
    moment,
    slots_sorted,
)
from nextpaint.process.kernels.timers import COUNT, coming, first_slot, first_time, pop, push, room_for_timers
from nextpaint.process.kernels.windows import (
    HOP,
    KEY_HIGH,
    KEY_LOW,
    KEYS,
    KIND,
    LINK,
    NOTES,
    OFFSET,
    SIZE,
    STEP,
    TIME,
    TIME_FIELD,
    bounds,
    is_window,
)
from nextpaint.record.compiled import inner, kernel

Words = npt.NDArray[np.int64]
NEWER, RUNNING, LINKS = 0, 3, 4  # links of a slice: slots plus one; between them, as of windows, its key's hash
OLDEST, NEWEST, RUNNING_LINKS = range(3)  # links of a running row: slots of slices plus one
ALIVE, FRESH, NEXT_END, FIRING, PLACES = range(5)  # of `turn`: keys in order in `due`, those after them that came new
PUT_OUT, LEFT, KEPT = 10, 11, 12  # of the cursor: this key's row is out; a MIN or MAX of it left; keys that stay
_PLACING, _VISITING = 1, 2  # of FIRING: what happens to the window that ends at NEXT_END


@inner
def _slice_of(window: Any, time: int) -> Any:
    """(start, end) of the slice of a time: windows begin and end at its bounds only."""
    step, offset = window[STEP], window[OFFSET]
    if window[KIND] != HOP:
        begin = time - (time - offset) % step
        return begin, begin + step
    after_begin, after_end = time - (time - offset) % step, time - (time - offset - window[SIZE]) % step
    return max(after_begin, after_end), min(after_begin, after_end) + step


@inner
def _window_begin(window: Any, end: int) -> Any:
    """The start of the window with this end."""
    if window[KIND] == HOP:
        return end - window[SIZE]
    return end - 1 - (end - 1 - window[OFFSET]) % window[SIZE]


@inner
def _still_open(window: Any, end: int, watermark: int) -> Any:
    """The first end from `end` on of a window that has not fired."""
    if end - 1 > watermark:
        return end
    return end + ((watermark + 1 - end) // window[STEP] + 1) * window[STEP]


@inner
def _opened(tables: Any, queue: Any, cursor: Any, window: Any, given: Any, program: Any) -> Any:
    """The slot of a slice, made if there is none; -1 when room lacks. The slot may be written."""
    meta = tables[0]
    packed, begin, end, first_end, state = given
    low, high = hash_ended(absorb_word(absorb_word(state, end), begin))
    slot = find(meta, low, high)
    if slot >= 0:
        return slot if touch(meta, slot) else -1
    store(packed + 8, end)
    store(packed + 16, begin)
    if not room_for_timers(meta, queue, 1) or not room_for(meta, packed, window[KEYS]):
        return -1
    if not touch(meta, next_slot(meta)):
        return -1
    slot = insert(meta, low, high)
    row = row_at(meta, slot)
    write_fields(meta, row, packed, window[KEYS])
    start(program.ctypes.data, program.shape[0], row)
    push(queue, _still_open(window, first_end, cursor[WATERMARK]), begin, slot)
    return slot


@inner
def _row_taken(
    tables: Any, queue: Any, cursor: Any, window: Any, rows: Any, keys: Any, program: Any, notes: Any
) -> Any:  # fmt: skip
    """Count a row in its slice; False when room lacks."""
    meta, running = tables
    at = cursor[ROW]
    if rows[at, 0] >> window[TIME_FIELD] & 1:
        cursor[LATE] += 1
        cursor[ROW] += 1
        return True
    _, first_end, count = bounds(window, rows, at)
    if first_end + (count - 1) * window[STEP] - 1 <= cursor[WATERMARK]:
        cursor[LATE] += 1
        cursor[ROW] += 1
        return True
    begin, end = _slice_of(window, rows[at, window[TIME]])
    packed = rows[at].ctypes.data
    state = absorb_keys(hash_begun(), rows, at, keys)
    key = hash_ended(state)
    hint = notes.ctypes.data + 8 * (key[0] & (NOTES - 1))  # where the slot of the key's last row may stand
    slot = load(hint) - 1
    if is_window(meta, window, slot, key, begin, end):
        if not touch(meta, slot):
            return False
    else:
        slot = _opened(tables, queue, cursor, window, (packed, begin, end, first_end, state), program)
        if slot < 0:
            return False
        store(hint, slot + 1)
    row = row_at(meta, slot)
    link = row + 8 * window[LINK]
    store(link + 8 * KEY_LOW, key[0])
    store(link + 8 * KEY_HIGH, key[1])
    add(program.ctypes.data, program.shape[0], row, packed)
    joined = load(link + 8 * RUNNING)
    if joined:
        add(program.ctypes.data, program.shape[0], row_at(running, joined - 1), packed)
    cursor[ROW] += 1
    return True


@inner
def _chained(meta: Any, window: Any, slot: int, about: Any) -> None:
    """Put a slice into the chain of a running row, by time: behind the newest, or, late, where it belongs."""
    link = 8 * window[LINK]
    row, begin = row_at(meta, slot), load(row_at(meta, slot) + 8 * FIRST_FIELD + 8)
    newest = load(about + 8 * NEWEST)
    before = newest
    if newest and load(row_at(meta, newest - 1) + 8 * FIRST_FIELD + 8) > begin:
        before = 0
        after = load(about + 8 * OLDEST)
        while load(row_at(meta, after - 1) + 8 * FIRST_FIELD + 8) < begin:
            before = after
            after = load(row_at(meta, after - 1) + link + 8 * NEWER)
        store(row + link + 8 * NEWER, after)
    else:
        store(row + link + 8 * NEWER, 0)
        store(about + 8 * NEWEST, slot + 1)
    if before:
        store(row_at(meta, before - 1) + link + 8 * NEWER, slot + 1)
    else:
        store(about + 8 * OLDEST, slot + 1)


@inner
def _joined(tables: Any, queue: Any, due: Any, window: Any, turn: Any, program: Any, scratch: Any) -> Any:
    """The slices that have waited for the window that fires join the running windows of their keys; False when room
    lacks."""
    meta, running = tables
    link = 8 * window[LINK]
    while queue[COUNT] and first_time(queue) <= turn[NEXT_END]:
        after = coming(queue, AHEAD)
        if after >= 0:
            prefetch(row_at(meta, after))
            prefetch(row_at(meta, after) + link)
        slot = first_slot(queue)
        row = row_at(meta, slot)
        low, high = load(row + link + 8 * KEY_LOW), load(row + link + 8 * KEY_HIGH)
        into = find(running, low, high)
        if into < 0:
            keys = turn[ALIVE] + turn[FRESH]
            if due.size < 2 * keys + 2:
                return lacking(meta, ROOM_DUE, 2 * keys + 2)
            read_fields(meta, row, scratch[0].ctypes.data)
            into = append(running, low, high, scratch[0].ctypes.data, window[KEYS])
            if into < 0:
                return False
            start(program.ctypes.data, program.shape[0], row_at(running, into))
            due[keys] = into
            turn[FRESH] += 1
        pop(queue)
        merge(program.ctypes.data, program.shape[0], row_at(running, into), row)
        store(row + link + 8 * RUNNING, into + 1)
        _chained(meta, window, slot, row_at(running, into) + link)
    return True


@inner
def _placed(running: Any, due: Any, turn: Any, keys: int) -> None:
    """Put the keys that came new into their places among those in order: as many looks as new keys, times the digits of
    how many there are. The room behind them is scratch."""
    alive, fresh = turn[ALIVE], turn[FRESH]
    slots_sorted(running, due, alive, fresh, 2, keys - 2)
    into, scratch = alive + fresh, alive + fresh
    for number in range(fresh):
        due[scratch + number] = due[alive + number]
    end = alive
    for number in range(fresh - 1, -1, -1):
        slot = due[scratch + number]
        row = row_at(running, slot)
        low, high = 0, end
        while low < high:
            middle = (low + high) // 2
            if keys_compared(running, row_at(running, due[middle]), row, 2, keys - 2) > 0:
                high = middle
            else:
                low = middle + 1
        while end > low:
            end -= 1
            into -= 1
            due[into] = due[end]
        into -= 1
        due[into] = slot
    turn[ALIVE], turn[FRESH] = alive + fresh, 0


@inner
def _gone(tables: Any, cursor: Any, window: Any, slot: int, begin: int, program: Any) -> Any:
    """Take the slices that begin before `begin` out of a running row and out of state; False when room lacks."""
    meta, running = tables
    code, lines = program.ctypes.data, program.shape[0]
    link = 8 * window[LINK]
    held = row_at(running, slot)
    oldest = load(held + link + 8 * OLDEST)
    while oldest:
        row = row_at(meta, oldest - 1)
        if load(row + 8 * FIRST_FIELD + 8) >= begin:
            break
        if not touch(meta, oldest - 1):
            return False
        if left(code, lines, held, row):
            cursor[LEFT] = 1
        unlink(meta, oldest - 1)
        oldest = load(row + link + 8 * NEWER)
        store(held + link + 8 * OLDEST, oldest)
    if cursor[LEFT]:
        first = True
        while oldest:
            row = row_at(meta, oldest - 1)
            sought(code, lines, held, row, first)
            first = False
            oldest = load(row + link + 8 * NEWER)
        cursor[LEFT] = 0
    return True


@inner
def _fired(tables: Any, cursor: Any, due: Any, window: Any, turn: Any, program: Any, out: Any) -> Any:
    """Put out the window that fires, key by key, and let go of what no later window needs; False when room lacks."""
    meta, running = tables
    rows, results, out_seq = out
    end, link = turn[NEXT_END], 8 * window[LINK]
    begin, next_begin = _window_begin(window, end), _window_begin(window, end + window[STEP])
    while cursor[DUE] < turn[ALIVE]:
        later = cursor[DUE] + AHEAD
        if later < turn[ALIVE]:
            ahead = row_at(running, due[later])
            prefetch(ahead)
            prefetch(ahead + 64)
            prefetch(ahead + link)
        later = cursor[DUE] + AHEAD // 2
        if later < turn[ALIVE]:
            ahead = row_at(meta, load(row_at(running, due[later]) + link + 8 * OLDEST) - 1)
            prefetch(ahead)
            prefetch(ahead + link)
        slot = due[cursor[DUE]]
        row = row_at(running, slot)
        if cursor[PUT_OUT] == 0:
            count = cursor[OUT]
            if count == out_seq.size:
                return lacking(meta, ROOM_OUT, 1)
            store(row + 8 * FIRST_FIELD, end)
            store(row + 8 * FIRST_FIELD + 8, begin)
            read_fields(running, row, rows[count].ctypes.data)
            finish(program.ctypes.data, program.shape[0], row, results[count].ctypes.data)
            out_seq[count] = cursor[SEQ]
            cursor[OUT] += 1
            cursor[PUT_OUT] = 1
        if not _gone(tables, cursor, window, slot, next_begin, program):
            return False
        if load(row + link + 8 * OLDEST):
            due[cursor[KEPT]] = slot
            cursor[KEPT] += 1
        else:
            unlink(running, slot)
        cursor[PUT_OUT] = 0
        cursor[DUE] += 1
    turn[ALIVE] = cursor[KEPT]
    turn[NEXT_END] = end + window[STEP]
    return True


@inner
def _window_done(
    tables: Any, queue: Any, cursor: Any, due: Any, window: Any, turn: Any, program: Any, out: Any, scratch: Any
) -> Any:
    """Go on with the window that fires; False when room lacks."""
    if turn[FIRING] == _PLACING:
        if not _joined(tables, queue, due, window, turn, program, scratch):
            return False
        _placed(tables[1], due, turn, window[KEYS])
        cursor[DUE], cursor[KEPT], cursor[PUT_OUT] = 0, 0, 0
        turn[FIRING] = _VISITING
    if not _fired(tables, cursor, due, window, turn, program, out):
        return False
    turn[FIRING] = 0
    return True


@inner
def _is_due(queue: Any, cursor: Any, turn: Any) -> Any:
    """Does a window fire now? Then NEXT_END is its end. Where keys are in the running window it is the next one."""
    if turn[ALIVE] == 0:
        if queue[COUNT] == 0:
            return False
        turn[NEXT_END] = first_time(queue)
    return turn[NEXT_END] - 1 <= cursor[WATERMARK]


@kernel(
    "void(int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], const int64[::1], int64[:,::1],"
    " const int64[:,::1], const int64[:,::1], int64[::1], int64[::1], int64[:,::1], const int64[::1],"
    " const int64[::1], const int64[::1], int64[:,::1], int64[:,::1], int64[::1])"
)
def slices_step(
    meta: Words, running: Words, queue: Words, cursor: Words, due: Words, window: Words, rows: Words, keys: Words,
    program: Words, notes: Words, turn: Words, scratch: Words, seq: Words, mark_seq: Words, mark_wm: Words,
    out: Words, results: Words, out_seq: Words,
) -> None:  # fmt: skip
    """A batch through the slices, from where `cursor` stands. `notes`: hints, `NOTES` words, and `turn`, `PLACES`, zero
    at first; `scratch`: a row. Output: the running row of a window that fired, its results, and the seq of the mark
    that fired it."""
    while True:
        if turn[FIRING]:
            if not _window_done(
                (meta, running), queue, cursor, due, window, turn, program, (out, results, out_seq), scratch
            ):
                return
        elif _is_due(queue, cursor, turn):
            turn[FIRING] = _PLACING
        else:
            what = moment(cursor, seq, mark_seq)
            if what == ENDED:
                return
            if what == TAKE_MARK:
                mark_passed(cursor, mark_seq, mark_wm)
            elif not _row_taken((meta, running), queue, cursor, window, rows, keys, program, notes):
                return


@kernel("void(int64[::1], int64[::1], const int64[::1], int64[:,::1], const int64[:,::1], int64)")
def slices_armed(meta: Words, queue: Words, window: Words, scratch: Words, keys: Words, watermark: int) -> None:
    """Let every slice wait for the next window it is in, none running; there is room for as many timers as rows."""
    for slot in range(meta[HIGH]):
        row = row_at(meta, slot)
        if is_live(row):
            read_fields(meta, row, scratch[0].ctypes.data)
            low, high = hash_ended(absorb_keys(hash_begun(), scratch, 0, keys))
            link = row + 8 * window[LINK]
            store(link + 8 * NEWER, 0)
            store(link + 8 * RUNNING, 0)
            store(link + 8 * KEY_LOW, low)
            store(link + 8 * KEY_HIGH, high)
            begin = load(row + 8 * FIRST_FIELD + 8)
            push(queue, _still_open(window, _first_end(window, begin), watermark), begin, slot)


@inner
def _first_end(window: Any, begin: int) -> Any:
    """The first end of a window that holds a slice, by its start."""
    size = window[SIZE] if window[KIND] == HOP else 0
    return begin - (begin - window[OFFSET] - size) % window[STEP] + window[STEP]


# ---------------------------------------------------------------- readings


@kernel("void(const int64[::1], const int64[::1], int64[:,::1])")
def slices_listed(meta: Words, window: Words, listed: Words) -> None:
    """Of every slice the hash of its key, two words, its start and its slot; `listed` has a line for each."""
    count = 0
    for slot in range(meta[HIGH]):
        row = row_at(meta, slot)
        if is_live(row):
            link = row + 8 * window[LINK]
            listed[count, 0], listed[count, 1] = load(link + 8 * KEY_LOW), load(link + 8 * KEY_HIGH)
            listed[count, 2], listed[count, 3] = load(row + 8 * FIRST_FIELD + 8), slot
            count += 1


@inner
def _emptied(meta: Any, held: Any, program: Any, window: Any) -> None:
    """Accumulators without a row, in a row of a window's fields."""
    first = FIRST_FIELD + window[KEYS]
    clear(held + 8 * first, 8 * (FIRST_FIELD + meta[FIELDS] - first))
    start(program.ctypes.data, program.shape[0], held)


@inner
def _begin_at(meta: Any, slots: Any, at: int) -> Any:
    """The start of a slice, by its place in `slots`."""
    return load(row_at(meta, slots[at]) + 8 * FIRST_FIELD + 8)


@kernel(
    "int64(const int64[::1], const int64[::1], const int64[:,::1], const int64[::1], const int64[::1], int64, int64,"
    " int64[::1], int64[:,::1], int64[::1])"
)
def slices_opened(
    meta: Words, window: Words, program: Words, slots: Words, ends: Words, group: int, watermark: int, scratch: Words,
    out: Words, count: Words,
) -> int:  # fmt: skip
    """The open windows of groups from `group` on, as state rows, packed. `slots`: of their slices, in order of start,
    each group's up to its number in `ends`. `scratch`: a row. Gives the group before which `out` was full; `count`: how
    many windows there are."""
    code, lines, held = program.ctypes.data, program.shape[0], scratch.ctypes.data
    made = 0
    count[0] = 0
    while group < ends.size:
        low = ends[group - 1] if group else 0
        high, stop, first = low, ends[group], row_at(meta, slots[low])
        copy(held, first, 8 * (FIRST_FIELD + meta[FIELDS]))
        _emptied(meta, held, program, window)
        end = _still_open(window, _first_end(window, _begin_at(meta, slots, low)), watermark)
        while low < stop:
            begin, gone = _window_begin(window, end), False
            while high < stop and _begin_at(meta, slots, high) < end:
                merge(code, lines, held, row_at(meta, slots[high]))
                high += 1
            while low < high and _begin_at(meta, slots, low) < begin:
                if left(code, lines, held, row_at(meta, slots[low])):
                    gone = True
                low += 1
            if low == high:
                if low < stop:
                    _emptied(meta, held, program, window)
                    end = _still_open(window, _first_end(window, _begin_at(meta, slots, low)), watermark)
                continue
            if gone:
                for each in range(low, high):
                    sought(code, lines, held, row_at(meta, slots[each]), each == low)
            if made == out.shape[0]:
                return group
            store(held + 8 * FIRST_FIELD, end)
            store(held + 8 * FIRST_FIELD + 8, begin)
            read_copied(meta, held, first, out[made].ctypes.data)
            made += 1
            end += window[STEP]
        count[0] = made
        group += 1
    return group
