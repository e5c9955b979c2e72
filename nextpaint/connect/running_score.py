"""A running score on replayed orders: what three lists would have had of each basket, judged before it is known.

A target is an order of a known customer with at least one bought item, the first time its id is seen. For each, three
lists of `LISTED` items are taken before any row of the order is admitted: ours, the customer's last basket (then what
is popular), and what is popular. Hit@10 is the share of targets of which a list held at least one bought item. Nothing
is told before `TARGETS_MIN` targets: below, the intervals say nothing.

Both baselines know exactly the orders that the node was given in this run, like ours. A second round of the same orders
would be known by heart, so the score ends with the first; on a node that held orders before it does not begin.
Differences are paired by target; intervals are 95 %, normal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LISTED = 10
TARGETS_MIN = 200
Z_95 = 1.959964
METHODS = ("ours", "last basket", "popularity")


@dataclass(slots=True)
class _Hits:
    """Of one method: targets hit, bought items among its ten, and the paired difference to ours."""

    hits: int = 0
    found: int = 0
    ahead: int = 0  # targets that ours hit and it did not
    behind: int = 0  # targets that it hit and ours did not


@dataclass(slots=True)
class RunningScore:
    """Judges baskets one after the other. `surface`: whose answers are ours; `silent`: why there is no score."""

    surface: str
    silent: str = ""
    finished: bool = False
    targets: int = 0
    known: int = 0  # targets of customers with an earlier basket
    _hits: dict[str, _Hits] = field(default_factory=lambda: {name: _Hits() for name in METHODS})
    _sold: Counter[str] = field(default_factory=Counter)
    _last: dict[str, list[str]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def wants(self, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the next order is a target."""
        if self.silent or self.finished or not rows or rows[0]["order_id"] in self._seen:
            return False
        return rows[0]["user_id"] is not None and any(row["qty"] > 0 for row in rows)

    def judge(self, rows: Sequence[Mapping[str, Any]], ours: Sequence[str]) -> None:
        """Count one target; `ours` was taken before any of its rows was admitted."""
        bought = {str(row["item_id"]) for row in rows if row["qty"] > 0}
        customer = str(rows[0]["user_id"])
        self.targets += 1
        self.known += customer in self._last
        lists = {"ours": list(ours)[:LISTED], "last basket": self._repeated(customer), "popularity": self._popular()}
        hit = {name: bool(bought & set(listed)) for name, listed in lists.items()}
        for name, listed in lists.items():
            held = self._hits[name]
            held.hits += hit[name]
            held.found += len(bought & set(listed))
            held.ahead += hit["ours"] and not hit[name]
            held.behind += hit[name] and not hit["ours"]

    def learn(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """What the baselines know from an order that was admitted; every order, target or not."""
        bought = list(dict.fromkeys(str(row["item_id"]) for row in rows if row["qty"] > 0))
        if not rows or not bought:
            return
        self._seen.add(str(rows[0]["order_id"]))
        self._sold.update(bought)
        if rows[0]["user_id"] is not None:
            self._last[str(rows[0]["user_id"])] = bought

    def _popular(self) -> list[str]:
        """By number of orders, ties by id."""
        return [key for key, _ in sorted(self._sold.items(), key=lambda each: (-each[1], each[0]))[:LISTED]]

    def _repeated(self, customer: str) -> list[str]:
        """The last basket, its best sold items first, filled with what is popular."""
        last = sorted(self._last.get(customer, ()), key=lambda key: (-self._sold[key], key))
        return list(dict.fromkeys([*last, *self._popular()]))[:LISTED]

    def told(self) -> dict[str, Any]:
        """As JSON-ready data; `methods` is empty until there are enough targets."""
        told: dict[str, Any] = {
            "surface": self.surface, "targets": self.targets, "known_customers": self.known, "needed": TARGETS_MIN,
            "listed": LISTED, "silent": self.silent, "finished": self.finished, "methods": [],
        }  # fmt: skip
        if self.targets >= TARGETS_MIN:
            told["methods"] = [self._method(name) for name in METHODS]
        return told

    def _method(self, name: str) -> dict[str, Any]:
        held, n = self._hits[name], self.targets
        share = held.hits / n
        told: dict[str, Any] = {
            "method": name, "hit": share, "interval": _around(share, (share * (1.0 - share) / n) ** 0.5),
            "found_per_list": held.found / n,
        }  # fmt: skip
        if name != "ours":
            ahead, behind = held.ahead / n, held.behind / n
            mean = ahead - behind
            error = (max(ahead + behind - mean * mean, 0.0) / n) ** 0.5
            told["ours_better_by"] = mean
            told["better_interval"] = _around(mean, error, -1.0)
        return told


def _around(value: float, error: float, least: float = 0.0) -> list[float]:
    return [max(value - Z_95 * error, least), min(value + Z_95 * error, 1.0)]
