"""Functions of text. Characters are code points and positions count from 1, as in Flink.

Any NULL argument makes the result NULL, except in CONCAT_WS, which leaves NULL values out.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from itertools import repeat
from typing import Any

from nextpaint.process.functions import patterns, text_places
from nextpaint.process.functions.casts import widen
from nextpaint.process.functions.evaluation import (
    Evaluation,
    Failed,
    Held,
    Operand,
    cells_of,
    constant,
    hold,
    lift,
    made,
)
from nextpaint.record.types import INT, STRING, Kind
from nextpaint.sql.plan import Call

_SPACE = re.compile(r"\s")
_LONGEST = 16_777_216  # characters one call may make: REPEAT and LPAD of hostile lengths fail their row

Builder = Callable[[Call, tuple[Operand, ...]], Operand]


def plain(function: Callable[..., Any], *, fallible: bool = False) -> Builder:
    """Builder of a function of Python values that is NULL for NULL."""

    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        return made(call.type, lift(call.type, function, operands), operands, fallible=fallible)

    return build


def _as_text(operands: tuple[Operand, ...]) -> tuple[Operand, ...]:
    return tuple([each if each.type.kind in (Kind.STRING, Kind.BYTES) else widen(each, STRING) for each in operands])


def build_concat(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """CONCAT and ||, of text or of bytes."""
    operands = _as_text(operands)
    return made(call.type, lift(call.type, _concat, operands), operands)


def _concat(*parts: Any) -> Any:
    return parts[0][:0].join(parts)


def build_concat_ws(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """CONCAT_WS: (separator, parts...); NULL parts are left out."""
    operands = _as_text(operands)
    runs = [(each.run, each.constant, each.value) for each in operands]

    def kernel(ev: Evaluation) -> Held:
        columns = [repeat(value, ev.length) if fixed else cells_of(run(ev)) for run, fixed, value in runs]
        lines = zip(*columns, strict=True)
        joined = [None if line[0] is None else line[0].join([x for x in line[1:] if x is not None]) for line in lines]
        return hold(call.type, joined)

    return made(call.type, kernel, operands)


# ---------------------------------------------------------------- parts


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if length is not None and length < 0:
        return None
    begin = start - 1 if start > 0 else len(text) + start if start < 0 else 0
    if begin < 0:
        return ""
    return text[begin:] if length is None else text[begin : begin + length]


def _substring_places(start: int, length: int | None = None) -> text_places.Part | None:
    return None if length is not None and length < 0 else text_places.substring(start, length)


def _in_ascii(function: Callable[..., Any], part: Callable[..., text_places.Part | None]) -> Builder:
    """A function of text whose further arguments, where they are constants, make a `part` of places."""

    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        operand = plain(function)(call, operands)
        source, *rest = operands
        if source.type.kind is not Kind.STRING or any(each.value is None for each in rest):
            return operand
        found = part(*[each.value for each in rest])
        return operand if found is None else text_places.of_ascii(operand, source, found)

    return build


def build_length(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """CHAR_LENGTH, in characters."""
    operand = plain(len)(call, operands)
    return text_places.counted(operand, operands[0]) if operands[0].type.kind is Kind.STRING else operand


def _left(text: str, count: int) -> str:
    return text[: max(count, 0)]


def _right(text: str, count: int) -> str:
    return text[-count:] if count > 0 else ""


def _locate(wanted: str, text: str, start: int = 1) -> int:
    return text.find(wanted, max(start - 1, 0)) + 1


def _split_index(text: str, separator: str | int, index: int) -> str | None:
    """The part at `index`, from 0; a number is the separator's code point, an empty separator any white space."""
    if isinstance(separator, int):
        separator = chr(separator) if 0 < separator < 0x110000 else ""
    if index < 0 or not text:
        return None
    parts = text.split(separator) if separator else _SPACE.split(text)
    return parts[index] if index < len(parts) else None


def build_trim(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """TRIM: (text) or (text, characters), option side; without characters it takes spaces off."""
    side = dict(call.options).get("side", "BOTH")
    return _trim(str(side))(call, operands)


def _trim(side: str) -> Builder:
    if side not in _STRIPS:
        raise ValueError(f"TRIM knows the sides {', '.join(_STRIPS)}, not {side}")
    strip = _STRIPS[side]

    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        operands = operands if len(operands) == 2 else (operands[0], constant(STRING, " "))
        return made(call.type, lift(call.type, strip, operands), operands)

    return build


_STRIPS: dict[str, Callable[[str, str], str]] = {"BOTH": str.strip, "LEADING": str.lstrip, "TRAILING": str.rstrip}


# ---------------------------------------------------------------- forms


def _bounded(length: int) -> None:
    if length > _LONGEST:
        raise Failed(f"a text of {length} characters is longer than {_LONGEST}")


def _filling(pad: str, count: int) -> str:
    return (pad * (count // len(pad) + 1))[:count]


def _lpad(text: str, length: int, pad: str) -> str | None:
    if length < 0 or not pad:
        return None
    _bounded(length)
    return text[:length] if length <= len(text) else _filling(pad, length - len(text)) + text


def _rpad(text: str, length: int, pad: str) -> str | None:
    if length < 0 or not pad:
        return None
    _bounded(length)
    return text[:length] if length <= len(text) else text + _filling(pad, length - len(text))


def _repeat(text: str, count: int) -> str:
    _bounded(len(text) * count)
    return text * count


def _initcap(text: str) -> str:
    """Only ASCII letters and digits make words, as in Flink."""
    letters = []
    inside = False
    for letter in text:
        letters.append(letter.lower() if inside else letter.upper())
        inside = letter.isascii() and letter.isalnum()
    return "".join(letters)


def _reverse(text: str) -> str:
    return text[::-1]


def _md5(text: str | bytes) -> str:
    return hashlib.md5(_bytes(text), usedforsecurity=False).hexdigest()


def _sha256(text: str | bytes) -> str:
    return hashlib.sha256(_bytes(text)).hexdigest()


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


# ---------------------------------------------------------------- patterns


def by_pattern(function: Callable[..., Any]) -> Builder:
    """A function of (text, pattern, ...): a constant pattern that may never end is refused, another fails its row."""

    def guarded(text: str, pattern: str, *rest: Any) -> Any:
        try:
            return function(text, pattern, *rest)
        except ValueError as wrong:
            raise Failed(str(wrong)) from None

    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        if operands[1].constant and operands[1].value is not None:
            patterns.java_regex(str(operands[1].value))
        return made(call.type, lift(call.type, guarded, operands), operands, fallible=True)

    return build


def build_similar(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """SIMILAR TO: (text, pattern), option escape."""
    found = dict(call.options).get("escape")
    escape = None if found is None else str(found)
    if operands[1].constant and operands[1].value is not None:
        patterns.similar(str(operands[1].value), escape)

    def match(text: str, pattern: str) -> bool:
        try:
            return patterns.similar(pattern, escape).fullmatch(text) is not None
        except ValueError as wrong:
            raise Failed(str(wrong)) from None

    return made(call.type, lift(call.type, match, operands), operands, fallible=True)


def build_like(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """LIKE: (text, pattern), option escape."""
    escape = dict(call.options).get("escape")
    escape = None if escape is None else str(escape)
    if escape is not None and len(escape) != 1:
        raise ValueError(f"the escape of LIKE is one character, not {escape!r}")
    if operands[1].constant and operands[1].value is not None:
        matches = patterns.like(str(operands[1].value), escape)
        operand = made(call.type, lift(call.type, matches, operands[:1]), operands)
        ends = patterns.ends(str(operands[1].value), escape)
        return operand if ends is None else text_places.matched(operand, operands[0], *ends)

    def match(text: str, pattern: str) -> bool:
        try:
            return patterns.like(pattern, escape)(text)
        except ValueError as wrong:
            raise Failed(str(wrong)) from None

    return made(call.type, lift(call.type, match, operands), operands, fallible=True)


def build_locate(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """LOCATE: (wanted, text[, from])."""
    return plain(_locate)(call, (*operands[:2], *[widen(each, INT) for each in operands[2:]]))


FUNCTIONS: dict[str, Builder] = {
    "||": build_concat,
    "CONCAT": build_concat,
    "CONCAT_WS": build_concat_ws,
    "UPPER": _in_ascii(str.upper, lambda: text_places.upper),
    "LOWER": _in_ascii(str.lower, lambda: text_places.lower),
    "INITCAP": plain(_initcap),
    "TRIM": build_trim,
    "BTRIM": _trim("BOTH"),
    "LTRIM": _trim("LEADING"),
    "RTRIM": _trim("TRAILING"),
    "SUBSTRING": _in_ascii(_substring, _substring_places),
    "LEFT": _in_ascii(_left, text_places.left),
    "RIGHT": _in_ascii(_right, text_places.right),
    "CHAR_LENGTH": build_length,
    "REPLACE": plain(str.replace),
    "POSITION": plain(_locate),
    "LOCATE": build_locate,
    "SPLIT_INDEX": plain(_split_index),
    "REGEXP": by_pattern(patterns.regexp),
    "REGEXP_EXTRACT": by_pattern(patterns.regexp_extract),
    "REGEXP_EXTRACT_ALL": by_pattern(patterns.regexp_extract_all),
    "REGEXP_REPLACE": by_pattern(patterns.regexp_replace),
    "REGEXP_COUNT": by_pattern(patterns.regexp_count),
    "REGEXP_INSTR": by_pattern(patterns.regexp_instr),
    "REGEXP_SUBSTR": by_pattern(patterns.regexp_substr),
    "SIMILAR": build_similar,
    "LIKE": build_like,
    "LPAD": plain(_lpad, fallible=True),
    "RPAD": plain(_rpad, fallible=True),
    "REPEAT": plain(_repeat, fallible=True),
    "REVERSE": plain(_reverse),
    "STARTSWITH": plain(str.startswith),
    "ENDSWITH": plain(str.endswith),
    "MD5": plain(_md5),
    "SHA256": plain(_sha256),
}
