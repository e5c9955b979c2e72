"""Columns to JSON objects, one per row, without a Python object per value; and doubles to their shortest text.

The objects may be the values of records that a RecordBatch v2 holds (see `record.codec`), written in the same pass.
The bytes are those of msgspec's encoder: no spaces, UTF-8 as it is, control characters escaped. A double that would be
written with an exponent is left to the caller.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.json_scan import NO_BITS, copy_32, is_plain, leading_zeros, special_of_32
from nextpaint.process.kernels.shortest import shortest
from nextpaint.record.compiled import byte_at, inlined, inner, kernel, put_byte, put_word, word_at

ByteArray = npt.NDArray[np.uint8]
LongArray = npt.NDArray[np.int64]

INTEGER, BOOLEAN, TEXT, JSON = range(4)

RECORD_BYTES = 24  # what a record takes beside its value, at most
REAL_BYTES = 32  # a sign, a digit, a point, three zeros and 17 digits, or 15 before the point
DECIMAL_BYTES = 42  # a sign, a digit, a point, and at most 38 digits behind it
_WHOLE_MAX = 1e15
_SMALL_MIN = 1e-4  # below it the encoder may choose an exponent
_POWERS_OF_TEN = np.array([10**power for power in range(19)], np.int64)
_PAIRS = np.array([48 + pair // 10 | (48 + pair % 10) << 8 for pair in range(100)], np.int64)  # two digits, as bytes
_ONE, _TEN, _HUNDRED = np.uint64(1), np.uint64(10), np.uint64(100)
_TEN_THOUSAND, _HUNDRED_MILLION = np.uint64(10_000), np.uint64(100_000_000)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8).astype(np.int64)


def _short_escapes() -> LongArray:
    """Of each byte the letter after the backslash; 0: none."""
    table = np.zeros(256, np.int64)
    for byte, letter in ((34, '"'), (92, "\\"), (8, "b"), (9, "t"), (10, "n"), (12, "f"), (13, "r")):
        table[byte] = ord(letter)
    return table


_SHORT = _short_escapes()


@inlined
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


@inlined
def _digit_count(value: int) -> int:
    """How many digits a number >= 0 has: from its bits one too few at most (1233 / 4096 is the logarithm of two)."""
    size: int = (64 - leading_zeros(np.uint64(value) | _ONE)) * 1233 >> 12
    return size + (1 if size < 19 and value >= _POWERS_OF_TEN[size] else 0)


@inlined
def _eight_digits(value: Any) -> Any:
    """The digits of a number below 10**8 as eight bytes: halves, then quarters, then digits side by side in a word."""
    fours = value // _TEN_THOUSAND
    word = fours | (value - fours * _TEN_THOUSAND) << np.uint64(32)
    twos = (word * np.uint64(10_486)) >> np.uint64(20) & np.uint64(0x7F0000007F)
    word = twos | (word - twos * _HUNDRED) << np.uint64(16)
    ones = (word * np.uint64(103)) >> np.uint64(10) & np.uint64(0x000F000F000F000F)
    return (ones | (word - ones * _TEN) << np.uint64(8)) + np.uint64(0x3030303030303030)


@inlined
def _digits(value: int, least: int, to: int) -> int:
    """Write a number >= 0 with at least so many digits; gives where it ends."""
    size = max(_digit_count(value), least, 1)
    at, rest = to + size, np.uint64(value)
    while at - to >= 8:
        more = rest // _HUNDRED_MILLION
        at -= 8
        put_word(at, _eight_digits(rest - more * _HUNDRED_MILLION))
        rest = more
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


@inlined
def _integer(value: int, to: int) -> int:
    if value < 0:
        put_byte(to, 45)
        to += 1
        if value == -(2**63):
            put_byte(to, 57)  # its negation does not exist: -9223372036854775808 is -9 and what is left
            return _digits(223372036854775808, 18, to + 1)
        value = -value
    return _digits(value, 1, to)


@inlined
def _string(source: int, size: int, to: int) -> int:
    """Write text between quotes; gives where it ends."""
    put_byte(to, 34)
    to += 1
    done = 0
    while done < size:
        if done + 32 <= size and special_of_32(source + done) == NO_BITS:
            copy_32(source + done, to)
            to += 32
            done += 32
            continue
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


@inner
def _record_head(row: int, size: int, to: int) -> int:
    """Write what stands before the value, of this size, of the record at `row` of a batch, without a key and at the
    batch's own time; gives where it ends."""
    to = _varint(4 + _varint_size(row) + _varint_size(size) + size, to)  # attributes, time, null key, no headers
    put_byte(to, 0)
    put_byte(to + 1, 0)
    to = _varint(row, to + 2)
    put_byte(to, 1)
    return _varint(size, to + 1)


@inner
def _record_head_size(row: int, size: int) -> int:
    inside = _varint_size(row) + _varint_size(size)
    return _varint_size(4 + inside + size) + 3 + inside


@inner
def _moved(at: int, size: int, to: int) -> None:
    """Move bytes to a place that overlaps with where they are."""
    if to < at:
        for done in range(size):
            put_byte(to + done, byte_at(at + done))
    else:
        for done in range(size - 1, -1, -1):
            put_byte(to + done, byte_at(at + done))


@kernel(
    "int64(const int64[::1], const uint8[::1], const int64[::1], const int64[::1], const int64[:,::1],"
    " const int32[:,::1], const boolean[:,::1], boolean, uint8[::1], int64[::1], int32[::1])"
)
def write_json(
    kinds: LongArray,
    names: ByteArray,
    name_start: LongArray,
    texts: LongArray,
    words: LongArray,
    lengths: npt.NDArray[np.int32],
    valid: npt.NDArray[np.bool_],
    as_records: bool,
    into: ByteArray,
    start: LongArray,
    length: npt.NDArray[np.int32],
) -> int:
    """Write each row as an object into `into`, which is large enough; gives where the last one ends.

    names, name_start: what comes before each column's value (brace or comma, name, colon), end to end. texts: the
    address of each TEXT or JSON column's bytes. words, lengths: a value, or its place. as_records: each object is the
    value of a record, which takes at most RECORD_BYTES more. start, length: of each object.
    """
    begin: Any = np.int64(into.ctypes.data)  # what it is added to is signed
    to: Any = begin
    head, number = 0, 0
    for row in range(start.size):
        if as_records and head == 0:
            head = _record_head_size(0, 100)
        object_at = to + head
        to = object_at
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
        size = to - object_at
        if as_records:
            needed = _record_head_size(number, size)
            if needed != head:  # seldom: it is that of the row before
                _moved(object_at, size, object_at + needed - head)
            _record_head(number, size, object_at - head)
            object_at += needed - head
            head, number = needed, number + 1
            put_byte(object_at + size, 0)
            to = object_at + size + 1
        start[row], length[row] = object_at - begin, size
    used: int = to - begin
    return used


@kernel("int64(const float64[::1], uint8[::1], int64[::1], int32[::1])")
def write_reals(
    values: npt.NDArray[np.float64], into: ByteArray, start: LongArray, length: npt.NDArray[np.int32]
) -> int:
    """Write each double into `into` (REAL_BYTES a value); gives where the last one ends. Length -1: not written."""
    begin = into.ctypes.data
    to = begin
    for row in range(values.size):
        value = values[row]
        start[row], length[row] = to - begin, -1
        size = abs(value)
        if size != 0.0 and not _SMALL_MIN <= size < _WHOLE_MAX:
            continue
        if np.signbit(value):
            put_byte(to, 45)
            to += 1
        to = _decimal(size, to)
        length[row] = to - begin - start[row]
    return to - begin


@inlined
def _signed(value: Any) -> int:
    return np.int64(value)  # type: ignore[return-value]


@inner
def _decimal(value: float, to: int) -> int:
    """Write a double >= 0 without an exponent; gives where it ends."""
    digits, decimals = 0, 0
    if value != 0.0:
        digits, exponent = shortest(value)
        decimals = -exponent
    rest: Any = np.uint64(digits)
    while decimals > 1:
        tens = rest // _TEN
        if tens * _TEN != rest:
            break
        rest, decimals = tens, decimals - 1
    if decimals > 18:  # 17 digits at most: none stands before the point
        put_byte(to, 48)
        put_byte(to + 1, 46)
        return _digits(_signed(rest), decimals, to + 2)
    if decimals <= 0:
        rest, decimals = rest * np.uint64(_POWERS_OF_TEN[1 - decimals]), 1
    unit = np.uint64(_POWERS_OF_TEN[decimals])
    whole = rest // unit
    to = _digits(_signed(whole), 1, to)
    put_byte(to, 46)
    return _digits(_signed(rest - whole * unit), decimals, to + 1)


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
