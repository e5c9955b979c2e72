"""OVER: input rows are state rows, one table; a frame per partition is a row of another.

A row waits in the list of its frame until its time has come, then moves to the end of the frame's list of kept rows
(bounded frames) or leaves. The lists are links: layout, rebuilt by `over_linked`. Counts and integer sums take rows
that left the frame back; other aggregates fold the kept rows anew when the frame has changed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.accumulate import add, finish, retract, start
from nextpaint.process.kernels.memory import clear, load, prefetch, store
from nextpaint.process.kernels.packing import absorb_keys, hash_begun, hash_ended, placed
from nextpaint.process.kernels.paged import (
    AHEAD,
    FIRST_FIELD,
    HIGH,
    NULLS,
    ROOM_DUE,
    ROOM_OUT,
    ROOM_TIMERS,
    append,
    find,
    foresee,
    foresee_bucket,
    foresee_row,
    foresee_slot,
    is_live,
    lacking,
    page_at,
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
)
from nextpaint.process.kernels.timers import (
    COUNT,
    ORDER,
    ROOM,
    coming,
    first_order,
    first_slot,
    first_time,
    pop,
    push,
    room_for_timers,
)
from nextpaint.record.compiled import inlined, inner, kernel

Words = npt.NDArray[np.int64]

# Of `over`: RANGE or ROWS, how much precedes (-1: all), where a packed row has its time (word, field), fields of a row,
# fields of a partition, accumulator words, whether aggregates are folded anew, first link of a row, first of a frame.
UNIT, PRECEDING, TIME, TIME_FIELD, FIELDS, PARTITION, ACCS, FOLDED, ROW_LINK, FRAME_LINK = range(10)
RANGE, ROWS = range(2)
# Of the cursor. RISEN: the watermark rose and what is due has not all fired: a row that comes in behind the watermark
# waits until it rises again.
EMITTING, LAST_SEQ, ORDINAL, RISEN = range(10, 14)
FIRED_AT = 2  # the field of a row that says whether it has fired
OF_FRAME, NEXT, BEFORE = range(3)  # links of a row: its frame, and its neighbours in a list
WAITING, KEPT, LAST_KEPT, KEPT_COUNT, CLEANED, CHANGED = range(6)  # links of a frame
ROW_LINKS, FRAME_LINKS = 3, 6


@inner
def _link(meta: Any, slot: Any, first: int, which: int) -> Any:
    return row_at(meta, slot) + 8 * (first + which)


@inner
def _last_at(over: Any) -> Any:
    return FIRST_FIELD + over[PARTITION]


@inner
def _has_fired(over: Any, frame: Any) -> Any:
    return load(frame + 8 * NULLS) >> over[PARTITION] & 1 == 0


@inlined
def _is_late(frames: Any, over: Any, cursor: Any, frame: Any, time: int) -> Any:
    if over[PRECEDING] < 0:
        return time <= cursor[WATERMARK]
    if frame < 0:
        return False
    row = row_at(frames, frame)
    return _has_fired(over, row) and time <= load(row + 8 * _last_at(over))


@inner
def _begun(over: Any, program: Any, frame: Any) -> None:
    """A frame that has not fired."""
    clear(frame + 8 * (_last_at(over)), 8 * (1 + over[ACCS]))
    store(frame + 8 * NULLS, load(frame + 8 * NULLS) | 1 << over[PARTITION])
    start(program.ctypes.data, program.shape[0], frame)


@inner
def _waits(meta: Any, frames: Any, over: Any, slot: int, frame: int) -> None:
    """Put a row at the head of its frame's waiting rows."""
    head = _link(frames, frame, over[FRAME_LINK], WAITING)
    after = load(head)
    store(_link(meta, slot, over[ROW_LINK], OF_FRAME), frame)
    store(_link(meta, slot, over[ROW_LINK], NEXT), after)
    store(_link(meta, slot, over[ROW_LINK], BEFORE), 0)
    if after:
        store(_link(meta, after - 1, over[ROW_LINK], BEFORE), slot + 1)
    store(head, slot + 1)


@inner
def _waits_no_more(meta: Any, frames: Any, over: Any, slot: int, frame: int) -> None:
    after = load(_link(meta, slot, over[ROW_LINK], NEXT))
    before = load(_link(meta, slot, over[ROW_LINK], BEFORE))
    if before:
        store(_link(meta, before - 1, over[ROW_LINK], NEXT), after)
    else:
        store(_link(frames, frame, over[FRAME_LINK], WAITING), after)
    if after:
        store(_link(meta, after - 1, over[ROW_LINK], BEFORE), before)


@inner
def _keeps(meta: Any, frames: Any, over: Any, slot: int, frame: int) -> None:
    """Put a row at the end of its frame's kept rows."""
    store(_link(meta, slot, over[ROW_LINK], OF_FRAME), frame)
    store(_link(meta, slot, over[ROW_LINK], NEXT), 0)
    last = _link(frames, frame, over[FRAME_LINK], LAST_KEPT)
    if load(last):
        store(_link(meta, load(last) - 1, over[ROW_LINK], NEXT), slot + 1)
    else:
        store(_link(frames, frame, over[FRAME_LINK], KEPT), slot + 1)
    store(last, slot + 1)
    count = _link(frames, frame, over[FRAME_LINK], KEPT_COUNT)
    store(count, load(count) + 1)


@inner
def _first_dropped(meta: Any, frames: Any, over: Any, frame: int) -> Any:
    """Take the oldest kept row out of a frame; False when room lacks."""
    head = _link(frames, frame, over[FRAME_LINK], KEPT)
    slot = load(head) - 1
    if not touch(meta, slot):
        return False
    after = load(_link(meta, slot, over[ROW_LINK], NEXT))
    store(head, after)
    if after == 0:
        store(_link(frames, frame, over[FRAME_LINK], LAST_KEPT), 0)
    count = _link(frames, frame, over[FRAME_LINK], KEPT_COUNT)
    store(count, load(count) - 1)
    unlink(meta, slot)
    return True


@inlined
def _row_taken(
    meta: Any,
    frames: Any,
    queue: Any,
    cursor: Any,
    over: Any,
    rows: Any,
    keys: Any,
    digests: Any,
    program: Any,
    seq: Any,
) -> Any:
    at = cursor[ROW]
    foresee(frames, digests, at)
    low, high = digests[at, 0], digests[at, 1]
    frame = find(frames, low, high)
    late = rows[at, 0] >> over[TIME_FIELD] & 1 != 0
    if late or _is_late(frames, over, cursor, frame, rows[at, over[TIME]]):
        cursor[LATE] += 1
        cursor[ROW] += 1
        return True
    if not room_for_timers(meta, queue, 1):
        return False
    if frame < 0:
        frame = append(frames, low, high, keys[at].ctypes.data, over[PARTITION])
        if frame < 0:
            return False
        _begun(over, program, row_at(frames, frame))
    ordinal = cursor[ORDINAL] + 1 if seq[at] == cursor[LAST_SEQ] else 0
    packed = rows[at].ctypes.data
    store(packed + 8, seq[at])
    store(packed + 16, ordinal)
    own_low, own_high = placed(seq[at], ordinal)
    slot = append(meta, own_low, own_high, packed, over[FIELDS])
    if slot < 0:
        return False
    cursor[LAST_SEQ], cursor[ORDINAL] = seq[at], ordinal
    _waits(meta, frames, over, slot, frame)
    queue[ORDER] += 1
    push(queue, rows[at, over[TIME]], queue[ORDER], slot)
    cursor[ROW] += 1
    return True


@inner
def _foresee_row(meta: Any, slot: int) -> None:
    """A kept row is about to be looked at or to leave, if there is one."""
    if slot >= 0:
        foresee_slot(meta, slot)
        prefetch(page_at(meta, slot))


@inlined
def _foresee_due(meta: Any, frames: Any, queue: Any, over: Any) -> None:
    """Let what rows need that fire soon be on its way into the cache: the row, then its frame, then what that drops."""
    slot = coming(queue, 3 * AHEAD)
    if slot >= 0:
        foresee_slot(meta, slot)
    slot = coming(queue, 2 * AHEAD)
    if slot >= 0:
        frame = load(_link(meta, slot, over[ROW_LINK], OF_FRAME))
        foresee_slot(frames, frame)
        prefetch(page_at(frames, frame))
    slot = coming(queue, AHEAD)
    if slot >= 0:
        frame = load(_link(meta, slot, over[ROW_LINK], OF_FRAME))
        _foresee_row(meta, load(_link(frames, frame, over[FRAME_LINK], KEPT)) - 1)
        _foresee_row(meta, load(_link(frames, frame, over[FRAME_LINK], LAST_KEPT)) - 1)


@inner
def _time_of(meta: Any, over: Any, slot: int) -> Any:
    return load(row_at(meta, slot) + 8 * (FIRST_FIELD + over[TIME_FIELD]))


@inlined
def _advanced(meta: Any, frames: Any, clean: Any, over: Any, program: Any, slot: int, time: int) -> Any:
    """Add a row whose time has come to its frame; False when room lacks."""
    frame = load(_link(meta, slot, over[ROW_LINK], OF_FRAME))
    if not touch(meta, slot) or not touch(frames, frame):
        return False
    cleans = over[UNIT] == RANGE and over[PRECEDING] >= 0
    if cleans and clean[COUNT] + 1 > clean[ROOM]:
        return lacking(frames, ROOM_TIMERS, 1)
    row, lines, code = row_at(frames, frame), program.shape[0], program.ctypes.data
    kept = _link(frames, frame, over[FRAME_LINK], KEPT)
    while over[PRECEDING] >= 0 and load(kept):
        oldest = load(kept) - 1
        if over[UNIT] == RANGE:
            if _time_of(meta, over, oldest) >= time - over[PRECEDING]:
                break
        elif load(_link(frames, frame, over[FRAME_LINK], KEPT_COUNT)) <= over[PRECEDING]:
            break
        if not touch(meta, oldest):
            return False
        if not over[FOLDED]:
            retract(code, lines, row, row_at(meta, oldest) + 8 * NULLS)
        _first_dropped(meta, frames, over, frame)
    _waits_no_more(meta, frames, over, slot, frame)
    store(row_at(meta, slot) + 8 * (FIRST_FIELD + FIRED_AT), 1)
    store(row + 8 * _last_at(over), time)
    store(row + 8 * NULLS, load(row + 8 * NULLS) & ~(1 << over[PARTITION]))
    if over[PRECEDING] < 0 or not over[FOLDED]:
        add(code, lines, row, row_at(meta, slot) + 8 * NULLS)
    if over[PRECEDING] >= 0:
        _keeps(meta, frames, over, slot, frame)
    store(_link(frames, frame, over[FRAME_LINK], CHANGED), 1)
    cleaned = _link(frames, frame, over[FRAME_LINK], CLEANED)
    if cleans and load(cleaned) == 0:
        clean[ORDER] += 1
        store(cleaned, clean[ORDER])
        push(clean, time + over[PRECEDING] + over[PRECEDING] // 2, clean[ORDER], frame)
    return True


@inlined
def _put_out(meta: Any, frames: Any, cursor: Any, over: Any, program: Any, slot: int, out: Any, results: Any) -> None:
    """A fired row with the results of its frame; there is room, and the row and its frame are touched."""
    frame, count = load(_link(meta, slot, over[ROW_LINK], OF_FRAME)), cursor[OUT]
    row, lines, code = row_at(frames, frame), program.shape[0], program.ctypes.data
    changed = _link(frames, frame, over[FRAME_LINK], CHANGED)
    if over[FOLDED] and over[PRECEDING] >= 0 and load(changed):
        clear(row + 8 * (_last_at(over) + 1), 8 * over[ACCS])
        start(code, lines, row)
        kept = load(_link(frames, frame, over[FRAME_LINK], KEPT))
        while kept:
            add(code, lines, row, row_at(meta, kept - 1) + 8 * NULLS)
            kept = load(_link(meta, kept - 1, over[ROW_LINK], NEXT))
    store(changed, 0)
    read_fields(meta, row_at(meta, slot), out[count].ctypes.data)
    finish(code, lines, row, results[count].ctypes.data)
    if over[PRECEDING] < 0:
        unlink(meta, slot)
    cursor[OUT] += 1


@inlined
def _fired(
    meta: Any, frames: Any, clean: Any, cursor: Any, over: Any, program: Any, due: Any, out: Any, results: Any,
    out_seq: Any,
) -> Any:  # fmt: skip
    """The next piece of firing rows of one time; False when room lacks."""
    slot = due[cursor[DUE]]
    if cursor[OUT] == out_seq.size and (cursor[EMITTING] or over[UNIT] == ROWS):
        return lacking(meta, ROOM_OUT, 1)
    if not cursor[EMITTING] and not _advanced(meta, frames, clean, over, program, slot, _time_of(meta, over, slot)):
        return False
    if cursor[EMITTING] or over[UNIT] == ROWS:
        out_seq[cursor[OUT]] = cursor[SEQ]
        _put_out(meta, frames, cursor, over, program, slot, out, results)
    cursor[DUE] += 1
    if cursor[DUE] == cursor[DUE_COUNT] and over[UNIT] == RANGE:
        cursor[EMITTING] = 1 - cursor[EMITTING]
        if cursor[EMITTING]:
            cursor[DUE] = 0
    return True


@inlined
def _forgotten(meta: Any, frames: Any, clean: Any, cursor: Any, over: Any) -> Any:
    """Look after the frame whose cleaning is due: later, if it has fired since; else drop what it keeps."""
    after = coming(clean, 2 * AHEAD)
    if after >= 0:
        foresee_slot(frames, after)
    after = coming(clean, AHEAD)
    if after >= 0:
        foresee_bucket(frames, load(row_at(frames, after)))
        _foresee_row(meta, load(_link(frames, after, over[FRAME_LINK], KEPT)) - 1)
    after = coming(clean, AHEAD // 2)
    if after >= 0:
        foresee_row(frames, load(row_at(frames, after)))
    frame, order = first_slot(clean), first_order(clean)
    row = row_at(frames, frame)
    if not is_live(row) or load(_link(frames, frame, over[FRAME_LINK], CLEANED)) != order:
        pop(clean)
        return True
    due = load(row + 8 * _last_at(over)) + over[PRECEDING] + over[PRECEDING] // 2
    if due > cursor[WATERMARK]:
        pop(clean)
        push(clean, due, order, frame)
        return True
    if load(_link(frames, frame, over[FRAME_LINK], WAITING)):
        pop(clean)  # its rows arm the cleaning again when they fire
        store(_link(frames, frame, over[FRAME_LINK], CLEANED), 0)
        return True
    if not touch(frames, frame):
        return False
    while load(_link(frames, frame, over[FRAME_LINK], KEPT)):
        if not _first_dropped(meta, frames, over, frame):
            return False
    pop(clean)
    unlink(frames, frame)
    return True


@kernel(
    "void(int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], const int64[::1],"
    " int64[:,::1], const int64[:,::1], const int64[:,::1], const int64[:,::1],"
    " const int64[::1], const int64[::1], const int64[::1], int64[:,::1], int64[:,::1], int64[::1])"
)
def over_step(
    meta: Words, frames: Words, queue: Words, clean: Words, cursor: Words, due: Words, over: Words,
    rows: Words, keys: Words, digests: Words, program: Words,
    seq: Words, mark_seq: Words, mark_wm: Words, out: Words, results: Words, out_seq: Words,
) -> None:  # fmt: skip
    """A batch through the frames, from where `cursor` stands. `keys`: the partition fields of `rows`, packed by
    themselves. Output: rows that fired, their results, and the seq of the mark that fired them."""
    while True:
        if cursor[DUE] < cursor[DUE_COUNT]:
            if not _fired(meta, frames, clean, cursor, over, program, due, out, results, out_seq):
                return
        elif cursor[RISEN] and queue[COUNT] and first_time(queue) <= cursor[WATERMARK]:
            if due.size < queue[COUNT]:
                lacking(meta, ROOM_DUE, queue[COUNT])
                return
            time, count = first_time(queue), 0
            while queue[COUNT] and first_time(queue) == time:
                due[count] = first_slot(queue)
                count += 1
                pop(queue)
                _foresee_due(meta, frames, queue, over)
            cursor[DUE], cursor[DUE_COUNT] = 0, count
        elif cursor[RISEN] and clean[COUNT] and first_time(clean) <= cursor[WATERMARK]:
            if not _forgotten(meta, frames, clean, cursor, over):
                return
        else:
            cursor[RISEN] = 0
            what = moment(cursor, seq, mark_seq)
            if what == ENDED:
                return
            if what == TAKE_MARK:
                before = cursor[WATERMARK]
                mark_passed(cursor, mark_seq, mark_wm)
                cursor[RISEN] = cursor[WATERMARK] > before
            elif not _row_taken(meta, frames, queue, cursor, over, rows, keys, digests, program, seq):
                return


@kernel(
    "void(int64[::1], int64[::1], int64[::1], int64[::1], const int64[::1], const int64[:,::1], const int64[::1],"
    " const int64[::1], int64[:,::1])"
)
def over_linked(
    meta: Words,
    frames: Words,
    queue: Words,
    clean: Words,
    over: Words,
    partition: Words,
    waiting: Words,
    kept: Words,
    packed: Words,
) -> None:
    """Rebuild lists and timers after rows were loaded. `waiting`: slots in order of arrival; `kept`: in order of time
    and arrival; `packed`: one row of scratch; `partition`: where its partition fields are. There is room for timers."""
    for slots, fired in ((waiting, False), (kept, True)):
        for at in range(slots.size):
            slot = slots[at]
            read_fields(meta, row_at(meta, slot), packed[0].ctypes.data)
            low, high = hash_ended(absorb_keys(hash_begun(), packed, 0, partition))
            frame = find(frames, low, high)
            if fired:
                _keeps(meta, frames, over, slot, frame)
            else:
                _waits(meta, frames, over, slot, frame)
                queue[ORDER] += 1
                push(queue, _time_of(meta, over, slot), queue[ORDER], slot)
    for frame in range(frames[HIGH] if over[UNIT] == RANGE and over[PRECEDING] >= 0 else 0):
        row = row_at(frames, frame)
        if is_live(row) and _has_fired(over, row):
            clean[ORDER] += 1
            store(_link(frames, frame, over[FRAME_LINK], CLEANED), clean[ORDER])
            due = load(row + 8 * _last_at(over)) + over[PRECEDING] + over[PRECEDING] // 2
            push(clean, due, clean[ORDER], frame)


@kernel("int64(int64[::1], int64[::1], int64, int64, const int64[::1], int64[:,::1])")
def over_listed(meta: Words, frames: Words, frame: int, which: int, over: Words, packed: Words) -> int:
    """The rows of one of a frame's lists, packed, as many as there is room for; gives how many there are."""
    count = 0
    slot = load(_link(frames, frame, over[FRAME_LINK], which)) - 1
    while slot >= 0:
        if count < packed.shape[0]:
            read_fields(meta, row_at(meta, slot), packed[count].ctypes.data)
        count += 1
        slot = load(_link(meta, slot, over[ROW_LINK], NEXT)) - 1
    return count
