"""CAST, TRY_CAST, and the implicit conversions other functions ask for.

`converter` gives the conversion of one Python value, for every pair of types that can be cast, nested ones included;
numeric and time columns have a vectorised form with the same results. Numbers wrap or saturate as in Java: an integer
is cut to its width, a DOUBLE beyond an integer's range becomes the nearest end, NaN becomes 0. Text that cannot be
read and a DECIMAL that does not fit fail the row; TRY_CAST makes them NULL.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any

import numpy as np

from nextpaint.process.functions import number_text as numbers
from nextpaint.process.functions import time_text as times
from nextpaint.process.functions.evaluation import (
    Evaluation,
    Failed,
    Held,
    Kernel,
    Operand,
    constant,
    lift,
)
from nextpaint.record.columns import AnyArray
from nextpaint.record.types import INTEGER_BITS, INTEGERS, Kind, Type
from nextpaint.sql.plan import Call, ColumnRef, Expr

Convert = Callable[[Any], Any]

NARROW: dict[Kind, type[np.signedinteger[Any]]] = {Kind.TINYINT: np.int8, Kind.SMALLINT: np.int16, Kind.INT: np.int32}
FLOATS = (Kind.FLOAT, Kind.DOUBLE)
TIMESTAMPS = (Kind.TIMESTAMP, Kind.TIMESTAMP_LTZ)
_TIMES = (*TIMESTAMPS, Kind.DATE, Kind.TIME)


# ---------------------------------------------------------------- one value


def converter(source: Type, target: Type) -> Convert | None:
    """The conversion of one non-NULL value, None if the value stays as it is. Raises TypeError if there is none."""
    if source.kind is target.kind:
        return _same_kind(source, target)
    if target.kind is Kind.STRING:
        return _limited(text_of(source), target)
    if source.kind is Kind.STRING:
        return _from_text(target)
    if target.kind is Kind.BOOLEAN and (source.is_numeric):
        return bool
    if target.is_numeric and (source.is_numeric or source.kind is Kind.BOOLEAN):
        return _numeric(source, target)
    if source.kind in _TIMES and target.kind in _TIMES:
        return _between_times(source, target)
    if source.kind in INTEGERS and target.kind in (Kind.INTERVAL_DAY, Kind.INTERVAL_YEAR):
        return None
    raise TypeError(f"a {source} cannot be cast to {target}")


def _same_kind(source: Type, target: Type) -> Convert | None:
    match target.kind:
        case Kind.DECIMAL if (source.precision, source.scale) != (target.precision, target.scale):
            return _tried(lambda value: numbers.fit(value, target))  # NULL when it does not fit, as in Flink
        case Kind.STRING | Kind.BYTES if target.length and not (
            0 < source.length <= target.length and (not target.is_fixed or source == target)
        ):
            return _limited(lambda value: value, target)
        case Kind.TIMESTAMP | Kind.TIMESTAMP_LTZ | Kind.TIME if target.precision < min(source.precision, 3):
            unit = 10 ** (3 - target.precision)
            return lambda ms: ms // unit * unit
        case Kind.ARRAY | Kind.MAP | Kind.ROW:
            return _nested(source, target)
    return None


def _nested(source: Type, target: Type) -> Convert | None:
    if source.kind is Kind.ROW:
        if len(source.fields) != len(target.fields):
            raise TypeError(f"a {source} cannot be cast to {target}: the number of fields differs")
        pairs = [(old.type, new.type) for old, new in zip(source.fields, target.fields, strict=True)]
        if all(_stays(*pair) for pair in pairs):
            return None
        parts = [_optional(*pair) for pair in pairs]
        return lambda row: tuple([part(value) for part, value in zip(parts, row, strict=True)])
    assert source.element is not None and target.element is not None
    if _stays(source.element, target.element) and (source.key is None or _stays(source.key, target.key)):
        return None
    element = _optional(source.element, target.element)
    if source.kind is Kind.ARRAY:
        return lambda values: [element(value) for value in values]
    assert source.key is not None and target.key is not None
    key = _optional(source.key, target.key)
    return lambda entries: {key(name): element(value) for name, value in entries.items()}


def _stays(source: Type, target: Type | None) -> bool:
    return target is not None and (source.kind is Kind.NULL or converter(source, target) is None)


def _optional(source: Type, target: Type) -> Convert:
    """A converter that keeps None."""
    convert = None if source.kind is Kind.NULL else converter(source, target)
    if convert is None:
        return lambda value: value
    return lambda value: None if value is None else convert(value)


def copied(expr: Expr) -> int | None:
    """The column an expression gives the values of, as they are: a reference, or a cast that changes nothing but names
    and types."""
    while isinstance(expr, Call) and expr.function == "CAST" and converter(expr.args[0].type, expr.type) is None:
        expr = expr.args[0]
    return expr.index if isinstance(expr, ColumnRef) else None


def text_of(source: Type) -> Convert:
    """How a non-NULL value of a type is written."""
    match source.kind:
        case Kind.BOOLEAN:
            return numbers.boolean_text
        case Kind.DOUBLE:
            return numbers.double_text
        case Kind.FLOAT:
            return numbers.float_text
        case Kind.DECIMAL:
            return numbers.decimal_text
        case Kind.DATE:
            return times.date_text
        case Kind.TIME:
            return lambda ms: times.time_text(ms, source.precision)
        case Kind.TIMESTAMP | Kind.TIMESTAMP_LTZ:
            return lambda ms: times.timestamp_text(ms, source.precision)
        case Kind.INTERVAL_DAY:
            return times.interval_text
        case Kind.INTERVAL_YEAR:
            return times.months_text
        case Kind.BYTES:
            return lambda data: data.decode("utf-8", "replace")
        case Kind.ARRAY | Kind.MAP | Kind.ROW:
            return _nested_text(source)
    return str


def _nested_text(source: Type) -> Convert:
    """`[1, 2, NULL]`, `{a=1}`, `(1, x)`."""
    if source.kind is Kind.ROW:
        parts = [_cell_text(each.type) for each in source.fields]
        return lambda row: "(" + ", ".join([part(value) for part, value in zip(parts, row, strict=True)]) + ")"
    assert source.element is not None
    element = _cell_text(source.element)
    if source.kind is Kind.ARRAY:
        return lambda values: "[" + ", ".join([element(value) for value in values]) + "]"
    assert source.key is not None
    key = _cell_text(source.key)
    return lambda entries: "{" + ", ".join([f"{key(name)}={element(value)}" for name, value in entries.items()]) + "}"


def _cell_text(type_: Type) -> Convert:
    write = text_of(type_)
    return lambda value: "NULL" if value is None else write(value)


def _limited(write: Convert, target: Type) -> Convert:
    """Cut to the length of VARCHAR(n) or BINARY(n); CHAR(n) and BINARY(n) are filled up as well."""
    length = target.length
    if not length:
        return write
    if not target.is_fixed:
        return lambda value: write(value)[:length]
    if target.kind is Kind.BYTES:
        return lambda value: write(value)[:length].ljust(length, b"\0")
    return lambda value: write(value)[:length].ljust(length)


def _from_text(target: Type) -> Convert:
    match target.kind:
        case Kind.BOOLEAN:
            return numbers.read_boolean
        case Kind.TINYINT | Kind.SMALLINT | Kind.INT | Kind.BIGINT:
            return lambda text: numbers.read_integer(text, target.kind)
        case Kind.DOUBLE:
            return numbers.read_double
        case Kind.FLOAT:
            return lambda text: single(numbers.read_double(text))
        case Kind.DECIMAL:
            return lambda text: numbers.read_decimal(text, target)
        case Kind.DATE:
            return times.read_date
        case Kind.TIME:
            return _cut(times.read_time, target)
        case Kind.TIMESTAMP | Kind.TIMESTAMP_LTZ:
            return _cut(times.read_timestamp, target)
        case Kind.BYTES:
            return _limited(lambda text: text.encode("utf-8", "surrogatepass"), target)
    raise TypeError(f"a STRING cannot be cast to {target}")


def _cut(read: Convert, target: Type) -> Convert:
    """A reader of times that cuts milliseconds to the precision of its type."""
    if target.precision >= 3:
        return read
    unit = 10 ** (3 - target.precision)
    return lambda text: read(text) // unit * unit


def _numeric(source: Type, target: Type) -> Convert:
    if target.kind is Kind.DECIMAL:
        if source.kind is Kind.DOUBLE:
            return _tried(lambda value: numbers.decimal_of_double(value, target))  # NULL where it does not fit
        if source.kind is Kind.FLOAT:
            return _tried(lambda value: numbers.fit(Decimal(numbers.float_text(value)), target))
        return _tried(lambda value: numbers.fit(Decimal(int(value)), target))
    if target.kind is Kind.FLOAT:
        return lambda value: single(float(value))
    if target.kind is Kind.DOUBLE:
        return float
    if source.kind in FLOATS:
        return lambda value: wrapped(saturated(value, target.kind), target.kind)
    if source.kind is Kind.DECIMAL:
        return lambda value: wrapped(int(value.to_integral_value(ROUND_DOWN)), target.kind)
    return lambda value: wrapped(int(value), target.kind)


def single(value: float) -> float:
    """Rounded to 32 bits; beyond their range it is an infinity."""
    with np.errstate(over="ignore"):
        return float(np.float32(value))


def wrapped(value: int, kind: Kind) -> int:
    """The low bits of an integer, as a signed number of the kind's width."""
    half = 1 << (INTEGER_BITS[kind] - 1)
    return (value + half & 2 * half - 1) - half


def saturated(value: float, kind: Kind) -> int:
    """Java's (int) or (long) of a double; the narrow kinds go through int."""
    if value != value:
        return 0
    limit = 2**63 if kind is Kind.BIGINT else 2**31
    return int(max(min(value, limit), -limit)) if -limit <= value < limit else (limit - 1 if value > 0 else -limit)


def _between_times(source: Type, target: Type) -> Convert | None:
    day = times.DAY_MS
    if source.kind in TIMESTAMPS and target.kind in TIMESTAMPS:
        return _same_kind(source, Type(source.kind, precision=target.precision))
    match source.kind, target.kind:
        case Kind.DATE, Kind.TIMESTAMP | Kind.TIMESTAMP_LTZ:
            return lambda days: days * day
        case Kind.TIME, Kind.TIMESTAMP | Kind.TIMESTAMP_LTZ:
            return None
        case Kind.TIMESTAMP | Kind.TIMESTAMP_LTZ, Kind.DATE:
            return lambda ms: ms // day
        case Kind.TIMESTAMP | Kind.TIMESTAMP_LTZ, Kind.TIME:
            unit = 10 ** (3 - min(target.precision, 3))
            return lambda ms: ms % day // unit * unit
    raise TypeError(f"a {source} cannot be cast to {target}")


# ---------------------------------------------------------------- a column


def _vectorised(source: Type, target: Type) -> Callable[[AnyArray], AnyArray] | None:
    """The same conversions for a whole array where NumPy gives Java's results. The caller silences NumPy's warnings."""
    if source.kind in TIMESTAMPS and target.kind is Kind.DATE:
        return lambda values: values // times.DAY_MS
    if source.kind is Kind.DATE and target.kind in TIMESTAMPS:
        return lambda values: values * times.DAY_MS
    integral = source.kind in INTEGERS or source.kind is Kind.BOOLEAN
    if integral and target.kind is Kind.DOUBLE:
        return lambda values: values.astype(np.float64)
    if (integral or source.kind is Kind.DOUBLE) and target.kind is Kind.FLOAT:
        return lambda values: values.astype(np.float32).astype(np.float64)
    if integral and target.kind in NARROW:
        narrow = NARROW[target.kind]
        if source.kind in INTEGERS and INTEGER_BITS[source.kind] <= INTEGER_BITS[target.kind]:
            return lambda values: values
        return lambda values: values.astype(narrow).astype(np.int64)
    if integral and target.kind is Kind.BIGINT:
        return lambda values: values.astype(np.int64)
    if source.kind is Kind.FLOAT and target.kind is Kind.DOUBLE:
        return lambda values: values
    if (source.kind in INTEGERS or source.kind in FLOATS) and target.kind is Kind.BOOLEAN:
        return lambda values: values != 0
    return None


def cast(operand: Operand, target: Type, *, trying: bool = False) -> Operand:
    """`operand` as `target`. Raises TypeError if the types cannot be cast."""
    source = operand.type
    if operand.is_null or source.kind is Kind.NULL:
        return constant(target, None)
    convert = converter(source, target)
    if convert is None:
        return Operand(
            target, operand.run, operand.reads, operand.fallible, operand.warns, operand.constant, operand.value
        )
    if operand.constant:
        try:
            return constant(target, convert(operand.value))
        except Failed:
            if trying:
                return constant(target, None)
    fallible = operand.fallible or (not trying and _can_fail(source, target))
    run, warns = _run(operand, target, convert, trying)
    return Operand(target, run, operand.reads, fallible, operand.warns or warns)


def _run(operand: Operand, target: Type, convert: Convert, trying: bool) -> tuple[Kernel, bool]:
    """The kernel, and whether NumPy may warn in it."""
    vector = _vectorised(operand.type, target)
    if vector is None:
        return lift(target, _tried(convert) if trying else convert, [operand]), False
    inner = operand.run
    whole = vector

    def kernel(ev: Evaluation) -> Held:
        values, valid = inner(ev)
        return whole(values), valid

    return kernel, target.kind is Kind.FLOAT


def _tried(convert: Convert) -> Convert:
    def attempt(value: Any) -> Any:
        try:
            return convert(value)
        except Failed:
            return None

    return attempt


def _can_fail(source: Type, target: Type) -> bool:
    if target.kind in (Kind.ARRAY, Kind.MAP, Kind.ROW):
        return True
    if target.kind is Kind.DECIMAL:
        return True
    if source.kind is Kind.STRING:
        return target.kind not in (Kind.STRING, Kind.BYTES)
    return target.kind is Kind.STRING and source.kind in _TIMES


def widen(operand: Operand, target: Type) -> Operand:
    """An operand of a type that holds all its values: what arithmetic, CASE and comparisons do before they start."""
    return operand if operand.type == target else cast(operand, target)


def build_cast(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """CAST: text that cannot be read and a DECIMAL that does not fit fail the row."""
    return cast(operands[0], call.type)


def build_try_cast(call: Call, operands: tuple[Operand, ...]) -> Operand:
    """TRY_CAST: what CAST fails is NULL."""
    return cast(operands[0], call.type, trying=True)
