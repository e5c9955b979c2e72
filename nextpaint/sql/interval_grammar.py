"""Interval literals: `INTERVAL '5' MINUTE`, `INTERVAL '1 02:03:04.5' DAY TO SECOND`, `INTERVAL '1-2' YEAR TO MONTH`.

The leading number has at most two digits unless a precision is written (`DAY(3)`), as in Flink.
"""

from __future__ import annotations

import re

from nextpaint.sql.cursor import Cursor
from nextpaint.sql.plan import At
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.syntax import IntervalLiteral

_UNIT_MS = {"WEEK": 604_800_000, "DAY": 86_400_000, "HOUR": 3_600_000, "MINUTE": 60_000, "SECOND": 1000}
_UNIT_MONTHS = {"YEAR": 12, "QUARTER": 3, "MONTH": 1}
_PLURAL = {f"{unit}S": unit for unit in (*_UNIT_MS, *_UNIT_MONTHS)}
_ORDER = ("YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "SECOND")
_PRECISION_DEFAULT = 2
_SINGLE = re.compile(r"\s*([+-]?)(\d+)(?:\.(\d+))?\s*\Z")


def parse_interval(cursor: Cursor) -> IntervalLiteral:
    """The literal at the cursor, in milliseconds or months."""
    start = cursor.expect("INTERVAL").at
    sign = -1 if cursor.take("-") else 1
    if sign == 1:
        cursor.take("+")
    at = cursor.at
    text = cursor.string("an interval's length")
    first, precision, _ = _unit(cursor)
    last = first
    if cursor.take("TO"):
        last, _, last_at = _unit(cursor)
        if (
            first not in _ORDER
            or last not in _ORDER
            or _ORDER.index(last) <= _ORDER.index(first)
            or (first in _UNIT_MONTHS) != (last in _UNIT_MONTHS)
        ):
            raise Refusal(f"{first} TO {last} is not an interval", last_at, "go from the larger unit to the smaller")
    if first == last:
        amount = _single(text, first, precision, at)
    else:
        amount = _compound(text, first, last, at)
    return IntervalLiteral(sign * amount, first in _UNIT_MONTHS, start)


def _unit(cursor: Cursor) -> tuple[str, int, At]:
    token = cursor.current
    unit = _PLURAL.get(token.upper, token.upper)
    if unit not in _UNIT_MS and unit not in _UNIT_MONTHS:
        raise Refusal(
            f"expected a unit but found {token}",
            token.at,
            "YEAR, MONTH, DAY, HOUR, MINUTE or SECOND, outside the quotes",
        )
    cursor.advance()
    precision = _PRECISION_DEFAULT
    if cursor.take("("):
        precision = cursor.integer("a number of digits")
        if cursor.take(","):
            cursor.integer("a number of fraction digits")
        cursor.expect(")")
    return unit, precision, token.at


def _single(text: str, unit: str, precision: int, at: At) -> int:
    match = _SINGLE.match(text)
    if not match or (match.group(3) and unit != "SECOND"):
        raise Refusal(f"'{text}' is not a number of {unit.lower()}s", at, f"for example INTERVAL '5' {unit}")
    sign = -1 if match.group(1) == "-" else 1
    digits = match.group(2).lstrip("0")
    if len(digits) > precision:
        raise Refusal(
            f"{match.group(2)} has more digits than {unit}({precision}) holds",
            at,
            f"write INTERVAL '{text}' {unit}({len(digits)})",
        )
    if unit in _UNIT_MONTHS:
        return sign * int(match.group(2)) * _UNIT_MONTHS[unit]
    return sign * (int(match.group(2)) * _UNIT_MS[unit] + _fraction_ms(match.group(3) or "", at))


def _fraction_ms(digits: str, at: At) -> int:
    if len(digits.rstrip("0")) > 3:
        raise Refusal("an interval finer than a millisecond", at, "use at most three fraction digits")
    return int((digits + "000")[:3])


_PARTS = {
    "DAY": r"(?P<DAY>\d{1,9})",
    "HOUR": r"(?P<HOUR>\d{1,2})",
    "MINUTE": r"(?P<MINUTE>\d{1,2})",
    "SECOND": r"(?P<SECOND>\d{1,2})(?:\.(?P<fraction>\d{1,9}))?",
}
_GLUE = {"DAY": r"\s+", "HOUR": ":", "MINUTE": ":"}


def _compound(text: str, first: str, last: str, at: At) -> int:
    if first == "YEAR":
        match = re.match(r"\s*([+-]?)(\d{1,9})-(\d{1,2})\s*\Z", text)
        if not match:
            raise Refusal(f"'{text}' is not an interval YEAR TO MONTH", at, "for example '1-2'")
        return (-1 if match.group(1) == "-" else 1) * (int(match.group(2)) * 12 + int(match.group(3)))
    units = _ORDER[_ORDER.index(first) : _ORDER.index(last) + 1]
    pattern = "".join(_PARTS[unit] + (_GLUE[unit] if unit != last else "") for unit in units)
    match = re.match(rf"\s*(?P<sign>[+-]?){pattern}\s*\Z", text)
    if not match:
        raise Refusal(f"'{text}' is not an interval {first} TO {last}", at, "for example '1 02:03:04.5' DAY TO SECOND")
    total = sum(int(match.group(unit)) * _UNIT_MS[unit] for unit in units)
    if last == "SECOND":
        total += _fraction_ms(match.group("fraction") or "", at)
    return -total if match.group("sign") == "-" else total
