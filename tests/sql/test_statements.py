"""Statements and what CREATE TABLE declares: LIKE, metadata, computed columns, options, NOT NULL, questions."""

from __future__ import annotations

import pytest

from nextpaint.record.types import Kind
from nextpaint.sql.describe import describe, describe_table
from nextpaint.sql.planner import answer_question, plan_program
from tests.sql.shop import BUILTINS, findings, program

BASE = """CREATE TABLE base (a INT NOT NULL COMMENT 'id', b STRING, ts TIMESTAMP(3),
  o BIGINT METADATA FROM 'offset' VIRTUAL, up AS UPPER(b),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND, CONSTRAINT pk
  PRIMARY KEY (a) NOT ENFORCED) COMMENT 'base' DISTRIBUTED BY HASH (a) INTO 4 BUCKETS PARTITIONED BY (b)
  WITH ('scan.watermark.idle-timeout' = '5 s');"""


def table(text, name="x"):
    return describe_table(program(BASE + text).tables[name])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "CREATE TABLE x LIKE base",
            "TABLE x (a INT NOT NULL, b STRING, ts TIMESTAMP(3), o BIGINT METADATA FROM 'offset' VIRTUAL, "
            "up AS UPPER(b), WATERMARK FOR ts AS ts - 5000 ms, PRIMARY KEY (a) NOT ENFORCED) "
            "WITH ('scan.watermark.idle-timeout' = '5 s')",
        ),
        (
            "CREATE TABLE x (c INT) LIKE base (EXCLUDING ALL)",
            "TABLE x (a INT NOT NULL, b STRING, ts TIMESTAMP(3), c INT)",
        ),
        (
            "CREATE TABLE x (up AS LOWER(b), WATERMARK FOR ts AS ts) WITH ('scan.watermark.idle-timeout' = '1 s') "
            "LIKE base (EXCLUDING METADATA OVERWRITING GENERATED OVERWRITING WATERMARKS EXCLUDING CONSTRAINTS)",
            "TABLE x (a INT NOT NULL, b STRING, ts TIMESTAMP(3), up AS LOWER(b), WATERMARK FOR ts AS ts) "
            "WITH ('scan.watermark.idle-timeout' = '1 s')",
        ),
        (
            "CREATE TABLE x (z STRING) LIKE y (EXCLUDING OPTIONS); CREATE TABLE y LIKE plain",
            "TABLE x (k STRING, x INT, z STRING)",
        ),
    ],
)
def test_like_merges_as_flink_does(text, expected):
    assert table(text) == expected


def test_like_takes_a_built_in_stream():
    made = program("CREATE TABLE x LIKE events (EXCLUDING WATERMARKS)").tables["x"]
    assert made.names == BUILTINS["events"].names
    assert made.watermark is None


def test_metadata_is_cast_to_its_declared_type():
    made = program(
        "CREATE TABLE x (s STRING, topic STRING METADATA, rt TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL, "
        "p BIGINT METADATA FROM 'partition', u AS topic || s, WATERMARK FOR rt AS rt)"
    ).tables["x"]
    assert [(index, key) for index, key, _ in made.metadata] == [(1, "topic"), (2, "timestamp"), (3, "partition")]
    assert made.watermark is not None


def test_a_partial_insert_fills_every_column():
    made = program(
        "CREATE TABLE x (a STRING, n INT, twice AS n * 2, b STRING); INSERT INTO x (b, n) SELECT k, x FROM plain"
    )
    (insert,) = made.inserts
    assert insert.columns == (0, 1, 2, 3)
    assert (
        describe(insert.root).splitlines()[0].strip()
        == "Project CAST(NULL AS STRING) AS a, x AS n, (x * 2) AS twice, k AS b"
    )


def test_not_null_is_enforced_as_the_setting_says():
    text = "CREATE TABLE x (a STRING NOT NULL); INSERT INTO x SELECT k FROM plain;"
    assert "REQUIRE(k, column => 'a')" in describe(program(text).inserts[0].root)
    dropped = program(text + "SET 'table.exec.sink.not-null-enforcer' = 'DROP'").inserts[0].root
    assert "Filter (k IS NOT NULL)" in describe(dropped)
    kept = "CREATE TABLE x (a STRING NOT NULL); INSERT INTO x SELECT 'c' FROM plain"
    assert "REQUIRE" not in describe(program(kept).inserts[0].root)


def test_a_script_for_flink_is_an_application():
    made = program(
        "USE CATALOG default_catalog; USE default_database; DROP TABLE IF EXISTS x; SET 'parallelism.default' = '2';"
        "SET 'table.local-time-zone' = 'Asia/Tokyo'; RESET 'table.local-time-zone';"
        "CREATE TEMPORARY TABLE IF NOT EXISTS default_catalog.default_database.x (a STRING);"
        "CREATE TEMPORARY VIEW v (n COMMENT 'name') COMMENT 'c' AS SELECT k FROM default_database.plain;"
        "EXECUTE INSERT INTO x SELECT n FROM v"
    )
    assert made.inserts[0].target == "x"
    assert made.settings == {"parallelism.default": "2"}


def test_processing_time_is_the_clock_of_the_record():
    made = program("CREATE TABLE x (a INT, p AS PROCTIME())").tables["x"]
    assert made.fields[1].type.kind is Kind.TIMESTAMP_LTZ


# ---------------------------------------------------------------- questions

SHOP = (
    BASE
    + """
CREATE VIEW v AS SELECT a, up FROM base;
CREATE TABLE t2 (a INT, n BIGINT, PRIMARY KEY (a) NOT ENFORCED);
CREATE TABLE s (x INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
INSERT INTO t2 SELECT x, COUNT(*) FROM s GROUP BY x;
"""
)
CHECKED = plan_program([("app.sql", SHOP)], {})


def asked(text):
    listing = answer_question(text, CHECKED)
    assert listing is not None
    return [listing.columns, *listing.rows]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SHOW TABLES", [("table name",), ("base",), ("s",), ("t2",), ("v",)]),
        ("SHOW TABLES LIKE 't%';", [("table name",), ("t2",)]),
        ("SHOW TABLES NOT LIKE '_'", [("table name",), ("base",), ("t2",)]),
        ("SHOW VIEWS", [("view name",), ("v",)]),
        ("SHOW CATALOGS", [("catalog name",), ("default_catalog",)]),
        ("SHOW CURRENT DATABASE", [("current database name",), ("default_database",)]),
        ("SHOW JOBS", [("job id", "job name", "status"), ("t2", "INSERT", "RUNNING")]),
        ("SHOW CREATE VIEW v", [("result",), ("CREATE VIEW v AS SELECT a, up FROM base",)]),
        (
            "SHOW CREATE TABLE t2",
            [("result",), ("CREATE TABLE t2 (a INT NOT NULL, n BIGINT, PRIMARY KEY (a) NOT ENFORCED)",)],
        ),
        (
            "DESCRIBE t2",
            [
                ("name", "type", "null", "key", "extras", "watermark"),
                ("a", "INT", "FALSE", "PRI(a)", None, None),
                ("n", "BIGINT", "TRUE", None, None, None),
            ],
        ),
        (
            "DESC s",
            [
                ("name", "type", "null", "key", "extras", "watermark"),
                ("x", "INT", "TRUE", None, None, None),
                ("ts", "TIMESTAMP(3) *ROWTIME*", "TRUE", None, None, "ts"),
            ],
        ),
    ],
)
def test_questions_are_answered_under_flinks_names(text, expected):
    assert asked(text) == expected


def test_functions_are_listed():
    names = [row[0] for row in asked("SHOW FUNCTIONS LIKE 'json%'")[1:]]
    assert {"json_value", "json_exists", "json_query"} <= set(names)


def test_explain_shows_the_plan_and_its_changes():
    (text,) = asked("EXPLAIN CHANGELOG_MODE INSERT INTO t2 SELECT x, COUNT(*) FROM s GROUP BY x")[1]
    titles = [line for line in text.splitlines() if line.startswith("==")]
    assert titles == [
        "== Abstract Syntax Tree ==",
        "== Optimized Physical Plan ==",
        "== Optimized Execution Plan ==",
    ]
    assert "changelogMode=[I,UB,UA,D]" in text
    assert "Scan s, changelogMode=[I]" in text
    (plan,) = asked("EXPLAIN JSON_EXECUTION_PLAN SELECT * FROM v")[1]
    assert '"predecessors": []' in plan


def test_explain_of_a_table_that_a_query_would_fill():
    before = dict(CHECKED.tables)
    (text,) = asked("EXPLAIN CREATE TABLE filled AS SELECT x + 1 AS y FROM s")[1]
    assert "Project (x + 1) AS y" in text
    assert CHECKED.tables == before


def test_a_select_is_no_question():
    assert answer_question("SELECT * FROM base", CHECKED) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SHOW TABLEZ", "unknown question SHOW TABLEZ"),
        ("DESCRIBE nope", "unknown table nope"),
        ("SET 'a' = 'b'", "has no session to set"),
        ("EXPLAIN SELECT nope FROM s", "unknown column nope"),
        ("EXPLAIN CREATE TABLE filled AS SELECT nope FROM s", "unknown column nope"),
        ("EXPLAIN CREATE TABLE s AS SELECT x FROM s", "s is there already"),
        ("EXPLAIN CREATE TABLE filled (a INT)", "only CREATE TABLE ... AS has a plan"),
        ("SHOW TABLES extra", "unexpected 'extra'"),
    ],
)
def test_wrong_questions_say_what_is_meant(text, said):
    with pytest.raises(Exception, match=said):
        answer_question(text, CHECKED)


def test_options_that_nothing_reads_are_refused():
    (found,) = findings("CREATE TABLE x (a INT) WITH ('connector' = 'kafka', 'topic' = 'x')")
    assert found.what == "there is no connector 'kafka' here"
    assert "sent to it over HTTP" in found.cure
    (found,) = findings("CREATE TABLE x (a INT) WITH ('scan.startup.mode' = 'earliest-offset')")
    assert (found.line, found.column) == (1, 30)
    assert found.cure is not None and found.cure.startswith("supported: avro-confluent.schemas, connector, format, ")


@pytest.mark.parametrize(
    "hint",
    [
        "'scan.watermark.idle-timeout' = '5000 ms'",
        "'value.format' = 'json', 'connector' = 'nextpaint'",
        "'format' = 'json'), OPTIONS('format' = 'json'",
    ],
)
def test_options_of_a_hint_may_say_what_the_table_says(hint):
    text = (
        "CREATE TABLE y (a INT) WITH ('scan.watermark.idle-timeout' = '5 s'); CREATE TABLE x (a INT);"
        "INSERT INTO x SELECT a FROM y"
    )
    hinted, plain = (program(text + each) for each in (f" /*+ OPTIONS({hint}) */", ""))
    assert describe(hinted.inserts[0].root) == describe(plain.inserts[0].root)


def test_a_target_takes_options_as_a_source_does():
    text = "CREATE TABLE x (a INT); INSERT INTO x /*+ OPTIONS('format' = '{}') */ SELECT x FROM plain"
    assert not findings(text.format("json"))
    (found,) = findings(text.format("avro"))
    assert "OPTIONS cannot change a table" in found.what
