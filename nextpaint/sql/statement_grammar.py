"""The grammar of statements, and the cut of a file into statements.

Each statement is parsed on its own: an error in one does not hide those of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from nextpaint.sql.canonical import canonical_text
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import Kind, Token, tokenize
from nextpaint.sql.expression_grammar import parse_expression
from nextpaint.sql.plan import At
from nextpaint.sql.query_grammar import parse_query
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.syntax import (
    ColumnDefinition,
    CreateTable,
    CreateView,
    Expression,
    Ident,
    InsertInto,
    SetOption,
    Statement,
)
from nextpaint.sql.typenames import parse_type


def parse_statements(file: str, text: str, refused: Callable[[Refusal], None]) -> list[Statement]:
    """All statements of a file that parse; `refused` gets the others."""
    try:
        tokens = tokenize(text, file)
    except Refusal as refusal:
        refused(refusal)
        return []
    statements: list[Statement] = []
    in_set: Token | None = None
    for part in _cut(tokens):
        cursor = Cursor(part)
        try:
            if cursor.take("EXECUTE", "STATEMENT", "SET"):
                in_set = part[0]
                cursor.expect("BEGIN")
            elif in_set is not None and cursor.sees("END"):
                cursor.advance()
                cursor.expect_end()
                in_set = None
                continue
            if cursor.current.kind is Kind.END:
                continue
            if in_set is not None and not cursor.sees("INSERT"):
                raise Refusal(
                    f"expected INSERT but found {cursor.current}", cursor.at, "a statement set holds INSERTs only"
                )
            statement = _statement(cursor)
            cursor.expect_end()
            statements.append(statement)
        except Refusal as refusal:
            refused(refusal)
    if in_set is not None:
        refused(Refusal("EXECUTE STATEMENT SET is not closed", in_set.at, "end it with END;"))
    return statements


def split_statements(text: str, file: str = "") -> list[tuple[str, int, int]]:
    """The statements of a text: (first word in upper case, start offset, end offset). Raises Refusal."""
    return [(part[0].upper, part[0].start, part[-2].end) for part in _cut(tokenize(text, file))]


def _cut(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Token lists between semicolons, each with an END of its own."""
    part: list[Token] = []
    for token in tokens:
        closes = token.kind is Kind.END or (token.kind is Kind.SIGN and token.text == ";")
        if not closes:
            part.append(token)
            continue
        if part:
            yield [*part, Token(Kind.END, "", token.at, token.start, token.start)]
        part = []


def _statement(cursor: Cursor) -> Statement:
    if cursor.sees("EXECUTE", "INSERT"):
        cursor.advance()
    word = cursor.current
    rule = _STATEMENTS.get(word.upper)
    if rule is None:
        cure = _REFUSED.get(word.upper) or near(word.text or "?", _STATEMENTS)
        what = f"unknown statement {word}"
        if word.upper in _REFUSED:
            what = f"{word.upper} is not a statement of an application"
        raise Refusal(what, word.at, cure)
    return rule(cursor)


# ---------------------------------------------------------------- CREATE


def _create(cursor: Cursor) -> Statement:
    start = cursor.expect("CREATE").at
    cursor.take("TEMPORARY")
    word = cursor.current
    if word.upper == "TABLE":
        cursor.advance()
        return _create_table(cursor, start)
    if word.upper == "VIEW":
        cursor.advance()
        return _create_view(cursor, start)
    cure = {
        "OR": "declare it once; apply the application to change it",
        "FUNCTION": "functions are Python; see the documentation of functions",
        "MODEL": "declare models in Python",
        "CATALOG": "an application has one catalog",
        "DATABASE": "an application has one database",
    }.get(word.upper, "CREATE TABLE or CREATE VIEW")
    raise Refusal(f"CREATE {word.text.upper()} is not supported", word.at, cure)


def _if_not_exists(cursor: Cursor) -> bool:
    return cursor.take("IF", "NOT", "EXISTS")


def _object_name(cursor: Cursor, what: str) -> Ident:
    name = cursor.identifier(what)
    if cursor.sees("."):
        raise Refusal("catalog and database names are not supported", cursor.at, f"write {what} without them")
    return name


class _TableParts:
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
        else:
            column, key = _column(cursor)
            self.columns.append(column)
            if key is not None:
                self.keys.append((key,))
        if len(self.watermarks) > 1:
            raise Refusal("a table has one WATERMARK", at)
        if len(self.keys) > 1:
            raise Refusal("a table has one PRIMARY KEY", at)


def _create_table(cursor: Cursor, start: At) -> CreateTable:
    if_not_exists = _if_not_exists(cursor)
    name = _object_name(cursor, "a table name")
    if not cursor.sees("("):
        raise Refusal(f"expected the columns of {name.text} but found {cursor.current}", cursor.at)
    cursor.expect("(")
    parts = _TableParts()
    parts.take(cursor)
    while cursor.take(","):
        parts.take(cursor)
    cursor.expect(")")
    if cursor.take("COMMENT"):
        cursor.string("a comment")
    for word in ("PARTITIONED", "DISTRIBUTED"):
        if cursor.sees(word):
            raise Refusal(f"{word} is not supported", cursor.at, "leave it out: a node keeps a table in one place")
    options = _options(cursor) if cursor.take("WITH") else ()
    for word in ("LIKE", "AS"):
        if cursor.sees(word):
            raise Refusal(f"CREATE TABLE ... {word} is not supported", cursor.at, "write the columns, then INSERT INTO")
    watermark = parts.watermarks[0] if parts.watermarks else None
    key = parts.keys[0] if parts.keys else ()
    return CreateTable(name, tuple(parts.columns), watermark, key, options, if_not_exists, start)


def _column(cursor: Cursor) -> tuple[ColumnDefinition, Ident | None]:
    """A column, and its name again when it is the inline primary key."""
    name = cursor.identifier("a column name")
    if cursor.take("AS"):
        at = cursor.at
        computed = parse_expression(cursor)
        if cursor.take("COMMENT"):
            cursor.string("a comment")
        return ColumnDefinition(name, computed=computed, at=at), None
    at = cursor.at
    type_ = parse_type(cursor)
    not_null = cursor.take("NOT", "NULL")
    if not not_null:
        cursor.take("NULL")
    if cursor.sees("METADATA"):
        raise Refusal("METADATA columns are not supported yet", cursor.at, "declare it as a plain column")
    key: Ident | None = None
    if cursor.sees_any("PRIMARY", "CONSTRAINT"):
        if cursor.take("CONSTRAINT"):
            cursor.identifier("a constraint name")
        cursor.expect("PRIMARY", "KEY")
        _not_enforced(cursor)
        key = name
    elif cursor.sees("UNIQUE"):
        raise Refusal("UNIQUE is not supported", cursor.at, "use PRIMARY KEY (...) NOT ENFORCED")
    if cursor.take("NOT", "NULL"):
        not_null = True
    if cursor.take("COMMENT"):
        cursor.string("a comment")
    return ColumnDefinition(name, type_, not_null or key is not None, None, at), key


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


def _options(cursor: Cursor) -> tuple[tuple[str, str], ...]:
    options: dict[str, str] = {}
    cursor.expect("(")
    while True:
        at = cursor.at
        key = cursor.string("an option name")
        cursor.expect("=")
        if key in options:
            raise Refusal(f"the option '{key}' is given twice", at)
        options[key] = cursor.string(f"the value of '{key}'")
        if not cursor.take(","):
            break
    cursor.expect(")")
    return tuple(sorted(options.items()))


def _create_view(cursor: Cursor, start: At) -> CreateView:
    if_not_exists = _if_not_exists(cursor)
    name = _object_name(cursor, "a view name")
    columns = cursor.in_parentheses(lambda: cursor.identifier("a column name")) if cursor.sees("(") else ()
    if cursor.take("COMMENT"):
        cursor.string("a comment")
    cursor.expect("AS")
    first = cursor.index
    query = parse_query(cursor)
    text = canonical_text(cursor.slice(first, cursor.index))
    return CreateView(name, columns, query, text, if_not_exists, start)


# ---------------------------------------------------------------- INSERT, SET


def _insert(cursor: Cursor) -> InsertInto:
    first = cursor.index
    start = cursor.expect("INSERT").at
    if cursor.sees("OVERWRITE"):
        raise Refusal("INSERT OVERWRITE is for batch jobs", cursor.at, "write INSERT INTO")
    cursor.expect("INTO")
    target = _object_name(cursor, "a table name")
    if cursor.sees("PARTITION"):
        raise Refusal("INSERT ... PARTITION is not supported", cursor.at, "select the value as a column")
    columns: tuple[Ident, ...] = ()
    if cursor.sees("(") and not (cursor.sees("(", "SELECT") or cursor.sees("(", "WITH") or cursor.sees("(", "(")):
        columns = cursor.in_parentheses(lambda: cursor.identifier("a column name"))
    query = parse_query(cursor)
    conflict = ""
    if cursor.take("ON", "CONFLICT"):
        cursor.expect("DO")
        word = cursor.current
        if word.upper not in ("NOTHING", "ERROR", "DEDUPLICATE"):
            raise Refusal(f"expected NOTHING, ERROR or DEDUPLICATE but found {word}", word.at)
        conflict = cursor.advance().upper
    text = canonical_text(cursor.slice(first, cursor.index))
    return InsertInto(target, columns, query, conflict, text, start)


def _set(cursor: Cursor) -> SetOption:
    start = cursor.expect("SET").at
    key = cursor.string("a setting's name")
    cursor.expect("=")
    return SetOption(key, cursor.string(f"the value of '{key}'"), start)


_STATEMENTS: dict[str, Callable[[Cursor], Statement]] = {
    "CREATE": _create,
    "INSERT": _insert,
    "SET": _set,
}

_REFUSED = {
    "SELECT": "write INSERT INTO a table SELECT ..., or ask a running node with `nextpaint sql`",
    "WITH": "write INSERT INTO a table WITH ...",
    "ALTER": "change the CREATE statement and apply the application",
    "DROP": "remove the CREATE statement and apply the application",
    "USE": "an application has one catalog and one database",
    "SHOW": "ask a running node with `nextpaint sql`",
    "DESCRIBE": "ask a running node with `nextpaint sql`",
    "DESC": "ask a running node with `nextpaint sql`",
    "EXPLAIN": "run `nextpaint check`, which prints the plan",
    "RESET": "remove the SET statement",
    "UPDATE": "insert the new row: a table with a PRIMARY KEY keeps the last one",
    "DELETE": "send a delete for the key to the table",
    "ADD": "Java libraries are not part of an application",
    "LOAD": "modules are not part of an application",
    "ANALYZE": "there is nothing to analyse in a stream",
    "BEGIN": "write EXECUTE STATEMENT SET BEGIN ... END;",
    "END": "it closes no EXECUTE STATEMENT SET",
    "EXECUTE": "write EXECUTE STATEMENT SET BEGIN ... END; or INSERT INTO",
}
