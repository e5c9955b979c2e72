"""An approximate index in memory that searches a part of the vectors exactly: those in the clusters nearest to what is
looked for (an inverted file). It needs no library.

Clusters are made by spherical k-means over a sample, as many as the root of the number of vectors, and made anew when
there are four times as many. A search goes through the `probes` nearest clusters, and through what was written since
vectors were last put in their order. So whatever is held lies in a known place, and nothing can be cut off from the
rest as in a graph: a vector that is looked for by itself is found.

The same vectors in the same order make the same index on one machine. What it finds is an input of decisions, no state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.connect.signed_bytes import as_bytes
from nextpaint.process.kernels.nearest import near_within

PROBES = 64
FEW = 20_000  # below so many every vector is searched
GROWTH = 4  # clusters are made anew when there are so many times the vectors they were made for
SAMPLE, ROUNDS = 40, 6  # of k-means: vectors a cluster, and passes over them
TAIL_MIN, TAIL_SHARE = 8_192, 16  # written vectors that are searched in any case: so many, or one of so many
PART = 8_192  # rows made floating point at once
SEED = 20

Bytes = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


class ClusterIndex:
    """See `engine.nearest.VectorIndex`. Empty at first; its dimensions are those of the first vectors."""

    def __init__(self, probes: int = PROBES) -> None:
        self.probes = probes
        self._row: dict[str, int] = {}
        self._ids: list[str | None] = []  # by row; None where what was there is gone
        self._digest: dict[str, str] = {}
        self._matrix: Bytes = np.zeros((0, 0), np.int8)
        self._norms = np.zeros(0)
        self._centres: Floats = np.zeros((0, 0), np.float32)
        self._starts: Numbers = np.zeros(1, np.int64)  # where each cluster begins, and where the last one ends
        self._made_for = 0

    def known(self) -> Mapping[str, str]:
        return dict(self._digest)

    def write(self, ids: Sequence[str], vectors: Floats, digests: Sequence[str]) -> None:
        self.delete(ids)
        size = len(self._ids)
        if size + len(ids) > len(self._matrix):
            self._reserve(size + len(ids), vectors.shape[1])
        self._matrix[size : size + len(ids)] = as_bytes(vectors)
        self._norms[size : size + len(ids)] = _lengths(self._matrix[size : size + len(ids)])
        self._ids += ids
        for row, (id_, digest) in enumerate(zip(ids, digests, strict=True), start=size):
            self._row[id_], self._digest[id_] = row, digest
        sorted_ = int(self._starts[-1])
        if len(self._ids) - sorted_ > max(TAIL_MIN, sorted_ // TAIL_SHARE) and len(self._row) >= FEW:
            self._arrange()

    def delete(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            row = self._row.pop(id_, None)
            if row is not None:
                self._ids[row] = None
                del self._digest[id_]
                self._matrix[row] = 0  # similar to nothing; its place goes when vectors are put in order

    def nearest(self, vector: npt.NDArray[np.float32], k: int) -> list[str]:
        if not self._row:
            return []
        direction = vector.astype(np.float64)
        rows = near_within(self._matrix, self._norms, self._stretches(vector), direction, min(k, len(self._row)))
        return [id_ for row in rows.tolist() if (id_ := self._ids[row]) is not None]

    def close(self) -> None:
        self._row, self._ids, self._digest = {}, [], {}
        self._matrix, self._norms = np.zeros((0, 0), np.int8), np.zeros(0)

    def _stretches(self, vector: npt.NDArray[np.float32]) -> Numbers:
        """Where to search: the nearest clusters, and all that is in none yet."""
        rest = [[int(self._starts[-1]), len(self._ids)]]
        likeness = self._centres @ vector if len(self._centres) else np.zeros(0)
        count = min(self.probes, len(likeness))
        near = np.argpartition(-likeness, count - 1)[:count] if count else np.zeros(0, np.int64)
        return np.array([*zip(self._starts[near], self._starts[near + 1], strict=True), *rest], np.int64)

    def _reserve(self, rows: int, dimensions: int) -> None:
        size = max(1_024, rows + rows // TAIL_SHARE + TAIL_MIN)
        matrix, norms, held = np.zeros((size, dimensions), np.int8), np.ones(size), len(self._ids)
        if held:
            matrix[:held], norms[:held] = self._matrix[:held], self._norms[:held]
        self._matrix, self._norms = matrix, norms

    def _arrange(self) -> None:
        """Put every vector into its cluster, and make the clusters where there are none, or too few."""
        there = np.array([row for row, id_ in enumerate(self._ids) if id_ is not None], np.int64)
        known = int(np.searchsorted(there, self._starts[-1]))  # of them, how many have a cluster
        if len(there) >= GROWTH * self._made_for:
            self._centres, self._made_for, known = self._clusters(there), len(there), 0
        held = np.searchsorted(self._starts, there[:known], side="right") - 1
        clusters = np.concatenate([held, *(self._assigned(part) for part in _parts(there[known:]))])
        order = there[np.argsort(clusters, kind="stable")]
        ids = [self._ids[row] for row in order.tolist()]
        size = len(order) + len(order) // TAIL_SHARE + TAIL_MIN + 1
        matrix, norms = np.zeros((size, self._matrix.shape[1]), np.int8), np.ones(size)
        np.take(self._matrix, order, axis=0, out=matrix[: len(order)])
        norms[: len(order)] = self._norms[order]
        self._matrix, self._norms, self._ids = matrix, norms, ids
        self._row = {id_: row for row, id_ in enumerate(ids) if id_ is not None}
        sizes = np.bincount(clusters, minlength=len(self._centres))
        self._starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    def _assigned(self, rows: Numbers) -> Numbers:
        """The cluster of each row."""
        likeness = self._matrix[rows].astype(np.float32) @ self._centres.T
        return np.asarray(likeness.argmax(axis=1), np.int64)

    def _clusters(self, rows: Numbers) -> Floats:
        """Directions of clusters of these rows, shape (clusters, dimensions)."""
        chance, count = np.random.default_rng(SEED), int(len(rows) ** 0.5)
        sample = np.sort(chance.choice(rows, min(len(rows), SAMPLE * count), replace=False))
        vectors = self._matrix[sample].astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        centres = vectors[chance.choice(len(sample), count, replace=False)]
        for _ in range(ROUNDS):
            nearest = np.concatenate([np.argmax(part @ centres.T, axis=1) for part in _parts(vectors)])
            order = np.argsort(nearest, kind="stable")
            filled, begins = np.unique(nearest[order], return_index=True)  # one that nobody is in stays where it is
            sums = np.add.reduceat(vectors[order], begins, axis=0)
            centres[filled] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        return np.asarray(centres, np.float32)


def _lengths(rows: Bytes) -> npt.NDArray[np.float64]:
    squares = np.maximum((rows.astype(np.int64) ** 2).sum(axis=1), 1)
    return np.asarray(np.sqrt(squares.astype(np.float64)), np.float64)


def _parts(rows: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    return [rows[at : at + PART] for at in range(0, len(rows), PART)]
