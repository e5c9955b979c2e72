"""An application's own aggregates: over arrays and by folding, in groups, windows, sessions and frames; state."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.application import Application
from nextpaint.process.folding import frozen, thawed
from nextpaint.process.runner import Arriving, Runner
from nextpaint.record.errors import ApplicationError
from tests.process.harness import reloaded, table

PYTHON = b"""
from statistics import median as middle
from nextpaint.sql.user_functions import aggregate, udaf

@aggregate("DOUBLE", inputs=["DOUBLE"])
def median(values):
    known = [each for each in values if each is not None]
    return middle(known) if known else None

@aggregate("DOUBLE", inputs=["DOUBLE", "BIGINT"])
class Weighted:
    def create_accumulator(self):
        return [0.0, 0]

    def accumulate(self, acc, value, weight):
        if weight < 0:
            raise ValueError("a negative weight")
        acc[0] += value * weight
        acc[1] += weight

    def retract(self, acc, value, weight):
        acc[0] -= value * weight
        acc[1] -= weight

    def merge(self, acc, others):
        for other in others:
            acc[0] += other[0]
            acc[1] += other[1]

    def get_value(self, acc):
        return acc[0] / acc[1]

class Seen:
    def create_accumulator(self):
        return {}

    def accumulate(self, acc, item):
        acc[item] = acc.get(item, 0) + 1

    def merge(self, acc, others):
        for other in others:
            for item, times in other.items():
                acc[item] = acc.get(item, 0) + times

    def get_value(self, acc):
        return ",".join(f"{item}{times}" for item, times in acc.items())

seen = udaf(Seen(), input_types=["STRING"], result_type="STRING", accumulator_type="MAP<STRING, BIGINT>")

class NoMerge(Seen):
    merge = None

no_merge = udaf(NoMerge(), input_types=["STRING"], result_type="STRING")

@aggregate("STRING", inputs=["STRING"])
class Sets(Seen):
    def create_accumulator(self):
        return set()
"""
SQL = """
CREATE TABLE s (k STRING, v DOUBLE, n BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
CREATE TABLE grouped (k STRING, m DOUBLE, w DOUBLE, t STRING, PRIMARY KEY (k) NOT ENFORCED);
CREATE TABLE made (k STRING, x STRING);
CREATE FUNCTION median AS 'mine.median' LANGUAGE PYTHON;
CREATE FUNCTION weighted AS 'mine.Weighted' LANGUAGE PYTHON;
CREATE FUNCTION seen AS 'mine.seen' LANGUAGE PYTHON;
"""
GROUPED = "INSERT INTO grouped SELECT k, median(v), weighted(v, n), seen(k) FROM s GROUP BY k"
ROWS = [
    {"k": "a", "v": 4.0, "n": 1, "ts": 1000},
    {"k": "a", "v": 1.0, "n": 2, "ts": 2000},
    {"k": "b", "v": 7.0, "n": 3, "ts": 2500},
    {"k": "a", "v": 2.0, "n": 1, "ts": 3000},
    {"k": "c", "v": 0.0, "n": 1, "ts": 60000},
]


def runner_of(statement):
    return Runner(Application.of({"app.sql": f"{SQL} {statement};".encode(), "mine.py": PYTHON}).design)


def arriving(rows):
    return [Arriving(i, i, "s", None, json.dumps(row).encode(), True) for i, row in enumerate(rows)]


def run(statement, rows, cut=100):
    runner, records = runner_of(statement), arriving(rows)
    outputs = [each for start in range(0, len(rows), cut) for each in runner.apply(records[start : start + cut])]
    lines = [tuple(each.row.values()) for each in outputs if each.topic in ("made", "grouped")]
    return lines, [each.row["reason"] for each in outputs if each.topic not in ("made", "grouped")], runner


@pytest.mark.parametrize("cut", [1, 3, 100])
def test_groups_hold_what_the_functions_made_whatever_the_step(cut):
    *_, runner = run(GROUPED, ROWS, cut)
    assert table(runner, "grouped")[("a",)] == ("a", 2.0, 2.0, "a3")
    assert runner.state.hash() == run(GROUPED, ROWS)[2].state.hash()


def test_state_comes_back_from_a_checkpoint_and_goes_on():
    whole = run(GROUPED, ROWS)[2]
    first = runner_of(GROUPED)
    first.apply(arriving(ROWS)[:2])
    second = reloaded(first, lambda: runner_of(GROUPED))
    second.apply(arriving(ROWS)[2:])
    assert second.state.hash() == whole.state.hash()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "SELECT k, CAST(median(v) AS STRING) FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '10' SECOND)) "
            "GROUP BY k, window_start, window_end",
            [("a", "2.0"), ("b", "7.0")],
        ),
        (
            "SELECT k, CAST(weighted(v, n) AS STRING) FROM TABLE(SESSION(TABLE s PARTITION BY k, DESCRIPTOR(ts), "
            "INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end",
            [("b", "7.0"), ("a", "2.0")],
        ),
        (
            "SELECT k, CAST(median(v) OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) "
            "AS STRING) FROM s",
            [("a", "4.0"), ("a", "2.5"), ("b", "7.0"), ("a", "1.5"), ("c", "0.0")],
        ),
    ],
)
def test_windows_sessions_and_frames(query, expected):
    assert run(f"INSERT INTO made {query}", ROWS)[0] == expected


def test_sessions_that_grow_together_are_merged():
    query = "SELECT k, seen(CAST(n AS STRING)) FROM TABLE(SESSION(TABLE s PARTITION BY k, DESCRIPTOR(ts), "
    query += "INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end"
    late = SQL.replace("AS ts)", "AS ts - INTERVAL '20' SECOND)")
    files = {"app.sql": f"{late} INSERT INTO made {query};".encode(), "mine.py": PYTHON}
    runner = Runner(Application.of(files).design)
    rows = [{"k": "a", "n": n, "ts": ts} for n, ts in ((1, 1000), (2, 19000), (1, 10000), (9, 90000))]
    assert [tuple(each.row.values()) for each in runner.apply(arriving(rows))] == [("a", "12,21")]


def test_a_row_that_a_class_refuses_is_a_dead_row_and_left_out_there_only():
    rows = [ROWS[0], {**ROWS[1], "n": -1}, ROWS[3]]
    _, dead, runner = run(GROUPED, rows)
    assert dead == ["weighted: ValueError: a negative weight"]
    assert table(runner, "grouped")[("a",)] == ("a", 2.0, 3.0, "a3")


def test_a_result_that_fails_is_null_with_its_reason():
    query = "SELECT k, CAST(weighted(v, n) AS STRING) FROM TABLE(TUMBLE(TABLE s, DESCRIPTOR(ts), INTERVAL '1' SECOND)) "
    made, dead, _ = run(
        f"INSERT INTO made {query} GROUP BY k, window_start, window_end", [{**ROWS[0], "n": 0}, ROWS[4]]
    )
    assert made == [("a", None)]
    assert dead == ["weighted: ZeroDivisionError: float division by zero"]
    assert table(run(GROUPED, [{**ROWS[0], "n": 0}])[2], "grouped")[("a",)] == ("a", 4.0, None, "a1")


def test_rows_are_taken_back():
    sql = """CREATE VIEW latest AS SELECT k, v, n FROM
      (SELECT *, ROW_NUMBER() OVER (PARTITION BY n ORDER BY ts DESC) AS r FROM s) WHERE r = 1;
      INSERT INTO grouped SELECT k, median(v), weighted(v, n), 'x' FROM latest GROUP BY k"""
    *_, runner = run(sql, ROWS)
    assert table(runner, "grouped")[("a",)] == ("a", 1.0, 1.0, "x")


@pytest.mark.parametrize(
    ("declared", "statement", "said"),
    [
        ("no_merge", "", "no_merge has no merge(...); sessions that grow together and linked people need it"),
        ("Sets", "", "not set: use a dict, whose order is certain"),
        ("seen", "SELECT k FROM s WHERE f(k) = 'x'", "an aggregate in WHERE"),
        ("seen", "SELECT f(DISTINCT k) AS x FROM s", "f takes no DISTINCT"),
        ("seen", "SELECT f(v) AS x FROM s", "f needs STRING here, not DOUBLE"),
        ("seen", "SELECT f(x) AS y FROM (SELECT seen(k) AS x FROM s)", "f over rows that are updated"),
    ],
)
def test_declarations_and_calls_are_checked(declared, statement, said):
    made = f"CREATE VIEW v AS {statement};" if statement else ""
    text = f"{SQL} CREATE FUNCTION f AS 'mine.{declared}' LANGUAGE PYTHON; {made}"
    with pytest.raises(ApplicationError) as caught:
        Application.of({"app.sql": text.encode(), "mine.py": PYTHON})
    assert any(said in each.what for each in caught.value.diagnostics), caught.value.diagnostics


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals(allow_nan=False)
keys = st.text() | st.integers()


@given(st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner)))
def test_an_accumulator_comes_back_as_it_was(value):
    def same(a, b):
        if isinstance(a, float) and math.isnan(a):
            return isinstance(b, float) and math.isnan(b)
        if isinstance(a, list | tuple):
            return len(a) == len(b) and all(map(same, a, b))
        if isinstance(a, dict):
            return list(a) == list(b) and all(map(same, a.values(), b.values()))
        return a == b

    made = thawed(frozen(value))
    assert type(made) is type(value)
    assert same(value, made)
    assert frozen(made) == frozen(value)
    assert not isinstance(value, Decimal) or str(made) == str(value)
