"""A 128-bit keyed hash of key columns, row by row: equal keys give equal hashes however their columns are held.

    digests = key_hashes(batch.columns, (0, 3))       uint64, shape (rows, 2)

SipHash-1-3 with 128 bits of output (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; the wide output as
in its reference implementation), over 64-bit words. Each column adds one header word, kind of value and length in
bytes, and then its value in whole words, so no two different keys give the same words. Every NULL is one kind, whatever
the type; integers and times are one kind (as equal Python ints are one key), -0.0 is 0.0 and all NaNs are one.

Deterministic: depends on the values and `secret` alone, not on PYTHONHASHSEED or the machine. Without a secret of its
own the hash is no protection against who chooses keys to collide.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nextpaint.record.compiled import inner, kernel
from nextpaint.record.types import Kind

if TYPE_CHECKING:
    from nextpaint.record.columns import Column

WordArray = npt.NDArray[np.uint64]

SECRET = (0x6E65787470616E74, 0x3120736970313238)  # any fixed number; a caller with a secret passes it

_NULL, _INTEGER, _REAL, _BOOLEAN, _STRING, _BYTES, _OTHER = range(7)
_ALWAYS: npt.NDArray[np.bool_] = np.empty(0, np.bool_)


def key_hashes(columns: Sequence[Column], at: Sequence[int], secret: tuple[int, int] = SECRET) -> WordArray:
    """The hash of columns `at` of each row, uint64 of shape (rows, 2)."""
    rows = len(columns[at[0]]) if at else 1
    state = np.empty((rows, 4), np.uint64)
    hash_start(state, np.uint64(secret[0]), np.uint64(secret[1]))
    for index in at:
        _absorb(state, columns[index])
    digests = np.empty((rows, 2), np.uint64)
    hash_finish(state, digests)
    return digests


def _absorb(state: WordArray, column: Column) -> None:
    kind = column.type.kind
    valid = _ALWAYS if column.valid is None else np.ascontiguousarray(column.valid)
    if kind in (Kind.STRING, Kind.BYTES):
        views = column.views()
        tag = _STRING if kind is Kind.STRING else _BYTES
        hash_views(state, views.buffer, views.start, views.length, valid, tag)
        return
    values = column.values
    if values.dtype == np.int64:
        hash_words(state, np.ascontiguousarray(values).view(np.uint64), valid, _INTEGER)
    elif values.dtype == np.float64:
        plain = np.where(np.isnan(values), np.nan, values + 0.0)  # -0.0 + 0.0 is 0.0
        hash_words(state, plain.view(np.uint64), valid, _REAL)
    elif values.dtype == np.bool_:
        hash_words(state, values.astype(np.uint64), valid, _BOOLEAN)
    else:
        texts = [b"" if each is None else _canonical(each).encode() for each in column.to_list()]
        length = np.array([len(each) for each in texts], np.int32)
        start = np.cumsum(length, dtype=np.int64) - length
        hash_views(state, np.frombuffer(b"".join(texts), np.uint8), start, length, valid, _OTHER)


def _canonical(value: Any) -> str:
    """Text of a decimal or nested value; equal values give equal text."""
    if isinstance(value, Decimal):
        return f"d{value.normalize():f}" if value else "d0"
    if isinstance(value, list | tuple):
        return f"[{','.join(_canonical(each) for each in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(sorted(f'{_canonical(key)}:{_canonical(each)}' for key, each in value.items()))}}}"
    return repr(value)


@inner
def _rotated(word: np.uint64, by: int) -> np.uint64:
    return (word << np.uint64(by)) | (word >> np.uint64(64 - by))


@inner
def sip_round(v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64) -> Any:
    v0 += v1
    v1 = _rotated(v1, 13) ^ v0
    v0 = _rotated(v0, 32)
    v2 += v3
    v3 = _rotated(v3, 16) ^ v2
    v0 += v3
    v3 = _rotated(v3, 21) ^ v0
    v2 += v1
    v1 = _rotated(v1, 17) ^ v2
    v2 = _rotated(v2, 32)
    return v0, v1, v2, v3


@inner
def take_word(v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64, word: np.uint64) -> Any:
    v0, v1, v2, v3 = sip_round(v0, v1, v2, v3 ^ word)
    return v0 ^ word, v1, v2, v3


@kernel("void(uint64[:,::1], uint64, uint64)")
def hash_start(state: WordArray, k0: np.uint64, k1: np.uint64) -> None:
    """The state of each row before its first word."""
    for row in range(state.shape[0]):
        state[row, 0] = k0 ^ np.uint64(0x736F6D6570736575)
        state[row, 1] = k1 ^ np.uint64(0x646F72616E646F6D) ^ np.uint64(0xEE)
        state[row, 2] = k0 ^ np.uint64(0x6C7967656E657261)
        state[row, 3] = k1 ^ np.uint64(0x7465646279746573)


@kernel("void(uint64[:,::1], const uint64[::1], const boolean[::1], int64)")
def hash_words(state: WordArray, words: WordArray, valid: npt.NDArray[np.bool_], tag: int) -> None:
    """Take a column of one word per row; `valid` empty: no NULL."""
    header = np.uint64(tag) << np.uint64(56) | np.uint64(8)
    for row in range(state.shape[0]):
        v0, v1, v2, v3 = state[row, 0], state[row, 1], state[row, 2], state[row, 3]
        if valid.size and not valid[row]:
            v0, v1, v2, v3 = take_word(v0, v1, v2, v3, np.uint64(0))
        else:
            v0, v1, v2, v3 = take_word(v0, v1, v2, v3, header)
            v0, v1, v2, v3 = take_word(v0, v1, v2, v3, words[row])
        state[row, 0], state[row, 1], state[row, 2], state[row, 3] = v0, v1, v2, v3


@kernel("void(uint64[:,::1], const uint8[::1], const int64[::1], const int32[::1], const boolean[::1], int64)")
def hash_views(
    state: WordArray,
    buffer: npt.NDArray[np.uint8],
    start: npt.NDArray[np.int64],
    length: npt.NDArray[np.int32],
    valid: npt.NDArray[np.bool_],
    tag: int,
) -> None:
    """Take a column of byte strings; `valid` empty: no NULL."""
    for row in range(state.shape[0]):
        v0, v1, v2, v3 = state[row, 0], state[row, 1], state[row, 2], state[row, 3]
        if valid.size and not valid[row]:
            v0, v1, v2, v3 = take_word(v0, v1, v2, v3, np.uint64(0))
        else:
            size = np.int64(length[row])
            v0, v1, v2, v3 = take_word(v0, v1, v2, v3, np.uint64(tag) << np.uint64(56) | np.uint64(size))
            at = start[row]
            end = at + size
            while at < end:
                word = np.uint64(0)
                for byte in range(min(8, end - at)):
                    word |= np.uint64(buffer[at + byte]) << np.uint64(8 * byte)
                v0, v1, v2, v3 = take_word(v0, v1, v2, v3, word)
                at += 8
        state[row, 0], state[row, 1], state[row, 2], state[row, 3] = v0, v1, v2, v3


@kernel("void(const uint64[:,::1], uint64[:,::1])")
def hash_finish(state: WordArray, digests: WordArray) -> None:
    """The 128 bits of each row."""
    for row in range(state.shape[0]):
        v0, v1, v2, v3 = state[row, 0], state[row, 1], state[row, 2], state[row, 3]
        v2 ^= np.uint64(0xEE)
        for _ in range(3):
            v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
        digests[row, 0] = v0 ^ v1 ^ v2 ^ v3
        v1 ^= np.uint64(0xDD)
        for _ in range(3):
            v0, v1, v2, v3 = sip_round(v0, v1, v2, v3)
        digests[row, 1] = v0 ^ v1 ^ v2 ^ v3
