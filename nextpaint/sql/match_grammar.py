"""The grammar of MATCH_RECOGNIZE: the clauses Flink runs; the others of the standard are refused at their word."""

from __future__ import annotations

from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import Kind
from nextpaint.sql.expression_grammar import parse_expression, parse_order_item
from nextpaint.sql.plan import PatternItem
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.syntax import Derived, Expression, Ident, MatchRecognize, TableName

_ABSENCE = "that something does not happen is the end of a SESSION window, or a journey's timer"
_SIGNS = {
    "|": "write one MATCH_RECOGNIZE per alternative and UNION ALL",
    "(": "repeat single variables only",
    "{": _ABSENCE,
    "^": _ABSENCE,
    "$": _ABSENCE,
}


def parse_match(cursor: Cursor, source: TableName | Derived) -> MatchRecognize:
    """`MATCH_RECOGNIZE (...) [AS alias]` after its table."""
    start = cursor.expect("MATCH_RECOGNIZE").at
    cursor.expect("(")
    partition: tuple[Expression, ...] = ()
    if cursor.take("PARTITION"):
        cursor.expect("BY")
        partition = cursor.comma_separated(lambda: parse_expression(cursor))
    if not cursor.take("ORDER", "BY"):
        raise Refusal("MATCH_RECOGNIZE needs ORDER BY an event time", cursor.at, "ORDER BY ts")
    order = cursor.comma_separated(lambda: parse_order_item(cursor))
    cursor.expect("MEASURES")
    measures = cursor.comma_separated(lambda: _measure(cursor))
    if cursor.sees("ALL", "ROWS"):
        raise Refusal(
            "ALL ROWS PER MATCH is not supported", cursor.at, "ONE ROW PER MATCH, with what is needed as measures"
        )
    if cursor.take("ONE"):
        cursor.expect("ROW", "PER", "MATCH")
    skip = _skip(cursor) if cursor.take("AFTER") else ("NEXT", None)
    cursor.expect("PATTERN", "(")
    pattern = _pattern(cursor)
    within = parse_expression(cursor) if cursor.take("WITHIN") else None
    if cursor.sees("SUBSET"):
        raise Refusal("SUBSET is not supported", cursor.at, "name the variables one by one")
    defines: tuple[tuple[Ident, Expression], ...] = ()
    if cursor.take("DEFINE"):
        defines = cursor.comma_separated(lambda: _define(cursor))
    cursor.expect(")")
    alias = cursor.identifier("a table alias") if cursor.take("AS") or cursor.sees_identifier() else None
    return MatchRecognize(source, partition, order, measures, skip, pattern, within, defines, alias, start)


def _measure(cursor: Cursor) -> tuple[Expression, Ident]:
    if cursor.sees("RUNNING"):
        raise Refusal("RUNNING is not supported", cursor.at, "measures are final")
    cursor.take("FINAL")  # which they are
    expression = parse_expression(cursor)
    cursor.expect("AS")
    return expression, cursor.identifier("a name for the measure")


def _define(cursor: Cursor) -> tuple[Ident, Expression]:
    name = cursor.identifier("a pattern variable")
    cursor.expect("AS")
    return name, parse_expression(cursor)


def _skip(cursor: Cursor) -> tuple[str, Ident | None]:
    """`MATCH SKIP ...`: (PAST, NEXT, FIRST or LAST, variable)."""
    cursor.expect("MATCH", "SKIP")
    if cursor.take("PAST"):
        cursor.expect("LAST", "ROW")
        return "PAST", None
    cursor.expect("TO")
    if cursor.take("NEXT"):
        cursor.expect("ROW")
        return "NEXT", None
    for word in ("FIRST", "LAST"):
        if cursor.take(word):
            return word, cursor.identifier("a pattern variable")
    return "LAST", cursor.identifier("a pattern variable")


def _pattern(cursor: Cursor) -> tuple[PatternItem, ...]:
    items: list[PatternItem] = []
    while not cursor.take(")"):
        if cursor.sees("PERMUTE"):
            raise Refusal("PERMUTE is not supported", cursor.at, "write the orders out, one MATCH_RECOGNIZE each")
        token = cursor.current
        if token.kind is Kind.SIGN and token.text in _SIGNS:
            raise Refusal(f"'{token.text}' in a PATTERN is not supported", cursor.at, _SIGNS[token.text])
        name = cursor.identifier("a pattern variable")
        if any(each.variable == name.text for each in items):
            raise Refusal(f"the PATTERN has {name.text} twice", name.at, "give each place a variable of its own")
        low, high = _quantifier(cursor)
        place = cursor.at
        greedy = not cursor.take("?")
        if not greedy and (low, high) == (0, 1):
            raise Refusal("a reluctant ?? is not supported, as in Flink", place, f"{name.text}? or {name.text}*?")
        # In Flink an optional variable leaves both ways open, whether it could take the row or not.
        items.append(PatternItem(name.text, low, high, greedy and (low, high) != (0, 1), name.at))
    if not items:
        raise Refusal("the PATTERN is empty", cursor.at, "PATTERN (A B+ C)")
    last = items[-1]
    optional = (last.least, last.most) == (0, 1)
    if optional or (last.greedy and last.most != last.least):
        raise Refusal(
            f"a PATTERN cannot end with the greedy {last.variable}: it would never know that it is complete",
            last.at,
            f"end it with a variable that closes it, or make it reluctant: {last.variable}+?",
        )
    return tuple(items)


def _quantifier(cursor: Cursor) -> tuple[int, int | None]:
    """(least, most)."""
    for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
        if cursor.take(sign):
            return bounds
    at = cursor.at
    if not cursor.sees("{") or cursor.peek().text == "-":
        return 1, 1
    cursor.advance()
    low = 0 if cursor.sees(",") else cursor.integer("a number of rows")
    high: int | None = low
    if cursor.take(","):
        high = None if cursor.sees("}") else cursor.integer("a number of rows")
    cursor.expect("}")
    if high is not None and (high < low or not high):
        raise Refusal(f"{{{low},{high}}} allows no row", at, "the smaller number comes first")
    return low, high
