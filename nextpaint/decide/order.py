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
    order: IntArray = (-scores).argsort(kind="stable")
    ordered = scores[order]
    equal = ordered[1:] == ordered[:-1]
    if equal.any():  # runs of equal scores, each put in the order of its keys
        padded = np.zeros(len(equal) + 2, np.int8)
        padded[1:-1] = equal
        edges = padded[1:] - padded[:-1]
        for start, end in zip((edges == 1).nonzero()[0].tolist(), (edges == -1).nonzero()[0].tolist(), strict=True):
            order[start : end + 1] = sorted(order[start : end + 1].tolist(), key=key_of)
    return order


def top(scores: FloatArray, key_of: Callable[[int], str], count: int) -> IntArray:
    """Indices of the `count` best by (score descending, key ascending), best first."""
    if count <= 0:
        return np.empty(0, np.int64)
    if count >= len(scores):
        return best_first(scores, key_of)
    # A partition picks any of those equal to the threshold; which ones is settled by key below.
    parted = scores.copy()
    parted.partition(len(scores) - count)
    threshold = parted[len(scores) - count]
    chosen: IntArray = (scores >= threshold).nonzero()[0]
    if len(chosen) > count:
        level = (scores == threshold).nonzero()[0].tolist()
        above = (scores > threshold).nonzero()[0]
        level = heapq.nsmallest(count - len(above), level, key=key_of)
        chosen = np.concatenate([above, np.array(level, np.int64)])
    picked = chosen.tolist()
    return chosen[best_first(scores[chosen], lambda index: key_of(picked[index]))]
