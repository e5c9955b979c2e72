"""Functions with a syntax of their own: one rule each, entered after the name was read.

A rule returns a `Call` whose `options` hold the checked words: unit, side, JSON clauses.
"""

from __future__ import annotations

from collections.abc import Callable

from nextpaint.record.types import Type
from nextpaint.sql import call_grammar
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import Kind, Token
from nextpaint.sql.plan import At
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.syntax import Call, Cast, Expression
from nextpaint.sql.typenames import parse_type

Parse = Callable[[Cursor], Expression]
Special = Callable[[Cursor, Token, Parse], Expression]
Option = tuple[str, str | bool | Expression | Type]

# A chain `a + b + c` nests to its left: without a bound a long one exhausts Python's stack when it is walked.
CHAIN_MAX = 60

UNITS = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND")
_UNIT_WORDS = {**{unit: unit for unit in UNITS}, **{f"SQL_TSI_{unit}": unit for unit in UNITS}}
EXTRACT_UNITS = (*UNITS, *"MICROSECOND DOW ISODOW ISOYEAR DOY EPOCH DECADE CENTURY MILLENNIUM".split())


def _cast(safe: bool) -> Special:
    def rule(cursor: Cursor, name: Token, parse: Parse) -> Expression:
        cursor.expect("(")
        operand = parse(cursor)
        cursor.expect("AS")
        target = parse_type(cursor)
        cursor.expect(")")
        return Cast(operand, target, safe, name.at)

    return rule


def _unit(cursor: Cursor, allowed: tuple[str, ...]) -> str:
    token = cursor.current
    unit = _UNIT_WORDS.get(token.upper, token.upper)
    if token.kind is not Kind.WORD or unit not in allowed:
        raise Refusal(f"expected a time unit but found {token}", token.at, near(token.text or "?", allowed))
    cursor.advance()
    return unit


def _extract(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    cursor.expect("(")
    unit = _unit(cursor, EXTRACT_UNITS)
    cursor.expect("FROM")
    operand = parse(cursor)
    cursor.expect(")")
    return Call("EXTRACT", (operand,), (("unit", unit),), at=name.at)


def _floor(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    cursor.expect("(")
    operand = parse(cursor)
    options: tuple[Option, ...] = ()
    if cursor.take("TO"):
        options = (("unit", _unit(cursor, UNITS)),)
    cursor.expect(")")
    function = "CEIL" if name.upper == "CEILING" else name.upper
    return Call(function, (operand,), options, at=name.at)


def _timestamp_math(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    cursor.expect("(")
    unit = _unit(cursor, UNITS)
    cursor.expect(",")
    first = parse(cursor)
    cursor.expect(",")
    second = parse(cursor)
    cursor.expect(")")
    return Call(name.upper, (first, second), (("unit", unit),), at=name.at)


def _trim(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    cursor.expect("(")
    side = "BOTH"
    explicit = False
    for word in ("BOTH", "LEADING", "TRAILING"):
        if cursor.take(word):
            side, explicit = word, True
    if explicit and cursor.take("FROM"):
        args: tuple[Expression, ...] = (parse(cursor),)
    else:
        first = parse(cursor)
        if cursor.take("FROM"):
            args = (parse(cursor), first)
        else:
            args = (first,)
    cursor.expect(")")
    return Call("TRIM", args, (("side", side),), at=name.at)


def _position(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    cursor.expect("(")
    # IN belongs to POSITION here, so the needle is a value without IN: a primary or a parenthesised one.
    needle = _needle(cursor, parse)
    cursor.expect("IN")
    haystack = parse(cursor)
    cursor.expect(")")
    return Call("POSITION", (needle, haystack), at=name.at)


def _needle(cursor: Cursor, parse: Parse) -> Expression:
    depth = 0
    ahead = 0
    while True:
        token = cursor.peek(ahead)
        if token.kind is Kind.END:
            raise Refusal("expected IN inside POSITION(x IN s)", cursor.at)
        if token.kind is Kind.SIGN and token.text in "([":
            depth += 1
        elif token.kind is Kind.SIGN and token.text in ")]":
            depth -= 1
        if depth < 0:
            raise Refusal("expected IN inside POSITION(x IN s)", token.at)
        if depth == 0 and token.upper == "IN":
            break
        ahead += 1
    part = Cursor([*cursor.slice(cursor.index, cursor.index + ahead), Token(Kind.END, "", cursor.peek(ahead).at)])
    result = parse(part)
    part.expect_end()
    for _ in range(ahead):
        cursor.advance()
    return result


def _substring(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    cursor.expect("(")
    args = [parse(cursor)]
    if cursor.take("FROM"):
        args.append(parse(cursor))
        if cursor.take("FOR"):
            args.append(parse(cursor))
    else:
        while cursor.take(","):
            args.append(parse(cursor))
    cursor.expect(")")
    return Call("SUBSTRING", tuple(args), at=name.at)


# ---------------------------------------------------------------- JSON


def _path(cursor: Cursor) -> tuple[Option, ...]:
    """The path of a JSON function: a constant, strict unless it says lax."""
    at = cursor.at
    if cursor.current.kind is not Kind.STRING:
        raise Refusal("a JSON path must be a constant string", at, "for example '$.product_id'")
    text = cursor.string("a JSON path").strip()
    mode, _, rest = text.partition(" ")
    strict = True
    if mode.lower() in ("lax", "strict") and rest:
        strict = mode.lower() == "strict"
        text = rest.strip()
    if not text.startswith("$"):
        raise Refusal(f"the JSON path '{text}' does not start with $", at, f"write '$.{text}'")
    return (("path", text), ("strict", strict))


def _json_value(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    cursor.expect("(")
    operand = parse(cursor)
    cursor.expect(",")
    options = list(_path(cursor))
    if cursor.take("RETURNING"):
        at = cursor.at
        returning = parse_type(cursor)
        options.append(("returning", returning))
        _json_type(returning, at)
    seen: dict[str, str] = {}
    while not cursor.sees(")"):
        event, outcome, default = _json_clause(cursor, parse, ("NULL", "ERROR"))
        if event in seen or (event == "on_empty" and "on_error" in seen):
            raise Refusal("ON EMPTY comes once, before ON ERROR", cursor.at)
        seen[event] = outcome
        options.append((event, outcome))
        if default is not None:
            options.append((f"{event}_default", default))
    cursor.expect(")")
    return Call("JSON_VALUE", (operand,), tuple(options), at=name.at)


def _json_type(returning: Type, at: At) -> None:
    if str(returning) not in ("STRING", "BOOLEAN", "INT", "DOUBLE"):
        raise Refusal(
            f"JSON_VALUE cannot return {returning}", at, "RETURNING STRING, BOOLEAN, INTEGER or DOUBLE, then CAST"
        )


def _json_clause(cursor: Cursor, parse: Parse, words: tuple[str, ...]) -> tuple[str, str, Expression | None]:
    """`{NULL | ERROR | DEFAULT v} ON {EMPTY | ERROR}`."""
    default: Expression | None = None
    at = cursor.at
    for word in words:
        if cursor.take(*word.split()):
            outcome = word
            break
    else:
        if "DEFAULT" in (cursor.current.upper,) and "NULL" in words and "EMPTY ARRAY" not in words:
            cursor.expect("DEFAULT")
            default = parse(cursor)
            outcome = "DEFAULT"
        else:
            raise Refusal(f"expected {', '.join(words)} ON EMPTY or ON ERROR but found {cursor.current}", at)
    cursor.expect("ON")
    if cursor.take("EMPTY"):
        return "on_empty", outcome, default
    cursor.expect("ERROR")
    return "on_error", outcome, default


def _json_exists(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    cursor.expect("(")
    operand = parse(cursor)
    cursor.expect(",")
    options = list(_path(cursor))
    if not cursor.sees(")"):
        at = cursor.at
        event, outcome, _ = _json_clause(cursor, parse, ("TRUE", "FALSE", "UNKNOWN", "ERROR"))
        if event != "on_error":
            raise Refusal("JSON_EXISTS has ON ERROR only", at)
        options.append((event, outcome))
    cursor.expect(")")
    return Call("JSON_EXISTS", (operand,), tuple(options), at=name.at)


def _json_query(cursor: Cursor, name: Token, parse: Parse) -> Expression:
    cursor.expect("(")
    operand = parse(cursor)
    cursor.expect(",")
    options = list(_path(cursor))
    if cursor.take("RETURNING"):
        at = cursor.at
        returning = parse_type(cursor)
        if str(returning) not in ("STRING", "ARRAY<STRING>"):
            raise Refusal(f"JSON_QUERY cannot return {returning}", at, "RETURNING STRING or ARRAY<STRING>")
        options.append(("returning", returning))
    options.append(("wrapper", _wrapper(cursor)))
    while not cursor.sees(")"):
        event, outcome, _ = _json_clause(cursor, parse, ("NULL", "ERROR", "EMPTY ARRAY", "EMPTY OBJECT"))
        options.append((event, outcome))
    cursor.expect(")")
    return Call("JSON_QUERY", (operand,), tuple(options), at=name.at)


def _wrapper(cursor: Cursor) -> str:
    if cursor.take("WITHOUT"):
        cursor.take("ARRAY")
        cursor.expect("WRAPPER")
        return "WITHOUT"
    if not cursor.take("WITH"):
        return "WITHOUT"
    kind = "UNCONDITIONAL"
    if cursor.take("CONDITIONAL"):
        kind = "CONDITIONAL"
    else:
        cursor.take("UNCONDITIONAL")
    cursor.take("ARRAY")
    cursor.expect("WRAPPER")
    return kind


SPECIAL: dict[str, Special] = {
    "CAST": _cast(safe=False),
    "TRY_CAST": _cast(safe=True),
    "EXTRACT": _extract,
    "FLOOR": _floor,
    "CEIL": _floor,
    "CEILING": _floor,
    "TIMESTAMPADD": _timestamp_math,
    "TIMESTAMPDIFF": _timestamp_math,
    "TRIM": _trim,
    "POSITION": _position,
    "SUBSTRING": _substring,
    "JSON_VALUE": _json_value,
    "JSON_EXISTS": _json_exists,
    "JSON_QUERY": _json_query,
    **call_grammar.RULES,
}
