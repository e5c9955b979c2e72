"""Event-time temporal join: left rows wait in one table, the versions of right keys are rows of another.

A left row is found by its timer; the versions of a right key share its hash, and are in their bucket in the order of
their times, the newest first, so that the one to join is mostly the first that is looked at. At one seq: left rows,
right rows, left marks, right marks, as `operators.protocol.merged` has it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.both_inputs import (
    LAST_SEQ,
    LEFT_MARKED,
    LEFT_ROW,
    NO_MORE,
    ORDINAL,
    RIGHT_ROW,
    TAKE_LEFT,
    TAKE_RIGHT,
    mark_of_both,
    next_of_both,
)
from nextpaint.process.kernels.memory import clear, load, store
from nextpaint.process.kernels.packing import absorb_keys, hash_begun, hash_ended, placed
from nextpaint.process.kernels.paged import (
    AHEAD,
    FIRST_FIELD,
    ROOM_DUE,
    ROOM_OUT,
    append,
    find,
    find_next,
    foresee,
    foresee_bucket,
    foresee_row,
    foresee_slot,
    lacking,
    read_fields,
    rehung,
    row_at,
    touch,
    unlink,
)
from nextpaint.process.kernels.timeline import DUE, DUE_COUNT, LATE, OUT, SEQ, WATERMARK, sorted_pairs
from nextpaint.process.kernels.timers import (
    COUNT,
    ORDER,
    coming,
    first_at,
    first_time,
    pop,
    push,
    room_for_timers,
)
from nextpaint.record.columns import DELETE, UPDATE_AFTER, UPDATE_BEFORE
from nextpaint.record.compiled import inlined, inner, kernel

Words = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.int8]

# Of `join`: where a packed left row has its time (word, field), fields of a waiting row, key fields of a version, its
# fields, the word of a packed version at which its columns begin, words of it, whether rows without a version leave,
# the first link of a waiting row.
LEFT_TIME, LEFT_FIELD, LEFT_FIELDS, KEYS, FIELDS, COLUMNS_AT, WIDTH, OUTER, LINK = range(9)
LINKS = 2  # of a waiting row: the hash of its right key


@inlined
def _linked(meta: Any, join: Any, slot: int, rows: Any, at: int, keys: Any) -> None:
    """Note the hash of a left row's right key beside it."""
    low, high = hash_ended(absorb_keys(hash_begun(), rows, at, keys))
    link = row_at(meta, slot) + 8 * join[LINK]
    store(link, low)
    store(link + 8, high)


@inlined
def _foresee_due(meta: Any, versions: Any, queue: Any, join: Any) -> None:
    """Let what rows need that leave soon be on its way into the cache: the row, the bucket of its version, that."""
    slot = coming(queue, 3 * AHEAD)
    if slot >= 0:
        foresee_slot(meta, slot)
    slot = coming(queue, 2 * AHEAD)
    if slot >= 0:
        foresee_bucket(versions, load(row_at(meta, slot) + 8 * join[LINK]))
    slot = coming(queue, AHEAD)
    if slot >= 0:
        foresee_row(versions, load(row_at(meta, slot) + 8 * join[LINK]))


@inlined
def _left_taken(
    meta: Any, queue: Any, cursor: Any, join: Any, rows: Any, kinds: Any, seq: Any, keys: Any, ordinals: Any
) -> Any:  # fmt: skip
    """Let a left row wait; `ordinals` says which it is of its seq, -1 for a late one. False when room lacks."""
    at = cursor[LEFT_ROW]
    if rows[at, 0] >> join[LEFT_FIELD] & 1 or rows[at, join[LEFT_TIME]] <= cursor[WATERMARK]:
        ordinals[at] = -1
        cursor[LATE] += 1
        cursor[LEFT_ROW] += 1
        return True
    if not room_for_timers(meta, queue, 1):
        return False
    ordinal = cursor[ORDINAL] + 1 if seq[at] == cursor[LAST_SEQ] else 0
    packed = rows[at].ctypes.data
    store(packed + 8, seq[at])
    store(packed + 16, ordinal)
    store(packed + 24, np.int64(kinds[at]))
    low, high = placed(seq[at], ordinal)
    slot = append(meta, low, high, packed, join[LEFT_FIELDS])
    if slot < 0:
        return False
    cursor[LAST_SEQ], cursor[ORDINAL] = seq[at], ordinal
    ordinals[at] = ordinal
    _linked(meta, join, slot, rows, at, keys)
    queue[ORDER] += 1
    push(queue, rows[at, join[LEFT_TIME]], queue[ORDER], slot)
    cursor[LEFT_ROW] += 1
    return True


@inner
def _version_at(versions: Any, low: int, high: int, time: int, place: int) -> Any:
    """The newest version of a key at or before a time; -1: none. `place`: the word of a row that is its time."""
    slot = find(versions, low, high)
    while slot >= 0 and load(row_at(versions, slot) + 8 * place) > time:
        slot = find_next(versions, slot)
    return slot


@inlined
def _in_order(versions: Any, slot: int, place: int) -> None:
    """Put a version that was just added behind those of its key that are newer."""
    time, newer = load(row_at(versions, slot) + 8 * place), -1
    other = find_next(versions, slot)
    while other >= 0 and load(row_at(versions, other) + 8 * place) > time:
        newer = other
        other = find_next(versions, other)
    if newer >= 0:
        rehung(versions, slot, newer)


@inlined
def _right_taken(versions: Any, cursor: Any, join: Any, rows: Any, digests: Any, kinds: Any) -> Any:
    """Add a version and drop those no left row can ask for any more; False when room lacks."""
    at, keys = cursor[RIGHT_ROW], join[KEYS]
    foresee(versions, digests, at)
    low, high = digests[at, 0], digests[at, 1]
    after = at + 1
    paired = kinds[at] == UPDATE_BEFORE and after < rows.shape[0] and kinds[after] == UPDATE_AFTER
    paired = paired and digests[after, 0] == low and digests[after, 1] == high
    if paired or rows[at, 0] >> keys & 1:
        cursor[RIGHT_ROW] += 1
        return True
    time_at = join[COLUMNS_AT] - 2
    time = rows[at, time_at]
    if kinds[at] == DELETE or kinds[at] == UPDATE_BEFORE:
        rows[at, time_at + 1] = 1
        clear(rows[at].ctypes.data + 8 * join[COLUMNS_AT], 8 * (join[WIDTH] - join[COLUMNS_AT]))
        rows[at, 0] |= (1 << join[FIELDS]) - (1 << keys + 2)
    place = FIRST_FIELD + keys
    old = _version_at(versions, low, high, time, place)
    if old >= 0 and load(row_at(versions, old) + 8 * place) == time:
        if not touch(versions, old):
            return False
        unlink(versions, old)
    slot = append(versions, low, high, rows[at].ctypes.data, join[FIELDS])
    if slot < 0:
        return False
    _in_order(versions, slot, place)
    kept = _version_at(versions, low, high, cursor[WATERMARK], place)
    older = find_next(versions, kept) if kept >= 0 else -1
    while older >= 0:
        if not touch(versions, older):
            return False
        unlink(versions, older)
        older = find_next(versions, kept)
    cursor[RIGHT_ROW] += 1
    return True


@inlined
def _released(meta: Any, versions: Any, queue: Any, join: Any, cursor: Any, due: Any) -> None:
    """The left rows whose time has come into `due`, in the order they came in."""
    count = 0
    while queue[COUNT]:
        first = first_at(queue)
        if load(first) > cursor[WATERMARK]:
            break
        due[2 * count], due[2 * count + 1] = load(first + 8), load(first + 16)
        count += 1
        pop(queue)
        _foresee_due(meta, versions, queue, join)
    sorted_pairs(due, count)
    cursor[DUE], cursor[DUE_COUNT] = 0, count


@inner
def _paired(meta: Any, versions: Any, join: Any, slot: int, keys: Any, out: Any, right: Any, count: int) -> Any:
    """Read a left row and its version into row `count` of the output; whether it has a place there."""
    place = FIRST_FIELD + join[KEYS]
    read_fields(meta, row_at(meta, slot), out[count].ctypes.data)
    null = False
    for key in range(keys.shape[0]):
        null = null or out[count, 0] >> keys[key, 2] & 1 != 0
    found = -1
    if not null:
        link = row_at(meta, slot) + 8 * join[LINK]
        low, high = load(link), load(link + 8)
        found = _version_at(versions, low, high, out[count, join[LEFT_TIME]], place)
    if found >= 0 and load(row_at(versions, found) + 8 * place + 8) != 0:
        found = -1
    if found >= 0:
        read_fields(versions, row_at(versions, found), right[count].ctypes.data)
    elif join[OUTER]:
        right[count, :] = 0
        right[count, 0] = (1 << join[FIELDS]) - 1
    return found >= 0 or join[OUTER] != 0


@inlined
def _joined(meta: Any, versions: Any, cursor: Any, join: Any, slot: int, keys: Any, out: Any, right: Any) -> Any:
    """Put a left row out with its version; False when room lacks."""
    if not touch(meta, slot):
        return False
    if _paired(meta, versions, join, slot, keys, out, right, cursor[OUT]):
        cursor[OUT] += 1
    unlink(meta, slot)
    return True


@kernel(
    "void(int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], const int64[::1],"
    " int64[:,::1], const int8[::1], const int64[::1], int64[::1], const int64[:,::1],"
    " int64[:,::1], const int64[:,::1], const int8[::1], const int64[::1],"
    " const int64[::1], const int64[::1], const int64[::1], const int64[::1],"
    " int64[:,::1], int64[:,::1], int64[::1], int64[:,::1])"
)
def temporal_step(
    meta: Words, versions: Words, queue: Words, cursor: Words, due: Words, join: Words,
    left: Words, left_kind: Kinds, left_seq: Words, ordinals: Words, left_keys: Words,
    right: Words, digests: Words, right_kind: Kinds, right_seq: Words,
    left_mark_seq: Words, left_mark_wm: Words, right_mark_seq: Words, right_mark_wm: Words,
    out: Words, out_right: Words, out_seq: Words, out_marks: Words,
) -> None:  # fmt: skip
    """A batch of each input through the join, from where `cursor` stands. Output: the waiting row that was released,
    its version, the seq of the mark that released it; and the marks at which the combined watermark rose."""
    seqs = (left_seq, right_seq, left_mark_seq, right_mark_seq)
    while True:
        if cursor[DUE] < cursor[DUE_COUNT]:
            if cursor[OUT] == out_seq.size:
                lacking(meta, ROOM_OUT, 1)
                return
            out_seq[cursor[OUT]] = cursor[SEQ]
            slot = due[2 * cursor[DUE] + 1]
            if not _joined(meta, versions, cursor, join, slot, left_keys, out, out_right):
                return
            cursor[DUE] += 1
            continue
        if queue[COUNT] and first_time(queue) <= cursor[WATERMARK]:
            if due.size < 4 * queue[COUNT]:
                lacking(meta, ROOM_DUE, 4 * queue[COUNT])
                return
            _released(meta, versions, queue, join, cursor, due)
            continue
        what = next_of_both(cursor, seqs)
        if what == NO_MORE:
            return
        if what == TAKE_LEFT:
            if not _left_taken(meta, queue, cursor, join, left, left_kind, left_seq, left_keys, ordinals):
                return
        elif what == TAKE_RIGHT:
            if not _right_taken(versions, cursor, join, right, digests, right_kind):
                return
        elif what == LEFT_MARKED:
            mark_of_both(cursor, 0, left_mark_seq, left_mark_wm, out_marks)
        else:
            mark_of_both(cursor, 1, right_mark_seq, right_mark_wm, out_marks)


@kernel(
    "int64(int64[::1], int64[::1], const int64[::1], const int64[:,::1], const int64[:,::1],"
    " int64[:,::1], int64[:,::1], boolean[::1])"
)
def temporal_waiting(
    meta: Words, versions: Words, join: Words, left_keys: Words, places: Words, out: Words, out_right: Words,
    there: npt.NDArray[np.bool_],
) -> int:  # fmt: skip
    """What would leave if both inputs ended: left rows that wait, found by (seq, ordinal), with their versions; gives
    how many those are. `there`: whether a place still waits. There is room for one row more than there are places."""
    count = 0
    for at in range(places.shape[0]):
        low, high = placed(places[at, 0], places[at, 1])
        slot = find(meta, low, high)
        there[at] = slot >= 0
        if slot >= 0 and _paired(meta, versions, join, slot, left_keys, out, out_right, count):
            count += 1
    return count


@kernel("void(int64[::1], const int64[::1])")
def versions_ordered(versions: Words, slots: Words) -> None:
    """Put versions that were loaded in order in their buckets; `slots`: all, the oldest first."""
    for at in range(slots.size):
        rehung(versions, slots[at], -1)


@kernel("void(const int64[::1], int64[::1], const int64[::1], const int64[::1], const int64[:,::1], int64[:,::1])")
def temporal_armed(meta: Words, queue: Words, slots: Words, join: Words, left_keys: Words, packed: Words) -> None:
    """Set the timers and links of waiting rows, given in the order they came in. `packed`: one row of scratch."""
    for at in range(slots.size):
        slot = slots[at]
        read_fields(meta, row_at(meta, slot), packed[0].ctypes.data)
        _linked(meta, join, slot, packed, 0, left_keys)
        queue[ORDER] += 1
        push(queue, packed[0, join[LEFT_TIME]], queue[ORDER], slot)
