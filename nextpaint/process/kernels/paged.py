"""A keyed table in memory of its own: rows of words found by a 128-bit key, in segments that never move.

A table is one array of int64, `meta` (the names below are its indices), which holds addresses of everything else:

    segment     2048 bucket heads (int32) | 16 pages of 4 words: hash, hash, epoch, written | 1024 rows
    row         key hash (2 words) | next row of the bucket | NULL bits and LIVE | fields | links
    string      held in 16-byte units of the heap; its field is unit << 32 | length

Invariants
* Slots are stable. The index is linear hashing with chains: with every row the next two buckets split in two, so
  growing costs the same at any size and nothing is ever rehashed or copied. There are two buckets a row, for whoever
  else is in a bucket costs a look at memory that is in no cache. Buckets and links are layout: not hashed or saved.
* Before a row changes, `touch` marks its page; while a snapshot runs the first touch of a page saves it, encoded.
* Kernels never allocate. One that lacks room changes nothing, says in NEED what it lacks and is called again from where
  it stopped; `nextpaint.process.typed` provides.
* Freed rows and strings are zeroed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.process.kernels.memory import (
    clear,
    copy,
    load,
    load_byte,
    load_half,
    load_word,
    prefetch,
    store,
    store_half,
    store_word,
)
from nextpaint.record.compiled import inner
from nextpaint.record.hashing import sip_round, take_word

DIRECTORY, WIDTH, ROWS, HIGH, FREE, CAPACITY, LEVEL, SPLIT = range(8)
EPOCH, SNAPSHOT, FROZEN, SAVE, SAVED, SAVE_ROOM, SAVED_PAGES = range(8, 15)
FIELDS, SPEC, HEAP, HEAP_AT, HEAP_END, HEAP_FREE, HEAP_USED = range(15, 22)
NEED, NEED_SIZE, SALT, SALT_HIGH, LIMBO, PACKED, STRINGS = range(22, 29)
META = 32

# What a kernel may lack.
NOTHING, ROOM_ROWS, ROOM_HEAP, ROOM_SAVE, ROOM_OUT, ROOM_TIMERS, ROOM_DUE = range(7)

SEGMENT_ROWS = 1024
PAGE_ROWS = 64
AHEAD = 8  # rows of a batch between a look at a bucket, at the row in it, and the row that is worked on
PAGES = SEGMENT_ROWS // PAGE_ROWS
PAGE_WORDS = 4
SEGMENT_HEADS = 2 * SEGMENT_ROWS
ROWS_AT = 4 * SEGMENT_HEADS + 8 * PAGE_WORDS * PAGES
HASH, NEXT, NULLS, FIRST_FIELD = 0, 2, 3, 4
LIVE = 1 << 62

UNIT = 16
HEAP_SEGMENT = 1 << 20
HEAP_UNITS = HEAP_SEGMENT // UNIT
CLASSES = 64

# A field's kinds, and the columns of `SPEC`: kind, word in a packed row, word in a stored row.
WORD, REAL, TRUTH, STRING, BYTES = range(5)
SPEC_WORDS = 3

Address = Any
Meta = Any


# ---------------------------------------------------------------- places


@inner
def row_at(meta: Meta, slot: Any) -> Address:
    """Where a row is."""
    segment = load(meta[DIRECTORY] + (slot >> 10) * 8)
    return segment + ROWS_AT + (slot & 1023) * meta[WIDTH] * 8


@inner
def page_at(meta: Meta, slot: Any) -> Address:
    """Where the words of a row's page are."""
    segment = load(meta[DIRECTORY] + (slot >> 10) * 8)
    return segment + 4 * SEGMENT_HEADS + ((slot & 1023) >> 6) * (8 * PAGE_WORDS)


@inner
def _head_at(meta: Meta, bucket: int) -> Address:
    return load(meta[DIRECTORY] + (bucket >> 11) * 8) + (bucket & 2047) * 4


@inner
def _bucket(meta: Meta, digest: int) -> Any:
    bucket = digest & (meta[LEVEL] - 1)
    if bucket < meta[SPLIT]:
        bucket = digest & (2 * meta[LEVEL] - 1)
    return bucket


@inner
def is_live(row: Address) -> Any:
    """Does the slot hold a row?"""
    return load(row + 8 * NULLS) & LIVE != 0


# ---------------------------------------------------------------- strings


@inner
def units_of(length: int) -> Any:
    """How many units a string of this length takes: exact up to 32, then powers of two."""
    units = (length + UNIT - 1) // UNIT
    if units <= 32:
        return units
    size = 64
    while size < units:
        size *= 2
    return size


@inner
def _class_of(units: int) -> Any:
    if units <= 32:
        return units
    found = 33
    size = 64
    while size < units:
        size *= 2
        found += 1
    return found


@inner
def unit_at(meta: Meta, unit: int) -> Address:
    """Where a unit of the heap is."""
    return load(meta[HEAP] + (unit // HEAP_UNITS) * 8) + (unit % HEAP_UNITS) * UNIT


@inner
def string_at(meta: Meta, reference: int) -> Address:
    """Where a string's bytes are."""
    return unit_at(meta, reference >> 32)


@inner
def string_kept(meta: Meta, address: Address, length: int) -> Any:
    """A copy in the heap; gives its reference. The caller has seen that there is room."""
    if length == 0:
        return 0
    units = units_of(length)
    free = meta[HEAP_FREE] + 8 * _class_of(units)
    unit = load(free) - 1
    if unit >= 0:
        store(free, load(unit_at(meta, unit)))
    else:
        unit = meta[HEAP_AT]
        meta[HEAP_AT] += units
    into = unit_at(meta, unit)
    store(into, 0)
    copy(into, address, length)
    meta[HEAP_USED] += units
    return unit << 32 | length


@inner
def string_freed(meta: Meta, reference: int) -> None:
    """Zero a string and keep its place for another."""
    length = reference & 0xFFFFFFFF
    if length == 0:
        return
    units = units_of(length)
    unit = reference >> 32
    place = unit_at(meta, unit)
    clear(place, units * UNIT)
    free = meta[HEAP_FREE] + 8 * _class_of(units)
    store(place, load(free))
    store(free, unit + 1)
    meta[HEAP_USED] -= units


# ---------------------------------------------------------------- rows


@inner
def lacking(meta: Meta, what: int, size: int) -> Any:
    """Say what is lacking; False."""
    meta[NEED] = what
    meta[NEED_SIZE] = size
    return False


@inner
def room_for(meta: Meta, packed: Address, fields: int) -> Any:
    """Is there room for one more row with these first fields? If not, NEED says what is lacking."""
    if meta[FREE] == 0 and meta[HIGH] == meta[CAPACITY]:
        return lacking(meta, ROOM_ROWS, 1)
    if meta[STRINGS] == 0:
        return True
    units = 0
    for field in range(fields):
        spec = meta[SPEC] + field * 8 * SPEC_WORDS
        if load(spec) >= STRING:
            units += units_of(load(packed + 8 * load(spec + 8) + 8))
    if meta[HEAP_AT] + units > meta[HEAP_END]:
        return lacking(meta, ROOM_HEAP, units)
    return True


@inner
def find(meta: Meta, low: int, high: int) -> Any:
    """The slot of a key, -1 when there is none."""
    if meta[ROWS] == 0:
        return -1
    slot = np.int64(load_half(_head_at(meta, _bucket(meta, low)))) - 1
    while slot >= 0:
        row = row_at(meta, slot)
        if load(row) == low and load(row + 8) == high:
            return slot
        slot = load(row + 8 * NEXT) - 1
    return -1


@inner
def foresee(meta: Meta, digests: Any, at: int) -> None:
    """While row `at` of a batch is worked on, let what later rows look at be on its way into the cache: the bucket of
    a key, then the row in it and its page. So the misses of a table that outgrew the caches overlap."""
    later = at + 2 * AHEAD
    if later < digests.shape[0]:
        foresee_bucket(meta, digests[later, 0])
    later = at + AHEAD
    if later < digests.shape[0]:
        foresee_row(meta, digests[later, 0])


@inner
def foresee_bucket(meta: Meta, low: int) -> None:
    """The bucket of a key, by the first word of its hash."""
    prefetch(_head_at(meta, _bucket(meta, low)))


@inner
def foresee_row(meta: Meta, low: int) -> None:
    """The first row of a bucket that is in the cache, and that row's page."""
    slot = np.int64(load_half(_head_at(meta, _bucket(meta, low)))) - 1
    if slot >= 0:
        row = row_at(meta, slot)
        prefetch(row)
        prefetch(row + 64)
        prefetch(row + 8 * meta[WIDTH] - 8)
        prefetch(page_at(meta, slot))


@inner
def find_next(meta: Meta, slot: Any) -> Any:
    """The next slot under the key of a slot, -1 when there is none: for tables with several rows under one key."""
    first = row_at(meta, slot)
    slot = load(first + 8 * NEXT) - 1
    while slot >= 0:
        row = row_at(meta, slot)
        if load(row) == load(first) and load(row + 8) == load(first + 8):
            return slot
        slot = load(row + 8 * NEXT) - 1
    return -1


@inner
def touch(meta: Meta, slot: Any) -> Any:
    """Before a row of a slot's page changes: mark the page, and save it if a running snapshot has not."""
    page = page_at(meta, slot)
    if meta[SNAPSHOT] and load(page + 16) < meta[EPOCH] and (slot & ~63) < meta[FROZEN]:
        size = page_size(meta, slot)
        if meta[SAVED] + size > meta[SAVE_ROOM]:
            return lacking(meta, ROOM_SAVE, size)
        page_encoded(meta, slot)
    store(page + 24, 1)
    return True


@inner
def next_slot(meta: Meta) -> Any:
    """The slot the next `insert` takes; `room_for` has been asked."""
    if meta[FREE]:
        return meta[FREE] - 1
    return meta[HIGH]


@inner
def insert(meta: Meta, low: int, high: int) -> Any:
    """A new row under a key that is not there. The caller has asked `room_for` and touched `next_slot`."""
    slot = next_slot(meta)
    row = row_at(meta, slot)
    if meta[FREE]:
        meta[FREE] = load(row + 8 * NEXT)
    else:
        meta[HIGH] += 1
    store(row, low)
    store(row + 8, high)
    store(row + 8 * NULLS, LIVE)
    head = _head_at(meta, _bucket(meta, low))
    store(row + 8 * NEXT, np.int64(load_half(head)))
    store_half(head, np.int32(slot + 1))
    meta[ROWS] += 1
    while 2 * meta[ROWS] > meta[LEVEL] + meta[SPLIT]:
        _split(meta)
    return slot


@inner
def _split(meta: Meta) -> None:
    """Divide the next bucket in two; its rows keep their slots."""
    low, high = meta[SPLIT], meta[SPLIT] + meta[LEVEL]
    bit = meta[LEVEL]
    heads = _head_at(meta, low)
    slot = np.int64(load_half(heads))
    kept: Any = 0
    moved: Any = 0
    while slot:
        row = row_at(meta, slot - 1)
        after = load(row + 8 * NEXT)
        if load(row) & bit:
            store(row + 8 * NEXT, moved)
            moved = slot
        else:
            store(row + 8 * NEXT, kept)
            kept = slot
        slot = after
    store_half(heads, np.int32(kept))
    store_half(_head_at(meta, high), np.int32(moved))
    meta[SPLIT] += 1
    if meta[SPLIT] == meta[LEVEL]:
        meta[LEVEL] *= 2
        meta[SPLIT] = 0


@inner
def unlink(meta: Meta, slot: Any) -> None:
    """Take a touched row out: nothing finds it any more, its words stay until `reclaim`."""
    row = row_at(meta, slot)
    place = _head_at(meta, _bucket(meta, load(row)))
    here = np.int64(load_half(place))
    if here == slot + 1:
        store_half(place, np.int32(load(row + 8 * NEXT)))
    else:
        while here != slot + 1:
            before = row_at(meta, here - 1)
            here = load(before + 8 * NEXT)
        store(before + 8 * NEXT, load(row + 8 * NEXT))
    store(row + 8 * NEXT, meta[LIMBO])
    store(row + 8 * NULLS, load(row + 8 * NULLS) & ~LIVE)
    meta[LIMBO] = slot + 1
    meta[ROWS] -= 1


@inner
def _foresee_strings(meta: Meta, row: Address) -> None:
    """The strings of a row are about to be zeroed."""
    for field in range(meta[FIELDS]):
        spec = meta[SPEC] + field * 8 * SPEC_WORDS
        if load(spec) >= STRING:
            word = load(row + 8 * load(spec + 16))
            if word:
                prefetch(string_at(meta, word))


@inner
def reclaim(meta: Meta) -> None:
    """Zero and free the rows that were taken out, with their strings."""
    while meta[LIMBO]:
        slot = meta[LIMBO] - 1
        row = row_at(meta, slot)
        after = meta[LIMBO] = load(row + 8 * NEXT)
        if after:
            after = load(row_at(meta, after - 1) + 8 * NEXT)
        if after and meta[STRINGS]:
            _foresee_strings(meta, row_at(meta, after - 1))
        for field in range(meta[FIELDS]):
            spec = meta[SPEC] + field * 8 * SPEC_WORDS
            if load(spec) >= STRING:
                string_freed(meta, load(row + 8 * load(spec + 16)))
        clear(row, meta[WIDTH] * 8)
        store(row + 8 * NEXT, meta[FREE])
        meta[FREE] = slot + 1


@inner
def write_fields(meta: Meta, row: Address, packed: Address, fields: int) -> None:
    """Take the first fields from a packed row. The caller has asked `room_for`."""
    for field in range(fields):
        spec = meta[SPEC] + field * 8 * SPEC_WORDS
        given = packed + 8 * load(spec + 8)
        into = row + 8 * load(spec + 16)
        if load(spec) >= STRING:
            old = load(into)
            store(into, string_kept(meta, load(given), load(given + 8)))
            string_freed(meta, old)
        else:
            store(into, load(given))
    given = (1 << fields) - 1
    store(row + 8 * NULLS, load(row + 8 * NULLS) & ~given | load(packed) & given | LIVE)


@inner
def append(meta: Meta, low: int, high: int, packed: Address, fields: int) -> Any:
    """A new row with these first fields; -1 when NEED says what is lacking."""
    if not room_for(meta, packed, fields) or not touch(meta, next_slot(meta)):
        return -1
    slot = insert(meta, low, high)
    write_fields(meta, row_at(meta, slot), packed, fields)
    return slot


@inner
def read_fields(meta: Meta, row: Address, packed: Address) -> None:
    """Give the fields as a packed row; strings are addresses into the heap, good until it changes."""
    store(packed, load(row + 8 * NULLS) & ~LIVE)
    for field in range(meta[FIELDS]):
        spec = meta[SPEC] + field * 8 * SPEC_WORDS
        into = packed + 8 * load(spec + 8)
        word = load(row + 8 * load(spec + 16))
        if load(spec) >= STRING:
            store(into, string_at(meta, word) if word else 0)
            store(into + 8, word & 0xFFFFFFFF)
        else:
            store(into, word)


@inner
def same_fields(meta: Meta, row: Address, packed: Address) -> Any:
    """Does a row hold exactly these fields?"""
    if load(row + 8 * NULLS) != load(packed) | LIVE:
        return False
    for field in range(meta[FIELDS]):
        spec = meta[SPEC] + field * 8 * SPEC_WORDS
        given = packed + 8 * load(spec + 8)
        held = load(row + 8 * load(spec + 16))
        if load(spec) < STRING:
            if held != load(given):
                return False
        else:
            if not same_string(meta, held, given):
                return False
    return True


@inner
def same_string(meta: Meta, held: int, given: Address) -> Any:
    """Is a string of the heap, by its reference, that of a packed field?"""
    length = load(given + 8)
    if held & 0xFFFFFFFF != length:
        return False
    return length == 0 or _same_bytes(string_at(meta, held), load(given), length)


@inner
def _same_bytes(held: Address, given: Address, length: int) -> Any:
    from_ = 0
    while from_ + 8 <= length:
        if load(held + from_) != load(given + from_):
            return False
        from_ += 8
    while from_ < length:
        if load_byte(held + from_) != load_byte(given + from_):
            return False
        from_ += 1
    return True


# ---------------------------------------------------------------- pages: hash and encoding


@inner
def row_hash(meta: Meta, row: Address) -> Any:
    """128 bits of a row's content under the table's salt; blind to where it lies."""
    v0 = np.uint64(meta[SALT]) ^ np.uint64(0x736F6D6570736575)
    v1 = np.uint64(meta[SALT_HIGH]) ^ np.uint64(0x646F72616E646F6D) ^ np.uint64(0xEE)
    v2 = np.uint64(meta[SALT]) ^ np.uint64(0x6C7967656E657261)
    v3 = np.uint64(meta[SALT_HIGH]) ^ np.uint64(0x7465646279746573)
    v0, v1, v2, v3 = take_word(v0, v1, v2, v3, load_word(row))
    v0, v1, v2, v3 = take_word(v0, v1, v2, v3, load_word(row + 8))
    v0, v1, v2, v3 = take_word(v0, v1, v2, v3, load_word(row + 8 * NULLS))
    for field in range(meta[FIELDS]):
        spec = meta[SPEC] + field * 8 * SPEC_WORDS
        word = load(row + 8 * load(spec + 16))
        if load(spec) < STRING:
            v0, v1, v2, v3 = take_word(v0, v1, v2, v3, np.uint64(word))
            continue
        length = word & 0xFFFFFFFF
        v0, v1, v2, v3 = take_word(v0, v1, v2, v3, np.uint64(length))
        if length:
            # Units are zeroed beyond the string's end, so whole words can be taken.
            place = string_at(meta, word)
            for at in range(0, length, 8):
                v0, v1, v2, v3 = take_word(v0, v1, v2, v3, load_word(place + at))
    v2 ^= np.uint64(0xEE)
    for _ in range(3):
        v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
    low = v0 ^ v1 ^ v2 ^ v3
    v1 ^= np.uint64(0xDD)
    for _ in range(3):
        v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
    return low, v0 ^ v1 ^ v2 ^ v3


@inner
def page_hashed(meta: Meta, slot: Any) -> Any:
    """The sum of a page's row hashes, made anew if the page was written since the last time."""
    page = page_at(meta, slot)
    if load(page + 24):
        low, high = np.uint64(0), np.uint64(0)
        first = slot & ~63
        for each in range(first, min(first + PAGE_ROWS, meta[HIGH])):
            row = row_at(meta, each)
            if is_live(row):
                more_low, more_high = row_hash(meta, row)
                low += more_low
                high += more_high + np.uint64(low < more_low)
        store_word(page, low)
        store_word(page + 8, high)
        store(page + 24, 0)
    return load_word(page), load_word(page + 8)


@inner
def page_size(meta: Meta, slot: Any) -> Any:
    """Bytes that a page's encoding takes."""
    size = 32
    first = slot & ~63
    for each in range(first, min(first + PAGE_ROWS, meta[HIGH])):
        row = row_at(meta, each)
        if is_live(row):
            size += 24 + 8 * meta[FIELDS]
            for field in range(meta[FIELDS] if meta[STRINGS] else 0):
                spec = meta[SPEC] + field * 8 * SPEC_WORDS
                if load(spec) >= STRING:
                    size += (load(row + 8 * load(spec + 16)) & 0xFFFFFFFF) + 7 & ~7
    return size


@inner
def page_encoded(meta: Meta, slot: Any) -> None:
    """Append a page to the saved ones: bytes in all, rows, hash, then each row: key, NULLs, fields, strings padded to
    whole words; a string's field is its length. There is room."""
    page = page_at(meta, slot)
    low, high = page_hashed(meta, slot)
    start = meta[SAVE] + meta[SAVED]
    at, rows = start + 32, 0
    first = slot & ~63
    for each in range(first, min(first + PAGE_ROWS, meta[HIGH])):
        row = row_at(meta, each)
        if not is_live(row):
            continue
        rows += 1
        store(at, load(row))
        store(at + 8, load(row + 8))
        store(at + 16, load(row + 8 * NULLS))
        strings = at + 24 + 8 * meta[FIELDS]
        for field in range(meta[FIELDS]):
            spec = meta[SPEC] + field * 8 * SPEC_WORDS
            word = load(row + 8 * load(spec + 16))
            if load(spec) >= STRING:
                length = word & 0xFFFFFFFF
                if length:
                    padded = length + 7 & ~7
                    copy(strings, string_at(meta, word), padded)
                    strings += padded
                word = length
            store(at + 24 + 8 * field, word)
        at = strings
    store(start, at - start)
    store(start + 8, rows)
    store_word(start + 16, low)
    store_word(start + 24, high)
    store(page + 16, meta[EPOCH])
    meta[SAVED] += at - start
    meta[SAVED_PAGES] += 1
