"""The union of lists and the sums of features, against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nextpaint.process.kernels.candidates import loudest, raise_to_largest, union, weigh

LISTS = st.lists(st.lists(st.integers(0, 200), unique=True, max_size=40), min_size=1, max_size=6)
NUMBERS = st.floats(-1e6, 1e6)


@given(LISTS, st.integers(1, 7))
def test_lists_take_turns_and_every_slot_is_there_once(lists: list[list[int]], apart: int) -> None:
    filled = [(number, each) for number, each in enumerate(lists) if each]
    expected: dict[int, int] = {}
    for place in range(40):
        for _, each in filled:
            if place < len(each):
                expected.setdefault(each[place], 0)
    for number, each in filled:
        for slot in each:
            expected[slot] |= 1 << number
    slots = np.array([apart * slot for _, each in filled for slot in each], np.int64)
    ends = np.cumsum([len(each) for _, each in filled], dtype=np.int64)
    found, bits = union(slots, ends, np.array([number for number, _ in filled], np.int64))
    assert found.tolist() == [apart * slot for slot in expected]
    assert bits.tolist() == list(expected.values())


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=20), st.lists(NUMBERS, min_size=2, max_size=2))
def test_sums_are_those_of_plain_arithmetic(columns: list[tuple[float, float, float]], weights: list[float]) -> None:
    matrix = np.array(columns, np.float64).reshape(-1, 3).T.copy()
    rows, least = np.array([2, 0], np.int64), [0.0, 5.0]
    scales = np.array(least)
    raise_to_largest(matrix, rows, scales)
    assert scales.tolist() == [
        max([most, *map(abs, matrix[row].tolist())]) for row, most in zip(rows, least, strict=True)
    ]
    totals, found = np.zeros(len(columns)), np.empty(len(columns), np.int64)
    weigh(matrix, rows, np.array(weights), scales, totals)
    loudest(matrix, rows, np.array(weights), scales, found)
    for column, total, loud in zip(columns, totals.tolist(), found.tolist(), strict=True):
        shares = [
            weight * (column[row] / scale) if scale > 0.0 else 0.0
            for row, weight, scale in zip(rows, weights, scales.tolist(), strict=True)
        ]
        assert total == 0.0 + shares[0] + shares[1]
        most = max(shares)
        assert loud == (shares.index(most) if most > 0.0 else -1)
