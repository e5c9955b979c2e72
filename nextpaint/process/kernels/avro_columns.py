"""Avro records straight to columns: one pass over bytes, directed by a program made from the writer's schema.

The kernel takes only what it is certain of: a record that does not follow the schema to its last byte, or has a value
that its column does not hold, is ODD, and the caller decodes it again, slowly, for the words for what is wrong.

A program is a list of instructions (`OP_NUMBERS` numbers each): what to do, the node of the schema tree that gets the
value (one behind the last: nobody), and two numbers. Arrays and maps are loops whose items are skipped; a column of
such a type gets the place of its bytes. Hostile bytes are never read outside their record, and no loop runs longer than
bytes last.

Encoding: Apache Avro 1.11 specification, "Binary Encoding".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.json_columns import CLEAN, NO_VALUE, NULL, ODD, RAW, VALUE
from nextpaint.process.kernels.json_scan import utf8_size
from nextpaint.record.compiled import byte_at, inner, kernel, long_at, word_at

ByteArray = npt.NDArray[np.uint8]
LongArray = npt.NDArray[np.int64]

OP_NUMBERS = 4
# What a, b mean: INTEGER, REAL_OF_INTEGER: bits, divisor; ENUM: symbols; TEXT: whether UTF-8 is checked; FIXED: size.
INTEGER, REAL_OF_INTEGER, FLOAT, DOUBLE, TRUTH, TEXT, FIXED, ENUM = range(8)
# UNION: where its table is, branches (a table is JUMPs); JUMP: where to; NOTHING is a NULL, RECORD a row that is there;
# BLOCKS: where the loop of an array or map ends; AGAIN: where its BLOCKS is; OPEN and CLOSE enclose what a column gets
# the place of.
UNION, JUMP, NOTHING, RECORD, BLOCKS, AGAIN, OPEN, CLOSE = range(8, 16)
LOOPS_MAX = 32
_HIGH = np.uint64(0x8080808080808080)
_NO_BITS = np.uint64(0)


@inner
def _long(buffer: int, at: int, end: int) -> Any:
    """(value, where it ends) of a zigzag varint; place -1: there is none."""
    low, shift = 0, 0
    while at < end and shift < 63:
        byte = byte_at(buffer + at)
        at += 1
        low |= (byte & 127) << shift
        if byte < 128:
            return (low >> 1) ^ -(low & 1), at
        shift += 7
    if at < end and shift == 63 and byte_at(buffer + at) < 2:  # the 64th bit
        negative = low & 1
        value = ((low >> 1) & 0x3FFFFFFFFFFFFFFF) | (byte_at(buffer + at) << 62)
        return (~value if negative else value), at + 1
    return 0, -1


@inner
def _is_utf8(buffer: int, at: int, end: int) -> bool:
    while at < end:
        if at + 8 <= end and (word_at(buffer + at) & _HIGH) == _NO_BITS:
            at += 8
        elif byte_at(buffer + at) < 128:
            at += 1
        else:
            size = utf8_size(buffer, at, end)
            if size == 0:
                return False
            at += size
    return True


@inner
def _sized(buffer: int, at: int, end: int) -> Any:
    """(where the bytes begin, where they end) after their length; -1: they do not fit."""
    size, at = _long(buffer, at, end)
    if at < 0 or size < 0 or size > end - at:
        return 0, -1
    return at, at + size


@inner
def _fits(value: int, bits: int) -> bool:
    if bits >= 64:
        return True
    half = 1 << (bits - 1)
    return -half <= value < half


@inner
def _block(buffer: int, at: int, end: int) -> Any:
    """(items of the next block of an array or map, where they begin); 0: it was the last; place -1: not certain."""
    count, at = _long(buffer, at, end)
    if at >= 0 and count < 0:
        size, at = _long(buffer, at, end)
        if at < 0 or size < 0 or size > end - at or count < -(2**40):
            return 0, -1
        count = -count
    if at < 0 or count > end - at:  # every item takes a byte
        return 0, -1
    return count, at


@inner
def _widened(bits: int) -> int:
    """The bits of the double that a single of these bits is."""
    sign, power, part = (bits & 0x80000000) << 32, bits >> 23 & 255, bits & 0x7FFFFF
    if power == 255:
        return sign | 0x7FF << 52 | part << 29
    if power == 0:
        if part == 0:
            return sign
        power = 1
        while part < 0x800000:
            part <<= 1
            power -= 1
        part &= 0x7FFFFF
    return sign | (power + 896) << 52 | part << 29


@inner
def _real(buffer: int, at: int, end: int, what: int) -> Any:
    """(bits of a double, where it ends)."""
    size = 4 if what == FLOAT else 8
    if size > end - at:
        return 0, -1
    bits = 0
    for byte in range(size):
        bits |= byte_at(buffer + at + byte) << 8 * byte
    return (_widened(bits) if what == FLOAT else bits), at + size


@inner
def _number(buffer: int, at: int, end: int, what: int, a: int, b: int) -> Any:
    """(word, where it ends) of a boolean, integer or the place of a symbol."""
    if what == TRUTH:
        if at >= end or byte_at(buffer + at) > 1:
            return 0, -1
        return byte_at(buffer + at), at + 1
    value, at = _long(buffer, at, end)
    if what == ENUM:
        return value, (at if 0 <= value < a else -1)
    if at < 0 or not _fits(value, a):
        return 0, -1
    return (value // b if b > 1 else value), at


@inner
def _scalar(buffer: int, at: int, end: int, what: int, a: int, b: int) -> Any:
    """(word, or where its bytes begin, how many bytes, where it ends); end -1: not certain."""
    if what == TEXT:
        begin, at = _sized(buffer, at, end)
        if at >= 0 and a == 1 and not _is_utf8(buffer, begin, at):
            at = -1
        return begin, (at - begin if at >= 0 else 0), at
    if what == FIXED:
        return (at, a, at + a) if a <= end - at else (0, 0, -1)
    word, at = _real(buffer, at, end, what) if what == FLOAT or what == DOUBLE else _number(buffer, at, end, what, a, b)
    return word, 0, at


@inner
def _branch(buffer: int, at: int, end: int, program: int, table: int, branches: int) -> Any:
    """(the instruction that a union goes on with, where its value begins)."""
    branch, at = _long(buffer, at, end)
    if at < 0 or branch < 0 or branch >= branches:
        return 0, -1
    return long_at(program + ((table + branch) * OP_NUMBERS + 2) * 8), at


@kernel(
    "void(const uint8[::1], const int64[::1], const int32[::1], const int64[:,::1], int64[:,::1], float64[:,::1],"
    " int32[:,::1], uint8[:,::1], uint8[::1], int64[:,::1])"
)
def decode_avro(
    buffer: ByteArray,
    start: LongArray,
    length: npt.NDArray[np.int32],
    program: LongArray,
    words: LongArray,
    reals: npt.NDArray[np.float64],
    lengths: npt.NDArray[np.int32],
    states: ByteArray,
    flags: ByteArray,
    loops: LongArray,
) -> None:
    """Decode the record at each place. words, lengths, states (all zero before), flags: as in `decode_json`; reals: the
    same memory as words. The word of an enum is the place of its symbol. loops: scratch, shape (LOOPS_MAX, 2)."""
    text, tree = buffer.ctypes.data, program.ctypes.data
    for row in range(start.size):
        flags[row] = NO_VALUE if length[row] < 0 else ODD
        at, end = (start[row] if length[row] >= 0 else -1), start[row] + length[row]
        step, depth = 0, 0
        while at >= 0 and step < program.shape[0]:
            what, node, a, b = program[step, 0], program[step, 1], program[step, 2], program[step, 3]
            step += 1
            if what <= ENUM:
                word, size, at = _scalar(text, at, end, what, a, b)
                states[node, row], words[node, row], lengths[node, row] = VALUE, word, size
                if what == REAL_OF_INTEGER:
                    reals[node, row] = float(word)
            elif what == UNION:
                step, at = _branch(text, at, end, tree, a, b)
            elif what == JUMP:
                step = a
            elif what == NOTHING or what == RECORD:
                states[node, row] = NULL if what == NOTHING else VALUE
            elif what == BLOCKS:
                count, at = _block(text, at, end)
                loops[depth, 0], loops[depth, 1] = count, step
                depth += 1
                if count == 0:
                    depth, step = depth - 1, a
            elif what == AGAIN:
                loops[depth - 1, 0] -= 1
                if loops[depth - 1, 0] > 0:
                    step = loops[depth - 1, 1]
                else:
                    depth, step = depth - 1, a
            elif what == OPEN:
                words[node, row] = at
            else:
                states[node, row], lengths[node, row] = RAW, at - words[node, row]
        if at == end and flags[row] == ODD:
            flags[row] = CLEAN
