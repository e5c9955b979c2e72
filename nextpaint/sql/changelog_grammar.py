"""The grammar of TO_CHANGELOG and FROM_CHANGELOG in FROM."""

from __future__ import annotations

from nextpaint.sql import syntax
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.plan import CHANGE_NAMES
from nextpaint.sql.refusal import Refusal, near

CHANGELOGS = ("TO_CHANGELOG", "FROM_CHANGELOG")


def parse_changelog(cursor: Cursor) -> syntax.ChangeLog:
    """At TO_CHANGELOG or FROM_CHANGELOG."""
    start = cursor.at
    back = cursor.advance().upper == "FROM_CHANGELOG"
    cursor.expect("(")
    if cursor.peek().text == "=>":
        _named(cursor, "INPUT")
    at = cursor.expect("TABLE").at
    source = syntax.TableName(cursor.object_name("a table name"), at=at)
    op: syntax.Ident | None = None
    mapping: tuple[tuple[str, str], ...] | None = None
    while cursor.take(","):
        if cursor.current.text.upper() == "OP":
            _named(cursor, "OP")
            cursor.expect("DESCRIPTOR", "(")
            op = cursor.identifier("a column name")
            cursor.expect(")")
        else:
            _named(cursor, "OP_MAPPING")
            mapping = _mapping(cursor, back)
    cursor.expect(")")
    return syntax.ChangeLog(source, None, start, op, mapping, back)


def _named(cursor: Cursor, name: str) -> None:
    if cursor.current.text.upper() != name:
        cure = "input => TABLE t, op => DESCRIPTOR(op), op_mapping => MAP[..]"
        raise Refusal(f"expected {name.lower()} => but found {cursor.current}", cursor.at, cure)
    cursor.advance()
    cursor.expect("=>")


def _mapping(cursor: Cursor, back: bool) -> tuple[tuple[str, str], ...]:
    """`MAP['INSERT, UPDATE_AFTER', 'upsert', ...]` as (kind, word), each kind once; `back`: `MAP['c, r', 'INSERT',
    ...]`, each word and each kind once."""
    cursor.expect("MAP", "[")
    found: list[tuple[str, str]] = []
    named: set[str] = set()
    while True:
        at = cursor.at
        several = [each.strip() for each in cursor.string("words").split(",")]
        cursor.expect(",")
        last = cursor.at
        one = cursor.string("a word")
        kinds, where = ([one], last) if back else (several, at)
        for kind in kinds:
            if kind not in CHANGE_NAMES:
                raise Refusal(f"{kind!r} is no kind of change", where, near(kind, CHANGE_NAMES))
        for each in (*several, *([one] if back else [])):
            if each in named:
                raise Refusal(f"{each!r} is mapped twice", at, "name each once")
            named.add(each)
        found += [(one, each) if back else (each, one) for each in several]
        if not cursor.take(","):
            break
    cursor.expect("]")
    return tuple(found)
