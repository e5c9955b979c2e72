"""APPROX_QUANTILE: quantiles within 1 % of the value, from counts of logarithmic buckets.

Source: C. Masson, J. E. Rim, H. K. Lee, DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees (VLDB 2019). Bucket i > 0 holds values in (G^(i-1), G^i], G = 1.01 / 0.99. Counts do not depend on the order
of rows, so they can be taken back and merged without loss. KLL and REQ sketches draw random bits and t-digests take
logarithms from the C library: their state would not be a function of the ledger. The logarithm here is our exact one.

An accumulator is ((bucket, count), ...) ordered by bucket; a bucket is (sign, index), of negative values (-1, -index).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import accumulate

from nextpaint.process.kernels.exact_math import exp, log

ACCURACY = 0.01
G = (1.0 + ACCURACY) / (1.0 - ACCURACY)
LOG_G = log(G)
SMALLEST = 1e-9  # what is closer to zero counts as zero

Bucket = tuple[int, int]
Counts = tuple[tuple[Bucket, int], ...]


def bucket_of(value: float) -> Bucket:
    """The bucket of a finite value."""
    size = abs(value)
    if size < SMALLEST:
        return (0, 0)
    index = math.ceil(log(size) / LOG_G)
    return (1, index) if value > 0 else (-1, -index)


def count(acc: Counts, value: float, step: int) -> Counts:
    """A value more (`step` 1) or one less (-1). What is not finite has no quantile and is left out."""
    if not math.isfinite(value):
        return acc
    bucket = bucket_of(value)
    at = bisect_left(acc, (bucket,))
    there = at < len(acc) and acc[at][0] == bucket
    total = (acc[at][1] if there else 0) + step
    return (*acc[:at], *(((bucket, total),) if total > 0 else ()), *acc[at + there :])


def merge(a: Counts, b: Counts) -> Counts:
    """The counts of the rows of both."""
    total = dict(a)
    for bucket, times in b:
        total[bucket] = total.get(bucket, 0) + times
    return tuple(sorted(total.items()))


def quantile(acc: Counts, q: float) -> float | None:
    """The value at rank q * (n - 1); None over no value."""
    rows = sum(times for _, times in acc)
    if not rows:
        return None
    rank = q * (rows - 1)
    seen = accumulate(times for _, times in acc)
    sign, index = next(bucket for (bucket, _), total in zip(acc, seen, strict=True) if total > rank)
    # The point of the bucket that is as far from both its ends, relative to the value.
    return sign * 2.0 * exp(index * sign * LOG_G) / (1.0 + G)
