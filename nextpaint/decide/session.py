"""The session vector: what a person is looking at now, as one vector computed when a decision reads it.

The weighted, decayed mean of the vectors of recent items: sum of w_i * 2^-(age_i / half_life) * v_i / |v_i|,
normalised. An empty session has no vector (None): a retriever then abstains, a zero vector would be similar to nothing
and everything.

Exactness: a decision must be recomputable on any machine, and BLAS may sum in any order. So weights are rounded to
integers of `WEIGHT_BITS` bits; times integer components of at most 127 over at most 2,048 items, the sums stay below
2^53 and are exact in float64 in any order. The result is rounded to integers in [-127, 127], as item vectors are, so
every dot product of up to 1,040 components is exact in float32. Cosine similarity is then dot / (|s| * |v|) in float64,
one rounding each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context, ListPath
from nextpaint.decide.requirements import Needs, VectorTable
from nextpaint.process.kernels.decay import decay_array
from nextpaint.process.reading import Vectors
from nextpaint.record.columns import Column
from nextpaint.record.types import DOUBLE

WEIGHT_BITS = 32  # with 7 bits of a component and 11 of the count: 50 bits of the 53 that float64 sums exactly
COMPONENT_MAX = 127
EVENTS_MAX = 2_048
RESOLUTION = 1e6  # a feature keeps six decimals: finer than quantised vectors resolve, and half the bytes in a record


@dataclass(frozen=True)
class SessionVector:
    """The session of the list `recent` ("table.column", filled by LAST_N) in the space of the `vectors` table.

    `half_life`: how fast older events count less. `text`: the items column that `vectors` embeds. Usable as the target
    of `Similar` and as a feature: there its value is the cosine similarity of session and candidate, in [-1, 1].
    """

    recent: str
    vectors: str = "item_vectors"
    half_life: str = "10 min"
    text: str = "title"

    def __str__(self) -> str:
        return f"session of {self.recent} in {self.vectors}, half-life {self.half_life}"

    def needs(self, needs: Needs) -> None:
        needs.read_path(self.recent)
        needs.vectors[self.vectors] = VectorTable(self.vectors, needs.items, self.text)

    def bind(self, binder: Binder) -> BoundSession | None:
        path = binder.item_list(self.recent, "SessionVector")
        half_life_ms = binder.duration(self.half_life, "SessionVector(half_life=)")
        binder.item_column(self.text, "SessionVector(text=)")
        return BoundSession(path, self.vectors, half_life_ms) if path is not None and half_life_ms else None


@dataclass(frozen=True)
class Quantised:
    """A vector of integers in [-127, 127] held as float32, shape (dimensions,), and its Euclidean length (float64, >
    0)."""

    values: npt.NDArray[np.float32]
    norm: float


@dataclass(frozen=True)
class BoundSession:
    """A session vector bound to its list; results are shared by all stages of a decision."""

    path: ListPath
    table: str
    half_life_ms: int

    def vector(self, context: Context) -> Quantised | None:
        """The session's vector, or None: nothing recent, or none of it has a vector."""
        return context.once(("session", self), lambda: self._vector(context))

    def all_similarities(self, context: Context) -> tuple[Vectors, FloatArray] | None:
        """Cosine similarity to every row of the vector table, shape (rows,), times the session's length: the same order
        for one pass less. None without a session."""
        return context.once(("similarities", self), lambda: self._all_similarities(context))

    def similarity(self, candidates: Candidates, context: Context) -> Column:
        """Cosine similarity per candidate, shape (n,); NULL where the item has no vector or there is no session."""
        session = self.vector(context)
        if session is None:
            return Column(DOUBLE, np.zeros(len(candidates)), np.zeros(len(candidates), np.bool_))
        vectors = context.reading.vectors(self.table)
        rows = np.array([vectors.slots.get(each, -1) for each in candidates.keys()], np.int64)
        valid = rows >= 0
        every: tuple[Vectors, FloatArray] | None = context.recall(("similarities", self))
        scaled = every[1][rows] if every is not None else _per_norm(vectors.matrix[rows], session, vectors.norms[rows])
        values = np.rint(np.where(valid, scaled / session.norm, 0.0) * RESOLUTION) / RESOLUTION
        return Column(DOUBLE, values, None if bool(valid.all()) else valid)

    def latest_ms(self, context: Context) -> int | None:
        """Event time of the newest event of the session."""
        events = context.recent(self.path)
        return events[0][2] if events else None

    def _vector(self, context: Context) -> Quantised | None:
        events = context.recent(self.path)[:EVENTS_MAX]
        if not events:
            return None
        context.known = True
        vectors = context.reading.vectors(self.table)
        found = [(vectors.slots[item], weight, time) for item, weight, time in events if item in vectors.slots]
        if not found:
            return None
        rows = np.array([row for row, _, _ in found], np.int64)
        age_ms = np.maximum(context.time_ms - np.array([time for _, _, time in found], np.int64), 0)
        weights = decay_array(np.array([weight for _, weight, _ in found], np.float64), age_ms, self.half_life_ms)
        per_component = weights / vectors.norms[rows]
        return _quantised(exact_sum(per_component, vectors.matrix[rows]))

    def _all_similarities(self, context: Context) -> tuple[Vectors, FloatArray] | None:
        session = self.vector(context)
        if session is None:
            return None
        vectors = context.reading.vectors(self.table)
        return vectors, _per_norm(vectors.matrix, session, vectors.norms)


def _per_norm(matrix: npt.NDArray[Any], session: Quantised, norms: npt.NDArray[Any]) -> FloatArray:
    """Exact dot products (float32 holds them) over the rows' lengths, in float64."""
    result: FloatArray = np.divide(matrix @ session.values, norms, dtype=np.float64)
    return result


def exact_sum(weights: FloatArray, components: npt.NDArray[Any]) -> FloatArray:
    """The sum of rows of integer `components` (n, d) under `weights` (n,), up to a factor: an integer per component,
    the same in any order of summation. All zero where no weight is."""
    largest = float(np.abs(weights).max(initial=0.0))
    if not largest > 0.0:
        return np.zeros(components.shape[1])
    whole = np.rint(weights / largest * 2.0**WEIGHT_BITS)
    total: FloatArray = whole @ components.astype(np.float64)
    return total


def _quantised(mean: FloatArray) -> Quantised | None:
    largest = float(np.abs(mean).max(initial=0.0))
    if largest == 0.0:
        return None
    values = np.rint(mean / largest * COMPONENT_MAX)
    # Integers below 2^24: their sum of squares is exact in any order, and sqrt is correctly rounded everywhere.
    return Quantised(values.astype(np.float32), float(np.sqrt((values * values).sum())))
