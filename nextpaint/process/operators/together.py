"""Which items are bought together: counts of item pairs that share a basket, kept pair by pair.

A basket is all rows of one basket key. Each item counts once per basket; pairs count in both directions. Baskets above
`BASKET_MAX` items stop counting further pairs: a wholesale order of 500 lines says little about any pair and would cost
250,000 updates. A basket is forgotten when `BASKETS_KEPT` newer ones have been seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from nextpaint.process.operators.protocol import Operator, StepContext
from nextpaint.process.state import State
from nextpaint.record.columns import DELETE, UPDATE_BEFORE, Batch, Value
from nextpaint.record.types import Type

BASKET_MAX = 60  # 98 % of the baskets of a gift wholesaler are smaller
BASKETS_KEPT = 20_000  # baskets that may still grow: minutes of orders for a large shop


class BoughtTogether(Operator):
    """State: `baskets`, basket -> items; `order`, ordinal -> basket, and `support`, item -> baskets holding it;
    `pairs`, (item, other) -> baskets holding both."""

    def __init__(
        self, identity: str, types: Sequence[Type], columns: tuple[int, int], others_max: int, state: State
    ) -> None:
        super().__init__(identity, types)
        self._basket, self._item = columns
        self._others_max = others_max
        self._baskets = state.cell(identity, "baskets")
        self._order = state.cell(identity, "order")
        self.support = state.cell(identity, "support")
        self.pairs = state.cell(identity, "pairs")
        self._others: dict[Value, dict[Value, int]] = {}
        self._best: dict[Value, list[tuple[Value, int]]] = {}  # asked for since its counts last changed
        self._rows: dict[Value, list[dict[str, Value]]] = {}  # asked for since any basket changed

    def restore(self) -> None:
        self._others, self._best, self._rows = {}, {}, {}
        found = self._others
        for page in self.pairs.pages:
            for (item, other), count in page.items():
                others = found.get(item)
                if others is None:
                    others = found[item] = {}
                others[other] = count

    def best(self, item: Value) -> list[tuple[Value, int]]:
        """(other, shared baskets) of the items bought most often with this one: largest count first, ties by item."""
        best = self._best.get(item)
        if best is None:
            others = sorted(self._others.get(item, {}).items(), key=lambda each: (-each[1], each[0]))
            best = self._best[item] = others[: self._others_max]
        return best

    def rows(self, item: Value) -> list[dict[str, Value]]:
        """`best` as rows: `other`, and `share`, the cosine of their binary basket vectors: baskets with both, by the
        root of the product of those with each. Do not change them."""
        rows = self._rows.get(item)
        if rows is None:
            baskets = self.baskets_with(item)
            rows = self._rows[item] = [
                {"other": other, "share": count / sqrt(baskets * self.baskets_with(other))}
                for other, count in self.best(item)
            ]
        return rows

    def baskets_with(self, item: Value) -> int:
        count: int = self.support.get(item, 0)
        return count

    def step(self, inputs: Sequence[Batch], context: StepContext) -> Batch:
        batch = inputs[0]
        if len(batch):
            baskets, items = batch.columns[self._basket].to_list(), batch.columns[self._item].to_list()
            for kind, basket, item in zip(batch.kind.tolist(), baskets, items, strict=True):
                if kind not in (UPDATE_BEFORE, DELETE) and basket is not None and item is not None:
                    self._add(basket, item)
        return self.nothing

    def _add(self, basket: Value, item: Value) -> None:
        held: tuple[Value, ...] = self._baskets.get(basket, ())
        if item in held or len(held) >= BASKET_MAX:
            return
        self._rows.clear()
        if not held:
            self._remember(basket)
        for other in held:
            self._count(item, other)
            self._count(other, item)
        self._baskets.put(basket, (*held, item))
        self.support.put(item, self.baskets_with(item) + 1)

    def _count(self, item: Value, other: Value) -> None:
        others = self._others.setdefault(item, {})
        others[other] = others.get(other, 0) + 1
        self._best.pop(item, None)
        self.pairs.put((item, other), others[other])

    def _remember(self, basket: Value) -> None:
        ordinal: int = self._order.get("next", 0)
        self._order.put(ordinal, basket)
        self._order.put("next", ordinal + 1)
        if ordinal >= BASKETS_KEPT:
            self._baskets.pop(self._order.pop(ordinal - BASKETS_KEPT))
