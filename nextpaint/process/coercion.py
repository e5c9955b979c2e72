"""JSON values as values of SQL types, one by one: the columnar decoder agrees with this and falls back to it."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

import msgspec
import numpy as np

from nextpaint.record.columns import Value
from nextpaint.record.types import INTEGER_BITS, INTEGERS, Kind, Type

Json = Any

TIME_MAX = 10**18  # a time in ms of more than 18 digits is a mistake, and would wrap where delays are subtracted

_compact = msgspec.json.Encoder().encode


def coerce(value: Json, type_: Type) -> Value:
    """A JSON value as a value of a SQL type; raises ValueError naming what is wrong. Integers must fit their width."""
    if value is None:
        return None
    made = _COERCIONS[type_.kind](value, type_)
    if made is None:
        raise ValueError(f"{repr(value)[:60]} is not a {type_}")
    return made


def _text(value: Json, type_: Type) -> Value:
    return value if isinstance(value, str) else _compact(value).decode()


def _boolean(value: Json, type_: Type) -> Value:
    return value if isinstance(value, bool) else None


def _integer(value: Json, type_: Type) -> Value:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    half = 1 << (INTEGER_BITS[type_.kind] - 1)
    if not -half <= value < half:
        raise ValueError(f"{value} does not fit {type_}")
    return value


def _real(value: Json, type_: Type) -> Value:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not number:
        return None
    return single(float(value)) if type_.kind is Kind.FLOAT else float(value)


def single(value: float) -> float:
    """The nearest FLOAT: 32 bits, infinite where they do not reach."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def _bytes(value: Json, type_: Type) -> Value:
    return base64.b64decode(value, validate=True) if isinstance(value, str) else None


def _date(value: Json, type_: Type) -> Value:
    return (date.fromisoformat(value) - date(1970, 1, 1)).days if isinstance(value, str) else None


def _time(value: Json, type_: Type) -> Value:
    """A time of day in ms of `10:20:30`, cut to the digits of its type."""
    if not isinstance(value, str):
        return None
    read = time.fromisoformat(value)
    if read.tzinfo is not None:
        raise ValueError(f"{value[:40]!r} is not a time of day: it names a zone")
    unit: int = 10 ** (3 - type_.precision)
    ms = ((read.hour * 60 + read.minute) * 60 + read.second) * 1000 + read.microsecond // 1000
    return ms // unit * unit


def _array(value: Json, type_: Type) -> Value:
    assert type_.element is not None
    return tuple(coerce(each, type_.element) for each in value) if isinstance(value, list) else None


def _row(value: Json, type_: Type) -> Value:
    if isinstance(value, dict):
        return tuple(coerce(value.get(field.name), field.type) for field in type_.fields)
    if isinstance(value, list) and len(value) == len(type_.fields):
        return tuple(coerce(each, field.type) for each, field in zip(value, type_.fields, strict=True))
    return None


def _map(value: Json, type_: Type) -> Value:
    assert type_.element is not None
    element = type_.element
    return {name: coerce(each, element) for name, each in value.items()} if isinstance(value, dict) else None


def _no_json(value: Json, type_: Type) -> Value:
    raise ValueError(f"{type_} cannot be sent as JSON")


_DIGITS = Context(prec=100, rounding=ROUND_HALF_UP)  # more digits than any DECIMAL has


def _decimal(value: Json, type_: Type) -> Decimal:
    try:
        made = Decimal(str(value)).quantize(Decimal(1).scaleb(-type_.scale), context=_DIGITS)
    except InvalidOperation as error:
        raise ValueError(f"{value!r} is not a {type_}") from error
    if len(made.as_tuple().digits) > type_.precision:
        raise ValueError(f"{value} does not fit {type_}")
    return made


def _timestamp(value: Json, type_: Type) -> Value:
    """Epoch ms as a number, or ISO-8601 text (without a zone it is UTC)."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not -TIME_MAX < value < TIME_MAX:
            raise ValueError(f"{value} does not fit {type_}")
        return value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError(f"{value[:40]!r} is not a time: use epoch milliseconds or ISO-8601") from error
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    raise ValueError(f"{value!r} is not a time: use epoch milliseconds or ISO-8601")


_COERCIONS: dict[Kind, Callable[[Json, Type], Value]] = {
    **dict.fromkeys(Kind, _no_json),
    **dict.fromkeys(INTEGERS, _integer),
    **dict.fromkeys((Kind.DOUBLE, Kind.FLOAT), _real),
    **dict.fromkeys((Kind.TIMESTAMP, Kind.TIMESTAMP_LTZ), _timestamp),
    Kind.STRING: _text,
    Kind.BOOLEAN: _boolean,
    Kind.DECIMAL: _decimal,
    Kind.BYTES: _bytes,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.ARRAY: _array,
    Kind.ROW: _row,
    Kind.MAP: _map,
}
