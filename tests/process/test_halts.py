"""A halted statement stops at its record, keeps its state, and takes nobody along."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nextpaint.process.footprint import by_operator, by_statement
from nextpaint.process.halts import HALT_TOPIC
from nextpaint.process.runner import Arriving, Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, outputs_of, records, reloaded, runner_of, table, whole

SQL = """
    CREATE TABLE t (k STRING, v INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
    CREATE TABLE sums (k STRING, total INT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO sums SELECT k, SUM(v) FROM t WHERE v > 0 GROUP BY k;
    CREATE TABLE big (k STRING, total INT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO big SELECT k, total FROM sums WHERE total > 2;
    CREATE TABLE counts (k STRING, n BIGINT, PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO counts SELECT k, COUNT(*) FROM t GROUP BY k;
    CREATE TABLE passed (k STRING, v INT);
    INSERT INTO passed SELECT k, v FROM t WHERE v > 1;
"""


def make(settings: str = "") -> Runner:
    return runner_of(plan_program([("halts.sql", settings + SQL)], {}))


def stream(target: str, ceiling: int = 1_000) -> list[Arriving]:
    """Rows of a and b with 1 to 4, a halt of `target` after the third, and rows that belong to the halt's own past."""
    rows = records([("t", {"k": "ab"[at % 2], "v": at + 1, "ts": at * 1_000}) for at in range(6)])
    halt: dict[str, Any] = {
        "statement": make().graph.targets[target].operator.id, "target": target, "bytes": 2_000, "ceiling": ceiling,
    }  # fmt: skip
    record = rows[2]._replace(topic=HALT_TOPIC, value=json.dumps(halt).encode())
    return [each._replace(seq=seq) for seq, each in enumerate([*rows[:3], record, *rows[3:]])]


def test_a_halted_statement_keeps_the_state_it_had_and_the_others_go_on() -> None:
    runner = make()
    outputs = whole(runner, stream("counts"))
    assert table(runner, "counts") == {("a",): ("a", 2), ("b",): ("b", 1)}, "as of the third row"
    assert table(runner, "sums") == {("a",): ("a", 9), ("b",): ("b", 12)}
    assert len([each for each in outputs if each.topic == "passed"]) == 5
    assert runner.halts.targets() == {"counts": 3}


def test_what_reads_a_halted_table_sees_it_as_it_stands() -> None:
    runner = make()
    whole(runner, stream("sums"))
    assert table(runner, "sums") == {("a",): ("a", 4), ("b",): ("b", 2)}
    assert table(runner, "big") == {("a",): ("a", 4)}
    assert table(runner, "counts") == {("a",): ("a", 3), ("b",): ("b", 3)}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("target", ["counts", "sums", "passed"])
def test_where_it_halts_does_not_depend_on_cuts_or_checkpoints(target: str, seed: int) -> None:
    arriving = stream(target)
    one = make()
    expected = outputs_of(whole(one, arriving))
    other = make()
    assert outputs_of(cut(other, arriving, seed, 3)) == expected
    assert other.state.hash() == one.state.hash()
    first = make()
    before = outputs_of(whole(first, arriving[: seed + 1]))
    second = reloaded(first, make)
    assert before + outputs_of(whole(second, arriving[seed + 1 :])) == expected
    assert second.state.hash() == one.state.hash() and second.halts.targets() == {target: 3}


def test_an_application_with_a_higher_ceiling_does_not_halt_there() -> None:
    runner = make("SET 'nextpaint.state.ceiling' = '1 gb';")
    whole(runner, stream("counts"))
    assert not runner.halts.targets()
    assert table(runner, "counts") == {("a",): ("a", 3), ("b",): ("b", 3)}


def test_a_halt_record_that_means_nothing_is_passed_over() -> None:
    runner = make()
    rows = stream("counts")
    rows[3] = rows[3]._replace(value=b'{"statement": 3}')
    whole(runner, rows)
    assert not runner.halts.targets()


def test_memory_is_told_by_operator_and_by_statement() -> None:
    runner = make()
    whole(runner, records([("t", {"k": f"k{at % 50}", "v": at, "ts": at}) for at in range(1, 400)]))
    operators = by_operator(runner.graph)
    statements = by_statement(runner.graph, operators)
    assert statements["counts"] > 50 * 100 and statements["passed"] < 1_000
    assert sum(operators.values()) >= statements["counts"] + statements["sums"]
