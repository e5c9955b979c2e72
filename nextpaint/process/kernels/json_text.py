"""Columns to JSON objects, one per row, without a Python object per value; and doubles to their shortest text.

The bytes are those of msgspec's encoder: no spaces, UTF-8 as it is, control characters escaped. A double is written
here when at most 15 digits and nine decimals say it exactly; then that text is its shortest, since two decimals of 15
digits are never the same double. Others are left to the caller.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.json_scan import is_plain
from nextpaint.record.compiled import byte_at, inner, kernel, put_byte, put_word, word_at

ByteArray = npt.NDArray[np.uint8]
LongArray = npt.NDArray[np.int64]

INTEGER, BOOLEAN, TEXT, JSON = range(4)

_DECIMALS_MAX = 9
DECIMAL_BYTES = 42  # a sign, a digit, a point, and at most 38 digits behind it
_WHOLE_MAX = 1e15
_SMALL_MIN = 1e-4  # below it the encoder may choose an exponent
_POWERS = np.array([10.0**power for power in range(_DECIMALS_MAX + 1)])
_POWERS_OF_TEN = np.array([10**power for power in range(19)], np.int64)
_PAIRS = np.array([48 + pair // 10 | (48 + pair % 10) << 8 for pair in range(100)], np.int64)  # two digits, as bytes
_HUNDRED = np.uint64(100)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8).astype(np.int64)


def _short_escapes() -> LongArray:
    """Of each byte the letter after the backslash; 0: none."""
    table = np.zeros(256, np.int64)
    for byte, letter in ((34, '"'), (92, "\\"), (8, "b"), (9, "t"), (10, "n"), (12, "f"), (13, "r")):
        table[byte] = ord(letter)
    return table


_SHORT = _short_escapes()


@inner
def _copied(source: int, size: int, to: int) -> int:
    """Copy bytes; gives where they end."""
    done = 0
    while done + 8 <= size:
        put_word(to + done, word_at(source + done))
        done += 8
    if size >= 8:
        put_word(to + size - 8, word_at(source + size - 8))
        return to + size
    while done < size:
        put_byte(to + done, byte_at(source + done))
        done += 1
    return to + size


@inner
def _digits(value: int, least: int, to: int) -> int:
    """Write a number >= 0 with at least so many digits; gives where it ends."""
    size = 1
    while size < 19 and value >= _POWERS_OF_TEN[size]:
        size += 1
    size = max(size, least)
    at, rest = to + size, np.uint64(value)
    while at - to >= 2:
        more = rest // _HUNDRED
        pair = _PAIRS[np.int64(rest - more * _HUNDRED)]
        at -= 2
        put_byte(at, pair)
        put_byte(at + 1, pair >> 8)
        rest = more
    if at > to:
        last: Any = np.int64(rest)
        put_byte(to, 48 + last)
    return to + size


@inner
def _integer(value: int, to: int) -> int:
    if value < 0:
        put_byte(to, 45)
        to += 1
        if value == -(2**63):
            put_byte(to, 57)  # its negation does not exist: -9223372036854775808 is -9 and what is left
            return _digits(223372036854775808, 18, to + 1)
        value = -value
    return _digits(value, 1, to)


@inner
def _string(source: int, size: int, to: int) -> int:
    """Write text between quotes; gives where it ends."""
    put_byte(to, 34)
    to += 1
    done = 0
    while done < size:
        if done + 8 <= size and is_plain(word_at(source + done)):
            put_word(to, word_at(source + done))
            to += 8
            done += 8
            continue
        rest = size - done
        if done >= 8 and rest < 8 and is_plain(word_at(source + size - 8)):
            # The last word whole: what of it is written already stands there as it is.
            put_word(to + rest - 8, word_at(source + size - 8))
            to += rest
            break
        byte = byte_at(source + done)
        done += 1
        if _SHORT[byte] != 0:
            put_byte(to, 92)
            put_byte(to + 1, _SHORT[byte])
            to += 2
        elif byte < 32:
            for letter in (92, 117, 48, 48):
                put_byte(to, letter)
                to += 1
            put_byte(to, _HEX[byte >> 4])
            put_byte(to + 1, _HEX[byte & 15])
            to += 2
        else:
            put_byte(to, byte)
            to += 1
    put_byte(to, 34)
    return to + 1


@inner
def _word(letters: int, size: int, to: int) -> int:
    """Write up to eight ASCII letters, given as a number."""
    for place in range(size):
        put_byte(to + place, (letters >> (8 * place)) & 0xFF)
    return to + size


_TRUE = int.from_bytes(b"true", "little")
_FALSE = int.from_bytes(b"false", "little")
_NULL = int.from_bytes(b"null", "little")


@kernel(
    "int64(const int64[::1], const uint8[::1], const int64[::1], const int64[::1], const int64[:,::1],"
    " const int32[:,::1], const boolean[:,::1], uint8[::1], int64[::1], int32[::1])"
)
def write_json(
    kinds: LongArray,
    names: ByteArray,
    name_start: LongArray,
    texts: LongArray,
    words: LongArray,
    lengths: npt.NDArray[np.int32],
    valid: npt.NDArray[np.bool_],
    into: ByteArray,
    start: LongArray,
    length: npt.NDArray[np.int32],
) -> int:
    """Write each row as an object into `into`, which is large enough; gives where the last one ends.

    names, name_start: what comes before each column's value (brace or comma, name, colon), end to end. texts: the
    address of each TEXT or JSON column's bytes. words, lengths: a value, or its place. start, length: of each object.
    """
    begin = into.ctypes.data
    to = begin
    for row in range(start.size):
        start[row] = to - begin
        for column in range(kinds.size):
            at = names.ctypes.data + name_start[column]
            to = _copied(at, name_start[column + 1] - name_start[column], to)
            kind, value = kinds[column], words[column, row]
            if not valid[column, row]:
                to = _word(_NULL, 4, to)
            elif kind == INTEGER:
                to = _integer(value, to)
            elif kind == TEXT:
                to = _string(texts[column] + value, lengths[column, row], to)
            elif kind == JSON:
                to = _copied(texts[column] + value, lengths[column, row], to)
            else:
                to = _word(_TRUE, 4, to) if value != 0 else _word(_FALSE, 5, to)
        put_byte(to, 125)
        to += 1
        length[row] = to - begin - start[row]
    return to - begin


@kernel("int64(const float64[::1], uint8[::1], int64[::1], int32[::1])")
def write_reals(
    values: npt.NDArray[np.float64], into: ByteArray, start: LongArray, length: npt.NDArray[np.int32]
) -> int:
    """Write each double into `into` (32 bytes a value); gives where the last one ends. Length -1: not written."""
    begin = into.ctypes.data
    to = begin
    for row in range(values.size):
        value = values[row]
        start[row], length[row] = to - begin, -1
        size = abs(value)
        if size != 0.0 and not _SMALL_MIN <= size < _WHOLE_MAX:
            continue
        for decimals in range(_DECIMALS_MAX + 1):
            power = _POWERS[decimals]
            whole = np.rint(size * power)
            if whole >= _WHOLE_MAX:
                break
            if whole / power == size:
                if np.signbit(value):
                    put_byte(to, 45)
                    to += 1
                unit = int(power)
                to = _digits(int(whole) // unit, 1, to)
                put_byte(to, 46)
                to = _digits(int(whole) % unit, max(decimals, 1), to + 1)
                length[row] = to - begin - start[row]
                break
    return to - begin


@kernel("int64(const int64[::1], int64, uint8[::1], int64[::1], int32[::1])")
def write_decimals(
    values: LongArray, scale: int, into: ByteArray, start: LongArray, length: npt.NDArray[np.int32]
) -> int:
    """Write whole numbers with `scale` digits behind the point (`DECIMAL_BYTES` a value) as Python prints a Decimal;
    gives where the last one ends. Length -1: one so small that it has an exponent, or of more than 18 digits."""
    begin = into.ctypes.data
    to = begin
    for row in range(values.size):
        value = values[row]
        start[row], length[row] = to - begin, -1
        size = abs(value)
        digits, power = 1, 10
        while digits < 18 and size >= power:
            digits, power = digits + 1, power * 10
        if size >= power or size < 0 or digits < scale - 5:
            continue
        if value < 0:
            put_byte(to, 45)
            to += 1
        unit = 1
        for _ in range(min(scale, 18)):
            unit *= 10
        to = _digits(size // unit if scale <= 18 else 0, 1, to)
        if scale > 0:
            put_byte(to, 46)
            to = _digits(size % unit if scale <= 18 else size, scale, to + 1)
        length[row] = to - begin - start[row]
    return to - begin


@inner
def _varint(value: int, to: int) -> int:
    """Write a number >= 0 as a zigzag varint; gives where it ends."""
    value <<= 1
    while value > 127:
        put_byte(to, value & 127 | 128)
        value >>= 7
        to += 1
    put_byte(to, value)
    return to + 1


@inner
def _varint_size(value: int) -> int:
    size, value = 1, value << 1
    while value > 127:
        value >>= 7
        size += 1
    return size


@kernel("int64(const uint8[::1], const int64[::1], const int32[::1], uint8[::1])")
def write_records(values: ByteArray, start: LongArray, length: npt.NDArray[np.int32], into: ByteArray) -> int:
    """Write records without key or headers, all at the batch's own time, as a RecordBatch v2 holds them (see
    `record.codec`); gives where the last one ends. A record takes at most 24 bytes more than its value."""
    begin = into.ctypes.data
    to = begin
    for row in range(start.size):
        size = int(length[row])
        to = _varint(4 + _varint_size(row) + _varint_size(size) + size, to)  # attributes, time, null key, no headers
        put_byte(to, 0)
        put_byte(to + 1, 0)
        to = _varint(row, to + 2)
        put_byte(to, 1)
        to = _varint(size, to + 1)
        to = _copied(values.ctypes.data + int(start[row]), size, to)
        put_byte(to, 0)
        to += 1
    return to - begin
