"""Lookup joins: a row meets what the table holds at the row's own position, once."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.process.runner import Runner
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, outputs_of, records, reloaded, runner_of, whole

SQL = """
    CREATE TABLE l (k STRING, v INT, proc AS PROCTIME());
    CREATE TABLE dim (id INT, k STRING, x INT, PRIMARY KEY (id) NOT ENFORCED);
    CREATE TABLE found (k STRING, v INT, x INT);
    INSERT INTO found SELECT l.k, v, x FROM l LEFT JOIN dim FOR SYSTEM_TIME AS OF l.proc AS d ON l.k = d.k AND d.x > v;
    CREATE TABLE inner_only (v INT, x INT);
    INSERT INTO inner_only SELECT v, x FROM (SELECT v + 1 AS v, PROCTIME() AS p FROM l) AS l
      JOIN dim FOR SYSTEM_TIME AS OF l.p AS d ON l.v - 1 = d.id;
"""


def make() -> Runner:
    return runner_of(plan_program([("test.sql", SQL)], {}))


changes = st.lists(
    st.one_of(
        st.tuples(st.just("l"), st.sampled_from(["a", "b", None]), st.integers(0, 3)),
        st.tuples(st.just("dim"), st.integers(0, 2), st.sampled_from(["a", "b"]), st.integers(0, 4)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(drawn=changes, seed=st.integers(0, 5))
def test_a_row_meets_the_table_as_it_is_then(drawn: list[Any], seed: int) -> None:
    held: dict[int, tuple[str, int]] = {}
    found: list[Any] = []
    inner: list[Any] = []
    rows: list[tuple[str, dict[str, Any]]] = []
    for topic, *cells in drawn:
        if topic == "dim":
            held[cells[0]] = (cells[1], cells[2])
            rows.append(("dim", dict(zip(("id", "k", "x"), cells, strict=True))))
            continue
        k, v = cells
        rows.append(("l", {"k": k, "v": v}))
        found += [(k, v, x) for key, x in held.values() if key == k and x > v] or [(k, v, None)]
        inner += [(v + 1, held[v][1])] if v in held else []
    runner = make()
    outputs = whole(runner, records(rows))
    assert Counter(tuple(row.row.values()) for row in outputs if row.topic == "found") == Counter(found)
    assert [tuple(row.row.values()) for row in outputs if row.topic == "inner_only"] == inner
    assert outputs_of(cut(make(), records(rows), seed)) == outputs_of(outputs)
    half = make()
    first = whole(half, records(rows)[: len(rows) // 2])
    again = reloaded(half, make)
    assert outputs_of([*first, *whole(again, records(rows)[len(rows) // 2 :])]) == outputs_of(outputs)
    assert again.state.hash() == runner.state.hash()


def test_a_result_is_never_updated_later() -> None:
    runner = make()
    before = whole(runner, records([("l", {"k": "a", "v": 0})]))
    assert [tuple(row.row.values()) for row in before] == [("a", 0, None)]
    later = records([("dim", {"id": 1, "k": "a", "x": 9})])
    assert not runner.apply([each._replace(seq=each.seq + 1) for each in later])
