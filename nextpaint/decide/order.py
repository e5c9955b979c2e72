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


def settled(found: FloatArray, key_of: Callable[[int], str], count: int) -> tuple[IntArray, FloatArray]:
    """What a kernel found best first (row 0 places, row 1 scores, all that equal the last included), equal scores in
    the order of their keys and cut to `count`: (places, scores). `key_of(place)` is asked only on ties."""
    places: IntArray = found[0].astype(np.int64)
    scores: FloatArray = found[1]
    runs = _runs(scores)
    if runs:
        held = places.tolist()
        for start, end in runs:
            held[start:end] = sorted(held[start:end], key=key_of)
        places = np.array(held, np.int64)
    return places[:count], scores[:count]


def best_first(scores: FloatArray, key_of: Callable[[int], str]) -> IntArray:
    """Indices that sort by (score descending, key ascending). `key_of(i)` is the key of `scores[i]`, asked only on
    ties."""
    order: IntArray = (-scores).argsort(kind="stable")
    for start, end in _runs(scores[order]):
        order[start:end] = sorted(order[start:end].tolist(), key=key_of)
    return order


def _runs(ordered: FloatArray) -> list[tuple[int, int]]:
    """Where equal scores stand: (first, one past the last) of each run of more than one."""
    equal = ordered[1:] == ordered[:-1]
    if not equal.any():
        return []
    padded = np.zeros(len(equal) + 2, np.int8)
    padded[1:-1] = equal
    edges = padded[1:] - padded[:-1]
    starts, ends = (edges == 1).nonzero()[0].tolist(), (edges == -1).nonzero()[0].tolist()
    return [(start, end + 1) for start, end in zip(starts, ends, strict=True)]


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
