"""Calendar arithmetic on arrays of day numbers (days since 1970-01-01) and of timestamps (ms): months, fields, floors.

The proleptic Gregorian calendar of NumPy's datetime64, which has no range limits that an int64 of ms can reach.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nextpaint.process.functions.time_text import DAY_MS
from nextpaint.record.columns import IntArray

UNIT_MS = {
    "MILLISECOND": 1,
    "SECOND": 1000,
    "MINUTE": 60_000,
    "HOUR": 3_600_000,
    "DAY": DAY_MS,
    "WEEK": 7 * DAY_MS,
}
UNIT_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12, "DECADE": 120, "CENTURY": 1200, "MILLENNIUM": 12_000}
_SAME = {"DAYOFWEEK": "DOW", "DAYOFYEAR": "DOY", "DAYOFMONTH": "DAY", "SQL_TSI_FRAC_SECOND": "MILLISECOND"}
_EPOCH_MONTH = 1970 * 12  # months since year 0


def unit_of(name: object) -> str:
    """A unit's name without SQL_TSI_, plural and synonym."""
    unit = str(name).upper()
    unit = _SAME.get(unit, unit).removeprefix("SQL_TSI_")
    return unit[:-1] if unit.endswith("S") and unit[:-1] in (UNIT_MS | UNIT_MONTHS) else unit


def month_of(days: IntArray) -> IntArray:
    """Months since year 0."""
    months: IntArray = days.astype("M8[D]").astype("M8[M]").astype(np.int64)
    return months + _EPOCH_MONTH


def month_start(months: IntArray) -> IntArray:
    """The day number of a month's first day."""
    days: IntArray = (months - _EPOCH_MONTH).astype("M8[M]").astype("M8[D]").astype(np.int64)
    return days


def add_months(days: IntArray, months: IntArray) -> IntArray:
    """The same day `months` later, or the last day of a month that is shorter."""
    month = month_of(days)
    place = days - month_start(month)
    month = month + months
    start = month_start(month)
    later: IntArray = start + np.minimum(place, month_start(month + 1) - start - 1)
    return later


def months_between(end_ms: IntArray, start_ms: IntArray) -> IntArray:
    """Whole months from start to end, as Flink counts them (Calcite's DateTimeUtils.subtractMonths)."""
    end, start = end_ms // DAY_MS, start_ms // DAY_MS
    later, earlier = np.maximum(end, start), np.minimum(end, start)
    months = month_of(later) - month_of(earlier)
    months = months - (add_months(earlier, months) > later)
    months = np.where(end < start, -months, months)
    short = (add_months(start, months) == end) & (end_ms - end * DAY_MS < start_ms - start * DAY_MS)
    whole: IntArray = months - short
    return whole


def _year(days: IntArray) -> IntArray:
    return month_of(days) // 12


def _thursday(days: IntArray) -> IntArray:
    """The Thursday of the same ISO week: its year is the week's year."""
    return days - (days + 3) % 7 + 3


def _day_of_year(days: IntArray) -> IntArray:
    return days - month_start(_year(days) * 12) + 1


_DATE_FIELDS: dict[str, Callable[[IntArray], IntArray]] = {
    "YEAR": _year,
    "QUARTER": lambda days: month_of(days) % 12 // 3 + 1,
    "MONTH": lambda days: month_of(days) % 12 + 1,
    "WEEK": lambda days: (_day_of_year(_thursday(days)) - 1) // 7 + 1,
    "DAY": lambda days: days - month_start(month_of(days)) + 1,
    "DOW": lambda days: (days + 4) % 7 + 1,  # Sunday is 1
    "ISODOW": lambda days: (days + 3) % 7 + 1,  # Monday is 1
    "ISOYEAR": lambda days: _year(_thursday(days)),
    "DOY": _day_of_year,
    "DECADE": lambda days: _year(days) // 10,
    "CENTURY": lambda days: (_year(days) + 99) // 100,
    "MILLENNIUM": lambda days: (_year(days) + 999) // 1000,
}
_TIME_FIELDS: dict[str, Callable[[IntArray], IntArray]] = {
    "HOUR": lambda ms: ms // 3_600_000 % 24,
    "MINUTE": lambda ms: ms // 60_000 % 60,
    "SECOND": lambda ms: ms // 1000 % 60,
    "MILLISECOND": lambda ms: ms % 1000,
    "MICROSECOND": lambda ms: ms % 1000 * 1000,
    "EPOCH": lambda ms: ms // 1000,
}


def field(unit: str) -> Callable[[IntArray], IntArray]:
    """EXTRACT's field of timestamps (ms). Raises ValueError."""
    if unit in _TIME_FIELDS:
        return _TIME_FIELDS[unit]
    if unit in _DATE_FIELDS:
        of_days = _DATE_FIELDS[unit]
        return lambda ms: of_days(ms // DAY_MS)
    raise ValueError(f"the unit {unit} is not known")


def floor(unit: str) -> Callable[[IntArray], IntArray]:
    """The start of the unit timestamps (ms) lie in; weeks start on Sunday, centuries in year 1. Raises ValueError."""
    if unit == "WEEK":
        return lambda ms: (ms // DAY_MS - (ms // DAY_MS + 4) % 7) * DAY_MS
    if unit in UNIT_MS:
        length = UNIT_MS[unit]
        return lambda ms: ms // length * length
    if unit in UNIT_MONTHS:
        months = UNIT_MONTHS[unit]
        shift = 12 if unit in ("CENTURY", "MILLENNIUM") else 0

        def start(ms: IntArray) -> IntArray:
            return month_start((month_of(ms // DAY_MS) - shift) // months * months + shift) * DAY_MS

        return start
    raise ValueError(f"the unit {unit} is not known")


def ceil(unit: str) -> Callable[[IntArray], IntArray]:
    """The start of the next unit, or the time itself if it is a start."""
    start = floor(unit)

    def end(ms: IntArray) -> IntArray:
        begin = start(ms)
        if unit in UNIT_MS:
            after = begin + UNIT_MS[unit]
        else:
            after = month_start(month_of(begin // DAY_MS) + UNIT_MONTHS[unit]) * DAY_MS
        return np.where(begin == ms, ms, after)

    return end
