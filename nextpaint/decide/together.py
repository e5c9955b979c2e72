"""What was bought (or viewed) together with what the person touched last: candidates, and a feature of them.

score(j) = sum over recent items i of d_i * n_ij / sqrt(n_i * n_j), with d_i = w_i * 2^-(age_i / half_life), n_ij
baskets holding both, n_i baskets holding i: item-based collaborative filtering with cosine similarity of binary basket
vectors (Sarwar et al., WWW 2001; Deshpande and Karypis, TOIS 2004). The six heaviest recent items count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nextpaint.decide.binder import Binder
from nextpaint.decide.candidates import Candidates
from nextpaint.decide.context import Context, ListPath
from nextpaint.decide.order import top
from nextpaint.decide.requirements import Cooccurrence, Needs
from nextpaint.decide.retrieve import abstain
from nextpaint.decide.stage import Stage
from nextpaint.process.kernels.decay import decay_array
from nextpaint.record.columns import Column
from nextpaint.record.types import DOUBLE

OTHERS_MAX = 40  # partners read per item; the tail of a co-purchase list is noise of single baskets
SEEDS_MAX = 6  # recent items whose partners are read: keeps the stage near 0.1 ms
SEED_HALF_LIFE = "30 min"  # longer than a session vector's: what was bought together stays so for the whole visit
BASKET = "order_id"


@dataclass(frozen=True)
class BoughtTogether:
    """Items that share baskets of `orders` with what the person touched last (`to`, a LAST_N list).

    As a retriever it proposes the `k` best; recent items themselves are not proposed. As a feature its value is the
    score of the candidate, 0 for one that shares no basket with a recent item. `basket`: rows with the same value are
    one basket; with a session id and a table of views it is "viewed together".
    """

    orders: str
    to: str = "recent.items"
    k: int = 50
    basket: str = BASKET
    item: str = "item_id"
    half_life: str = SEED_HALF_LIFE
    label = "bought together"

    @property
    def index(self) -> str:
        return f"_together_{self.orders}" + ("" if self.basket == BASKET else f"_by_{self.basket}")

    def __str__(self) -> str:
        return f"BoughtTogether({self.orders}, to={self.to}, k={self.k})"

    def needs(self, needs: Needs) -> None:
        needs.read_path(self.to)
        needs.cooccurrences[self.index] = Cooccurrence(self.index, self.orders, self.basket, self.item, OTHERS_MAX)

    def scored(self, binder: Binder) -> BoundTogether | None:
        """The scores, bound to the application's tables; None after reporting what is wrong."""
        path = binder.item_list(self.to, "BoughtTogether(to=)")
        half_life_ms = binder.duration(self.half_life, "BoughtTogether(half_life=)")
        table = binder.table(self.orders, "BoughtTogether")
        if table is not None:
            binder.field(table, self.basket, "BoughtTogether(basket=)")
            binder.field(table, self.item, "BoughtTogether(item=)")
        if path is None or table is None or not half_life_ms:
            return None
        return BoundTogether(self.index, path, half_life_ms)

    def bind(self, binder: Binder) -> Stage | None:
        bound = self.scored(binder)
        return None if bound is None else _bought_together(bound, self.k)


@dataclass(frozen=True)
class BoundTogether:
    """Scores by item, computed once a decision and shared by all stages that want them."""

    index: str
    path: ListPath
    half_life_ms: int

    def seeds(self, context: Context) -> list[tuple[str, float]]:
        """Recent items with their decayed weights, heaviest first (ties: key). An item's events add, newest first."""
        return context.once(("seeds", self), lambda: self._seeds(context))

    def scores(self, context: Context) -> Mapping[str, float]:
        """Every item that shares a basket with a seed."""
        return context.once(("together", self), lambda: self._scores(context))

    def values(self, candidates: Candidates, context: Context) -> Column:
        """The feature: one score per candidate, shape (n,)."""
        scores = self.scores(context)
        return Column(DOUBLE, np.array([scores.get(each, 0.0) for each in candidates.keys()], np.float64))

    def latest_ms(self, context: Context) -> int | None:
        """Event time of the newest event it starts from."""
        events = context.recent(self.path)
        return events[0][2] if events else None

    def _seeds(self, context: Context) -> list[tuple[str, float]]:
        events = context.recent(self.path)
        if not events:
            return []
        context.known = True
        age_ms = np.maximum(context.time_ms - np.array([time for _, _, time in events], np.int64), 0)
        decayed = decay_array(np.array([weight for _, weight, _ in events], np.float64), age_ms, self.half_life_ms)
        weights: dict[str, float] = {}
        for (item, _, _), weight in zip(events, decayed.tolist(), strict=True):
            weights[item] = weights.get(item, 0.0) + weight
        return sorted(weights.items(), key=lambda each: (-each[1], each[0]))

    def _scores(self, context: Context) -> Mapping[str, float]:
        scores: dict[str, float] = {}
        for item, weight in self.seeds(context)[:SEEDS_MAX]:
            rows: Sequence[Any] = context.rows(self.index, (item,))
            for row in rows:
                other = row["other"]
                scores[other] = scores.get(other, 0.0) + weight * row["share"]
        return scores


def _bought_together(bound: BoundTogether, k: int) -> Stage:
    def bought_together(candidates: Candidates, context: Context) -> Candidates:
        seeds = bound.seeds(context)
        if not seeds:
            return abstain(context, f"nothing recent in {bound.path}")
        scores = dict(bound.scores(context))
        for item, _ in seeds:
            scores.pop(item, None)
        if not scores:
            return abstain(context, "no recent item was ever bought with another")
        keys = list(scores)
        values = np.array(list(scores.values()), np.float64)
        best = top(values, keys.__getitem__, k)
        return context.found([keys[each] for each in best.tolist()], values[best])

    return bought_together
