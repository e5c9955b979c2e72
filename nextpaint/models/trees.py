"""An ensemble of decision trees as flat arrays, scored exactly.

A score is the sum of one leaf per tree, added in the order of the trees, in the width the training library uses: equal
to the bit on every machine and however a batch is cut. No library of its own is needed to score.

A `Forest` holds its trees end to end. Node `i` is a leaf where `left[i] == i`; its value is `value[i]`. Children are
absolute node numbers. Does not do: training, linear leaves, multi-class (one score per row).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ZERO = float(np.float32(1e-35))  # LightGBM: what is nearer to 0 is 0
ROWS_AT_ONCE = 4096  # rows x trees node numbers stay in cache


class WrongModel(ValueError):
    """A model file that cannot be scored here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Forest:
    """`roots`, shape (trees,); all others, shape (nodes,).

    A row goes left when its feature is `<= threshold` (`strict`: `<`, in float32, as XGBoost). NaN goes to
    `default_left` where `nan_missing`, and is 0 elsewhere; where `zero_missing`, 0 goes there too. `categories[i]`: the
    set of category numbers that go left at node i.
    """

    roots: Ints
    feature: Ints
    threshold: Matrix
    left: Ints
    right: Ints
    value: Matrix
    default_left: Bools
    nan_missing: Bools
    zero_missing: Bools
    strict: bool = False
    base: float = 0.0
    categories: dict[int, frozenset[int]] = field(default_factory=dict)

    def checked(self, features: int) -> Forest:
        """Itself, if every node is reached once from its root and reads a feature there is. Raises WrongModel."""
        nodes = len(self.left)
        seen = np.zeros(nodes, np.bool_)
        frontier = self.roots
        while len(frontier):
            if frontier.min() < 0 or frontier.max() >= nodes:
                raise WrongModel("a tree points to a node that is not there: the file is damaged")
            if seen[frontier].any() or len(np.unique(frontier)) != len(frontier):
                raise WrongModel("a tree reaches a node twice: the file is damaged")
            seen[frontier] = True
            inner = frontier[self.left[frontier] != frontier]
            used = self.feature[inner]
            if len(used) and (used.min() < 0 or used.max() >= features):
                raise WrongModel(f"a tree reads feature {used.max()}; the model has {features}")
            frontier = np.concatenate([self.left[inner], self.right[inner]])
        return self

    def scores(self, matrix: Matrix) -> Matrix:
        """Sums of leaves, shape (rows,), of a matrix of features, shape (rows, features). NaN is a missing value."""
        parts = [self._scores(matrix[at : at + ROWS_AT_ONCE]) for at in range(0, len(matrix), ROWS_AT_ONCE)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _scores(self, matrix: Matrix) -> Matrix:
        dtype: Any = np.float32 if self.strict else np.float64
        with np.errstate(over="ignore"):
            wide = matrix.astype(dtype)
        leaves = self._leaves(wide)
        terms = np.empty((len(matrix), len(self.roots) + 1), dtype)
        terms[:, 0] = self.base
        terms[:, 1:] = self.value[leaves]
        # accumulate adds from left to right; sum() would add pairwise, in another order on another machine
        return np.add.accumulate(terms, axis=1)[:, -1].astype(np.float64)

    def _leaves(self, matrix: Any) -> Ints:
        """The leaf each row reaches in each tree, shape (rows, trees)."""
        nodes = np.repeat(self.roots[None, :], len(matrix), axis=0)
        rows, trees = np.nonzero(self.left[nodes] != nodes)
        while len(rows):
            at = nodes[rows, trees]
            nodes[rows, trees] = after = np.where(
                self._goes_left(at, matrix[rows, self.feature[at]]), self.left[at], self.right[at]
            )
            inner = self.left[after] != after
            rows, trees = rows[inner], trees[inner]
        return nodes

    def _goes_left(self, at: Ints, values: Any) -> Bools:
        missing = np.isnan(values)
        values = np.where(missing & ~self.nan_missing[at], values.dtype.type(0), values)
        missing &= self.nan_missing[at]
        missing |= self.zero_missing[at] & (np.abs(values) <= ZERO)
        limits = self.threshold[at].astype(values.dtype)
        below = values < limits if self.strict else values <= limits
        goes = np.where(missing, self.default_left[at], below)
        if self.categories:
            for index in np.flatnonzero(np.isin(at, list(self.categories))).tolist():
                value = float(values[index])
                goes[index] = value == value and 0 <= value < 2**31 and int(value) in self.categories[int(at[index])]
        return np.asarray(goes, np.bool_)
