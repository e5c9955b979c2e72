"""What a next-basket recommender has to beat; each with the grid its settings are drawn from.

Definitions and sources are in docs/quality-protocol.md. Everything is exact and dense: a few thousand items and
customers.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from rig.baskets import DAY_MS, Basket, FloatArray

Grid = Mapping[str, Sequence[Any]]


class Popularity:
    """Items by number of invoices in the last `days`."""

    name = "popularity"
    grid: ClassVar[Grid] = {"days": (7, 14, 30, 60)}

    def __init__(self, size: int, days: int = 30) -> None:
        self._counts = np.zeros(size)
        self._window_ms = days * DAY_MS
        self._recent: deque[Basket] = deque()

    def scores(self, basket: Basket) -> FloatArray:
        while self._recent and self._recent[0].time_ms <= basket.time_ms - self._window_ms:
            self._counts[self._recent.popleft().items] -= 1
        return self._counts.copy()

    def observe(self, basket: Basket) -> None:
        self._counts[basket.items] += 1
        self._recent.append(basket)


class LastBasket:
    """The items of the last invoice, then popularity."""

    name = "last basket"
    grid: ClassVar[Grid] = {}

    def __init__(self, size: int) -> None:
        self._popularity = Popularity(size)
        self._last: dict[str, npt.NDArray[np.int64]] = {}

    def scores(self, basket: Basket) -> FloatArray:
        scores = _share(self._popularity.scores(basket))
        if basket.customer in self._last:
            scores[self._last[basket.customer]] += 2
        return scores

    def observe(self, basket: Basket) -> None:
        self._popularity.observe(basket)
        if basket.is_target:
            self._last[basket.customer] = basket.items


class ItemNeighbours:
    """item-kNN: cosine over invoices between what was bought last and everything else, then popularity."""

    name = "item-kNN"
    grid: ClassVar[Grid] = {"last": (1, 2, 5), "shrink": (0, 10, 50), "neighbours": (50, 200)}

    def __init__(self, size: int, last: int = 1, shrink: int = 0, neighbours: int = 200) -> None:
        self._together = np.zeros((size, size), np.float32)
        self._counts = np.zeros(size)
        self._popularity = Popularity(size)
        self._history: dict[str, deque[npt.NDArray[np.int64]]] = defaultdict(lambda: deque(maxlen=last))
        self._shrink, self._neighbours = shrink, neighbours

    def scores(self, basket: Basket) -> FloatArray:
        scores = 1e-6 * _share(self._popularity.scores(basket))
        history = self._history.get(basket.customer)
        if not history:
            return scores
        seeds = np.unique(np.concatenate(history))
        both = self._together[seeds].astype(np.float64)
        cosine = both / (np.sqrt(np.outer(self._counts[seeds], np.maximum(self._counts, 1))) + self._shrink)
        if self._neighbours < cosine.shape[1]:
            least = np.partition(cosine, -self._neighbours, axis=1)[:, -self._neighbours]
            cosine = np.where(cosine >= least[:, None], cosine, 0.0)
        return scores + cosine.sum(0)

    def observe(self, basket: Basket) -> None:
        self._popularity.observe(basket)
        self._counts[basket.items] += 1
        self._together[np.ix_(basket.items, basket.items)] += 1
        if basket.is_target:
            self._history[basket.customer].append(basket.items)


class PersonalFrequency:
    """How often a customer bought an item, fading, blended with popularity."""

    name = "personal frequency with decay"
    grid: ClassVar[Grid] = {"half_life": (30, 60, 90, 180, 360), "popular": (0.0, 0.1, 0.2, 0.4, 0.8)}

    def __init__(self, size: int, half_life: int = 60, popular: float = 0.0) -> None:
        self._size, self._half_life_ms, self._popular = size, half_life * DAY_MS, popular
        self._popularity = Popularity(size)
        self._history: dict[str, list[Basket]] = defaultdict(list)

    def scores(self, basket: Basket) -> FloatArray:
        personal = np.zeros(self._size)
        for each in self._history.get(basket.customer, ()):
            personal[each.items] += 2.0 ** (-(basket.time_ms - each.time_ms) / self._half_life_ms)
        return _share(personal) + (self._popular or 1e-6) * _share(self._popularity.scores(basket))

    def observe(self, basket: Basket) -> None:
        self._popularity.observe(basket)
        if basket.is_target:
            self._history[basket.customer].append(basket)


class TemporalFrequency:
    """TIFU-kNN (Hu, He, Gao, Zhang: Modeling personalized item frequency information for next-basket recommendation,
    SIGIR 2020): a customer's baskets in groups, decayed within and over groups; blended with the mean vector of the
    nearest customers (Euclidean). Neighbours are those of the start of the day."""

    name = "TIFU-kNN"
    grid: ClassVar[Grid] = {
        "within": (0.7, 0.9, 1.0), "between": (0.6, 0.7, 0.9), "group": (3, 7), "neighbours": (100, 300),
        "alpha": (0.7, 0.9),
    }  # fmt: skip

    def __init__(
        self, size: int, within: float = 0.9, between: float = 0.7, group: int = 7, neighbours: int = 300,
        alpha: float = 0.7,
    ) -> None:  # fmt: skip
        self._size, self._within, self._between, self._group = size, within, between, group
        self._neighbours, self._alpha = neighbours, alpha
        self._history: dict[str, list[npt.NDArray[np.int64]]] = defaultdict(list)
        self._rows: dict[str, int] = {}
        self._vectors = np.zeros((0, size), np.float32)
        self._by_item = np.zeros((size, 0), np.float32)  # transposed: few rows of it meet a customer's items
        self._changed: set[str] = set()
        self._day = -1
        self._popularity = Popularity(size)

    def _vector(self, baskets: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
        """Groups are filled from the newest basket on, so that only the oldest is short."""
        total = np.zeros(self._size, np.float32)
        starts = range(len(baskets) % self._group or self._group, len(baskets) + 1, self._group)
        groups = [baskets[max(0, end - self._group) : end] for end in starts]
        for age, group in enumerate(reversed(groups)):
            part = np.zeros(self._size, np.float32)
            for back, items in enumerate(reversed(group)):
                part[items] += self._within**back
            total += self._between**age * part / len(group)
        return total / max(len(groups), 1)

    def _refresh(self, day: int) -> None:
        if day == self._day:
            return
        self._day = day
        for customer in self._changed:
            row = self._rows.setdefault(customer, len(self._rows))
            if row >= len(self._vectors):
                grown = np.zeros((max(256, 2 * len(self._vectors)), self._size), np.float32)
                grown[: len(self._vectors)] = self._vectors
                self._vectors = grown
                self._by_item = np.ascontiguousarray(grown.T)
            vector = self._vector(self._history[customer])
            self._vectors[row] = vector
            self._by_item[:, row] = vector
        self._changed.clear()
        self._norms = (self._vectors**2).sum(1)

    def scores(self, basket: Basket) -> FloatArray:
        self._refresh(basket.time_ms // DAY_MS)
        popular = 1e-6 * _share(self._popularity.scores(basket))
        baskets = self._history.get(basket.customer)
        if not baskets:
            return popular
        own = self._vector(baskets)
        items = np.flatnonzero(own)
        distance = self._norms - 2 * (own[items] @ self._by_item[items])
        distance[len(self._rows) :] = np.inf
        if basket.customer in self._rows:
            distance[self._rows[basket.customer]] = np.inf
        k = min(self._neighbours, max(len(self._rows) - 1, 1))
        near = np.argpartition(distance, k)[:k]
        blended = self._alpha * own + (1 - self._alpha) * self._vectors[near].mean(0)
        return blended.astype(np.float64) + popular

    def observe(self, basket: Basket) -> None:
        self._popularity.observe(basket)
        if basket.is_target:
            self._history[basket.customer].append(basket.items)
            self._changed.add(basket.customer)


class MatrixFactors:
    """Implicit alternating least squares of the library `implicit`, refitted every 14 days."""

    name = "implicit MF"
    grid: ClassVar[Grid] = {"factors": (32, 64), "regularization": (0.01, 0.1), "alpha": (1.0, 10.0)}

    def __init__(self, size: int, factors: int = 64, regularization: float = 0.01, alpha: float = 1.0) -> None:
        from implicit.als import AlternatingLeastSquares  # of the bench's own requirements

        self._make = lambda: AlternatingLeastSquares(
            factors=factors, regularization=regularization, alpha=alpha, iterations=15, random_state=7, num_threads=1
        )
        self._size = size
        self._rows: dict[str, int] = {}
        self._counts: dict[tuple[int, int], float] = defaultdict(float)
        self._popularity = Popularity(size)
        self._due_ms, self._model, self._fitted = 0, None, 0

    def _refit(self, time_ms: int) -> None:
        from scipy.sparse import csr_matrix
        from threadpoolctl import threadpool_limits  # comes with the library, which asks for it

        if time_ms < self._due_ms or not self._counts:
            return
        self._due_ms = time_ms + 14 * DAY_MS
        rows, columns = np.array(list(self._counts), np.int64).T
        values = np.array(list(self._counts.values()), np.float32)
        with threadpool_limits(1, "blas"):
            self._model = self._make()
            self._model.fit(csr_matrix((values, (rows, columns)), (len(self._rows), self._size)), show_progress=False)
        self._fitted = len(self._rows)

    def scores(self, basket: Basket) -> FloatArray:
        self._refit(basket.time_ms)
        popular = _share(self._popularity.scores(basket))
        row = self._rows.get(basket.customer)
        if self._model is None or row is None or row >= self._fitted:
            return popular
        return self._model.item_factors @ self._model.user_factors[row] + 1e-6 * popular

    def observe(self, basket: Basket) -> None:
        self._popularity.observe(basket)
        if basket.is_target:
            row = self._rows.setdefault(basket.customer, len(self._rows))
            for item in basket.items.tolist():
                self._counts[row, item] += 1.0


def _share(values: FloatArray) -> FloatArray:
    """Scaled so that the largest is 1."""
    largest = values.max(initial=0.0)
    return values / largest if largest > 0 else values.copy()


BASELINES = (Popularity, LastBasket, ItemNeighbours, PersonalFrequency, TemporalFrequency, MatrixFactors)
