"""A keyed table in memory of its own: rows of words found by a 128-bit key, in segments that never move.

A table is one array of int64, `meta` (the names below are its indices), which holds addresses of everything else:

    segment     2048 bucket heads (int32) | 16 pages of 4 words: hash, hash, epoch, written | 1024 rows
    row         key hash (2 words) | next row of the bucket | NULL bits and LIVE | fields | links
    string      of up to 7 bytes in its field itself: those bytes, and above them SHORT and the length; a longer one
                in 8-byte units of the heap, and its field is unit << 32 | length

Invariants
* Slots are stable. The index is linear hashing with chains: with every row the next two buckets split in two, so
  growing costs the same at any size and nothing is ever rehashed or copied. There are two buckets a row, for whoever
  else is in a bucket costs a look at memory that is in no cache. Buckets and links are layout: not hashed or saved.
  A table that is UNFOUND has rows in no bucket: nobody looks for one by its key, all come to it by links and timers.
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
    load_part,
    load_word,
    prefetch,
    store,
    store_half,
    store_word,
)
from nextpaint.record.compiled import inlined, inner
from nextpaint.record.hashing import sip_round, take_word

DIRECTORY, WIDTH, ROWS, HIGH, FREE, CAPACITY, LEVEL, SPLIT = range(8)
EPOCH, SNAPSHOT, FROZEN, SAVE, SAVED, SAVE_ROOM, SAVED_PAGES = range(8, 15)
FIELDS, SPEC, HEAP, HEAP_AT, HEAP_END, HEAP_FREE, HEAP_USED = range(15, 22)
NEED, NEED_SIZE, SALT, SALT_HIGH, LIMBO, PACKED, STRINGS, UNLINKED, UNFOUND = range(22, 31)
RECENT = 32  # the rows taken out last, each at its number, of UNLINKED, modulo AHEAD (a power of two)
META = 40

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

UNIT = 8
UNITS_MAX = 1 << 31  # what a field has room for: 16 GB
HEAP_SEGMENT = 1 << 20
HEAP_UNITS = HEAP_SEGMENT // UNIT
EXACT_UNITS = 64
CLASSES = 128
SHORT_BYTES = 7
SHORT = -1 << 63
_SHORT_TEXT = (1 << 56) - 1

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
    """How many units of the heap a string of this length takes: exact up to EXACT_UNITS, then powers of two."""
    if length <= SHORT_BYTES:
        return 0
    units = (length + UNIT - 1) // UNIT
    if units <= EXACT_UNITS:
        return units
    size = 2 * EXACT_UNITS
    while size < units:
        size *= 2
    return size


@inner
def _class_of(units: int) -> Any:
    if units <= EXACT_UNITS:
        return units
    found = EXACT_UNITS + 1
    size = 2 * EXACT_UNITS
    while size < units:
        size *= 2
        found += 1
    return found


@inner
def unit_at(meta: Meta, unit: int) -> Address:
    """Where a unit of the heap is."""
    return load(meta[HEAP] + (unit // HEAP_UNITS) * 8) + (unit % HEAP_UNITS) * UNIT


@inner
def string_size(word: int) -> Any:
    """The length of the string of a field."""
    return word >> 56 & SHORT_BYTES if word < 0 else word & 0xFFFFFFFF


@inner
def string_at(meta: Meta, field: Address) -> Address:
    """Where the bytes of a string are that is not empty, by the address of its field."""
    word = load(field)
    return field if word < 0 else unit_at(meta, word >> 32)


@inner
def _short(address: Address, length: int) -> Any:
    """The field of a string of 1 to SHORT_BYTES bytes; nothing beyond them is read."""
    if length >= 4:
        text = np.int64(load_part(address)) | np.int64(load_part(address + length - 4)) << 8 * (length - 4)
    else:
        middle = length >> 1
        text = np.int64(load_byte(address)) | np.int64(load_byte(address + middle)) << 8 * middle
        text |= np.int64(load_byte(address + length - 1)) << 8 * (length - 1)
    return text | length << 56 | SHORT


@inner
def string_kept(meta: Meta, address: Address, length: int) -> Any:
    """The field of a string: a copy, in the heap if it is long. The caller has seen that there is room."""
    if length <= SHORT_BYTES:
        return _short(address, length) if length else 0
    units = units_of(length)
    free = meta[HEAP_FREE] + 8 * _class_of(units)
    unit = load(free) - 1
    if unit >= 0:
        after = load(unit_at(meta, unit))
        store(free, after)
        if after:
            prefetch(unit_at(meta, after - 1))
    else:
        unit = meta[HEAP_AT]
        meta[HEAP_AT] += units
    into = unit_at(meta, unit)
    store(into, 0)
    copy(into, address, length)
    meta[HEAP_USED] += units
    return unit << 32 | length


@inner
def string_freed(meta: Meta, word: int) -> None:
    """Zero the string of a field where that is in the heap, and keep its place for another."""
    if word <= 0:
        return
    units = units_of(word & 0xFFFFFFFF)
    unit = word >> 32
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


@inlined
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


@inlined
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
        foresee_slot(meta, slot)
        prefetch(page_at(meta, slot))


@inner
def foresee_slot(meta: Meta, slot: Any) -> None:
    """All of a row, if it is no longer than three cache lines."""
    row = row_at(meta, slot)
    prefetch(row)
    prefetch(row + 64)
    prefetch(row + 8 * meta[WIDTH] - 8)


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


@inlined
def touch(meta: Meta, slot: Any) -> Any:
    """Before a row of a slot's page changes: mark the page, and save it if a running snapshot has not."""
    page = page_at(meta, slot)
    if meta[SNAPSHOT] and load(page + 16) < meta[EPOCH] and (slot & ~63) < meta[FROZEN] and not _saved(meta, slot):
        return False
    store(page + 24, 1)
    return True


@inner
def _saved(meta: Meta, slot: Any) -> Any:
    """Save a page; False when room lacks."""
    size = page_size(meta, slot)
    if meta[SAVED] + size > meta[SAVE_ROOM]:
        return lacking(meta, ROOM_SAVE, size)
    page_encoded(meta, slot)
    return True


@inner
def next_slot(meta: Meta) -> Any:
    """The slot the next `insert` takes; `room_for` has been asked."""
    if meta[FREE]:
        return meta[FREE] - 1
    return meta[HIGH]


@inlined
def insert(meta: Meta, low: int, high: int) -> Any:
    """A new row under a key that is not there. The caller has asked `room_for` and touched `next_slot`."""
    slot = next_slot(meta)
    row = row_at(meta, slot)
    if meta[FREE]:
        after = meta[FREE] = load(row + 8 * NEXT)
        if after:  # the next one's line is not in the cache, and soon written
            free = row_at(meta, after - 1)
            prefetch(free)
            prefetch(free + 64)
    else:
        meta[HIGH] += 1
    store(row, low)
    store(row + 8, high)
    store(row + 8 * NULLS, LIVE)
    meta[ROWS] += 1
    if meta[UNFOUND]:
        store(row + 8 * NEXT, 0)
        return slot
    head = _head_at(meta, _bucket(meta, low))
    store(row + 8 * NEXT, np.int64(load_half(head)))
    store_half(head, np.int32(slot + 1))
    while 2 * meta[ROWS] > meta[LEVEL] + meta[SPLIT]:
        _split(meta)
    return slot


@inner
def _split(meta: Meta) -> None:
    """Divide the next bucket in two; its rows keep their slots and their order."""
    low, high = meta[SPLIT], meta[SPLIT] + meta[LEVEL]
    bit = meta[LEVEL]
    if low + AHEAD < bit:  # a row that will be divided soon
        later = np.int64(load_half(_head_at(meta, low + AHEAD))) - 1
        if later >= 0:
            prefetch(row_at(meta, later))
    heads = _head_at(meta, low)
    slot = np.int64(load_half(heads))
    kept: Any = 0
    moved: Any = 0
    last_kept: Any = 0
    last_moved: Any = 0
    while slot:
        row = row_at(meta, slot - 1)
        if load(row) & bit:
            if last_moved:
                store(last_moved + 8 * NEXT, slot)
            else:
                moved = slot
            last_moved = row
        else:
            if last_kept:
                store(last_kept + 8 * NEXT, slot)
            else:
                kept = slot
            last_kept = row
        slot = load(row + 8 * NEXT)
    if last_kept:
        store(last_kept + 8 * NEXT, 0)
    if last_moved:
        store(last_moved + 8 * NEXT, 0)
    store_half(heads, np.int32(kept))
    store_half(_head_at(meta, high), np.int32(moved))
    meta[SPLIT] += 1
    if meta[SPLIT] == meta[LEVEL]:
        meta[LEVEL] *= 2
        meta[SPLIT] = 0


@inner
def _unhung(meta: Meta, slot: Any) -> None:
    """Take a row out of its bucket."""
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


@inner
def rehung(meta: Meta, slot: Any, place: Any) -> None:
    """Move a row in its bucket, behind another one of the bucket or (-1) to the front, where `insert` puts rows. Rows
    of one bucket keep their order however a table grows."""
    _unhung(meta, slot)
    row = row_at(meta, slot)
    if place < 0:
        head = _head_at(meta, _bucket(meta, load(row)))
        store(row + 8 * NEXT, np.int64(load_half(head)))
        store_half(head, np.int32(slot + 1))
    else:
        ahead = row_at(meta, place)
        store(row + 8 * NEXT, load(ahead + 8 * NEXT))
        store(ahead + 8 * NEXT, slot + 1)


@inner
def unlink(meta: Meta, slot: Any) -> None:
    """Take a touched row out: nothing finds it any more. Its fields and links stay until `reclaim`, which learns from
    where its hash was what to have fetched."""
    if not meta[UNFOUND]:
        _unhung(meta, slot)
    row = row_at(meta, slot)
    recent = RECENT + (meta[UNLINKED] & AHEAD - 1)
    meta[UNLINKED] += 1
    store(row + 8 * HASH, meta[recent])
    meta[recent] = slot + 1
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
            if word > 0:
                prefetch(unit_at(meta, word >> 32))


@inner
def reclaim(meta: Meta) -> None:
    """Zero and free the rows that were taken out, with their strings."""
    while meta[LIMBO]:
        slot = meta[LIMBO] - 1
        row = row_at(meta, slot)
        later = load(row + 8 * HASH)
        if later:
            foresee_slot(meta, later - 1)
        after = meta[LIMBO] = load(row + 8 * NEXT)
        if after:
            after = load(row_at(meta, after - 1) + 8 * NEXT)
        if after and meta[HEAP_USED]:
            _foresee_strings(meta, row_at(meta, after - 1))
        for field in range(meta[FIELDS]):
            spec = meta[SPEC] + field * 8 * SPEC_WORDS
            if load(spec) >= STRING:
                string_freed(meta, load(row + 8 * load(spec + 16)))
        clear(row, meta[WIDTH] * 8)
        store(row + 8 * NEXT, meta[FREE])
        meta[FREE] = slot + 1
    meta[UNLINKED] = 0
    clear(meta.ctypes.data + 8 * RECENT, 8 * AHEAD)


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
    """Give the fields as a packed row; strings are addresses into the row and the heap, good until those change."""
    read_copied(meta, row, row, packed)


@inner
def read_copied(meta: Meta, row: Address, origin: Address, packed: Address) -> None:
    """The same of a row in scratch whose strings are those of `origin`, the row it was copied from."""
    store(packed, load(row + 8 * NULLS) & ~LIVE)
    for field in range(meta[FIELDS]):
        spec = meta[SPEC] + field * 8 * SPEC_WORDS
        into = packed + 8 * load(spec + 8)
        if load(spec) >= STRING:
            held = origin + 8 * load(spec + 16)
            word = load(held)
            store(into, string_at(meta, held) if word else 0)
            store(into + 8, string_size(word))
        else:
            store(into, load(row + 8 * load(spec + 16)))


@inner
def same_fields(meta: Meta, row: Address, packed: Address) -> Any:
    """Does a row hold exactly these fields?"""
    if load(row + 8 * NULLS) != load(packed) | LIVE:
        return False
    for field in range(meta[FIELDS]):
        spec = meta[SPEC] + field * 8 * SPEC_WORDS
        given = packed + 8 * load(spec + 8)
        held = row + 8 * load(spec + 16)
        if load(spec) < STRING:
            if load(held) != load(given):
                return False
        else:
            if not same_string(meta, held, given):
                return False
    return True


@inner
def same_string(meta: Meta, held: Address, given: Address) -> Any:
    """Is the string of a field that of a packed one?"""
    word, length = load(held), load(given + 8)
    if string_size(word) != length:
        return False
    if length <= SHORT_BYTES:
        return length == 0 or _short(load(given), length) == word
    return _same_bytes(string_at(meta, held), load(given), length)


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
        length = string_size(word)
        v0, v1, v2, v3 = take_word(v0, v1, v2, v3, np.uint64(length))
        if word < 0:
            v0, v1, v2, v3 = take_word(v0, v1, v2, v3, np.uint64(word & _SHORT_TEXT))
        elif word:
            # Units are zeroed beyond the string's end, so whole words can be taken.
            place = unit_at(meta, word >> 32)
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
                    size += string_size(load(row + 8 * load(spec + 16))) + 7 & ~7
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
                length = string_size(word)
                if word < 0:
                    store(strings, word & _SHORT_TEXT)
                elif word:
                    copy(strings, unit_at(meta, word >> 32), length + 7 & ~7)
                strings += length + 7 & ~7
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
