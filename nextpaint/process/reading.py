"""Reading state at one position, as of one time: what decisions, SQL queries and the console are given.

A `Reading` is taken between steps; nothing moves until it is dropped. `position` is the `seq` of the last applied
record, `time_ms` the event time the reading is evaluated at: sliding and decayed aggregates read as of it, so they
fade without a new event. Live readings include rows still buffered upstream; where that is not granted a table is
"final only".

Row reads are by primary key, or by a prefix of it. Reads over many keys are columns (`keyed`, `whole`), served from
mirrors that follow the state; a mirror is derived, never part of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nextpaint.process.kernels.nearest import against, near, nearest, square
from nextpaint.process.known_dots import KnownDots
from nextpaint.record.columns import Column, Value

Row = Mapping[str, Value]
FloatArray = npt.NDArray[np.float64]


class Whole(Protocol):
    """All rows of a table whose primary key is one column. A key keeps its slot as long as it is there."""

    @property
    def keys(self) -> Sequence[Value]:
        """The key of each slot; a deleted slot holds None."""

    @property
    def slots(self) -> Mapping[Value, int]: ...

    def column(self, name: str) -> Column:
        """One value per slot, as of the reading's time; NULL for deleted slots."""

    def codes(self, name: str) -> tuple[npt.NDArray[np.int64], Mapping[Value, int]]:
        """A STRING column as small integers: the code of each slot (-1 for NULL), and the code of each value seen."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of a table, quantised: components are signed bytes, so that dot products are exact integers in any order
    of summation, on any machine.

    `keys[i]` owns row i of `matrix`, int8 of shape (rows, dimensions); `norms[i]` is its Euclidean length (float64,
    > 0). A row without a vector yet is not listed. `missing`: how many rows of the table wait for theirs. `known`: dot
    products that are kept, where somebody tells them of changes.
    """

    keys: Sequence[Value]
    slots: Mapping[Value, int]
    matrix: npt.NDArray[np.int8]
    norms: FloatArray
    missing: int
    known: KnownDots | None = None

    def nearest(self, seeds: npt.NDArray[np.int64], coefficients: FloatArray, count: int) -> FloatArray:
        """The `count` rows nearest to the direction sum of coefficients[i] * matrix[seeds[i]], with all that equal the
        last of them, best first. Row 0: which they are; row 1: their exact scores, `direction . row / norm`. None where
        the direction is zero."""
        return np.asarray(nearest(self.matrix, self.norms, seeds, coefficients, count), np.float64)

    def near(self, direction: FloatArray, count: int) -> npt.NDArray[np.int64]:
        """Rows, ascending, among which are the `count` of largest `direction . row / norm`, with all that equal the
        last of them; none where the direction is zero."""
        return np.asarray(near(self.matrix, self.norms, direction, count), np.int64)

    def scores(self, rows: npt.NDArray[np.int64], seeds: npt.NDArray[np.int64], coefficients: FloatArray) -> FloatArray:
        """The exact scores of `rows`, shape (rows,), in the bits of `nearest`; 0 for a row below 0."""
        scores = np.empty(len(rows))
        against(self.matrix, self.norms, rows, seeds, coefficients, scores)
        return scores

    def every_score(self, seeds: npt.NDArray[np.int64], coefficients: FloatArray) -> FloatArray | None:
        """The exact score of each row, in the bits of `nearest`, where that is cheaper than a search."""
        return None if self.known is None else self.known.scores(self.matrix, self.norms, seeds, coefficients)

    def length(self, seeds: npt.NDArray[np.int64], coefficients: FloatArray) -> float:
        """The length of that direction."""
        return sqrt(max(square(self.matrix, seeds, coefficients), 0.0))


class Learned(Protocol):
    """What a surface's exploration has learned, by arm; see `process.operators.learning`."""

    @property
    def counts(self) -> Mapping[str, int]: ...

    def statistics(self, arms: Sequence[str], as_of_ms: int) -> tuple[FloatArray, FloatArray]:
        """Examined trials and rewards of each arm, shapes (n,)."""

    def total(self, as_of_ms: int) -> tuple[float, float]:
        """Examined trials and rewards of all arms."""

    def models(self, arms: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Theta, shape (n, k), and the inverse design matrix, shape (n, k, k), of each linear arm."""

    def places(self) -> tuple[FloatArray, FloatArray]:
        """By place on the page: rewards expected if everything were examined, and those that came."""


class Reading(Protocol):
    """State at `position` as of `time_ms`. Unknown tables and columns raise KeyError: callers are checked
    beforehand."""

    @property
    def position(self) -> int: ...

    @property
    def time_ms(self) -> int: ...

    @property
    def stopped(self) -> frozenset[str]:
        """Tables that take nothing new since their statement, or one that feeds it, halted at the memory ceiling."""

    def row(self, table: str, key: tuple[Value, ...]) -> Row | None:
        """The row of a whole primary key, or None."""

    def rows(self, table: str, prefix: tuple[Value, ...]) -> Sequence[Row]:
        """Rows whose first key columns equal `prefix`, ordered by the rest of the key."""

    def keyed(self, table: str, column: str, keys: Sequence[Value]) -> Column:
        """One value per key for a table with a one-column primary key; NULL where there is no row."""

    def whole(self, table: str) -> Whole:
        """All rows of a table with a one-column primary key."""

    def places(self, table: str, other: str) -> npt.NDArray[np.int64]:
        """For each slot of `whole(table)` the slot of the same key in `whole(other)`, -1 where there is none; of a
        table of vectors the row."""

    def vectors(self, table: str) -> Vectors: ...

    def learned(self, name: str) -> Learned: ...

    def changed_at_ms(self, table: str, keys: Sequence[tuple[Value, ...]]) -> list[int | None]:
        """The ledger time of the last change of each row, None where there is none: the age of a fact is `now` minus
        it."""
