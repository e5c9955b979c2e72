"""The grammar of an application's statements, and the cut of a file into statements.

Each statement is parsed on its own: an error in one does not hide those of the next. Questions (SHOW, DESCRIBE,
EXPLAIN) are not part of an application; `session_grammar` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from nextpaint.record.types import Field
from nextpaint.sql.canonical import canonical_text
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.definitions import (
    CreateFunction,
    CreateModel,
    CreateTable,
    CreateView,
    DropIfExists,
    InsertInto,
    ResetOption,
    SetOption,
    Statement,
)
from nextpaint.sql.dialect import Kind, Token, tokenize
from nextpaint.sql.expression_grammar import parse_expression
from nextpaint.sql.hint_grammar import parse_options_hint
from nextpaint.sql.plan import At
from nextpaint.sql.query_grammar import parse_query
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.settings import check_setting
from nextpaint.sql.syntax import Expression, Ident
from nextpaint.sql.table_grammar import parse_create_table, parse_options
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
            if statement is not None:
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


def _statement(cursor: Cursor) -> Statement | None:
    """None for a statement that changes nothing (USE of the one catalog there is)."""
    if cursor.sees("EXECUTE", "INSERT"):
        cursor.advance()
    word = cursor.current
    rule = _STATEMENTS.get(word.upper)
    if rule is None:
        cure = REFUSED.get(word.upper) or near(word.text or "?", _STATEMENTS)
        what = f"unknown statement {word}"
        if word.upper in REFUSED:
            what = f"{word.upper} is not a statement of an application"
        raise Refusal(what, word.at, cure)
    return rule(cursor)


# ---------------------------------------------------------------- CREATE


def parse_create(cursor: Cursor) -> Statement:
    """At CREATE."""
    start = cursor.expect("CREATE").at
    temporary = cursor.take("TEMPORARY")
    system = temporary and cursor.take("SYSTEM")
    word = cursor.current
    rule = _CREATES.get(word.upper)
    if rule is None or (system and word.upper != "FUNCTION"):
        cure = _CREATE_CURES.get(word.upper, "CREATE TABLE, VIEW, FUNCTION or MODEL")
        raise Refusal(f"CREATE {word.text.upper()} is not supported", word.at, cure)
    cursor.advance()
    made = rule(cursor, start)
    if temporary and isinstance(made, CreateTable) and made.filling is not None:
        raise Refusal("CREATE TEMPORARY TABLE ... AS is not SQL of Flink", start, "leave TEMPORARY out")
    return made


def _create_view(cursor: Cursor, start: At) -> CreateView:
    if_not_exists = cursor.take("IF", "NOT", "EXISTS")
    name = cursor.object_name("a view name")
    columns = cursor.in_parentheses(lambda: _view_column(cursor)) if cursor.sees("(") else ()
    if cursor.take("COMMENT"):
        cursor.string("a comment")
    cursor.expect("AS")
    first = cursor.index
    query = parse_query(cursor)
    text = canonical_text(cursor.slice(first, cursor.index))
    return CreateView(name, columns, query, text, if_not_exists, start)


def _view_column(cursor: Cursor) -> Ident:
    name = cursor.identifier("a column name")
    if cursor.take("COMMENT"):
        cursor.string("a comment")
    return name


def _create_function(cursor: Cursor, start: At) -> CreateFunction:
    if_not_exists = cursor.take("IF", "NOT", "EXISTS")
    name = cursor.object_name("a function name")
    cursor.expect("AS")
    at = cursor.at
    target = cursor.string("the function's place, 'module.name',")
    cure = f"CREATE FUNCTION {name.text} AS 'module.name' LANGUAGE PYTHON, with module.py in the application's folder"
    if not cursor.take("LANGUAGE", "PYTHON"):
        language = cursor.peek().text if cursor.sees("LANGUAGE") else "Java, the default,"
        raise Refusal(f"functions in {language} are not supported", cursor.at, cure)
    if cursor.sees("USING"):
        raise Refusal("USING is not supported", cursor.at, "put the Python file into the application's folder")
    return CreateFunction(name, target, if_not_exists, start, at)


def _create_model(cursor: Cursor, start: At) -> CreateModel:
    if_not_exists = cursor.take("IF", "NOT", "EXISTS")
    name = cursor.object_name("a model name")
    inputs = cursor.in_parentheses(lambda: _model_column(cursor)) if cursor.take("INPUT") else ()
    outputs = cursor.in_parentheses(lambda: _model_column(cursor)) if cursor.take("OUTPUT") else ()
    if cursor.take("COMMENT"):
        cursor.string("a comment")
    if not cursor.sees("WITH"):
        raise Refusal(f"expected WITH but found {cursor.current}", cursor.at, "WITH ('provider'='file', ...)")
    cursor.advance()
    options, _ = parse_options(cursor)
    return CreateModel(name, inputs, outputs, options, if_not_exists, start)


def _model_column(cursor: Cursor) -> Field:
    name = cursor.identifier("a column name")
    type_ = parse_type(cursor)
    nullable = not cursor.take("NOT", "NULL")
    if cursor.take("COMMENT"):
        cursor.string("a comment")
    return Field(name.text, type_, nullable)


_CREATES: dict[str, Callable[[Cursor, At], Statement]] = {
    "TABLE": parse_create_table,
    "VIEW": _create_view,
    "FUNCTION": _create_function,
    "MODEL": _create_model,
}
_CREATE_CURES = {
    "OR": "declare it once; apply the application to change it",
    "CATALOG": "an application has one catalog",
    "DATABASE": "an application has one database",
    "MATERIALIZED": "CREATE TABLE with a PRIMARY KEY, and INSERT INTO it",
    "CONNECTION": "put what reaches outside into nextpaint.toml",
    "AGENT": "declare agents in Python",
    "TOOL": "declare tools in Python",
    "UNIQUE": "a PRIMARY KEY is the index of a table",
    "INDEX": "a PRIMARY KEY is the index of a table",
}

# ---------------------------------------------------------------- INSERT, SET and the rest


def parse_insert(cursor: Cursor) -> InsertInto:
    """`INSERT INTO t [(columns)] query [ON CONFLICT DO ...]`."""
    first = cursor.index
    start = cursor.expect("INSERT").at
    if cursor.sees("OVERWRITE"):
        raise Refusal("INSERT OVERWRITE is for batch jobs", cursor.at, "write INSERT INTO")
    cursor.expect("INTO")
    target = cursor.object_name("a table name")
    options = parse_options_hint(cursor)
    partition = cursor.in_parentheses(lambda: _partition(cursor)) if cursor.take("PARTITION") else ()
    columns: tuple[Ident, ...] = ()
    if cursor.sees("(") and cursor.peek().upper not in ("SELECT", "WITH", "VALUES") and not cursor.sees("(", "("):
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
    given = tuple((name, value) for name, value in partition if value is not None)
    return InsertInto(target, columns, query, conflict, text, start, given, options)


def _partition(cursor: Cursor) -> tuple[Ident, Expression | None]:
    name = cursor.identifier("a column name")
    return name, parse_expression(cursor) if cursor.take("=") else None


def _set(cursor: Cursor) -> SetOption:
    start = cursor.expect("SET").at
    at = cursor.at
    key = cursor.string("a setting's name")
    cursor.expect("=")
    value = cursor.string(f"the value of '{key}'")
    check_setting(key, value, at)
    return SetOption(key, value, start)


def _reset(cursor: Cursor) -> ResetOption:
    start = cursor.expect("RESET").at
    key = cursor.string("a setting's name") if cursor.current.kind is Kind.STRING else ""
    return ResetOption(key, start)


def _drop(cursor: Cursor) -> DropIfExists:
    start = cursor.expect("DROP").at
    cure = "remove the CREATE statement and apply the application"
    cursor.take("TEMPORARY")
    if not cursor.sees_any("TABLE", "VIEW", "FUNCTION", "MODEL"):
        raise Refusal(f"DROP {cursor.current.text.upper()} is not a statement of an application", start, cure)
    word = cursor.advance().upper
    if not cursor.take("IF", "EXISTS"):
        raise Refusal(f"DROP {word} is not a statement of an application", start, cure)
    return DropIfExists(cursor.object_name("a name"), start)


def _use(cursor: Cursor) -> None:
    start = cursor.expect("USE").at
    wanted = ["default_catalog"] if cursor.take("CATALOG") else ["default_catalog", "default_database"]
    name = cursor.identifier("a name")
    if len(wanted) == 2 and name.text == wanted[0] and cursor.take("."):
        name = cursor.identifier("a name")
    if name.text != wanted[-1]:
        raise Refusal(
            f"there is no {name.text}", start, "an application has one catalog and one database: leave USE out"
        )


_STATEMENTS: dict[str, Callable[[Cursor], Statement | None]] = {
    "CREATE": parse_create,
    "INSERT": parse_insert,
    "SET": _set,
    "RESET": _reset,
    "DROP": _drop,
    "USE": _use,
}

REFUSED = {
    "SELECT": "write INSERT INTO a table SELECT ..., or ask a running node with `nextpaint sql`",
    "WITH": "write INSERT INTO a table WITH ...",
    "VALUES": "write INSERT INTO a table VALUES ...",
    "TABLE": "write INSERT INTO a table TABLE ...",
    "ALTER": "change the CREATE statement and apply the application",
    "SHOW": "ask a running node with `nextpaint sql`",
    "DESCRIBE": "ask a running node with `nextpaint sql`",
    "DESC": "ask a running node with `nextpaint sql`",
    "EXPLAIN": "ask a running node with `nextpaint sql`, or run `nextpaint check`, which prints every plan",
    "UPDATE": "insert the new row: a table with a PRIMARY KEY keeps the last one",
    "DELETE": "send a delete for the key to the table",
    "TRUNCATE": "send a delete for each key to the table",
    "MERGE": "insert the new row: a table with a PRIMARY KEY keeps the last one",
    "CALL": "procedures are not part of an application",
    "ADD": "Java libraries are not part of an application",
    "REMOVE": "Java libraries are not part of an application",
    "LOAD": "modules are not part of an application",
    "UNLOAD": "modules are not part of an application",
    "ANALYZE": "there is nothing to analyse in a stream",
    "STOP": "remove the INSERT statement and apply the application",
    "BEGIN": "write EXECUTE STATEMENT SET BEGIN ... END;",
    "END": "it closes no EXECUTE STATEMENT SET",
    "EXECUTE": "write EXECUTE STATEMENT SET BEGIN ... END; or INSERT INTO",
}
