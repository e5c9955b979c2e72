"""TOP_N_COUNTS: the most frequent values of a group in bounded memory.

Source: A. Metwally, D. Agrawal, A. El Abbadi, Efficient computation of frequent and top-k elements in data streams
(ICDT 2005), "Space-Saving". Counts are exact while a group has no more than `kept(n)` distinct values; beyond that a
new value takes the place of the rarest and its count, so a count may be too high by at most rows / kept(n). Every value
with more rows than that is in the result. Merging adds counts and keeps the most frequent.

An accumulator is ((value, count), ...) in the order in which values came in: ties go to the earlier one.
"""

from __future__ import annotations

from typing import Any

Counts = tuple[tuple[Any, int], ...]


def kept(n: int) -> int:
    """How many values are counted for a result of n."""
    return max(10 * n, 100)


def add(acc: Counts, value: Any, n: int) -> Counts:
    """One more row with `value`; at the bound it takes the place and the count of the rarest."""
    for index, (each, count) in enumerate(acc):
        if each == value:
            return (*acc[:index], (value, count + 1), *acc[index + 1 :])
    if len(acc) < kept(n):
        return (*acc, (value, 1))
    rarest = min(range(len(acc)), key=lambda index: acc[index][1])
    return (*acc[:rarest], *acc[rarest + 1 :], (value, acc[rarest][1] + 1))


def merge(a: Counts, b: Counts, n: int) -> Counts:
    """Counts of both, cut to the bound; values keep the order in which they came in."""
    total = dict(a)
    for value, count in b:
        total[value] = total.get(value, 0) + count
    best = sorted(total.items(), key=lambda each: -each[1])[: kept(n)]
    held = dict(best)
    return tuple((value, held[value]) for value in total if value in held)


def result(acc: Counts, n: int) -> list[tuple[Any, int]]:
    """[(value, count), ...], the most frequent first."""
    return sorted(acc, key=lambda each: -each[1])[:n]
