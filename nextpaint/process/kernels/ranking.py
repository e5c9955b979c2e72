"""Top-N of an append-only input: the rows that rank, chained by partition, best first.

A row is put behind the last one that ranks at least as high; the one pushed out leaves. Telling is `operators.top`'s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.chains import (
    after,
    before,
    count_of,
    last_of,
    linked_after,
    room_for_link,
    same_rows,
    unlinked,
)
from nextpaint.process.kernels.memory import compared, load, load_real, store
from nextpaint.process.kernels.packing import absorb_keys, absorb_word, hash_begun, hash_ended
from nextpaint.process.kernels.paged import (
    FIELDS,
    FIRST_FIELD,
    NULLS,
    REAL,
    ROOM_OUT,
    STRING,
    find,
    foresee,
    insert,
    lacking,
    next_slot,
    read_fields,
    room_for,
    row_at,
    string_at,
    string_size,
    touch,
    unlink,
    write_fields,
)
from nextpaint.record.columns import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE
from nextpaint.record.compiled import inner, kernel

Words = npt.NDArray[np.int64]

# Of `rank`: first and last rank, whether ranks are told, how many fields the partition has (seq and ordinal follow),
# and the words of a packed row that hold those two.
FIRST, LAST, SHOWN, KEYS, SEQ_AT, ORDINAL_AT = range(6)
# Of an order line: kind, field, word in a packed row, descending, NULLs first.
KIND, FIELD, WORD_AT, DOWN, NULLS_FIRST = range(5)


@inner
def _texts_compared(meta: Any, given: Any, held: Any) -> Any:
    """A packed string with that of a field, as bytes."""
    left, right = load(given + 8), string_size(load(held))
    shared = min(left, right)
    if shared > 0:
        difference = compared(load(given), string_at(meta, held), shared)
        if difference != 0:
            return difference
    return left - right


@inner
def _reals_compared(left: float, right: float) -> Any:
    if left < right:
        return -1
    if left > right:
        return 1
    left_nan, right_nan = left != left, right != right
    if left_nan == right_nan:
        return 0
    return 1 if left_nan else -1


@inner
def ranks_before(meta: Any, order: Any, packed: Any, row: Any) -> Any:
    """Does a packed row come before a stored one, whatever else it holds? See `process.ranking`."""
    for line in range(order.shape[0]):
        kind, field = order[line, KIND], order[line, FIELD]
        given, held = packed + 8 * order[line, WORD_AT], row + 8 * (FIRST_FIELD + field)
        left_null = load(packed) >> field & 1
        right_null = load(row + 8 * NULLS) >> field & 1
        if left_null != right_null:
            return left_null == order[line, NULLS_FIRST]
        if left_null:
            continue
        if kind >= STRING:
            difference = _texts_compared(meta, given, held)
        elif kind == REAL:
            difference = _reals_compared(load_real(given), load_real(held))
        else:
            difference = -1 if load(given) < load(held) else np.int64(load(given) > load(held))
        if difference != 0:
            return (difference > 0) == (order[line, DOWN] != 0)
    return False


@inner
def _told(meta: Any, slot: int, out: Any, told: Any, cursor: Any, what: Any) -> None:
    """Put a row out: kind, the input row that caused it, rank."""
    count = cursor[1]
    read_fields(meta, row_at(meta, slot), out[count].ctypes.data)
    told[count, 0], told[count, 1], told[count, 2] = what
    cursor[1] += 1


@inner
def _shifts_told(meta: Any, rank: Any, slot: int, place: int, out: Any, told: Any, cursor: Any) -> None:
    """Every rank from the new row's on has another row, if an equal one. `place`: how many rank higher. The chain holds
    the new row already, and still the one pushed out."""
    at, number = cursor[0], place + 1
    while slot >= 0 and number <= rank[LAST]:
        old = after(meta, slot)
        if number >= rank[FIRST]:
            if old < 0:
                _told(meta, slot, out, told, cursor, (INSERT, at, number))
            else:
                _told(meta, old, out, told, cursor, (UPDATE_BEFORE, at, number))
                _told(meta, slot, out, told, cursor, (UPDATE_AFTER, at, number))
        slot = old
        number += 1


@inner
def _moves_told(meta: Any, rank: Any, slot: int, place: int, out: Any, told: Any, cursor: Any) -> None:
    """What entered the ranks that are asked for, and what left them."""
    at = cursor[0]
    came = slot
    for _ in range(place, rank[FIRST] - 1):  # a higher one entered above: the one at the first rank moved down to it
        if came >= 0:
            came = after(meta, came)
    left = slot
    for _ in range(place, rank[LAST]):
        if left >= 0:
            left = after(meta, left)
    if came < 0:
        return
    skipped = 3 << rank[KEYS]
    if left >= 0 and same_rows(meta, row_at(meta, came), row_at(meta, left), skipped):
        return
    in_place = left >= 0 and rank[FIRST] == rank[LAST]
    if left >= 0:
        _told(meta, left, out, told, cursor, (UPDATE_BEFORE if in_place else DELETE, at, rank[LAST]))
    _told(meta, came, out, told, cursor, (UPDATE_AFTER if in_place else INSERT, at, rank[LAST]))


@kernel(
    "void(int64[::1], int64[::1], const int64[::1], const int64[:,::1], int64[:,::1], const int64[:,::1],"
    " const int64[:,::1], int64[:,::1], int64[:,::1], int64[::1])"
)
def rank_step(
    meta: Words, index: Words, rank: Words, order: Words, rows: Words, keys: Words, partitions: Words, out: Words,
    told: Words, cursor: Words,
) -> None:  # fmt: skip
    """Rank rows from `cursor[0]` on; `cursor[1]` counts the output, `cursor[2]` and `[3]` are the seq and the ordinal
    of the row that was kept last. `keys`, `partitions`: where a row's partition is, and its hash. Output: packed rows,
    and in `told` kind, input row and rank of each. Comes back early when room lacks."""
    while cursor[0] < rows.shape[0]:
        at = cursor[0]
        foresee(index, partitions, at)
        packed = rows[at].ctypes.data
        entry = find(index, partitions[at, 0], partitions[at, 1])
        held, place = count_of(index, entry), last_of(index, entry)
        if held >= rank[LAST] and not ranks_before(meta, order, packed, row_at(meta, place)):
            cursor[0] += 1
            continue
        most = 2 * min(held + 1, rank[LAST])
        if cursor[1] + most > told.shape[0]:
            lacking(meta, ROOM_OUT, most)
            return
        if not room_for(meta, packed, meta[FIELDS]) or not touch(meta, next_slot(meta)):
            return
        if not room_for_link(index, entry) or (held >= rank[LAST] and not touch(meta, place)):
            return
        higher = held
        while place >= 0 and ranks_before(meta, order, packed, row_at(meta, place)):
            place = before(meta, place)
            higher -= 1
        seq = rows[at, rank[SEQ_AT]]
        cursor[3] = cursor[3] + 1 if seq == cursor[2] else 0
        cursor[2] = seq
        store(packed + 8 * rank[ORDINAL_AT], cursor[3])
        state = absorb_word(absorb_word(absorb_keys(hash_begun(), rows, at, keys), seq), cursor[3])
        low, high = hash_ended(state)
        slot = insert(meta, low, high)
        write_fields(meta, row_at(meta, slot), packed, meta[FIELDS])
        entry = linked_after(meta, index, (partitions[at, 0], partitions[at, 1]), entry, slot, place)
        if rank[SHOWN]:
            _shifts_told(meta, rank, slot, higher, out, told, cursor)
        else:
            _moves_told(meta, rank, slot, higher, out, told, cursor)
        if held >= rank[LAST]:
            gone = last_of(index, entry)
            unlinked(meta, index, entry, gone)
            unlink(meta, gone)
        cursor[0] += 1
