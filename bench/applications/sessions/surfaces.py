"""The surfaces of the next-item task: 24 settings drawn from the grid of the protocol."""

import random
from itertools import product

from nextpaint.decide import EMAIL, BoughtTogether, Nothing, SessionVector, Similar, Surface, Top, TopOf, Weighted

GRID = {
    "half_life": ("2 min", "10 min"),
    "shop": ("h1", "h6"),
    "together": (0.5, 1.0, 2.0),
    "category": (0.5, 1.0, 2.0),
    "demand": (0.1, 0.3),
    "similar": (0.0, 0.1),
}


def surface(
    name: str, half_life: str, shop: str, together: float, category: float, demand: float, similar: float
) -> Surface:
    session = SessionVector("recent.items", vectors="item_vectors", half_life=half_life)
    viewed = BoughtTogether("viewed", to="recent.items", k=100, basket="subject", half_life=half_life)
    return Surface(
        name,
        window=EMAIL,
        purpose="personalisation",
        items="catalog",
        limit=100,
        retrieve=[
            viewed,
            Top("trending", by=shop, where={"category": TopOf("category_interest", by="heat", n=1)}, k=150),
            Top("trending", by=shop, k=100),
            Similar("item_vectors", to=session, k=50),
        ],
        require=[],
        features={
            "together": viewed,
            "category": "category_interest.heat",
            "demand": f"trending.{shop}",
            "similarity": session,
        },
        rank=Weighted(together=together, category=category, demand=demand, similarity=similar),
        cold=Top("trending", by=shop, k=100),
        fallback=Nothing(),
    )


def configurations() -> list[Surface]:
    every = list(product(*GRID.values()))
    chosen = random.Random(20261125).sample(every, 24)
    return [surface(f"tuned_{number}", *settings) for number, settings in enumerate(chosen)]


tuned = configurations()
