"""Epsilon-greedy: mostly the best known, sometimes anything, with propensities that are exact.

Places are filled one after the other: with probability epsilon a uniform choice of what is left, else the best left.
Without a reward the best is the ranker's; with one it is the posterior mean.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.examination import Examination
from nextpaint.decide.learner import SHARED, BoundLearner, Learns, Per, belief, check_shared, descending
from nextpaint.decide.policy import Drawn, no_numbers
from nextpaint.decide.prior import Prior, Rank
from nextpaint.decide.propensity import MARGINAL, epsilon_greedy_marginals
from nextpaint.decide.requirements import Needs
from nextpaint.decide.reward import Reward
from nextpaint.process.kernels.exact_chance import key_of, uniforms
from nextpaint.record.columns import IntArray


@dataclass(frozen=True)
class EpsilonGreedy:
    """`EpsilonGreedy(0.1)`: a tenth of the places by chance. See `ThompsonSampling` for the other settings."""

    epsilon: float
    reward: Reward | None = None
    per: Per = "item_id"
    prior: Prior = field(default_factory=Rank)
    examination: Examination = field(default_factory=Examination)
    half_life: str | None = None
    pool: int = 100
    floor: float = 0.0
    label = "epsilon greedy"

    def __str__(self) -> str:
        learned = f", {self.learns}, {self.prior}, {self.examination}" if self.learns else ""
        return f"EpsilonGreedy({self.epsilon:g}{learned}, pool={self.pool})"

    @property
    def learns(self) -> Learns | None:
        return None if self.reward is None else Learns(self.per, self.reward, self.half_life)

    def needs_of(self, surface: str, needs: Needs) -> None:
        if self.learns is not None:
            self.learns.needs(surface, needs)

    def bind_to(self, surface: str, features: tuple[str, ...], binder: Binder) -> BoundEpsilonGreedy | None:
        check_shared(self.pool, self.floor, self.prior, self.examination, binder)
        if not 0.0 < self.epsilon <= 1.0:
            binder.error(f"EpsilonGreedy({self.epsilon!r})", "write a number above 0 and at most 1")
        learner = None if self.learns is None else self.learns.bind(surface, binder)
        return BoundEpsilonGreedy(self.epsilon, learner, self.prior, self.examination, self.pool, self.floor)


@dataclass(frozen=True)
class BoundEpsilonGreedy:
    """A running `EpsilonGreedy`."""

    epsilon: float
    learner: BoundLearner | None
    prior: Prior
    examination: Examination
    pool: int
    floor: float

    def draw(self, candidates: Candidates, context: Context) -> Drawn:
        size = len(candidates)
        if self.learner is None:
            arms, values, trials = [SHARED] * size, candidates.scores, no_numbers(size)
            means = priors = no_numbers(size)
        else:
            arms = self.learner.arms(candidates, context)
            known = belief(self.learner, self.prior, arms, candidates, context)
            values, means, priors, trials = known.means, known.means, known.priors, known.trials
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
