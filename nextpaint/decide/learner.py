"""What exploring policies share: the arms they keep apart, the learner behind them, and what is known of each arm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.duration import duration_ms
from nextpaint.decide.examination import Examination
from nextpaint.decide.facts import item_values
from nextpaint.decide.prior import Prior, check_prior
from nextpaint.decide.requirements import LearnerNeed, Needs
from nextpaint.decide.reward import Reward
from nextpaint.process.kernels.exact_chance import key_of
from nextpaint.record.columns import IntArray

SHARED = "*"  # the arm of a policy that keeps none apart
_BETWEEN = "\x1f"  # the parts of an arm's name: ASCII's unit separator

_key_of = lru_cache(maxsize=100_000)(key_of)

Per = str | tuple[str, ...] | None


@dataclass(frozen=True)
class Learns:
    """What is learned on a surface: per arm, from a reward, fading or not. `linear`: the features of a linear arm."""

    per: Per
    reward: Reward
    half_life: str | None = None
    linear: tuple[str, ...] = ()
    ridge: float = 1.0

    def __str__(self) -> str:
        fading = f", half_life={self.half_life}" if self.half_life else ""
        return f"per={_printed(self.per)}, {self.reward}{fading}"

    def name(self, surface: str) -> str:
        """The learner's name: policies of a surface that learn the same share it."""
        told = (self.per, self.reward, self.half_life, self.linear, self.ridge)
        return f"_learned_{surface}_{blake2b(repr(told).encode(), digest_size=4).hexdigest()}"

    def needs(self, surface: str, needs: Needs) -> None:
        """The hidden tables and the learner; lengths of time that are none are reported by `bind`."""
        try:
            within_ms = duration_ms(self.reward.within)
            half_life_ms = duration_ms(self.half_life) if self.half_life else 0
        except (TypeError, ValueError):
            return
        self.reward.needs(needs)
        name = self.name(surface)
        needs.learners[name] = LearnerNeed(
            name, self.reward.trials, self.reward.rewards, within_ms, half_life_ms,
            len(self.linear) + 1 if self.linear else 0, self.ridge,
        )  # fmt: skip

    def bind(self, surface: str, binder: Binder) -> BoundLearner:
        """The learner as a policy reads it; reports what is wrong."""
        self.reward.within_ms(binder)
        if self.half_life is not None:
            binder.duration(self.half_life, "half_life=")
        parts = () if self.per is None else (self.per,) if isinstance(self.per, str) else self.per
        for part in parts:
            name = part.removeprefix("inputs.")
            if part != name and name not in binder.inputs:
                binder.unknown("input in per=:", name, binder.inputs)
            elif part == name and name != binder.item_key:
                binder.item_column(name, "per=")
        return BoundLearner(self.name(surface), parts, binder.item_key, self.linear, self.ridge)


def _printed(per: Per) -> str:
    return per if isinstance(per, str) else "nothing" if per is None else " and ".join(per)


@dataclass(frozen=True)
class BoundLearner:
    """A learner that policies read. `parts`: what an arm's name is made of."""

    name: str
    parts: tuple[str, ...]
    item_key: str
    linear: tuple[str, ...] = ()
    ridge: float = 1.0

    def arms(self, candidates: Candidates, context: Context) -> list[str]:
        """Each candidate's arm."""
        if not self.parts:
            return [SHARED] * len(candidates)
        columns = [self._part(part, candidates, context) for part in self.parts]
        return columns[0] if len(columns) == 1 else [_BETWEEN.join(row) for row in zip(*columns, strict=True)]

    def _part(self, part: str, candidates: Candidates, context: Context) -> list[str]:
        name = part.removeprefix("inputs.")
        if name != part:
            value = context.request.inputs.get(name)
            return ["" if value is None else str(value)] * len(candidates)
        if name == self.item_key:
            return candidates.keys()
        return ["" if each is None else str(each) for each in item_values(name, self.item_key, candidates, context)]


@dataclass(frozen=True)
class Belief:
    """What is known of each candidate's reward rate: Beta(a, b), with the prior mean, the posterior mean and the
    examined trials behind it; shapes (n,)."""

    a: FloatArray
    b: FloatArray
    priors: FloatArray
    means: FloatArray
    trials: FloatArray


def belief(
    learner: BoundLearner, prior: Prior, arms: list[str], candidates: Candidates, context: Context
) -> Belief:  # fmt: skip
    """Prior and statistics joined: a = strength * prior mean + rewards, b = the rest of strength + examined trials."""
    learned = context.reading.learned(learner.name)
    trials, rewards = learned.statistics(arms, context.time_ms)
    priors = prior.means(candidates.scores, learned.total(context.time_ms), context.probabilities)
    a = prior.strength * priors + rewards
    b = prior.strength * (1.0 - priors) + np.maximum(trials - rewards, 0.0)
    return Belief(a, b, priors, a / (a + b), trials)


def keys_of(arms: list[str]) -> npt.NDArray[np.uint64]:
    """What each arm draws its chance with."""
    return np.array([_key_of(arm) for arm in arms], np.uint64)


def descending(values: FloatArray) -> IntArray:
    """Indices by falling value; equal ones keep their order."""
    order: IntArray = np.argsort(-values, kind="stable")
    return order


def check_shared(pool: int, floor: float, prior: object, examination: object, binder: Binder) -> None:
    """Reports mistakes in what every policy declares."""
    if not 1 <= pool <= 1000:
        binder.error(f"pool={pool!r}", "write how many of the best ranked items are explored: 1 to 1000")
    if not 0.0 <= floor < 1.0:
        binder.error(f"floor={floor!r}", "write the least propensity, from 0 to below 1")
    check_prior(prior, binder)
    if isinstance(examination, Examination):
        examination.check(binder)
    else:
        binder.error(f"examination={examination!r}", "write Examination(at=(1.0, 0.8)) or Examination(estimated=True)")
