"""The grammar of CREATE TABLE: columns, watermark, key, comments, options, LIKE, AS."""

from __future__ import annotations

from nextpaint.sql.canonical import canonical_text
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.definitions import ColumnDefinition, CreateTable, Filling, Like
from nextpaint.sql.expression_grammar import parse_expression
from nextpaint.sql.plan import At
from nextpaint.sql.query_grammar import parse_query
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.syntax import Expression, Ident
from nextpaint.sql.typenames import parse_type

# What LIKE can take over, and the words each part goes with.
_ANY = ("INCLUDING", "EXCLUDING")
LIKE_PARTS = {
    "ALL": _ANY,
    "CONSTRAINTS": _ANY,
    "DISTRIBUTION": _ANY,
    "PARTITIONS": _ANY,
    "METADATA": (*_ANY, "OVERWRITING"),
    "GENERATED": (*_ANY, "OVERWRITING"),
    "OPTIONS": (*_ANY, "OVERWRITING"),
    "WATERMARKS": (*_ANY, "OVERWRITING"),
}


class _Parts:
    """The elements between the parentheses of CREATE TABLE."""

    def __init__(self) -> None:
        self.columns: list[ColumnDefinition] = []
        self.watermarks: list[tuple[Ident, Expression]] = []
        self.keys: list[tuple[Ident, ...]] = []

    def take(self, cursor: Cursor) -> None:
        at = cursor.at
        if cursor.take("WATERMARK"):
            self.watermarks.append(_watermark(cursor))
        elif cursor.sees_any("PRIMARY", "CONSTRAINT"):
            self.keys.append(_primary_key(cursor))
        elif cursor.sees_any("UNIQUE", "FOREIGN", "CHECK"):
            raise Refusal(f"{cursor.current.upper} is not supported", at, "use PRIMARY KEY (...) NOT ENFORCED")
        else:
            column, key = _column(cursor)
            self.columns.append(column)
            if key is not None:
                self.keys.append((key,))
        if len(self.watermarks) > 1:
            raise Refusal("a table has one WATERMARK", at)
        if len(self.keys) > 1:
            raise Refusal("a table has one PRIMARY KEY", at)


def parse_create_table(cursor: Cursor, start: At) -> CreateTable:
    """After CREATE TABLE."""
    if_not_exists = cursor.take("IF", "NOT", "EXISTS")
    name = cursor.object_name("a table name")
    parts = _Parts()
    listed: tuple[Ident, ...] = ()
    if cursor.sees("(") and cursor.peek(2).text in (",", ")"):
        listed = cursor.in_parentheses(lambda: cursor.identifier("a column name"))
    elif cursor.take("("):
        parts.take(cursor)
        while cursor.take(","):
            parts.take(cursor)
        cursor.expect(")")
    elif not cursor.sees_any("WITH", "LIKE", "AS", "COMMENT", "DISTRIBUTED", "PARTITIONED"):
        raise Refusal(f"expected the columns of {name.text} but found {cursor.current}", cursor.at)
    comment = cursor.string("a comment") if cursor.take("COMMENT") else ""
    laid = _layout(cursor)
    options, places = parse_options(cursor) if cursor.take("WITH") else ((), ())
    like = _like(cursor) if cursor.sees("LIKE") else None
    filling = _filling(cursor, listed) if cursor.sees("AS") and like is None else None
    if listed and filling is None:
        cure = f"{listed[0].text} STRING, ..; names alone are the columns of CREATE TABLE .. AS query"
        raise Refusal(f"{listed[0].text} has no type", listed[0].at, cure)
    if filling is None:
        _known(laid, [each.name.text for each in parts.columns])
    watermark = parts.watermarks[0] if parts.watermarks else None
    key = parts.keys[0] if parts.keys else ()
    columns = tuple(parts.columns)
    return CreateTable(
        name, columns, watermark, key, options, if_not_exists, start, comment, like, places, filling
    )  # fmt: skip


def _filling(cursor: Cursor, listed: tuple[Ident, ...]) -> Filling:
    """`AS query`."""
    cursor.expect("AS")
    first = cursor.index
    query = parse_query(cursor)
    if cursor.sees("ON", "CONFLICT"):
        raise Refusal("CREATE TABLE ... AS takes no ON CONFLICT", cursor.at, "write the columns, then INSERT INTO")
    return Filling(query, canonical_text(cursor.slice(first, cursor.index)), listed)


def _layout(cursor: Cursor) -> tuple[Ident, ...]:
    """DISTRIBUTED and PARTITIONED BY: the columns they name; a node keeps a table in one place, so they change
    nothing."""
    names: tuple[Ident, ...] = ()
    if cursor.take("DISTRIBUTED"):
        if cursor.take("BY"):
            if not cursor.take("HASH"):
                cursor.take("RANGE")
            names = cursor.in_parentheses(lambda: cursor.identifier("a column name"))
        if cursor.take("INTO"):
            if cursor.integer("a number of buckets") < 1:
                raise Refusal("a table has at least one bucket", cursor.at)
            cursor.expect("BUCKETS")
    if cursor.take("PARTITIONED"):
        cursor.expect("BY")
        names = (*names, *cursor.in_parentheses(lambda: cursor.identifier("a column name")))
    return names


def _known(names: tuple[Ident, ...], columns: list[str]) -> None:
    for each in names:
        if columns and each.text not in columns:
            raise Refusal(f"unknown column {each.text}", each.at, near(each.text, columns))


def _like(cursor: Cursor) -> Like:
    start = cursor.expect("LIKE").at
    source = cursor.object_name("a table name")
    options: dict[str, str] = {}
    if cursor.take("("):
        while not cursor.take(")"):
            at = cursor.at
            word = cursor.advance().upper
            part = cursor.advance().upper
            if word not in ("INCLUDING", "EXCLUDING", "OVERWRITING") or part not in LIKE_PARTS:
                raise Refusal(
                    "LIKE takes INCLUDING, EXCLUDING or OVERWRITING and what of the table",
                    at,
                    f"one of {', '.join(LIKE_PARTS)}",
                )
            if word not in LIKE_PARTS[part]:
                raise Refusal(f"{word} {part} does not exist", at, f"{' or '.join(LIKE_PARTS[part])} {part}")
            if part in options:
                raise Refusal(f"LIKE says twice what becomes of {part}", at, "keep one")
            options[part] = word
    return Like(source, tuple(options.items()), start)


def _column(cursor: Cursor) -> tuple[ColumnDefinition, Ident | None]:
    """A column, and its name again when it is the inline primary key."""
    name = cursor.identifier("a column name")
    if cursor.take("AS"):
        at = cursor.at
        computed = parse_expression(cursor)
        return ColumnDefinition(name, computed=computed, comment=_comment(cursor), at=at), None
    at = cursor.at
    type_ = parse_type(cursor)
    not_null = cursor.take("NOT", "NULL")
    if not not_null:
        cursor.take("NULL")
    if cursor.take("METADATA"):
        key_name = cursor.string("the name of the metadata") if cursor.take("FROM") else name.text
        virtual = cursor.take("VIRTUAL")
        return ColumnDefinition(name, type_, not_null, None, key_name, virtual, _comment(cursor), at), None
    key: Ident | None = None
    if cursor.sees_any("PRIMARY", "CONSTRAINT"):
        if cursor.take("CONSTRAINT"):
            cursor.identifier("a constraint name")
        cursor.expect("PRIMARY", "KEY")
        _not_enforced(cursor)
        key = name
    elif cursor.sees_any("UNIQUE", "DEFAULT", "CHECK", "REFERENCES"):
        cure = {"DEFAULT": "write COALESCE(x, value) where it is read"}
        word = cursor.current.upper
        raise Refusal(f"{word} is not supported", cursor.at, cure.get(word, "use PRIMARY KEY (...) NOT ENFORCED"))
    if cursor.take("NOT", "NULL"):
        not_null = True
    return ColumnDefinition(name, type_, not_null or key is not None, comment=_comment(cursor), at=at), key


def _comment(cursor: Cursor) -> str:
    return cursor.string("a comment") if cursor.take("COMMENT") else ""


def _primary_key(cursor: Cursor) -> tuple[Ident, ...]:
    if cursor.take("CONSTRAINT"):
        cursor.identifier("a constraint name")
    cursor.expect("PRIMARY", "KEY")
    key = cursor.in_parentheses(lambda: cursor.identifier("a column name"))
    _not_enforced(cursor)
    return key


def _not_enforced(cursor: Cursor) -> None:
    if not cursor.take("NOT", "ENFORCED"):
        raise Refusal("a PRIMARY KEY is not enforced", cursor.at, "write PRIMARY KEY (...) NOT ENFORCED")


def _watermark(cursor: Cursor) -> tuple[Ident, Expression]:
    cursor.expect("FOR")
    column = cursor.identifier("the time column")
    if cursor.sees("."):
        raise Refusal("the time column must be a column of the table itself", cursor.at, "add a computed column")
    cursor.expect("AS")
    return column, parse_expression(cursor)


def parse_options(cursor: Cursor) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, At], ...]]:
    """`('k' = 'v', ...)` after WITH, sorted by key, and where each key stands."""
    options: dict[str, str] = {}
    places: dict[str, At] = {}
    cursor.expect("(")
    while True:
        at = cursor.at
        key = cursor.string("an option name")
        cursor.expect("=")
        if key in options:
            raise Refusal(f"the option '{key}' is given twice", at)
        options[key], places[key] = cursor.string(f"the value of '{key}'"), at
        if not cursor.take(","):
            break
    cursor.expect(")")
    return tuple(sorted(options.items())), tuple(sorted(places.items()))
