"""The grammar of GROUP BY: expressions, GROUPING SETS, ROLLUP and CUBE.

Every item stands for one or more sets of expressions; GROUP BY is their product: `a, ROLLUP(b)` is `(a, b), (a)`.
"""

from __future__ import annotations

from itertools import combinations

from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import Kind
from nextpaint.sql.expression_grammar import parse_expression
from nextpaint.sql.refusal import Refusal
from nextpaint.sql.syntax import Expression

# Every set aggregates every row again.
SETS_MAX = 64

Set = tuple[Expression, ...]


def parse_grouping(cursor: Cursor) -> tuple[tuple[Expression, ...], tuple[Set, ...]]:
    """All expressions, and the sets of them; no sets where GROUP BY is a plain list. BY has been read."""
    start = cursor.at
    cursor.take("ALL")
    items = cursor.comma_separated(lambda: _item(cursor))
    sets: list[Set] = [()]
    for alternatives, _ in items:
        sets = [(*before, *each) for before in sets for each in alternatives]
        if len(sets) > SETS_MAX:
            raise Refusal(f"GROUP BY makes more than {SETS_MAX} grouping sets", start, "list those that are needed")
    everything = tuple(dict.fromkeys(each for one in sets for each in one))
    return everything, tuple(sets) if any(plural for _, plural in items) else ()


def _item(cursor: Cursor) -> tuple[list[Set], bool]:
    """The sets of one item, and whether it was written as sets."""
    if cursor.take("GROUPING", "SETS"):
        inner = cursor.in_parentheses(lambda: _item(cursor))
        return [each for sets, _ in inner for each in sets], True
    if cursor.sees("ROLLUP", "(") or cursor.sees("CUBE", "("):
        word = cursor.advance()
        cube = word.upper == "CUBE"
        groups = cursor.in_parentheses(lambda: _set(cursor))
        sizes = range(len(groups), -1, -1)
        chosen = (
            [each for size in sizes for each in combinations(groups, size)] if cube else [groups[:n] for n in sizes]
        )
        if len(chosen) > SETS_MAX:
            raise Refusal(f"more than {SETS_MAX} grouping sets", word.at, "list those that are needed")
        return [tuple(each for group in some for each in group) for some in chosen], True
    return [_set(cursor)], False


def _set(cursor: Cursor) -> Set:
    """An expression, or several in parentheses; `()` is the set without keys."""
    if cursor.take("(", ")"):
        return ()
    if cursor.sees("(") and _is_list(cursor):
        return cursor.in_parentheses(lambda: _expression(cursor))
    return (_expression(cursor),)


def _is_list(cursor: Cursor) -> bool:
    """Do the parentheses that open here end the item, so that they hold a set rather than begin an expression?"""
    depth = ahead = 0
    while True:
        token = cursor.peek(ahead)
        if token.kind is Kind.END:
            return False
        if token.kind is Kind.SIGN and token.text in ("(", "["):
            depth += 1
        elif token.kind is Kind.SIGN and token.text in (")", "]"):
            depth -= 1
        ahead += 1
        if depth == 0:
            break
    after = cursor.peek(ahead)
    words = ("HAVING", "WINDOW", "QUALIFY", "ORDER", "LIMIT", "UNION", "INTERSECT", "EXCEPT", "ON", "OFFSET", "FETCH")
    return after.kind is Kind.END or after.text in (",", ")", ";") or after.upper in words


def _expression(cursor: Cursor) -> Expression:
    if cursor.current.kind is Kind.NUMBER and cursor.peek().text in (",", ")", ";", ""):
        raise Refusal("GROUP BY takes expressions, not positions", cursor.at, "repeat the expression")
    return parse_expression(cursor)
