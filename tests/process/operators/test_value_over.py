"""OVER in the order of a value: a changelog whose rows are told again."""

from __future__ import annotations

import pytest

from nextpaint.process.live import Tables
from nextpaint.process.runner import Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, live, outputs_of, records, reloaded, runner_of, whole

SQL = """
    CREATE TABLE t (k STRING, v DOUBLE, w INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '1' HOUR);
    CREATE TABLE totals (k STRING, v DOUBLE, n BIGINT, s INT, PRIMARY KEY (k, v) NOT ENFORCED);
    INSERT INTO totals SELECT k, v, COUNT(*) OVER q, SUM(w) OVER q FROM t
    WINDOW q AS (PARTITION BY k ORDER BY v {frame}) ON CONFLICT DO DEDUPLICATE;
    CREATE TABLE held (k STRING, w INT, n BIGINT, PRIMARY KEY (k, w) NOT ENFORCED);
    INSERT INTO held SELECT k, w, RANK() OVER (PARTITION BY k ORDER BY -c) FROM (
      SELECT k, w, COUNT(*) OVER (PARTITION BY k ORDER BY ts) AS c FROM t) ON CONFLICT DO DEDUPLICATE;
"""
GIVEN = [("a", 2.0, 1), ("a", 1.0, 2), ("b", 1.0, 3), ("a", 2.0, 4), ("a", None, 5), ("a", 1.5, 7)]
ROWS = [("t", {"k": k, "v": v, "w": w, "ts": 1_000 * w}) for k, v, w in GIVEN]


def make(frame: str = "", more: str = "") -> Runner:
    return runner_of(plan_program([("test.sql", more + SQL.format(frame=frame))], {}))


@pytest.mark.parametrize("frame", ["", "ROWS UNBOUNDED PRECEDING"])
@pytest.mark.parametrize("seed", range(3))
def test_rows_do_not_depend_on_cuts_or_checkpoints(frame: str, seed: int) -> None:
    arriving = records(ROWS * 3, entry=2, step_ms=4_000)
    one = make(frame)
    expected = outputs_of(whole(one, arriving))
    half = make(frame)
    first = cut(half, arriving[:7], seed)
    again = reloaded(half, lambda: make(frame))
    assert outputs_of([*first, *cut(again, arriving[7:], seed)]) == expected
    assert again.state.hash() == one.state.hash()


def test_partitions_are_forgotten_after_the_time_to_live() -> None:
    arriving = records(ROWS, step_ms=8_000)
    kept, short = make(), make("", "SET 'table.exec.state.ttl' = '10 s';")
    for runner in (kept, short):
        whole(runner, arriving)
    key = ("a", 1.5)
    assert live(kept, "totals", 0)[key] == ("a", 1.5, 3, 14)
    assert live(short, "totals", 0)[key] == ("a", 1.5, 2, 12), "the first two rows of a were forgotten while b came"


def test_a_live_reading_ranks_the_rows_that_are_held_upstream() -> None:
    """Counts by event time wait for the watermark, an hour behind; a reading ranks them all the same."""
    runner = make()
    whole(runner, records(ROWS))
    found = Tables(runner).live["held"].rows(("a",), 0)
    assert {row[1]: row[2] for row in found.values()} == {7: 1, 5: 2, 4: 3, 2: 4, 1: 5}
