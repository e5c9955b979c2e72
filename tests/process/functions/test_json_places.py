"""JSON_VALUE over text held as places gives what it gives over Python strings: values, NULLs, failures, any text."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextpaint.process.functions.compile import Evaluation, compile_expr
from nextpaint.process.functions.text_places import FEW
from nextpaint.record.columns import Column, TextColumn
from nextpaint.record.types import STRING, Field
from nextpaint.sql.binder import Binder
from nextpaint.sql.cursor import Cursor
from nextpaint.sql.dialect import tokenize
from nextpaint.sql.expression_grammar import parse_expression
from nextpaint.sql.plan import Schema
from nextpaint.sql.scope import Scope

SCOPE = Scope.of(Schema((Field("j", STRING),)), "t")
PATHS = ("$.a", "$.b", "$.a.b", "$.b.a.a", "$['a']", "$.été", "lax $.a", "$.a[0]", "$", "$.a.*")
EXPRESSIONS = (
    *(f"JSON_VALUE(j, '{each.replace(chr(39), chr(39) * 2)}')" for each in PATHS),
    *(f"JSON_VALUE(j, '$.a' RETURNING {each})" for each in ("INT", "DOUBLE", "BOOLEAN", "STRING")),
    *("JSON_VALUE(j, '$.b.a' RETURNING DOUBLE)", "JSON_VALUE(j, '$.a.b' RETURNING INT)"),
    *("UPPER(JSON_VALUE(j, '$.a'))", "JSON_VALUE(j, '$.a') || JSON_VALUE(j, '$.b')", "JSON_VALUE(j, '$.a') = 'x'"),
    "JSON_VALUE(JSON_VALUE(j, '$.a'), '$.b')",
)  # fmt: skip
WRITTEN = (
    *("", " ", "null", "1", '"x"', "[1]", "{", '{"a"}', '{"a":}', '{"a":1} ', ' {"a" : "x" , "b":2}', '{"a":1}x'),
    *('{"a":-0}', '{"a":-0.0}', '{"a":0.0}', '{"a":0.10}', '{"a":1.50}', '{"a":1e5}', '{"a":1E-7}', '{"a":0.0000001}'),
    *('{"a":12345678901234567890}', '{"a":0.1234567890123456789}', '{"a":2147483648}', '{"a":01}', '{"a":1.}'),
    *('{"a":"x","a":"y"}', '{"a":{"b":"x"},"a":{}}', '{"a":{"b":"x"},"a":null}', '{"a":{},"a":{"b":"x"}}'),
    *('{"a":{"b":1},"a":3}', '{"\\u0061":"x"}', '{"a":"\\u0062\\n\\""}', '{"a":"\\ud83d\\ude00é"}', '{"a":"\\ud83d"}'),
    *('{"été":"x","a":true,"b":false}', '{"a":"{\\"b\\":\\"x\\"}"}', '{"a":"\x01"}', '{"a":"true"}', '{"a":[],"b":{}}'),
)  # fmt: skip

scalars = (
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "x", "été", 'a"b', "\n", '{"b":"z"}'])
)  # fmt: skip
names = st.sampled_from(["a", "b", "c", "été"])
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)
texts = (
    st.none()
    | st.sampled_from(WRITTEN)
    | st.builds(json.dumps, st.dictionaries(names, values, max_size=4), ensure_ascii=st.booleans())
)


def evaluator(text):
    return compile_expr(Binder(SCOPE).value(parse_expression(Cursor(tokenize(text)))))


def answers(evaluate, column):
    evaluation = Evaluation((column,), len(column))
    found = evaluate(evaluation).to_list()
    return found, evaluation.failures.rows


@pytest.mark.parametrize("text", EXPRESSIONS)
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(texts, min_size=FEW, max_size=3 * FEW))
def test_places_give_what_strings_give(text, rows):
    evaluate, objects = evaluator(text), Column.of(STRING, rows)
    expected, failed = answers(evaluate, objects)
    found, failed_too = answers(evaluate, TextColumn(STRING, objects.views(), objects.valid))
    assert [(type(each), each) for each in found] == [(type(each), each) for each in expected]
    assert failed_too == failed


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_every_odd_text(text):
    evaluate, objects = evaluator(text), Column.of(STRING, list(WRITTEN))
    found, failed = answers(evaluate, TextColumn(STRING, objects.views()))
    assert (list(map(repr, found)), failed) == (
        list(map(repr, answers(evaluate, objects)[0])),
        answers(evaluate, objects)[1],
    )


def test_members_are_places_and_no_objects():
    rows = ['{"other":[1,2,{"a":3}],"a":"x","b":"y"}'] * FEW
    column = evaluator("JSON_VALUE(j, '$.a')")(
        Evaluation((TextColumn(STRING, Column.of(STRING, rows).views()),), len(rows))
    )
    assert isinstance(column, TextColumn)
    assert column.to_list() == ["x"] * FEW
