"""JSON functions: what Flink 2.3 answers, and that each text is parsed once."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.functions import json as functions
from nextpaint.process.functions.compile import Evaluation, compile_expr
from nextpaint.record.columns import Column
from nextpaint.record.errors import ApplicationError
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, INT, STRING, array
from nextpaint.sql.plan import Call, ColumnRef

DEFAULTS = {"on_empty": "DEFAULT", "on_error": "DEFAULT"}


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('{"a":1.0}', "$.a", "1.0"),
        ('{"a":1e2}', "$.a", "1E+2"),
        ('{"a":1.10}', "$.a", "1.10"),
        ('{"a":12345678901234567890123}', "$.a", "12345678901234567890123"),
        ('{"a":1e-10}', "$.a", "1E-10"),
        ('{"a":123456789.125}', "$.a", "123456789.125"),
        ('{"a":true}', "$.a", "true"),
        ('{"a":null}', "$.a", None),
        ('{"a":"x\\u00e9"}', "$.a", "xé"),
        ('{"a":{"b":1}}', "$.a", None),
        ('{"a":{"b":1}}', "$.a.b", "1"),
        ('[{"a":1},{"a":2}]', "$[1].a", "2"),
        ('[{"a":1}]', "lax $.a", None),
        ('[{"a":1}]', "$[*].a", None),
        ("[1,2]", "$[-1]", "2"),
        ("[1,2]", "$[5]", None),
        ('{"a b":1}', '$["a b"]', "1"),
        ('{"a b":1}', "$['a b']", "1"),
        ("5", "$", "5"),
        ('"x"', "$", "x"),
        ('{"a":1,"a":2}', "$.a", "2"),
        ('{"a":NaN}', "$.a", None),
        ("{a:1}", "$.a", None),
        ("{'a':1}", "$.a", None),
        ("{bad", "$.a", None),
        ("", "$.a", None),
        ('"\\ud800"', "$", None),
    ],
)
def test_json_value(run, text, path, expected):
    assert run("JSON_VALUE", STRING, text, path=path) == expected


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ('{"a":null}', "$.a", "e"),
        ('{"a":null}', "lax $.a", "d"),
        ('{"a":{"b":1}}', "lax $.a", "d"),
        ('{"a":{"b":1}}', "$.a", "e"),
        ('{"a":1}', "$.b", "e"),
        ('{"a":1}', "strict $.b", "e"),
        ('{"a":1}', "lax $.b", "d"),
        ('{"a":1}', "lax $.b.c", "d"),
        ('{"a":1}', "lax $.a.c", "d"),
        ("{bad", "lax $.b", "d"),
        ("{bad", "$.b", "e"),
        ("", "$.b", "e"),
        ("[1,2]", "$[5]", "e"),
        ("[1,2]", "lax $[5]", "d"),
        ('{"a":"found"}', "$.a", "found"),
    ],
)
def test_strict_by_default_so_on_empty_needs_lax(run, text, path, expected):
    assert run("JSON_VALUE", STRING, text, "d", "e", path=path, **DEFAULTS) == expected


def test_the_mode_may_come_as_an_option(run):
    assert run("JSON_VALUE", STRING, "{}", "d", path="$.a", strict=False, on_empty="DEFAULT") == "d"
    assert run("JSON_VALUE", STRING, "{}", "d", path="$.a", strict=True, on_empty="DEFAULT") is None


def test_error_on_error_fails_the_row(run):
    assert run("JSON_VALUE", STRING, "{bad", path="$.a", on_error="ERROR").startswith("failed: JSON_VALUE is an error")
    assert run("JSON_VALUE", STRING, "{}", path="lax $.a", on_empty="ERROR").startswith("failed: JSON_VALUE is empty")


@pytest.mark.parametrize(
    ("text", "type_", "expected"),
    [
        ('{"a":5}', INT, 5),
        ('{"a":5}', DOUBLE, 5.0),
        ('{"a":5.5}', DOUBLE, 5.5),
        ('{"a":1e400}', DOUBLE, float("inf")),
        ('{"a":true}', BOOLEAN, True),
        ('{"a":3000000000}', BIGINT, 3000000000),
        ('{"b":5}', INT, None),
    ],
)
def test_returning(run, text, type_, expected):
    assert run("JSON_VALUE", type_, text, path="$.a") == expected


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ('{"a":"12"}', INT),
        ('{"a":1.5}', INT),
        ('{"a":3000000000}', INT),
        ('{"a":true}', INT),
        ('{"a":"5"}', DOUBLE),
        ('{"a":true}', DOUBLE),
        ('{"a":"true"}', BOOLEAN),
        ('{"a":1}', BOOLEAN),
    ],
)
def test_a_value_of_another_type_fails_the_row_as_it_fails_flinks_job(run, text, type_):
    assert run("JSON_VALUE", type_, text, path="$.a").startswith("failed: JSON_VALUE found")


@pytest.mark.parametrize(
    ("text", "path", "wrapper", "expected"),
    [
        ('{"a":{"b":[1, 2.50]}}', "$.a", "WITHOUT", '{"b":[1,2.50]}'),
        ('{"a":{"z":1,"b":"é\\u00e9/"}}', "$.a", "WITHOUT", '{"b":"éé/","z":1}'),
        ('{"a":1}', "$.a", "WITHOUT", None),
        ('{"a":1}', "$.a", "UNCONDITIONAL", "[1]"),
        ('{"a":[1]}', "$.a", "CONDITIONAL", "[1]"),
        ('{"a":[1]}', "$.a", "UNCONDITIONAL", "[[1]]"),
        ('{"a":1}', "$.a", "CONDITIONAL", "[1]"),
        ('{"i":[{"p":1},{"q":2},{"p":"x"}]}', "$.i[*].p", "WITHOUT", '[1,"x"]'),
    ],
)
def test_json_query(run, text, path, wrapper, expected):
    assert run("JSON_QUERY", STRING, text, path=path, wrapper=wrapper) == expected


def test_json_query_as_an_array_of_texts(run):
    assert run("JSON_QUERY", array(STRING), '{"a":["x",1,null,{"b":2.0}]}', path="$.a") == ["x", "1", None, '{"b":2.0}']


def test_json_query_on_empty_and_on_error(run):
    options = {"on_empty": "EMPTY ARRAY", "on_error": "EMPTY OBJECT"}
    assert run("JSON_QUERY", STRING, '{"a":1}', path="$.b", **options) == "{}"
    assert run("JSON_QUERY", STRING, '{"a":1}', path="lax $.b", **options) == "[]"


@pytest.mark.parametrize(
    ("text", "path", "on_error", "expected"),
    [
        ('{"a":1}', "$.a", "FALSE", True),
        ('{"a":null}', "$.a", "FALSE", False),
        ('{"a":1}', "$.b", "FALSE", False),
        ('{"a":1}', "$.b", "UNKNOWN", None),
        ("{bad", "$.b", "UNKNOWN", None),
        ("{bad", "$.b", "TRUE", True),
        ("{bad", "lax $.b", "TRUE", False),
    ],
)
def test_json_exists(run, text, path, on_error, expected):
    assert run("JSON_EXISTS", BOOLEAN, text, path=path, on_error=on_error) is expected


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("1", "VALUE", True),
        ("{bad", "VALUE", False),
        ("[1]", "OBJECT", False),
        ("[1]", "ARRAY", True),
        ("1", "SCALAR", True),
        ('"a"', "SCALAR", True),
        ("", "VALUE", False),
        ((STRING, None), "VALUE", False),
    ],
)
def test_is_json(run, text, kind, expected):
    assert run("IS JSON", BOOLEAN, text, kind=kind) is expected


@pytest.mark.parametrize("path", ["a", "$.", "$..a", "$[a]", "$.a[", "$[?(@.x)]", "$.a b"])
def test_a_path_that_is_not_supported_is_refused_when_compiled(path):
    with pytest.raises(ApplicationError, match="path"):
        compile_expr(Call(STRING, "JSON_VALUE", (ColumnRef(STRING, 0, "s"),), (("path", path),)))


def test_a_deeply_nested_text_harms_nothing(run):
    text = "[" * 5000 + "]" * 5000
    assert run("JSON_VALUE", STRING, text, path="$[0]") is None
    deep = run("JSON_QUERY", STRING, "[" * 900 + "]" * 900, path="$")
    assert deep is None or deep == "[" * 900 + "]" * 900 or deep.startswith("failed: JSON_QUERY")


def test_each_text_is_parsed_once_for_all_calls_of_a_batch(monkeypatch):
    parsed = []
    original = functions._Memo.parse
    monkeypatch.setattr(functions._Memo, "parse", lambda memo, text: parsed.append(text) or original(memo, text))
    calls = [
        compile_expr(Call(STRING, "JSON_VALUE", (ColumnRef(STRING, 0, "s"),), (("path", p),))) for p in ("$.x", "$.y")
    ]
    texts = [f'{{"x":{n},"y":"once"}}' for n in range(500)]
    for evaluate in calls:
        evaluate(Evaluation((Column.of(STRING, texts),), len(texts)))
    assert sorted(parsed) == sorted(texts)


def test_the_memory_of_parsed_texts_is_bounded():
    memo = functions._Memo()
    for n in range(50):
        memo.parse('"' + str(n) * 200_000 + '"')
    assert memo.characters <= functions._MEMO_CHARACTERS
    assert sum(map(len, memo.parsed)) == memo.characters


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_what_json_query_writes_reads_back(value):
    text = msgspec.json.encode(value).decode()
    evaluate = compile_expr(
        Call(STRING, "JSON_QUERY", (ColumnRef(STRING, 0, "s"),), (("path", "$"), ("wrapper", "UNCONDITIONAL")))
    )
    written = evaluate(Evaluation((Column.of(STRING, [text]),), 1)).to_list()[0]
    assert written is None if value is None else msgspec.json.decode(written) == [value]


def test_numbers_keep_their_digits():
    assert functions._written([Decimal("2.50"), 3, "é"]) == '[2.50,3,"é"]'
