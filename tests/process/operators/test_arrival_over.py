"""OVER in order of processing time, by the ledger's clock."""

from __future__ import annotations

from typing import Any

import pytest

from nextpaint.process.runner import Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, live, outputs_of, records, reloaded, runner_of, whole

SQL = """
    CREATE TABLE t (k STRING, v INT, p AS PROCTIME());
    CREATE TABLE recent (k STRING, v INT, n BIGINT, s INT);
    INSERT INTO recent SELECT k, v, COUNT(*) OVER w, SUM(v) OVER w FROM t
    WINDOW w AS (PARTITION BY k ORDER BY p {frame});
    CREATE TABLE counts (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO counts SELECT k, COUNT(*) OVER (PARTITION BY k ORDER BY p {frame}) FROM t
    ON CONFLICT DO DEDUPLICATE;
"""
RANGE = "RANGE BETWEEN INTERVAL '10' SECOND PRECEDING AND CURRENT ROW"
ROWS = [("t", {"k": key, "v": value}) for key, value in [("a", 1), ("a", 2), ("b", 3), ("a", 4), ("a", 5), ("b", 6)]]


def make(frame: str, more: str = "") -> Runner:
    return runner_of(plan_program([("test.sql", more + SQL.format(frame=frame))], {}))


def told(runner: Runner, arriving: Any) -> list[tuple[Any, ...]]:
    return [tuple(row.row.values()) for row in whole(runner, arriving) if row.topic == "recent"]


def test_a_range_counts_the_rows_whose_ledger_time_is_within_it() -> None:
    """Records are 5 s apart; both ends of the range belong to it, and a row comes out with its own record."""
    assert told(make(RANGE), records(ROWS, step_ms=5_000)) == [
        ("a", 1, 1, 1), ("a", 2, 2, 3), ("b", 3, 1, 3), ("a", 4, 2, 6), ("a", 5, 2, 9), ("b", 6, 1, 6),
    ]  # fmt: skip


def test_rows_of_one_entry_come_one_after_the_other() -> None:
    assert [row[2] for row in told(make(RANGE), records(ROWS, entry=6))] == [1, 2, 1, 3, 4, 2]


@pytest.mark.parametrize("frame", [RANGE, "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", ""])
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


def test_a_key_is_forgotten_when_its_frame_is_empty() -> None:
    runner = make(RANGE)
    whole(runner, records([*ROWS, *[("t", {"k": "c", "v": 1})] * 3], step_ms=5_000))
    frames = next(cell for name, cell in runner.state.cells.items() if name.endswith("/frames"))
    assert {key for key, _ in frames.items()} == {("c",)}


def test_other_frames_are_forgotten_after_the_time_to_live() -> None:
    arriving = records(ROWS, step_ms=8_000)
    assert [row[2] for row in told(make(""), arriving)] == [1, 2, 1, 3, 4, 2]
    short = make("", "SET 'table.exec.state.ttl' = '10 s';")
    assert [row[2] for row in told(short, arriving)] == [1, 2, 1, 1, 2, 1]


def test_a_live_reading_counts_the_range_up_to_its_own_time() -> None:
    runner = make(RANGE)
    whole(runner, records(ROWS, at_ms=1_000, step_ms=5_000))
    assert [live(runner, "counts", as_of).get(("a",)) for as_of in (21_000, 27_000, 40_000)] == [
        ("a", 2), ("a", 1), ("a", 0),
    ]  # fmt: skip
