"""What erasing a person does to a typed cell: find texts in it, take rows out by slot, overwrite texts in place.

Slots stay what they are, so a search may go on while nothing else writes. See `kernels.paged` for what a cell is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.memory import compared, copy, load, load_byte, store
from nextpaint.process.kernels.paged import (
    FIELDS,
    HIGH,
    SPEC,
    SPEC_WORDS,
    STRING,
    WIDTH,
    is_live,
    reclaim,
    row_at,
    string_at,
    string_size,
    touch,
    unlink,
)
from nextpaint.record.compiled import inner, kernel

Words = npt.NDArray[np.int64]
Texts = npt.NDArray[np.uint8]  # several of one length, shape (texts, length)

HIT = 3  # words of a hit: slot, field, address of the text


@inner
def _text_of(meta: Any, row: Any, field: Any) -> tuple[Any, Any]:
    """(address, length) of a text field; a length of -1 for a field that is none."""
    spec = meta[SPEC] + field * 8 * SPEC_WORDS
    if load(spec) < STRING:
        return 0, -1
    held = row + 8 * load(spec + 16)
    length = string_size(load(held))
    return string_at(meta, held) if length else 0, length


@inner
def _among(texts: Any, count: Any, size: Any, address: Any) -> Any:
    """Is the text at an address one of `count` sorted ones?"""
    low, high = 0, count
    while low < high:
        middle = (low + high) >> 1
        order = compared(texts + middle * size, address, size)
        if order == 0:
            return True
        if order < 0:
            low = middle + 1
        else:
            high = middle
    return False


@kernel("int64(int64[::1], const uint8[:,::1], int64, int64[:,::1], int64[::1])")
def texts_held(meta: Words, texts: Texts, slot: int, hits: Words, count: Words) -> int:
    """Every place at or after a slot where a text field holds one of `texts` (sorted) as a part; gives the slot to go
    on from, `count` the hits. `hits` has room for those of the largest row, or the slot it gives is the one it was
    given."""
    size, address = texts.shape[1], texts.ctypes.data
    found = 0
    while slot < meta[HIGH]:
        row = row_at(meta, slot)
        before = found
        if is_live(row):
            for field in range(meta[FIELDS]):
                text, length = _text_of(meta, row, field)
                for at in range(length - size + 1):
                    # Most texts differ in their first byte from all that are looked for.
                    if _begins(address, texts.shape[0], size, load_byte(text + at)) and _among(
                        address, texts.shape[0], size, text + at
                    ):
                        if found == hits.shape[0]:
                            count[0] = before
                            return slot
                        hits[found, 0], hits[found, 1], hits[found, 2] = slot, field, text + at
                        found += 1
        slot += 1
    count[0] = found
    return slot


@inner
def _begins(texts: Any, count: Any, size: Any, byte: Any) -> Any:
    """Does any of a few texts begin with a byte?"""
    for each in range(count):
        if load_byte(texts + each * size) == byte:
            return True
    return False


@kernel("int64(int64[::1], const uint8[:,::1], const int64[::1], int64, int64[::1], int64[::1])")
def rows_named(meta: Words, texts: Texts, fields: Words, slot: int, slots: Words, count: Words) -> int:
    """The slots, from one on, of rows with one of `texts` (sorted) as the whole of one of these fields; gives the slot
    to go on from."""
    size, address = texts.shape[1], texts.ctypes.data
    found = 0
    while slot < meta[HIGH] and found < slots.size:
        row = row_at(meta, slot)
        if is_live(row):
            for each in range(fields.size):
                text, length = _text_of(meta, row, fields[each])
                if length == size and _among(address, texts.shape[0], size, text):
                    slots[found] = slot
                    found += 1
                    break
        slot += 1
    count[0] = found
    return slot


@kernel("int64(int64[::1], const int64[::1], int64)")
def rows_removed(meta: Words, slots: Words, at: int) -> int:
    """Take rows out from `at` on, each once; gives how far it came before it lacked room. Their words are zeroed."""
    while at < slots.size:
        if not touch(meta, slots[at]):
            return at
        unlink(meta, slots[at])
        at += 1
    reclaim(meta)
    return at


@kernel("int64(int64[::1], const int64[:,::1], const uint8[::1], int64)")
def texts_overwritten(meta: Words, hits: Words, mark: npt.NDArray[np.uint8], at: int) -> int:
    """Write `mark` over the places of `hits` from `at` on; gives how far it came before it lacked room. Keys keep the
    hash they have: no key is overwritten."""
    while at < hits.shape[0]:
        if not touch(meta, hits[at, 0]):
            return at
        copy(hits[at, 2], mark.ctypes.data, mark.size)
        at += 1
    return at


@kernel("void(int64[::1], int64)")
def links_cleared(meta: Words, first: int) -> None:
    """Zero the words of layout, from word `first` of each row on: as in a row that was just loaded."""
    for slot in range(meta[HIGH]):
        row = row_at(meta, slot)
        if is_live(row):
            for word in range(first, meta[WIDTH]):
                store(row + 8 * word, 0)
