"""The door of the room: programs, ad hoc queries, conditions; all findings at once, each at its place."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.record import types
from nextpaint.record.errors import ApplicationError
from nextpaint.sql.describe import describe, describe_expr
from nextpaint.sql.plan import Project, Sort
from nextpaint.sql.planner import plan_condition, plan_program, plan_query, warnings
from tests.sql.shop import BUILTINS, HERE, TABLES, findings, program


def corpus() -> list[tuple[str, str]]:
    blocks = (Path(__file__).parent / "bad_statements.txt").read_text().split("\n\n")[1:]
    lines = [block.strip("\n").split("\n    ", 1) for block in blocks if block.strip()]
    return [(said, text) for said, text in lines]


@pytest.mark.parametrize(("said", "text"), corpus(), ids=lambda value: value[:60])
def test_wrong_statements_are_refused_at_their_place(said, text):
    place, _, what = said.partition(" | ")
    found = findings(text)
    assert [f"{each.line}:{each.column}" for each in found] == [place]
    assert what in found[0].what
    assert found[0].file == "app.sql"


def test_the_corpus_is_large():
    assert len(corpus()) > 120


# ---------------------------------------------------------------- programs

SHOP = """
CREATE VIEW clicks AS
SELECT subject, decision_id, JSON_VALUE(properties, '$.product_id') AS item_id,
       CASE event WHEN 'Product Added' THEN 4.0 ELSE 1.0 END AS w, ts
FROM events WHERE event IN ('Product Viewed', 'Product Clicked', 'Product Added');
CREATE TABLE catalog (item_id STRING, title STRING, category STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts, PRIMARY KEY (item_id) NOT ENFORCED);
CREATE TABLE inventory (item_id STRING, stock INT, price DOUBLE, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '1' SECOND, PRIMARY KEY (item_id) NOT ENFORCED);
CREATE TABLE orders (order_id STRING, subject STRING, item_id STRING, qty INT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '30' SECOND);
SET 'table.exec.source.idle-timeout' = '5 s';
CREATE VIEW enriched AS SELECT c.*, k.category FROM clicks AS c
  LEFT JOIN catalog FOR SYSTEM_TIME AS OF c.ts AS k ON c.item_id = k.item_id;
CREATE TABLE category_interest (subject STRING, category STRING, heat DOUBLE,
  PRIMARY KEY (subject, category) NOT ENFORCED);
INSERT INTO category_interest SELECT subject, category, DECAYED_SUM(w, INTERVAL '10' MINUTE)
  FROM enriched GROUP BY subject, category;
CREATE TABLE recent (subject STRING, items ARRAY<ROW<item_id STRING, w DOUBLE, ts TIMESTAMP(3)>>,
  PRIMARY KEY (subject) NOT ENFORCED);
INSERT INTO recent SELECT subject, LAST_N(ROW(item_id, w, ts), 50) FROM clicks GROUP BY subject;
CREATE TABLE trending (category STRING, item_id STRING, heat DOUBLE, PRIMARY KEY (category, item_id) NOT ENFORCED);
INSERT INTO trending SELECT category, item_id, DECAYED_SUM(w, INTERVAL '2' HOUR)
  FROM enriched GROUP BY category, item_id;
CREATE VIEW cart_lines AS SELECT subject, 1 AS delta, 2.5E0 AS price FROM events WHERE event = 'Product Added';
CREATE TABLE carts (subject STRING, cart_value DOUBLE, items BIGINT, PRIMARY KEY (subject) NOT ENFORCED);
INSERT INTO carts SELECT subject, SUM(delta * price), SUM(delta) FROM cart_lines GROUP BY subject;
"""


def test_a_whole_shop_plans_without_findings():
    shop = plan_program([("shop.sql", SHOP)], BUILTINS)
    assert [insert.target for insert in shop.inserts] == ["category_interest", "recent", "trending", "carts"]
    assert shop.settings == {"table.exec.source.idle-timeout": "5 s"}
    assert set(shop.views) == {"clicks", "enriched", "cart_lines"}
    assert "events" in shop.tables
    assert warnings(shop) == []
    assert describe(shop.inserts[0].root).splitlines()[:4] == [
        "Project subject, category, decayed_sum$0 AS EXPR$2  [key subject, category; retract]",
        "  GroupAggregate by (subject, category): DECAYED_SUM($2, 600000)  [key subject, category; retract]",
        "    Project subject, category, CAST(w AS DOUBLE) AS $2, ts  [rowtime ts]",
        "      Project subject, decision_id, item_id, w, ts, category  [rowtime ts]",
    ]


def test_rows_are_cast_by_position_into_their_target():
    recent = plan_program([("shop.sql", SHOP)], BUILTINS).inserts[1]
    assert isinstance(recent.root, Project)
    assert describe_expr(recent.root.exprs[1]) == (
        "CAST(EXPR$1 AS ARRAY<ROW<item_id STRING, w DOUBLE, ts TIMESTAMP(3)>>)"
    )
    assert (
        str(recent.root.input.schema.fields[1].type) == "ARRAY<ROW<item_id STRING, w DECIMAL(2, 1), ts TIMESTAMP(3)>>"
    )


def test_all_findings_of_all_files_come_at_once_in_order():
    with pytest.raises(ApplicationError) as caught:
        plan_program(
            [
                ("one.sql", "CREATE TABLE a (x INTT);\nCREATE VIEW v AS SELECT nope, alsonope FROM events;"),
                ("two.sql", "INSERT INTO a SELECT 1 FROM events;\nINSERT INTO b SELECT 1 FROM v;\nSELEKT;"),
            ],
            BUILTINS,
        )
    assert [[*str(each).split(":")[:2], each.what] for each in caught.value.diagnostics] == [
        ["one.sql", "1", "expected a type but found 'INTT'"],
        ["one.sql", "2", "unknown column nope"],
        ["one.sql", "2", "unknown column alsonope"],
        ["two.sql", "1", "unknown table a"],
        ["two.sql", "2", "unknown table b"],
        ["two.sql", "3", "unknown statement 'SELEKT'"],
    ]


def test_files_may_use_what_later_files_declare():
    shop = plan_program(
        [("a.sql", "INSERT INTO y SELECT i FROM w;"), ("b.sql", "CREATE VIEW w AS SELECT x AS i FROM x;"),
         ("c.sql", "CREATE TABLE x (x INT); CREATE TABLE y (i INT);")], BUILTINS,
    )  # fmt: skip
    assert len(shop.inserts) == 1


def test_inserts_come_after_those_that_fill_what_they_read():
    shop = program(
        "CREATE TABLE a (k STRING); CREATE TABLE b (k STRING); CREATE TABLE c (k STRING);"
        "INSERT INTO c SELECT k FROM b; INSERT INTO b SELECT k FROM a; INSERT INTO a SELECT s FROM t"
    )
    assert [insert.target for insert in shop.inserts] == ["a", "b", "c"]


def test_a_circle_is_named():
    found = findings(
        "CREATE TABLE a (k STRING); CREATE TABLE b (k STRING);"
        "INSERT INTO a SELECT k FROM b; INSERT INTO b SELECT k FROM a"
    )
    assert "a -> b -> a" in found[0].what


def test_a_statement_set_is_its_inserts():
    shop = program(
        "CREATE TABLE a (k STRING); EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT s FROM t;"
        " INSERT INTO plain SELECT s, i FROM t; END; SET 'nextpaint.idle-advance' = '1 s';"
    )
    assert [insert.target for insert in shop.inserts] == ["a", "plain"]


# ---------------------------------------------------------------- canonical text

BASE = "CREATE VIEW w AS SELECT s, d, ts FROM t;"
BASE += " INSERT INTO k SELECT s, DECAYED_SUM(d, INTERVAL '10' MINUTE) FROM w GROUP BY s"
TARGET = "CREATE TABLE k (s STRING, heat DOUBLE, PRIMARY KEY (s) NOT ENFORCED);"


def canonical(text: str, tables: str = TABLES) -> str:
    return plan_program([("t.sql", tables), ("a.sql", TARGET + text)], BUILTINS).inserts[0].sql


def test_spelling_does_not_change_the_canonical_text():
    spelled = (
        BASE.replace("SELECT", "select").replace("FROM", "\n  from -- here\n").replace("DECAYED_SUM", "decayed_sum")
    )
    assert canonical(spelled) == canonical(BASE)


@pytest.mark.parametrize(("old", "new"), [("'10'", "'11'"), ("MINUTE", "HOUR"), ("s, d, ts", "s, d * 2 AS d, ts")])
def test_any_edit_changes_the_canonical_text(old, new):
    assert canonical(BASE.replace(old, new)) != canonical(BASE)


def test_a_text_with_escapes_keeps_them():
    assert r"U&'\00e9'''" in canonical(BASE.replace("GROUP BY s", r"WHERE s <> u&'\00e9''' GROUP BY s"))


def test_the_definitions_of_the_tables_it_reads_belong_to_it():
    changed = TABLES.replace("ts - INTERVAL '1' SECOND", "ts - INTERVAL '2' SECOND")
    assert canonical(BASE, changed) != canonical(BASE)
    other = TABLES.replace("CREATE TABLE plain (k STRING", "CREATE TABLE plain (k INT")
    assert canonical(BASE, other) == canonical(BASE)


# ---------------------------------------------------------------- warnings


def test_windows_grouped_without_both_bounds_are_warned_of():
    tumble = "FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE) GROUP BY"
    table = "CREATE TABLE w (w TIMESTAMP(3) NOT NULL, n BIGINT, PRIMARY KEY (w) NOT ENFORCED); INSERT INTO w SELECT "
    [warning] = warnings(program(f"{table} window_start, COUNT(*) {tumble} window_start"))
    assert "kept, and updated, for ever" in warning.what
    conflict = " ON CONFLICT DO DEDUPLICATE"
    assert warnings(program(f"{table} window_start, COUNT(*) {tumble} window_start, window_end{conflict}")) == []


def test_a_join_with_a_silent_side_is_warned_about():
    join = "CREATE TABLE o (k STRING, x INT);"
    join += "INSERT INTO o SELECT a.s, j.x FROM t AS a LEFT JOIN item FOR SYSTEM_TIME AS OF a.ts AS j ON a.s = j.k;"
    [warning] = warnings(program(join))
    assert (warning.severity, warning.line, warning.column) == ("warning", 1, join.index("item FOR") + 1)
    assert warnings(program(join + "SET 'table.exec.source.idle-timeout' = '5 s'")) == []


def test_replacing_rows_by_key_is_said_or_warned_about():
    assert "ON CONFLICT" in warnings(program("INSERT INTO item (k, x) SELECT s, i FROM t"))[0].cure
    assert warnings(program("INSERT INTO item (k, x) SELECT s, i FROM t ON CONFLICT DO DEDUPLICATE")) == []


# ---------------------------------------------------------------- questions over live tables


def test_a_question_sorts_and_limits():
    tables = program("").tables
    root = plan_query(
        "SELECT x, COUNT(*) AS n FROM item WHERE x > 1 GROUP BY x HAVING COUNT(*) > 1 ORDER BY n DESC, 1 LIMIT 5;",
        tables,
    )
    assert isinstance(root, Sort)
    assert describe(root).splitlines() == [
        "Sort n DESC, x limit 5  [key x]",
        "  Project x, count$0 AS n  [key x]",
        "    Filter (count$0 > 1)  [key x]",
        "      GroupAggregate by (x): COUNT(*)  [key x]",
        "        Project x",
        "          Filter (x > 1)  [rowtime ts; key k]",
        "            Scan item  [rowtime ts; key k]",
    ]  # fmt: skip


def test_a_question_reads_views_and_constants():
    tables = program("").tables
    assert describe(plan_query("SELECT k FROM w", tables, {"w": "SELECT k, x FROM plain WHERE x > 1"})).startswith(
        "Project k"
    )
    assert describe(plan_query("SELECT 1 + 1", tables)).splitlines() == ["Project (1 + 1) AS EXPR$0", "  Values ()"]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (
            "SELECT a.s FROM t AS a LEFT JOIN item FOR SYSTEM_TIME AS OF a.ts AS j ON a.s = j.k",
            "has no meaning over live tables",
        ),
        ("SELECT COUNT(*) OVER (ORDER BY ts) FROM t", "OVER in a query over live tables"),
        ("SELECT x FROM plain ORDER BY k", "ORDER BY takes columns"),
        ("INSERT INTO plain SELECT 1", "expected SELECT"),
        ("", "expected SELECT but found the end"),
    ],
)
def test_what_a_question_may_not_ask(question, said):
    with pytest.raises(ApplicationError, match=said):
        plan_query(question, program("").tables)


# ---------------------------------------------------------------- conditions

NAMES = {
    "inventory.stock": types.INT,
    "kind": types.STRING,
    "price": types.DOUBLE,
    "who": types.row(types.Field("a", types.INT)),
}


def test_a_condition_says_which_names_it_uses_in_order():
    expr, used = plan_condition("kind = 'view' AND inventory.stock > 2 AND kind <> 'x'", NAMES, HERE)
    assert used == ("kind", "inventory.stock")
    assert describe_expr(expr) == "(((kind = 'view') AND (inventory.stock > 2)) AND (kind <> 'x'))"
    assert plan_condition("who.a = 1", NAMES, HERE)[1] == ("who",)


@pytest.mark.parametrize(
    ("condition", "place", "said"),
    [
        ("invntory.stock > 2", "10:5", "did you mean inventory.stock?"),
        ("price < '10'", "10:5", "text and numbers do not compare"),
        ("price", "10:5", "must be a condition"),
        ("kind = 'view' AND\n  COUNT(*) > 1", "11:3", "not allowed here"),
        ("kind = 'view' extra", "10:19", "unexpected 'extra'"),
    ],
)
def test_a_wrong_condition_is_placed_in_its_file(condition, place, said):
    with pytest.raises(ApplicationError) as caught:
        plan_condition(condition, NAMES, HERE)
    [found] = caught.value.diagnostics
    assert f"{found.line}:{found.column}" == place
    assert said in str(found)


# ---------------------------------------------------------------- hostile text

WORDS = (
    TABLES + SHOP + "( ) [ ] , ; . ' ` OVER PARTITION BY UNION ALL TABLE(TUMBLE( CASE WHEN END NOT IN BETWEEN LIKE"
).split()


def survives(text: str) -> None:
    for attempt in (
        lambda: plan_program([("x.sql", text)], BUILTINS),
        lambda: plan_query(text, BUILTINS),
        lambda: plan_condition(text, NAMES, HERE),
    ):
        try:
            attempt()
        except ApplicationError as error:
            assert error.diagnostics
            assert all(each.line >= 1 and each.column >= 1 for each in error.diagnostics)


@given(st.text(max_size=80))
@settings(max_examples=50, deadline=None)
def test_arbitrary_text_is_planned_or_refused(text):
    survives(text)


@given(st.lists(st.sampled_from(WORDS), max_size=40))
@settings(max_examples=100, deadline=None)
def test_arbitrary_words_are_planned_or_refused(words):
    survives(" ".join(words))


@given(st.integers(0, len(SHOP)), st.integers(0, 30), st.text(max_size=5))
@settings(max_examples=50, deadline=None)
def test_a_damaged_shop_is_planned_or_refused(start, length, instead):
    survives(SHOP[:start] + instead + SHOP[start + length :])


DEEP = ("(" * 3000, "NOT " * 3000, "- " * 3000, "1" + " + 1" * 9000, "CASE WHEN " * 500, "a[" * 3000)


@pytest.mark.parametrize(
    "deep",
    [*DEEP, "SELECT * FROM " + "(SELECT * FROM " * 2000, "CREATE TABLE x (a " + "ARRAY<" * 2000],
    ids=range(len(DEEP) + 2),
)
def test_deep_nesting_is_refused(deep):
    survives(deep)
    if deep in DEEP:
        survives("CREATE VIEW v AS SELECT " + deep)


def test_a_program_that_waives_on_conflict_is_not_warned_about_it():
    sql = """
        CREATE TABLE t (k STRING, v INT);
        CREATE TABLE newest (k STRING, v INT, PRIMARY KEY (k) NOT ENFORCED);
        INSERT INTO newest SELECT k, v FROM t;"""
    waived = "SET 'table.exec.sink.require-on-conflict' = 'false';" + sql
    assert ["ON CONFLICT" in each.cure for each in warnings(plan_program([("a.sql", sql)], {}))] == [True]
    assert warnings(plan_program([("a.sql", waived)], {})) == []


def test_what_nothing_bounds_is_said():
    text = """CREATE TABLE o (i INT);
    INSERT INTO o SELECT a.i FROM t AS a JOIN t AS b ON a.i < b.i;
    CREATE TABLE p (i INT);
    INSERT INTO p SELECT * FROM t MATCH_RECOGNIZE (ORDER BY ts MEASURES A.i AS i PATTERN (A B) DEFINE B AS B.i > 1);"""
    said = [each.what for each in warnings(program(text))]
    assert any("no equality" in each for each in said)
    assert any("may take for ever" in each for each in said)
