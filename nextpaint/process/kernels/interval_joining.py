"""Interval joins: the rows of each side in a table of their own while a row of the other side may still meet them.

A third table has a row for each key: per side the time its oldest row expires, and that row's place, as `operators.
interval` has it (the timer stays when that row has gone or an older one comes). Its layout holds the key's rows of both
sides in order of time (`time_order`), so that an event looks for its key once, and for its partners by their time. A
side that has rows has a timer.

A row is taken whole or not at all: partners and expired rows are walked once to see that there is room.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels import time_order
from nextpaint.process.kernels.both_inputs import (
    LAST_SEQ,
    LEFT_MARKED,
    LEFT_ROW,
    NO_MORE,
    ORDINAL,
    TAKE_LEFT,
    TAKE_RIGHT,
    mark_of_both,
    next_of_both,
    numbered,
)
from nextpaint.process.kernels.memory import clear, copy, load, store
from nextpaint.process.kernels.packing import absorb_keys, hash_begun, hash_ended, placed
from nextpaint.process.kernels.paged import (
    FIRST_FIELD,
    NULLS,
    ROOM_OUT,
    SPEC,
    SPEC_WORDS,
    STRING,
    append,
    find,
    foresee,
    insert,
    lacking,
    next_slot,
    read_fields,
    room_for,
    row_at,
    touch,
    unlink,
    write_fields,
)
from nextpaint.process.kernels.time_order import (
    began_with,
    cut_upto,
    first_from,
    first_of,
    next_of,
    number_of,
    put_in,
    time_of,
)
from nextpaint.process.kernels.timeline import LATE, OUT, SEQ, WATERMARK
from nextpaint.process.kernels.timers import (
    COUNT,
    ORDER,
    first_order,
    first_slot,
    first_time,
    pop,
    push,
    room_for_timers,
)
from nextpaint.record.columns import MAX_WATERMARK, MIN_WATERMARK
from nextpaint.record.compiled import inner, kernel

Words = npt.NDArray[np.int64]

# Of `join`: key fields of a key's row, its first link; then of the left and of the right side: the word of a packed row
# that has its time, the field that is, its fields, words of a packed row, its first link, the bits of key fields, how
# long after a row its partner may be, whether it is padded.
KEYS, SETS, TIME, TIME_FIELD, FIELDS, WIDTH, LINK, KEY_BITS, REACH, PADS = 0, 1, 2, 4, 6, 8, 10, 12, 14, 16
JOIN = 18
# Fields of a row before its columns, in their order; fields of a key's row after its key, for each side.
PLACE_SEQ, PLACE_ORDINAL, MATCHED = range(3)
LEAD = 3
DUE, DUE_SEQ, DUE_ORDINAL = range(3)
TIMER_FIELDS = 3
# Of the cursor: for each side the time up to which its rows have been dropped, and whether that was written.
EXPIRED, WRITTEN = 19, 21
_SIDE = 62  # the order of a timer: its side, then the number of its row


@inner
def _order_of(join: Any, port: int) -> Any:
    """Where rows of a side have their time and their links."""
    return FIRST_FIELD + join[TIME_FIELD + port], join[LINK + port]


@inner
def _set_at(entries: Any, join: Any, port: int, entry: int) -> Any:
    """The rows of a key of one side."""
    return row_at(entries, entry) + 8 * (join[SETS] + time_order.SET_WORDS * port)


@inner
def _matched_at(own: Any, slot: int) -> Any:
    return row_at(own, slot) + 8 * (FIRST_FIELD + MATCHED)


@inner
def _expiry(cursor: Any, join: Any, port: int) -> Any:
    """Rows of a side up to this time can match nothing that is not late."""
    watermark, reach = cursor[WATERMARK], join[REACH + port]
    if watermark == MAX_WATERMARK:
        return watermark
    if reach >= 0 and watermark <= MIN_WATERMARK + reach:
        return np.int64(MIN_WATERMARK)
    return watermark - reach - 1


@inner
def _expiry_moved(cursor: Any, port: int, expiry: int) -> None:
    cursor[EXPIRED + port], cursor[WRITTEN + port] = expiry, 1


# ---------------------------------------------------------------- timers


@inner
def _timer_is_set(entries: Any, join: Any, port: int, entry: int) -> Any:
    field = join[KEYS] + TIMER_FIELDS * port
    return load(row_at(entries, entry) + 8 * NULLS) >> field & 1 == 0


@inner
def _timer_set(entries: Any, queue: Any, join: Any, port: int, entry: int, own: Any, slot: int) -> None:
    """Let a key's side expire with a row; there is room, and the key's row was touched."""
    row, mine = row_at(entries, entry), row_at(own, slot)
    order = _order_of(join, port)
    field = join[KEYS] + TIMER_FIELDS * port
    at = row + 8 * (FIRST_FIELD + field)
    due = time_of(own, order, slot) + join[REACH + port] + 1
    store(at + 8 * DUE, due)
    store(at + 8 * DUE_SEQ, load(mine + 8 * (FIRST_FIELD + PLACE_SEQ)))
    store(at + 8 * DUE_ORDINAL, load(mine + 8 * (FIRST_FIELD + PLACE_ORDINAL)))
    store(row + 8 * NULLS, load(row + 8 * NULLS) & ~(7 << field))
    push(queue, due, np.int64(port) << _SIDE | number_of(own, order, slot), entry)


@inner
def _timer_gone(entries: Any, join: Any, port: int, entry: int) -> None:
    """A key's side without a timer; a key with neither is forgotten."""
    row = row_at(entries, entry)
    field = join[KEYS] + TIMER_FIELDS * port
    clear(row + 8 * (FIRST_FIELD + field), 8 * TIMER_FIELDS)
    store(row + 8 * NULLS, load(row + 8 * NULLS) | 7 << field)
    if not _timer_is_set(entries, join, 1 - port, entry):
        unlink(entries, entry)


# ---------------------------------------------------------------- what comes out


@inner
def _padding_put(join: Any, port: int, at: Any) -> None:
    """A side's fields, all NULL, at a packed row."""
    clear(at, 8 * join[WIDTH + port])
    store(at, (1 << join[FIELDS + port]) - 1)


@inner
def _told(cursor: Any, out_seq: Any, seq: int) -> None:
    out_seq[cursor[OUT]] = seq
    cursor[OUT] += 1


@inner
def _pairs_put(own: Any, other: Any, cursor: Any, join: Any, port: int, outs: Any, out_seq: Any, what: Any) -> None:
    """A row with `found` partners, in order of their time."""
    packed, seq, slot, found = what
    mine, theirs = outs[port], outs[1 - port]
    order = _order_of(join, 1 - port)
    for _ in range(found):
        copy(mine[cursor[OUT]].ctypes.data, packed, 8 * join[WIDTH + port])
        read_fields(other, row_at(other, slot), theirs[cursor[OUT]].ctypes.data)
        _told(cursor, out_seq, seq)
        if join[PADS + 1 - port]:
            store(_matched_at(other, slot), 1)
        slot = next_of(other, order, slot)


@inner
def _alone_put(cursor: Any, join: Any, port: int, outs: Any, out_seq: Any, what: Any) -> None:
    """A row that came and goes without a partner."""
    packed, seq = what
    mine, theirs = outs[port], outs[1 - port]
    copy(mine[cursor[OUT]].ctypes.data, packed, 8 * join[WIDTH + port])
    _padding_put(join, 1 - port, theirs[cursor[OUT]].ctypes.data)
    _told(cursor, out_seq, seq)


@inner
def _partners(other: Any, join: Any, port: int, slot: int, upto: int) -> Any:
    """How many rows of the other side from one on have a time up to `upto`; -1 when one that is matched for the first
    time may not be written, as room lacks."""
    order = _order_of(join, 1 - port)
    found = 0
    while slot >= 0 and time_of(other, order, slot) <= upto:
        if join[PADS + 1 - port] and load(_matched_at(other, slot)) == 0 and not touch(other, slot):
            return -1
        found += 1
        slot = next_of(other, order, slot)
    return found


@inner
def _expiring(own: Any, join: Any, port: int, slot: int, expiry: int) -> Any:
    """How many rows of a side from its first on expire; -1 when one may not be taken out, as room lacks."""
    order = _order_of(join, port)
    count = 0
    while slot >= 0 and time_of(own, order, slot) <= expiry:
        if not touch(own, slot):
            return -1
        count += 1
        slot = next_of(own, order, slot)
    return count


@inner
def _dropped(own: Any, cursor: Any, join: Any, port: int, held: Any, outs: Any, out_seq: Any, what: Any) -> None:
    """Forget the `count` expired rows of a key; padded, if they are owed that. They were touched."""
    count, expiry, seq = what
    if count == 0:
        return
    order = _order_of(join, port)
    cut_upto(own, order, held, expiry)
    mine, theirs = outs[port], outs[1 - port]
    slot = first_of(held)
    for _ in range(count):
        after = next_of(own, order, slot)
        if join[PADS + port] and load(_matched_at(own, slot)) == 0:
            read_fields(own, row_at(own, slot), mine[cursor[OUT]].ctypes.data)
            _padding_put(join, 1 - port, theirs[cursor[OUT]].ctypes.data)
            _told(cursor, out_seq, seq)
        unlink(own, slot)
        slot = after
    began_with(held, slot)


# ---------------------------------------------------------------- rows


@inner
def _key_packed(entries: Any, rows: Any, at: int, keys: Any, packed: Any) -> None:
    """The key of a row as the first fields of a key's row."""
    packed[0, 0] = 0
    for key in range(keys.shape[0]):
        into = load(entries[SPEC] + key * 8 * SPEC_WORDS + 8)
        packed[0, into] = rows[at, keys[key, 1]]
        if keys[key, 0] >= STRING:
            packed[0, into + 1] = rows[at, keys[key, 1] + 1]


@inner
def _room_to_keep(own: Any, entries: Any, queue: Any, join: Any, port: int, entry: int, packed: Any, key: Any) -> Any:
    """May a row be kept, with a timer if its key's side has none?"""
    if not room_for(own, packed, join[FIELDS + port]) or not touch(own, next_slot(own)):
        return False
    if entry < 0:
        if not room_for(entries, key, join[KEYS]) or not touch(entries, next_slot(entries)):
            return False
        return room_for_timers(own, queue, 1)
    if _timer_is_set(entries, join, port, entry):
        return True
    return touch(entries, entry) and room_for_timers(own, queue, 1)


@inner
def _entered(entries: Any, join: Any, digest: Any, key: Any) -> Any:
    """A new key's row, without timers; there is room."""
    entry = insert(entries, digest[0], digest[1])
    row = row_at(entries, entry)
    write_fields(entries, row, key, join[KEYS])
    store(row + 8 * NULLS, load(row + 8 * NULLS) | ((1 << 2 * TIMER_FIELDS) - 1) << join[KEYS])
    return entry


@inner
def _row_kept(own: Any, entries: Any, queue: Any, cursor: Any, join: Any, port: int, entry: int, what: Any) -> None:
    """Keep a row; there is room."""
    packed, matched, digest, key = what
    seq, ordinal = cursor[LAST_SEQ], cursor[ORDINAL]
    store(packed + 8 * (1 + PLACE_SEQ), seq)
    store(packed + 8 * (1 + PLACE_ORDINAL), ordinal)
    store(packed + 8 * (1 + MATCHED), matched)
    low, high = placed(seq, ordinal)
    slot = append(own, low, high, packed, join[FIELDS + port])
    if entry < 0:
        entry = _entered(entries, join, digest, key)
    queue[ORDER] += 1
    put_in(own, _order_of(join, port), _set_at(entries, join, port, entry), slot, queue[ORDER])
    if not _timer_is_set(entries, join, port, entry):
        _timer_set(entries, queue, join, port, entry, own, slot)


@inner
def _row_taken(tables: Any, entries: Any, queue: Any, cursor: Any, join: Any, port: int, given: Any, outs: Any) -> Any:
    """A row of one side: it meets what the other side keeps, and is kept; False when room lacks."""
    rows, digests, seqs, keys, out_seq, scratch = given
    own, other = tables[port], tables[1 - port]
    at = cursor[LEFT_ROW + port]
    seq, packed = seqs[at], rows[at].ctypes.data
    if rows[at, 0] >> join[TIME_FIELD + port] & 1:
        cursor[LATE] += 1
        numbered(cursor, seq)
        cursor[LEFT_ROW + port] += 1
        return True
    foresee(entries, digests, at)
    time, key = rows[at, join[TIME + port]], scratch.ctypes.data
    keyed = rows[at, 0] & join[KEY_BITS + port] == 0
    last = time + join[REACH + port]
    meets = keyed and cursor[EXPIRED + 1 - port] < last
    keeps = keyed and cursor[WATERMARK] < last
    entry: Any = find(entries, digests[at, 0], digests[at, 1]) if keyed else np.int64(-1)
    expiry = _expiry(cursor, join, 1 - port)
    first, found, count = np.int64(-1), 0, 0
    if meets and entry >= 0:
        held = _set_at(entries, join, 1 - port, entry)
        first = first_from(other, _order_of(join, 1 - port), held, time - join[REACH + 1 - port])
        found = _partners(other, join, port, first, last)
        if found < 0:
            return False
        count = _expiring(other, join, 1 - port, first_of(held), expiry)
        if count < 0:
            return False
    if cursor[OUT] + found + count + 1 > out_seq.size:
        return lacking(own, ROOM_OUT, 1)
    if keeps:
        if entry < 0:
            _key_packed(entries, rows, at, keys, scratch)
        if not _room_to_keep(own, entries, queue, join, port, entry, packed, key):
            return False
    numbered(cursor, seq)
    if meets:
        _expiry_moved(cursor, 1 - port, expiry)
    if found:
        _pairs_put(own, other, cursor, join, port, outs, out_seq, (packed, seq, first, found))
    if count:
        held = _set_at(entries, join, 1 - port, entry)
        _dropped(other, cursor, join, 1 - port, held, outs, out_seq, (count, expiry, seq))
    if keeps:
        matched = 1 if found and join[PADS + port] else 0
        digest = (digests[at, 0], digests[at, 1])
        _row_kept(own, entries, queue, cursor, join, port, entry, (packed, matched, digest, key))
    elif found == 0 and join[PADS + port]:
        _alone_put(cursor, join, port, outs, out_seq, (packed, seq))
    cursor[LEFT_ROW + port] += 1
    return True


@inner
def _fired(tables: Any, entries: Any, queue: Any, cursor: Any, join: Any, outs: Any, out_seq: Any) -> Any:
    """Drop the expired rows of the key and side whose timer is first; False when room lacks."""
    entry, port = first_slot(queue), first_order(queue) >> _SIDE
    own = tables[port]
    expiry = _expiry(cursor, join, port)
    held = _set_at(entries, join, port, entry)
    count = _expiring(own, join, port, first_of(held), expiry)
    if count < 0 or not touch(entries, entry):
        return False
    if cursor[OUT] + count > out_seq.size:
        return lacking(entries, ROOM_OUT, 1)
    pop(queue)
    _expiry_moved(cursor, port, expiry)
    _dropped(own, cursor, join, port, held, outs, out_seq, (count, expiry, cursor[SEQ]))
    slot = first_of(held)
    if slot >= 0:
        _timer_set(entries, queue, join, port, entry, own, slot)
    else:
        _timer_gone(entries, join, port, entry)
    return True


@kernel(
    "void(int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], const int64[::1],"
    " int64[:,::1], const int64[:,::1], const int64[::1], const int64[:,::1],"
    " int64[:,::1], const int64[:,::1], const int64[::1], const int64[:,::1],"
    " const int64[::1], const int64[::1], const int64[::1], const int64[::1],"
    " int64[:,::1], int64[:,::1], int64[::1], int64[:,::1], int64[:,::1])"
)
def interval_join_step(
    left: Words, right: Words, entries: Words, queue: Words, cursor: Words, join: Words,
    left_rows: Words, left_digests: Words, left_seq: Words, left_keys: Words,
    right_rows: Words, right_digests: Words, right_seq: Words, right_keys: Words,
    left_mark_seq: Words, left_mark_wm: Words, right_mark_seq: Words, right_mark_wm: Words,
    out: Words, out_right: Words, out_seq: Words, out_marks: Words, scratch: Words,
) -> None:  # fmt: skip
    """A batch of each input through the join, from where `cursor` stands. Output: the rows of both sides, packed, and
    the seq of what caused each; and the marks at which the combined watermark rose. `scratch`: one packed key's row."""
    seqs = (left_seq, right_seq, left_mark_seq, right_mark_seq)
    tables, outs = (left, right), (out, out_right)
    from_left = (left_rows, left_digests, left_seq, left_keys, out_seq, scratch)
    from_right = (right_rows, right_digests, right_seq, right_keys, out_seq, scratch)
    while True:
        if queue[COUNT] and first_time(queue) <= cursor[WATERMARK]:
            if not _fired(tables, entries, queue, cursor, join, outs, out_seq):
                return
            continue
        what = next_of_both(cursor, seqs)
        if what == NO_MORE:
            return
        if what == TAKE_LEFT:
            if not _row_taken(tables, entries, queue, cursor, join, 0, from_left, outs):
                return
        elif what == TAKE_RIGHT:
            if not _row_taken(tables, entries, queue, cursor, join, 1, from_right, outs):
                return
        elif what == LEFT_MARKED:
            mark_of_both(cursor, 0, left_mark_seq, left_mark_wm, out_marks)
        else:
            mark_of_both(cursor, 1, right_mark_seq, right_mark_wm, out_marks)


# ---------------------------------------------------------------- from outside


@kernel(
    "boolean(int64[::1], int64[::1], const int64[::1], int64, const int64[:,::1], const int64[:,::1], int64[:,::1])"
)
def interval_join_ordered(
    own: Words, entries: Words, join: Words, port: int, keys: Words, lines: Words, packed: Words
) -> bool:
    """Put rows of a side (number, slot), in the order they came in, in their keys' order of time; False when a key is
    not there. `packed`: one row of scratch."""
    for at in range(lines.shape[0]):
        slot = lines[at, 1]
        read_fields(own, row_at(own, slot), packed[0].ctypes.data)
        low, high = hash_ended(absorb_keys(hash_begun(), packed, 0, keys))
        entry = find(entries, low, high)
        if entry < 0:
            return False
        put_in(own, _order_of(join, port), _set_at(entries, join, port, entry), slot, lines[at, 0])
    return True


@kernel("int64(int64[::1], const int64[::1], int64, const int64[::1], int64[:,::1])")
def interval_join_timers(entries: Words, join: Words, port: int, slots: Words, lines: Words) -> int:
    """The timers of a side: seq and ordinal of the row, when it is due, the slot of its key; gives how many."""
    count = 0
    for at in range(slots.size):
        if _timer_is_set(entries, join, port, slots[at]):
            field = row_at(entries, slots[at]) + 8 * (FIRST_FIELD + join[KEYS] + TIMER_FIELDS * port)
            lines[count, 0], lines[count, 1] = load(field + 8 * DUE_SEQ), load(field + 8 * DUE_ORDINAL)
            lines[count, 2], lines[count, 3] = load(field + 8 * DUE), slots[at]
            count += 1
    return count


@kernel("void(int64[::1], int64, const int64[:,::1], int64)")
def interval_join_armed(queue: Words, port: int, lines: Words, last: int) -> None:
    """Set timers of a side: when each is due, the number of its row, the slot of its key. `last`: the highest number
    of the side's rows."""
    queue[ORDER] = max(queue[ORDER], last)
    for at in range(lines.shape[0]):
        push(queue, lines[at, 0], np.int64(port) << _SIDE | lines[at, 1], lines[at, 2])


@kernel("int64(int64[::1], int64[::1], const int64[::1], int64, int64, int64, int64[:,::1])")
def interval_join_read(
    own: Words, entries: Words, join: Words, port: int, low: int, high: int, packed: Words
) -> int:  # fmt: skip
    """Fields of a key's rows of a side in order of time, as many as there is room for; gives how many there are."""
    entry = find(entries, low, high)
    if entry < 0:
        return 0
    slot, count = first_of(_set_at(entries, join, port, entry)), 0
    while slot >= 0:
        if count < packed.shape[0]:
            read_fields(own, row_at(own, slot), packed[count].ctypes.data)
        count += 1
        slot = next_of(own, _order_of(join, port), slot)
    return count
