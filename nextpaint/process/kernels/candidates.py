"""Candidates of a decision: their union, and weighted sums of their features.

What took dozens of array operations of some microseconds each is one pass here; the arithmetic is theirs, in their
order, so the bits are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.record.compiled import kernel


def union(slots: Any, ends: Any, bits: Any) -> Any:
    """Lists of slots stand end to end in `slots`, list i up to `ends[i]`. Row 0: each slot once, the lists taking turns
    place by place; row 1: the sum of 1 << bits[i] over the lists that hold it."""
    size = max(64, 1 << (2 * len(slots) - 1).bit_length()) if len(slots) else 64
    found = np.empty((2, len(slots)), np.int64)
    count = _union(slots, ends, bits, np.full(size, -1, np.int64), found)
    return np.ascontiguousarray(found[:, :count])


@kernel("int64(const int64[::1], const int64[::1], const int64[::1], int64[::1], int64[:, ::1])")
def _union(slots: Any, ends: Any, bits: Any, where: Any, found: Any) -> int:
    """Fills the first columns of `found`; how many. `where`: -1, a power of two at least twice as many as slots."""
    size = len(where)  # open addressing: a slot's place in what was found
    count = 0
    longest = 0
    start = 0
    for end in ends:
        longest = max(longest, end - start)
        start = end
    for place in range(longest):
        start = 0
        for index in range(len(ends)):
            if start + place < ends[index]:
                slot = slots[start + place]
                at = slot & (size - 1)
                while where[at] >= 0 and found[0, where[at]] != slot:
                    at = (at + 1) & (size - 1)
                if where[at] < 0:
                    where[at] = count
                    found[0, count] = slot
                    found[1, count] = 0
                    count += 1
                found[1, where[at]] |= np.int64(1) << bits[index]
            start = ends[index]
    return count


@kernel("boolean(float64[:, ::1], boolean[:, ::1])")
def usable(matrix: Any, valid: Any) -> Any:
    """Makes NULL what is not finite, and 0.0 what is NULL; whether nothing is."""
    all_valid = True
    for row in range(matrix.shape[0]):
        for at in range(matrix.shape[1]):
            if not valid[row, at] or not np.isfinite(matrix[row, at]):
                valid[row, at] = False
                matrix[row, at] = 0.0
                all_valid = False
    return all_valid


@kernel("void(const float64[:, ::1], const int64[::1], float64[::1])")
def raise_to_largest(values: Any, rows: Any, scales: Any) -> None:
    """Raises scales[i] to the largest absolute value of row `rows[i]`."""
    for index in range(len(rows)):
        most = scales[index]
        for at in range(values.shape[1]):
            most = max(most, abs(values[rows[index], at]))
        scales[index] = most


@kernel("void(const float64[:, ::1], const int64[::1], const float64[::1], const float64[::1], float64[::1])")
def weigh(values: Any, rows: Any, weights: Any, scales: Any, totals: Any) -> None:
    """Adds weights[i] * (value / scales[i]) of each row `rows[i]` to `totals`, one row after the other; a scale of 0
    adds nothing."""
    for index in range(len(rows)):
        if scales[index] > 0.0:
            for at in range(len(totals)):
                totals[at] += weights[index] * (values[rows[index], at] / scales[index])


@kernel("void(const float64[:, ::1], const int64[::1], const float64[::1], const float64[::1], int64[::1])")
def loudest(values: Any, rows: Any, weights: Any, scales: Any, found: Any) -> None:
    """Per column of `values` the index of the largest share, of equal ones the first; -1 where none is above zero."""
    for at in range(len(found)):
        best, most = -1, 0.0
        for index in range(len(rows)):
            if scales[index] > 0.0:
                share = weights[index] * (values[rows[index], at] / scales[index])
                if share > most:
                    best, most = index, share
        found[at] = best
