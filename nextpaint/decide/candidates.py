"""The batch every stage of a decision takes and gives: candidate items as columns.

Invariants: items are unique within a batch and all of them are in the surface's items table (`slots` says where); all
columns have the batch's length; order means something (best first after a retriever and after ranking). Batches are
never changed in place, so a stage may keep the one it was given. A batch does not know how it was made beyond
`sources`. It holds slots, not ids: those are looked up for the few that are answered, while the decision's reading
stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.candidates import union, usable
from nextpaint.record.columns import BoolArray, Column, IntArray, Value
from nextpaint.record.types import DOUBLE

FloatArray = npt.NDArray[np.float64]


class Features(Mapping[str, Column]):
    """DOUBLE columns by name, held as one matrix. A value.

    names: of the rows. matrix: float64 (features, n), finite, 0.0 where NULL. valid: bool (features, n), None where
    nothing is NULL. What is taken of it is copied when somebody looks: of most batches nobody does."""

    __slots__ = ("_at", "_matrix", "_valid", "names")

    def __init__(
        self, names: tuple[str, ...], matrix: FloatArray, valid: BoolArray | None = None, at: IntArray | None = None
    ) -> None:
        self.names = names
        self._matrix = matrix
        self._valid = valid
        self._at = at  # columns of the two that are meant, None: all

    @staticmethod
    def of(columns: Mapping[str, Column]) -> Features:
        """Columns of one length; NaN and infinities, which no ranking can use, become NULL."""
        names = tuple(columns)
        matrix = np.empty((len(names), len(next(iter(columns.values()), ()))))
        valid = np.ones(matrix.shape, np.bool_)
        for row, known, column in zip(matrix, valid, columns.values(), strict=True):
            row[:] = column.values
            if column.valid is not None:
                known[:] = column.valid
        return Features(names, matrix, None if usable(matrix, valid) else valid)

    @property
    def matrix(self) -> FloatArray:
        self._look()
        return self._matrix

    @property
    def valid(self) -> BoolArray | None:
        self._look()
        return self._valid

    def _look(self) -> None:
        if self._at is not None:
            self._matrix = self._matrix.take(self._at, axis=1)
            self._valid = None if self._valid is None else self._valid.take(self._at, axis=1)
            self._at = None

    def __getitem__(self, name: str) -> Column:
        if name not in self.names:
            raise KeyError(name)
        row, valid = self.names.index(name), self.valid
        return Column(DOUBLE, self.matrix[row], None if valid is None else valid[row])

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def rows(self, names: Sequence[str]) -> IntArray:
        """Which rows these are, shape (names,). Raises ValueError for a name that is not there."""
        return np.array([self.names.index(name) for name in names], np.int64)

    def take(self, indices: IntArray) -> Features:
        """Columns by index array."""
        if not self.names:
            return self
        at = indices if self._at is None else self._at[indices]
        return Features(self.names, self._matrix, self._valid, at)

    def nulls_as(self, value: float) -> FloatArray:
        """The matrix with this in the place of NULL."""
        valid = self.valid
        return self.matrix if valid is None else np.where(valid, self.matrix, value)

    @staticmethod
    def concat(batches: Sequence[Features]) -> Features:
        """The same features of batches, end to end."""
        valid = None
        if any(each.valid is not None for each in batches):
            known = [np.ones(each.matrix.shape, np.bool_) if each.valid is None else each.valid for each in batches]
            valid = np.concatenate(known, axis=1)
        return Features(batches[0].names, np.concatenate([each.matrix for each in batches], axis=1), valid)


NO_FEATURES = Features((), np.empty((0, 0)))


@dataclass(slots=True)
class Candidates:
    """`n` candidates. A value: stages make new ones and change none.

    slots: int64 (n,), the item's slot in the items table. scores: float64 (n,). sources: int64 (n,), bit i is set when
    retriever i of the surface found the item. names: the items table's key of each slot. features: DOUBLE columns by
    feature name, (n,) each.
    """

    slots: IntArray
    scores: FloatArray
    sources: IntArray
    names: Sequence[Value]
    features: Features = NO_FEATURES

    def __len__(self) -> int:
        return len(self.slots)

    def take(self, indices: IntArray | BoolArray | Sequence[int]) -> Candidates:
        """Rows by index array (or list) or mask, in the order of the indices."""
        at = np.asarray(indices)
        at = at.nonzero()[0] if at.dtype == np.bool_ else at.astype(np.int64, copy=False)
        return Candidates(self.slots[at], self.scores[at], self.sources[at], self.names, self.features.take(at))

    def head(self, count: int) -> Candidates:
        """The first `count` rows."""
        return self if count >= len(self) else self.take(np.arange(count))

    def keys(self) -> list[str]:
        """Item keys, in order."""
        names = cast(Sequence[str], self.names)  # those of items are STRING (binder)
        return list(map(names.__getitem__, self.slots.tolist()))

    def with_scores(self, scores: FloatArray) -> Candidates:
        """The same candidates under other scores, shape (n,)."""
        return Candidates(self.slots, scores, self.sources, self.names, self.features)

    def with_features(self, features: Features) -> Candidates:
        """The same candidates with these features."""
        return Candidates(self.slots, self.scores, self.sources, self.names, features)

    @staticmethod
    def none() -> Candidates:
        """No candidates."""
        return _NONE


_NONE = Candidates(np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.int64), ())


def concatenated(batches: Sequence[Candidates]) -> Candidates:
    """Batches of the same features end to end; they hold different items."""
    filled = [each for each in batches if len(each)]
    if len(filled) < 2:
        return filled[0] if filled else Candidates.none()
    return Candidates(
        np.concatenate([each.slots for each in filled]),
        np.concatenate([each.scores for each in filled]),
        np.concatenate([each.sources for each in filled]),
        filled[0].names,
        Features.concat([each.features for each in filled]) if filled[0].features else NO_FEATURES,
    )


def merge(batches: list[Candidates]) -> Candidates:
    """The union of retrievers' batches, each item once with the bit of every batch that holds it.

    Order: by the best rank an item has in any batch, then by the earliest such batch: a fair interleaving, which is
    also the order used when there is no time to rank. Scores of different retrievers are not comparable and are dropped
    (zero).
    """
    bits = [index for index, batch in enumerate(batches) if len(batch)]
    if not bits:
        return Candidates.none()
    filled = [batches[index] for index in bits]
    ends = np.cumsum([len(batch) for batch in filled])
    slots, sources = union(np.concatenate([batch.slots for batch in filled]), ends, np.array(bits, np.int64))
    return Candidates(slots, np.zeros(len(slots)), sources, filled[0].names)


def append(batch: Candidates, more: Candidates, source: int) -> Candidates:
    """`batch`, then those of `more` it does not hold, marked with source bit `source`. Features are dropped."""
    fresh = more.take(~np.isin(more.slots, batch.slots))
    return Candidates(
        np.concatenate([batch.slots, fresh.slots]),
        np.zeros(len(batch) + len(fresh), np.float64),
        np.concatenate([batch.sources, np.full(len(fresh), 1 << source, np.int64)]),
        batch.names or more.names,
    )
