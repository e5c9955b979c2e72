"""Functions of dates, times, timestamps and intervals, and + and - where one of them takes part.

The session's time zone is UTC, so TIMESTAMP and TIMESTAMP_LTZ hold the same numbers. The clock is the ledger's
(`Evaluation.at_ms`), per row if the caller gives it per row.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from nextpaint.process.functions import calendar, numbers, time_text
from nextpaint.process.functions.casts import TIMESTAMPS, widen
from nextpaint.process.functions.evaluation import Evaluation, Failed, Held, Operand, both, lift, made
from nextpaint.process.functions.text_places import by_unit
from nextpaint.process.functions.time_text import DAY_MS
from nextpaint.record.columns import AnyArray, IntArray
from nextpaint.record.types import BIGINT, INTEGERS, STRING, TIMESTAMP, Kind, Type
from nextpaint.sql.plan import Call

Builder = Callable[[Call, tuple[Operand, ...]], Operand]

_INTERVALS = (Kind.INTERVAL_DAY, Kind.INTERVAL_YEAR)
_TIMES = (*TIMESTAMPS, Kind.DATE, Kind.TIME)


# ---------------------------------------------------------------- + - *


def build_plus(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """+: a time and an interval in either order, two intervals, or numbers."""
    if len(operands) == 2 and call.type.kind in _TIMES:
        time, interval = operands if operands[0].type.kind in _TIMES else operands[::-1]
        return _shifted(call.type, time, interval, 1)
    return numbers.build_plus(call, operands)


def build_minus(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """-: a time and an interval, two times (an interval), or numbers."""
    if len(operands) == 2 and call.type.kind in _TIMES:
        return _shifted(call.type, operands[0], operands[1], -1)
    if call.type.kind in _INTERVALS and len(operands) == 2 and operands[0].type.kind in _TIMES:
        end, start = [_in_ms(each) for each in operands]
        if call.type.kind is Kind.INTERVAL_YEAR:
            return _of_two(call.type, end, start, calendar.months_between)
        return _of_two(call.type, end, start, np.subtract)
    return numbers.build_minus(call, operands)


def _whole(call: Call, operands: tuple[Operand, ...]) -> tuple[Operand, ...]:
    """The numbers beside an interval as whole numbers."""
    if call.type.kind not in _INTERVALS:
        return operands
    return tuple([each if each.type.kind in (*_INTERVALS, *INTEGERS) else widen(each, BIGINT) for each in operands])


def build_times(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """*: an interval and a number, or numbers."""
    return numbers.build_times(call, _whole(call, operands))


def build_divide(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """/: an interval and a number, or numbers."""
    quotient: Operand = numbers.build_divide(call, _whole(call, operands))
    return quotient


def _in_ms(operand: Operand) -> Operand:
    """A date as its first millisecond."""
    return widen(operand, TIMESTAMP) if operand.type.kind is Kind.DATE else operand


def _of_two(type_: Type, first: Operand, second: Operand, function: Callable[[Any, Any], AnyArray]) -> Operand:
    def kernel(ev: Evaluation) -> Held:
        x, x_valid = first.run(ev)
        y, y_valid = second.run(ev)
        return function(x, y), both(x_valid, y_valid)

    return made(type_, kernel, (first, second))


def _shifted(type_: Type, time: Operand, interval: Operand, sign: int) -> Operand:
    """`time` plus or minus an interval, as `type_`: a DATE keeps whole days, a TIME goes round the clock."""
    if type_.kind in TIMESTAMPS:
        time = _in_ms(time)
    if interval.type.kind is Kind.INTERVAL_YEAR:
        if time.type.kind is Kind.DATE:
            return _of_two(type_, time, interval, lambda days, n: calendar.add_months(days, sign * n))
        return _of_two(type_, time, interval, lambda ms, n: _months_later(ms, sign * n))
    if time.type.kind is Kind.DATE:
        return _of_two(type_, time, interval, lambda days, ms: (days * DAY_MS + sign * ms) // DAY_MS)
    if time.type.kind is Kind.TIME:
        return _of_two(type_, time, interval, lambda at, ms: (at + sign * ms) % DAY_MS)
    return _of_two(type_, time, interval, np.add if sign == 1 else np.subtract)


def _months_later(ms: IntArray, months: IntArray) -> IntArray:
    days = ms // DAY_MS
    return calendar.add_months(days, months) * DAY_MS + (ms - days * DAY_MS)


# ---------------------------------------------------------------- units


def _unit(call: Call) -> str:
    return calendar.unit_of(dict(call.options).get("unit"))


def build_add(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """TIMESTAMPADD: (count, time), option unit."""
    unit, (count, time) = _unit(call), operands
    if call.type.kind in TIMESTAMPS:
        time = _in_ms(time)
    if unit in calendar.UNIT_MONTHS:
        months = calendar.UNIT_MONTHS[unit]
        add = calendar.add_months if time.type.kind is Kind.DATE else _months_later
        return _of_two(call.type, time, count, lambda at, n: add(at, n * months))
    if unit not in calendar.UNIT_MS:
        raise ValueError(f"the unit {unit} is not known")
    length = calendar.UNIT_MS[unit]
    if time.type.kind is Kind.DATE:
        return _of_two(call.type, time, count, lambda days, n: (days * DAY_MS + n * length) // DAY_MS)
    if time.type.kind is Kind.TIME:
        return _of_two(call.type, time, count, lambda at, n: (at + n * length) % DAY_MS)
    return _of_two(call.type, time, count, lambda ms, n: ms + n * length)


def build_difference(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """TIMESTAMPDIFF: (from, to), option unit: to - from in whole units, truncated toward zero."""
    unit = _unit(call)
    start, end = [_in_ms(each) for each in operands]
    if unit in calendar.UNIT_MONTHS:
        months = calendar.UNIT_MONTHS[unit]
        return _of_two(call.type, end, start, lambda y, x: _divided(calendar.months_between(y, x), months))
    if unit not in calendar.UNIT_MS:
        raise ValueError(f"the unit {unit} is not known")
    length = calendar.UNIT_MS[unit]
    narrow = call.type.kind is Kind.INT

    def difference(y: IntArray, x: IntArray) -> AnyArray:
        units = _divided(y - x, length)
        return units.astype(np.int32).astype(np.int64) if narrow else units

    return _of_two(call.type, end, start, difference)


def _divided(values: IntArray, divisor: int) -> AnyArray:
    return (values - np.fmod(values, divisor)) // divisor


def _of_one(type_: Type, operand: Operand, function: Callable[[IntArray], IntArray]) -> Operand:
    def kernel(ev: Evaluation) -> Held:
        values, valid = operand.run(ev)
        return function(values), valid

    return made(type_, kernel, (operand,))


def _toward_zero(length: int, within: int = 2**62) -> Callable[[IntArray], IntArray]:
    """Whole units of an amount, and what is left of them within the next larger one; both have the amount's sign."""

    def field(amounts: IntArray) -> IntArray:
        found: IntArray = np.sign(amounts) * (np.abs(amounts) // length % within)
        return found

    return field


_INTERVAL_FIELDS: dict[tuple[Kind, str], Callable[[IntArray], IntArray]] = {
    (Kind.INTERVAL_DAY, "DAY"): _toward_zero(DAY_MS),
    (Kind.INTERVAL_DAY, "HOUR"): _toward_zero(3_600_000, 24),
    (Kind.INTERVAL_DAY, "MINUTE"): _toward_zero(60_000, 60),
    (Kind.INTERVAL_DAY, "SECOND"): _toward_zero(1000, 60),
    (Kind.INTERVAL_DAY, "MILLISECOND"): _toward_zero(1, 1000),
    (Kind.INTERVAL_YEAR, "YEAR"): _toward_zero(12),
    (Kind.INTERVAL_YEAR, "QUARTER"): lambda months: np.sign(months) * (np.abs(months) % 12 // 3 + 1),
    (Kind.INTERVAL_YEAR, "MONTH"): _toward_zero(1, 12),
}


def build_extract(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """EXTRACT: (time or interval), option unit."""
    if operands[0].type.kind in _INTERVALS:
        return _of_one(call.type, operands[0], _INTERVAL_FIELDS[operands[0].type.kind, _unit(call)])
    if operands[0].type.kind is Kind.TIME:
        return _of_one(call.type, operands[0], calendar.field(_unit(call)))
    return _of_one(call.type, _in_ms(operands[0]), calendar.field(_unit(call)))


def _rounded(find: Callable[[str], Callable[[IntArray], IntArray]]) -> Builder:
    def build(call: Call, operands: tuple[Operand, ...]) -> Operand:
        function = find(_unit(call))
        if operands[0].type.kind is Kind.DATE:
            return _of_one(call.type, operands[0], lambda days: function(days * DAY_MS) // DAY_MS)
        return _of_one(call.type, operands[0], function)

    return build


# ---------------------------------------------------------------- text

_reader = lru_cache(maxsize=64)(time_text.reader)
_writer = lru_cache(maxsize=64)(time_text.writer)


def _find_timestamp(text: str, pattern: str) -> int | None:
    ms = _pattern(_reader, pattern)(text)
    return time_text.find_timestamp(text) if ms is None else ms


def _find_date(text: str, pattern: str | None = None) -> int | None:
    if pattern is not None:
        ms = _pattern(_reader, pattern)(text)
        return None if ms is None else ms // DAY_MS
    try:
        return time_text.read_date(text)
    except Failed:
        return None


def _format(ms: int, pattern: str) -> str:
    text: str = _pattern(_writer, pattern)(ms)
    return text


def _pattern(compiled: Callable[[str], Any], pattern: str) -> Any:
    try:
        return compiled(pattern)
    except ValueError as wrong:
        raise Failed(str(wrong)) from None


def _checked(operands: tuple[Operand, ...], compiled: Callable[[str], Any]) -> None:
    """A constant pattern is refused when it is compiled, not row by row."""
    if len(operands) == 2 and operands[1].constant and operands[1].value is not None:
        compiled(str(operands[1].value))


def build_to_timestamp(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """TO_TIMESTAMP: (text) or (text, pattern); NULL for text that cannot be read."""
    _checked(operands, _reader)
    if len(operands) == 1:
        return made(call.type, lift(call.type, time_text.find_timestamp, operands), operands)
    return made(call.type, lift(call.type, _find_timestamp, operands), operands, fallible=not operands[1].constant)


def build_to_timestamp_ltz(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """TO_TIMESTAMP_LTZ: (number[, 0 or 3]) of seconds or milliseconds, or as TO_TIMESTAMP."""
    if operands[0].type.kind is Kind.STRING:
        return build_to_timestamp(call, operands)
    precision = 3 if len(operands) == 1 else operands[1].value
    if precision not in (0, 3) or (len(operands) == 2 and not operands[1].constant):
        raise ValueError("the precision is 0 for seconds or 3 for milliseconds")
    factor = 1 if precision == 3 else 1000
    if operands[0].type.kind in INTEGERS:
        return _of_one(call.type, operands[0], lambda values: values * factor)

    def in_ms(value: Any) -> int | None:
        if not abs(value) < 2**53:  # NaN neither
            return None
        whole = int(value)
        # As Flink: the fraction of a second is cut to nanoseconds, then to milliseconds.
        return whole if factor == 1 else whole * 1000 + int(int((value - whole) * 1_000_000_000) / 1_000_000)

    return made(call.type, lift(call.type, in_ms, operands[:1]), operands)


def build_to_date(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """TO_DATE: (text) or (text, pattern); NULL for text that cannot be read."""
    _checked(operands, _reader)
    fallible = len(operands) == 2 and not operands[1].constant
    return made(call.type, lift(call.type, _find_date, operands), operands, fallible=fallible)


def build_date_format(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """DATE_FORMAT: (time or its text, pattern)."""
    _checked(operands, _writer)
    time, pattern = (operands[0] if operands[0].type.kind in TIMESTAMPS else widen(operands[0], TIMESTAMP)), operands[1]
    operand = made(STRING, lift(STRING, _format, (time, pattern)), (time, pattern), fallible=True)
    if time.is_null or not pattern.constant or pattern.value is None:
        return operand
    return by_unit(operand, time, time_text.unit_ms(str(pattern.value)), _writer(str(pattern.value)))


# ---------------------------------------------------------------- the clock


def build_now(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """CURRENT_TIMESTAMP, LOCALTIMESTAMP, PROCTIME, CURRENT_DATE."""
    kind = call.type.kind

    def kernel(ev: Evaluation) -> Held:
        at: AnyArray = np.full(ev.length, ev.at_ms) if isinstance(ev.at_ms, int) else ev.at_ms
        if kind is Kind.TIME:
            return at % DAY_MS // 1000 * 1000, None
        return at // DAY_MS if kind is Kind.DATE else at, None

    return made(call.type, kernel, ())


FUNCTIONS: dict[str, Builder] = {
    "TIMESTAMPADD": build_add,
    "TIMESTAMPDIFF": build_difference,
    "EXTRACT": build_extract,
    "FLOOR_TIME": _rounded(calendar.floor),
    "CEIL_TIME": _rounded(calendar.ceil),
    "TO_TIMESTAMP": build_to_timestamp,
    "TO_TIMESTAMP_LTZ": build_to_timestamp_ltz,
    "TO_DATE": build_to_date,
    "DATE_FORMAT": build_date_format,
    "CURRENT_TIMESTAMP": build_now,
    "NOW": build_now,
    "LOCALTIMESTAMP": build_now,
    "PROCTIME": build_now,
    "CURRENT_DATE": build_now,
    "CURRENT_TIME": build_now,
}
