"""Functions of dates, times, timestamps and intervals: what Flink 2.3 answers. Times are given and shown as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.functions import time_text
from nextpaint.process.functions.compile import Evaluation, compile_expr
from nextpaint.record import types as t
from nextpaint.record.columns import Column
from nextpaint.record.errors import ApplicationError
from nextpaint.sql.plan import Call, ColumnRef, Literal

DAY, HOUR = 86_400_000, 3_600_000


def ts(text):
    return (t.TIMESTAMP, time_text.read_timestamp(text))


def date(text):
    return (t.DATE, time_text.read_date(text))


TS, D = ts("2024-01-31 10:20:30.456"), date("2023-12-31")


def shown(type_, value):
    if value is None or isinstance(value, str):
        return value
    if type_.kind is t.Kind.DATE:
        return time_text.date_text(value)
    return time_text.time_text(value, 0) if type_.kind is t.Kind.TIME else time_text.timestamp_text(value, 3)


@pytest.mark.parametrize(
    ("function", "type_", "arguments", "expected"),
    [
        ("+", t.TIMESTAMP, (TS, (t.INTERVAL_YEAR, 1)), "2024-02-29 10:20:30.456"),
        ("-", t.TIMESTAMP, (TS, (t.INTERVAL_YEAR, 2)), "2023-11-30 10:20:30.456"),
        ("+", t.TIMESTAMP, (TS, (t.INTERVAL_DAY, DAY + 2 * HOUR + 184_500)), "2024-02-01 12:23:34.956"),
        ("+", t.TIMESTAMP, ((t.INTERVAL_DAY, 1000), TS), "2024-01-31 10:20:31.456"),
        ("-", t.TIMESTAMP, (TS, (t.INTERVAL_DAY, 1000)), "2024-01-31 10:20:29.456"),
        ("+", t.DATE, (D, (t.INTERVAL_DAY, DAY)), "2024-01-01"),
        ("+", t.DATE, (D, (t.INTERVAL_YEAR, 1)), "2024-01-31"),
        ("+", t.DATE, (D, (t.INTERVAL_DAY, 3 * HOUR)), "2023-12-31"),
        ("-", t.DATE, (D, (t.INTERVAL_DAY, DAY)), "2023-12-30"),
        ("+", t.TIME, ((t.TIME, 45_296_000), (t.INTERVAL_DAY, 13 * HOUR)), "01:34:56"),
        ("+", t.TIMESTAMP, (TS, (t.INTERVAL_DAY, None)), None),
    ],
)
def test_a_time_and_an_interval(run, function, type_, arguments, expected):
    assert shown(type_, run(function, type_, *arguments)) == expected


@pytest.mark.parametrize(
    ("function", "type_", "arguments", "expected"),
    [
        ("-", t.INTERVAL_DAY, (TS, ts("2024-01-01")), 30 * DAY + 37_230_456),
        ("-", t.INTERVAL_YEAR, (TS, ts("2023-01-01")), 12),
        ("+", t.INTERVAL_DAY, ((t.INTERVAL_DAY, DAY), (t.INTERVAL_DAY, 2 * HOUR)), 26 * HOUR),
        ("*", t.INTERVAL_DAY, ((t.INTERVAL_DAY, DAY), 2), 2 * DAY),
        ("*", t.INTERVAL_DAY, (2, (t.INTERVAL_DAY, DAY)), 2 * DAY),
        ("/", t.INTERVAL_DAY, ((t.INTERVAL_DAY, DAY), 2), DAY // 2),
        ("-", t.INTERVAL_DAY, ((t.INTERVAL_DAY, DAY),), -DAY),
    ],
)
def test_intervals(run, function, type_, arguments, expected):
    assert run(function, type_, *arguments) == expected


@pytest.mark.parametrize(
    ("unit", "count", "time", "type_", "expected"),
    [
        ("MONTH", 1, TS, t.TIMESTAMP, "2024-02-29 10:20:30.456"),
        ("MONTH", -2, TS, t.TIMESTAMP, "2023-11-30 10:20:30.456"),
        ("QUARTER", 1, TS, t.TIMESTAMP, "2024-04-30 10:20:30.456"),
        ("YEAR", 1, D, t.DATE, "2024-12-31"),
        ("WEEK", 1, D, t.DATE, "2024-01-07"),
        ("DAY", 1, D, t.DATE, "2024-01-01"),
        ("HOUR", 3, D, t.TIMESTAMP, "2023-12-31 03:00:00.000"),
        ("SECOND", (t.INT, None), TS, t.TIMESTAMP, None),
        ("SECONDS", 2, TS, t.TIMESTAMP, "2024-01-31 10:20:32.456"),
    ],
)
def test_timestampadd(run, unit, count, time, type_, expected):
    assert shown(type_, run("TIMESTAMPADD", type_, count, time, unit=unit)) == expected


@pytest.mark.parametrize(
    ("unit", "start", "end", "expected"),
    [
        ("MONTH", TS, ts("2024-02-29 10:20:30"), 0),
        ("MONTH", TS, ts("2024-02-29 10:20:31"), 1),
        ("MONTH", ts("2024-02-29"), TS, -1),
        ("MONTH", ts("2024-03-31"), ts("2024-02-29"), -1),
        ("MONTH", ts("2024-03-30"), ts("2024-02-29"), -1),
        ("MONTH", D, date("2024-02-29"), 2),
        ("MONTH", ts("2024-01-31"), ts("2024-02-29"), 1),
        ("YEAR", D, TS, 0),
        ("QUARTER", D, TS, 0),
        ("WEEK", D, TS, 4),
        ("DAY", D, TS, 31),
        ("DAY", TS, D, -31),
        ("HOUR", D, TS, 754),
        ("MINUTE", TS, D, -45260),
        ("SECOND", TS, D, -2715630),
    ],
)
def test_timestampdiff_truncates_toward_zero(run, unit, start, end, expected):
    assert run("TIMESTAMPDIFF", t.INT, start, end, unit=unit) == expected


@pytest.mark.parametrize(
    ("unit", "time", "expected"),
    [
        ("YEAR", TS, 2024),
        ("QUARTER", TS, 1),
        ("MONTH", TS, 1),
        ("WEEK", TS, 5),
        ("WEEK", D, 52),
        ("WEEK", date("2021-01-03"), 53),
        ("WEEK", date("2018-12-31"), 1),
        ("ISOYEAR", date("2018-12-31"), 2019),
        ("DAY", TS, 31),
        ("DOW", TS, 4),
        ("DOW", D, 1),
        ("DAYOFWEEK", D, 1),
        ("ISODOW", D, 7),
        ("ISOYEAR", D, 2023),
        ("DOY", TS, 31),
        ("HOUR", TS, 10),
        ("MINUTE", TS, 20),
        ("SECOND", TS, 30),
        ("MILLISECOND", TS, 456),
        ("MICROSECOND", TS, 456000),
        ("EPOCH", TS, 1706696430),
        ("DECADE", TS, 202),
        ("CENTURY", TS, 21),
        ("MILLENNIUM", TS, 3),
        ("HOUR", (t.TIME, 45_296_000), 12),
        ("YEAR", ts("1969-12-31 23:59:59.999"), 1969),
        ("SECOND", ts("1969-12-31 23:59:59.999"), 59),
    ],
)
def test_extract(run, unit, time, expected):
    assert run("EXTRACT", t.BIGINT, time, unit=unit) == expected


@pytest.mark.parametrize(
    ("function", "unit", "time", "expected"),
    [
        ("FLOOR_TIME", "SECOND", TS, "2024-01-31 10:20:30.000"),
        ("FLOOR_TIME", "HOUR", TS, "2024-01-31 10:00:00.000"),
        ("FLOOR_TIME", "DAY", TS, "2024-01-31 00:00:00.000"),
        ("FLOOR_TIME", "WEEK", TS, "2024-01-28 00:00:00.000"),
        ("FLOOR_TIME", "MONTH", TS, "2024-01-01 00:00:00.000"),
        ("FLOOR_TIME", "QUARTER", TS, "2024-01-01 00:00:00.000"),
        ("FLOOR_TIME", "YEAR", TS, "2024-01-01 00:00:00.000"),
        ("FLOOR_TIME", "DECADE", TS, "2020-01-01 00:00:00.000"),
        ("FLOOR_TIME", "CENTURY", TS, "2001-01-01 00:00:00.000"),
        ("CEIL_TIME", "SECOND", TS, "2024-01-31 10:20:31.000"),
        ("CEIL_TIME", "HOUR", TS, "2024-01-31 11:00:00.000"),
        ("CEIL_TIME", "HOUR", ts("2024-01-31 10:00:00"), "2024-01-31 10:00:00.000"),
        ("CEIL_TIME", "DAY", TS, "2024-02-01 00:00:00.000"),
        ("CEIL_TIME", "WEEK", TS, "2024-02-04 00:00:00.000"),
        ("CEIL_TIME", "MONTH", TS, "2024-02-01 00:00:00.000"),
        ("CEIL_TIME", "QUARTER", TS, "2024-04-01 00:00:00.000"),
        ("CEIL_TIME", "YEAR", TS, "2025-01-01 00:00:00.000"),
        ("FLOOR_TIME", "MONTH", D, "2023-12-01"),
        ("FLOOR_TIME", "WEEK", D, "2023-12-31"),
        ("CEIL_TIME", "MONTH", D, "2024-01-01"),
        ("CEIL_TIME", "YEAR", D, "2024-01-01"),
    ],
)
def test_floor_and_ceil(run, function, unit, time, expected):
    assert shown(time[0], run(function, time[0], time, unit=unit)) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("2024-01-02 03:04:05",), "2024-01-02 03:04:05.000"),
        (("2024-01-02 03:04:05.123456",), "2024-01-02 03:04:05.123"),
        (("2024-01-02",), "2024-01-02 00:00:00.000"),
        (("2024-01-02T03:04:05",), None),
        (("2024-01-02 03:04",), None),
        (("2024-02-30 03:04:05",), "2024-02-29 03:04:05.000"),
        (("bad",), None),
        (("2024-01-02 24:00:00",), "2024-01-03 00:00:00.000"),
        (("2024-01-02 24:00:01",), None),
        (("2024-01-02 03:04:05", "dd/MM/yyyy"), "2024-01-02 03:04:05.000"),
        (("24-01-02", "yy-MM-dd"), "2024-01-02 00:00:00.000"),
        (("02/01/2024 3:04 PM", "dd/MM/yyyy h:mm a"), "2024-01-02 15:04:00.000"),
        (("02/01/2024", "dd/MM/yyyy"), "2024-01-02 00:00:00.000"),
        (("2024-01-02T03:04:05.678", "yyyy-MM-dd'T'HH:mm:ss.SSS"), "2024-01-02 03:04:05.678"),
        (("2024-01-02T03:04:05.678Z", "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"), "2024-01-02 03:04:05.678"),
        (("2024-01-02T03:04:05.678Z", "yyyy-MM-dd'T'HH:mm:ss.SSSX"), "2024-01-02 03:04:05.678"),
        (("20240102", "yyyyMMdd"), "2024-01-02 00:00:00.000"),
        (("2024-1-2", "yyyy-M-d"), "2024-01-02 00:00:00.000"),
        (("2024-1-2", "yyyy-MM-dd"), "2024-01-02 00:00:00.000"),
        (("2024-01-02 extra", "yyyy-MM-dd"), None),
        (("5 Mar 2024", "d MMM yyyy"), "2024-03-05 00:00:00.000"),
    ],
)
def test_to_timestamp(run, arguments, expected):
    assert shown(t.TIMESTAMP, run("TO_TIMESTAMP", t.TIMESTAMP, *arguments)) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((1700000000, 0), "2023-11-14 22:13:20.000"),
        (((t.BIGINT, 1700000000123), 3), "2023-11-14 22:13:20.123"),
        ((1700000000.123, 0), "2023-11-14 22:13:20.122"),
        (("2024-01-02 03:04:05",), "2024-01-02 03:04:05.000"),
    ],
)
def test_to_timestamp_ltz(run, arguments, expected):
    assert shown(t.TIMESTAMP, run("TO_TIMESTAMP_LTZ", t.TIMESTAMP_LTZ, *arguments)) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("2024-01-02",), "2024-01-02"),
        (("02.01.2024", "dd.MM.yyyy"), "2024-01-02"),
        (("bad",), None),
        (("2024-02-30",), None),
        (("2024-1-2",), "2024-01-02"),
    ],
)
def test_to_date(run, arguments, expected):
    assert shown(t.DATE, run("TO_DATE", t.DATE, *arguments)) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("yyyy-MM-dd HH:mm:ss.SSS", "2024-01-31 10:20:30.456"),
        ("yyyy-MM-dd'T'HH:mm", "2024-01-31T10:20"),
        ("EEE, d MMM yy h:mm a", "Wed, 31 Jan 24 10:20 AM"),
        ("EEEE MMMM D u", "Wednesday January 31 2024"),
        ("yyyyMMddHH", "2024013110"),
        ("S SS SSSS k K Q", "4 45 4560 10 10 1"),
        ("yyyy-MM-dd HH:mm:ss.SSSSSS", "2024-01-31 10:20:30.456000"),
        ("h 'o''clock'", "10 o'clock"),
    ],
)
def test_date_format(run, pattern, expected):
    assert run("DATE_FORMAT", t.STRING, TS, pattern) == expected


def test_date_format_reads_text_too(run):
    assert run("DATE_FORMAT", t.STRING, "2024-01-02 03:04:05", "yyyy/MM/dd") == "2024/01/02"


@pytest.mark.parametrize("pattern", ["yyyy-WW", "'open"])
def test_a_pattern_that_is_not_known_is_refused_when_compiled(pattern):
    for function, type_ in (("DATE_FORMAT", t.STRING), ("TO_TIMESTAMP", t.TIMESTAMP)):
        with pytest.raises(ApplicationError, match="pattern"):
            compile_expr(Call(type_, function, (ColumnRef(t.STRING, 0, "s"), Literal(t.STRING, pattern))))


def test_the_clock_is_the_ledgers_per_row(run):
    for function, type_ in (("CURRENT_TIMESTAMP", t.TIMESTAMP_LTZ), ("PROCTIME", t.TIMESTAMP_LTZ)):
        assert run(function, type_, at_ms=TS[1]) == TS[1]
    assert run("CURRENT_DATE", t.DATE, at_ms=TS[1]) == TS[1] // DAY
    per_row = Column.of(t.BIGINT, [5, 6]).values
    column = compile_expr(Call(t.TIMESTAMP_LTZ, "CURRENT_TIMESTAMP", ()))(Evaluation((), 2, per_row))
    assert column.to_list() == [5, 6]


MS = st.integers(-60_000_000_000_000, 250_000_000_000_000)


def _one(function, type_, *arguments, **options):
    literals = tuple(ColumnRef(kind, index, "x") for index, (kind, _) in enumerate(arguments))
    columns = tuple(Column.of(kind, [value]) for kind, value in arguments)
    return compile_expr(Call(type_, function, literals, tuple(options.items())))(Evaluation(columns, 1)).to_list()[0]


@given(MS, st.integers(-500, 500))
def test_months_between_undoes_adding_months(ms, months):
    later = _one("+", t.TIMESTAMP, (t.TIMESTAMP, ms), (t.INTERVAL_YEAR, months))
    found = _one("TIMESTAMPDIFF", t.INT, (t.TIMESTAMP, ms), (t.TIMESTAMP, later), unit="MONTH")
    clamped = time_text.civil(ms // DAY).day != time_text.civil(later // DAY).day
    assert found == months or (clamped and abs(found - months) <= 1)


@given(MS, st.sampled_from(["SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR", "CENTURY"]))
def test_a_time_lies_between_its_floor_and_its_ceil(ms, unit):
    low = _one("FLOOR_TIME", t.TIMESTAMP, (t.TIMESTAMP, ms), unit=unit)
    high = _one("CEIL_TIME", t.TIMESTAMP, (t.TIMESTAMP, ms), unit=unit)
    assert low <= ms <= high and (low == high) == (low == ms)
    assert _one("FLOOR_TIME", t.TIMESTAMP, (t.TIMESTAMP, low), unit=unit) == low


@given(MS)
def test_fields_agree_with_the_standard_library(ms):
    day = time_text.civil(ms // DAY)
    year, week, weekday = day.isocalendar()
    expected = {
        "YEAR": day.year,
        "MONTH": day.month,
        "DAY": day.day,
        "DOY": day.timetuple().tm_yday,
        "WEEK": week,
        "ISOYEAR": year,
        "ISODOW": weekday,
        "DOW": weekday % 7 + 1,
    }
    for unit, value in expected.items():
        assert _one("EXTRACT", t.BIGINT, (t.TIMESTAMP, ms), unit=unit) == value
