"""Simulated shoppers for load: who comes, what they look at, what they send. Seeded: the same seed sends the same.

Visitors and items are drawn by Zipf's law (exponent 0.9: the head of a shop, with a long tail). A fifth of the visitors
are signed in. Of the events 60 % are views, 20 % clicks, 12 % impressions, 8 % additions to the cart; clicks and
impressions carry the id of a decision that was answered a moment ago. Every id starts with `simulated-`.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

ITEM = "$item"  # as the value of an input: a random item id
_ZIPF_EXPONENT = 0.9  # of items; visitors are drawn evenly: nobody clicks a hundred times a second
_DRAWN_AT_ONCE = 20_000
_RECENT_DECISIONS = 1_000

_encode = msgspec.json.Encoder().encode


class Draw:
    """Indices below `count` by Zipf's law, drawn in blocks."""

    def __init__(self, count: int, seed: int, exponent: float = _ZIPF_EXPONENT) -> None:
        weights = 1.0 / np.arange(1, count + 1) ** exponent
        self._cumulative = np.cumsum(weights / weights.sum())
        self._last = count - 1
        self._generator = np.random.default_rng(seed)
        self._drawn: list[int] = []

    def next(self) -> int:
        if not self._drawn:
            found = np.searchsorted(self._cumulative, self._generator.random(_DRAWN_AT_ONCE))
            self._drawn = np.minimum(found, self._last).tolist()
        return self._drawn.pop()


class Traffic:
    """Bodies of requests. `run` makes message ids unique between runs."""

    def __init__(self, items: Sequence[str], visitors: int, inputs: Mapping[str, Any], *, seed: int, run: str) -> None:
        self._items = items
        self._inputs = inputs
        self._run = run
        self._random = random.Random(seed)
        self._visitor = Draw(visitors, seed + 1, 0.0)
        self._item = Draw(len(items), seed + 2)
        self._recent: deque[tuple[dict[str, str], str, str, list[str]]] = deque(maxlen=_RECENT_DECISIONS)
        self._sent = 0

    def decided(self, who: dict[str, str], decision_id: str, surface: str, items: list[str]) -> None:
        """A decision was answered: impressions and clicks may follow."""
        if items:
            self._recent.append((who, decision_id, surface, items))

    def event(self) -> tuple[str, bytes]:
        """(message id, body) of a `POST /v1/track`."""
        self._sent += 1
        message_id = f"simulated-{self._run}-{self._sent}"
        kind = self._random.random()
        if kind < 0.32 and self._recent:
            who, decision_id, surface, items = self._random.choice(self._recent)
            properties: dict[str, Any] = {"decision_id": decision_id, "surface": surface}
            if kind < 0.12:
                name = "Impression"
                properties["items"] = [{"item_id": item, "position": n + 1} for n, item in enumerate(items)]
            else:
                name, at = "Product Clicked", min(int(self._random.expovariate(0.5)), len(items) - 1)
                properties |= {"product_id": items[at], "position": at + 1}
        else:
            who = self.who()
            name = "Product Added" if kind > 0.92 else "Product Viewed"
            properties = {"product_id": self._items[self._item.next()]}
        call = {"messageId": message_id, "event": name, "properties": properties, "context": _CONTEXT, **who}
        return message_id, _encode(call)

    def request(self) -> tuple[dict[str, str], bytes]:
        """(who, body) of a `POST /v1/decide/{surface}`."""
        inputs = {
            name: self._items[self._item.next()] if value == ITEM else value for name, value in self._inputs.items()
        }
        who = self.who()
        return who, _encode({**who, "inputs": inputs})

    def bid_request(self, tmax_ms: int) -> bytes:
        """An OpenRTB 2.6 bid request for one banner, of a visitor we know by our own id."""
        self._sent += 1
        person = {"buyeruid": self.who()["anonymousId"]}
        return _encode({"id": f"{self._run}-{self._sent}", "tmax": tmax_ms, "user": person, "imp": [_BANNER]})

    def who(self) -> dict[str, str]:
        """The ids of a visitor."""
        visitor = self._visitor.next()
        who = {"anonymousId": f"simulated-{visitor}"}
        if visitor % 5 == 0:
            who["userId"] = f"simulated-user-{visitor}"
        return who


_BANNER = {"id": "1", "banner": {"w": 300, "h": 250}, "secure": 1}
_CONTEXT = {"library": {"name": "nextpaint load", "version": "1"}}
