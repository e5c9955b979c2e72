"""The tables and texts the tests of this room share: the built-in events stream and tables of every type."""

from __future__ import annotations

from nextpaint.record import types
from nextpaint.record.errors import ApplicationError, Diagnostic
from nextpaint.record.types import Field
from nextpaint.sql.catalog import Catalog
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.describe import describe, describe_expr
from nextpaint.sql.dialect import tokenize
from nextpaint.sql.plan import At, Node, Project
from nextpaint.sql.planner import plan_program
from nextpaint.sql.program import Program, Table, Watermark
from nextpaint.sql.queries import plan_statement_query
from nextpaint.sql.query_grammar import parse_query

EVENTS = Table(
    "events",
    (
        Field("message_id", types.STRING, False),
        Field("type", types.STRING),
        Field("event", types.STRING),
        Field("subject", types.STRING),
        Field("anonymous", types.BOOLEAN),
        Field("properties", types.STRING),
        Field("context", types.STRING),
        Field("surface", types.STRING),
        Field("decision_id", types.STRING),
        Field("item_id", types.STRING),
        Field("position", types.INT),
        Field("purposes", types.STRING),
        Field("ts", types.TIMESTAMP),
        Field("received_at", types.TIMESTAMP),
    ),
    watermark=Watermark(12, 5000),
)
BUILTINS = {"events": EVENTS}

# `t` has a column of every type, `item` is versioned, `plain` has neither key nor time.
TABLES = """
CREATE TABLE t (i INT, b BIGINT, sm SMALLINT, ti TINYINT, f FLOAT, d DOUBLE, c DECIMAL(10, 2), c3 DECIMAL(6, 3),
  big DECIMAL(38, 10), s STRING, v VARCHAR(3), bo BOOLEAN, ts TIMESTAMP(3), lt TIMESTAMP_LTZ(3), da DATE, tm TIME,
  ar ARRAY<INT>, m MAP<STRING, INT>, r ROW<a INT, b ROW<c STRING>>, ra ARRAY<ROW<x INT>>,
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND);
CREATE TABLE item (k STRING, x INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts, PRIMARY KEY (k) NOT ENFORCED);
CREATE TABLE pair (k STRING, l INT, x INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts, PRIMARY KEY (k, l) NOT ENFORCED);
CREATE TABLE plain (k STRING, x INT);
"""


def program(text: str) -> Program:
    """The text as a program beside the tables above."""
    return plan_program([("tables.sql", TABLES), ("app.sql", text)], BUILTINS)


def findings(text: str) -> tuple[Diagnostic, ...]:
    """What is wrong with the text; empty when it plans."""
    try:
        program(text)
    except ApplicationError as error:
        return error.diagnostics
    return ()


def node(query: str) -> Node:
    """The plan of one SELECT, as the query of an INSERT."""
    catalog = Catalog(program("").tables, {}, plan_statement_query)
    return plan_statement_query(catalog, parse_query(Cursor(tokenize(query))))


def plan(query: str) -> str:
    return describe(node(query))


def typed(expression: str) -> tuple[str, str]:
    """(type, canonical form) of an expression over `t`."""
    root = node(f"SELECT {expression} AS zz FROM t")
    assert isinstance(root, Project)
    return str(root.exprs[0].type), describe_expr(root.exprs[0])


HERE = At("surfaces.py", 10, 5)
