"""Text held as places in a buffer gives what Python strings give: every function, NULLs, failures, any characters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.process.functions import time_text
from nextpaint.process.functions.compile import Evaluation, compile_expr
from nextpaint.process.functions.evaluation import Operand, lift
from nextpaint.process.functions.text_places import FEW
from nextpaint.process.outputs import json_rows
from nextpaint.record.columns import Column, TextColumn
from nextpaint.record.types import BIGINT, STRING, TIMESTAMP, Field
from nextpaint.sql.binder import Binder
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import tokenize
from nextpaint.sql.expression_grammar import parse_expression
from nextpaint.sql.plan import Schema
from nextpaint.sql.scope import Scope

FIELDS = (Field("a", STRING), Field("b", STRING), Field("n", BIGINT), Field("t", TIMESTAMP))
SCOPE = Scope.of(Schema(FIELDS), "t")
EXPRESSIONS = (
    *("UPPER(a)", "LOWER(a)", "UPPER(LOWER(a))", "CHAR_LENGTH(a)", "LEFT(a, 2)", "RIGHT(a, 3)", "LEFT(a, -1)"),
    *("SUBSTRING(a FROM 2)", "SUBSTRING(a FROM 2 FOR 2)", "SUBSTRING(a FROM -2)", "SUBSTRING(a FROM 0 FOR 3)"),
    *("SUBSTRING(a FROM -9 FOR 3)", "SUBSTRING(a FROM 9)", "RIGHT(UPPER(SUBSTRING(a FROM 2)), 2)"),
    *("a LIKE 'Vi%'", "a LIKE '%EW'", "a LIKE 'View'", "a LIKE '%'", "a LIKE 'été%'", "a LIKE '%i%'", "a LIKE 'V_ew'"),
    *("a LIKE 'V!%%' ESCAPE '!'", "LOWER(a) = 'view'", "UPPER(a) <> b", "a IN ('View', 'été')", "a IN ('View', NULL)"),
    *("LOWER(a) IN ('view', '')", "a NOT IN ('View', 'x')", "COALESCE(UPPER(a), b)", "CONCAT(UPPER(a), '-', b)"),
    *("CASE WHEN n > 3 THEN a WHEN n > 0 THEN b ELSE 'none' END", "CASE WHEN n > 3 THEN 'x' WHEN n > 1 THEN NULL END"),
    *("CASE WHEN a = 'View' THEN UPPER(b) ELSE CONCAT(a, b) END", "CASE WHEN n / n = 1 THEN a ELSE b END"),
    *("CASE LOWER(a) WHEN 'view' THEN '0' WHEN 'été' THEN '1' ELSE SPLIT_INDEX(b, 'i', 1) END", "IF(n > 2, a, 'less')"),
    *("NULLIF(a, 'View')", "REGEXP_EXTRACT(a, 'i(.)', 1)", "SPLIT_INDEX(a, 'i', 0)", "REPEAT(a, CAST(n AS INT))"),
    *("DATE_FORMAT(t, 'yyyy-MM-dd')", "DATE_FORMAT(t, 'HH:mm')", "DATE_FORMAT(t, 'HH:mm:ss.SSS')"),
    *("DATE_FORMAT(t, 'EEEE d MMM')", "DATE_FORMAT(t, 'hh a')", "CONCAT(DATE_FORMAT(t, 'yyyy'), a)"),
    *("CASE WHEN DATE_FORMAT(t, 'HH') < '12' THEN 'am' ELSE 'pm' END", "UPPER(CAST(n AS STRING))"),
)  # fmt: skip

words = st.none() | st.sampled_from(
    ["", "View", "view", "VIEWS", "vi", "été", "Été", "ß", "Ǆ", "a longer text than one"]
)
ascii_words = st.none() | st.sampled_from(["", "View", "view", "VIEWS", "vi", "[z{", "a longer text than one"])
near = st.integers(1_767_225_600_000, 1_767_225_600_000 + 20_000)
times = st.none() | near | st.integers(-(10**13), 10**13) | st.just(10**17)


def lines(texts, moments):
    row = st.tuples(texts, texts, st.none() | st.integers(-1, 5), moments)
    return st.lists(row, min_size=FEW, max_size=2 * FEW)


def evaluator(text):
    return compile_expr(Binder(SCOPE).value(parse_expression(Cursor(tokenize(text)))))


def columns(rows, *, places):
    held = [Column.of(each.type, [row[at] for row in rows]) for at, each in enumerate(FIELDS)]
    if places:
        held[:2] = [TextColumn(STRING, each.views(), each.valid) for each in held[:2]]
    return tuple(held)


def found(evaluate, rows, *, places):
    """Values, and the reasons of rows that failed."""
    ev = Evaluation(columns(rows, places=places), len(rows))
    column = evaluate(ev)
    assert column.values.dtype == column.type.dtype
    assert len(json_rows(["x"], [column])) == len(rows)
    return [ev.failures.rows.get(at, value) for at, value in enumerate(column.to_list())]


@pytest.mark.parametrize("text", EXPRESSIONS)
@settings(max_examples=12)
@given(lines(words, times) | lines(ascii_words, st.none() | near))
def test_places_give_what_objects_and_single_rows_give(text, rows):
    evaluate = evaluator(text)
    expected = [found(evaluate, [row], places=False)[0] for row in rows]
    assert found(evaluate, rows, places=False) == expected
    assert found(evaluate, rows, places=True) == expected


@pytest.mark.parametrize(
    "text", ["UPPER(a)", "SUBSTRING(a FROM 2)", "CASE WHEN n > 1 THEN a END", "DATE_FORMAT(t, 'dd')"]
)
def test_what_is_held_as_places_stays_so(text):
    rows = [("View", "x", at % 3, 1_767_225_600_000 + at) for at in range(FEW)]
    assert isinstance(evaluator(text)(Evaluation(columns(rows, places=True), FEW)), TextColumn)


def test_a_function_of_text_is_asked_once_for_a_text_that_repeats():
    asked = []

    def function(text):
        asked.append(text)
        return text[::-1]

    kernel = lift(STRING, function, [Operand(STRING, lambda ev: (ev.columns[0].values, None))])
    values, valid = kernel(Evaluation((Column.of(STRING, ["ab", "cd"] * 50),), 100))
    assert values.tolist() == ["ba", "dc"] * 50 and valid is None
    assert sorted(asked) == ["ab", "cd"]


@given(
    st.sampled_from(["yyyy-MM-dd", "HH", "h a", "mm", "HH:mm:ss", "SSS", "'at' E", "D Q", "SS"]),
    st.integers(-(10**13), 10**13),
)
def test_all_times_of_a_unit_are_written_alike(pattern, ms):
    unit, write = time_text.unit_ms(pattern), time_text.writer(pattern)
    assert write(ms) == write(ms // unit * unit) == write(ms // unit * unit + unit - 1)
