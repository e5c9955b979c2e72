"""Exponential decay of one weight, scalar and array, with the same bits. Decayed sums are in `kernels.decayed`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.exact_math import exp2, exp2_array


def decay(value: float, age_ms: int, half_life_ms: int) -> float:
    """The product value * 2^-(max(age, 0) / half-life); ages below 2^53 ms."""
    return value * exp2(-(age_ms / half_life_ms)) if age_ms > 0 else value


def decay_array(
    values: npt.NDArray[np.float64], ages_ms: npt.NDArray[np.int64], half_life_ms: int
) -> npt.NDArray[np.float64]:
    """`decay` of each row, the same bits; shapes (n,)."""
    return values * exp2_array(-(np.maximum(ages_ms, 0) / half_life_ms))
