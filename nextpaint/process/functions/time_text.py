"""Dates and times as text, and text as dates and times: SQL form and Java's date patterns. The zone is always UTC.

A date is a count of days since 1970-01-01, a time of day and a timestamp are milliseconds. Years 1 to 9999 only: text
outside them cannot be read, and a timestamp outside them fails to be written. Readers raise `Failed`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from nextpaint.process.functions.evaluation import Failed
from nextpaint.process.functions.number_text import shown

DAY_MS = 86_400_000
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_LAST_ORDINAL = date.max.toordinal()

_DATE = re.compile(r"\s*([0-9]{1,4})(?:-([0-9]{1,2})(?:-([0-9]{1,2})(?:[ T].*)?)?)?\s*\Z", re.DOTALL)
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:\.([0-9]{1,9}))?)?\Z")
_TIMESTAMP = re.compile(
    r"([0-9]{1,4})-([0-9]{1,2})-([0-9]{1,2})(?: ([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:\.([0-9]{0,9}))?)?\Z"
)


# ---------------------------------------------------------------- SQL form


def civil(days: int) -> date:
    """The calendar date of a day number."""
    ordinal = days + EPOCH_ORDINAL
    if not 1 <= ordinal <= _LAST_ORDINAL:
        raise Failed(f"day {days} is outside the years 1 to 9999")
    return date.fromordinal(ordinal)


def day_number(year: int, month: int, day: int) -> int | None:
    """Days since 1970-01-01, None if there is no such date."""
    try:
        return date(year, month, day).toordinal() - EPOCH_ORDINAL
    except ValueError:
        return None


def month_end_day(year: int, month: int, day: int) -> int | None:
    """Like `day_number`, but a day up to 31 that the month does not have is its last day."""
    days = day_number(year, month, day)
    return days if days is not None or not 29 <= day <= 31 else month_end_day(year, month, day - 1)


def date_text(days: int) -> str:
    """`2024-01-02`."""
    return civil(days).isoformat()


def time_text(ms: int, precision: int) -> str:
    """`03:04:05` and as many digits behind the point as the precision."""
    seconds, fraction = divmod(ms, 1000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return text + _fraction(fraction, precision)


def timestamp_text(ms: int, precision: int) -> str:
    """`2024-01-02 03:04:05.600`: as many digits after the point as the declared precision."""
    days, rest = divmod(ms, DAY_MS)
    return f"{civil(days).isoformat()} {time_text(rest, precision)}"


def _fraction(ms: int, precision: int) -> str:
    if precision == 0:
        return ""
    return "." + f"{ms:03d}".ljust(precision, "0")[:precision]


def interval_text(ms: int) -> str:
    """DAY TO SECOND: `+1 02:03:04.500`."""
    days, rest = divmod(abs(ms), DAY_MS)
    return f"{'-' if ms < 0 else '+'}{days} {time_text(rest, 3)}"


def months_text(months: int) -> str:
    """YEAR TO MONTH: `+1-02`."""
    years, rest = divmod(abs(months), 12)
    return f"{'-' if months < 0 else '+'}{years}-{rest:02d}"


def read_date(text: str) -> int:
    """`2024-02-03`, also `2024-2`, `2024` and a date with a time behind it."""
    match = _DATE.match(text)
    days = None if match is None else day_number(int(match[1]), int(match[2] or 1), int(match[3] or 1))
    if days is None:
        raise Failed(f"cannot read {shown(text)} as DATE")
    return days


def read_time(text: str) -> int:
    """`3:04`, `03:04:05` and `03:04:05.678`."""
    match = _TIME.match(text)
    ms = None if match is None else _ms_of_day(match[1], match[2], match[3], match[4])
    if ms is None:
        raise Failed(f"cannot read {shown(text)} as TIME")
    return ms


def read_timestamp(text: str) -> int:
    """`2024-01-02 03:04:05[.678]` or a date alone; a `T` between the two is refused."""
    match = _TIMESTAMP.match(text)
    if match is not None:
        days = day_number(int(match[1]), int(match[2]), int(match[3]))
        ms = 0 if match[4] is None else _ms_of_day(match[4], match[5], match[6], match[7])
        if days is not None and ms is not None:
            return days * DAY_MS + ms
    raise Failed(f"cannot read {shown(text)} as TIMESTAMP")


def find_timestamp(text: str) -> int | None:
    """What TO_TIMESTAMP reads: as `read_timestamp`, but 30 February is the last of February, 24:00:00 the next
    day, and bad text None."""
    match = _TIMESTAMP.match(text)
    if match is None:
        return None
    days = month_end_day(int(match[1]), int(match[2]), int(match[3]))
    ms = 0 if match[4] is None else _ms_of_day(match[4], match[5], match[6], match[7])
    if days is not None and match[4] == "24" and not int(match[5] + match[6] + (match[7] or "")):
        return (days + 1) * DAY_MS
    return None if days is None or ms is None else days * DAY_MS + ms


def _ms_of_day(hour: str, minute: str, second: str | None, fraction: str | None) -> int | None:
    hours, minutes, seconds = int(hour), int(minute), int(second or 0)
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return (hours * 3600 + minutes * 60 + seconds) * 1000 + int((fraction or "").ljust(3, "0")[:3])


# ---------------------------------------------------------------- Java patterns (DateTimeFormatter)

_MONTHS = "January February March April May June July August September October November December".split()
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_LETTERS = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


def _pieces(pattern: str) -> list[tuple[str, int, str]]:
    """A pattern as (letter, count, "") for fields and ("", 0, text) for literal text."""
    pieces = []
    position = 0
    while position < len(pattern):
        match = _LETTERS.match(pattern, position)
        if match is None:
            raise ValueError(f"the date pattern {pattern!r} has a quote that does not end")
        position = match.end()
        if match[1] is not None:
            pieces.append(("", 0, match[1].replace("''", "'") or "'"))
        elif match[2] is not None:
            pieces.append((match[2], len(match[0]), ""))
        else:
            pieces.append(("", 0, match[0]))
    return pieces


Moment = tuple[date, int]  # the date, the millisecond of the day
_Writer = Callable[[date, int, int], str]

_WRITERS: dict[str, _Writer] = {
    "y": lambda day, ms, count: f"{day.year % 100:02d}" if count == 2 else f"{day.year:0{count}d}",
    "u": lambda day, ms, count: f"{day.year % 100:02d}" if count == 2 else f"{day.year:0{count}d}",
    "M": lambda day, ms, count: _name(_MONTHS[day.month - 1], count) if count > 2 else f"{day.month:0{count}d}",
    "L": lambda day, ms, count: _name(_MONTHS[day.month - 1], count) if count > 2 else f"{day.month:0{count}d}",
    "d": lambda day, ms, count: f"{day.day:0{count}d}",
    "D": lambda day, ms, count: f"{day.timetuple().tm_yday:0{count}d}",
    "Q": lambda day, ms, count: f"{(day.month + 2) // 3:0{count}d}",
    "E": lambda day, ms, count: _name(_WEEKDAYS[day.weekday()], max(count, 3)),
    "a": lambda day, ms, count: "PM" if ms >= DAY_MS // 2 else "AM",
    "H": lambda day, ms, count: f"{ms // 3_600_000:0{count}d}",
    "k": lambda day, ms, count: f"{ms // 3_600_000 or 24:0{count}d}",
    "K": lambda day, ms, count: f"{ms // 3_600_000 % 12:0{count}d}",
    "h": lambda day, ms, count: f"{ms // 3_600_000 % 12 or 12:0{count}d}",
    "m": lambda day, ms, count: f"{ms // 60_000 % 60:0{count}d}",
    "s": lambda day, ms, count: f"{ms // 1000 % 60:0{count}d}",
    "S": lambda day, ms, count: f"{ms % 1000:03d}".ljust(count, "0")[:count],
}


def _name(name: str, count: int) -> str:
    return name if count == 4 else name[:3]


def writer(pattern: str) -> Callable[[int], str]:
    """A function that writes a timestamp (ms) by a Java date pattern. Raises ValueError on an unknown pattern."""
    steps: list[tuple[_Writer | None, int, str]] = []
    for letter, count, text in _pieces(pattern):
        if letter and letter not in _WRITERS:
            raise ValueError(f"the letter {letter!r} of the date pattern {pattern!r} is not supported")
        steps.append((_WRITERS[letter] if letter else None, count, text))

    def write(ms: int) -> str:
        days, rest = divmod(ms, DAY_MS)
        day = civil(days)
        return "".join([text if put is None else put(day, rest, count) for put, count, text in steps])

    return write


_UNITS = {"S": 1, "s": 1000, "m": 60_000, **dict.fromkeys("aHkKh", 3_600_000)}


def unit_ms(pattern: str) -> int:
    """The longest span of times, from a multiple of itself, that a pattern writes alike. Raises ValueError."""
    return min((_UNITS.get(letter, DAY_MS) for letter, _, _ in _pieces(pattern)), default=DAY_MS)


def _reader_pieces(pattern: str) -> str:
    """A regular expression with a group per field; equal letters run together keep their fixed width."""
    pieces = _pieces(pattern)
    parts = []
    for index, (letter, count, text) in enumerate(pieces):
        touching = index + 1 < len(pieces) and bool(pieces[index + 1][0])
        if not letter:
            parts.append(re.escape(text))
        elif letter in "yu":
            parts.append(f"(?P<y>[0-9]{{{count if touching or count in (2, 4) else '1,9'}}})")
        elif letter == "M" and count > 2:
            names = _MONTHS if count == 4 else [month[:3] for month in _MONTHS]
            parts.append(f"(?P<N>{'|'.join(names)})")
        elif letter == "S":
            parts.append(f"(?P<S>[0-9]{{{count}}})")
        elif letter in "MdHhmsD":
            parts.append(f"(?P<{letter}>[0-9]{{{count if count > 1 or touching else '1,3'}}})")
        elif letter == "a":
            parts.append("(?P<a>AM|PM)")
        elif letter == "E":
            names = _WEEKDAYS if count == 4 else [day[:3] for day in _WEEKDAYS]
            parts.append(f"(?:{'|'.join(names)})")
        elif letter in "XZ":
            parts.append("(?P<X>Z|[+-][0-9]{2}:?(?:[0-9]{2})?)")
        else:
            raise ValueError(f"the letter {letter!r} of the date pattern {pattern!r} is not supported")
    return "".join(parts)


def reader(pattern: str) -> Callable[[str], int | None]:
    """A function that reads a timestamp (ms) by a Java date pattern, None if the text does not fit. A zone in the text
    is read and ignored, as Flink's TO_TIMESTAMP does. Raises ValueError on a pattern it does not know."""
    try:
        expression = re.compile(_reader_pieces(pattern) + r"\Z")
    except re.error:
        raise ValueError(f"the date pattern {pattern!r} names a field twice") from None

    def read(text: str) -> int | None:
        match = expression.match(text)
        return None if match is None else _assemble(match.groupdict())

    return read


def _assemble(fields: dict[str, str | None]) -> int | None:
    year = int(fields.get("y") or 1970)
    if len(fields.get("y") or "") == 2:
        year += 2000
    named = fields.get("N")
    month = [name[:3] for name in _MONTHS].index(named[:3]) + 1 if named else int(fields.get("M") or 1)
    days = month_end_day(year, month, int(fields.get("d") or 1))
    if days is not None and fields.get("D"):
        days += int(fields["D"] or 1) - 1
    hour = int(fields.get("H") or 0)
    if fields.get("h"):
        hour = int(fields["h"] or 0) % 12 + (12 if fields.get("a") == "PM" else 0)
    ms = _ms_of_day(str(hour), fields.get("m") or "0", fields.get("s"), fields.get("S"))
    return None if days is None or ms is None else days * DAY_MS + ms
