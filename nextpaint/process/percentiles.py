"""PERCENTILE: exact, of all values of a group; between two values by their distance, as Flink.

A share p of n values stands at place p * (n - 1) + 1. Counts are ((value, times), ...) in the order of values, NaN
last: they do not depend on the order of rows, so rows can be taken back and merged.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

Counts = tuple[tuple[float, int], ...]


def place_of(value: float) -> tuple[bool, float]:
    """What values are ordered by: NaN is above every number and equal to itself."""
    return (True, 0.0) if value != value else (False, value)


def count(acc: Counts, value: float, times: int) -> Counts:
    """A value so many times more, or with `times` below zero less. Zero has no sign here."""
    value = value or 0.0
    at = bisect_left(acc, place_of(value), key=lambda each: place_of(each[0]))
    there = at < len(acc) and place_of(acc[at][0]) == place_of(value)
    total = (acc[at][1] if there else 0) + times
    return (*acc[:at], *(((value, total),) if total > 0 else ()), *acc[at + there :])


def merge(a: Counts, b: Counts) -> Counts:
    """The counts of the rows of both."""
    for value, times in b:
        a = count(a, value, times)
    return a


def of_counts(acc: Counts, shares: Sequence[float]) -> tuple[float, ...] | None:
    """The percentiles at `shares`; None over no value."""
    return at_shares([value for value, _ in acc], list(accumulate(times for _, times in acc)), shares)


def at_shares(values: Any, totals: Any, shares: Sequence[float]) -> tuple[float, ...] | None:
    """The same over values in order and how many there are up to each of them: two lists or two arrays."""
    return tuple(_at(values, totals, each) for each in shares) if len(values) else None


def _at(values: Any, totals: Any, share: float) -> float:
    place = share * (int(totals[-1]) - 1) + 1
    lower, higher = math.floor(place), math.ceil(place)
    at = bisect_left(totals, lower)
    if totals[at] >= higher:
        return float(values[at])
    return (higher - place) * float(values[at]) + (place - lower) * float(values[at + 1])
