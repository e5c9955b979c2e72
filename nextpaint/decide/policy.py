"""Policies: what a surface tries out. A policy reorders the best ranked candidates by chance or doubt, and says how.

    policy.draw(candidates, context) -> Drawn

`candidates` are the best `pool` of the ranking, best first, with the ranker's scores; the order is a permutation of
them. All chance comes from the decision's seed, so a replay draws the same bits. Values are rounded to six digits where
they are logged; what is logged is what the learner later counts with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.examination import Examination
from nextpaint.decide.learner import BoundLearner
from nextpaint.decide.requirements import Needs
from nextpaint.record.columns import IntArray

# (draws, seed, places) -> the candidates the same policy would put at each place in other draws, (draws, places).
Pages = Callable[[int, int, int], IntArray]
# (rows) -> the exact probability that row k stands at place k, for rows by place.
Chances = Callable[[IntArray], FloatArray]


@dataclass(frozen=True)
class Drawn:
    """What a policy made of n candidates. order: permutation, best first. values: what it ordered by. means, priors,
    trials: of each candidate's reward rate. propensities: by place, `kind` says of what sort; None where they are not
    known on the answer path. scales: what features were divided by, of a linear policy. pages: the pages that other
    draws would have given. chances: exact marginals, where the policy has them."""

    order: IntArray
    values: FloatArray
    arms: list[str]
    means: FloatArray
    priors: FloatArray
    trials: FloatArray
    kind: str
    propensities: FloatArray | None = None
    scales: dict[str, float] = field(default_factory=dict)
    pages: Pages | None = None
    chances: Chances | None = None


@runtime_checkable
class BoundPolicy(Protocol):
    """A policy ready to draw."""

    @property
    def learner(self) -> BoundLearner | None: ...

    @property
    def examination(self) -> Examination: ...

    @property
    def pool(self) -> int: ...

    @property
    def floor(self) -> float: ...

    def draw(self, candidates: Candidates, context: Context) -> Drawn: ...


@runtime_checkable
class Policy(Protocol):
    """A policy as a surface declares it."""

    def needs_of(self, surface: str, needs: Needs) -> None:
        """Writes down what it needs from the engine."""

    def bind_to(self, surface: str, features: tuple[str, ...], binder: Binder) -> BoundPolicy | None:
        """The running policy; None after reporting why there is none."""


def six(value: float) -> float:
    """Six significant digits."""
    return float(f"{value:.6g}")


def one_page(order: IntArray) -> Pages:
    """The pages of a policy without chance."""
    return lambda draws, seed, places: order[None, :places]


def pages_by(values: Callable[[int, int], FloatArray]) -> Pages:
    """The pages of a policy that orders by `values(draws, seed)`, shape (draws, n), falling."""
    return lambda draws, seed, places: np.argsort(-values(draws, seed), axis=1, kind="stable")[:, :places]


def no_numbers(count: int) -> FloatArray:
    """Zeros, for a policy that learns nothing."""
    return np.zeros(count)
