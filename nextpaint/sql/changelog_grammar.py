"""The grammar of TO_CHANGELOG in FROM."""

from __future__ import annotations

from nextpaint.sql import syntax
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.refusal import Refusal

_USAGE = "TO_CHANGELOG(input => TABLE t)"


def parse_changelog(cursor: Cursor) -> syntax.ChangeLog:
    """At TO_CHANGELOG."""
    start = cursor.at
    cursor.advance()
    cursor.expect("(")
    if cursor.peek().text == "=>":
        if cursor.current.text.upper() != "INPUT":
            raise Refusal(f"expected input => but found {cursor.current}", cursor.at, _USAGE)
        cursor.advance()
        cursor.expect("=>")
    at = cursor.expect("TABLE").at
    source = syntax.TableName(cursor.object_name("a table name"), at=at)
    if cursor.sees(","):
        raise Refusal("TO_CHANGELOG with other names of changes is not supported", cursor.peek().at, "use CASE over op")
    cursor.expect(")")
    return syntax.ChangeLog(source, None, start)
