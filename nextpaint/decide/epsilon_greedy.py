"""Epsilon-greedy: mostly the best known, sometimes anything, with propensities that are exact.

Places are filled one after the other: with probability epsilon a uniform choice of what is left, else the best left.
Without a reward the best is the ranker's; with one it is the posterior mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.learner import descending
from nextpaint.decide.policy import Drawn
from nextpaint.decide.propensity import MARGINAL, epsilon_greedy_marginals
from nextpaint.decide.scored import BoundScored, Scored
from nextpaint.process.kernels.exact_chance import key_of, uniforms
from nextpaint.record.columns import IntArray


@dataclass(frozen=True)
class EpsilonGreedy(Scored):
    """`EpsilonGreedy(0.1)`: a tenth of the places by chance."""

    epsilon: float
    label = "epsilon greedy"

    def __str__(self) -> str:
        return f"EpsilonGreedy({self.epsilon:g}{self.printed()})"

    def bind_to(self, surface: str, features: tuple[str, ...], binder: Binder) -> BoundEpsilonGreedy | None:
        learner = self.bound_learner(surface, binder)
        if not 0.0 < self.epsilon <= 1.0:
            binder.error(f"EpsilonGreedy({self.epsilon!r})", "write a number above 0 and at most 1")
        return BoundEpsilonGreedy(learner, self.prior, self.examination, self.pool, self.floor, self.epsilon)


@dataclass(frozen=True)
class BoundEpsilonGreedy(BoundScored):
    """A running `EpsilonGreedy`."""

    epsilon: float

    def draw(self, candidates: Candidates, context: Context) -> Drawn:
        size = len(candidates)
        arms, values, means, priors, trials = self.valued(candidates, context)
        greedy = descending(values)
        ranks = _filled(size, min(size, context.limit), self.epsilon, context.seed)
        propensities = epsilon_greedy_marginals(self.epsilon, ranks[: context.limit], size)

        def pages(draws: int, seed: int, places: int) -> IntArray:
            drawn = [_filled(size, places, self.epsilon, seed + draw)[:places] for draw in range(draws)]
            return greedy[np.array(drawn, np.int64)]

        def chances(rows: IntArray) -> FloatArray:
            ranked: IntArray = np.argsort(greedy, kind="stable")
            return epsilon_greedy_marginals(self.epsilon, ranked[rows], size)

        return Drawn(
            greedy[ranks], values, arms, means, priors, trials, MARGINAL, propensities, pages=pages, chances=chances
        )  # fmt: skip


def _filled(size: int, places: int, epsilon: float, seed: int) -> IntArray:
    """Which greedy rank stands at each place; after the page the rest in greedy order."""
    keys = np.array([key_of(f"place {place}") for place in range(places)], np.uint64)
    explores = uniforms(seed, keys, 0) < epsilon
    choices = uniforms(seed, keys, 1)
    left = list(range(size))
    order = []
    for explore, choice in zip(explores.tolist(), choices.tolist(), strict=True):
        order.append(left.pop(int(choice * len(left)) if explore else 0))
    return np.array([*order, *left], np.int64)
