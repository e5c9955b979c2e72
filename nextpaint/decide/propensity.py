"""With which probability a decision showed what it showed.

* `marginal`: exact probability that this item stands at this place, over the policy's chance;
* `conditional`: exact probability of this item at this place given the places above it; their product is that of the
  slate;
* `estimated`: the marginal, found later by many draws from the logged posterior; until then there is none.

Propensities are of the explored order, before rules: what a rule placed was not placed by chance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextpaint.decide.candidates import FloatArray
from nextpaint.decide.policy import Pages
from nextpaint.record.columns import IntArray

MARGINAL, CONDITIONAL, ESTIMATED = "marginal", "conditional", "estimated"


@dataclass(frozen=True)
class Estimate:
    """Marginal propensities found by `draws` draws: `values` by place, `errors` their standard errors."""

    draws: int
    values: tuple[float, ...]
    errors: tuple[float, ...]


def estimate(drawn: Pages, order: IntArray, places: int, draws: int, seed: int) -> Estimate:
    """P(order[k] at place k) for the first `places`, by drawing the page again. A share of s draws is taken for
    (s + 1/2) / (draws + 1): what was shown once is never impossible."""
    pages = drawn(draws, seed, places)
    draws = len(pages)
    hits = (pages == order[None, :places]).sum(axis=0).tolist()
    shares = [(hit + 0.5) / (draws + 1) for hit in hits]
    errors = [(share * (1.0 - share) / draws) ** 0.5 for share in shares]
    return Estimate(draws, tuple(_six(each) for each in shares), tuple(_six(each) for each in errors))


def _six(value: float) -> float:
    return float(f"{value:.6g}")


def epsilon_greedy_marginals(epsilon: float, ranks: IntArray, pool: int) -> FloatArray:
    """P(the item of greedy rank `ranks[k]` stands at place k), shape as ranks, for the policy that fills places one
    after the other: with probability epsilon a uniform choice of what is left, else the best left.

    By dynamic programming over how many better items are left while the item itself still is. `ranks` and places count
    from 0; `pool` items in all.
    """
    most = int(ranks.max(initial=0))
    # left[r, j]: probability that the item of rank r is not placed yet and j better ones are left.
    left = np.zeros((most + 1, most + 1))
    left[np.arange(most + 1), np.arange(most + 1)] = 1.0
    better = np.arange(most + 1, dtype=np.float64)
    found = np.zeros(len(ranks))
    for place, rank in enumerate(ranks.tolist()):
        remaining = pool - place
        taken = epsilon / remaining + np.where(better == 0, 1.0 - epsilon, 0.0)
        total = 0.0
        for each in (left[rank] * taken).tolist():
            total += each
        found[place] = total
        above = epsilon * better / remaining + np.where(better > 0, 1.0 - epsilon, 0.0)
        below = epsilon * (remaining - 1 - better) / remaining
        moved = np.zeros_like(left)
        moved[:, :-1] = (left * above)[:, 1:]
        left = moved + left * np.maximum(below, 0.0)
    return found


def plackett_luce_conditionals(strengths: FloatArray, order: IntArray, count: int) -> FloatArray:
    """P(order[k] at place k | the places above it), shape (count,), where each place is drawn in proportion to the
    `strengths` (above 0) of what is left."""
    ordered = strengths[order]
    left = np.cumsum(ordered[::-1])[::-1]
    return ordered[:count] / left[:count]
