"""Interval joins: which conditions bound one side's event time by the other's.

`l.ts BETWEEN r.ts - INTERVAL 'a' AND r.ts + INTERVAL 'b'`, two comparisons in any spelling, or `l.ts = r.ts`. Both a
lower and an upper bound must be there; strict comparisons move a bound by one millisecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nextpaint.record.types import Kind
from nextpaint.sql.plan import Call, ColumnRef, Expr, Literal, Schema

_SWAPPED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Interval:
    """`lower <= left_time - right_time <= upper`, ms; `rest`: the conditions that say something else."""

    left_time: int
    right_time: int
    lower: int
    upper: int
    rest: list[Expr]


def interval_of(condition: Sequence[Expr], left: Schema, right: Schema) -> Interval | None:
    """The interval that the conjuncts say, over left columns and then right ones; None when one bound is missing."""
    width = len(left.fields)
    times = {**dict.fromkeys(left.times, 0), **{width + index: 1 for index in right.times}}
    lower: int | None = None
    upper: int | None = None
    pair: tuple[int, int] | None = None
    rest: list[Expr] = []
    for each in condition:
        bound = _bound(each, times)
        if bound is None or (pair is not None and bound[0] != pair):
            rest.append(each)
            continue
        pair, low, high = bound
        if low is not None:
            lower = low if lower is None else max(lower, low)
        if high is not None:
            upper = high if upper is None else min(upper, high)
    if pair is None or lower is None or upper is None:
        return None
    return Interval(pair[0], pair[1] - width, lower, upper, rest)


def _bound(each: Expr, times: dict[int, int]) -> tuple[tuple[int, int], int | None, int | None] | None:
    """((left time, right time), lower, upper) of a comparison between both sides' times."""
    if not isinstance(each, Call) or each.function not in _SWAPPED:
        return None
    first, second = (_term(side, times) for side in each.args)
    if first is None or second is None or times[first[0]] == times[second[0]]:
        return None
    operator = each.function
    if times[first[0]] == 1:
        first, second, operator = second, first, _SWAPPED[operator]
    distance = second[1] - first[1]
    pair = (first[0], second[0])
    match operator:
        case "=":
            return pair, distance, distance
        case "<" | "<=":
            return pair, None, distance - (operator == "<")
    return pair, distance + (operator == ">"), None


def _term(expr: Expr, times: dict[int, int]) -> tuple[int, int] | None:
    """`time + constant` as (column, ms)."""
    if isinstance(expr, ColumnRef):
        return (expr.index, 0) if expr.index in times else None
    if not isinstance(expr, Call) or expr.function not in ("+", "-"):
        return None
    first, second = expr.args
    if isinstance(first, Literal) and expr.function == "+":
        first, second = second, first
    base = _term(first, times)
    if base is None or not isinstance(second, Literal) or second.type.kind is not Kind.INTERVAL_DAY:
        return None
    if not isinstance(second.value, int):
        return None
    return base[0], base[1] + (second.value if expr.function == "+" else -second.value)
