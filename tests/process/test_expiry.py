"""`table.exec.state.ttl`: what is not written for a while is forgotten, by the ledger's clock, at any step cut."""

from __future__ import annotations

from typing import Any

import pytest

from nextpaint.process.runner import Arriving, Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, outputs_of, records, reloaded, runner_of, table, whole

TABLES = """
    SET 'table.exec.state.ttl' = '10 s';
    CREATE TABLE t (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
    CREATE TABLE sums (k STRING, n BIGINT, total INT, d BIGINT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO sums SELECT k, COUNT(*), SUM(v), COUNT(DISTINCT v) FROM t GROUP BY k;
    CREATE TABLE best (k STRING, v INT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO best SELECT k, v FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) = 1;
    CREATE TABLE latest (k STRING, v INT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO latest SELECT k, v FROM t QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) = 1;
"""


def make() -> Runner:
    return runner_of(plan_program([("ttl.sql", TABLES)], {}))


def fed(rows: list[tuple[int, str, int]]) -> list[Arriving]:
    """(ledger seconds, key, value) in order."""
    made = []
    for seq, (at, key, value) in enumerate(rows):
        one = records([("t", {"k": key, "v": value, "ts": at * 1_000})], at_ms=at * 1_000)[0]
        made.append(one._replace(seq=seq))
    return made


ROWS = [(100, "a", 5), (104, "a", 5), (105, "b", 1), (114, "b", 2), (115, "a", 3), (116, "c", 9), (130, "b", 7)]


def test_a_group_that_expired_starts_anew_and_its_table_keeps_what_it_was_told() -> None:
    runner = make()
    whole(runner, fed(ROWS[:4]))
    assert table(runner, "sums") == {("a",): ("a", 2, 10, 1), ("b",): ("b", 2, 3, 2)}
    whole(runner, fed(ROWS)[4:5])
    assert table(runner, "sums")[("a",)] == ("a", 1, 3, 1), "11 s after its last row the group of a was forgotten"
    whole(runner, fed(ROWS)[5:])
    assert table(runner, "sums")[("b",)] == ("b", 1, 7, 1)
    groups = next(cell for name, cell in runner.state.cells.items() if name.endswith("/groups"))
    assert {key for key, _ in groups.items()} == {("b",)}, "a and c expired; their rows in the table stay"
    assert set(table(runner, "sums")) == {("a",), ("b",), ("c",)}


def test_a_best_row_that_expired_gives_way_to_a_worse_one() -> None:
    runner = make()
    whole(runner, fed(ROWS))
    assert table(runner, "best") == {("a",): ("a", 3), ("b",): ("b", 7), ("c",): ("c", 9)}


def test_a_last_row_that_expired_gives_way_to_an_older_one() -> None:
    runner = make()
    late = fed([(100, "a", 1), (111, "a", 2)])
    whole(runner, [late[0], late[1]._replace(value=b'{"k": "a", "v": 2, "ts": 50000}')])
    assert table(runner, "latest") == {("a",): ("a", 2)}


@pytest.mark.parametrize("seed", range(4))
def test_what_is_forgotten_does_not_depend_on_cuts_or_checkpoints(seed: int) -> None:
    arriving = fed(ROWS)
    one = make()
    expected = outputs_of(whole(one, arriving))
    other = make()
    assert outputs_of(cut(other, arriving, seed, 3)) == expected
    assert other.state.hash() == one.state.hash()
    first = make()
    whole(first, arriving[: seed + 2])
    resumed: Any = reloaded(first, make)
    whole(resumed, arriving[seed + 2 :])
    assert resumed.state.hash() == one.state.hash()


HINTED = """
    SET 'table.exec.state.ttl' = '1 d';
    CREATE TABLE l (k INT, v INT);
    CREATE TABLE r (k INT, w INT);
    CREATE TABLE pairs (k INT, v INT, w INT);
    INSERT INTO pairs SELECT {hint} l.k, v, w FROM l JOIN r ON l.k = r.k;
    CREATE TABLE sums (k INT, total INT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO sums SELECT {hint2} k, SUM(v) FROM l GROUP BY k;
"""
MOVES = [("l", {"k": 1, "v": 1}), ("r", {"k": 1, "w": 7}), ("l", {"k": 1, "v": 2}), ("r", {"k": 1, "w": 8})]


@pytest.mark.parametrize(
    ("hint", "pairs"),
    [
        ("", [(1, 1, 7), (1, 2, 7), (1, 1, 8), (1, 2, 8)]),
        ("/*+ STATE_TTL('l' = '10 s') */", [(1, 1, 7), (1, 2, 7), (1, 2, 8)]),
        ("/*+ STATE_TTL('r' = '5 s') */", [(1, 1, 7), (1, 1, 8), (1, 2, 8)]),
        ("/*+ STATE_TTL('l' = '5 s', 'r' = '0') */", [(1, 2, 7)]),
    ],
)
def test_a_hint_gives_each_side_of_a_join_its_own_time_to_live(hint: str, pairs: list[tuple[int, ...]]) -> None:
    """Records are 6 s apart: a row kept for 10 s meets the next one, one kept for 5 s none."""
    sql = HINTED.format(hint=hint, hint2="")
    arriving = records(MOVES, at_ms=1_000, step_ms=6_000)

    def fresh() -> Runner:
        return runner_of(plan_program([("ttl.sql", sql)], {}))

    outputs = whole(fresh(), arriving)
    assert [tuple(row.row.values()) for row in outputs] == pairs
    for seed in range(3):
        half = fresh()
        first = cut(half, arriving[:3], seed, 1)
        again = reloaded(half, fresh)
        assert outputs_of([*first, *cut(again, arriving[3:], seed, 1)]) == outputs_of(outputs)


def test_a_hint_gives_an_aggregation_its_own_time_to_live() -> None:
    sql = HINTED.format(hint="", hint2="/*+ STATE_TTL('l' = '10 s') */")
    runner = runner_of(plan_program([("ttl.sql", sql)], {}))
    whole(runner, records(MOVES[:1] + MOVES[2:3], at_ms=1_000, step_ms=11_000))
    assert table(runner, "sums") == {(1,): (1, 2)}, "the first row was forgotten before the second came"
