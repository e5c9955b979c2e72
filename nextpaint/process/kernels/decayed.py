"""Exponentially decayed sums whose value does not depend on the order rows arrive in, bit for bit.

The sum of x_i * 2**-((t - t_i) / half_life), read at any t. Floating point addition at a moving anchor depends on
order, so the sum is kept in integers: time is cut into buckets of one half-life, k = floor(t_i / half_life), and
bucket k holds

    V_k = sum of round(x_i * 2**(fraction of t_i in its bucket) * 2**SCALE_BITS)

Integer sums are exact, so buckets do not depend on order. Buckets more than `KEPT` half-lives behind the newest one
weigh less than 2**-KEPT of it and are dropped, which depends on the set of rows only. A reading folds the buckets in
ascending order into (value at the start of the newest bucket), times the decay since then.

Accumulator: ((bucket, V), ...) in ascending order of bucket. Resolution: 2**-28 of one unit of x. What is not a number
is left out. V is 64 bits and wraps, which does not depend on the order either.
"""

from __future__ import annotations

from math import ldexp

import numpy as np

from nextpaint.process.kernels.exact_math import FloatArray, exp2
from nextpaint.record.columns import IntArray
from nextpaint.record.compiled import instruction, kernel

_ldexp = instruction("libc_ldexp")
_HALVINGS_MAX = 4096  # nothing is left of any double


def faded_values(values: FloatArray, anchors: IntArray, as_of: int, half_life: int, faded: float) -> FloatArray:
    """Each value halved for every whole half-life since its anchor, and times `faded`; as it is from its anchor on."""
    made = np.empty_like(values)
    _fade(values, anchors, as_of, half_life, faded, made)
    return made


@kernel("void(const float64[::1], const int64[::1], int64, int64, float64, float64[::1])")
def _fade(values: FloatArray, anchors: IntArray, as_of: int, half_life: int, faded: float, made: FloatArray) -> None:
    last, halvings, scale = np.int64(as_of), 0, 1.0
    for at in range(len(values)):
        if anchors[at] >= as_of:
            made[at] = values[at]
            continue
        if anchors[at] != last:  # most were written in the same bucket as the one before
            last = anchors[at]
            halvings = (as_of - last) // half_life
            scale = _ldexp(1.0, np.int32(-min(halvings, _HALVINGS_MAX)))
        if halvings <= _WHOLE_SCALES:  # the scale is a normal number, so one rounding at most, as `ldexp` has it
            made[at] = values[at] * faded * scale
        else:
            made[at] = _ldexp(values[at] * faded, np.int32(-min(halvings, _HALVINGS_MAX)))


Buckets = tuple[tuple[int, int], ...]

SCALE_BITS = 28  # 4e-9 of a unit: below what a ranking can see, and sums stay within 64 bits up to 10**10
WEIGHT_MAX = 2**52  # 1.6e7 units of x: one row beyond it counts as that much, so that 2,000 of them fit 64 bits
_SCALE = 2.0**SCALE_BITS
_OLDEST = -(2**62)
_WHOLE_SCALES = 1022
KEPT = 60  # a weight 60 half-lives old is 1e-18 of a new one, less than a float64 can add to it


def _wrapped(total: int) -> int:
    return (total + 2**63) % 2**64 - 2**63


class DecayedSum:
    """Arithmetic of one decayed sum; `half_life_ms` > 0."""

    zero: Buckets = ()

    def __init__(self, half_life_ms: int) -> None:
        self.half_life_ms = half_life_ms

    def add(self, buckets: Buckets, x: float, time_ms: int) -> Buckets:
        half_life = self.half_life_ms
        bucket, rest = divmod(time_ms, half_life)
        scaled = x * exp2(rest / half_life) * _SCALE
        if scaled != scaled:
            return buckets
        weight = round(min(max(scaled, -WEIGHT_MAX), WEIGHT_MAX))
        if not buckets:
            return ((bucket, weight),)
        newest, total = buckets[-1]
        if bucket == newest:
            return (*buckets[:-1], (newest, _wrapped(total + weight)))
        if bucket > newest:
            return (*(each for each in buckets if each[0] >= bucket - KEPT), (bucket, weight))
        if bucket < newest - KEPT:
            return buckets
        return self.merge(buckets, ((bucket, weight),))

    def merge(self, a: Buckets, b: Buckets) -> Buckets:
        if not a or not b:
            return a or b
        totals = dict(a)
        for bucket, weight in b:
            totals[bucket] = _wrapped(totals.get(bucket, 0) + weight)
        oldest = max(totals) - KEPT
        return tuple(sorted((bucket, weight) for bucket, weight in totals.items() if bucket >= oldest))

    def fold(self, buckets: Buckets) -> tuple[float, int]:
        """(value, anchor): the sum as of `anchor`, the start of the newest bucket, epoch ms."""
        if not buckets:
            return 0.0, 0
        newest = buckets[-1][0]
        value = 0.0
        for bucket, weight in buckets:
            value += ldexp(float(weight), bucket - newest - SCALE_BITS)
        return value, self.anchor_ms(newest)

    def anchor_ms(self, bucket: int) -> int:
        """The start of a bucket; of rows without a time it is beyond what 64 bits hold."""
        return max(bucket, _OLDEST // self.half_life_ms) * self.half_life_ms

    def anchors_ms(self, buckets: IntArray) -> IntArray:
        """`anchor_ms` of many."""
        return np.maximum(buckets, _OLDEST // self.half_life_ms) * self.half_life_ms

    def value(self, buckets: Buckets, as_of_ms: int | None) -> float | None:
        """The sum as of a time; None over no row. Without a time: as of the start of the newest bucket."""
        if not buckets:
            return None
        value, anchor = self.fold(buckets)
        if as_of_ms is None or as_of_ms <= anchor:
            return value
        whole, rest = divmod(as_of_ms - anchor, self.half_life_ms)
        return ldexp(value * exp2(-rest / self.half_life_ms), -whole)

    def values(self, values: FloatArray, anchors_ms: IntArray, as_of_ms: int) -> FloatArray:
        """`value` of many folded sums, the same bits. Anchors are whole half-lives, so one power of two is computed and
        the rest is exact scaling."""
        faded = exp2(-(as_of_ms % self.half_life_ms) / self.half_life_ms)
        return faded_values(values, anchors_ms, as_of_ms, self.half_life_ms, faded)
