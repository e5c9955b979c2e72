"""The grammar of tables made from a row: `UNNEST(x) [WITH ORDINALITY]` and `LATERAL TABLE(f(...))`."""

from __future__ import annotations

from nextpaint.sql.cursor import Cursor
from nextpaint.sql.expression_grammar import parse_expression
from nextpaint.sql.plan import At
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.syntax import Expansion, Ident


def sees_expansion(cursor: Cursor) -> bool:
    """Does a table begin here that is made from the row on its left?"""
    return cursor.sees("UNNEST") or cursor.sees("LATERAL")


def parse_expansion(cursor: Cursor) -> Expansion:
    """The expansion up to its alias and column names."""
    start = cursor.at
    if cursor.take("UNNEST"):
        args = cursor.in_parentheses(lambda: parse_expression(cursor))
        if len(args) != 1:
            raise Refusal("UNNEST of several collections is not supported", start, "unnest them one after the other")
        ordinality = cursor.take("WITH", "ORDINALITY")
        return _named(cursor, Expansion("UNNEST", args, ordinality, at=start))
    cursor.expect("LATERAL")
    if not cursor.take("TABLE", "("):
        raise Refusal("LATERAL takes TABLE(function(...)) or a query in parentheses", cursor.at)
    name = cursor.identifier("a table function")
    cursor.expect("(")
    args = () if cursor.sees(")") else cursor.comma_separated(lambda: parse_expression(cursor))
    cursor.expect(")")
    cursor.expect(")")
    return _named(cursor, Expansion(name.text, args, False, at=name.at))


def _named(cursor: Cursor, table: Expansion) -> Expansion:
    alias: Ident | None = None
    if cursor.take("AS") or cursor.sees_identifier():
        alias = cursor.identifier("a table alias")
    columns: tuple[Ident, ...] = ()
    if alias is not None and cursor.sees("("):
        columns = cursor.in_parentheses(lambda: cursor.identifier("a column name"))
    at: At = table.at
    return Expansion(table.function, table.args, table.ordinality, alias, columns, at)
