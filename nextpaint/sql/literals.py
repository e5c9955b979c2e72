"""Constants: from their spelling to a typed value, as Flink's parser types them.

`1` is INT, beyond it BIGINT; `1.5` is DECIMAL(2, 1); `1E0` is DOUBLE; `TIMESTAMP '...'` has the digits it is
written with.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from nextpaint.record import types
from nextpaint.record.types import Kind, Type, decimal
from nextpaint.sql.plan import At, Literal
from nextpaint.sql.refusal import Refusal

_INT_MAX = 2**31 - 1
_BIGINT_MAX = 2**63 - 1
_EPOCH = date(1970, 1, 1)
_PRECISION_MAX = 38
_DATE = re.compile(r"\s*(\d{4})-(\d{1,2})-(\d{1,2})\s*\Z")
_TIME = re.compile(r"\s*(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,9}))?\s*\Z")
_TIMESTAMP = re.compile(r"\s*(\d{4}-\d{1,2}-\d{1,2})(?: (\d{1,2}:\d{1,2}:\d{1,2}(?:\.\d{1,9})?))?\s*\Z")


def number(text: str, at: At, negative: bool = False) -> Literal:
    """A number as written, with the minus sign that stands before it."""
    sign = -1 if negative else 1
    if "e" in text.lower():
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise Refusal(f"{text} is beyond DOUBLE", at)
        return Literal(types.DOUBLE, sign * value, at)
    if "." not in text:
        if len(text.lstrip("0")) > 19 or int(text) > _BIGINT_MAX + (1 if negative else 0):
            raise Refusal(f"{text} is beyond BIGINT", at, "write it as text and CAST it to DECIMAL(38, 0)")
        whole = sign * int(text)
        return Literal(types.INT if -_INT_MAX - 1 <= whole <= _INT_MAX else types.BIGINT, whole, at)
    if text.endswith("."):
        return number(text[:-1], at, negative)
    precision, scale = len(text) - 1, len(text) - text.index(".") - 1
    if precision > _PRECISION_MAX:
        raise Refusal(f"{text} has more than {_PRECISION_MAX} digits", at, "use fewer digits or write it as 1.5E0")
    return Literal(decimal(precision, scale), sign * Decimal(text), at)


def time_value(kind: Kind, text: str, at: At) -> Literal:
    """DATE, TIME and TIMESTAMP from text (`2026-01-31 12:00:00.123`)."""
    if kind is Kind.DATE:
        return Literal(types.DATE, _days(text, at), at)
    if kind is Kind.TIME:
        return Literal(types.TIME, _time_ms(text, at)[0], at)
    match = _TIMESTAMP.match(text)
    if not match:
        raise Refusal(f"'{text}' is not a timestamp", at, "write 'yyyy-MM-dd HH:mm:ss.SSS'")
    millis, digits = _time_ms(match.group(2), at) if match.group(2) else (0, 0)
    return Literal(Type(kind, precision=digits), _days(match.group(1), at) * 86_400_000 + millis, at)


def _days(text: str, at: At) -> int:
    match = _DATE.match(text)
    try:
        if match:
            return (date(*(int(part) for part in match.groups())) - _EPOCH).days
    except ValueError:
        pass
    raise Refusal(f"'{text}' is not a date", at, "write 'yyyy-MM-dd'")


def _time_ms(text: str, at: At) -> tuple[int, int]:
    """Milliseconds of the day and the number of fraction digits."""
    match = _TIME.match(text)
    if match:
        hour, minute, second = (int(match.group(index)) for index in (1, 2, 3))
        fraction = match.group(4) or ""
        if len(fraction.rstrip("0")) > 3:
            raise Refusal(f"'{text}' is finer than a millisecond", at, "use at most three fraction digits")
        if hour < 24 and minute < 60 and second < 60:
            millis = int((fraction + "000")[:3])
            return ((hour * 60 + minute) * 60 + second) * 1000 + millis, min(len(fraction), 3)
    raise Refusal(f"'{text}' is not a time", at, "write 'HH:mm:ss'")


def shown_time(kind: Kind, value: int) -> str:
    """A held DATE, TIME or TIMESTAMP as text, for plans people read."""
    if kind is Kind.DATE:
        return (_EPOCH + timedelta(days=value)).isoformat()
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    shown = moment.strftime("%H:%M:%S") if kind is Kind.TIME else moment.strftime("%Y-%m-%d %H:%M:%S")
    return shown + (f".{value % 1000:03d}" if value % 1000 else "")
