"""CAST and TRY_CAST: what Flink 2.3 answers."""

import math
import struct
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.functions import number_text, time_text
from nextpaint.process.functions.compile import compile_expr
from nextpaint.record import types as t
from nextpaint.record.errors import ApplicationError
from nextpaint.sql.plan import Call, ColumnRef

DAY = 86_400_000
TS = 1_706_696_430_456  # 2024-01-31 10:20:30.456
D42 = t.decimal(4, 2)
TIMESTAMP6 = t.Type(t.Kind.TIMESTAMP, precision=6)
TIMESTAMP0 = t.Type(t.Kind.TIMESTAMP, precision=0)
TIME3 = t.Type(t.Kind.TIME, precision=3)
VARCHAR3 = t.Type(t.Kind.STRING, length=3)
ROW = t.row(t.Field("a", t.INT), t.Field("b", t.STRING))


@pytest.mark.parametrize(
    ("text", "type_", "expected"),
    [
        (" 12 ", t.INT, 12),
        ("+5", t.INT, 5),
        ("1.5", t.INT, 1),
        ("-1.9", t.INT, -1),
        (".5", t.INT, 0),
        ("5.", t.INT, 5),
        ("1e3", t.INT, None),
        ("3000000000", t.INT, None),
        ("3000000000", t.BIGINT, 3000000000),
        ("128", t.TINYINT, None),
        ("", t.INT, None),
        (".", t.INT, None),
        ("0x10", t.INT, None),
        ("1_0", t.INT, None),
        ("1 0", t.INT, None),
        ("1.x", t.INT, None),
        ("9" * 5000, t.BIGINT, None),
        ("t", t.BOOLEAN, True),
        ("Yes", t.BOOLEAN, True),
        ("1", t.BOOLEAN, True),
        ("n", t.BOOLEAN, False),
        (" true ", t.BOOLEAN, None),
        ("on", t.BOOLEAN, None),
        ("1.5f", t.DOUBLE, 1.5),
        ("1.5d", t.DOUBLE, 1.5),
        (" 1e3 ", t.DOUBLE, 1000.0),
        ("Infinity", t.DOUBLE, math.inf),
        ("inf", t.DOUBLE, None),
        ("1_0", t.DOUBLE, None),
        ("1e400", t.DOUBLE, math.inf),
        ("0.1", t.FLOAT, 0.10000000149011612),
        (" 1.239 ", D42, D("1.24")),
        ("12345.678", D42, None),
        ("abc", D42, None),
        ("NaN", D42, None),
        ("2024-02-30", t.DATE, None),
        ("2024-2-3", t.DATE, 19756),
        ("2024-02-03 10:00:00", t.DATE, 19756),
        (" 2024-02-03 ", t.DATE, 19756),
        ("2024", t.DATE, 19723),
        ("2024-02", t.DATE, 19754),
        ("12:34:56", t.TIME, 45_296_000),
        ("12:34:56.789", TIME3, 45_296_789),
        ("12:34:56.789", t.TIME, 45_296_000),
        ("2024-01-31 10:20:30.456", TIMESTAMP0, TS - 456),
        ("12:34", t.TIME, 45_240_000),
        ("24:00:00", t.TIME, None),
        ("2024-01-31 10:20:30.456", t.TIMESTAMP, TS),
        ("2024-01-31 10:20:30.4567", t.TIMESTAMP, TS),
        ("2024-01-31 10:20:30", t.TIMESTAMP, TS - 456),
        ("2024-1-31 10:20:30", t.TIMESTAMP_LTZ, TS - 456),
        ("2024-01-31", t.TIMESTAMP, TS // DAY * DAY),
        ("2024-01-31 10:20", t.TIMESTAMP, None),
        ("2024-01-31T10:20:30", t.TIMESTAMP, None),
        ("2024-01-31 10:20:30Z", t.TIMESTAMP, None),
        (" 2024-01-31 10:20:30", t.TIMESTAMP, None),
        ("2024-01-31 25:20:30", t.TIMESTAMP, None),
        ("é", t.BYTES, b"\xc3\xa9"),
        ("abcdef", VARCHAR3, "abc"),
    ],
)
def test_text_is_read_or_the_row_fails(run, text, type_, expected):
    assert repr(run("TRY_CAST", type_, text)) == repr(expected)
    if expected is None:
        assert run("CAST", type_, text).startswith("failed: ")
    else:
        assert repr(run("CAST", type_, text)) == repr(expected)


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        (t.BOOLEAN, True, "TRUE"),
        (t.INT, -5, "-5"),
        (t.DOUBLE, 1.0, "1.0"),
        (t.DOUBLE, 12345678.9, "1.23456789E7"),
        (t.DOUBLE, 1e7, "1.0E7"),
        (t.DOUBLE, 9999999.0, "9999999.0"),
        (t.DOUBLE, 0.0025, "0.0025"),
        (t.DOUBLE, 2.5e-4, "2.5E-4"),
        (t.DOUBLE, 2.5e21, "2.5E21"),
        (t.DOUBLE, -0.0, "-0.0"),
        (t.DOUBLE, math.nan, "NaN"),
        (t.DOUBLE, -math.inf, "-Infinity"),
        (t.DOUBLE, 5e-324, "5.0E-324"),
        (t.FLOAT, 0.10000000149011612, "0.1"),
        (t.FLOAT, 16777216.0, "1.6777216E7"),
        (t.decimal(4, 3), D("1.500"), "1.500"),
        (t.decimal(10, 8), D("0.00000010"), "0.00000010"),
        (t.DATE, 19722, "2023-12-31"),
        (t.TIME, 45_296_000, "12:34:56"),
        (TIME3, 45_296_789, "12:34:56.789"),
        (t.TIMESTAMP, TS, "2024-01-31 10:20:30.456"),
        (t.TIMESTAMP, TS - 456, "2024-01-31 10:20:30.000"),
        (TIMESTAMP0, TS - 456, "2024-01-31 10:20:30"),
        (TIMESTAMP6, TS, "2024-01-31 10:20:30.456000"),
        (t.TIMESTAMP_LTZ, -1, "1969-12-31 23:59:59.999"),
        (t.INTERVAL_DAY, DAY, "+1 00:00:00.000"),
        (t.INTERVAL_DAY, -DAY - 1, "-1 00:00:00.001"),
        (t.INTERVAL_YEAR, 14, "+1-02"),
        (t.BYTES, b"A\xff", "A�"),
        (t.array(t.INT), [1, 2, None], "[1, 2, NULL]"),
        (t.array(t.DOUBLE), [2.5, 1e7], "[2.5, 1.0E7]"),
        (t.mapping(t.STRING, t.INT), {"a": 1, "b": None}, "{a=1, b=NULL}"),
        (ROW, (1, "x"), "(1, x)"),
        (t.array(ROW), [(1, "a")], "[(1, a)]"),
    ],
)
def test_how_values_are_written(run, source, value, expected):
    assert run("CAST", t.STRING, (source, value)) == expected


@pytest.mark.parametrize(
    ("source", "value", "target", "expected"),
    [
        (t.DOUBLE, 2.5e20, t.INT, 2147483647),
        (t.DOUBLE, -2.5e20, t.BIGINT, -(2**63)),
        (t.DOUBLE, 9.3e18, t.BIGINT, 2**63 - 1),
        (t.DOUBLE, 2500.0, t.TINYINT, -60),
        (t.DOUBLE, math.nan, t.INT, 0),
        (t.DOUBLE, -2.9, t.INT, -2),
        (t.DOUBLE, 0.0, t.BOOLEAN, False),
        (t.INT, 300, t.TINYINT, 44),
        (t.BIGINT, 5_000_000_000, t.INT, 705032704),
        (t.BIGINT, 16777217, t.FLOAT, 16777216.0),
        (t.INT, 5, t.BOOLEAN, True),
        (t.INT, 5, D42, D("5.00")),
        (t.BOOLEAN, True, t.INT, 1),
        (t.BOOLEAN, True, t.decimal(3, 1), D("1.0")),
        (t.decimal(16, 2), D("15000000000000.00"), t.INT, 1974202368),
        (t.decimal(3, 2), D("-1.99"), t.INT, -1),
        (t.decimal(3, 2), D("-0.05"), t.decimal(3, 1), D("-0.1")),
        (t.decimal(3, 2), D("1.50"), t.DOUBLE, 1.5),
        (t.DOUBLE, 2.25, t.decimal(5, 1), D("2.3")),
        (t.DOUBLE, 2.675, t.decimal(5, 2), D("2.68")),
        (t.FLOAT, 0.10000000149011612, t.decimal(10, 5), D("0.10000")),
        (t.FLOAT, 0.10000000149011612, t.DOUBLE, 0.10000000149011612),
        (t.DOUBLE, 1e39, t.FLOAT, math.inf),
        (t.TIMESTAMP, TS, t.DATE, 19753),
        (t.TIMESTAMP, -1, t.DATE, -1),
        (t.TIMESTAMP, TS, t.TIME, 37_230_000),
        (t.TIMESTAMP, TS, TIME3, 37_230_456),
        (t.TIMESTAMP, TS, TIMESTAMP0, TS - 456),
        (t.TIMESTAMP, TS, TIMESTAMP6, TS),
        (t.TIMESTAMP, TS, t.TIMESTAMP_LTZ, TS),
        (t.DATE, 19722, t.TIMESTAMP, 19722 * DAY),
        (t.TIME, 45_296_000, t.TIMESTAMP, 45_296_000),
        (t.STRING, "abcdef", VARCHAR3, "abc"),
        (t.INT, 12345, VARCHAR3, "123"),
        (t.array(t.INT), [1, None], t.array(t.STRING), ["1", None]),
        (t.mapping(t.STRING, t.INT), {"a": 1}, t.mapping(t.STRING, t.DOUBLE), {"a": 1.0}),
        (ROW, (1, "2"), t.row(t.Field("x", t.STRING), t.Field("y", t.INT)), ("1", 2)),
    ],
)
def test_conversions(run, source, value, target, expected):
    assert repr(run("CAST", target, (source, value))) == repr(expected)
    assert repr(run("TRY_CAST", target, (source, value))) == repr(expected)


def test_a_number_too_large_for_a_decimal_is_null_as_in_flink(run):
    for source, value in [(t.decimal(10, 2), D("1500.00")), (t.DOUBLE, math.inf), (t.BIGINT, 100)]:
        assert run("CAST", D42, (source, value)) is None
        assert run("TRY_CAST", D42, (source, value)) is None


def test_what_does_not_fit_fails_the_row_and_try_cast_gives_null(run):
    for source, value, target in [
        (t.TIMESTAMP, 2**62, t.STRING),
        (ROW, (1, "x"), t.row(t.Field("x", t.STRING), t.Field("y", t.INT))),
    ]:
        assert run("CAST", target, (source, value)).startswith("failed: ")
        assert run("TRY_CAST", target, (source, value)) is None


def test_null_is_null_of_every_type(run):
    for target in (t.INT, t.STRING, D42, t.TIMESTAMP, ROW):
        assert run("CAST", target, None) is None


@pytest.mark.parametrize(
    ("source", "target"),
    [(t.INT, t.DATE), (t.DATE, t.INT), (t.BOOLEAN, t.DATE), (t.array(t.INT), t.INT), (ROW, t.row(t.Field("a", t.INT)))],
)
def test_a_cast_that_does_not_exist_is_refused_when_compiled(source, target):
    with pytest.raises(ApplicationError, match="cannot be cast"):
        compile_expr(Call(target, "CAST", (ColumnRef(source, 0, "x"),)))


@given(st.floats(allow_nan=False))
def test_a_written_double_reads_back(value):
    text = number_text.double_text(value)
    assert struct.pack("d", number_text.read_double(text)) == struct.pack("d", value)


@given(st.floats(width=32, allow_nan=False))
def test_a_written_float_reads_back(value):
    assert struct.pack("f", number_text.read_double(number_text.float_text(value))) == struct.pack("f", value)


@given(st.integers(-62135596800000, 253402300799999))
def test_a_written_timestamp_reads_back(ms):
    assert time_text.read_timestamp(time_text.timestamp_text(ms, 3)) == ms


@given(st.text(max_size=30))
def test_hostile_text_is_read_or_refused(text):
    for read in (time_text.read_date, time_text.read_time, time_text.read_timestamp, number_text.read_double):
        try:
            read(text)
        except number_text.Failed:
            continue
