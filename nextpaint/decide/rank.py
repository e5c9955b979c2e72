"""Rankers: scores for candidates, best first, with signed contributions that sum to the score.

`Weighted` normalises each feature over the candidates of this decision by its largest absolute value, so a weight says
how much the best candidate can gain from that feature, whatever its unit:

    contribution_f(i) = weight_f * value_f(i) / max(full_f, max_j |value_f(j)|)
    score(i) = sum of contributions, in declared order

`full_f` (0 unless declared with `full_at`) is the value from which a feature counts in full. Without it an interest
that has almost faded still counts in full, for it is the largest there is; with `full_at(interest=1.0)` it counts as
little as is left.

NULL contributes 0, and so does a feature that is 0 for every candidate. Elementwise operations in a fixed order: the
same bits on every machine. Equal scores keep the order of the batch: the fair merge of the retrievers, or the caller's
order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context
from nextpaint.decide.requirements import Needs
from nextpaint.process.kernels.candidates import loudest, raise_to_largest, weigh
from nextpaint.record.columns import IntArray


class Weighted:
    """A weighted sum of features: `Weighted(sim=0.5, heat=0.3)`. A negative weight ranks down."""

    label = "weighted"

    def __init__(self, **weights: float) -> None:
        self.weights: Mapping[str, float] = weights
        self.full: Mapping[str, float] = {}

    def full_at(self, **values: float) -> Weighted:
        """The same weights, each of these features counting in full only from this value on: for what fades."""
        made = Weighted(**self.weights)
        made.full = {**self.full, **values}
        return made

    def __str__(self) -> str:
        shown = f"Weighted({', '.join(f'{name}={weight:g}' for name, weight in self.weights.items())})"
        if not self.full:
            return shown
        return f"{shown}.full_at({', '.join(f'{name}={value:g}' for name, value in self.full.items())})"

    def __repr__(self) -> str:
        return str(self)

    def needs(self, needs: Needs) -> None:
        pass

    def check(self, features: Sequence[str], binder: Binder) -> BoundWeighted:
        """The running ranker over the surface's features; reports weights without a feature."""
        if not self.weights:
            binder.error("Weighted() has no weights", "write Weighted(feature=1.0)")
        sound: list[tuple[str, float]] = []
        declared: Mapping[str, object] = self.weights
        for name, weight in declared.items():
            if name not in features:
                binder.unknown("feature in Weighted:", name, features)
            if isinstance(weight, int | float) and not isinstance(weight, bool) and isfinite(weight):
                sound.append((name, float(weight)))
            else:
                binder.error(f"Weighted({name}={weight!r})", "write a finite number")
        stated: Mapping[str, object] = self.full
        for name, value in stated.items():
            if name not in self.weights:
                binder.unknown("feature in full_at:", name, list(self.weights))
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < inf:
                binder.error(f"full_at({name}={value!r})", "write a number above 0")
        return BoundWeighted(tuple(sound), tuple(self.full.items()))


@dataclass(frozen=True)
class BoundWeighted:
    """A running `Weighted`."""

    weights: tuple[tuple[str, float], ...]
    full: tuple[tuple[str, float], ...] = ()

    def __call__(self, candidates: Candidates, context: Context) -> Candidates:
        scored = candidates.with_scores(self.scores(candidates, self.scales(candidates)))
        return scored.take(np.argsort(-scored.scores, kind="stable"))

    def scales(self, candidates: Candidates) -> dict[str, float]:
        """Per feature the largest absolute value over the batch, or the value it counts in full from if that is larger;
        0.0 where there is neither."""
        full, names = dict(self.full), [name for name, _ in self.weights]
        scales = np.array([full.get(name, 0.0) for name in names], np.float64)
        raise_to_largest(candidates.features.matrix, candidates.features.rows(names), scales)
        return dict(zip(names, scales.tolist(), strict=True))

    def scores(self, candidates: Candidates, scales: Mapping[str, float]) -> FloatArray:
        """Scores under given scales, shape (n,)."""
        total = np.zeros(len(candidates), np.float64)
        weigh(candidates.features.matrix, *_weighted(candidates, dict(self.weights), scales), total)
        return total


def spoke_most(candidates: Candidates, weights: Mapping[str, float], scales: Mapping[str, float]) -> list[str]:
    """Per candidate the feature with the largest contribution (of equal ones the first declared), '' where none is
    above zero."""
    held = {name: weight for name, weight in weights.items() if name in candidates.features.names}
    found = np.full(len(candidates), -1, np.int64)
    loudest(candidates.features.matrix, *_weighted(candidates, held, scales), found)
    names = [*held, ""]  # -1 is the last
    return [names[index] for index in found.tolist()]


def _weighted(
    candidates: Candidates, weights: Mapping[str, float], scales: Mapping[str, float]
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Rows of the features' matrix, their weights and scales, as kernels take them."""
    rows = candidates.features.rows(list(weights))
    divided = np.array([scales.get(name, 0.0) for name in weights], np.float64)
    return rows, np.array(list(weights.values()), np.float64), divided


def contributions(
    weights: Mapping[str, float], scales: Mapping[str, float], values: Mapping[str, float | None]
) -> dict[str, float]:
    """Signed contributions of one candidate, equal to the columns' arithmetic bit for bit; they sum to its score."""
    shares: dict[str, float] = {}
    for name, weight in weights.items():
        value, scale = values.get(name), scales.get(name, 0.0)
        shares[name] = weight * (value / scale) if value is not None and scale > 0.0 else 0.0
    return shares


def totals(
    weights: Mapping[str, float], scales: Mapping[str, float], values: Mapping[str, Sequence[float | None]], count: int
) -> list[float]:
    """The scores of `count` candidates from a column for each weighted feature: the sums of `contributions`, bit for
    bit."""
    sums = [0.0] * count
    for name, weight in weights.items():
        scale = scales.get(name, 0.0)
        if scale > 0.0:
            column = values[name]
            sums = [
                total if value is None else total + weight * (value / scale)
                for total, value in zip(sums, column, strict=True)
            ]
    return sums
