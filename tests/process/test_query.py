"""Queries over live tables give what DuckDB gives for the same rows and text."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.process.live import Tables
from nextpaint.process.query import run_query
from nextpaint.sql.planner import plan_program, plan_query
from tests.process.harness import records, runner_of, whole

SQL = """CREATE TABLE t (id INT, kind STRING, n INT, x DOUBLE, PRIMARY KEY (id) NOT ENFORCED);"""
ROWS = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.sampled_from(["a", "b", "c", None]),
        st.one_of(st.none(), st.integers(-50, 50)),
        st.one_of(st.none(), st.integers(-8, 8).map(lambda each: each / 4)),
    ),
    max_size=40,
)
QUERIES = [
    "SELECT id, kind, n FROM t WHERE n > 3 AND kind <> 'b'",
    "SELECT kind, COUNT(*) AS c, SUM(n) AS s, MIN(x) AS lo, MAX(x) AS hi FROM t GROUP BY kind",
    "SELECT kind, COUNT(n) AS c FROM t GROUP BY kind HAVING COUNT(n) > 1",
    "SELECT id, n * 2 + 1 AS m, CASE WHEN x > 0 THEN 'up' ELSE 'down' END AS d FROM t WHERE kind IS NOT NULL",
    "SELECT id, COALESCE(n, 0) AS n FROM t WHERE kind IN ('a', 'c') OR n BETWEEN -2 AND 2",
    "SELECT u.kind, u.c FROM (SELECT kind, COUNT(*) AS c FROM t GROUP BY kind) AS u WHERE u.c > 2",
    "SELECT a.id, b.id AS other FROM t AS a JOIN t AS b ON a.kind = b.kind AND a.n < b.n",
    "SELECT a.id, b.id AS other FROM t AS a, t AS b WHERE a.n = b.n + 1 AND a.id > 3",
    "SELECT a.id, b.m FROM t AS a LEFT JOIN (SELECT kind, MAX(n) AS m FROM t GROUP BY kind) AS b ON a.kind = b.kind",
    "SELECT a.id, b.id AS other FROM t AS a FULL JOIN t AS b ON a.id = b.n",
    "SELECT a.kind, COUNT(b.id) AS c FROM t AS a LEFT JOIN t AS b ON a.id = b.n GROUP BY a.kind",
    "SELECT id FROM t WHERE kind IN (SELECT kind FROM t WHERE n > 10)",
    "SELECT id FROM t WHERE n NOT IN (SELECT id FROM t)",
    "SELECT id FROM t WHERE (n, kind) NOT IN (SELECT id, kind FROM t WHERE id < 20)",
    "SELECT COUNT(*) AS c, MIN(id) AS lo FROM t GROUP BY ROW(kind, n > 0)",
    "SELECT d.n, COUNT(*) AS c FROM (SELECT DISTINCT n, ROW(kind, x) AS r FROM t) AS d GROUP BY d.n",
    "SELECT id FROM t AS a WHERE NOT EXISTS (SELECT 1 FROM t AS b WHERE b.kind = a.kind AND b.n > a.n)",
]


def ours(rows: list[Any], query: str) -> list[tuple[Any, ...]]:
    program = plan_program([("test.sql", SQL)], {})
    runner = runner_of(program)
    named = [dict(zip(("id", "kind", "n", "x"), row, strict=True)) for row in rows]
    whole(runner, records([("t", row) for row in named]))
    tables = Tables(runner)
    return run_query(plan_query(query, program.tables), tables, tables.reading(0)).rows


def theirs(rows: list[Any], query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(":memory:") as database:
        database.execute("CREATE TABLE t (id INT PRIMARY KEY, kind VARCHAR, n INT, x DOUBLE)")
        for row in rows:
            database.execute("INSERT OR REPLACE INTO t VALUES (?, ?, ?, ?)", row)
        return database.execute(query).fetchall()


@pytest.mark.parametrize("query", QUERIES)
@settings(max_examples=8)
@given(ROWS)
def test_a_query_gives_what_duckdb_gives(query: str, rows: list[Any]) -> None:
    assert sorted(ours(rows, query), key=repr) == sorted(theirs(rows, query), key=repr)


@settings(max_examples=8)
@given(ROWS)
def test_order_and_limit(rows: list[Any]) -> None:
    query = "SELECT id, n FROM t WHERE n IS NOT NULL ORDER BY n DESC, id LIMIT 5"
    assert ours(rows, query) == theirs(rows, query)
