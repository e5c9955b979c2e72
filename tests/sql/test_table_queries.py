"""CREATE TABLE ... AS query: its columns, the statement that fills it, and what it may read."""

import pytest

from nextpaint.sql.describe import describe, describe_table
from tests.sql.shop import findings, program


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE TABLE x AS SELECT k, x FROM plain", "TABLE x (k STRING, x INT)"),
        ("CREATE TABLE x AS SELECT k, x + 1, k FROM plain", "TABLE x (k STRING, EXPR$1 INT, k0 STRING)"),
        ("CREATE TABLE x AS VALUES (1, 'a')", "TABLE x (EXPR$0 INT NOT NULL, EXPR$1 STRING NOT NULL)"),
        ("CREATE TABLE x (x, k) AS SELECT k, x FROM plain", "TABLE x (x INT, k STRING)"),
        (
            "CREATE TABLE x (more INT, x BIGINT, twice AS x * 2) COMMENT 'c' PARTITIONED BY (k) AS "
            "(SELECT k, x FROM plain)",
            "TABLE x (more INT, twice AS (x * 2), k STRING, x BIGINT)",
        ),
        (
            "CREATE TABLE x (WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH ('scan.watermark.idle-timeout' = '1 s')"
            " AS SELECT ts FROM t",
            "TABLE x (ts TIMESTAMP(3), WATERMARK FOR ts AS ts - 1000 ms) WITH ('scan.watermark.idle-timeout' = '1 s')",
        ),
        (
            "CREATE TABLE x (PRIMARY KEY (k) NOT ENFORCED) AS SELECT k, COUNT(*) AS n FROM item GROUP BY k",
            "TABLE x (k STRING NOT NULL, n BIGINT, PRIMARY KEY (k) NOT ENFORCED)",
        ),
    ],
)
def test_columns_are_those_of_the_query_after_those_written_out(text, expected):
    assert describe_table(program(text).tables["x"]) == expected


def test_it_fills_the_table_as_an_insert_would():
    made = program("CREATE TABLE x (more INT, b BIGINT) AS SELECT k, x AS b FROM plain").inserts
    written = program("CREATE TABLE x (more INT, k STRING, b BIGINT); INSERT INTO x (k, b) SELECT k, x AS b FROM plain")
    assert [describe(each.root) for each in made] == [describe(each.root) for each in written.inserts]
    assert [each.sql for each in made] == [each.sql for each in written.inserts], "the state is the same one"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "CREATE TABLE y (more INT) LIKE x; CREATE TABLE x AS SELECT k, x FROM plain",
            "TABLE y (k STRING, x INT, more INT)",
        ),
        (
            "CREATE TABLE z LIKE x; CREATE TABLE x (PRIMARY KEY (k) NOT ENFORCED) AS SELECT k, COUNT(*) AS n FROM item "
            "GROUP BY k; CREATE TABLE y (PRIMARY KEY (n) NOT ENFORCED) LIKE z (EXCLUDING CONSTRAINTS)",
            "TABLE y (k STRING, n BIGINT NOT NULL, PRIMARY KEY (n) NOT ENFORCED)",
        ),
        (
            "CREATE TABLE x (twice AS x * 2, WATERMARK FOR ts AS ts) WITH ('scan.watermark.idle-timeout' = '1 s') AS "
            "SELECT i AS x, ts FROM t; CREATE TABLE y LIKE x (EXCLUDING OPTIONS EXCLUDING GENERATED)",
            "TABLE y (x INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)",
        ),
    ],
)
def test_a_table_like_it_has_its_columns_and_is_not_filled(text, expected):
    made = program(text)
    assert describe_table(made.tables["y"]) == expected
    assert [each.target for each in made.inserts] == ["x"]


def test_what_is_wrong_with_the_query_is_not_said_of_a_table_like_it():
    found = findings("CREATE TABLE x AS SELECT nope FROM plain; CREATE TABLE y LIKE x; INSERT INTO y SELECT 1")
    assert [each.what for each in found] == ["unknown column nope"]


def test_it_is_read_before_its_line_and_through_views():
    made = program(
        "INSERT INTO x SELECT 'a', 1; CREATE TABLE x AS SELECT k, n FROM y;"
        "CREATE TABLE y AS SELECT k, x + 1 AS n FROM v; CREATE VIEW v AS SELECT * FROM plain"
    )
    assert [each.target for each in made.inserts] == ["y", "x"]
    assert "TABLE y (k STRING, n INT)" in made.inserts[1].sql, "what it reads names its state"


def test_what_is_wrong_with_its_query_is_said_once():
    found = findings(
        "CREATE TABLE x AS SELECT nope FROM plain; CREATE TABLE y AS SELECT * FROM x; INSERT INTO x SELECT 1"
    )
    assert [each.what for each in found] == ["unknown column nope"]
