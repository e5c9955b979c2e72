"""Questions about an application in SQL: SHOW, DESCRIBE, EXPLAIN and SET without a value.

Column names and section titles are Flink's, the plans are ours. A question reads nothing but the checked program.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nextpaint.sql import signatures
from nextpaint.sql.catalog import Catalog
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.definitions import CreateTable
from nextpaint.sql.describe import describe, describe_line, describe_table
from nextpaint.sql.dialect import Kind, tokenize
from nextpaint.sql.inserts import plan_insert
from nextpaint.sql.plan import Changes, Node, inputs_of
from nextpaint.sql.program import Program, Table
from nextpaint.sql.queries import plan_statement_query
from nextpaint.sql.query_grammar import parse_query
from nextpaint.sql.refusal import AlreadyReported, Refusal, near
from nextpaint.sql.settings import SETTINGS
from nextpaint.sql.statement_grammar import parse_create, parse_insert
from nextpaint.sql.table_queries import fill_table, filling_insert
from nextpaint.sql.views import parsed_views

_WORDS = ("SHOW", "DESCRIBE", "DESC", "EXPLAIN", "SET", "RESET")
_MODES = {Changes.APPEND: "I", Changes.RETRACT: "I,UB,UA,D"}
_DETAILS = ("ESTIMATED_COST", "CHANGELOG_MODE", "JSON_EXECUTION_PLAN", "PLAN_ADVICE")


@dataclass(frozen=True, slots=True)
class Listing:
    """Columns and rows of text (NULL as None)."""

    columns: tuple[str, ...]
    rows: list[tuple[str | None, ...]]


def ask(text: str, program: Program) -> Listing | None:
    """The answer to a question; None for a text that is none (a SELECT). Raises Refusal."""
    cursor = Cursor(tokenize(text))
    if cursor.current.upper not in _WORDS:
        return None
    word = cursor.advance()
    rule: Callable[[Cursor, Program], Listing] = {
        "SHOW": _show,
        "EXPLAIN": _explain,
        "SET": _settings,
        "RESET": _settings,
    }.get(word.upper, _describe)
    found = rule(cursor, program)
    cursor.take(";")
    cursor.expect_end()
    return found


# ---------------------------------------------------------------- SHOW


def _show(cursor: Cursor, program: Program) -> Listing:
    word = cursor.advance()
    if word.upper in _LISTS:
        column, names = _LISTS[word.upper]
        return _names(column, names(program), cursor)
    match word.upper:
        case "CURRENT":
            what = cursor.advance()
            if what.upper not in ("CATALOG", "DATABASE"):
                raise Refusal(f"unknown question SHOW CURRENT {what.text}", what.at, "SHOW CURRENT CATALOG or DATABASE")
            return Listing((f"current {what.upper.lower()} name",), [(f"default_{what.upper.lower()}",)])
        case "USER":
            cursor.expect("FUNCTIONS")
            return _names("function name", program.functions, cursor)
        case "JOBS":
            jobs = [(each.target, "INSERT", "RUNNING") for each in program.inserts]
            return Listing(("job id", "job name", "status"), [*jobs])
        case "COLUMNS":
            if not cursor.take("IN"):
                cursor.expect("FROM")
            return _like(_columns(_table(cursor, program)), cursor)
        case "CREATE":
            return _show_create(cursor, program)
    known = [*_LISTS, "COLUMNS", "JOBS", "CREATE", "CURRENT"]
    raise Refusal(f"unknown question SHOW {word.text}", word.at, near(word.text or "?", known))


_LISTS: dict[str, tuple[str, Callable[[Program], Iterable[str]]]] = {
    "CATALOGS": ("catalog name", lambda program: ["default_catalog"]),
    "DATABASES": ("database name", lambda program: ["default_database"]),
    "TABLES": ("table name", lambda program: [*(n for n in program.tables if n[0] != "_"), *program.views]),
    "VIEWS": ("view name", lambda program: program.views),
    "FUNCTIONS": ("function name", lambda program: {each.lower() for each in signatures.known_names()}),
    "MODELS": ("model name", lambda program: program.models),
    "MODULES": ("module name", lambda program: ["core"]),
}


def _names(column: str, names: Iterable[str], cursor: Cursor) -> Listing:
    if cursor.take("FROM") or cursor.take("IN"):
        cursor.object_name("a database name")
    return _like(Listing((column,), [(name,) for name in sorted(names)]), cursor)


def _like(listing: Listing, cursor: Cursor) -> Listing:
    """`[NOT] LIKE 'pattern'` on the first column."""
    negated = cursor.take("NOT")
    if not cursor.take("LIKE"):
        return listing
    pattern = cursor.string("a pattern")
    source = "".join(".*" if each == "%" else "." if each == "_" else re.escape(each) for each in pattern)
    kept = [row for row in listing.rows if (re.fullmatch(source, row[0] or "") is None) == negated]
    return Listing(listing.columns, kept)


def _show_create(cursor: Cursor, program: Program) -> Listing:
    what = cursor.advance()
    if what.upper == "VIEW":
        name = cursor.object_name("a view name")
        if name.text not in program.views:
            raise Refusal(f"unknown view {name.text}", name.at, near(name.text, program.views))
        return Listing(("result",), [(f"CREATE VIEW {name.text} AS {program.views[name.text]}",)])
    if what.upper == "MODEL":
        name = cursor.object_name("a model name")
        if name.text not in program.models:
            raise Refusal(f"unknown model {name.text}", name.at, near(name.text, program.models))
        return Listing(("result",), [(program.models[name.text],)])
    if what.upper != "TABLE":
        raise Refusal(f"unknown question SHOW CREATE {what.text}", what.at, "SHOW CREATE TABLE, VIEW or MODEL")
    return Listing(("result",), [("CREATE " + describe_table(_table(cursor, program)),)])


# ---------------------------------------------------------------- DESCRIBE


def _table(cursor: Cursor, program: Program) -> Table:
    name = cursor.object_name("a table name")
    if name.text in program.views:
        catalog = Catalog(program.tables, parsed_views(program.views), plan_statement_query)
        return Table(name.text, catalog.node(name).schema.fields)
    if name.text not in program.tables:
        raise Refusal(f"unknown table {name.text}", name.at, near(name.text, [*program.tables, *program.views]))
    return program.tables[name.text]


def _describe(cursor: Cursor, program: Program) -> Listing:
    cursor.take("EXTENDED")
    if cursor.sees("MODEL") and cursor.peek().kind is not Kind.END:
        cursor.advance()
        cursor.take("EXTENDED")
        name = cursor.object_name("a model name")
        if name.text not in program.models:
            raise Refusal(f"unknown model {name.text}", name.at, near(name.text, program.models))
        return Listing(("result",), [(program.models[name.text],)])
    cursor.take("TABLE")
    return _columns(_table(cursor, program))


def _columns(table: Table) -> Listing:
    rows: list[tuple[str | None, ...]] = []
    derived = {index: "AS" for index, _ in table.computed}
    derived.update({index: f"METADATA FROM '{key}' VIRTUAL" for index, key, _ in table.metadata})
    keys = ", ".join(table.names[index] for index in table.primary_key)
    for index, each in enumerate(table.fields):
        timed = table.watermark is not None and table.watermark.column == index
        watermark: str | None = None
        if timed and table.watermark is not None:
            watermark = f"{each.name} - {table.watermark.delay_ms} ms" if table.watermark.delay_ms else each.name
        rows.append(
            (
                each.name,
                f"{each.type}{' *ROWTIME*' if timed else ''}",
                "TRUE" if each.nullable else "FALSE",
                f"PRI({keys})" if index in table.primary_key else None,
                derived.get(index),
                watermark,
            )
        )
    return Listing(("name", "type", "null", "key", "extras", "watermark"), rows)


# ---------------------------------------------------------------- EXPLAIN


def _explain(cursor: Cursor, program: Program) -> Listing:
    details: set[str] = set()
    if not cursor.take("PLAN", "FOR"):
        while cursor.current.upper in _DETAILS:
            details.add(cursor.advance().upper)
            cursor.take(",")
    views = parsed_views(program.views)
    catalog = Catalog(dict(program.tables), views, plan_statement_query, settings=program.settings)
    try:
        nodes = _planned(cursor, catalog)
    except AlreadyReported:
        raise catalog.findings[0] from None
    shown = "\n\n".join(
        [
            "== Abstract Syntax Tree ==\n" + "\n".join(_tree(each, frozenset()) for each in nodes),
            "== Optimized Physical Plan ==\n" + "\n".join(_tree(each, frozenset(details)) for each in nodes),
            "== Optimized Execution Plan ==\n" + "\n".join(describe(each) for each in nodes),
            *(["== Physical Execution Plan ==\n" + _json(nodes)] if "JSON_EXECUTION_PLAN" in details else []),
        ]
    )
    return Listing(("result",), [(shown,)])


def _planned(cursor: Cursor, catalog: Catalog) -> list[Node]:
    """The plans of a query, an INSERT, a CREATE TABLE ... AS or a statement set."""
    nodes: list[Node] = []
    if cursor.take("STATEMENT", "SET") or cursor.take("EXECUTE", "STATEMENT", "SET"):
        cursor.expect("BEGIN")
        while not cursor.take("END"):
            nodes.append(plan_insert(catalog, parse_insert(cursor), {}).insert.root)
            cursor.expect(";")
    elif cursor.sees("INSERT") or cursor.take("EXECUTE"):
        nodes.append(plan_insert(catalog, parse_insert(cursor), {}).insert.root)
    elif cursor.sees("CREATE"):
        nodes.append(_filled(cursor, catalog))
    else:
        nodes.append(plan_statement_query(catalog, parse_query(cursor)))
    return nodes


def _filled(cursor: Cursor, catalog: Catalog) -> Node:
    """The plan of what fills a table that is not there yet, which is put into the catalog."""
    at = cursor.at
    definition = parse_create(cursor)
    if not isinstance(definition, CreateTable) or definition.filling is None:
        raise Refusal("only CREATE TABLE ... AS has a plan", at, "EXPLAIN CREATE TABLE t AS SELECT ..")
    name = definition.name
    if name.text in catalog.tables or name.text in catalog.views:
        raise Refusal(f"{name.text} is there already", name.at, "choose another name")
    catalog.tables[name.text] = fill_table(catalog, definition)
    insert = filling_insert(catalog, definition)
    assert insert is not None, "the table was filled"
    return plan_insert(catalog, insert, {}).insert.root


def _tree(node: Node, details: frozenset[str], depth: int = 0) -> str:
    mode = f", changelogMode=[{_MODES[node.schema.changes]}]" if "CHANGELOG_MODE" in details else ""
    lines = ["   " * max(0, depth - 1) + ("+- " if depth else "") + describe_line(node) + mode]
    return "\n".join([*lines, *(_tree(each, details, depth + 1) for each in inputs_of(node))])


def _json(nodes: Sequence[Node]) -> str:
    listed: list[dict[str, object]] = []

    def visit(node: Node) -> int:
        inputs = [visit(each) for each in inputs_of(node)]
        listed.append({"id": len(listed) + 1, "type": describe_line(node), "predecessors": inputs})
        return len(listed)

    for each in nodes:
        visit(each)
    return json.dumps({"nodes": listed}, indent=2)


def _settings(cursor: Cursor, program: Program) -> Listing:
    at = cursor.at
    if cursor.current.kind is Kind.STRING:
        raise Refusal("a question has no session to set", at, "SET it in the application's SQL and apply it")
    rows: list[tuple[str | None, ...]] = [(key, value) for key, value in sorted(program.settings.items())]
    rows += [(key, None) for key in sorted(SETTINGS) if key not in program.settings]
    return Listing(("key", "value"), rows)
