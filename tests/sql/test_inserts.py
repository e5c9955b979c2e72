"""Statements that share a target, and what becomes of rows whose key is taken."""

from __future__ import annotations

import pytest

from nextpaint.sql.plan import Changes, Union
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, outputs_of, records, reloaded, runner_of, table, whole

TABLES = """
CREATE TABLE a (k STRING, v INT); CREATE TABLE b (k STRING, v INT);
CREATE TABLE rows_ (k STRING, v INT);
CREATE TABLE kept (k STRING, v INT, PRIMARY KEY (k) NOT ENFORCED);
"""


def program(text):
    return plan_program([("a.sql", TABLES + text)], {})


ARRIVING = records(
    [(topic, {"k": key, "v": v}) for v, (topic, key) in enumerate(zip("aababbab" * 3, "xyxzxyzz" * 3, strict=True))]
)
BOTH = "INSERT INTO rows_ SELECT k, v FROM b; INSERT INTO rows_ SELECT k, v + 100 FROM a;"


@pytest.mark.parametrize("text", [BOTH, f"EXECUTE STATEMENT SET BEGIN {BOTH} END;"])
def test_statements_into_one_target_are_one_union_in_the_order_of_records(text):
    made = program(text)
    (insert,) = made.inserts
    assert isinstance(insert.root, Union) and insert.root.schema.changes is Changes.APPEND
    rows = [tuple(each.row.values()) for each in whole(runner_of(made), ARRIVING)]
    assert rows == [(key, v + 100 * (topic == "a")) for v, (topic, key) in enumerate(zip("aababbab" * 3, "xyxzxyzz" * 3, strict=True))]  # fmt: skip  # noqa: E501
    assert outputs_of(cut(runner_of(made), ARRIVING, 3)) == outputs_of(whole(runner_of(made), ARRIVING))


def test_a_keyed_target_keeps_the_last_row_of_whoever_wrote_it():
    made = program(
        "INSERT INTO kept SELECT k, v FROM a; INSERT INTO kept SELECT k, CAST(COUNT(*) AS INT) FROM b GROUP BY k;"
    )
    runner = runner_of(made)
    whole(runner, ARRIVING)
    last = {}
    counts = {}
    for v, (topic, key) in enumerate(zip("aababbab" * 3, "xyxzxyzz" * 3, strict=True)):
        counts[key] = counts.get(key, 0) + (topic == "b")
        last[(key,)] = (key, v if topic == "a" else counts[key])
    assert table(runner, "kept") == last


def test_partition_gives_the_columns_that_the_query_leaves_out():
    target = "CREATE TABLE p (k STRING, d STRING, v INT, n BIGINT) PARTITIONED BY (d, n);"
    for words in ("(d = '2026-01-01', n = 1 + 1)", "(d = '2026-01-01', n = 1 + 1) (k, v)"):
        runner = runner_of(program(f"{target} INSERT INTO p PARTITION {words} SELECT k, v FROM a;"))
        assert tuple(whole(runner, ARRIVING)[0].row.values()) == ("x", "2026-01-01", 0, 2)


def test_the_text_of_all_of_them_names_their_state():
    one, other = program(BOTH).inserts[0], program(BOTH.replace("100", "200")).inserts[0]
    assert "SELECT k, v FROM b" in one.sql and "SELECT k, v + 100 FROM a" in one.sql and one.sql != other.sql


@pytest.mark.parametrize(("words", "buried"), [("NOTHING", 0), ("ERROR", 9)])
def test_the_first_row_of_a_key_stays(words, buried):
    made = program(f"INSERT INTO kept SELECT k, v FROM a ON CONFLICT DO {words}")
    runner = runner_of(made)
    dead = [each for each in whole(runner, ARRIVING) if each.topic == "_dead"]
    assert table(runner, "kept") == {("x",): ("x", 0), ("y",): ("y", 1), ("z",): ("z", 3)}
    assert [each.row["reason"] for each in dead] == ["kept has a row of this key already"] * buried
    half = runner_of(made)
    whole(half, ARRIVING[:10])
    half = reloaded(half, lambda: runner_of(made))
    whole(half, ARRIVING[10:])
    assert half.state.hash() == runner.state.hash()


def test_the_last_one_replaces_where_it_says_so():
    runner = runner_of(program("INSERT INTO kept SELECT k, v FROM a ON CONFLICT DO DEDUPLICATE"))
    whole(runner, ARRIVING)
    assert table(runner, "kept")[("x",)] == ("x", 16)
