"""Plackett-Luce: a page drawn place by place in proportion to exp(score / temperature) of what is left.

Drawn by adding Gumbel variates to the scores and sorting (Yellott, *The relationship between Luce's choice axiom,
Thurstone's theory of comparative judgment, and the double exponential distribution*, J. Math. Psych. 1977). The
probability of each place given those above it is exact, and their product is that of the whole page.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.examination import Examination
from nextpaint.decide.learner import SHARED, BoundLearner, Learns, Per, belief, check_shared, descending, keys_of
from nextpaint.decide.policy import Drawn, no_numbers, pages_by
from nextpaint.decide.prior import Prior, Rank
from nextpaint.decide.propensity import CONDITIONAL, plackett_luce_conditionals
from nextpaint.decide.requirements import Needs
from nextpaint.decide.reward import Reward
from nextpaint.process.kernels.exact_chance import gumbels, repeated
from nextpaint.process.kernels.exact_math import exp_array


@dataclass(frozen=True)
class PlackettLuce:
    """`PlackettLuce(temperature=0.1)`: scores count relative to the largest one, so at 0.1 the best item is e^10 times
    as likely to come first as one with score 0, and e times as likely as one with nine tenths of its score."""

    temperature: float = 0.1
    reward: Reward | None = None
    per: Per = "item_id"
    prior: Prior = field(default_factory=Rank)
    examination: Examination = field(default_factory=Examination)
    half_life: str | None = None
    pool: int = 100
    floor: float = 0.0
    label = "plackett-luce"

    def __str__(self) -> str:
        learned = f", {self.learns}, {self.prior}, {self.examination}" if self.learns else ""
        return f"PlackettLuce(temperature={self.temperature:g}{learned}, pool={self.pool})"

    @property
    def learns(self) -> Learns | None:
        return None if self.reward is None else Learns(self.per, self.reward, self.half_life)

    def needs_of(self, surface: str, needs: Needs) -> None:
        if self.learns is not None:
            self.learns.needs(surface, needs)

    def bind_to(self, surface: str, features: tuple[str, ...], binder: Binder) -> BoundPlackettLuce | None:
        check_shared(self.pool, self.floor, self.prior, self.examination, binder)
        if not 0.01 <= self.temperature <= 100.0:
            binder.error(f"PlackettLuce(temperature={self.temperature!r})", "write a number from 0.01 to 100")
        learner = None if self.learns is None else self.learns.bind(surface, binder)
        return BoundPlackettLuce(self.temperature, learner, self.prior, self.examination, self.pool, self.floor)


@dataclass(frozen=True)
class BoundPlackettLuce:
    """A running `PlackettLuce`."""

    temperature: float
    learner: BoundLearner | None
    prior: Prior
    examination: Examination
    pool: int
    floor: float

    def draw(self, candidates: Candidates, context: Context) -> Drawn:
        size = len(candidates)
        means = priors = trials = no_numbers(size)
        arms, values = [SHARED] * size, candidates.scores
        if self.learner is not None:
            arms = self.learner.arms(candidates, context)
            known = belief(self.learner, self.prior, arms, candidates, context)
            values, means, priors, trials = known.means, known.means, known.priors, known.trials
        logits = self._logits(values)
        noise = gumbels(context.seed, keys_of(candidates.keys()), 0)
        order = descending(logits + noise)
        strengths = exp_array(logits)

        def again(draws: int, seed: int) -> FloatArray:
            keys = repeated(keys_of(candidates.keys()), draws)
            return logits + gumbels(seed, keys, 0).reshape(draws, -1)

        chances = plackett_luce_conditionals(strengths, order, context.limit)
        return Drawn(order, logits + noise, arms, means, priors, trials, CONDITIONAL, chances, pages=pages_by(again))

    def _logits(self, values: FloatArray) -> FloatArray:
        """Scores relative to the largest, over the temperature; the best has 0."""
        most = float(np.abs(values).max(initial=0.0))
        relative = values / most if most > 0.0 else np.zeros(len(values))
        logits: FloatArray = (relative - relative.max(initial=-2.0)) / self.temperature
        return logits
