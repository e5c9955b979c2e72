"""The grammar of ML_PREDICT in FROM."""

from __future__ import annotations

from nextpaint.sql import syntax
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.refusal import Refusal

_USAGE = "ML_PREDICT(TABLE t, MODEL m, DESCRIPTOR(column, ...))"


def parse_prediction(cursor: Cursor) -> syntax.Prediction:
    """At ML_PREDICT."""
    start = cursor.at
    cursor.advance()
    cursor.expect("(")
    _named(cursor, "INPUT")
    at = cursor.expect("TABLE").at
    source = syntax.TableName(cursor.object_name("a table name"), at=at)
    cursor.expect(",")
    _named(cursor, "MODEL")
    cursor.expect("MODEL")
    model = cursor.object_name("a model name")
    cursor.expect(",")
    _named(cursor, "ARGS")
    cursor.expect("DESCRIPTOR")
    columns = cursor.in_parentheses(lambda: cursor.identifier("a column name"))
    if cursor.sees(","):
        raise Refusal("CONFIG is for models that are asked over a network", cursor.peek().at, "leave it out")
    cursor.expect(")")
    return syntax.Prediction(source, model, columns, None, start)


def _named(cursor: Cursor, expected: str) -> None:
    if cursor.peek().text == "=>":
        if cursor.current.text.upper() != expected:
            raise Refusal(f"expected {expected} => but found {cursor.current}", cursor.at, _USAGE)
        cursor.advance()
        cursor.expect("=>")
