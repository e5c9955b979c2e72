"""Aggregates of personalization: most frequent values, distinct counts and quantiles within bounded memory."""

from __future__ import annotations

import math
import random
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process import frequent, moments, quantiles
from nextpaint.process.aggregates import aggregate_function
from nextpaint.record.types import BIGINT, DOUBLE, STRING, decimal
from nextpaint.sql.plan import Aggregate
from nextpaint.sql.planner import plan_program
from tests.process.harness import cut, records, reloaded, runner_of, table, whole

SQL = """
    CREATE TABLE t (k STRING, item STRING, x DOUBLE, ts TIMESTAMP(3), WATERMARK FOR ts AS ts);
    CREATE TABLE facts (k STRING, best ARRAY<ROW<item STRING, n BIGINT>>, d BIGINT, q DOUBLE, dev DOUBLE,
      PRIMARY KEY (k) NOT ENFORCED);
    INSERT INTO facts SELECT k, TOP_N_COUNTS(item, 3), APPROX_COUNT_DISTINCT(item), APPROX_QUANTILE(x, 0.9),
      STDDEV_SAMP(x) FROM t GROUP BY k;
"""


def test_a_group_keeps_its_sketches_whatever_the_cuts() -> None:
    chance = random.Random(1)
    rows: list[tuple[str, dict[str, Any]]] = [
        (
            "t",
            {"k": chance.choice("ab"), "item": f"i{int(chance.paretovariate(1))}", "x": chance.gauss(50, 9), "ts": at},
        )
        for at in range(600)
    ]

    def make():
        return runner_of(plan_program([("sketches.sql", SQL)], {}))

    one = make()
    whole(one, records(rows))
    for k in "ab":
        mine = [row for _, row in rows if row["k"] == k]
        _, best, distinct, q, dev = table(one, "facts")[(k,)]
        counted = Counter(row["item"] for row in mine)
        assert [tuple(each)[1] for each in best] == [n for _, n in counted.most_common(3)]
        assert abs(distinct - len(counted)) <= 0.03 * len(counted)
        xs = sorted(row["x"] for row in mine)
        exact = xs[math.floor(0.9 * (len(xs) - 1))]
        assert abs(q - exact) <= 0.011 * exact
        mean = sum(xs) / len(xs)
        assert math.isclose(dev, math.sqrt(sum((x - mean) ** 2 for x in xs) / (len(xs) - 1)), rel_tol=1e-9)
    other = reloaded(make(), make)
    cut(other, records(rows)[:300], 3)
    other = reloaded(other, make)
    cut(other, records(rows)[300:], 4)
    assert other.state.hash() == one.state.hash()


@given(st.lists(st.integers(0, 500), max_size=1_000), st.integers(1, 5))
def test_frequent_values_are_found_and_never_counted_too_low(values: list[int], n: int) -> None:
    acc: frequent.Counts = ()
    for value in values:
        acc = frequent.add(acc, value, n)
    exact = Counter(values)
    found = dict(acc)
    assert len(found) <= frequent.kept(n)
    for value, count in exact.items():
        if count > len(values) / frequent.kept(n):
            assert found[value] >= count
    for value, count in found.items():
        assert exact[value] <= count <= exact[value] + len(values) / frequent.kept(n)
    if len(exact) <= frequent.kept(n):
        assert found == dict(exact)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(0, 20), st.randoms())
def test_a_quantile_is_near_and_does_not_depend_on_order_or_on_what_was_taken_back(
    values: list[float], tenth: int, chance: random.Random
) -> None:
    shuffled = [*values, *values[:5]]
    chance.shuffle(shuffled)
    acc: quantiles.Counts = ()
    for value in shuffled:
        acc = quantiles.count(acc, value, 1)
    for value in values[:5]:
        acc = quantiles.count(acc, value, -1)
    plain: quantiles.Counts = ()
    for value in values:
        plain = quantiles.count(plain, value, 1)
    assert acc == plain
    half = len(values) // 2
    parts: list[quantiles.Counts] = [(), ()]
    for at, value in enumerate(values):
        parts[at < half] = quantiles.count(parts[at < half], value, 1)
    assert quantiles.merge(*parts) == plain
    q = tenth / 20
    exact = sorted(values)[math.floor(q * (len(values) - 1))]
    found = quantiles.quantile(acc, q)
    assert found is not None and abs(found - exact) <= 0.0101 * abs(exact) + quantiles.SMALLEST


@given(st.lists(st.floats(-1e3, 1e3), max_size=60), st.integers(0, 60))
def test_moments_merge_and_take_rows_back(values: list[float], at: int) -> None:
    def of(some: list[float]) -> moments.Moments:
        acc = moments.ZERO
        for value in some:
            acc = moments.add(acc, (value,), 0)
        return acc

    whole_, merged = of(values), moments.merge(of(values[:at]), of(values[at:]))
    back = whole_
    for value in values[at:]:
        back = moments.retract(back, (value,), 0)
    for got, wanted in ((merged, whole_), (back, of(values[:at]))):
        assert got[0] == wanted[0]
        for sample in (True, False):
            first, second = (moments.result(each, sample, False, DOUBLE) for each in (got, wanted))
            assert (first is None) == (second is None)
            assert first is None or math.isclose(first, second, rel_tol=1e-6, abs_tol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "scale", "expected"),
    [
        (["1.50", "4.25", "1.50", "7.00"], 6, "5.199219"),
        (["1000000000.01", "1000000000.02", "1000000000.04"], 6, "0.000156"),
        (["0.0001", "0.0003", "0.0010"], 18, "0.000000148888888889"),
        (["12345678901234567.25", "2.50"], 6, "38103946883097074000000000000000.000000"),
        (["99999999999999999999999999999999999.25", "1.00"], 6, None),
        ([], 6, None),
    ],
)
def test_a_variance_of_decimals_is_the_double_as_a_decimal(values: list[str], scale: int, expected: str | None) -> None:
    acc = moments.ZERO
    for value in values:
        acc = moments.add(acc, (Decimal(value),), 0)
    assert moments.result(acc, False, False, decimal(38, scale)) == (None if expected is None else Decimal(expected))


def test_sums_and_averages_of_decimals_keep_38_digits() -> None:
    wide = decimal(38, 2)
    total, average = (aggregate_function(Aggregate(name, (0,), wide), (wide,)) for name in ("SUM", "AVG"))
    acc = total.zero
    for _ in range(2):
        acc = total.add(acc, (Decimal("987654321098765432109876543210987654.32"),), 0)
    assert total.result(acc, None) is None, "there is no room for it"
    assert average.result(acc, None) == Decimal("987654321098765432109876543210987654.32")
    acc = total.retract(acc, (Decimal("987654321098765432109876543210987654.32"),), 0)  # type: ignore[misc]
    assert total.result(acc, None) == Decimal("987654321098765432109876543210987654.32")


def test_distinct_counts_of_linked_people_merge() -> None:
    function = aggregate_function(Aggregate("APPROX_COUNT_DISTINCT", (0,), BIGINT), (STRING,))
    parts = [function.zero, function.zero]
    for at in range(3_000):
        parts[at % 2] = function.add(parts[at % 2], (f"u{at % 2_000}",), 0)
    merged = function.merge(*parts)
    assert abs(function.result(merged, None) - 2_000) < 80  # type: ignore[operator]
    assert function.result(function.zero, None) == 0
    assert function.merge(parts[0], function.zero) == parts[0]
    real = aggregate_function(Aggregate("APPROX_COUNT_DISTINCT", (0,), BIGINT), (DOUBLE,))
    assert real.result(real.add(real.zero, (1.5,), 0), None) == 1
