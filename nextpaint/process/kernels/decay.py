"""Exponential decay, and a decayed sum whose value does not depend on the order of arrival.

A decayed sum is read as  sum of x_i * 2^-((t - t_i) / half_life).  Added up in floating point at a moving anchor it
would differ in its last bits with the order of arrival. Here it is kept as a whole number in fixed point:

* time is cut into periods of one half-life, counted from the epoch; x_i counts as w_i = x_i * 2^(place of t_i in its
  period), which depends on x_i and t_i alone, cut toward zero to a multiple of 2^-FRACTION_BITS;
* `mass` is the sum of w_i * 2^(period_i - period of the anchor), as a multiple of 2^-(FRACTION_BITS + HISTORY_BITS).
  When the anchor (the newest time seen) enters a later period, mass is shifted right, rounding down.

Whole numbers add in any order, and shifting down in several steps equals shifting once. So (mass, anchor) is the same,
bit for bit, for every order in which no event arrives more than HISTORY_BITS periods behind the newest one seen
before it. An event still later counts too, but the lowest unit of mass, 2^-192 of an event of weight one now, may
then depend on the order. `decayed_add` with -x takes an event back exactly, within the same bounds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.exact_math import exp2, exp2_array

FRACTION_BITS = 64  # of one contribution: a weight of 1 is known to 2^-64, beyond what a double can tell
HISTORY_BITS = 128  # half-lives an event may be late and still commute: 21 hours at 10 minutes
WEIGHT_MAX = 2.0**512  # larger weights are refused, so that a mass always fits a double when it is read

_UNIT = 2.0**FRACTION_BITS
_READ_UNIT = 2.0 ** -(FRACTION_BITS + HISTORY_BITS)
NO_ANCHOR = -(2**63)  # the anchor of an empty sum


def decay(value: float, age_ms: int, half_life_ms: int) -> float:
    """The product value * 2^-(max(age, 0) / half-life); ages below 2^53 ms."""
    return value * exp2(-(age_ms / half_life_ms)) if age_ms > 0 else value


def decay_array(
    values: npt.NDArray[np.float64], ages_ms: npt.NDArray[np.int64], half_life_ms: int
) -> npt.NDArray[np.float64]:
    """`decay` of each row, the same bits; shapes (n,)."""
    return values * exp2_array(-(np.maximum(ages_ms, 0) / half_life_ms))


def decayed_add(mass: int, anchor_ms: int, x: float, t_ms: int, half_life_ms: int) -> tuple[int, int]:
    """(mass, anchor) with an event of weight `x` at `t_ms` added; begin with (0, NO_ANCHOR).

    Raises ValueError for a weight that is not finite or beyond WEIGHT_MAX."""
    if not -WEIGHT_MAX <= x <= WEIGHT_MAX:
        raise ValueError(f"a decayed sum cannot take the weight {x}: it must be finite and at most 2^512")
    period, place = divmod(t_ms, half_life_ms)
    # int() cuts toward zero, so that -x takes back exactly what x added.
    units = int(x * exp2(place / half_life_ms) * _UNIT)
    if t_ms <= anchor_ms:
        shift = HISTORY_BITS - (anchor_ms // half_life_ms - period)
        return mass + (units << shift if shift >= 0 else units >> -shift), anchor_ms
    if mass:
        mass >>= period - anchor_ms // half_life_ms
    return mass + (units << HISTORY_BITS), t_ms


def decayed_merge(mass: int, anchor_ms: int, other: int, other_anchor_ms: int, half_life_ms: int) -> tuple[int, int]:
    """The sum of the events of two sums: as if all had been added to one, but for the lowest unit of mass, since each
    was rounded down by itself. Commutes."""
    if anchor_ms < other_anchor_ms:
        mass, anchor_ms, other, other_anchor_ms = other, other_anchor_ms, mass, anchor_ms
    if other:
        mass += other >> (anchor_ms // half_life_ms - other_anchor_ms // half_life_ms)
    return mass, anchor_ms


def decayed_read(mass: int, anchor_ms: int, t_ms: int, half_life_ms: int) -> float:
    """The sum as of `t_ms`, or as of the anchor if that is later."""
    if not mass:
        return 0.0
    start_ms = anchor_ms // half_life_ms * half_life_ms
    return decay(float(mass) * _READ_UNIT, max(t_ms, anchor_ms) - start_ms, half_life_ms)


def decayed_read_array(
    masses: Sequence[int], anchors_ms: npt.NDArray[np.int64], t_ms: int | npt.NDArray[np.int64], half_life_ms: int
) -> npt.NDArray[np.float64]:
    """`decayed_read` of many sums, the same bits; shapes (n,)."""
    values = np.array([float(mass) for mass in masses], np.float64) * _READ_UNIT
    anchors_ms = np.where(values == 0.0, 0, anchors_ms)
    starts_ms = anchors_ms // half_life_ms * half_life_ms
    return decay_array(values, np.maximum(t_ms, anchors_ms) - starts_ms, half_life_ms)
