"""The grammar of queries: WITH, SELECT, FROM with window table functions and temporal joins, UNION ALL, ORDER BY.

What Flink knows and this engine does not yet is refused here at its word, with what to write instead.
"""

from __future__ import annotations

from dataclasses import replace

from nextpaint.sql.changelog_grammar import CHANGELOGS, parse_changelog
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import Kind
from nextpaint.sql.expansion_grammar import parse_expansion, sees_expansion
from nextpaint.sql.expression_grammar import parse_expression, parse_order_item, parse_window
from nextpaint.sql.grouping_grammar import parse_grouping
from nextpaint.sql.hint_grammar import parse_hints, parse_options_hint
from nextpaint.sql.match_grammar import parse_match
from nextpaint.sql.plan import At
from nextpaint.sql.prediction_grammar import parse_prediction
from nextpaint.sql.refusal import Refusal, near
from nextpaint.sql.syntax import (
    Call,
    Derived,
    Expression,
    Ident,
    Join,
    Lateral,
    Name,
    OrderItem,
    Over,
    Query,
    Select,
    SelectItem,
    SetOperation,
    Source,
    Star,
    TableName,
    TopOfEach,
    UnionAll,
    ValueRows,
    WindowTable,
)

# Arguments after the table and the time column: (name, required). HOP takes the slide, CUMULATE the step first.
WINDOW_FUNCTIONS: dict[str, tuple[tuple[str, bool], ...]] = {
    "TUMBLE": (("SIZE", True), ("OFFSET", False)),
    "HOP": (("SLIDE", True), ("SIZE", True), ("OFFSET", False)),
    "CUMULATE": (("STEP", True), ("SIZE", True), ("OFFSET", False)),
    "SESSION": (("GAP", True),),
}

_LATER = {
    "TABLESAMPLE": "filter on a hash of the key",
    "PIVOT": "use CASE in aggregates",
    "UNPIVOT": "use UNION ALL",
    "MINUS": "use EXCEPT",
}


def parse_query(cursor: Cursor) -> Query:
    """`[WITH ...] SELECT ... [UNION ALL ...] [ORDER BY ...] [LIMIT n]`."""
    with cursor.nested():
        start = cursor.at
        ctes = _with(cursor) if cursor.take("WITH") else ()
        body = _body(cursor)
        order: tuple[OrderItem, ...] = ()
        if cursor.take("ORDER"):
            cursor.expect("BY")
            order = cursor.comma_separated(lambda: parse_order_item(cursor))
        limit, offset = _limits(cursor)
        _refuse(cursor, _LATER)
        return Query(body, ctes, order, limit, start, offset)


def _limits(cursor: Cursor) -> tuple[int | None, int]:
    """`[LIMIT n] [OFFSET n [ROWS]] [FETCH FIRST n ROWS ONLY]`."""
    limit: int | None = None
    offset = 0
    if cursor.take("LIMIT"):
        limit = cursor.integer("a number of rows")
        if cursor.sees(","):
            raise Refusal("LIMIT start, count is not Flink SQL", cursor.at, "LIMIT count OFFSET start")
    if cursor.take("OFFSET"):
        offset = cursor.integer("a number of rows")
        _rows(cursor)
    if limit is None and cursor.take("FETCH"):
        if not (cursor.take("FIRST") or cursor.take("NEXT")):
            raise Refusal(f"expected FIRST or NEXT but found {cursor.current}", cursor.at)
        limit = cursor.integer("a number of rows")
        _rows(cursor)
        cursor.expect("ONLY")
    return limit, offset


def _rows(cursor: Cursor) -> None:
    if not cursor.take("ROWS"):
        cursor.take("ROW")


def _refuse(cursor: Cursor, words: dict[str, str]) -> None:
    cure = words.get(cursor.current.upper)
    if cure is not None:
        raise Refusal(f"{cursor.current.upper} is not supported yet", cursor.at, cure)


def _with(cursor: Cursor) -> tuple[tuple[Ident, tuple[Ident, ...], Query], ...]:
    if cursor.sees("RECURSIVE"):
        raise Refusal("recursive WITH is not supported", cursor.at)
    return cursor.comma_separated(lambda: _cte(cursor))


def _cte(cursor: Cursor) -> tuple[Ident, tuple[Ident, ...], Query]:
    name = cursor.identifier("a name for the WITH query")
    columns = cursor.in_parentheses(lambda: cursor.identifier("a column name")) if cursor.sees("(") else ()
    cursor.expect("AS", "(")
    query = parse_query(cursor)
    cursor.expect(")")
    return name, columns, query


def _body(cursor: Cursor) -> Select | ValueRows | UnionAll | SetOperation:
    only = _terms(cursor)
    return only.body if only.is_plain else _every_column(Derived(only, at=only.at))


def _every_column(source: Source) -> Select:
    """`SELECT * FROM source`."""
    return Select((SelectItem(Star(None, source.at), None, source.at),), source, None, (), None, (), source.at)


def _terms(cursor: Cursor) -> Query:
    """Operands of UNION and EXCEPT, from left to right; a chain of UNION ALL is one."""
    found = _intersected(cursor)
    while cursor.sees("UNION") or cursor.sees("EXCEPT"):
        word = cursor.advance()
        every = cursor.take("ALL")
        if not every:
            cursor.take("DISTINCT")
        right = _intersected(cursor)
        body = found.body
        if word.upper == "UNION" and every:
            chain = isinstance(body, UnionAll) and found.is_plain
            before = body.inputs if chain and isinstance(body, UnionAll) else (found,)
            found = Query(UnionAll((*before, right), found.at), at=found.at)
        else:
            found = Query(SetOperation(word.upper, every, (found, right), word.at), at=found.at)
    return found


def _intersected(cursor: Cursor) -> Query:
    """INTERSECT binds closer than UNION and EXCEPT."""
    found = _operand(cursor)
    while cursor.sees("INTERSECT"):
        at = cursor.advance().at
        every = cursor.take("ALL")
        if not every:
            cursor.take("DISTINCT")
        found = Query(SetOperation("INTERSECT", every, (found, _operand(cursor)), at), at=found.at)
    return found


def _operand(cursor: Cursor) -> Query:
    if cursor.sees("("):
        cursor.advance()
        query = parse_query(cursor)
        cursor.expect(")")
        return query
    if cursor.sees("VALUES"):
        rows = _value_rows(cursor)
        return Query(rows, at=rows.at)
    if cursor.sees("TABLE"):
        at = cursor.advance().at
        return Query(_every_column(TableName(_table_name(cursor), at=at)), at=at)
    select = _select(cursor)
    return Query(select, at=select.at)


def _value_rows(cursor: Cursor) -> ValueRows:
    """`VALUES (a, b), ...`; a row of one column needs no parentheses."""
    start = cursor.expect("VALUES").at
    return ValueRows(cursor.comma_separated(lambda: _value_row(cursor)), start)


def _value_row(cursor: Cursor) -> tuple[Expression, ...]:
    if cursor.take("ROW", "("):
        row = cursor.comma_separated(lambda: parse_expression(cursor))
        cursor.expect(")")
        return row
    only = parse_expression(cursor)
    return only.args if isinstance(only, Call) and only.name == "ROW" else (only,)


def _select(cursor: Cursor) -> Select:
    start = cursor.expect("SELECT").at
    lifetimes = parse_hints(cursor)
    distinct = cursor.take("DISTINCT")
    if not distinct:
        cursor.take("ALL")
    items = cursor.comma_separated(lambda: _item(cursor))
    source = _from(cursor) if cursor.take("FROM") else None
    where = parse_expression(cursor) if cursor.take("WHERE") else None
    group, sets = parse_grouping(cursor) if cursor.take("GROUP", "BY") else ((), ())
    having = parse_expression(cursor) if cursor.take("HAVING") else None
    windows: tuple[tuple[Ident, Over], ...] = ()
    if cursor.take("WINDOW"):
        windows = cursor.comma_separated(lambda: _named_window(cursor))
    qualify = parse_expression(cursor) if cursor.take("QUALIFY") else None
    _refuse(cursor, _LATER)
    return Select(items, source, where, group, having, windows, start, qualify, distinct, sets, lifetimes)


def _named_window(cursor: Cursor) -> tuple[Ident, Over]:
    name = cursor.identifier("a window name")
    cursor.expect("AS")
    return name, parse_window(cursor)


def _item(cursor: Cursor) -> SelectItem:
    start = cursor.at
    if cursor.take("*"):
        return SelectItem(Star(None, start), None, start)
    ahead = 0
    while cursor.peek(ahead).kind in (Kind.WORD, Kind.QUOTED) and cursor.peek(ahead + 1).text == ".":
        ahead += 2
    if ahead and cursor.peek(ahead).kind is Kind.SIGN and cursor.peek(ahead).text == "*":
        parts = []
        for _ in range(ahead // 2):
            parts.append(cursor.identifier())
            cursor.expect(".")
        cursor.expect("*")
        return SelectItem(Star(Name(tuple(parts), start), start), None, start)
    expression = parse_expression(cursor)
    return SelectItem(expression, _alias(cursor, "a column name"), start)


def _alias(cursor: Cursor, what: str) -> Ident | None:
    if cursor.take("AS"):
        return cursor.identifier(what)
    return cursor.identifier(what) if cursor.sees_identifier() else None


# ---------------------------------------------------------------- FROM


def _from(cursor: Cursor) -> Source:
    source: Source = _table(cursor)
    joins = 0
    while True:
        natural = cursor.take("NATURAL")
        kind = _join_kind(cursor)
        if kind is None and natural:
            raise Refusal(f"expected JOIN but found {cursor.current}", cursor.at)
        if kind is None:
            return source
        joins += 1
        if joins > 16:
            raise Refusal("more than 16 joins in one SELECT", cursor.at, "split it with a view")
        source = _join(cursor, source, kind, natural=natural)


def _join_kind(cursor: Cursor) -> str | None:
    """The kind of the join that starts here, CROSS between commas; the cursor stands before its table then."""
    if cursor.take(","):
        return "CROSS"
    if cursor.take("JOIN"):
        return "INNER"
    for word in ("INNER", "CROSS"):
        if cursor.take(word):
            cursor.expect("JOIN")
            return word
    for word in ("LEFT", "RIGHT", "FULL"):
        if cursor.take(word):
            cursor.take("OUTER")
            cursor.expect("JOIN")
            return word
    return None


def _join(cursor: Cursor, left: Source, kind: str, *, natural: bool) -> Join | TopOfEach:
    at = cursor.at
    right = _table(cursor)
    if isinstance(right, Lateral):
        return _with_lateral(cursor, left, right, kind, natural=natural)
    if natural:
        return Join(left, right, kind, None, at, natural=True)
    if cursor.take("USING"):
        return Join(left, right, kind, None, at, cursor.in_parentheses(lambda: cursor.identifier("a column name")))
    if kind == "CROSS":
        return Join(left, right, "INNER", None, at)
    cursor.expect("ON")
    return Join(left, right, kind, parse_expression(cursor), at)


def _with_lateral(cursor: Cursor, left: Source, right: Lateral, kind: str, *, natural: bool) -> Join | TopOfEach:
    """A join with LATERAL (query), after it."""
    if natural or cursor.sees("USING") or kind in ("RIGHT", "FULL"):
        words = "NATURAL" if natural else "USING" if cursor.sees("USING") else kind
        cure = "tie the query to what stands before it in its WHERE"
        raise Refusal(f"{words} with LATERAL (query)", right.at, cure)
    on: Expression | None = None
    if kind != "CROSS":
        cursor.expect("ON")
        on = parse_expression(cursor)
    kind = "INNER" if kind == "CROSS" else kind
    query = right.query
    if query.order or query.limit is not None or query.offset:
        return TopOfEach(left, right, kind, on, right.at)
    return Join(left, right, kind, on, right.at)


def _table(cursor: Cursor) -> Source:
    with cursor.nested():
        return _table_primary(cursor)


def _table_primary(cursor: Cursor) -> Source:
    start = cursor.at
    if cursor.sees("ML_PREDICT", "(") or cursor.sees("TABLE", "(", "ML_PREDICT"):
        inside = cursor.take("TABLE", "(")
        found = parse_prediction(cursor)
        if inside:
            cursor.expect(")")
        return replace(found, alias=_alias(cursor, "a table alias"))
    if any(cursor.sees(each, "(") or cursor.sees("TABLE", "(", each) for each in CHANGELOGS):
        inside = cursor.take("TABLE", "(")
        changes = parse_changelog(cursor)
        if inside:
            cursor.expect(")")
        return replace(changes, alias=_alias(cursor, "a table alias"))
    if cursor.sees("TABLE", "("):
        cursor.expect("TABLE", "(")
        table = _window_table(cursor)
        cursor.expect(")")
        return _window_alias(cursor, table)
    if cursor.sees("("):
        derived = _derived(cursor)
        return parse_match(cursor, derived) if cursor.sees("MATCH_RECOGNIZE") else derived
    if cursor.take("LATERAL", "("):
        return _lateral(cursor, start)
    if sees_expansion(cursor):
        return parse_expansion(cursor)
    if cursor.sees("VALUES"):
        raise Refusal("VALUES in FROM stands in parentheses", start, "FROM (VALUES (1, 'a'), (2, 'b')) AS v (n, s)")
    if cursor.current.kind is Kind.WORD and cursor.peek().kind is Kind.SIGN and cursor.peek().text == "(":
        return _window_alias(cursor, _window_table(cursor))
    name = _table_name(cursor)
    options = parse_options_hint(cursor)
    as_of: Expression | None = None
    if cursor.take("FOR"):
        cursor.expect("SYSTEM_TIME", "AS", "OF")
        as_of = parse_expression(cursor)
    alias, columns = _table_alias(cursor)
    if cursor.sees("FOR"):
        raise Refusal("FOR SYSTEM_TIME comes before the alias", cursor.at, "t FOR SYSTEM_TIME AS OF l.ts AS r")
    named = TableName(name, alias, columns, as_of, start, options)
    if cursor.sees("MATCH_RECOGNIZE"):
        return parse_match(cursor, named)
    _refuse(cursor, _LATER)
    return named


def _lateral(cursor: Cursor, start: At) -> Lateral:
    """After `LATERAL (`."""
    query = parse_query(cursor)
    cursor.expect(")")
    return Lateral(query, *_table_alias(cursor), start)


def _table_name(cursor: Cursor) -> Ident:
    return cursor.object_name("a table name")


def _table_alias(cursor: Cursor) -> tuple[Ident | None, tuple[Ident, ...]]:
    alias = _alias(cursor, "a table alias")
    columns: tuple[Ident, ...] = ()
    if alias is not None and cursor.sees("("):
        columns = cursor.in_parentheses(lambda: cursor.identifier("a column name"))
    return alias, columns


def _derived(cursor: Cursor) -> Derived:
    start = cursor.expect("(").at
    if not cursor.sees_any("SELECT", "WITH", "VALUES", "("):
        raise Refusal(f"expected SELECT but found {cursor.current}", cursor.at, "a table's name needs no parentheses")
    query = parse_query(cursor)
    cursor.expect(")")
    alias, columns = _table_alias(cursor)
    return Derived(query, alias, columns, start)


# ---------------------------------------------------------------- window table functions


def _window_table(cursor: Cursor) -> WindowTable:
    name = cursor.current
    function = name.upper
    if function not in WINDOW_FUNCTIONS:
        raise Refusal(f"{name.text}(...) is not a table function here", name.at, near(name.text, WINDOW_FUNCTIONS))
    cursor.advance()
    cursor.expect("(")
    _named(cursor, "DATA")
    source, partition = _window_source(cursor)
    cursor.expect(",")
    _named(cursor, "TIMECOL")
    time = _descriptor(cursor)
    sizes = _window_sizes(cursor, function, name.at)
    cursor.expect(")")
    if partition and function != "SESSION":
        raise Refusal(f"{function} takes no PARTITION BY", name.at, "put the keys into GROUP BY")
    return WindowTable(function, source, partition, time, sizes, None, name.at)


def _named(cursor: Cursor, expected: str) -> None:
    if cursor.peek().text != "=>":
        return
    if cursor.current.text.upper() != expected:
        raise Refusal(
            f"expected {expected} => but found {cursor.current}", cursor.at, "DATA, TIMECOL, then the lengths"
        )
    cursor.advance()
    cursor.expect("=>")


def _window_source(cursor: Cursor) -> tuple[TableName | Derived, tuple[Expression, ...]]:
    start = cursor.at
    if cursor.sees("(", "SELECT") or cursor.sees("(", "WITH"):
        return _derived(cursor), ()
    if not cursor.take("TABLE"):
        raise Refusal(f"expected TABLE but found {cursor.current}", cursor.at, "TUMBLE(TABLE t, DESCRIPTOR(ts), ...)")
    if cursor.sees("("):
        raise Refusal("TABLE (SELECT ...) is not SQL", cursor.at, "leave the word TABLE out before a query")
    source = TableName(_table_name(cursor), at=start)
    partition: tuple[Expression, ...] = ()
    if cursor.take("PARTITION"):
        cursor.expect("BY")
        partition = _partition(cursor)
    return source, partition


def _partition(cursor: Cursor) -> tuple[Expression, ...]:
    """Keys up to the comma before DESCRIPTOR."""
    if cursor.sees("("):
        return cursor.in_parentheses(lambda: parse_expression(cursor))
    keys = [parse_expression(cursor)]
    while cursor.sees(",") and cursor.peek().upper != "DESCRIPTOR" and cursor.peek(2).text != "=>":
        cursor.advance()
        keys.append(parse_expression(cursor))
    return tuple(keys)


def _descriptor(cursor: Cursor) -> Name:
    start = cursor.at
    cursor.expect("DESCRIPTOR", "(")
    column = cursor.identifier("the time column")
    cursor.expect(")")
    return Name((column,), start)


def _window_sizes(cursor: Cursor, function: str, at: At) -> tuple[tuple[str, Expression], ...]:
    wanted = WINDOW_FUNCTIONS[function]
    names = [name for name, _ in wanted]
    found: dict[str, Expression] = {}
    while cursor.take(","):
        place = cursor.at
        if cursor.peek().text == "=>":
            name = cursor.advance().text.upper()
            cursor.expect("=>")
        else:
            free = [each for each in names if each not in found]
            name = free[0] if free else ""
        if name not in names or name in found:
            raise Refusal(f"{function} takes {_listed(names)} after the time column", place)
        found[name] = parse_expression(cursor)
    missing = [name for name, required in wanted if required and name not in found]
    if missing:
        raise Refusal(
            f"{function} needs {_listed(missing)}", at, f"{function}(TABLE t, DESCRIPTOR(ts), {_listed(names)})"
        )
    return tuple((name, found[name]) for name in names if name in found)


def _listed(names: list[str]) -> str:
    return ", ".join(name.lower() for name in names)


def _window_alias(cursor: Cursor, table: WindowTable) -> WindowTable:
    alias, columns = _table_alias(cursor)
    return replace(table, alias=alias, columns=columns)
