"""What a nightly job would have made: popularity and co-purchase of the orders so far, computed once and then frozen.

It is the other side of the comparison on the shop page, and it is meant to be a fair one: yesterday's sellers, and
"bought together" over the whole history. It reads no person's behaviour; the item of the page is its only input.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Any

from nextpaint.connect.orders import OrderLine
from nextpaint.connect.replay import whole_orders

DAY_MS = 86_400_000
# An order of more distinct items is a shop stocking up: it says little about what goes together, and its pairs would
# outnumber those of all others (600 items are 180,000 pairs).
PAIR_ITEMS_MAX = 60
# Two items in one single order are chance.
PAIR_ORDERS_MIN = 2


@dataclass(frozen=True, slots=True)
class FrozenRanking:
    """`popular`: items with their score, best first. `together`: for an item, what was bought with it, best first."""

    popular: tuple[tuple[str, float], ...]
    together: Mapping[str, tuple[str, ...]]

    def page(self, item_id: str | None = None, limit: int = 60) -> list[str]:
        """The list a page would show: what goes with its item, then what is popular; no item twice, not the item
        itself."""
        first = self.together.get(item_id, ()) if item_id else ()
        merged = dict.fromkeys([*first, *(each for each, _ in self.popular)])
        merged.pop(item_id or "", None)
        return list(merged)[:limit]

    def rows(self, ts_ms: int) -> list[dict[str, Any]]:
        """Rows for the table `yesterday` (item_id, score, ts)."""
        return [{"item_id": item_id, "score": score, "ts": ts_ms} for item_id, score in self.popular]


def frozen_ranking(lines: Iterable[OrderLine], together_max: int = 8) -> FrozenRanking:
    """The ranking of a job that ran in the night after the last of `lines`.

    Popularity of an item: the number of orders with it on the last day (UTC); the number of all orders with it
    decides ties and orders the rest (it is scaled to below one order). Together: orders with both items, divided by
    the square root of the product of the orders with each (the cosine of the two items' order sets); ties by item id.
    Cancelled lines do not count.
    """
    day_of: dict[str, int] = {}
    items_of: defaultdict[str, set[str]] = defaultdict(set)
    for order in whole_orders(lines):
        order_id = order[0].order_id
        day_of[order_id] = order[0].time_ms // DAY_MS
        items_of[order_id].update(line.item_id for line in order if line.qty > 0)
    last_day = max(day_of.values(), default=0)
    counts = Counter(item_id for items in items_of.values() for item_id in items)
    newest = Counter(
        item_id for order_id, items in items_of.items() if day_of[order_id] == last_day for item_id in items
    )
    most = max(counts.values(), default=0)
    scores = {item_id: newest[item_id] + count / (most + 1) for item_id, count in counts.items()}
    popular = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
    return FrozenRanking(tuple(popular), _together(items_of.values(), counts, together_max))


def _together(orders: Iterable[set[str]], counts: Mapping[str, int], together_max: int) -> dict[str, tuple[str, ...]]:
    pairs: Counter[tuple[str, str]] = Counter()
    for items in orders:
        if len(items) <= PAIR_ITEMS_MAX:
            pairs.update(combinations(sorted(items), 2))
    partners: defaultdict[str, list[tuple[float, str]]] = defaultdict(list)
    for (left, right), both in pairs.items():
        if both >= PAIR_ORDERS_MIN:
            cosine = both / sqrt(counts[left] * counts[right])
            partners[left].append((-cosine, right))
            partners[right].append((-cosine, left))
    return {item_id: tuple(other for _, other in sorted(found)[:together_max]) for item_id, found in partners.items()}
