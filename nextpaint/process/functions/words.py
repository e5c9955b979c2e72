"""More functions of text: splitting, replacing by place or letter, letters and their numbers, tests of spelling."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from nextpaint.process.functions.evaluation import Evaluation, Held, Operand, cells_of, hold, made
from nextpaint.process.functions.strings import Builder, plain
from nextpaint.sql.plan import Call


def _split(text: str, separator: str) -> list[str]:
    if not text:
        return []
    return text.split(separator) if separator else list(text)


def _overlay(text: str, replacement: str, start: int, length: int | None = None) -> str:
    """A start outside the text leaves it as it is, as in Flink."""
    if not 1 <= start <= len(text):
        return text
    length = len(replacement) if length is None else length
    if length < 0:
        return text
    return text[: start - 1] + replacement + text[start - 1 + length :]


def _translate(text: str, wanted: str, replacements: str) -> str:
    table: dict[int, str | None] = {}
    for index, letter in enumerate(wanted):
        table.setdefault(ord(letter), replacements[index] if index < len(replacements) else None)
    return text.translate(table)


def _instr(text: str, wanted: str, start: int = 1, nth: int = 1) -> int | None:
    """The place of the nth occurrence from `start`; a negative start counts, and searches, from the end."""
    if nth < 1:
        return None
    if start == 0:
        return 0
    if start > 0:
        place = start - 2
        for _ in range(nth):
            place = text.find(wanted, place + 1)
            if place < 0:
                return 0
        return place + 1
    place = len(text) + start + len(wanted)
    for _ in range(nth):
        place = text.rfind(wanted, 0, place)
        if place < 0:
            return 0
        found = place
        place = place + len(wanted) - 1
    return found + 1


def build_elt(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """ELT: the argument with that number; NULL when there is none."""
    runs = [each.run for each in operands]

    def kernel(ev: Evaluation) -> Held:
        columns = [cells_of(run(ev)) for run in runs]
        lines = zip(*columns, strict=True)
        chosen = [line[line[0]] if line[0] is not None and 1 <= line[0] < len(line) else None for line in lines]
        return hold(call.type, chosen)

    return made(call.type, kernel, operands)


def _ascii(text: str) -> int:
    """The first byte of the UTF-8 text, signed; 0 for an empty text."""
    first = text[:1].encode("utf-8", "surrogatepass")[:1]
    return int.from_bytes(first, "big", signed=True) if first else 0


def _chr(number: int) -> str:
    return "" if number < 0 else chr(number & 255)


_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){0,3}\Z")


def _inet_aton(text: str) -> int | None:
    """The number of an IPv4 address; of fewer than four parts the last is the last byte, as in MySQL."""
    if _ADDRESS.match(text) is None:
        return None
    *first, last = [int(part) for part in text.split(".")]
    parts = [*first, *[0] * (3 - len(first)), last]
    return int.from_bytes(parts, "big") if max(parts) < 256 else None


def _inet_ntoa(number: int) -> str | None:
    return ".".join(map(str, number.to_bytes(4, "big"))) if 0 <= number < 2**32 else None


def _is_decimal(text: str) -> bool:
    try:
        return Decimal(text).is_finite() if text and text == text.strip() and "_" not in text else False
    except InvalidOperation:
        return False


def build_known(test: Any) -> Builder:
    """A test of spelling: FALSE for NULL."""

    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        run = operands[0].run
        return made(
            call.type,
            lambda ev: hold(call.type, [cell is not None and test(cell) for cell in cells_of(run(ev))]),
            operands,
        )

    return build


_DIGITS = re.compile(r"[0-9]+\Z")
_LETTERS = re.compile(r"[^\W\d_]+\Z")

FUNCTIONS: dict[str, Builder] = {
    "SPLIT": plain(_split),
    "OVERLAY": plain(_overlay),
    "TRANSLATE": plain(_translate),
    "INSTR": plain(_instr),
    "ELT": build_elt,
    "ASCII": plain(_ascii),
    "CHR": plain(_chr),
    "INET_ATON": plain(_inet_aton),
    "INET_NTOA": plain(_inet_ntoa),
    "IS_DECIMAL": build_known(_is_decimal),
    "IS_DIGIT": build_known(lambda text: _DIGITS.match(text) is not None),
    "IS_ALPHA": build_known(lambda text: _LETTERS.match(text) is not None),
}
