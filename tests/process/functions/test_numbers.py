"""Arithmetic and mathematical functions: what Flink 2.3 answers."""

import math
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.functions.compile import Evaluation, compile_expr
from nextpaint.process.kernels import exact_math
from nextpaint.record.columns import Column
from nextpaint.record.types import BIGINT, DOUBLE, FLOAT, INT, SMALLINT, TINYINT, decimal
from nextpaint.sql.plan import Call, ColumnRef

NAN, INF = math.nan, math.inf
F01 = (FLOAT, 0.10000000149011612)  # the FLOAT nearest to 0.1


@pytest.mark.parametrize(
    ("function", "type_", "arguments", "expected"),
    [
        ("+", INT, (2147483647, 1), -2147483648),
        ("+", TINYINT, ((TINYINT, 127), (TINYINT, 1)), -128),
        ("+", SMALLINT, ((TINYINT, 127), (SMALLINT, 32767)), -32642),
        ("+", BIGINT, ((BIGINT, 2**63 - 1), (BIGINT, 1)), -(2**63)),
        ("*", INT, (65536, 65537), 65536),
        ("-", INT, (-2147483648, 1), 2147483647),
        ("-", INT, (5,), -5),
        ("-", DOUBLE, (5.5,), -5.5),
        ("+", INT, (5,), 5),
        ("/", INT, (-5, 2), -2),
        ("/", INT, (5, -2), -2),
        ("/", INT, (-2147483648, -1), -2147483648),
        ("/", BIGINT, ((BIGINT, -(2**63)), -1), -(2**63)),
        ("/", BIGINT, ((BIGINT, 2**63 - 1), 2), 2**62 - 1),
        ("%", INT, (-7, 3), -1),
        ("%", INT, (7, -3), 1),
        ("MOD", BIGINT, ((BIGINT, -(2**63)), -1), 0),
        ("/", DOUBLE, (2.5, 0.0), INF),
        ("/", DOUBLE, (-2.5, 0.0), -INF),
        ("/", DOUBLE, (0.0, 0.0), NAN),
        ("*", DOUBLE, (1e308, 10.0), INF),
        ("*", DOUBLE, (2.5, 100000000), 2.5e8),
        ("*", DOUBLE, (D("1.50"), 2.5), 3.75),
        ("+", FLOAT, (1, F01), 1.100000023841858),
        ("*", FLOAT, (F01, 3), 0.30000001192092896),
        ("/", FLOAT, (F01, 3), 0.03333333507180214),
        ("*", FLOAT, ((FLOAT, 3e38), 10), INF),
    ],
)
def test_arithmetic(run, function, type_, arguments, expected):
    found = run(function, type_, *arguments)
    assert repr(found) == repr(expected)


@pytest.mark.parametrize(
    ("function", "type_", "arguments", "expected"),
    [
        ("/", decimal(26, 13), (D("1.50"), 3), "0.5000000000000"),
        ("/", decimal(23, 13), (D("7.00"), D("3.00")), "2.3333333333333"),
        ("*", decimal(21, 2), (D("1.50"), 1), "1.50"),
        ("*", decimal(17, 5), (D("12.34"), D("1.001")), "12.35234"),
        ("+", decimal(13, 2), (D("1.50"), 1), "2.50"),
        ("-", decimal(13, 2), (1, D("1.50")), "-0.50"),
        ("-", decimal(3, 2), (D("1.50"),), "-1.50"),
        ("%", decimal(2, 1), (D("-7.5"), 2), "-1.5"),
        ("ABS", decimal(3, 2), (D("-1.50"),), "1.50"),
        ("SIGN", decimal(10, 2), (D("1.50"),), "1.00"),
        ("FLOOR", decimal(2, 0), (D("-1.5"),), "-2"),
        ("CEIL", decimal(11, 0), (D("1.50"),), "2"),
        ("ROUND", decimal(4, 1), (D("1.25"), 1), "1.3"),
        ("ROUND", decimal(4, 0), (D("-2.50"),), "-3"),
        ("TRUNCATE", decimal(4, 2), (D("-1.259"), 2), "-1.25"),
    ],
)
def test_decimals_keep_the_scale_of_their_type(run, function, type_, arguments, expected):
    assert str(run(function, type_, *arguments)) == expected


@pytest.mark.parametrize(
    ("function", "type_", "arguments"),
    [
        ("/", INT, (1, 0)),
        ("%", INT, (1, 0)),
        ("/", decimal(10, 2), (D("1.50"), 0)),
        ("%", decimal(10, 2), (D("1.50"), D("0.0"))),
    ],
)
def test_an_exact_division_by_zero_fails_the_row(run, function, type_, arguments):
    assert run(function, type_, *arguments) == "failed: division by zero"


def test_a_decimal_beyond_its_type_fails_the_row(run):
    nines = (decimal(38, 0), D(10) ** 38 - 1)
    assert run("+", decimal(38, 0), nines, 1).startswith("failed: 1")
    assert "outside DECIMAL(38, 0)" in run("*", decimal(38, 0), nines, 10)


@pytest.mark.parametrize(
    ("function", "type_", "arguments", "expected"),
    [
        ("ROUND", DOUBLE, (2.5,), 3.0),
        ("ROUND", DOUBLE, (-2.5,), -3.0),
        ("ROUND", DOUBLE, (0.49999999999999994,), 0.0),
        ("ROUND", DOUBLE, (4503599627370497.0,), 4503599627370497.0),
        ("ROUND", DOUBLE, (1.005, 2), 1.01),
        ("ROUND", DOUBLE, (2500.0, -2), 2500.0),
        ("ROUND", DOUBLE, (NAN, 2), NAN),
        ("ROUND", DOUBLE, (INF,), INF),
        ("ROUND", INT, (1234, -2), 1200),
        ("ROUND", INT, (1250, -2), 1300),
        ("ROUND", INT, (-1250, -2), -1300),
        ("TRUNCATE", DOUBLE, (-2.5,), -2.0),
        ("TRUNCATE", DOUBLE, (1.999, 2), 1.99),
        ("TRUNCATE", INT, (1299, -2), 1200),
        ("FLOOR", DOUBLE, (-2.5,), -3.0),
        ("FLOOR", INT, (5,), 5),
        ("CEIL", DOUBLE, (2.1,), 3.0),
        ("SIGN", DOUBLE, (-2.5,), -1.0),
        ("SIGN", INT, (-5,), -1),
        ("ABS", INT, (-2147483648,), -2147483648),
        ("ABS", DOUBLE, (-2.5,), 2.5),
        ("POWER", DOUBLE, (2, 10), 1024.0),
        ("POWER", DOUBLE, (2.5, D("0.5")), 1.5811388300841898),
        ("POWER", DOUBLE, (-8.0, 1 / 3), NAN),
        ("POWER", DOUBLE, (D("1.50"), 2), 2.25),
        ("EXP", DOUBLE, (1,), 2.718281828459045),
        ("LN", DOUBLE, (2.718281828459045,), 1.0),
        ("LN", DOUBLE, (0,), -INF),
        ("LN", DOUBLE, (-1,), NAN),
        ("LOG10", DOUBLE, (1000,), 3.0),
        ("LOG2", DOUBLE, (8,), 3.0),
        ("LOG", DOUBLE, (2, 8), 3.0),
        ("LOG", DOUBLE, (8,), 2.0794415416798357),
        ("LOG", DOUBLE, (10, 1000), 2.9999999999999996),
        ("SQRT", DOUBLE, (2,), 1.4142135623730951),
        ("SQRT", DOUBLE, (-1.0,), NAN),
        ("SQRT", DOUBLE, (D("1.50"),), 1.224744871391589),
    ],
)
def test_functions(run, function, type_, arguments, expected):
    assert repr(run(function, type_, *arguments)) == repr(expected)


def _column(function, type_, *columns):
    refs = tuple(ColumnRef(kind, index, "x") for index, (kind, _) in enumerate(columns))
    ev = Evaluation(tuple(Column.of(kind, cells) for kind, cells in columns), len(columns[0][1]))
    return compile_expr(Call(type_, function, refs))(ev).to_list(), ev.failures.rows


BIG = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(BIG, BIG), min_size=1))
def test_bigint_arithmetic_is_javas(pairs):
    x, y = [list(side) for side in zip(*pairs, strict=True)]
    for function, exact in (("+", lambda a, b: a + b), ("-", lambda a, b: a - b), ("*", lambda a, b: a * b)):
        found, failed = _column(function, BIGINT, (BIGINT, x), (BIGINT, y))
        assert found == [(exact(a, b) + 2**63) % 2**64 - 2**63 for a, b in pairs] and not failed
    quotients, failed = _column("/", BIGINT, (BIGINT, x), (BIGINT, y))
    remainders, _ = _column("%", BIGINT, (BIGINT, x), (BIGINT, y))
    for row, (a, b) in enumerate(pairs):
        if b == 0:
            assert quotients[row] is None and remainders[row] is None and row in failed
        else:
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            assert quotients[row] == (quotient + 2**63) % 2**64 - 2**63
            assert remainders[row] == a - quotient * b


@given(st.lists(st.floats(), min_size=1, max_size=40))
def test_functions_of_doubles_use_the_exact_kernels(values):
    for function, kernel in (("EXP", exact_math.exp), ("LN", exact_math.log), ("LOG10", exact_math.log10)):
        found, failed = _column(function, DOUBLE, (DOUBLE, values))
        assert repr(found) == repr([kernel(value) for value in values]) and not failed
