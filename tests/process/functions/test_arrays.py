"""Rows, arrays and maps: what Flink 2.3 answers."""

import pytest

from nextpaint.process.functions.compile import compile_expr, evaluate_row
from nextpaint.record.errors import ApplicationError
from nextpaint.record.types import BIGINT, BOOLEAN, DOUBLE, INT, STRING, Field, array, mapping, row
from nextpaint.sql.plan import Call, ColumnRef, Literal

INTS = array(INT)
PAIR = row(Field("a", INT), Field("b", STRING))
PRICES = mapping(STRING, DOUBLE)


def test_constructors_keep_null_elements(run):
    assert run("ARRAY", INTS, 1, (INT, None)) == [1, None]
    assert run("ARRAY", array(DOUBLE), 1, 2.5) == [1.0, 2.5]
    assert run("ARRAY", INTS) == []
    assert run("ROW", PAIR, 1, (STRING, None)) == (1, None)
    assert run("ROW", row(Field("a", INT)), (INT, None)) == (None,)
    assert run("MAP", PRICES, "a", 1, "b", (INT, None)) == {"a": 1.0, "b": None}


@pytest.mark.parametrize(("index", "expected"), [(1, 7), (2, None), (3, None), (99, None)])
def test_arrays_count_from_one_and_give_null_beyond(run, index, expected):
    assert run("ITEM", INT, (INTS, [7, None]), index) == expected


def test_a_constant_index_below_one_is_refused():
    with pytest.raises(ApplicationError, match="count from 1"):
        compile_expr(Call(INT, "ITEM", (ColumnRef(INTS, 0, "x"), Literal(INT, 0))))


def test_a_map_gives_null_for_a_key_it_does_not_have(run):
    assert run("ITEM", DOUBLE, (PRICES, {"a": 1.5}), "a") == 1.5
    assert run("ITEM", DOUBLE, (PRICES, {"a": 1.5}), "b") is None


def test_a_field_of_a_row(run):
    assert run("FIELD", STRING, (PAIR, (1, "x")), name="b") == "x"
    assert run("FIELD", INT, (PAIR, (None, "x")), name="a") is None
    assert run("FIELD", INT, (PAIR, None), name="a") is None
    with pytest.raises(ApplicationError, match="no field 'z'; it has a, b"):
        compile_expr(Call(INT, "FIELD", (ColumnRef(PAIR, 0, "r"),), (("name", "z"),)))


def test_nested_rows_and_arrays(run):
    rows = array(PAIR)
    assert run("ITEM", PAIR, (rows, [(1, "a"), (2, "b")]), 2) == (2, "b")
    assert run("CARDINALITY", INT, (rows, [(1, "a")])) == 1
    assert run("ARRAY", array(INTS), (INTS, [1]), (INTS, [2, 3])) == [[1], [2, 3]]


@pytest.mark.parametrize(
    ("values", "wanted", "expected"),
    [
        ([1, None], 1, True),
        ([1, None], 5, False),
        ([1, None], (INT, None), True),
        ([1, 2], (INT, None), False),
        (None, 1, None),
    ],
)
def test_array_contains(values, wanted, expected):
    kind, value = wanted if isinstance(wanted, tuple) else (INT, wanted)
    call = Call(BOOLEAN, "ARRAY_CONTAINS", (ColumnRef(INTS, 0, "x"), ColumnRef(kind, 1, "y")))
    assert evaluate_row(call, (values, value)) is expected


def test_element(run):
    assert run("ELEMENT", INT, (INTS, [7])) == 7
    assert run("ELEMENT", INT, (INTS, [])) is None
    assert run("ELEMENT", INT, (INTS, [7, 8])).startswith("failed: ELEMENT of an array of 2")


def test_cardinality(run):
    assert run("CARDINALITY", INT, (INTS, [1, 2])) == 2
    assert run("CARDINALITY", INT, (PRICES, {"a": 1.0})) == 1
    assert run("CARDINALITY", INT, (INTS, None)) is None


def test_rows_and_arrays_compare_by_content(run):
    assert run("=", BOOLEAN, (PAIR, (1, "x")), (PAIR, (1, "x"))) is True
    assert run("<>", BOOLEAN, (INTS, [1]), (INTS, [2])) is True
    assert run("ITEM", BIGINT, (array(BIGINT), [2**40]), 1) == 2**40
