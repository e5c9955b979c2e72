"""The nearest rows among some stretches of a matrix of quantised vectors: see `nearest` for those of all."""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.process.kernels.nearest import sift
from nextpaint.record.compiled import kernel

SIGNATURE = "int64[::1](const int8[:, ::1], const float64[::1], const int64[:, ::1], const int16[::1], int64)"


@kernel(SIGNATURE, allocates=True)
def nearest_within(matrix: Any, norms: Any, stretches: Any, query: Any, count: int) -> Any:
    """The `count` rows of largest query . row / norm in stretches [from, to), shape (n, 2), in no order; with those
    that equal the last of them as they come. `count` > 0; query . row fits in 32 bits."""
    heap = np.full(count, -np.inf)
    rows = np.empty(2 * count, np.int64)
    scores = np.empty(2 * count)
    held = 0
    for stretch in range(len(stretches)):
        for row in range(stretches[stretch, 0], stretches[stretch, 1]):
            total = np.int32(0)
            for at in range(len(query)):
                total = np.int32(total + np.int32(matrix[row, at]) * np.int32(query[at]))
            score = total / norms[row]
            if score <= heap[0]:
                continue
            if held == len(rows):  # what fell out of the heap since makes way: at most `count` stay
                kept = 0
                for index in range(held):
                    if scores[index] >= heap[0] and kept < count:
                        rows[kept], scores[kept] = rows[index], scores[index]
                        kept += 1
                held = kept
            rows[held], scores[held] = row, score
            held += 1
            sift(heap, count, score)
    kept = 0
    for index in range(held):
        if scores[index] >= heap[0]:
            rows[kept] = rows[index]
            kept += 1
    return rows[:kept].copy()
