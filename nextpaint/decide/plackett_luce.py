"""Plackett-Luce: a page drawn place by place in proportion to exp(score / temperature) of what is left.

Drawn by adding Gumbel variates to the scores and sorting (Yellott, *The relationship between Luce's choice axiom,
Thurstone's theory of comparative judgment, and the double exponential distribution*, J. Math. Psych. 1977). The
probability of each place given those above it is exact, and their product is that of the whole page.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.learner import descending, keys_of
from nextpaint.decide.policy import Drawn, pages_by
from nextpaint.decide.propensity import CONDITIONAL, plackett_luce_conditionals
from nextpaint.decide.scored import BoundScored, Scored
from nextpaint.process.kernels.exact_chance import gumbels, repeated
from nextpaint.process.kernels.exact_math import exp_array


@dataclass(frozen=True)
class PlackettLuce(Scored):
    """`PlackettLuce(temperature=0.1)`: scores count relative to the largest one, so at 0.1 the best item is e^10 times
    as likely to come first as one with score 0, and e times as likely as one with nine tenths of its score."""

    temperature: float = 0.1
    label = "plackett-luce"

    def __str__(self) -> str:
        return f"PlackettLuce(temperature={self.temperature:g}{self.printed()})"

    def bind_to(self, surface: str, features: tuple[str, ...], binder: Binder) -> BoundPlackettLuce | None:
        learner = self.bound_learner(surface, binder)
        if not 0.01 <= self.temperature <= 100.0:
            binder.error(f"PlackettLuce(temperature={self.temperature!r})", "write a number from 0.01 to 100")
        return BoundPlackettLuce(learner, self.prior, self.examination, self.pool, self.floor, self.temperature)


@dataclass(frozen=True)
class BoundPlackettLuce(BoundScored):
    """A running `PlackettLuce`."""

    temperature: float

    def draw(self, candidates: Candidates, context: Context) -> Drawn:
        arms, values, means, priors, trials = self.valued(candidates, context)
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
