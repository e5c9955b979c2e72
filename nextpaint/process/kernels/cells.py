"""What a typed cell does outside a step: find, put, remove, hash, save and load rows. See `kernels.paged`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.memory import load, store
from nextpaint.process.kernels.packing import digest_of
from nextpaint.process.kernels.paged import (
    CAPACITY,
    EPOCH,
    FIELDS,
    FREE,
    FROZEN,
    HEAP_AT,
    HEAP_END,
    HIGH,
    LIVE,
    NULLS,
    PAGE_ROWS,
    ROOM_HEAP,
    ROOM_ROWS,
    ROOM_SAVE,
    SAVE_ROOM,
    SAVED,
    SPEC,
    SPEC_WORDS,
    STRING,
    append,
    find,
    find_next,
    foresee,
    insert,
    is_live,
    lacking,
    next_slot,
    page_at,
    page_encoded,
    page_hashed,
    page_size,
    read_fields,
    reclaim,
    room_for,
    row_at,
    same_fields,
    string_kept,
    touch,
    units_of,
    unlink,
    write_fields,
)
from nextpaint.record.compiled import kernel

Words = npt.NDArray[np.int64]


@kernel("int64(int64[::1], int64[:,::1], const int64[:,::1], int64[:,::1])")
def cell_find(meta: Words, packed: Words, keys: Words, digest: Words) -> int:
    """The slot of a key (-1: none) given as a packed row, which gets its fields; `digest`: the key's hash."""
    low, high = digest_of(packed, 0, keys)
    digest[0, 0], digest[0, 1] = low, high
    slot: int = find(meta, low, high)
    if slot >= 0:
        read_fields(meta, row_at(meta, slot), packed[0].ctypes.data)
    return slot


@kernel("void(int64[::1], const int64[:,::1], int64[:,::1], boolean[::1])")
def cell_find_each(meta: Words, digests: Words, packed: Words, found: npt.NDArray[np.bool_]) -> None:
    """Which keys there are, and the fields of each that is."""
    for at in range(found.size):
        slot = find(meta, digests[at, 0], digests[at, 1])
        found[at] = slot >= 0
        if slot >= 0:
            read_fields(meta, row_at(meta, slot), packed[at].ctypes.data)


@kernel("int64(int64[::1], int64, int64, int64[:,::1])")
def cell_find_all(meta: Words, low: int, high: int, packed: Words) -> int:
    """Fields of all rows under a key, as many as there is room for; gives how many there are."""
    count = 0
    slot = find(meta, low, high)
    while slot >= 0:
        if count < packed.shape[0]:
            read_fields(meta, row_at(meta, slot), packed[count].ctypes.data)
        count += 1
        slot = find_next(meta, slot)
    return count


@kernel("int64(int64[::1], const int64[:,::1], const int64[:,::1], int64)")
def cell_put(meta: Words, rows: Words, digests: Words, at: int) -> int:
    """Put packed rows from `at` on, the last of a key wins; gives how far it came before it lacked room."""
    while at < rows.shape[0]:
        foresee(meta, digests, at)
        packed = rows[at].ctypes.data
        slot = find(meta, digests[at, 0], digests[at, 1])
        if slot < 0:
            if append(meta, digests[at, 0], digests[at, 1], packed, meta[FIELDS]) < 0:
                return at
        elif not same_fields(meta, row_at(meta, slot), packed):
            if not room_for(meta, packed, meta[FIELDS]) or not touch(meta, slot):
                return at
            write_fields(meta, row_at(meta, slot), packed, meta[FIELDS])
        at += 1
    return at


@kernel("int64(int64[::1], const int64[:,::1], int64)")
def cell_remove(meta: Words, digests: Words, at: int) -> int:
    """Remove keys from `at` on; gives how far it came before it lacked room."""
    while at < digests.shape[0]:
        slot = find(meta, digests[at, 0], digests[at, 1])
        if slot >= 0:
            if not touch(meta, slot):
                return at
            unlink(meta, slot)
        at += 1
    reclaim(meta)
    return at


@kernel("void(int64[::1])")
def cell_reclaim(meta: Words) -> None:
    """Free what was taken out during a step."""
    reclaim(meta)


@kernel("int64(int64[::1], int64, int64[:,::1], int64[::1])")
def cell_export(meta: Words, slot: int, packed: Words, slots: Words) -> int:
    """Rows from a slot on as packed rows with their slots; gives the slot after the last one taken. Ends when `packed`
    is full; unused places of `slots` are -1."""
    count = 0
    while slot < meta[HIGH] and count < packed.shape[0]:
        row = row_at(meta, slot)
        if is_live(row):
            read_fields(meta, row, packed[count].ctypes.data)
            slots[count] = slot
            count += 1
        slot += 1
    for place in range(count, slots.size):
        slots[place] = -1
    return slot


@kernel("void(int64[::1], uint64[::1])")
def cell_hash(meta: Words, into: npt.NDArray[np.uint64]) -> None:
    """The sum of all row hashes: low and high word."""
    low, high = np.uint64(0), np.uint64(0)
    for slot in range(0, meta[HIGH], PAGE_ROWS):
        more_low, more_high = page_hashed(meta, slot)
        low += more_low
        high += more_high + np.uint64(low < more_low)
    into[0], into[1] = low, high


@kernel("int64(int64[::1], int64, int64)")
def cell_save(meta: Words, slot: int, rows_max: int) -> int:
    """Save pages of the running snapshot from a slot on that no write has saved, about `rows_max` rows; gives the slot
    after them. Stops early when the place for saved pages lacks room."""
    rows = 0
    while slot < meta[FROZEN] and rows < rows_max:
        page = page_at(meta, slot)
        if load(page + 16) < meta[EPOCH]:
            size = page_size(meta, slot)
            if meta[SAVED] + size > meta[SAVE_ROOM]:
                lacking(meta, ROOM_SAVE, size)
                return slot
            page_encoded(meta, slot)
        slot += PAGE_ROWS
        rows += PAGE_ROWS
    return slot


@kernel("boolean(int64[::1], const uint8[::1])")
def cell_check(meta: Words, body: npt.NDArray[np.uint8]) -> bool:
    """Is this the body of an encoded page: whole rows, every string inside?"""
    address = body.ctypes.data
    at = 0
    while at < body.size:
        head = 24 + 8 * meta[FIELDS]
        if at + head > body.size:
            return False
        room = body.size - at - head
        for field in range(meta[FIELDS]):
            if load(meta[SPEC] + field * 8 * SPEC_WORDS) >= STRING:
                length = load(address + at + 24 + 8 * field)
                if length < 0 or length > room:
                    return False
                room -= length + 7 & ~7
        if room < 0:
            return False
        at = body.size - room
    return True


@kernel("int64(int64[::1], const uint8[::1], int64)")
def cell_load(meta: Words, body: npt.NDArray[np.uint8], at: int) -> int:
    """Insert the rows of an encoded page from byte `at` on; gives how far it came before it lacked room."""
    address = body.ctypes.data
    while at < body.size:
        row_from = address + at
        units, padded = 0, 0
        for field in range(meta[FIELDS]):
            if load(meta[SPEC] + field * 8 * SPEC_WORDS) >= STRING:
                length = load(row_from + 24 + 8 * field)
                units += units_of(length)
                padded += length + 7 & ~7
        if meta[FREE] == 0 and meta[HIGH] == meta[CAPACITY]:
            lacking(meta, ROOM_ROWS, 1)
            return at
        if meta[HEAP_AT] + units > meta[HEAP_END]:
            lacking(meta, ROOM_HEAP, units)
            return at
        touch(meta, next_slot(meta))
        row = row_at(meta, insert(meta, load(row_from), load(row_from + 8)))
        store(row + 8 * NULLS, load(row_from + 16) | LIVE)
        strings = row_from + 24 + 8 * meta[FIELDS]
        for field in range(meta[FIELDS]):
            spec = meta[SPEC] + field * 8 * SPEC_WORDS
            word = load(row_from + 24 + 8 * field)
            if load(spec) >= STRING:
                length = word
                word = string_kept(meta, strings, length)
                strings += length + 7 & ~7
            store(row + 8 * load(spec + 16), word)
        at += 24 + 8 * meta[FIELDS] + padded
    return at
