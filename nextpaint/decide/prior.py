"""What an exploration believes of an item it has not tried: the prior of its reward rate.

A rate is the share of examined showings that are rewarded. `Rank` lets the ranker speak: the item's rate is the rate of
the surface so far, times the item's score relative to the mean score of those it is compared with. So a new item starts
where the ranker puts it, worth `strength` examined trials, and what is learned takes over after about as many. Where
the ranker is a trained model its score is a rate already and is taken as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import FloatArray

LEAST, MOST = 1e-4, 0.95  # a prior mean: further out a handful of pseudo-trials would decide for ever
SURFACE_TRIALS = 100.0  # the declared rate of a surface counts as this many trials of it


@dataclass(frozen=True)
class Rank:
    """The ranker's score as the prior. `strength`: pseudo-trials. `rate`: what the surface's rate is taken for until it
    is known."""

    strength: float = 50.0
    rate: float = 0.05

    def __str__(self) -> str:
        return f"Rank(strength={self.strength:g}, rate={self.rate:g})"

    def means(self, scores: FloatArray, total: tuple[float, float], probabilities: bool) -> FloatArray:
        """Prior mean of each candidate, shape as scores. `total`: examined trials and rewards of the surface."""
        if probabilities:
            return np.minimum(np.maximum(scores, LEAST), MOST)
        rate = (total[1] + self.rate * SURFACE_TRIALS) / (total[0] + SURFACE_TRIALS)
        least = float(scores.min(initial=0.0))
        above = scores - least if least < 0.0 else scores
        mean = sum(above.tolist()) / max(len(above), 1)
        relative = above / mean if mean > 0.0 else np.ones(len(above))
        return np.minimum(np.maximum(rate * relative, LEAST), MOST)


@dataclass(frozen=True)
class Flat:
    """The same prior for every item: the rate of the surface, worth `strength` pseudo-trials."""

    strength: float = 2.0
    rate: float = 0.05

    def __str__(self) -> str:
        return f"Flat(strength={self.strength:g}, rate={self.rate:g})"

    def means(self, scores: FloatArray, total: tuple[float, float], probabilities: bool) -> FloatArray:
        """Prior mean of each candidate, shape as scores."""
        rate = (total[1] + self.rate * SURFACE_TRIALS) / (total[0] + SURFACE_TRIALS)
        return np.full(len(scores), min(max(rate, LEAST), MOST))


Prior = Rank | Flat


def check_prior(prior: object, binder: Binder) -> None:
    """Reports a prior that is none."""
    if not isinstance(prior, Rank | Flat):
        binder.error(f"prior={prior!r}", "write Rank(strength=50) or Flat(strength=2)")
        return
    if not (isfinite(prior.strength) and prior.strength > 0.0):
        binder.error(f"{prior}: strength must be above 0", "write how many trials the prior is worth")
    if not 0.0 < prior.rate < 1.0:
        binder.error(f"{prior}: rate must be between 0 and 1", "write the share of showings that are rewarded")
