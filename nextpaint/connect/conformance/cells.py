"""Cells: what a case writes as JSON against what the engine holds, compared by value.

| type           | written as                                                                              |
|----------------|-----------------------------------------------------------------------------------------|
| TIMESTAMP, LTZ | `2026-01-01 00:00:00.000` or with `T`, 0 to 9 fraction digits, or epoch ms; LTZ is UTC  |
| DATE, TIME     | `2026-01-01`, `10:11:12.5`                                                              |
| DECIMAL        | text or a number, equal by value                                                        |
| FLOAT, DOUBLE  | a number, or `NaN`, `Infinity`, `-Infinity`; equal within 1e-9 relative (FLOAT 1e-6)    |
| BYTES          | base64, or hexadecimal as `x'0aff'`                                                     |
| ARRAY, ROW     | a list; a ROW also as an object by field names                                          |
| MAP, MULTISET  | an object, or a list of [key, value]                                                    |
| INTERVAL       | ms, or months, as a number                                                              |
"""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from nextpaint.record.columns import Value
from nextpaint.record.types import INTEGERS, Kind, Type

Json = Any
Cell = Any  # hashable and comparable: what both sides become
Row = tuple[Cell, ...]

DOUBLE_RELATIVE = 1e-9
FLOAT_RELATIVE = 1e-6  # 24 bits of fraction


def expected(value: Json, type_: Type) -> Cell:
    """A JSON cell of a case as a comparable value. A cell that cannot be of this type stays as text: it will differ."""
    if value is None:
        return None
    try:
        return _EXPECTED[type_.kind](value, type_)
    except (ValueError, TypeError, InvalidOperation, KeyError):
        return f"{value!r} is not a {type_}"


def actual(value: Value, type_: Type) -> Cell:
    """An engine value in the same form."""
    if value is None:
        return None
    match type_.kind:
        case Kind.ARRAY:
            assert type_.element is not None
            return tuple(actual(each, type_.element) for each in _items(value))
        case Kind.ROW:
            return tuple(actual(each, field.type) for each, field in zip(_items(value), type_.fields, strict=True))
        case Kind.MAP:
            assert type_.key is not None and type_.element is not None
            pairs = value.items() if isinstance(value, dict) else _items(value)
            return _pairs([(actual(key, type_.key), actual(each, type_.element)) for key, each in pairs])
        case Kind.DECIMAL:
            return Decimal(str(value)).normalize()
    return value


def _items(value: Value) -> Sequence[Any]:
    assert isinstance(value, list | tuple)
    return value


def _pairs(pairs: list[tuple[Cell, Cell]]) -> Cell:
    return ("map", tuple(sorted(pairs, key=repr)))


# ---------------------------------------------------------------- from JSON, by type


_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?\s*(?:Z|UTC|\+00:00)?\Z")
_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?\Z")


def milliseconds(text: str) -> int | float:
    """Epoch ms of a timestamp in text; not whole when it is finer. Raises ValueError."""
    found = _INSTANT.match(text.strip())
    if found is None:
        raise ValueError(text)
    moment = datetime.fromisoformat(f"{found.group(1)}T{found.group(2) or '00:00:00'}+00:00")
    seconds = round((moment - datetime.fromisoformat("1970-01-01T00:00:00+00:00")).total_seconds())
    return seconds * 1000 + _fraction_ms(found.group(3))


def _fraction_ms(digits: str | None) -> int | float:
    nanoseconds = int((digits or "0").ljust(9, "0"))
    return nanoseconds // 1_000_000 if nanoseconds % 1_000_000 == 0 else nanoseconds / 1_000_000


def _instant(value: Json, type_: Type) -> Cell:
    return milliseconds(value) if isinstance(value, str) else int(value)


def _time(value: Json, type_: Type) -> Cell:
    if not isinstance(value, str):
        return int(value)
    found = _TIME.match(value.strip())
    if found is None:
        raise ValueError(value)
    hours, minutes, seconds = (int(each or 0) for each in found.groups()[:3])
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + _fraction_ms(found.group(4))


def _date(value: Json, type_: Type) -> Cell:
    return (date.fromisoformat(value) - date(1970, 1, 1)).days if isinstance(value, str) else int(value)


def _boolean(value: Json, type_: Type) -> Cell:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}[str(value).lower()]


def _integer(value: Json, type_: Type) -> Cell:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def _real(value: Json, type_: Type) -> Cell:
    if isinstance(value, bool):
        raise ValueError(value)
    return float(value)


def _decimal(value: Json, type_: Type) -> Cell:
    return Decimal(str(value)).normalize()


def _text(value: Json, type_: Type) -> Cell:
    return value if isinstance(value, str) else f"{value!r} is not text"


def octets(text: str) -> bytes:
    """Bytes written as base64 or as x'hexadecimal'. Raises ValueError."""
    if text[:2].lower() == "x'" and text.endswith("'"):
        return bytes.fromhex(text[2:-1])
    return base64.b64decode(text, validate=True)


def _bytes(value: Json, type_: Type) -> Cell:
    return octets(value)


def _array(value: Json, type_: Type) -> Cell:
    assert type_.element is not None
    return tuple(expected(each, type_.element) for each in _listed(value))


def _row(value: Json, type_: Type) -> Cell:
    if isinstance(value, dict) and all(name.startswith("EXPR$") for name in value):
        cells = list(value.values())  # what Flink calls a field without a name; ours has that of its column
    else:
        cells = [value[field.name] for field in type_.fields] if isinstance(value, dict) else list(_listed(value))
    if len(cells) != len(type_.fields):
        raise ValueError(value)
    return tuple(expected(each, field.type) for each, field in zip(cells, type_.fields, strict=True))


def _map(value: Json, type_: Type) -> Cell:
    assert type_.key is not None and type_.element is not None
    pairs = value.items() if isinstance(value, dict) else _listed(value)
    return _pairs([(expected(key, type_.key), expected(each, type_.element)) for key, each in pairs])


def _listed(value: Json) -> Sequence[Json]:
    if not isinstance(value, list):
        raise ValueError(value)
    return value


_EXPECTED: dict[Kind, Callable[[Json, Type], Cell]] = {
    **dict.fromkeys(INTEGERS, _integer),
    Kind.INTERVAL_DAY: _integer,
    Kind.INTERVAL_YEAR: _integer,
    Kind.FLOAT: _real,
    Kind.DOUBLE: _real,
    Kind.DECIMAL: _decimal,
    Kind.BOOLEAN: _boolean,
    Kind.STRING: _text,
    Kind.BYTES: _bytes,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.TIMESTAMP: _instant,
    Kind.TIMESTAMP_LTZ: _instant,
    Kind.ARRAY: _array,
    Kind.ROW: _row,
    Kind.MAP: _map,
}


# ---------------------------------------------------------------- comparing


def same_cell(wanted: Cell, found: Cell, relative: float = DOUBLE_RELATIVE) -> bool:
    """Equal, floats within a relative distance, NaN equal to itself."""
    if isinstance(wanted, float) and isinstance(found, float):
        if math.isnan(wanted) or math.isnan(found):
            return math.isnan(wanted) and math.isnan(found)
        return wanted == found or math.isclose(wanted, found, rel_tol=relative)
    if isinstance(wanted, tuple) and isinstance(found, tuple):
        return len(wanted) == len(found) and all(
            same_cell(left, right, relative) for left, right in zip(wanted, found, strict=True)
        )
    return type(wanted) is type(found) and bool(wanted == found)


def same_row(wanted: Row, found: Row, types: Sequence[Type]) -> bool:
    """Cell by cell, FLOAT columns with their own tolerance. `types` are those of the last cells of the rows."""
    if len(wanted) != len(found):
        return False
    extra = len(wanted) - len(types)
    tolerances = [DOUBLE_RELATIVE] * extra + [
        FLOAT_RELATIVE if each.kind is Kind.FLOAT else DOUBLE_RELATIVE for each in types
    ]
    return all(map(same_cell, wanted, found, tolerances))


def difference(wanted: Sequence[Row], found: Sequence[Row], types: Sequence[Type]) -> tuple[list[Row], list[Row]]:
    """Two multisets: (missing rows, rows too many). Both empty when they are equal."""
    exact = Counter(map(repr, wanted)) & Counter(map(repr, found))
    missing = _without(wanted, exact)
    spare = _without(found, exact)
    for row in list(missing):
        twin = next((each for each in spare if same_row(row, each, types)), None)
        if twin is not None:
            missing.remove(row)
            spare.remove(twin)
    return missing, spare


def _without(rows: Sequence[Row], shared: Counter[str]) -> list[Row]:
    left = Counter(shared)
    kept: list[Row] = []
    for row in rows:
        if left[repr(row)]:
            left[repr(row)] -= 1
        else:
            kept.append(row)
    return kept
