"""What policies share that explore scores: the ranker's, or with a reward the posterior means of what is learned."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.examination import Examination
from nextpaint.decide.learner import SHARED, BoundLearner, Learns, Per, belief, check_shared
from nextpaint.decide.policy import no_numbers
from nextpaint.decide.prior import Prior, Rank
from nextpaint.decide.requirements import Needs
from nextpaint.decide.reward import Reward


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The settings of such a policy; `ThompsonSampling` says what each means. reward: None explores the ranking."""

    reward: Reward | None = None
    per: Per = "item_id"
    prior: Prior = field(default_factory=Rank)
    examination: Examination = field(default_factory=Examination)
    half_life: str | None = None
    pool: int = 100
    floor: float = 0.0

    @property
    def learns(self) -> Learns | None:
        return None if self.reward is None else Learns(self.per, self.reward, self.half_life)

    def printed(self) -> str:
        """The settings, as they follow the policy's own number."""
        learned = f", {self.learns}, {self.prior}, {self.examination}" if self.learns else ""
        return f"{learned}, pool={self.pool}"

    def needs_of(self, surface: str, needs: Needs) -> None:
        if self.learns is not None:
            self.learns.needs(surface, needs)

    def bound_learner(self, surface: str, binder: Binder) -> BoundLearner | None:
        """Reports what is wrong in the settings."""
        check_shared(self.pool, self.floor, self.prior, self.examination, binder)
        return None if self.learns is None else self.learns.bind(surface, binder)


class Valued(NamedTuple):
    """Of each candidate: its arm, the value to explore, and mean, prior mean and trials (zeros without a reward)."""

    arms: list[str]
    values: FloatArray
    means: FloatArray
    priors: FloatArray
    trials: FloatArray


@dataclass(frozen=True)
class BoundScored:
    """The part of a running policy that gives values."""

    learner: BoundLearner | None
    prior: Prior
    examination: Examination
    pool: int
    floor: float

    def valued(self, candidates: Candidates, context: Context) -> Valued:
        if self.learner is None:
            nothing = no_numbers(len(candidates))
            return Valued([SHARED] * len(candidates), candidates.scores, nothing, nothing, nothing)
        arms = self.learner.arms(candidates, context)
        known = belief(self.learner, self.prior, arms, candidates, context)
        return Valued(arms, known.means, known.means, known.priors, known.trials)
