"""Surfaces of the small shop, and a shorthand to decide on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nextpaint.decide import (
    WEB_RERANK,
    BoughtTogether,
    Decider,
    Decision,
    Diversify,
    Given,
    LastGood,
    Model,
    Moment,
    NotBought,
    NotSeen,
    Optional,
    Paths,
    SessionVector,
    Similar,
    Surface,
    Top,
    TopOf,
    Weighted,
)
from nextpaint.ports.clock import Clock, SimulatedClock
from tests.decide.reading import TABLES, FakeReading

SESSION = SessionVector("recent.items", vectors="item_vectors", half_life="10 min")
HOME = Surface(
    "home_carousel",
    window=WEB_RERANK,
    purpose="personalisation",
    items="catalog",
    limit=10,
    inputs={"page": str, "item_id": Optional(str)},
    retrieve=[
        Similar("item_vectors", to=SESSION, k=20),
        BoughtTogether("orders", to="recent.items", k=10),
        Top("trending", by="heat", where={"category": TopOf("category_interest", by="heat", n=3)}, k=10),
    ],
    require=[
        "inventory.stock > 2",
        NotSeen("impressions", times=3, within="1 h"),
        NotBought("orders", within="30 d"),
    ],
    features={"sim": SESSION, "heat": "category_interest.heat", "trend": "trending.heat", "price": "inventory.price"},
    rank=Model("ctr_ranker", until_trained=Weighted(sim=0.5, heat=0.3, trend=0.2)),
    rules=[Diversify(by="category", at_most=3)],
    cold=Top("trending", by="heat", k=30),
    fallback=LastGood(max_age="10 min"),
)
SEARCH = HOME.but("search", retrieve=[Given("items")], limit=20)
BODY = {"inputs": {"page": "home"}}


def decider(*surfaces: Surface, clock: Clock | None = None) -> Decider:
    return Decider(surfaces or (HOME, SEARCH), TABLES, clock or SimulatedClock(), "app-1")


def decide(
    decider: Decider,
    reading: FakeReading,
    subjects: Sequence[str] = ("s1",),
    surface: str = "home_carousel",
    paths: Paths | None = None,
    **body: Any,
) -> Decision:
    request = decider.request(surface, {**BODY, **body})
    return decider.decide(surface, request, subjects, reading, Moment("d" * 16, reading.time_ms, 1, None, paths))


def ids(decision: Decision) -> list[str]:
    return [item["id"] for item in decision.answer["items"]]
