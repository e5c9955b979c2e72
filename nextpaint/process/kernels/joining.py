"""Regular joins: the rows of each side in a table of their own, as a multiset, chained by join key in the order they
first came. What a change of one side says about the result is `operators.join`'s, row by row.

A row of state: the columns, then how often the row is there, when it first came and, where padding or EXISTS depends on
it, how many rows of the other side it meets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.both_inputs import (
    LEFT_MARKED,
    LEFT_ROW,
    NO_MORE,
    TAKE_LEFT,
    TAKE_RIGHT,
    mark_of_both,
    next_of_both,
    numbered,
)
from nextpaint.process.kernels.chains import (
    after,
    first_of,
    last_of,
    linked_after,
    room_for_link,
    unlinked,
    words_copied,
)
from nextpaint.process.kernels.memory import clear, load, store
from nextpaint.process.kernels.paged import (
    FIRST_FIELD,
    ROOM_OUT,
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
from nextpaint.process.kernels.timeline import OUT
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER
from nextpaint.record.compiled import inlined, inner, kernel

Words = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.int8]

PAIRS, SEMI, ANTI = range(3)
# Of `join`: what it gives; then of the left and of the right side: whether it is padded, whether matches are counted,
# its columns, words of those packed, and the bits of key columns whose NULL matches nothing.
GIVES, PADS, TRACKS, COLUMNS, WIDTH, NEVER = 0, 1, 3, 5, 7, 9
JOIN = 11
TIMES, SEQ_AT, ORDINAL_AT, MATCHES = range(4)  # words of a state row after its columns; the last where it is counted
COUNTED = 4


@inner
def _field_at(join: Any, port: int, meta: Any, slot: int, word: int) -> Any:
    return row_at(meta, slot) + 8 * (FIRST_FIELD + join[COLUMNS + port] + word)


@inner
def _padding_put(join: Any, port: int, at: Any) -> None:
    """A side's columns, all NULL, at a packed row."""
    clear(at, 8 * join[WIDTH + port])
    store(at, (1 << join[COLUMNS + port]) - 1)


@inner
def _told(cursor: Any, told: Any, kind: int, seq: int) -> None:
    told[cursor[OUT], 0], told[cursor[OUT], 1] = kind, seq
    cursor[OUT] += 1


@inner
def _own_put(join: Any, port: int, cursor: Any, outs: Any, packed: Any) -> None:
    out = outs[port]
    words_copied(out[cursor[OUT]].ctypes.data, packed, join[WIDTH + port])


@inner
def _alone_told(join: Any, port: int, cursor: Any, outs: Any, told: Any, what: Any) -> None:
    """A row without a partner, padded."""
    packed, kind, seq = what
    _own_put(join, port, cursor, outs, packed)
    out = outs[1 - port]
    _padding_put(join, 1 - port, out[cursor[OUT]].ctypes.data)
    _told(cursor, told, kind, seq)


@inner
def _turned_told(join: Any, port: int, cursor: Any, other: Any, outs: Any, told: Any, what: Any) -> None:
    """Rows of the other side that met their first partner or lost their last one."""
    slot, added, seq = what
    mine, theirs = outs[port], outs[1 - port]
    while slot >= 0:
        place = _field_at(join, 1 - port, other, slot, MATCHES)
        was = load(place)
        store(place, was + 1 if added else was - 1)
        if (was if added else was - 1) == 0:
            for _ in range(load(_field_at(join, 1 - port, other, slot, TIMES))):
                read_fields(other, row_at(other, slot), theirs[cursor[OUT]].ctypes.data)
                _padding_put(join, port, mine[cursor[OUT]].ctypes.data)
                _told(cursor, told, DELETE if added else INSERT, seq)
        slot = after(other, slot)


@inlined
def _pairs_told(join: Any, port: int, cursor: Any, other: Any, outs: Any, told: Any, what: Any) -> None:
    packed, slot, kind, seq = what
    theirs = outs[1 - port]
    while slot >= 0:
        for _ in range(load(_field_at(join, 1 - port, other, slot, TIMES))):
            _own_put(join, port, cursor, outs, packed)
            read_fields(other, row_at(other, slot), theirs[cursor[OUT]].ctypes.data)
            _told(cursor, told, kind, seq)
        slot = after(other, slot)


@inner
def _appeared(join: Any, cursor: Any, left: Any, outs: Any, told: Any, what: Any) -> None:
    """Left rows of SEMI and ANTI that a right row lets appear or disappear."""
    slot, kind, added, seq = what
    said = kind
    if join[GIVES] == ANTI:
        said = DELETE if added else INSERT
    out = outs[0]
    while slot >= 0:
        place = _field_at(join, 0, left, slot, MATCHES)
        was = load(place)
        store(place, was + 1 if added else was - 1)
        if (was if added else was - 1) == 0:
            for _ in range(load(_field_at(join, 0, left, slot, TIMES))):
                read_fields(left, row_at(left, slot), out[cursor[OUT]].ctypes.data)
                _told(cursor, told, said, seq)
        slot = after(left, slot)


@inlined
def _result_told(join: Any, port: int, cursor: Any, other: Any, outs: Any, told: Any, what: Any) -> None:
    """What a change says, its partners being a chain from `first` on with `found` rows."""
    packed, kind, seq, first, found = what
    added = kind == INSERT or kind == UPDATE_AFTER
    if join[GIVES] != PAIRS:
        if port == 1:
            _appeared(join, cursor, other, outs, told, (first, kind, added, seq))
        elif (found > 0) == (join[GIVES] == SEMI):
            _own_put(join, 0, cursor, outs, packed)
            _told(cursor, told, kind, seq)
        return
    plain = INSERT if added else DELETE
    if first < 0:
        if join[PADS + port]:
            _alone_told(join, port, cursor, outs, told, (packed, plain, seq))
        return
    turns = join[PADS + 1 - port] != 0
    said = plain if join[PADS + port] or (added and turns) else kind
    if turns and added:
        _turned_told(join, port, cursor, other, outs, told, (first, added, seq))
    _pairs_told(join, port, cursor, other, outs, told, (packed, first, said, seq))
    if turns and not added:
        _turned_told(join, port, cursor, other, outs, told, (first, added, seq))


@inner
def _room_to_store(own: Any, index: Any, slot: int, entry: int, packed: Any, columns: int) -> Any:
    """May the row be added, or its number be changed?"""
    if slot >= 0:
        return touch(own, slot)
    return room_for(own, packed, columns) and touch(own, next_slot(own)) and room_for_link(index, entry)


@inlined
def _stored(join: Any, port: int, side: Any, key: Any, digest: Any, what: Any) -> None:
    """Take a change into its side; there is room."""
    own, index = side
    slot, entry, packed, found, seq, ordinal, added = what
    if slot < 0:
        slot = insert(own, digest[0], digest[1])
        write_fields(own, row_at(own, slot), packed, join[COLUMNS + port])
        store(_field_at(join, port, own, slot, TIMES), 1)
        if join[TRACKS + port]:
            store(_field_at(join, port, own, slot, MATCHES), found)
        store(_field_at(join, port, own, slot, SEQ_AT), seq)
        store(_field_at(join, port, own, slot, ORDINAL_AT), ordinal)
        linked_after(own, index, key, entry, slot, last_of(index, entry))
        return
    place = _field_at(join, port, own, slot, TIMES)
    times = load(place) + (1 if added else -1)
    if times > 0:
        store(place, times)
    else:
        unlinked(own, index, entry, slot)
        unlink(own, slot)


@inner
def _partners(join: Any, port: int, other: Any, first: int) -> Any:
    """How many rows of the other side a row meets; -1 when one of them may not be written and room lacks."""
    found = 0
    slot = first
    while slot >= 0:
        found += load(_field_at(join, 1 - port, other, slot, TIMES))
        if join[TRACKS + 1 - port] and not touch(other, slot):
            return -1
        slot = after(other, slot)
    return found


@inlined
def _row_taken(join: Any, port: int, cursor: Any, side: Any, beside: Any, given: Any, outs: Any, told: Any) -> Any:
    """A change of one side; False when room lacks. `side`, `beside`: table and index of its and of the other side."""
    rows, digests, keyed, kinds, seqs = given
    own, index = side
    other, others = beside
    at = cursor[LEFT_ROW + port]
    foresee(own, digests, at)
    foresee(index, keyed, at)
    foresee(others, keyed, at)
    packed, kind, seq = rows[at].ctypes.data, int(kinds[at]), seqs[at]
    added = kind == INSERT or kind == UPDATE_AFTER
    if rows[at, 0] & join[NEVER + port]:
        if cursor[OUT] + 1 > told.shape[0]:
            return lacking(own, ROOM_OUT, 1)
        if join[GIVES] == ANTI and port == 0:
            _own_put(join, 0, cursor, outs, packed)
            _told(cursor, told, kind, seq)
        elif join[GIVES] == PAIRS and join[PADS + port]:
            _alone_told(join, port, cursor, outs, told, (packed, INSERT if added else DELETE, seq))
        numbered(cursor, seq)
        cursor[LEFT_ROW + port] += 1
        return True
    key = (keyed[at, 0], keyed[at, 1])
    slot = find(own, digests[at, 0], digests[at, 1])
    if not added and slot < 0:
        numbered(cursor, seq)
        cursor[LEFT_ROW + port] += 1
        return True
    entry = find(index, key[0], key[1])
    first = first_of(others, find(others, key[0], key[1]))
    found = _partners(join, port, other, first)
    if found < 0 or not _room_to_store(own, index, slot, entry, packed, join[COLUMNS + port]):
        return False
    if cursor[OUT] + 2 * found + 1 > told.shape[0]:
        return lacking(own, ROOM_OUT, 2 * found + 1)
    ordinal = numbered(cursor, seq)
    _stored(join, port, side, key, (digests[at, 0], digests[at, 1]), (slot, entry, packed, found, seq, ordinal, added))
    _result_told(join, port, cursor, other, outs, told, (packed, kind, seq, first, found))
    cursor[LEFT_ROW + port] += 1
    return True


@kernel(
    "void(int64[::1], int64[::1], int64[::1], int64[::1], const int64[::1], int64[::1],"
    " const int64[:,::1], const int64[:,::1], const int64[:,::1], const int8[::1], const int64[::1],"
    " const int64[:,::1], const int64[:,::1], const int64[:,::1], const int8[::1], const int64[::1],"
    " const int64[::1], const int64[::1], const int64[::1], const int64[::1],"
    " int64[:,::1], int64[:,::1], int64[:,::1], int64[:,::1])"
)
def join_step(
    left: Words, left_index: Words, right: Words, right_index: Words, join: Words, cursor: Words,
    left_rows: Words, left_digests: Words, left_keys: Words, left_kind: Kinds, left_seq: Words,
    right_rows: Words, right_digests: Words, right_keys: Words, right_kind: Kinds, right_seq: Words,
    left_mark_seq: Words, left_mark_wm: Words, right_mark_seq: Words, right_mark_wm: Words,
    out: Words, out_right: Words, told: Words, out_marks: Words,
) -> None:  # fmt: skip
    """A batch of each input through the join, from where `cursor` stands. Output: the columns of both sides, packed,
    and in `told` kind and seq; the marks at which the combined watermark rose."""
    seqs = (left_seq, right_seq, left_mark_seq, right_mark_seq)
    lefts, rights, outs = (left, left_index), (right, right_index), (out, out_right)
    from_left = (left_rows, left_digests, left_keys, left_kind, left_seq)
    from_right = (right_rows, right_digests, right_keys, right_kind, right_seq)
    while True:
        what = next_of_both(cursor, seqs)
        if what == NO_MORE:
            return
        if what == TAKE_LEFT:
            if not _row_taken(join, 0, cursor, lefts, rights, from_left, outs, told):
                return
        elif what == TAKE_RIGHT:
            if not _row_taken(join, 1, cursor, rights, lefts, from_right, outs, told):
                return
        elif what == LEFT_MARKED:
            mark_of_both(cursor, 0, left_mark_seq, left_mark_wm, out_marks)
        else:
            mark_of_both(cursor, 1, right_mark_seq, right_mark_wm, out_marks)
