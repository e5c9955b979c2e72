"""JSON objects straight to columns: one pass over bytes, directed by a schema, without a Python object per record.

The kernel takes only what it is certain of. Per record it says CLEAN or ODD; an ODD record (malformed, escaped keys,
numbers of more than 18 digits, very deep, ...) is decoded again by the caller, slowly, which finds the value or the
words for what is wrong. Per field it says ABSENT, NULL, VALUE or RAW; the place of a RAW value, which is well-formed
JSON of another form than the field's (or of a kind not decoded here), is given for the caller to convert.

Certain means: strict JSON (RFC 8259) in strict UTF-8, no control characters in strings, surrogates in pairs; doubles
of at most 15 digits and a power of ten of at most 22, where one division or multiplication rounds correctly (Clinger,
"How to read floating point numbers accurately", 1990). The last of several equal keys wins, as in a dict.

What the grammar says of the bytes is in `json_scan`.

The schema is a tree of nodes: node 0 is the record, children of a node are contiguous. What bytes say never makes the
kernel read outside the buffer, nor heed what is outside their record.

Records mostly come with the keys of the schema in its order, without spaces, and with values of the usual form. Those
are taken in words of eight bytes (`_usual`); anything else takes the way that looks at every byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.json_scan import (
    HIGH_BITS,
    NO_BITS,
    first_bit,
    is_digit,
    space_end,
    string_end,
    unescape,
    value_end,
)
from nextpaint.record.compiled import byte_at, inlined, inner, kernel, long_at, put_word, word_at

ByteArray = npt.NDArray[np.uint8]
LongArray = npt.NDArray[np.int64]

ABSENT, NULL, VALUE, RAW, UNESCAPED = range(5)
CLEAN, ODD, NO_VALUE = range(3)
OTHER, INTEGER, REAL, BOOLEAN, TEXT, TIME, RECORD = range(7)
DEPTH_MAX = 16  # of records within records that become columns; deeper ones are RAW
STACK = (DEPTH_MAX + 2, 2)  # of numbers: where records within records go on, then the last date read
NODE_NUMBERS = 6  # of the schema, per node: see `decode_json`

_POWERS = np.array([10.0**power for power in range(23)])
_POWERS_OF_TEN = np.array([10**power for power in range(16)], np.int64)
_DAYS_BEFORE = np.array([0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334], np.int64)
_DAYS_IN = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)


@inner
def _two(buffer: int, at: int) -> int:
    """Two digits; -1 if they are not."""
    if not (is_digit(byte_at(buffer + at)) and is_digit(byte_at(buffer + at + 1))):
        return -1
    return (byte_at(buffer + at) - 48) * 10 + byte_at(buffer + at + 1) - 48


@inner
def _epoch_s(year: int, month: int, day: int, hour: int, minute: int, second: int) -> Any:
    """(seconds since 1970, whether there is such a moment) in UTC."""
    if year < 1 or month < 1 or month > 12 or hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return 0, False
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day < 1 or day > _DAYS_IN[month] + (1 if leap and month == 2 else 0) or second < 0 or second > 59:
        return 0, False
    past = year - 1
    days = past * 365 + past // 4 - past // 100 + past // 400 - 719162
    days += _DAYS_BEFORE[month] + (1 if leap and month > 2 else 0) + day - 1
    return ((days * 24 + hour) * 60 + minute) * 60 + second, True


@inner
def _moment(buffer: int, at: int, end: int) -> Any:
    """(epoch ms, whether it is certain) of `YYYY-MM-DD HH:MM:SS`, with T or a space, up to three digits of a second,
    and nothing or Z for UTC."""
    if (
        end - at < 19
        or byte_at(buffer + at + 4) != 45
        or byte_at(buffer + at + 7) != 45
        or (byte_at(buffer + at + 10) != 32 and byte_at(buffer + at + 10) != 84)
    ):
        return 0, False
    century, decade = _two(buffer, at), _two(buffer, at + 2)
    month, day = _two(buffer, at + 5), _two(buffer, at + 8)
    hour, minute, second = _two(buffer, at + 11), _two(buffer, at + 14), _two(buffer, at + 17)
    if century < 0 or decade < 0 or byte_at(buffer + at + 13) != 58 or byte_at(buffer + at + 16) != 58:
        return 0, False
    millis, place = 0, at + 19
    if place < end and byte_at(buffer + place) == 46:
        place += 1
        begin, unit = place, 100
        while place < end and is_digit(byte_at(buffer + place)):
            millis += (byte_at(buffer + place) - 48) * unit
            unit //= 10
            place += 1
        if place == begin or place - begin > 3:
            return 0, False
    if place < end and byte_at(buffer + place) == 90:
        place += 1
    if place != end:
        return 0, False
    whole, certain = _epoch_s(century * 100 + decade, month, day, hour, minute, second)
    return whole * 1000 + millis, certain


@inner
def _real(buffer: int, at: int, end: int) -> Any:
    """(value, whether it is certain) of a well-formed number."""
    negative = byte_at(buffer + at) == 45
    if negative:
        at += 1
    mantissa, digits, scale, plain = 0, 0, 0, True
    while at < end and byte_at(buffer + at) != 101 and byte_at(buffer + at) != 69:
        if byte_at(buffer + at) == 46:
            plain = False
        else:
            mantissa = mantissa * 10 + byte_at(buffer + at) - 48
            digits += 1 if mantissa != 0 else 0
            scale -= 0 if plain else 1
            if digits > 15:
                return 0.0, False
        at += 1
    if at < end:
        at += 1
        sign = 1
        if byte_at(buffer + at) == 43 or byte_at(buffer + at) == 45:
            sign = -1 if byte_at(buffer + at) == 45 else 1
            at += 1
        power = 0
        while at < end:
            power = power * 10 + byte_at(buffer + at) - 48
            at += 1
        scale += sign * power
        plain = False
    if scale < -22 or scale > 22:
        return 0.0, False
    value = float(mantissa)
    value = value / _POWERS[-scale] if scale < 0 else value * _POWERS[scale]
    return (-value if negative and not (plain and mantissa == 0) else value), True


@inner
def _integer(buffer: int, at: int, end: int) -> Any:
    """(value, whether it is one) of a well-formed number."""
    negative = byte_at(buffer + at) == 45
    if negative:
        at += 1
    value = 0
    while at < end:
        if not is_digit(byte_at(buffer + at)):
            return 0, False
        value = value * 10 + byte_at(buffer + at) - 48
        at += 1
    return (-value if negative else value), True


@inner
def _matches(buffer: int, at: int, end: int, name: int, size: int) -> bool:
    """Whether the string whose text starts at `at` is this name."""
    if at + size >= end or byte_at(buffer + at + size) != 34:
        return False
    for byte in range(size):
        if byte_at(buffer + at + byte) != byte_at(name + byte):
            return False
    return True


@inlined
def _node(nodes: int, node: int, what: int) -> int:
    """A number of the schema: see `decode_json`."""
    return long_at(nodes + (node * NODE_NUMBERS + what) * 8)


@inner
def _child(buffer: int, at: int, end: int, names: int, nodes: int, node: int, hint: int) -> int:
    """The child of `node` whose name starts at `at`, looked for from `hint` on; -1 if there is none."""
    first, count = _node(nodes, node, 1), _node(nodes, node, 2)
    for step in range(count):
        child = hint + step
        if child >= first + count:
            child -= count
        if _matches(buffer, at, end, names + _node(nodes, child, 3), _node(nodes, child, 4)):
            return child
    return -1


@inner
def _fits(value: int, bits: int) -> bool:
    if bits >= 64:
        return True
    half = 1 << (bits - 1)
    return -half <= value < half


_BROKEN = -(2**62)


@inner
def _next_key(buffer: int, at: int, end: int, opened: bool) -> int:
    """Where the next key of an object begins. Minus the place after the object if it ends here; `_BROKEN` if neither.
    `opened`: nothing of it has been read yet."""
    at = space_end(buffer, at, end)
    if at >= end:
        return _BROKEN
    byte = byte_at(buffer + at)
    if byte == 125:
        return -(at + 1)
    if opened:
        return at if byte == 34 else _BROKEN
    return space_end(buffer, at + 1, end) if byte == 44 else _BROKEN


@inner
def _key(buffer: int, at: int, end: int, names: int, nodes: int, node: int, hint: int) -> Any:
    """(child of `node`, where its value begins) for the key at `at`; child -1: unknown; position -1: not certain."""
    if at >= end or byte_at(buffer + at) != 34:
        return -1, -1
    at += 1
    child = _child(buffer, at, end, names, nodes, node, hint)
    if child >= 0:
        at += _node(nodes, child, 4)
    else:
        at, escaped = string_end(buffer, at, end)
        if at < 0 or escaped:
            return -1, -1
    at = space_end(buffer, at + 1, end)
    if at >= end or byte_at(buffer + at) != 58:
        return -1, -1
    at = space_end(buffer, at + 1, end)
    return child, (at if at < end else -1)


@inner
def _scalar(buffer: int, at: int, end: int, kind: int, bits: int) -> Any:
    """(state, word, real) of the well-formed value from `at` to `end` that is no text."""
    byte = byte_at(buffer + at)
    if byte == 110:
        return NULL, 0, 0.0
    word, real, certain = 0, 0.0, False
    if byte == 45 or is_digit(byte):
        if kind == REAL:
            real, certain = _real(buffer, at, end)
        elif kind == INTEGER or kind == TIME:
            word, certain = _integer(buffer, at, end)
            certain = certain and _fits(word, bits)
    elif kind == BOOLEAN and (byte == 116 or byte == 102):
        word, certain = (1 if byte == 116 else 0), True
    elif kind == TIME and byte == 34:
        word, certain = _moment(buffer, at + 1, end - 1)
    return (VALUE if certain else RAW), word, real


# Bytes that may be read from the begin of a value on without looking where the buffer ends.
_NEAR = 48

_DATE = np.uint64(int.from_bytes(b"0000-00-", "little"))
_CLOCK = np.uint64(int.from_bytes(b"00 00:00", "little"))
_SECONDS = np.uint64(int.from_bytes(b':00.000"', "little"))
_DATE_DIGITS = np.uint64(int.from_bytes(b"\xff\xff\xff\xff\0\xff\xff\0", "little"))
_CLOCK_DIGITS = np.uint64(int.from_bytes(b"\xff\xff\0\xff\xff\0\xff\xff", "little"))
_SECONDS_DIGITS = np.uint64(int.from_bytes(b"\0\xff\xff\0\xff\xff\xff\0", "little"))
_LETTER_T = np.uint64((ord(" ") ^ ord("T")) << 16)
_OVER_NINE = np.uint64(0x7676767676767676)
_ZEROS = np.uint64(0x3030303030303030)
_EVERY_SECOND, _EVERY_FOURTH = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_HUNDRED, _TEN_THOUSAND = np.uint64(100), np.uint64(10_000)
_DAY = np.uint64(0xFFFF)  # of a clock: the two digits of the day before it
_TEN, _BYTE, _ONE_BYTE = np.uint64(10), np.uint64(0xFF), np.uint64(8)
_NULL_WORD = np.uint64(int.from_bytes(b"null", "little"))
_HALF = np.uint64(0xFFFFFFFF)


@inlined
def _same(left: int, right: int, size: int) -> Any:
    """Whether `size` bytes are the same; seven more may be read on both sides."""
    done = 0
    while done + 8 <= size:
        if word_at(left + done) != word_at(right + done):
            return False
        done += 8
    rest = np.uint64(8 * (size - done))
    return rest == NO_BITS or (word_at(left + done) ^ word_at(right + done)) << (np.uint64(64) - rest) == NO_BITS


@inner
def _pair(pairs: Any, byte: int) -> int:
    """Two digits as a number, the first of them at this byte."""
    return np.int64(pairs >> np.uint64(8 * byte) & _BYTE)  # type: ignore[return-value]


@inlined
def _usual_moment(buffer: int, at: int, day: int) -> Any:
    """(epoch ms, whether it is certain) of `YYYY-MM-DD HH:MM:SS.mmm"`, 24 bytes with the quote. `day`: the address of
    the last date read, 10 bytes in two words, and of the seconds before it."""
    date, clock, seconds = word_at(buffer + at), word_at(buffer + at + 8), word_at(buffer + at + 16) ^ _SECONDS
    if date != word_at(day) or clock & _DAY != word_at(day + 8):
        whole, certain = _usual_date(date ^ _DATE, (clock ^ _CLOCK) & _DAY)
        if not certain:
            return 0, False
        put_word(day, date)
        put_word(day + 8, clock & _DAY)
        put_word(day + 16, np.uint64(whole))
    clock ^= _CLOCK
    marks, clock = clock & ~_CLOCK_DIGITS, clock & _CLOCK_DIGITS
    digits = (clock + _OVER_NINE) | clock | (seconds + _OVER_NINE) | seconds
    if (
        (marks != NO_BITS and marks != _LETTER_T)
        or (seconds & ~_SECONDS_DIGITS) != NO_BITS
        or (digits & HIGH_BITS) != NO_BITS
    ):
        return 0, False
    clock = clock * _TEN + (clock >> _ONE_BYTE)
    millis = _pair(seconds, 4) * 100
    seconds = seconds * _TEN + (seconds >> _ONE_BYTE)
    millis += _pair(seconds, 5)
    hour, minute, second = _pair(clock, 3), _pair(clock, 6), _pair(seconds, 1)
    if hour > 23 or minute > 59 or second > 59:
        return 0, False
    return long_at(day + 16) * 1000 + ((hour * 60 + minute) * 60 + second) * 1000 + millis, True


@inner
def _usual_date(date: Any, day: Any) -> Any:
    """(seconds from 1970 to it, whether there is such a date) of `YYYY-MM-` and `DD`, their digits as bytes."""
    digits = (date + _OVER_NINE) | date | (day + _OVER_NINE) | day
    if (date & ~_DATE_DIGITS) != NO_BITS or (digits & HIGH_BITS) != NO_BITS:
        return 0, False
    date = date * _TEN + (date >> _ONE_BYTE)
    day = day * _TEN + (day >> _ONE_BYTE)
    return _epoch_s(_pair(date, 0) * 100 + _pair(date, 2), _pair(date, 5), _pair(day, 0), 0, 0, 0)


@inlined
def _digit_count(word: Any) -> int:
    """With how many digits eight bytes begin; they are less 48 each."""
    others = ((word + _OVER_NINE) | word) & HIGH_BITS
    return 8 if others == NO_BITS else first_bit(others) >> 3


@inlined
def _number_of(word: Any, count: int) -> int:
    """The number that the first `count` (1 to 8) of eight bytes spell; they are less 48 each."""
    word <<= np.uint64(64 - 8 * count)
    word = (word * _TEN + (word >> _ONE_BYTE)) & _EVERY_SECOND
    word = (word * _HUNDRED + (word >> np.uint64(16))) & _EVERY_FOURTH
    return np.int64((word * _TEN_THOUSAND + (word >> np.uint64(32))) & _HALF)  # type: ignore[return-value]


@inlined
def _digit_run(address: int) -> tuple[int, int]:
    """(number, how many digits) of the digits at an address, 16 at most; 16 bytes may be read."""
    first = word_at(address) ^ _ZEROS
    count = _digit_count(first)
    if count < 8:
        return (_number_of(first, count) if count > 0 else 0), count
    second = word_at(address + 8) ^ _ZEROS
    more = _digit_count(second)
    value = _number_of(first, 8)
    if more > 0:
        value = value * _POWERS_OF_TEN[more] + _number_of(second, more)
    return value, 8 + more


@inlined
def _usual_number(buffer: int, at: int, end: int, kind: int, bits: int) -> Any:
    """(word, real, where it ends) of a number without sign, exponent or more than 15 digits; end -1: not."""
    mantissa, digits = _digit_run(buffer + at)
    if digits == 0 or digits > 15 or (digits > 1 and byte_at(buffer + at) == 48):
        return 0, 0.0, -1
    at += digits
    decimals = 0
    if kind == REAL and byte_at(buffer + at) == 46:
        fraction, decimals = _digit_run(buffer + at + 1)
        if decimals == 0 or digits + decimals > 15:
            return 0, 0.0, -1
        mantissa = mantissa * _POWERS_OF_TEN[decimals] + fraction
        at += 1 + decimals
    follows = byte_at(buffer + at)
    if at >= end or (follows != 44 and follows != 125):
        return 0, 0.0, -1
    if kind == REAL:
        return 0, float(mantissa) / _POWERS[decimals], at
    return mantissa, 0.0, (at if _fits(mantissa, bits) else -1)


@inlined
def _usual(buffer: int, at: int, end: int, kind: int, bits: int, day: int) -> Any:
    """(state, word, real, where it ends) of a value of the usual form, no text and no record; end -1: another form.
    `_NEAR` bytes may be read. `day`: see `_usual_moment`."""
    byte = byte_at(buffer + at)
    if byte == 110:
        return NULL, 0, 0.0, (at + 4 if word_at(buffer + at) & _HALF == _NULL_WORD and at + 4 < end else -1)
    if kind == INTEGER or kind == REAL:
        word, real, ended = _usual_number(buffer, at, end, kind, bits)
        return VALUE, word, real, ended
    if kind == TIME and byte == 34 and at + 25 < end:
        word, certain = _usual_moment(buffer, at + 1, day)
        return VALUE, word, 0.0, (at + 25 if certain else -1)
    return RAW, 0, 0.0, -1


@inlined
def _usual_key(
    buffer: int, at: int, end: int, opened: bool, names: int, nodes: int, node: int, hint: int, readable: int
) -> Any:  # fmt: skip
    """Where the value begins of the key that is expected, child `hint` of `node`, when nothing but what belongs to it
    stands before the value and `_NEAR` bytes of that may be read; -1: something else."""
    if hint >= _node(nodes, node, 1) + _node(nodes, node, 2):
        return -1
    name, size = names + _node(nodes, hint, 3), _node(nodes, hint, 4)
    if at + size + 4 + _NEAR > readable:
        return -1
    if not opened:
        if byte_at(buffer + at) != 44:
            return -1
        at += 1
    begin = at + size + 3
    if begin >= end or not _same(buffer + at, name - 1, size + 3):
        return -1
    return begin if byte_at(buffer + begin) > 32 else -1


@inlined
def _text(buffer: int, at: int, end: int, arena: int, used: int) -> Any:
    """(state, place, length, where the value ends, arena used) of the string whose quote is at `at`; end -1: bad."""
    close, escaped = string_end(buffer, at + 1, end)
    if close < 0:
        return RAW, at, 0, -1, used
    if not escaped:
        return VALUE, at + 1, close - at - 1, close + 1, used
    ended = unescape(buffer, at + 1, close, arena, used)
    if ended < 0:
        return RAW, at, 0, -1, used
    return UNESCAPED, used, ended - used, close + 1, ended


@inner
def _other(buffer: int, at: int, end: int, kind: int, bits: int) -> Any:
    """(state, word, real, where it ends) of the value at `at` that is neither text nor a record of columns; end -1:
    bad, and as if it were not there."""
    ended = value_end(buffer, at, end)
    if ended < 0:
        return ABSENT, 0, 0.0, -1
    state, word, real = _scalar(buffer, at, ended, kind, bits)
    return state, (at if state == RAW else word), real, ended


@kernel(
    "int64(const uint8[::1], const int64[::1], const int32[::1], const uint8[::1], const int64[:,::1], int64[:,::1],"
    " float64[:,::1], int32[:,::1], uint8[:,::1], uint8[::1], uint8[::1], int64[:,::1])"
)
def decode_json(
    buffer: ByteArray,
    start: LongArray,
    length: npt.NDArray[np.int32],
    names: ByteArray,
    nodes: LongArray,
    words: LongArray,
    reals: npt.NDArray[np.float64],
    lengths: npt.NDArray[np.int32],
    states: ByteArray,
    arena: ByteArray,
    flags: ByteArray,
    stack: LongArray,
) -> int:
    """Decode the record at each place; gives how much of `arena` holds unescaped text.

    nodes: kind, first child, children, place of the name, length of the name, bits of an integer; one row a node. A
        name stands between quotes, with a colon behind them, and eight bytes follow the last.
    words, lengths: per node and record an integer, boolean (0, 1), epoch ms, or the place of text or of raw JSON; the
        place of UNESCAPED text is in `arena`. reals: as words, for doubles. stack: shape STACK, zeros at first.
    states (all zero before): ABSENT .. UNESCAPED. flags: CLEAN, ODD, or NO_VALUE where length is negative.
    """
    text, called, tree, spare = buffer.ctypes.data, names.ctypes.data, nodes.ctypes.data, arena.ctypes.data
    used, readable, day = 0, buffer.size, stack.ctypes.data + DEPTH_MAX * 16
    for row in range(start.size):
        end = start[row] + length[row]
        flags[row] = NO_VALUE if length[row] < 0 else ODD
        at = space_end(text, start[row], end)
        if at >= end or byte_at(text + at) != 123:
            continue
        depth, node, hint, opened, at = 0, 0, nodes[0, 1], True, at + 1
        while at >= 0:
            child, begin = hint, _usual_key(text, at, end, opened, called, tree, node, hint, readable)
            if begin >= 0:
                state, word, real, at = _usual(text, begin, end, nodes[child, 0], nodes[child, 5], day)
                if at >= 0:
                    states[child, row], words[child, row], lengths[child, row] = state, word, at - begin
                    if nodes[child, 0] == REAL and state == VALUE:
                        reals[child, row] = real
                    hint, opened = child + 1, False
                    continue
                at = begin
            else:
                at = _next_key(text, at, end, opened)
                if at < 0:
                    depth -= 1
                    if depth < 0:
                        flags[row] = CLEAN if at != _BROKEN and space_end(text, -at, end) == end else ODD
                        break
                    node, hint, opened, at = stack[depth, 0], stack[depth, 1], False, (-at if at != _BROKEN else at)
                    continue
                child, at = _key(text, at, end, called, tree, node, hint)
                if child < 0:
                    at, opened = (value_end(text, at, end) if at >= 0 else at), False
                    continue
            kind, begin, hint, opened = nodes[child, 0], at, child + 1, False
            if kind == TEXT and byte_at(text + at) == 34:
                state, place, size, at, used = _text(text, at, end, spare, used)
                states[child, row], words[child, row], lengths[child, row] = state, place, size
            elif kind == RECORD and byte_at(text + at) == 123 and depth < DEPTH_MAX:
                first = nodes[child, 1]
                states[first : first + nodes[child, 2], row] = ABSENT
                stack[depth, 0], stack[depth, 1], states[child, row] = node, hint, VALUE
                depth, node, hint, opened, at = depth + 1, child, first, True, at + 1
            else:
                state, word, real, at = _other(text, at, end, kind, nodes[child, 5])
                states[child, row], words[child, row], lengths[child, row] = state, word, at - begin
                if kind == REAL and state == VALUE:
                    reals[child, row] = real
    return used
