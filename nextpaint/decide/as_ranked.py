"""The policy that tries nothing: the ranker's order. What a surface without `explore` does, in the words of policies,
so that evaluations can compare it with others."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context
from nextpaint.decide.examination import Examination
from nextpaint.decide.learner import SHARED
from nextpaint.decide.policy import Drawn, no_numbers, one_page
from nextpaint.decide.propensity import MARGINAL
from nextpaint.decide.requirements import Needs


@dataclass(frozen=True)
class AsRanked:
    """The ranking as it is; declared and running in one."""

    pool: int = 1000
    floor: float = 0.0
    learner: None = None
    examination: Examination = field(default_factory=Examination)
    label = "as ranked"

    def __str__(self) -> str:
        return "AsRanked()"

    def needs_of(self, surface: str, needs: Needs) -> None:
        pass

    def bind_to(self, surface: str, features: tuple[str, ...], binder: Binder) -> AsRanked:
        return self

    def draw(self, candidates: Candidates, context: Context) -> Drawn:
        size = len(candidates)
        none, order = no_numbers(size), np.arange(size)
        certain = np.ones(min(size, context.limit))
        return Drawn(
            order, candidates.scores, [SHARED] * size, none, none, none, MARGINAL, certain, pages=one_page(order)
        )  # fmt: skip
