"""ON CONFLICT where a query that is updated has several rows of one key of its target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nextpaint.process.runner import Arriving, Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, live, outputs_of, records, reloaded, runner_of, table, whole

SQL = """
    {settings}
    CREATE TABLE people (id INT, town STRING, age INT, PRIMARY KEY (id) NOT ENFORCED);
    CREATE TABLE towns (town STRING, age INT, PRIMARY KEY (town) NOT ENFORCED);
    INSERT INTO towns SELECT town, age FROM people ON CONFLICT DO {rule};
"""
MOVES: list[dict[str, Any]] = [
    {"id": 1, "town": "A", "age": 10}, {"id": 2, "town": "A", "age": 20}, {"id": 3, "town": "B", "age": 30},
    {"id": 2, "town": "B", "age": 20}, {"id": 1, "town": "A", "age": 11}, {"id": 3, "town": "A", "age": 31},
    {"id": 1, "town": "C", "age": 12},
]  # fmt: skip


def maker(rule: str, settings: str = "") -> Callable[[], Runner]:
    return lambda: runner_of(plan_program([("test.sql", SQL.format(rule=rule, settings=settings))], {}))


def moves(step_ms: int = 1) -> list[Arriving]:
    return records([("people", each) for each in MOVES], step_ms=step_ms)


def towns(runner: Runner) -> dict[str, int]:
    return {key[0]: row[1] for key, row in table(runner, "towns").items()}


def history(rule: str) -> list[dict[str, int]]:
    runner, seen = maker(rule)(), []
    for each in moves():
        whole(runner, [each])
        seen.append(towns(runner))
    return seen


def test_deduplicate_shows_the_last_row_and_the_one_before_when_it_leaves() -> None:
    assert history("DEDUPLICATE") == [
        {"A": 10}, {"A": 20}, {"A": 20, "B": 30}, {"A": 10, "B": 20}, {"A": 11, "B": 20}, {"A": 31, "B": 20},
        {"A": 31, "B": 20, "C": 12},
    ]  # fmt: skip


def test_nothing_shows_the_first_row_and_the_next_when_it_leaves() -> None:
    assert history("NOTHING") == [
        {"A": 10}, {"A": 10}, {"A": 10, "B": 30}, {"A": 10, "B": 30}, {"A": 11, "B": 30}, {"A": 11, "B": 20},
        {"A": 31, "B": 20, "C": 12},
    ]  # fmt: skip


def test_error_sends_a_further_row_of_a_key_to_the_dead_letters() -> None:
    runner = maker("ERROR")()
    dead = [row.row for row in whole(runner, moves()) if row.topic == "_dead"]
    assert [(each["seq"], each["row"]) for each in dead] == [(1, ["A", 20]), (3, ["B", 20]), (5, ["A", 31])]
    assert {each["reason"] for each in dead} == {"towns has a row of this key already"}
    assert towns(runner) == {"C": 12}


@pytest.mark.parametrize("rule", ["DEDUPLICATE", "NOTHING", "ERROR"])
@pytest.mark.parametrize("settings", ["", "SET 'table.exec.state.ttl' = '8 s';"])
def test_cuts_and_checkpoints_do_not_show(rule: str, settings: str) -> None:
    make, arriving = maker(rule, settings), moves(3_000)
    one = make()
    expected = outputs_of(whole(one, arriving))
    for seed in range(4):
        half = make()
        first = cut(half, arriving[:4], seed, 3)
        again = reloaded(half, make)
        assert outputs_of([*first, *cut(again, arriving[4:], seed, 3)]) == expected
        assert again.state.hash() == one.state.hash()
        assert towns(again) == towns(one)


def test_rows_that_were_not_written_for_their_time_to_live_are_forgotten() -> None:
    runner = maker("DEDUPLICATE", "SET 'table.exec.state.ttl' = '2 s';")()
    whole(runner, moves(5_000))
    assert towns(runner) == {"A": 31, "B": 20, "C": 12}, "what was taken back is not known any more: nothing changes"


def test_it_reads_live_by_key() -> None:
    runner = maker("DEDUPLICATE")()
    whole(runner, moves())
    assert live(runner, "towns", 9_999) == table(runner, "towns")
