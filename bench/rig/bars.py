"""What the quality tasks share: how a run is set up, settings drawn alike for everybody, table rows, and the bars."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, TypeVar

from nextpaint.models.embedding import Embedder, SentenceEncoder

T = TypeVar("T")
BUDGET, SEED = 24, 20261125
Bounds = tuple[float, float, float]  # value, lower and upper bound


@dataclass(frozen=True)
class Plan:
    """How a run is set up. budget: settings tried per method. tuning_only: everything is read on the tuning part, the
    test part stays unread and no bar counts."""

    encoder: Callable[[], Embedder] = SentenceEncoder
    budget: int = BUDGET
    tuning_only: bool = False

    def settings_of(self, grid: Any) -> list[dict[str, Any]]:
        """The configurations a method may try: all of its grid, or as many as everybody gets."""
        every = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
        drawn = random.Random(SEED).sample(every, BUDGET) if len(every) > BUDGET else every
        return drawn[: self.budget]

    @property
    def tuned(self) -> tuple[str, ...]:
        """Our surfaces, one a setting."""
        return tuple(f"tuned_{number}" for number in range(self.budget))

    def read(self, tuning: tuple[int, int], test: tuple[int, int]) -> tuple[int, int]:
        """The part whose figures are printed."""
        return tuning if self.tuning_only else test


@dataclass
class Bars:
    """What must hold; printed where it is read, remembered for the exit status."""

    counted: bool = True
    failed: list[str] = field(default_factory=list)
    read: int = 0

    def above(self, what: str, low: float, bound: float) -> None:
        """A lower bound of a difference, which must lie above `bound`."""
        if not self.counted:
            print(f"  (tuning part) {what}: lower bound {low:+.4f}")
            return
        self.read += 1
        passed = low > bound
        print(f"{'PASS' if passed else 'FAIL'}  {what}: lower bound {low:+.4f}, to be above {bound:g}")
        if not passed:
            self.failed.append(what)

    def missing(self, what: str) -> None:
        """A comparison that could not be made: nobody passes without it."""
        print(f"  left out: {what}")
        if self.counted:
            self.read += 1
            self.failed.append(what)


def best_of(candidates: Iterable[T], score: Callable[[T], float]) -> tuple[T, float]:
    """The candidate of the highest score; of equal ones the first."""
    scored = [(score(each), number, each) for number, each in enumerate(candidates)]
    value, _, chosen = max(scored, key=lambda each: (each[0], -each[1]))
    return chosen, value


def table_row(name: str, columns: Sequence[Bounds], remark: str = "") -> None:
    """One line of a table: values with their intervals."""
    print(f"  {name:32}" + "".join(f"{at:8.4f} [{low:.4f}, {high:.4f}]" for at, low, high in columns) + f"  {remark}")
