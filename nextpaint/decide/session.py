"""The session vector: what a person is looking at now, as one direction in the space of item vectors.

The weighted, decayed sum of the directions of recent items, s = sum of c_i * v_i with c_i = w_i * 2^-(age_i /
half_life) / |v_i|, over the `SEEDS_MAX` items that weigh most. An empty session has no vector (None): a retriever then
abstains, a zero vector would be similar to nothing and everything.

Similarities follow from dot products between items: s . x = sum of c_i * (v_i . x). Item vectors are integers, so those
dot products are exact; the sum over seeds is taken in a fixed order, in float64: the same bits on every machine,
whatever the order of rows in the table. They are computed for the rows that are asked for. Which rows are nearest is
found by one pass over all of them with a rounded session (`process.kernels.nearest`), wide enough to lose none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates, FloatArray
from nextpaint.decide.context import Context, ListPath
from nextpaint.decide.requirements import Needs, VectorTable
from nextpaint.process.kernels.best import best
from nextpaint.process.kernels.decay import decay_array
from nextpaint.process.reading import Vectors
from nextpaint.record.columns import Column, IntArray
from nextpaint.record.types import DOUBLE

SEEDS_MAX = 16  # with a half-life of minutes the 17th heaviest item weighs next to nothing
RESOLUTION = 1e6  # a feature keeps six decimals: finer than quantised vectors resolve, and half the bytes in a record


@dataclass(frozen=True)
class SessionVector:
    """The session of the list `recent` ("table.column", filled by LAST_N) in the space of the `vectors` table.

    `half_life`: how fast older events count less. `text`: the items column that `vectors` embeds. Usable as the target
    of `Similar` and as a feature: there its value is the cosine similarity of session and candidate, in [-1, 1],
    times what is left of the session as it fades.
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
        if path is None or not half_life_ms:
            return None
        binder.followed.place(binder.items_table, self.vectors)
        binder.followed.place(self.vectors, binder.items_table)
        return BoundSession(path, self.vectors, half_life_ms)


@dataclass(frozen=True)
class Similarities:
    """The session among the vectors: the direction sum of coefficients[i] * vectors.matrix[seeds[i]]. `length`: its own
    (> 0). `strength`, in (0, 1]: the faded weights of the session's events together, at most 1. `every`: the score of
    each row, where vectors know it."""

    vectors: Vectors
    seeds: IntArray
    coefficients: FloatArray
    length: float
    strength: float
    every: FloatArray | None

    def scores(self, rows: IntArray) -> FloatArray:
        """Cosine similarity times the session's length, so the same order for less work; shape (rows,). Of a row below
        0 it says nothing."""
        if self.every is not None:
            return self.every[rows]
        return self.vectors.scores(rows, self.seeds, self.coefficients)

    def nearest(self, count: int) -> FloatArray:
        """The `count` best and their equals: row 0 rows, row 1 their scores, best first."""
        if self.every is not None:
            return np.asarray(best(self.every, np.ones(len(self.every), np.bool_), max(count, 1)), np.float64)
        return self.vectors.nearest(self.seeds, self.coefficients, count)

    def direction(self) -> FloatArray:
        """The session as a vector, shape (dimensions,)."""
        direction = np.zeros(self.vectors.matrix.shape[1])
        for row, coefficient in zip(self.seeds.tolist(), self.coefficients.tolist(), strict=True):
            direction += self.vectors.matrix[row] * coefficient
        return direction


@dataclass(frozen=True)
class BoundSession:
    """A session vector bound to its list; results are shared by all stages of a decision."""

    path: ListPath
    table: str
    half_life_ms: int

    def similarities(self, context: Context) -> Similarities | None:
        """The session among the vectors, or None: nothing recent, or none of it has a vector."""
        return context.once(("session", self), lambda: self._similarities(context))

    def similarity(self, candidates: Candidates, context: Context) -> Column:
        """Cosine similarity per candidate times what is left of the session, shape (n,): after a half-life without an
        event a session of one view is half as strong. NULL where the item has no vector or there is no session."""
        found = self.similarities(context)
        if found is None:
            return Column(DOUBLE, np.zeros(len(candidates)), np.zeros(len(candidates), np.bool_))
        rows = context.places(context.items_table, self.table)[candidates.slots]
        cosines = found.scores(rows) / found.length * found.strength
        return Column(DOUBLE, np.rint(cosines * RESOLUTION) / RESOLUTION, rows >= 0)  # NULL without a vector

    def latest_ms(self, context: Context) -> int | None:
        """Event time of the newest event of the session."""
        events = context.recent(self.path)
        return events[0][2] if events else None

    def _similarities(self, context: Context) -> Similarities | None:
        vectors = context.reading.vectors(self.table)
        seeds, strength = self._seeds(context, vectors)
        if not seeds:
            return None
        rows = np.array([slot for slot, _ in seeds], np.int64)
        coefficients = np.array([coefficient for _, coefficient in seeds], np.float64)
        length = vectors.length(rows, coefficients)
        if not length > 0.0:
            return None
        return Similarities(vectors, rows, coefficients, length, strength, vectors.every_score(rows, coefficients))

    def _seeds(self, context: Context, vectors: Vectors) -> tuple[list[tuple[int, float]], float]:
        """(slot, coefficient) of the heaviest recent items that have a vector, heaviest first (ties: key), and the
        strength of the session."""
        events = context.recent(self.path)
        if not events:
            return [], 0.0
        context.known = True
        ages_ms = np.maximum(context.time_ms - np.array([time for _, _, time in events], np.int64), 0)
        faded = decay_array(np.array([weight for _, weight, _ in events], np.float64), ages_ms, self.half_life_ms)
        weights: dict[str, float] = {}
        for (item, _, _), weight in zip(events, faded.tolist(), strict=True):
            if item in vectors.slots:
                weights[item] = weights.get(item, 0.0) + weight
        heaviest = sorted(weights.items(), key=lambda each: (-each[1], each[0]))[:SEEDS_MAX]
        slots = vectors.slots
        strength = 0.0
        for _, weight in heaviest:
            strength += weight
        seeds = [(slots[item], weight / float(vectors.norms[slots[item]])) for item, weight in heaviest]
        return seeds, min(1.0, strength)
