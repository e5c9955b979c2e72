"""More functions with a syntax of their own: OVERLAY, JSON_OBJECT and JSON_ARRAY."""

from __future__ import annotations

from collections.abc import Callable

from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import Token
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.syntax import Call, Expression

Parse = Callable[[Cursor], Expression]


def _overlay(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    """`OVERLAY(text PLACING new FROM start [FOR length])`."""
    cursor.expect("(")
    args = [parse(cursor)]
    cursor.expect("PLACING")
    args.append(parse(cursor))
    cursor.expect("FROM")
    args.append(parse(cursor))
    if cursor.take("FOR"):
        args.append(parse(cursor))
    cursor.expect(")")
    return Call("OVERLAY", tuple(args), at=name.at)


def _on_null(cursor: Cursor, default: str) -> str:
    for word in ("NULL", "ABSENT"):
        if cursor.take(word, "ON", "NULL"):
            return word
    return default


def _json_object(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    """`JSON_OBJECT([[KEY] k VALUE v, ...] [{NULL | ABSENT} ON NULL])`."""
    cursor.expect("(")
    args: list[Expression] = []
    while not (cursor.sees(")") or cursor.sees("NULL", "ON") or cursor.sees("ABSENT", "ON")):
        cursor.take("KEY")
        args.append(parse(cursor))
        if not cursor.take("VALUE"):
            raise Refusal(f"expected VALUE but found {cursor.current}", cursor.at, "JSON_OBJECT('key' VALUE value)")
        args.append(parse(cursor))
        if not cursor.take(","):
            break
    on_null = _on_null(cursor, "NULL")
    cursor.expect(")")
    return Call("JSON_OBJECT", tuple(args), (("on_null", on_null),), at=name.at)


def _json_array(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    """`JSON_ARRAY([v, ...] [{NULL | ABSENT} ON NULL])`."""
    cursor.expect("(")
    args: list[Expression] = []
    while not (cursor.sees(")") or cursor.sees("NULL", "ON") or cursor.sees("ABSENT", "ON")):
        args.append(parse(cursor))
        if not cursor.take(","):
            break
    on_null = _on_null(cursor, "ABSENT")
    cursor.expect(")")
    return Call("JSON_ARRAY", tuple(args), (("on_null", on_null),), at=name.at)


RULES: dict[str, Callable[[Cursor, Token, Parse], Expression]] = {
    "OVERLAY": _overlay,
    "JSON_OBJECT": _json_object,
    "JSON_ARRAY": _json_array,
}
