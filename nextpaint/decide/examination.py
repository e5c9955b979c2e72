"""Position bias: how likely a place on the page is looked at, so that an item is not blamed for where it stood.

The position-based model: a click at place k happens with probability examination(k) * rate(item) (Craswell et al., *An
experimental comparison of click position-bias models*, WSDM 2008). A showing at place k then counts as examination(k)
trials (Lagree, Vernade and Cappe, *Multiple-play bandits in the position-based model*, NeurIPS 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import FloatArray
from nextpaint.decide.context import Context

LEAST = 0.02  # a place is never taken for invisible: one click there would weigh like fifty


@dataclass(frozen=True)
class Examination:
    """`Examination()`: every place alike. `Examination(at=(1.0, 0.8, 0.6))`: declared, the last one for all places
    beyond. `Examination(estimated=True)`: learned: rewards that came at a place over those expected there if it were
    examined, relative to the first place; `at` is believed until then, worth `strength` expected rewards."""

    at: Sequence[float] = (1.0,)
    estimated: bool = False
    strength: float = 20.0

    def __str__(self) -> str:
        at = ", ".join(f"{each:g}" for each in self.at)
        return f"Examination(at=({at}){', estimated' if self.estimated else ''})"

    def check(self, binder: Binder) -> None:
        """Reports what is wrong with it."""
        if not self.at or not all(LEAST <= each <= 1.0 for each in self.at):
            binder.error(f"{self}: each place needs a number from {LEAST:g} to 1", "write at=(1.0, 0.8, 0.6)")
        if self.estimated and not self.strength > 0.0:
            binder.error(f"{self}: strength={self.strength!r}", "write a number above 0")

    def of(self, count: int, learner: str, context: Context) -> FloatArray:
        """Examination of the first `count` places."""
        at = np.array(self.at, np.float64)
        declared: FloatArray = at[np.minimum(np.arange(count), len(at) - 1)]
        if not self.estimated:
            return declared
        expected, came = (each[:count] for each in context.reading.learned(learner).places())
        declared = declared[: len(expected)]
        rates = (came + self.strength * declared) / (expected + self.strength)
        relative = np.minimum(np.maximum(rates / rates[0], LEAST), 1.0)
        found: FloatArray = relative[np.minimum(np.arange(count), len(relative) - 1)]
        return found
