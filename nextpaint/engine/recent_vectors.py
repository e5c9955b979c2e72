"""The vectors that changed last, searched exactly beside an index: whatever its graph misses, a change is found.

Rows are dense and few, so that a search is one pass over a megabyte or two. The oldest change makes way for the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from nextpaint.process.reading import FloatArray, Vectors
from nextpaint.record.columns import Value


class RecentVectors:
    """At most `most` vectors by item."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows: dict[Value, int] = {}  # by age of the change, oldest first
        self._keys: list[Value] = []
        self._matrix = np.zeros((0, 0), np.int8)
        self._norms = np.zeros(0)

    def __len__(self) -> int:
        return len(self._keys)

    def put(self, keys: Sequence[Value], vectors: npt.NDArray[np.int8]) -> None:
        """These changed now; vectors has shape (keys, dimensions), none of them zero."""
        norms = np.sqrt((vectors.astype(np.int64) ** 2).sum(axis=1).astype(np.float64))
        if not len(self._matrix) and len(keys):
            self._matrix, self._norms = np.zeros((self._most, vectors.shape[1]), np.int8), np.ones(self._most)
        for key, vector, norm in zip(keys, vectors, norms, strict=True):
            row = self._rows.pop(key, None)
            if row is None and len(self._keys) == self._most:
                self.drop([next(iter(self._rows))])
            if row is None:
                row = len(self._keys)
                self._keys.append(key)
            self._rows[key] = row
            self._matrix[row], self._norms[row] = vector, norm

    def drop(self, keys: Iterable[Value]) -> None:
        """These are gone; unknown ones are no error."""
        for key in keys:
            row = self._rows.pop(key, None)
            if row is None:
                continue
            moved = self._keys.pop()
            if moved != key:
                last = len(self._keys)
                self._keys[row], self._rows[moved] = moved, row
                self._matrix[row], self._norms[row] = self._matrix[last], self._norms[last]

    def nearest(self, direction: FloatArray, count: int) -> list[Value]:
        """Items among which are the `count` nearest of these, in no order."""
        size = len(self._keys)
        view = Vectors(self._keys, self._rows, self._matrix[:size], self._norms[:size], 0)
        return [self._keys[row] for row in view.near(direction, count).tolist()]
