"""The batch every stage of a decision takes and gives: candidate items as columns.

Invariants: ids are unique within a batch and all of them are in the surface's items table (`slots` says where); all
columns have the batch's length; order means something (best first after a retriever and after ranking). Batches are
never changed in place, so a stage may keep the one it was given. A batch does not know how it was made beyond
`sources`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from nextpaint.record.columns import AnyArray, BoolArray, Column, IntArray

FloatArray = npt.NDArray[np.float64]


@dataclass(slots=True)
class Candidates:
    """`n` candidates. A value: stages make new ones and change none.

    ids: object array (n,) of item keys. slots: int64 (n,), the item's slot in the items table. scores: float64 (n,).
    sources: int64 (n,), bit i is set when retriever i of the surface found the item.
    features: DOUBLE columns by feature name, (n,) each.
    """

    ids: AnyArray
    slots: IntArray
    scores: FloatArray
    sources: IntArray
    features: Mapping[str, Column] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.slots)

    def take(self, indices: IntArray | BoolArray) -> Candidates:
        """Rows by index array or mask, in the order of the indices."""
        return Candidates(
            self.ids[indices],
            self.slots[indices],
            self.scores[indices],
            self.sources[indices],
            {name: column.take(indices) for name, column in self.features.items()},
        )

    def head(self, count: int) -> Candidates:
        """The first `count` rows."""
        return self if count >= len(self) else self.take(np.arange(count))

    def keys(self) -> list[str]:
        """Item keys as a Python list, in order."""
        keys: list[str] = self.ids.tolist()
        return keys

    def with_scores(self, scores: FloatArray) -> Candidates:
        """The same candidates under other scores, shape (n,)."""
        return replace(self, scores=scores)

    def with_features(self, features: Mapping[str, Column]) -> Candidates:
        """The same candidates with these features."""
        return replace(self, features=features)

    @staticmethod
    def none() -> Candidates:
        """No candidates."""
        return Candidates(np.empty(0, object), np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.int64))


def concatenated(batches: Sequence[Candidates]) -> Candidates:
    """Batches of the same features end to end; they hold different items."""
    if len(batches) < 2:
        return batches[0] if batches else Candidates.none()
    return Candidates(
        np.concatenate([each.ids for each in batches]),
        np.concatenate([each.slots for each in batches]),
        np.concatenate([each.scores for each in batches]),
        np.concatenate([each.sources for each in batches]),
        {name: Column.concat([each.features[name] for each in batches]) for name in batches[0].features},
    )


def merge(batches: list[Candidates]) -> Candidates:
    """The union of retrievers' batches, each item once with the bit of every batch that holds it.

    Order: by the best rank an item has in any batch, then by the earliest such batch: a fair interleaving, which is
    also the order used when there is no time to rank. Scores of different retrievers are not comparable and are dropped
    (zero).
    """
    filled = [(index, batch) for index, batch in enumerate(batches) if len(batch)]
    if not filled:
        return Candidates.none()
    slots = np.concatenate([batch.slots for _, batch in filled])
    turn = np.concatenate([np.arange(len(batch)) * len(batches) + index for index, batch in filled])
    order = np.argsort(turn)
    slots = slots[order]
    # By slot: where it comes first, and its bits. Slots are below the size of the items table, so both are one pass.
    size = int(slots.max()) + 1
    first = np.empty(size, np.int64)
    first[slots[::-1]] = np.arange(len(slots) - 1, -1, -1)  # of equal slots the last write stays: the first place
    of_slot = np.zeros(size, np.int64)
    for index, batch in filled:
        of_slot[batch.slots] |= 1 << index
    kept = np.flatnonzero(first[slots] == np.arange(len(slots)))
    ids = np.concatenate([batch.ids for _, batch in filled])[order[kept]]
    slots = slots[kept]
    return Candidates(ids, slots, np.zeros(len(slots), np.float64), of_slot[slots])


def append(batch: Candidates, more: Candidates, source: int) -> Candidates:
    """`batch`, then those of `more` it does not hold, marked with source bit `source`. Features are dropped."""
    fresh = more.take(~np.isin(more.slots, batch.slots))
    return Candidates(
        np.concatenate([batch.ids, fresh.ids]),
        np.concatenate([batch.slots, fresh.slots]),
        np.zeros(len(batch) + len(fresh), np.float64),
        np.concatenate([batch.sources, np.full(len(fresh), 1 << source, np.int64)]),
    )
