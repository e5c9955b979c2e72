"""The grammar of hints: `SELECT /*+ STATE_TTL('a' = '1d', 'b' = '2 h') */ ... FROM t /*+ OPTIONS('k' = 'v') */`.

STATE_TTL bounds what joins and aggregations remember. Hints that only choose how Flink computes the same rows are read
and change nothing here. OPTIONS follows the name of a table; `option_hints` says which a table takes.
"""

from __future__ import annotations

from dataclasses import replace

from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import Kind, Token, tokenize
from nextpaint.sql.plan import At
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.settings import duration_ms
from nextpaint.sql.syntax import Lifetime, Option

STATE_TTL = "STATE_TTL"
OPTIONS = "OPTIONS"
# Ways to run a join, and how a lookup asks another system: the rows are the same.
WITHOUT_MEANING = ("BROADCAST", "LOOKUP", "MULTI_JOIN", "NEST_LOOP", "SHUFFLE_HASH", "SHUFFLE_MERGE")


def parse_hints(cursor: Cursor) -> tuple[Lifetime, ...]:
    """What the hints right after SELECT say of state."""
    found: list[Lifetime] = []
    while cursor.current.kind is Kind.HINT:
        found += _several(Cursor(_inside(cursor.advance())))
    return tuple(found)


def _several(cursor: Cursor) -> list[Lifetime]:
    """The hints of one comment."""
    found = [each for several in cursor.comma_separated(lambda: _hint(cursor)) for each in several]
    cursor.expect_end()
    return found


def parse_options_hint(cursor: Cursor) -> tuple[Option, ...]:
    """OPTIONS right after the name of a table."""
    if cursor.current.kind is not Kind.HINT:
        return ()
    inside = Cursor(_inside(cursor.advance()))
    found = [each for several in inside.comma_separated(lambda: _options(inside)) for each in several]
    inside.expect_end()
    return tuple(found)


def _options(cursor: Cursor) -> tuple[Option, ...]:
    if not cursor.take(OPTIONS):
        cure = f"OPTIONS('key' = 'value') follows a table's name, and {STATE_TTL} the word SELECT"
        raise Refusal(f"{cursor.current} is no hint of a table", cursor.at, cure)
    return cursor.in_parentheses(lambda: _option(cursor))


def _option(cursor: Cursor) -> Option:
    """`'key' = 'value'`."""
    at = cursor.at
    key = cursor.string("the name of an option") if cursor.current.kind is Kind.STRING else cursor.identifier().text
    cursor.expect("=")
    return Option(key, cursor.string(f"the value of '{key}'"), at)


def _inside(token: Token) -> list[Token]:
    """The tokens of a hint, at the places where they stand in the text."""
    at = token.at
    first = at.column + len("/*+") - 1

    def placed(each: At) -> At:
        return At(at.file, at.line + each.line - 1, each.column + first if each.line == 1 else each.column)

    return [replace(each, at=placed(each.at)) for each in tokenize(token.text, at.file)]


def _hint(cursor: Cursor) -> list[Lifetime]:
    name = cursor.current
    if name.upper == OPTIONS:
        raise Refusal("OPTIONS after SELECT does nothing, in Flink too", name.at, "FROM t /*+ OPTIONS(...) */")
    if name.upper not in (STATE_TTL, *WITHOUT_MEANING):
        cure = near(name.text, [STATE_TTL, *WITHOUT_MEANING]) or f"known: {STATE_TTL}"
        raise Refusal(f"unknown hint {name.text}", name.at, cure)
    cursor.advance()
    if name.upper == STATE_TTL:
        return list(cursor.in_parentheses(lambda: _lifetime(cursor)))
    if cursor.sees("("):
        cursor.in_parentheses(lambda: _argument(cursor))
    return []


def _lifetime(cursor: Cursor) -> Lifetime:
    """`'alias' = '1d'`."""
    at = cursor.at
    name = cursor.string("the name of a table") if cursor.current.kind is Kind.STRING else cursor.identifier().text
    cursor.expect("=")
    value_at = cursor.at
    value = cursor.string("a duration")
    try:
        return Lifetime(name, duration_ms(value), at)
    except ValueError as wrong:
        raise Refusal(str(wrong), value_at) from None


def _argument(cursor: Cursor) -> None:
    """A table's name or an option of a hint without meaning here."""
    if cursor.current.kind is Kind.STRING:
        cursor.string("an option")
    else:
        cursor.identifier("a table name")
    if cursor.take("="):
        cursor.string("a value")
