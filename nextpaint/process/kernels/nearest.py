"""Dot products of quantised vectors: whole rows of signed bytes, exact in integers, so in any order and on any machine.

`nearest` is one pass over the matrix, 15 ms of CPU for a million rows of 512 bytes: what it costs is reading them. It
keeps the best so far, so that nothing of the size of the matrix is made beside it. Sums over seeds are taken in their
order, in float64: the same bits on every machine.
"""

from __future__ import annotations

import math
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


def best_first(places: Any, values: Any, count: int) -> Any:
    """The `count` largest, with all that equal the last of them: row 0 places, row 1 values, largest first, equal ones
    in the order given."""
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    if 0 < count < len(order):
        order = order[: count + int(np.count_nonzero(ranked[count:] == ranked[count - 1]))]
    return np.stack((places[order], ranked[: len(order)]))


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


@inner
def _dot(matrix: Any, row: Any, other: Any) -> Any:
    total = np.int32(0)
    for at in range(matrix.shape[1]):
        total = np.int32(total + np.int32(matrix[row, at]) * np.int32(matrix[other, at]))
    return total


@inner
def _against(matrix: Any, norms: Any, row: Any, seeds: Any, coefficients: Any) -> Any:
    """The session's dot product with a row's direction, summed in the order of the seeds."""
    total = 0.0
    for index in range(len(seeds)):
        total += _dot(matrix, row, seeds[index]) * coefficients[index]
    return total / norms[row]


def near_within(matrix: Any, norms: Any, stretches: Any, direction: Any, count: int) -> Any:
    """Rows of stretches [from, to), shape (n, 2), among which are the `count` of largest direction . row / norm, with
    all that equal the last of them, in the order they are looked at; none for a zero direction.

    One pass: the direction is rounded to whole multiples of a unit, u, at most 8,191 of them. A rounded score differs
    from the exact one by at most u/2 for each component of the row's direction, whose absolute values add up to
    sqrt(dimensions) at most. So whatever could be among the best lies within u sqrt(dimensions) of the last rounded
    best, and is given.
    """
    dimensions, size = matrix.shape[1], int((stretches[:, 1] - stretches[:, 0]).sum())
    count = min(count, size)
    peak = float(np.abs(direction).max(initial=0.0))
    if not peak > 0.0 or count <= 0:
        return np.empty(0, np.int64)
    steps = min(8_191, (2**31 - 1) // (128 * dimensions))  # 128 * steps * dimensions fits in 32 bits
    slack = math.sqrt(dimensions) * 1.0001  # in units; the little more is for the rounding of the arithmetic itself
    query = np.rint(direction / peak * steps).astype(np.int16)
    for room in (4 * count + 64, size):  # the second one where very many are about equal
        rows = np.empty(room, np.int64)
        held = _search(matrix, norms, stretches, query, slack, np.full(count, -np.inf), rows, np.empty(room))
        if held >= 0:
            break
    return rows[:held].copy()


@kernel(
    "int64(const int8[:, ::1], const float64[::1], const int64[:, ::1], const int16[::1], float64, float64[::1], "
    "int64[::1], float64[::1])"
)
def _search(
    matrix: Any, norms: Any, stretches: Any, query: Any, slack: float, heap: Any, rows: Any, scores: Any
) -> Any:
    """Fills `rows` and their scores with what reaches the least of the best less the slack; how many, -1 if more than
    fit may have to be kept. `heap`: as long as the best are many, of -inf."""
    held = 0
    for stretch in range(len(stretches)):
        for row in range(stretches[stretch, 0], stretches[stretch, 1]):
            total = np.int32(0)
            for at in range(matrix.shape[1]):
                total = np.int32(total + np.int32(matrix[row, at]) * np.int32(query[at]))
            score = total / norms[row]
            if score < heap[0] - slack:
                continue
            if held == len(rows):
                held = _kept(rows, scores, held, heap[0] - slack)
                if 2 * held > len(rows):  # else every few rows would look through all of them
                    return -1
            rows[held], scores[held] = row, score
            held += 1
            if score > heap[0]:
                sift(heap, len(heap), score)
    return _kept(rows, scores, held, heap[0] - slack)


def near(matrix: Any, norms: Any, direction: Any, count: int) -> Any:
    """Rows, ascending, among which are the `count` nearest to a direction and their equals."""
    return near_within(matrix, norms, np.array([[0, len(matrix)]], np.int64), direction, count)


def nearest(matrix: Any, norms: Any, seeds: Any, coefficients: Any, count: int) -> Any:
    """The `count` rows nearest to the direction sum of coefficients[i] * matrix[seeds[i]], with all that equal the last
    of them, best first, equal ones in the order of rows. Row 0: which they are; row 1: their exact scores, direction .
    row / norm. None where the direction is zero."""
    direction = np.zeros(matrix.shape[1])
    _add_up(matrix, seeds, coefficients, direction)
    rows = near(matrix, norms, direction, count)
    exact = np.empty(len(rows))
    against(matrix, norms, rows, seeds, coefficients, exact)
    return best_first(rows, exact, count)


@kernel("void(const int8[:, ::1], const int64[::1], const float64[::1], float64[::1])")
def _add_up(matrix: Any, seeds: Any, coefficients: Any, direction: Any) -> None:
    for index in range(len(seeds)):
        for at in range(len(direction)):
            direction[at] += matrix[seeds[index], at] * coefficients[index]


@kernel(
    "void(const int8[:, ::1], const float64[::1], const int64[::1], const int64[::1], const float64[::1], float64[::1])"
)
def against(matrix: Any, norms: Any, rows: Any, seeds: Any, coefficients: Any, scores: Any) -> None:
    """The exact scores of `rows`, as `nearest` gives them; of a row below 0, which is none, 0."""
    for index in range(len(rows)):
        row = rows[index]
        scores[index] = _against(matrix, norms, row, seeds, coefficients) if row >= 0 else 0.0


@kernel("float64(const int8[:, ::1], const int64[::1], const float64[::1])")
def square(matrix: Any, seeds: Any, coefficients: Any) -> Any:
    """The direction's dot product with itself: coefficients by their dot products, in the order of the seeds."""
    total = 0.0
    for index in range(len(seeds)):
        projected = 0.0
        for other in range(len(seeds)):
            projected += _dot(matrix, seeds[index], seeds[other]) * coefficients[other]
        total += coefficients[index] * projected
    return total


@kernel("void(const int8[:, ::1], int64, int32[::1])")
def make_line(matrix: Any, row: int, line: Any) -> None:
    """The dot product of a row with each row."""
    for other in range(len(matrix)):
        line[other] = _dot(matrix, row, other)


@kernel("void(const int8[:, ::1], const int64[::1], const int64[::1], int32[:, ::1])")
def follow_lines(matrix: Any, lines: Any, rows: Any, dots: Any) -> None:
    """Brings the lines up to date in these rows, as far as those are still there."""
    for line in lines:
        for row in rows:
            if row < len(matrix) and line < len(matrix):
                dots[line, row] = _dot(matrix, line, row)


@kernel("void(const int32[:, ::1], const float64[::1], const int64[::1], const float64[::1], float64[::1])")
def lines_scores(dots: Any, norms: Any, seeds: Any, coefficients: Any, scores: Any) -> None:
    """The exact score of every row, in the bits of `against`; `scores` are zero before."""
    for index in range(len(seeds)):
        coefficient = coefficients[index]
        for row in range(len(scores)):
            scores[row] += dots[seeds[index], row] * coefficient
    for row in range(len(scores)):
        scores[row] /= norms[row]
