"""What runs carries only the columns that are read; rows and their order are those of the plan given."""

from __future__ import annotations

import pytest

from nextpaint.sql.describe import describe
from nextpaint.sql.narrowing import narrowed
from tests.process.operators.driving import planned

TABLES = """
CREATE TABLE a (id BIGINT, name STRING, price DOUBLE, note STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
CREATE TABLE b (id BIGINT, code STRING, size INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
CREATE TABLE c (id BIGINT, code STRING, size INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts,
  PRIMARY KEY (id) NOT ENFORCED);
"""

CASES = {
    "a join carries what is read and its keys": (
        "SELECT a.name, b.code FROM a JOIN b ON a.id = b.id AND a.price > b.size",
        "Project name, code\n  Join inner on id = id if (price > CAST(size AS DOUBLE))\n"
        "    Project id, name, price\n      Scan a\n    Project id, code, size\n      Scan b",
    ),
    "EXISTS has the columns of the left side": (
        "SELECT name FROM a WHERE id IN (SELECT id FROM b WHERE code = 'x')",
        "Project name\n  Join semi on id = id\n    Project id, name\n      Scan a\n"
        "    Project id\n      Filter (code = 'x')\n        Scan b",
    ),
    "projections are one where nothing is computed twice": (
        "SELECT p + 1 FROM (SELECT price * 2 AS p, name FROM a)",
        "Project ((price * 2.0) + 1.0) AS EXPR$0\n  Scan a",
    ),
    "and two where something would be": (
        "SELECT p + p FROM (SELECT price * 2 AS p FROM a)",
        "Project (p + p) AS EXPR$0\n  Project (price * 2.0) AS p\n    Scan a",
    ),
    "a frame holds its keys, its time and its arguments": (
        "SELECT name, SUM(price) OVER (PARTITION BY name ORDER BY ts) FROM a",
        "Project name, sum$0 AS EXPR$1\n"
        "  OverAggregate RANGE unbounded preceding by (name) order ts: SUM(price)\n"
        "    Project name, price, ts\n      Scan a",
    ),
    "a ranking keeps its order": (
        "SELECT name FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY id ORDER BY price) AS n FROM a) WHERE n <= 2",
        "Project name\n  Rank 1-2 by (id) order price not shown\n    Project id, name, price\n      Scan a",
    ),
    "UNION keeps whole rows": (
        "SELECT id FROM (SELECT id, name FROM a UNION ALL SELECT id, code FROM b)",
        "Project id\n  Union\n    Project id, name\n      Scan a\n    Project id, code AS name\n      Scan b",
    ),
}  # fmt: skip


def shown(query: str) -> str:
    lines = describe(narrowed(planned(TABLES, query))).splitlines()
    return "\n".join(line.split("  [")[0] for line in lines)


@pytest.mark.parametrize("case", CASES)
def test_what_is_left(case: str) -> None:
    query, expected = CASES[case]
    assert shown(query) == expected


@pytest.mark.parametrize(
    "query",
    [
        *[query for query, _ in CASES.values()],
        "SELECT a.name, c.size FROM a LEFT JOIN c FOR SYSTEM_TIME AS OF a.ts ON a.id = c.id",
        "SELECT a.name, b.size FROM a, b WHERE a.id = b.id AND a.ts BETWEEN b.ts - INTERVAL '1' HOUR AND b.ts",
        "SELECT id, window_end, COUNT(*) FROM TABLE(TUMBLE(TABLE a, DESCRIPTOR(ts), INTERVAL '1' HOUR))"
        " GROUP BY id, window_start, window_end",
        "SELECT * FROM a",
    ],
)
def test_the_root_keeps_its_columns(query: str) -> None:
    whole = planned(TABLES, query)
    made = narrowed(whole)
    assert made.schema.types == whole.schema.types
    assert made.schema.rowtime == whole.schema.rowtime
    assert narrowed(made) == made, "narrowing again changes nothing"
