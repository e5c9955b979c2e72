"""Model files with exact links and compiled trees: the one way to load a ranker here and in the rooms above."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nextpaint.models import ranking
from nextpaint.models.ranking import Links, Ranker
from nextpaint.models.trees import Forest, Matrix
from nextpaint.process.kernels.exact_math import exp_array
from nextpaint.process.kernels.forest import sums


def sums_of(forest: Forest, matrix: Matrix) -> Matrix:
    """`forest.scores(matrix)`, the same bits, compiled where no split is on a set of categories."""
    if forest.categories:
        return forest.scores(matrix)
    flags = (forest.default_left + 2 * forest.nan_missing + 4 * forest.zero_missing).astype(np.uint8)
    values, thresholds, leaves, base = np.asarray(matrix, np.float64), forest.threshold, forest.value, forest.base
    if forest.strict:
        base = float(np.float32(base))
        with np.errstate(over="ignore"):
            values, thresholds, leaves = (_as_float32(each) for each in (values, thresholds, leaves))
    tree = (forest.roots, forest.feature, thresholds, forest.left, forest.right, leaves, flags)
    return np.asarray(sums(np.ascontiguousarray(values), *tree, forest.strict, base))


def _as_float32(values: Matrix) -> Matrix:
    return values.astype(np.float32).astype(np.float64)


LINKS = Links(exp_array, sums_of)


def load_ranker(path: Path, sha256: str) -> Ranker:
    """The model in a file whose SHA-256 is `sha256` (hex). Raises ValueError: what is wrong and what to do."""
    return ranking.load(path, sha256, LINKS)


def ranker_of(name: str, data: bytes, sha256: str) -> Ranker:
    """The same for the bytes of a file, which the ending of `name` says how to read."""
    return ranking.of_bytes(name, data, sha256, LINKS)
