"""Columns to rows of words and back.

A packed row is int64 words: NULL bits (bit i for field i), then each field: one word, or for a string two, address and
length. A NULL field is zeros. Addresses point into the columns' buffers, or into a table's heap; whoever made the rows
keeps those alive and unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.memory import copy, load_byte
from nextpaint.process.kernels.paged import REAL, STRING
from nextpaint.record.compiled import inner, kernel, word_at
from nextpaint.record.hashing import SECRET, sip_round, take_word

Words = npt.NDArray[np.int64]
_K0, _K1 = SECRET
PLACED = -1  # instead of a kind: the key is a place in the input, see `placed`
_SPREAD = np.int64(0x9E3779B97F4A7C15 - 2**64)  # any odd number
_NAN, _MINUS_ZERO = np.uint64(0x7FF8 << 48), np.uint64(1 << 63)
_INFINITE = np.uint64(0x7FF << 53)  # without its sign


@kernel("void(int64[:,::1], int64, int64, const int64[::1], const boolean[::1])")
def pack_words(rows: Words, at: int, field: int, values: Words, valid: npt.NDArray[np.bool_]) -> None:
    """A column of one word per row; `valid` empty: no NULL."""
    for row in range(rows.shape[0]):
        if valid.size and not valid[row]:
            rows[row, 0] |= 1 << field
            rows[row, at] = 0
        else:
            rows[row, at] = values[row]


@kernel("void(int64[:,::1], int64, int64, const uint8[::1], const int64[::1], const int32[::1], const boolean[::1])")
def pack_views(
    rows: Words,
    at: int,
    field: int,
    buffer: npt.NDArray[np.uint8],
    start: Words,
    length: npt.NDArray[np.int32],
    valid: npt.NDArray[np.bool_],
) -> None:
    """A column of strings; `valid` empty: no NULL."""
    address = np.int64(buffer.ctypes.data)
    for row in range(rows.shape[0]):
        if valid.size and not valid[row]:
            rows[row, 0] |= 1 << field
            rows[row, at] = 0
            rows[row, at + 1] = 0
        else:
            rows[row, at] = address + start[row]
            rows[row, at + 1] = length[row]


@inner
def absorb_packed(state: Any, rows: Any, row: int, key: Any) -> Any:
    """Take one key field of a packed row: `key` is kind, word, field. The words are those of `record.hashing`."""
    v0, v1, v2, v3 = state
    kind, at, field = key
    if rows[row, 0] >> field & 1:
        return take_word(v0, v1, v2, v3, np.uint64(0))
    tag = np.uint64(kind + 1) << np.uint64(56)
    if kind < STRING:
        word = np.uint64(rows[row, at])
        if kind == REAL and word << np.uint64(1) > _INFINITE:
            word = _NAN
        elif kind == REAL and word == _MINUS_ZERO:
            word = np.uint64(0)
        v0, v1, v2, v3 = take_word(v0, v1, v2, v3, tag | np.uint64(8))
        return take_word(v0, v1, v2, v3, word)
    place, size = rows[row, at], rows[row, at + 1]
    v0, v1, v2, v3 = take_word(v0, v1, v2, v3, tag | np.uint64(size))
    for from_ in range(0, size - 7, 8):
        v0, v1, v2, v3 = take_word(v0, v1, v2, v3, word_at(place + from_))
    rest = size & 7
    if rest:
        word = np.uint64(0)
        if size > 8:
            word = word_at(place + size - 8) >> np.uint64(64 - 8 * rest)
        else:
            for byte in range(rest):
                word |= np.uint64(load_byte(place + byte)) << np.uint64(8 * byte)
        v0, v1, v2, v3 = take_word(v0, v1, v2, v3, word)
    return v0, v1, v2, v3


@inner
def hash_begun() -> Any:
    """The state of a key hash before its first field."""
    v0 = np.uint64(_K0) ^ np.uint64(0x736F6D6570736575)
    v1 = np.uint64(_K1) ^ np.uint64(0x646F72616E646F6D) ^ np.uint64(0xEE)
    v2 = np.uint64(_K0) ^ np.uint64(0x6C7967656E657261)
    v3 = np.uint64(_K1) ^ np.uint64(0x7465646279746573)
    return v0, v1, v2, v3


@inner
def hash_ended(state: Any) -> Any:
    """The two words of a key hash."""
    v0, v1, v2, v3 = state
    v2 ^= np.uint64(0xEE)
    for _ in range(3):
        v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
    low = np.int64(v0 ^ v1 ^ v2 ^ v3)
    v1 ^= np.uint64(0xDD)
    for _ in range(3):
        v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
    return low, np.int64(v0 ^ v1 ^ v2 ^ v3)


@inner
def absorb_keys(state: Any, rows: Any, row: int, keys: Any) -> Any:
    """Take key fields of a packed row."""
    for key in range(keys.shape[0]):
        state = absorb_packed(state, rows, row, (keys[key, 0], keys[key, 1], keys[key, 2]))
    return state


@inner
def absorb_word(state: Any, word: int) -> Any:
    """Take a field of one word that is not NULL, an integer or a time."""
    v0, v1, v2, v3 = state
    v0, v1, v2, v3 = take_word(v0, v1, v2, v3, np.uint64(1) << np.uint64(56) | np.uint64(8))
    return take_word(v0, v1, v2, v3, np.uint64(word))


@inner
def placed(seq: int, ordinal: int) -> Any:
    """The two words of a key that is a place in the input: exact, and rows that come one after the other are in buckets
    one after the other, where a hash would have every row cost a cache line of its own."""
    return seq + ordinal * _SPREAD, ordinal


@inner
def digest_of(rows: Any, row: int, keys: Any) -> Any:
    """The two words of the key of a packed row."""
    if keys.shape[0] == 2 and keys[0, 0] == PLACED:
        return placed(rows[row, keys[0, 1]], rows[row, keys[1, 1]])
    return hash_ended(absorb_keys(hash_begun(), rows, row, keys))


@kernel("void(const int64[:,::1], const int64[:,::1], int64[:,::1])")
def hash_packed(rows: Words, keys: Words, digests: Words) -> None:
    """The 128-bit hash of key fields of packed rows, equal to `record.hashing.key_hashes` of the columns. `keys`: kind,
    word and field of each, shape (keys, 3)."""
    for row in range(rows.shape[0]):
        digests[row, 0], digests[row, 1] = digest_of(rows, row, keys)


@kernel("int64(const int64[:,::1], int64)")
def nulls_of(rows: Words, count: int) -> int:
    """The fields that are NULL in any of `count` packed rows, a bit each."""
    found = 0
    for row in range(count):
        found |= rows[row, 0]
    return found


@kernel("int64(const int64[:,::1], int64, int64, int64[::1], int32[::1])")
def lay_out(rows: Words, count: int, at: int, start: Words, length: npt.NDArray[np.int32]) -> int:
    """Places for a string field of `count` packed rows, end to end; gives the bytes in all."""
    total = 0
    for row in range(count):
        start[row] = total
        length[row] = rows[row, at + 1]
        total += rows[row, at + 1]
    return total


@kernel("void(const int64[:,::1], int64, int64, uint8[::1])")
def gather_packed(rows: Words, count: int, at: int, into: npt.NDArray[np.uint8]) -> None:
    """Copy a string field of `count` packed rows, end to end."""
    address = np.int64(into.ctypes.data)
    for row in range(count):
        size = rows[row, at + 1]
        if size:
            copy(address, rows[row, at], size)
            address += size
