"""PRINTF: Java's format strings (`java.util.Formatter`), the part of them that numbers and text need.

A format that Java refuses for these arguments gives NULL, as in Flink. Conversions: `%s %S %b %B %c %d %x %X %o %f %e
%E %% %n`; flags `- + space 0 , ( #`, width and precision.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from nextpaint.process.functions.evaluation import Evaluation, Held, Operand, cells_of, hold, made
from nextpaint.process.functions.number_text import double_text
from nextpaint.record.types import INTEGER_BITS, INTEGERS, Kind, Type
from nextpaint.sql.plan import Call

_DIRECTIVE = re.compile(
    r"%(?:(?P<index>\d+)\$)?(?P<flags>[-#+ 0,(]*)(?P<width>\d+)?(?:\.(?P<precision>\d+))?(?P<kind>[a-zA-Z%])"
)
_WIDTH_MAX = 1_000
_WIDE = Context(prec=2_000, rounding=ROUND_HALF_UP)


class _Illegal(Exception):
    """The format does not fit its arguments."""


def build_printf(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """PRINTF(format, arguments...). NULL arguments print as `null`."""
    runs = [each.run for each in operands]
    types = [each.type for each in operands[1:]]

    def kernel(ev: Evaluation) -> Held:
        columns = [cells_of(run(ev)) for run in runs]
        return hold(call.type, [_printed(line[0], line[1:], types) for line in zip(*columns, strict=True)])

    return made(call.type, kernel, operands)


def _printed(text: str | None, values: Sequence[Any], types: Sequence[Type]) -> str | None:
    if text is None:
        return None
    parts: list[str] = []
    place = taken = 0
    try:
        while place < len(text):
            if text[place] != "%":
                end = text.find("%", place)
                end = len(text) if end < 0 else end
                parts.append(text[place:end])
                place = end
                continue
            found = _DIRECTIVE.match(text, place)
            if found is None:
                return None
            place = found.end()
            if found["kind"] in "%n":
                parts.append(_padded("%", found) if found["kind"] == "%" else "\n")
                continue
            index = int(found["index"]) - 1 if found["index"] else taken
            taken += not found["index"]
            if not 0 <= index < len(values):
                return None
            parts.append(_one(found, values[index], types[index]))
    except _Illegal:
        return None
    return "".join(parts)


def _one(found: re.Match[str], value: Any, type_: Type) -> str:
    kind = found["kind"]
    if kind in "sSbB":
        shown = _text(value, type_) if kind in "sS" else str(value if type_.kind is Kind.BOOLEAN else value is not None)
        shown = shown.lower() if kind in "bB" and value is not None else "false" if kind in "bB" else shown
    elif kind not in "dxXofeEc":
        raise _Illegal
    elif value is None:
        shown = "null"
    elif kind == "c":
        if type_.kind is not Kind.INT:
            raise _Illegal
        return _padded(chr(value), found)
    elif kind in "dxXo":
        return _whole(found, value, type_)
    else:
        return _real(found, value, type_)
    if found["precision"] is not None:
        shown = shown[: int(found["precision"])]
    return _padded(shown.upper() if kind in "SBXE" else shown, found)


def _text(value: Any, type_: Type) -> str:
    if value is None:
        return "null"
    if type_.kind is Kind.BOOLEAN:
        return str(value).lower()
    return double_text(value) if isinstance(value, float) else str(value)


def _whole(found: re.Match[str], value: Any, type_: Type) -> str:
    if type_.kind not in INTEGERS or found["precision"] is not None:
        raise _Illegal
    if found["kind"] == "d":
        return _signed(found, f"{abs(value):,}" if "," in found["flags"] else str(abs(value)), value < 0)
    bits = value & (2 ** INTEGER_BITS[type_.kind] - 1)
    shown = format(bits, found["kind"])
    if "#" in found["flags"]:
        shown = ("0" if found["kind"] == "o" else "0x" if found["kind"] == "x" else "0X") + shown
    return _signed(found, shown, False)


def _real(found: re.Match[str], value: Any, type_: Type) -> str:
    if type_.kind not in (Kind.DOUBLE, Kind.FLOAT, Kind.DECIMAL):
        raise _Illegal
    if isinstance(value, float) and value != value:
        return _padded("NaN", found)
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return _signed(found, "Infinity", value < 0)
    digits = int(found["precision"] or 6)
    if digits > _WIDTH_MAX:
        raise _Illegal
    exact = Decimal(repr(value)) if isinstance(value, float) else value
    if found["kind"] == "f":
        rounded = _WIDE.quantize(abs(exact), Decimal(1).scaleb(-digits))
        shown = f"{rounded:,f}" if "," in found["flags"] else f"{rounded:f}"
    else:
        shown = f"{abs(exact):.{digits}e}"
        mantissa, _, exponent = shown.partition("e")
        shown = f"{mantissa}e{int(exponent):+03d}" if exact else f"{0:.{digits}f}e+00"
        shown = shown.upper() if found["kind"] == "E" else shown
    return _signed(found, shown, exact.is_signed())


def _signed(found: re.Match[str], digits: str, negative: bool) -> str:
    flags = found["flags"]
    before = "-" if negative else "+" if "+" in flags else " " if " " in flags else ""
    after = ""
    if negative and "(" in flags:
        before, after = "(", ")"
    width = _width(found)
    if "0" in flags and width:
        digits = digits.rjust(width - len(before) - len(after), "0")
    return _padded(before + digits + after, found)


def _width(found: re.Match[str]) -> int:
    width = int(found["width"] or 0)
    if width > _WIDTH_MAX:
        raise _Illegal
    return width


def _padded(shown: str, found: re.Match[str]) -> str:
    width = _width(found)
    return shown.ljust(width) if "-" in found["flags"] else shown.rjust(width)


FUNCTIONS = {"PRINTF": build_printf}
