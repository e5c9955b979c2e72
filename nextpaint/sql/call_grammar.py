"""More functions with a syntax of their own: OVERLAY, JSON_OBJECT and JSON_ARRAY."""

from __future__ import annotations

from collections.abc import Callable

from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import Token
from nextpaint.sql.plan import At
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.syntax import Call, Expression, Is, String

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


# What Flink also calls them.
SYNONYMS = {"STDDEV": "STDDEV_SAMP", "VARIANCE": "VAR_SAMP"}


def _json_arrayagg(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    """`JSON_ARRAYAGG(v [{NULL | ABSENT} ON NULL])`: the JSON of ARRAY_AGG."""
    cursor.expect("(")
    value = parse(cursor)
    absent = _on_null(cursor, "ABSENT") == "ABSENT"
    cursor.expect(")")
    return _json_of(_gathered(value, value if absent else None, name.at), "[]", name.at)


def _json_objectagg(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    """`JSON_OBJECTAGG([KEY] k VALUE v [{NULL | ABSENT} ON NULL])`: the JSON of a map; of equal keys the last counts."""
    cursor.expect("(")
    cursor.take("KEY")
    key = parse(cursor)
    if not cursor.take("VALUE"):
        raise Refusal(f"expected VALUE but found {cursor.current}", cursor.at, "JSON_OBJECTAGG(KEY k VALUE v)")
    value = parse(cursor)
    kept = value if _on_null(cursor, "NULL") == "ABSENT" else None
    cursor.expect(")")
    sides = (_gathered(key, kept, name.at), _gathered(value, kept, name.at))
    return _json_of(Call("MAP_FROM_ARRAYS", sides, at=name.at), "{}", name.at)


def _gathered(value: Expression, kept: Expression | None, at: At) -> Call:
    """ARRAY_AGG of a value, of the rows where `kept` is not NULL."""
    condition = Is(kept, "NULL", True, at) if kept is not None else None
    return Call("ARRAY_AGG", (value,), filter=condition, at=at)


def _json_of(value: Expression, empty: str, at: At) -> Expression:
    return Call("COALESCE", (Call("JSON_STRING", (value,), at=at), String(empty, at)), at=at)


RULES: dict[str, Callable[[Cursor, Token, Parse], Expression]] = {
    "OVERLAY": _overlay,
    "JSON_OBJECT": _json_object,
    "JSON_ARRAY": _json_array,
    "JSON_ARRAYAGG": _json_arrayagg,
    "JSON_OBJECTAGG": _json_objectagg,
}
