"""Rows that real Flink 2.3 gave for these inputs, a watermark after every row; ours must be equal at any step cut.

The cases are those of the window, OVER and temporal join sections of our SQL reference notes, run on Flink in
streaming mode.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from nextpaint.process.runner import Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, records, runner_of, whole

# (key, seconds, value) in arrival order
ROWS = [
    ("a", 1, 1),
    ("a", 5, 2),
    ("a", 12, 3),
    ("a", 9, 4),
    ("a", 11, 5),
    ("b", 11.5, 6),
    ("b", 30, 7),
    ("b", 12, 8),
    ("b", 25, 9),
]
ASCENDING = [("a", 1, 1), ("a", 1, 2), ("a", 2, 3), ("a", 2, 4), ("a", 3, 5)]


def source(delay: str = "") -> str:
    return f"CREATE TABLE t (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts{delay});"


def fed(rows: list[tuple[str, float, int]]) -> list[tuple[str, dict[str, Any]]]:
    return [("t", {"k": key, "v": value, "ts": round(seconds * 1000)}) for key, seconds, value in rows]


def answers(sql: str, rows: list[tuple[str, dict[str, Any]]]) -> Counter[tuple[Any, ...]]:
    """The rows of the append-only target `answer` after the end of input, which are the same at every step cut."""
    program = plan_program([("test.sql", sql)], {})

    def run(runner: Runner, seed: int | None) -> list[tuple[Any, ...]]:
        arriving = records(rows)
        outputs = whole(runner, arriving) if seed is None else cut(runner, arriving, seed, 3)
        return [tuple(row.row.values()) for row in [*outputs, *runner.end()] if row.topic == "answer"]

    expected = run(runner_of(program), None)
    for seed in range(5):
        assert run(runner_of(program), seed) == expected
    return Counter(expected)


def windows(function: str, rows: list[tuple[str, float, int]]) -> Counter[tuple[Any, ...]]:
    """(key, start s, end s, count) of a window table function by key."""
    sql = (
        source()
        + f"""
        CREATE TABLE answer (k STRING, s TIMESTAMP(3), e TIMESTAMP(3), n BIGINT);
        INSERT INTO answer SELECT k, window_start, window_end, COUNT(*) FROM TABLE({function})
        GROUP BY k, window_start, window_end;"""
    )
    found = answers(sql, fed(rows))
    return Counter({(key, start / 1000, end / 1000, count): n for (key, start, end, count), n in found.items()})


def test_tumble_accepts_a_row_behind_the_watermark_while_its_window_is_open() -> None:
    found = windows("TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)", ROWS)
    assert found == Counter([("a", 0, 10, 2), ("a", 10, 20, 2), ("b", 10, 20, 1), ("b", 30, 40, 1)])


def test_hop_counts_a_late_row_in_its_open_windows_only() -> None:
    found = windows("HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)", ROWS)
    assert found[("a", 5, 15, 4)] == 1
    assert found[("b", 25, 35, 2)] == 1


def test_sessions_merge_at_a_distance_equal_to_the_gap() -> None:
    found = windows("SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '4' SECOND)", ROWS)
    assert found == Counter([("a", 1, 9, 2), ("a", 9, 16, 3), ("b", 11.5, 15.5, 1), ("b", 30, 34, 1)])
    apart = windows(
        "SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '4' SECOND)", [("a", 1, 1), ("a", 5.001, 1)]
    )
    assert len(apart) == 2


def test_cumulate_grows_to_its_size() -> None:
    found = windows(
        "CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)", [("a", 1, 1), ("a", 6, 1)]
    )
    assert found == Counter([("a", 0, 5, 1), ("a", 0, 10, 2)])


def sums(frame: str, rows: list[tuple[str, float, int]], delay: str = "") -> list[tuple[Any, ...]]:
    sql = (
        source(delay)
        + f"""
        CREATE TABLE answer (k STRING, v INT, total INT);
        INSERT INTO answer SELECT k, v, SUM(v) OVER (PARTITION BY k ORDER BY ts {frame}) FROM t;"""
    )
    return sorted(answers(sql, fed(rows)).elements(), key=lambda row: row[1])


def test_a_bounded_over_frame_drops_what_its_key_has_passed() -> None:
    found = sums("RANGE BETWEEN INTERVAL '5' SECOND PRECEDING AND CURRENT ROW", ROWS)
    assert found == [("a", 1, 1), ("a", 2, 3), ("a", 3, 3), ("b", 6, 6), ("b", 7, 7)]


def test_an_unbounded_over_frame_drops_every_row_behind_the_watermark() -> None:
    found = sums("RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", ROWS)
    assert [row[1] for row in found] == [1, 2, 3, 7]


@pytest.mark.parametrize(
    ("frame", "totals"),
    [
        ("RANGE BETWEEN INTERVAL '1' SECOND PRECEDING AND CURRENT ROW", [3, 3, 10, 10, 12]),
        ("RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", [3, 3, 10, 10, 15]),
        ("ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW", [1, 3, 6, 10, 15]),
        ("ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", [1, 3, 5, 7, 9]),
    ],
)
def test_peers_share_a_result_in_range_frames_and_not_in_rows_frames(frame: str, totals: list[int]) -> None:
    assert [row[2] for row in sums(frame, ASCENDING, " - INTERVAL '0.001' SECOND")] == totals


def test_a_temporal_join_takes_the_version_in_force_and_a_delete_ends_it() -> None:
    """Versions c: 10 -> 20, 11 -> deleted, 20 -> 22; the row at the time of a version meets it."""
    sql = """
        CREATE TABLE l (k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
        CREATE TABLE r (k STRING, x INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts, PRIMARY KEY (k) NOT ENFORCED);
        CREATE TABLE answer (k STRING, moment TIMESTAMP(3), x INT);
        INSERT INTO answer SELECT l.k, l.ts, r.x FROM l LEFT JOIN r FOR SYSTEM_TIME AS OF l.ts AS r ON l.k = r.k;"""
    versions = [
        ("r", {"k": "a", "x": 10, "ts": 5_000}),
        ("r", {"k": "a", "x": 11, "ts": 9_000}),
        ("r", {"k": "c", "x": 20, "ts": 10_000}),
    ]
    left = [
        ("l", {"k": key, "ts": at * 1000})
        for key, at in (("a", 1), ("a", 5), ("a", 6), ("a", 10), ("c", 12), ("d", 13))
    ]
    found = answers(sql, versions + left)
    assert found == Counter(
        [
            ("a", 1_000, None),
            ("a", 5_000, 10),
            ("a", 6_000, 10),
            ("a", 10_000, 11),
            ("c", 12_000, 20),
            ("d", 13_000, None),
        ]
    )


def test_a_group_that_loses_its_last_row_is_gone() -> None:
    sql = """
        CREATE TABLE r (k STRING, kind STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts, PRIMARY KEY (k) NOT ENFORCED);
        CREATE TABLE plain (k STRING, kind STRING, PRIMARY KEY (k) NOT ENFORCED);
        INSERT INTO plain SELECT k, kind FROM r WHERE kind <> 'hidden';"""
    runner = runner_of(plan_program([("test.sql", sql)], {}))
    rows = [("r", {"k": "x", "kind": "shown", "ts": 1}), ("r", {"k": "y", "kind": "shown", "ts": 2})]
    whole(runner, records([*rows, ("r", {"k": "x", "kind": "hidden", "ts": 3})]))
    table = runner.graph.table("plain")
    assert table is not None
    assert [key for key, _ in table.rows.items()] == [("y",)], "a row that stops passing a filter leaves the table"
