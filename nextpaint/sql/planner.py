"""The sql room's door: texts in, checked plans out, or one ApplicationError with everything that is wrong.

`plan_program` for an application's files, `plan_query` for a question over live tables, `plan_condition` and
`plan_number` for the conditions and computed features that surfaces and journeys write. Nothing else leaves the room
but `ApplicationError`.

A query may stand by itself among statements that run continuously (`asked`): its changes are those of the table ANSWER.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from nextpaint.record.errors import ApplicationError, Diagnostic
from nextpaint.record.types import Type
from nextpaint.sql import definitions, syntax
from nextpaint.sql.binder import Binder
from nextpaint.sql.catalog import Catalog
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.declarations import declare, settings_of, unparsed_names
from nextpaint.sql.dialect import tokenize
from nextpaint.sql.expression_grammar import parse_expression
from nextpaint.sql.inserts import PlannedInsert, in_order, plan_insert, together
from nextpaint.sql.plan import (
    At,
    Changes,
    Expr,
    Filter,
    GroupAggregate,
    Join,
    JoinKind,
    Match,
    Node,
    Project,
    Scan,
    TemporalJoin,
    WindowTable,
    inputs_of,
)
from nextpaint.sql.program import Insert, Program, Table
from nextpaint.sql.queries import distinct_names, plan_statement_query
from nextpaint.sql.query_grammar import parse_query
from nextpaint.sql.ranks import settled
from nextpaint.sql.refusal import AlreadyReported, Refusal
from nextpaint.sql.resolving import resolved, shown_model
from nextpaint.sql.scope import ConditionNames
from nextpaint.sql.session import Listing, ask
from nextpaint.sql.statement_grammar import parse_statements
from nextpaint.sql.table_queries import fill_table, filling_insert
from nextpaint.sql.user_functions import Library
from nextpaint.sql.user_functions import declared as in_force_inside
from nextpaint.sql.value_subqueries import single_row
from nextpaint.sql.views import parsed_views, whole_text

_IDLE_TIMEOUT = "table.exec.source.idle-timeout"
_TABLE_IDLE_TIMEOUT = "scan.watermark.idle-timeout"


ANSWER = "_answer"


def plan_program(
    sources: Sequence[tuple[str, str]],
    builtins: Mapping[str, Table],
    asked: tuple[str, str] | None = None,
    library: Library | None = None,
) -> Program:
    """All statements of an application's files ((name, text), any order) as a checked program.

    Tables and views may be used before the line or file that declares them. Raises ApplicationError with every finding.
    `asked`: file and text of a query whose changes go to the table ANSWER, which takes any. `library`: where CREATE
    FUNCTION and CREATE MODEL are resolved.
    """
    findings: list[Refusal] = []
    statements: list[definitions.Statement] = []
    for file, text in sources:
        statements.extend(parse_statements(file, text, findings.append))
    zone = settings_of(statements, []).get("table.local-time-zone", "UTC")
    zone = "" if zone.upper() in ("UTC", "Z", "GMT", "ETC/UTC") else zone
    code = replace(resolved(statements, library, findings), zone=zone)
    with in_force_inside(code):
        program = _program(sources, statements, builtins, asked, findings)
    return replace(program, code=code)


def _program(
    sources: Sequence[tuple[str, str]],
    statements: Sequence[definitions.Statement],
    builtins: Mapping[str, Table],
    asked: tuple[str, str] | None,
    findings: list[Refusal],
) -> Program:
    declared = declare(statements, builtins, unparsed_names(sources), findings)
    tables, views, broken = declared.tables, declared.views, declared.broken
    unfilled = dict(declared.unfilled)
    catalog = Catalog(
        tables, views, plan_statement_query, broken=broken, findings=findings, unfilled=declared.unfilled,
        filled=unfilled, fill=fill_table,
    )  # fmt: skip
    settings = settings_of(statements, findings)
    catalog.settings = settings
    for name in [*views, *unfilled]:
        _attempt(catalog, (views.get(name) or unfilled[name]).name)
    planned: list[PlannedInsert] = []
    for statement in statements:
        insert: definitions.Statement | None = statement
        if isinstance(statement, definitions.CreateTable) and unfilled.get(statement.name.text) is statement:
            insert = filling_insert(catalog, statement)
        if isinstance(insert, definitions.InsertInto):
            try:
                planned.append(plan_insert(catalog, insert, builtins))
            except Refusal as refusal:
                findings.append(refusal)
            except AlreadyReported:
                continue
    if asked is not None:
        try:
            planned.append(_answer(catalog, *asked))
            tables[ANSWER] = Table(ANSWER, planned[-1].insert.root.schema.fields)
        except Refusal as refusal:
            findings.append(refusal)
        except AlreadyReported:
            pass
    order, circles = in_order(together(planned, tables))
    findings.extend(circles)
    if findings:
        raise ApplicationError(_diagnostics(findings, [file for file, _ in sources]))
    texts = {name: whole_text(view) for name, view in views.items()}
    functions = {name: each.target for name, each in declared.functions.items()}
    models = {name: shown_model(each) for name, each in declared.models.items()}
    return Program(tables, tuple(order), settings, texts, functions, models)


def _answer(catalog: Catalog, file: str, text: str) -> PlannedInsert:
    """A query that runs continuously and stands by itself."""
    cursor = Cursor(tokenize(text, file))
    at = cursor.at
    query = parse_query(cursor)
    cursor.take(";")
    cursor.expect_end()
    catalog.start()
    node = distinct_names(settled(plan_statement_query(catalog, query)))
    reads, _ = catalog.read()
    return PlannedInsert(Insert(ANSWER, node, tuple(range(len(node.schema.fields))), text, at), reads)


def plan_query(text: str, tables: Mapping[str, Table], views: Mapping[str, str] | None = None) -> Node:
    """One SELECT over the content of live tables; the root may be a Sort. `views`: name -> query text."""
    findings: list[Refusal] = []
    try:
        cursor = Cursor(tokenize(text))
        query = parse_query(cursor)
        cursor.take(";")
        cursor.expect_end()
        catalog = Catalog(dict(tables), parsed_views(views or {}), plan_statement_query, live=True, findings=findings)
        return plan_statement_query(catalog, query)
    except Refusal as refusal:
        findings.append(refusal)
    except AlreadyReported:
        pass
    raise ApplicationError(_diagnostics(findings, [""]))


def answer_question(text: str, program: Program) -> Listing | None:
    """SHOW, DESCRIBE, EXPLAIN or SET over a program; None for anything else. Raises ApplicationError."""
    try:
        return ask(text, program)
    except Refusal as refusal:
        raise ApplicationError([refusal.diagnostic()]) from refusal
    except AlreadyReported as broken:
        raise ApplicationError([Diagnostic("", 1, 1, f"{broken} cannot be planned")]) from broken


def plan_condition(text: str, columns: Mapping[str, Type], where: At) -> tuple[Expr, tuple[str, ...]]:
    """A condition as surfaces write it. `columns`: dotted or plain names with their types.

    Returns the BOOLEAN expression, whose ColumnRefs index the returned tuple of used names. Raises ApplicationError;
    places count from `where`, the first character of the text.
    """
    return _plan_expression(text, columns, where, lambda binder, node: binder.condition(node, "the condition"))


def plan_number(text: str, columns: Mapping[str, Type], where: At) -> tuple[Expr, tuple[str, ...]]:
    """A computed feature as surfaces write it: as `plan_condition`, for an expression that gives a number."""
    return _plan_expression(text, columns, where, lambda binder, node: binder.number_value(node, "the feature"))


def _plan_expression(
    text: str, columns: Mapping[str, Type], where: At, bind: Callable[[Binder, syntax.Expression], Expr]
) -> tuple[Expr, tuple[str, ...]]:
    names = ConditionNames(columns)
    try:
        cursor = Cursor(tokenize(text, where.file))
        node = parse_expression(cursor)
        cursor.expect_end()
        return bind(Binder(names), node), tuple(names.used)
    except Refusal as refusal:
        moved = Refusal(refusal.what, _moved(refusal.at, where), refusal.cure)
        raise ApplicationError([moved.diagnostic()]) from refusal


def _moved(at: At, where: At) -> At:
    """A place inside the condition as a place in its file."""
    if not where.line:
        return At(where.file, at.line, at.column)
    column = where.column + at.column - 1 if at.line == 1 else at.column
    return At(where.file, where.line + at.line - 1, max(column, 1))


def _attempt(catalog: Catalog, name: syntax.Ident) -> None:
    try:
        catalog.node(name)
    except Refusal as refusal:
        catalog.report(refusal)
    except AlreadyReported:
        return


def _diagnostics(findings: Sequence[Refusal], files: Sequence[str]) -> list[Diagnostic]:
    """Each finding once, in the order of files and lines."""
    unique = dict.fromkeys(each.diagnostic() for each in findings)
    rank = {file: index for index, file in enumerate(files)}
    return sorted(unique, key=lambda each: (rank.get(each.file, len(rank)), each.line, each.column))


# ---------------------------------------------------------------- warnings


def warnings(program: Program) -> list[Diagnostic]:
    """What is allowed and probably not meant, with places."""
    found: list[Diagnostic] = []
    for insert in program.inserts:
        found.extend(_silent_sides(program, insert.root))
        found.extend(_growing(insert.root))
        target = program.tables[insert.target]
        if (
            target.primary_key
            and insert.root.schema.changes is Changes.APPEND
            and "ON CONFLICT" not in insert.sql.upper()
            and program.settings.get("table.exec.sink.require-on-conflict", "true").lower() == "true"
        ):
            found.append(
                _warning(
                    insert.at,
                    f"rows of {insert.target} replace each other by key; Flink 2.3 asks for this to be said",
                    "end the INSERT with ON CONFLICT DO DEDUPLICATE",
                )
            )
    return list(dict.fromkeys(found))


def _growing(node: Node) -> list[Diagnostic]:
    """Operators whose work or memory nothing bounds."""
    found: list[Diagnostic] = []
    if isinstance(node, Join) and not node.left_keys and not single_row(node.right):
        cure = "an equality of both sides"
        if node.kind is JoinKind.ANTI:
            cure = "NOT IN is keyed when both columns are NOT NULL; NOT EXISTS always"
        found.append(_warning(node.at, "this join has no equality: every row is compared with every other", cure))
    if isinstance(node, Match) and node.within is None:
        what = "a match may take for ever: its rows are kept until it does"
        found.append(_warning(node.at, what, "WITHIN INTERVAL '1' HOUR; what must not happen is a journey's timer"))
    if isinstance(node, GroupAggregate) and _is_windowed(node.input):
        what = "windows grouped without both of their bounds: every window is kept, and updated, for ever"
        found.append(_warning(node.at, what, "GROUP BY window_start, window_end and the keys"))
    for each in inputs_of(node):
        found.extend(_growing(each))
    return found


def _is_windowed(node: Node) -> bool:
    """Are these the rows of a window table function?"""
    while isinstance(node, Project | Filter):
        node = node.input
    return isinstance(node, WindowTable)


def _silent_sides(program: Program, node: Node) -> list[Diagnostic]:
    """Temporal joins that wait forever when their right side is silent."""
    found: list[Diagnostic] = []
    if isinstance(node, TemporalJoin) and not _has_timeout(program, node.right):
        found.append(
            _warning(
                node.at,
                "this join waits for its right side: while that is silent no row comes out",
                f"SET '{_IDLE_TIMEOUT}' = '5 s'",
            )
        )
    for each in inputs_of(node):
        found.extend(_silent_sides(program, each))
    return found


def _has_timeout(program: Program, node: Node) -> bool:
    if program.settings.get(_IDLE_TIMEOUT, "0").strip().split(" ")[0] not in ("0", "0ms", "0s", ""):
        return True
    while not isinstance(node, Scan):
        inputs = inputs_of(node)
        if not inputs:
            return True
        node = inputs[0]
    return bool(program.tables[node.table].option(_TABLE_IDLE_TIMEOUT))


def _warning(at: At, what: str, cure: str) -> Diagnostic:
    return Diagnostic(at.file, at.line, at.column, what, cure, "warning")
