"""The next-basket task: invoices in time order, which of them are targets, and how methods meet them.

A target is an invoice of a known customer with something bought. A method answers before any line of the target is
admitted, and observes every invoice afterwards, targets or not. Split by time over targets: 50 % warm-up, 20 % tuning,
30 % test. See docs/quality-protocol.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nextpaint.connect.orders import OrderLine, read_orders
from nextpaint.connect.replay import whole_orders

FloatArray = npt.NDArray[np.float64]
DAY_MS = 86_400_000
WARM_UP, TUNING = 0.5, 0.2


@dataclass(frozen=True)
class Basket:
    """One invoice. `items`: the distinct items bought, as indices, ascending; empty for a cancellation."""

    order_id: str
    time_ms: int
    customer: str
    items: npt.NDArray[np.int64]
    lines: tuple[OrderLine, ...]

    @property
    def is_target(self) -> bool:
        return bool(self.customer) and len(self.items) > 0


@dataclass
class Baskets:
    """All invoices of a file. `tuning`, `test`: where the first target of each part stands in `all`."""

    all: list[Basket]
    ids: list[str]
    tuning: int
    test: int

    @staticmethod
    def read(path: Path) -> Baskets:
        index: dict[str, int] = {}
        baskets: list[Basket] = []
        for lines in whole_orders(read_orders(path)):
            numbers = [index.setdefault(line.item_id, len(index)) for line in lines]
            items = sorted({number for number, line in zip(numbers, lines, strict=True) if line.qty > 0})
            first = lines[0]
            held = np.array(items, np.int64)
            baskets.append(Basket(first.order_id, first.time_ms, first.customer_id, held, tuple(lines)))
        targets = [place for place, basket in enumerate(baskets) if basket.is_target]
        tuning = targets[int(len(targets) * WARM_UP)]
        test = targets[int(len(targets) * (WARM_UP + TUNING))]
        return Baskets(baskets, list(index), tuning, test)


class Method(Protocol):
    """A way to rank every item for a customer. Shape of a score array: (items,); higher is better."""

    def scores(self, basket: Basket) -> FloatArray:
        """Before the basket is admitted: who and when are known, its items are not looked at."""

    def observe(self, basket: Basket) -> None:
        """Afterwards."""


@dataclass
class Known:
    """What every method may know besides: which items exist by now, and what a customer bought before."""

    size: int
    seen: npt.NDArray[np.bool_] = field(init=False)
    bought: dict[str, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.seen = np.zeros(self.size, np.bool_)

    def observe(self, basket: Basket) -> None:
        self.seen[basket.items] = True
        if basket.customer:
            self.bought.setdefault(basket.customer, set()).update(basket.items.tolist())


@dataclass(frozen=True)
class Answered:
    """One target with the top lists of one method. `kind`: "history" or "first"."""

    customer: str
    kind: str
    relevant: frozenset[int]
    repeated: frozenset[int]
    top: Sequence[int]
    fresh: Sequence[int]  # the top without what the customer bought before


def run(method: Method, baskets: Baskets, first: int, last: int, k: int = 10) -> Iterator[Answered]:
    """Feed baskets up to `last`; answer the targets from `first` on."""
    known = Known(len(baskets.ids))
    for place, basket in enumerate(baskets.all[:last]):
        if place >= first and basket.is_target:
            scores = np.where(known.seen, method.scores(basket), -np.inf)
            before = known.bought.get(basket.customer, set())
            yield answered(basket, before, ordered(scores, k), ordered(without(scores, before), k))
        method.observe(basket)
        known.observe(basket)


def answered(basket: Basket, before: set[int], top: Sequence[int], fresh: Sequence[int]) -> Answered:
    relevant = frozenset(basket.items.tolist())
    kind = "history" if before else "first"
    return Answered(basket.customer, kind, relevant, relevant & before, top, fresh)


def without(scores: FloatArray, items: set[int]) -> FloatArray:
    left = scores.copy()
    left[list(items)] = -np.inf
    return left


def ordered(scores: FloatArray, k: int) -> list[int]:
    """The k best items, ties by item index; items at -inf are no candidates."""
    k = min(k, len(scores))
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    close = np.flatnonzero((scores >= least) & (scores > -np.inf))
    best = close[np.argsort(-scores[close], kind="stable")]
    return best[:k].tolist()
