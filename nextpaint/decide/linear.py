"""Linear contextual bandits: what an arm's reward depends on, learned as a regression with its uncertainty.

Per arm, reward = prior mean + theta . x + noise, x the surface's features of the candidate (each divided by its largest
value in the decision, NULL as 0) and a constant 1. With A = ridge*I + sum(x x') and b = sum(x (r - prior mean)),
theta = A^-1 b, and x' A^-1 x is how little is known about x. `LinUCB` adds `alpha` times the root of that (Li et al.,
*A contextual-bandit approach to personalized news article recommendation*, WWW 2010), `LinTS` a normal variate times
it (Agrawal and Goyal, *Thompson sampling for contextual bandits with linear payoffs*, ICML 2013). `per=None` is one
model for all items, `per="item_id"` or ("item_id", "inputs.page") one of each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.examination import Examination
from nextpaint.decide.learner import BoundLearner, Learns, Per, check_shared, descending, keys_of
from nextpaint.decide.policy import Drawn, one_page, pages_by
from nextpaint.decide.prior import Prior, Rank
from nextpaint.decide.propensity import ESTIMATED, MARGINAL
from nextpaint.decide.requirements import Needs
from nextpaint.decide.reward import Reward
from nextpaint.process.kernels.exact_chance import normals, repeated
from nextpaint.process.operators.learning import inner, times
from nextpaint.record.columns import Column

WIDTH_MAX = 32  # features of a linear arm: its state is 8 * 33^2 bytes then, 8.5 kB


@dataclass(frozen=True)
class _Linear:
    """What both policies declare. features: of the surface; () takes all. prior: the ranker's, or Flat; learned is what
    differs from it."""

    reward: Reward
    per: Per = None
    features: tuple[str, ...] = ()
    prior: Prior = field(default_factory=Rank)
    examination: Examination = field(default_factory=Examination)
    ridge: float = 1.0
    half_life: str | None = None
    pool: int = 100
    floor: float = 0.001

    def chosen(self, features: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(self.features) or features

    def checked(self, surface: str, features: tuple[str, ...], binder: Binder) -> BoundLearner:
        check_shared(self.pool, self.floor, self.prior, self.examination, binder)
        for name in self.features:
            if name not in features:
                binder.unknown("feature in features=:", name, features)
        chosen = self.chosen(features)
        if not 1 <= len(chosen) <= WIDTH_MAX:
            binder.error(f"{len(chosen)} features", f"a linear policy takes 1 to {WIDTH_MAX}: name them in features=")
        if not (isfinite(self.ridge) and self.ridge > 0.0):
            binder.error(f"ridge={self.ridge!r}", "write a number above 0")
        return Learns(self.per, self.reward, self.half_life, chosen, self.ridge).bind(surface, binder)

    def needs_with(self, surface: str, features: tuple[str, ...], needs: Needs) -> None:
        """What it needs; a linear policy has to know the surface's features."""
        Learns(self.per, self.reward, self.half_life, self.chosen(features), self.ridge).needs(surface, needs)

    def needs_of(self, surface: str, needs: Needs) -> None:
        self.needs_with(surface, tuple(needs.features), needs)


@dataclass(frozen=True)
class LinTS(_Linear):
    """Thompson sampling over linear arms: `spread` times the standard deviation of the mean."""

    spread: float = 0.25
    label = "linear thompson sampling"

    def __str__(self) -> str:
        return f"LinTS({self.reward}, spread={self.spread:g}, ridge={self.ridge:g}, {self.prior}, pool={self.pool})"

    def bind_to(self, surface: str, features: tuple[str, ...], binder: Binder) -> BoundLinear | None:
        _check_positive(self.spread, "spread", binder)
        learner = self.checked(surface, features, binder)
        return BoundLinear(learner, self.prior, self.examination, self.pool, self.floor, self.spread, True)


@dataclass(frozen=True)
class LinUCB(_Linear):
    """The upper confidence bound over linear arms. It draws nothing: the same state gives the same page, so what it
    showed cannot be reweighted to another policy."""

    alpha: float = 0.5
    label = "linear upper confidence bound"

    def __str__(self) -> str:
        return f"LinUCB({self.reward}, alpha={self.alpha:g}, ridge={self.ridge:g}, {self.prior}, pool={self.pool})"

    def bind_to(self, surface: str, features: tuple[str, ...], binder: Binder) -> BoundLinear | None:
        _check_positive(self.alpha, "alpha", binder)
        learner = self.checked(surface, features, binder)
        return BoundLinear(learner, self.prior, self.examination, self.pool, self.floor, self.alpha, False)


def _check_positive(value: float, name: str, binder: Binder) -> None:
    if not (isfinite(value) and value > 0.0):
        binder.error(f"{name}={value!r}", "write a number above 0")


@dataclass(frozen=True)
class BoundLinear:
    """A running `LinTS` (draws) or `LinUCB` (does not)."""

    learner: BoundLearner
    prior: Prior
    examination: Examination
    pool: int
    floor: float
    width: float
    draws: bool

    def draw(self, candidates: Candidates, context: Context) -> Drawn:
        arms = self.learner.arms(candidates, context)
        learned = context.reading.learned(self.learner.name)
        trials, _ = learned.statistics(arms, context.time_ms)
        priors = self.prior.means(candidates.scores, learned.total(context.time_ms), context.probabilities)
        scales = {name: _largest(candidates.features[name]) for name in self.learner.linear}
        x = contexts(candidates, scales)
        theta, inverse = learned.models(arms)
        means = priors + inner(theta, x)
        doubt = np.sqrt(np.maximum(inner(times(inverse, x), x), 0.0))
        if self.draws:
            spread, keys = self.width * doubt, keys_of(candidates.keys())
            values = means + spread * normals(context.seed, keys, 0)

            def again(draws: int, seed: int) -> FloatArray:
                noise = normals(seed, repeated(keys, draws), 0).reshape(draws, -1)
                return means + spread * noise

            return Drawn(
                descending(values), values, arms, means, priors, trials, ESTIMATED, None, scales, pages_by(again)
            )
        values = means + self.width * doubt
        certain = np.ones(min(len(candidates), context.limit))
        return Drawn(
            descending(values),
            values,
            arms,
            means,
            priors,
            trials,
            MARGINAL,
            certain,
            scales,
            one_page(descending(values)),
        )


def contexts(candidates: Candidates, scales: dict[str, float]) -> FloatArray:
    """The context of each candidate, shape (n, features + 1): scaled features in order, then 1."""
    x = np.ones((len(candidates), len(scales) + 1))
    for index, (name, scale) in enumerate(scales.items()):
        x[:, index] = candidates.features[name].values / scale if scale > 0.0 else 0.0
    return x


def _largest(column: Column) -> float:
    return float(np.abs(column.values).max(initial=0.0))
