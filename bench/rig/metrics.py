"""Ranking metrics and their intervals.

NDCG with binary gains (Järvelin and Kekäläinen, TOIS 2002), the ideal truncated at min(k, relevant). Intervals are
percentile bootstraps over persons: a person's targets stay together, for they are not independent.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import log2, nan

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
RESAMPLES, SEED = 2_000, 7


def ndcg(top: Sequence[int], relevant: Collection[int], k: int = 10) -> float:
    """0 to 1; 0 when nothing is relevant."""
    gain = sum(1 / log2(rank + 2) for rank, item in enumerate(top[:k]) if item in relevant)
    ideal = sum(1 / log2(rank + 2) for rank in range(min(k, len(relevant))))
    return gain / ideal if ideal else 0.0


def hit(top: Sequence[int], wanted: int, k: int = 20) -> float:
    return 1.0 if wanted in top[:k] else 0.0


def reciprocal_rank(top: Sequence[int], wanted: int, k: int = 20) -> float:
    return next((1 / (rank + 1) for rank, item in enumerate(top[:k]) if item == wanted), 0.0)


def interval(values: Sequence[float], persons: Sequence[str]) -> tuple[float, float, float]:
    """Mean and 95 % bounds; NaN where there is nothing."""
    if not len(values):
        return nan, nan, nan
    draws = _resampled(np.array(values, np.float64), persons)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(np.mean(values)), float(low), float(high)


def difference(ours: Sequence[float], theirs: Sequence[float], persons: Sequence[str]) -> tuple[float, float, float]:
    """Mean of the paired difference and its 95 % bounds."""
    return interval((np.array(ours) - np.array(theirs)).tolist(), persons)


def _resampled(values: FloatArray, persons: Sequence[str]) -> FloatArray:
    """Means of the resamples, shape (RESAMPLES,)."""
    names, codes = np.unique(np.array(persons), return_inverse=True)
    sums = np.bincount(codes, values, len(names))
    counts = np.bincount(codes, minlength=len(names))
    draw = np.random.default_rng(SEED)
    means = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        picked = draw.integers(0, len(names), len(names))
        means[number] = sums[picked].sum() / counts[picked].sum()
    return means
