"""Orders that are the same on every machine: score descending, then key ascending.

Selection first (linear), exact order of the few that remain after. Scores must be numbers: callers drop NULL and NaN
before.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from nextpaint.decide.candidates import FloatArray
from nextpaint.record.columns import IntArray


def best_first(scores: FloatArray, key_of: Callable[[int], str]) -> IntArray:
    """Indices that sort by (score descending, key ascending). `key_of(i)` is the key of `scores[i]`, asked only on
    ties."""
    order: IntArray = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    if len(order) > 1 and bool((ordered[1:] == ordered[:-1]).any()):
        value = scores.tolist()
        return np.array(sorted(order.tolist(), key=lambda index: (-value[index], key_of(index))), np.int64)
    return order


def top(scores: FloatArray, key_of: Callable[[int], str], count: int) -> IntArray:
    """Indices of the `count` best by (score descending, key ascending), best first."""
    if count <= 0:
        return np.empty(0, np.int64)
    if count >= len(scores):
        return best_first(scores, key_of)
    # A partition picks any of those equal to the threshold; which ones is settled by key below.
    threshold = np.partition(scores, len(scores) - count)[len(scores) - count]
    chosen = np.flatnonzero(scores >= threshold)
    if len(chosen) > count:
        level = np.flatnonzero(scores == threshold).tolist()
        above = np.flatnonzero(scores > threshold)
        level = heapq.nsmallest(count - len(above), level, key=key_of)
        chosen = np.concatenate([above, np.array(level, np.int64)])
    picked = chosen.tolist()
    return chosen[best_first(scores[chosen], lambda index: key_of(picked[index]))]
