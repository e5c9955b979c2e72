"""An application's own table functions: LATERAL TABLE(f(x)) over arrays and rows; what fails is one row."""

from __future__ import annotations

import json

import pytest

from nextpaint.application import Application
from nextpaint.process.runner import Arriving, Runner
from nextpaint.record.errors import ApplicationError

PYTHON = b"""
from itertools import count
from nextpaint.sql.user_functions import table_function, udtf

@table_function(["STRING", "INT"], inputs=["STRING"])
def words(texts):
    return [None if text is None else [(word, len(word)) for word in text.split()] for text in texts]

@udtf(result_types=["BIGINT"], input_types=["BIGINT"])
def below(n):
    for each in range(n):
        yield each

@table_function("ROW<item STRING, place INT>", inputs=["STRING"], rowwise=True)
def only(text):
    return text, 1

@udtf(result_types=["BIGINT"], input_types=["BIGINT"])
def endless(n):
    return count()

@table_function("INT", inputs=["BIGINT"], exact=False)
def chance(n):
    return [[4]]

@table_function(["INT", "INT"], inputs=["BIGINT"])
def narrow(n):
    return [[(1,)] for _ in n]

@table_function([], inputs=["BIGINT"])
def bare(n):
    return n
"""
TABLES = """
CREATE TABLE s (k STRING, n BIGINT);
CREATE TABLE made (k STRING, a STRING, b BIGINT);
CREATE FUNCTION words AS 'mine.words' LANGUAGE PYTHON;
CREATE FUNCTION below AS 'mine.below' LANGUAGE PYTHON;
CREATE FUNCTION solo AS 'mine.only' LANGUAGE PYTHON;
CREATE FUNCTION endless AS 'mine.endless' LANGUAGE PYTHON;
CREATE FUNCTION narrow AS 'mine.narrow' LANGUAGE PYTHON;
"""


def run(query, rows, cut=100):
    files = {"app.sql": f"{TABLES} INSERT INTO made {query}".encode(), "mine.py": PYTHON}
    runner = Runner(Application.of(files).design)
    records = [Arriving(i, i, "s", None, json.dumps(row).encode(), True) for i, row in enumerate(rows)]
    outputs = [each for start in range(0, len(rows), cut) for each in runner.apply(records[start : start + cut])]
    made = [tuple(each.row.values()) for each in outputs if each.topic == "made"]
    return made, [each.row["reason"] for each in outputs if each.topic != "made"]


@pytest.mark.parametrize("cut", [1, 2, 100])
def test_a_row_becomes_the_rows_of_the_function_whatever_the_step(cut):
    query = "SELECT k, w, size FROM s, LATERAL TABLE(words(k)) AS t(w, size)"
    made, dead = run(query, [{"k": "a bb"}, {}, {"k": ""}, {"k": "ccc"}], cut)
    assert made == [("a bb", "a", 1), ("a bb", "bb", 2), ("ccc", "ccc", 3)]
    assert not dead


def test_a_left_join_keeps_a_row_without_any_and_a_condition_is_asked():
    query = "SELECT k, w, size FROM s LEFT JOIN LATERAL TABLE(words(k)) AS t(w, size) ON TRUE"
    assert run(query, [{"k": "a"}, {}])[0] == [("a", "a", 1), (None, None, None)]
    query = "SELECT k, w, size FROM s, LATERAL TABLE(words(k)) AS t(w, size) WHERE size > 1"
    assert run(query, [{"k": "a bb"}])[0] == [("a bb", "bb", 2)]


def test_columns_are_named_by_the_function_or_as_in_flink():
    assert run("SELECT k, item, place FROM s, LATERAL TABLE(solo(k))", [{"k": "x"}])[0] == [("x", "x", 1)]
    assert run("SELECT k, f0, f1 FROM s, LATERAL TABLE(words(k)) AS t", [{"k": "x"}])[0] == [("x", "x", 1)]


def test_a_function_of_one_column_gives_bare_values_row_by_row():
    made, _ = run("SELECT k, k, i FROM s, LATERAL TABLE(below(n)) AS t(i)", [{"k": "x", "n": 3}])
    assert [row[2] for row in made] == [0, 1, 2]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("below(n)", "below: TypeError"),
        ("endless(n)", "gave more than 100000 rows for one"),
        ("narrow(n)", "gave a row of 1 values for 2 columns"),
    ],
)
def test_what_fails_is_a_dead_row_and_the_others_go_on(call, said):
    rows = [{"k": "a", "n": 1}, {"k": "b"}] if call.startswith("below") else [{"k": "b", "n": 1}]
    made, dead = run(f"SELECT k, k, n FROM s, LATERAL TABLE({call})", rows)
    assert [row[0] for row in made] == (["a"] if call.startswith("below") else [])
    assert len(dead) == 1 and said in dead[0]


@pytest.mark.parametrize(
    ("declared", "query", "said"),
    [
        ("words", "SELECT words(k) AS x FROM s", "f is a table function: it gives rows, not a value"),
        ("words", "SELECT k FROM s, LATERAL TABLE(f(n))", "f needs STRING here, not BIGINT"),
        ("words", "SELECT k FROM s, LATERAL TABLE(g(k))", "g(...) is not a table function here"),
        ("words", "SELECT k FROM s, LATERAL TABLE(f())", "f takes 1 argument"),
        ("chance", "SELECT k FROM s, LATERAL TABLE(f(n))", "f is declared inexact"),
        ("bare", "SELECT k FROM s", "the columns of mine.bare are not declared"),
    ],
)
def test_declarations_and_calls_are_checked(declared, query, said):
    query = query.replace("words(", "f(")
    sql = f"CREATE TABLE s (k STRING, n BIGINT); CREATE FUNCTION f AS 'mine.{declared}' LANGUAGE PYTHON;"
    with pytest.raises(ApplicationError) as caught:
        Application.of({"app.sql": f"{sql} CREATE VIEW v AS {query};".encode(), "mine.py": PYTHON})
    assert any(said in each.what for each in caught.value.diagnostics), caught.value.diagnostics
