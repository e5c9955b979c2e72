"""VALUES as a source: once, with the first record, and then it has ended."""

from __future__ import annotations

from nextpaint.process.runner import Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, outputs_of, records, reloaded, runner_of, table, whole

SQL = """
    CREATE TABLE t (k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
    CREATE TABLE weights (k STRING, w INT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO weights VALUES ('view', 1), ('add', 4) ON CONFLICT DO DEDUPLICATE;
    CREATE TABLE weighed (k STRING, w INT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO weighed SELECT t.k, SUM(w) FROM t JOIN weights ON t.k = weights.k GROUP BY t.k;
    CREATE TABLE hours (n BIGINT);
    INSERT INTO hours SELECT COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' SECOND))
    GROUP BY window_start, window_end UNION ALL VALUES 0;
    CREATE TABLE made (at_ms BIGINT, n INT);
    INSERT INTO made VALUES (UNIX_TIMESTAMP(), 1), (0, CAST('x' AS INT)), (0, CAST('5' AS INT));
"""
ROWS = records([("t", {"k": key, "ts": at}) for key, at in [("view", 0), ("add", 500), ("view", 1_500), ("no", 2_600)]])


def make() -> Runner:
    return runner_of(plan_program([("test.sql", SQL)], {}))


def test_rows_come_with_the_first_record_and_hold_no_watermark_back() -> None:
    runner = make()
    outputs = [(row.topic, *row.row.values()) for row in whole(runner, ROWS)]
    assert [row for row in outputs if row[0] == "hours"] == [("hours", 0), ("hours", 2), ("hours", 1)]
    assert table(runner, "weighed") == {("view",): ("view", 2), ("add",): ("add", 4)}
    assert [row for row in outputs if row[0] == "made"] == [("made", 1, 1), ("made", 0, 5)]
    assert runner.dead == 1, "the row whose CAST fails"


def test_rows_come_once_at_any_cut_and_from_any_checkpoint() -> None:
    one = make()
    expected = outputs_of(whole(one, ROWS))
    for at in range(len(ROWS)):
        half = make()
        first = cut(half, ROWS[:at], at, 2)
        again = reloaded(half, make)
        assert outputs_of([*first, *cut(again, ROWS[at:], at, 2)]) == expected
        assert again.state.hash() == one.state.hash()


def test_without_a_record_there_are_none_yet() -> None:
    runner = make()
    assert whole(runner, []) == []
    assert [row.topic for row in runner.end()] == ["_dead", "hours", "made", "made"], "the end is the last chance"
