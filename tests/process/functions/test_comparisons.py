"""Comparisons: types are brought together, NULL is neither true nor false."""

import math
from decimal import Decimal as D

import pytest

from nextpaint.record.types import BIGINT, BOOLEAN, DATE, DOUBLE, FLOAT, INT, STRING, TIMESTAMP, array, decimal

DAY = 86_400_000
OPERATORS = ("=", "<>", "<", "<=", ">", ">=")


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        (1, 2, -1),
        (2, 2, 0),
        ((BIGINT, 2**53 + 1), (BIGINT, 2**53), 1),
        (1, 1.5, -1),
        (D("1.50"), 1.5, 0),
        (D("1.50"), D("1.5"), 0),
        (D("1.50"), 1, 1),
        ((FLOAT, 0.10000000149011612), 0.1, 1),
        ("a", "b", -1),
        ("a ", "a", 1),
        ("é", "z", 1),
        (b"a", b"b", -1),
        (True, False, 1),
        ((TIMESTAMP, DAY), "1970-01-02 00:00:00", 0),
        ((DATE, 1), "1970-01-02", 0),
        ((TIMESTAMP, DAY + 1), (DATE, 1), 1),
    ],
)
def test_order(run, left, right, order):
    expected = {"=": order == 0, "<>": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}
    for name in OPERATORS:
        assert run(name, BOOLEAN, left, right) is expected[name]


@pytest.mark.parametrize("name", OPERATORS)
def test_a_comparison_with_null_is_null(run, name):
    assert run(name, BOOLEAN, 1, None) is None
    assert run(name, BOOLEAN, (INT, None), 1) is None
    assert run(name, BOOLEAN, (STRING, None), "a") is None
    assert run(name, BOOLEAN, "a", (STRING, None)) is None


def test_nan_equals_nothing(run):
    assert run("=", BOOLEAN, math.nan, math.nan) is False


def test_distinct_is_never_null(run):
    null = (INT, None)
    assert run("IS DISTINCT FROM", BOOLEAN, null, 1) is True
    assert run("IS DISTINCT FROM", BOOLEAN, null, null) is False
    assert run("IS NOT DISTINCT FROM", BOOLEAN, 1, 1) is True
    assert run("IS NOT DISTINCT FROM", BOOLEAN, "a", (STRING, None)) is False


@pytest.mark.parametrize(
    ("value", "options", "expected"),
    [
        (1, (1, 2), True),
        (3, (1, 2), False),
        (1, (2, None), None),
        (1, (1, None), True),
        ((INT, None), (1,), None),
        (1, (D("1.0"), 2), True),
        (0.1, (D("0.1"), 2), True),
        (1, (1.0, D("2.5"), 7), True),
        ("a", ("b", "a"), True),
        ("a", ("b", (STRING, None)), None),
        (D("1.50"), (1, D("1.5")), True),
        ((array(INT), [1]), ((array(INT), [1]),), True),
        ((TIMESTAMP, DAY), ("1970-01-02", "1970-01-03"), True),
    ],
)
def test_in(run, value, options, expected):
    assert run("IN", BOOLEAN, value, *options) is expected


def test_between(run):
    assert run("BETWEEN", BOOLEAN, 2, 1, 3) is True
    assert run("BETWEEN", BOOLEAN, 1, 2, (INT, None)) is False
    assert run("BETWEEN", BOOLEAN, 2, 1, (INT, None)) is None


@pytest.mark.parametrize(
    ("function", "type_", "arguments", "expected"),
    [
        ("GREATEST", INT, (1, 3, 2), 3),
        ("GREATEST", decimal(11, 1), (1, D("2.5"), (INT, None)), None),
        ("GREATEST", STRING, ("a", "b"), "b"),
        ("LEAST", decimal(11, 1), (1, D("2.5")), D("1.0")),
        ("LEAST", DOUBLE, (1, 0.5), 0.5),
        ("GREATEST", DOUBLE, (2.5, math.nan), math.nan),
        ("GREATEST", DOUBLE, (math.nan, 2.5), math.nan),
        ("LEAST", DOUBLE, (math.nan, 2.5), 2.5),
    ],
)
def test_greatest_and_least_are_null_with_a_null(run, function, type_, arguments, expected):
    assert repr(run(function, type_, *arguments)) == repr(expected)
