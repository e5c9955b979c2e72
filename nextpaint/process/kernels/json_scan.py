"""What JSON's grammar says of bytes: where a string, a number or any value ends, and what escapes stand for.

Everything takes addresses: the first byte of the buffer, and places in it from `at` to before `end`, outside of which
nothing is read. A value ends where the strict grammar says (RFC 8259, in strict UTF-8 with surrogates in pairs, no
control characters in strings); -1 means that it does not, or that it is deeper or longer than is looked at here. What a
value becomes is not known here: see `json_columns`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.record.compiled import byte_at, inlined, inner, instruction, put_byte, word_at

_NESTING_MAX = 60  # of skipped values: one bit each

_ONES = np.uint64(0x0101010101010101)
_QUOTES = np.uint64(0x2222222222222222)
_SLASHES = np.uint64(0x5C5C5C5C5C5C5C5C)
_SPACES = np.uint64(0x2020202020202020)
HIGH_BITS = np.uint64(0x8080808080808080)
NO_BITS = np.uint64(0)


first_bit = instruction("first_bit")  # the number of the lowest bit that is set, of at least one
leading_zeros = instruction("leading_zeros")  # how many bits are clear above the highest, of at least one
copy_32 = instruction("copy_32")  # 32 bytes from one address to another
# Of the 32 bytes at an address, a bit for each that is a quote, a backslash, a control character or above ASCII.
special_of_32 = instruction("special_of_32")


@inner
def space_end(buffer: int, at: int, end: int) -> int:
    """Where the white space at `at` ends, if there is any."""
    while at < end and (
        byte_at(buffer + at) == 32
        or byte_at(buffer + at) == 10
        or byte_at(buffer + at) == 13
        or byte_at(buffer + at) == 9
    ):
        at += 1
    return at


@inner
def utf8_size(buffer: int, at: int, end: int) -> int:
    """Bytes of the character above ASCII at `at` (Unicode 15, table 3-7); 0 if there is none."""
    lead = byte_at(buffer + at)
    low, high = 0x80, 0xBF
    if 0xC2 <= lead <= 0xDF:
        size = 2
    elif 0xE0 <= lead <= 0xEF:
        size = 3
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED:
            high = 0x9F
    elif 0xF0 <= lead <= 0xF4:
        size = 4
        if lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
            high = 0x8F
    else:
        return 0
    if at + size > end or not low <= byte_at(buffer + at + 1) <= high:
        return 0
    for more in range(2, size):
        if not 0x80 <= byte_at(buffer + at + more) <= 0xBF:
            return 0
    return size


@inner
def _special(word: Any) -> Any:
    """Of eight bytes, the high bit of the first that is a quote, a backslash, a control character or above ASCII; bits
    above it mean nothing."""
    quotes, slashes = word ^ _QUOTES, word ^ _SLASHES
    found = (quotes - _ONES) & ~quotes | (slashes - _ONES) & ~slashes | (word - _SPACES) & ~word | word
    return found & HIGH_BITS


@inner
def is_plain(word: Any) -> Any:
    """Whether none of eight bytes is a quote, a backslash, a control character or above ASCII."""
    return _special(word) == NO_BITS


@inlined
def string_end(buffer: int, at: int, end: int) -> tuple[int, bool]:
    """(where the closing quote of the string is whose text starts at `at`, whether it has escapes); -1: none, or it is
    not valid. Escapes are checked when they are undone."""
    escaped = False
    while at < end:
        if at + 32 <= end:
            specials = special_of_32(buffer + at)
            if specials == NO_BITS:
                at += 32
                continue
            at += first_bit(specials)
            byte = byte_at(buffer + at)
        elif at + 8 <= end:
            special = _special(word_at(buffer + at))
            if special == NO_BITS:
                at += 8
                continue
            at += first_bit(special) >> 3
            byte = byte_at(buffer + at)
        else:
            byte = byte_at(buffer + at)
            if 32 <= byte < 128 and byte != 34 and byte != 92:
                at += 1
                continue
        if byte < 32:
            return -1, escaped
        if byte == 34:
            return at, escaped
        if byte == 92:
            escaped = True
            at += 2
        else:
            size = utf8_size(buffer, at, end)
            if size == 0:
                return -1, escaped
            at += size
    return -1, escaped


@inner
def _hex4(buffer: int, at: int, end: int) -> int:
    """Four hexadecimal digits; -1 if they are not."""
    if at + 4 > end:
        return -1
    value = 0
    for place in range(4):
        digit = byte_at(buffer + at + place)
        if 48 <= digit <= 57:
            digit -= 48
        elif 65 <= digit <= 70:
            digit -= 55
        elif 97 <= digit <= 102:
            digit -= 87
        else:
            return -1
        value = value * 16 + digit
    return value


@inner
def _put_character(code: int, into: int, to: int) -> int:
    """Write a code point as UTF-8; gives where it ends."""
    if code < 0x80:
        put_byte(into + to, code)
        return to + 1
    if code < 0x800:
        put_byte(into + to, 0xC0 | (code >> 6))
        put_byte(into + to + 1, 0x80 | (code & 0x3F))
        return to + 2
    if code < 0x10000:
        put_byte(into + to, 0xE0 | (code >> 12))
        put_byte(into + to + 1, 0x80 | ((code >> 6) & 0x3F))
        put_byte(into + to + 2, 0x80 | (code & 0x3F))
        return to + 3
    put_byte(into + to, 0xF0 | (code >> 18))
    put_byte(into + to + 1, 0x80 | ((code >> 12) & 0x3F))
    put_byte(into + to + 2, 0x80 | ((code >> 6) & 0x3F))
    put_byte(into + to + 3, 0x80 | (code & 0x3F))
    return to + 4


@inner
def _simple_escape(byte: int) -> int:
    """The character a one-letter escape stands for; -1 if there is none."""
    if byte == 34 or byte == 92 or byte == 47:
        return byte
    if byte == 98:
        return 8
    if byte == 102:
        return 12
    if byte == 110:
        return 10
    if byte == 114:
        return 13
    return 9 if byte == 116 else -1


@inner
def _unicode_escape(buffer: int, at: int, end: int) -> Any:
    r"""(code point, where it ends) of the four digits after \u, with a second half if it needs one; (-1, at) if bad."""
    code = _hex4(buffer, at, end)
    at += 4
    if code < 0 or 0xDC00 <= code <= 0xDFFF:
        return -1, at
    if 0xD800 <= code <= 0xDBFF:
        if at + 6 > end or byte_at(buffer + at) != 92 or byte_at(buffer + at + 1) != 117:
            return -1, at
        low = _hex4(buffer, at + 2, end)
        if not 0xDC00 <= low <= 0xDFFF:
            return -1, at
        return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00), at + 6
    return code, at


@inner
def _character(buffer: int, at: int, end: int) -> Any:
    """(code point of the escape, or the byte, at `at`, where it ends); -1: a bad escape."""
    if byte_at(buffer + at) != 92:
        return byte_at(buffer + at), at + 1
    if at + 1 >= end:
        return -1, at
    letter = byte_at(buffer + at + 1)
    if letter == 117:
        return _unicode_escape(buffer, at + 2, end)
    return _simple_escape(letter), at + 2


@inner
def unescape(buffer: int, at: int, end: int, into: int, to: int) -> int:
    """Write the text between quotes with its escapes undone (never longer); gives where it ends, -1 if bad."""
    while at < end:
        if byte_at(buffer + at) != 92:
            put_byte(into + to, byte_at(buffer + at))
            to += 1
            at += 1
            continue
        code, at = _character(buffer, at, end)
        if code < 0:
            return -1
        to = _put_character(code, into, to)
    return to


@inner
def is_digit(byte: int) -> bool:
    """Whether a byte is one of the ten digits."""
    return 48 <= byte <= 57


@inner
def _number_end(buffer: int, at: int, end: int) -> int:
    """Where the number at `at` ends; -1 if it is not well-formed, or so large that it may be out of range."""
    if at < end and byte_at(buffer + at) == 45:
        at += 1
    begin = at
    while at < end and is_digit(byte_at(buffer + at)):
        at += 1
    whole = at - begin
    if whole == 0 or whole > 18 or (whole > 1 and byte_at(buffer + begin) == 48):
        return -1
    if at < end and byte_at(buffer + at) == 46:
        at += 1
        begin = at
        while at < end and is_digit(byte_at(buffer + at)):
            at += 1
        if at == begin or at - begin > 40:
            return -1
    if at < end and (byte_at(buffer + at) == 101 or byte_at(buffer + at) == 69):
        at += 1
        if at < end and (byte_at(buffer + at) == 43 or byte_at(buffer + at) == 45):
            at += 1
        begin = at
        while at < end and is_digit(byte_at(buffer + at)):
            at += 1
        if at == begin or at - begin > 2:
            return -1
    return at


@inner
def _word_end(buffer: int, at: int, end: int) -> int:
    """Where true, false or null ends; -1 if it is neither."""
    if at + 4 <= end:
        a, b, c, d = byte_at(buffer + at), byte_at(buffer + at + 1), byte_at(buffer + at + 2), byte_at(buffer + at + 3)
        if (a == 116 and b == 114 and c == 117 and d == 101) or (a == 110 and b == 117 and c == 108 and d == 108):
            return at + 4
        if a == 102 and b == 97 and c == 108 and d == 115 and at + 5 <= end and byte_at(buffer + at + 4) == 101:
            return at + 5
    return -1


@inner
def _escapes_hold(buffer: int, at: int, end: int) -> bool:
    """Whether the escapes of a string that nobody reads are good ones."""
    while at < end:
        code, at = _character(buffer, at, end)
        if code < 0:
            return False
    return True


@inner
def _scalar_end(buffer: int, at: int, end: int) -> int:
    """Where the string, number or word at `at` ends; -1 if it is not well-formed."""
    byte = byte_at(buffer + at)
    if byte == 34:
        close, escaped = string_end(buffer, at + 1, end)
        if close < 0 or (escaped and not _escapes_hold(buffer, at + 1, close)):
            return -1
        return close + 1
    if byte == 45 or is_digit(byte):
        return _number_end(buffer, at, end)
    return _word_end(buffer, at, end)


@inner
def _key_end(buffer: int, at: int, end: int) -> int:
    """After the key at `at` and its colon, where the value begins; -1 if there is no key."""
    if at >= end or byte_at(buffer + at) != 34:
        return -1
    at = _scalar_end(buffer, at, end)
    if at < 0:
        return -1
    at = space_end(buffer, at, end)
    if at >= end or byte_at(buffer + at) != 58:
        return -1
    return space_end(buffer, at + 1, end)


@inner
def _after_value(buffer: int, at: int, end: int, kinds: int, depth: int) -> Any:
    """(where the next value begins, kinds, depth) after a value ended at `at`, closing what ends there; depth 0:
    nothing is open any more, the position is the end; position -1: not well-formed."""
    while depth > 0:
        at = space_end(buffer, at, end)
        if at >= end:
            return -1, kinds, depth
        byte, is_object = byte_at(buffer + at), (kinds & 1) == 1
        at += 1
        if byte == 44:
            at = space_end(buffer, at, end)
            return (_key_end(buffer, at, end) if is_object else at), kinds, depth
        if byte != (125 if is_object else 93):
            return -1, kinds, depth
        kinds >>= 1
        depth -= 1
    return at, kinds, depth


@inner
def value_end(buffer: int, at: int, end: int) -> int:
    """Where the value at `at` ends, whatever it is; -1 if it is not well-formed or too deep."""
    kinds, depth = 0, 0  # of what is open: one bit a level, 1 for an object
    while at >= 0:
        byte = byte_at(buffer + at) if at < end else 0
        if byte == 123 or byte == 91:
            if depth == _NESTING_MAX:
                return -1
            at = space_end(buffer, at + 1, end)
            kinds, depth = kinds << 1 | (byte == 123), depth + 1
            if at >= end or byte_at(buffer + at) != byte + 2:  # not empty: a bracket closes two above where it opens
                if byte == 123:
                    at = _key_end(buffer, at, end)
                continue
        else:
            at = _scalar_end(buffer, at, end) if at < end else -1
            if at < 0:
                return -1
        at, kinds, depth = _after_value(buffer, at, end, kinds, depth)
        if depth == 0:
            return at
    return -1
