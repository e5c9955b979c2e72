"""Thompson sampling: an item is shown as often as it may be the best, as far as is known.

Every arm's rate is a Beta distribution (prior and statistics); each decision draws one rate per arm and shows the items
by falling draws (Chapelle and Li, *An empirical evaluation of Thompson sampling*, NeurIPS 2011). With places that are
looked at differently, falling rates are the best order whatever the examination is, as long as it falls.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.examination import Examination
from nextpaint.decide.learner import BoundLearner, Learns, Per, belief, check_shared, descending, keys_of
from nextpaint.decide.policy import Drawn, pages_by
from nextpaint.decide.prior import Prior, Rank
from nextpaint.decide.propensity import ESTIMATED
from nextpaint.decide.requirements import Needs
from nextpaint.decide.reward import Reward
from nextpaint.process.kernels.exact_chance import betas, repeated


@dataclass(frozen=True)
class ThompsonSampling:
    """`ThompsonSampling(per="item_id", prior=Rank(strength=50), reward=Reward(...))`.

    per: what has a rate of its own: the item's key, a column of the items table, "inputs.name", several of them
    ("item_id", "inputs.page"), or None for one rate of all. half_life: what was learned counts half after this time.
    pool: how many of the best ranked are explored. floor: the least propensity that evaluations divide by.
    """

    per: Per
    reward: Reward
    prior: Prior = field(default_factory=Rank)
    examination: Examination = field(default_factory=Examination)
    half_life: str | None = None
    pool: int = 100
    floor: float = 0.001
    label = "thompson sampling"

    def __str__(self) -> str:
        return f"ThompsonSampling({self.learns}, {self.prior}, {self.examination}, pool={self.pool})"

    @property
    def learns(self) -> Learns:
        return Learns(self.per, self.reward, self.half_life)

    def needs_of(self, surface: str, needs: Needs) -> None:
        self.learns.needs(surface, needs)

    def bind_to(self, surface: str, features: tuple[str, ...], binder: Binder) -> BoundThompson | None:
        check_shared(self.pool, self.floor, self.prior, self.examination, binder)
        return BoundThompson(self.learns.bind(surface, binder), self.prior, self.examination, self.pool, self.floor)


@dataclass(frozen=True)
class BoundThompson:
    """A running `ThompsonSampling`."""

    learner: BoundLearner
    prior: Prior
    examination: Examination
    pool: int
    floor: float

    def draw(self, candidates: Candidates, context: Context) -> Drawn:
        arms = self.learner.arms(candidates, context)
        known = belief(self.learner, self.prior, arms, candidates, context)
        rates = betas(known.a, known.b, context.seed, keys_of(arms))
        order = descending(rates)

        def again(draws: int, seed: int) -> FloatArray:
            keys = repeated(keys_of(arms), draws)
            return betas(np.tile(known.a, draws), np.tile(known.b, draws), seed, keys).reshape(draws, -1)

        return Drawn(order, rates, arms, known.means, known.priors, known.trials, ESTIMATED, pages=pages_by(again))
