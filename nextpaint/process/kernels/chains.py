"""Chains: the rows of one key in an order, through a word of layout in each row: the one before, and the one after.

An index, a table that is derived and never saved, has the first and the last row of each key and how many there are.
Slots are stored one higher, so that zeroed words mean none, in half a word, as bucket heads are. Whoever calls has seen
that there is room (`room_for_link`) and knows whether a row is linked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.memory import copy, load, load_half, load_real, store, store_half
from nextpaint.process.kernels.packing import absorb_keys, hash_begun, hash_ended
from nextpaint.process.kernels.paged import (
    FIELDS,
    FIRST_FIELD,
    LIVE,
    NULLS,
    REAL,
    SHORT_BYTES,
    SPEC,
    SPEC_WORDS,
    STRING,
    find,
    insert,
    next_slot,
    read_fields,
    reclaim,
    room_for,
    row_at,
    same_string,
    string_at,
    string_size,
    touch,
    unlink,
)
from nextpaint.record.compiled import inner, kernel

Words = npt.NDArray[np.int64]
Meta = Any
Address = Any

HEAD, TAIL, COUNT = FIRST_FIELD, FIRST_FIELD + 1, FIRST_FIELD + 2  # words of an index's row
INDEX_FIELDS = 3
LINKS = 1


@inner
def link_of(meta: Meta) -> Any:
    """A row's word of layout."""
    return FIRST_FIELD + meta[FIELDS]


@inner
def before(meta: Meta, slot: int) -> Any:
    """The row before this one, -1 when it is the first."""
    return np.int64(load_half(row_at(meta, slot) + 8 * link_of(meta))) - 1


@inner
def after(meta: Meta, slot: int) -> Any:
    """The row after this one, -1 when it is the last."""
    return np.int64(load_half(row_at(meta, slot) + 8 * link_of(meta) + 4)) - 1


@inner
def first_of(index: Meta, entry: int) -> Any:
    """The first row of an index's entry; -1: none, also for no entry."""
    return load(row_at(index, entry) + 8 * HEAD) - 1 if entry >= 0 else -1


@inner
def last_of(index: Meta, entry: int) -> Any:
    """The last row of an index's entry; -1: none, also for no entry."""
    return load(row_at(index, entry) + 8 * TAIL) - 1 if entry >= 0 else -1


@inner
def count_of(index: Meta, entry: int) -> Any:
    """How many rows an index's entry has."""
    return load(row_at(index, entry) + 8 * COUNT) if entry >= 0 else 0


@inner
def room_for_link(index: Meta, entry: int) -> Any:
    """Is there an entry, or room for one?"""
    return entry >= 0 or room_for(index, 0, 0)


@inner
def _relinked(meta: Meta, slot: int, half: int, value: int) -> None:
    store_half(row_at(meta, slot) + 8 * link_of(meta) + 4 * half, np.int32(value))


@inner
def linked_after(meta: Meta, index: Meta, key: Any, entry: int, slot: int, place: int) -> Any:
    """Put a row behind another of its key (`place`; -1: at the front); gives the entry of the key, which is made if
    there was none."""
    if entry < 0:
        touch(index, next_slot(index))
        entry = insert(index, key[0], key[1])
    held = row_at(index, entry)
    follows = load(held + 8 * HEAD) - 1 if place < 0 else after(meta, place)
    _relinked(meta, slot, 0, place + 1)
    _relinked(meta, slot, 1, follows + 1)
    if place < 0:
        store(held + 8 * HEAD, slot + 1)
    else:
        _relinked(meta, place, 1, slot + 1)
    if follows < 0:
        store(held + 8 * TAIL, slot + 1)
    else:
        _relinked(meta, follows, 0, slot + 1)
    store(held + 8 * COUNT, load(held + 8 * COUNT) + 1)
    return entry


@inner
def unlinked(meta: Meta, index: Meta, entry: int, slot: int) -> None:
    """Take a row out of its key's chain; an entry without rows goes."""
    held = row_at(index, entry)
    ahead, behind = before(meta, slot), after(meta, slot)
    if ahead < 0:
        store(held + 8 * HEAD, behind + 1)
    else:
        _relinked(meta, ahead, 1, behind + 1)
    if behind < 0:
        store(held + 8 * TAIL, ahead + 1)
    else:
        _relinked(meta, behind, 0, ahead + 1)
    left = load(held + 8 * COUNT) - 1
    store(held + 8 * COUNT, left)
    if left == 0:
        unlink(index, entry)
        reclaim(index)


# ---------------------------------------------------------------- rows


@inner
def same_row(meta: Meta, row: Address, packed: Address) -> Any:
    """Are the fields of a row those of a packed one, as values (0.0 is -0.0)?"""
    if load(row + 8 * NULLS) != load(packed) | LIVE:
        return False
    for field in range(meta[FIELDS]):
        spec = meta[SPEC] + field * 8 * SPEC_WORDS
        kind, given, held = load(spec), packed + 8 * load(spec + 8), row + 8 * load(spec + 16)
        if kind >= STRING:
            if not same_string(meta, held, given):
                return False
        elif load(held) != load(given) and (kind != REAL or load_real(held) != load_real(given)):
            return False
    return True


@inner
def same_rows(meta: Meta, left: Address, right: Address, skipped: int) -> Any:
    """Are the fields of two rows equal as values? `skipped`: bits of fields that are not looked at."""
    if load(left + 8 * NULLS) & ~skipped != load(right + 8 * NULLS) & ~skipped:
        return False
    for field in range(meta[FIELDS]):
        if skipped >> field & 1:
            continue
        spec = meta[SPEC] + field * 8 * SPEC_WORDS
        kind, a, b = load(spec), left + 8 * load(spec + 16), right + 8 * load(spec + 16)
        if load(a) == load(b):
            continue
        if kind == REAL and load_real(a) == load_real(b):
            continue
        if kind < STRING or not _same_text(meta, a, b):
            return False
    return True


@inner
def _same_text(meta: Meta, left: Address, right: Address) -> Any:
    """Are the strings of two fields, whose words differ, the same?"""
    size = string_size(load(left))
    if size <= SHORT_BYTES or size != string_size(load(right)):
        return False  # short ones are their fields, which differ
    a, b = string_at(meta, left), string_at(meta, right)
    # Units are zeroed beyond a string's end, so whole words can be compared.
    for at in range(0, size, 8):
        if load(a + at) != load(b + at):
            return False
    return True


@inner
def words_copied(into: Address, packed: Address, words: int) -> None:
    """A packed row, or the first words of one."""
    copy(into, packed, 8 * words)


# ---------------------------------------------------------------- from outside


@kernel("int64(int64[::1], int64[::1], const int64[:,::1], const int64[::1], int64[:,::1], int64)")
def chains_built(meta: Words, index: Words, keys: Words, slots: Words, scratch: Words, at: int) -> int:
    """Chain rows, given in order, from `slots[at]` on; gives how far it came before the index lacked room. `keys`:
    kind, word and field of key fields in a packed row; `scratch`: one packed row."""
    while at < slots.size:
        read_fields(meta, row_at(meta, slots[at]), scratch.ctypes.data)
        key = hash_ended(absorb_keys(hash_begun(), scratch, 0, keys))
        entry = find(index, key[0], key[1])
        if not room_for_link(index, entry):
            return at
        linked_after(meta, index, key, entry, slots[at], last_of(index, entry))
        at += 1
    return at


@kernel("int64(int64[::1], int64[::1], int64, int64, int64[:,::1])")
def chain_read(meta: Words, index: Words, low: int, high: int, packed: Words) -> int:
    """Fields of the rows of a key in order, as many as there is room for; gives how many there are."""
    entry = find(index, low, high)
    slot = first_of(index, entry)
    at = 0
    while slot >= 0 and at < packed.shape[0]:
        read_fields(meta, row_at(meta, slot), packed[at].ctypes.data)
        slot = after(meta, slot)
        at += 1
    count: int = count_of(index, entry)
    return count
