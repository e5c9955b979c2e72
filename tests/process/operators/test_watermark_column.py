"""CURRENT_WATERMARK: what each row finds, at any cut; the rows themselves are checked in tests/conform."""

from __future__ import annotations

from nextpaint.process.runner import Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, outputs_of, records, reloaded, runner_of, table, whole

SQL = """
    CREATE TABLE t (k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' SECOND);
    CREATE TABLE late (k STRING, by_s INT);
    INSERT INTO late SELECT k, TIMESTAMPDIFF(SECOND, ts, CURRENT_WATERMARK(ts)) FROM t
    WHERE ts <= CURRENT_WATERMARK(ts);
    CREATE TABLE seen (k STRING, wm TIMESTAMP(3), PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO seen SELECT k, CURRENT_WATERMARK(ts) FROM t ON CONFLICT DO DEDUPLICATE;
"""
ROWS = records([("t", {"k": key, "ts": at}) for key, at in [("a", 5_000), ("b", 3_000), ("c", 9_000), ("d", 4_000)]])


def make() -> Runner:
    return runner_of(plan_program([("test.sql", SQL)], {}))


def test_a_row_finds_the_watermark_of_the_rows_before_it() -> None:
    runner = make()
    outputs = whole(runner, ROWS)
    assert [tuple(row.row.values()) for row in outputs if row.topic == "late"] == [("b", 1), ("d", 4)]
    found = {"a": None, "b": 4_000, "c": 4_000, "d": 8_000}
    assert table(runner, "seen") == {(key,): (key, at) for key, at in found.items()}


def test_so_at_any_cut_and_from_any_checkpoint() -> None:
    one = make()
    expected = outputs_of(whole(one, ROWS))
    for at in range(len(ROWS)):
        half = make()
        first = cut(half, ROWS[:at], at, 2)
        again = reloaded(half, make)
        assert outputs_of([*first, *cut(again, ROWS[at:], at, 2)]) == expected
        assert again.state.hash() == one.state.hash()
