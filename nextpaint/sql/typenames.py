"""Type names as written: `INT`, `DECIMAL(10, 2)`, `ROW<a INT, b STRING>`, `ARRAY<T>`, `T ARRAY`, `MULTISET<T>`.

Times are held in milliseconds whatever their precision: further digits are cut when a value is read.
"""

from __future__ import annotations

from collections.abc import Callable

from nextpaint.record import types
from nextpaint.record.types import Field, Kind, Type
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.plan import At
from nextpaint.sql.refusal import Refusal, near

_DIGITS_MAX = 9
_TIME_DIGITS_MAX = 3  # of TIME: the columns hold no more
_PRECISION_MAX = 38


def parse_type(cursor: Cursor) -> Type:
    """One type at the cursor. Raises Refusal for unknown or unsupported ones."""
    with cursor.nested():
        token = cursor.current
        rule = _RULES.get(token.upper)
        if rule is None:
            reason = _REFUSED.get(token.upper)
            if reason:
                raise Refusal(f"the type {token.upper} is not supported", token.at, reason)
            raise Refusal(f"expected a type but found {token}", token.at, near(token.text, _RULES))
        cursor.advance()
        result = rule(cursor, token.at)
        while cursor.sees("ARRAY") or cursor.sees("MULTISET"):
            result = types.array(result) if cursor.advance().upper == "ARRAY" else types.multiset(result)
        return result


def _plain(result: Type) -> Callable[[Cursor, At], Type]:
    return lambda _cursor, _at: result


def _double(cursor: Cursor, _at: At) -> Type:
    cursor.take("PRECISION")
    return types.DOUBLE


def _varchar(cursor: Cursor, at: At) -> Type:
    if not cursor.take("("):
        return Type(Kind.STRING, length=1)  # as in Flink: VARCHAR alone is VARCHAR(1)
    length = cursor.integer("a length")
    cursor.expect(")")
    if not 1 <= length <= 2147483647:
        raise Refusal(f"VARCHAR({length}) is not a type", at, "the length is between 1 and 2147483647")
    return Type(Kind.STRING, length=0 if length == 2147483647 else length)


def _char(cursor: Cursor, at: At) -> Type:
    if cursor.take("VARYING"):
        return _varchar(cursor, at)
    return Type(Kind.STRING, precision=1, length=_length(cursor, "CHAR", at))  # CHAR alone is CHAR(1)


def _binary(cursor: Cursor, at: At) -> Type:
    if cursor.take("VARYING"):
        return _varbinary(cursor, at)
    return Type(Kind.BYTES, precision=1, length=_length(cursor, "BINARY", at))


def _varbinary(cursor: Cursor, at: At) -> Type:
    length = _length(cursor, "VARBINARY", at)
    return types.BYTES if length == 2147483647 else Type(Kind.BYTES, length=length)


def _length(cursor: Cursor, name: str, at: At) -> int:
    if not cursor.take("("):
        return 1
    length = cursor.integer("a length")
    cursor.expect(")")
    if not 1 <= length <= 2147483647:
        raise Refusal(f"{name}({length}) is not a type", at, "the length is between 1 and 2147483647")
    return length


def _decimal(cursor: Cursor, at: At) -> Type:
    precision, scale = 10, 0
    if cursor.take("("):
        precision = cursor.integer("a precision")
        if cursor.take(","):
            scale = cursor.integer("a scale")
        cursor.expect(")")
    if not 1 <= precision <= _PRECISION_MAX or scale > precision:
        raise Refusal(
            f"DECIMAL({precision}, {scale}) is not a type",
            at,
            f"the precision is 1 to {_PRECISION_MAX}, the scale at most the precision",
        )
    return types.decimal(precision, scale)


def _time(cursor: Cursor, at: At) -> Type:
    precision = _digits(cursor, default=0)
    _without_zone(cursor)
    if precision > _TIME_DIGITS_MAX:
        raise Refusal(f"the type TIME({precision}) is not supported", at, f"at most TIME({_TIME_DIGITS_MAX})")
    return Type(Kind.TIME, precision=precision)


def _timestamp(cursor: Cursor, at: At) -> Type:
    precision = _digits(cursor, default=6)
    kind = Kind.TIMESTAMP
    if cursor.take("WITH", "LOCAL", "TIME", "ZONE"):
        kind = Kind.TIMESTAMP_LTZ
    elif cursor.sees("WITH", "TIME", "ZONE"):
        raise Refusal("TIMESTAMP WITH TIME ZONE is not supported", at, "use TIMESTAMP_LTZ(3)")
    else:
        _without_zone(cursor)
    return _moment(kind, precision, at)


def _timestamp_ltz(cursor: Cursor, at: At) -> Type:
    return _moment(Kind.TIMESTAMP_LTZ, _digits(cursor, default=6), at)


def _moment(kind: Kind, precision: int, at: At) -> Type:
    if precision > _DIGITS_MAX:
        raise Refusal(f"{kind}({precision}) is not a type", at, f"the precision is 0 to {_DIGITS_MAX}")
    return Type(kind, precision=precision)


def _digits(cursor: Cursor, default: int) -> int:
    if not cursor.take("("):
        return default
    value = cursor.integer("a number of fraction digits")
    cursor.expect(")")
    return value


def _without_zone(cursor: Cursor) -> None:
    cursor.take("WITHOUT", "TIME", "ZONE")


def _array(cursor: Cursor, _at: At) -> Type:
    return types.array(_element(cursor))


def _multiset(cursor: Cursor, _at: At) -> Type:
    return types.multiset(_element(cursor))


def _element(cursor: Cursor) -> Type:
    """`<T>`: the type of what is in a collection."""
    cursor.expect("<")
    element = parse_type(cursor)
    _element_nullability(cursor)
    _close(cursor)
    return element


def _map(cursor: Cursor, _at: At) -> Type:
    cursor.expect("<")
    key = parse_type(cursor)
    _element_nullability(cursor)
    cursor.expect(",")
    value = parse_type(cursor)
    _element_nullability(cursor)
    _close(cursor)
    return types.mapping(key, value)


def _row(cursor: Cursor, at: At) -> Type:
    closing = ")" if cursor.take("(") else ">"
    if closing == ">":
        cursor.expect("<")
    fields = cursor.comma_separated(lambda: _field(cursor))
    if closing == ")":
        cursor.expect(")")
    else:
        _close(cursor)
    names = [each.name for each in fields]
    for name in names:
        if names.count(name) > 1:
            raise Refusal(f"the ROW has two fields named {name}", at, "rename one")
    return types.row(*fields)


def _field(cursor: Cursor) -> Field:
    name = cursor.identifier("a field name")
    type_ = parse_type(cursor)
    nullable = not cursor.take("NOT", "NULL")
    if nullable:
        cursor.take("NULL")
    if cursor.take("COMMENT"):
        cursor.string("a comment")
    return Field(name.text, type_, nullable)


def _element_nullability(cursor: Cursor) -> None:
    if not cursor.take("NOT", "NULL"):
        cursor.take("NULL")


def _close(cursor: Cursor) -> None:
    """`>` of a nested type; the lexer never joins two of them."""
    cursor.expect(">")


_REFUSED = {
    "RAW": "use BYTES",
    "VARIANT": "use STRING with JSON text",
    "TEXT": "use STRING",
    "DATETIME": "use TIMESTAMP(3)",
    "BOOL": "use BOOLEAN",
    "INT64": "use BIGINT",
    "FLOAT64": "use DOUBLE",
    "INTERVAL": "a column cannot hold an interval; store a number and its unit",
}

_RULES: dict[str, Callable[[Cursor, At], Type]] = {
    "BOOLEAN": _plain(types.BOOLEAN),
    "TINYINT": _plain(types.TINYINT),
    "SMALLINT": _plain(types.SMALLINT),
    "INT": _plain(types.INT),
    "INTEGER": _plain(types.INT),
    "BIGINT": _plain(types.BIGINT),
    "FLOAT": _plain(types.FLOAT),
    "DOUBLE": _double,
    "DECIMAL": _decimal,
    "DEC": _decimal,
    "NUMERIC": _decimal,
    "STRING": _plain(types.STRING),
    "VARCHAR": _varchar,
    "CHAR": _char,
    "CHARACTER": _char,
    "BYTES": _plain(types.BYTES),
    "BINARY": _binary,
    "VARBINARY": _varbinary,
    "DATE": _plain(types.DATE),
    "TIME": _time,
    "TIMESTAMP": _timestamp,
    "TIMESTAMP_LTZ": _timestamp_ltz,
    "ARRAY": _array,
    "MAP": _map,
    "MULTISET": _multiset,
    "ROW": _row,
}
