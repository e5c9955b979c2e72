"""Windows and patterns in order of processing time: the ledger's clock cuts and fires them."""

from __future__ import annotations

from nextpaint.process.runner import Arriving, Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, outputs_of, records, reloaded, runner_of, whole

SQL = """
    CREATE TABLE t (k STRING, v INT, p AS PROCTIME());
    CREATE TABLE other (k STRING);
    CREATE TABLE counted (s TIMESTAMP(3), k STRING, n BIGINT);
    INSERT INTO counted SELECT window_start, k, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(p), INTERVAL '1' SECOND))
    GROUP BY window_start, window_end, k;
    CREATE TABLE rises (low INT, high INT);
    INSERT INTO rises SELECT low, high FROM t MATCH_RECOGNIZE (
        PARTITION BY k ORDER BY p MEASURES A.v AS low, B.v AS high AFTER MATCH SKIP PAST LAST ROW
        PATTERN (A B) WITHIN INTERVAL '1' HOUR DEFINE B AS B.v > A.v)
"""
ROWS = records(
    [("t", {"k": "a", "v": 1}), ("t", {"k": "a", "v": 2}), ("t", {"k": "b", "v": 3}), ("t", {"k": "a", "v": 4}),
     ("other", {"k": "x"})],
    at_ms=10_000, step_ms=400,
)  # fmt: skip


def make() -> Runner:
    return runner_of(plan_program([("test.sql", SQL)], {}))


def test_windows_close_with_the_first_record_that_is_later_of_whatever_table() -> None:
    runner = make()
    outputs = [(row.identity.seq, row.topic, *row.row.values()) for row in whole(runner, ROWS[:4])]
    assert outputs == [(2, "rises", 1, 2), (3, "counted", 10_000, "a", 2), (3, "counted", 10_000, "b", 1)]
    for seq, (due, closed) in enumerate([(11_201, []), (12_000, [(11_000, "a", 1)])], start=4):
        assert runner.next_due_ms() == due, "first the pattern looks at the fourth row, then its window closes"
        tick = [Arriving(seq, due, "other", None, b'{"k": "x"}', True)]
        assert [tuple(row.row.values()) for row in whole(runner, tick)] == closed


def test_so_at_any_cut_and_from_any_checkpoint() -> None:
    one = make()
    expected = outputs_of(whole(one, ROWS))
    for at in range(len(ROWS)):
        half = make()
        first = cut(half, ROWS[:at], at, 2)
        again = reloaded(half, make)
        assert outputs_of([*first, *cut(again, ROWS[at:], at, 2)]) == expected
        assert again.state.hash() == one.state.hash()
