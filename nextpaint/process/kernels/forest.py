"""Sums of leaves of an ensemble of trees: `models.trees.Forest.scores` as machine code, the same bits.

Row by row, tree by tree, leaves added in the order of the trees in the width of the training library. Splits on sets of
categories are not here: such a forest is scored by `Forest` itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nextpaint.record.compiled import kernel

NEAR_ZERO = float(np.float32(1e-35))


def sums(
    matrix: Any, roots: Any, feature: Any, threshold: Any, left: Any, right: Any, value: Any, flags: Any, narrow: bool,
    base: float,
) -> Any:  # fmt: skip
    """One sum per row. `flags`, by node: 1 missing values go left, 2 NaN is missing, 4 zero is missing. narrow: what is
    strictly below goes left, and sums are float32; then matrix, thresholds and leaves hold float32 numbers. Trees are
    checked: every node is reached once."""
    found = np.empty(len(matrix))
    _sum(matrix, roots, feature, threshold, left, right, value, flags, narrow, base, found)
    return found


@kernel(
    "void(const float64[:, ::1], const int64[::1], const int64[::1], const float64[::1], const int64[::1], "
    "const int64[::1], const float64[::1], const uint8[::1], boolean, float64, float64[::1])"
)
def _sum(
    matrix: Any, roots: Any, feature: Any, threshold: Any, left: Any, right: Any, value: Any, flags: Any, narrow: bool,
    base: float, found: Any,
) -> None:  # fmt: skip
    for row in range(len(matrix)):
        total = base
        for tree in range(len(roots)):
            node = roots[tree]
            while left[node] != node:
                held = matrix[row, feature[node]]
                flag = flags[node]
                missing = False
                if held != held:
                    if flag & 2:
                        missing = True
                    else:
                        held = 0.0
                if flag & 4 and abs(held) <= NEAR_ZERO:
                    missing = True
                if missing:
                    goes = flag & 1 != 0
                elif narrow:
                    goes = held < threshold[node]
                else:
                    goes = held <= threshold[node]
                node = left[node] if goes else right[node]
            total += value[node]
            if narrow:
                total = np.float64(np.float32(total))  # the same as adding in float32
        found[row] = total
