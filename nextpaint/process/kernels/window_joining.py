"""Window joins: the rows of each side in a table of their own until their window ends, then joined by key.

Derived, never saved: a timer and an entry for each window (end, start), which has its rows in the order they came in,
and an entry for each key of a window, which has the right rows of that key. A row carries what leads to the next one,
and the hash of its window and key. When a window ends it is done in phases, each from where `cursor` stands.
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
    TAKE_LEFT,
    TAKE_RIGHT,
    mark_of_both,
    next_of_both,
    numbered,
)
from nextpaint.process.kernels.memory import clear, load, store
from nextpaint.process.kernels.packing import absorb_keys, absorb_word, hash_begun, hash_ended, placed
from nextpaint.process.kernels.paged import (
    FIRST_FIELD,
    ROOM_OUT,
    append,
    find,
    insert,
    lacking,
    next_slot,
    read_fields,
    reclaim,
    room_for,
    row_at,
    touch,
    unlink,
)
from nextpaint.process.kernels.timeline import LATE, OUT, SEQ, WATERMARK
from nextpaint.process.kernels.timers import COUNT, first_slot, first_time, pop, push, room_for_timers
from nextpaint.record.compiled import inner, kernel

Words = npt.NDArray[np.int64]

PAIRS, SEMI, ANTI = range(3)
# Of `join`: what it gives; then of the left and of the right side: whether it is padded, the words of a packed row that
# have start and end of its window, its fields, words of a packed row, its first link, and the bits of key fields whose
# NULL matches nothing.
GIVES, PADS, START, END, FIELDS, WIDTH, LINK, NEVER = 0, 1, 3, 5, 7, 9, 11, 13
JOIN = 15
# Links of a row: the next one of its window, whether it may match, the hash of its window and key, the next right row
# of those, whether a right row was matched. Slots are one higher, zero is none.
NEXT, KEYED, LOW, HIGH, BESIDE, MET = range(6)
LINKS = 6
# Words of a window's entry: first and last row of the left and of the right side. Of a key's: first and last row.
FIRST, LAST = FIRST_FIELD, FIRST_FIELD + 2
WINDOW_FIELDS, KEY_FIELDS = 4, 2
KEY_FIRST, KEY_LAST = FIRST_FIELD, FIRST_FIELD + 1
# Of the cursor: what is being done with the first window, the row it is at, the partner of that, whether it had any.
PHASE, AT, PARTNER, PAIRED = range(19, 23)
READY, PAIRING, PADDING, DROPPING_LEFT, DROPPING_RIGHT = range(5)
_NOT_ASKED = -1


@inner
def _window_of(rows: Any, at: int, join: Any, port: int) -> Any:
    """The hash of a row's window."""
    state = absorb_word(hash_begun(), rows[at, join[END + port]])
    return hash_ended(absorb_word(state, rows[at, join[START + port]]))


@inner
def _key_of(rows: Any, at: int, join: Any, port: int, keys: Any) -> Any:
    """The hash of a row's window and key."""
    state = absorb_word(absorb_keys(hash_begun(), rows, at, keys), rows[at, join[END + port]])
    return hash_ended(absorb_word(state, rows[at, join[START + port]]))


@inner
def _linked_behind(own: Any, link: int, held: Any, first: int, last: int, what: Any) -> None:
    """Put a row behind the last one of an entry; `what`: its slot, and which of its links leads on."""
    slot, onward = what
    before = load(held + 8 * last)
    if before:
        store(row_at(own, before - 1) + 8 * (link + onward), slot + 1)
    else:
        store(held + 8 * first, slot + 1)
    store(held + 8 * last, slot + 1)


@inner
def _room_to_link(indexes: Any, own: Any, queue: Any, window: Any, key: Any) -> Any:
    """May a row be linked? `key`: its hash, and whether an entry of it is needed."""
    windows, keys = indexes
    low, high, keyed = key
    if find(windows, window[0], window[1]) < 0 and not (room_for_timers(own, queue, 1) and room_for(windows, 0, 0)):
        return False
    return not keyed or find(keys, low, high) >= 0 or room_for(keys, 0, 0)


@inner
def _entered(index: Any, low: int, high: int) -> Any:
    """The entry of a hash, made if there is none."""
    entry = find(index, low, high)
    if entry < 0:
        touch(index, next_slot(index))
        entry = insert(index, low, high)
    return entry


@inner
def _linked(indexes: Any, own: Any, queue: Any, join: Any, port: int, slot: int, what: Any) -> None:
    """Link a row to its window and its key; there is room. `what`: its packed row, its hashes, whether it may match."""
    windows, keys = indexes
    rows, at, window, key, keyed = what
    link = join[LINK + port]
    place = row_at(own, slot) + 8 * link
    store(place + 8 * KEYED, 1 if keyed else 0)
    store(place + 8 * LOW, key[0])
    store(place + 8 * HIGH, key[1])
    known = find(windows, window[0], window[1]) >= 0
    entry = _entered(windows, window[0], window[1])
    if not known:
        push(queue, rows[at, join[END + port]], rows[at, join[START + port]], entry)
    _linked_behind(own, link, row_at(windows, entry), FIRST + port, LAST + port, (slot, NEXT))
    if keyed and port == 1:
        held = row_at(keys, _entered(keys, key[0], key[1]))
        _linked_behind(own, link, held, KEY_FIRST, KEY_LAST, (slot, BESIDE))


@inner
def _row_taken(own: Any, indexes: Any, queue: Any, cursor: Any, join: Any, port: int, given: Any) -> Any:
    """Let a row wait for the end of its window; False when room lacks."""
    rows, seqs, key_fields = given
    at = cursor[LEFT_ROW + port]
    seq = seqs[at]
    if rows[at, join[END + port]] - 1 <= cursor[WATERMARK]:
        cursor[LATE] += 1
        numbered(cursor, seq)
        cursor[LEFT_ROW + port] += 1
        return True
    keyed = rows[at, 0] & join[NEVER + port] == 0
    window, key = _window_of(rows, at, join, port), _key_of(rows, at, join, port, key_fields)
    if not _room_to_link(indexes, own, queue, window, (key[0], key[1], keyed and port == 1)):
        return False
    ordinal = cursor[ORDINAL] + 1 if seq == cursor[LAST_SEQ] else 0
    packed = rows[at].ctypes.data
    store(packed + 8, seq)
    store(packed + 16, ordinal)
    low, high = placed(seq, ordinal)
    slot = append(own, low, high, packed, join[FIELDS + port])
    if slot < 0:
        return False
    cursor[LAST_SEQ], cursor[ORDINAL] = seq, ordinal
    _linked(indexes, own, queue, join, port, slot, (rows, at, window, key, keyed))
    cursor[LEFT_ROW + port] += 1
    return True


# ---------------------------------------------------------------- a window ends


@inner
def _link_at(own: Any, join: Any, port: int, slot: int) -> Any:
    return row_at(own, slot) + 8 * join[LINK + port]


@inner
def _padding_put(join: Any, port: int, at: Any) -> None:
    """A side's fields, all NULL, at a packed row."""
    clear(at, 8 * join[WIDTH + port])
    store(at, (1 << join[FIELDS + port]) - 1)


@inner
def _put(tables: Any, cursor: Any, join: Any, left: int, right: int, outs: Any) -> Any:
    """Put a pair out, -1 for padding; False when room lacks."""
    lefts, rights = tables
    out, out_right, out_seq = outs
    count = cursor[OUT]
    if count == out_seq.size:
        return lacking(lefts, ROOM_OUT, 1)
    if left >= 0:
        read_fields(lefts, row_at(lefts, left), out[count].ctypes.data)
    else:
        _padding_put(join, 0, out[count].ctypes.data)
    if right >= 0:
        read_fields(rights, row_at(rights, right), out_right[count].ctypes.data)
    else:
        _padding_put(join, 1, out_right[count].ctypes.data)
    out_seq[count] = cursor[SEQ]
    cursor[OUT] += 1
    return True


@inner
def _first_partner(keys: Any, left: Any) -> Any:
    """The first right row of a left row's window and key, one higher; 0: none. `left`: its links."""
    if load(left + 8 * KEYED) == 0:
        return 0
    entry = find(keys, load(left + 8 * LOW), load(left + 8 * HIGH))
    return load(row_at(keys, entry) + 8 * KEY_FIRST) if entry >= 0 else 0


@inner
def _left_paired(tables: Any, keys: Any, cursor: Any, join: Any, slot: int, outs: Any) -> Any:
    """What a left row gives, in the order of its partners; False when room lacks."""
    lefts, rights = tables
    if join[GIVES] != PAIRS:
        found = _first_partner(keys, _link_at(lefts, join, 0, slot)) != 0
        return found != (join[GIVES] == SEMI) or _put(tables, cursor, join, slot, -1, outs)
    if cursor[PARTNER] == _NOT_ASKED:
        cursor[PARTNER] = _first_partner(keys, _link_at(lefts, join, 0, slot))
        cursor[PAIRED] = cursor[PARTNER]
    while cursor[PARTNER]:
        partner = cursor[PARTNER] - 1
        if not _put(tables, cursor, join, slot, partner, outs):
            return False
        link = _link_at(rights, join, 1, partner)
        store(link + 8 * MET, 1)
        cursor[PARTNER] = load(link + 8 * BESIDE)
    if join[PADS] and cursor[PAIRED] == 0 and not _put(tables, cursor, join, slot, -1, outs):
        return False
    cursor[PARTNER] = _NOT_ASKED
    return True


@inner
def _entered_phase(windows: Any, cursor: Any, entry: int, phase: int, first: int) -> None:
    """Begin a phase with the first row of a side."""
    cursor[PHASE], cursor[AT], cursor[PARTNER] = phase, load(row_at(windows, entry) + 8 * first), _NOT_ASKED


@inner
def _dropped(own: Any, keys: Any, cursor: Any, join: Any, port: int) -> Any:
    """Forget the rows of a side from `cursor` on, with their keys' entries; False when room lacks."""
    while cursor[AT]:
        slot = cursor[AT] - 1
        if not touch(own, slot):
            return False
        link = _link_at(own, join, port, slot)
        cursor[AT] = load(link + 8 * NEXT)
        if port == 1 and load(link + 8 * KEYED):
            entry = find(keys, load(link + 8 * LOW), load(link + 8 * HIGH))
            if entry >= 0:
                unlink(keys, entry)
                reclaim(keys)
        unlink(own, slot)
    return True


@inner
def _ended(tables: Any, indexes: Any, queue: Any, cursor: Any, join: Any, outs: Any) -> Any:
    """Join and forget the window whose timer is first; False when room lacks."""
    lefts, rights = tables
    windows, keys = indexes
    entry = first_slot(queue)
    if cursor[PHASE] == READY:
        _entered_phase(windows, cursor, entry, PAIRING, FIRST)
    if cursor[PHASE] == PAIRING:
        while cursor[AT]:
            if not _left_paired(tables, keys, cursor, join, cursor[AT] - 1, outs):
                return False
            cursor[AT] = load(_link_at(lefts, join, 0, cursor[AT] - 1) + 8 * NEXT)
        _entered_phase(windows, cursor, entry, PADDING, FIRST + 1)
    if cursor[PHASE] == PADDING:
        while join[PADS + 1] and cursor[AT]:
            link = _link_at(rights, join, 1, cursor[AT] - 1)
            if load(link + 8 * MET) == 0 and not _put(tables, cursor, join, -1, cursor[AT] - 1, outs):
                return False
            cursor[AT] = load(link + 8 * NEXT)
        _entered_phase(windows, cursor, entry, DROPPING_LEFT, FIRST)
    if cursor[PHASE] == DROPPING_LEFT:
        if not _dropped(lefts, keys, cursor, join, 0):
            return False
        _entered_phase(windows, cursor, entry, DROPPING_RIGHT, FIRST + 1)
    if not _dropped(rights, keys, cursor, join, 1):
        return False
    unlink(windows, entry)
    reclaim(windows)
    pop(queue)
    cursor[PHASE] = READY
    return True


@kernel(
    "void(int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], const int64[::1],"
    " int64[:,::1], const int64[::1], const int64[:,::1], int64[:,::1], const int64[::1], const int64[:,::1],"
    " const int64[::1], const int64[::1], const int64[::1], const int64[::1],"
    " int64[:,::1], int64[:,::1], int64[::1], int64[:,::1])"
)
def window_join_step(
    left: Words, right: Words, windows: Words, keys: Words, queue: Words, cursor: Words, join: Words,
    left_rows: Words, left_seq: Words, left_keys: Words, right_rows: Words, right_seq: Words, right_keys: Words,
    left_mark_seq: Words, left_mark_wm: Words, right_mark_seq: Words, right_mark_wm: Words,
    out: Words, out_right: Words, out_seq: Words, out_marks: Words,
) -> None:  # fmt: skip
    """A batch of each input through the join, from where `cursor` stands. Output: the rows of both sides, packed, and
    the seq of the mark that ended their window; and the marks at which the combined watermark rose."""
    seqs = (left_seq, right_seq, left_mark_seq, right_mark_seq)
    tables, indexes, outs = (left, right), (windows, keys), (out, out_right, out_seq)
    while True:
        if queue[COUNT] and first_time(queue) - 1 <= cursor[WATERMARK]:
            if not _ended(tables, indexes, queue, cursor, join, outs):
                return
            continue
        what = next_of_both(cursor, seqs)
        if what == NO_MORE:
            return
        if what == TAKE_LEFT:
            if not _row_taken(left, indexes, queue, cursor, join, 0, (left_rows, left_seq, left_keys)):
                return
        elif what == TAKE_RIGHT:
            if not _row_taken(right, indexes, queue, cursor, join, 1, (right_rows, right_seq, right_keys)):
                return
        elif what == LEFT_MARKED:
            mark_of_both(cursor, 0, left_mark_seq, left_mark_wm, out_marks)
        else:
            mark_of_both(cursor, 1, right_mark_seq, right_mark_wm, out_marks)


@kernel(
    "int64(int64[::1], int64[::1], int64[::1], int64[::1], const int64[::1], int64, const int64[:,::1],"
    " const int64[::1], int64[:,::1], int64)"
)
def window_join_armed(
    own: Words, windows: Words, keys: Words, queue: Words, join: Words, port: int, key_fields: Words, slots: Words,
    packed: Words, at: int,
) -> int:  # fmt: skip
    """Link the rows of a side, given in the order they came in, from `slots[at]` on; gives how far it came before room
    lacked. `packed`: one row of scratch."""
    indexes = (windows, keys)
    while at < slots.size:
        read_fields(own, row_at(own, slots[at]), packed[0].ctypes.data)
        keyed = packed[0, 0] & join[NEVER + port] == 0
        window, key = _window_of(packed, 0, join, port), _key_of(packed, 0, join, port, key_fields)
        if not _room_to_link(indexes, own, queue, window, (key[0], key[1], keyed and port == 1)):
            return at
        _linked(indexes, own, queue, join, port, slots[at], (packed, 0, window, key, keyed))
        at += 1
    return at
