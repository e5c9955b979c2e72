"""Simulated shoppers: clicks for a demonstration, made by a small model. They are not people.

Every call carries `context.simulated = true`, and whoever shows them says so. A shopper is a pure function of its
seed, its catalogue and the pages it was shown: no clock, no other source of chance.

The model, for one page of items at positions 1, 2, 3...:

* Taste: a weight per category. A new shopper has two favourites (weight 1 and 0.5); every other weighs `INDIFFERENCE`.
* Attention falls with the position: an item at position p is looked at with probability `LOOK_FURTHER ** (p - 1)`,
  and a click takes looking and liking, independent of each other: the examination model in Craswell et al., "An
  experimental comparison of click position-bias models", WSDM 2008, with a curve of our own.
* An item that is looked at is clicked with probability `CLICK_AT_BEST` times its category's weight; after
  `CLICKS_MAX` clicks the page is done. A click shows the item (Product Viewed); of those, `CART_SHARE` go into the
  cart (Product Added).
* Taste drifts: before each page, with probability `DRIFT`, the favourite becomes second and a new one is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nextpaint.connect.replay import iso_time
from nextpaint.ports.random import SeededRandom

Call = dict[str, Any]

INDIFFERENCE = 0.04
LOOK_FURTHER = 0.92
CLICK_AT_BEST = 0.35
CLICKS_MAX = 3
CART_SHARE = 0.15
DRIFT = 0.08
# Between two pages: from quick to thoughtful. Short for a person, right for a demonstration of a minute.
THINK_MS = (1_500, 9_000)


class Shopper:
    """One simulated shopper. `categories`: item id to category; an item without one is of no interest."""

    def __init__(self, seed: int, categories: Mapping[str, str]) -> None:
        self.anonymous_id = f"simulated-shopper-{seed}"
        self._chance = SeededRandom(seed)
        self._categories = categories
        self._names = sorted(set(categories.values()))
        self._favourites: list[str] = []
        while len(self._favourites) < min(2, len(self._names)):
            self._favourites.append(self._one_of([name for name in self._names if name not in self._favourites]))
        self._calls = 0

    @property
    def taste(self) -> dict[str, float]:
        """Weight per category, in (0, 1]."""
        taste = dict.fromkeys(self._names, INDIFFERENCE)
        for weight, name in zip((1.0, 0.5), self._favourites, strict=False):
            taste[name] = weight
        return taste

    def think_ms(self) -> int:
        """The pause until this shopper asks for the next page."""
        return THINK_MS[0] + int(self._uniform() * (THINK_MS[1] - THINK_MS[0]))

    def react(self, answer: Mapping[str, Any], now_ms: int) -> list[Call]:
        """What the shopper does with a decision's answer (`decision_id`, `items` with `id`): Segment calls, in order
        of time, the impression first. All times are `now_ms` plus a few milliseconds, so none lies in the future of a
        fast page."""
        self._drift()
        items: Sequence[Mapping[str, Any]] = answer.get("items", ())
        if not items:
            return []
        decision_id = answer.get("decision_id")
        shown = [{"item_id": item["id"], "position": place} for place, item in enumerate(items, start=1)]
        calls = [self._track("Impression", {"decision_id": decision_id, "items": shown}, now_ms)]
        for place, item_id in self._clicked(items):
            now_ms += 1
            about = {"product_id": item_id, "decision_id": decision_id, "position": place}
            calls.append(self._track("Product Clicked", about, now_ms))
            calls.append(self._track("Product Viewed", {"product_id": item_id}, now_ms + 1))
            now_ms += 1
            if self._uniform() < CART_SHARE:
                now_ms += 1
                calls.append(self._track("Product Added", {**about, "quantity": 1}, now_ms))
        return calls

    def _uniform(self) -> float:
        """In [0, 1), with the 53 bits a float holds."""
        return (self._chance.uint64() >> 11) * 2.0**-53

    def _one_of(self, names: Sequence[str]) -> str:
        return names[int(self._uniform() * len(names))]

    def _drift(self) -> None:
        if len(self._names) > 2 and self._uniform() < DRIFT:
            others = [name for name in self._names if name not in self._favourites]
            self._favourites = [self._one_of(others), self._favourites[0]]

    def _clicked(self, items: Sequence[Mapping[str, Any]]) -> list[tuple[int, str]]:
        taste, clicked = self.taste, list[tuple[int, str]]()
        for place, item in enumerate(items, start=1):
            weight = taste.get(self._categories.get(item["id"], ""), 0.0)
            if self._uniform() < LOOK_FURTHER ** (place - 1) * CLICK_AT_BEST * weight:
                clicked.append((place, str(item["id"])))
                if len(clicked) == CLICKS_MAX:
                    break
        return clicked

    def _track(self, event: str, properties: Mapping[str, Any], time_ms: int) -> Call:
        self._calls += 1
        return {
            "type": "track",
            "event": event,
            "anonymousId": self.anonymous_id,
            "messageId": f"{self.anonymous_id}-{time_ms}-{self._calls}",
            "timestamp": iso_time(time_ms),
            "properties": dict(properties),
            "context": {"simulated": True},
        }
